//! One turn: executing the complete requests that are there, as far as may be.

use std::time::Duration;

use tanist_db_core::clock::{Monotonic, UnixMillis};
use tanist_db_core::command::{self, Call, CommandSpec, Flag, Reply};
use tanist_db_core::engine::{Executed, Rank, Refused, Session, front_command};
use tanist_db_core::ids::{Lsn, ShardId};
use tanist_db_core::planted::planted;
use tanist_replication::serving::{Executing, Permit, Version};

use super::ahead::Planned;
use super::{Conversation, Runtime};
use crate::config::{DebugCommand, Durability};
use crate::front::NodeContext;
use crate::front::caller::Caller;
use crate::front::commands::{self, COMMANDS};
use crate::front::context::Stats;
use crate::front::limits::{BATCH_BYTES, BATCH_COMMANDS};
use crate::front::redirect::{self, NO_PLACE};
use crate::front::reply_gate::Instead;

/// Why a turn has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// No complete request is left.
    Hungry,
    /// Others want their turn too.
    More,
    /// The next command may not execute until something changes.
    Held(Until),
    /// The next command needs a shard that is held by somebody else.
    Busy(ShardId, Rank),
    /// The output is full.
    Full,
    /// A command that takes its time has begun, and has no reply yet.
    Acting,
    /// The client leaves once it has its replies.
    Closing,
    /// The connection ends at once.
    Stopped,
}

/// What a held command waits for: `lsn` durable, or another version than `seen`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Until {
    pub(super) lsn: Lsn,
    pub(super) seen: Version,
}

/// Commands wait for permission to execute.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hold {
    pub(super) since: Monotonic,
    /// Position in the input: commands before it have been waiting since then.
    end: u64,
}

/// Why a command may not execute.
pub(super) enum Refusal {
    Hold(Until),
    Busy(ShardId, Rank),
    NotPrimary,
    Stopped,
}

/// What the commands of one turn have in common.
pub(super) struct Batch<'a> {
    pub(super) now: Monotonic,
    unix: UnixMillis,
    /// Taken before anything was looked at: a change since then ends a hold.
    pub(super) seen: Version,
    durability: Durability,
    /// Kept from the first command that touches data to the turn's end.
    guard: Option<Executing<'a>>,
    /// What is at risk has been looked at.
    risk_known: bool,
    commands: u64,
    written_bytes: u64,
    /// Its first record went into an empty queue.
    wakes: bool,
    last: Option<&'static str>,
}

/// What one step of a turn did.
pub(super) enum Step {
    /// The request is dealt with and takes so many bytes.
    Done(usize),
    End(Turn),
}

impl<'a, W: Runtime> Conversation<'a, W> {
    /// Executes complete requests in order until one of the reasons to stop.
    pub(super) fn turn(&mut self) -> Turn {
        let context = self.context;
        // After the requests have been read: what is executed under a permission asked with this time may be read.
        let now = context.clock.monotonic();
        let durability = context.durability();
        self.caller.now = now;
        let mut batch = Batch {
            now,
            unix: context.clock.unix(),
            seen: context.serving.version(),
            durability,
            guard: None,
            risk_known: false,
            commands: 0,
            written_bytes: 0,
            wakes: false,
            last: None,
        };
        let turn = self.run_batch(&mut batch);
        drop(batch.guard);
        if batch.commands > 0 {
            Stats::add(&context.stats.commands, batch.commands);
            context.risk.wrote(batch.written_bytes);
            // A command that is away has said so itself.
            if self.away.is_none() {
                self.caller.note(batch.last, &self.session);
            }
        }
        // Whoever waits for a record makes it leave at once (`Serving::on_demand`); others may gather.
        if batch.wakes && self.output.pending().is_none() {
            context.engine().inspect(|engine| engine.redo().wake());
        }
        turn
    }

    fn run_batch(&mut self, batch: &mut Batch<'a>) -> Turn {
        let budget_end = self.input.position() + BATCH_BYTES as u64;
        for _ in 0..BATCH_COMMANDS {
            if self.caller.closing {
                return Turn::Closing;
            }
            if self.caller.action.is_some() {
                return Turn::Acting;
            }
            if self.output.is_full() {
                return Turn::Full;
            }
            let step = match self.welcome_back(batch) {
                Some(step) => step,
                None if self.away.is_some() => return Turn::Acting,
                None => self.step(batch),
            };
            match step {
                Step::Done(bytes) => {
                    self.ahead.done();
                    self.input.consume(bytes);
                }
                Step::End(turn) => return turn,
            }
            if self.input.position() >= budget_end {
                return Turn::More;
            }
        }
        Turn::More
    }

    fn step(&mut self, batch: &mut Batch<'a>) -> Step {
        let data = self.context.engine().map(|engine| (&**engine, self.session.database()));
        let trusted = self.caller.authenticated;
        match self.ahead.next(&mut self.parser, &mut self.input, data, trusted) {
            Ok(Some(planned)) => self.command(&planned, batch),
            Ok(None) => Step::End(Turn::Hungry),
            Err(error) => {
                Stats::add(&self.context.stats.protocol_errors, 1);
                self.say(&format!("ERR {error}"));
                self.caller.closing = true;
                Step::End(Turn::Closing)
            }
        }
    }

    /// The request at the front of the input.
    fn command(&mut self, planned: &Planned, batch: &mut Batch<'a>) -> Step {
        let Planned { request, spec } = planned;
        let bytes = request.bytes;
        let args = self.parser.arguments(request, self.input.unread());
        if request.inline && is_http(args[0]) {
            // A browser was made to talk to us: what follows was written by an unauthenticated client.
            return Step::End(Turn::Stopped);
        }
        if !self.caller.authenticated && !spec.is_some_and(|spec| spec.flags.has(Flag::NoAuth)) {
            drop(args);
            self.say("NOAUTH Authentication required.");
            return Step::Done(bytes);
        }
        let spec = match spec.map_or_else(|| COMMANDS.resolve(&args), Ok) {
            Ok(spec) => spec,
            Err(failure) => {
                self.session.refuse(&args);
                drop(args);
                self.say(failure.text());
                return Step::Done(bytes);
            }
        };
        if self.caller.is_turned_away(spec) {
            drop(args);
            self.say(NO_PLACE);
            self.caller.closing = true;
            return Step::Done(bytes);
        }
        if spec.flags.has(Flag::Protected) && !self.may_debug() {
            self.session.refuse(&args);
            drop(args);
            self.say(redirect::DEBUG_NOT_ALLOWED);
            return Step::Done(bytes);
        }
        let common = !self.session.in_multi() && commands::sets_common(spec, &args);
        let asks = self.asks_permission(spec) || common;
        if asks {
            if let Err(refusal) = self.permission(spec, common, batch) {
                drop(args);
                return self.refuse(spec, bytes, refusal, batch.now);
            }
            self.runtime.permitted();
            if command::takes_long(spec, &self.session, &args, bytes) {
                drop(args);
                self.send_away(planned, spec, batch);
                return Step::End(Turn::Acting);
            }
        }
        let mark = self.output.reply.len();
        self.caller.begin(spec, &self.session);
        let (session, caller, reply) = (&mut self.session, &mut self.caller, &mut self.output.reply);
        let executed = execute(self.context, session, caller, reply, spec, &args, batch.unix);
        drop(args);
        let (executed, confirmed) = match self.caller.wrote.take() {
            Some(executed) => (executed, true),
            None => (executed, false),
        };
        match executed.refused {
            Some(Refused::Busy(shard)) => {
                return self.refuse(spec, bytes, Refusal::Busy(shard, Rank::First), batch.now);
            }
            Some(Refused::NotWriting) => {
                return self.refuse(spec, bytes, Refusal::Hold(Until { lsn: NEVER, seen: batch.seen }), batch.now);
            }
            None => {}
        }
        if asks {
            self.hold = None;
        }
        if confirmed {
            // What it changes may be the level itself.
            batch.durability = Durability::Durable;
        }
        self.executed(spec, bytes, mark, executed, batch.unix, batch);
        Step::Done(bytes)
    }

    /// The command at the front of the input was executed at `unix`, and its reply begins at `mark`.
    pub(super) fn executed(
        &mut self,
        spec: &'static CommandSpec,
        bytes: usize,
        mark: usize,
        executed: Executed,
        unix: UnixMillis,
        batch: &mut Batch<'a>,
    ) {
        if executed.wrote {
            self.caller.last_write = executed.lsn;
            batch.written_bytes += bytes as u64;
            batch.wakes |= executed.wakes;
        }
        batch.commands += 1;
        batch.last = Some(spec.name);
        self.finish(mark, executed.lsn, unix, batch);
        self.adopt_limits();
    }

    fn may_debug(&self) -> bool {
        match self.context.settings.debug_command() {
            DebugCommand::No => false,
            DebugCommand::Local => self.caller.entry().peer().is_local(),
            DebugCommand::Yes => true,
        }
    }

    /// Whether `spec` touches data now, rather than being queued.
    fn asks_permission(&self, spec: &CommandSpec) -> bool {
        spec.touches_data() && (!self.session.in_multi() || spec.is_exec())
    }

    fn permission(&self, spec: &CommandSpec, common: bool, batch: &mut Batch<'a>) -> Result<(), Refusal> {
        let serving = &*self.context.serving;
        if self.deposed {
            return Err(Refusal::NotPrimary);
        }
        if batch.guard.is_none() {
            match serving.enter(batch.now) {
                Ok(guard) => batch.guard = Some(guard),
                Err(permit) => return Err(permitted(permit, batch.seen)),
            }
        }
        let writes = common || spec.writes() || (spec.is_exec() && self.session.exec_writes());
        if writes { self.room(batch) } else { Ok(()) }
    }

    /// Whether one more write fits into the engine's bounds and, at level relaxed, into what may be at risk.
    fn room(&self, batch: &mut Batch<'a>) -> Result<(), Refusal> {
        let Some(engine) = self.context.engine() else { return Ok(()) };
        let serving = &*self.context.serving;
        if !engine.has_room() {
            let seen = serving.want_room();
            if !engine.has_room() {
                return Err(Refusal::Hold(Until { lsn: NEVER, seen }));
            }
        }
        if batch.durability == Durability::Relaxed && !batch.risk_known {
            let settings = &self.context.settings;
            let risk = self.context.risk.at(engine.last(), serving.durable(), batch.now);
            if risk.bytes > settings.relaxed_bytes_max() || risk.time > settings.relaxed_time_max() {
                return Err(Refusal::Hold(Until { lsn: risk.until, seen: batch.seen }));
            }
            batch.risk_known = true;
        }
        Ok(())
    }

    /// A command that may not execute: wait, or say why.
    pub(super) fn refuse(&mut self, spec: &CommandSpec, bytes: usize, refusal: Refusal, now: Monotonic) -> Step {
        let sentence = match refusal {
            Refusal::Stopped => return Step::End(Turn::Stopped),
            Refusal::NotPrimary if self.context.engine().is_none() && !self.is_library() => {
                redirect::LOADING.to_owned()
            }
            Refusal::NotPrimary => {
                self.deposed = self.is_library();
                redirect::sentence(&self.context.serving, self.caller.entry().peer().way, spec)
            }
            Refusal::Hold(until) => match self.hold_on(now) {
                None => return Step::End(Turn::Held(until)),
                Some(waited) => redirect::not_executed(self.context, waited),
            },
            Refusal::Busy(shard, rank) => match self.hold_on(now) {
                None => return Step::End(Turn::Busy(shard, rank)),
                Some(waited) => redirect::busy(waited),
            },
        };
        if spec.is_exec() {
            self.discard();
        }
        self.say(&sentence);
        Step::Done(bytes)
    }

    /// The command at the front of the input has to wait. After how long it need not any more, if it has waited enough.
    fn hold_on(&mut self, now: Monotonic) -> Option<Duration> {
        let wait = self.context.settings.durable_wait();
        let here = self.input.position();
        let hold = match self.hold {
            Some(hold) if here < hold.end => hold,
            _ => *self.hold.insert(Hold { since: now, end: self.input.end() }),
        };
        let over = now.since(hold.since) >= wait;
        Stats::add(&self.context.stats.not_executed, u64::from(over));
        over.then_some(wait)
    }

    /// Forgets the transaction being queued and the watched keys, as an EXEC that fails does.
    fn discard(&mut self) {
        if let Some(engine) = self.context.engine() {
            let now = self.context.clock.unix();
            engine.execute(&mut self.session, &mut self.caller, &[b"DISCARD"], now, &mut Reply::default());
        }
    }

    /// The reply that began at `mark` is complete: who may see it, and when.
    fn finish(&mut self, mark: usize, lsn: Lsn, unix: UnixMillis, batch: &Batch<'a>) {
        let durable = if planted("reply before durable") { Lsn(u64::MAX) } else { self.context.serving.durable() };
        self.runtime.replied(Some((lsn, unix)));
        self.caller.action_is_told = self.caller.take_reply();
        if !self.caller.action_is_told {
            self.output.reply.truncate(mark);
        }
        if let Some(wait) = self.caller.wait.take() {
            let deadline = wait.map_or(Monotonic(u64::MAX), |wait| batch.now.after(wait));
            self.output.finish(mark, self.caller.last_write, durable, deadline, Instead::Zero);
        } else if batch.durability == Durability::Relaxed {
            self.output.finish_free(mark);
        } else {
            let deadline = batch.now.after(self.context.settings.durable_wait());
            self.output.finish(mark, lsn, durable, deadline, Instead::NotDurable);
        }
    }

    /// An error of our own.
    fn say(&mut self, sentence: &str) {
        let mark = self.output.reply.len();
        self.output.reply.error(sentence);
        self.caller.before_reply();
        if !self.caller.take_reply() {
            self.output.reply.truncate(mark);
        }
        self.output.finish_free(mark);
        self.runtime.replied(None);
    }

    /// A client that has said who it is may send more at a time.
    fn adopt_limits(&mut self) {
        if self.caller.authenticated == self.parser.limits().before_authentication {
            self.parser.set_limits(super::limits_for(self.caller.authenticated));
        }
    }

    fn is_library(&self) -> bool {
        self.caller.entry().peer().way == crate::front::registry::Way::Library
    }
}

/// What a permit that is none means to a command, `seen` being a version from before it was asked for.
pub(super) fn permitted(permit: Permit, seen: Version) -> Refusal {
    match permit {
        Permit::Yes | Permit::Hold => Refusal::Hold(Until { lsn: NEVER, seen }),
        Permit::NotPrimary => Refusal::NotPrimary,
        Permit::Stopped => Refusal::Stopped,
    }
}

/// Executes the command that `spec` describes. While data is being loaded, only what needs none.
pub(super) fn execute(
    context: &NodeContext,
    session: &mut Session,
    caller: &mut Caller,
    reply: &mut Reply,
    spec: &'static CommandSpec,
    args: &[&[u8]],
    now: UnixMillis,
) -> Executed {
    if let Some(engine) = context.engine() {
        return engine.execute_resolved(spec, session, caller, args, now, reply);
    }
    match spec.front() {
        Some(run) => {
            reply.set_protocol(session.protocol());
            front_command(run, caller, &Call::without_keys(spec, args), session, reply);
        }
        None => reply.error(redirect::LOADING),
    }
    Executed::AT_ONCE
}

/// No record has this position: only a change ends the wait.
const NEVER: Lsn = Lsn(u64::MAX);

/// The first words of an HTTP request that a web page can send anywhere.
fn is_http(word: &[u8]) -> bool {
    word.eq_ignore_ascii_case(b"post") || word.eq_ignore_ascii_case(b"host:")
}

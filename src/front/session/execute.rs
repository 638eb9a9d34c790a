//! One turn (one pass of the event loop): executes the complete requests in the input, up to the budget.

use std::sync::Arc;

use tanist_db_core::clock::{Monotonic, UnixMillis};
use tanist_db_core::command::{self, Call, CommandSpec, Flag, Reply};
use tanist_db_core::engine::{Executed, Rank, Refused, Replied, Session, front_command};
use tanist_db_core::ids::{Lsn, ShardId};
use tanist_db_core::planted::planted;
use tanist_replication::serving::{Executing, Version};

use super::ahead::Planned;
use super::permission::{Permission, Refusal};
use super::{Conversation, Runtime};
use crate::config::Durability;
use crate::front::NodeContext;
use crate::front::caller::Caller;
use crate::front::commands::{self, COMMANDS};
use crate::front::context::Stats;
use crate::front::health::ping_error;
use crate::front::limits::{BATCH_BYTES, BATCH_COMMANDS};
use crate::front::redirect::{self, NO_PLACE};
use crate::front::registry::Way;
use crate::front::reply_gate::Instead;
use crate::front::versions::VersionReader;

/// Why a turn has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// No complete request is left.
    Hungry,
    /// Others want their turn too.
    More,
    /// The next command may not execute until something changes.
    Held(Until),
    /// The next command needs a shard that another command has locked.
    Busy(ShardId, Rank),
    /// The output is full.
    Full,
    /// A command has begun that is executed apart, or whose reply somebody else makes.
    Acting,
    /// A command is blocked.
    Blocked(Until),
    /// The next command waits for the replies of those that the primary executes.
    Forwarding,
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

/// What the commands of one turn have in common.
pub(super) struct Batch<'a> {
    pub(super) now: Monotonic,
    pub(super) unix: UnixMillis,
    /// Read before anything was checked: a change since then ends a hold.
    pub(super) seen: Version,
    pub(super) durability: Durability,
    /// Kept from the first command that touches data to the turn's end.
    pub(super) guard: Option<Executing<'a>>,
    /// What is at risk has been looked at.
    pub(super) risk_known: bool,
    commands: u64,
    /// Reads that this standby has executed itself.
    standby_reads: u64,
    written_bytes: u64,
    /// Its first record went into an empty queue.
    wakes: bool,
    last: Option<&'static str>,
}

impl Batch<'_> {
    pub(super) fn count(&mut self, spec: &CommandSpec) {
        self.commands += 1;
        self.last = Some(spec.name);
    }
}

/// A command that was given to the engine.
pub(super) struct Tried {
    pub(super) spec: &'static CommandSpec,
    /// Of its request.
    pub(super) bytes: usize,
    /// Where its reply begins, if it has one.
    pub(super) reply_start: usize,
    /// When it was executed.
    pub(super) unix: UnixMillis,
    /// With which it waits for a busy shard.
    pub(super) rank: Rank,
    /// If the engine does not write.
    pub(super) held: Refusal,
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
            standby_reads: 0,
            written_bytes: 0,
            wakes: false,
            last: None,
        };
        let turn = self.run_batch(&mut batch);
        drop(batch.guard);
        Stats::add(&context.stats.standby_reads, batch.standby_reads);
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
            match self.next_step(batch) {
                Step::Done(bytes) => {
                    self.end_block();
                    self.forwarding.done();
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

    /// Continues with the command that has no reply yet, or with the next.
    fn next_step(&mut self, batch: &mut Batch<'a>) -> Step {
        if self.later.is_some() {
            return Step::End(Turn::Acting);
        }
        if let Some(step) = self.go_on_large(batch) {
            return step;
        }
        if self.away.is_some() {
            return self.welcome_back(batch).unwrap_or(Step::End(Turn::Acting));
        }
        if let Some(step) = self.go_on_alone(batch) {
            return step;
        }
        // Whoever is called comes to its turn with a full output too: others stand behind it in the line.
        if self.block.is_none() && self.output.is_full() {
            return Step::End(Turn::Full);
        }
        match self.go_on_blocked(batch) {
            Some(step) => step,
            None => self.step(batch),
        }
    }

    fn step(&mut self, batch: &mut Batch<'a>) -> Step {
        let data = self.context.engine().map(|engine| (&**engine, self.session.database()));
        let trusted = self.caller.authenticated;
        match self.ahead.next(&mut self.parser, &mut self.input, data, trusted) {
            Ok(Some(planned)) => match self.heed_forwarded(&planned, batch) {
                Some(step) => step,
                None => self.command(&planned, batch),
            },
            Ok(None) => Step::End(Turn::Hungry),
            // The replies to what stands before come first.
            Err(_) if self.forwarding.is_under_way() => Step::End(Turn::Forwarding),
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
        if let Some(why) = self.forbidden(spec) {
            self.session.refuse(&args);
            drop(args);
            self.say(why);
            return Step::Done(bytes);
        }
        let common = !self.session.in_multi() && commands::sets_common(spec, &args);
        let asks = self.asks_permission(spec) || common;
        if asks && self.forwarding.is_in_doubt() && self.may_write(spec, common) {
            drop(args);
            return self.say_unknown(spec, bytes);
        }
        if asks {
            let takes_long = command::takes_long(spec, &self.session, &args, bytes);
            match self.permission(spec, common, takes_long, batch) {
                Ok(Permission::Primary) => self.runtime.permitted(),
                Ok(Permission::Standby) => {
                    batch.standby_reads += 1;
                    self.runtime.reads_here();
                }
                Err(refusal) => {
                    drop(args);
                    return self.refuse(spec, bytes, refusal, batch);
                }
            }
            if takes_long {
                drop(args);
                self.send_away(planned, spec, batch);
                return Step::End(Turn::Acting);
            }
        }
        let reply_start = self.output.reply.len();
        self.caller.begin(spec, &self.session);
        let (session, caller, reply) = (&mut self.session, &mut self.caller, &mut self.output.reply);
        let executed = execute(self.context, session, caller, reply, spec, &args, batch.unix);
        drop(args);
        if asks && executed.refused().is_none() {
            self.hold = None;
        }
        let held = Refusal::Hold(Until { lsn: NEVER, seen: batch.seen });
        self.dispose(Tried { spec, bytes, reply_start, unix: batch.unix, rank: Rank::First, held }, executed, batch)
    }

    /// Deals with what has become of the command at the front of the input.
    pub(super) fn dispose(&mut self, tried: Tried, executed: Executed, batch: &mut Batch<'a>) -> Step {
        let Tried { spec, bytes, reply_start, unix, rank, held } = tried;
        match executed {
            Executed::Replied(replied) => {
                if replied.wrote && spec.front().is_some() {
                    // What it changes may be the level itself.
                    batch.durability = Durability::Durable;
                }
                self.executed(spec, bytes, reply_start, replied, unix, batch);
                Step::Done(bytes)
            }
            Executed::Refused(Refused::Busy(shard)) => self.refuse(spec, bytes, Refusal::Busy(shard, rank), batch),
            Executed::Refused(Refused::Large) => self.begin_large(spec, bytes, batch),
            Executed::Refused(Refused::InPieces) => self.copy_in_pieces(spec, batch),
            Executed::Refused(Refused::NotWriting) => self.refuse(spec, bytes, held, batch),
            Executed::Blocked(blocked) => self.blocked(spec, bytes, *blocked, batch),
            Executed::Later(later) => {
                self.later = Some(later);
                batch.count(spec);
                Step::Done(bytes)
            }
        }
    }

    /// The command at the front of the input was executed at `unix`, and its reply begins at offset `reply_start`.
    pub(super) fn executed(
        &mut self,
        spec: &'static CommandSpec,
        bytes: usize,
        reply_start: usize,
        replied: Replied,
        unix: UnixMillis,
        batch: &mut Batch<'a>,
    ) {
        if replied.wrote {
            self.caller.last_write = replied.lsn;
            self.forwarding.wrote_here();
            batch.written_bytes += bytes as u64;
            batch.wakes |= replied.wakes;
        }
        batch.count(spec);
        self.finish(reply_start, replied.lsn, unix, batch);
        self.adopt_limits();
    }

    /// The reply that began at offset `reply_start` is complete: decides who may see it, and when.
    fn finish(&mut self, reply_start: usize, lsn: Lsn, unix: UnixMillis, batch: &Batch<'a>) {
        let durable = if planted("reply before durable") { Lsn(u64::MAX) } else { self.context.serving.durable() };
        self.runtime.replied(Some((lsn, unix)));
        self.drop_unwanted(reply_start);
        self.tell_position(reply_start, lsn);
        if batch.durability == Durability::Relaxed {
            self.output.finish_free(reply_start);
        } else {
            let deadline = batch.now.after(self.context.settings.durable_wait());
            self.output.finish(reply_start, lsn, durable, deadline, Instead::NotDurable);
        }
    }

    /// The reply that began at offset `reply_start` is complete, and shows no data.
    pub(super) fn finish_at_once(&mut self, reply_start: usize) {
        self.runtime.replied(Some((Lsn::ZERO, self.context.clock.unix())));
        self.drop_unwanted(reply_start);
        self.output.finish_free(reply_start);
    }

    /// Removes the reply that began at offset `reply_start`, if the client does not want it.
    pub(super) fn drop_unwanted(&mut self, reply_start: usize) {
        if !self.caller.take_reply() {
            self.output.reply.truncate(reply_start);
        }
    }

    /// An error of our own.
    pub(super) fn say(&mut self, sentence: &str) {
        let reply_start = self.output.reply.len();
        self.output.reply.error(sentence);
        self.caller.before_reply();
        self.drop_unwanted(reply_start);
        self.output.finish_free(reply_start);
        self.runtime.replied(None);
    }

    /// A client that has said who it is may send more at a time.
    fn adopt_limits(&mut self) {
        if self.caller.authenticated == self.parser.limits().before_authentication {
            self.parser.set_limits(super::limits_for(self.caller.authenticated));
        }
    }

    pub(super) fn is_library(&self) -> bool {
        self.caller.entry().peer().way == Way::Library
    }
}

/// Executes the command that `spec` describes, on the version that the client has pinned if it has. While data is being loaded, only what needs none.
pub(super) fn execute(
    context: &NodeContext,
    session: &mut Session,
    caller: &mut Caller,
    reply: &mut Reply,
    spec: &'static CommandSpec,
    args: &[&[u8]],
    now: UnixMillis,
) -> Executed {
    let pinned = caller.pinned();
    if spec.touches_data()
        && let Some(refusal) = pinned.as_ref().and_then(|pinned| pin_refuses(pinned, spec))
    {
        session.refuse(args);
        reply.error(&refusal);
        return Executed::AT_ONCE;
    }
    if spec.name == "ping"
        && !session.in_multi()
        && let Some(why) = ping_error(context, caller.now)
    {
        reply.error(&why);
        return Executed::AT_ONCE;
    }
    let (engine, now) = match &pinned {
        Some(Ok(version)) => (Some(&version.engine), version.unix()),
        _ => (context.engine().map(|engine| &**engine), now),
    };
    if let Some(engine) = engine {
        return engine.execute_resolved(spec, session, caller, args, now, reply);
    }
    let Some(run) = spec.front() else {
        reply.error(redirect::LOADING);
        return Executed::AT_ONCE;
    };
    reply.set_protocol(session.protocol());
    front_command(run, caller, &Call::without_keys(spec, args), session, reply)
}

/// Why a client that has pinned a version may not execute a command on data.
fn pin_refuses(pinned: &Result<Arc<VersionReader>, String>, spec: &CommandSpec) -> Option<String> {
    match pinned {
        Err(why) => Some(redirect::unpinned(why)),
        Ok(_) if spec.writes() || spec.name == "watch" => {
            Some("ERR this connection has pinned a version, which is only read; TANIST UNPIN ends that".to_owned())
        }
        Ok(_) => None,
    }
}

/// No record has this position: only a change ends the wait.
pub(super) const NEVER: Lsn = Lsn(u64::MAX);

/// The first words of an HTTP request that a web page can send anywhere.
fn is_http(word: &[u8]) -> bool {
    word.eq_ignore_ascii_case(b"post") || word.eq_ignore_ascii_case(b"host:")
}

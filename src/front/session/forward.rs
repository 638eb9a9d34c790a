//! Forwarding: a standby has the commands of its clients executed by the primary. The protocol is in docs/protocols/forwarding.md.
//!
//! A command on data leaves on a stream to the primary, and the next ones follow it before it has its reply. Everything that belongs to
//! the connection stays here. A command that changes more than data, or waits, goes *alone*: it stays at the front of the input until it
//! has its reply, and so does everything behind it. So does any other command while replies are under way: they keep their order.
//!
//! When the stream ends, the requests without a reply go back to the front of the input, and are executed like any others: here if this
//! node has become the primary, or by the next one. If the primary has said that it executed none of them, that is all. Otherwise those
//! that may have reached it are *in doubt*: what only reads is executed again, anything else gets the error that its outcome is unknown.
//!
//! * here: which commands are forwarded, and how.
//! * `alone`: those that go alone.
//! * `transaction`: EXEC, which takes its commands with it.
//! * `passing`: replies on their way to the client, and the end of a stream.
//! * `stream`: a stream's state, and its bytes.

mod alone;
mod passing;
mod stream;
mod transaction;

use tanist_db_core::clock::Monotonic;
use tanist_db_core::command::slot::slot_of;
use tanist_db_core::command::{CommandSpec, Flag, Protocol};
use tanist_db_core::ids::Lsn;
use tanist_db_core::planted::planted;
use tanist_replication::serving::Role;

use super::ahead::Planned;
use super::execute::{Batch, NEVER, Step, Turn, Until, execute};
use super::permission::Refusal;
use super::{Conversation, Runtime};
use crate::config::Standby;
use crate::front::commands;
use crate::front::forward::{Greeting, Request};
use crate::front::health::primary_elsewhere;
use crate::front::redirect;
use crate::front::registry::Way;
use alone::Alone;
use stream::Stream;

/// What a session forwards.
pub(super) struct Forwarding<W: Runtime> {
    stream: Option<Box<Stream<W>>>,
    /// The command that was forwarded alone.
    alone: Option<Alone>,
    /// So many requests at the front of the input may have been executed already.
    in_doubt: usize,
    /// Streams so far: the number of the newest.
    streams: u64,
    /// Commands forwarded so far.
    commands: u64,
    /// The stream on which keys are watched.
    watched_on: Option<u64>,
    /// The stream on which a version is pinned.
    pinned_on: Option<u64>,
    /// The newest write went to a primary that is none any more: whether it is durable cannot be asked any more.
    is_write_lost: bool,
    /// Attempts in a row that have brought no reply.
    failures: u32,
    /// The newest record that a reply of a primary depends on.
    seen: Lsn,
    /// No stream is opened before.
    retry_at: Option<Monotonic>,
    /// When the wait of the command that stands at this position in the input times out, if it was forwarded before.
    waits_until: Option<(u64, Option<Monotonic>)>,
}

impl<W: Runtime> Default for Forwarding<W> {
    fn default() -> Self {
        Forwarding {
            stream: None,
            alone: None,
            in_doubt: 0,
            streams: 0,
            commands: 0,
            watched_on: None,
            pinned_on: None,
            is_write_lost: false,
            failures: 0,
            seen: Lsn::ZERO,
            retry_at: None,
            waits_until: None,
        }
    }
}

impl<W: Runtime> Forwarding<W> {
    /// Whether a request has no reply yet.
    pub(super) fn is_under_way(&self) -> bool {
        self.alone.is_some() || self.stream.as_ref().is_some_and(|stream| !stream.under_way.is_empty())
    }

    /// Whether the client has a part of a reply, whose rest is with the primary.
    pub(super) fn is_within_reply(&self) -> bool {
        self.stream.as_ref().is_some_and(|stream| stream.is_within_reply())
    }

    /// Whether the request at the front of the input may have been executed before.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.in_doubt > 0
    }

    /// The request at the front of the input has its reply, or has been forwarded.
    pub(super) fn done(&mut self) {
        self.in_doubt = self.in_doubt.saturating_sub(1);
    }

    /// When to look again though nothing has happened.
    pub(super) fn deadline(&self) -> Option<Monotonic> {
        let settle_by = self.stream.as_ref().and_then(|stream| stream.settle_by);
        let waits_until = self.alone.as_ref().and_then(|alone| alone.deadline);
        [settle_by, waits_until, self.retry_at].into_iter().flatten().min()
    }

    /// The newest record that a reply of a primary depends on.
    pub(super) fn seen(&self) -> Lsn {
        self.seen
    }

    /// Whether a primary's session has to read for this one: it keeps the version that is read, or the keys that must not change behind
    /// the read.
    pub(super) fn reads_there(&self) -> bool {
        self.pinned_on.is_some() || self.watched_on.is_some()
    }

    /// Whether a primary's session keeps something for this one beside what it is told, or did.
    #[inline]
    pub(super) fn has_state(&self) -> bool {
        self.watched_on.is_some() || self.pinned_on.is_some() || self.is_write_lost
    }

    /// Whether what was on the stream of this number is there no more.
    fn is_lost(&self, on: Option<u64>) -> bool {
        let present = self.stream.as_ref().filter(|stream| !stream.is_over).map(|stream| stream.number);
        on.is_some() && on != present
    }

    /// This node has executed a write: that is the newest.
    pub(super) fn wrote_here(&mut self) {
        self.is_write_lost = false;
    }

    /// Nothing is watched any more.
    pub(super) fn forget_watch(&mut self) {
        self.watched_on = None;
    }

    /// The wait of the command at `position`, which may now be executed elsewhere, times out at `deadline`.
    pub(super) fn keep_wait(&mut self, position: u64, deadline: Option<Monotonic>) {
        self.waits_until = Some((position, deadline));
    }

    /// When the wait of the command at `position` times out, if that was decided before.
    pub(super) fn take_waits_until(&mut self, position: u64) -> Option<Option<Monotonic>> {
        let (at, deadline) = self.waits_until.take()?;
        (at == position).then_some(deadline)
    }
}

/// Whether another node is the primary, for one of this role.
fn follows(role: Role) -> bool {
    matches!(role, Role::Joining | Role::Standby)
}

/// Whether a command that was forwarded may be followed by others before it has its reply.
fn may_be_followed(spec: &CommandSpec) -> bool {
    let changes_session = spec.is_exec() || spec.name == "watch" || spec.front().is_some();
    spec.touches_data() && !changes_session && !spec.flags.has(Flag::Blocking) && !spec.flags.has(Flag::Protected)
}

impl<'a, W: Runtime> Conversation<'a, W> {
    /// Whether this session forwards what its node may not execute.
    pub(super) fn forwards(&self) -> bool {
        let peer = self.caller.entry().peer();
        peer.way == Way::Resp && self.context.settings.standby() != Standby::Refuse && self.context.engine().is_some()
    }

    /// Whether the client of a cluster is told where the primary is, rather than having `spec` executed from here: outside of a
    /// transaction, and unless it wants a standby to read for it.
    pub(super) fn is_moved(&self, spec: &CommandSpec) -> bool {
        self.context.settings.is_cluster()
            && self.caller.entry().peer().way == Way::Resp
            && !spec.keys.is_empty()
            && !self.session.in_multi()
            && (spec.writes() || !self.caller.reads_standby)
    }

    /// The redirection for the command at the front of the input, if its client is to follow one.
    pub(super) fn moved(&mut self, spec: &CommandSpec) -> Option<String> {
        let primary = primary_elsewhere(self.context).filter(|_| self.is_moved(spec))?;
        let request = self.ahead.front()?.request;
        let args = self.parser.arguments(&request, self.input.unread());
        Some(redirect::moved(slot_of(spec.first_key(&args)?), &primary))
    }

    /// Whether `spec` may go right behind what is under way.
    fn may_follow(&self, spec: &CommandSpec) -> bool {
        let forwarding = &self.forwarding;
        let Some(stream) = forwarding.stream.as_ref().filter(|stream| !stream.is_over) else { return false };
        let serving = &self.context.serving;
        may_be_followed(spec)
            && forwarding.alone.is_none()
            && forwarding.in_doubt == 0
            && !stream.under_way.is_full()
            && follows(serving.role())
            && serving.epoch() == stream.epoch
            && self.caller.authenticated
            && !self.caller.entry().is_beyond()
            && !self.session.in_multi()
            && !self.is_moved(spec)
    }

    /// What the commands that were forwarded before mean to that at the front of the input. Returns what becomes of it, if they decide.
    #[inline]
    pub(super) fn heed_forwarded(&mut self, planned: &Planned, batch: &mut Batch<'a>) -> Option<Step> {
        let (spec, bytes) = (planned.spec, planned.request.bytes);
        if self.forwarding.is_under_way() {
            return Some(match spec {
                Some(spec) if self.may_follow(spec) => self.forward(spec, bytes, batch),
                _ => Step::End(Turn::Forwarding),
            });
        }
        if self.forwarding.has_state() { self.keep_up_state(spec?, bytes, batch) } else { None }
    }

    /// Forwards the command at the front of the input, which this node may not execute.
    pub(super) fn forward(&mut self, spec: &'static CommandSpec, bytes: usize, batch: &mut Batch<'a>) -> Step {
        if self.caller.pin.is_some() {
            if !commands::pins(spec) {
                self.say(&redirect::unpinned("was of this node while it was the primary"));
                return Step::Done(bytes);
            }
            self.caller.pin = None;
        }
        if self.is_decided_here(spec) {
            return self.execute_here(spec, bytes, batch);
        }
        if spec.is_exec() && self.session.watches() {
            return self.reply_watch_lost(spec, bytes, batch);
        }
        if let Err(refusal) = self.open_stream(batch) {
            return self.refuse(spec, bytes, refusal, batch);
        }
        if self.forwarding.failures == 0 {
            self.hold = None;
        }
        self.caller.begin(spec, &self.session);
        self.forwarding.commands += 1;
        let may_write = self.may_write(spec, false);
        if let Some(stream) = self.forwarding.stream.as_mut().filter(|_| may_write) {
            stream.has_written = true;
            self.forwarding.is_write_lost = false;
        }
        self.tell_choices();
        if may_be_followed(spec) {
            if let Some(stream) = &mut self.forwarding.stream {
                stream.under_way.push(Request::Client, &self.input.unread()[..bytes]);
                self.runtime.forwarded(false);
            }
            batch.count(spec);
            return Step::Done(bytes);
        }
        self.forward_alone(spec, bytes, batch);
        Step::End(Turn::Forwarding)
    }

    /// Whether `spec` concerns what the primary has or does for this session.
    pub(super) fn concerns_primary(&self, spec: &CommandSpec) -> bool {
        (commands::is_of_primary(spec) && self.forwards() && follows(self.context.serving.role()))
            || (self.forwarding.pinned_on.is_some() && commands::unpins(spec))
    }

    /// What the command at the front of the input, `spec`, means to what a primary's session keeps for this one. Returns what becomes of
    /// the command, if that decides it.
    fn keep_up_state(&mut self, spec: &'static CommandSpec, bytes: usize, batch: &mut Batch<'a>) -> Option<Step> {
        let (watch_is_lost, pin_is_lost) =
            (self.forwarding.is_lost(self.forwarding.watched_on), self.forwarding.is_lost(self.forwarding.pinned_on));
        let watch_is_lost = watch_is_lost && !planted("a watch passes over a change");
        let in_multi = self.session.in_multi();
        match spec.name {
            // One that may have been executed and writes gets another error.
            "exec" if watch_is_lost && in_multi && !(self.forwarding.is_in_doubt() && self.session.exec_writes()) => {
                return Some(self.reply_watch_lost(spec, bytes, batch));
            }
            "unwatch" if in_multi => {}
            "unwatch" | "discard" => {
                if let Some(stream) = self.forwarding.stream.as_mut().filter(|_| self.forwarding.watched_on.is_some()) {
                    stream.under_way.push(Request::Own, b"UNWATCH\r\n");
                    self.runtime.forwarded(true);
                }
                self.forwarding.watched_on = None;
            }
            "wait" | "waitaof" | "tanist|push" if self.forwarding.is_write_lost && !in_multi => {
                let reply_start = self.output.reply.len();
                self.caller.begin(spec, &self.session);
                match spec.name {
                    "waitaof" => commands::write_no_copies(&mut self.output.reply),
                    _ => self.output.reply.int(0),
                }
                batch.count(spec);
                self.finish_at_once(reply_start);
                return Some(Step::Done(bytes));
            }
            "reset" => {
                self.forwarding.stream = None;
                self.forwarding.is_write_lost = false;
                (self.forwarding.watched_on, self.forwarding.pinned_on) = (None, None);
            }
            "tanist|pin" | "tanist|unpin" if pin_is_lost => self.forwarding.pinned_on = None,
            _ if pin_is_lost && spec.touches_data() && !(in_multi && spec.is_queued_in_multi()) => {
                self.say(&redirect::unpinned("was of a primary that is none any more"));
                return Some(Step::Done(bytes));
            }
            _ => {}
        }
        None
    }

    /// Whether the reply depends on the session alone: it is an error.
    fn is_decided_here(&self, spec: &CommandSpec) -> bool {
        match self.session.transaction() {
            Some(transaction) => spec.name == "watch" || (spec.is_exec() && transaction.is_spoilt()),
            None => spec.is_exec(),
        }
    }

    fn execute_here(&mut self, spec: &'static CommandSpec, bytes: usize, batch: &mut Batch<'a>) -> Step {
        let Some(request) = self.ahead.front().map(|planned| planned.request) else { return Step::Done(bytes) };
        let reply_start = self.output.reply.len();
        self.caller.begin(spec, &self.session);
        let (session, caller, reply) = (&mut self.session, &mut self.caller, &mut self.output.reply);
        let args = self.parser.arguments(&request, self.input.unread());
        execute(self.context, session, caller, reply, spec, &args, batch.unix);
        drop(args);
        if spec.is_exec() {
            self.forwarding.forget_watch();
        }
        batch.count(spec);
        self.finish_at_once(reply_start);
        Step::Done(bytes)
    }

    /// EXEC, where a watched key may have changed unseen: as if it had.
    pub(super) fn reply_watch_lost(&mut self, spec: &'static CommandSpec, bytes: usize, batch: &mut Batch<'a>) -> Step {
        let reply_start = self.output.reply.len();
        self.caller.begin(spec, &self.session);
        self.output.reply.set_protocol(self.session.protocol());
        self.output.reply.null_array();
        self.session.end_transaction();
        self.forwarding.forget_watch();
        batch.count(spec);
        self.finish_at_once(reply_start);
        Step::Done(bytes)
    }

    /// Opens a stream to the primary if there is none.
    fn open_stream(&mut self, batch: &Batch<'a>) -> Result<(), Refusal> {
        if self.forwarding.stream.is_some() {
            return Ok(());
        }
        let (context, hold) = (self.context, Refusal::Hold(Until { lsn: NEVER, seen: batch.seen }));
        if self.forwarding.retry_at.is_some_and(|at| batch.now < at) {
            return Err(hold);
        }
        let epoch = context.serving.epoch();
        let Some(primary) = primary_elsewhere(context) else {
            return Err(hold);
        };
        let entry = self.caller.entry();
        let greeting = Greeting {
            epoch,
            incarnation: context.identity.incarnation,
            client: entry.id(),
            first: self.forwarding.commands,
            address: entry.peer().address.clone(),
        };
        self.forwarding.streams += 1;
        let opening = self.runtime.open_link(primary, greeting);
        self.forwarding.stream = Some(Box::new(Stream::new(opening, epoch, self.forwarding.streams)));
        Ok(())
    }

    /// Sends the primary's session what the client has chosen, if it does not know.
    fn tell_choices(&mut self) {
        let Some(stream) = &mut self.forwarding.stream else { return };
        let (protocol, database) = (self.session.protocol(), self.session.database());
        if stream.protocol != protocol {
            let hello: &[u8] = if protocol == Protocol::Resp2 { b"HELLO 2\r\n" } else { b"HELLO 3\r\n" };
            stream.under_way.push(Request::Own, hello);
            self.runtime.forwarded(true);
            stream.protocol = protocol;
        }
        if stream.database != database {
            stream.under_way.push(Request::Own, format!("SELECT {database}\r\n").as_bytes());
            self.runtime.forwarded(true);
            stream.database = database;
        }
    }
}

//! Forwarding: a standby has the commands of its clients executed by the primary. The protocol is in docs/protocols/forwarding.md.
//!
//! A command on data leaves on a stream to the primary, and the next ones follow it before it has its reply. Everything that belongs to
//! the connection stays here. A command that changes more than data, or waits, goes *alone*: it stays at the front of the input until it
//! has its reply, and so does everything behind it. So does any other command while replies are under way: they keep their order.
//!
//! When the stream ends, the requests without a reply go back to the front of the input, and are executed like any others: here if this
//! node has become the primary, or by the next one. If the primary has said that it executed none of them, that is all. Otherwise those
//! that may have reached it are *in doubt*: what only reads is executed again, anything else gets the error that its outcome is unknown.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use tanist_db_core::clock::Monotonic;
use tanist_db_core::command::{CommandSpec, Flag, Protocol};
use tanist_db_core::engine::WriteReply;
use tanist_db_core::ids::Epoch;
use tanist_replication::serving::Role;
use tokio::io::{AsyncRead, AsyncWrite};

use super::ahead::Ahead;
use super::execute::{Batch, NEVER, Step, Turn, Until, execute};
use super::input::Input;
use super::permission::Refusal;
use super::{Conversation, Runtime, limits_for};
use crate::config::Standby;
use crate::front::commands;
use crate::front::entry::Unblocked;
use crate::front::forward::{Found, Greeting, ReplyEnds, Request, UnderWay};
use crate::front::limits::{FORWARD_PAUSE_MAX, FORWARD_PAUSE_MIN, FORWARDED_SETTLE_WAIT};
use crate::front::redirect;
use crate::front::registry::Way;
use crate::resp::RequestParser;

mod transaction;

/// What a session forwards.
pub(super) struct Forwarding<L> {
    stream: Option<Box<Stream<L>>>,
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
    /// Attempts in a row that have brought no reply.
    failures: u32,
    /// No stream is opened before.
    retry_at: Option<Monotonic>,
    /// When the wait of the command that stands at this position in the input times out, if it was forwarded before.
    waits_until: Option<(u64, Option<Monotonic>)>,
}

/// A stream to the primary of `epoch`.
struct Stream<L> {
    link: Link<L>,
    finish: Finish,
    epoch: Epoch,
    number: u64,
    under_way: UnderWay,
    received: Input,
    ends: ReplyEnds,
    /// What becomes of the reply at hand.
    place: Place,
    /// The output was full when replies were last looked at.
    is_stalled: bool,
    /// Nothing more comes.
    is_over: bool,
    /// A reply has come.
    has_replied: bool,
    /// What the primary's session knows.
    protocol: Protocol,
    database: u8,
    /// The primary is another by now: what has no reply by then is in doubt.
    settle_by: Option<Monotonic>,
}

enum Link<L> {
    Opening(LocalBoxFuture<'static, io::Result<L>>),
    Open(L),
}

/// Whether the primary is told that nothing more comes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Finish {
    No,
    Due,
    Done,
}

/// Where a reply goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Client,
    Nowhere,
    /// Kept until it is complete: members made here are put between its own.
    Kept,
}

/// A command that is forwarded with nothing else under way.
struct Alone {
    spec: &'static CommandSpec,
    /// Of its request.
    bytes: usize,
    /// If it waits: what it replies if that was in vain.
    otherwise: Option<WriteReply>,
    /// When the wait times out, if the primary does not know.
    deadline: Option<Monotonic>,
    /// It is to end without a result.
    unblocked: Option<Unblocked>,
    /// Its reply, as far as it is kept; the first byte at least.
    reply: Vec<u8>,
    is_complete: bool,
    /// The primary has said that it was not executed.
    is_not_executed: bool,
}

impl<L> Default for Forwarding<L> {
    fn default() -> Self {
        Forwarding {
            stream: None,
            alone: None,
            in_doubt: 0,
            streams: 0,
            commands: 0,
            watched_on: None,
            pinned_on: None,
            failures: 0,
            retry_at: None,
            waits_until: None,
        }
    }
}

impl<L> Forwarding<L> {
    /// Whether a request has no reply yet.
    pub(super) fn is_under_way(&self) -> bool {
        self.alone.is_some() || self.stream.as_ref().is_some_and(|stream| !stream.under_way.is_empty())
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

    /// Whether a primary's session keeps something for this one beside what it is told, or did.
    #[inline]
    pub(super) fn has_state(&self) -> bool {
        self.watched_on.is_some() || self.pinned_on.is_some()
    }

    /// Whether what was on the stream of this number is there no more.
    fn is_lost(&self, on: Option<u64>) -> bool {
        let present = self.stream.as_ref().filter(|stream| !stream.is_over).map(|stream| stream.number);
        on.is_some() && on != present
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

impl<L: AsyncRead + AsyncWrite + Unpin> Stream<L> {
    /// Sends and receives. Ready when something has come, or the stream is over.
    fn poll(&mut self, reads: bool, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_over {
            return if self.is_stalled { Poll::Pending } else { Poll::Ready(()) };
        }
        match ready!(self.poll_link(reads, cx)) {
            Ok(bytes) if bytes > 0 => {}
            _ => self.is_over = true,
        }
        Poll::Ready(())
    }

    fn poll_link(&mut self, reads: bool, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if let Link::Opening(opening) = &mut self.link {
            self.link = Link::Open(ready!(opening.as_mut().poll(cx))?);
        }
        let Link::Open(link) = &mut self.link else { return Poll::Pending };
        let mut link = Pin::new(link);
        let mut has_written = false;
        while !self.under_way.unsent().is_empty() {
            match link.as_mut().poll_write(cx, self.under_way.unsent())? {
                Poll::Ready(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(bytes) => self.under_way.advance(bytes),
                Poll::Pending => break,
            }
            has_written = true;
        }
        if has_written && let Poll::Ready(Err(error)) = link.as_mut().poll_flush(cx) {
            return Poll::Ready(Err(error));
        }
        if self.finish == Finish::Due && self.under_way.unsent().is_empty() {
            ready!(link.as_mut().poll_shutdown(cx))?;
            self.finish = Finish::Done;
        }
        if reads { self.received.poll_fill(link, cx) } else { Poll::Pending }
    }
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
        peer.way == Way::Resp && self.context.settings.standby() == Standby::Forward && self.context.engine().is_some()
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
            && serving.role() == Role::Standby
            && serving.epoch() == stream.epoch
            && self.caller.authenticated
            && !self.caller.entry().is_beyond()
            && !self.session.in_multi()
    }

    /// The request at the front of the input, while others that were forwarded have no reply.
    pub(super) fn follow(&mut self, spec: Option<&'static CommandSpec>, bytes: usize, batch: &mut Batch<'a>) -> Step {
        match spec {
            Some(spec) if self.may_follow(spec) => self.forward(spec, bytes, batch),
            _ => Step::End(Turn::Forwarding),
        }
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
        self.hold = None;
        self.caller.begin(spec, &self.session);
        self.forwarding.commands += 1;
        self.tell_choices();
        if may_be_followed(spec) {
            if let Some(stream) = &mut self.forwarding.stream {
                stream.under_way.push(Request::Client, &self.input.unread()[..bytes]);
            }
            batch.count(spec);
            return Step::Done(bytes);
        }
        self.forward_alone(spec, bytes, batch);
        Step::End(Turn::Forwarding)
    }

    /// Whether `spec` concerns what the primary has or does for this session.
    pub(super) fn concerns_primary(&self, spec: &CommandSpec) -> bool {
        (commands::waits(spec) && self.forwards() && self.context.serving.role() == Role::Standby)
            || (self.forwarding.pinned_on.is_some() && commands::unpins(spec))
    }

    /// What the command at the front of the input, `spec`, means to what a primary's session keeps for this one. Returns what becomes of
    /// the command, if that decides it.
    pub(super) fn keep_up_state(
        &mut self,
        spec: &'static CommandSpec,
        bytes: usize,
        batch: &mut Batch<'a>,
    ) -> Option<Step> {
        let (watch_is_lost, pin_is_lost) =
            (self.forwarding.is_lost(self.forwarding.watched_on), self.forwarding.is_lost(self.forwarding.pinned_on));
        let in_multi = self.session.in_multi();
        match spec.name {
            "exec" if watch_is_lost && in_multi => return Some(self.reply_watch_lost(spec, bytes, batch)),
            "unwatch" if in_multi => {}
            "unwatch" | "discard" => {
                if let Some(stream) = self.forwarding.stream.as_mut().filter(|_| self.forwarding.watched_on.is_some()) {
                    stream.under_way.push(Request::Own, b"UNWATCH\r\n");
                }
                self.forwarding.watched_on = None;
            }
            "reset" => {
                self.forwarding.stream = None;
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
        let Some(primary) = context.serving.primary().filter(|primary| primary.node != context.identity.node) else {
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
        self.forwarding.stream = Some(Box::new(Stream {
            link: Link::Opening(self.runtime.open_link(primary, greeting)),
            finish: Finish::No,
            epoch,
            number: self.forwarding.streams,
            under_way: UnderWay::default(),
            received: Input::default(),
            ends: ReplyEnds::default(),
            place: Place::Nowhere,
            is_stalled: false,
            is_over: false,
            has_replied: false,
            protocol: Protocol::Resp2,
            database: 0,
            settle_by: None,
        }));
        Ok(())
    }

    /// Tells the primary's session what the client has chosen, if it does not know.
    fn tell_choices(&mut self) {
        let Some(stream) = &mut self.forwarding.stream else { return };
        let (protocol, database) = (self.session.protocol(), self.session.database());
        if stream.protocol != protocol {
            let hello: &[u8] = if protocol == Protocol::Resp2 { b"HELLO 2\r\n" } else { b"HELLO 3\r\n" };
            stream.under_way.push(Request::Own, hello);
            stream.protocol = protocol;
        }
        if stream.database != database {
            stream.under_way.push(Request::Own, format!("SELECT {database}\r\n").as_bytes());
            stream.database = database;
        }
    }

    fn forward_alone(&mut self, spec: &'static CommandSpec, bytes: usize, batch: &Batch<'a>) {
        let request = &self.input.unread()[..bytes];
        let waits = self.ahead.front().and_then(|planned| {
            let args = self.parser.arguments(&planned.request, self.input.unread());
            spec.waits(&args)
        });
        let Some(stream) = &mut self.forwarding.stream else { return };
        match self.session.transaction().filter(|_| spec.is_exec()) {
            Some(queued) => transaction::push(queued, &mut stream.under_way),
            None => stream.under_way.push(Request::Alone, request),
        }
        let waits = match (waits, spec.flags.has(Flag::Blocking)) {
            (None, true) => Some((None, (|reply| reply.int(0)) as WriteReply)),
            (waits, _) => waits,
        };
        let position = self.input.position();
        let before = self.forwarding.take_waits_until(position);
        let fresh = waits.and_then(|(timeout, _)| Some(batch.now.after(timeout?)));
        self.forwarding.waits_until = Some((position, before.unwrap_or(fresh)));
        self.caller.note(Some(spec.name), &self.session);
        self.caller.entry().set_blocked(waits.is_some());
        self.forwarding.alone = Some(Alone {
            spec,
            bytes,
            otherwise: waits.map(|(_, otherwise)| otherwise),
            deadline: before.flatten(),
            unblocked: None,
            reply: Vec::new(),
            is_complete: false,
            is_not_executed: false,
        });
    }

    /// Continues with the command that was forwarded alone, if there is one.
    pub(super) fn go_on_alone(&mut self, batch: &mut Batch<'a>) -> Option<Step> {
        let alone = self.forwarding.alone.as_mut()?;
        if alone.is_complete {
            return self.end_alone(batch);
        }
        if self.forwarding.stream.is_none() {
            let over = alone.unblocked.zip(alone.otherwise).filter(|_| alone.is_not_executed);
            let (spec, bytes) = (alone.spec, alone.bytes);
            self.forwarding.alone = None;
            self.caller.entry().set_blocked(false);
            let (how, otherwise) = over?;
            match how {
                Unblocked::Failed => self.say(redirect::UNBLOCKED_BY_CLIENT),
                Unblocked::TimedOut => {
                    let reply_start = self.output.reply.len();
                    self.output.reply.set_protocol(self.session.protocol());
                    otherwise(&mut self.output.reply);
                    batch.count(spec);
                    self.finish_at_once(reply_start);
                }
            }
            self.forwarding.in_doubt = 0;
            return Some(Step::Done(bytes));
        }
        if alone.otherwise.is_some() && alone.unblocked.is_none() {
            let is_late = alone.deadline.is_some_and(|deadline| deadline <= batch.now);
            alone.unblocked = self.caller.entry().unblocked().or(is_late.then_some(Unblocked::TimedOut));
            if alone.unblocked.is_some() {
                alone.deadline = None;
                self.finish_stream();
            } else if self.gone {
                self.forwarding.stream = None;
                self.caller.closing = true;
                return Some(Step::End(Turn::Closing));
            }
        }
        Some(Step::End(Turn::Forwarding))
    }

    /// Tells the primary that nothing more comes, so that it ends a wait: then either its reply comes, or the mark that it was not
    /// executed.
    fn finish_stream(&mut self) {
        let Some(stream) = &mut self.forwarding.stream else { return };
        stream.finish = Finish::Due;
        // The primary has not heard of the command.
        stream.is_over |= matches!(stream.link, Link::Opening(_));
    }

    fn end_alone(&mut self, batch: &mut Batch<'a>) -> Option<Step> {
        let Alone { spec, bytes, reply, .. } = self.forwarding.alone.take()?;
        self.forwarding.waits_until = None;
        self.caller.entry().set_blocked(false);
        if spec.is_exec() {
            self.end_forwarded_exec(&reply);
        }
        let number = self.forwarding.stream.as_ref().map(|stream| stream.number);
        match (spec.name, reply.first()) {
            ("watch", Some(b'+')) => self.forwarding.watched_on = number,
            ("tanist|pin", Some(b':')) => self.forwarding.pinned_on = number,
            ("tanist|unpin", _) => self.forwarding.pinned_on = None,
            _ => {}
        }
        batch.count(spec);
        Some(Step::Done(bytes))
    }

    /// Polls the stream to the primary. Ready if a turn may now do more than before.
    pub(super) fn poll_forward(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let is_full = self.output.is_full();
        let Some(stream) = &mut self.forwarding.stream else { return Poll::Pending };
        let polled = stream.poll(!is_full, cx);
        let goes_on = stream.is_stalled && !is_full;
        let alone = self.forwarding.alone.as_ref();
        let waits = alone.is_some_and(|alone| alone.otherwise.is_some() && alone.unblocked.is_none());
        let ended = waits && (self.gone || self.caller.entry().unblocked().is_some());
        if goes_on || ended { Poll::Ready(()) } else { polled }
    }

    /// Passes on the replies that have come, and ends the stream if it is over. Returns false if the client's connection has to end.
    pub(super) fn go_on_forwarding(&mut self, now: Monotonic) -> bool {
        self.forwarding.retry_at = self.forwarding.retry_at.filter(|at| now < *at);
        if self.forwarding.stream.is_none() {
            return true;
        }
        let is_ended = self.pass_on();
        let serving = &self.context.serving;
        let Some(stream) = &mut self.forwarding.stream else { return true };
        let mut is_over = stream.is_over && !stream.is_stalled;
        if !is_ended && !is_over && !stream.is_stalled && (serving.epoch() != stream.epoch || serving.role() != Role::Standby) {
            let settle_by = *stream.settle_by.get_or_insert(now.after(FORWARDED_SETTLE_WAIT));
            is_over = stream.under_way.is_empty() || settle_by <= now;
        }
        if is_ended || is_over { self.end_stream(is_ended, now) } else { true }
    }

    /// Passes on what has come. Returns whether the primary has ended the stream with its mark.
    fn pass_on(&mut self) -> bool {
        loop {
            let is_full = self.output.is_full();
            let Some(stream) = &mut self.forwarding.stream else { return false };
            stream.is_stalled = is_full && !stream.received.unread().is_empty();
            if is_full {
                return false;
            }
            let begins = !stream.ends.is_within();
            match stream.ends.next(stream.received.unread()) {
                Ok(None) => return false,
                Ok(Some(Found::End { .. })) => return true,
                Ok(Some(Found::Message { bytes, .. })) => {
                    let reply_start = self.output.reply.len();
                    self.output.reply.raw(&stream.received.unread()[..bytes]);
                    stream.received.consume(bytes);
                    self.output.finish_free(reply_start);
                }
                Ok(Some(Found::Reply { bytes, ends })) if stream.under_way.oldest().is_some() => {
                    if begins {
                        self.place_reply();
                    }
                    self.pass_on_reply(bytes, ends);
                }
                // A reply to nothing, or none at all.
                Ok(Some(Found::Reply { .. })) | Err(_) => {
                    stream.is_over = true;
                    return false;
                }
            }
        }
    }

    /// Decides where the reply goes that begins.
    fn place_reply(&mut self) {
        let Some(stream) = &mut self.forwarding.stream else { return };
        let keeps = self.session.transaction().is_some_and(transaction::has_members_here);
        stream.place = match stream.under_way.oldest() {
            Some(Request::Own) | None => Place::Nowhere,
            Some(Request::Alone) if keeps => Place::Kept,
            Some(Request::Alone | Request::Client) if self.caller.take_reply() => Place::Client,
            Some(Request::Alone | Request::Client) => Place::Nowhere,
        };
    }

    /// Passes on `bytes` of the oldest reply, which has a place; with them it may end.
    fn pass_on_reply(&mut self, bytes: usize, ends: bool) {
        let Some(stream) = &mut self.forwarding.stream else { return };
        let part = &stream.received.unread()[..bytes];
        let request = stream.under_way.oldest();
        if let (Some(alone), Some(Request::Alone)) = (&mut self.forwarding.alone, request) {
            if stream.place == Place::Kept {
                alone.reply.extend_from_slice(part);
            } else if alone.reply.is_empty() {
                alone.reply.extend_from_slice(&part[..1]);
            }
            alone.is_complete = ends;
        }
        if stream.place == Place::Client {
            let reply_start = self.output.reply.len();
            self.output.reply.raw(part);
            self.output.finish_free(reply_start);
        }
        stream.received.consume(bytes);
        if ends {
            stream.has_replied = true;
            stream.is_over |= !stream.under_way.replied();
            if request != Some(Request::Own) {
                self.runtime.forwarded_replied();
            }
        }
    }

    /// The stream is over. What has no reply goes back to the input. Returns false if the client has a part of a reply.
    fn end_stream(&mut self, is_ended: bool, now: Monotonic) -> bool {
        let Some(mut stream) = self.forwarding.stream.take() else { return true };
        if stream.ends.is_within() && stream.place == Place::Client {
            return false;
        }
        let left = stream.under_way.take();
        if !left.bytes.is_empty() {
            self.input.put_back(&left.bytes);
            self.ahead = Ahead::default();
            self.parser = RequestParser::new(limits_for(self.caller.authenticated));
        }
        // They keep their numbers.
        self.forwarding.commands -= left.requests as u64;
        if let Some(alone) = self.forwarding.alone.as_mut().filter(|alone| !alone.is_complete) {
            alone.is_not_executed = is_ended || left.sent == 0;
            self.forwarding.commands -= 1;
        }
        let sent = if is_ended { 0 } else { left.sent };
        // Behind one that was in doubt already, and was executed again, the others still are.
        let before = self.forwarding.in_doubt;
        self.forwarding.in_doubt = if before > 0 { before + left.requests } else { sent };
        self.forwarding.failures = if stream.has_replied { 0 } else { self.forwarding.failures + 1 };
        if self.forwarding.failures > 0 {
            let pause = FORWARD_PAUSE_MIN * 2_u32.pow((self.forwarding.failures - 1).min(8));
            self.forwarding.retry_at = Some(now.after(pause.min(FORWARD_PAUSE_MAX)));
        }
        true
    }

    /// The command at the front of the input may have been executed by a primary that was lost.
    pub(super) fn say_unknown(&mut self, spec: &CommandSpec, bytes: usize) -> Step {
        if spec.is_exec() {
            self.session.end_transaction();
            self.forwarding.forget_watch();
        }
        self.forwarding.commands += 1;
        self.say(redirect::OUTCOME_UNKNOWN);
        Step::Done(bytes)
    }
}

const _: () = assert!(FORWARD_PAUSE_MIN.as_millis() > 0 && FORWARD_PAUSE_MAX.as_millis() <= Duration::from_secs(1).as_millis());

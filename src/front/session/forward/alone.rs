//! Commands that are forwarded with nothing else under way: they change more than data, or wait.

use tanist_db_core::clock::Monotonic;
use tanist_db_core::command::{CommandSpec, Flag};

use super::super::execute::{Batch, Step, Turn};
use super::super::{Conversation, Runtime};
use super::stream::{Finish, StreamState};
use super::transaction;
use crate::front::entry::Unblocked;
use crate::front::forward::Request;
use crate::front::redirect;

/// A command that is forwarded with nothing else under way.
pub(super) struct Alone {
    pub(super) spec: &'static CommandSpec,
    /// Of its request.
    pub(super) bytes: usize,
    /// It may wait at the primary.
    pub(super) waits: bool,
    /// Its wait is over, so it is executed as a transaction of its own, in which nothing waits.
    pub(super) is_wrapped: bool,
    /// When the wait times out, if the primary does not know.
    pub(super) deadline: Option<Monotonic>,
    /// It is to end without a result.
    pub(super) unblocked: Option<Unblocked>,
    /// Its reply, as far as it is kept; the first byte at least.
    pub(super) reply: Vec<u8>,
    pub(super) is_complete: bool,
    /// The primary has said that it was not executed.
    pub(super) is_not_executed: bool,
}

impl<'a, W: Runtime> Conversation<'a, W> {
    pub(super) fn forward_alone(&mut self, spec: &'static CommandSpec, bytes: usize, batch: &Batch<'a>) {
        let request = &self.input.unread()[..bytes];
        let timeout = self.ahead.front().and_then(|planned| {
            let args = self.parser.arguments(&planned.request, self.input.unread());
            spec.timeout(&args)
        });
        let position = self.input.position();
        let before = self.forwarding.take_waits_until(position);
        let fresh = timeout.map(|timeout| batch.now.after(timeout));
        let deadline = before.unwrap_or(fresh);
        self.forwarding.waits_until = Some((position, deadline));
        let is_wrapped = before.is_some() && deadline.is_some_and(|deadline| deadline <= batch.now);
        let waits = spec.flags.has(Flag::Blocking) && !is_wrapped;
        let Some(stream) = &mut self.forwarding.stream else { return };
        let own = match self.session.transaction().filter(|_| spec.is_exec()) {
            Some(queued) => transaction::push(queued, &mut stream.under_way),
            None if is_wrapped => transaction::wrap(request, &mut stream.under_way),
            None => {
                stream.under_way.push(Request::Alone, request);
                0
            }
        };
        (0..own).for_each(|_| self.runtime.forwarded(true));
        self.runtime.forwarded(false);
        self.caller.note(Some(spec.name), &self.session);
        self.caller.entry().set_blocked(waits);
        self.forwarding.alone = Some(Alone {
            spec,
            bytes,
            waits,
            is_wrapped,
            deadline: deadline.filter(|_| before.is_some() && waits),
            unblocked: None,
            reply: Vec::new(),
            is_complete: false,
            is_not_executed: false,
        });
    }

    /// Continues with the command that was forwarded alone, if there is one.
    pub(in crate::front::session) fn go_on_alone(&mut self, batch: &mut Batch<'a>) -> Option<Step> {
        let alone = self.forwarding.alone.as_mut()?;
        if alone.is_complete {
            return self.end_alone(batch);
        }
        if self.forwarding.stream.is_none() {
            let (unblocked, is_not_executed, bytes) = (alone.unblocked, alone.is_not_executed, alone.bytes);
            self.forwarding.alone = None;
            self.caller.entry().set_blocked(false);
            match unblocked.filter(|_| is_not_executed)? {
                Unblocked::Failed => self.say(redirect::UNBLOCKED_BY_CLIENT),
                Unblocked::TimedOut => {
                    // It is executed once more, by whoever may, and waits no longer.
                    self.forwarding.waits_until = Some((self.input.position(), Some(batch.now)));
                    return None;
                }
            }
            return Some(Step::Done(bytes));
        }
        if alone.waits && alone.unblocked.is_none() {
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

    /// Ends the requests, so that the primary ends a wait: then either its reply comes, or the mark that it was not executed.
    fn finish_stream(&mut self) {
        let Some(stream) = &mut self.forwarding.stream else { return };
        stream.finish = Finish::Due;
        // The primary has not heard of the command.
        stream.is_over |= matches!(stream.link, StreamState::Opening(_));
    }

    fn end_alone(&mut self, batch: &mut Batch<'a>) -> Option<Step> {
        let Alone { spec, bytes, reply, is_wrapped, .. } = self.forwarding.alone.take()?;
        self.forwarding.waits_until = None;
        self.caller.entry().set_blocked(false);
        if spec.is_exec() {
            self.end_forwarded_exec(&reply);
        }
        if is_wrapped {
            let reply_start = self.output.reply.len();
            self.output.reply.raw(transaction::unwrapped(&reply));
            self.finish_forwarded(reply_start);
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
}

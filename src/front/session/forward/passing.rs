//! Replies of the primary are passed on, and what has none goes back to the input when the stream is over.

use std::task::{Context, Poll};

use tanist_db_core::clock::Monotonic;
use tanist_db_core::command::CommandSpec;
use tanist_db_core::planted::planted;

use super::super::ahead::Ahead;
use super::super::execute::Step;
use super::super::{Conversation, Runtime, limits_for};
use super::follows;
use super::stream::ReplyPlace;
use super::transaction;
use crate::front::forward::{Found, Request};
use crate::front::limits::{FORWARD_PAUSE_MAX, FORWARD_PAUSE_MIN, FORWARDED_SETTLE_WAIT, FORWARDED_TAKEOVER_WAIT};
use crate::front::redirect;
use crate::resp::RequestParser;

impl<W: Runtime> Conversation<'_, W> {
    /// Polls the stream to the primary. Ready if a turn may now do more than before.
    pub(in crate::front::session) fn poll_forward(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let is_full = self.output.is_full();
        let Some(stream) = &mut self.forwarding.stream else { return Poll::Pending };
        let polled = stream.poll(!is_full, cx);
        let goes_on = stream.is_stalled && !is_full;
        let alone = self.forwarding.alone.as_ref();
        let waits = alone.is_some_and(|alone| alone.waits && alone.unblocked.is_none());
        let ended = waits && (self.gone || self.caller.entry().unblocked().is_some());
        if goes_on || ended { Poll::Ready(()) } else { polled }
    }

    /// Passes on the replies that have come, and ends the stream if it is over. Returns false if the client's connection has to end.
    pub(in crate::front::session) fn go_on_forwarding(&mut self, now: Monotonic) -> bool {
        self.forwarding.retry_at = self.forwarding.retry_at.filter(|at| now < *at);
        if self.forwarding.stream.is_none() {
            return true;
        }
        let is_ended = self.pass_on();
        let serving = &self.context.serving;
        let Some(stream) = &mut self.forwarding.stream else { return true };
        let mut is_over = stream.is_over && !stream.is_stalled;
        if serving.epoch() == stream.epoch && follows(serving.role()) {
            (stream.replaced_at, stream.settle_by) = (None, None);
        } else if !stream.is_stalled {
            let wait = if serving.took_over() { FORWARDED_TAKEOVER_WAIT } else { FORWARDED_SETTLE_WAIT };
            // Anew each time: that it was a takeover turns out after the new epoch does.
            let settle_by = stream.replaced_at.get_or_insert(now).after(wait);
            stream.settle_by = Some(settle_by);
            is_over |= stream.under_way.is_empty() || settle_by <= now;
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
                Ok(Some(Found::Position { bytes, lsn })) => {
                    stream.received.consume(bytes);
                    self.forwarding.seen = self.forwarding.seen.max(lsn);
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
        let is_wrapped = self.forwarding.alone.as_ref().is_some_and(|alone| alone.is_wrapped);
        let keeps = is_wrapped || self.session.transaction().is_some_and(transaction::has_members_here);
        stream.place = match stream.under_way.oldest() {
            Some(Request::Own) | None => ReplyPlace::Nowhere,
            Some(Request::Alone) if keeps => ReplyPlace::Kept,
            Some(Request::Alone | Request::Client) if self.caller.take_reply() => ReplyPlace::Client,
            Some(Request::Alone | Request::Client) => ReplyPlace::Nowhere,
        };
    }

    /// Passes on `bytes` of the oldest reply, which has a place; with them it may end.
    fn pass_on_reply(&mut self, bytes: usize, ends: bool) {
        let Some(stream) = &mut self.forwarding.stream else { return };
        let part = &stream.received.unread()[..bytes];
        let request = stream.under_way.oldest();
        if let (Some(alone), Some(Request::Alone)) = (&mut self.forwarding.alone, request) {
            if stream.place == ReplyPlace::Kept {
                alone.reply.extend_from_slice(part);
            } else if alone.reply.is_empty() {
                alone.reply.extend_from_slice(&part[..1]);
            }
            alone.is_complete = ends;
        }
        if stream.place == ReplyPlace::Client {
            let reply_start = self.output.reply.len();
            self.output.reply.raw(part);
            self.output.finish_free(reply_start);
        }
        stream.received.consume(bytes);
        if ends {
            stream.has_replied = true;
            self.forwarding.failures = 0;
            stream.is_over |= !stream.under_way.replied();
            self.runtime.forwarded_replied(request == Some(Request::Own));
        }
    }

    /// The stream is over. What has no reply goes back to the input. Returns false if the client has a part of a reply.
    fn end_stream(&mut self, is_ended: bool, now: Monotonic) -> bool {
        let Some(mut stream) = self.forwarding.stream.take() else { return true };
        if stream.is_within_reply() {
            return false;
        }
        self.runtime.forwarding_ended();
        let mut left = stream.under_way.take();
        if planted("a forwarded command is executed twice") {
            left.sent = 0;
        }
        if planted("a held command is lost") {
            left.bytes.clear();
            left.requests = 0;
        }
        if !left.bytes.is_empty() {
            self.input.put_back(&left.bytes);
            self.ahead = Ahead::default();
            self.parser = RequestParser::new(limits_for(self.caller.authenticated));
        }
        self.forwarding.is_write_lost |= stream.has_written;
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
    pub(in crate::front::session) fn say_unknown(&mut self, spec: &CommandSpec, bytes: usize) -> Step {
        if spec.is_exec() {
            self.session.end_transaction();
            self.forwarding.forget_watch();
        }
        self.forwarding.commands += 1;
        self.say(redirect::OUTCOME_UNKNOWN);
        Step::Done(bytes)
    }
}

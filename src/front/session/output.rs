//! The output buffer of a connection: replies, and messages between them.

use tanist_db_core::clock::Monotonic;
use tanist_db_core::command::Reply;
use tanist_db_core::ids::Lsn;

use crate::front::limits::{BUFFER_KEPT_BYTES, HELD_REPLIES_MAX, OUTPUT_BYTES_MAX, SENT_BYTES_KEPT};
use crate::front::reply_gate::{Instead, Pending, ReplyGate};

/// One buffer in three parts: bytes already sent, bytes that may be sent, bytes that the gate delays.
#[derive(Debug, Default)]
pub(super) struct Output {
    /// Replies are encoded at its end.
    pub(super) reply: Reply,
    /// Bytes of `reply` that the peer has.
    sent: usize,
    /// Bytes of `reply` that may leave: `sent <= free <= reply.len()`.
    free: usize,
    gate: ReplyGate,
}

impl Output {
    /// Adds what was written elsewhere behind all replies, and tells where it begins: [`finish`](Self::finish) is due.
    pub(super) fn append(&mut self, written: Reply) -> usize {
        if self.reply.is_empty() {
            self.reply = written;
            return 0;
        }
        let reply_start = self.reply.len();
        self.reply.raw(written.as_bytes());
        reply_start
    }

    /// Puts `bytes` before the newest reply, which began at offset `reply_start` and is not finished.
    pub(super) fn insert(&mut self, reply_start: usize, bytes: &[u8]) {
        let reply = self.reply.as_bytes()[reply_start..].to_vec();
        self.reply.truncate(reply_start);
        self.reply.raw(bytes);
        self.reply.raw(&reply);
    }

    /// Ends the reply that began at offset `reply_start` and may be sent once `lsn` is durable.
    pub(super) fn finish(&mut self, reply_start: usize, lsn: Lsn, durable: Lsn, deadline: Monotonic, instead: Instead) {
        let bytes = self.reply.len() - reply_start;
        if bytes > 0 {
            self.free += self.gate.push(bytes, lsn, durable, deadline, instead);
        }
    }

    /// Ends a reply that tells nothing about data: it waits for its turn only.
    pub(super) fn finish_free(&mut self, reply_start: usize) {
        self.finish(reply_start, Lsn::ZERO, Lsn::ZERO, Monotonic(u64::MAX), Instead::NotDurable);
    }

    /// Releases replies that are durable.
    pub(super) fn release(&mut self, durable: Lsn) {
        self.free += self.gate.release(durable);
    }

    /// Replaces replies that have waited too long by the error that `not_durable` makes. Returns their number; `None` if a message
    /// has, so that the connection must end.
    pub(super) fn replace_late(
        &mut self,
        now: Monotonic,
        durable: Lsn,
        not_durable: impl FnOnce() -> String,
    ) -> Option<u64> {
        if !self.gate.is_late(now) {
            return Some(0);
        }
        let old = self.reply.take();
        self.reply.raw(&old[self.sent..self.free]);
        let replaced = self.gate.replace(now, durable, &not_durable(), &old[self.free..], &mut self.reply);
        let rest = self.free + replaced.taken;
        self.sent = 0;
        self.free = self.reply.len();
        self.reply.raw(&old[rest..]);
        (!replaced.ends).then_some(replaced.not_durable)
    }

    /// What the oldest delayed reply waits for.
    pub(super) fn pending(&self) -> Option<Pending> {
        self.gate.pending()
    }

    /// Bytes that may leave now.
    pub(super) fn ready(&self) -> &[u8] {
        &self.reply.as_bytes()[self.sent..self.free]
    }

    /// The peer has `bytes` more.
    pub(super) fn advance(&mut self, bytes: usize) {
        self.sent += bytes;
        debug_assert!(self.sent <= self.free, "only what may leave has been sent");
        if self.sent == self.reply.len() {
            if self.sent > BUFFER_KEPT_BYTES {
                drop(self.reply.take());
            } else {
                self.reply.clear();
            }
        } else if self.sent > SENT_BYTES_KEPT && self.sent >= self.reply.len() / 2 {
            let old = self.reply.take();
            self.reply.raw(&old[self.sent..]);
        } else {
            return;
        }
        self.free -= self.sent;
        self.sent = 0;
    }

    /// Whether the next command must wait until something has left.
    pub(super) fn is_full(&self) -> bool {
        self.reply.len() - self.sent >= OUTPUT_BYTES_MAX || self.gate.len() >= HELD_REPLIES_MAX
    }

    /// Whether the peer has everything.
    pub(super) fn is_empty(&self) -> bool {
        self.sent == self.reply.len()
    }
}

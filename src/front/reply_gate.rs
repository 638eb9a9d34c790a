//! The reply gate: delays replies, and messages between them, until the data that they show is durable.
//!
//! Replies are sent in the order of their commands. A reply whose log position is not yet durable waits, and so does every later
//! one. The gate knows lengths and positions only; the bytes are in the connection's output buffer, right after what may already
//! be sent:
//!
//! ```text
//!   | sent | may leave | held 1 | held 2 | held 3 |
//!                      ^ the gate begins here
//! ```
//!
//! A reply that has waited too long is replaced by an error, so the client still gets one reply for each command. Its command
//! *was* executed and may still become durable: the error says so. A message cannot be replaced: its client would believe that it
//! has received all of them. So the connection is closed.

use std::collections::VecDeque;

use tanist_db_core::clock::Monotonic;
use tanist_db_core::command::Reply;
use tanist_db_core::ids::Lsn;
use tanist_db_core::planted::planted;

use super::forward::leading_position;

/// What stands for a reply that has waited too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instead {
    /// The error that the write was not confirmed.
    NotDurable,
    /// Nothing, and the connection ends: it is a message.
    End,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    /// Bytes of the reply, or of several in a row that wait for nothing but their turn.
    bytes: usize,
    /// Leaves when this is durable; [`Lsn::ZERO`]: waits for its turn only.
    lsn: Lsn,
    /// Replaced at this moment. Not earlier than that of the reply before, as far as waiting for its turn can tell.
    deadline: Monotonic,
    instead: Instead,
}

/// The replies of one connection that may not leave yet, oldest first.
#[derive(Debug, Default)]
pub struct ReplyGate {
    held: VecDeque<Held>,
}

/// When the gate has to be looked at again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Once this is durable, at least one reply may leave.
    pub lsn: Lsn,
    /// At this moment the reply will be replaced.
    pub deadline: Monotonic,
}

/// What [`ReplyGate::replace`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replaced {
    /// Bytes of delayed replies that are now dealt with.
    pub taken: usize,
    /// How many replies became the error.
    pub not_durable: u64,
    /// A message has waited too long: nothing from it on may leave, and the connection is to end.
    pub ends: bool,
}

impl ReplyGate {
    /// Adds a reply of `bytes` that may be sent once `lsn` is durable. Returns the number of bytes that may be sent at once: all
    /// or none.
    pub fn push(&mut self, bytes: usize, lsn: Lsn, durable: Lsn, deadline: Monotonic, instead: Instead) -> usize {
        let lsn = if lsn <= durable { Lsn::ZERO } else { lsn };
        match self.held.back_mut() {
            None if lsn == Lsn::ZERO => return bytes,
            Some(_) if lsn == Lsn::ZERO && planted("replies out of their order") => return bytes,
            Some(last) if lsn == Lsn::ZERO && last.lsn == Lsn::ZERO => last.bytes += bytes,
            _ => self.held.push_back(Held { bytes, lsn, deadline, instead }),
        }
        0
    }

    /// Releases the replies that are durable. Returns the number of bytes, from the gate's start, that may be sent.
    pub fn release(&mut self, durable: Lsn) -> usize {
        let mut bytes = 0;
        while let Some(first) = self.held.front()
            && first.lsn <= durable
        {
            bytes += first.bytes;
            self.held.pop_front();
        }
        bytes
    }

    /// Whether [`replace`](Self::replace) has something to do.
    #[must_use]
    pub fn is_late(&self, now: Monotonic) -> bool {
        self.held.front().is_some_and(|first| first.deadline <= now)
    }

    /// Releases replies that are durable or have waited too long: appends to `out` what is sent instead of the first bytes of
    /// `held`.
    pub fn replace(
        &mut self,
        now: Monotonic,
        durable: Lsn,
        not_durable: &str,
        held: &[u8],
        out: &mut Reply,
    ) -> Replaced {
        let mut replaced = Replaced { taken: 0, not_durable: 0, ends: false };
        while let Some(first) = self.held.front() {
            if first.lsn <= durable {
                out.raw(&held[replaced.taken..replaced.taken + first.bytes]);
            } else if first.deadline > now {
                break;
            } else if first.instead == Instead::End {
                replaced.ends = true;
                break;
            } else {
                // The mark before it stays: later replies rely on it.
                out.raw(leading_position(&held[replaced.taken..]));
                out.error(not_durable);
                replaced.not_durable += 1;
            }
            replaced.taken += first.bytes;
            self.held.pop_front();
        }
        replaced
    }

    /// What the oldest reply waits for; nothing if none is delayed.
    #[must_use]
    pub fn pending(&self) -> Option<Pending> {
        self.held.front().map(|first| Pending { lsn: first.lsn, deadline: first.deadline })
    }

    /// Number of entries: replies that wait for the vault, and runs of others between them.
    #[must_use]
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether no reply is delayed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATE: Monotonic = Monotonic(100);

    fn held(gate: &mut ReplyGate, bytes: usize, lsn: u64) -> usize {
        gate.push(bytes, Lsn(lsn), Lsn(10), LATE, Instead::NotDurable)
    }

    #[test]
    fn order_is_kept_behind_a_reply_that_waits() {
        let mut gate = ReplyGate::default();
        assert_eq!(held(&mut gate, 5, 0), 5);
        assert_eq!(held(&mut gate, 5, 10), 5);
        assert_eq!(held(&mut gate, 4, 12), 0);
        assert_eq!(held(&mut gate, 3, 0), 0);
        assert_eq!(held(&mut gate, 3, 9), 0);
        assert_eq!(held(&mut gate, 2, 11), 0);
        assert_eq!(gate.len(), 3, "replies that wait for their turn only are one entry");
        assert_eq!(gate.pending(), Some(Pending { lsn: Lsn(12), deadline: LATE }));
        assert_eq!(gate.release(Lsn(11)), 0);
        assert_eq!(gate.release(Lsn(12)), 12);
        assert!(gate.is_empty() && gate.pending().is_none());
    }

    #[test]
    fn each_late_reply_becomes_one_error() {
        let mut gate = ReplyGate::default();
        held(&mut gate, 5, 11);
        held(&mut gate, 7, 0);
        held(&mut gate, 4, 12);
        gate.push(4, Lsn(13), Lsn(10), Monotonic(200), Instead::NotDurable);
        assert!(!gate.is_late(Monotonic(99)) && gate.is_late(LATE));
        let mut out = Reply::default();
        let replaced = gate.replace(LATE, Lsn(10), "NOTDURABLE x", b"+OK\r\n+PONG\r\n:1\r\n:2\r\n", &mut out);
        assert_eq!(replaced, Replaced { taken: 16, not_durable: 2, ends: false });
        assert_eq!(out.as_bytes(), b"-NOTDURABLE x\r\n+PONG\r\n-NOTDURABLE x\r\n");
        assert_eq!((gate.len(), gate.release(Lsn(13))), (1, 4));
    }

    #[test]
    fn what_has_become_durable_in_time_is_not_replaced() {
        let mut gate = ReplyGate::default();
        held(&mut gate, 5, 11);
        held(&mut gate, 4, 12);
        let mut out = Reply::default();
        let replaced = gate.replace(LATE, Lsn(11), "NOTDURABLE x", b"+OK\r\n:1\r\n", &mut out);
        assert_eq!(replaced, Replaced { taken: 9, not_durable: 1, ends: false });
        assert_eq!(out.as_bytes(), b"+OK\r\n-NOTDURABLE x\r\n");
    }

    #[test]
    fn a_message_that_is_not_confirmed_ends_the_connection_and_nothing_behind_it_leaves() {
        let mut gate = ReplyGate::default();
        held(&mut gate, 5, 11);
        gate.push(7, Lsn(12), Lsn(10), LATE, Instead::End);
        held(&mut gate, 4, 13);
        let mut out = Reply::default();
        let replaced = gate.replace(LATE, Lsn(11), "NOTDURABLE x", b"+OK\r\n*1\r\n:1\r\n:2\r\n", &mut out);
        assert_eq!(replaced, Replaced { taken: 5, not_durable: 0, ends: true });
        assert_eq!(out.as_bytes(), b"+OK\r\n");
    }
}

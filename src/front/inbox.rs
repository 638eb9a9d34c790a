//! A session's inbox: push messages from other sessions, which reply to no command. The sender never waits for the receiver.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tanist_db_core::command::{Protocol, Reply};
use tanist_db_core::ids::Lsn;

use super::limits::INBOX_BYTES_MAX;

/// A message in both protocols. It can be sent to many: they share its bytes.
#[derive(Clone, Debug)]
pub(super) struct Message {
    resp2: Arc<[u8]>,
    resp3: Arc<[u8]>,
    /// What it tells of: at level `durable` it leaves once everything up to here is. [`Lsn::ZERO`]: of no write.
    pub(super) lsn: Lsn,
}

impl Message {
    /// The message that `write` writes ([`Reply::push`] and its members).
    pub(super) fn new(lsn: Lsn, write: impl Fn(&mut Reply)) -> Message {
        let [resp2, resp3] = [Protocol::Resp2, Protocol::Resp3].map(|protocol| {
            let mut reply = Reply::new(protocol);
            write(&mut reply);
            reply.take().into()
        });
        Message { resp2, resp3, lsn }
    }

    /// Its bytes for a client that speaks `protocol`.
    pub(super) fn bytes(&self, protocol: Protocol) -> &[u8] {
        match protocol {
            Protocol::Resp2 => &self.resp2,
            Protocol::Resp3 => &self.resp3,
        }
    }

    fn cost(&self) -> usize {
        self.resp2.len().max(self.resp3.len()) + size_of::<Message>()
    }
}

/// Messages that a session has not taken yet, oldest first.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    /// There is one, or was a moment ago.
    any: AtomicBool,
    waiting: Mutex<Queued>,
}

#[derive(Debug, Default)]
struct Queued {
    messages: VecDeque<Message>,
    bytes: usize,
}

impl Inbox {
    /// Adds a message. False if there is no room: then the session has missed one, and must end.
    #[must_use]
    pub(super) fn put(&self, message: Message) -> bool {
        let mut waiting = self.waiting.lock();
        if waiting.bytes + message.cost() > INBOX_BYTES_MAX {
            return false;
        }
        waiting.bytes += message.cost();
        waiting.messages.push_back(message);
        // Release pairs with the load in `has_any`. Under the lock: a taker that empties the inbox does not hide this one.
        self.any.store(true, Ordering::Release);
        true
    }

    pub(super) fn has_any(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    pub(super) fn take(&self) -> Option<Message> {
        if !self.has_any() {
            return None;
        }
        let mut waiting = self.waiting.lock();
        let message = waiting.messages.pop_front();
        waiting.bytes -= message.as_ref().map_or(0, Message::cost);
        if waiting.messages.is_empty() {
            // A burst leaves no memory behind.
            waiting.messages = VecDeque::new();
            self.any.store(false, Ordering::Relaxed);
        }
        message
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &[u8]) -> Message {
        Message::new(Lsn(7), |reply| {
            reply.push(1);
            reply.bulk(text);
        })
    }

    #[test]
    fn messages_come_out_in_their_order_and_in_the_protocol_of_the_reader() {
        let inbox = Inbox::default();
        assert!(inbox.put(message(b"a")) && inbox.put(message(b"b")) && inbox.has_any());
        assert_eq!(inbox.take().unwrap().bytes(Protocol::Resp2), b"*1\r\n$1\r\na\r\n");
        let second = inbox.take().unwrap();
        assert_eq!((second.bytes(Protocol::Resp3), second.lsn), (&b">1\r\n$1\r\nb\r\n"[..], Lsn(7)));
        assert!(inbox.take().is_none() && !inbox.has_any());
    }

    #[test]
    fn an_inbox_is_bounded_in_bytes_and_has_room_again() {
        let inbox = Inbox::default();
        let large = message(&vec![b'x'; INBOX_BYTES_MAX / 3]);
        assert!(inbox.put(large.clone()) && inbox.put(large.clone()) && !inbox.put(large.clone()));
        drop(inbox.take());
        assert!(inbox.put(large));
        let small = Inbox::default();
        let count = (0..).take_while(|_| small.put(message(b""))).count();
        assert!(count < INBOX_BYTES_MAX / size_of::<Message>(), "an empty message is not free");
    }
}

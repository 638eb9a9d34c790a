//! The requests of one session that were forwarded, or are about to be, and have no reply yet.

use std::collections::VecDeque;

use bytes::{Buf, BytesMut};

use crate::front::limits::{FORWARDED_BYTES_MAX, FORWARDED_REQUESTS_MAX};

/// Whose request it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::front) enum Request {
    /// The client's. Its bytes stand here only.
    Client,
    /// The client's, of one that is executed with nothing else under way: it still stands at the front of the input.
    Alone,
    /// The session's own, which tells the primary's session what the client has chosen. Nobody wants its reply.
    Own,
}

#[derive(Clone, Copy, Debug)]
struct Forwarded {
    bytes: usize,
    request: Request,
}

/// Requests in their order, oldest first.
#[derive(Debug, Default)]
pub(in crate::front) struct UnderWay {
    /// Of all of them, back to back.
    bytes: BytesMut,
    /// Bytes that were given to the link.
    sent: usize,
    entries: VecDeque<Forwarded>,
}

/// What is left of them when the link has ended.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::front) struct Left {
    /// The client's requests that do not stand in the input any more, back to back.
    pub(in crate::front) bytes: BytesMut,
    /// How many these are.
    pub(in crate::front) requests: usize,
    /// Of the client's requests, the one that stands in the input included, so many may have reached the primary.
    pub(in crate::front) sent: usize,
}

impl UnderWay {
    pub(in crate::front) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether no more requests fit. One may overshoot.
    pub(in crate::front) fn is_full(&self) -> bool {
        self.bytes.len() >= FORWARDED_BYTES_MAX || self.entries.len() >= FORWARDED_REQUESTS_MAX
    }

    pub(in crate::front) fn push(&mut self, request: Request, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.entries.push_back(Forwarded { bytes: bytes.len(), request });
    }

    /// Whose reply is next.
    pub(in crate::front) fn oldest(&self) -> Option<Request> {
        self.entries.front().map(|entry| entry.request)
    }

    /// The oldest has its reply. False if the primary cannot have had all of it, so that this is not its reply.
    pub(in crate::front) fn replied(&mut self) -> bool {
        let Some(entry) = self.entries.front().filter(|entry| entry.bytes <= self.sent) else { return false };
        self.bytes.advance(entry.bytes);
        self.sent -= entry.bytes;
        self.entries.pop_front();
        true
    }

    /// What the link has not been given.
    pub(in crate::front) fn unsent(&self) -> &[u8] {
        &self.bytes[self.sent..]
    }

    /// The link has been given so many bytes more.
    pub(in crate::front) fn advance(&mut self, bytes: usize) {
        self.sent += bytes;
    }

    /// Nothing more is replied to.
    pub(in crate::front) fn take(&mut self) -> Left {
        let (mut all, mut left) =
            (std::mem::take(&mut self.bytes), Left { bytes: BytesMut::new(), requests: 0, sent: 0 });
        let mut sent = std::mem::take(&mut self.sent);
        for Forwarded { bytes, request } in self.entries.drain(..) {
            let request_bytes = all.split_to(bytes);
            if request == Request::Client {
                left.bytes.extend_from_slice(&request_bytes);
                left.requests += 1;
            }
            // A request of which a part has not left is not whole at the other end, and is not executed.
            if request != Request::Own && sent >= bytes {
                left.sent += 1;
            }
            sent = sent.saturating_sub(bytes);
        }
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(bytes: &str, sent: usize) -> Left {
        Left { bytes: BytesMut::from(bytes), requests: bytes.matches('\n').count(), sent }
    }

    #[test]
    fn what_was_not_replied_to_is_left() {
        let mut under_way = UnderWay::default();
        under_way.push(Request::Own, b"SELECT 1\r\n");
        under_way.push(Request::Client, b"GET a\r\n");
        under_way.push(Request::Client, b"GET b\r\n");
        under_way.push(Request::Client, b"GET c\r\n");
        assert!(!under_way.replied(), "nothing has been sent");
        under_way.advance(10 + 7 + 7 + 3);
        assert_eq!(under_way.unsent(), b" c\r\n");
        assert_eq!(under_way.oldest(), Some(Request::Own));
        assert!(under_way.replied());
        assert_eq!(under_way.oldest(), Some(Request::Client));
        assert!(under_way.replied());
        assert_eq!(under_way.take(), left("GET b\r\nGET c\r\n", 1));
        assert!(under_way.is_empty() && under_way.unsent().is_empty());
        assert_eq!(under_way.take(), left("", 0));
    }

    #[test]
    fn a_request_alone_is_left_in_the_input() {
        let mut under_way = UnderWay::default();
        under_way.push(Request::Own, b"SELECT 1\r\n");
        under_way.push(Request::Alone, b"BLPOP l 0\r\n");
        under_way.advance(10);
        assert_eq!(under_way.take(), left("", 0));
        under_way.push(Request::Alone, b"BLPOP l 0\r\n");
        under_way.advance(11);
        assert_eq!(under_way.take(), left("", 1));
    }

    #[test]
    fn bytes_and_number_are_bounded() {
        let mut under_way = UnderWay::default();
        for _ in 0..FORWARDED_REQUESTS_MAX {
            assert!(!under_way.is_full());
            under_way.push(Request::Client, b"PING\r\n");
        }
        assert!(under_way.is_full());
        under_way.take();
        under_way.push(Request::Client, &vec![0; FORWARDED_BYTES_MAX]);
        assert!(under_way.is_full());
    }
}

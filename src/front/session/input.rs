//! The input buffer of a connection, and its parsed requests.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

use crate::front::limits::{BUFFER_KEPT_BYTES, READ_BYTES};

thread_local! {
    /// What a read brings first: shared by a thread's connections, so that an idle one needs no buffer of its own.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BYTES].into_boxed_slice());
}

/// Received and not yet consumed bytes.
#[derive(Debug, Default)]
pub(super) struct Input {
    bytes: Vec<u8>,
    /// Bytes of `bytes` that have been consumed.
    start: usize,
    /// Bytes ever consumed: the position of `unread` in the stream.
    consumed: u64,
}

impl Input {
    /// From the first byte that nobody has consumed.
    pub(super) fn unread(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// Position in the stream of the first byte of `unread`.
    pub(super) fn position(&self) -> u64 {
        self.consumed
    }

    /// Position in the stream behind the last byte received.
    pub(super) fn end(&self) -> u64 {
        self.consumed + self.unread().len() as u64
    }

    /// The same with what has come behind it in the meantime.
    pub(super) fn followed_by(mut self, behind: &Input) -> Input {
        self.bytes.extend_from_slice(behind.unread());
        self
    }

    /// Puts `bytes`, which were consumed last, back in front of everything.
    pub(super) fn put_back(&mut self, bytes: &[u8]) {
        self.bytes.splice(..self.start, bytes.iter().copied());
        self.start = 0;
        self.consumed -= bytes.len() as u64;
    }

    /// Forgets the first `bytes` of `unread`.
    pub(super) fn consume(&mut self, bytes: usize) {
        self.start += bytes;
        self.consumed += bytes as u64;
        if self.start == self.bytes.len() {
            self.start = 0;
            if self.bytes.capacity() > BUFFER_KEPT_BYTES {
                self.bytes = Vec::new();
            } else {
                self.bytes.clear();
            }
        }
    }

    /// Reads once. Returns the number of bytes; 0 is the stream's end.
    pub(super) fn poll_fill(
        &mut self,
        stream: Pin<&mut (impl AsyncRead + ?Sized)>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            ready!(stream.poll_read(cx, &mut buffer))?;
            if self.start > 0 {
                // Moves an incomplete request to the front. Then `start` is 0 until it is complete: it moves once.
                self.bytes.drain(..self.start);
                self.start = 0;
            }
            self.bytes.extend_from_slice(buffer.filled());
            Poll::Ready(Ok(buffer.filled().len()))
        })
    }
}

//! A stream to the primary: what moves bytes on it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tanist_db_core::clock::Monotonic;
use tanist_db_core::command::Protocol;
use tanist_db_core::ids::Epoch;
use tokio::io::AsyncWrite;

use super::super::Runtime;
use super::super::input::Input;
use crate::front::forward::{ReplyEnds, UnderWay};

/// A stream to the primary of `epoch`.
pub(super) struct Stream<W: Runtime> {
    pub(super) link: StreamState<W>,
    pub(super) finish: Finish,
    pub(super) epoch: Epoch,
    pub(super) number: u64,
    pub(super) under_way: UnderWay,
    pub(super) received: Input,
    pub(super) ends: ReplyEnds,
    /// What becomes of the reply at hand.
    pub(super) place: ReplyPlace,
    /// The output was full when replies were last looked at.
    pub(super) is_stalled: bool,
    /// Nothing more comes.
    pub(super) is_over: bool,
    /// A reply has come.
    pub(super) has_replied: bool,
    /// A command that may write was sent.
    pub(super) has_written: bool,
    /// What the primary's session knows.
    pub(super) protocol: Protocol,
    pub(super) database: u8,
    /// The primary takes nothing more. It may have sent replies, and its mark, before: they are read.
    is_deaf: bool,
    /// Since when the primary is another.
    pub(super) replaced_at: Option<Monotonic>,
    /// If so: what has no reply by then is in doubt.
    pub(super) settle_by: Option<Monotonic>,
}

pub(super) enum StreamState<W: Runtime> {
    Opening(W::Opening),
    Open(W::Link),
}

/// Whether the primary is told that nothing more comes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Finish {
    No,
    Due,
    Done,
}

/// Where a reply goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ReplyPlace {
    Client,
    Nowhere,
    /// Kept until it is complete: members made here are put between its own.
    Kept,
}

impl<W: Runtime> Stream<W> {
    /// The stream of that number, which is being opened.
    pub(super) fn new(opening: W::Opening, epoch: Epoch, number: u64) -> Stream<W> {
        Stream {
            link: StreamState::Opening(opening),
            finish: Finish::No,
            epoch,
            number,
            under_way: UnderWay::default(),
            received: Input::default(),
            ends: ReplyEnds::default(),
            place: ReplyPlace::Nowhere,
            is_stalled: false,
            is_over: false,
            has_replied: false,
            has_written: false,
            protocol: Protocol::Resp2,
            database: 0,
            is_deaf: false,
            replaced_at: None,
            settle_by: None,
        }
    }

    /// Whether the client has a part of a reply.
    pub(super) fn is_within_reply(&self) -> bool {
        self.ends.is_within() && self.place == ReplyPlace::Client
    }

    /// Sends and receives. Ready when something has come, or the stream is over.
    pub(super) fn poll(&mut self, reads: bool, cx: &mut Context<'_>) -> Poll<()> {
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
        if let StreamState::Opening(opening) = &mut self.link {
            self.link = StreamState::Open(ready!(Pin::new(opening).poll(cx))?);
        }
        let StreamState::Open(link) = &mut self.link else { return Poll::Pending };
        let mut link = Pin::new(link);
        let mut has_written = false;
        while !self.is_deaf && !self.under_way.unsent().is_empty() {
            match link.as_mut().poll_write(cx, self.under_way.unsent()) {
                Poll::Ready(Ok(bytes)) if bytes > 0 => self.under_way.advance(bytes),
                Poll::Ready(_) => self.is_deaf = true,
                Poll::Pending => break,
            }
            has_written = true;
        }
        if has_written && let Poll::Ready(Err(_)) = link.as_mut().poll_flush(cx) {
            self.is_deaf = true;
        }
        if self.finish == Finish::Due && (self.is_deaf || self.under_way.unsent().is_empty()) {
            // What it says in the end is read whether or not it hears this.
            let _ = ready!(link.as_mut().poll_shutdown(cx));
            self.finish = Finish::Done;
        }
        if reads { self.received.poll_fill(link, cx) } else { Poll::Pending }
    }
}

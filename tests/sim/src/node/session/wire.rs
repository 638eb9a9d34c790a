//! A client's byte stream with both ends in one process. The driver takes everything that the session writes at once.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

#[derive(Debug, Default)]
struct Bytes {
    to_session: Vec<u8>,
    from_session: Vec<u8>,
    /// The client sends nothing more.
    closed: bool,
    /// The session sends nothing more.
    shut: bool,
    reader: Option<Waker>,
}

/// The session's end.
#[derive(Debug)]
pub(super) struct Wire(Arc<Mutex<Bytes>>);

/// The client's end.
#[derive(Debug)]
pub(super) struct End {
    bytes: Arc<Mutex<Bytes>>,
    /// Nothing reaches the client any more.
    cut: bool,
}

impl Wire {
    /// Both ends.
    pub(super) fn pair() -> (End, Wire) {
        let bytes = Arc::<Mutex<Bytes>>::default();
        (End { bytes: Arc::clone(&bytes), cut: false }, Wire(bytes))
    }
}

impl End {
    pub(super) fn send(&mut self, bytes: &[u8]) {
        let mut shared = self.bytes.lock();
        shared.to_session.extend_from_slice(bytes);
        shared.reader.take().inspect(Waker::wake_by_ref);
    }

    pub(super) fn close(&mut self) {
        let mut shared = self.bytes.lock();
        shared.closed = true;
        shared.reader.take().inspect(Waker::wake_by_ref);
    }

    /// All that the session has written since.
    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes.lock().from_session)
    }

    /// Whether the session sends nothing more.
    pub(super) fn is_shut(&self) -> bool {
        self.is_dropped() || self.bytes.lock().shut
    }

    /// Whether the session has dropped its end.
    pub(super) fn is_dropped(&self) -> bool {
        Arc::strong_count(&self.bytes) == 1
    }

    pub(super) fn cut(&mut self) {
        self.cut = true;
    }

    pub(super) fn is_cut(&self) -> bool {
        self.cut
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        let mut shared = self.0.lock();
        if shared.to_session.is_empty() && !shared.closed {
            shared.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let count = shared.to_session.len().min(out.remaining());
        out.put_slice(&shared.to_session[..count]);
        shared.to_session.drain(..count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        self.0.lock().from_session.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        self.0.lock().shut = true;
        Poll::Ready(Ok(()))
    }
}

//! Streams that carry messages: the control stream of a connection, and the others.
//!
//! A control stream carries calls with increasing numbers in one direction, answers and notifications (news) in the other. One
//! task writes and one reads, so a caller that gives up leaves no half-written frame. Every other stream is a [`Channel`].

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use quinn::{Connection, ConnectionError, RecvStream, SendStream, VarInt};
use tanist_db_core::level::{Level, Levels};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

use super::quic;
use crate::limits;
use crate::wire::frame::{FrameError, FrameKind, FrameReader, Message, seal_message};
use crate::wire::hello::{self, Refusal};
use crate::wire::message::{Answer, Call, Hello, LeaseView, Reply, Request};

/// Streams of a connection whose messages must not wait behind others' bulk. A higher one goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Priority {
    /// Images.
    Bulk,
    /// Redo batches, whose clients wait.
    Log,
    /// Leases.
    Control,
}

/// Why a conversation did not bring an answer.
#[derive(Debug, Error)]
pub enum RpcError {
    /// The connection or the stream has ended: whether the request arrived is unknown. A fresh connection may help.
    #[error("connection lost: {0}")]
    Lost(String),
    /// No answer in time: whether the request arrived is unknown.
    #[error("no answer within {} ms", .0.as_millis())]
    Late(Duration),
    /// Too many calls wait for their answers; this one was not sent.
    #[error("{} calls already wait for their answers", limits::CALLS_MAX)]
    Busy,
    /// The peer refused, with its reason.
    #[error("refused by the peer: {0}")]
    Refused(String),
    /// The peer sent what does not belong here: it is damaged, or of another version.
    #[error("protocol violated by the peer: {0}")]
    Protocol(String),
}

/// What a vault says of itself when a connection begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// Random for each start of the vault.
    pub incarnation: u64,
    /// Length of a lease.
    pub lease: Duration,
    /// Newest durable record.
    pub durable: u64,
    /// Who may write now.
    pub view: LeaseView,
    /// The connection's feature level: no newer message may be sent on it.
    pub level: Level,
}

/// The asking end of a connection to the vault. Clones share it; when the last one is gone the connection is closed.
#[derive(Clone, Debug)]
pub struct ControlClient {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    connection: Connection,
    out: mpsc::Sender<Bytes>,
    waiting: Arc<Waiting>,
    next_seq: AtomicU64,
    tasks: [AbortHandle; 2],
}

/// Calls that have been sent and not been answered; once the stream has ended, why: nobody will be answered any more.
#[derive(Debug)]
struct Waiting(Mutex<Result<HashMap<u64, oneshot::Sender<Answer>>, String>>);

impl ControlClient {
    /// Opens the control stream of a fresh connection: says `hello`, and waits for the welcome.
    ///
    /// `news` is called for everything that the vault says unasked, in the order in which it says it, on the reading task:
    /// it must be quick and must not wait. Runs on tasks of the current runtime.
    ///
    /// # Errors
    /// If the peer refuses, answers with something else, or not within [`limits::CALL_WAIT`].
    pub async fn open(
        connection: Connection,
        hello: &Hello,
        news: impl FnMut(Answer) + Send + 'static,
    ) -> Result<(Self, Welcome), RpcError> {
        let greeting = async {
            let mut channel = Channel::open_with(&connection, hello, Priority::Control).await?;
            let welcome = channel.answer().await?;
            Ok((channel, welcome))
        };
        let (channel, answer) = within(limits::CALL_WAIT, greeting).await?;
        let welcome = match answer {
            Answer::Welcome { incarnation, lease_us, durable, lease, level } => {
                let (lease, view, level) = (Duration::from_micros(lease_us), *lease, Level(level));
                hello.levels.check(level).map_err(|error| RpcError::Protocol(format!("it wants to speak {error}")))?;
                Welcome { incarnation, lease, durable, view, level }
            }
            other => return Err(unexpected(&other)),
        };
        Ok((Self::start(connection, channel, news), welcome))
    }

    fn start(connection: Connection, channel: Channel, news: impl FnMut(Answer) + Send + 'static) -> Self {
        let waiting = Arc::new(Waiting(Mutex::new(Ok(HashMap::new()))));
        let (out, queue) = mpsc::channel(limits::CALLS_MAX);
        let writer = tokio::spawn(write(channel.send, queue));
        let reader = tokio::spawn(read(channel.receive, connection.clone(), waiting.clone(), news));
        let tasks = [writer.abort_handle(), reader.abort_handle()];
        Self { inner: Arc::new(Inner { connection, out, waiting, next_seq: AtomicU64::new(1), tasks }) }
    }

    /// Makes a call and waits for the answer. Many calls may be in flight at once.
    ///
    /// # Errors
    /// [`RpcError::Busy`]: not sent. [`RpcError::Late`], [`RpcError::Lost`]: the peer may have acted on it, or may yet.
    /// An answer `Refused` is an answer, not an error.
    pub async fn call(&self, request: Request, wait: Duration) -> Result<Answer, RpcError> {
        let seq = self.inner.next_seq.fetch_add(1, Ordering::Relaxed);
        let frame = seal_message(&Call { seq, request });
        let (tell, told) = oneshot::channel();
        let _entry = self.register(seq, tell)?;
        self.inner.out.try_send(frame).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => RpcError::Busy,
            mpsc::error::TrySendError::Closed(_) => self.lost(),
        })?;
        match tokio::time::timeout(wait, told).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(self.lost()),
            Err(_) => Err(RpcError::Late(wait)),
        }
    }

    /// Opens another stream of the connection by `request`, whose answer comes on it.
    ///
    /// # Errors
    /// If the connection is lost, or has too many streams for longer than [`limits::CALL_WAIT`].
    pub(crate) async fn open_channel(&self, request: Request, priority: Priority) -> Result<Channel, RpcError> {
        let first = Call { seq: Channel::SEQ, request };
        within(limits::CALL_WAIT, Channel::open_with(&self.inner.connection, &first, priority)).await
    }

    /// Waits for the end of the connection and tells why it ended.
    pub async fn closed(&self) -> String {
        quic::explain(&self.inner.connection.closed().await)
    }

    /// Closes the connection; the peer is told `why`. What was sent before may not arrive.
    pub fn close(&self, why: &str) {
        self.inner.connection.close(VarInt::from_u32(0), why.as_bytes());
    }

    fn register(&self, seq: u64, tell: oneshot::Sender<Answer>) -> Result<Entry<'_>, RpcError> {
        match &mut *self.inner.waiting.0.lock() {
            Err(why) => Err(RpcError::Lost(why.clone())),
            Ok(calls) if calls.len() >= limits::CALLS_MAX => Err(RpcError::Busy),
            Ok(calls) => {
                calls.insert(seq, tell);
                Ok(Entry { waiting: &self.inner.waiting, seq })
            }
        }
    }

    fn lost(&self) -> RpcError {
        match &*self.inner.waiting.0.lock() {
            Err(why) => RpcError::Lost(why.clone()),
            // The writing task saw the end first.
            Ok(_) => lost(&self.inner.connection),
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.connection.close(VarInt::from_u32(0), b"no longer needed");
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

/// A call's place among those that wait; given back when the caller gives up or is answered.
struct Entry<'a> {
    waiting: &'a Waiting,
    seq: u64,
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        if let Ok(calls) = &mut *self.waiting.0.lock() {
            calls.remove(&self.seq);
        }
    }
}

async fn write(mut stream: SendStream, mut queue: mpsc::Receiver<Bytes>) {
    let mut frames = Vec::new();
    while queue.recv_many(&mut frames, limits::CALLS_MAX).await > 0 {
        if stream.write_all_chunks(&mut frames).await.is_err() {
            return;
        }
        frames.clear();
    }
}

async fn read(
    mut stream: FrameReader<RecvStream>,
    connection: Connection,
    waiting: Arc<Waiting>,
    mut news: impl FnMut(Answer),
) {
    loop {
        match stream.message::<Reply>().await {
            Ok(Reply { seq: 0, answer }) => news(answer),
            Ok(Reply { seq, answer }) => {
                let caller = waiting.0.lock().as_mut().ok().and_then(|calls| calls.remove(&seq));
                // Nobody waits any more for an answer that comes late.
                if let Some(caller) = caller {
                    let _ = caller.send(answer);
                }
            }
            Err(error) => {
                // Without a control stream the connection is of no use; a damaged one must not be trusted any further. If
                // it is lost already, its reason must stay.
                let why = connection.close_reason().map_or_else(|| error.to_string(), |reason| quic::explain(&reason));
                if connection.close_reason().is_none() {
                    connection.close(VarInt::from_u32(1), why.as_bytes());
                }
                *waiting.0.lock() = Err(why);
                return;
            }
        }
    }
}

/// A stream besides the control stream, from either end's view.
#[derive(Debug)]
pub(crate) struct Channel {
    /// Frames out.
    pub send: SendStream,
    /// Frames in.
    pub receive: FrameReader<RecvStream>,
}

impl Channel {
    /// Number of every call and answer on a channel: there is one at a time.
    pub(crate) const SEQ: u64 = 1;

    /// Waits for the next stream that the peer opens. Its first message is yet to be read.
    ///
    /// # Errors
    /// If the connection ends.
    pub(crate) async fn accept(connection: &Connection) -> Result<Self, RpcError> {
        let (send, receive) = connection.accept_bi().await.map_err(|error| lost_by(&error))?;
        Ok(Self { send, receive: FrameReader::new(receive) })
    }

    /// Opens a stream whose first message is `first`.
    ///
    /// # Errors
    /// If the connection ends.
    async fn open_with(connection: &Connection, first: &impl Message, priority: Priority) -> Result<Self, RpcError> {
        let (send, receive) = connection.open_bi().await.map_err(|error| lost_by(&error))?;
        // A stream that is already closed takes no priority, and the write below tells so.
        let _ = send.set_priority(priority as i32);
        let mut channel = Self { send, receive: FrameReader::new(receive) };
        channel.write(seal_message(first)).await?;
        Ok(channel)
    }

    /// Sends a sealed frame: a redo batch, a chunk, a message.
    ///
    /// # Errors
    /// If the stream or the connection has ended.
    pub(crate) async fn write(&mut self, frame: Bytes) -> Result<(), RpcError> {
        self.send.write_chunk(frame).await.map_err(|error| match error {
            quinn::WriteError::ConnectionLost(error) => lost_by(&error),
            other => RpcError::Lost(other.to_string()),
        })
    }

    /// Sends a request.
    ///
    /// # Errors
    /// If the stream or the connection has ended.
    pub(crate) async fn request(&mut self, request: Request) -> Result<(), RpcError> {
        self.write(seal_message(&Call { seq: Self::SEQ, request })).await
    }

    /// Sends an answer.
    ///
    /// # Errors
    /// If the stream or the connection has ended.
    pub(crate) async fn reply(&mut self, answer: Answer) -> Result<(), RpcError> {
        self.write(seal_message(&Reply { seq: Self::SEQ, answer })).await
    }

    /// The next frame, which must be an answer. Loses nothing if dropped while it waits.
    ///
    /// # Errors
    /// If the stream ends or contains something else here, or the peer refuses in a sentence.
    pub(crate) async fn answer(&mut self) -> Result<Answer, RpcError> {
        let frame = self.receive.next().await?.ok_or(FrameError::Ended(FrameKind::Reply))?;
        if frame.kind() == FrameKind::Refusal {
            return Err(RpcError::Refused(frame.message::<Refusal>()?.why));
        }
        match frame.message::<Reply>()?.answer {
            Answer::Refused { why } => Err(RpcError::Refused(why)),
            answer => Ok(answer),
        }
    }

    /// The next frame, which must be of `kind`; `None` at the end of the stream.
    ///
    /// # Errors
    /// If the stream fails or contains something else here, or the peer breaks off with a sentence.
    pub(crate) async fn frame(&mut self, kind: FrameKind) -> Result<Option<Bytes>, RpcError> {
        let frame = self.receive.next().await?;
        if let Some(frame) = frame.as_ref().filter(|_| kind != FrameKind::Reply)
            && let Ok(Reply { answer: Answer::Refused { why }, .. }) = frame.message()
        {
            return Err(RpcError::Refused(why));
        }
        Ok(frame.map(|frame| frame.expect(kind)).transpose()?.map(crate::wire::frame::Frame::into_bytes))
    }
}

/// Waits for the control stream of an accepted connection and its [`Hello`], of a process that knows one of the levels `own`.
///
/// # Errors
/// If the connection ends, nothing comes within [`limits::CALL_WAIT`], or the peer knows none of them (it is told so).
pub(crate) async fn accept_control(connection: &Connection, own: Levels) -> Result<(Hello, Channel), RpcError> {
    within(limits::CALL_WAIT, async {
        let mut channel = Channel::accept(connection).await?;
        let first = channel.receive.next().await?.ok_or(FrameError::Ended(FrameKind::Hello))?;
        let first = first.expect(FrameKind::Hello)?;
        let theirs = hello::levels_of(first.body()).ok_or(FrameError::Message(FrameKind::Hello))?;
        if let Err(why) = hello::agree(own, theirs) {
            channel.write(seal_message(&Refusal { why: why.clone() })).await?;
            return Err(RpcError::Protocol(why));
        }
        Ok((first.message()?, channel))
    })
    .await
}

async fn within<T>(wait: Duration, work: impl Future<Output = Result<T, RpcError>>) -> Result<T, RpcError> {
    tokio::time::timeout(wait, work).await.unwrap_or(Err(RpcError::Late(wait)))
}

fn unexpected(answer: &Answer) -> RpcError {
    RpcError::Protocol(format!("unexpected answer {answer:?}"))
}

fn lost(connection: &Connection) -> RpcError {
    connection.close_reason().map_or_else(|| RpcError::Lost("the stream has ended".to_owned()), |error| lost_by(&error))
}

fn lost_by(error: &ConnectionError) -> RpcError {
    RpcError::Lost(quic::explain(error))
}

impl From<FrameError> for RpcError {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::Io(error) => RpcError::Lost(from_io(&error)),
            FrameError::Ended(_) | FrameError::Short { .. } => RpcError::Lost(error.to_string()),
            other => RpcError::Protocol(other.to_string()),
        }
    }
}

/// Why a stream failed, with the connection's own reason where there is one.
fn from_io(error: &std::io::Error) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<quinn::ReadError>());
    match inner {
        Some(quinn::ReadError::ConnectionLost(error)) => quic::explain(error),
        Some(other) => other.to_string(),
        None => error.to_string(),
    }
}

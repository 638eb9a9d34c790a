//! One stream to a primary, and the requests in flight on it.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use quinn::{Connection, RecvStream, SendStream};
use redis::Value;
use tokio::io::AsyncReadExt;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::time::Instant;

use crate::address::NodeAddress;
use crate::dial::{Pulse, SILENT, explain_io, timer};
use crate::error::Error;
use crate::limits;
use crate::retry::{Attempt, Next, refused};
use crate::scout::Ready;
use crate::wire::reply::ReplyParser;

/// A request, whose caller waits for it, with its share of the client's bounds.
#[derive(Debug)]
pub(crate) struct Job {
    /// In the order in which callers asked.
    pub(crate) id: u64,
    pub(crate) attempt: Attempt,
    pub(crate) asked: Instant,
    /// Until then a reply is waited for, or a primary.
    pub(crate) deadline: Instant,
    /// How long to wait for either; a command that blocks may take so long beyond its timeout.
    pub(crate) patience: Duration,
    /// `None`: the caller has been told something already.
    pub(crate) tell: Option<oneshot::Sender<Result<Vec<Value>, Error>>>,
    /// Why it has to wait, for the caller's error.
    pub(crate) obstacle: String,
    pub(crate) _bounds: [OwnedSemaphorePermit; 2],
}

/// Requests that wait for a primary, in the order in which callers asked.
pub(crate) type Waiting = BTreeMap<u64, Job>;

impl Job {
    pub(crate) fn finish(mut self, result: Result<Vec<Value>, Error>) {
        if let Some(tell) = self.tell.take() {
            // A caller that has gone away wants no answer.
            let _ = tell.send(result);
        }
    }

    /// Whether nobody waits for it any more.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.tell.as_ref().is_none_or(oneshot::Sender::is_closed)
    }

    /// It waits for a primary, perhaps again. A command that blocks has all its patience for that: its timeout bounds another wait.
    pub(crate) fn begin_waiting(&mut self) {
        if self.attempt.wait().is_some() {
            self.deadline = Instant::now() + self.patience;
        }
    }

    /// Of a command that blocks, what is to be sent: with what is left of its timeout.
    fn begin_blocking(&mut self) -> Option<Bytes> {
        let wait = self.attempt.wait()?;
        let now = Instant::now();
        let left = wait.left(now - self.asked);
        let bytes = wait.encode(left);
        self.deadline = now + left.unwrap_or(limits::FOREVER) + self.patience;
        Some(bytes)
    }

    /// Acts on a decision: tells the caller, or gives the job back to be sent again.
    fn settle(mut self, next: Next) -> Option<Job> {
        match next {
            Next::Done(replies) => self.finish(Ok(replies)),
            Next::Fail(error) => self.finish(Err(error)),
            Next::Again(why) if !self.is_abandoned() => {
                self.obstacle = why;
                return Some(self);
            }
            Next::Again(_) => {}
        }
        None
    }
}

/// How a primary was replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Replaced {
    /// By a switchover, or nobody has said how: it will refuse what it holds.
    Planned,
    /// By a takeover: most likely it is dead.
    TakenOver,
}

impl Replaced {
    /// How often to look for signs of life, and how many looks without one mean that no more replies will come.
    fn patience(self) -> (Duration, u32) {
        match self {
            Replaced::Planned => (limits::PULSE, limits::SILENT_PULSES_REPLACED),
            Replaced::TakenOver => (limits::PULSE_TAKEN_OVER, limits::SILENT_PULSES_TAKEN_OVER),
        }
    }
}

/// A job whose commands are on their way.
#[derive(Debug)]
struct Flight {
    job: Job,
    /// Where its first byte stands in the stream.
    starts: u64,
    expected: usize,
    replies: Vec<Value>,
}

#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) address: NodeAddress,
    pub(crate) epoch: u64,
    /// The node has refused a command: it is no longer primary.
    pub(crate) deposed: bool,
    connection: Connection,
    pulse: Pulse,
    send: SendStream,
    receive: RecvStream,
    /// While these are held, the scouts of the node rest: one for each of its names. At most [`limits::NODES_MAX`], as many as
    /// there are scouts.
    held: Vec<oneshot::Sender<()>>,
    parser: ReplyParser,
    input: BytesMut,
    output: VecDeque<Bytes>,
    /// Bytes ever put into `output`, and of these, bytes that the stream has taken.
    queued: u64,
    written: u64,
    flights: VecDeque<Flight>,
}

impl Link {
    pub(crate) fn new(ready: Ready) -> Self {
        let Ready { address, epoch, connection, send, receive, held, .. } = ready;
        Self {
            address,
            epoch,
            deposed: false,
            pulse: Pulse::of(&connection),
            connection,
            send,
            receive,
            held: vec![held],
            parser: ReplyParser::default(),
            input: BytesMut::new(),
            output: VecDeque::new(),
            queued: 0,
            written: 0,
            flights: VecDeque::new(),
        }
    }

    /// Another scout of this node rests for as long as the link is used.
    pub(crate) fn rest_with(&mut self, held: oneshot::Sender<()>) {
        self.held.retain(|held| !held.is_closed());
        self.held.push(held);
    }

    /// Puts a job's pending commands behind all others.
    pub(crate) fn push(&mut self, mut job: Job) {
        let (starts, before) = (self.queued, self.output.len());
        match job.begin_blocking() {
            Some(bytes) => self.output.push_back(bytes),
            None => self.output.extend(job.attempt.pending().map(|command| command.bytes.clone())),
        }
        self.queued += self.output.range(before..).map(|bytes| bytes.len() as u64).sum::<u64>();
        let expected = job.attempt.pending().count();
        self.flights.push_back(Flight { job, starts, expected, replies: Vec::with_capacity(expected) });
    }

    /// One step of reading or writing; returns the jobs that must be sent again. Cancel-safe.
    ///
    /// # Errors
    /// Why the stream is of no further use; then take the rest by [`Link::lose`].
    pub(crate) async fn step(&mut self) -> Result<Vec<Job>, String> {
        self.input.reserve(limits::READ_BYTES.saturating_sub(self.input.len()).max(limits::READ_BYTES / 4));
        let writes = !self.output.is_empty();
        tokio::select! {
            read = self.receive.read_buf(&mut self.input) => match read {
                Ok(0) => Err("the node ended the stream".to_owned()),
                Ok(_) => self.take_replies(),
                Err(error) => Err(explain_io(&self.connection, &error)),
            },
            written = self.send.write_chunks(self.output.make_contiguous()), if writes => match written {
                Ok(written) => {
                    self.written += written.bytes as u64;
                    self.output.drain(..written.chunks);
                    Ok(Vec::new())
                }
                Err(error) => Err(explain_io(&self.connection, &error.into())),
            },
        }
    }

    fn take_replies(&mut self) -> Result<Vec<Job>, String> {
        let mut again = Vec::new();
        while let Some(reply) = self.parser.next(&mut self.input).map_err(|error| error.to_string())? {
            if matches!(reply, Value::Push { .. }) {
                tracing::trace!(?reply, "push message");
                continue;
            }
            let Some(flight) = self.flights.front_mut() else {
                return Err("the node answered what was not asked".to_owned());
            };
            self.deposed |= refused(&reply).is_some();
            flight.replies.push(reply);
            if flight.replies.len() == flight.expected {
                let Flight { mut job, replies, .. } = self.flights.pop_front().expect("it was just seen");
                let next = job.attempt.after_replies(replies);
                again.extend(job.settle(next));
            }
        }
        Ok(again)
    }

    /// To be called every [`limits::PULSE`]: how many looks in a row have found no sign of life.
    pub(crate) fn silent_pulses(&mut self) -> u32 {
        self.pulse.feel(&self.connection)
    }

    /// Callers whose deadline has passed are told that the outcome is unknown; their replies are still awaited here.
    pub(crate) fn expire(&mut self, now: Instant) {
        for flight in self.flights.iter_mut().filter(|flight| flight.job.deadline <= now) {
            if let Some(tell) = flight.job.tell.take() {
                let waited = (now - flight.job.asked).as_millis();
                let _ = tell.send(Err(Error::Unknown(format!("no reply within {waited} ms"))));
            }
        }
    }

    /// The connection is lost: decides the outcome of all requests in flight; returns the jobs that must be sent again.
    pub(crate) fn lose(self, why: &str) -> Vec<Job> {
        let written = self.written;
        let judge = |Flight { mut job, starts, replies, .. }: Flight| {
            let next = job.attempt.after_loss(replies, starts < written, why);
            job.settle(next)
        };
        self.flights.into_iter().filter_map(judge).collect()
    }

    /// Takes back the requests of which no byte has been sent.
    pub(crate) fn take_unsent(&mut self) -> Vec<Job> {
        let written = self.written;
        let unsent = self.flights.partition_point(|flight| flight.starts < written);
        let Some(first) = self.flights.get(unsent) else { return Vec::new() };
        // The tail of what has been begun must still go out, or its replies would never come.
        let mut keep = first.starts - written;
        self.output.retain(|bytes| {
            let kept = keep > 0;
            keep = keep.saturating_sub(bytes.len() as u64);
            kept
        });
        self.queued = first.starts;
        self.flights.drain(unsent..).map(|flight| flight.job).collect()
    }

    /// Reads the last replies of a node that is no longer primary, and returns what it refused through `again`.
    pub(crate) async fn drain(mut self, replaced: Replaced, again: mpsc::Sender<Job>) {
        // It may become primary again; a fresh stream will tell.
        self.held.clear();
        let (pace, looks) = replaced.patience();
        let mut timer = timer(pace);
        let why = loop {
            // It may hold what it will refuse in the end, so each caller's own deadline is the only bound.
            if self.flights.iter().all(|flight| flight.job.is_abandoned()) {
                return;
            }
            let step = tokio::select! {
                step = self.step() => step,
                _ = timer.tick() => {
                    self.expire(Instant::now());
                    if self.silent_pulses() < looks { continue } else { Err(SILENT.to_owned()) }
                }
            };
            match step {
                Ok(jobs) => give_back(jobs, &again).await,
                Err(why) => break why,
            }
        };
        give_back(self.lose(&why), &again).await;
    }
}

async fn give_back(jobs: Vec<Job>, again: &mpsc::Sender<Job>) {
    for job in jobs {
        if let Err(mpsc::error::SendError(job)) = again.send(job).await {
            job.finish(Err(Error::Closed));
        }
    }
}

//! The simulated runtime of a session: its wake-ups, the hooks of the oracles, and the points where its thread may be paused.

use std::collections::VecDeque;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tanist::front::Greeting;
use tanist::front::session::{Job, Runtime};
use tanist_db_core::clock::{Clock, Monotonic, UnixMillis};
use tanist_db_core::ids::Lsn;
use tanist_replication::serving::PrimaryAddress;
use tokio::sync::{Semaphore, oneshot};

use super::apart::Stop;
use super::wire::{End, Wire};

/// What the oracles must know of a session's steps.
#[derive(Debug)]
pub(super) enum Note {
    /// A command may execute.
    Permitted,
    /// A read may, by a standby.
    ReadHere { command: u64 },
    /// It was executed, took this for the time, and its reply depends on this record.
    Executed { command: u64, unix: UnixMillis, lsn: Lsn },
    /// The reply of a primary to it was passed on.
    PassedOn { command: u64 },
}

/// What a session has written and not sent.
#[derive(Clone, Copy, Debug)]
pub(super) enum Written {
    /// A reply: what it depends on, if its command was executed.
    Reply(Option<Lsn>),
    /// A message: what it tells of.
    Message(Lsn),
}

/// What is seen of a session from outside, and asked of it.
#[derive(Default)]
pub(super) struct Watch {
    /// When it wants to be woken.
    pub(super) alarm: Option<Monotonic>,
    /// Numbers of the commands that have been sent to it and have no reply yet.
    pub(super) commands: VecDeque<u64>,
    /// Replies and messages that have not left.
    pub(super) written: VecDeque<Written>,
    pub(super) notes: Vec<Note>,
    /// The thread of the next command that may execute stands still for so long before it does.
    pub(super) stall: Option<Duration>,
    /// How to make it, on a thread that can.
    pub(super) stop: Option<Stop>,
    /// A command that takes long, and whom to tell when it has been executed.
    pub(super) job: Option<Sent>,
    /// Streams to other nodes that it has opened and nobody has connected yet.
    pub(super) dials: Vec<Dial>,
    /// Commands of `commands` that were forwarded, from the front on.
    pub(super) forwarded: usize,
    /// Which commands it sends on its newest stream, in order; nothing for those of its own.
    pub(super) numbers: Numbers,
    /// What it executes of a stream that it is at the other end of.
    pub(super) asked: Option<Numbers>,
    /// It has stood still in this step. What follows is executed under a permission that was good before.
    pub(super) parked: bool,
}

/// A command on its way to where it is executed apart.
pub(super) type Sent = (Job, oneshot::Sender<()>);

/// Numbers of the commands on a stream between nodes.
pub(super) type Numbers = Arc<Mutex<VecDeque<Option<u64>>>>;

/// A stream that a session has opened.
pub(super) struct Dial {
    pub(super) primary: String,
    pub(super) greeting: Greeting,
    pub(super) end: End,
    pub(super) numbers: Numbers,
}

/// The session's side.
pub(super) struct SimThread {
    watch: Arc<Mutex<Watch>>,
    large_bytes: usize,
}

impl SimThread {
    pub(super) fn new(watch: Arc<Mutex<Watch>>, large_bytes: usize) -> SimThread {
        SimThread { watch, large_bytes }
    }

    /// The thread may stand still between permission and execution.
    fn stand_still(&self) {
        let mut watch = self.watch.lock();
        if let (Some(lasts), Some(stop)) = (watch.stall.take(), watch.stop.take()) {
            watch.parked = true;
            drop(watch);
            stop.stand(lasts);
        }
    }
}

impl Runtime for SimThread {
    type Link = Wire;
    type Opening = Ready<std::io::Result<Wire>>;

    fn open_link(&mut self, primary: Arc<PrimaryAddress>, greeting: Greeting) -> Self::Opening {
        let (end, wire) = Wire::pair();
        let mut watch = self.watch.lock();
        let numbers = Numbers::default();
        watch.numbers = Arc::clone(&numbers);
        watch.dials.push(Dial { primary: primary.node.clone(), greeting, end, numbers });
        ready(Ok(wire))
    }

    fn forwarded(&mut self, own: bool) {
        let mut watch = self.watch.lock();
        let number = if own { None } else { Some(watch.commands[watch.forwarded]) };
        watch.forwarded += usize::from(!own);
        watch.numbers.lock().push_back(number);
    }

    fn forwarded_replied(&mut self, own: bool) {
        if !own {
            let mut watch = self.watch.lock();
            watch.forwarded -= 1;
            let command = watch.commands.pop_front().expect("a reply answers a command");
            watch.notes.push(Note::PassedOn { command });
            watch.written.push_back(Written::Reply(Some(Lsn::ZERO)));
        }
    }

    fn forwarding_ended(&mut self) {
        self.watch.lock().forwarded = 0;
    }

    fn poll_alarm(&mut self, deadline: Monotonic, clock: &dyn Clock, _: &mut Context<'_>) -> Poll<()> {
        if deadline <= clock.monotonic() {
            return Poll::Ready(());
        }
        let alarm = &mut self.watch.lock().alarm;
        *alarm = Some(alarm.map_or(deadline, |at| at.min(deadline))).filter(|at| *at < Monotonic(u64::MAX));
        Poll::Pending
    }

    fn large_bytes(&self) -> usize {
        self.large_bytes
    }

    fn permitted(&mut self) {
        let mut watch = self.watch.lock();
        if !watch.parked {
            watch.notes.push(Note::Permitted);
        }
        drop(watch);
        self.stand_still();
    }

    fn reads_here(&mut self) {
        let mut watch = self.watch.lock();
        let command = *watch.commands.front().expect("what is read was asked for");
        watch.notes.push(Note::ReadHere { command });
        drop(watch);
        self.stand_still();
    }

    fn apart(&mut self, _: &Arc<Semaphore>, job: Job) -> BoxFuture<'static, ()> {
        let (done, ran) = oneshot::channel();
        self.watch.lock().job = Some((job, done));
        async move { drop(ran.await) }.boxed()
    }

    fn replied(&mut self, executed: Option<(Lsn, UnixMillis)>) {
        let mut watch = self.watch.lock();
        let command = match &watch.asked {
            None => Some(watch.commands.pop_front().expect("a reply answers a command")),
            Some(asked) => asked.lock().pop_front().expect("a reply answers what was forwarded"),
        };
        if let (Some(command), Some((lsn, unix))) = (command, executed) {
            watch.notes.push(Note::Executed { command, unix, lsn });
        }
        watch.written.push_back(Written::Reply(executed.map(|(lsn, _)| lsn)));
    }

    fn messaged(&mut self, lsn: Lsn) {
        self.watch.lock().written.push_back(Written::Message(lsn));
    }
}

//! The simulated runtime of a session: its wake-ups, the hooks of the oracles, and the points where its thread may be paused.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tanist::front::session::{Job, Runtime};
use tanist_db_core::clock::{Clock, Monotonic, UnixMillis};
use tanist_db_core::ids::Lsn;
use tokio::sync::{Semaphore, oneshot};

use super::apart::Stop;

/// What the oracles must know of a session's steps.
#[derive(Debug)]
pub(super) enum Note {
    /// A command may execute.
    Permitted,
    /// It was executed, and took this for the time.
    Executed { command: u64, unix: UnixMillis },
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
    /// It has stood still in this step. What follows is executed under a permission that was good before.
    pub(super) parked: bool,
}

/// A command on its way to where it is executed apart.
pub(super) type Sent = (Job, oneshot::Sender<()>);

/// The session's side.
pub(super) struct SimThread {
    watch: Arc<Mutex<Watch>>,
    large_bytes: usize,
}

impl SimThread {
    pub(super) fn new(watch: Arc<Mutex<Watch>>, large_bytes: usize) -> SimThread {
        SimThread { watch, large_bytes }
    }
}

impl Runtime for SimThread {
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
        if let (Some(lasts), Some(stop)) = (watch.stall.take(), watch.stop.take()) {
            watch.parked = true;
            drop(watch);
            stop.stand(lasts);
        }
    }

    fn apart(&mut self, _: &Arc<Semaphore>, job: Job) -> BoxFuture<'static, ()> {
        let (done, ran) = oneshot::channel();
        self.watch.lock().job = Some((job, done));
        async move { drop(ran.await) }.boxed()
    }

    fn replied(&mut self, executed: Option<(Lsn, UnixMillis)>) {
        let mut watch = self.watch.lock();
        let command = watch.commands.pop_front().expect("a reply answers a command");
        if let Some((_, unix)) = executed {
            watch.notes.push(Note::Executed { command, unix });
        }
        watch.written.push_back(Written::Reply(executed.map(|(lsn, _)| lsn)));
    }

    fn messaged(&mut self, lsn: Lsn) {
        self.watch.lock().written.push_back(Written::Message(lsn));
    }
}

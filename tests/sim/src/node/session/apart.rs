//! Threads that are paused in the middle of a step, as the operating system may do to any thread.
//!
//! On one thread nothing can happen between permission and execution, since a session's step does not yield in between. A step
//! that is to be paused there runs on a thread of its own, and the simulation waits until it is paused or done. So only one
//! thread runs at a time, and the run stays deterministic.

use std::future::Future;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::task::{Context, Poll, Waker};
use std::thread::{JoinHandle, spawn};
use std::time::Duration;

use parking_lot::Mutex;

use super::thread::Watch;

/// A session.
pub(super) type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// How far a step has come.
pub(super) enum Apart {
    /// To its end.
    Ran(Task, Poll<()>),
    /// It stands still for so long.
    Parks(Parked, Duration),
}

enum Signal {
    Parks(Duration),
    Ran(Task, Poll<()>),
}

/// A step stands still once, and ends.
const SIGNALS_MAX: usize = 2;

/// What makes the thread that runs a step stand still.
#[derive(Debug)]
pub(super) struct Stop {
    signals: SyncSender<Signal>,
    /// Ends the wait once its other end is dropped.
    resumed: Receiver<()>,
}

impl Stop {
    /// Blocks until the step is continued or given up; in the latter case nobody sees what it does then.
    pub(super) fn stand(self, lasts: Duration) {
        if self.signals.send(Signal::Parks(lasts)).is_ok() {
            let _ = self.resumed.recv();
        }
    }
}

/// A step that stands still.
pub(super) struct Parked {
    signals: Receiver<Signal>,
    resume: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Polls `task` once: apart if it may stand still.
pub(super) fn poll(mut task: Task, waker: Waker, watch: &Mutex<Watch>) -> Apart {
    if watch.lock().stall.is_none() {
        let poll = task.as_mut().poll(&mut Context::from_waker(&waker));
        return Apart::Ran(task, poll);
    }
    let (signal, signals) = sync_channel(SIGNALS_MAX);
    let (resume, resumed) = sync_channel(0);
    watch.lock().stop = Some(Stop { signals: signal.clone(), resumed });
    #[cfg(feature = "planted-bugs")]
    let bug = tanist_db_core::planted::active();
    let thread = spawn(move || {
        #[cfg(feature = "planted-bugs")]
        tanist_db_core::planted::plant(bug);
        let poll = task.as_mut().poll(&mut Context::from_waker(&waker));
        // Nobody listens any more if the process was killed meanwhile.
        let _ = signal.send(Signal::Ran(task, poll));
    });
    let apart = Parked { signals, resume: Some(resume), thread: Some(thread) }.wait();
    // If it came to its end without permission to execute, the next step is made apart too.
    watch.lock().stop = None;
    apart
}

impl Parked {
    /// The thread runs on.
    pub(super) fn go_on(mut self) -> Apart {
        self.resume = None;
        self.wait()
    }

    fn wait(mut self) -> Apart {
        match self.signals.recv() {
            Ok(Signal::Parks(lasts)) => Apart::Parks(self, lasts),
            Ok(Signal::Ran(task, poll)) => Apart::Ran(task, poll),
            Err(_) => {
                let panic = self.thread.take().and_then(|thread| thread.join().err());
                resume_unwind(panic.expect("a step that ends without a word has panicked"))
            }
        }
    }
}

impl Drop for Parked {
    fn drop(&mut self) {
        self.resume = None;
        // A panic of a step that nobody waits for is nobody's finding.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

//! What a session needs of its environment beside its stream: timers, and a worker thread for long commands. Through it a
//! simulator also sees what is executed when, and can pause a thread where the operating system might.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, LocalBoxFuture};
use tanist_db_core::clock::{Clock, Monotonic, UnixMillis};
use tanist_db_core::ids::Lsn;
use tanist_db_core::limits::LARGE_REPLY_BYTES;
use tanist_replication::serving::PrimaryAddress;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio::time::{Instant, Sleep};

use super::Job;
use crate::front::forward::{Greeting, LinkStream, Links};

/// Where a session runs. Waking and a thread apart are asked of it; the rest is for whoever watches.
pub trait Runtime {
    /// Ready at `deadline` on `clock`, or earlier: whoever asks looks at the clock and asks again.
    fn poll_alarm(&mut self, deadline: Monotonic, clock: &dyn Clock, cx: &mut Context<'_>) -> Poll<()>;

    /// Runs `job` on a thread that serves nobody else, once there is one of `places`; the future ends when it has run. A job
    /// whose future is dropped before it has begun is not run.
    fn apart(&mut self, places: &Arc<Semaphore>, job: Job) -> BoxFuture<'static, ()>;

    /// Bytes of a reply beyond which it is made from a frozen version.
    fn large_bytes(&self) -> usize {
        LARGE_REPLY_BYTES
    }

    /// A stream to a session at another node.
    type Link: AsyncRead + AsyncWrite + Unpin;

    /// Ends with such a stream, or the reason why there is none.
    type Opening: Future<Output = io::Result<Self::Link>> + Unpin;

    /// Opens a stream to `primary` and greets it.
    fn open_link(&mut self, primary: Arc<PrimaryAddress>, greeting: Greeting) -> Self::Opening;

    /// A request is about to be sent on that stream: the client's, or (`own`) the session's.
    fn forwarded(&mut self, _own: bool) {}

    /// The reply to the oldest of them is complete.
    fn forwarded_replied(&mut self, _own: bool) {}

    /// The stream is over: nothing else is replied to.
    fn forwarding_ended(&mut self) {}

    /// A command has permission to execute, and has not begun to.
    fn permitted(&mut self) {}

    /// A read is about to be executed by a standby.
    fn reads_here(&mut self) {}

    /// A reply has been written behind all others. It tells nothing that is not durable at the position given, and was made at
    /// the time given; without them it is an error of the session's own: its command was not executed.
    fn replied(&mut self, _executed: Option<(Lsn, UnixMillis)>) {}

    /// A message has been written behind all replies. It tells nothing that is not durable at the position given.
    fn messaged(&mut self, _lsn: Lsn) {}
}

/// A thread with tokio's timers, and the way to other nodes if it has one. One alarm is armed when needed and then left to run: deadlines
/// mostly move away, and re-arming for each costs more than an alarm in vain.
#[derive(Debug, Default)]
pub struct TokioThread {
    links: Option<Rc<Links>>,
    sleep: Option<Pin<Box<Sleep>>>,
    /// When it will fire, if armed.
    at: Option<Monotonic>,
}

impl TokioThread {
    /// A thread from which others can be reached by `links`.
    #[must_use]
    pub fn with_links(links: Rc<Links>) -> Self {
        Self { links: Some(links), ..Self::default() }
    }
}

impl Runtime for TokioThread {
    type Link = LinkStream;

    type Opening = LocalBoxFuture<'static, io::Result<LinkStream>>;

    fn open_link(&mut self, primary: Arc<PrimaryAddress>, greeting: Greeting) -> Self::Opening {
        let links = self.links.clone();
        async move {
            let links = links.ok_or_else(|| io::Error::other("this session has no way to other nodes"))?;
            links.open(&primary, &greeting).await
        }
        .boxed_local()
    }

    fn apart(&mut self, places: &Arc<Semaphore>, job: Job) -> BoxFuture<'static, ()> {
        let places = Arc::clone(places);
        async move {
            // An error would mean that somebody has closed the places, which nobody does.
            let Ok(place) = places.acquire_owned().await else { return };
            let run = move || {
                job();
                drop(place);
            };
            // A job that panics ends the process.
            let _ = tokio::task::spawn_blocking(run).await;
        }
        .boxed()
    }

    fn poll_alarm(&mut self, deadline: Monotonic, clock: &dyn Clock, cx: &mut Context<'_>) -> Poll<()> {
        let armed = self.at.is_some_and(|at| at <= deadline);
        if !armed {
            if deadline == Monotonic(u64::MAX) {
                return Poll::Pending;
            }
            let at = Instant::now() + deadline.since(clock.monotonic());
            match &mut self.sleep {
                Some(sleep) => sleep.as_mut().reset(at),
                place => *place = Some(Box::pin(tokio::time::sleep_until(at))),
            }
            self.at = Some(deadline);
        }
        let Some(sleep) = &mut self.sleep else { return Poll::Pending };
        if sleep.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.at = None;
        Poll::Ready(())
    }
}

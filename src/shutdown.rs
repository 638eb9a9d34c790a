//! Shutdown requests of a process: SIGTERM, SIGINT, or end of file on stdin if its parent has the other end of the pipe.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// How long a child that got SIGTERM gives its parent to stop it in its turn: a standby and a primary stop before the vault.
const PARENT_WAIT: Duration = Duration::from_secs(3);
/// What a parent that stops its children in order writes before it closes the pipe. One that was killed says nothing.
pub const IN_ORDER: &[u8] = b"stop\n";

/// A request to stop that any number of tasks can wait for. Once made it stays.
#[derive(Clone, Debug)]
pub struct Shutdown {
    asked: watch::Receiver<bool>,
    ask: Arc<watch::Sender<bool>>,
    orphaned: Arc<AtomicBool>,
}

impl Shutdown {
    /// Nobody has asked yet, and only [`Shutdown::ask`] does.
    #[must_use]
    pub fn new() -> Self {
        let (ask, asked) = watch::channel(false);
        Self { asked, ask: Arc::new(ask), orphaned: Arc::default() }
    }

    /// Asked by SIGTERM or SIGINT; or, with a parent that holds the other end of stdin, by its end: then the parent is gone
    /// or wants us to go.
    ///
    /// A Ctrl-C, and the SIGTERM of a service manager, reach parent and children at once. A child leaves them to its parent,
    /// which stops its children in order; only when a SIGTERM is not followed by the end of stdin for `PARENT_WAIT` it was
    /// meant for the child alone.
    ///
    /// # Errors
    /// The handlers cannot be installed. Must run within a tokio runtime.
    pub fn from_signals(parent_pipe: bool) -> io::Result<Self> {
        let shutdown = Self::new();
        for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
            let mut signals = signal(kind)?;
            let shutdown = shutdown.clone();
            tokio::spawn(async move {
                while signals.recv().await.is_some() {
                    if !parent_pipe {
                        shutdown.ask();
                    } else if kind == SignalKind::terminate() {
                        tokio::time::sleep(PARENT_WAIT).await;
                        shutdown.ask();
                    }
                }
            });
        }
        if parent_pipe {
            let shutdown = shutdown.clone();
            // A blocking read needs a thread of its own; it ends with the process.
            std::thread::Builder::new().name("parent-pipe".into()).spawn(move || {
                let mut ignored = [0u8; 64];
                let mut stdin = io::stdin().lock();
                let mut spoke = false;
                while matches!(stdin.read(&mut ignored), Ok(read) if read > 0) {
                    spoke = true;
                }
                // Relaxed: whoever is asked sees it, since asking takes a lock.
                shutdown.orphaned.store(!spoke, Ordering::Relaxed);
                shutdown.ask();
            })?;
        }
        Ok(shutdown)
    }

    /// Notifies all waiters of the shutdown.
    pub fn ask(&self) {
        self.ask.send_replace(true);
    }

    /// True once somebody has asked.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        *self.asked.borrow()
    }

    /// True if the parent has died without a clean shutdown, in which it would have stopped its other children in order.
    #[must_use]
    pub fn is_orphaned(&self) -> bool {
        self.orphaned.load(Ordering::Relaxed)
    }

    /// Ends when somebody has asked; at once if that has happened.
    pub async fn asked(&self) {
        let mut asked = self.asked.clone();
        // The sender lives as long as `self`: waiting cannot fail.
        let _ = asked.wait_for(|asked| *asked).await;
    }
}

impl Default for Shutdown {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_reaches_those_who_wait_and_those_who_come_later() {
        let shutdown = Shutdown::new();
        let waiting = tokio::spawn({
            let shutdown = shutdown.clone();
            async move { shutdown.asked().await }
        });
        assert!(!shutdown.is_asked());
        shutdown.ask();
        waiting.await.expect("the task does not panic");
        shutdown.asked().await;
        assert!(shutdown.is_asked());
    }
}

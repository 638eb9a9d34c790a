//! The supervisor of a node's database process: starts it, waits for its exit, reports the death to the vault, and restarts it.
//!
//! A supervisor knows one thing that nobody else can know: a child process whose exit it has collected (`waitpid`) is certainly
//! dead. Its obituary (death notice) ends that process's lease at once, so the standby need not wait for it to run out. Nothing
//! less certain (a lost connection, a silent process) is ever reported. If the supervisor itself was killed, its successor checks
//! the lock file of the database process: once the kernel has released that lock, the process is dead.
//!
//! The standard input of the database process is the read end of a pipe from its supervisor. End of file means that the
//! supervisor is gone, or wants it to stop: it then drains and releases its lease.
//!
//! | the process | then |
//! |---|---|
//! | ends with code 75 ([`EXIT_REJOIN`]: fenced or diverged) | obituary, start again at once |
//! | ends with code 78 ([`EXIT_CONFIG`]: its settings are wrong) | obituary, stop: starting again changes nothing |
//! | ends in any other way | obituary, start again at once |
//! | ends soon after its start, repeatedly | as above, after a pause of 100 ms that doubles up to 5 s |
//! | was asked to stop and does not | is killed after ten seconds |

mod obituary;
mod restarts;

use std::future::Future;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tanist_db_core::clock::Clock;
use thiserror::Error;
use tokio::process::{Child, Command};

use crate::EVENT;
use crate::limits::CHILD_STOP_WAIT;
use crate::transport::address::HostPort;
use crate::transport::tls::Credentials;

use obituary::Obituaries;
pub use restarts::Restarts;

/// Exit code of a database process that must start again as a joining node (`EX_TEMPFAIL`).
pub const EXIT_REJOIN: i32 = 75;
/// Exit code of a process whose settings are wrong (`EX_CONFIG`).
pub const EXIT_CONFIG: i32 = 78;

/// What a supervisor must know.
#[derive(Clone, Debug)]
pub struct SupervisorOptions {
    /// The node's name, as in its certificate.
    pub node: String,
    /// The node's certificate.
    pub credentials: Arc<Credentials>,
    /// Where the vault is dialled.
    pub vault: HostPort,
    /// The process's clock.
    pub clock: Arc<dyn Clock>,
    /// Incarnation of a database process of an earlier supervisor that is certainly dead: the vault is told of it first, so that
    /// its lease need not run out.
    pub predecessor: Option<u64>,
}

/// Why a supervisor has stopped although nobody asked it to.
#[derive(Debug, Error)]
pub enum SupervisorError {
    /// The database process says that its settings are wrong; it has said why.
    #[error("the database process of node {0} refuses its settings: see its own message")]
    Settings(String),
    /// The database process cannot even be started.
    #[error("the database process of node {node} cannot be started: {source}")]
    Start {
        /// The node.
        node: String,
        /// Why.
        source: std::io::Error,
    },
}

/// How a child has ended, and whether that was asked for.
enum Ended {
    Asked,
    ByItself(ExitStatus),
}

/// Keeps a database process running until `stop` is ready, then shuts it down cleanly. `command` makes the command that starts
/// it, given its incarnation; its standard input is replaced by the pipe.
///
/// # Errors
/// If the process refuses its settings or cannot be started.
pub async fn supervise(
    options: SupervisorOptions,
    command: impl Fn(u64) -> std::process::Command,
    stop: impl Future<Output = ()>,
) -> Result<(), SupervisorError> {
    let obituaries = Obituaries::start(&options);
    if let Some(dead) = options.predecessor {
        obituaries.tell(dead);
    }
    let mut restarts = Restarts::default();
    let mut stop = std::pin::pin!(stop);
    loop {
        let incarnation = new_incarnation();
        let begun = options.clock.monotonic();
        let mut child = start(&options.node, command(incarnation))?;
        let ended = watch(&options.node, &mut child, stop.as_mut()).await;
        // `watch` returns when the process is reaped, and not before.
        obituaries.tell(incarnation);
        let status = match ended {
            Ended::Asked => {
                obituaries.finish().await;
                return Ok(());
            }
            Ended::ByItself(status) => status,
        };
        if status.code() == Some(EXIT_CONFIG) {
            obituaries.finish().await;
            return Err(SupervisorError::Settings(options.node));
        }
        let lived = options.clock.monotonic().since(begun);
        let pause = restarts.pause(lived);
        report(status, lived, pause);
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stop.as_mut() => {
                obituaries.finish().await;
                return Ok(());
            }
        }
    }
}

fn start(node: &str, command: std::process::Command) -> Result<Child, SupervisorError> {
    let mut command = Command::from(command);
    command.stdin(Stdio::piped()).kill_on_drop(true);
    let child = command.spawn().map_err(|source| SupervisorError::Start { node: node.to_owned(), source })?;
    tracing::info!(target: EVENT, "database process {} started", child.id().unwrap_or_default());
    Ok(child)
}

/// Waits until the child has ended and is reaped.
async fn watch(node: &str, child: &mut Child, stop: impl Future<Output = ()>) -> Ended {
    // `Child::wait` would close the pipe at once.
    let pipe = child.stdin.take();
    tokio::select! {
        biased;
        status = child.wait() => return Ended::ByItself(reaped(status)),
        () = stop => {}
    }
    drop(pipe);
    signal(child, Signal::TERM);
    if tokio::time::timeout(CHILD_STOP_WAIT, child.wait()).await.is_err() {
        tracing::warn!("node {node}: the database process does not stop; killing it");
        signal(child, Signal::KILL);
        reaped(child.wait().await);
    }
    tracing::info!("node {node}: database process stopped");
    Ended::Asked
}

fn reaped(status: std::io::Result<ExitStatus>) -> ExitStatus {
    status.expect("a child that was started and not yet waited for can be waited for")
}

fn signal(child: &Child, signal: Signal) {
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // It may have ended in the meantime; then there is nothing to tell it. Its number cannot be another's before it is
        // reaped, which only `wait` does.
        let _ = rustix::process::kill_process(pid, signal);
    }
}

fn report(status: ExitStatus, lived: Duration, pause: Duration) {
    let lived = lived.as_secs_f64();
    let then = if pause.is_zero() { "now".to_owned() } else { format!("in {} ms", pause.as_millis()) };
    match status.code() {
        Some(EXIT_REJOIN) => {
            tracing::info!(target: EVENT, "database process has to rejoin (after {lived:.1} s); starting it again {then}");
        }
        _ => {
            tracing::warn!(target: EVENT, "database process ended, {status} (after {lived:.1} s); starting it again {then}");
        }
    }
}

/// Distinguishes one start from all others of the node.
fn new_incarnation() -> u64 {
    rand::random::<u64>().max(1)
}

#[cfg(test)]
mod tests;

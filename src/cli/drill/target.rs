//! The process that a drill kills or pauses. A process id alone is not enough to send a signal: it may be out of date, or belong
//! to another machine or container. First the process is pinned by a handle (pidfd); then it must hold this cluster's own lock;
//! the signal is sent through the handle.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::time::sleep;

use crate::cli::status::NodeStatus;
use crate::cluster_file::{DataFolder, database_lock};
use crate::exit::Failure;

/// Pause between two looks whether a process has stopped.
const STATE_PAUSE: Duration = Duration::from_millis(1);

/// A database process of this cluster on this machine.
#[derive(Debug)]
pub(super) struct Target {
    handle: OwnedFd,
    pid: Pid,
}

impl Target {
    /// The database process of `node`, which has said its process id itself.
    ///
    /// # Errors
    /// It is not a process of this machine that works for this cluster.
    pub(super) fn find(folder: &DataFolder, node: &NodeStatus) -> Result<Target, Failure> {
        let pid = node.pid.and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
        let (Some(pid), Some(number)) = (pid, node.pid) else {
            return Err(not_here(node, "its process id is not known"));
        };
        let handle = pidfd_open(pid, PidfdFlags::empty())
            .map_err(|e| not_here(node, &format!("there is no process {number} here: {e}")))?;
        let lock = database_lock(&node.name);
        if folder.holder(&lock) != Some(number) {
            return Err(not_here(
                node,
                &format!("process {number} does not hold {lock} in {}", folder.root().display()),
            ));
        }
        if !has_open(number, &folder.root().join(&lock)) {
            return Err(not_here(node, &format!("process {number} of this machine is another one, or another user's")));
        }
        Ok(Target { handle, pid })
    }

    /// SIGKILL.
    pub(super) fn kill(&self) -> Result<(), Failure> {
        self.signal(Signal::KILL)
    }

    /// SIGSTOP, until what is returned is dropped.
    pub(super) fn pause(self) -> Result<Paused, Failure> {
        self.signal(Signal::STOP)?;
        Ok(Paused { target: self })
    }

    /// The kernel's letter for what the process does; `None` if it has gone.
    fn state(&self) -> Option<char> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid.as_raw_nonzero())).ok()?;
        // The name before it stands in brackets and may contain anything.
        stat.rsplit(") ").next()?.chars().next()
    }

    fn signal(&self, signal: Signal) -> Result<(), Failure> {
        pidfd_send_signal(&self.handle, signal)
            .map_err(|e| Failure::Runtime(format!("cannot send a signal to the database process: {e}")))
    }
}

/// A process that is stopped for as long as this lives: whatever ends the drill, it goes on.
#[derive(Debug)]
pub(super) struct Paused {
    target: Target,
}

impl Paused {
    /// Ends when the process does nothing more: on a busy machine it may run on for a while after the signal.
    pub(super) async fn stopped(&self) {
        while !matches!(self.target.state(), None | Some('T')) {
            sleep(STATE_PAUSE).await;
        }
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        // If it has been killed meanwhile there is nothing to continue.
        let _gone = self.target.signal(Signal::CONT);
    }
}

fn not_here(node: &NodeStatus, why: &str) -> Failure {
    Failure::Config(format!(
        "node {} cannot be killed or paused from here ({why}): run the drill on its machine, with its data folder, as its \
         user; nothing was done",
        node.name
    ))
}

/// True if process `pid` has this very file open.
fn has_open(pid: u32, file: &Path) -> bool {
    let Ok(file) = fs::metadata(file) else { return false };
    let open = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    open.filter_map(|entry| fs::metadata(entry.path()).ok())
        .any(|open| (open.dev(), open.ino()) == (file.dev(), file.ino()))
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use super::*;

    fn node(pid: Option<u32>) -> NodeStatus {
        NodeStatus { name: "a".into(), pid, ..NodeStatus::default() }
    }

    /// A process that does nothing until its standard input ends.
    fn bystander() -> Child {
        Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("`cat` starts")
    }

    #[test]
    fn the_holder_of_the_lock_is_found() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let folder = DataFolder::new(dir.path());
        let _lock = folder.lock(&database_lock("a"), Duration::ZERO).expect("free");
        Target::find(&folder, &node(Some(std::process::id()))).expect("this process holds the lock");
    }

    #[test]
    fn another_process_is_never_a_target() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let folder = DataFolder::new(dir.path());
        let mut other = bystander();
        let refused = |why: &str| {
            let failure = Target::find(&folder, &node(Some(other.id()))).expect_err(why);
            assert!(failure.to_string().contains("nothing was done"), "{why}: {failure}");
        };
        refused("nobody holds the lock");
        let lock = folder.lock(&database_lock("a"), Duration::ZERO).expect("free");
        refused("another process holds it");
        // As in a container: the lock is held, and the number in it is that of another process here.
        fs::write(dir.path().join(database_lock("a")), other.id().to_string()).expect("written");
        refused("the number in the lock is another's");
        drop(lock);
        drop(other.stdin.take());
        other.wait().expect("it ends");
        assert!(Target::find(&folder, &node(None)).is_err(), "no process id");
    }

    #[tokio::test]
    async fn what_was_paused_goes_on_when_the_pause_is_dropped() {
        let mut other = bystander();
        let pid = i32::try_from(other.id()).ok().and_then(Pid::from_raw).expect("a process id");
        let target = Target { handle: pidfd_open(pid, PidfdFlags::empty()).expect("it lives"), pid };
        let paused = target.pause().expect("it is ours");
        paused.stopped().await;
        assert_eq!(paused.target.state(), Some('T'));
        drop(paused);
        drop(other.stdin.take());
        assert!(other.wait().expect("it ends, so it goes on").success());
    }
}

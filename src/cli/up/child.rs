//! A child process that is kept running: started, its output read, restarted with growing backoff when it dies, and stopped.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tanist_db_core::clock::{Clock, SystemClock, UnixMillis};
use tanist_replication::supervisor::Restarts;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{ChildStdout, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::narrator::Narrator;
use crate::shutdown::{IN_ORDER, Shutdown};
use crate::telemetry::Said;

/// Time to finish what was begun; a child that needs more is stuck and is killed.
const STOP_MAX: Duration = Duration::from_secs(10);
/// A log is set aside as `.1` at the start of a process when it has grown beyond this.
const LOG_BYTES_MAX: u64 = 16 << 20;
/// Where the last words of a child are looked for, from the end of its log.
const LAST_WORDS_BYTES: u64 = 4096;

/// What to run.
#[derive(Clone, Debug)]
pub(super) struct ChildSpec {
    /// Name in the event log.
    pub(super) who: String,
    pub(super) program: OsString,
    pub(super) args: Vec<OsString>,
    pub(super) env: Vec<(&'static str, OsString)>,
    /// Its stderr.
    pub(super) log: PathBuf,
}

/// What is known of a child.
#[derive(Clone, Debug, Default)]
pub(super) struct ChildState {
    /// How often it has ended without being asked.
    pub(super) deaths: u32,
    /// Why it ended last.
    pub(super) why: String,
    /// Exit code of the last end; none if a signal ended it.
    pub(super) code: Option<i32>,
}

/// A child and the task that keeps it running.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) who: String,
    pub(super) state: watch::Receiver<ChildState>,
    stop: Shutdown,
    task: JoinHandle<()>,
}

impl Child {
    pub(super) fn start(spec: ChildSpec, narrator: Narrator) -> Child {
        let (tell, state) = watch::channel(ChildState::default());
        let stop = Shutdown::new();
        let who = spec.who.clone();
        let task = tokio::spawn(keep_running(spec, narrator, stop.clone(), tell));
        Child { who, state, stop, task }
    }

    /// Completes when the child has died without being asked; returns what is known of it then.
    pub(super) async fn died(&mut self) -> ChildState {
        match self.state.wait_for(|state| state.deaths > 0).await {
            Ok(state) => state.clone(),
            Err(_) => std::future::pending().await,
        }
    }

    /// Stops the child and waits for its end.
    pub(super) async fn stop(self) {
        self.stop.ask();
        let _ended = self.task.await;
    }
}

async fn keep_running(spec: ChildSpec, narrator: Narrator, stop: Shutdown, tell: watch::Sender<ChildState>) {
    let clock = SystemClock::new();
    let mut restarts = Restarts::default();
    while !stop.is_asked() {
        let started = clock.monotonic();
        let end = run_once(&spec, &narrator, &stop).await;
        if stop.is_asked() {
            return;
        }
        let pause = restarts.pause(clock.monotonic().since(started));
        let (why, code) = match end {
            Ok(status) => (how(status, &last_words(&spec.log)), status.code()),
            Err(e) => (format!("cannot be started: {e}"), None),
        };
        narrator.say(&spec.who, &format!("died: {why}"));
        tell.send_modify(|state| *state = ChildState { deaths: state.deaths + 1, why, code });
        tokio::select! {
            () = sleep(pause) => narrator.say(&spec.who, "is started again"),
            () = stop.asked() => return,
        }
    }
}

/// Runs the child until it ends, or until it is asked to stop and has done so.
async fn run_once(spec: &ChildSpec, narrator: &Narrator, stop: &Shutdown) -> io::Result<ExitStatus> {
    let mut child = Command::new(&spec.program)
        .args(&spec.args)
        .envs(spec.env.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(open_log(&spec.log)?)
        .spawn()?;
    // Held open for as long as the child shall run; `wait` would close it.
    let mut asks_to_stop = child.stdin.take();
    if let Some(stdout) = child.stdout.take() {
        tokio::spawn(tell_events(stdout, spec.who.clone(), narrator.clone()));
    }
    tokio::select! {
        status = child.wait() => return status,
        () = stop.asked() => {}
    }
    if let Some(pipe) = &mut asks_to_stop {
        // One that has just died does not take it.
        let _ = pipe.write_all(IN_ORDER).await;
    }
    drop(asks_to_stop);
    match timeout(STOP_MAX, child.wait()).await {
        Ok(status) => status,
        Err(_) => {
            narrator.say(&spec.who, &format!("did not stop within {} s: killed", STOP_MAX.as_secs()));
            child.start_kill()?;
            child.wait().await
        }
    }
}

/// Shows the events of a child, and of its own child, which has the same stdout.
async fn tell_events(stdout: ChildStdout, who: String, narrator: Narrator) {
    let mut lines = BufReader::new(stdout).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        match serde_json::from_str::<Said>(&line) {
            Ok(said) => narrator.line(UnixMillis(said.unix_ms), &said.who, &said.text),
            Err(_) => narrator.say(&who, &line),
        }
    }
}

fn open_log(path: &Path) -> io::Result<File> {
    if fs::metadata(path).is_ok_and(|log| log.len() > LOG_BYTES_MAX) {
        fs::rename(path, path.with_extension("log.1"))?;
    }
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

/// The end of a process, in words.
fn how(status: ExitStatus, last_words: &str) -> String {
    match (status.code(), status.signal()) {
        (_, Some(signal)) => format!("killed by signal {signal}"),
        (Some(0), _) => "it stopped".into(),
        (code, _) if last_words.is_empty() => format!("exit code {}", code.unwrap_or_default()),
        _ => last_words.to_owned(),
    }
}

/// The sentence with which a child that gave up took its leave; empty if it said nothing.
fn last_words(log: &Path) -> String {
    let tail = || -> io::Result<Vec<u8>> {
        let mut file = File::open(log)?;
        let from = file.metadata()?.len().saturating_sub(LAST_WORDS_BYTES);
        file.seek(SeekFrom::Start(from))?;
        let mut tail = Vec::new();
        file.take(LAST_WORDS_BYTES).read_to_end(&mut tail)?;
        Ok(tail)
    };
    let tail = tail().unwrap_or_default();
    let tail = String::from_utf8_lossy(&tail);
    tail.lines().next_back().and_then(|line| line.strip_prefix("tanist: ")).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(dir: &Path, script: &str) -> ChildSpec {
        ChildSpec {
            who: "child".into(),
            program: "/bin/sh".into(),
            args: vec!["-c".into(), script.into()],
            env: Vec::new(),
            log: dir.join("child.log"),
        }
    }

    #[tokio::test]
    async fn a_child_that_dies_is_started_again_and_its_last_words_are_kept() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let narrator = Narrator::start().expect("a thread");
        let script = "echo 'a log line' >&2; echo 'tanist: the disk is full' >&2; exit 1";
        let mut child = Child::start(spec(dir.path(), script), narrator);
        let state = child.died().await;
        assert_eq!((state.why.as_str(), state.code), ("the disk is full", Some(1)));
        child.state.wait_for(|state| state.deaths > 1).await.expect("its task lives");
        child.stop().await;
    }

    #[tokio::test]
    async fn a_child_stops_at_the_end_of_its_stdin() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let narrator = Narrator::start().expect("a thread");
        let done = dir.path().join("done");
        let script = format!("cat; echo clean > {}", done.display());
        let child = Child::start(spec(dir.path(), &script), narrator);
        while !dir.path().join("child.log").exists() {
            sleep(Duration::from_millis(5)).await;
        }
        child.stop().await;
        assert_eq!(fs::read_to_string(done).expect("it went through its end"), "clean\n");
    }
}

//! A cluster of real processes under test, and the few ways to treat it badly.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::Value;
pub(crate) use tanist_test_support::{PATIENCE, print_times, rounds, seed, signal, wait_until};
use tanist_test_support::{parent, tail};

/// The program under test.
pub(crate) const TANIST: &str = env!("CARGO_BIN_EXE_tanist");

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// A running `tanist up` and its folder.
pub(crate) struct Cluster {
    dir: Option<tempfile::TempDir>,
    pub(crate) port: u16,
    options: Vec<String>,
    up: Option<Child>,
    /// Process groups whose `up` was killed alone.
    left: Vec<Pid>,
    _turn: MutexGuard<'static, ()>,
}

/// A node as `tanist status --json` shows it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) role: String,
    pub(crate) pid: i32,
    pub(crate) port: u16,
    pub(crate) applied: u64,
}

impl Cluster {
    /// Starts a pair and waits until one node is primary and the other standby.
    pub(crate) fn start() -> Self {
        Self::with_options(&[])
    }

    /// The same with more flags for `tanist up`.
    pub(crate) fn with_options(options: &[&str]) -> Self {
        let mut cluster = Self::prepared(options);
        cluster.up();
        cluster
    }

    /// A folder and free ports, nothing running yet.
    pub(crate) fn prepared(options: &[&str]) -> Self {
        let turn = ONE_AT_A_TIME.lock();
        let dir = tempfile::Builder::new().prefix("tanist-test-").tempdir().expect("a temporary folder");
        let options = options.iter().map(ToString::to_string).collect();
        Self { dir: Some(dir), port: free_ports(), options, up: None, left: Vec::new(), _turn: turn }
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.dir.as_ref().expect("the folder lives as long as the cluster").path().join("data")
    }

    /// `tanist up` as a command, not started.
    pub(crate) fn up_command(&self) -> Command {
        let mut command = Command::new(TANIST);
        command.arg("up").arg("--data").arg(self.data()).args(["--port", &self.port.to_string()]).args(&self.options);
        command
    }

    /// Starts `tanist up` and waits for a serving pair.
    pub(crate) fn up(&mut self) {
        self.begin_up();
        self.wait_for_pair();
    }

    /// Starts `tanist up` in a process group of its own.
    pub(crate) fn begin_up(&mut self) {
        let log = self.data().with_file_name("up.log");
        let log = fs::File::options().create(true).append(true).open(log).expect("the log of `up`");
        let child = self
            .up_command()
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .expect("tanist up starts");
        self.up = Some(child);
    }

    /// What `up` has printed so far.
    pub(crate) fn events(&self) -> String {
        fs::read_to_string(self.data().with_file_name("up.log")).unwrap_or_default()
    }

    /// `tanist status --json` of this cluster; `None` while it cannot answer.
    pub(crate) fn status(&self) -> Option<Value> {
        let output = self.tool(&["status", "--json"]);
        if output.status.success() { serde_json::from_slice(&output.stdout).ok() } else { None }
    }

    /// A `tanist` command with `--data` of this cluster.
    pub(crate) fn tool(&self, arguments: &[&str]) -> Output {
        self.tool_command(arguments).output().expect("the tool runs")
    }

    /// The same, not run yet.
    pub(crate) fn tool_command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(TANIST);
        command.args(arguments).arg("--data").arg(self.data()).stdin(Stdio::null());
        command
    }

    pub(crate) fn nodes(&self) -> Vec<Node> {
        let Some(status) = self.status() else { return Vec::new() };
        let nodes = status["nodes"].as_array().cloned().unwrap_or_default();
        nodes.iter().filter(|node| node["reachable"] == true).filter_map(Node::read).collect()
    }

    pub(crate) fn vault_pid(&self) -> i32 {
        let status = self.status().expect("the cluster answers");
        status["vault"]["pid"].as_i64().expect("the vault's process id") as i32
    }

    /// Waits until one node is primary and another standby; returns them.
    pub(crate) fn wait_for_pair(&self) -> (Node, Node) {
        self.wait_for("a primary and a standby", |nodes| {
            let primary = nodes.iter().find(|node| node.role == "primary")?;
            let standby = nodes.iter().find(|node| node.role == "standby")?;
            Some((primary.clone(), standby.clone()))
        })
    }

    /// Waits until the standby has applied all that the primary has; only sensible while nobody writes.
    pub(crate) fn wait_for_equal(&self) -> (Node, Node) {
        self.wait_for("a standby that has applied everything", |nodes| {
            let primary = nodes.iter().find(|node| node.role == "primary")?;
            let standby = nodes.iter().find(|node| node.role == "standby" && node.applied == primary.applied)?;
            Some((primary.clone(), standby.clone()))
        })
    }

    pub(crate) fn wait_for<T>(&self, what: &str, condition: impl Fn(&[Node]) -> Option<T>) -> T {
        let start = Instant::now();
        loop {
            let nodes = self.nodes();
            if let Some(found) = condition(&nodes) {
                return found;
            }
            assert!(start.elapsed() < PATIENCE, "no {what} within {PATIENCE:?}; nodes: {nodes:#?}\n{}", self.logs());
            sleep(Duration::from_millis(50));
        }
    }

    /// SIGKILL to `up` and everything that it started, at one moment.
    pub(crate) fn kill_everything(&mut self) {
        if let Some(mut up) = self.up.take() {
            let group = Pid::from_child(&up);
            kill_process_group(group, Signal::KILL).expect("the group is ours");
            up.wait().expect("up is reaped");
            wait_until("every process of the group has gone", || {
                rustix::process::test_kill_process_group(group).is_err().then_some(())
            });
        }
    }

    /// SIGKILL to `up` alone: its children are left to notice it.
    pub(crate) fn kill_up(&mut self) {
        let mut up = self.up.take().expect("`up` is running");
        self.left.push(Pid::from_child(&up));
        up.kill().expect("it is ours");
        up.wait().expect("up is reaped");
    }

    /// SIGTERM to `up`; waits until it and its children have gone. Returns its exit code.
    pub(crate) fn stop(&mut self) -> Option<i32> {
        let mut up = self.up.take()?;
        let group = Pid::from_child(&up);
        let _ = kill_process(group, Signal::TERM);
        let start = Instant::now();
        loop {
            if let Some(status) = up.try_wait().expect("up can be waited for") {
                return status.code();
            }
            if start.elapsed() > PATIENCE {
                let _ = kill_process_group(group, Signal::KILL);
                let _ = up.wait();
                panic!("tanist up did not stop within {PATIENCE:?} of SIGTERM\n{}", self.logs());
            }
            sleep(Duration::from_millis(20));
        }
    }

    /// The ends of all logs, for a failing test's message.
    pub(crate) fn logs(&self) -> String {
        let mut all = format!("--- up ---\n{}", tail(&self.events()));
        let Ok(entries) = fs::read_dir(self.data().join("logs")) else { return all };
        for entry in entries.flatten() {
            let text = fs::read_to_string(entry.path()).unwrap_or_default();
            all += &format!("\n--- {} ---\n{}", entry.path().display(), tail(&text));
        }
        all
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(mut up) = self.up.take() {
            let group = Pid::from_child(&up);
            if !std::thread::panicking() {
                let _ = kill_process(group, Signal::TERM);
                let start = Instant::now();
                while start.elapsed() < Duration::from_secs(20) && matches!(up.try_wait(), Ok(None)) {
                    sleep(Duration::from_millis(20));
                }
            }
            let _ = kill_process_group(group, Signal::KILL);
            let _ = up.wait();
        }
        for group in &self.left {
            let _ = kill_process_group(*group, Signal::KILL);
        }
        if std::thread::panicking() {
            let logs = self.logs();
            if let Some(dir) = self.dir.take() {
                eprintln!("{logs}\nthe folder is kept: {}", dir.keep().display());
            }
        }
    }
}

impl Node {
    fn read(value: &Value) -> Option<Self> {
        let address = value["resp"].as_str()?;
        Some(Self {
            name: value["name"].as_str()?.to_string(),
            role: value["role"].as_str()?.to_string(),
            pid: i32::try_from(value["pid"].as_i64()?).ok()?,
            port: address.rsplit(':').next()?.parse().ok()?,
            applied: value["applied_lsn"].as_u64()?,
        })
    }

    /// The process that watches this node's database process.
    pub(crate) fn supervisor_pid(&self) -> i32 {
        parent(self.pid)
    }
}

/// Debian's word list, one word a line.
pub(crate) fn words() -> Vec<String> {
    let path = Path::new("/usr/share/dict/american-english");
    let text = fs::read_to_string(path)
        .unwrap_or_else(|error| panic!("{}: {error}; install it with: apt-get install wamerican", path.display()));
    text.lines().map(str::to_string).collect()
}

/// A base port P with TCP P and P + 1 and UDP P to P + 2 free, outside the range that the system hands out itself.
pub(crate) fn free_ports() -> u16 {
    for _ in 0..1000 {
        let base = 10_000 + rand::random::<u16>() % 20_000;
        let tcp: Vec<_> = (base..=base + 1).map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port))).collect();
        let udp: Vec<_> = (base..=base + 2).map(|port| UdpSocket::bind((Ipv4Addr::LOCALHOST, port))).collect();
        if tcp.iter().all(Result::is_ok) && udp.iter().all(Result::is_ok) {
            return base;
        }
    }
    panic!("no free ports");
}

//! A server under test: started on a free port, measured through the kernel's account of its process, stopped at the end.

use std::fs;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum System {
    /// Debian's `redis-server`, no log, no snapshots.
    Redis,
    /// The same with `appendfsync always`.
    RedisAlways,
    /// A pair and a vault, replies at once.
    TanistRelaxed,
    /// A pair and a vault, replies when durable.
    TanistDurable,
}

impl System {
    pub(crate) fn name(self) -> &'static str {
        match self {
            System::Redis => "redis",
            System::RedisAlways => "redis fsync always",
            System::TanistRelaxed => "tanist relaxed",
            System::TanistDurable => "tanist durable",
        }
    }
}

/// A running server.
pub(crate) struct Server {
    pub(crate) system: System,
    pub(crate) port: u16,
    child: Child,
    pid: u32,
    _dir: tempfile::TempDir,
}

impl Server {
    pub(crate) fn start(system: System, tanist: &Path) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let port = free_port();
        let mut command = match system {
            System::Redis | System::RedisAlways => redis(system, port),
            System::TanistRelaxed | System::TanistDurable => {
                let level = if system == System::TanistDurable { "durable" } else { "relaxed" };
                let mut command = Command::new(tanist);
                command.args(["up", "--port", &port.to_string(), "--durability", level, "--data"]);
                command.arg(dir.path().join("data"));
                command
            }
        };
        let child = command
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let start = Instant::now();
        while !ready(port) {
            assert!(start.elapsed() < Duration::from_secs(60), "{} does not serve", system.name());
            sleep(Duration::from_millis(50));
        }
        let pid = match system {
            System::Redis | System::RedisAlways => child.id(),
            _ => database_pid(tanist, &dir.path().join("data"), port),
        };
        Self { system, port, child, pid, _dir: dir }
    }

    /// Processor time that the serving process has used, all its threads, in seconds.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).expect("the server lives");
        let fields: Vec<&str> = stat.rsplit(')').next().expect("a name").split_whitespace().collect();
        let ticks: f64 = fields[11].parse::<f64>().expect("a number") + fields[12].parse::<f64>().expect("a number");
        // The kernel's USER_HZ is 100 on every machine that it shows to user space.
        ticks / 100.0
    }

    /// Resident memory of the serving process.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).expect("the server lives");
        let line = status.lines().find(|line| line.starts_with("VmRSS")).expect("a resident size");
        line.split_whitespace().nth(1).expect("a number").parse::<u64>().expect("a number") * 1024
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let terminated = Command::new("kill").arg(self.child.id().to_string()).status();
        if terminated.is_err() {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

fn redis(system: System, port: u16) -> Command {
    let mut command = Command::new("redis-server");
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
    if system == System::RedisAlways {
        command.args(["--appendonly", "yes", "--appendfsync", "always"]);
    }
    command
}

fn ready(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok() && super::load::can_write(port)
}

fn database_pid(tanist: &Path, data: &Path, port: u16) -> u32 {
    let output = Command::new(tanist).args(["status", "--json", "--data"]).arg(data).output().expect("status runs");
    let status: serde_json::Value = serde_json::from_slice(&output.stdout).expect("status is JSON");
    let nodes = status["nodes"].as_array().expect("nodes");
    let suffix = format!(":{port}");
    let node = nodes.iter().find(|node| node["resp"].as_str().is_some_and(|resp| resp.ends_with(&suffix)));
    let pid = node.and_then(|node| node["pid"].as_u64()).expect("the serving node's process id");
    u32::try_from(pid).expect("a process id")
}

/// A port with two more behind it free.
fn free_port() -> u16 {
    for _ in 0..1000 {
        let base = 10_000 + rand::random::<u16>() % 20_000;
        let tcp = (base..base + 2).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok());
        if tcp && (base..base + 3).all(|port| UdpSocket::bind(("127.0.0.1", port)).is_ok()) {
            return base;
        }
    }
    panic!("no free port");
}

//! A vault and two nodes as processes of their own, each on its host, and what a test may do to them.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use redis::Connection;
use rustix::process::{Pid, Signal, kill_process_group};
use tanist::admin::NodeReport;
use tanist::cluster_file::{ClusterFile, DataFolder, NodeAddress, ServiceAddress};
use tanist_db_core::clock::{Clock, SystemClock};
use tanist_replication::transport::certs;
use tanist_replication::transport::principal::Principal;
use tanist_test_support::{PATIENCE, from_environment, signal, tail, wait_until};

use crate::network::{Host, Network};

/// Every host has its own address, so all may have this port.
const PORT: u16 = 6379;

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// The program under test: `TANIST_PROGRAM`, for a release build, or the one that was built with the tests.
fn program() -> String {
    from_environment("TANIST_PROGRAM").unwrap_or_else(|| env!("CARGO_BIN_EXE_tanist").to_owned())
}

/// The cluster; ends with it.
pub(crate) struct Cluster {
    pub(crate) network: Network,
    dir: Option<tempfile::TempDir>,
    lease: Duration,
    options: Vec<String>,
    /// Of the vault and of the supervisors; a database process is in the process group of its supervisor.
    parts: Vec<(Host, Child)>,
    /// What the processes of a host are started from, if not [`program`].
    programs: Vec<(Host, String)>,
    /// By how much the clocks of a host's processes are off, in milliseconds.
    clock_shift: Vec<(Host, i64)>,
    _turn: MutexGuard<'static, ()>,
}

impl Cluster {
    /// A pair that serves. `options` are for the nodes.
    pub(crate) fn start(lease: Duration, options: &[&str]) -> Cluster {
        Self::with_clocks(lease, options, &[])
    }

    /// The same, with hosts whose wall clocks are off by some milliseconds.
    pub(crate) fn with_clocks(lease: Duration, options: &[&str], clock_shift: &[(Host, i64)]) -> Cluster {
        Self::made(lease, options, clock_shift, Vec::new())
    }

    /// The same, of another program.
    pub(crate) fn of_program(lease: Duration, options: &[&str], program: &str) -> Cluster {
        Self::made(lease, options, &[], Host::ALL.map(|host| (host, program.to_owned())).to_vec())
    }

    fn made(lease: Duration, options: &[&str], clock_shift: &[(Host, i64)], programs: Vec<(Host, String)>) -> Cluster {
        let turn = ONE_AT_A_TIME.lock();
        let network = Network::new();
        let dir = tempfile::Builder::new().prefix("tanist-test-").tempdir().expect("a temporary folder");
        let mut cluster = Cluster {
            network,
            dir: Some(dir),
            lease,
            options: options.iter().map(ToString::to_string).collect(),
            parts: Vec::new(),
            programs,
            clock_shift: clock_shift.to_vec(),
            _turn: turn,
        };
        cluster.make();
        cluster.start_part(Host::Vault);
        for node in Host::NODES {
            cluster.start_part(node);
        }
        cluster.wait_for_pair();
        cluster
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.dir.as_ref().expect("the folder lives as long as the cluster").path().join("data")
    }

    /// The data folder, as `tanist up` would make it, with an address for each host.
    fn make(&self) {
        let address = |host| ServiceAddress::from(SocketAddr::from((self.network.address(host), PORT)));
        let mut file = ClusterFile::new(self.network.address(Host::A).into(), PORT, None, 16).expect("an address");
        file.vault.quic = address(Host::Vault);
        for node in Host::NODES {
            file.nodes.insert(node.name().into(), NodeAddress { resp: address(node), quic: address(node) });
        }
        let folder = DataFolder::new(&self.data());
        folder.create().expect("a temporary folder can be written");
        fs::create_dir_all(folder.logs()).expect("a temporary folder can be written");
        let nodes = Host::NODES.map(|node| Principal::node(node.name()).expect("a name"));
        let principals = [Principal::Vault, Principal::Tool, Principal::Client].into_iter().chain(nodes);
        let principals: Vec<_> = principals.collect();
        certs::create(&folder.tls(), file.cluster.0, &principals, SystemClock::new().unix()).expect("certificates");
        folder.let_vault_begin().expect("a temporary folder can be written");
        file.save(&folder.cluster_toml()).expect("a temporary folder can be written");
    }

    /// Starts the vault, or a node's supervisor, in a process group of its own.
    pub(crate) fn start_part(&mut self, host: Host) {
        let log = self.log(host);
        let log = fs::File::options().create(true).append(true).open(log).expect("a log");
        let lease = self.lease.as_millis();
        let mut command = self.network.command(host, &self.program(host));
        match host {
            Host::Vault => command.arg("vault"),
            _ => command.args(["node", "--name", host.name()]).args(&self.options),
        };
        if let Some((_, shift)) = self.clock_shift.iter().find(|(shifted, _)| *shifted == host) {
            command.env("TANIST_CLOCK_SHIFT_MS", shift.to_string());
        }
        command
            .args(["--child", "--lease-ms", &lease.to_string(), "--renew-ms", &(lease / 8).to_string(), "--data"])
            .arg(self.data())
            // Its end asks to stop: nothing outlives a test that is killed.
            .stdin(Stdio::piped())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .process_group(0);
        self.parts.push((host, command.spawn().expect("it starts")));
    }

    fn program(&self, host: Host) -> String {
        let own = self.programs.iter().rev().find(|(of, _)| *of == host);
        own.map_or_else(program, |(_, program)| program.clone())
    }

    /// What is started on a host from now on is `program`.
    pub(crate) fn install(&mut self, host: Host, program: &str) {
        self.programs.push((host, program.to_owned()));
    }

    /// Asks the vault, or a node, to stop, and waits until it has.
    pub(crate) fn stop_part(&mut self, host: Host) {
        signal(self.pid(host), Signal::TERM);
        let code = self.wait_for_end(host);
        assert_eq!(code, Some(0), "{host:?} stops when it is asked to");
    }

    /// Waits until the vault, or a node, has ended by itself; gives its exit code.
    pub(crate) fn wait_for_end(&mut self, host: Host) -> Option<i32> {
        let at = self.parts.iter().position(|(part, _)| *part == host).expect("it is running");
        let (_, mut child) = self.parts.swap_remove(at);
        let status = wait_until("a process ends", || child.try_wait().expect("it is a child"));
        end(child);
        status.code()
    }

    /// SIGKILL to everything of a host at one moment, as if it lost its power.
    pub(crate) fn kill_host(&mut self, host: Host) {
        let at = self.parts.iter().position(|(part, _)| *part == host).expect("it is running");
        let (_, child) = self.parts.swap_remove(at);
        end(child);
    }

    /// The vault's process, or that of a node's supervisor.
    pub(crate) fn pid(&self, host: Host) -> i32 {
        let (_, child) = self.parts.iter().find(|(part, _)| *part == host).expect("it is running");
        child.id() as i32
    }

    /// A node's database process.
    pub(crate) fn database_pid(&self, node: Host) -> i32 {
        let supervisor = self.pid(node);
        wait_until("a supervisor has a database process", || {
            let children = fs::read_to_string(format!("/proc/{supervisor}/task/{supervisor}/children")).ok()?;
            children.split_whitespace().next()?.parse().ok()
        })
    }

    /// SIGKILL to a node's database process.
    pub(crate) fn kill_database(&self, node: Host) {
        signal(self.database_pid(node), Signal::KILL);
    }

    /// The addresses that clients are given.
    pub(crate) fn nodes(&self) -> Vec<SocketAddr> {
        Host::NODES.map(|node| (self.network.address(node), PORT).into()).to_vec()
    }

    /// What a node says of itself; `None` while it does not answer.
    pub(crate) fn report(&self, node: Host) -> Option<NodeReport> {
        let mut connection = connect((self.network.address(node), PORT).into(), Duration::from_millis(300)).ok()?;
        let text: String = redis::cmd("TANIST").arg("STATUS").query(&mut connection).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Waits until one node is primary and the other its standby, with all that the primary has but the newest.
    pub(crate) fn wait_for_pair(&self) -> (NodeReport, NodeReport) {
        self.wait_for("a primary and its standby", |reports| {
            let primary = reports.iter().find(|report| report.role == "primary")?;
            let standby = reports.iter().find(|report| report.role == "standby" && report.epoch == primary.epoch)?;
            Some((primary.clone(), standby.clone()))
        })
    }

    /// Waits for a pair, and says which host the primary is on.
    pub(crate) fn wait_for_primary(&self) -> Host {
        let (primary, _) = self.wait_for_pair();
        Host::NODES.into_iter().find(|node| node.name() == primary.name).expect("a node of this cluster")
    }

    /// Waits until `condition` is true of what the nodes say of themselves.
    pub(crate) fn wait_for<T>(&self, what: &str, condition: impl Fn(&[NodeReport]) -> Option<T>) -> T {
        let start = Instant::now();
        loop {
            let reports: Vec<_> = Host::NODES.into_iter().filter_map(|node| self.report(node)).collect();
            if let Some(found) = condition(&reports) {
                return found;
            }
            assert!(start.elapsed() < PATIENCE, "no {what} within {PATIENCE:?}: {reports:#?}");
            sleep(Duration::from_millis(20));
        }
    }

    /// A `tanist` command with `--data` of this cluster, on the clients' host.
    pub(crate) fn tool(&self, arguments: &[&str]) -> Output {
        let mut command = self.network.command(Host::Client, &self.program(Host::Client));
        command.args(arguments).arg("--data").arg(self.data()).stdin(Stdio::null()).output().expect("the tool runs")
    }

    fn log(&self, host: Host) -> PathBuf {
        self.data().join("logs").join(format!("{}.log", host.name()))
    }

    /// What the processes of a host have said so far.
    pub(crate) fn said(&self, host: Host) -> String {
        fs::read_to_string(self.log(host)).unwrap_or_default()
    }

    /// The ends of all logs, for a failing test's message.
    fn logs(&self) -> String {
        let logs =
            [Host::Vault, Host::A, Host::B].map(|host| format!("--- {} ---\n{}", host.name(), tail(&self.said(host))));
        logs.join("\n")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.parts.drain(..).for_each(|(_, child)| end(child));
        if std::thread::panicking() {
            let logs = self.logs();
            if let Some(dir) = self.dir.take() {
                eprintln!("{logs}\nthe folder is kept: {}", dir.keep().display());
            }
        }
    }
}

/// SIGKILL to the process group of `child`; waits until all of it has gone.
fn end(mut child: Child) {
    let group = Pid::from_child(&child);
    // Who has ended already needs no signal.
    let _ = kill_process_group(group, Signal::KILL);
    let _ = child.wait();
    while rustix::process::test_kill_process_group(group).is_ok() {
        sleep(Duration::from_millis(1));
    }
}

/// A connection that waits for nothing longer than `wait`.
pub(crate) fn connect(node: SocketAddr, wait: Duration) -> redis::RedisResult<Connection> {
    let client = redis::Client::open((node.ip().to_string(), node.port()))?;
    let connection = client.get_connection_with_timeout(wait)?;
    connection.set_read_timeout(Some(wait))?;
    connection.set_write_timeout(Some(wait))?;
    Ok(connection)
}

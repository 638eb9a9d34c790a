//! Stock clients behind HAProxy, which is configured as docs/balancers.md says: switchovers and kills under load.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tanist_test_support::skip;

use super::follow::{Form, Told, Workers, kill_primary, switch_over};
use crate::harness::{Cluster, PATIENCE, free_ports, rounds, signal, wait_until};
use crate::load::connect;
use rustix::process::Signal;

/// The page with the configuration.
const PAGE: &str = "docs/balancers.md";

/// Rounds of each test unless `TANIST_ROUNDS` says how many; `just balancers` has the usual numbers.
const SWITCHOVERS: usize = 4;
const KILLS: usize = 3;
const REFUSED: usize = 2;

/// What HAProxy says, in its folder.
const LOG: &str = "log";

/// A running HAProxy in front of a pair.
struct Balancer {
    process: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl Balancer {
    /// Starts one for the pair, if it is installed.
    fn start(cluster: &Cluster, refuses: bool) -> Option<Balancer> {
        let installed =
            ["/usr/sbin/haproxy", "/usr/local/sbin/haproxy"].into_iter().find(|path| Path::new(path).exists());
        let Some(program) = installed else {
            skip("stock clients behind a balancer", "haproxy: apt-get install haproxy");
            return None;
        };
        let (folder, port) = (tempfile::tempdir().expect("a folder"), free_ports());
        let path = folder.path().join("haproxy.cfg");
        fs::write(&path, configuration(refuses, port, [cluster.port, cluster.port + 1])).expect("the file is written");
        let log = fs::File::create(folder.path().join(LOG)).expect("a log");
        let mut command = Command::new(program);
        command.arg("-db").arg("-f").arg(&path).stdin(Stdio::null()).stderr(log);
        let process = command.spawn().expect("haproxy starts");
        let balancer = Balancer { process, port, folder };
        balancer.wait_until_healthy();
        Some(balancer)
    }

    /// Waits until a client is served through it.
    fn wait_until_healthy(&self) {
        wait_until("a client is served", || {
            let mut connection = connect(self.port).ok()?;
            redis::cmd("PING").exec(&mut connection).ok()
        });
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            eprintln!("{}", fs::read_to_string(self.folder.path().join(LOG)).unwrap_or_default());
        }
    }
}

/// The page's configuration, with the test's addresses.
fn configuration(refuses: bool, port: u16, nodes: [u16; 2]) -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    let page = fs::read_to_string(page).expect("the page is there");
    let block = |start: &str| {
        let blocks = page.split("```text\n").filter_map(|rest| rest.split_once("```")).map(|(block, _)| block);
        blocks.into_iter().find(|block| block.starts_with(start)).expect("a block of the page").to_owned()
    };
    let mut text = block("defaults\n");
    let mut replace = |theirs: &str, ours: &str| {
        assert_eq!(text.matches(theirs).count(), 1, "{theirs} in {text}");
        text = text.replace(theirs, ours);
    };
    replace("bind :6379", &format!("bind 127.0.0.1:{port}"));
    for (theirs, ours) in ["10.0.0.1:6379", "10.0.0.2:6379"].into_iter().zip(nodes) {
        replace(theirs, &format!("127.0.0.1:{ours}"));
    }
    if refuses {
        replace(
            "    default-server check inter 1s downinter 200ms fall 3 rise 1\n",
            &block("    default-server check"),
        );
    }
    text
}

/// Clients of HAProxy while `act` is done to the pair so many times. Returns what they were told.
fn under_load(standby: &str, times: usize, act: impl Fn(&Cluster)) -> Option<Vec<(String, Form, Told)>> {
    let cluster = Cluster::with_options(&["--standby", standby]);
    let balancer = Balancer::start(&cluster, standby == "refuse")?;
    let workers = Workers::start(&[Form::Address(balancer.port)]);
    workers.wait_for_progress(&cluster);
    for _ in 0..times {
        act(&cluster);
        workers.wait_for_progress(&cluster);
    }
    Some(workers.finish(&cluster))
}

#[test]
fn clients_behind_a_balancer_do_not_notice_a_switchover() {
    for (key, _, told) in under_load("forward", rounds(SWITCHOVERS), switch_over).into_iter().flatten() {
        assert!(told.errors.is_empty(), "{key}: {:?}", told.errors);
    }
}

/// A client has one command under way: of a kill it does not know of more than that, and nothing that it was told was refused.
#[test]
fn clients_behind_a_balancer_go_on_after_a_kill() {
    let kills = rounds(KILLS);
    for (key, _, told) in under_load("forward", kills, |cluster| drop(kill_primary(cluster))).into_iter().flatten() {
        assert!(
            told.executed <= kills,
            "{key}: {} commands were executed without a reply: {:?}",
            told.executed,
            told.errors
        );
    }
}

/// Only the primary gets clients then: a switchover closes their connections.
#[test]
fn clients_behind_a_balancer_go_on_after_a_switchover_where_a_standby_refuses() {
    under_load("refuse", rounds(REFUSED), switch_over);
}

/// A host that is lost closes no connection: its clients waited for ever.
#[test]
fn a_client_of_a_host_that_is_lost_comes_to_the_other() {
    let cluster = Cluster::start();
    let (primary, standby) = cluster.wait_for_pair();
    let Some(balancer) = Balancer::start(&cluster, false) else { return };
    let ask_port = |connection: &mut redis::Connection| -> redis::RedisResult<String> {
        let info: String = redis::cmd("INFO").arg("server").query(connection)?;
        Ok(info.lines().find_map(|line| line.strip_prefix("tcp_port:")).expect("a port").to_owned())
    };
    let mut held = Vec::new();
    let mut connection = wait_until("a connection to the primary", || {
        let mut connection = connect(balancer.port).ok()?;
        let port = ask_port(&mut connection).ok()?;
        if port == primary.port.to_string() {
            Some(connection)
        } else {
            held.push(connection);
            None
        }
    });
    connection.set_read_timeout(Some(PATIENCE)).expect("a limit");
    signal(primary.pid, Signal::STOP);
    let error = redis::cmd("SET").arg("k").arg(1).exec(&mut connection).expect_err("nobody replies");
    assert!(!error.is_timeout(), "the connection stayed open: {error}");
    let port = wait_until("a client is served", || ask_port(&mut connect(balancer.port).ok()?).ok());
    assert_eq!(port, standby.port.to_string());
    wait_until("the standby has taken over", || {
        redis::cmd("SET").arg("k").arg(2).exec(&mut connect(balancer.port).ok()?).ok()
    });
    signal(primary.pid, Signal::CONT);
    cluster.wait_for_pair();
}

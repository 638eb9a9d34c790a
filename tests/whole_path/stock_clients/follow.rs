//! Stock clients while the primary changes, with one address, with Sentinel and with a cluster: which errors they see, how long they
//! wait, and that nothing is lost or doubled.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use redis::cluster::{ClusterClient, ClusterConnection};
use rustix::process::Signal;
use serde::Deserialize;

use super::{node_command, redis_py_command};
use crate::harness::{Cluster, Node, rounds, signal, wait_until};
use crate::load::{connect, connect_primary};

/// What a client was told.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Told {
    pub(super) acknowledged: Vec<u64>,
    refused: Vec<u64>,
    unknown: Vec<u64>,
    pub(super) errors: BTreeMap<String, u64>,
    longest_gap_ms: f64,
    /// Those of `unknown` that were executed.
    #[serde(skip)]
    pub(super) executed: usize,
}

/// How clients find the primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// They know one address.
    Address(u16),
    /// They ask both nodes as Sentinels.
    Sentinel([u16; 2]),
    /// They ask both nodes as those of a cluster. `redis` (Rust) tries a command again so often: it counts redirections, of which there are
    /// two where the new primary does not know yet that it is one, and it sends again what a lost connection has left without a reply.
    Cluster([u16; 2], u32),
}

impl Form {
    fn word(self) -> &'static str {
        match self {
            Form::Address(_) => "address",
            Form::Sentinel(_) => "sentinel",
            Form::Cluster(..) => "cluster",
        }
    }

    fn ports(&self) -> &[u16] {
        match self {
            Form::Address(port) => std::slice::from_ref(port),
            Form::Sentinel(ports) | Form::Cluster(ports, _) => ports,
        }
    }
}

/// A client at work.
enum Worker {
    Script(Child),
    Thread(Arc<AtomicBool>, JoinHandle<Told>),
}

impl Worker {
    fn finish(self) -> Told {
        match self {
            Worker::Script(mut child) => {
                drop(child.stdin.take());
                let output = child.wait_with_output().expect("the script ends");
                assert!(output.status.success(), "the script has failed");
                serde_json::from_slice(&output.stdout).expect("one line of JSON")
            }
            Worker::Thread(stop, thread) => {
                stop.store(true, Ordering::Relaxed);
                thread.join().expect("the thread ends")
            }
        }
    }
}

/// Clients, each with a list of its own.
pub(super) struct Workers(Vec<(String, Form, Worker)>);

impl Workers {
    pub(super) fn start(forms: &[Form]) -> Workers {
        let mut workers = Vec::new();
        for &form in forms {
            let ports = form.ports().iter().map(u16::to_string).collect::<Vec<_>>().join(",");
            let name = |client: &str| format!("{client} {} {ports}", form.word());
            let scripts = [
                ("redis-py", redis_py_command(), "follow.py"),
                ("ioredis", node_command(), "follow.mjs"),
                ("node-redis", node_command(), "follow.mjs"),
            ];
            for (client, command, script) in scripts {
                // It subscribes to what Sentinels publish, which no node does yet.
                let subscribes = client == "node-redis" && matches!(form, Form::Sentinel(_));
                let Some(mut command) = command.filter(|_| !subscribes) else { continue };
                let key = name(client);
                let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stock_clients").join(script);
                command.arg(script).args([&*ports, &*key, client, form.word()]);
                let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the script starts");
                workers.push((key, form, Worker::Script(child)));
            }
            if matches!(form, Form::Sentinel(_)) {
                // It wants a Sentinel to be nothing else (ROLE).
                continue;
            }
            let (stop, key) = (Arc::<AtomicBool>::default(), name("redis-rs"));
            let (stopped, its) = (Arc::clone(&stop), key.clone());
            let thread = std::thread::spawn(move || redis_rs(form, &its, &stopped));
            workers.push((key, form, Worker::Thread(stop, thread)));
        }
        Workers(workers)
    }

    /// Waits until each of them has had something executed from now on.
    pub(super) fn wait_for_progress(&self, cluster: &Cluster) {
        let mut connection = connect_primary([cluster.port, cluster.port + 1]);
        let mut length = |key: &str| redis::cmd("LLEN").arg(key).query::<u64>(&mut connection).expect("a number");
        for (key, _, _) in &self.0 {
            let before = length(key);
            wait_until(&format!("{key} goes on"), || (length(key) > before).then_some(()));
        }
    }

    /// Ends them, and compares what they were told with what is there.
    pub(super) fn finish(self, cluster: &Cluster) -> Vec<(String, Form, Told)> {
        let mut told: Vec<_> = self.0.into_iter().map(|(key, form, worker)| (key, form, worker.finish())).collect();
        let mut connection = connect_primary([cluster.port, cluster.port + 1]);
        let mut table = String::new();
        for (key, _, told) in &mut told {
            let there: Vec<u64> =
                redis::cmd("LRANGE").arg(&*key).arg(0).arg(-1).query(&mut connection).expect("a list");
            let times = |number: &u64| there.iter().filter(|there| *there == number).count();
            let lost: Vec<_> = told.acknowledged.iter().filter(|number| times(number) == 0).collect();
            let doubled: Vec<_> = there.iter().filter(|number| times(number) > 1).collect();
            let refused: Vec<_> = told.refused.iter().filter(|number| times(number) > 0).collect();
            assert!(lost.is_empty() && doubled.is_empty(), "{key}: lost {lost:?}, doubled {doubled:?}");
            assert!(refused.is_empty(), "{key}: executed although it said otherwise: {refused:?}");
            assert!(there.is_sorted(), "{key}: out of order");
            told.executed = told.unknown.iter().filter(|number| times(number) > 0).count();
            let errors: u64 = told.errors.values().sum();
            let (done, gap) = (told.acknowledged.len(), told.longest_gap_ms);
            writeln!(table, "{key:32} {done:8} done, {errors:3} errors, longest gap {gap:7.1} ms").expect("a text");
        }
        println!("{table}");
        for (key, _, told) in &told {
            assert!(told.acknowledged.len() > 100, "{key} has done next to nothing");
            for (error, times) in &told.errors {
                println!("{key}: {times} times {error}");
            }
        }
        told
    }
}

/// A connection to a node, which is made when it is used first, and anew when it was lost; or those to a cluster.
enum RedisRs {
    Address(u16, Option<redis::Connection>),
    Cluster(Box<ClusterConnection>),
}

impl RedisRs {
    fn new(form: Form) -> RedisRs {
        let retries = match form {
            Form::Address(port) => return RedisRs::Address(port, None),
            Form::Sentinel(_) => unreachable!("it finds no Sentinel"),
            Form::Cluster(_, retries) => retries,
        };
        let addresses = form.ports().iter().map(|port| format!("redis://127.0.0.1:{port}"));
        let client = ClusterClient::builder(addresses).retries(retries).build().expect("addresses");
        RedisRs::Cluster(Box::new(client.get_connection().expect("a cluster")))
    }

    fn push(&mut self, key: &str, number: u64) -> redis::RedisResult<()> {
        let mut push = redis::cmd("RPUSH");
        push.arg(key).arg(number);
        let (port, connection) = match self {
            RedisRs::Cluster(connection) => return push.exec(&mut **connection),
            RedisRs::Address(port, connection) => (*port, connection),
        };
        let mut used = match connection.take() {
            Some(used) => used,
            None => connect(port)?,
        };
        let done = push.exec(&mut used);
        let is_lost = |error: &redis::RedisError| {
            error.is_unrecoverable_error() || error.is_io_error() || error.is_connection_dropped()
        };
        if !done.as_ref().is_err_and(is_lost) {
            *connection = Some(used);
        }
        done
    }
}

fn redis_rs(form: Form, key: &str, stop: &AtomicBool) -> Told {
    let (mut told, mut client, mut last) = (Told::default(), RedisRs::new(form), Instant::now());
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        match client.push(key, number) {
            Ok(()) => {
                told.acknowledged.push(number);
                told.longest_gap_ms = told.longest_gap_ms.max(last.elapsed().as_secs_f64() * 1e3);
                last = Instant::now();
            }
            Err(error) => {
                let text = error.to_string();
                let not_executed = text.contains("(not executed)");
                if not_executed {
                    told.refused.push(number)
                } else {
                    told.unknown.push(number)
                }
                *told.errors.entry(text).or_default() += 1;
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
    told
}

/// The standby becomes the primary, and clients work for a moment.
pub(super) fn switch_over(cluster: &Cluster) {
    let output = cluster.tool(&["switchover"]);
    assert!(output.status.success(), "{}\n{}", String::from_utf8_lossy(&output.stderr), cluster.logs());
    cluster.wait_for_pair();
    std::thread::sleep(Duration::from_millis(200));
}

/// Kills the primary, which is returned, waits until the pair is healthy again, and clients work for a moment.
pub(super) fn kill_primary(cluster: &Cluster) -> Node {
    let (primary, _) = cluster.wait_for_pair();
    signal(primary.pid, Signal::KILL);
    cluster.wait_for("another process", |nodes| {
        nodes.iter().find(|node| node.port == primary.port && node.pid != primary.pid).map(|_| ())
    });
    cluster.wait_for_pair();
    std::thread::sleep(Duration::from_millis(500));
    primary
}

/// Runs clients of these forms, of a pair in `mode`, while `act` is done to it so many times. Returns what they were told.
fn follow(
    mode: &str,
    forms: fn([u16; 2]) -> Vec<Form>,
    times: usize,
    mut act: impl FnMut(&Cluster),
) -> Vec<(String, Form, Told)> {
    let cluster = Cluster::with_options(&["--cluster-mode", mode]);
    cluster.wait_for_pair();
    let workers = Workers::start(&forms([cluster.port, cluster.port + 1]));
    workers.wait_for_progress(&cluster);
    for _ in 0..times {
        act(&cluster);
    }
    workers.wait_for_progress(&cluster);
    workers.finish(&cluster)
}

/// Clients of either node, and such as ask Sentinels.
fn plain(ports: [u16; 2]) -> Vec<Form> {
    vec![Form::Address(ports[0]), Form::Address(ports[1]), Form::Sentinel(ports)]
}

/// As many retries as is usual.
fn of_a_cluster(ports: [u16; 2]) -> Vec<Form> {
    vec![Form::Cluster(ports, 16)]
}

/// As few as follow a redirection at all: a command that was lost is hardly sent again.
fn of_a_cluster_that_dies(ports: [u16; 2]) -> Vec<Form> {
    vec![Form::Cluster(ports, 1)]
}

#[test]
fn clients_of_either_node_or_of_sentinels_do_not_notice_a_switchover() {
    for (key, _, told) in follow("off", plain, rounds(20), switch_over) {
        assert!(told.errors.is_empty(), "{key}: {:?}", told.errors);
    }
}

#[test]
fn clients_of_a_cluster_do_not_notice_a_switchover() {
    for (key, _, told) in follow("single", of_a_cluster, rounds(20), switch_over) {
        assert!(told.errors.is_empty(), "{key}: {:?}", told.errors);
    }
}

#[test]
fn of_a_kill_clients_notice_what_was_under_way() {
    let kills = rounds(10);
    let mut killed = BTreeMap::<u16, u64>::new();
    let kill = |cluster: &Cluster| *killed.entry(kill_primary(cluster).port).or_default() += 1;
    for (key, form, told) in follow("off", plain, kills, kill) {
        assert!(told.executed <= kills, "{key}: {} were executed without a reply: {:?}", told.executed, told.errors);
        let Form::Address(port) = form else { continue };
        // Of its own node's death a client knows no more than that its connection is gone. Of the other's it is told honestly.
        let is_unknown = |text: &str| text.contains("may or may not have been executed");
        let unknown: u64 = told.errors.iter().filter(|(text, _)| is_unknown(text)).map(|(_, n)| n).sum();
        let others = kills as u64 - killed.get(&port).copied().unwrap_or_default();
        assert!(unknown <= others, "{key}: {:?}", told.errors);
        let is_honest = |text: &str| is_unknown(text) || text.contains("(not executed)") || text.contains("LOADING");
        if !killed.contains_key(&port) {
            assert!(told.errors.keys().all(|text| is_honest(text)), "{key}: {:?}", told.errors);
        }
    }
}

#[test]
fn clients_of_a_cluster_go_on_after_a_kill() {
    let kills = rounds(10);
    let kill = |cluster: &Cluster| drop(kill_primary(cluster));
    for (key, _, told) in follow("single", of_a_cluster_that_dies, kills, kill) {
        assert!(told.executed <= kills, "{key}: {} were executed without a reply: {:?}", told.executed, told.errors);
    }
}

//! Stock clients with one address while the primary changes: which errors they see, how long they wait, and that nothing is lost or
//! doubled.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

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

/// Clients of some addresses, each with a list of its own.
pub(super) struct Workers(Vec<(String, u16, Worker)>);

impl Workers {
    pub(super) fn start(ports: &[u16]) -> Workers {
        let mut workers = Vec::new();
        for &port in ports {
            let scripts = [
                ("redis-py", redis_py_command(), "follow.py"),
                ("ioredis", node_command(), "follow.mjs"),
                ("node-redis", node_command(), "follow.mjs"),
            ];
            for (client, command, script) in scripts {
                let Some(mut command) = command else { continue };
                let key = format!("{client}:{port}");
                let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stock_clients").join(script);
                command.arg(script).args([&port.to_string(), &key, client]);
                let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the script starts");
                workers.push((key, port, Worker::Script(child)));
            }
            let (stop, key) = (Arc::<AtomicBool>::default(), format!("redis-rs:{port}"));
            let (stopped, its) = (Arc::clone(&stop), key.clone());
            let thread = std::thread::spawn(move || redis_rs(port, &its, &stopped));
            workers.push((key, port, Worker::Thread(stop, thread)));
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
    pub(super) fn finish(self, cluster: &Cluster) -> Vec<(String, u16, Told)> {
        let mut told: Vec<_> = self.0.into_iter().map(|(key, port, worker)| (key, port, worker.finish())).collect();
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
            writeln!(table, "{key:20} {done:8} done, {errors:3} errors, longest gap {gap:7.1} ms").expect("a text");
        }
        println!("{table}");
        told
    }
}

fn redis_rs(port: u16, key: &str, stop: &AtomicBool) -> Told {
    let (mut told, mut connection, mut last) = (Told::default(), None, Instant::now());
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let done = match &mut connection {
            Some(connection) => redis::cmd("RPUSH").arg(key).arg(number).exec(connection),
            None => connect(port).map(|made| connection = Some(made)).and_then(|()| {
                let connection = connection.as_mut().expect("it was made");
                redis::cmd("RPUSH").arg(key).arg(number).exec(connection)
            }),
        };
        match done {
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
                if error.is_unrecoverable_error() || error.is_io_error() || error.is_connection_dropped() {
                    connection = None;
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

#[test]
fn clients_of_either_node_do_not_notice_a_switchover() {
    let cluster = Cluster::start();
    let (primary, standby) = cluster.wait_for_pair();
    let workers = Workers::start(&[primary.port, standby.port]);
    std::thread::sleep(Duration::from_millis(1500));
    for _ in 0..rounds(20) {
        switch_over(&cluster);
    }
    for (key, _, told) in workers.finish(&cluster) {
        assert!(told.acknowledged.len() > 100, "{key} has done next to nothing");
        assert!(told.errors.is_empty(), "{key}: {:?}", told.errors);
    }
}

#[test]
fn of_a_kill_clients_notice_what_was_under_way() {
    let cluster = Cluster::start();
    let (primary, standby) = cluster.wait_for_pair();
    let workers = Workers::start(&[primary.port, standby.port]);
    std::thread::sleep(Duration::from_millis(1500));
    let kills = rounds(10);
    let mut killed = BTreeMap::<u16, u64>::new();
    for _ in 0..kills {
        *killed.entry(kill_primary(&cluster).port).or_default() += 1;
    }
    for (key, port, told) in workers.finish(&cluster) {
        assert!(told.acknowledged.len() > 100, "{key} has done next to nothing");
        // Of its own node's death a client knows no more than that its connection is gone. Of the other's it is told honestly.
        let unknown: u64 = told
            .errors
            .iter()
            .filter(|(text, _)| text.contains("may or may not have been executed"))
            .map(|(_, n)| n)
            .sum();
        let others = kills as u64 - killed.get(&port).copied().unwrap_or_default();
        assert!(unknown <= others, "{key}: {:?}", told.errors);
        let is_honest =
            |text: &str| text.contains("may or may not") || text.contains("(not executed)") || text.contains("LOADING");
        if !killed.contains_key(&port) {
            assert!(told.errors.keys().all(|text| is_honest(text)), "{key}: {:?}", told.errors);
        }
    }
}

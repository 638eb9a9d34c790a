//! Commands that hold all shards for up to three leases: no takeover, no lost connection to the vault, and whoever needs no data is
//! answered meanwhile. A role driver that waited for a shard (it deleted what had expired) lost its lease here every time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use redis::{Connection, RedisResult, Value};
use tanist_test_support::{from_environment, seed};

use crate::cluster::{Cluster, connect};
use crate::load::Load;
use crate::network::Host;

const LEASE: Duration = Duration::from_millis(600);
/// The short run.
const USUAL: Duration = Duration::from_secs(10);
/// Longer than any command here.
const WAIT: Duration = Duration::from_secs(60);
const KEYS: usize = 100_000;
const MSET_KEYS: usize = 10_000;
/// Each looks at every key: together some leases long.
const KEYS_IN_EXEC: usize = 100;
/// Keys that expire while commands hold the shards.
const EXPIRING: usize = 5_000;
/// Connections that ask what needs no data: enough that each of the node's threads serves some.
const ASKING: usize = 8;

fn options() -> [&'static str; 6] {
    ["--enable-debug-command", "yes", "--image-interval-ms", "300", "--threads", "2"]
}

/// What is to stay as it is.
struct Before {
    epoch: u64,
    pids: [i32; 2],
}

impl Before {
    fn of(cluster: &Cluster) -> Before {
        let (primary, _) = cluster.wait_for_pair();
        Before { epoch: primary.epoch, pids: Host::NODES.map(|node| cluster.database_pid(node)) }
    }

    fn check(&self, cluster: &Cluster, switchovers: u64) {
        let (after, _) = cluster.wait_for_pair();
        assert_eq!(after.epoch, self.epoch + switchovers, "one epoch for each switchover, and no takeover");
        assert_eq!(Host::NODES.map(|node| cluster.database_pid(node)), self.pids, "no process was started again");
        for node in Host::NODES {
            let said = cluster.said(node);
            let lost: Vec<_> = said.lines().filter(|line| line.contains("connection to the vault lost")).collect();
            assert!(lost.is_empty(), "{}: {lost:#?}", node.name());
        }
    }
}

/// Asks a node over several connections what needs no data, one after the other, and notes how long it takes while `watched` is set.
struct Asking {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Duration>>,
}

impl Asking {
    fn start(node: SocketAddr, watched: &Arc<AtomicBool>) -> Asking {
        let (stop, watched) = (Arc::new(AtomicBool::new(false)), Arc::clone(watched));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut connections: Vec<_> =
                (0..ASKING).map(|_| connect(node, WAIT).expect("the node is there")).collect();
            let mut times = Vec::new();
            for turn in 0.. {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                let connection = &mut connections[turn % ASKING];
                let command = if turn % 10 == 0 { "INFO" } else { "PING" };
                let start = Instant::now();
                let answer: RedisResult<Value> = redis::cmd(command).query(connection);
                if watched.load(Ordering::Relaxed) {
                    times.push(start.elapsed());
                }
                answer.expect("what needs no data is answered");
                sleep(Duration::from_millis(1));
            }
            times
        });
        Asking { stop, thread }
    }

    fn finish(self, what: &str) {
        self.stop.store(true, Ordering::Relaxed);
        let mut times = self.thread.join().expect("the asking ends");
        times.sort_unstable();
        let at = |percent: usize| times.get(times.len() * percent / 100).copied().unwrap_or_default();
        let (count, longest) = (times.len(), times.last().copied().unwrap_or_default());
        println!(
            "PING and INFO while {what}: p50 {:.2?}, p99 {:.2?}, longest {longest:.2?} of {count}",
            at(50),
            at(99)
        );
        assert!(count > 0, "nothing was asked while a command held the shards");
    }
}

fn run(connection: &mut Connection, words: &[&str]) -> Value {
    redis::cmd(words[0]).arg(&words[1..]).query(connection).expect("the command is executed")
}

fn fill(connection: &mut Connection, prefix: &str, keys: usize) {
    for first in (0..keys).step_by(MSET_KEYS) {
        let mut command = redis::cmd("MSET");
        for key in first..keys.min(first + MSET_KEYS) {
            command.arg(format!("{prefix}:{key}")).arg(key);
        }
        command.exec(connection).expect("there is room");
    }
}

/// Values that expire one after the other over the next seconds.
fn fill_expiring(connection: &mut Connection) {
    let mut pipe = redis::pipe();
    for key in 0..EXPIRING {
        pipe.cmd("SET").arg(format!("due:{key}")).arg(1).arg("PX").arg(1 + key).ignore();
    }
    pipe.exec(connection).expect("there is room");
}

#[test]
fn whatever_holds_all_shards_costs_no_lease() {
    let cluster = Cluster::start(LEASE, &options());
    let (before, primary) = (Before::of(&cluster), cluster.wait_for_primary());
    let node = cluster.nodes()[Host::NODES.iter().position(|node| *node == primary).expect("one of the nodes")];
    let mut connection = connect(node, WAIT).expect("the primary is there");
    let watched = Arc::new(AtomicBool::new(false));
    for level in ["durable", "relaxed"] {
        run(&mut connection, &["CONFIG", "SET", "durability", level]);
        fill(&mut connection, "k", KEYS);
        fill_expiring(&mut connection);
        let asking = Asking::start(node, &watched);
        let mut took = Vec::new();
        let mut held = |what: &'static str, command: &mut dyn FnMut(&mut Connection)| {
            watched.store(true, Ordering::Relaxed);
            let start = Instant::now();
            command(&mut connection);
            watched.store(false, Ordering::Relaxed);
            took.push(format!("{what} {:.2?}", start.elapsed()));
            assert!(cluster.report(primary).is_some_and(|report| report.epoch == before.epoch), "during {what}");
        };
        held("DEBUG SLEEP", &mut |connection| drop(run(connection, &["DEBUG", "SLEEP", "1.8"])));
        held("EXEC of KEYS", &mut |connection| {
            let mut pipe = redis::pipe();
            pipe.atomic();
            for _ in 0..KEYS_IN_EXEC {
                pipe.cmd("KEYS").arg("nomatch*");
            }
            pipe.exec(connection).expect("the transaction is executed");
        });
        held("KEYS", &mut |connection| drop(run(connection, &["KEYS", "*"])));
        held("MSET", &mut |connection| {
            let mut command = redis::cmd("MSET");
            for key in 0..KEYS {
                command.arg(format!("m:{key}")).arg(key);
            }
            command.exec(connection).expect("there is room");
        });
        held("DEL", &mut |connection| {
            let mut command = redis::cmd("DEL");
            for key in 0..KEYS {
                command.arg(format!("m:{key}"));
            }
            let deleted: usize = command.query(connection).expect("it is executed");
            assert_eq!(deleted, KEYS);
        });
        held("FLUSHALL", &mut |connection| drop(run(connection, &["FLUSHALL"])));
        println!("{level}: {}", took.join(", "));
        asking.finish(&format!("commands held all shards ({level})"));
    }
    before.check(&cluster, 0);
}

/// A switchover that was asked for while a command held the shards. True if it happened.
fn switch_over(cluster: &Cluster) -> bool {
    let output = cluster.tool(&["switchover"]);
    let sentence = String::from_utf8_lossy(&output.stderr).into_owned();
    println!("switchover: {}{sentence}", String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success() || sentence.contains("try again"), "a refusal says what to do: {sentence}");
    output.status.success()
}

#[test]
fn a_mixed_load_with_long_commands_sees_no_takeover() {
    let seed = seed();
    let cluster = Cluster::start(LEASE, &options());
    let before = Before::of(&cluster);
    let load = Load::start(&cluster, seed);
    let mut random = StdRng::seed_from_u64(seed);
    let time = from_environment("TANIST_LONG_SECONDS").map_or(USUAL, Duration::from_secs);
    let (start, watched) = (Instant::now(), Arc::new(AtomicBool::new(false)));
    let mut switchovers = 0;
    for round in 0_u64.. {
        if start.elapsed() > time {
            break;
        }
        let primary = cluster.wait_for_primary();
        let node = cluster.nodes()[Host::NODES.iter().position(|node| *node == primary).expect("one of the nodes")];
        let mut connection = connect(node, WAIT).expect("the primary is there");
        run(&mut connection, &["CONFIG", "SET", "durability", ["durable", "relaxed"][(round % 2) as usize]]);
        fill_expiring(&mut connection);
        let seconds = LEASE.as_secs_f64() * random.random_range(0.5..3.0);
        let asking = Asking::start(node, &watched);
        watched.store(true, Ordering::Relaxed);
        std::thread::scope(|scope| {
            let long = scope.spawn(|| run(&mut connection, &["DEBUG", "SLEEP", &seconds.to_string()]));
            if round % 3 == 0 {
                sleep(LEASE.mul_f64(random.random_range(0.0..0.5)));
                switchovers += u64::from(switch_over(&cluster));
            }
            long.join().expect("it is executed");
        });
        watched.store(false, Ordering::Relaxed);
        asking.finish(&format!("a command held all shards for {seconds:.2} s"));
        load.wait_until_served();
    }
    before.check(&cluster, switchovers);
    println!("{switchovers} switchovers in {:.0?}", start.elapsed());
    load.finish().check();
}

/// Connections that send KEYS without end.
const LOOPING: usize = 8;

/// A shard is free for a moment between two long commands: whoever needs it then must get it, not the next long one.
#[test]
fn many_long_commands_starve_nobody() {
    let cluster = Cluster::start(LEASE, &options());
    let primary = cluster.wait_for_primary();
    let node = cluster.nodes()[Host::NODES.iter().position(|node| *node == primary).expect("one of the nodes")];
    let mut connection = connect(node, WAIT).expect("the primary is there");
    fill(&mut connection, "k", KEYS);
    let stop = AtomicBool::new(false);
    let (long, short) = std::thread::scope(|scope| {
        let looping = || {
            let mut connection = connect(node, WAIT).expect("the primary is there");
            let mut done = 0;
            while !stop.load(Ordering::Relaxed) {
                match redis::cmd("KEYS").arg("nomatch*").exec(&mut connection) {
                    Ok(()) => done += 1,
                    Err(error) if error.code() == Some("READONLY") => break,
                    Err(error) => panic!("after {done} KEYS: {error}"),
                }
            }
            done
        };
        let looping: Vec<_> = (0..LOOPING).map(|_| scope.spawn(looping)).collect();
        sleep(LEASE);
        let start = Instant::now();
        let mut times = Vec::new();
        while start.elapsed() < 5 * LEASE {
            let start = Instant::now();
            run(&mut connection, &["GET", "k:1"]);
            times.push(start.elapsed());
        }
        assert!(switch_over(&cluster), "a switchover finds its moment");
        stop.store(true, Ordering::Relaxed);
        let long: Vec<usize> = looping.into_iter().map(|looping| looping.join().expect("it counts")).collect();
        times.sort_unstable();
        println!(
            "GET beside {LOOPING} clients with KEYS: p50 {:.1?}, longest {:.1?}",
            times[times.len() / 2],
            times[times.len() - 1]
        );
        (long, times.len())
    });
    println!("KEYS by client: {long:?}; {short} GETs");
    let (least, all) = (long.iter().min().expect("some loop"), long.iter().sum::<usize>());
    assert!(short * 4 > all, "{short} GETs beside {all} KEYS");
    assert!(least * 4 > all / LOOPING, "each long command has its turn: {long:?}");
}

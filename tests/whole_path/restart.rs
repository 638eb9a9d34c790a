//! Everything killed at once, then `up` again: every acknowledged write is there.

use std::net::UdpSocket;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::harness::{Cluster, TANIST, rounds, signal, wait_until, words};
use crate::load::{Writer, connect_primary};

#[test]
fn after_a_kill_of_everything_all_acknowledged_writes_are_there() {
    let words = Arc::new(words());
    let mut cluster = Cluster::start();
    let ports = [cluster.port, cluster.port + 1];
    let mut all = Vec::new();
    for round in 0..rounds(3) {
        let writers: Vec<_> = (0..4).map(|n| Writer::start(round * 10 + n, ports, Arc::clone(&words))).collect();
        sleep(Duration::from_millis(700));
        cluster.kill_everything();
        all.extend(writers.into_iter().map(Writer::finish));
        cluster.up();
        let mut connection = connect_primary(ports);
        for told in &all {
            assert!(told.count > 0, "a writer was never acknowledged");
            told.verify(&mut connection);
        }
    }
}

#[test]
fn a_clean_stop_and_start_keeps_everything() {
    let words = Arc::new(words());
    let mut cluster = Cluster::start();
    let ports = [cluster.port, cluster.port + 1];
    let writer = Writer::start(0, ports, words);
    sleep(Duration::from_millis(500));
    assert_eq!(cluster.stop(), Some(0));
    let told = writer.finish();
    cluster.up();
    told.verify(&mut connect_primary(ports));
}

/// The children of an `up` that was killed notice it and stop; an `up` that comes before they have gone waits for them.
#[test]
fn an_up_right_after_the_kill_of_up_waits_for_its_children() {
    let mut cluster = Cluster::start();
    let ports = [cluster.port, cluster.port + 1];
    for round in 0..rounds(2) {
        redis::cmd("SET").arg("round").arg(round).exec(&mut connect_primary(ports)).expect("acknowledged");
        cluster.kill_up();
        let said_before = cluster.events().len();
        cluster.begin_up();
        wait_until("`up` is ready", || cluster.events()[said_before..].contains("ready; use it").then_some(()));
        let found: usize = redis::cmd("GET").arg("round").query(&mut connect_primary(ports)).expect("a value");
        assert_eq!(found, round);
    }
}

/// The vault stopped at the same moment as the nodes that wanted to give their lease up: the next `up` waited for them, and for
/// the lease, 9 s in all. Here the lease is longer than the test's patience.
#[test]
fn the_lease_is_given_up_when_up_is_killed() {
    let mut cluster = Cluster::with_options(&["--lease-ms", "120000", "--durable-wait-ms", "121000"]);
    let ports = [cluster.port, cluster.port + 1];
    redis::cmd("SET").arg("king").arg(1).exec(&mut connect_primary(ports)).expect("acknowledged");
    cluster.kill_up();
    let start = Instant::now();
    cluster.up();
    println!("killed `up`: the next one has a pair {:.0?} later", start.elapsed());
    let found: usize = redis::cmd("GET").arg("king").query(&mut connect_primary(ports)).expect("a value");
    assert_eq!(found, 1);
}

/// Nobody is left to release the lease or to say that its holder is dead, but the holder's lock is free.
#[test]
fn a_lease_of_a_process_that_was_killed_with_its_supervisor_need_not_run_out() {
    let mut cluster = Cluster::with_options(&["--lease-ms", "120000", "--durable-wait-ms", "121000"]);
    let ports = [cluster.port, cluster.port + 1];
    redis::cmd("SET").arg("king").arg(1).exec(&mut connect_primary(ports)).expect("acknowledged");
    cluster.kill_everything();
    let start = Instant::now();
    cluster.up();
    println!("killed everything: the next `up` has a pair {:.0?} later", start.elapsed());
    let found: usize = redis::cmd("GET").arg("king").query(&mut connect_primary(ports)).expect("a value");
    assert_eq!(found, 1);
}

/// The node that is started first can do nothing for the other one's lease.
#[test]
fn whoever_had_the_lease_is_started_first_when_everything_was_killed() {
    let mut cluster = Cluster::with_options(&["--lease-ms", "120000", "--durable-wait-ms", "121000"]);
    let switchover = cluster.tool(&["switchover", "--to", "b"]);
    assert!(switchover.status.success(), "{}", String::from_utf8_lossy(&switchover.stderr));
    cluster.kill_everything();
    let start = Instant::now();
    cluster.up();
    println!("killed everything, node b was primary: the next `up` has a pair {:.0?} later", start.elapsed());
    let (primary, _) = cluster.wait_for_pair();
    assert_eq!(primary.name, "b", "{}", cluster.events());
}

/// It says whom it waits for: here a vault that somebody has started by hand, and stops after a look at that sentence.
#[test]
fn an_up_names_the_processes_that_it_waits_for() {
    let mut cluster = Cluster::start();
    assert_eq!(cluster.stop(), Some(0));
    let mut vault = Command::new(TANIST)
        .args(["vault", "--data"])
        .arg(cluster.data())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let address = ("127.0.0.1", cluster.port + 2);
    wait_until("the vault listens", || UdpSocket::bind(address).is_err().then_some(()));
    let said_before = cluster.events().len();
    cluster.begin_up();
    let says = |words: &str| wait_until(words, || cluster.events()[said_before..].contains(words).then_some(()));
    says(&format!("vault (process {})", vault.id()));
    signal(vault.id() as i32, Signal::TERM);
    assert!(vault.wait().expect("it ends").success());
    says("ready; use it");
}

//! Everything killed at once, then `up` again: every acknowledged write is there.

use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use crate::harness::{Cluster, rounds, words};
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

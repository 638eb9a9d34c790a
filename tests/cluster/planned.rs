//! Twenty switchovers in a row: no operation fails at the client library, and no history goes wrong.

use std::time::Instant;

use tanist_test_support::{print_times, rounds, seed};

use crate::cluster::Cluster;
use crate::load::{Kind, Load};
use crate::takeovers::LEASE;

#[test]
fn twenty_switchovers_in_a_row() {
    let seed = seed();
    let cluster = Cluster::start(LEASE, &[]);
    let load = Load::start(&cluster, seed);
    let mut windows = Vec::new();
    let mut primary = cluster.wait_for_primary();
    let (before, _) = cluster.wait_for_pair();
    let rounds = rounds(20);
    for _ in 0..rounds {
        let start = Instant::now();
        let output = cluster.tool(&["switchover"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        load.wait_until_served();
        windows.push((start, Instant::now()));
        let next = cluster.wait_for_primary();
        assert_eq!(next, primary.other(), "the roles have changed places");
        primary = next;
    }
    let (after, _) = cluster.wait_for_pair();
    assert_eq!(after.epoch, before.epoch + rounds as u64, "one term for each switchover, and no takeover");
    let told = load.finish();
    for kind in [Kind::Resp, Kind::Library] {
        let mut gaps: Vec<_> = windows.iter().map(|(from, until)| told.longest_gap(kind, *from, *until)).collect();
        print_times(&format!("{kind:?}: longest time without a confirmed write"), &mut gaps);
    }
    told.check();
    assert_eq!(told.failed(Kind::Library), 0, "operations of the library that failed");
}

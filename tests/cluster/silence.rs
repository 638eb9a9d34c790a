//! Processes are stopped with SIGSTOP, for half the lease, twice and ten times as long, and go on as if nothing had happened.

use std::time::Duration;

use rustix::process::Signal;
use tanist_test_support::{seed, signal};

use crate::cluster::Cluster;
use crate::load::Load;
use crate::network::Host;
use crate::takeovers;

/// Short, so that many times as long is not long.
const LEASE: Duration = Duration::from_millis(400);

#[derive(Clone, Copy, Debug)]
enum Who {
    Primary,
    /// With its supervisor.
    PrimaryHost,
    Standby,
    Vault,
}

impl Who {
    const ALL: [Who; 4] = [Who::Primary, Who::PrimaryHost, Who::Standby, Who::Vault];
}

/// Of the usual lease: half a short one is over before a busy machine has done anything.
#[test]
fn half_the_lease_is_no_reason_for_a_takeover() {
    let epochs = stop_each(takeovers::LEASE, takeovers::LEASE / 2);
    assert!(epochs.iter().all(|(before, after)| before == after), "epochs before and after each: {epochs:?}");
}

#[test]
fn twice_the_lease() {
    stop_each(LEASE, LEASE * 2);
}

#[test]
fn ten_times_the_lease() {
    stop_each(LEASE, LEASE * 10);
}

/// Returns the epochs before and after each silence.
fn stop_each(lease: Duration, time: Duration) -> Vec<(u64, u64)> {
    let seed = seed();
    let cluster = Cluster::start(lease, &[]);
    let load = Load::start(&cluster, seed);
    let mut epochs = Vec::new();
    for who in Who::ALL {
        let primary = cluster.wait_for_primary();
        let (before, _) = cluster.wait_for_pair();
        let pids = match who {
            Who::Primary => vec![cluster.database_pid(primary)],
            Who::PrimaryHost => vec![cluster.pid(primary), cluster.database_pid(primary)],
            Who::Standby => vec![cluster.database_pid(primary.other())],
            Who::Vault => vec![cluster.pid(Host::Vault)],
        };
        pids.iter().for_each(|pid| signal(*pid, Signal::STOP));
        load.go_on(time);
        pids.iter().for_each(|pid| signal(*pid, Signal::CONT));
        let back = load.wait_until_served();
        let (after, _) = cluster.wait_for_pair();
        println!(
            "{who:?} stopped for {time:?}: every client is served {back:.0?} later; epoch {} before, {} after",
            before.epoch, after.epoch
        );
        epochs.push((before.epoch, after.epoch));
    }
    load.finish().check();
    epochs
}

//! Processes are stopped with SIGSTOP, for half the lease, twice and ten times as long, and go on as if nothing had happened.

use std::time::Duration;

use rustix::process::Signal;
use tanist_test_support::{seed, signal};

use crate::cluster::Cluster;
use crate::load::Load;
use crate::network::Host;

const LEASE: Duration = Duration::from_millis(400);

#[derive(Clone, Copy, Debug)]
enum Who {
    Primary,
    /// With its supervisor.
    PrimaryHost,
    Standby,
    Vault,
}

#[test]
fn half_the_lease() {
    stop_each(LEASE / 2, &[Who::Primary, Who::PrimaryHost, Who::Standby, Who::Vault]);
}

#[test]
fn twice_the_lease() {
    stop_each(LEASE * 2, &[Who::Primary, Who::PrimaryHost, Who::Standby, Who::Vault]);
}

#[test]
fn ten_times_the_lease() {
    stop_each(LEASE * 10, &[Who::PrimaryHost, Who::Vault]);
}

fn stop_each(time: Duration, whom: &[Who]) {
    let seed = seed();
    let cluster = Cluster::start(LEASE, &[]);
    let load = Load::start(&cluster, seed);
    for who in whom {
        let primary = cluster.wait_for_primary();
        let pids = match who {
            Who::Primary => vec![cluster.database_pid(primary)],
            Who::PrimaryHost => vec![cluster.pid(primary), cluster.database_pid(primary)],
            Who::Standby => vec![cluster.database_pid(primary.other())],
            Who::Vault => vec![cluster.pid(Host::Vault)],
        };
        pids.iter().for_each(|pid| signal(*pid, Signal::STOP));
        load.go_on(time);
        pids.iter().for_each(|pid| signal(*pid, Signal::CONT));
        println!("{who:?} stopped for {time:?}: every client is served {:.0?} later", load.wait_until_served());
    }
    cluster.wait_for_pair();
    load.finish().check();
}

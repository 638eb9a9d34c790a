//! Processes are killed, one, several and all, at bad moments: nothing that was confirmed is lost, nothing happens twice.

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rustix::process::Signal;
use tanist_test_support::{rounds, seed, signal};

use crate::cluster::Cluster;
use crate::load::Load;
use crate::network::Host;

const LEASE: Duration = Duration::from_millis(500);

/// Load on a cluster, `act` some times with a serving pair before each, and the check. `act` is told who is primary.
fn under_load(options: &[&str], usual: usize, mut act: impl FnMut(&mut Cluster, &mut StdRng, Host)) {
    let seed = seed();
    let mut rng = StdRng::seed_from_u64(seed);
    let mut cluster = Cluster::start(LEASE, options);
    let load = Load::start(&cluster, seed);
    for _ in 0..rounds(usual) {
        let primary = cluster.wait_for_primary();
        load.go_on(Duration::from_millis(rng.random_range(50..300)));
        act(&mut cluster, &mut rng, primary);
        let back = load.wait_until_served();
        println!("every client is served again after {back:.0?}");
    }
    cluster.wait_for_pair();
    load.finish().check();
}

#[test]
fn any_process_is_killed() {
    let mut turn = 0;
    under_load(&[], 4, |cluster, _, primary| {
        match turn {
            0 => cluster.kill_database(primary),
            1 => cluster.kill_database(primary.other()),
            2 => signal(cluster.pid(primary), Signal::KILL),
            _ => {
                cluster.kill_host(Host::Vault);
                cluster.start_part(Host::Vault);
            }
        }
        if turn == 2 {
            // A database process whose supervisor has gone stops, and gives its office up.
            cluster.kill_host(primary);
            cluster.start_part(primary);
        }
        turn = (turn + 1) % 4;
    });
}

#[test]
fn a_host_is_lost_and_comes_back() {
    under_load(&[], 2, |cluster, _, primary| {
        cluster.kill_host(primary);
        cluster
            .wait_for("a new primary", |reports| reports.iter().any(|report| report.role == "primary").then_some(()));
        cluster.start_part(primary);
    });
}

#[test]
fn everything_is_killed() {
    under_load(&[], 2, |cluster, rng, _| {
        let mut hosts = vec![Host::A, Host::B, Host::Vault];
        while !hosts.is_empty() {
            let next = rng.random_range(0..hosts.len());
            cluster.kill_host(hosts.remove(next));
        }
        [Host::Vault, Host::A, Host::B].into_iter().for_each(|host| cluster.start_part(host));
    });
}

#[test]
fn the_successor_is_killed_in_the_middle_of_its_takeover() {
    under_load(&[], 6, |cluster, rng, primary| {
        let successor = cluster.database_pid(primary.other());
        cluster.kill_database(primary);
        wait(Duration::from_micros(rng.random_range(0..8_000)));
        signal(successor, Signal::KILL);
    });
}

#[test]
fn the_primary_is_killed_in_the_middle_of_an_image() {
    under_load(&["--image-interval-ms", "50"], 6, |cluster, rng, primary| {
        let database = cluster.database_pid(primary);
        wait(Duration::from_micros(rng.random_range(0..50_000)));
        signal(database, Signal::KILL);
    });
}

#[test]
fn somebody_is_killed_in_the_middle_of_a_switchover() {
    let mut turn = 0;
    under_load(&[], 6, |cluster, rng, primary| {
        let victim = match turn % 3 {
            0 => cluster.database_pid(primary),
            1 => cluster.database_pid(primary.other()),
            _ => cluster.pid(Host::Vault),
        };
        turn += 1;
        // The command takes some time to find the primary, and some more to be told that it is over.
        let moment = Duration::from_micros(rng.random_range(0..60_000));
        std::thread::scope(|scope| {
            scope.spawn(|| cluster.tool(&["switchover"]));
            wait(moment);
            signal(victim, Signal::KILL);
        });
        if victim == cluster.pid(Host::Vault) {
            cluster.kill_host(Host::Vault);
            cluster.start_part(Host::Vault);
        }
    });
}

/// Exact where a sleep would not be.
fn wait(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        std::hint::spin_loop();
    }
}

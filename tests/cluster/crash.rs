//! Processes are killed, one, several and all, at bad moments: nothing that was confirmed is lost, nothing happens twice.

use std::thread::sleep;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rustix::process::Signal;
use tanist_test_support::{rounds, seed, signal, state, wait_until};

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
            2 => kill_supervisor(cluster, primary),
            _ => {
                cluster.kill_host(Host::Vault);
                cluster.start_part(Host::Vault);
            }
        }
        turn = (turn + 1) % 4;
    });
}

/// A database process whose supervisor has gone stops by itself, and gives up its lease.
fn kill_supervisor(cluster: &mut Cluster, primary: Host) {
    let database = cluster.database_pid(primary);
    signal(cluster.pid(primary), Signal::KILL);
    let start = Instant::now();
    wait_until("a database process without a supervisor ends", || {
        matches!(state(database), None | Some('Z')).then_some(())
    });
    println!("it ended {:.0?} after its supervisor", start.elapsed());
    wait_for_takeover(cluster, primary);
    cluster.kill_host(primary);
    cluster.start_part(primary);
}

/// Waits until the other node is primary.
fn wait_for_takeover(cluster: &Cluster, lost: Host) {
    let successor = lost.other().name();
    cluster.wait_for("a new primary", |reports| {
        reports.iter().any(|report| report.role == "primary" && report.name == successor).then_some(())
    });
}

#[test]
fn a_host_is_lost_and_comes_back() {
    under_load(&[], 2, |cluster, _, primary| {
        cluster.kill_host(primary);
        wait_for_takeover(cluster, primary);
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
    let mut kills = [0; 3];
    under_load(&[], 6, |cluster, rng, primary| {
        let (who, victim) = match turn % 3 {
            0 => ("primary", cluster.database_pid(primary)),
            1 => ("standby", cluster.database_pid(primary.other())),
            _ => ("vault", cluster.pid(Host::Vault)),
        };
        // Three at any moment, of which few hit the hand-over; then three that wait until it has begun.
        let waits = turn / 3 % 2 == 1;
        turn += 1;
        let watch = Watch::new(cluster, primary);
        let start = Instant::now();
        let phase = std::thread::scope(|scope| {
            let tool = scope.spawn(|| cluster.tool(&["switchover"]));
            if waits {
                while watch.phase() == Phase::Before && !tool.is_finished() {
                    sleep(LOOK_PAUSE);
                }
                wait(Duration::from_micros(rng.random_range(0..6_000)));
            } else {
                // The command takes some time to find the primary, and some more to be told that it is over.
                wait(Duration::from_micros(rng.random_range(0..60_000)));
            }
            let phase = watch.phase();
            signal(victim, Signal::KILL);
            println!("{who} killed {} the hand-over, {:.1?} after it was asked for", phase.word(), start.elapsed());
            phase
        });
        kills[phase as usize] += 1;
        if who == "vault" {
            cluster.kill_host(Host::Vault);
            cluster.start_part(Host::Vault);
        }
    });
    println!("kills before, during and after a hand-over: {kills:?}");
}

/// Between two looks at the logs.
const LOOK_PAUSE: Duration = Duration::from_micros(200);

/// How far a switchover has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Before,
    During,
    After,
}

impl Phase {
    fn word(self) -> &'static str {
        match self {
            Phase::Before => "before",
            Phase::During => "during",
            Phase::After => "after",
        }
    }
}

/// Follows a switchover by what the two nodes say: it begins when the primary takes no more commands, and is over when its successor
/// serves. What a node has just done, and not yet said, is not seen.
struct Watch<'a> {
    cluster: &'a Cluster,
    primary: Host,
    /// How much each node had said before.
    before: [usize; 2],
}

impl Watch<'_> {
    fn new(cluster: &Cluster, primary: Host) -> Watch<'_> {
        Watch { cluster, primary, before: [primary, primary.other()].map(|node| cluster.said(node).len()) }
    }

    fn phase(&self) -> Phase {
        let [old, new] = [(self.primary, self.before[0]), (self.primary.other(), self.before[1])]
            .map(|(node, before)| self.cluster.said(node).split_off(before));
        match (old.contains("primary -> handing over"), new.contains("took over from")) {
            (_, true) => Phase::After,
            (true, false) => Phase::During,
            (false, false) => Phase::Before,
        }
    }
}

/// Exact where a sleep would not be.
fn wait(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        std::hint::spin_loop();
    }
}

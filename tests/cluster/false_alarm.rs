//! A machine that is busy, and processes that stall for half a second each: no reason for a takeover.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tanist_test_support::{from_environment, seed, signal};

use crate::cluster::Cluster;
use crate::load::Load;
use crate::network::Host;
use crate::takeovers::LEASE;

const STALL: Duration = Duration::from_millis(500);
/// Between two stalls: renewals catch up.
const CALM: Duration = Duration::from_millis(700);
/// How long the short run takes at least: every process stalls once.
const USUAL: Duration = Duration::from_secs(6);

/// A process that does nothing, as busily as it can.
struct Hog(Child);

impl Hog {
    fn start() -> Hog {
        let hog = Command::new("sh").args(["-c", "while :; do :; done"]).stdin(Stdio::null()).spawn();
        Hog(hog.expect("a shell"))
    }
}

impl Drop for Hog {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn stalls_on_a_busy_machine_are_no_reason_for_a_takeover() {
    let seed = seed();
    let cluster = Cluster::start(LEASE, &[]);
    let (before, _) = cluster.wait_for_pair();
    let load = Load::start(&cluster, seed);
    let time = from_environment("TANIST_SOAK_SECONDS").map_or(USUAL, Duration::from_secs);
    let hogs: Vec<_> = (0..std::thread::available_parallelism().map_or(1, usize::from)).map(|_| Hog::start()).collect();
    let start = Instant::now();
    let mut stalls = 0;
    while start.elapsed() < time {
        let (a, b) = (cluster.database_pid(Host::A), cluster.database_pid(Host::B));
        for pid in [a, b, cluster.pid(Host::A), cluster.pid(Host::B), cluster.pid(Host::Vault)] {
            signal(pid, Signal::STOP);
            load.go_on(STALL);
            signal(pid, Signal::CONT);
            load.go_on(CALM);
            stalls += 1;
        }
        let (now, _) = cluster.wait_for_pair();
        assert_eq!((&now.name, now.epoch, now.pid), (&before.name, before.epoch, before.pid), "after {stalls} stalls");
    }
    drop(hogs);
    println!("{stalls} stalls of {STALL:?} in {:.0?}, no takeover", start.elapsed());
    load.finish().check();
}

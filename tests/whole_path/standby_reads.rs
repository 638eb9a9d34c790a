//! `standby = read`: a standby reads what is fresh enough itself, of data that are never older than the bound, or than what its client has
//! seen.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use redis::Connection;
use rustix::process::Signal;

use crate::harness::{Cluster, signal, wait_until};
use crate::load::connect;

const BOUND: Duration = Duration::from_millis(400);

/// Increments a counter, and knows when each value was acknowledged.
struct Counting {
    acknowledged: Arc<Mutex<Vec<(Instant, i64)>>>,
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<()>,
}

impl Counting {
    fn start(port: u16) -> Counting {
        let (acknowledged, stop) = (Arc::<Mutex<Vec<_>>>::default(), Arc::<AtomicBool>::default());
        let (told, stopped) = (Arc::clone(&acknowledged), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let mut connection = connect(port).expect("a node accepts connections");
            while !stopped.load(Ordering::Relaxed) {
                let value = redis::cmd("INCR").arg("counter").query(&mut connection).expect("a write");
                told.lock().push((Instant::now(), value));
            }
        });
        Counting { acknowledged, stop, thread }
    }

    /// The newest value that was acknowledged by then.
    fn value_at(&self, then: Instant) -> i64 {
        let acknowledged = self.acknowledged.lock();
        let before = acknowledged.partition_point(|(when, _)| *when <= then);
        before.checked_sub(1).map_or(0, |newest| acknowledged[newest].1)
    }

    fn finish(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("every write was acknowledged");
    }
}

fn standby_reads(connection: &mut Connection) -> u64 {
    let info: String = redis::cmd("INFO").arg("stats").query(connection).expect("it can be asked");
    let reads = info.lines().find_map(|line| line.strip_prefix("tanist_standby_reads:"));
    reads.expect("it counts them").parse().expect("a number")
}

#[test]
fn a_standby_reads_within_its_bound_and_never_backwards() {
    let bound = BOUND.as_millis().to_string();
    let cluster = Cluster::with_options(&["--standby", "read", "--standby-read-ms-max", &bound]);
    let (primary, standby) = cluster.wait_for_pair();
    let mut reader = connect(standby.port).expect("the standby accepts connections");
    let role: redis::Value = redis::cmd("ROLE").query(&mut reader).expect("a role");
    assert!(format!("{role:?}").contains("slave"), "clients that read from replicas find it: {role:?}");

    let counting = Counting::start(primary.port);
    let (newest, own) = (AtomicI64::new(0), "own");
    let mut read_for = |time: Duration| {
        let start = Instant::now();
        let mut count = 0;
        while start.elapsed() < time {
            let asked = Instant::now();
            let read: Option<i64> = redis::cmd("GET").arg("counter").query(&mut reader).expect("a read");
            let read = read.unwrap_or(0);
            let before = newest.fetch_max(read, Ordering::Relaxed);
            assert!(read >= before, "it has read {before}, and {read} after that");
            let due = counting.value_at(asked - BOUND);
            assert!(read >= due, "it has read {read}; {due} was acknowledged more than {bound} ms before");
            count += 1;
            if count % 100 == 0 {
                // What it writes itself it reads at once.
                redis::cmd("SET").arg(own).arg(count).exec(&mut reader).expect("a write");
                let read: i64 = redis::cmd("GET").arg(own).query(&mut reader).expect("a read");
                assert_eq!(read, count);
            }
        }
    };
    read_for(Duration::from_secs(1));
    let mut other = connect(standby.port).expect("the standby accepts connections");
    let reads = standby_reads(&mut other);
    assert!(reads > 0, "the primary has executed all of them");

    // Roles change, and nobody notices.
    let output = cluster.tool(&["switchover"]);
    assert!(output.status.success(), "{output:?}");
    read_for(Duration::from_millis(700));
    let output = cluster.tool(&["switchover"]);
    assert!(output.status.success(), "{output:?}");
    read_for(Duration::from_millis(700));
    assert!(standby_reads(&mut other) > reads, "it reads again");
    counting.finish();

    // Without word of the vault its data may be old.
    let vault = cluster.vault_pid();
    signal(vault, Signal::STOP);
    let refused = wait_until("a read is refused", || redis::cmd("GET").arg(own).exec(&mut other).err());
    assert!(refused.code() == Some("MASTERDOWN") && refused.to_string().contains(&bound), "{refused}");
    let ping = redis::cmd("PING").exec(&mut other).expect_err("a check sees it");
    assert_eq!(ping.code(), Some("MASTERDOWN"), "{ping}");
    signal(vault, Signal::CONT);
    wait_until("it reads again", || redis::cmd("GET").arg(own).exec(&mut other).ok());
    sleep(Duration::from_millis(20));
    cluster.wait_for_pair();
}

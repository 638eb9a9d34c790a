//! Logs that cannot be written hold up nobody.

use std::fs::{self, File};
use std::io::Write;
use std::thread::sleep;
use std::time::Duration;

use rustix::fs::{CWD, Mode, OFlags};

use crate::harness::Cluster;
use crate::load::connect;

/// Three times the lease.
const WITHOUT_READER: Duration = Duration::from_secs(3);

const PROCESSES: [&str; 3] = ["vault", "node-a", "node-b"];
/// What does not fit into the rest of a pipe; a pipe is written in pages.
const LINE_BYTES_MAX: usize = 2 * 4096;

/// Every thread of a process logs; the one that renews the lease once waited until its line was written.
#[test]
fn a_log_that_nobody_reads_costs_no_lease() {
    let mut cluster = Cluster::prepared(&["--lease-ms", "1000", "--log-level", "trace"]);
    let logs = cluster.data().join("logs");
    fs::create_dir_all(&logs).expect("a folder");
    let unread: Vec<File> = PROCESSES
        .map(|name| {
            let path = logs.join(name).with_extension("log");
            rustix::fs::mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR).expect("a pipe");
            // Both ends in one: whoever writes finds a reader, who never reads.
            File::options().read(true).write(true).open(path).expect("it is there")
        })
        .into();
    cluster.up();
    let (primary, standby) = cluster.wait_for_pair();
    let epoch = || cluster.status().map(|status| status["primary"]["epoch"].clone());
    let before = epoch();
    let mut connection = connect(primary.port).expect("it serves");
    for n in 0..WITHOUT_READER.as_millis() / 10 {
        redis::cmd("SET").arg("n").arg(n as u64).exec(&mut connection).expect("it is acknowledged");
        sleep(Duration::from_millis(10));
    }
    let (after, _) = cluster.wait_for_pair();
    assert_eq!((after.pid, epoch()), (primary.pid, before), "no takeover; the standby was {standby:?}");
    // They had more to say than a pipe takes: a thread that waited for it would wait now.
    for (mut log, name) in unread.iter().zip(PROCESSES) {
        rustix::fs::fcntl_setfl(log, OFlags::NONBLOCK).expect("a pipe can");
        let taken = log.write(&[0; LINE_BYTES_MAX]).unwrap_or_default();
        assert!(taken < LINE_BYTES_MAX, "{name} has filled its pipe");
    }
}

//! The largest values that the protocol allows, through the whole path, with a small writer beside them.

use std::time::Instant;

use redis::{Commands, Connection};

use crate::harness::{Cluster, print_times, words};
use crate::load::{Writer, connect};

const LARGEST: usize = 512 << 20;

/// A long record must not cost a renewal, a connection or leadership: the same primary serves all the way, and both nodes end
/// with the same pages.
#[test]
fn the_largest_values_disturb_nobody() {
    // A machine that is busy or slow needs longer for half a gigabyte; what is tested is that nothing is lost or replaced.
    let cluster = Cluster::with_options(&["--durable-wait-ms", "55000"]);
    let (primary, standby) = cluster.wait_for_pair();
    let ports = [cluster.port, cluster.port + 1];
    let writer = Writer::start(0, ports, words().into());
    let mut connection = connect(primary.port).expect("the primary accepts");
    connection.set_read_timeout(Some(crate::harness::PATIENCE)).expect("a limit");
    let mut takes = Vec::new();
    let mut timed = |act: &mut dyn FnMut()| {
        let start = Instant::now();
        act();
        takes.push(start.elapsed());
    };
    let half = "tanist! ".repeat(LARGEST / 16);
    timed(&mut || connection.set::<_, _, ()>("large", &half).expect("acknowledged"));
    timed(&mut || assert_eq!(connection.append::<_, _, usize>("large", &half), Ok(LARGEST)));
    timed(&mut || assert_eq!(copy(&mut connection, "large", "second"), 1));
    timed(&mut || connection.setrange::<_, _, ()>("second", LARGEST as isize - 4, "end!").expect("acknowledged"));
    print_times("SET of 256 MB, APPEND of as much, COPY of 512 MB, SETRANGE at its end", &mut takes);
    let told = writer.finish();
    println!("longest pause of a small writer meanwhile: {:.0?}, of {} writes", told.longest_gap, told.count);
    told.verify(&mut connection);
    let (after, follower) = cluster.wait_for_equal();
    assert_eq!((after.pid, follower.pid), (primary.pid, standby.pid), "no process was replaced\n{}", cluster.logs());
    assert_eq!(epoch(&cluster), 1, "the primary has not changed\n{}", cluster.logs());
    assert_eq!(digest(primary.port), digest(standby.port), "LSN and hash of all pages");
    let end: String = connection.getrange("second", LARGEST as isize - 8, -1).expect("a value");
    assert_eq!(end, "taniend!");
}

fn copy(connection: &mut Connection, from: &str, to: &str) -> i64 {
    redis::cmd("COPY").arg(from).arg(to).query(connection).expect("acknowledged")
}

fn epoch(cluster: &Cluster) -> u64 {
    cluster.status().expect("the cluster answers")["vault"]["epoch"].as_u64().expect("a number")
}

fn digest(port: u16) -> String {
    let mut connection = connect(port).expect("the node accepts");
    redis::cmd("TANIST").arg("DIGEST").query(&mut connection).expect("a digest")
}

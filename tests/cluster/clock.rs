//! Wall clocks that are an hour off, each in another direction: takeovers go on as ever, since no lease knows wall time; only the
//! time at which keys expire is the primary's own.

use std::time::Duration;

use redis::Commands;
use tanist_test_support::{rounds, seed};

use crate::cluster::{Cluster, connect};
use crate::load::Load;
use crate::network::Host;

const LEASE: Duration = Duration::from_millis(500);
const HOUR_MS: i64 = 3_600_000;

#[test]
fn a_clock_that_is_an_hour_off() {
    let seed = seed();
    let shifts = [(Host::A, HOUR_MS), (Host::B, -HOUR_MS), (Host::Vault, HOUR_MS / 2)];
    let cluster = Cluster::with_clocks(LEASE, &[], &shifts);
    let load = Load::start(&cluster, seed);
    let on = |primary: Host| connect(cluster.nodes()[primary as usize], Duration::from_secs(5)).expect("it serves");
    for _ in 0..rounds(3) {
        let primary = cluster.wait_for_primary();
        let mut connection = on(primary);
        connection.set_ex::<_, _, ()>("long", "x", 10 * 3_600).expect("it serves");
        connection.set_ex::<_, _, ()>("short", "x", 3_600).expect("it serves");
        cluster.kill_database(primary);
        load.wait_until_served();
        let successor = cluster.wait_for_primary();
        let left: i64 = on(successor).ttl("long").expect("it serves");
        let gone = !on(successor).exists::<_, bool>("short").expect("it serves");
        println!("{primary:?} -> {successor:?}: of ten hours {left} s are left, one hour is over: {gone}");
        match (primary, successor) {
            (Host::B, Host::A) => assert!((28_000..=28_800).contains(&left) && gone, "two hours later at once"),
            (Host::A, Host::B) => assert!((43_000..=43_200).contains(&left) && !gone, "two hours earlier at once"),
            _ => assert!((35_900..=36_000).contains(&left) && !gone, "the killed one was back before the other"),
        }
    }
    load.finish().check();
}

//! Links are cut, both ways and one way, between any two parties, and healed. Whoever is cut off from the vault for longer than its
//! lease serves nobody; when the link is back, so is the service.

use std::time::Duration;

use tanist_test_support::{print_times, seed};

use crate::cluster::Cluster;
use crate::load::Load;
use crate::network::{Host, links};

const LEASE: Duration = Duration::from_millis(400);
/// Long enough for a lease to run out and for a successor to serve.
const LONG: Duration = Duration::from_millis(800);

/// Links that are cut together, and for how long.
type Cut = (Duration, Vec<(Host, Host)>);

/// One cut after the other.
fn cut_each(what: &str, cuts: &[Cut]) {
    let seed = seed();
    let cluster = Cluster::start(LEASE, &[]);
    if !cluster.network.can_cut(&format!("cuts, {what}")) {
        return;
    }
    let load = Load::start(&cluster, seed);
    let mut times = Vec::new();
    for (time, cut) in cuts {
        let primary = cluster.wait_for_primary();
        cluster.network.block(cut);
        load.go_on(*time);
        cluster.network.restore(cut);
        let back = load.wait_until_served();
        println!("{cut:?} for {time:?} with primary {primary:?}: every client is served {back:.0?} after the heal");
        times.push(back);
    }
    cluster.wait_for_pair();
    load.finish().check();
    print_times(&format!("{what}: from the heal until every client is served"), &mut times);
}

fn pairs() -> impl Iterator<Item = (Host, Host)> {
    let pairs = Host::ALL.into_iter().flat_map(|one| Host::ALL.map(|other| (one, other)));
    pairs.filter(|(one, other)| one != other)
}

#[test]
fn between_each_two_both_ways() {
    let cuts: Vec<_> =
        pairs().filter(|(one, other)| one < other).map(|(one, other)| (LONG, links(&[one], &[other]))).collect();
    cut_each("both ways", &cuts);
}

#[test]
fn between_each_two_one_way() {
    let cuts: Vec<_> = pairs().map(|link| (LONG, vec![link])).collect();
    cut_each("one way", &cuts);
}

#[test]
fn one_host_from_all_others() {
    let cuts: Vec<_> =
        [Host::A, Host::B, Host::Vault, Host::Client].map(|host| (LONG, links(&[host], &Host::ALL))).into();
    cut_each("one host from all others", &cuts);
}

/// Of lengths at which an old connection lives, is about to die, and is long dead.
#[test]
fn the_vault_from_everybody_for_some_time() {
    let vault = links(&[Host::Vault], &Host::ALL);
    let cuts: Vec<_> = [100, 250, 350, 600, 3_000].map(|time| (Duration::from_millis(time), vault.clone())).into();
    cut_each("the vault from all others", &cuts);
}

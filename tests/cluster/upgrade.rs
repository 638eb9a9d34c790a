//! An upgrade as `docs/upgrades.md` says, with two builds: an ordinary one, and one of the next feature level (feature `next-level`), which
//! has a record and a message that the ordinary one does not know. `tests/upgrade.sh` builds both and names them.

use std::time::Duration;

use redis::{Connection, RedisResult};
use tanist::admin::NodeReport;
use tanist::exit::EXIT_CONFIG;
use tanist_test_support::{from_environment, seed, wait_until};

use crate::cluster::{Cluster, connect};
use crate::load::Load;
use crate::network::Host;

const LEASE: Duration = Duration::from_millis(500);
const OPTIONS: [&str; 2] = ["--enable-debug-command", "yes"];

/// The newest feature levels of the two builds.
const OLD: u16 = 1;
const NEW: u16 = 2;

/// How a build says that it does not know the level of the cluster.
const REFUSAL: &str =
    "this program knows feature level 1 only: start a release that knows level 2, as the rest of the cluster does";

/// The two builds.
struct Builds {
    old: String,
    new: String,
}

impl Builds {
    /// Those of the environment; without them the test is left out, and says so.
    fn named(test: &str) -> Option<Builds> {
        let named = |name: &str| from_environment::<String>(name);
        let builds = named("TANIST_OLD_PROGRAM").zip(named("TANIST_NEW_PROGRAM"));
        if builds.is_none() {
            println!("left out: {test}. It needs TANIST_OLD_PROGRAM and TANIST_NEW_PROGRAM: run tests/upgrade.sh");
        }
        builds.map(|(old, new)| Builds { old, new })
    }
}

/// Stops what runs on a host and starts `program` in its place.
fn replace(cluster: &mut Cluster, host: Host, program: &str) {
    cluster.stop_part(host);
    cluster.install(host, program);
    cluster.start_part(host);
}

fn connection(cluster: &Cluster, node: Host) -> Connection {
    connect(cluster.nodes()[node as usize], Duration::from_secs(5)).expect("it serves")
}

/// Asks a node for a rehearsal; it replies with the number of those so far.
fn rehearse(cluster: &Cluster, node: Host) -> RedisResult<u64> {
    redis::cmd("DEBUG").arg("REHEARSE").arg("once more").query(&mut connection(cluster, node))
}

/// Why a node has not rehearsed.
fn refusal(cluster: &Cluster, node: Host) -> String {
    rehearse(cluster, node).expect_err("a rehearsal below its level").to_string()
}

/// Waits until a host's processes have said so.
fn wait_for_words(cluster: &Cluster, host: Host, words: &str) {
    wait_until(words, || cluster.said(host).contains(words).then_some(()));
}

fn switch_over(cluster: &Cluster) -> Host {
    let output = cluster.tool(&["switchover"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    cluster.wait_for_primary()
}

/// Waits until both nodes are at feature level `level`.
fn wait_for_level(cluster: &Cluster, level: u16) {
    cluster.wait_for("feature level of both nodes", |reports| {
        (reports.len() == 2 && reports.iter().all(|report| report.level == level)).then_some(())
    });
}

/// The cluster's level, and what both of a pair know: that of the primary first.
fn levels(cluster: &Cluster) -> (u16, [u16; 2]) {
    let (primary, standby) = cluster.wait_for_pair();
    let level = |report: &NodeReport| (report.level, report.newest_level);
    let ((of_primary, primary), (of_standby, standby)) = (level(&primary), level(&standby));
    assert_eq!(of_primary, of_standby, "a record says so");
    (of_primary, [primary, standby])
}

/// Waits until both nodes, on which nobody writes any more, have pages of the same bytes at the same position.
fn wait_for_equal_pages(cluster: &Cluster) {
    let digest = |node| {
        let said: String = redis::cmd("TANIST").arg("DIGEST").query(&mut connection(cluster, node)).expect("it serves");
        said
    };
    wait_until("both nodes have the same bytes", || (digest(Host::A) == digest(Host::B)).then_some(()));
}

/// Starts the old build on a host that has been stopped: it ends, and says why.
fn old_is_refused(cluster: &mut Cluster, builds: &Builds, host: Host, sentence: &str) {
    let before = cluster.said(host).len();
    cluster.install(host, &builds.old);
    cluster.start_part(host);
    assert_eq!(cluster.wait_for_end(host), Some(i32::from(EXIT_CONFIG)), "it is not started again and again");
    let said = &cluster.said(host)[before..];
    assert!(said.contains(sentence), "{said}");
    println!("{host:?} of the old build: {}", said.lines().find(|line| line.contains(sentence)).unwrap_or_default());
}

#[test]
fn an_upgrade_under_load() {
    let Some(builds) = Builds::named("an_upgrade_under_load") else { return };
    let mut cluster = Cluster::of_program(LEASE, &OPTIONS, &builds.old);
    let load = Load::start(&cluster, seed());
    assert_eq!(levels(&cluster), (OLD, [OLD, OLD]));
    let first = cluster.wait_for_primary();

    replace(&mut cluster, Host::Vault, &builds.new);
    load.wait_until_served();
    replace(&mut cluster, first.other(), &builds.new);
    assert_eq!(levels(&cluster), (OLD, [OLD, NEW]));
    wait_for_words(&cluster, first.other(), "the vault has rehearsed");
    assert!(refusal(&cluster, first).contains("unknown subcommand"), "the old build has no such command");

    // What the new primary writes now, the old standby reads; so the way back is open.
    for primary in [first.other(), first, first.other()] {
        assert_eq!(switch_over(&cluster), primary);
        load.wait_until_served();
    }
    assert_eq!(levels(&cluster), (OLD, [NEW, OLD]));
    let why = refusal(&cluster, first.other());
    assert!(why.contains("a rehearsal needs feature level 2, and the cluster is at level 1"), "{why}");
    let status = String::from_utf8(cluster.tool(&["status"]).stdout).expect("text");
    assert!(status.contains("feature level 1; known: the vault 2"), "{status}");

    replace(&mut cluster, first, &builds.new);
    wait_for_level(&cluster, NEW);
    let primary = cluster.wait_for_primary();
    assert_eq!([1, 2], [(); 2].map(|()| rehearse(&cluster, primary).expect("all processes know the record")));
    assert_eq!(switch_over(&cluster), primary.other());
    assert_eq!(rehearse(&cluster, primary.other()).expect("the standby has counted as well"), 3);

    load.wait_until_served();
    load.finish().check();
    wait_for_equal_pages(&cluster);

    cluster.stop_part(primary);
    old_is_refused(&mut cluster, &builds, primary, "the cluster is at feature level 2, and this release of node");
    cluster.stop_part(Host::Vault);
    old_is_refused(&mut cluster, &builds, Host::Vault, REFUSAL);
}

/// The vault last, and old processes that come back when it is too late.
#[test]
fn an_upgrade_in_another_order() {
    let Some(builds) = Builds::named("an_upgrade_in_another_order") else { return };
    let mut cluster = Cluster::of_program(LEASE, &OPTIONS, &builds.old);
    let load = Load::start(&cluster, seed());
    let first = cluster.wait_for_primary();

    replace(&mut cluster, first.other(), &builds.new);
    cluster.wait_for_pair();
    wait_for_words(&cluster, first.other(), "no rehearsal on a connection of feature level 1");
    // Nobody has switched over: the standby takes over from a primary that stops.
    replace(&mut cluster, first, &builds.new);
    load.wait_until_served();
    assert_eq!(levels(&cluster), (OLD, [NEW, NEW]), "the vault does not know more");
    let why = refusal(&cluster, cluster.wait_for_primary());
    assert!(why.contains("the cluster is at level 1"), "{why}");

    // An old node may come back as long as the level has not risen, and holds it down then.
    let standby = cluster.wait_for_primary().other();
    replace(&mut cluster, standby, &builds.old);
    assert_eq!(levels(&cluster), (OLD, [NEW, OLD]));
    for vault in [&builds.new, &builds.old, &builds.new] {
        replace(&mut cluster, Host::Vault, vault);
        let pause = load.wait_until_served();
        println!("every client is served again {pause:.0?} after the vault was replaced");
        assert_eq!(levels(&cluster), (OLD, [NEW, OLD]));
    }
    // It counts also while it is away.
    cluster.stop_part(standby);
    load.wait_until_served();
    let why = refusal(&cluster, standby.other());
    assert!(why.contains("the cluster is at level 1"), "{why}");
    cluster.install(standby, &builds.new);
    cluster.start_part(standby);
    wait_for_level(&cluster, NEW);
    assert_eq!(rehearse(&cluster, standby.other()).expect("all processes know the record"), 1);

    load.wait_until_served();
    load.finish().check();
    wait_for_equal_pages(&cluster);
    cluster.stop_part(standby);
    old_is_refused(
        &mut cluster,
        &builds,
        standby,
        "start a release that knows level 2, as the rest of the cluster does",
    );
}

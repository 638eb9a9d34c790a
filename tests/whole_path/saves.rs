//! SAVE, BGSAVE and LASTSAVE: what they say is in the vault is there.

use std::time::{SystemTime, UNIX_EPOCH};

use rustix::process::Signal;

use crate::harness::{Cluster, signal, wait_until};
use crate::import::{call, strings_of};
use crate::redis::{Raw, words};

/// Cut and time (milliseconds since 1970) of the vault's newest image.
fn newest(cluster: &Cluster) -> Option<(u64, u64)> {
    let status = cluster.status().expect("the cluster answers");
    let image = &status["vault"]["images"][0];
    Some((image["cut"].as_u64()?, image["stored_unix_ms"].as_u64()?))
}

fn info(raw: &mut Raw, field: &str) -> String {
    let reply = raw.ask(&words("INFO persistence"));
    let line = reply.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':').map(str::to_owned));
    line.unwrap_or_else(|| panic!("no {field} in {reply}"))
}

fn number(raw: &mut Raw, command: &str) -> u64 {
    let reply = strings_of(&raw.ask_bytes(&words(command)));
    String::from_utf8_lossy(&reply[0]).parse().unwrap_or_else(|_| panic!("{command}: {reply:?}"))
}

#[test]
fn what_was_saved_is_in_the_vault_and_known_after_a_takeover() {
    let cluster = Cluster::start();
    let (primary, standby) = cluster.wait_for_pair();
    let mut raw = Raw::connect(primary.port);
    assert_eq!((newest(&cluster), number(&mut raw, "LASTSAVE")), (None, 0), "nothing was written, so nothing is saved");
    assert_eq!(info(&mut raw, "rdb_saves"), "0");
    for key in 0..1000 {
        call(&mut raw, words(&format!("SET key:{key} value")));
    }
    let written = cluster.nodes().iter().map(|node| node.applied).max().expect("a node");
    let before = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs();
    assert_eq!(raw.ask(&words("SAVE")), "+OK\r\n");
    let (cut, stored) = newest(&cluster).expect("an image");
    assert!(cut >= written, "the image ends at {cut}, and {written} was written");
    wait_until("the vault has said when it was stored", || {
        (number(&mut raw, "LASTSAVE") == stored / 1000).then_some(())
    });
    assert!(stored / 1000 >= before);
    let figures = ["rdb_saves", "rdb_bgsave_in_progress", "rdb_last_bgsave_status"].map(|field| info(&mut raw, field));
    assert_eq!(figures, ["1", "0", "ok"]);

    assert_eq!(raw.ask(&words("BGSAVE now")), "-ERR syntax error\r\n");
    for command in ["BGSAVE", "BGSAVE SCHEDULE"] {
        let (older, _) = newest(&cluster).expect("an image");
        call(&mut raw, words("SET more value"));
        assert_eq!(raw.ask(&words(command)), "+Background saving started\r\n");
        wait_until("a newer image", || newest(&cluster).filter(|(cut, _)| *cut > older));
    }

    // The standby asks the primary.
    let mut other = Raw::connect(standby.port);
    let (older, _) = newest(&cluster).expect("an image");
    assert_eq!(other.ask(&words("SAVE")), "+OK\r\n");
    let (cut, stored) = newest(&cluster).expect("an image");
    assert!(cut > older);
    wait_until("it knows of the image", || (number(&mut other, "LASTSAVE") == stored / 1000).then_some(()));

    // Its own process has stored none, and it knows of the vault's.
    signal(primary.pid, Signal::KILL);
    let promoted = cluster.wait_for("a takeover", |nodes| {
        nodes.iter().find(|node| node.role == "primary" && node.name == standby.name).cloned()
    });
    let mut raw = Raw::connect(promoted.port);
    wait_until("the new primary has asked the vault", || (number(&mut raw, "LASTSAVE") == stored / 1000).then_some(()));
    assert_eq!(info(&mut raw, "rdb_saves"), "0");
    assert_eq!(raw.ask(&words("SAVE")), "+OK\r\n");
    assert!(newest(&cluster).expect("an image").0 > cut);
}

//! Reads that a standby executes itself; the test plays the vault and carries the log.

use std::rc::Rc;

use tanist_db_core::redo::batch::RedoBatch;
use tanist_replication::serving::Standing;

use super::forward::Network;
use super::*;
use crate::config::Standby;
use crate::front::Stats;

/// A primary `a` that has `k` = 1 and a large list, and its standby `b`, which has applied all of that and reads.
fn pair() -> (Network, Rc<Node>, Rc<Node>) {
    let (network, a, b) = Network::pair();
    for node in [&a, &b] {
        node.context.set_standby(Standby::Read);
        // For longer than data may be old.
        node.context.serving.freshness().asks(true, Monotonic(1));
    }
    (network, a, b)
}

/// The standby `b` gets all records that `a` has.
fn ship(a: &Node, b: &Node) {
    while let Some(batch) = a.engine().redo().take(1 << 20) {
        let bytes = batch.to_bytes();
        b.engine().apply(&RedoBatch::open(&bytes).unwrap()).unwrap();
    }
    b.durable(b.engine().last().0);
}

/// The vault has told `b` just now that the log ends where it does at `a`.
fn prove(a: &Node, b: &Node) {
    let now = b.context.clock.monotonic();
    b.context.serving.freshness().told(now, a.engine().last(), || b.engine().last());
}

async fn written(network: &Network, a: &Node, b: &Node, command: &str) {
    network.client(a).ask(command, "+OK\r\n").await;
    ship(a, b);
}

#[test]
fn a_standby_reads_what_it_has_and_forwards_the_rest() {
    run(async {
        let (network, a, b) = pair();
        written(&network, &a, &b, "SET k 1\r\n").await;
        let mut client = network.client(&b);
        client.ask("GET k\r\n", "$1\r\n1\r\n").await;
        assert_eq!(Stats::read(&b.context.stats.standby_reads), 0, "it does not know yet how old its data are");
        prove(&a, &b);
        let mut client = network.client(&b);
        // The standby has not got this one.
        network.client(&a).ask("SET k 2\r\n", "+OK\r\n").await;
        client
            .ask("GET k\r\nEXISTS k nokey\r\nSCAN 0\r\n", "$1\r\n1\r\n:1\r\n*2\r\n$1\r\n0\r\n*1\r\n$1\r\nk\r\n")
            .await;
        assert_eq!(Stats::read(&b.context.stats.standby_reads), 3);
        // What takes long, waits, or belongs to a transaction is of the primary.
        client
            .ask("KEYS *\r\nMULTI\r\nGET k\r\nEXEC\r\n", "*1\r\n$1\r\nk\r\n+OK\r\n+QUEUED\r\n*1\r\n$1\r\n2\r\n")
            .await;
        client.ask("PFADD h a\r\nPFCOUNT h\r\n", ":1\r\n:1\r\n").await;
        assert_eq!(Stats::read(&b.context.stats.standby_reads), 3);
    });
}

#[test]
fn a_connection_never_reads_older_data_than_it_has_seen() {
    run(async {
        let (network, a, b) = pair();
        written(&network, &a, &b, "SET k 1\r\n").await;
        prove(&a, &b);
        let mut client = network.client(&b);
        client.ask("GET k\r\nINCR k\r\nGET k\r\n", "$1\r\n1\r\n:2\r\n$1\r\n2\r\n").await;
        assert_eq!(Stats::read(&b.context.stats.standby_reads), 1, "its write is not there yet");
        client.ask("MULTI\r\nGET k\r\nEXEC\r\n", "+OK\r\n+QUEUED\r\n*1\r\n$1\r\n2\r\n").await;
        ship(&a, &b);
        client.ask("GET k\r\n", "$1\r\n2\r\n").await;
        assert_eq!(Stats::read(&b.context.stats.standby_reads), 2, "now it is");
        // What others have written, and this client has read at the primary, too.
        network.client(&a).ask("SET k 3\r\n", "+OK\r\n").await;
        client.ask("MULTI\r\nGET k\r\nEXEC\r\n", "+OK\r\n+QUEUED\r\n*1\r\n$1\r\n3\r\n").await;
        client.ask("GET k\r\n", "$1\r\n3\r\n").await;
        assert_eq!(Stats::read(&b.context.stats.standby_reads), 2);
        network.client(&b).ask("GET k\r\n", "$1\r\n2\r\n").await;
        ship(&a, &b);
        client.ask("GET k\r\n", "$1\r\n3\r\n").await;
        assert_eq!(Stats::read(&b.context.stats.standby_reads), 4);
    });
}

/// The standby's data may be older than the moment at which keys are watched: nobody would notice.
#[test]
fn what_is_watched_is_read_at_the_primary() {
    run(async {
        let (network, a, b) = pair();
        ship(&a, &b);
        prove(&a, &b);
        network.client(&a).ask("SET k 1\r\n", "+OK\r\n").await;
        let mut client = network.client(&b);
        client.ask("GET k\r\nWATCH k\r\nGET k\r\n", "$-1\r\n+OK\r\n$1\r\n1\r\n").await;
        client.ask("MULTI\r\nSET k 2\r\nEXEC\r\n", "+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n").await;
        ship(&a, &b);
        client.ask("GET k\r\n", "$1\r\n2\r\n").await;
        assert_eq!(Stats::read(&b.context.stats.standby_reads), 2);
        client.ask("WATCH k\r\nUNWATCH\r\nGET k\r\n", "+OK\r\n+OK\r\n$1\r\n2\r\n").await;
    });
}

#[test]
fn data_that_may_be_too_old_are_not_read() {
    run(async {
        let (network, a, b) = pair();
        written(&network, &a, &b, "SET k 1\r\n").await;
        prove(&a, &b);
        let mut client = network.client(&b);
        sleep(millis(1000)).await;
        client.ask("GET k\r\n", "$1\r\n1\r\n").await;
        sleep(millis(1)).await;
        client
            .ask(
                "GET k\r\nSET k 2\r\n",
                "-MASTERDOWN this standby's data may be 1001 ms old, and standby-read-ms-max is 1000\r\n+OK\r\n",
            )
            .await;
        client.ask("CONFIG SET standby-read-ms-max 5000\r\n", "+OK\r\n").await;
        network.client(&b).ask("GET k\r\n", "$1\r\n1\r\n").await;
        client.ask("CONFIG SET standby forward\r\nGET k\r\n", "+OK\r\n$1\r\n2\r\n").await;
        assert!(!b.context.serving.freshness().is_wanted());
    });
}

#[test]
fn who_was_the_primary_reads_on() {
    run(async {
        let (network, a, b) = pair();
        let mut client = network.client(&a);
        client.ask("SET k 1\r\n", "+OK\r\n").await;
        ship(&a, &b);
        b.begin(2);
        a.follow("b", 2);
        client.ask("GET k\r\n", "$1\r\n1\r\n").await;
        assert_eq!(Stats::read(&a.context.stats.standby_reads), 1, "it has all data of its own time");
        sleep(millis(1001)).await;
        client.send("GET k\r\n").await;
        assert!(client.line().await.starts_with("-MASTERDOWN"));
    });
}

#[test]
fn a_large_reply_is_made_here_too() {
    run(async {
        let (network, a, b) = pair();
        let value = "x".repeat(3 << 20);
        let mut writer = network.client(&a);
        writer.send(&set_string(&value)).await;
        writer.expect("+OK\r\n").await;
        ship(&a, &b);
        prove(&a, &b);
        let mut client = network.client(&b);
        client.send("GET string\r\n").await;
        client.expect(&format!("${}\r\n{value}\r\n", value.len())).await;
        assert_eq!(Stats::read(&b.context.stats.standby_reads), 1);
    });
}

#[test]
fn a_client_that_follows_redirections_is_redirected() {
    run(async {
        let (network, a, b) = pair();
        written(&network, &a, &b, "SET k 1\r\n").await;
        prove(&a, &b);
        let standing = Standing { role: Role::Standby, ..standing(Role::Standby, false) };
        b.publish(Standing { primary: a.context.serving.primary(), ..standing });
        let mut client = b.client_by(Way::Library, 1 << 16);
        client.send("GET k\r\n").await;
        assert!(client.line().await.starts_with("-NOTPRIMARY"), "the library has a connection to the primary");
    });
}

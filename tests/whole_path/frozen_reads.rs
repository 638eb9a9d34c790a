//! Reads of frozen versions by real clients: large replies and pinned connections, while others write.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::spawn;
use std::time::Duration;

use redis::Connection;

use crate::harness::{Cluster, wait_until};
use crate::load::connect;
use crate::redis::{Raw, words};

const ELEMENTS: usize = 400_000;
const ELEMENT: &str =
    "an element that takes a hundred bytes, so that the list takes forty million and the reply some more: ";

/// A list of forty megabytes.
fn fill(connection: &mut Connection) {
    for piece in 0..ELEMENTS / 1_000 {
        let mut pushes = redis::pipe();
        let elements: Vec<String> = (0..1_000).map(|at| format!("{ELEMENT}{:06}", piece * 1_000 + at)).collect();
        pushes.cmd("RPUSH").arg("list").arg(elements).ignore();
        pushes.query::<()>(connection).expect("acknowledged");
    }
}

fn info(connection: &mut Connection, field: &str) -> u64 {
    let info: String = redis::cmd("INFO").arg("memory").query(connection).expect("a text");
    let line = info.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':').map(str::to_owned));
    line.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("no {field} in {info}"))
}

/// Readers that take nothing cost a megabyte or two each, not the reply; and what others write meanwhile is not in it.
#[test]
fn slow_readers_of_a_large_list_cost_little_and_hold_up_nobody() {
    const READERS: usize = 12;
    let cluster = Cluster::start();
    let (primary, _) = cluster.wait_for_pair();
    let mut connection = connect(primary.port).expect("the primary accepts");
    fill(&mut connection);
    let before = info(&mut connection, "used_memory_rss");
    let mut readers: Vec<TcpStream> = (0..READERS)
        .map(|_| {
            let mut reader = TcpStream::connect(("127.0.0.1", primary.port)).expect("the primary accepts");
            reader.set_read_timeout(Some(crate::harness::PATIENCE)).expect("a limit");
            reader.write_all(b"LRANGE list 0 -1\r\n").expect("the primary reads");
            reader
        })
        .collect();
    wait_until("all replies are being made", || {
        (info(&mut connection, "tanist_large_replies") == READERS as u64).then_some(())
    });
    // A reply begins only when its version has been frozen.
    for reader in &mut readers {
        let mut start = [0; 9];
        reader.read_exact(&mut start).expect("the reply begins");
        assert_eq!(&start, b"*400000\r\n");
    }
    for at in (0..ELEMENTS).step_by(1_000) {
        redis::cmd("LSET").arg("list").arg(at).arg("new").query::<()>(&mut connection).expect("acknowledged");
    }
    let grown = info(&mut connection, "used_memory_rss").saturating_sub(before);
    let kept = info(&mut connection, "tanist_frozen_bytes");
    println!(
        "{READERS} slow readers of {} MB: {} MB, of them {} MB of pages",
        ELEMENTS / 10_000,
        grown >> 20,
        kept >> 20
    );
    assert!(grown < 100 << 20, "{grown} bytes more");
    for (number, mut reader) in readers.into_iter().enumerate().take(3) {
        let mut reply = vec![0; ELEMENTS * (ELEMENT.len() + 6 + 8)];
        reader.read_exact(&mut reply).expect("the rest");
        let reply = String::from_utf8(reply).expect("text");
        let elements: Vec<&str> = reply.split("\r\n").skip(1).step_by(2).collect();
        assert_eq!(elements.len(), ELEMENTS, "reader {number}");
        let expected = |at: usize| format!("{ELEMENT}{at:06}");
        assert!(elements.iter().enumerate().all(|(at, element)| *element == expected(at)), "reader {number}");
    }
    wait_until("the other readers' versions are given back", || {
        (info(&mut connection, "tanist_large_replies") == 0).then_some(())
    });
    wait_until("kept pages are given back", || (info(&mut connection, "tanist_frozen_bytes") == 0).then_some(()));
}

/// Money moves between accounts all the time; a pinned connection finds all of it, account by account, and so does a later one
/// after a switchover.
#[test]
fn a_pinned_connection_sees_the_sum_of_all_accounts_at_one_moment() {
    const ACCOUNTS: usize = 500;
    let cluster = Cluster::start();
    let mut raw = Raw::connect(cluster.port);
    for account in 0..ACCOUNTS {
        assert_eq!(raw.ask(&words(&format!("SET account:{account} 100"))), "+OK\r\n");
    }
    let over = Arc::new(AtomicBool::new(false));
    let mover = {
        let (over, ports) = (Arc::clone(&over), [cluster.port, cluster.port + 1]);
        spawn(move || move_money(ACCOUNTS, ports, &over))
    };
    for round in 0..3 {
        let (primary, _) = cluster.wait_for_pair();
        let mut reader = Raw::connect(primary.port);
        for _ in 0..5 {
            let position = reader.ask(&words("TANIST PIN NEW"));
            assert!(position.starts_with(':'), "{position}");
            let keys = reader.ask(&words("KEYS account:*")).lines().filter(|line| line.starts_with("account")).count();
            assert_eq!(keys, ACCOUNTS);
            let sum: i64 = (0..ACCOUNTS).map(|account| balance(&mut reader, account)).sum();
            assert_eq!(sum, 100 * ACCOUNTS as i64, "at position {position}");
            assert!(reader.ask(&words("SET account:0 0")).starts_with("-ERR this connection has pinned a version"));
        }
        assert_eq!(reader.ask(&words("TANIST UNPIN")), "+OK\r\n");
        if round < 2 {
            let switched = cluster.tool(&["switchover"]);
            assert!(switched.status.success(), "{switched:?}\n{}", cluster.logs());
        }
    }
    over.store(true, Ordering::Relaxed);
    let moved = mover.join().expect("the mover ends");
    println!("{moved} transfers meanwhile");
    assert!(moved > 0);
}

fn balance(reader: &mut Raw, account: usize) -> i64 {
    let reply = reader.ask(&words(&format!("GET account:{account}")));
    reply.lines().nth(1).and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("account {account}: {reply}"))
}

/// Moves money until `over`; returns how often.
pub(crate) fn move_money(accounts: usize, ports: [u16; 2], over: &AtomicBool) -> u64 {
    let mut moved = 0;
    while !over.load(Ordering::Relaxed) {
        let connections = ports.iter().filter_map(|port| connect(*port).ok());
        for mut connection in connections {
            let mut at = 0;
            let transfer = |connection: &mut Connection, at: usize| {
                let (from, to) = (at * 7 % accounts, (at * 13 + 1) % accounts);
                redis::pipe()
                    .atomic()
                    .cmd("DECRBY")
                    .arg(format!("account:{from}"))
                    .arg(1 + at % 9)
                    .cmd("INCRBY")
                    .arg(format!("account:{to}"))
                    .arg(1 + at % 9)
                    .query::<()>(connection)
            };
            while !over.load(Ordering::Relaxed) && transfer(&mut connection, at).is_ok() {
                at += 1;
                moved += 1;
            }
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    moved
}

//! A primary that was paused, replaced and resumed acknowledges nothing more and becomes a standby.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use rustix::process::Signal;

use crate::harness::{Cluster, signal};
use crate::load::{connect, connect_primary};

#[test]
fn a_replaced_primary_acknowledges_nothing_and_becomes_a_standby() {
    let cluster = Cluster::start();
    let (old, new) = cluster.wait_for_pair();
    let mut held = TcpStream::connect(("127.0.0.1", old.port)).expect("the primary accepts");
    held.write_all(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$6\r\nbefore\r\n").expect("written");
    assert_eq!(read_some(&mut held), b"+OK\r\n");

    signal(old.pid, Signal::STOP);
    held.write_all(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4\r\nlate\r\n").expect("the kernel takes it");
    let mut connection = connect_primary([new.port, new.port]);
    redis::cmd("SET").arg("k").arg("after").exec(&mut connection).expect("the successor acknowledges");

    signal(old.pid, Signal::CONT);
    let answer = read_some(&mut held);
    assert!(answer.is_empty() || answer.starts_with(b"-"), "acknowledged after being replaced: {answer:?}");
    cluster.wait_for("the old primary as a standby", |nodes| {
        nodes.iter().find(|node| node.name == old.name && node.role == "standby").map(|_| ())
    });
    let value: String = redis::cmd("GET").arg("k").query(&mut connection).expect("the successor serves");
    assert_eq!(value, "after");
    let refused = connect(old.port)
        .and_then(|mut connection| redis::cmd("SET").arg("k").arg("stale").exec(&mut connection))
        .expect_err("a standby takes no writes");
    assert_eq!(refused.code(), Some("READONLY"), "{refused}");
}

/// What comes within ten seconds; nothing if the connection is closed.
fn read_some(stream: &mut TcpStream) -> Vec<u8> {
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a limit");
    let mut buffer = [0; 256];
    let read = stream.read(&mut buffer).unwrap_or(0);
    buffer[..read].to_vec()
}

//! A primary that was paused, replaced and resumed acknowledges nothing more and becomes a standby.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use rustix::process::Signal;

use crate::harness::{Cluster, PATIENCE, signal, wait_until};
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
    let mut forwarded = connect(old.port).expect("the standby accepts");
    let value: String = redis::cmd("GET").arg("k").query(&mut forwarded).expect("the successor's reply");
    assert_eq!(value, "after");
    redis::cmd("CONFIG").arg("SET").arg("standby").arg("refuse").exec(&mut forwarded).expect("a setting of the node");
    let set = redis::cmd("SET").arg("k").arg("stale").exec(&mut forwarded);
    let refused = set.expect_err("a standby by itself takes no writes");
    assert_eq!(refused.code(), Some("READONLY"), "{refused}");
}

/// Values that fill the way to the vault, so that what is written after them cannot have reached it; and how many of them.
const FILL_BYTES: usize = 256 * 1024;
const FILLS: usize = 32;

/// The dangerous case: writes were executed, and their replies are held because the vault does not answer. Meanwhile the node
/// is replaced. Nothing it held may leave, unless it is true on the successor.
#[test]
fn a_reply_that_was_held_when_the_node_was_replaced_never_leaves() {
    // Long enough for everything before the takeover to happen while the lease runs, and for no reply to be given up before.
    let cluster = Cluster::with_options(&["--lease-ms", "5000", "--durable-wait-ms", "60000"]);
    let (old, new) = cluster.wait_for_pair();
    let (vault, supervisor) = (cluster.vault_pid(), old.supervisor_pid());
    let mut writer = TcpStream::connect(("127.0.0.1", old.port)).expect("the primary accepts");
    let mut reader = TcpStream::connect(("127.0.0.1", old.port)).expect("the primary accepts");
    writer.write_all(&set("k", "before")).expect("written");
    assert_eq!(read_some(&mut writer), OK);
    let executed_before = executed(old.port);

    signal(vault, Signal::STOP);
    for nth in 0..FILLS {
        writer.write_all(&set(&format!("fill:{nth}"), &"x".repeat(FILL_BYTES))).expect("the primary reads");
    }
    writer.write_all(&set("k", "held")).expect("the primary reads");
    wait_until("all of it is executed", || (executed(old.port) > executed_before + FILLS as u64).then_some(()));
    reader.write_all(b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n").expect("the primary reads");

    // The supervisor first: it would start another process in the place of the one that does not move.
    signal(supervisor, Signal::STOP);
    signal(old.pid, Signal::STOP);
    signal(vault, Signal::CONT);
    let mut connection = connect_primary([new.port, new.port]);
    let mut get = |key: &str| redis::cmd("GET").arg(key).query::<Option<String>>(&mut connection).expect("it serves");
    assert_eq!(get("k").as_deref(), Some("before"), "the write that was held had not reached the vault");
    let taken_over = (0..FILLS).take_while(|nth| get(&format!("fill:{nth}")).is_some()).count();

    signal(old.pid, Signal::CONT);
    let (told, read) = (read_to_end(&mut writer), read_to_end(&mut reader));
    signal(supervisor, Signal::CONT);
    let acknowledged = told.chunks(OK.len()).take_while(|reply| *reply == OK).count();
    println!("of {FILLS} writes before it, {taken_over} were taken over and {acknowledged} acknowledged");
    assert!(acknowledged <= taken_over, "acknowledged {acknowledged} writes, but {taken_over} were taken over");
    let rest = &told[acknowledged * OK.len()..];
    assert!(rest.is_empty() || rest.starts_with(b"-"), "{}", String::from_utf8_lossy(rest));
    assert!(read.is_empty() || read.starts_with(b"-"), "a value was read that was never there: {read:?}");
    cluster.wait_for("the old primary as a standby", |nodes| {
        nodes.iter().find(|node| node.name == old.name && node.role == "standby").map(|_| ())
    });
    let mut connection = connect_primary([new.port, new.port]);
    let value: String = redis::cmd("GET").arg("k").query(&mut connection).expect("the successor serves");
    assert_eq!(value, "before");
}

const OK: &[u8] = b"+OK\r\n";

fn set(key: &str, value: &str) -> Vec<u8> {
    format!("*3\r\n$3\r\nSET\r\n${}\r\n{key}\r\n${}\r\n{value}\r\n", key.len(), value.len()).into_bytes()
}

/// The position of the newest record that the node has executed, durable or not.
fn executed(port: u16) -> u64 {
    let mut connection = connect(port).expect("the node accepts");
    let (role, position): (String, u64) = redis::cmd("ROLE")
        .query::<(String, u64, redis::Value)>(&mut connection)
        .map(|(r, p, _)| (r, p))
        .expect("a role");
    assert_eq!(role, "master");
    position
}

/// All that comes until the connection is closed.
fn read_to_end(stream: &mut TcpStream) -> Vec<u8> {
    stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
    let mut all = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return all,
            Ok(read) => all.extend_from_slice(&buffer[..read]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!("the connection was not closed within {PATIENCE:?}; it gave {} bytes", all.len())
            }
            Err(_) => return all,
        }
    }
}

/// What comes within ten seconds; nothing if the connection is closed.
fn read_some(stream: &mut TcpStream) -> Vec<u8> {
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a limit");
    let mut buffer = [0; 256];
    let read = stream.read(&mut buffer).unwrap_or(0);
    buffer[..read].to_vec()
}

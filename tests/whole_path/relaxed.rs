//! Level `relaxed`: replies do not wait for the vault, but the number of acknowledged writes that may be lost is bounded.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::Duration;

use redis::Connection;
use rustix::process::Signal;

use crate::harness::{Cluster, Node, PATIENCE, signal, wait_until};
use crate::load::{connect, connect_primary};

/// Large values come to the bound in bytes soon; small ones do not before the lease ends.
const LARGE: usize = 64 * 1024;
const SMALL: usize = 16;
const BYTES_MAX: usize = 1 << 20;
/// Writes before the vault is stopped, which `WAIT` confirms.
const SAFE: usize = 20;

/// The lease outlasts the writes, so that it is the bound that stops them; and no command waits so long that the test does.
const LEVEL: [&str; 6] = ["--durability", "relaxed", "--lease-ms", "5000", "--durable-wait-ms", "6000"];

/// As many bytes as the bound allows are acknowledged without the vault, then writes wait and fail. If the primary dies now, no
/// more than that is lost.
#[test]
fn a_takeover_loses_no_more_than_the_bytes_that_may_be_at_risk() {
    let cluster = relaxed(&["--relaxed-bytes-max", "1mb", "--relaxed-ms-max", "6000"]);
    let (primary, _) = cluster.wait_for_pair();
    let vault = cluster.vault_pid();
    let mut connection = after_safe_writes(&primary);
    signal(vault, Signal::STOP);
    let at_risk = write_until_refused(&mut connection, LARGE, &AtomicUsize::new(0));
    // The bound is looked at before a write is executed: one write may go beyond it.
    let most = BYTES_MAX / LARGE + 1;
    assert!((1..=most).contains(&at_risk), "{at_risk} writes of {LARGE} bytes were acknowledged without the vault");
    signal(primary.pid, Signal::KILL);
    signal(vault, Signal::CONT);
    verify(&cluster, at_risk);
}

/// Once the oldest write that is not durable is too old, writes wait, however few bytes there are, while reads are still answered;
/// then they fail. When the vault is back, service resumes.
#[test]
fn writes_wait_once_one_has_been_at_risk_for_too_long() {
    let cluster = relaxed(&["--relaxed-bytes-max", "60mb", "--relaxed-ms-max", "50"]);
    let (primary, _) = cluster.wait_for_pair();
    let vault = cluster.vault_pid();
    let (mut connection, mut reader) =
        (after_safe_writes(&primary), connect(primary.port).expect("a second connection"));
    signal(vault, Signal::STOP);
    let acknowledged = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&acknowledged);
    let writer = std::thread::spawn(move || write_until_refused(&mut connection, SMALL, &count));
    wait_until("writes stop while reads go on", || {
        let before = acknowledged.load(Ordering::Relaxed);
        sleep(Duration::from_millis(300));
        let stopped = before == acknowledged.load(Ordering::Relaxed);
        assert!(has(&mut reader, "safe", 0), "reads are answered until the lease ends");
        stopped.then_some(())
    });
    let at_risk = writer.join().expect("the writer did not panic");
    assert!(at_risk > 0, "no write was acknowledged without the vault");
    signal(vault, Signal::CONT);
    verify(&cluster, at_risk);
}

fn relaxed(bounds: &[&str]) -> Cluster {
    Cluster::with_options(&[&LEVEL, bounds].concat())
}

/// A connection after some writes that the vault has.
fn after_safe_writes(primary: &Node) -> Connection {
    let mut connection = connect(primary.port).expect("the primary accepts");
    connection.set_read_timeout(Some(PATIENCE)).expect("a limit");
    for nth in 0..SAFE {
        write(&mut connection, "safe", nth, SMALL).expect("acknowledged");
    }
    let confirmed: i64 = redis::cmd("WAIT").arg(1).arg(0).query(&mut connection).expect("an answer");
    assert_eq!(confirmed, 1, "the vault has everything so far");
    connection
}

/// Writes until a write is refused. Returns the number of acknowledged writes.
fn write_until_refused(connection: &mut Connection, bytes: usize, acknowledged: &AtomicUsize) -> usize {
    for nth in 0.. {
        let Err(refused) = write(connection, "risk", nth, bytes) else {
            acknowledged.store(nth + 1, Ordering::Relaxed);
            continue;
        };
        println!("{nth} writes were acknowledged without the vault, then: {refused}");
        assert_eq!(refused.code(), Some("NOTDURABLE"), "{refused}");
        assert!(refused.to_string().contains("(not executed)"), "{refused}");
        let again = write(connection, "risk", nth, bytes).expect_err("nor later");
        assert_eq!(again.code(), Some("NOTDURABLE"), "{again}");
        return nth;
    }
    unreachable!("a bound ends the writes")
}

/// Service resumes; what was durable is there; of what was at risk there is a beginning without a hole; and what was refused has
/// not happened.
fn verify(cluster: &Cluster, at_risk: usize) {
    let mut connection = connect_primary([cluster.port, cluster.port + 1]);
    let safe = (0..SAFE).filter(|nth| has(&mut connection, "safe", *nth)).count();
    assert_eq!(safe, SAFE, "a write that WAIT had confirmed is lost");
    let there: Vec<_> = (0..=at_risk).map(|nth| has(&mut connection, "risk", nth)).collect();
    let kept = there.iter().take_while(|there| **there).count();
    println!("of {at_risk} writes at risk {kept} were kept");
    assert!(there[kept..].iter().all(|there| !there), "a hole in what one connection wrote in order: {there:?}");
    assert!(!there[at_risk], "a write that was refused as not executed has happened");
    write(&mut connection, "after", 0, SMALL).expect("service resumes");
    cluster.wait_for_pair();
}

fn write(connection: &mut Connection, kind: &str, nth: usize, bytes: usize) -> redis::RedisResult<()> {
    redis::cmd("SET").arg(format!("{kind}:{nth}")).arg(value(nth, bytes)).exec(connection)
}

fn has(connection: &mut Connection, kind: &str, nth: usize) -> bool {
    let found: Option<String> = redis::cmd("GET").arg(format!("{kind}:{nth}")).query(connection).expect("an answer");
    let Some(found) = found else { return false };
    assert_eq!(found, value(nth, found.len()), "{kind}:{nth}");
    true
}

fn value(nth: usize, bytes: usize) -> String {
    let mut value = format!("{nth} ");
    value.extend(std::iter::repeat_n('x', bytes.saturating_sub(value.len())));
    value
}

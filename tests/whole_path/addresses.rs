//! A cluster that listens on all addresses, or is reached by a name. `up --bind 0.0.0.0` never came up: the wildcard was written
//! into `cluster.toml`, and then dialled.

use std::fs;
use std::net::TcpListener;
use std::time::Duration;

use rustix::process::Signal;
use tanist_client::{Client, Options};
use tanist_test_support::skip;

use crate::harness::{Cluster, signal, wait_until};
use crate::kill::client_options_at;

/// Everything that dials: a Redis client at `host`, the tools, a standby that takes over, and the client library, which is told
/// of one node only and hears of the other from it.
fn serves(options: &[&str], host: &str, advertised: &str) {
    let cluster = Cluster::with_options(options);
    let file = fs::read_to_string(cluster.data().join("cluster.toml")).expect("the cluster's file");
    assert!(file.contains(&format!("\"{advertised}:{}\"", cluster.port)), "what others dial is written: {file}");

    let (primary, _) = cluster.wait_for_pair();
    let mut redis = redis::Client::open(format!("redis://{host}:{}", primary.port)).expect("an address");
    let mut connection = redis.get_connection_with_timeout(Duration::from_secs(5)).expect("it listens there");
    redis::cmd("SET").arg("k").arg("v").exec(&mut connection).expect("acknowledged");
    let way_in = format!("-p {}", primary.port);
    wait_until("`up` says how to get in", || cluster.events().contains(&way_in).then_some(()));

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let both = client_options_at(&cluster, host);
    let options = Options { nodes: vec![both.nodes[0].clone()], ..both };
    let client = runtime.block_on(Client::connect(options)).expect("the primary is found");
    let count = |words: &[&str]| runtime.block_on(client.command(words)).expect("acknowledged");
    assert_eq!(count(&["INCR", "n"]), redis::Value::Int(1));

    let output = cluster.tool(&["switchover"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(count(&["INCR", "n"]), redis::Value::Int(2), "the library has followed");

    let (primary, _) = cluster.wait_for_equal();
    signal(primary.pid, Signal::KILL);
    let (successor, _) = cluster.wait_for("another primary and a standby", |nodes| {
        let of = |role: &str| nodes.iter().find(|node| node.role == role).cloned();
        of("primary").filter(|node| node.name != primary.name).zip(of("standby"))
    });
    // A write on the connection that has just died would be of unknown outcome; a read is repeated.
    assert_eq!(count(&["GET", "n"]), redis::Value::BulkString(b"2".into()), "the library has followed");
    assert_eq!(count(&["INCR", "n"]), redis::Value::Int(3), "and writes to the new primary");
    redis = redis::Client::open(format!("redis://{host}:{}", successor.port)).expect("an address");
    let mut connection = redis.get_connection_with_timeout(Duration::from_secs(5)).expect("it listens there");
    let value: String = redis::cmd("GET").arg("k").query(&mut connection).expect("a value");
    assert_eq!(value, "v");
}

#[test]
fn all_addresses_of_a_machine() {
    serves(&["--bind", "0.0.0.0"], "127.0.0.1", "127.0.0.1");
}

#[test]
fn all_addresses_of_a_machine_with_ipv6() {
    if TcpListener::bind("[::1]:0").is_err() {
        return skip("a cluster that listens on ::", "IPv6 on the loopback interface");
    }
    serves(&["--bind", "::"], "[::1]", "[::1]");
}

#[test]
fn a_name_that_stands_for_this_machine() {
    serves(&["--bind", "127.0.0.1", "--advertise", "localhost"], "localhost", "localhost");
}

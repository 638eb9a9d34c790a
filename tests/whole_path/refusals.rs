//! What tools say when a node refuses them. Without the password, or with all places taken, they said that no node was primary.

use std::net::TcpStream;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::harness::{Cluster, Node, TANIST};
use crate::load::connect;
use crate::redis::{Raw, words};

/// As `OPERATOR_PLACES` of the front.
const OPERATOR_PLACES: usize = 16;

#[test]
fn a_refusal_names_its_cause_and_operators_have_places_of_their_own() {
    let cluster = Cluster::start();
    let (primary, standby) = cluster.wait_for_pair();
    let named = cluster.tool(&["switchover", "--to", &primary.name]);
    let said = String::from_utf8_lossy(&named.stdout).to_string();
    assert!(named.status.success() && said.contains("is primary already"), "{named:?}");

    let mut operators: Vec<Raw> = [&primary, &standby].map(full).into();
    refused(&mut Raw::connect(primary.port), "GET a", "-ERR max number of clients reached\r\n");
    cluster.wait_for_pair();
    for node in [&primary, &standby] {
        operators.extend((1..=OPERATOR_PLACES).map(|_| operator(node)));
    }
    // Those whose words come last, so that nobody is cut for silence before the tools have asked.
    operators.iter_mut().for_each(|operator| drop(operator.ask(&words("ROLE"))));
    said_why(&cluster, &["switchover"], "max number of clients reached");
    drop(operators.split_off(2));
    let [of_primary, of_standby] = &mut operators[..] else { panic!("two are left") };
    for operator in [&mut *of_primary, &mut *of_standby] {
        assert_eq!(operator.ask(&words("CONFIG SET maxclients 1000 requirepass secret")), "+OK\r\n");
    }
    for tool in [&["switchover"][..], &["drill", "switchover", "--yes"], &["switchover", "--to", &standby.name]] {
        said_why(&cluster, tool, "NOAUTH: set TANIST_REQUIREPASS");
    }
    let mut unauthenticated = connect(primary.port).expect("a place");
    let health =
        redis::cmd("TANIST").arg("HEALTH").query::<String>(&mut unauthenticated).expect_err("it is told to nobody");
    assert_eq!(health.code(), Some("NOAUTH"), "{health}");
    let with_password = |password| {
        let mut tool = Command::new(TANIST);
        tool.args(["switchover", "--to", &primary.name, "--data"]).arg(cluster.data());
        tool.env("TANIST_REQUIREPASS", password).output().expect("the tool runs")
    };
    let output = with_password("guess");
    assert!(String::from_utf8_lossy(&output.stderr).contains("WRONGPASS: set TANIST_REQUIREPASS"), "{output:?}");
    assert!(with_password("secret").status.success());
    for operator in [of_primary, of_standby] {
        assert_eq!(operator.ask(&[&words("CONFIG SET requirepass")[..], &[Vec::new()]].concat()), "+OK\r\n");
    }
    assert!(with_password("secret").status.success(), "a password that nobody asks for does not matter");
}

/// Takes the one place that `node` has for clients from now on; an operator's connection.
fn full(node: &Node) -> Raw {
    let mut operator = Raw::connect(node.port);
    assert_eq!(operator.ask(&words("CONFIG SET maxclients 1")), "+OK\r\n");
    operator
}

/// An operator's connection that has a place: those that have just gone may still have theirs.
fn operator(node: &Node) -> Raw {
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        let mut operator = Raw::connect(node.port);
        if operator.ask(&words("ROLE")).starts_with('*') {
            return operator;
        }
        assert!(Instant::now() < until, "no place for an operator");
        sleep(Duration::from_millis(5));
    }
}

fn refused(client: &mut Raw, command: &str, reply: &str) {
    assert_eq!(client.ask(&words(command)), reply);
}

fn said_why(cluster: &Cluster, tool: &[&str], why: &str) {
    let output = cluster.tool(tool);
    let said = String::from_utf8_lossy(&output.stderr).to_string();
    assert!(!output.status.success() && said.contains(why), "{tool:?} says {output:?}");
}

/// A port at which nobody listens is another cause than a node that refuses.
#[test]
fn a_status_of_nobody_says_so() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port");
    assert!(TcpStream::connect(free).is_err());
    let output = Command::new(TANIST).args(["status", &free.to_string()]).output();
    let said = String::from_utf8_lossy(&output.expect("the tool runs").stderr).to_string();
    assert!(said.contains("nobody listens there") && said.contains("`tanist up` starts them"), "{said}");
}

//! Stock Redis clients with a running pair, each with RESP2 and RESP3: what programs use of them, and what each needs to follow a
//! switchover.
//!
//! redis-py, ioredis and node-redis run in interpreters, by the scripts in `tests/stock_clients/`, whose `install.sh` puts the exact versions under
//! `target/`. Rust's `redis` is a dependency like any other.

mod balancer;
mod follow;
mod rust;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tanist_test_support::{from_environment, skip};

use crate::harness::Cluster;
use crate::programs::run;

#[test]
fn redis_py() {
    check("redis_py.py", redis_py_command);
}

#[test]
fn ioredis() {
    check("ioredis.mjs", node_command);
}

/// An interpreter that has redis-py, if it is installed.
fn redis_py_command() -> Option<Command> {
    let python = installed("venv/bin/python3");
    if !runs(Command::new(&python).args(["-c", "import redis"])) {
        skip("redis-py with a running pair", "python3 with redis-py: run tests/stock_clients/install.sh");
        return None;
    }
    Some(Command::new(&python))
}

/// An interpreter that has ioredis and node-redis, if they are installed.
fn node_command() -> Option<Command> {
    let folder = installed("");
    // Where the system's is too old there is one beside redis-py.
    let node = Some(installed("venv/bin/node")).filter(|node| node.exists()).unwrap_or_else(|| "node".into());
    let mut command = Command::new(&node);
    command.current_dir(&folder);
    if !runs(Command::new(&node).current_dir(&folder).args(["-e", "require('ioredis'), require('redis')"])) {
        skip("ioredis and node-redis with a running pair", "node with both: run tests/stock_clients/install.sh");
        return None;
    }
    Some(command)
}

#[test]
fn redis_rs() {
    for protocol in [2, 3] {
        on_a_pair(|primary, standby| rust::check(primary, standby, protocol));
    }
}

/// Runs a script, a pair for each protocol: it moves the primary.
fn check(script: &str, interpreter: impl Fn() -> Option<Command>) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stock_clients").join(script);
    for protocol in [2, 3] {
        let Some(mut command) = interpreter() else { return };
        on_a_pair(|primary, standby| {
            command.arg(&script).args([primary, standby, protocol].map(|number| number.to_string()));
            let (succeeded, said) = run(&mut command);
            assert!(succeeded, "{}:\n{said}", script.display());
            println!("{said}");
        });
    }
}

/// With the ports of the primary and of the standby.
fn on_a_pair(work: impl FnOnce(u16, u16)) {
    let cluster = Cluster::start();
    let (primary, standby) = cluster.wait_for_pair();
    work(primary.port, standby.port);
}

fn runs(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).output().is_ok_and(|output| output.status.success())
}

/// The folder of all of them, if they are installed.
pub(crate) fn stock_clients() -> Option<PathBuf> {
    (redis_py_command().is_some() && node_command().is_some()).then(|| installed(""))
}

/// Where `install.sh` has put something: `TANIST_STOCK_CLIENTS`, or its usual place.
fn installed(what: &str) -> PathBuf {
    let folder = from_environment::<PathBuf>("TANIST_STOCK_CLIENTS");
    folder.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/stock_clients")).join(what)
}

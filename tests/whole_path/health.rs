//! What a balancer's check sees of a node that cannot serve.

use rustix::process::Signal;

use crate::harness::{Cluster, signal, wait_until};
use crate::load::connect;

/// What `PING` says, the role in `INFO replication`, the first word of `ROLE`.
fn seen(port: u16) -> Option<(String, String, String)> {
    let mut connection = connect(port).ok()?;
    let ping = match redis::cmd("PING").query::<String>(&mut connection) {
        Ok(pong) => pong,
        Err(error) => error.code()?.to_owned(),
    };
    let info: String = redis::cmd("INFO").arg("replication").query(&mut connection).ok()?;
    let role = info.lines().find_map(|line| line.strip_prefix("role:"))?.to_owned();
    let reply: Vec<redis::Value> = redis::cmd("ROLE").query(&mut connection).ok()?;
    let first = redis::from_redis_value(reply.into_iter().next()?).ok()?;
    Some((ping, role, first))
}

fn wait_for(what: &str, port: u16, expected: [&str; 3]) {
    wait_until(what, || {
        let (ping, role, first) = seen(port)?;
        ([ping.as_str(), role.as_str(), first.as_str()] == expected).then_some(())
    });
}

const HEALTHY: [&str; 3] = ["PONG", "master", "master"];

/// The lease is so long that nobody takes over meanwhile.
#[test]
fn a_standby_that_does_not_reach_its_primary_does_not_look_healthy() {
    let cluster = Cluster::with_options(&["--lease-ms", "120000", "--durable-wait-ms", "150000"]);
    let (primary, standby) = cluster.wait_for_pair();
    wait_for("both are healthy", primary.port, HEALTHY);
    wait_for("both are healthy", standby.port, HEALTHY);
    signal(primary.pid, Signal::STOP);
    wait_for("the standby has lost its primary", standby.port, ["MASTERDOWN", "slave", "slave"]);
    signal(primary.pid, Signal::CONT);
    wait_for("the standby has found it again", standby.port, HEALTHY);
    wait_for("the primary serves", primary.port, HEALTHY);
}

#[test]
fn nodes_without_their_vault_do_not_look_healthy() {
    let cluster = Cluster::start();
    let (primary, standby) = cluster.wait_for_pair();
    let vault = cluster.vault_pid();
    signal(vault, Signal::STOP);
    wait_for("the primary has lost its lease", primary.port, ["MISCONF", "slave", "slave"]);
    wait_for("the standby follows nobody", standby.port, ["MASTERDOWN", "slave", "slave"]);
    signal(vault, Signal::CONT);
    for node in [primary, standby] {
        wait_for("both are healthy again", node.port, HEALTHY);
    }
}

#[test]
fn a_standby_that_refuses_is_alive_and_no_master() {
    let cluster = Cluster::with_options(&["--standby", "refuse"]);
    let (primary, standby) = cluster.wait_for_pair();
    wait_for("the primary is healthy", primary.port, HEALTHY);
    wait_for("the standby lives", standby.port, ["PONG", "slave", "slave"]);
}

//! Without the vault writes wait and then fail with `-NOTDURABLE`: nothing is acknowledged that could be lost.

use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::harness::{Cluster, PATIENCE, signal, words};
use crate::load::{Writer, connect, connect_primary};

#[test]
fn a_stopped_vault_stops_acknowledgements_and_loses_nothing() {
    let cluster = Cluster::start();
    let ports = [cluster.port, cluster.port + 1];
    let writers: Vec<_> = (0..4).map(|n| Writer::start(n, ports, Arc::new(words()))).collect();
    sleep(Duration::from_millis(400));
    let (primary, _) = cluster.wait_for_pair();
    let vault = cluster.vault_pid();
    signal(vault, Signal::STOP);

    let mut connection = connect(primary.port).expect("the primary still accepts connections");
    connection.set_read_timeout(Some(PATIENCE)).expect("a limit");
    let start = Instant::now();
    let refused =
        redis::cmd("SET").arg("while-away").arg(1).exec(&mut connection).expect_err("nothing may be acknowledged");
    assert_eq!(refused.code(), Some("NOTDURABLE"), "{refused}");
    println!("a write without the vault was refused after {:.1?}: {refused}", start.elapsed());
    let refused = redis::cmd("SET").arg("while-away").arg(2).exec(&mut connection).expect_err("nor later");
    assert_eq!(refused.code(), Some("NOTDURABLE"), "{refused}");

    // It answers nobody any more, and says so wherever an operator, a monitor or a load balancer looks.
    let status = cluster.status().expect("the nodes answer");
    for node in status["nodes"].as_array().expect("nodes") {
        let trouble = node["trouble"].as_str().expect("words");
        assert!(node["serves"] == false && trouble.contains("no answer from the vault for"), "{node}");
    }
    let health = redis::cmd("TANIST").arg("HEALTH").exec(&mut connection).expect_err("it does not serve");
    assert!(health.to_string().contains("primary, cannot serve: no answer from the vault for"), "{health}");
    let info: String = redis::cmd("INFO").query(&mut connection).expect("it can be asked");
    for line in ["aof_last_write_status:err", "tanist_executing:no", "tanist_vault_link:down", "connected_slaves:0"] {
        assert!(info.contains(&format!("\r\n{line}\r\n")), "{line} is missing in {info}");
    }

    signal(vault, Signal::CONT);
    let start = Instant::now();
    let mut connection = connect_primary(ports);
    println!("first acknowledged write after the vault came back: {:.0?}", start.elapsed());
    cluster.wait_for("a primary that serves", |_| {
        let nodes = cluster.status()?["nodes"].clone();
        nodes.as_array()?.iter().any(|node| node["serves"] == true && node["trouble"] == "").then_some(())
    });
    for told in writers.into_iter().map(Writer::finish) {
        told.verify(&mut connection);
    }
}

#[test]
fn a_killed_vault_is_started_again_and_has_everything() {
    let cluster = Cluster::start();
    let ports = [cluster.port, cluster.port + 1];
    let writers: Vec<_> = (0..4).map(|n| Writer::start(n, ports, Arc::new(words()))).collect();
    for _ in 0..3 {
        sleep(Duration::from_millis(500));
        signal(cluster.vault_pid(), Signal::KILL);
        cluster.wait_for_pair();
        drop(connect_primary(ports));
    }
    let told: Vec<_> = writers.into_iter().map(Writer::finish).collect();
    let mut connection = connect_primary(ports);
    for told in &told {
        told.verify(&mut connection);
    }
    let start = Instant::now();
    cluster.wait_for_equal();
    println!("the standby had everything {:.0?} later", start.elapsed());
}

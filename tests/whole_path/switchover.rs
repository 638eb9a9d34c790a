//! Twenty planned switchovers under load: nothing lost, and users of the client library notice nothing.

use std::time::{Duration, Instant};

use redis::AsyncCommands;
use tanist_client::Client;

use crate::harness::{Cluster, print_times, rounds};
use crate::kill::client_options;
use crate::load::{Told, connect_primary, fill};

#[test]
fn switchovers_under_load_fail_no_operation() {
    // Images of some size are on their way while the roles change: one that was frozen in an earlier term must disturb no later.
    let cluster = Cluster::with_options(&["--image-interval-ms", "200"]);
    fill(&mut connect_primary([cluster.port; 2]), 100_000);
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let options = client_options(&cluster);
    let writers = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let client = Client::connect(options).await.expect("the client finds the primary");
            let writers = (0..4).map(|number| write_until(stopped.clone(), number, client.clone()));
            futures_util::future::join_all(writers).await
        })
    });

    let mut takes = Vec::new();
    for _ in 0..rounds(20) {
        let (old, new) = cluster.wait_for_pair();
        let start = Instant::now();
        let output = cluster.tool(&["switchover"]);
        takes.push(start.elapsed());
        assert!(output.status.success(), "{}\n{}", String::from_utf8_lossy(&output.stderr), cluster.logs());
        let (primary, standby) = cluster.wait_for_pair();
        assert_eq!((&primary.name, &standby.name), (&new.name, &old.name), "the roles have changed places");
        assert_eq!((primary.pid, standby.pid), (new.pid, old.pid), "no process was restarted for it");
    }
    stop.send(true).expect("writers listen");
    let told = writers.join().expect("the writers end");
    let told: Vec<Told> = told.into_iter().map(|told| told.expect("no operation failed")).collect();
    print_times("tanist switchover, the whole command", &mut takes);
    let longest = told.iter().map(|told| told.longest_gap).max().expect("four writers");
    let count: u64 = told.iter().map(|told| told.count).sum();
    println!("longest pause that a client saw: {longest:.0?}, over {count} acknowledged writes");
    let mut connection = connect_primary([cluster.port, cluster.port + 1]);
    for told in &told {
        told.verify(&mut connection);
    }
}

async fn write_until(
    stop: tokio::sync::watch::Receiver<bool>,
    number: usize,
    mut client: Client,
) -> redis::RedisResult<Told> {
    let mut told = Told::default();
    let mut last = Instant::now();
    for i in 0u64.. {
        if *stop.borrow() {
            break;
        }
        let (key, value) = (format!("{number}:{}", i % 5000), i.to_string());
        client.set::<_, _, ()>(&key, &value).await?;
        told.acknowledge(key, value);
        told.longest_gap = told.longest_gap.max(last.elapsed());
        last = Instant::now();
    }
    assert!(told.count > 0 && told.longest_gap < Duration::MAX);
    Ok(told)
}

#[test]
fn a_switchover_to_nobody_is_refused_and_changes_nothing() {
    let cluster = Cluster::start();
    let (primary, _) = cluster.wait_for_pair();
    let output = cluster.tool(&["switchover", "--to", "nobody"]);
    let sentence = String::from_utf8_lossy(&output.stderr).to_string();
    assert!(!output.status.success() && sentence.contains("nobody"), "{output:?}");
    assert_eq!(cluster.wait_for_pair().0, cluster.nodes().into_iter().find(|n| n.name == primary.name).expect("it"));
    let mut connection = connect_primary([primary.port, primary.port]);
    redis::cmd("SET").arg("after").arg(1).exec(&mut connection).expect("the primary still takes writes");
}

/// Four of them went there and back again, and some were refused.
#[test]
fn switchovers_that_are_asked_for_at_once_change_the_primary_once() {
    let cluster = Cluster::start();
    let (primary, standby) = cluster.wait_for_pair();
    let outputs: Vec<_> = std::thread::scope(|scope| {
        // With a name: a tool that starts when the others have ended would rightly go back.
        let ask = || cluster.tool(&["switchover", "--to", &standby.name]);
        let asked: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
        asked.into_iter().map(|asked| asked.join().expect("the tool ends")).collect()
    });
    for output in &outputs {
        let (said, complaint) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        println!("{said}{complaint}");
        assert!(output.status.success() && said.contains(&format!("node {} is primary", standby.name)), "{complaint}");
    }
    let (now, other) = cluster.wait_for_pair();
    assert_eq!((now.name, other.name), (standby.name.clone(), primary.name));
    let again = cluster.tool(&["switchover", "--to", &standby.name]);
    assert!(again.status.success(), "what is so already is a success");
}

/// What was set on the primary was another setting on the standby, and forgotten by both when they started again.
#[test]
fn what_is_set_for_the_cluster_survives_a_switchover_and_a_restart() {
    let mut cluster = Cluster::with_options(&["--maxmemory", "1gb"]);
    let get = |port: u16| -> Vec<String> {
        let mut connection = connect_primary([port; 2]);
        redis::cmd("CONFIG").arg("GET").arg("maxmemory").query(&mut connection).expect("it answers")
    };
    let (primary, standby) = cluster.wait_for_pair();
    let mut connection = connect_primary([primary.port; 2]);
    redis::cmd("CONFIG").arg(&["SET", "maxmemory", "2gb"]).exec(&mut connection).expect("it is set");
    assert!(cluster.tool(&["switchover", "--to", &standby.name]).status.success());
    assert_eq!(get(cluster.wait_for_pair().0.port)[1], (2_u64 << 30).to_string());
    assert_eq!(cluster.stop(), Some(0));
    cluster.up();
    let (primary, _) = cluster.wait_for_pair();
    assert_eq!(get(primary.port)[1], (2_u64 << 30).to_string());
    let mut connection = connect_primary([primary.port; 2]);
    redis::cmd("CONFIG").arg(&["SET", "maxmemory", "default"]).exec(&mut connection).expect("it is set");
    assert_eq!(get(primary.port)[1], (1_u64 << 30).to_string(), "the nodes' own again");
}

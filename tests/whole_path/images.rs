//! Images are frozen and shipped while a gigabyte is written to at full speed, and a node without anything loads them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{Cluster, signal, wait_until};
use crate::load::connect;

const KEYS: u64 = 1_000_000;
const VALUE_BYTES: usize = 1000;

#[test]
fn images_are_shipped_under_full_load_and_an_empty_node_loads_them() {
    let cluster = Cluster::with_options(&["--image-interval-ms", "3000"]);
    let (primary, standby) = cluster.wait_for_pair();
    let start = Instant::now();
    fill(primary.port, 0..KEYS);
    println!("1 GB in {KEYS} keys written and durable in {:.1?}", start.elapsed());

    let before = images(&cluster);
    let stop = Arc::new(AtomicBool::new(false));
    let written = Arc::new(AtomicU64::new(0));
    let writer = {
        let (stop, written) = (Arc::clone(&stop), Arc::clone(&written));
        std::thread::spawn(move || {
            let mut at = 0;
            while !stop.load(Ordering::Relaxed) {
                fill(primary.port, at % KEYS..at % KEYS + 1000);
                at += 7000;
                written.fetch_add(1000, Ordering::Relaxed);
            }
        })
    };
    let start = Instant::now();
    let newest = wait_until("a whole image frozen and stored under load", || {
        let now = images(&cluster);
        (newest_cut(&now) > newest_cut(&before) && newest_cut(&now) > 2 * KEYS / 2).then(|| newest_cut(&now))
    });
    let count = written.load(Ordering::Relaxed);
    println!("image with cut {newest} shipped while {count} writes went on in {:.1?}", start.elapsed());

    signal(standby.pid, Signal::KILL);
    sleep(Duration::from_secs(1));
    stop.store(true, Ordering::Relaxed);
    writer.join().expect("the writer ends");
    let status = cluster.status().expect("the cluster answers");
    for node in status["nodes"].as_array().expect("nodes") {
        if node["role"] == "primary" {
            println!("freeze pause, max: {} us", node["freeze_pause_us_max"]);
            assert!(node["freeze_pause_us_max"].as_u64().expect("a number") > 0, "images were frozen");
        }
    }
    cluster.wait_for_equal();
    let log = std::fs::read_to_string(cluster.data().join("logs").join(format!("node-{}.log", standby.name)));
    let log = log.expect("the standby's log");
    let loaded = log.lines().rfind(|line| line.contains("image at record") && line.contains("loaded"));
    println!("{}", loaded.expect("the node that was started again has loaded an image"));
    let digest = |port| -> String {
        let mut connection = connect(port).expect("the node accepts");
        redis::cmd("TANIST").arg("DIGEST").query(&mut connection).expect("a digest")
    };
    assert_eq!(digest(primary.port), digest(standby.port), "LSN and hash of all pages");
}

/// Sets a run of keys, a thousand a pipeline, with values that compress badly and tell their key.
fn fill(port: u16, keys: std::ops::Range<u64>) {
    let mut connection = connect(port).expect("the primary accepts");
    let mut at = keys.start;
    while at < keys.end {
        let mut pipe = redis::pipe();
        for key in at..(at + 1000).min(keys.end) {
            let value = format!("{key:020}").repeat(VALUE_BYTES / 20);
            pipe.set(format!("key:{:012}", key % KEYS), value).ignore();
        }
        pipe.query::<()>(&mut connection).expect("the primary acknowledges");
        at += 1000;
    }
}

fn images(cluster: &Cluster) -> Value {
    cluster.status().map(|status| status["vault"]["images"].clone()).unwrap_or_default()
}

fn newest_cut(images: &Value) -> u64 {
    images.as_array().and_then(|images| images.iter().filter_map(|image| image["cut"].as_u64()).max()).unwrap_or(0)
}

//! The README's first command, and nothing else, gives a pair that Debian's own tools work against.

use std::io::Write;
use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::harness::{Cluster, signal, wait_until, words};
use crate::load::connect;

#[test]
fn redis_cli_and_redis_benchmark_work_against_a_fresh_pair() {
    let mut cluster = Cluster::start();
    let port = cluster.port.to_string();
    let ask = |arguments: &[&str]| {
        let output = Command::new("redis-cli").args(["-p", &port]).args(arguments).output().expect("redis-cli runs");
        assert!(output.status.success(), "redis-cli {arguments:?}: {output:?}");
        String::from_utf8(output.stdout).expect("text").trim().to_string()
    };
    assert_eq!(ask(&["PING"]), "PONG");
    assert_eq!(ask(&["SET", "king", "Brian"]), "OK");
    assert_eq!(ask(&["GET", "king"]), "Brian");
    assert_eq!(ask(&["-3", "INCRBY", "years", "38"]), "38");
    assert!(ask(&["INFO", "replication"]).contains("role:master"));
    assert!(ask(&["ROLE"]).starts_with("master"));

    let output = Command::new("redis-benchmark")
        .args(["-p", &port, "-t", "set,get", "-P", "16", "-n", "50000", "-q"])
        .output()
        .expect("redis-benchmark runs");
    let text = String::from_utf8_lossy(&output.stdout).replace('\r', "\n");
    assert!(output.status.success(), "redis-benchmark: {output:?}");
    for line in text.lines().filter(|line| line.contains("requests per second")) {
        println!("redis-benchmark -P 16: {line}");
    }
    assert_eq!(text.matches("requests per second").count(), 2, "{text}");
    assert_eq!(cluster.stop(), Some(0), "SIGTERM ends `up` cleanly\n{}", cluster.logs());
}

#[test]
fn the_word_list_goes_in_through_redis_cli_pipe() {
    let cluster = Cluster::start();
    let words = words();
    let mut pipe = Command::new("redis-cli")
        .args(["-p", &cluster.port.to_string(), "--pipe"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("redis-cli runs");
    let mut commands = Vec::new();
    for word in &words {
        let key = format!("w:{word}");
        write!(commands, "*3\r\n$3\r\nSET\r\n${}\r\n{key}\r\n${}\r\n{word}\r\n", key.len(), word.len())
            .expect("memory");
    }
    pipe.stdin.take().expect("piped").write_all(&commands).expect("redis-cli reads");
    let output = pipe.wait_with_output().expect("redis-cli ends");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains(&format!("errors: 0, replies: {}", words.len())), "{text}");

    let (primary, standby) = cluster.wait_for_equal();
    signal(primary.pid, Signal::KILL);
    let mut connection = wait_until("the standby serves", || {
        let mut connection = connect(standby.port).ok()?;
        redis::cmd("GET").arg("w:zebra").query::<String>(&mut connection).ok().map(|_| connection)
    });
    for chunk in words.chunks(1000) {
        let mut get = redis::cmd("MGET");
        for word in chunk {
            get.arg(format!("w:{word}"));
        }
        let found: Vec<Option<String>> = get.query(&mut connection).expect("MGET answers");
        let expected: Vec<_> = chunk.iter().cloned().map(Some).collect();
        assert_eq!(found, expected);
    }
}

#[test]
fn ctrl_c_stops_every_process() {
    let mut cluster = Cluster::start();
    let (primary, standby) = cluster.wait_for_pair();
    let pids = [primary.pid, standby.pid, primary.supervisor_pid(), standby.supervisor_pid(), cluster.vault_pid()];
    assert_eq!(cluster.stop(), Some(0));
    for pid in pids {
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "process {pid} outlived `up`");
    }
}

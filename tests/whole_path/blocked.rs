//! Blocked commands on real processes, beside Debian's `redis-server`: what ends their wait, in the same bytes, and a switchover and
//! a kill in the middle of one.
//!
//! Tanist's `DEBUG BGETDEL` stands for Redis's `BLPOP`: arguments and replies are the same.

use std::time::Duration;

use crate::harness::{Cluster, Node, wait_until};
use crate::redis::{Raw, Redis, words};

const ROLE_CHANGED: &str =
    "-UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)\r\n";

/// A server, and the words of its command that blocks.
struct Server {
    port: u16,
    blocks: &'static str,
    fills: &'static str,
}

impl Server {
    fn tanist(port: u16) -> Server {
        Server { port, blocks: "DEBUG BGETDEL", fills: "SET" }
    }

    fn redis(redis: &Redis) -> Server {
        Server { port: redis.port, blocks: "BLPOP", fills: "LPUSH" }
    }

    fn connect(&self) -> Raw {
        Raw::connect(self.port)
    }

    /// A connection that has sent `before`, a command that blocks on `k`, and `behind` it; and its number.
    fn blocked(&self, before: &str, timeout: &str, behind: &str) -> (Raw, String) {
        let mut client = self.connect();
        let id = client.ask(&words("CLIENT ID")).trim_matches([':', '\r', '\n']).to_owned();
        client.send(&format!("{before}{} k {timeout}\r\n{behind}", self.blocks));
        let mut other = self.connect();
        wait_until("the client is blocked", || {
            let list = other.ask(&words("CLIENT LIST"));
            let line = list.lines().find(|line| line.contains(&format!("id={id} ")))?;
            line.contains(" flags=b ").then_some(())
        });
        (client, id)
    }
}

#[test]
fn what_ends_a_wait_is_told_as_redis_tells_it() {
    let (redis, cluster) = (Redis::start(), debugged());
    let (primary, _) = cluster.wait_for_pair();
    let [theirs, ours] = [Server::redis(&redis), Server::tanist(primary.port)].map(|server| {
        let mut told = Vec::new();
        let mut other = server.connect();
        for (how, before) in [
            ("", ""),
            (" TIMEOUT", ""),
            (" ERROR", ""),
            ("", "HELLO 3\r\n"),
            (" error", "CLIENT REPLY SKIP\r\n"),
            (" timeout", "CLIENT REPLY SKIP\r\n"),
            (" x", ""),
        ] {
            let (mut client, id) = server.blocked(before, "0.7", "PING\r\nECHO end\r\n");
            told.push(other.ask(&words(&format!("CLIENT UNBLOCK {id}{how}"))));
            told.push(other.ask(&words(&format!("CLIENT UNBLOCK {id}{how}"))));
            let replies = client.read_until_end();
            told.push(
                replies.split_once("$7\r\nmodules\r\n*0\r\n").map_or(replies.clone(), |(_, rest)| rest.to_owned()),
            );
        }
        // Served in the order of waiting.
        let (mut first, _) = server.blocked("", "0", "ECHO end\r\n");
        let (mut second, _) = server.blocked("", "0", "ECHO end\r\n");
        for (client, value) in [(&mut first, "1"), (&mut second, "2")] {
            drop(other.ask(&words(&format!("{} k {value}", server.fills))));
            told.push(client.read_until_end());
        }
        for line in [
            "MULTI",
            "WAIT 1 0",
            "EXEC",
            "CLIENT UNBLOCK",
            "CLIENT UNBLOCK x",
            "CLIENT UNBLOCK 99999",
            "CLIENT UNBLOCK -1",
        ] {
            told.push(other.ask(&words(line)));
        }
        for timeout in ["-1", "x", "0.01"] {
            told.push(other.ask(&words(&format!("{} k {timeout}", server.blocks))));
        }
        let exec = ["MULTI".to_owned(), format!("{} k 0", server.blocks), "EXEC".to_owned()];
        told.extend(exec.map(|line| other.ask(&words(&line))));
        told
    });
    // WAIT without replicas: Redis counts none, and Tanist the vault, which has everything.
    let without_wait =
        |told: Vec<String>| told.into_iter().filter(|reply| !reply.starts_with("*1\r\n:")).collect::<Vec<_>>();
    assert_eq!(without_wait(ours), without_wait(theirs));
}

#[test]
fn a_switchover_ends_every_wait_in_the_words_of_redis() {
    let redis = Redis::start();
    let server = Server::redis(&redis);
    let (mut blocked, _) = server.blocked("SET a 1\r\n", "0", "SET b 1\r\n");
    assert_eq!(server.connect().ask(&words("REPLICAOF 127.0.0.1 1")), "+OK\r\n");
    let theirs = blocked.read_to_close();

    let cluster = Cluster::with_options(&["--enable-debug-command", "yes", "--standby", "refuse"]);
    let (old, new) = cluster.wait_for_pair();
    let (mut blocked, _) = Server::tanist(old.port).blocked("SET a 1\r\n", "0", "SET b 1\r\n");
    let output = cluster.tool(&["switchover"]);
    assert!(output.status.success(), "{output:?}\n{}", cluster.logs());
    let ours = blocked.read_to_close();
    assert_eq!(ours, theirs);
    assert!(ours.ends_with(ROLE_CHANGED), "{ours}");
    let (primary, _) = cluster.wait_for_pair();
    assert_eq!(primary.name, new.name);
    let mut client = Raw::connect(primary.port);
    assert_eq!(client.ask(&words("EXISTS a b")), ":1\r\n", "what stood behind the blocked command was not executed");
    // On the new primary a line begins anew.
    let (mut blocked, _) = Server::tanist(primary.port).blocked("", "0", "ECHO end\r\n");
    client.ask(&words("SET k 1"));
    assert_eq!(blocked.read_until_end(), "*2\r\n$1\r\nk\r\n$1\r\n1\r\n$3\r\nend\r\n");
}

/// The value was taken by nobody who could be told: whoever asks the next primary finds it.
#[test]
fn a_primary_that_dies_takes_no_value_along() {
    let cluster = debugged();
    let (old, new) = cluster.wait_for_pair();
    let (mut blocked, _) = Server::tanist(old.port).blocked("", "0", "");
    let mut writer = Raw::connect(old.port);
    assert_eq!(writer.ask(&words("SET other 1")), "+OK\r\n");
    kill(&old);
    assert_eq!(blocked.read_to_close(), "", "nobody was told anything");
    let port = wait_until("the standby serves", || {
        let (primary, _) = cluster.wait_for_pair();
        (primary.name == new.name).then_some(primary.port)
    });
    let mut client = Raw::connect(port);
    assert_eq!(client.ask(&words("DEBUG BGETDEL k other 1")), "*2\r\n$5\r\nother\r\n$1\r\n1\r\n");
}

/// The vault stands still: `WAIT` is the way to learn that, and another client can end it.
#[test]
fn wait_blocks_while_the_vault_is_away() {
    let cluster = Cluster::with_options(&["--durability", "relaxed", "--enable-debug-command", "yes"]);
    let (primary, _) = cluster.wait_for_pair();
    let mut client = Raw::connect(primary.port);
    let id = client.ask(&words("CLIENT ID")).trim_matches([':', '\r', '\n']).to_owned();
    let mut other = Raw::connect(primary.port);
    let vault = cluster.vault_pid();
    crate::harness::signal(vault, rustix::process::Signal::STOP);
    assert_eq!(client.ask(&words("SET k 1")), "+OK\r\n");
    client.send("WAIT 1 0\r\nECHO end\r\n");
    let unblocked = wait_until("it is blocked", || {
        let reply = other.ask(&words(&format!("CLIENT UNBLOCK {id} ERROR")));
        (reply != ":0\r\n").then_some(reply)
    });
    crate::harness::signal(vault, rustix::process::Signal::CONT);
    assert_eq!(unblocked, ":1\r\n");
    assert_eq!(client.read_until_end(), "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n$3\r\nend\r\n");
    assert_eq!(client.ask(&words("WAIT 1 0")), ":1\r\n");
}

fn debugged() -> Cluster {
    Cluster::with_options(&["--enable-debug-command", "yes"])
}

fn kill(node: &Node) {
    crate::harness::signal(node.pid, rustix::process::Signal::KILL);
    std::thread::sleep(Duration::from_millis(10));
}

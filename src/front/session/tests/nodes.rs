//! What clients of Sentinel and of Redis Cluster find.

use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tanist_replication::{ImageFigures, VaultLink};

use super::*;
use crate::config::{ClusterMode, Standby};
use crate::front::{Admin, StandbyState};

const ID_A: &str = "00112233445566778899aabbccddeeffc1d04330";
const ID_B: &str = "00112233445566778899aabbccddeeffd280b0c4";

/// A node's machinery, as far as it is asked here: the test says whether the vault is heard of.
struct Machinery {
    hears: Arc<AtomicBool>,
    /// The hosts of the standbys that are there.
    standbys: &'static [&'static str],
}

impl Admin for Machinery {
    fn status(&self) -> String {
        String::new()
    }

    fn switchover(&self, to: Option<String>) -> BoxFuture<'static, Result<String, String>> {
        async move { to.map_or_else(|| Err("there is no standby".to_owned()), |to| Ok(format!("{to} is primary"))) }
            .boxed()
    }

    fn digest(&self) -> BoxFuture<'static, Result<String, String>> {
        async { Ok(String::new()) }.boxed()
    }

    fn standbys(&self) -> Vec<StandbyState> {
        let standby = |host: &&str| StandbyState { resp: format!("{host}:6380"), applied: Lsn(7) };
        self.standbys.iter().map(standby).collect()
    }

    fn vault(&self) -> Option<VaultLink> {
        Some(VaultLink { up: self.hears.load(Ordering::Relaxed), since: Monotonic(0) })
    }

    fn images(&self) -> ImageFigures {
        ImageFigures::default()
    }

    fn save(&self) -> BoxFuture<'static, Result<(), String>> {
        async { Err("there is no vault".to_owned()) }.boxed()
    }

    fn begin_save(&self) -> bool {
        true
    }
}

/// Machinery that hears of the vault.
pub(super) fn machinery() -> Arc<dyn Admin> {
    Arc::new(Machinery { hears: Arc::new(AtomicBool::new(true)), standbys: &[] })
}

impl Node {
    /// The node `name`, of which nobody knows yet what it is, and whether it hears of the vault.
    fn of_pair(name: &str, config: config::Node) -> (Node, Arc<AtomicBool>) {
        let node = Node::without_data_named(name, config);
        node.install_engine();
        let hears = Arc::new(AtomicBool::new(true));
        let standbys = &["10.0.0.1", "10.0.0.2"];
        node.context.install_admin(Arc::new(Machinery { hears: Arc::clone(&hears), standbys }));
        (node, hears)
    }

    fn of_cluster(name: &str, standby: Standby) -> Node {
        Node::of_pair(name, config::Node { cluster_mode: ClusterMode::Single, standby, ..config::Node::default() }).0
    }
}

/// `words` as the client gets them, none of them null.
fn bulks(words: &[&str]) -> String {
    words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len())).collect()
}

fn address(host: &str) -> String {
    format!("*2\r\n{}", bulks(&[host, "6380"]))
}

#[test]
fn a_node_names_the_primary_while_it_can_know() {
    run(async {
        const ASK: &str = "SENTINEL GET-MASTER-ADDR-BY-NAME mymaster\r\n";
        let (node, hears) = Node::of_pair("a", config::Node::default());
        let mut client = node.client();
        client.ask(ASK, "*-1\r\n").await;
        node.play(Role::Standby);
        client.ask(ASK, &address("10.0.0.2")).await;
        hears.store(false, Ordering::Relaxed);
        client.ask(ASK, "*-1\r\n").await;
        node.play(Role::Promoting);
        client.ask(ASK, &address("10.0.0.1")).await;
        node.play(Role::Primary);
        client.ask(ASK, &address("10.0.0.1")).await;
        let over = node.context.clock.monotonic();
        node.publish(Standing { lease_until: over, execute_until: over, ..standing(Role::Primary, true) });
        client.ask(ASK, "*-1\r\n").await;
    });
}

/// It said that it knew no primary, and a client of a cluster took it for a node that is down.
#[test]
fn a_standby_that_was_named_the_primary_looks_healthy() {
    run(async {
        let (node, _) = Node::of_pair("a", config::Node::default());
        let own = members().into_iter().next();
        node.publish(Standing { primary: own, ..standing(Role::Standby, false) });
        let mut client = node.client();
        client.ask("PING\r\n", "+PONG\r\n").await;
        assert!(client.bulk("INFO\r\n").await.contains("role:master\r\n"));
        node.publish(Standing { primary: None, ..standing(Role::Standby, false) });
        client.ask("PING\r\n", "-MASTERDOWN this standby knows no primary\r\n").await;
    });
}

#[test]
fn a_node_knows_one_name_only() {
    run(async {
        let config = config::Node { sentinel_name: "orders".into(), ..config::Node::default() };
        let (node, _) = Node::of_pair("a", config);
        node.play(Role::Primary);
        let mut client = node.client();
        client.ask("SENTINEL GET-PRIMARY-ADDR-BY-NAME orders\r\n", &address("10.0.0.1")).await;
        client.ask("SENTINEL get-master-addr-by-name mymaster\r\n", "*-1\r\n").await;
        for question in ["MASTER", "REPLICAS", "SLAVES", "SENTINELS", "CKQUORUM", "FAILOVER"] {
            let request = format!("SENTINEL {question} mymaster\r\n");
            client.ask(&request, "-ERR No such master with that name\r\n").await;
        }
        client.ask("SENTINEL NOSUCH\r\n", "-ERR unknown subcommand 'NOSUCH'. Try SENTINEL HELP.\r\n").await;
    });
}

/// The fields of a map that a client of RESP3 gets next.
async fn fields(client: &mut Client) -> std::collections::BTreeMap<String, String> {
    let count: usize = client.line().await.strip_prefix('%').expect("a map").parse().unwrap();
    let mut fields = std::collections::BTreeMap::new();
    for _ in 0..count {
        client.line().await;
        let field = client.line().await;
        client.line().await;
        fields.insert(field, client.line().await);
    }
    fields
}

#[test]
fn sentinels_tables_say_who_is_up() {
    run(async {
        let (node, hears) = Node::of_pair("a", config::Node::default());
        node.play(Role::Primary);
        let mut client = node.client();
        client.send("HELLO 3\r\n").await;
        while client.line().await != "*0" {}
        client.send("SENTINEL MASTERS\r\n").await;
        assert_eq!(client.line().await, "*1");
        let primary = fields(&mut client).await;
        for (field, value) in [
            ("name", "mymaster"),
            ("ip", "10.0.0.1"),
            ("port", "6380"),
            ("runid", ID_A),
            ("flags", "master"),
            ("num-slaves", "1"),
            ("num-other-sentinels", "1"),
            ("quorum", "1"),
        ] {
            assert_eq!(primary[field], value, "{field}");
        }
        client.send("SENTINEL REPLICAS mymaster\r\n").await;
        assert_eq!(client.line().await, "*1");
        let standby = fields(&mut client).await;
        for (field, value) in [
            ("name", "10.0.0.2:6380"),
            ("runid", ID_B),
            ("flags", "slave"),
            ("master-host", "10.0.0.1"),
            ("master-link-status", "ok"),
            ("slave-repl-offset", "7"),
        ] {
            assert_eq!(standby[field], value, "{field}");
        }
        client.send("SENTINEL SENTINELS mymaster\r\n").await;
        assert_eq!(client.line().await, "*1");
        assert_eq!(fields(&mut client).await["flags"], "sentinel");
        client.ask("SENTINEL MYID\r\n", &bulks(&[ID_A])).await;
        let usable = "+OK 2 usable Sentinels. Quorum and failover authorization can be reached\r\n";
        client.ask("SENTINEL CKQUORUM mymaster\r\n", usable).await;

        hears.store(false, Ordering::Relaxed);
        node.play(Role::Standby);
        client.send("SENTINEL MASTER mymaster\r\n").await;
        assert_eq!(fields(&mut client).await["flags"], "s_down,o_down,master,disconnected");
        client.send("SENTINEL CKQUORUM mymaster\r\n").await;
        assert!(client.line().await.starts_with("-NOQUORUM no answer from the vault for "));
    });
}

#[test]
fn failover_is_a_switchover() {
    run(async {
        let (node, _) = Node::of_pair("a", config::Node::default());
        node.play(Role::Primary);
        let mut client = node.client();
        client.ask("FAILOVER\r\n", "-ERR there is no standby\r\n").await;
        client.ask("SENTINEL FAILOVER mymaster\r\n", "-NOGOODSLAVE there is no standby\r\n").await;
        client.ask("FAILOVER TO 10.0.0.2 6380\r\n", "+OK\r\n").await;
        client.ask("FAILOVER TIMEOUT 100 TO 10.0.0.2 6380 FORCE\r\n", "+OK\r\n").await;
        // As redis-server 7.0.15 has them.
        for (request, error) in [
            ("TO 10.0.0.1 6380", "FAILOVER target HOST and PORT is not a replica."),
            ("TO 10.0.0.2 x", "value is not an integer or out of range"),
            ("TIMEOUT x", "value is not an integer or out of range"),
            ("TIMEOUT 0", "FAILOVER timeout must be greater than 0"),
            ("TO 10.0.0.2 6380 FORCE", "FAILOVER with force option requires both a timeout and target HOST and IP."),
            ("NOW", "syntax error"),
            ("ABORT", "No failover in progress."),
        ] {
            client.ask(&format!("FAILOVER {request}\r\n"), &format!("-ERR {error}\r\n")).await;
        }
    });
}

#[test]
fn without_a_cluster_its_commands_are_refused() {
    run(async {
        let (node, _) = Node::of_pair("a", config::Node::default());
        node.play(Role::Primary);
        let mut client = node.client();
        for request in
            ["CLUSTER INFO", "CLUSTER KEYSLOT a", "CLUSTER COUNTKEYSINSLOT 1", "READONLY", "READWRITE", "ASKING"]
        {
            client.ask(&format!("{request}\r\n"), "-ERR This instance has cluster support disabled\r\n").await;
        }
        client.ask("CLUSTER NOSUCH\r\n", "-ERR unknown subcommand 'NOSUCH'. Try CLUSTER HELP.\r\n").await;
        client.ask("CONFIG GET cluster-enabled\r\n", &format!("*2\r\n{}", bulks(&["cluster-enabled", "no"]))).await;
    });
}

#[test]
fn a_cluster_of_one_shard_is_found() {
    run(async {
        for name in ["a", "b"] {
            let node = Node::of_cluster(name, Standby::Forward);
            node.play(Role::Primary);
            let mut client = node.client();
            let [(host, id), (other_host, other)] = if name == "a" {
                [("10.0.0.1", ID_A), ("10.0.0.2", ID_B)]
            } else {
                [("10.0.0.2", ID_B), ("10.0.0.1", ID_A)]
            };
            let node_of = |host: &str, id: &str| format!("*4\r\n{}:6380\r\n{}*0\r\n", bulks(&[host]), bulks(&[id]));
            let slots = format!("*1\r\n*4\r\n:0\r\n:16383\r\n{}{}", node_of(host, id), node_of(other_host, other));
            client.ask("CLUSTER SLOTS\r\n", &slots).await;
            client.ask("CLUSTER MYID\r\n", &bulks(&[id])).await;
            client.ask("CLUSTER KEYSLOT foo\r\n", ":12182\r\n").await;
            let nodes = client.bulk("CLUSTER NODES\r\n").await;
            let own = format!("{id} {host}:6380@7380 myself,master - 0 0 0 connected 0-16383\n");
            let its = format!("{other} {other_host}:6380@7380 slave {id} 0 0 0 connected\n");
            assert_eq!(nodes, own + &its);
            assert!(client.bulk("CLUSTER INFO\r\n").await.contains("cluster_state:ok\r\n"));
            assert!(client.bulk("INFO\r\n").await.contains("redis_mode:cluster\r\n"));
            client.ask(&format!("CLUSTER REPLICAS {other}\r\n"), "-ERR The specified node is not a master\r\n").await;
            client.ask("CLUSTER REPLICAS x\r\n", "-ERR Unknown node x\r\n").await;
            client.ask("READONLY\r\nASKING\r\nREADWRITE\r\n", "+OK\r\n+OK\r\n+OK\r\n").await;
        }
    });
}

/// It was called healthy, and clients that read from replicas dialled it again and again.
#[test]
fn a_standby_that_is_gone_is_shown_as_down() {
    run(async {
        let config = config::Node { cluster_mode: ClusterMode::Single, ..config::Node::default() };
        let node = Node::without_data_named("a", config);
        node.install_engine();
        node.context.install_admin(machinery());
        node.play(Role::Primary);
        let mut client = node.client();
        client.send("CLUSTER SLOTS\r\nPING\r\n").await;
        let (mut text, mut line) = (String::new(), client.line().await);
        while line != "+PONG" {
            text += &line;
            line = client.line().await;
        }
        assert!(text.contains(ID_A) && text.contains(ID_B), "a client needs both to find the next primary: {text}");
        let nodes = client.bulk("CLUSTER NODES\r\n").await;
        assert!(nodes.ends_with(&format!(" slave,fail {ID_A} 0 0 0 disconnected\n")), "{nodes}");
        client.send("SENTINEL REPLICAS mymaster\r\nPING\r\n").await;
        let mut lines = Vec::new();
        while lines.last().is_none_or(|line| line != "+PONG") {
            lines.push(client.line().await);
        }
        assert!(lines.iter().any(|line| line == "s_down,slave,disconnected"), "{lines:?}");
    });
}

#[test]
fn slots_have_their_keys() {
    run(async {
        let node = Node::of_cluster("a", Standby::Forward);
        node.appoint();
        node.confirm_all();
        let mut client = node.client();
        client.ask("MSET foo{bar}1 a foo{bar}2 b other c\r\n", "+OK\r\n").await;
        client.ask("CLUSTER COUNTKEYSINSLOT 5061\r\nCLUSTER COUNTKEYSINSLOT 5062\r\n", ":2\r\n:0\r\n").await;
        client.ask("CLUSTER GETKEYSINSLOT 5061 0\r\n", "*0\r\n").await;
        client.send("CLUSTER GETKEYSINSLOT 5061 10\r\n").await;
        assert_eq!(client.line().await, "*2");
        client.send("PING\r\n").await;
        while client.line().await != "+PONG" {}
        // As redis-server 7.0.15 has them.
        client.ask("CLUSTER COUNTKEYSINSLOT x\r\n", "-ERR value is not an integer or out of range\r\n").await;
        client.ask("CLUSTER COUNTKEYSINSLOT 16384\r\n", "-ERR Invalid slot\r\n").await;
        client.ask("CLUSTER GETKEYSINSLOT 16384 1\r\n", "-ERR Invalid slot or number of keys\r\n").await;
        client.ask("CLUSTER GETKEYSINSLOT 1 -1\r\n", "-ERR Invalid slot or number of keys\r\n").await;
    });
}

#[test]
fn a_client_of_a_cluster_is_moved_to_the_primary() {
    run(async {
        for standby in [Standby::Forward, Standby::Refuse] {
            let node = Node::of_cluster("a", standby);
            node.play(Role::Standby);
            let mut client = node.client();
            let moved = "-MOVED 12182 10.0.0.2:6380\r\n";
            client.ask("GET foo\r\nSET foo 1\r\n", &format!("{moved}{moved}")).await;
            client.ask("MGET foo other\r\nBLPOP foo 0\r\nEXISTS {foo}2\r\n", &moved.repeat(3)).await;
            // A write is moved also if a standby may read.
            client.ask("READONLY\r\nSET foo 1\r\n", &format!("+OK\r\n{moved}")).await;
            client.ask("READWRITE\r\nGET foo\r\nPING\r\n", &format!("+OK\r\n{moved}+PONG\r\n")).await;
            client.ask("READONLY\r\nRESET\r\nGET foo\r\n", &format!("+OK\r\n+RESET\r\n{moved}")).await;
            if standby == Standby::Refuse {
                client.send("DBSIZE\r\n").await;
                assert!(client.line().await.starts_with("-READONLY"));
            }
            assert!(client.bulk("INFO\r\n").await.contains("role:slave\r\n"));
        }
    });
}

#[test]
fn a_node_that_knows_no_primary_says_that_the_cluster_is_down() {
    run(async {
        let node = Node::of_cluster("a", Standby::Forward);
        node.publish(Standing { primary: None, ..standing(Role::Standby, false) });
        let mut client = node.client();
        for question in ["SLOTS", "SHARDS", "NODES"] {
            let down = "-CLUSTERDOWN No primary is known, or there is no word of the vault\r\n";
            client.ask(&format!("CLUSTER {question}\r\n"), down).await;
        }
        assert!(client.bulk("CLUSTER INFO\r\n").await.contains("cluster_state:fail\r\n"));
    });
}

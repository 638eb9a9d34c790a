//! Connection commands, in Redis's words.

use tanist_replication::{ImageFigures, VaultLink};

use super::*;

#[test]
fn a_password_is_asked_and_an_unauthenticated_client_may_say_little() {
    run(async {
        let node = Node::without_data(config::Node {
            requirepass: config::Password("hunter2".into()),
            ..config::Node::default()
        });
        node.install_engine();
        node.appoint();
        let mut client = node.client();
        client.ask("GET a\r\n", "-NOAUTH Authentication required.\r\n").await;
        client.ask("NOSUCH\r\n", "-NOAUTH Authentication required.\r\n").await;
        client.ask("HELLO 3\r\n", "-NOAUTH HELLO must be called with the client already authenticated").await;
        client
            .expect(", otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client")
            .await;
        client.expect(" and select the RESP protocol version at the same time\r\n").await;
        let wrong = "-WRONGPASS invalid username-password pair or user is disabled.\r\n";
        client.ask("AUTH hunter3\r\n", wrong).await;
        client.ask("AUTH hunter22\r\n", wrong).await;
        client.ask("AUTH admin hunter2\r\n", wrong).await;
        client.ask("HELLO 3 AUTH default wrong\r\n", wrong).await;
        client.ask("AUTH hunter2\r\n", "+OK\r\n").await;
        client.ask("GET a\r\n", "$-1\r\n").await;
        client.ask("RESET\r\n", "+RESET\r\n").await;
        client.ask("GET a\r\n", "-NOAUTH Authentication required.\r\n").await;
        client.ask("*11\r\n", "-ERR Protocol error: unauthenticated multibulk length\r\n").await;
        client.expect_end().await;
        let mut client = node.client();
        client.ask("HELLO 3 AUTH default hunter2 SETNAME me\r\n", "%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n").await;
        client.expect("$7\r\nversion\r\n$6\r\n7.0.15\r\n$5\r\nproto\r\n:3\r\n$2\r\nid\r\n:2\r\n").await;
        client.expect("$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n").await;
        client.ask("CLIENT GETNAME\r\n", "$2\r\nme\r\n").await;
        client.ask("GET a\r\n", "_\r\n").await;
        let long = "x".repeat(20_000);
        client.ask(&format!("*2\r\n$4\r\nECHO\r\n$20000\r\n{long}\r\n"), &format!("$20000\r\n{long}\r\n")).await;
    });
}

#[test]
fn unauthenticated_and_idle_clients_are_cut_in_time() {
    run(async {
        let password = config::Password("p".into());
        let node = Node::without_data(config::Node { requirepass: password, ..config::Node::default() });
        node.install_engine();
        node.appoint();
        let sweep = || {
            let now = node.context.clock.monotonic();
            node.context.registry.sweep(now, node.context.settings.idle_time_max(), AUTHENTICATION_TIME);
        };
        let (mut unauthenticated, mut friend) = (node.client(), node.client());
        friend.ask("AUTH p\r\n", "+OK\r\n").await;
        sleep(Duration::from_secs(9)).await;
        sweep();
        unauthenticated.ask("PING\r\n", "-NOAUTH Authentication required.\r\n").await;
        sleep(Duration::from_secs(2)).await;
        sweep();
        unauthenticated.expect_end().await;
        friend.ask("CONFIG SET timeout 60\r\n", "+OK\r\n").await;
        sleep(Duration::from_secs(59)).await;
        sweep();
        friend.ask("PING\r\n", "+PONG\r\n").await;
        sleep(Duration::from_secs(61)).await;
        sweep();
        friend.expect_end().await;
    });
}

#[test]
fn clients_are_listed_named_killed_and_silenced() {
    run(async {
        let node = Node::primary();
        let (mut one, mut two) = (node.client(), node.client());
        one.ask("CLIENT SETNAME first\r\n", "+OK\r\n").await;
        one.ask(
            "CLIENT SETNAME \"a b\"\r\n",
            "-ERR Client names cannot contain spaces, newlines or special characters.\r\n",
        )
        .await;
        one.ask("CLIENT SETINFO LIB-NAME lib\r\nCLIENT SETINFO LIB-VER 1.2\r\n", "+OK\r\n+OK\r\n").await;
        one.ask("CLIENT SETINFO X y\r\n", "-ERR Unrecognized option 'X'\r\n").await;
        let line = "id=1 addr=127.0.0.1:50000 laddr=127.0.0.1:6379 fd=-1 name=first age=0 idle=0 flags=N db=0 sub=0 psub=0 \
                    ssub=0 multi=-1 cmd=client|setinfo user=default redir=-1 resp=2 lib-name=lib lib-ver=1.2\n";
        two.ask("CLIENT LIST ID 1\r\n", &format!("${}\r\n{line}\r\n", line.len())).await;
        assert!(two.bulk("CLIENT INFO\r\n").await.contains(" cmd=client|info "));
        two.ask("CLIENT KILL ID 1\r\n", ":1\r\n").await;
        one.expect_end().await;
        two.ask("CLIENT KILL 1.2.3.4:5\r\n", "-ERR No such client\r\n").await;
        two.ask("CLIENT REPLY SKIP\r\nPING\r\nECHO a\r\n", "$1\r\na\r\n").await;
        two.ask("CLIENT REPLY OFF\r\nPING\r\nNOSUCH\r\nCLIENT REPLY ON\r\nPING\r\n", "+OK\r\n+PONG\r\n").await;
        two.ask("CLIENT KILL ID 2 SKIPME no\r\nPING\r\n", ":1\r\n").await;
        two.expect_end().await;
    });
}

#[test]
fn settings_are_told_by_pattern_and_changed_all_or_none() {
    run(async {
        let node = Node::primary();
        node.confirm_all();
        let mut client = node.client();
        client.ask("CONFIG GET save\r\n", "*2\r\n$4\r\nsave\r\n$0\r\n\r\n").await;
        client
            .ask("CONFIG GET append* SAVE\r\n", "*6\r\n$11\r\nappendfsync\r\n$6\r\nalways\r\n$10\r\nappendonly\r\n")
            .await;
        client.expect("$3\r\nyes\r\n$4\r\nsave\r\n$0\r\n\r\n").await;
        client.ask("CONFIG GET nosuch\r\n", "*0\r\n").await;
        client.ask("CONFIG SET maxmemory 100mb durability relaxed\r\n", "+OK\r\n").await;
        assert_eq!(node.engine().memory_max(), 100 << 20);
        assert_eq!(node.context.settings.durability(), config::Durability::Relaxed);
        client
            .ask(
                "CONFIG SET maxmemory 1 port 1\r\n",
                "-ERR CONFIG SET failed (possibly related to argument 'port') - can't set immutable config\r\n",
            )
            .await;
        client
            .ask("CONFIG SET nosuch 1\r\n", "-ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'\r\n")
            .await;
        client
            .ask(
                "CONFIG SET maxmemory lots\r\n",
                "-ERR CONFIG SET failed (possibly related to argument 'maxmemory') - argument must be a memory value\r\n",
            )
            .await;
        client.ask("CONFIG GET maxmemory\r\n", "*2\r\n$9\r\nmaxmemory\r\n$9\r\n104857600\r\n").await;
        client.ask("CONFIG RESETSTAT\r\n", "+OK\r\n").await;
        client.ask("CONFIG SET durability DEFAULT maxmemory default\r\n", "+OK\r\n").await;
        assert_eq!((node.context.settings.durability(), node.engine().memory_max()), (config::Durability::Durable, 0));
    });
}

/// What the cluster has in common was set on the node that was asked, and the other knew nothing of it after a takeover.
#[test]
fn what_the_cluster_has_in_common_is_set_in_a_record_on_the_primary() {
    run(async {
        let node = Node::primary();
        let (mut client, last) = (node.client(), node.engine().last());
        client.send("CONFIG SET durable-wait-ms 2500 timeout 7\r\n").await;
        client.expect_silence(millis(100)).await;
        assert_eq!((node.engine().last(), node.context.settings.durable_wait()), (last.next(), millis(2500)));
        node.durable(node.engine().last().0);
        client.expect("+OK\r\n").await;
        let refused = "-ERR what the cluster has in common cannot be set inside a transaction\r\n";
        client.ask("MULTI\r\nCONFIG SET maxmemory 1\r\nEXEC\r\n", &format!("+OK\r\n+QUEUED\r\n*1\r\n{refused}")).await;
        node.play(Role::Standby);
        client.send("CONFIG SET maxmemory 1\r\n").await;
        client
            .expect("-READONLY You can't write against a read only replica. The primary is at 10.0.0.2:6380.\r\n")
            .await;
        client.ask("CONFIG SET timeout 9\r\n", "+OK\r\n").await;
        assert_eq!(node.engine().last(), last.next());
    });
}

/// A value that is good in itself made takeovers fail commands that only had to wait; the configuration refuses it.
#[test]
fn settings_that_do_not_fit_together_are_refused_at_run_time_too() {
    run(async {
        let node = Node::primary();
        node.confirm_all();
        let mut client = node.client();
        for (set, why) in [
            ("durable-wait-ms 2000", "durable_wait_ms is 2000 and lease_ms is 2000"),
            ("relaxed-ms-max 3001", "relaxed_ms_max is 3001 and durable_wait_ms is 3000"),
            ("durable-wait-ms 4000 relaxed-ms-max 4001", "relaxed_ms_max is 4001 and durable_wait_ms is 4000"),
            (
                "maxclients 4294967295",
                "The operating system is not able to handle the specified number of clients, try with ",
            ),
        ] {
            let last = node.engine().last();
            client.send(&format!("CONFIG SET {set}\r\n")).await;
            let refused = client.line().await;
            assert!(refused.starts_with("-ERR CONFIG SET failed") && refused.contains(why), "{set}: {refused}");
            assert_eq!(node.engine().last(), last, "nothing was changed");
        }
        client.ask("CONFIG SET durable-wait-ms 4000 relaxed-ms-max 4000\r\n", "+OK\r\n").await;
        client.send("CONFIG SET durable-wait-ms default\r\n").await;
        let refused = client.line().await;
        assert!(refused.contains("relaxed_ms_max is 4000 and durable_wait_ms is 3000"), "{refused}");
        client.ask("CONFIG SET maxclients 20\r\n", "+OK\r\n").await;
    });
}

#[test]
fn info_has_the_sections_that_tools_parse() {
    run(async {
        let node = Node::primary();
        node.confirm_all();
        let mut client = node.client();
        client.ask("SET a 1 EX 100\r\n", "+OK\r\n").await;
        client.ask("INFO keyspace\r\n", "$44\r\n# Keyspace\r\ndb0:keys=1,expires=1,avg_ttl=0\r\n\r\n").await;
        client.ask("INFO nosuch\r\n", "$0\r\n\r\n").await;
        let text = client.bulk("INFO\r\n").await;
        for section in
            ["Server", "Clients", "Memory", "Persistence", "Stats", "Replication", "CPU", "Keyspace", "Tanist"]
        {
            assert!(text.contains(&format!("# {section}\r\n")), "{section} is missing in {text}");
        }
        let lines = [
            "redis_version:7.0.15",
            "connected_clients:1",
            "role:master",
            "tanist_role:primary",
            "tanist_durable_lsn:2",
        ];
        for line in lines.into_iter().chain(["tcp_port:6379", "loading:0", "master_repl_offset:2", "tanist_epoch:1"]) {
            assert!(text.contains(&format!("\r\n{line}\r\n")), "{line} is missing in {text}");
        }
        node.play(Role::Standby);
        let text = client.bulk("INFO replication server\r\n").await;
        for line in ["role:slave", "master_host:10.0.0.2", "master_port:6380", "master_link_status:up", "tanist_node:a"]
        {
            assert!(text.contains(&format!("\r\n{line}\r\n")), "{line} is missing in {text}");
        }
        assert!(!text.contains("# Memory"));
    });
}

#[test]
fn a_client_has_the_database_that_it_selected() {
    run(async {
        let node = Node::primary();
        node.confirm_all();
        let (mut client, mut other) = (node.client(), node.client());
        client.ask("SET k zero\r\nSELECT 1\r\nGET k\r\nSET k one EX 100\r\n", "+OK\r\n+OK\r\n$-1\r\n+OK\r\n").await;
        other.ask("GET k\r\nDBSIZE\r\n", "$4\r\nzero\r\n:1\r\n").await;
        let keyspace = "# Keyspace\r\ndb0:keys=1,expires=0,avg_ttl=0\r\ndb1:keys=1,expires=1,avg_ttl=0\r\n";
        assert_eq!(other.bulk("INFO keyspace\r\n").await, keyspace);
        assert!(other.bulk("CLIENT LIST\r\n").await.contains(" db=1 "));
        client
            .ask("MULTI\r\nSELECT 2\r\nSET k two\r\nEXEC\r\n", "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n+OK\r\n")
            .await;
        client.ask("GET k\r\nDBSIZE\r\nKEYS *\r\n", "$3\r\ntwo\r\n:1\r\n*1\r\n$1\r\nk\r\n").await;
        client.ask("RESET\r\nGET k\r\n", "+RESET\r\n$4\r\nzero\r\n").await;
        assert!(!other.bulk("CLIENT LIST\r\n").await.contains(" db=1 "));
        client.ask("SELECT 15\r\nSELECT 16\r\n", "+OK\r\n-ERR DB index is out of range\r\n").await;
        client.ask("SELECT x\r\n", "-ERR value is not an integer or out of range\r\n").await;
        client.ask("CONFIG GET databases\r\n", "*2\r\n$9\r\ndatabases\r\n$2\r\n16\r\n").await;
    });
}

#[test]
fn a_version_of_the_protocol_that_does_not_exist_is_refused() {
    run(async {
        let mut client = Node::primary().client();
        client.ask("HELLO 4\r\n", "-NOPROTO unsupported protocol version\r\n").await;
        client.ask("HELLO x\r\n", "-ERR Protocol version is not an integer or out of range\r\n").await;
    });
}

#[derive(Default)]
pub(super) struct Played {
    asked: Mutex<Vec<Option<String>>>,
    vault: Mutex<VaultLink>,
}

impl Admin for Played {
    fn status(&self) -> String {
        "{}".into()
    }

    fn switchover(&self, to: Option<String>) -> BoxFuture<'static, Result<String, String>> {
        self.asked.lock().unwrap().push(to.clone());
        Box::pin(async move {
            sleep(Duration::from_millis(50)).await;
            match to {
                Some(to) => Err(format!("no node is named {to}")),
                None => Ok("done".into()),
            }
        })
    }

    fn digest(&self) -> BoxFuture<'static, Result<String, String>> {
        Box::pin(async { Ok("7 00ff".to_owned()) })
    }

    fn vault(&self) -> Option<VaultLink> {
        Some(*self.vault.lock().unwrap())
    }

    fn images(&self) -> ImageFigures {
        ImageFigures::default()
    }

    fn save(&self) -> BoxFuture<'static, Result<(), String>> {
        Box::pin(async { Err("there is no vault".to_owned()) })
    }

    fn begin_save(&self) -> bool {
        true
    }

    fn standbys(&self) -> Vec<StandbyState> {
        vec![StandbyState { resp: "10.0.0.2:6380".into(), applied: Lsn(1) }]
    }
}

#[test]
fn a_switchover_is_answered_when_it_is_over_and_in_its_place() {
    run(async {
        let node = Node::primary();
        let admin = Arc::new(Played::default());
        let mut client = node.client();
        client.ask("TANIST STATUS\r\n", "-LOADING this node is still starting\r\n").await;
        node.context.install_admin(Arc::clone(&admin) as Arc<dyn Admin>);
        client.ask("TANIST STATUS\r\n", "$2\r\n{}\r\n").await;
        client.ask("TANIST DIGEST\r\n", "$6\r\n7 00ff\r\n").await;
        client.send("ECHO a\r\nTANIST SWITCHOVER\r\nECHO b\r\n").await;
        client.expect("$1\r\na\r\n").await;
        client.expect_silence(millis(40)).await;
        client.expect("$4\r\ndone\r\n$1\r\nb\r\n").await;
        client.ask("TANIST SWITCHOVER c\r\n", "-ERR no node is named c\r\n").await;
        client.ask("TANIST NOSUCH\r\n", "-ERR unknown subcommand 'NOSUCH'. Try TANIST HELP.\r\n").await;
        client
            .ask("ROLE\r\n", "*3\r\n$6\r\nmaster\r\n:1\r\n*1\r\n*3\r\n$8\r\n10.0.0.2\r\n$4\r\n6380\r\n$1\r\n1\r\n")
            .await;
        assert_eq!(*admin.asked.lock().unwrap(), [None, Some("c".into())]);
    });
}

/// With the vault gone a primary answered no command any more, and everything that a monitor asks said that all was well.
#[test]
fn a_node_without_its_vault_says_so_wherever_a_monitor_looks() {
    run(async {
        let node = Node::primary();
        let admin = Arc::new(Played::default());
        let vault = |up, node: &Node| {
            *admin.vault.lock().unwrap() = VaultLink { up, since: node.context.clock.monotonic() };
        };
        node.context.install_admin(Arc::clone(&admin) as Arc<dyn Admin>);
        vault(true, &node);
        let mut client = node.client();
        client.ask("TANIST HEALTH\r\n", "+OK\r\n").await;
        let text = client.bulk("INFO\r\n").await;
        has(&text, &["aof_last_write_status:ok", "tanist_vault_link:up", "tanist_executing:yes", "tanist_trouble:"]);

        vault(false, &node);
        sleep(millis(3200)).await;
        let epoch = node.context.serving.epoch();
        node.publish(Standing { epoch, ..standing(Role::Primary, false) });
        let trouble = "cannot serve: no answer from the vault for 3.2 s";
        client.ask("TANIST HEALTH\r\n", &format!("-NOTSERVING node a: primary, {trouble}\r\n")).await;
        let text = client.bulk("INFO\r\n").await;
        has(&text, &["aof_last_write_status:err", "tanist_vault_link:down", "tanist_vault_link_down_since_seconds:3"]);
        has(&text, &["tanist_executing:no", "tanist_lease_left_ms:0", &format!("tanist_trouble:{trouble}")]);
        has(&text, &["role:slave", "master_link_status:down"]);
        client.ask("PING\r\n", &format!("-MISCONF this node {trouble}\r\n")).await;
        client.ask("MULTI\r\nPING\r\nDISCARD\r\n", "+OK\r\n+QUEUED\r\n+OK\r\n").await;

        node.play(Role::Standby);
        let trouble = "does not follow: no answer from the vault for 3.2 s";
        client.ask("TANIST HEALTH\r\n", &format!("-NOTSERVING node a: standby, {trouble}\r\n")).await;
        let text = client.bulk("INFO replication\r\n").await;
        has(&text, &["master_link_status:down", "master_link_down_since_seconds:3"]);
        let slave = "*5\r\n$5\r\nslave\r\n$8\r\n10.0.0.2\r\n:6380\r\n";
        client.ask("ROLE\r\n", &format!("{slave}$7\r\nconnect\r\n:1\r\n")).await;
        client.ask("PING\r\n", &format!("-MASTERDOWN this standby {trouble}\r\n")).await;
        vault(true, &node);
        client.ask("PING\r\n", "+PONG\r\n").await;
        client.ask("ROLE\r\n", &format!("{slave}$9\r\nconnected\r\n:1\r\n")).await;
        let elsewhere = "the primary is b at 10.0.0.2:6380";
        client.ask("TANIST HEALTH\r\n", &format!("-NOTSERVING node a: standby, {elsewhere}\r\n")).await;
    });
}

/// A vault that answers and confirms nothing, its disk being stuck, is no better than none.
#[test]
fn writes_that_nobody_confirms_are_told_until_one_is() {
    run(async {
        let node = Node::primary();
        let mut client = node.client();
        client.ask("SET a 1\r\n", NOT_DURABLE).await;
        has(&client.bulk("INFO persistence\r\n").await, &["aof_last_write_status:err"]);
        client.ask("TANIST HEALTH\r\n", "-NOTSERVING node a: primary, cannot write: a write timed out, ").await;
        client.expect("and the vault has confirmed nothing since\r\n").await;
        node.durable(2);
        has(&client.bulk("INFO persistence\r\n").await, &["aof_last_write_status:ok"]);
        client.ask("TANIST HEALTH\r\n", "+OK\r\n").await;
    });
}

/// `loading:1` stood alone, and a client waited a whole second for 14 ms of loading.
#[test]
fn a_node_that_loads_says_how_far_it_is_and_how_long_the_rest_takes() {
    run(async {
        let node = Node::without_data(config::Node::default());
        let mut client = node.client();
        let fields = |total: u64, loaded: u64, percent: &str, left: u64| {
            format!(
                "loading:1\r\nasync_loading:0\r\nloading_start_time:1700000000\r\nloading_total_bytes:{total}\r\n\
                 loading_rdb_used_mem:{total}\r\nloading_loaded_bytes:{loaded}\r\nloading_loaded_perc:{percent}\r\n\
                 loading_eta_seconds:{left}\r\n"
            )
        };
        let loading = &node.context.loading;
        let text = client.bulk("INFO persistence\r\n").await;
        assert!(text.contains(&fields(0, 0, "0.00", 1)), "nothing is known yet: {text}");
        loading.begin(1_000_000, node.context.clock.monotonic());
        sleep(millis(10)).await;
        loading.loaded(400_000);
        let text = client.bulk("INFO persistence\r\n").await;
        assert!(text.contains(&fields(1_000_000, 400_000, "40.00", 0)), "14 ms are left: {text}");
        sleep(millis(3990)).await;
        let text = client.bulk("INFO persistence\r\n").await;
        assert!(text.contains(&fields(1_000_000, 400_000, "40.00", 6)), "{text}");
        node.install_engine();
        let text = client.bulk("INFO persistence\r\n").await;
        assert!(text.contains("loading:0\r\nasync_loading:0\r\nrdb_"), "{text}");
    });
}

fn has(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.contains(&format!("\r\n{line}\r\n")), "{line} is missing in {text}");
    }
}

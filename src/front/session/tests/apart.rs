//! Commands that take long, and others that need the data meanwhile.

use std::sync::mpsc::{SyncSender, sync_channel};

use super::*;

/// All shards of a node, locked by a thread of their own until dropped.
pub(super) struct Held {
    resume: Option<SyncSender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Held {
    pub(super) fn all(node: &Node) -> Held {
        let engine = Arc::clone(node.context.engine().unwrap());
        let (hold, held) = sync_channel::<()>(0);
        let (resume, resumed) = sync_channel::<()>(0);
        let thread = std::thread::spawn(move || {
            engine.while_held(|| {
                hold.send(()).unwrap();
                resumed.recv().unwrap_err();
            });
        });
        held.recv().unwrap();
        Held { resume: Some(resume), thread: Some(thread) }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.resume = None;
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

const BUSY: &str = "-BUSY a command that takes long (see CLIENT LIST) holds the data and did not let this one execute within \
                    3000 ms (not executed)\r\n";

#[test]
fn a_busy_shard_holds_up_who_needs_it_and_nobody_else() {
    run(async {
        let node = Node::primary();
        node.confirm_all();
        let (mut waiting, mut other) = (node.client(), node.client());
        let held = Held::all(&node);
        waiting.send("PING\r\nSET a 1\r\nGET a\r\nPING\r\n").await;
        waiting.expect("+PONG\r\n").await;
        waiting.expect_silence(millis(500)).await;
        other.ask("PING\r\n", "+PONG\r\n").await;
        other.bulk("INFO server\r\n").await;
        drop(held);
        waiting.expect("+OK\r\n$1\r\n1\r\n+PONG\r\n").await;
    });
}

#[test]
fn who_waits_for_a_busy_shard_too_long_is_told_that_nothing_was_executed() {
    run(async {
        let node = Node::primary();
        node.confirm_all();
        let mut client = node.client();
        let held = Held::all(&node);
        client.send("INCR a\r\nPING\r\nMULTI\r\nINCR a\r\nEXEC\r\n").await;
        client.expect(BUSY).await;
        client.expect("+PONG\r\n+OK\r\n+QUEUED\r\n").await;
        client.expect(BUSY).await;
        drop(held);
        client.ask("EXEC\r\n", "-ERR EXEC without MULTI\r\n").await;
        client.ask("INCR a\r\n", ":1\r\n").await;
    });
}

#[test]
fn replies_keep_their_order_around_a_command_that_is_executed_apart() {
    run(async {
        let node = Node::primary();
        node.confirm_all();
        let mut client = node.client();
        client
            .send("SET a 1\r\nDBSIZE\r\nGET a\r\nMULTI\r\nINCR a\r\nDBSIZE\r\nCLIENT SETNAME me\r\nEXEC\r\nPING\r\n")
            .await;
        client
            .expect(
                "+OK\r\n:1\r\n$1\r\n1\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n:2\r\n:1\r\n+OK\r\n+PONG\r\n",
            )
            .await;
        client.ask("CLIENT GETNAME\r\n", "$2\r\nme\r\n").await;
        client.ask("CLIENT REPLY SKIP\r\nDBSIZE\r\nFLUSHALL\r\nKEYS *\r\n", "+OK\r\n*0\r\n").await;
        let many: String = (0..1_000).map(|n| format!("$4\r\n{n:04}\r\n")).collect();
        client.ask(&format!("*1001\r\n$3\r\nDEL\r\n{many}PING\r\n"), ":0\r\n+PONG\r\n").await;
    });
}

/// Behind other commands of one read, it was the last of those that CLIENT LIST named; and the sweep cut it as idle.
#[test]
fn a_command_that_is_executed_apart_is_shown_and_is_not_idle() {
    run(async {
        let node = Node::primary();
        node.confirm_all();
        let (mut client, mut other) = (node.client(), node.client());
        client.ask("SET a 1\r\n", "+OK\r\n").await;
        let held = Held::all(&node);
        client.send("ECHO x\r\nKEYS *\r\n").await;
        client.expect("$1\r\nx\r\n").await;
        client.expect_silence(millis(50)).await;
        let list = other.bulk("CLIENT LIST\r\n").await;
        assert!(list.lines().any(|line| line.contains(" cmd=keys ")), "{list}");
        drop(held);
        client.expect("*1\r\n$1\r\na\r\n").await;
        let entry = node.context.registry.all().remove(0);
        let late = node.context.clock.monotonic().after(Duration::from_secs(9));
        entry.set_at_work(true);
        assert!(!entry.is_overdue(late, Some(Duration::from_secs(1)), AUTHENTICATION_TIME));
        entry.set_at_work(false);
        assert!(entry.is_overdue(late, Some(Duration::from_secs(1)), AUTHENTICATION_TIME));
    });
}

/// Others were answered at the lower level before the record that permits it was safe: a takeover would have taken their writes back.
#[test]
fn a_lower_level_is_in_force_once_its_record_is_durable() {
    run(async {
        let node = Node::primary();
        let (mut client, mut other) = (node.client(), node.client());
        let held = Held::all(&node);
        client.send("CONFIG SET durability relaxed\r\n").await;
        client.expect_silence(millis(50)).await;
        drop(held);
        client.expect_silence(millis(50)).await;
        let set = node.engine().last().0;
        other.send("SET a 1\r\n").await;
        other.expect_silence(millis(50)).await;
        node.durable(set);
        client.expect("+OK\r\n").await;
        other.expect_silence(millis(50)).await;
        other.send("SET a 2\r\n").await;
        node.durable(set + 1);
        other.expect("+OK\r\n+OK\r\n").await;
    });
}

#[test]
fn a_write_that_is_executed_apart_waits_for_the_vault_like_any_other() {
    run(async {
        let node = Node::primary();
        let mut client = node.client();
        client.send("FLUSHALL\r\nPING\r\n").await;
        client.expect_silence(millis(100)).await;
        node.durable(node.engine().last().0);
        client.expect("+OK\r\n+PONG\r\n").await;
        client.send("FLUSHALL\r\n").await;
        client.expect(NOT_DURABLE).await;
    });
}

#[test]
fn a_command_that_is_executed_apart_finds_the_role_of_its_moment() {
    run(async {
        let node = Node::primary();
        node.confirm_all();
        let mut client = node.client();
        node.play(Role::HandingOver);
        client.send("FLUSHALL\r\n").await;
        client.expect_silence(millis(100)).await;
        node.play(Role::Primary);
        client.expect("+OK\r\n").await;
        let held = Held::all(&node);
        client.send("FLUSHALL\r\n").await;
        client.expect_silence(millis(100)).await;
        node.play(Role::Standby);
        drop(held);
        client
            .expect("-READONLY You can't write against a read only replica. The primary is at 10.0.0.2:6380.\r\n")
            .await;
    });
}

#[test]
fn a_client_that_leaves_while_its_command_waits_takes_it_along() {
    run(async {
        let node = Node::primary();
        node.confirm_all();
        let held = Held::all(&node);
        let mut client = node.client();
        client.send("FLUSHALL\r\n").await;
        client.expect_silence(millis(100)).await;
        let last = node.engine().last();
        let entry = node.context.registry.all().remove(0);
        entry.kill();
        client.expect_end().await;
        drop(held);
        node.client().ask("PING\r\n", "+PONG\r\n").await;
        assert_eq!(node.engine().last(), last, "nobody executes it");
        assert_eq!(node.context.long_places.available_permits(), crate::front::limits::LONG_COMMANDS_MAX);
    });
}

#[test]
fn debug_is_for_those_whom_the_settings_allow_it() {
    run(async {
        let not_allowed = format!("-{}\r\n", crate::front::redirect::DEBUG_NOT_ALLOWED);
        for (who, allowed) in [("no", false), ("local", true), ("yes", true)] {
            let config = config::Node { enable_debug_command: who.parse().unwrap(), ..config::Node::default() };
            let node = Node::without_data(config);
            node.install_engine();
            node.appoint();
            node.confirm_all();
            let mut client = node.client();
            let reply = if allowed { "+OK\r\n" } else { &not_allowed };
            client.ask("DEBUG SLEEP 0\r\n", reply).await;
            client
                .ask("MULTI\r\nDEBUG SLEEP 0\r\n", &format!("+OK\r\n{}", if allowed { "+QUEUED\r\n" } else { reply }))
                .await;
        }
    });
}

#[test]
fn a_large_value_is_copied_and_renamed_in_pieces() {
    run(async {
        let (node, mut client) = super::large::with_list().await;
        let mut other = node.client();
        client.ask("COPY list first\r\nLLEN first\r\n", ":1\r\n:20000\r\n").await;
        let mut from = "list";
        // One of these is in another shard.
        for to in ["a", "b", "c", "d", "e", "f"] {
            client.send(&format!("PING\r\nRENAME {from} {to}\r\nLLEN {to}\r\nEXISTS {from}\r\n")).await;
            other.ask("SET small 1\r\n", "+OK\r\n").await;
            client.expect("+PONG\r\n+OK\r\n:20000\r\n:0\r\n").await;
            from = to;
        }
        client.ask("COPY f first\r\nCOPY f first REPLACE\r\nRENAMENX f first\r\n", ":0\r\n:1\r\n:0\r\n").await;
        client
            .ask("MULTI\r\nRENAME f g\r\nLLEN g\r\nEXEC\r\n", "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n:20000\r\n")
            .await;
        assert_eq!(node.engine().keys(), 3);
        while node.engine().reclaim_due(1_000_000) > 0 {}
        assert_eq!(node.engine().memory().reclaimable_keys, 0);
    });
}

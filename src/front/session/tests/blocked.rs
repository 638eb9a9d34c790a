//! Commands that block: what ends their wait, and what does not.

use super::*;

const TAKE: &str = "DEBUG BGETDEL k 0\r\n";
const TOLD: &str = "*2\r\n$1\r\nk\r\n$1\r\n1\r\n";
const UNBLOCKED: &str = "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n";
const ROLE_CHANGED: &str =
    "-UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)\r\n";

/// A client with a blocked command.
async fn blocked(node: &Node) -> Client {
    let mut client = node.client();
    client.send(TAKE).await;
    client.expect_silence(millis(10)).await;
    client
}

#[test]
fn a_blocked_command_holds_up_its_own_client_and_takes_what_comes() {
    run(async {
        let node = Node::debugged();
        let (mut client, mut writer) = (node.client(), node.client());
        client.send(&format!("PING\r\n{TAKE}PING\r\n")).await;
        client.expect("+PONG\r\n").await;
        client.expect_silence(millis(60_000)).await;
        writer.send("SET k 1\r\n").await;
        client.expect_silence(millis(10)).await;
        assert_eq!(node.engine().last(), Lsn(2), "it was written and taken in one record");
        writer.expect_silence(millis(10)).await;
        node.durable(2);
        writer.expect("+OK\r\n").await;
        client.expect(&format!("{TOLD}+PONG\r\n")).await;
        writer.ask("GET k\r\n", "$-1\r\n").await;
    });
}

#[test]
fn who_waits_in_vain_is_told_so_in_its_protocol_and_in_its_order() {
    run(async {
        let node = Node::debugged();
        let mut client = node.client();
        client.send("DEBUG BGETDEL k 0.2\r\nHELLO 3\r\n").await;
        client.expect_silence(millis(195)).await;
        client.expect("*-1\r\n%7\r\n").await;
        let mut client = node.client();
        client.bulk("CLIENT LIST\r\n").await;
        client.send("CLIENT REPLY SKIP\r\nDEBUG BGETDEL k 0.2\r\nPING\r\n").await;
        client.expect_silence(millis(195)).await;
        client.expect("+PONG\r\n").await;
    });
}

/// That nothing was there may be due to a write that is not safe yet.
#[test]
fn that_nothing_was_there_waits_for_the_vault_too() {
    run(async {
        let node = Node::debugged();
        let (mut client, mut other) = (node.client(), node.client());
        other.send("SET k 1\r\nDEL k\r\n").await;
        other.expect_silence(millis(10)).await;
        client.send("DEBUG BGETDEL k 0.2\r\n").await;
        client.expect_silence(millis(1000)).await;
        node.durable(3);
        client.expect("*-1\r\n").await;
    });
}

#[test]
fn another_client_can_end_the_wait() {
    run(async {
        let node = Node::debugged();
        let (mut client, mut other) = (node.client(), node.client());
        let id = client.id().await;
        other.ask(&format!("CLIENT UNBLOCK {id}\r\n"), ":0\r\n").await;
        for (how, told) in [("", "*-1\r\n"), (" timeout", "*-1\r\n"), (" ERROR", UNBLOCKED)] {
            client.send(&format!("{TAKE}PING\r\n")).await;
            client.expect_silence(millis(10)).await;
            let list = other.bulk("CLIENT LIST\r\n").await;
            assert!(
                list.lines().any(|line| line.contains(" flags=b ") && line.contains("cmd=debug|bgetdel")),
                "{list}"
            );
            assert!(other.bulk("INFO clients\r\n").await.contains("blocked_clients:1\r\n"));
            other.ask(&format!("CLIENT UNBLOCK {id}{how}\r\n"), ":1\r\n").await;
            other.ask(&format!("CLIENT UNBLOCK {id}{how}\r\n"), ":0\r\n").await;
            client.expect(&format!("{told}+PONG\r\n")).await;
        }
        assert!(other.bulk("INFO clients\r\n").await.contains("blocked_clients:0\r\n"));
        node.confirm_all();
        other.ask("SET k 1\r\n", "+OK\r\n").await;
        other.ask("GET k\r\n", "$1\r\n1\r\n").await;
    });
}

#[test]
fn wait_blocks_and_can_be_ended_too() {
    run(async {
        let node = Node::debugged();
        let (mut client, mut other) = (node.client(), node.client());
        let id = client.id().await;
        client.send("SET a 1\r\nWAIT 1 0\r\nSET b 1\r\n").await;
        client.expect_silence(millis(10)).await;
        assert_eq!(node.engine().last(), Lsn(2), "what follows WAIT waits for it");
        node.durable(2);
        client.expect("+OK\r\n:1\r\n").await;
        for (how, told) in [("TIMEOUT", ":0\r\n"), ("ERROR", UNBLOCKED)] {
            let mut client = node.client();
            let id = client.id().await;
            client.send("CLIENT REPLY SKIP\r\nSET a 1\r\nWAIT 1 0\r\n").await;
            client.expect_silence(millis(10)).await;
            other.ask(&format!("CLIENT UNBLOCK {id} {how}\r\n"), ":1\r\n").await;
            node.durable(node.engine().last().0);
            client.expect(told).await;
        }
        other.ask(&format!("CLIENT UNBLOCK {id}\r\n"), ":0\r\n").await;
        // Within a transaction it is answered as if it had waited in vain.
        client.send("MULTI\r\nSET c 1\r\nWAIT 1 0\r\nDEBUG BGETDEL k 0\r\nEXEC\r\n").await;
        node.confirm_all();
        client.expect("+OK\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n+OK\r\n").await;
        assert!(matches!(client.line().await.as_str(), ":0" | ":1"));
        client.expect("*-1\r\n").await;
    });
}

#[test]
fn a_switchover_that_is_given_up_changes_nothing_for_who_is_blocked() {
    run(async {
        let node = Node::debugged();
        node.confirm_all();
        let (mut client, mut writer) = (blocked(&node).await, node.client());
        node.play(Role::HandingOver);
        writer.send("SET k 1\r\n").await;
        client.expect_silence(millis(100)).await;
        node.play(Role::Primary);
        writer.expect("+OK\r\n").await;
        client.expect(TOLD).await;
    });
}

#[test]
fn who_was_served_when_a_switchover_begins_has_its_reply() {
    run(async {
        let node = Node::debugged();
        node.confirm_all();
        let held = super::apart::Held::all(&node);
        let mut client = node.client();
        client.send(TAKE).await;
        client.expect_silence(millis(10)).await;
        drop(held);
        client.expect_silence(millis(10)).await;
        // The write and the change of role come in one moment: the session sees both at once.
        let mut session = Session::new(9);
        let (now, mut reply) = (node.context.clock.unix(), tanist_db_core::command::Reply::default());
        let front = &mut tanist_db_core::command::testing::NoFront;
        node.engine().execute(&mut session, front, &[b"SET", b"k", b"1"], now, &mut reply);
        node.play(Role::HandingOver);
        assert_eq!(node.engine().keys(), 0, "it was taken");
        node.play(Role::Standby);
        client.expect(TOLD).await;
    });
}

#[test]
fn a_node_that_is_primary_no_more_ends_every_wait_in_the_words_of_redis() {
    run(async {
        let node = Node::debugged();
        node.confirm_all();
        let mut client = node.client();
        client.send(&format!("SET a 1\r\n{TAKE}SET b 1\r\n")).await;
        client.expect("+OK\r\n").await;
        let mut library = node.client_by(Way::Library, 1 << 16);
        library.send(&format!("{TAKE}SET b 1\r\n")).await;
        library.expect_silence(millis(10)).await;
        node.play(Role::HandingOver);
        client.expect_silence(millis(10)).await;
        node.play(Role::Standby);
        client.expect(ROLE_CHANGED).await;
        client.expect_end().await;
        // The library knows where to go, and what was not executed.
        for _ in 0..2 {
            library.expect("-NOTPRIMARY 10.0.0.2:7380 this node is standby\r\n").await;
        }
        assert_eq!(node.engine().keys(), 1, "what stood behind was not executed");
    });
}

#[test]
fn a_fenced_node_says_nothing_to_who_is_blocked() {
    run(async {
        let node = Node::debugged();
        let mut client = blocked(&node).await;
        let mut waits = node.client();
        waits.send("CLIENT REPLY SKIP\r\nSET a 1\r\nWAIT 1 0\r\n").await;
        waits.expect_silence(millis(10)).await;
        node.play(Role::Fenced);
        client.expect_end().await;
        waits.expect_end().await;
    });
}

#[test]
fn who_is_killed_or_hangs_up_leaves_its_turn_to_the_next() {
    run(async {
        let node = Node::debugged();
        node.confirm_all();
        let (mut killed, gone, mut third, mut writer) =
            (blocked(&node).await, blocked(&node).await, blocked(&node).await, node.client());
        writer.ask("CLIENT KILL ID 1\r\n", ":1\r\n").await;
        killed.expect_end().await;
        drop(gone);
        writer.ask("SET k 1\r\n", "+OK\r\n").await;
        third.expect(TOLD).await;
        assert_eq!(node.context.registry.count(), 2, "whoever hangs up is not waited for");
    });
}

#[test]
fn who_is_blocked_is_not_idle() {
    run(async {
        let node = Node::debugged();
        let _client = blocked(&node).await;
        let entry = node.context.registry.all().remove(0);
        let late = node.context.clock.monotonic().after(Duration::from_secs(9));
        assert!(!entry.is_overdue(late, Some(Duration::from_secs(1)), AUTHENTICATION_TIME));
    });
}

#[test]
fn a_blocked_command_of_many_keys_is_executed_apart_again_and_again() {
    run(async {
        let node = Node::debugged();
        node.confirm_all();
        let (mut client, mut writer) = (node.client(), node.client());
        let keys: String = (0..600).map(|n| format!("$4\r\n{n:04}\r\n")).collect();
        client.send(&format!("*603\r\n$5\r\nDEBUG\r\n$7\r\nBGETDEL\r\n{keys}$1\r\n0\r\nPING\r\n")).await;
        client.expect_silence(millis(100)).await;
        writer
            .ask("MULTI\r\nSET 0007 x\r\nDEL 0007\r\nEXEC\r\n", "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n:1\r\n")
            .await;
        client.expect_silence(millis(100)).await;
        writer.ask("SET 0007 x\r\n", "+OK\r\n").await;
        client.expect("*2\r\n$4\r\n0007\r\n$1\r\nx\r\n+PONG\r\n").await;
    });
}

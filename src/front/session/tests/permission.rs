//! What a node that may not execute does.

use super::*;

#[test]
fn held_commands_are_executed_once_when_the_node_may_again() {
    run(async {
        let node = Node::primary();
        node.confirm_all();
        let mut client = node.client();
        client.ask("SET n 1\r\n", "+OK\r\n").await;
        for role in [Role::HandingOver, Role::Promoting] {
            node.play(role);
            client.send("INCR n\r\nGET n\r\nPING\r\n").await;
            client.expect_silence(millis(1000)).await;
            node.play(Role::Primary);
            let n = if role == Role::HandingOver { 2 } else { 3 };
            client.expect(&format!(":{n}\r\n$1\r\n{n}\r\n+PONG\r\n")).await;
        }
    });
}

#[test]
fn a_primary_without_its_lease_reads_nothing() {
    run(async {
        let node = Node::primary();
        let mut client = node.client();
        client.ask("GET a\r\n", "$-1\r\n").await;
        let until = node.context.clock.monotonic().after(millis(100));
        node.publish(Standing { lease_until: until, execute_until: until, ..standing(Role::Primary, true) });
        client.ask("GET a\r\n", "$-1\r\n").await;
        sleep(millis(150)).await;
        client.send("GET a\r\n").await;
        client.expect_silence(millis(500)).await;
        node.play(Role::Primary);
        client.expect("$-1\r\n").await;
    });
}

#[test]
fn a_hold_that_lasts_fails_what_waited_and_not_what_came_later() {
    run(async {
        let node = Node::primary();
        node.confirm_all();
        let mut client = node.client();
        node.play(Role::Promoting);
        client.send("SET a 1\r\nMULTI\r\nSET b 1\r\nEXEC\r\nGET a\r\nPING\r\n").await;
        client.expect_silence(millis(2000)).await;
        client.send("SET c 1\r\n").await;
        let refused = "-NOTDURABLE this node is taking over and did not let this command execute within 3000 ms (not executed)\r\n";
        client.expect(&format!("{refused}+OK\r\n+QUEUED\r\n{refused}{refused}+PONG\r\n")).await;
        // It came two seconds later, but could not have a hold of its own before.
        client.expect_silence(millis(1500)).await;
        node.play(Role::Primary);
        client.expect("+OK\r\n").await;
        client.ask("EXISTS a b c\r\n", ":1\r\n").await;
        client.ask("EXEC\r\n", "-ERR EXEC without MULTI\r\n").await;
        assert_eq!(Stats::read(&node.context.stats.not_executed), 3);
    });
}

#[test]
fn what_a_switchover_held_is_redirected_by_the_old_primary() {
    run(async {
        let node = Node::primary();
        node.confirm_all();
        let mut client = node.client();
        let mut library = node.client_by(Way::Library, 1 << 16);
        node.play(Role::HandingOver);
        client.send("SET a 1\r\nGET a\r\n").await;
        library.send("SET a 1\r\n").await;
        client.expect_silence(millis(100)).await;
        let last = node.engine().end_epoch(Epoch(u64::MAX));
        node.play(Role::Standby);
        client
            .expect("-READONLY You can't write against a read only replica. The primary is at 10.0.0.2:6380.\r\n")
            .await;
        client
            .expect("-READONLY this node is the standby and answers no reads. The primary is at 10.0.0.2:6380.\r\n")
            .await;
        library.expect("-NOTPRIMARY 10.0.0.2:7380 this node is standby\r\n").await;
        client.ask("PING\r\n", "+PONG\r\n").await;
        assert_eq!(node.engine().last(), last, "nothing was executed");
    });
}

/// The role driver has taken the engine's right to write away, but the word has not reached the session yet.
#[test]
fn a_write_that_the_engine_refuses_is_held_and_not_lost() {
    run(async {
        let node = Node::primary();
        node.confirm_all();
        let mut client = node.client();
        node.engine().end_epoch(Epoch(u64::MAX));
        client.send("SET a 1\r\nGET a\r\n").await;
        client.expect_silence(millis(100)).await;
        node.play(Role::HandingOver);
        client.expect_silence(millis(100)).await;
        let start = node.engine().begin_epoch(Epoch(2)).expect("a newer epoch");
        node.durable(start.0);
        node.play(Role::Primary);
        client.expect("+OK\r\n$1\r\n1\r\n").await;
    });
}

#[test]
fn a_standby_answers_for_itself_and_refuses_data() {
    run(async {
        let node = Node::without_data(config::Node::default());
        node.play(Role::Joining);
        let mut client = node.client();
        let loading = "-LOADING Tanist is loading the dataset in memory\r\n";
        client.ask("GET a\r\n", loading).await;
        client.ask("PING\r\n", loading).await;
        client.ask("CLIENT ID\r\n", ":1\r\n").await;
        client.ask("NOSUCH\r\n", "-ERR unknown command 'NOSUCH', with args beginning with: \r\n").await;
        node.client_by(Way::Library, 1024).ask("GET a\r\n", "-NOTPRIMARY 10.0.0.2:7380 this node is joining\r\n").await;
        node.install_engine();
        node.play(Role::Standby);
        client.ask("ROLE\r\n", "*5\r\n$5\r\nslave\r\n$8\r\n10.0.0.2\r\n:6380\r\n$9\r\nconnected\r\n:0\r\n").await;
        client.ask("MULTI\r\nSET a 1\r\nEXEC\r\n", "+OK\r\n+QUEUED\r\n-READONLY").await;
        client.expect(" this node is the standby and answers no reads. The primary is at 10.0.0.2:6380.\r\n").await;
        client.ask("DISCARD\r\n", "-ERR DISCARD without MULTI\r\n").await;
        client.ask("ECHO x\r\n", "$1\r\nx\r\n").await;
        client.ask("WAIT 0 x\r\n", "-ERR WAIT cannot be used with replica instances. Please also note that").await;
    });
}

//! Which replies are delayed, and for how long.

use super::*;

#[test]
fn a_write_is_answered_once_the_vault_has_it_and_later_commands_do_not_wait_for_that() {
    run(async {
        let node = Node::primary();
        let mut client = node.client();
        client.send("SET a 1\r\nSET b 2\r\nGET c\r\nPING\r\n").await;
        client.expect_silence(millis(100)).await;
        assert_eq!(node.engine().last(), Lsn(3), "both writes have been executed");
        // Pipelined behind held replies, in a packet of its own.
        client.send("SET c 3\r\n").await;
        client.expect_silence(millis(100)).await;
        assert_eq!(node.engine().last(), Lsn(4));
        node.durable(2);
        client.expect("+OK\r\n").await;
        client.expect_silence(millis(100)).await;
        node.durable(3);
        client.expect("+OK\r\n$-1\r\n+PONG\r\n").await;
        node.durable(4);
        client.expect("+OK\r\n").await;
    });
}

#[test]
fn a_read_of_what_is_not_durable_waits_and_any_other_does_not() {
    run(async {
        let node = Node::primary();
        let (mut writer, mut reader) = (node.client(), node.client());
        writer.send("SET a 1\r\n").await;
        writer.expect_silence(millis(10)).await;
        reader.ask("GET elsewhere\r\n", "$-1\r\n").await;
        reader.send("GET a\r\n").await;
        reader.expect_silence(millis(10)).await;
        node.durable(2);
        reader.expect("$1\r\n1\r\n").await;
        writer.expect("+OK\r\n").await;
    });
}

#[test]
fn without_the_vault_each_write_of_a_pipeline_becomes_one_error_and_the_rest_keeps_its_place() {
    run(async {
        let node = Node::primary();
        let mut client = node.client();
        client.send("PING\r\nSET a 1\r\nGET a\r\nECHO hi\r\nMULTI\r\nINCR n\r\nINCR n\r\nEXEC\r\nGET never\r\n").await;
        client.expect("+PONG\r\n").await;
        client.expect_silence(millis(2900)).await;
        // The reply of EXEC is an array of two; one error stands for all of it.
        client.expect(NOT_DURABLE).await;
        client.expect(NOT_DURABLE).await;
        client.expect("$2\r\nhi\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n").await;
        client.expect(NOT_DURABLE).await;
        client.expect("$-1\r\n").await;
        assert_eq!(Stats::read(&node.context.stats.not_durable), 3);
        // The vault is back: the connection goes on, in step.
        node.durable(3);
        client.ask("GET a\r\n", "$1\r\n1\r\n").await;
        client.ask("GET n\r\n", "$1\r\n2\r\n").await;
    });
}

#[test]
fn each_reply_has_its_own_time() {
    run(async {
        let node = Node::primary();
        let mut client = node.client();
        client.send("SET a 1\r\n").await;
        client.expect_silence(millis(2000)).await;
        client.send("SET b 2\r\n").await;
        client.expect(NOT_DURABLE).await;
        client.expect_silence(millis(1500)).await;
        node.durable(3);
        client.expect("+OK\r\n").await;
    });
}

#[test]
fn a_fenced_node_drops_what_it_held_and_closes() {
    run(async {
        let node = Node::primary();
        let mut client = node.client();
        client.send("PING\r\nSET a 1\r\nPING\r\n").await;
        client.expect("+PONG\r\n").await;
        node.play(Role::Fenced);
        node.durable(2);
        client.expect_end().await;
    });
}

#[test]
fn relaxed_replies_leave_at_once_until_too_much_is_at_risk() {
    run(async {
        let node = Node::without_data(config::Node {
            durability: config::Durability::Relaxed,
            relaxed_bytes_max: config::ByteSize(1 << 20),
            relaxed_ms_max: 1000,
            ..config::Node::default()
        });
        node.install_engine();
        node.appoint();
        let mut client = node.client();
        client.ask("SET a 1\r\nGET a\r\n", "+OK\r\n$1\r\n1\r\n").await;
        // In bytes: two values of 700 KB pass the bound of 1 MiB, and the third write waits for the vault.
        let large = format!("*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$700000\r\n{}\r\n", "x".repeat(700_000));
        client.ask(&large, "+OK\r\n").await;
        client.ask(&large, "+OK\r\n").await;
        client.send("SET a 2\r\n").await;
        client.expect_silence(millis(100)).await;
        assert_eq!(node.engine().last(), Lsn(4), "the held write is not executed");
        node.durable(4);
        client.expect("+OK\r\n").await;
        // In time: after a second without the vault.
        sleep(millis(1200)).await;
        client.send("GET a\r\nSET a 3\r\n").await;
        client.expect("$1\r\n2\r\n").await;
        client.expect_silence(millis(100)).await;
        node.durable(5);
        client.expect("+OK\r\n").await;
        // A vault that stays away fails writes; it does not lose them in silence.
        sleep(millis(1200)).await;
        client
            .ask(
                "SET a 4\r\n",
                "-NOTDURABLE the vault is out of reach or behind and did not let this command execute within 3000 ms \
                 (not executed)\r\n",
            )
            .await;
        node.durable(6);
        client.ask("GET a\r\n", "$1\r\n3\r\n").await;
    });
}

#[test]
fn wait_tells_whether_the_vault_has_the_callers_writes() {
    run(async {
        let node =
            Node::without_data(config::Node { durability: config::Durability::Relaxed, ..config::Node::default() });
        node.install_engine();
        node.appoint();
        let mut client = node.client();
        client.ask("WAIT 1 100\r\n", ":1\r\n").await;
        client.send("SET a 1\r\nWAIT 1 100\r\nPING\r\n").await;
        client.expect("+OK\r\n").await;
        client.expect_silence(millis(90)).await;
        client.expect(":0\r\n+PONG\r\n").await;
        client.send("WAIT 1 0\r\n").await;
        client.expect_silence(Duration::from_secs(60)).await;
        node.durable(2);
        client.expect(":1\r\n").await;
        client.ask("WAIT x 1\r\n", "-ERR value is not an integer or out of range\r\n").await;
        client.ask("WAIT 1 x\r\n", "-ERR timeout is not an integer or out of range\r\n").await;
        client.ask("WAIT 1 -1\r\n", "-ERR timeout is negative\r\n").await;
    });
}

#[test]
fn waitaof_tells_whether_the_log_has_the_callers_writes() {
    run(async {
        let node =
            Node::without_data(config::Node { durability: config::Durability::Relaxed, ..config::Node::default() });
        node.install_engine();
        node.appoint();
        let mut client = node.client();
        client.ask("WAITAOF 1 1 100\r\n", "*2\r\n:1\r\n:1\r\n").await;
        client.send("SET a 1\r\nWAITAOF 0 0 0\r\nWAITAOF 0 1 100\r\nPING\r\n").await;
        client.expect("+OK\r\n*2\r\n:0\r\n:0\r\n").await;
        client.expect_silence(millis(90)).await;
        client.expect("*2\r\n:0\r\n:0\r\n+PONG\r\n").await;
        client.send("WAITAOF 1 0 0\r\n").await;
        client.expect_silence(Duration::from_secs(60)).await;
        node.durable(2);
        client.expect("*2\r\n:1\r\n:1\r\n").await;
        client.ask("WAITAOF 2 0 1\r\n", "-ERR value is out of range, value must between 0 and 1\r\n").await;
        client.ask("WAITAOF 1 -1 1\r\n", "-ERR value is out of range, must be positive\r\n").await;
        client.ask("WAITAOF 1 0 x\r\n", "-ERR timeout is not an integer or out of range\r\n").await;
        client.ask("MODULE LIST\r\n", "*0\r\n").await;
    });
}

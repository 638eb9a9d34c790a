//! How conversations end.

use super::*;

#[test]
fn a_protocol_error_is_answered_after_what_came_before_and_closes() {
    run(async {
        let node = Node::primary();
        let mut client = node.client();
        client.send("SET a 1\r\n*1\r\nfoo\r\nPING\r\n").await;
        client.expect_silence(millis(100)).await;
        node.durable(2);
        client.expect("+OK\r\n-ERR Protocol error: expected '$', got 'f'\r\n").await;
        client.expect_end().await;
    });
}

#[test]
fn replies_still_come_to_a_client_that_has_stopped_sending() {
    run(async {
        let node = Node::primary();
        let mut client = node.client();
        client.send("SET a 1\r\nGET a\r\nGE").await;
        client.stream.shutdown().await.unwrap();
        client.expect_silence(millis(100)).await;
        node.durable(2);
        client.expect("+OK\r\n$1\r\n1\r\n").await;
        client.expect_end().await;
        sleep(millis(1)).await;
        assert_eq!(node.context.registry.count(), 0);
    });
}

#[test]
fn quit_is_answered_and_nothing_after_it_is_executed() {
    run(async {
        let node = Node::primary();
        node.confirm_all();
        let mut client = node.client();
        client.ask("SET a 1\r\nQUIT\r\nSET b 1\r\n", "+OK\r\n+OK\r\n").await;
        client.expect_end().await;
        node.client().ask("EXISTS b\r\n", ":0\r\n").await;
    });
}

#[test]
fn a_client_that_leaves_and_reads_nothing_is_cut() {
    run(async {
        let node = Node::primary();
        let mut client = node.client_by(Way::Resp, 16);
        client.send("PING\r\nPING\r\nPING\r\nPING\r\nQUIT\r\n").await;
        sleep(WAIT + CLOSING_TIME + CLOSING_TIME + millis(100)).await;
        assert_eq!(node.context.registry.count(), 0);
        drop(client);
    });
}

#[test]
fn a_web_page_cannot_make_a_browser_send_commands() {
    run(async {
        let node = Node::primary();
        let mut client = node.client();
        client.send("POST / HTTP/1.1\r\nHost: localhost\r\n\r\nSET a 1\r\n").await;
        client.expect_end().await;
        assert_eq!(node.engine().keys(), 0);
    });
}

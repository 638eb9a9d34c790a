//! Messages of others: their place between replies, their gate and their bound.

use super::*;
use crate::front::limits::INBOX_BYTES_MAX;

fn push(id: u64, text: &str) -> String {
    format!("*4\r\n$6\r\nTANIST\r\n$4\r\nPUSH\r\n{}{}", bulk(&id.to_string()), bulk(text))
}

fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

fn message(text: &str) -> String {
    format!("*2\r\n$6\r\ntanist\r\n{}", bulk(text))
}

#[test]
fn a_message_comes_in_the_protocol_of_its_reader() {
    run(async {
        let node = Node::debugged();
        let (mut reader, mut sender) = (node.client(), node.client());
        let id = reader.id().await;
        sender.ask(&push(id, "hi"), ":1\r\n").await;
        reader.expect(&message("hi")).await;
        reader.send("HELLO 3\r\n").await;
        while reader.line().await != "*0" {}
        sender.ask(&push(id, "there"), ":1\r\n").await;
        reader.expect(&message("there").replacen('*', ">", 1)).await;
        sender.ask(&push(99, "nobody"), ":0\r\n").await;
        sender.ask("TANIST PUSH x hi\r\n", "-ERR value is not an integer or out of range\r\n").await;
        let not_allowed = format!("-{}\r\n", crate::front::redirect::DEBUG_NOT_ALLOWED);
        Node::primary().client().ask(&push(1, "hi"), &not_allowed).await;
    });
}

/// It told of a write that a takeover could have undone.
#[test]
fn a_message_leaves_when_the_vault_has_what_it_tells_and_in_the_order_of_replies() {
    run(async {
        let node = Node::debugged();
        let (mut reader, mut sender) = (node.client(), node.client());
        let id = reader.id().await;
        reader.send("SET mine 1\r\n").await;
        reader.expect_silence(millis(10)).await;
        sender.send(&format!("SET k 1\r\n{}", push(id, "k is 1"))).await;
        sender.expect_silence(millis(10)).await;
        reader.send("PING\r\n").await;
        reader.expect_silence(millis(10)).await;
        node.durable(2);
        reader.expect("+OK\r\n").await;
        reader.expect_silence(millis(10)).await;
        node.durable(3);
        reader.expect(&format!("{}+PONG\r\n", message("k is 1"))).await;
        sender.expect("+OK\r\n:1\r\n").await;
    });
}

#[test]
fn a_message_that_is_not_confirmed_in_time_is_not_told_and_its_reader_is_cut_off() {
    run(async {
        let node = Node::debugged();
        let (mut reader, mut sender) = (node.client(), node.client());
        let id = reader.id().await;
        sender.send(&format!("SET k 1\r\n{}", push(id, "k is 1"))).await;
        reader.expect_silence(millis(2900)).await;
        reader.expect_end().await;
        sender.expect(NOT_DURABLE).await;
        sender.expect(":1\r\n").await;
        assert_eq!(node.context.registry.cut_offs(), 1);
    });
}

#[test]
fn a_fenced_node_tells_no_message() {
    run(async {
        let node = Node::debugged();
        let (mut reader, mut sender) = (node.client(), node.client());
        let id = reader.id().await;
        sender.send(&format!("SET k 1\r\n{}", push(id, "k is 1"))).await;
        reader.expect_silence(millis(10)).await;
        node.play(Role::Fenced);
        node.durable(2);
        reader.expect_end().await;
    });
}

/// As in Redis, where `CLIENT REPLY OFF` is for who listens only.
#[test]
fn a_message_is_no_reply() {
    run(async {
        let node = Node::debugged();
        let (mut reader, mut sender) = (node.client(), node.client());
        let id = reader.id().await;
        reader.send("CLIENT REPLY OFF\r\nPING\r\n").await;
        reader.expect_silence(millis(10)).await;
        sender.ask(&push(id, "a"), ":1\r\n").await;
        reader.expect(&message("a")).await;
        reader.ask("CLIENT REPLY ON\r\nCLIENT REPLY SKIP\r\n", "+OK\r\n").await;
        sender.ask(&push(id, "b"), ":1\r\n").await;
        reader.expect(&message("b")).await;
        reader.ask("PING\r\nECHO x\r\n", "$1\r\nx\r\n").await;
    });
}

#[test]
fn who_is_blocked_hears_messages() {
    run(async {
        let node = Node::debugged();
        node.confirm_all();
        let (mut reader, mut sender) = (node.client(), node.client());
        let id = reader.id().await;
        reader.send("DEBUG BGETDEL k 0\r\n").await;
        reader.expect_silence(millis(10)).await;
        sender.ask(&push(id, "a"), ":1\r\n").await;
        reader.expect(&message("a")).await;
        sender.ask("SET k 1\r\n", "+OK\r\n").await;
        reader.expect("*2\r\n$1\r\nk\r\n$1\r\n1\r\n").await;
    });
}

/// What it has seen is older than the message: a cache that is told in the other order keeps the old value.
#[test]
fn a_message_waits_for_the_reply_of_a_command_that_is_executed_apart() {
    run(async {
        let node = Node::debugged();
        node.confirm_all();
        let (mut reader, mut sender) = (node.client(), node.client());
        let id = reader.id().await;
        reader.send("DEBUG SLEEP 0.3\r\n").await;
        while !sender.bulk("CLIENT LIST\r\n").await.contains(" cmd=debug|sleep ") {}
        sender.ask(&push(id, "a"), ":1\r\n").await;
        reader.expect(&format!("+OK\r\n{}", message("a"))).await;
    });
}

#[test]
fn who_does_not_read_is_cut_off_and_its_sender_never_waits() {
    run(async {
        let node = Node::debugged();
        let (mut reader, mut sender) = (node.client_by(Way::Resp, 1024), node.client());
        let id = reader.id().await;
        let text = "x".repeat(1 << 19);
        let most = (INBOX_BYTES_MAX + OUTPUT_BYTES_MAX) / text.len() + 2;
        let mut sent = 0;
        while node.context.registry.cut_offs() == 0 {
            assert!(sent < most, "{sent} messages");
            sender.ask(&push(id, &text), ":1\r\n").await;
            sent += 1;
        }
        assert!(sent > INBOX_BYTES_MAX / text.len(), "{sent} messages");
        let mut rest = Vec::new();
        reader.stream.read_to_end(&mut rest).await.unwrap();
        assert!(rest.len() < 2 * text.len(), "nothing is sent to who was cut off");
        assert!(sender.bulk("INFO stats\r\n").await.contains("client_output_buffer_limit_disconnections:1\r\n"));
        sender.ask(&push(id, "late"), ":0\r\n").await;
    });
}

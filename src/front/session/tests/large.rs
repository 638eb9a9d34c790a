//! Large replies, which are made from a frozen version.

use futures_util::FutureExt as _;

use super::*;
use crate::front::limits::{LARGE_REPLIES_MAX, PIECE_TIME_MAX};

const ELEMENTS: usize = 20_000;

/// What `element` makes of each number, as a reply.
fn list(element: impl Fn(usize) -> String) -> String {
    let elements: String = (0..ELEMENTS).map(element).map(|text| format!("${}\r\n{text}\r\n", text.len())).collect();
    format!("*{ELEMENTS}\r\n{elements}")
}

fn old(at: usize) -> String {
    format!("old element {at} {}", "x".repeat(200))
}

/// A primary whose list has 20,000 elements.
pub(super) async fn with_list() -> (Node, Client) {
    let node = Node::debugged();
    node.confirm_all();
    let mut client = node.client();
    for start in (0..ELEMENTS).step_by(200) {
        let elements: String = (start..start + 200).map(|at| format!("\"{}\" ", old(at))).collect();
        client.ask(&format!("RPUSH list {elements}\r\n"), &format!(":{}\r\n", start + 200)).await;
    }
    (node, client)
}

#[test]
fn a_large_reply_keeps_its_place_among_the_others() {
    run(async {
        let (node, mut client) = with_list().await;
        client.send("PING\r\nLRANGE list 0 -1\r\nLLEN list\r\nLRANGE list 0 -1\r\nLRANGE list 0 0\r\n").await;
        let (whole, first) = (list(old), old(0));
        client.expect("+PONG\r\n").await;
        client.expect(&whole).await;
        client.expect(":20000\r\n").await;
        client.expect(&whole).await;
        client.expect(&format!("*1\r\n${}\r\n{first}\r\n", first.len())).await;
        let text = "x".repeat(3 << 20);
        node.client().ask(&set_string(&text), "+OK\r\n").await;
        client.ask("GET string\r\nPING\r\n", &format!("${}\r\n{text}\r\n+PONG\r\n", text.len())).await;
        assert_eq!(node.engine().frozen_bytes(), 0);
    });
}

#[test]
fn a_large_reply_shows_one_moment_and_locks_nobody_out() {
    run(async {
        let (node, mut client) = with_list().await;
        client.send("LRANGE list 0 -1\r\n").await;
        let whole = list(old);
        client.expect(&whole[..100]).await;
        // Time does not pass by itself while a worker thread waits: no vault is played.
        node.durable(1 << 40);
        let mut writer = node.client();
        for at in (0..ELEMENTS).step_by(97) {
            writer.ask(&format!("LSET list {at} new\r\n"), "+OK\r\n").await;
        }
        writer.ask("DEL list\r\n", ":1\r\n").await;
        assert!(node.engine().frozen_bytes() > 0);
        assert!(writer.bulk("INFO memory\r\n").await.contains("tanist_large_replies:1\r\n"));
        client.expect(&whole[100..]).await;
        client.ask("LLEN list\r\n", ":0\r\n").await;
        assert!(writer.bulk("INFO memory\r\n").await.contains("tanist_large_replies:0\r\n"));
        assert_eq!(node.engine().frozen_bytes(), 0);
    });
}

/// Lets time pass while a worker thread waits, as it does not by itself then; nothing comes for the client meanwhile.
async fn pass(time: Duration, client: &mut Client) {
    for _ in 0..time.as_millis() / 100 {
        tokio::time::advance(millis(100)).await;
        let mut byte = [0];
        let read = client.stream.read(&mut byte).now_or_never();
        assert!(read.is_none(), "{byte:?} came");
    }
}

#[test]
fn nothing_of_a_large_reply_leaves_before_what_it_shows_is_durable() {
    run(async {
        let node = Node::primary();
        let mut writer = node.client();
        let text = "x".repeat(2 << 20);
        writer.send(&set_string(&text)).await;
        while node.engine().last() < Lsn(2) {
            sleep(millis(1)).await;
        }
        let mut client = node.client();
        client.send("GET string\r\nPING\r\n").await;
        pass(millis(2_000), &mut client).await;
        node.durable(2);
        client.expect(&format!("${}\r\n{text}\r\n+PONG\r\n", text.len())).await;

        writer.send("APPEND string y\r\n").await;
        while node.engine().last() < Lsn(3) {
            sleep(millis(1)).await;
        }
        client.send("GET string\r\nPING\r\n").await;
        while Stats::read(&node.context.stats.not_executed) == 0 {
            tokio::time::advance(millis(100)).await;
            std::thread::yield_now();
        }
        let refused = client.line().await;
        assert!(refused.starts_with("-NOTDURABLE ") && refused.ends_with("within 3000 ms (not executed)"), "{refused}");
        client.expect("-MISCONF this node cannot write: a write timed out, ").await;
    });
}

#[test]
fn who_does_not_take_a_large_reply_is_cut_off() {
    run(async {
        let (node, mut client) = with_list().await;
        client.send("LRANGE list 0 -1\r\nPING\r\n").await;
        client.expect(&list(old)[..100]).await;
        node.durable(1 << 40);
        let mut other = node.client();
        other.ask("SET a 1\r\n", "+OK\r\n").await;
        let begun = node.context.clock.monotonic();
        // The worker thread needs time of its own before it waits for the client.
        while node.context.registry.cut_offs() == 0 {
            tokio::time::advance(millis(1_000)).await;
            other.ask("PING\r\n", "+PONG\r\n").await;
            std::thread::yield_now();
        }
        assert!(node.context.clock.monotonic().since(begun) >= PIECE_TIME_MAX);
        while other.bulk("INFO memory\r\n").await.contains("tanist_large_replies:1\r\n") {
            sleep(millis(1)).await;
        }
    });
}

#[test]
fn a_client_that_leaves_or_is_killed_takes_its_version_along() {
    run(async {
        let (node, mut client) = with_list().await;
        let mut other = node.client();
        let id = client.id().await;
        client.send("LRANGE list 0 -1\r\n").await;
        client.expect("*20000\r\n").await;
        other.ask(&format!("CLIENT KILL ID {id}\r\n"), ":1\r\n").await;
        while node.context.registry.count() > 1 {
            sleep(millis(1)).await;
        }
        let mut client = node.client();
        client.send("LRANGE list 0 -1\r\n").await;
        client.expect("*20000\r\n").await;
        drop(client);
        while other.bulk("INFO memory\r\n").await.contains("tanist_large_replies:1") {
            sleep(millis(1)).await;
        }
    });
}

#[test]
fn an_unwanted_large_reply_is_not_sent() {
    run(async {
        let (_node, mut client) = with_list().await;
        client.send("CLIENT REPLY SKIP\r\nLRANGE list 0 -1\r\nPING\r\n").await;
        client.expect("+PONG\r\n").await;
        client.send("CLIENT REPLY OFF\r\nLRANGE list 0 -1\r\nCLIENT REPLY ON\r\nPING\r\n").await;
        client.expect("+OK\r\n+PONG\r\n").await;
    });
}

#[test]
fn within_exec_a_large_reply_is_made_in_one_piece() {
    run(async {
        let (_node, mut client) = with_list().await;
        client.ask("MULTI\r\nLRANGE list 0 -1\r\nLLEN list\r\n", "+OK\r\n+QUEUED\r\n+QUEUED\r\n").await;
        client.ask("EXEC\r\n", &format!("*2\r\n{}:20000\r\n", list(old))).await;
    });
}

#[test]
fn a_large_reply_is_finished_by_a_node_that_has_become_a_standby_and_not_by_one_that_is_fenced() {
    run(async {
        let (node, mut client) = with_list().await;
        let whole = list(old);
        client.send("LRANGE list 0 -1\r\nLRANGE list 0 -1\r\n").await;
        client.expect(&whole[..100]).await;
        node.play(Role::Standby);
        client.expect(&whole[100..]).await;
        assert!(client.line().await.starts_with("-READONLY "));
        node.play(Role::Primary);
        client.send("LRANGE list 0 -1\r\n").await;
        client.expect(&whole[..100]).await;
        node.play(Role::Fenced);
        let mut rest = Vec::new();
        client.stream.read_to_end(&mut rest).await.unwrap();
        assert!(rest.len() < whole.len() - 100, "a fenced node sends nothing more");
    });
}

#[test]
fn a_large_read_waits_for_a_long_command() {
    run(async {
        let (node, mut client) = with_list().await;
        let held = super::apart::Held::all(&node);
        client.send("LRANGE list 0 -1\r\n").await;
        client.expect_silence(millis(500)).await;
        drop(held);
        client.expect(&list(old)).await;
    });
}

#[test]
fn a_message_waits_for_the_end_of_a_large_reply() {
    run(async {
        let (node, mut client) = with_list().await;
        let (id, whole) = (client.id().await, list(old));
        client.send("LRANGE list 0 -1\r\nPING\r\n").await;
        client.expect(&whole[..100]).await;
        node.durable(1 << 40);
        node.client().ask(&format!("TANIST PUSH {id} hello\r\n"), ":1\r\n").await;
        client.expect(&whole[100..]).await;
        let mut rest = [client.line().await];
        while !rest.concat().contains("hello") || !rest.concat().contains("PONG") {
            rest[0] += &client.line().await;
        }
        assert!(["+PONG*2$6tanist$5hello", "*2$6tanist$5hello+PONG"].contains(&rest[0].as_str()), "{}", rest[0]);
    });
}

#[test]
fn a_slow_reader_of_a_pinned_version_holds_up_no_other_reader_of_it() {
    run(async {
        let (node, mut slow) = with_list().await;
        let mut other = node.client();
        node.durable(1 << 40);
        slow.ask("TANIST PIN\r\n", ":101\r\n").await;
        other.ask("TANIST PIN\r\n", ":101\r\n").await;
        slow.send("LRANGE list 0 -1\r\n").await;
        let whole = list(old);
        slow.expect(&whole[..100]).await;
        other.ask("LLEN list\r\n", ":20000\r\n").await;
        other.ask("LRANGE list 0 -1\r\n", &whole).await;
        slow.expect(&whole[100..]).await;
    });
}

/// At level relaxed a large reply begins before it is durable. That the level counts as the other one for a moment changes nothing for it.
#[test]
fn a_large_reply_that_is_on_its_way_is_not_called_off() {
    run(async {
        let config = config::Node { durability: "relaxed".parse().unwrap(), ..config::Node::default() };
        let node = Node::without_data(config);
        node.install_engine();
        node.appoint();
        let (mut writer, mut client) = (node.client(), node.client());
        let text = "x".repeat(4 << 20);
        writer.ask(&set_string(&text), "+OK\r\n").await;
        client.send("GET string\r\nECHO x\r\n").await;
        let whole = format!("${}\r\n{text}\r\n", text.len());
        client.expect(&whole[..100]).await;
        writer.ask("CONFIG SET maxmemory 1gb\r\n", "").await;
        while node.engine().settings_changed_at() <= Lsn(2) {
            tokio::task::yield_now().await;
        }
        for _ in 0..50 {
            tokio::time::advance(millis(100)).await;
            tokio::task::yield_now().await;
        }
        client.expect(&whole[100..]).await;
        node.durable(10);
        client.expect("$1\r\nx\r\n").await;
    });
}

#[test]
fn who_takes_a_large_reply_is_not_idle() {
    run(async {
        let (node, mut client) = with_list().await;
        client.send("LRANGE list 0 -1\r\nPING\r\n").await;
        let whole = list(old);
        client.expect(&whole[..100]).await;
        tokio::time::advance(Duration::from_secs(20)).await;
        let now = node.context.clock.monotonic();
        node.context.registry.sweep(now, Some(Duration::from_secs(10)), AUTHENTICATION_TIME);
        client.expect(&whole[100..]).await;
        client.expect("+PONG\r\n").await;
    });
}

#[test]
fn a_large_read_that_gets_no_place_says_so() {
    run(async {
        let (node, mut client) = with_list().await;
        let places = Arc::clone(&node.context.large_places);
        let all = places.acquire_many_owned(LARGE_REPLIES_MAX as u32).await.unwrap();
        client.send("LRANGE list 0 -1\r\nPING\r\n").await;
        client.expect_silence(millis(2_900)).await;
        let busy = "-BUSY 64 large replies are being sent, and none came to its end within 3000 ms (not executed)\r\n";
        client.expect(&format!("{busy}+PONG\r\n")).await;
        drop(all);
        client.ask("LRANGE list 0 -1\r\n", &list(old)).await;
    });
}

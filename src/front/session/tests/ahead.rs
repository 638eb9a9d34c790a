//! Requests that are parsed before their turn.

use super::*;
use crate::front::limits::REQUESTS_AHEAD;

/// The bytes of the last request's value look like a request of their own, which nobody sent: it must not be executed.
#[test]
fn what_follows_sound_requests_and_is_none_ends_the_conversation_after_their_replies() {
    run(async {
        for sound in [1, 3, REQUESTS_AHEAD - 1, REQUESTS_AHEAD, REQUESTS_AHEAD + 1, 3 * REQUESTS_AHEAD] {
            let node = Node::primary();
            node.confirm_all();
            let mut client = node.client();
            let planted = "*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$20\r\n$3\r\nSET\r\n$1\r\nb\r\n$1\r\n1\r\n";
            client.send(&format!("{}{planted}", "SET a 1\r\n".repeat(sound))).await;
            client.expect(&"+OK\r\n".repeat(sound)).await;
            client.expect("-ERR Protocol error: expected CRLF after bulk\r\n").await;
            client.expect_end().await;
            node.client().ask("GET b\r\n", "$-1\r\n").await;
        }
    });
}

/// The node died of it: the member that is prefetched was looked up though there was none.
#[test]
fn a_command_whose_members_are_left_out_is_executed() {
    run(async {
        let node = Node::primary();
        node.confirm_all();
        node.client().ask("GEOPOS k\r\nGEOHASH k\r\n", "*0\r\n*0\r\n").await;
    });
}

/// An unauthenticated client's limits end with its AUTH, also for what it has sent behind it.
#[test]
fn what_stands_behind_an_auth_has_the_limits_of_a_friend() {
    run(async {
        let password = config::Password("secret".into());
        let node = Node::without_data(config::Node { requirepass: password, ..config::Node::default() });
        node.install_engine();
        node.appoint();
        node.confirm_all();
        let mut client = node.client();
        let long = "x".repeat(20_000);
        client.send(&format!("AUTH secret\r\n*3\r\n$3\r\nSET\r\n$1\r\na\r\n$20000\r\n{long}\r\nSTRLEN a\r\n")).await;
        client.expect("+OK\r\n+OK\r\n:20000\r\n").await;
    });
}

/// Requests wait for permission parsed; what is in front of the role's change is executed once, in order.
#[test]
fn requests_that_were_parsed_before_a_hold_are_executed_after_it() {
    run(async {
        let node = Node::primary();
        node.confirm_all();
        let mut client = node.client();
        node.play(Role::HandingOver);
        client.send(&format!("PING\r\n{}GET n\r\n", "INCR n\r\n".repeat(50))).await;
        client.expect("+PONG\r\n").await;
        client.expect_silence(millis(500)).await;
        node.play(Role::Primary);
        let replies: String = (1..=50).map(|n| format!(":{n}\r\n")).collect();
        client.expect(&replies).await;
        client.expect("$2\r\n50\r\n").await;
    });
}

#[test]
fn writes_wait_while_an_image_keeps_too_many_pages_and_reads_do_not() {
    run(async {
        let node = Node::primary();
        node.confirm_all();
        let mut client = node.client();
        client.ask("SET a 1\r\n", "+OK\r\n").await;
        let version = node.engine().freeze();
        node.engine().set_frozen_bytes_max(1);
        client.ask("SET a 2\r\n", "+OK\r\n").await;
        assert!(node.engine().frozen_bytes() > 0 && !node.engine().has_room());
        client.send("GET a\r\nSET a 3\r\n").await;
        client.expect("$1\r\n2\r\n").await;
        client.expect_silence(millis(1000)).await;
        // The vault was blamed for it.
        client.expect_silence(millis(1500)).await;
        client.expect("-NOTDURABLE an image upload uses all the memory that it may (image_memory_percent) and ").await;
        client.expect("did not let this command execute within 3000 ms (not executed)\r\n").await;
        client.send("SET a 3\r\n").await;
        client.expect_silence(millis(1000)).await;
        drop(version);
        node.context.serving.room_freed();
        client.expect("+OK\r\n").await;
    });
}

/// The memory of members is asked for ahead, whatever their key holds by then.
#[test]
fn a_pipeline_about_members_of_one_key_is_executed_whatever_that_holds() {
    run(async {
        let node = Node::primary();
        node.confirm_all();
        let mut client = node.client();
        let many = 2_000;
        let numbers = || 0..many;
        let fields: String = numbers().map(|n| format!(" f{n} {n}")).collect();
        let names: String = numbers().map(|n| format!(" f{n}")).collect();
        let scores: String = numbers().map(|n| format!(" {} f{n}", n / 2)).collect();
        client.ask(&format!("HSET hash{fields}\r\nSADD set{names}\r\n"), ":2000\r\n:2000\r\n").await;
        client.ask(&format!("ZADD sorted{scores}\r\nSET string x\r\n"), ":2000\r\n+OK\r\n").await;
        client.ask(&format!("HSET expiring{fields}\r\nHSET small f1 1 f2 2\r\n"), ":2000\r\n:2\r\n").await;
        client.ask("HEXPIRE expiring 1000 FIELDS 1 f0\r\n", "*1\r\n:1\r\n").await;
        let wrong = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";
        for (command, reply) in [
            ("HGET hash f*", "$*"),
            ("HGET expiring f*", "$*"),
            ("SISMEMBER set f*", ":1"),
            ("ZSCORE sorted f*", "$half"),
            ("HGET string f*", wrong),
            ("ZADD set 1 f*", wrong),
            ("HGET none f*", "$-1"),
            ("HSET hash f* *", ":0"),
            ("ZADD sorted 1 f*", ":0"),
            ("ZADD sorted NX 1 f*", ":0"),
            ("SREM set f*", ":1"),
        ] {
            let requests: String = numbers().map(|n| command.replace('*', &n.to_string()) + "\r\n").collect();
            let text = |value: String| format!("${}\r\n{value}\r\n", value.len());
            let replies = numbers().map(|n| match reply {
                "$*" => text(n.to_string()),
                "$half" => text((n / 2).to_string()),
                reply if reply == wrong => wrong.to_owned(),
                reply => format!("{reply}\r\n"),
            });
            client.ask(&requests, &replies.collect::<String>()).await;
        }
        client.ask("HGET small f1\r\nHGET small f2\r\nHGET small f3\r\n", "$1\r\n1\r\n$1\r\n2\r\n$-1\r\n").await;
    });
}

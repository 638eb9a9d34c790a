//! What one client may cost.

use super::*;

#[test]
fn a_slow_reader_stops_its_own_session_and_loses_nothing() {
    run(async {
        let node = Node::primary();
        node.confirm_all();
        let mut client = node.client_by(Way::Resp, 1024);
        let value = "x".repeat(100_000);
        client.ask(&format!("*3\r\n$3\r\nSET\r\n$1\r\na\r\n$100000\r\n{value}\r\n"), "+OK\r\n").await;
        let (mut reader, mut writer) = tokio::io::split(client.stream);
        let asked = tokio::task::spawn_local(async move {
            for _ in 0..200 {
                writer.write_all(b"GET a\r\n").await.unwrap();
            }
            writer
        });
        sleep(millis(1000)).await;
        let commands = Stats::read(&node.context.stats.commands);
        let bound = (OUTPUT_BYTES_MAX / value.len()) as u64 + 3;
        assert!(commands <= bound, "{commands} of 200 were executed for a client that reads nothing");
        let reply = format!("$100000\r\n{value}\r\n");
        let mut got = vec![0; reply.len()];
        for _ in 0..200 {
            reader.read_exact(&mut got).await.unwrap();
            assert!(got == reply.as_bytes());
        }
        drop(asked.await.unwrap());
    });
}

#[test]
fn held_replies_are_bounded_in_number() {
    run(async {
        let node = Node::primary();
        let mut client = node.client();
        let writes = HELD_REPLIES_MAX + 5000;
        let sender = "SET a 1\r\n".repeat(writes);
        let (mut reader, mut writer) = tokio::io::split(client.stream);
        let sent = tokio::task::spawn_local(async move {
            writer.write_all(sender.as_bytes()).await.unwrap();
            writer
        });
        sleep(millis(1000)).await;
        assert_eq!(node.engine().last(), Lsn(1 + HELD_REPLIES_MAX as u64));
        node.confirm_all();
        let mut got = vec![0; 5 * writes];
        reader.read_exact(&mut got).await.unwrap();
        assert!(got.chunks(5).all(|reply| reply == b"+OK\r\n"));
        let writer = sent.await.unwrap();
        client = Client { stream: reader.unsplit(writer) };
        client.ask("PING\r\n", "+PONG\r\n").await;
    });
}

#[test]
fn one_client_with_a_long_pipeline_does_not_starve_another() {
    run(async {
        let node = Node::primary();
        let (mut greedy, mut modest) = (node.client_by(Way::Resp, 1 << 22), node.client());
        greedy.send(&"PING\r\n".repeat(100_000)).await;
        modest.send("ECHO me\r\n").await;
        modest.expect("$2\r\nme\r\n").await;
        let executed = Stats::read(&node.context.stats.commands);
        assert!(executed < 50_000, "{executed} of another client's commands came first");
        greedy.expect(&"+PONG\r\n".repeat(100_000)).await;
    });
}

#[test]
fn an_unauthenticated_client_that_sends_a_byte_now_and_then_is_cut_in_time() {
    run(async {
        let password = config::Password("p".into());
        let node = Node::without_data(config::Node { requirepass: password, ..config::Node::default() });
        node.install_engine();
        node.appoint();
        let mut client = node.client();
        for byte in "*2\r\n$4\r\nAUTH".chars() {
            client.send(&byte.to_string()).await;
            sleep(millis(900)).await;
            node.context.registry.sweep(node.context.clock.monotonic(), None, AUTHENTICATION_TIME);
        }
        client.expect_end().await;
    });
}

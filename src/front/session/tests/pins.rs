//! Connections that read a version that they have pinned.

use super::*;

const REFUSED: &str = "-ERR this connection has pinned a version, which is only read; TANIST UNPIN ends that\r\n";

#[test]
fn a_pinned_connection_reads_one_moment_and_writes_nothing() {
    run(async {
        let node = Node::primary();
        node.confirm_all();
        let (mut reader, mut writer) = (node.client(), node.client());
        writer.ask("MSET a 1 b 1\r\nSADD set x y\r\nSET late 1 PX 50\r\n", "+OK\r\n:2\r\n+OK\r\n").await;
        reader.ask("TANIST PIN\r\n", ":4\r\n").await;
        writer.ask("MSET a 2 b 2 c 2\r\nDEL set\r\n", "+OK\r\n:1\r\n").await;
        sleep(millis(100)).await;
        let then = "*4\r\n$1\r\n1\r\n$1\r\n1\r\n$-1\r\n$1\r\n1\r\n";
        reader.ask("MGET a b c late\r\nSCARD set\r\nDBSIZE\r\nTTL a\r\n", &format!("{then}:2\r\n:4\r\n:-1\r\n")).await;
        reader
            .ask("SET a 3\r\nBLPOP list 0\r\nWATCH a\r\nPING\r\n", &format!("{REFUSED}{REFUSED}{REFUSED}+PONG\r\n"))
            .await;
        reader
            .ask("MULTI\r\nGET a\r\nSCARD set\r\nEXEC\r\n", "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n$1\r\n1\r\n:2\r\n")
            .await;
        reader.send("MULTI\r\nGET a\r\nSET a 3\r\nEXEC\r\n").await;
        reader.expect(&format!("+OK\r\n+QUEUED\r\n{REFUSED}")).await;
        reader.expect("-EXECABORT Transaction discarded because of previous errors.\r\n").await;
        let info = writer.bulk("INFO memory\r\n").await;
        assert!(info.contains("tanist_pinned_versions:1\r\ntanist_pinned_connections:1\r\n"), "{info}");
        reader.ask("TANIST UNPIN\r\nGET a\r\nSET a 3\r\nTANIST UNPIN\r\n", "+OK\r\n$1\r\n2\r\n+OK\r\n+OK\r\n").await;
        assert!(writer.bulk("INFO memory\r\n").await.contains("tanist_pinned_versions:0\r\n"));
        assert_eq!(node.engine().frozen_bytes(), 0);
    });
}

#[test]
fn connections_share_the_newest_version_or_ask_for_a_new_one() {
    run(async {
        let node = Node::primary();
        node.confirm_all();
        let (mut one, mut other, mut writer) = (node.client(), node.client(), node.client());
        writer.ask("SET a 1\r\n", "+OK\r\n").await;
        one.ask("TANIST PIN\r\n", ":2\r\n").await;
        writer.ask("SET a 2\r\n", "+OK\r\n").await;
        other.ask("TANIST PIN\r\nGET a\r\n", ":2\r\n$1\r\n1\r\n").await;
        other.ask("TANIST PIN NEW\r\nGET a\r\n", ":3\r\n$1\r\n2\r\n").await;
        one.ask("GET a\r\nTANIST PIN\r\nGET a\r\n", "$1\r\n1\r\n:3\r\n$1\r\n2\r\n").await;
        writer.ask("CONFIG SET pinned-versions-max 1\r\n", "+OK\r\n").await;
        let full = "-ERR 1 versions are pinned already, which is pinned-versions-max: TANIST PIN without NEW takes the newest \
                    of them\r\n";
        writer.ask("TANIST PIN NEW\r\nSET a 3\r\n", &format!("{full}+OK\r\n")).await;
        drop(one);
        other.ask("RESET\r\nGET a\r\n", "+RESET\r\n$1\r\n3\r\n").await;
        while node.context.registry.count() > 2 {
            sleep(millis(1)).await;
        }
        writer.ask("TANIST PIN NEW\r\n", ":4\r\n").await;
        writer.ask("TANIST PIN OLD\r\nTANIST PIN NEW NEW\r\n", &"-ERR syntax error\r\n".repeat(2)).await;
    });
}

#[test]
fn a_version_that_is_too_old_is_ended_with_an_error() {
    run(async {
        let node = Node::primary();
        node.confirm_all();
        let (mut reader, mut writer) = (node.client(), node.client());
        writer.ask("CONFIG SET pinned-seconds-max 60\r\nSET a 1\r\n", "+OK\r\n+OK\r\n").await;
        reader.ask("TANIST PIN\r\nMULTI\r\nGET a\r\n", ":2\r\n+OK\r\n+QUEUED\r\n").await;
        sleep(Duration::from_secs(59)).await;
        node.context.end_old_pins(node.context.clock.monotonic());
        reader.ask("EXEC\r\nMULTI\r\nGET a\r\n", "*1\r\n$1\r\n1\r\n+OK\r\n+QUEUED\r\n").await;
        sleep(Duration::from_secs(1)).await;
        node.context.end_old_pins(node.context.clock.monotonic());
        let ended = "-UNPINNED the version that this connection had pinned was ended: it was older than 60 s \
                     (pinned-seconds-max); use TANIST PIN or TANIST UNPIN\r\n";
        reader.ask("EXEC\r\nGET a\r\nSET a 1\r\nPING\r\n", &format!("{ended}{ended}{ended}+PONG\r\n")).await;
        assert!(writer.bulk("INFO memory\r\n").await.contains("tanist_pins_ended:1\r\n"));
        reader.ask("MULTI\r\nDISCARD\r\nTANIST UNPIN\r\nGET a\r\n", "+OK\r\n+OK\r\n+OK\r\n$1\r\n1\r\n").await;
    });
}

#[test]
fn writers_do_not_wait_for_the_memory_of_pinned_versions() {
    run(async {
        let node = Node::primary();
        node.confirm_all();
        // Such a bound is set with the first image, and above it writes wait.
        node.engine().set_frozen_bytes_max(8 << 20);
        let (mut reader, mut writer) = (node.client(), node.client());
        let value = "x".repeat(1_000);
        let write_all = async |writer: &mut Client| {
            for at in 0..20_000 {
                writer.ask(&format!("SET key:{at} {value}\r\n"), "+OK\r\n").await;
            }
        };
        write_all(&mut writer).await;
        reader.ask("TANIST PIN\r\nSTRLEN key:7\r\n", ":20001\r\n:1000\r\n").await;
        let begun = node.context.clock.monotonic();
        write_all(&mut writer).await;
        assert!(node.engine().frozen_bytes() < 8 << 20);
        assert!(node.context.clock.monotonic().since(begun) < 20_000 * millis(3), "no write has waited for long");
        reader.send("STRLEN key:7\r\n").await;
        let line = reader.line().await;
        let ended =
            "-UNPINNED the version that this connection had pinned was ended: frozen versions took more than 4 MiB";
        assert!(line.starts_with(ended), "{line}");
        assert_eq!(node.engine().frozen_bytes(), 0);
    });
}

#[test]
fn only_a_primary_pins_and_only_without_watched_keys() {
    run(async {
        let node = Node::primary();
        node.confirm_all();
        let mut client = node.client();
        client
            .ask(
                "WATCH a\r\nTANIST PIN\r\n",
                "+OK\r\n-ERR UNWATCH first: what is watched would not be what is read\r\n",
            )
            .await;
        client
            .ask(
                "UNWATCH\r\nMULTI\r\nTANIST PIN\r\n",
                "+OK\r\n+OK\r\n-ERR Command not allowed inside a transaction\r\n",
            )
            .await;
        client.ask("DISCARD\r\nTANIST PIN\r\n", "+OK\r\n:1\r\n").await;
        node.play(Role::Standby);
        for words in ["TANIST PIN\r\n", "GET a\r\n"] {
            client.send(words).await;
            assert!(client.line().await.starts_with("-READONLY "));
        }
    });
}

#[test]
fn a_large_reply_of_a_pinned_connection_is_of_its_version() {
    run(async {
        let node = Node::primary();
        node.confirm_all();
        let (mut reader, mut writer) = (node.client(), node.client());
        let text = "x".repeat(2 << 20);
        writer.ask(&set_string(&text), "+OK\r\n").await;
        reader.ask("TANIST PIN\r\n", ":2\r\n").await;
        writer.ask("SET string short\r\n", "+OK\r\n").await;
        reader
            .ask("GET string\r\nSTRLEN string\r\n", &format!("${}\r\n{text}\r\n:{}\r\n", text.len(), text.len()))
            .await;
        assert!(writer.bulk("INFO memory\r\n").await.contains("tanist_pinned_versions:1\r\n"));
    });
}

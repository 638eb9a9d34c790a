//! What changes the connection itself, within MULTI and with replies switched off, beside Debian's `redis-server`: the same bytes.
//! It was found when `CLIENT REPLY OFF` between MULTI and EXEC put a connection out of step for good.
//!
//! Left out of the comparison is `CLIENT REPLY` within MULTI: there Redis itself sends fewer members than its array says. What Tanist
//! does instead is in docs/protocols/connection.md and tested in `src/front/session/tests/replies.rs`.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use crate::harness::{Cluster, rounds, seed};
use crate::redis::{Raw, Redis};

#[test]
fn what_changes_the_connection_does_so_in_redis_order() {
    let mut rng = StdRng::seed_from_u64(seed());
    let redis = Redis::start();
    let cluster = Cluster::start();
    let written = SCRIPTS.lines().map(|line| line.trim().split(';').collect::<Vec<_>>());
    let random = (0..rounds(200)).map(|_| random_script(&mut rng));
    for script in written.filter(|script| script != &[""]).collect::<Vec<_>>().into_iter().chain(random) {
        let theirs = Raw::connect(redis.port).talk(&script);
        let ours = Raw::connect(cluster.port).talk(&script);
        assert_eq!(without_id(&ours), without_id(&theirs), "{}", script.join(";"));
    }
}

/// Where Redis leaves members of an array out: it is looked at here so that the reason for doing otherwise stays true.
#[test]
fn redis_gets_out_of_step_where_we_do_not() {
    let script = ["MULTI", "PING", "CLIENT REPLY OFF", "PING", "EXEC"];
    let redis = Redis::start();
    let theirs = Raw::connect(redis.port).talk(&script);
    assert!(theirs.contains("*3\r\n+PONG\r\n+OK\r\n$3\r\nend\r\n"), "two of three members are missing: {theirs:?}");
    let cluster = Cluster::start();
    let ours = Raw::connect(cluster.port).talk(&script);
    assert!(ours.contains("*3\r\n+PONG\r\n+OK\r\n+PONG\r\n+OK\r\n$3\r\nend\r\n"), "{ours:?}");
}

/// Replies without the connection's number, which HELLO tells.
fn without_id(replies: &str) -> String {
    let mut parts = replies.split("$2\r\nid\r\n:");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + "<id>" + part.split_once("\r\n").map_or("", |(_, rest)| rest))
}

/// Anything in any order, but for `CLIENT REPLY` within MULTI and the end of the connection.
fn random_script(rng: &mut StdRng) -> Vec<&'static str> {
    const ANYWHERE: [&str; 16] = [
        "PING",
        "GET nokey",
        "HELLO 2",
        "HELLO 3",
        "HELLO 4",
        "HELLO 3 SETNAME one",
        "HELLO 2 SETNAME two FOO",
        "AUTH default x",
        "AUTH x",
        "SELECT 0",
        "SELECT 99",
        "CLIENT SETNAME three",
        "CLIENT GETNAME",
        "CLIENT NO-EVICT on",
        "NOSUCH",
        "MULTI",
    ];
    const OUTSIDE: [&str; 4] = ["CLIENT REPLY ON", "CLIENT REPLY OFF", "CLIENT REPLY SKIP", "CLIENT REPLY X"];
    const ENDS: [&str; 4] = ["EXEC", "EXEC", "DISCARD", "RESET"];
    let mut script = Vec::new();
    let mut in_multi = false;
    for _ in 0..rng.random_range(3..25) {
        let line = match rng.random_range(0..8) {
            0 | 1 => *ENDS.choose(rng).expect("four"),
            2 if !in_multi => *OUTSIDE.choose(rng).expect("four"),
            3 => "MULTI",
            _ => *ANYWHERE.choose(rng).expect("some"),
        };
        in_multi = (in_multi || line == "MULTI") && !ENDS.contains(&line);
        script.push(line);
    }
    if in_multi {
        script.push("EXEC");
    }
    script
}

const SCRIPTS: &str = r#"
    CLIENT REPLY OFF;MULTI;PING;EXEC;PING
    CLIENT REPLY SKIP;MULTI;PING;EXEC;PING
    CLIENT REPLY SKIP;CLIENT REPLY SKIP;PING;PING
    CLIENT REPLY SKIP;CLIENT REPLY ON;PING;PING
    CLIENT REPLY SKIP;CLIENT REPLY OFF;PING;CLIENT REPLY ON;PING
    CLIENT REPLY OFF;CLIENT REPLY SKIP;PING;PING
    CLIENT REPLY SKIP;CLIENT REPLY BOGUS;PING;PING
    CLIENT REPLY SKIP;NOSUCH;PING
    CLIENT REPLY SKIP;RESET;PING
    CLIENT REPLY OFF;RESET;PING
    CLIENT REPLY SKIP;HELLO 3;GET nokey;PING
    CLIENT REPLY OFF;HELLO 3;CLIENT REPLY ON;GET nokey
    CLIENT REPLY SKIP;EXEC;PING
    CLIENT REPLY OFF;MULTI;NOSUCH;EXEC;CLIENT REPLY ON;PING
    MULTI;GET nokey;HELLO 3;GET nokey;HELLO 2;GET nokey;EXEC;GET nokey
    MULTI;GET nokey;HELLO 3;EXEC;GET nokey
    HELLO 3;MULTI;GET nokey;HELLO 2;GET nokey;EXEC;GET nokey
    HELLO 3;WATCH k;MULTI;HELLO 2;EXEC;GET nokey
    HELLO 3;WATCH k;SET k v;MULTI;HELLO 2;EXEC;MULTI;HELLO 2;EXEC;DEL k
    MULTI;HELLO 4;PING;EXEC;PING
    MULTI;HELLO 3 SETNAME x;CLIENT GETNAME;EXEC
    MULTI;HELLO 3 SETNAME y FOO;GET nokey;CLIENT GETNAME;EXEC
    MULTI;HELLO 3 AUTH default x;EXEC
    MULTI;AUTH x;AUTH default x;AUTH foo bar;EXEC
    MULTI;SELECT 0;SELECT 99;EXEC
    MULTI;PING;RESET;EXEC;PING
    HELLO 3;MULTI;PING;RESET;GET nokey
    HELLO 3;RESET;GET nokey
    MULTI;PING;QUIT;EXEC
    MULTI;QUIT x;EXEC
    MULTI;RESET x;EXEC
    MULTI;CLIENT SETNAME foo;CLIENT GETNAME;CLIENT NO-EVICT on;CLIENT NO-EVICT off;EXEC;CLIENT GETNAME
    CLIENT SETNAME foo;RESET;CLIENT GETNAME
    CLIENT SETNAME x;CLIENT SETNAME "";CLIENT GETNAME
    MULTI;CLIENT REPLY BOGUS;PING;EXEC
    MULTI;CLIENT REPLY;PING;EXEC
    MULTI;CLIENT KILL ID 0;PING;EXEC
    MULTI;MULTI;PING;EXEC
    MULTI;WATCH k;PING;EXEC
    MULTI;CONFIG SET requirepass "";PING;EXEC
    DISCARD;MULTI;CLIENT REPLY OFF;DISCARD;PING
    SELECT 0 1;MULTI;SELECT;EXEC
    HELLO;HELLO 3 SETNAME;HELLO 3 FOO
    HELLO 3 SETNAME "a b";GET nokey
"#;

//! DUMP and RESTORE: what comes back, and what is refused.

use super::*;
use crate::rdb::{self, Layout};
use crate::value::Kind;

fn dumped(client: &mut Client, key: &str) -> Vec<u8> {
    let (reply, _) = client.reply(&[b"dump", key.as_bytes()]);
    let start = reply.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    reply[start..reply.len() - 2].to_vec()
}

/// The parts of the value in a payload: those of a table, whose order means nothing, sorted.
fn content(payload: &[u8]) -> Vec<String> {
    let (mut input, version) = rdb::open(payload).unwrap();
    let [kind] = input.array().unwrap();
    let Layout::Value(layout) = Layout::of(kind, version).unwrap() else { panic!("type {kind}") };
    let mut parts = Vec::new();
    rdb::read_value(&mut input, layout, |item| {
        parts.push(format!("{item:?}"));
        Ok::<(), rdb::RdbError>(())
    })
    .unwrap();
    if !matches!(layout.kind(), Kind::List | Kind::SortedSet | Kind::Stream) {
        parts.sort();
    }
    parts
}

fn restored(client: &mut Client, key: &str, payload: &[u8], options: &[&str]) -> String {
    let mut args = vec![&b"restore"[..], key.as_bytes(), b"0", payload];
    args.extend(options.iter().map(|option| option.as_bytes()));
    client.call(&args).0
}

/// A payload of these bytes in the format of Redis 7.2.
fn sealed(value: &[u8]) -> Vec<u8> {
    let mut payload = [value, &[11, 0]].concat();
    let checksum = rdb::CHECKSUM.checksum(&payload);
    payload.extend_from_slice(&checksum.to_le_bytes());
    payload
}

/// Calls that make a key of each type, small and large.
fn fill(client: &mut Client) -> Vec<String> {
    let many = |each: fn(usize) -> String| (0..1000).map(each).collect::<Vec<_>>().join(" ");
    for words in [
        "set short hello".to_owned(),
        format!("set long {}", "x".repeat(100_000)),
        "rpush list a 7 c".to_owned(),
        format!("rpush large-list {} {}", many(|at| format!("e{at}")), "x".repeat(50_000)),
        "sadd integers 1 -2 70000".to_owned(),
        "sadd set a b 7".to_owned(),
        format!("sadd large-set {}", many(|at| format!("m{at}"))),
        "hset hash a 1 b two".to_owned(),
        format!("hset large-hash {} long {}", many(|at| format!("f{at} v{at}")), "x".repeat(50_000)),
        "zadd sorted 1 a 2.5 b -inf c inf d".to_owned(),
        format!("zadd large-sorted {}", many(|at| format!("{at}.25 m{at}"))),
        "xadd stream 5-1 a 1 b two".to_owned(),
        "xadd stream 5-2 a 2 b 70000".to_owned(),
        "xgroup create stream group 0".to_owned(),
        "xreadgroup group group alice count 1 streams stream >".to_owned(),
        "xgroup createconsumer stream group bob".to_owned(),
        format!("xadd large-stream 1-1 {} long {}", many(|at| format!("f{at} v{at}")), "x".repeat(50_000)),
        "xadd large-stream 2-1 a b".to_owned(),
    ] {
        let reply = client.run(&words);
        assert!(!reply.starts_with('-'), "{reply}");
    }
    [
        "short",
        "long",
        "list",
        "large-list",
        "integers",
        "set",
        "large-set",
        "hash",
        "large-hash",
        "sorted",
        "large-sorted",
        "stream",
        "large-stream",
    ]
    .map(str::to_owned)
    .to_vec()
}

#[test]
fn what_was_dumped_comes_back_equal_and_in_the_log() {
    let mut client = Client::alone();
    let keys = fill(&mut client);
    for key in &keys {
        let payload = dumped(&mut client, key);
        let copy = format!("copy-of-{key}");
        assert_eq!(restored(&mut client, &copy, &payload, &[]), "+OK|", "{key}");
        assert!(content(&dumped(&mut client, &copy)) == content(&payload), "{key}");
        for question in ["object encoding", "type"] {
            assert_eq!(client.run(&format!("{question} {copy}")), client.run(&format!("{question} {key}")));
        }
        assert_eq!(client.run(&format!("pttl {copy}")), ":-1|");
    }
    let follower = follower();
    while let Some(batch) = client.engine.redo().take(1 << 20) {
        follower.apply_whole(&crate::redo::batch::RedoBatch::open(&batch.to_bytes()).unwrap()).unwrap();
    }
    assert_eq!(follower.content_hash(), client.engine.content_hash());
}

#[test]
fn another_value_is_replaced_with_its_expiry() {
    let mut client = Client::alone();
    let keys = fill(&mut client);
    let payloads: Vec<Vec<u8>> = keys.iter().map(|key| dumped(&mut client, key)).collect();
    for key in &keys {
        for (payload, from) in payloads.iter().zip(&keys) {
            client.run(&format!("pexpire {key} 100000"));
            assert_eq!(restored(&mut client, key, payload, &[]), "-BUSYKEY Target key name already exists.|");
            assert_eq!(restored(&mut client, key, payload, &["replace"]), "+OK|");
            assert!(content(&dumped(&mut client, key)) == content(payload), "{from} in the place of {key}");
            assert_eq!(client.run(&format!("pttl {key}")), ":-1|");
        }
    }
    client.run("flushall");
    let mut ttl = |time: &str, options: &[&str]| {
        let mut args = vec![&b"restore"[..], b"k", time.as_bytes(), &payloads[9], b"replace"];
        args.extend(options.iter().map(|option| option.as_bytes()));
        (client.call(&args).0, client.run("pttl k"))
    };
    let is = |reply: &str, left: &str| (format!("{reply}|"), format!("{left}|"));
    assert_eq!(ttl("5000", &[]), is("+OK", ":5000"));
    assert_eq!(ttl("1007000", &["absttl"]), is("+OK", ":7000"));
    assert_eq!(ttl("0", &["absttl"]), is("+OK", ":-1"));
    let wrong = "-ERR Invalid TTL value, must be >= 0";
    assert_eq!(ttl("-1", &[]), is(wrong, ":-1"));
    assert_eq!(ttl("9223372036854775807", &[]), is(wrong, ":-1"));
    // A moment that is over: the key is gone.
    assert_eq!(ttl("1000000", &["absttl"]), is("+OK", ":-2"));
    assert_eq!(ttl("1", &["absttl"]), is("+OK", ":-2"));
}

#[test]
fn who_waits_for_the_key_is_served() {
    let engine = primary();
    let (mut writer, mut waiting) = (Client::new(&engine), Client::new(&engine));
    writer.run("rpush list a b");
    let payload = dumped(&mut writer, "list");
    assert_eq!(waiting.executed("blpop new 0").0, "");
    assert_eq!(restored(&mut writer, "new", &payload, &[]), "+OK|");
    assert!(waiting.session.is_served());
    assert_eq!(waiting.run("blpop new 0"), "*2|$3|new|$1|a|");
}

#[test]
fn what_no_server_dumps_is_refused_and_changes_nothing() {
    let mut client = Client::alone();
    client.run("set k v");
    let before = (client.engine.content_hash(), client.engine.last());
    let mut refused = |payload: &[u8], words: &str| {
        assert_eq!(restored(&mut client, "k", payload, &["replace"]), format!("-{words}|"), "{payload:?}");
        assert_eq!((client.engine.content_hash(), client.engine.last()), before);
    };
    const WRONG: &str = "ERR DUMP payload version or checksum are wrong";
    const BAD: &str = "ERR Bad data format";
    refused(b"", WRONG);
    refused(b"\x00\x01a\x0a\x00________", WRONG);
    // Version 13, 0, 79 and 81, each with its checksum.
    for version in [13, 0, 79, 81] {
        let mut payload = vec![0, 1, b'a', version, 0];
        let checksum = rdb::CHECKSUM.checksum(&payload);
        payload.extend_from_slice(&checksum.to_le_bytes());
        refused(&payload, WRONG);
    }
    refused(&sealed(b""), BAD);
    refused(&sealed(b"\x00"), BAD);
    refused(&sealed(b"\x00\x01ab"), BAD);
    refused(&sealed(b"\x63\x01a"), BAD);
    for (kind, twice) in [(2, &b"\x02\x01a\x01a"[..]), (4, b"\x02\x01a\x011\x01a\x012")] {
        refused(&sealed(&[&[kind], twice].concat()), BAD);
    }
    refused(&sealed(&[&b"\x05\x02\x01a\0\0\0\0\0\0\0\0\x01a"[..], &1.0f64.to_bits().to_le_bytes()].concat()), BAD);
    for empty in [1, 2, 4, 5, 14, 18] {
        refused(&sealed(&[empty, 0]), BAD);
    }
    let name = [&b"\x02\x01\x60\x01"[..], &[b'x'; 0x2001]].concat();
    refused(&sealed(&name), "ERR a field or member exceeds the maximum length of 8192 bytes");
    refused(&sealed(b"\x07\x05\x00"), "ERR Bad data format: a module value cannot be restored here");
    refused(&sealed(b"\x13\x00"), BAD);
    let noted = b"\x13\x00\x00\x01\x01\x00\x00\x00\x00\x00".to_vec();
    refused(&sealed(&[&noted[..], b"\x02\x01g\x00\x00\x00\x00\x00\x01g\x00\x00\x00\x00\x00"].concat()), BAD);
    let long = [b"\x01\x44\x01", &[b'g'; 1025][..], b"\x00\x00\x00\x00\x00"].concat();
    refused(&sealed(&[&noted[..], &long].concat()), BAD);
}

#[test]
fn names_of_the_longest_length_are_restored() {
    let mut client = Client::alone();
    let name = "x".repeat(8192);
    client.run(&format!("hset hash {name} v"));
    let payload = dumped(&mut client, "hash");
    assert_eq!(restored(&mut client, "copy", &payload, &[]), "+OK|");
    assert_eq!(client.run(&format!("hget copy {name}")), "$1|v|");
}

/// What has expired meanwhile is left out, and a hash of which nothing is left does not come to be.
#[test]
fn fields_keep_their_expiry() {
    for fields in [3, 1000] {
        let mut client = Client::alone();
        let pairs: Vec<String> = (0..fields).map(|field| format!("f{field} v{field}")).collect();
        client.run(&format!("hset hash {}", pairs.join(" ")));
        client.run("hpexpire hash 100 fields 1 f0");
        client.run("hpexpire hash 200 fields 1 f1");
        let payload = dumped(&mut client, "hash");
        assert_eq!(restored(&mut client, "copy", &payload, &[]), "+OK|");
        assert_eq!(client.run("hpttl copy fields 3 f0 f1 f2"), "*3|:100|:200|:-1|");
        assert_eq!(client.run("object encoding copy"), client.run("object encoding hash"));
        client.now += 100;
        assert_eq!(restored(&mut client, "late", &payload, &[]), "+OK|");
        assert_eq!(client.run("hlen late"), format!(":{}|", fields - 1));
        assert_eq!(client.run("hpttl late fields 2 f0 f1"), "*2|:-2|:100|");
        client.now += 100;
        let plain = dumped(&mut client, "copy");
        assert_eq!(plain[0], 4, "a hash of which no field expires any more is dumped as such");
    }
    let mut client = Client::alone();
    client.run("hsetex hash px 100 fields 2 a 1 b 2");
    let payload = dumped(&mut client, "hash");
    client.now += 100;
    client.run("set k v");
    assert_eq!(restored(&mut client, "k", &payload, &["replace"]), "+OK|");
    assert_eq!(client.run("exists k"), ":0|");
}

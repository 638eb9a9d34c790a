//! Reads of a frozen version by an engine of its own, and replies that are large.

use std::sync::mpsc;

use super::*;
use crate::engine::call::Protocol;

/// Reads `words` from `engine` in pieces; returns the reply and the number of pieces.
fn in_pieces(engine: &Arc<Engine>, words: &str) -> (String, usize) {
    let (send, pieces) = mpsc::sync_channel::<Vec<u8>>(100);
    let args: Vec<&[u8]> = words.split(' ').map(str::as_bytes).collect();
    let mut reply = Reply::in_pieces(Protocol::Resp2, Box::new(move |piece| send.send(piece).is_ok()));
    let now = UnixMillis(1_000_000);
    let executed = engine.execute(&mut Session::new(1), &mut NamedFront, &args, now, &mut reply);
    assert!(executed.replied().is_some() && reply.finish());
    let pieces: Vec<Vec<u8>> = pieces.into_iter().collect();
    (String::from_utf8_lossy(&pieces.concat()).replace("\r\n", "|"), pieces.len())
}

#[test]
fn a_pinned_version_stays_as_it_was_whatever_is_written() {
    let mut client = Client::alone();
    for at in 0..2_000 {
        client.run(&format!("set key:{at} old"));
        client.run(&format!("hset hash field:{at} old"));
        client.run(&format!("rpush list old:{at}"));
        client.run(&format!("zadd zset {at} old:{at}"));
    }
    client.run("set expiring v PXAT 1000500");
    let retired = || client.engine.frozen_bytes();
    assert_eq!(retired(), 0);
    let mut pinned = Client::new(&Arc::new(client.engine.try_pin().unwrap().reader()));
    let words = ["get key:7", "hgetall hash", "lrange list 0 -1", "zrange zset 0 -1 withscores", "dbsize", "keys *:7"];
    let before = words.map(|words| pinned.run(words));
    let cut = pinned.engine.last();
    assert_eq!(cut, client.engine.last(), "no record is written for it");
    let mut writer = Client::new(&client.engine);
    for at in 0..2_000 {
        writer.run(&format!("set key:{at} new"));
        writer.run(&format!("hset hash field:{at} new"));
    }
    writer.run("ltrim list 5 6");
    writer.run("zremrangebyrank zset 1 -1");
    writer.run("del expiring");
    writer.run("flushdb");
    writer.run("set key:7 newest");
    assert_eq!(words.map(|words| pinned.run(words)), before);
    assert_eq!(pinned.run("get expiring"), "$1|v|", "its time has not come for the version");
    let (reply, replied) = pinned.replied("get key:1");
    assert_eq!(
        (reply.as_str(), replied.lsn, replied.wrote),
        ("$3|old|", cut, false),
        "it depends on all that is in it"
    );
    assert_eq!(pinned.refused("set key:1 x").1, Some(Refused::NotWriting));
    assert_eq!(writer.run("get key:7"), "$6|newest|");
    assert!(client.engine.frozen_bytes() > 0);
    drop(pinned);
    assert_eq!(client.engine.frozen_bytes(), 0, "what was kept for it is given back");
}

/// What one reader does, a slow one say, is nothing to another.
#[test]
fn readers_of_a_version_do_not_wait_for_each_other() {
    let mut client = Client::alone();
    client.run("set a 1");
    let state = client.engine.try_pin().unwrap();
    let (one, other) = (Arc::new(state.reader()), Arc::new(state.reader()));
    let held = Shards::all(&one.cells);
    assert_eq!(Client::new(&other).run("get a"), "$1|1|");
    drop(held);
    drop(state);
    client.run("set a 2");
    assert_eq!(Client::new(&one).run("get a"), "$1|1|", "a reader keeps the version");
    drop((one, other));
    assert_eq!(client.engine.frozen_bytes(), 0);
}

#[test]
fn a_long_command_keeps_a_version_from_being_pinned() {
    let engine = primary();
    let shards = Shards::all(&engine.cells);
    assert_eq!(engine.try_pin().unwrap_err(), ShardId(0));
    drop(shards);
    assert!(engine.try_pin().is_ok());
}

#[test]
fn a_large_reply_is_refused_and_read_in_pieces() {
    let mut client = Client::alone();
    let value = "x".repeat(1_000);
    for at in 0..200 {
        client.run(&format!("hset hash field:{at} {value}"));
        client.run(&format!("rpush list {value}"));
        client.run(&format!("sadd set {at}{value}"));
        client.run(&format!("zadd zset {at} {at}{value}"));
    }
    client.run(&format!("set string {}", value.repeat(200)));
    let reads = [
        "hgetall hash",
        "hvals hash",
        "lrange list 0 -1",
        "smembers set",
        "sunion set set2",
        "zrange zset 0 -1",
        "zunion 2 zset set withscores",
        "get string",
        "mget string string hash",
        "getrange string 100 150000",
        "dump string",
        "sort_ro list alpha",
        "srandmember set 200",
        "sscan set 0 count 100000",
    ];
    for words in reads {
        client.session.set_large_bytes(usize::MAX);
        let whole = client.run(words);
        client.session.set_large_bytes(100_000);
        assert_eq!(client.refused(words), (String::new(), Some(Refused::Large)), "{words}");
        let frozen = Arc::new(client.engine.try_pin().unwrap().reader());
        let (reply, pieces) = in_pieces(&frozen, words);
        if !words.contains("rand") {
            assert_eq!(reply, whole, "{words}");
        }
        assert!(pieces > 1, "{words}: {pieces} pieces");
    }
    client.session.set_large_bytes(100_000);
    assert_eq!(client.run("hget hash field:1").len(), 1_007);
    assert_eq!(client.run("lrange list 0 50").matches("|$1000|").count(), 51, "up to the bound it is read at once");
    assert_eq!(client.run("get list"), "-WRONGTYPE Operation against a key holding the wrong kind of value|");
    let popped = client.run("lpop list 200");
    assert_eq!(popped.len(), 5 + 200 * 1_007, "what writes has its reply in one piece");
}

#[test]
fn many_elements_are_refused_before_they_are_visited() {
    let mut client = Client::alone();
    for at in 0..17 {
        let elements: Vec<String> = (0..1_000).map(|of| format!("{at}:{of}")).collect();
        client.run(&format!("rpush list {}", elements.join(" ")));
        client.run(&format!("sadd set {}", elements.join(" ")));
    }
    client.session.set_large_bytes(1 << 30);
    for words in ["lrange list 0 -1", "smembers set", "sdiff set none", "sinter set set", "sort_ro list alpha"] {
        assert_eq!(client.refused(words), (String::new(), Some(Refused::Large)), "{words}");
    }
    assert_eq!(client.run("sinter set none"), "*0|", "the smaller one counts");
    let places: Vec<String> = (0..17_000).map(|at| format!("{} 10 {at}", f64::from(at) / 1e4)).collect();
    client.run(&format!("geoadd places {}", places.join(" ")));
    for words in ["byradius 100 km", "byradius 100 km count 1", "bybox 400 400 km withdist"] {
        let search = format!("geosearch places fromlonlat 1 10 {words}");
        assert_eq!(client.refused(&search), (String::new(), Some(Refused::Large)), "{words}");
        let frozen = Arc::new(client.engine.try_pin().unwrap().reader());
        let (reply, _) = in_pieces(&frozen, &search);
        client.session.set_large_bytes(usize::MAX);
        assert_eq!(reply, client.run(&search), "{words}");
        client.session.set_large_bytes(1 << 30);
    }
    assert_eq!(client.run("geosearch places fromlonlat 1 10 byradius 5 m"), "*1|$5|10000|", "few are in its cells");
    client.run("multi");
    client.run("lrange list 0 -1");
    assert!(client.run("exec").starts_with("*1|*17000|"), "within EXEC only bytes are bounded");
}

#[test]
fn the_replies_of_one_transaction_are_bounded_together() {
    let mut client = Client::alone();
    client.run(&format!("set string {}", "x".repeat(200 << 20)));
    client.run("rpush list a b");
    client.run("multi");
    for words in ["get string", "get string", "get string", "lpop list", "get string"] {
        assert_eq!(client.run(words), "+QUEUED|");
    }
    let reply = client.run("exec");
    let left_out = "-ERR this command was executed, its reply is left out: the replies of one transaction may take 513 MiB together|";
    let tail = format!("|{left_out}$1|a|{left_out}");
    assert!(reply.ends_with(&tail), "{}", &reply[reply.len().saturating_sub(300)..]);
    assert_eq!(client.run("lrange list 0 -1"), "*1|$1|b|");
}

#[test]
fn nobody_wants_the_rest_of_a_reply() {
    let mut client = Client::alone();
    client.run(&format!("set string {}", "x".repeat(1 << 20)));
    let frozen = client.engine.try_pin().unwrap().reader();
    let mut pieces = 0;
    let (told, wanted) = mpsc::sync_channel(100);
    let send = Box::new(move |_| {
        pieces += 1;
        told.send(pieces).unwrap();
        pieces < 3
    });
    let mut reply = Reply::in_pieces(Protocol::Resp2, send);
    let args: [&[u8]; 2] = [b"get", b"string"];
    frozen.execute(&mut Session::new(1), &mut NamedFront, &args, UnixMillis(1), &mut reply);
    assert!(!reply.finish());
    assert_eq!(wanted.into_iter().max(), Some(3));
}

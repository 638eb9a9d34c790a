//! COPY and RENAME of large values in pieces: what comes of them, what they lock, and what is left when they are given up.

use super::replay::chunks;
use super::*;
use crate::effect::{CopyStep, Effect};
use crate::image::ImageRestore;
use crate::redo::batch::RedoBatch;

/// A client whose large values are copied in pieces.
fn client() -> Client {
    let mut client = Client::alone();
    client.session.set_large_bytes(1 << 40);
    client
}

/// Large values of every kind, of some 2 MiB each.
fn fill(client: &mut Client) {
    let value = "x".repeat(1_000);
    for at in 0..2_000 {
        client.run(&format!("hset hash field:{at} {value}"));
        client.run(&format!("hset expiring field:{at} {value}"));
        client.run(&format!("rpush list {at}{value}"));
        client.run(&format!("sadd set {at}{value}"));
        client.run(&format!("zadd zset {at} {at}{value}"));
    }
    for at in (0..2_000).step_by(3) {
        client.run(&format!("hpexpireat expiring {} fields 1 field:{at}", 5_000_000 + at));
    }
    client.run(&format!("set string {}", value.repeat(3_000)));
    client.run("pexpireat zset 9000000");
}

const READS: [(&str, &str); 6] = [
    ("hash", "hgetall"),
    ("expiring", "hgetall"),
    ("list", "lrange"),
    ("set", "smembers"),
    ("zset", "zrange"),
    ("string", "get"),
];

fn content(client: &mut Client, key: &str, read: &str) -> Vec<String> {
    let more = if matches!(read, "lrange" | "zrange") { " 0 -1" } else { "" };
    let mut lines: Vec<String> = client.run(&format!("{read} {key}{more}")).split('|').map(str::to_owned).collect();
    if !matches!(read, "lrange" | "zrange") {
        lines.sort_unstable();
    }
    lines.push(client.run(&format!("pexpiretime {key}")));
    lines
}

/// Executes a command as a session does: in pieces where it is asked to. Returns the reply and how often that was.
fn run(client: &mut Client, words: &str) -> (String, usize) {
    let mut copies = 0;
    loop {
        let (reply, executed) = client.executed(words);
        match executed.refused() {
            Some(Refused::InPieces) => {
                copies += 1;
                client.engine.copy_in_pieces(&mut client.session, UnixMillis(client.now)).unwrap();
            }
            Some(refused) => panic!("{words}: {refused:?}"),
            None => return (reply, copies),
        }
    }
}

/// Applies all records to an engine that has none yet.
fn replayed(engine: &Engine) -> Arc<Engine> {
    let standby = Arc::new(follower());
    while let Some(batch) = engine.redo().take(1 << 20) {
        let bytes = batch.to_bytes();
        let batch = RedoBatch::open(&bytes).unwrap();
        while standby.last() < batch.last() {
            standby.apply(&batch).unwrap();
        }
    }
    standby
}

#[test]
fn copies_in_pieces_are_what_copies_at_once_are_on_all_nodes() {
    let mut client = client();
    fill(&mut client);
    for (key, read) in READS {
        let before = content(&mut client, key, read);
        assert_eq!(run(&mut client, &format!("copy {key} {key}:copy")), (":1|".into(), 1), "{key}");
        assert_eq!(content(&mut client, &format!("{key}:copy"), read), before, "{key}");
        assert_eq!(content(&mut client, key, read), before, "{key}");
        assert_eq!(run(&mut client, &format!("copy {key} {key}:copy")), (":0|".into(), 0), "it is there");
        client.run(&format!("set {key}:copy small"));
        assert_eq!(run(&mut client, &format!("copy {key} {key}:copy db 3 replace")), (":1|".into(), 1), "{key}");
        client.session.select(3);
        assert_eq!(content(&mut client, &format!("{key}:copy"), read), before, "{key}");
        client.session.select(0);
        let mut renames = 0;
        for name in ["a", "b", "c", "d", "e"] {
            let (reply, copies) = run(&mut client, &format!("rename {key} {key}:{name}"));
            assert_eq!(reply, "+OK|");
            renames += copies;
            assert_eq!(content(&mut client, &format!("{key}:{name}"), read), before, "{key}");
            assert_eq!(client.run(&format!("exists {key}")), ":0|");
            run(&mut client, &format!("renamenx {key}:{name} {key}"));
        }
        assert!(renames > 0, "{key}: one of five names is in another shard");
    }
    while client.engine.reclaim_due(1_000_000) > 0 {}
    assert_eq!(client.engine.memory().reclaimable_keys, 0);
    let standby = replayed(&client.engine);
    assert_eq!(standby.content_hash_at(), client.engine.content_hash_at());
    let version = client.engine.freeze();
    let hash = version.content_hash();
    let pool = PagePool::new(0);
    let mut restore = ImageRestore::new(Arc::clone(&pool));
    chunks(version).iter().for_each(|chunk| restore.feed(chunk).unwrap());
    assert_eq!(Engine::restored(restore.finish().unwrap(), &pool, 0).freeze().content_hash(), hash);
}

#[test]
fn a_source_that_changes_is_copied_again_and_in_the_end_at_once() {
    let mut client = client();
    fill(&mut client);
    let mut other = Client::new(&client.engine);
    let (words, mut asked) = ("copy hash copy", 0);
    while client.refused(words).1 == Some(Refused::InPieces) {
        asked += 1;
        client.engine.copy_in_pieces(&mut client.session, UnixMillis(client.now)).unwrap();
        other.run(&format!("hset hash new:{asked} value"));
    }
    assert_eq!(asked, crate::limits::COPY_ATTEMPTS_MAX);
    assert_eq!(client.run("hlen copy"), format!(":{}|", 2_000 + asked), "what had changed is in it");
    assert!(client.engine.memory().reclaimable_keys > 0, "what was given up waits");
    while client.engine.reclaim_due(1_000_000) > 0 {}
    assert_eq!(client.engine.memory().reclaimable_keys, 0);
    let standby = replayed(&client.engine);
    assert_eq!(standby.content_hash_at(), client.engine.content_hash_at());
}

/// Whatever happens to a copy that is complete and not yet in its place: the command's reply is right, and nothing is left in the end.
#[test]
fn a_copy_survives_nothing_that_it_should_not() {
    for disturbance in
        ["flushall", "flushdb", "swapdb 0 1", "del hash", "rename hash other", "pexpire hash 0", "set copy x"]
    {
        let mut client = client();
        fill(&mut client);
        let mut other = Client::new(&client.engine);
        other.session.select(1);
        other.run("set elsewhere v");
        other.session.select(0);
        assert_eq!(client.refused("rename hash copy").1, Some(Refused::InPieces));
        client.engine.copy_in_pieces(&mut client.session, UnixMillis(client.now)).unwrap();
        // It is kept from being reclaimed.
        other.engine.reclaim_due(1_000_000);
        other.run(disturbance);
        other.engine.reclaim_due(1_000_000);
        let (reply, _) = run(&mut client, "rename hash copy");
        let expected = if disturbance == "set copy x" { "+OK|" } else { "-ERR no such key|" };
        assert_eq!(reply, expected, "{disturbance}");
        let len = if disturbance == "set copy x" { ":2000|" } else { ":0|" };
        assert_eq!(client.run("hlen copy"), len, "{disturbance}");
        drop(client);
        while other.engine.reclaim_due(1_000_000) > 0 {}
        assert_eq!(other.engine.memory().reclaimable_keys, 0, "{disturbance}");
        let standby = replayed(&other.engine);
        assert_eq!(standby.content_hash_at(), other.engine.content_hash_at(), "{disturbance}");
    }
}

/// A node that takes over in the middle reclaims what there is of a copy.
#[test]
fn a_takeover_in_the_middle_leaves_nothing() {
    let mut client = client();
    fill(&mut client);
    assert_eq!(client.refused("rename zset copy").1, Some(Refused::InPieces));
    client.engine.copy_in_pieces(&mut client.session, UnixMillis(client.now)).unwrap();
    let standby = replayed(&client.engine);
    standby.begin_epoch(Epoch(2)).unwrap();
    assert_eq!(standby.memory().reclaimable_keys, 1);
    while standby.reclaim_due(1_000_000) > 0 {}
    assert_eq!(standby.memory().reclaimable_keys, 0);
    let mut after = Client::new(&standby);
    assert_eq!((after.run("zcard zset"), after.run("exists copy")), (":2000|".into(), ":0|".into()));
}

#[test]
fn steps_that_presume_what_is_not_so_change_nothing() {
    let mut client = client();
    fill(&mut client);
    let engine = Arc::clone(&client.engine);
    let before = engine.content_hash_at().1;
    let (from, to) = (engine.hasher.key(b"hash"), engine.hasher.key(b"copy"));
    let (used, unused, missing) = (DatabaseId(0), DatabaseId(20), engine.hasher.key(b"missing"));
    let end = CopyStep::End { renames: true };
    let steps = [
        (missing, unused, CopyStep::Begin),
        (from, used, CopyStep::Begin),
        (from, unused, CopyStep::Piece { cursor: 0 }),
        (from, used, CopyStep::Piece { cursor: 0 }),
        (missing, unused, CopyStep::Piece { cursor: 0 }),
        (from, unused, end),
        (from, used, end),
        (missing, unused, end),
        (to, unused, CopyStep::Begin),
    ];
    for (from, made_in, step) in steps {
        let mut shards = Shards::all(&engine.cells);
        let effect = Effect::CopyStep { from, to, made_in, step };
        assert!(super::super::apply::apply(&mut shards, &effect).is_err(), "{effect:?}");
    }
    assert_eq!(engine.content_hash_at().1, before);
    // A cursor beyond the end is nobody's, and copies nothing.
    for (key, _) in READS {
        let (from, copy) = (engine.hasher.key(key.as_bytes()), to.of(unused));
        let mut shards = Shards::all(&engine.cells);
        let begin = Effect::CopyStep { from, to, made_in: unused, step: CopyStep::Begin };
        super::super::apply::apply(&mut shards, &begin).unwrap();
        for cursor in [1 << 32, u64::MAX - 1, u64::MAX] {
            let _ = super::super::pieces::copy_piece(&mut shards, &from, &copy, cursor);
        }
        let keyspace = &mut shards.of_mut(to.hash).keyspace;
        keyspace.reclaim(1_000_000);
        assert!(keyspace.is_unused(unused), "{key}");
    }
}

/// An image of the very first moment of a copy, and of every other, is read again.
#[test]
fn what_there_is_of_a_copy_is_sound_at_every_moment() {
    let mut client = client();
    fill(&mut client);
    let engine = Arc::clone(&client.engine);
    for (key, _) in READS {
        let (from, to) = (engine.hasher.key(key.as_bytes()), engine.hasher.key(b"copy").of(DatabaseId(25)));
        let mut cursor = super::super::pieces::begin(&mut Shards::all(&engine.cells), &from, &to).unwrap();
        for moment in 0..4 {
            let version = engine.freeze();
            let pool = PagePool::new(0);
            let mut restore = ImageRestore::new(Arc::clone(&pool));
            chunks(version).iter().for_each(|chunk| restore.feed(chunk).unwrap());
            assert!(restore.finish().is_ok(), "{key}, moment {moment}");
            let Some(at) = cursor else { break };
            cursor = super::super::pieces::copy_piece(&mut Shards::all(&engine.cells), &from, &to, at).unwrap();
        }
        let mut shards = Shards::all(&engine.cells);
        shards.of_mut(to.hash).keyspace.reclaim(1_000_000);
    }
}

/// Another node reclaims the copy, and may make another one in the same place.
#[test]
fn a_copy_of_an_earlier_epoch_is_forgotten() {
    let mut client = client();
    fill(&mut client);
    assert_eq!(client.refused("rename hash copy").1, Some(Refused::InPieces));
    client.engine.copy_in_pieces(&mut client.session, UnixMillis(client.now)).unwrap();
    client.engine.end_epoch(Epoch(2));
    client.engine.begin_epoch(Epoch(3)).unwrap();
    assert_eq!(client.refused("rename hash copy").1, Some(Refused::InPieces), "it is made again");
    client.engine.copy_in_pieces(&mut client.session, UnixMillis(client.now)).unwrap();
    assert_eq!(client.run("rename hash copy"), "+OK|");
}

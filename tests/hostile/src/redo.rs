//! Redo batches, as a standby gets them and applies them to its state.

use tanist_db_core::clock::UnixMillis;
use tanist_db_core::engine::{Engine, EngineOptions, MEMORY_MAX, Session, SettingId};
use tanist_db_core::ids::Epoch;
use tanist_db_core::redo::batch::RedoBatch;

use crate::command::execute;

/// A follower's options: as those of who wrote the seeds.
fn engine() -> Engine {
    Engine::new(EngineOptions { shards: 2, memory_bytes_max: 16 << 20, hash_seed: 3, ..EngineOptions::default() })
}

/// The bytes as a batch, and as the records of a batch that is sound in itself.
pub fn read(bytes: &[u8]) {
    apply(bytes);
    let Some((cuts, blob)) = bytes.split_first() else { return };
    let step = usize::from(*cuts) + 1;
    let mut ends: Vec<u32> = (step..blob.len()).step_by(step).map(|end| end as u32).collect();
    ends.push(blob.len() as u32);
    apply(&RedoBatch { epoch: 1, first_lsn: 1, ends, blob: blob.to_vec() }.to_bytes());
}

fn apply(bytes: &[u8]) {
    let Ok(batch) = RedoBatch::open(bytes) else { return };
    let engine = engine();
    if let Ok(applied) = engine.apply_whole(&batch) {
        assert_eq!(applied.last, engine.last());
    }
    // The state must be sound whatever came of it: every page is looked at.
    let _ = (engine.content_hash(), engine.keys());
}

/// A batch of real records, each of them alone, and their bare bytes.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let engine = engine();
    engine.begin_epoch(Epoch(1)).expect("a newer epoch");
    let mut session = Session::new(1);
    let long = "x".repeat(20_000);
    let strings = ["SET a 1", "SET b 2 PX 5000", "INCR a", "MSET c 1 d 2", "DEL b", "EXPIRE c 10", "FLUSHALL"];
    let bits = [
        "SETBIT bits 5000000 1",
        "BITFIELD bits SET u8 #3 200 INCRBY i16 900000 5",
        "BITFIELD fields SET u3 77 5",
        "BITOP NOT inverse fields",
        "PFADD counter a b c",
        "PFADD counter d",
        "PFCOUNT counter",
    ];
    let collections = [
        "HSET hash a 1 b 2 c 3",
        "HDEL hash a",
        "SADD set 1 2 300000",
        "SADD set x",
        "SREM set 1",
        "RPUSH list a b c d",
        "LSET list 1 z",
        "LINSERT list BEFORE z y",
        "LREM list 0 z",
        "LMOVE list list LEFT RIGHT",
        "ZADD sorted 1 a -2.5 b 3 c",
        "ZREMRANGEBYRANK sorted 0 0",
        "ZREM sorted c",
        "SUNIONSTORE hash set set",
        "COPY set other",
        "RENAME other set",
    ];
    for line in strings.into_iter().chain(bits).chain(collections) {
        execute(&engine, &mut session, &line.split(' ').collect::<Vec<_>>(), 1_000_000);
    }
    for words in [["HSET", "hash", "f", &long], ["ZADD", "sorted", "5", &long[..100]]] {
        execute(&engine, &mut session, &words, 1_000_000);
    }
    for words in [["SADD", "set", &long[..100]], ["RPUSH", "list", &long]] {
        execute(&engine, &mut session, &words, 1_000_000);
    }
    execute(&engine, &mut session, &["SET", "long", &long], 1_000_000);
    // In pieces.
    session.set_large_bytes(0);
    for words in ["COPY set copied", "COPY long copied-too", "RENAME hash renamed"] {
        let words: Vec<&str> = words.split(' ').collect();
        execute(&engine, &mut session, &words, 1_000_000);
        engine.copy_in_pieces(&mut session, UnixMillis(1_000_000)).expect("this engine writes");
        assert!(!execute(&engine, &mut session, &words, 1_000_000).is_empty(), "{words:?}");
    }
    let changed = engine.change_settings(&[(MEMORY_MAX, Some(1 << 30)), (SettingId(3), None)], || Ok(()));
    assert!(changed.is_ok_and(|changed| changed.replied().is_some()), "nobody holds the shard");
    engine.freeze();
    let mut seeds = Vec::new();
    while let Some(batch) = engine.redo().take(1 << 20) {
        let mut start = 0;
        for end in &batch.ends {
            seeds.push([&[255], &batch.blob[start..*end as usize]].concat());
            start = *end as usize;
        }
        seeds.push(batch.to_bytes());
    }
    seeds
}

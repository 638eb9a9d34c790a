//! Replay is deterministic: the same image and the same log give the same bytes.

use super::*;
use crate::arena::{PAGE_BYTES, PagePool};
use crate::effect::{Effect, KeyChange, RecordWriter};
use crate::engine::compaction::Progress;
use crate::image::ImageRestore;
use crate::level::Level;
use crate::redo::batch::RedoBatch;
use crate::redo::{RecordError, ReplayError};
use crate::types::string::StringChange;

/// What a primary left behind: its log in batches, and the images and content hashes of its cuts.
struct History {
    batches: Vec<Vec<u8>>,
    cuts: Vec<(Lsn, u128, Vec<Vec<u8>>)>,
    last: Lsn,
    content: u128,
}

fn words(random: &mut Random) -> String {
    let key = |random: &mut Random| format!("key:{}", random.below(300));
    let (a, b) = (key(random), key(random));
    let long = |random: &mut Random| "x".repeat(random.below(20_000) as usize + 1);
    let database = random.below(4);
    let field = |random: &mut Random| random.below(150);
    match random.below(38) {
        0..=4 => format!("set {a} value:{}", random.below(1000)),
        5 => format!("set {a} {}", long(random)),
        6 => format!("set {a} v px {}", random.below(5000) + 1),
        7 | 8 => format!("append {a} {}", if random.below(9) == 0 { long(random) } else { "tail".into() }),
        9 if random.below(20) == 0 => format!("setrange {a} {} far", 1_100_000 + random.below(1_000_000)),
        9 if random.below(10) == 0 => {
            // Of so many pages that they are freed later.
            let pages: Vec<String> = (0..90).map(|page| format!("set u8 #{} 7", page * PAGE_BYTES)).collect();
            format!("bitfield {a} {}", pages.join(" "))
        }
        9 => format!("setrange {a} {} middle", random.below(40_000)),
        10..=12 => format!("del {a} {b}"),
        13 => format!("rename {a} {b}"),
        14 => format!("copy {a} {b} replace"),
        15 => format!("pexpire {a} {}", random.below(4000)),
        16 => format!("persist {a}"),
        17 | 18 => format!("incrby n{a} {}", random.below(100)),
        19 => format!("incrbyfloat f{a} 0.{}", random.below(1000)),
        20 => format!("mset {a} 1 {b} 2 key:1 3 key:2 4"),
        21 => "multi".into(),
        22 => "exec".into(),
        23 | 24 => format!("move {a} {database}"),
        25 => format!("copy {a} {b} db {database} replace"),
        26 | 27 => {
            let (one, other) = (field(random), field(random));
            format!("hsetex {a} px {} fields 2 {one} 1 {other} 2", random.below(3000) + 1)
        }
        28 => format!("hset {a} {} 1 {} {}", field(random), field(random), long(random)),
        29 => format!("hpexpire {a} {} fields 2 {} {}", random.below(4000), field(random), field(random)),
        30 => format!("hgetdel {a} fields 1 {}", field(random)),
        33 => format!("setbit {a} {} {}", random.below(30_000_000), random.below(2)),
        34 => format!("bitop {} {a} {b} key:1 {a}", ["xor", "andor", "one"][random.below(3) as usize]),
        35 => format!("pfadd h{a} {} {}", random.below(1_000_000), random.below(1_000_000)),
        36 => format!("pfmerge h{a} h{b}"),
        37 => format!("pfcount h{a}"),
        31 => format!("hgetex {a} persist fields 2 {} {}", field(random), field(random)),
        _ if random.below(20) == 0 => format!("swapdb {database} {}", random.below(4)),
        _ if random.below(30) == 0 => {
            let pairs: Vec<String> = (0..400).map(|_| format!("many:{} v", random.below(5_000))).collect();
            format!("mset {}", pairs.join(" "))
        }
        _ if random.below(20) == 0 => "flushdb".into(),
        _ if random.below(300) == 0 => "flushall".into(),
        _ => format!("getex {a} px {}", random.below(3000) + 1),
    }
}

pub(super) fn chunks(version: crate::image::FrozenVersion) -> Vec<Vec<u8>> {
    let mut walk = version.into_chunks();
    let mut chunks = Vec::new();
    let mut chunk = Vec::new();
    while walk.next_chunk(&mut chunk) {
        chunks.push(chunk.clone());
    }
    chunks
}

fn live(seed: u64, commands: usize) -> History {
    let engine = primary();
    let mut client = Client::new(&engine);
    let mut random = Random(seed);
    let (mut batches, mut cuts) = (Vec::new(), Vec::new());
    let mut take = |random: &mut Random, all: bool| {
        while all || random.below(4) > 0 {
            let Some(batch) = engine.redo().take(random.below(30_000) as usize) else { break };
            batches.push(batch.to_bytes());
        }
    };
    for _ in 0..commands {
        if random.below(20) == 0 {
            client.session.select(random.below(4) as u8);
        }
        client.run(&words(&mut random));
        client.now += random.below(20);
        match random.below(400) {
            0..=40 => drop(engine.expire_due(UnixMillis(client.now), 50)),
            41 | 42 => {
                let version = engine.freeze();
                cuts.push((version.cut(), version.content_hash(), version));
            }
            43..=90 => take(&mut random, false),
            91..=110 => drop(engine.reclaim_due(random.below(100) as usize)),
            111..=125 => {
                let (shard, mut progress) = (random.below(engine.cells.len() as u64) as usize, Progress::default());
                (0..random.below(20)).for_each(|_| assert!(engine.compact_in_shard(shard, &mut progress, 20)));
            }
            _ => {}
        }
    }
    // The images are made only now: what was frozen must not have changed since.
    let cuts = cuts.into_iter().map(|(cut, hash, version)| (cut, hash, chunks(version))).collect();
    take(&mut random, true);
    History { batches, cuts, last: engine.last(), content: engine.content_hash() }
}

/// Applies batches from the one that holds the record after what is applied, some of them twice.
fn follow(engine: &Engine, history: &History, random: &mut Random) {
    for bytes in &history.batches {
        let batch = RedoBatch::open(bytes).unwrap();
        for _ in 0..=random.below(2) {
            engine.apply_whole(&batch).unwrap();
        }
    }
}

#[test]
fn followers_and_restored_images_end_in_the_same_bytes() {
    for seed in 1..=6 {
        println!("seed {seed}");
        let history = live(seed, 6000);
        let mut random = Random(seed);
        let second = follower();
        follow(&second, &history, &mut random);
        assert_eq!((second.last(), second.content_hash()), (history.last, history.content), "seed {seed}");
        for (cut, _, image) in &history.cuts {
            let pool = PagePool::new(0);
            let mut restore = ImageRestore::new(Arc::clone(&pool));
            image.iter().for_each(|chunk| restore.feed(chunk).unwrap());
            let third = Engine::restored(restore.finish().unwrap(), &pool, 0);
            assert_eq!(third.last(), *cut);
            follow(&third, &history, &mut random);
            assert_eq!((third.last(), third.content_hash()), (history.last, history.content), "seed {seed} cut {cut}");
            assert_eq!((third.keys(), third.expiring()), (second.keys(), second.expiring()));
        }
    }
}

#[test]
fn a_follower_finds_the_primarys_hash_at_every_cut() {
    let history = live(77, 4000);
    let second = follower();
    let mut cuts = history.cuts.iter().map(|(cut, hash, _)| (*cut, *hash));
    for bytes in &history.batches {
        let batch = RedoBatch::open(bytes).unwrap();
        loop {
            let applied = second.apply(&batch).unwrap();
            if let Some(cut) = applied.cuts.first() {
                let version = second.freeze();
                assert_eq!((applied.cuts.len(), applied.last, version.cut()), (1, *cut, *cut));
                assert_eq!(Some((*cut, version.content_hash())), cuts.next());
            }
            if applied.last == batch.last() {
                break;
            }
        }
    }
    assert_eq!(cuts.next(), None);
    assert_eq!(second.epoch(), Epoch(1));
}

fn set(key: Key<'_>) -> Effect<'_> {
    Effect::Key(key, StringChange::Set { value: b"v", expire: None }.into())
}

fn batch(first: u64, effects: &[&[Effect<'_>]]) -> Vec<u8> {
    let mut batch = RedoBatch { epoch: 1, first_lsn: first, ends: Vec::new(), blob: Vec::new() };
    for record in effects {
        let mut written = RecordWriter::default();
        record.iter().for_each(|effect| written.push(effect));
        batch.blob.append(written.bytes());
        batch.ends.push(batch.blob.len() as u32);
    }
    batch.to_bytes()
}

fn apply(engine: &Engine, bytes: &[u8]) -> Result<crate::redo::Applied, ReplayError> {
    engine.apply_whole(&RedoBatch::open(bytes).unwrap())
}

#[test]
fn what_cannot_be_applied_is_told_apart() {
    let engine = follower();
    let key = engine.hasher.key(b"k");
    let set = set(key);
    let start = Effect::EpochStart { epoch: Epoch(4) };
    let applied = apply(&engine, &batch(1, &[&[start], &[set], &[Effect::Cut]])).unwrap();
    assert_eq!(applied, crate::redo::Applied { last: Lsn(3), cuts: vec![Lsn(3)], epoch_start: Some(Epoch(4)) });
    assert_eq!(apply(&engine, &batch(5, &[&[set]])), Err(ReplayError::Gap { applied: Lsn(3), first: Lsn(5) }));
    assert_eq!(apply(&engine, &batch(2, &[&[Effect::FlushAll]])).unwrap().last, Lsn(3), "known records are skipped");
    let gone = Effect::Key(engine.hasher.key(b"none"), KeyChange::Del.into());
    let error = apply(&engine, &batch(4, &[&[gone]])).unwrap_err();
    assert!(matches!(error, ReplayError::Contradiction { lsn: Lsn(4), .. }));
    let back = Effect::EpochStart { epoch: Epoch(4) };
    let error = apply(&engine, &batch(4, &[&[back]])).unwrap_err();
    assert!(matches!(error, ReplayError::EpochBack { .. }));
    engine.begin_epoch(Epoch(5)).unwrap();
    assert_eq!(apply(&engine, &batch(5, &[&[set]])), Err(ReplayError::Writing));
}

/// Found by the fuzzer: the second epoch of a record was compared with what stood before the record, and a follower that was
/// sent one that goes back panicked.
#[test]
fn two_epochs_in_one_record_must_not_go_back() {
    let engine = follower();
    let (later, earlier) = (Effect::EpochStart { epoch: Epoch(9) }, Effect::EpochStart { epoch: Epoch(8) });
    let error = apply(&engine, &batch(1, &[&[later, earlier]])).unwrap_err();
    assert_eq!(error, ReplayError::EpochBack { lsn: Lsn(1), epoch: Epoch(8), newest: Epoch(9) });
    assert_eq!(engine.epoch(), Epoch::ZERO);
}

#[test]
fn a_malformed_record_changes_nothing() {
    let engine = follower();
    let set = set(engine.hasher.key(b"k"));
    apply(&engine, &batch(1, &[&[set]])).unwrap();
    let before = engine.content_hash();
    let mut record = RecordWriter::default();
    record.push(&Effect::Key(engine.hasher.key(b"k"), KeyChange::Del.into()));
    record.bytes().push(0x00);
    let blob = std::mem::take(record.bytes());
    let bytes = RedoBatch { epoch: 1, first_lsn: 2, ends: vec![blob.len() as u32], blob }.to_bytes();
    let error = apply(&engine, &bytes).unwrap_err();
    assert_eq!(error, ReplayError::Record { lsn: Lsn(2), error: RecordError::UnknownEffect(0x00) });
    assert_eq!((engine.last(), engine.content_hash()), (Lsn(1), before));
}

#[test]
fn a_promoted_follower_goes_on_where_the_log_ends() {
    let first = primary();
    Client::new(&first).run("set k 1");
    let second = Arc::new(follower());
    while let Some(batch) = first.redo().take(usize::MAX) {
        apply(&second, &batch.to_bytes()).unwrap();
    }
    first.end_epoch(Epoch(u64::MAX));
    assert_eq!(second.begin_epoch(Epoch(2)).unwrap(), Lsn(3));
    assert_eq!(Client::new(&second).run("incr k"), ":2|");
    while let Some(batch) = second.redo().take(usize::MAX) {
        assert_eq!(batch.epoch, 2);
        apply(&first, &batch.to_bytes()).unwrap();
    }
    assert_eq!((first.last(), first.content_hash()), (second.last(), second.content_hash()));
    assert_eq!(Client::new(&first).run("get k"), "$1|2|");
}

/// The order of the log must be an order in which concurrent commands could have been executed one by one, at every cut.
#[test]
fn the_log_of_concurrent_sessions_replays_to_the_same_bytes() {
    for seed in 1..=3 {
        println!("seed {seed}");
        let engine = primary();
        let session = |seed: u64| {
            let mut client = Client::new(&engine);
            let mut random = Random(seed);
            for _ in 0..2500 {
                let command = match random.below(12) {
                    0 => format!("watch key:{}", random.below(300)),
                    1 => "unwatch".to_owned(),
                    _ => words(&mut random),
                };
                client.run(&command);
                client.now += random.below(20);
                if random.below(50) == 0 {
                    engine.expire_due(UnixMillis(client.now), 20);
                }
            }
        };
        let freezes =
            || (0..6).map(|_| engine.freeze()).map(|version| (version.cut(), version.content_hash())).collect();
        let cuts: Vec<(Lsn, u128)> = std::thread::scope(|scope| {
            (0..3).for_each(|n| drop(scope.spawn(move || session(seed * 10 + n))));
            scope.spawn(freezes).join().unwrap()
        });
        let second = follower();
        let mut found = Vec::new();
        while let Some(batch) = engine.redo().take(1 << 20) {
            let bytes = batch.to_bytes();
            let batch = RedoBatch::open(&bytes).unwrap();
            while second.last() < batch.last() {
                let applied = second.apply(&batch).unwrap();
                found.extend(applied.cuts.iter().map(|cut| (*cut, second.content_hash())));
            }
        }
        assert_eq!(found, cuts, "seed {seed}");
        assert_eq!((second.last(), second.content_hash()), (engine.last(), engine.content_hash()), "seed {seed}");
    }
}

/// What was set on the primary was unknown to the standby, and forgotten with the process.
#[test]
fn settings_of_the_cluster_are_state() {
    let engine = primary();
    let mut client = Client::new(&engine);
    client.run("set a 1");
    assert_eq!((engine.setting(SettingId(3)), engine.memory_max()), (None, 0));
    engine
        .change_settings(
            &[(MEMORY_MAX, Some(1 << 20)), (SettingId(3), Some(7)), (SettingId(30), Some(u64::MAX))],
            || Ok(()),
        )
        .unwrap();
    engine.change_settings(&[(SettingId(30), None)], || Ok(())).unwrap();
    client.run("flushall");
    let standby = follower();
    while let Some(batch) = engine.redo().take(usize::MAX) {
        apply(&standby, &batch.to_bytes()).unwrap();
    }
    for engine in [&*engine, &standby] {
        let settings = [MEMORY_MAX, SettingId(3), SettingId(30)].map(|id| engine.setting(id));
        assert_eq!((settings, engine.memory_max()), ([Some(1 << 20), Some(7), None], 1 << 20));
    }
    assert_eq!(engine.content_hash(), standby.content_hash());
    let change = |engine: &Engine| engine.change_settings(&[(SettingId(3), None)], || Ok(())).unwrap().refused();
    assert_eq!(change(&standby), Some(Refused::NotWriting));
    let held = engine.cells[0].lock();
    assert_eq!(change(&engine), Some(Refused::Busy(ShardId(0))));
    drop(held);
    assert_eq!((change(&engine), engine.settings_changed_at()), (None, engine.last()));
}

/// The order to follow came late, after the node had begun its next epoch: it was primary and refused every write from then on.
#[test]
fn an_epoch_that_was_begun_since_is_not_ended() {
    let engine = primary();
    engine.begin_epoch(Epoch(3)).unwrap();
    engine.end_epoch(Epoch(2));
    engine.end_epoch(Epoch(3));
    assert_eq!(Client::new(&engine).run("set a 1"), "+OK|");
    engine.end_epoch(Epoch(4));
    assert_eq!(Client::new(&engine).executed("set a 2").1.refused(), Some(Refused::NotWriting));
}

const FIRST_TWO: Levels = Levels { oldest: Level(1), newest: Level(2) };

fn of_levels(levels: Levels) -> Engine {
    Engine::new(EngineOptions { shards: 4, levels, ..EngineOptions::default() })
}

#[test]
fn a_level_is_raised_by_a_record_and_stands_in_log_and_image() {
    let engine = of_levels(FIRST_TWO);
    assert!(!engine.raise_level(Level(2)), "it does not write");
    engine.begin_epoch(Epoch(1)).unwrap();
    assert_eq!((engine.level(), engine.raise_level(Level(3)), engine.level()), (Level(1), false, Level(1)));
    let held = engine.cells[0].lock();
    assert!(!engine.raise_level(Level(2)), "the next attempt may succeed");
    drop(held);
    assert_eq!((engine.raise_level(Level(2)), engine.raise_level(Level(2)), engine.level()), (true, false, Level(2)));
    let standby = of_levels(FIRST_TWO);
    apply(&standby, &engine.redo().take(usize::MAX).unwrap().to_bytes()).unwrap();
    assert_eq!((standby.level(), standby.content_hash()), (Level(2), engine.content_hash()));

    let (mut walk, mut chunk) = (engine.freeze().into_chunks(), Vec::new());
    let pool = PagePool::new(0);
    let mut restore = ImageRestore::new(Arc::clone(&pool));
    while walk.next_chunk(&mut chunk) {
        restore.feed(&chunk).unwrap();
    }
    let restored = Engine::restored(restore.finish().unwrap(), &pool, 0);
    let older = Levels { oldest: Level(1), newest: Level(1) };
    let restored = restored.knowing(FIRST_TWO).unwrap();
    assert_eq!(restored.level(), Level(2));
    assert!(restored.knowing(older).unwrap_err().to_string().contains("feature level 2"));
}

#[test]
fn a_program_refuses_the_record_of_a_level_that_it_does_not_know_and_a_level_that_goes_back() {
    let engine = of_levels(FIRST_TWO);
    engine.begin_epoch(Epoch(1)).unwrap();
    engine.raise_level(Level(2));
    let raised = engine.redo().take(usize::MAX).unwrap().to_bytes();
    let older = of_levels(Levels { oldest: Level(1), newest: Level(1) });
    let refused = apply(&older, &raised).unwrap_err();
    assert_eq!((older.level(), older.last()), (Level(1), Lsn(1)));
    let sentence = refused.to_string();
    assert!(
        sentence.starts_with("record 2 takes the cluster to feature level 2, and this program knows"),
        "{sentence}"
    );

    for value in [None, Some(0), Some(1)] {
        let standby = of_levels(FIRST_TWO);
        apply(&standby, &raised).unwrap();
        engine.change_settings(&[(LEVEL, value)], || Ok(())).unwrap();
        let mut back = engine.redo().take(usize::MAX).unwrap();
        back.first_lsn = 3;
        let refused = apply(&standby, &back.to_bytes()).unwrap_err();
        assert!(matches!(refused, ReplayError::Contradiction { .. }), "{value:?}: {refused}");
    }
}

/// Around the bound of what is in one piece: whatever is made of it, its image is read again.
#[test]
fn collections_of_every_size_around_the_bound_of_one_piece_are_restored() {
    let mut client = Client::alone();
    for setting in [sizes::SET_VALUE, sizes::HASH_VALUE, sizes::SORTED_VALUE] {
        assert!(setting.default >= 64, "members of 64 bytes are kept in one piece");
    }
    let name = |at: usize, len: usize| format!("{at:0>len$}");
    for last in 1..40 {
        let members: Vec<String> = (0..63).map(|at| name(at, 64)).chain([name(63, last)]).collect();
        let pairs: Vec<String> = (0..31).map(|at| format!("{} {}", name(at, 64), name(at, 64))).collect();
        let scored: Vec<String> = (0..62).map(|at| format!("{at} {}", name(at, 64))).collect();
        client.run(&format!("sadd set:{last} {}", members.join(" ")));
        client.run(&format!("rpush list:{last} {}", members.join(" ")));
        client.run(&format!("hset hash:{last} {} {} {}", pairs.join(" "), name(31, last + 20), name(31, last)));
        client.run(&format!("zadd zset:{last} {} 63 {}", scored.join(" "), name(63, last)));
    }
    let version = client.engine.freeze();
    let hash = version.content_hash();
    let pool = PagePool::new(0);
    let mut restore = ImageRestore::new(Arc::clone(&pool));
    chunks(version).iter().for_each(|chunk| restore.feed(chunk).unwrap());
    let restored = Engine::restored(restore.finish().unwrap(), &pool, 0);
    assert_eq!(restored.freeze().content_hash(), hash);
}

//! Random operations against a plain map.

use std::collections::{BTreeMap, BTreeSet};

use super::read::find;
use super::*;
use crate::effect::{ApplyError, KeyChange, KeyEffect};
use crate::image::{FrozenVersion, ImageMeta, ImageRestore};
use crate::limits::{DATABASE_NUMBERS, DATABASES};
use crate::types::string::StringChange;
use crate::{ids::Epoch, ids::Lsn};

/// Changes by key.
pub(crate) trait Direct {
    fn change(&mut self, key: &Key<'_>, change: impl KeyEffect) -> Result<(), OutOfMemory>;
    fn set(&mut self, key: &Key<'_>, value: &[u8], expire: Option<UnixMillis>) -> Result<(), OutOfMemory> {
        self.change(key, StringChange::Set { value, expire })
    }
    fn len_of_string(&self, key: &Key<'_>) -> u64;
    /// Returns the new length.
    fn append(&mut self, key: &Key<'_>, tail: &[u8]) -> Result<u64, OutOfMemory> {
        self.change(key, StringChange::Append { tail }).map(|()| self.len_of_string(key))
    }
    /// Returns the new length.
    fn set_range(&mut self, key: &Key<'_>, offset: u64, bytes: &[u8]) -> Result<u64, OutOfMemory> {
        self.change(key, StringChange::SetRange { offset, bytes }).map(|()| self.len_of_string(key))
    }
    /// Returns whether there was something to delete.
    fn del(&mut self, key: &Key<'_>) -> bool;
}

impl Direct for Keyspace {
    fn change(&mut self, key: &Key<'_>, change: impl KeyEffect) -> Result<(), OutOfMemory> {
        let mut at = self.locate(key);
        let changed = crate::effect::change(self, &mut at, &change);
        let found = find(&self.arena, key).map(|found| found.at);
        assert_eq!(self.found(&at).map(|found| found.at), found, "it is located right after the change");
        changed.map_err(|error| match error {
            ApplyError::OutOfMemory => OutOfMemory,
            ApplyError::Contradiction(what) => panic!("{what}"),
        })
    }

    fn len_of_string(&self, key: &Key<'_>) -> u64 {
        self.get(key).unwrap().value().len()
    }

    fn del(&mut self, key: &Key<'_>) -> bool {
        let there = self.get(key).is_some();
        if there {
            self.change(key, KeyChange::Del).unwrap();
        }
        there
    }
}

pub(crate) const SEED: u64 = 0x7a15;

/// SplitMix64: small, seeded, and good enough to choose operations.
#[derive(Clone, Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(len + 8);
        while out.len() < len {
            out.extend_from_slice(&self.next().to_le_bytes());
        }
        out.truncate(len);
        out
    }
}

/// The expected content of a keyspace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Model(pub(crate) BTreeMap<Name, (Vec<u8>, Option<u64>)>);

/// A logical database and a key.
pub(crate) type Name = (u8, Vec<u8>);

/// One decided effect.
#[derive(Clone, Debug)]
pub(crate) enum Effect {
    Set(Name, Vec<u8>, Option<u64>),
    Append(Name, Vec<u8>),
    SetRange(Name, u64, Vec<u8>),
    SetExpire(Name, Option<u64>),
    Remove(Name),
    Move(Name, u8),
    Reclaim(usize),
    Compact(u8, u32),
    ClearDatabase(u8),
    FlushDatabase(u8),
    Swap(u8, u8),
    Clear,
}

/// A random length: mostly short, sometimes around the borders of slots and pages, rarely several pages.
fn value_len(random: &mut Random) -> usize {
    let spread = random.below(40) as usize;
    match random.below(40) {
        0 => 8150 + spread,
        1 => 16_320 + spread,
        2 => 16_384 * (1 + random.below(4) as usize) + spread,
        3 => 16_384 * (1 + random.below(4) as usize) + 8150 + spread,
        4 => random.below(140_000) as usize,
        5..=9 => random.below(4000) as usize,
        _ => random.below(200) as usize,
    }
}

pub(crate) fn effect(random: &mut Random, keys: u64) -> Effect {
    let number = random.below(keys);
    let mut key = format!("key:{number}").into_bytes();
    if number.is_multiple_of(97) {
        key.resize(key.len() + (number as usize * 37) % 8000, b'k');
    }
    let database = |random: &mut Random| random.below(10).saturating_sub(6) as u8;
    let key = (database(random), key);
    let expiry = (random.below(3) == 0).then(|| 1_000 + random.below(5_000));
    match random.below(100) {
        0..=44 => {
            let len = value_len(random);
            Effect::Set(key, random.bytes(len), expiry)
        }
        45..=56 => {
            let len = value_len(random) / 4;
            Effect::Append(key, random.bytes(len))
        }
        57..=64 => {
            let (at, len) = (value_len(random) as u64, random.below(300) as usize);
            Effect::SetRange(key, at, random.bytes(len))
        }
        65..=76 => Effect::SetExpire(key, expiry),
        77 if random.below(300) == 0 => Effect::Clear,
        77 if random.below(200) == 0 => Effect::ClearDatabase(key.0),
        77 if random.below(60) == 0 => Effect::FlushDatabase(key.0),
        78 if random.below(5) == 0 => Effect::Swap(key.0, database(random)),
        83 if random.below(12) == 0 => Effect::SetRange(key, 1_000_000 + random.below(600_000), vec![7; 9]),
        83 if random.below(12) == 0 => Effect::SetRange(key, random.below(600_000), vec![7; 1_100_000]),
        84 | 85 => Effect::Reclaim(random.below(120) as usize),
        86 | 87 => Effect::Compact(key.0, random.next() as u32),
        79..=82 => {
            let to = database(random);
            Effect::Move(key, to)
        }
        _ => Effect::Remove(key),
    }
}

impl Model {
    pub(crate) fn apply(&mut self, effect: &Effect) {
        match effect {
            Effect::Set(key, value, expiry) => {
                self.0.insert(key.clone(), (value.clone(), *expiry));
            }
            Effect::Append(key, tail) => {
                if let Some((value, _)) = self.0.get_mut(key) {
                    value.extend_from_slice(tail);
                }
            }
            Effect::SetRange(key, at, bytes) => {
                if let Some((value, _)) = self.0.get_mut(key).filter(|_| !bytes.is_empty()) {
                    let end = *at as usize + bytes.len();
                    value.resize(value.len().max(end), 0);
                    value[*at as usize..end].copy_from_slice(bytes);
                }
            }
            Effect::SetExpire(key, expiry) => {
                if let Some((_, there)) = self.0.get_mut(key) {
                    *there = *expiry;
                }
            }
            Effect::Remove(key) => {
                self.0.remove(key);
            }
            Effect::Move((from, key), to) => {
                let (from, to) = ((*from, key.clone()), (*to, key.clone()));
                if !self.0.contains_key(&to)
                    && let Some(value) = self.0.remove(&from)
                {
                    self.0.insert(to, value);
                }
            }
            Effect::Reclaim(_) | Effect::Compact(..) => {}
            Effect::ClearDatabase(database) | Effect::FlushDatabase(database) => {
                self.0.retain(|(of, _), _| of != database)
            }
            Effect::Swap(one, other) => {
                let swapped = |of: u8| {
                    if of == *one {
                        *other
                    } else if of == *other {
                        *one
                    } else {
                        of
                    }
                };
                let all = std::mem::take(&mut self.0).into_iter();
                self.0 = all.map(|((of, key), value)| ((swapped(of), key), value)).collect();
            }
            Effect::Clear => self.0.clear(),
        }
    }

    /// Reads every entry out of `shard` and compares.
    pub(crate) fn assert_equals(&self, shard: &impl Read, hasher: KeyHasher) {
        assert_eq!(shard.len(), self.0.len() as u64);
        let count = self.0.values().filter_map(|(_, expiry)| *expiry).count();
        assert_eq!(expiring(shard), count as u64);
        for ((database, key), (value, expiry)) in &self.0 {
            let of = shard.database(*database);
            let entry =
                shard.get(&hasher.key_in(of, key)).unwrap_or_else(|| panic!("{} is missing", key.escape_ascii()));
            assert_eq!((entry.key(), entry.database()), (&key[..], of));
            assert_eq!(entry.expire_at(), expiry.map(UnixMillis));
            assert_eq!(entry.value().len(), value.len() as u64);
            let mut out = Vec::new();
            entry.value().range(0, u64::MAX, &mut out);
            assert!(out == *value, "{} has another value", key.escape_ascii());
        }
        for logical in 0..DATABASES as u8 {
            let (of, mut seen, mut cursor) = (shard.database(logical), BTreeSet::new(), 0);
            loop {
                cursor = shard.scan(of, cursor, 10, &mut |entry| assert!(seen.insert(entry.key().to_vec())));
                if cursor == 0 {
                    break;
                }
            }
            let here = || self.0.iter().filter(|((database, _), _)| *database == logical);
            assert!(here().map(|((_, key), _)| key).eq(&seen));
            let expiring = here().filter(|(_, (_, expiry))| expiry.is_some()).count();
            assert_eq!((shard.len_of(of), shard.expiring_of(of)), (seen.len() as u64, expiring as u64));
            assert_eq!(shard.random(of, 7).is_none(), seen.is_empty());
        }
        let first = self.0.values().filter_map(|(_, expiry)| *expiry).min();
        assert_eq!(shard.first_expiring().map(|(time, _)| time.0), first);
    }
}

/// Applies an effect, and checks what the keyspace says of it.
pub(crate) fn apply(shard: &mut Keyspace, effect: &Effect) {
    let hasher = shard.hasher();
    match effect {
        Effect::Set(name, value, expiry) => {
            shard.set(&hasher.key_in(shard.database(name.0), &name.1), value, expiry.map(UnixMillis)).unwrap();
        }
        Effect::Append(name, tail) => {
            let key = hasher.key_in(shard.database(name.0), &name.1);
            if let Some(len) = shard.get(&key).map(|entry| entry.value().len()) {
                assert_eq!(shard.append(&key, tail).unwrap(), len + tail.len() as u64);
            }
        }
        Effect::SetRange(name, at, bytes) => {
            let key = hasher.key_in(shard.database(name.0), &name.1);
            if shard.get(&key).is_some() {
                shard.set_range(&key, *at, bytes).unwrap();
            }
        }
        Effect::SetExpire(name, expiry) => {
            let key = hasher.key_in(shard.database(name.0), &name.1);
            let there = shard.get(&key).is_some();
            if there {
                shard.change(&key, KeyChange::Expire(expiry.map(UnixMillis))).unwrap();
            }
        }
        Effect::Remove(name) => {
            let key = hasher.key_in(shard.database(name.0), &name.1);
            let there = shard.get(&key).is_some();
            assert_eq!(shard.del(&key), there);
            assert!(shard.get(&key).is_none());
        }
        Effect::Move(name, to) => {
            let (key, to) = (hasher.key_in(shard.database(name.0), &name.1), shard.database(*to));
            if shard.get(&key).is_some() && shard.get(&key.of(to)).is_none() {
                shard.change(&key, KeyChange::Move { to }).unwrap();
            }
        }
        Effect::Reclaim(pages) => {
            let (before, used, keys) = (shard.reclaimable_bytes(), shard.page_bytes(), shard.reclaimable_keys());
            shard.reclaim(*pages);
            assert!(keys - shard.reclaimable_keys() <= *pages as u64 + 1836, "a segment more at most");
            if keys == 0 {
                let freed = (before - shard.reclaimable_bytes()) / PAGE_BYTES as u64;
                assert!(freed <= (pages + crate::value::external::PAGES_AT_ONCE) as u64, "{freed} of {pages}");
                assert!(freed >= (*pages as u64).min(before / PAGE_BYTES as u64), "{freed} of {pages}");
                assert!(used - shard.page_bytes() >= freed * PAGE_BYTES as u64, "what is reclaimed is free");
            }
        }
        Effect::Compact(database, cursor) => {
            let (database, cursor) = (shard.database(*database), u64::from(*cursor));
            let found = shard.sparse(database, cursor, 100).1.len();
            let pages = shard.page_bytes();
            shard.compact(database, cursor, 100);
            assert!(shard.sparse(database, cursor, 100).1.len() <= found);
            // The nodes of the expiry index aside.
            assert!(shard.page_bytes() <= pages + 2 * PAGE_BYTES as u64, "what moves takes no new page");
        }
        Effect::ClearDatabase(database) => shard.clear_database(shard.database(*database)),
        Effect::FlushDatabase(database) => {
            let unused = root::database_numbers().find(|number| shard.is_unused(*number));
            match unused {
                Some(fresh) => shard.flush_database(shard.database(*database), fresh),
                None => shard.clear_database(shard.database(*database)),
            }
        }
        Effect::Swap(one, other) => {
            shard.plan(None, 0).unwrap();
            shard.swap_databases(*one, *other);
            shard.settle();
        }
        Effect::Clear => shard.clear(),
    }
}

pub(crate) fn meta() -> ImageMeta {
    ImageMeta { cut: Lsn(1), epoch: Epoch(1), hash_seed: SEED }
}

pub(crate) fn image_of(version: FrozenVersion) -> Vec<Vec<u8>> {
    let mut walk = version.into_chunks();
    let mut chunks = Vec::new();
    let mut out = Vec::new();
    while walk.next_chunk(&mut out) {
        chunks.push(out.clone());
    }
    chunks
}

pub(crate) fn restore(chunks: &[Vec<u8>]) -> Keyspace {
    let mut restore = ImageRestore::new(PagePool::new(0));
    chunks.iter().for_each(|chunk| restore.feed(chunk).unwrap());
    restore.finish().unwrap().shards.pop().unwrap()
}

pub(crate) fn hash(shard: &mut Keyspace) -> u128 {
    FrozenVersion::new(meta(), vec![shard.freeze()]).content_hash()
}

pub(crate) fn new_shard() -> Keyspace {
    Keyspace::new(&PagePool::new(0), SEED).unwrap()
}

/// A run of effects with freezes at random moments; frozen content is compared later, while writes have gone on.
fn run(seed: u64, steps: u64, keys: u64) {
    println!("seed {seed}, {steps} steps, {keys} keys");
    let mut random = Random(seed);
    let mut shard = new_shard();
    let mut model = Model::default();
    let mut frozen = Vec::new();
    for step in 0..steps {
        let effect = effect(&mut random, keys);
        model.apply(&effect);
        apply(&mut shard, &effect);
        if random.below(60) == 0 && frozen.len() < 4 {
            frozen.push((shard.freeze(), model.clone(), step));
        }
        if random.below(100) == 0 && !frozen.is_empty() {
            let (version, then, at) = frozen.swap_remove(random.below(frozen.len() as u64) as usize);
            println!("step {step}: comparing what was frozen at step {at}");
            then.assert_equals(&version, shard.hasher());
            if random.below(2) == 0 {
                let version = FrozenVersion::new(meta(), vec![version]);
                let expected = version.content_hash();
                let mut restored = restore(&image_of(version));
                assert_eq!(hash(&mut restored), expected);
                then.assert_equals(&restored.freeze(), shard.hasher());
            }
        }
        if step % 500 == 499 {
            shard.check(0, 1).unwrap();
            model.assert_equals(&shard.freeze(), shard.hasher());
        }
    }
    shard.check(0, 1).unwrap();
    model.assert_equals(&shard.freeze(), shard.hasher());
    frozen.clear();
    assert_eq!(retired(&shard), 0);
}

#[test]
fn random_effects_few_keys() {
    for seed in 1..=4 {
        run(seed, 4000, 40);
    }
}

#[test]
fn random_effects_many_keys() {
    for seed in 11..=13 {
        run(seed, 12_000, 3_000);
    }
}

/// Keys of all databases that have an expiry.
fn expiring(shard: &impl Read) -> u64 {
    (0..DATABASES as u8).map(|logical| shard.expiring_of(shard.database(logical))).sum()
}

impl Keyspace {
    /// Checks every invariant of the structure.
    pub(crate) fn check(&self, shard: u16, shards: u16) -> Result<(), &'static str> {
        let slab_use = verify::check(&self.arena, self.hasher, shard, shards)?;
        let flushed: u64 = self.flushed_databases().map(|database| self.len_of(database)).sum();
        let counted = slab_use == self.arena.slab_use && flushed == self.flushed_keys;
        if counted { Ok(()) } else { Err("what is in use is counted wrong") }
    }
}

/// Pages kept for frozen versions alone: copied, or freed, since those were made.
fn retired(shard: &Keyspace) -> u64 {
    shard.arena.pool().bytes_retired() / PAGE_BYTES as u64
}

fn segments(shard: &Keyspace) -> u32 {
    table::tests::segments(&shard.arena, root::table_of(DatabaseId(0)))
}

#[test]
fn growth_and_shrinking_through_many_segments() {
    let mut random = Random(5);
    let mut shard = new_shard();
    let hasher = shard.hasher();
    let keys: Vec<Vec<u8>> = (0..60_000u32).map(|number| format!("{number}").into_bytes()).collect();
    for key in &keys {
        shard.set(&hasher.key(key), key, (key.len() == 4).then_some(UnixMillis(random.below(900)))).unwrap();
    }
    assert!(segments(&shard) > 32);
    shard.check(0, 1).unwrap();
    for key in &keys {
        assert_eq!(shard.get(&hasher.key(key)).unwrap().value().as_slice(), Some(&key[..]));
        assert!(shard.get(&hasher.key(&[key, &b"x"[..]].concat())).is_none());
    }
    for (left, key) in keys.iter().enumerate().rev() {
        assert!(shard.del(&hasher.key(key)));
        if left % 10_000 == 0 {
            shard.check(0, 1).unwrap();
        }
    }
    assert_eq!((shard.len(), expiring(&shard.arena)), (0, 0));
    assert!(segments(&shard) == 0, "{} segments are left", segments(&shard));
    assert!(shard.page_bytes() < 1 << 20);
    assert!(shard.random(DatabaseId(0), 7).is_none() && shard.first_expiring().is_none());
}

#[test]
fn scan_guarantee_while_keys_come_and_go() {
    for seed in 1..=6 {
        println!("seed {seed}");
        let mut random = Random(seed);
        let mut shard = new_shard();
        let hasher = shard.hasher();
        let stay: BTreeSet<Vec<u8>> = (0..500).map(|number| format!("stay{number}").into_bytes()).collect();
        for key in &stay {
            shard.set(&hasher.key(key), b"", None).unwrap();
        }
        // Odd seeds grow during the scan, even ones start large and shrink: splits and merges under the cursor.
        let others: Vec<Vec<u8>> = (0..20_000).map(|number| format!("other{number}").into_bytes()).collect();
        let grows = seed % 2 == 1;
        if !grows {
            others.iter().for_each(|key| shard.set(&hasher.key(key), b"", None).unwrap());
        }
        let mut others = others.iter();
        let mut seen = BTreeSet::new();
        let mut cursor = 0;
        loop {
            cursor = shard.scan(DatabaseId(0), cursor, 1 + random.below(30) as usize, &mut |entry| {
                seen.insert(entry.key().to_vec());
            });
            if cursor == 0 {
                break;
            }
            for key in others.by_ref().take(random.below(200) as usize) {
                if grows {
                    shard.set(&hasher.key(key), b"", None).unwrap();
                } else {
                    shard.del(&hasher.key(key));
                }
            }
        }
        assert!(stay.is_subset(&seen));
        shard.check(0, 1).unwrap();
    }
}

#[test]
fn foreign_cursors_end_or_go_on() {
    let mut shard = new_shard();
    let hasher = shard.hasher();
    for number in 0..5000u32 {
        shard.set(&hasher.key(&number.to_le_bytes()), b"", None).unwrap();
    }
    let mut random = Random(1);
    for shift in 0..64 {
        let next = shard.scan(DatabaseId(0), random.next() >> shift, 10, &mut |_| {});
        assert!(next < 1 << 32);
    }
}

#[test]
fn random_key_is_close_to_uniform() {
    let mut shard = new_shard();
    let hasher = shard.hasher();
    for number in 0..100u32 {
        shard.set(&hasher.key(&number.to_le_bytes()), b"", None).unwrap();
    }
    let mut random = Random(3);
    let mut hits = BTreeMap::new();
    for _ in 0..20_000 {
        *hits.entry(shard.random(DatabaseId(0), random.next()).unwrap().key().to_vec()).or_insert(0) += 1;
    }
    assert_eq!(hits.len(), 100);
    assert!(hits.values().all(|hits| (100..400).contains(hits)), "{hits:?}");
}

#[test]
fn long_values() {
    let mut shard = new_shard();
    let hasher = shard.hasher();
    let key = hasher.key(b"long");
    let len = 70 * 1024 * 1024 + 5;
    let value: Vec<u8> = (0..len).map(|at: u32| (at / 7) as u8).collect();
    shard.set(&key, &value, None).unwrap();
    shard.check(0, 1).unwrap();
    let used = shard.arena.pages_used();
    let frozen = shard.freeze();
    // Appending and overwriting touch the pages concerned and no other.
    assert_eq!(shard.append(&key, b"tail").unwrap(), u64::from(len) + 4);
    assert_eq!(shard.set_range(&key, 40_000_000, &[0xff; 20_000]).unwrap(), u64::from(len) + 4);
    assert!(retired(&shard) < 10, "{} pages were copied", retired(&shard));
    let mut expected = value.clone();
    expected.extend_from_slice(b"tail");
    expected[40_000_000..40_020_000].fill(0xff);
    let read = |entry: Entry<'_>| {
        let mut out = Vec::new();
        entry.value().range(0, u64::MAX, &mut out);
        out
    };
    assert!(read(shard.get(&key).unwrap()) == expected);
    assert!(read(frozen.get(&key).unwrap()) == value);
    assert!(shard.get(&key).unwrap().value().as_slice().is_none());
    for (start, end) in [(0, 5), (16_000, 17_000), (39_999_990, 40_030_000), (u64::from(len) - 3, u64::MAX), (9, 9)] {
        let mut out = Vec::new();
        shard.get(&key).unwrap().value().range(start, end, &mut out);
        assert!(out == expected[start as usize..expected.len().min(end as usize)]);
    }
    drop(frozen);
    shard.set(&key, b"short", None).unwrap();
    shard.check(0, 1).unwrap();
    assert_eq!(shard.reclaimable_bytes() / PAGE_BYTES as u64, u64::from(len).div_ceil(PAGE_BYTES as u64) - 1);
    let mut steps = 0;
    while shard.reclaimable_bytes() > 0 {
        shard.reclaim(1000);
        shard.check(0, 1).unwrap();
        steps += 1;
    }
    assert_eq!(steps, 5);
    assert!(shard.arena.pages_used() < used / 100);
    assert_eq!(shard.get(&key).unwrap().value().as_slice(), Some(&b"short"[..]));
    shard.check(0, 1).unwrap();
}

#[test]
fn growing_by_small_appends_through_all_forms() {
    let mut shard = new_shard();
    let hasher = shard.hasher();
    let key = hasher.key(b"k");
    let mut random = Random(9);
    let mut expected = Vec::new();
    shard.set(&key, b"", Some(UnixMillis(5))).unwrap();
    while expected.len() < 3 * 1024 * 1024 {
        let len = 1 + random.below(9000) as usize;
        let tail = random.bytes(len);
        expected.extend_from_slice(&tail);
        shard.append(&key, &tail).unwrap();
    }
    let mut out = Vec::new();
    shard.get(&key).unwrap().value().range(0, u64::MAX, &mut out);
    assert!(out == expected);
    assert_eq!(shard.get(&key).unwrap().value().chunks().map(<[u8]>::len).sum::<usize>(), expected.len());
    shard.check(0, 1).unwrap();
}

/// Same effects, same bytes: whether and when there were freezes, and whether one node was restored in between.
#[test]
fn same_effects_same_bytes() {
    for seed in 21..=24 {
        println!("seed {seed}");
        let mut random = Random(seed);
        let (mut plain, mut freezing, mut restored) = (new_shard(), new_shard(), new_shard());
        let mut frozen = Vec::new();
        for step in 0..6000 {
            let effect = effect(&mut random, 700);
            apply(&mut plain, &effect);
            apply(&mut freezing, &effect);
            apply(&mut restored, &effect);
            if random.below(40) == 0 {
                frozen.push(freezing.freeze());
            }
            if random.below(80) == 0 {
                frozen.clear();
            }
            if step % 1500 == 700 {
                restored = restore(&image_of(FrozenVersion::new(meta(), vec![restored.freeze()])));
            }
            if step % 500 == 499 {
                let expected = hash(&mut plain);
                assert_eq!(hash(&mut freezing), expected, "step {step}");
                assert_eq!(hash(&mut restored), expected, "step {step}");
            }
        }
    }
}

/// The transfer walks a frozen version in another thread and releases pages while the shard is written to.
#[test]
fn transfer_in_another_thread() {
    for seed in 31..=33 {
        println!("seed {seed}");
        let mut random = Random(seed);
        let mut shard = new_shard();
        let hasher = shard.hasher();
        let mut model = Model::default();
        for _ in 0..3000 {
            let effect = effect(&mut random, 800);
            model.apply(&effect);
            apply(&mut shard, &effect);
        }
        for _ in 0..8 {
            let version = FrozenVersion::new(meta(), vec![shard.freeze()]);
            let then = model.clone();
            let second = shard.freeze();
            std::thread::scope(|scope| {
                let transfer = scope.spawn(move || restore(&image_of(version)));
                while !transfer.is_finished() {
                    let effect = effect(&mut random, 800);
                    model.apply(&effect);
                    apply(&mut shard, &effect);
                }
                let mut restored = transfer.join().unwrap();
                then.assert_equals(&restored.freeze(), hasher);
                then.assert_equals(&second, hasher);
            });
        }
        shard.check(0, 1).unwrap();
        model.assert_equals(&shard.freeze(), hasher);
        assert_eq!(retired(&shard), 0);
    }
}

/// At the pool's bound a mutation fails and changes nothing; removal still works and makes room.
#[test]
fn filling_to_the_bound() {
    let pool = PagePool::new(8 << 20);
    let mut shard = Keyspace::new(&pool, SEED).unwrap();
    let hasher = shard.hasher();
    let mut model = Model::default();
    let mut random = Random(77);
    let mut failures = 0;
    for round in 0..20_000u64 {
        let key = format!("{}", random.below(4000)).into_bytes();
        let len = random.below(9000) as usize * (1 + random.below(8) as usize);
        let value = random.bytes(len);
        match shard.set(&hasher.key(&key), &value, None) {
            Ok(()) => drop(model.0.insert((0, key), (value, None))),
            Err(OutOfMemory) => {
                failures += 1;
                if failures % 50 == 1 {
                    let before = hash(&mut shard);
                    assert!(shard.set(&hasher.key(b"big"), &vec![1; 9 << 20], None).is_err());
                    assert_eq!(hash(&mut shard), before);
                }
                let victim = model.0.keys().nth(random.below(model.0.len() as u64) as usize).unwrap().clone();
                assert!(shard.del(&hasher.key(&victim.1)));
                model.0.remove(&victim);
            }
        }
        if round % 4000 == 0 {
            shard.check(0, 1).unwrap();
        }
    }
    assert!(failures > 100);
    assert!(pool.bytes_in_use() <= (8 << 20) + (1 << 20));
    model.assert_equals(&shard.freeze(), hasher);
    drop(shard);
    assert_eq!(pool.bytes_in_use(), 0);
}

#[test]
fn databases_swap_what_they_have_and_keep_their_numbers_over_a_clear() {
    let mut shard = new_shard();
    let hasher = shard.hasher();
    let key = |shard: &Keyspace, logical| hasher.key_in(shard.database(logical), b"a");
    shard.set(&key(&shard, 0), b"of 0", None).unwrap();
    shard.swap_databases(0, 5);
    assert!(shard.get(&key(&shard, 0)).is_none() && shard.get(&key(&shard, 5)).is_some());
    for number in 0..3000u32 {
        let key = hasher.key_in(shard.database(0), &number.to_le_bytes()).bytes.to_vec();
        shard.set(&hasher.key_in(shard.database(0), &key), b"now of 0", Some(UnixMillis(7))).unwrap();
    }
    shard.check(0, 1).unwrap();
    assert_eq!(
        (shard.database(0), shard.logical(DatabaseId(0)), shard.logical(DatabaseId(5))),
        (DatabaseId(5), Some(5), Some(0))
    );
    assert_eq!((shard.len_of(DatabaseId(5)), shard.len(), expiring(&shard.arena)), (3000, 3001, 3000));
    shard.clear_database(DatabaseId(5));
    assert_eq!((shard.len(), expiring(&shard.arena)), (1, 0));
    shard.check(0, 1).unwrap();
    shard.clear();
    assert_eq!((shard.len(), shard.database(0)), (0, DatabaseId(5)));
    shard.check(0, 1).unwrap();
}

/// Freeing slot by slot copied every page of a database that an image was being made of.
#[test]
fn a_database_that_is_cleared_under_a_frozen_version_is_not_copied() {
    let mut shard = new_shard();
    let hasher = shard.hasher();
    shard.set(&hasher.key_in(DatabaseId(1), b"stays"), b"v", None).unwrap();
    for number in 0..20_000u32 {
        let expiry = number.is_multiple_of(100).then_some(UnixMillis(u64::from(number)));
        shard.set(&hasher.key(&number.to_le_bytes()), &[b'v'; 100], expiry).unwrap();
    }
    let frozen = shard.freeze();
    let pages = u64::from(shard.arena.pages_used());
    shard.clear_database(DatabaseId(0));
    let copied = u64::from(shard.arena.pages_used()) + retired(&shard) - pages;
    assert!(pages > 150 && copied < 12, "{copied} of {pages} pages were copied");
    assert_eq!((shard.len(), Read::len(&frozen)), (1, 20_001));
    shard.check(0, 1).unwrap();
}

/// A database that is flushed beside others is gone at once, is reclaimed by steps that are checked in an image each, and its
/// number is free again afterwards.
#[test]
fn a_flushed_database_is_reclaimed_by_steps() {
    let (mut shard, large) = (new_shard(), vec![7; 100 * PAGE_BYTES]);
    let hasher = shard.hasher();
    shard.set(&hasher.key_in(DatabaseId(1), b"stays"), b"v", Some(UnixMillis(9))).unwrap();
    let before = shard.memory_bytes();
    for round in 0..3 {
        let (old, fresh) =
            (shard.database(0), root::database_numbers().find(|number| shard.is_unused(*number)).unwrap());
        for number in 0..10_000u32 {
            let expiry = number.is_multiple_of(3).then_some(UnixMillis(u64::from(number)));
            shard.set(&hasher.key_in(old, &number.to_le_bytes()), &[b'v'; 100], expiry).unwrap();
        }
        shard.set(&hasher.key_in(old, b"large"), &large, None).unwrap();
        shard.flush_database(old, fresh);
        assert_eq!((shard.logical(old), shard.database(0), shard.is_unused(old)), (None, fresh, false));
        assert_eq!((shard.len(), expiring(&shard.arena), shard.reclaimable_keys()), (1, 1, 10_001));
        assert_eq!(shard.first_expiring().map(|(time, _)| time.0), Some(9), "what was flushed expires no more");
        let mut steps = 0;
        while shard.reclaimable_keys() + shard.reclaimable_bytes() > 0 {
            shard.reclaim(20);
            shard.check(0, 1).unwrap();
            steps += 1;
        }
        assert!(shard.is_unused(old) && steps >= 10, "round {round}: {steps} steps");
        assert!(shard.memory_bytes() < before + 40_000, "{} of {before} bytes", shard.memory_bytes());
    }
}

/// Whichever keys were deleted before: where no key of a flushed database is left, nothing of its table is.
#[test]
fn a_flushed_database_without_keys_has_no_memory() {
    for parts in [2, 4, 8, 16, 64, 256] {
        let mut shard = new_shard();
        let hasher = shard.hasher();
        let (old, fresh) = (DatabaseId(0), DatabaseId(20));
        for number in 0..20_000u32 {
            shard.set(&hasher.key_in(old, &number.to_le_bytes()), b"v", None).unwrap();
        }
        // What is left is at the beginning of the table, by parts of it, so that segments at its end are empty.
        for number in 0..20_000u32 {
            let key = number.to_le_bytes();
            if hasher.key(&key).hash >> 56 >= 256 / parts {
                shard.del(&hasher.key_in(old, &key));
            }
        }
        shard.flush_database(old, fresh);
        while shard.reclaimable_keys() > 0 {
            shard.reclaim(1);
            shard.check(0, 1).unwrap();
        }
        assert!(shard.is_unused(old));
        let pages = shard.page_bytes() / PAGE_BYTES as u64;
        assert!(pages < 10, "{pages} pages after all but a {parts}th was deleted");
        shard.flush_database(fresh, old);
        shard.set(&hasher.key_in(old, b"key"), b"v", None).unwrap();
        shard.check(0, 1).unwrap();
    }
}

/// Each flipped bit where layouts of the superblock and of records are fixed is refused.
#[test]
fn flipped_bits_of_fixed_layouts_are_refused() {
    let mut shard = new_shard();
    let hasher = shard.hasher();
    shard.set(&hasher.key(b"key"), b"value", None).unwrap();
    let record = find(&shard.arena, &hasher.key(b"key")).unwrap().at;
    let version = (root::ROOT, 2..4);
    let map = (root::ROOT, 4096..4096 + DATABASES);
    let databases = (root::ROOT, 4112..4112 + DATABASE_NUMBERS * 40);
    let encoding = (record.page(), record.offset() + 1..record.offset() + 2);
    let database = (record.page(), record.offset() + 6..record.offset() + 8);
    shard.set(&hasher.key(b"expires"), b"v", Some(UnixMillis(5))).unwrap();
    shard.flush_database(DatabaseId(7), DatabaseId(20));
    shard.set(&hasher.key(b"large"), &vec![1; 70 * PAGE_BYTES], None).unwrap();
    shard.del(&hasher.key(b"large"));
    let item = root::reclaim_head(&shard.arena);
    let waiting = (root::ROOT, 16..64);
    // Its length stands between these: that of a longer value, which ends with a gap, is no damage that can be told. Its one list of
    // pages is named by the last of these bytes.
    let (item, root) =
        ((item.page(), item.offset()..item.offset() + 8), (item.page(), item.offset() + 16..item.offset() + 24));
    for (page, range) in [version, map, databases, waiting, item, root, encoding, database] {
        for (at, bit) in range.flat_map(|at| (0..8).map(move |bit| (at, 1 << bit))) {
            let flip = |shard: &mut Keyspace| {
                let byte = shard.arena.page(page).u8_at(at) ^ bit;
                shard.arena.page_mut(page).put_u8(at, byte);
            };
            // A number that nobody has is no damage that can be told: the checksum of an image's chunk sees it.
            let other = shard.arena.page(page).u8_at(at) ^ bit;
            let in_map = page == root::ROOT && (4096..4096 + DATABASES).contains(&at);
            let still_sound = in_map && usize::from(other) < DATABASE_NUMBERS && !shard.numbers().contains(&other);
            flip(&mut shard);
            assert!(
                still_sound || verify::check(&shard.arena, hasher, 0, 1).is_err(),
                "bit {bit} of byte {at} of page {page}"
            );
            flip(&mut shard);
        }
    }
    shard.check(0, 1).unwrap();
}

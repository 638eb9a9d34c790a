//! Random changes against plain maps.

use std::collections::BTreeMap;

use super::*;
use crate::arena::PAGE_BYTES;
use crate::clock::UnixMillis;
use crate::effect::{KeyChange, KeyEffect, Strings};
use crate::keyspace::tests::{Direct, Random, new_shard};
use crate::keyspace::{Keyspace, Read};
use crate::types::tests::{KeysModel, ReplicatedShard, delete_frozen, reclaim_all};
use crate::value::stream::ROOT_BYTES;
use crate::value::{Kind, StreamId};

type Text = Vec<u8>;

#[derive(Clone, Debug, Default)]
struct StreamModel {
    entries: BTreeMap<StreamId, Vec<Text>>,
    last: StreamId,
    added: u64,
    deleted: StreamId,
    groups: BTreeMap<Text, GroupModel>,
}

#[derive(Clone, Debug, Default)]
struct GroupModel {
    last: StreamId,
    read: Option<u64>,
    /// When each was seen, and active.
    consumers: BTreeMap<Text, (u64, Option<u64>)>,
    /// Whose each is, when it was delivered, how often.
    pending: BTreeMap<StreamId, (Text, u64, u64)>,
}

type Model = BTreeMap<Vec<u8>, StreamModel>;

fn texts(entry: &crate::value::StreamEntry<'_>) -> Vec<Text> {
    let (mut all, mut buffer) = (Vec::new(), itoa::Buffer::new());
    entry.each(&mut |name, value| {
        all.push(name.bytes(&mut buffer).to_vec());
        all.push(value.bytes(&mut buffer).to_vec());
    });
    assert_eq!(all.len() as u64, 2 * entry.len());
    all
}

impl KeysModel for Model {
    fn assert_equals(&self, read: &impl Read, shard: &Keyspace) {
        assert_eq!(read.len(), self.len() as u64);
        for (key, model) in self {
            let entry = read.get(&shard.hasher().key(key)).expect("a key that is to be there");
            assert_eq!(entry.kind(), Kind::Stream);
            let view = entry.stream();
            let noted = (view.len(), view.last_id(), view.added(), view.deleted_id());
            assert_eq!(noted, (model.entries.len() as u64, model.last, model.added, model.deleted));
            let edges = (view.first_id(), view.end_id());
            assert_eq!(edges, (model.entries.keys().next().copied(), model.entries.keys().last().copied()));
            let mut all = Vec::new();
            view.each_from(StreamId::ZERO, &mut |entry| {
                all.push((entry.id(), texts(entry)));
                true
            });
            assert!(all.iter().map(|(id, texts)| (id, texts)).eq(&model.entries));
            let mut counted = 0;
            view.each_node(&mut |entries, last| {
                counted += entries;
                assert_eq!(all[counted as usize - 1].0, last());
                true
            });
            assert_eq!(counted, view.len());
            for (id, _) in model.entries.iter().step_by(1 + model.entries.len() / 5) {
                let mut some = Vec::new();
                view.each_back_from(*id, &mut |entry| {
                    some.push(entry.id());
                    some.len() < 4
                });
                assert!(some.iter().eq(model.entries.range(..=*id).rev().take(4).map(|(id, _)| id)));
                assert_eq!(view.has_behind(*id), Some(*id) != model.entries.keys().last().copied());
                assert!(view.contains(*id) && !view.contains(StreamId { seq: id.seq + (1 << 50), ..*id }));
            }
            model.assert_groups(&view);
        }
    }
}

impl StreamModel {
    fn assert_groups(&self, view: &crate::value::StreamView<'_, impl crate::arena::Pages>) {
        let mut groups = Vec::new();
        view.each_group(&mut |name, group| groups.push((name.to_vec(), group)));
        assert!(groups.iter().map(|(name, _)| name).eq(self.groups.keys()));
        assert_eq!(view.group_count(), groups.len() as u64);
        for (name, group) in groups {
            let model = &self.groups[&name];
            assert_eq!((group.last, group.read), (model.last, model.read));
            assert_eq!(view.pending_count(&group), model.pending.len() as u64);
            let mut pending = Vec::new();
            view.each_pending(&group, StreamId::ZERO, &mut |entry| {
                pending.push((entry.id, (view.owner(&group, &entry).to_vec(), entry.time, entry.count)));
                true
            });
            assert!(pending.iter().map(|(id, entry)| (id, entry)).eq(&model.pending));
            assert_eq!(view.last_pending(&group).map(|entry| entry.id), model.pending.keys().last().copied());
            let mut consumers = Vec::new();
            view.each_consumer(&group, &mut |name, consumer| consumers.push((name.to_vec(), consumer)));
            assert_eq!(view.consumer_count(&group), consumers.len() as u64);
            assert!(consumers.iter().map(|(name, _)| name).eq(model.consumers.keys()));
            for (name, consumer) in consumers {
                assert_eq!((consumer.seen, consumer.active), model.consumers[&name]);
                let expected: Vec<StreamId> =
                    model.pending.iter().filter(|(_, entry)| entry.0 == name).map(|(id, _)| *id).collect();
                assert_eq!(view.owned_count(&group, &consumer), expected.len() as u64);
                let mut owned = Vec::new();
                view.each_owned(&group, &consumer, StreamId::ZERO, &mut |entry| {
                    owned.push(entry.id);
                    true
                });
                assert_eq!(owned, expected);
            }
        }
    }

    /// Some ids of entries, of pending ones, and of none.
    fn some_ids(&self, random: &mut Random) -> Vec<StreamId> {
        let all: Vec<StreamId> =
            self.entries.keys().chain(self.groups.values().flat_map(|group| group.pending.keys())).copied().collect();
        (0..1 + random.below(6))
            .map(|_| match all.get(random.below(all.len() as u64 + 1) as usize) {
                Some(id) => *id,
                None => StreamId { ms: random.below(50), seq: random.below(50) },
            })
            .collect()
    }

    fn trim(&mut self, count: u64) {
        (0..count).for_each(|_| drop(self.entries.pop_first()));
    }
}

fn fields(random: &mut Random) -> Vec<Text> {
    let many = if random.below(30) == 0 { 60 } else { 4 };
    let same = random.below(4) > 0;
    (0..1 + random.below(many))
        .flat_map(|number| {
            let name = if same { format!("f{number}") } else { format!("field {}", random.below(9)) };
            let value = match random.below(40) {
                0 => "x".repeat(random.below(9_000) as usize),
                1 => "y".repeat(random.below(60_000) as usize),
                2..=15 => (random.below(1 << 40).cast_signed() - (1 << 20)).to_string(),
                _ => format!("value {}", random.below(1 << 20)),
            };
            [name.into_bytes(), value.into_bytes()]
        })
        .collect()
}

/// A shard with its replica, and what is in both.
struct Run {
    pair: ReplicatedShard<Model>,
    model: Model,
    random: Random,
    now: u64,
}

impl Run {
    fn add(&mut self, key: &[u8], many: bool) {
        let (random, model) = (&mut self.random, self.model.get(key));
        let (fresh, last) = (model.is_none(), model.map_or(StreamId::ZERO, |model| model.last));
        let id = match random.below(6) {
            0 => StreamId { ms: last.ms + 1 + random.below(1 << 45), seq: random.below(3) },
            1..=3 => StreamId { ms: last.ms + 1 + random.below(2000), seq: random.below(2) },
            _ => StreamId { ms: last.ms, seq: last.seq + 1 + random.below(300) },
        };
        let fields = fields(random);
        let len = model.map_or(0, |model| model.entries.len() as u64);
        let trim = if random.below(if many { 200 } else { 12 }) == 0 { random.below(len + 2) } else { 0 };
        let opens = random.below(40) == 0;
        let slices: Vec<&[u8]> = fields.iter().map(Vec::as_slice).collect();
        self.pair.change(key, StreamChange::Add { fresh, opens, id, trim, fields: slices.as_slice().into() });
        let model = self.model.entry(key.to_vec()).or_default();
        model.entries.insert(id, fields);
        (model.last, model.added) = (id, model.added + 1);
        model.trim(trim);
    }

    fn delete(&mut self, key: &[u8]) {
        let Some(model) = self.model.get_mut(key) else { return };
        let ids = model.some_ids(&mut self.random);
        for id in &ids {
            if model.entries.remove(id).is_some() {
                model.deleted = model.deleted.max(*id);
            }
        }
        let bytes: Vec<[u8; 16]> = ids.iter().map(|id| id.to_bytes()).collect();
        let slices: Vec<&[u8]> = bytes.iter().map(<[u8; 16]>::as_slice).collect();
        self.pair.change(key, StreamChange::Delete { ids: slices.as_slice().into() });
    }

    fn name(&mut self, of: &str) -> Text {
        match self.random.below(30) {
            0 => vec![0; self.random.below(1025) as usize],
            _ => format!("{of}{}", self.random.below(4)).into_bytes(),
        }
    }

    fn group(&mut self, key: &[u8]) {
        let (name, random) = (self.name("group"), &mut self.random);
        let (last, read) = (StreamId { ms: random.below(99), seq: random.below(9) }, Some(random.below(9)));
        let (fresh, read) = (!self.model.contains_key(key), read.filter(|read| *read > 3));
        self.pair.change(key, StreamChange::PutGroup { fresh, name: &name, last, read });
        let model = self.model.entry(key.to_vec()).or_default().groups.entry(name).or_default();
        (model.last, model.read) = (last, read);
    }

    /// A change of a group that exists.
    fn change_group(&mut self, key: &[u8], what: u64) {
        let Some(model) = self.model.get(key) else { return };
        let count = model.groups.len() as u64;
        let Some(name) = model.groups.keys().nth(self.random.below(count.max(1)) as usize).cloned() else { return };
        let ids = model.some_ids(&mut self.random);
        let bytes: Vec<[u8; 16]> = ids.iter().map(|id| id.to_bytes()).collect();
        let slices: Vec<&[u8]> = bytes.iter().map(<[u8; 16]>::as_slice).collect();
        let consumer = self.name("consumer");
        match what {
            0 => {
                self.pair.change(key, StreamChange::RemoveGroup { name: &name });
                self.model.get_mut(key).unwrap().groups.remove(&name);
            }
            1 | 2 => {
                self.pair.change(key, StreamChange::Acknowledge { group: &name, ids: slices.as_slice().into() });
                let pending = &mut self.model.get_mut(key).unwrap().groups.get_mut(&name).unwrap().pending;
                pending.retain(|id, _| !ids.contains(id));
            }
            3 => {
                self.pair.change(key, StreamChange::RemoveConsumer { group: &name, consumer: &consumer });
                let group = self.model.get_mut(key).unwrap().groups.get_mut(&name).unwrap();
                group.consumers.remove(&consumer);
                group.pending.retain(|_, (owner, ..)| *owner != consumer);
            }
            _ => self.deliver(key, &name, &consumer, slices.first().copied()),
        }
    }

    fn deliver(&mut self, key: &[u8], name: &[u8], consumer: &[u8], gone: Option<&[u8]>) {
        let (random, model) = (&mut self.random, self.model.get_mut(key).unwrap());
        let new: Vec<StreamId> = model.entries.keys().copied().skip(random.below(20) as usize).take(30).collect();
        let entries: Vec<(StreamId, u64)> = new.iter().map(|id| (*id, random.below(400))).collect();
        let cursor = new.last().filter(|_| random.below(2) == 0).map(|id| (*id, Some(random.below(1000))));
        let active = (random.below(2) == 0).then(|| random.below(1 << 41));
        self.now += random.below(5_000);
        let bytes: Vec<Vec<u8>> = entries.iter().map(|(id, count)| Delivery::entry(*id, *count)).collect();
        let slices: Vec<&[u8]> = bytes.iter().map(Vec::as_slice).collect();
        let gone: Vec<&[u8]> = gone.into_iter().filter(|_| random.below(3) == 0).collect();
        let delivery = Delivery {
            cursor,
            active,
            time: self.now,
            entries: slices.as_slice().into(),
            gone: gone.as_slice().into(),
            ..Delivery::seen(name, consumer, self.now)
        };
        self.pair.change(key, StreamChange::Deliver(delivery));
        let group = model.groups.get_mut(name).unwrap();
        if let Some(cursor) = cursor {
            (group.last, group.read) = cursor;
        }
        let seen = group.consumers.entry(consumer.to_vec()).or_default();
        *seen = (self.now, active.or(seen.1));
        for (id, count) in entries {
            group.pending.insert(id, (consumer.to_vec(), self.now, count));
        }
        gone.iter().for_each(|id| drop(group.pending.remove(&StreamId::from_bytes((*id).try_into().unwrap()))));
    }

    fn set_id(&mut self, key: &[u8]) {
        let Some(model) = self.model.get_mut(key) else { return };
        (model.last.seq, model.added) = (model.last.seq + 7, model.added + self.random.below(9));
        let StreamModel { last, added, deleted, .. } = *model;
        self.pair.change(key, StreamChange::SetId { last, added, deleted });
    }

    fn trim(&mut self, key: &[u8]) {
        let Some(model) = self.model.get_mut(key) else { return };
        let count = self.random.below(model.entries.len() as u64 + 1);
        model.trim(count);
        self.pair.change(key, StreamChange::Trim { count });
    }

    /// The stream is made anew out of what it contains.
    fn store(&mut self, key: &[u8]) {
        let Some(model) = self.model.get(key) else { return };
        let mut builder = StreamBuilder::new(NodeLimits { entries: self.random.below(30) as usize, bytes: 0 });
        for (id, fields) in &model.entries {
            builder.entry(*id, fields.iter().map(Vec::as_slice));
        }
        for (name, group) in &model.groups {
            assert!(builder.group(name, group.last, group.read));
            for (name, (seen, active)) in &group.consumers {
                assert!(builder.consumer(name, *seen, *active));
                for (id, (_, time, count)) in group.pending.iter().filter(|(_, (owner, ..))| owner == name) {
                    assert!(builder.pending(*id, *time, *count));
                }
            }
        }
        let parts = builder.finish().unwrap();
        let strings: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        let parts = StreamParts::new(model.last, model.added, model.deleted, &strings);
        self.pair.change(key, StreamChange::Store(parts));
    }

    fn step(&mut self, many: bool) {
        let key = format!("key:{}", self.random.below(3)).into_bytes();
        match self.random.below(100) {
            0..=54 => self.add(&key, many),
            55..=62 => self.delete(&key),
            63..=67 => self.group(&key),
            68..=89 => {
                let what = self.random.below(9);
                self.change_group(&key, what);
            }
            90 | 91 => self.set_id(&key),
            92 if !many || self.random.below(9) == 0 => self.trim(&key),
            93 | 94 => self.store(&key),
            95 if self.random.below(5) == 0 && self.model.remove(&key).is_some() => {
                self.pair.change(&key, KeyChange::Del);
            }
            96 | 97 if self.model.contains_key(&key) => {
                let at = UnixMillis(self.random.below(1000));
                self.pair.change(&key, KeyChange::Expire(Some(at).filter(|at| at.0 % 3 > 0)));
            }
            _ => self.pair.reclaim(&mut self.random),
        }
    }
}

fn run(seed: u64, steps: u64, many: bool) {
    println!("seed {seed}, {steps} steps");
    let mut run =
        Run { pair: ReplicatedShard::new(), model: Model::new(), random: Random(seed), now: 1_700_000_000_000 };
    for step in 0..steps {
        run.step(many);
        run.pair.compare_at_random(step, &mut run.random, &run.model);
    }
    run.pair.compare(&run.model);
}

#[test]
fn random_changes_of_small_ones() {
    (0..4).for_each(|seed| run(seed, 3_000, false));
}

#[test]
fn random_changes_of_large_ones() {
    (10..12).for_each(|seed| run(seed, 8_000, true));
}

fn add(shard: &mut Keyspace, ms: u64, value: &[u8]) {
    let key = shard.hasher().key(b"stream");
    let fields: [&[u8]; 2] = [b"field", value];
    let fresh = shard.get(&key).is_none();
    let (id, fields) = (StreamId { ms, seq: 0 }, fields.as_slice().into());
    shard.change(&key, StreamChange::Add { fresh, opens: false, id, trim: 0, fields }).unwrap();
}

/// A group to one of whose consumers the entries with these milliseconds are delivered.
fn deliver(shard: &mut Keyspace, ms: std::ops::Range<u64>) {
    let key = shard.hasher().key(b"stream");
    shard
        .change(&key, StreamChange::PutGroup { fresh: false, name: b"group", last: StreamId::MAX, read: None })
        .unwrap();
    let entries: Vec<Vec<u8>> = ms.map(|ms| Delivery::entry(StreamId { ms, seq: 0 }, 1)).collect();
    let entries: Vec<&[u8]> = entries.iter().map(Vec::as_slice).collect();
    let entries = entries.as_slice().into();
    let seen = Delivery::seen(b"group", b"consumer", 1_700_000_000_000);
    shard.change(&key, StreamChange::Deliver(Delivery { time: seen.seen, entries, ..seen })).unwrap();
}

#[test]
fn a_large_one_is_reclaimed_by_steps() {
    let mut shard = new_shard();
    let key = shard.hasher().key(b"stream");
    shard.set(&shard.hasher().key(b"key"), b"value", None).unwrap();
    let before = shard.memory_bytes();
    (1..40_000).for_each(|ms| add(&mut shard, ms, if ms % 5_000 == 0 { &[b'x'; 50_000] } else { &[b'x'; 50] }));
    deliver(&mut shard, 1..20_000);
    shard.check(0, 1).unwrap();
    delete_frozen(&mut shard, &key);
    let steps = reclaim_all(&mut shard, 20);
    assert!(steps > 3, "{steps} steps");
    let left = shard.memory_bytes() - before;
    assert!(left < 3 * PAGE_BYTES as u64, "{left} bytes are left");
}

/// What an entry and a pending entry take: the tree's nodes stay full where entries are added.
#[test]
fn entries_and_pending_entries_are_small() {
    const ENTRIES: u64 = 40_000;
    let mut shard = new_shard();
    (0..ENTRIES).for_each(|at| add(&mut shard, 1_700_000_000_000 + 7 * at, &[b'x'; 50]));
    let key = shard.hasher().key(b"stream");
    let entry = shard.get(&key).unwrap().memory_bytes() as f64 / ENTRIES as f64;
    assert!(entry < 1.04 * 54.0, "{entry} bytes an entry with a value of 50");
    let before = shard.get(&key).unwrap().memory_bytes();
    // As clients do it: some at a time.
    for at in (0..ENTRIES).step_by(100) {
        let ids = (at..at + 100).map(|at| StreamId { ms: 1_700_000_000_000 + 7 * at, seq: 0 });
        let entries: Vec<Vec<u8>> = ids.map(|id| Delivery::entry(id, 1)).collect();
        let entries: Vec<&[u8]> = entries.iter().map(Vec::as_slice).collect();
        let consumer = format!("consumer:{}", at / 100 % 7);
        let group = StreamChange::PutGroup { fresh: false, name: b"group", last: StreamId::MAX, read: None };
        shard.change(&key, group).unwrap();
        let seen = Delivery::seen(b"group", consumer.as_bytes(), 1_700_000_000_000 + 9 * at);
        let delivery = Delivery { time: seen.seen, entries: entries.as_slice().into(), ..seen };
        shard.change(&key, StreamChange::Deliver(delivery)).unwrap();
    }
    let pending = (shard.get(&key).unwrap().memory_bytes() - before) as f64 / ENTRIES as f64;
    println!("{entry} bytes an entry, {pending} a pending one");
    assert!(pending < 60.0, "{pending} bytes a pending entry");
    shard.check(0, 1).unwrap();
}

/// Each flipped bit of the root, of the nodes and of the groups is refused, or changes no more than a text, a time or a count.
#[test]
fn flipped_bits_are_refused_or_harmless() {
    let mut shard = new_shard();
    (1..9).for_each(|ms| add(&mut shard, ms * 100, if ms == 5 { &[b'x'; 9_000] } else { b"some text" }));
    deliver(&mut shard, 1..3);
    let key = shard.hasher().key(b"stream");
    let (record, head) = shard.record(&shard.locate(&key)).unwrap();
    let trees = [0, 16].map(|at| crate::ids::PageId(shard.arena().page(record.page()).u32_at(head.rest_at + at)));
    let mut places = vec![(record.page(), head.rest_at..head.rest_at + head.rest_len)];
    for leaf in trees {
        let page = shard.arena().page(leaf);
        let entries = usize::from(page.u16_at(2));
        let end = PAGE_BYTES - usize::from(page.u16_at(14 + 2 * entries));
        places.push((leaf, end..PAGE_BYTES));
    }
    let (mut refused, mut harmless) = (0, 0);
    for (page, range) in places {
        for (at, bit) in range.flat_map(|at| (0..8).map(move |bit| (at, 1 << bit))) {
            let byte = shard.arena().page(page).u8_at(at);
            shard.arena_mut().page_mut(page).put_u8(at, byte ^ bit);
            match shard.check(0, 1) {
                Err(_) => refused += 1,
                Ok(_) => {
                    harmless += 1;
                    read_all(&shard);
                }
            }
            shard.arena_mut().page_mut(page).put_u8(at, byte);
        }
    }
    println!("{refused} refused, {harmless} harmless");
    assert!(refused > 1_000, "{refused}");
    // Texts, times, counts, and what the root notes of ids and numbers.
    assert!(harmless < 2_200 && head.rest_len > ROOT_BYTES, "{harmless}");
    shard.check(0, 1).unwrap();
}

/// Reads all that there is.
fn read_all(shard: &Keyspace) {
    let entry = shard.get(&shard.hasher().key(b"stream")).unwrap();
    let view = entry.stream();
    view.each_from(StreamId::ZERO, &mut |entry| !texts(entry).is_empty());
    view.each_back_from(StreamId::MAX, &mut |_| true);
    view.each_group(&mut |_, group| {
        view.each_consumer(&group, &mut |_, consumer| {
            view.each_owned(&group, &consumer, StreamId::ZERO, &mut |_| true);
        });
        view.each_pending(&group, StreamId::ZERO, &mut |entry| view.owner(&group, &entry).len() < usize::MAX);
    });
}

/// Whatever is frozen, a change takes and copies no more pages than it has reserved.
#[test]
fn pages_are_reserved() {
    let (mut shard, mut random, mut most) = (new_shard(), Random(1), 0);
    let key = shard.hasher().key(b"stream");
    add(&mut shard, 1, b"value");
    deliver(&mut shard, 0..1);
    for step in 2..6_000 {
        let value = vec![b'x'; if step % 50 == 0 { 20_000 } else { random.below(300) as usize }];
        let fields: [&[u8]; 2] = [b"field", &value];
        let id = StreamId { ms: 10 * step, seq: 0 };
        let ids: Vec<StreamId> =
            (0..random.below(40)).map(|_| StreamId { ms: 10 * random.below(step), seq: 0 }).collect();
        let entries: Vec<Vec<u8>> = ids.iter().map(|id| Delivery::entry(*id, random.below(1000))).collect();
        let entries: Vec<&[u8]> = entries.iter().map(Vec::as_slice).collect();
        let consumer = format!("consumer:{}{}", random.below(30), "c".repeat(random.below(900) as usize));
        let seen = Delivery::seen(b"group", consumer.as_bytes(), 1_700_000_000_000 + step);
        let change = match step % 2 {
            0 => StreamChange::Add { fresh: false, opens: false, id, trim: 0, fields: fields.as_slice().into() },
            _ => StreamChange::Deliver(Delivery { time: step, entries: entries.as_slice().into(), ..seen }),
        };
        let frozen = (step % 20 < 2).then(|| shard.freeze());
        let planned = change.pages(&shard, &shard.locate(&key)).unwrap().unwrap() as u64;
        let pages = |shard: &Keyspace| {
            u64::from(shard.arena().pages_used()) + shard.arena().pool().bytes_retired() / PAGE_BYTES as u64
        };
        let before = pages(&shard);
        shard.change(&key, change).unwrap();
        // The record itself is in the reserve of every change.
        let taken = pages(&shard).saturating_sub(before);
        assert!(taken <= planned + 4, "step {step}: {taken} pages, {planned} planned");
        most = most.max(taken);
        drop(frozen);
    }
    println!("{most} pages at most");
    shard.check(0, 1).unwrap();
}

/// Makes a change; false if it presumes what is not so.
fn try_change(shard: &mut Keyspace, key: &crate::keyspace::Key<'_>, change: &StreamChange<'_>) -> bool {
    let mut at = shard.locate(key);
    crate::effect::change(shard, &mut at, change).is_ok()
}

/// Parts that a record of another program might have are refused, not applied.
#[test]
fn parts_that_contradict_each_other_are_refused() {
    let mut builder = StreamBuilder::new(NodeLimits { entries: 2, bytes: 0 });
    let fields: [&[u8]; 2] = [b"field", b"value"];
    (1..8).for_each(|ms| builder.entry(StreamId { ms, seq: 0 }, fields.iter().copied()));
    assert!(builder.group(b"g", StreamId::ZERO, None) && builder.consumer(b"c", 1, None));
    assert!(builder.pending(StreamId { ms: 1, seq: 0 }, 1, 1));
    let parts = builder.finish().unwrap();
    let (mut shard, last) = (new_shard(), StreamId { ms: 7, seq: 0 });
    let key = shard.hasher().key(b"stream");
    let mut store = |parts: &[Vec<u8>], last| {
        let strings: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        let stored = StreamChange::Store(StreamParts::new(last, 7, StreamId::ZERO, &strings));
        try_change(&mut shard, &key, &stored)
    };
    assert!(store(&parts, last));
    assert!(!store(&parts, StreamId { ms: 6, seq: 0 }), "the last id is below that of an entry");
    for at in 0..parts.len() - 1 {
        let mut swapped = parts.clone();
        swapped.swap(at, at + 1);
        assert!(!store(&swapped, last), "{at} and the next one are swapped");
    }
    let mut refused = 0;
    for at in 0..parts.len() {
        let mut missing = parts.clone();
        missing.remove(at);
        refused += u64::from(!store(&missing, last));
        let mut empty = parts.clone();
        empty[at].clear();
        assert!(!store(&empty, last));
    }
    // Nodes may be missing, and items of groups may not.
    assert_eq!(refused, 5, "the group, the consumer and its name, and both items of the pending entry");
}

#[test]
fn names_are_bounded() {
    let mut shard = new_shard();
    add(&mut shard, 1, b"v");
    let key = shard.hasher().key(b"stream");
    let name = vec![0; crate::limits::GROUP_NAME_BYTES_MAX + 1];
    let mut put = |name: &[u8]| {
        let change = StreamChange::PutGroup { fresh: false, name, last: StreamId::ZERO, read: None };
        try_change(&mut shard, &key, &change)
    };
    assert!(!put(&name) && put(&name[1..]));
    let none: Strings<'_> = (&[][..]).into();
    let long = Delivery { entries: none, ..Delivery::seen(&name[1..], &name, 1) };
    assert!(!try_change(&mut shard, &key, &StreamChange::Deliver(long)));
    let longest = Delivery::seen(&name[1..], &name[1..], 1);
    shard.change(&key, StreamChange::Deliver(longest)).unwrap();
    shard.check(0, 1).unwrap();
}

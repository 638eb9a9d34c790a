//! Random changes against plain maps.

use std::collections::BTreeMap;

use super::*;
use crate::arena::{PAGE_BYTES, Pages};
use crate::clock::UnixMillis;
use crate::effect::{KeyChange, Strings};
use crate::keyspace::tests::{Direct, Random, new_shard};
use crate::keyspace::{Keyspace, Read};
use crate::types::tests::{KeysModel, ReplicatedShard, delete_frozen, reclaim_all};
use crate::value::{Kind, MapView};

type Members = BTreeMap<Vec<u8>, Vec<u8>>;
type Model = BTreeMap<Vec<u8>, (Kind, Members)>;

/// Members above which one in one piece becomes a hash table here.
const PACKED_MAX: usize = 40;

fn members_of<P: Pages>(view: &MapView<'_, P>) -> Members {
    let mut members = Members::new();
    view.each(&mut |name, value| {
        let mut bytes = Vec::new();
        value.range(0, value.len(), &mut bytes);
        assert!(members.insert(name.to_vec(), bytes).is_none(), "a member is visited once");
    });
    assert_eq!(members.len() as u64, view.len());
    members
}

impl KeysModel for Model {
    fn assert_equals(&self, read: &impl Read, shard: &Keyspace) {
        assert_eq!(read.len(), self.len() as u64);
        for (key, (kind, members)) in self {
            let entry = read.get(&shard.hasher().key(key)).expect("a key that is to be there");
            assert_eq!(entry.kind(), *kind);
            let view = entry.map();
            assert_eq!(members_of(&view), *members);
            for (name, value) in members {
                assert!(view.contains(name) && !view.contains(&[name.as_slice(), b"x"].concat()));
                if *kind == Kind::Hash {
                    let mut bytes = Vec::new();
                    let found = view.value(name).unwrap();
                    found.range(0, found.len(), &mut bytes);
                    assert_eq!(bytes, *value);
                }
            }
        }
    }
}

/// The form in which `items` are added, as commands decide it, with small bounds.
fn form(view: Option<&MapView<'_, impl Pages>>, kind: Kind, items: &Strings<'_>) -> MapForm {
    let small = view.map_or(0, MapView::len) as usize + items.len() <= PACKED_MAX;
    let (large, packed) = match kind {
        Kind::Set => (MapForm::LargeSet, MapForm::PackedSet),
        _ => (MapForm::LargeHash, MapForm::PackedHash),
    };
    let of_integers = kind == Kind::Set && view.is_none_or(MapView::is_of_integers);
    if view.is_some_and(MapView::is_large) || !small {
        large
    } else if of_integers && MapForm::IntegerSet.has_room(view, items) {
        MapForm::IntegerSet
    } else if packed.has_room(view, items) {
        packed
    } else {
        large
    }
}

fn random_names(random: &mut Random, kind: Kind, spread: u64) -> Vec<Vec<u8>> {
    let integers = random.below(2) == 0;
    let mut items = Vec::new();
    let many = random.below(20) == 0;
    for _ in 0..1 + random.below(if many { 60 } else { 4 }) {
        let number = random.below(spread);
        items.push(match number % 31 {
            _ if integers => number.to_string().into_bytes(),
            0 => vec![b'n'; 100 + number as usize % 900],
            1 => Vec::new(),
            _ => format!("name:{number}").into_bytes(),
        });
        if kind == Kind::Hash {
            let len = match random.below(400) {
                0 => 16_300 + random.below(100),
                1 => random.below(60_000),
                2..=6 => random.below(3000),
                _ => random.below(30),
            };
            items.push(random.bytes(len as usize));
        }
    }
    items
}

fn run(seed: u64, steps: u64, spread: u64) {
    println!("seed {seed}, {steps} steps, names of {spread}");
    let mut random = Random(seed);
    let mut pair = ReplicatedShard::new();
    let mut model = Model::new();
    for step in 0..steps {
        let key = format!("key:{}", random.below(12)).into_bytes();
        let kind = if key.last().is_some_and(|last| last % 2 == 0) { Kind::Set } else { Kind::Hash };
        let items = random_names(&mut random, kind, spread);
        let items: Vec<&[u8]> = items.iter().map(Vec::as_slice).collect();
        let strings = Strings::from(items.as_slice());
        let added = |members: &mut Members| {
            let mut items = items.iter();
            while let Some(name) = items.next() {
                let value = if kind == Kind::Hash { items.next().unwrap().to_vec() } else { Vec::new() };
                members.insert(name.to_vec(), value);
            }
        };
        match random.below(100) {
            0..=59 => {
                let here = pair.shard.hasher().key(&key);
                let form = {
                    let entry = pair.shard.get(&here);
                    form(entry.as_ref().map(|entry| entry.map()).as_ref(), kind, &strings)
                };
                added(&mut model.entry(key.clone()).or_insert((kind, Members::new())).1);
                pair.change(&key, MapChange::Put { form, items: strings });
            }
            60..=93 => {
                if let Some((_, members)) = model.get_mut(&key) {
                    let names: Vec<&[u8]> = items.iter().step_by(crate::value::map::stride(kind)).copied().collect();
                    names.iter().for_each(|name| {
                        members.remove(*name);
                    });
                    let empty = members.is_empty();
                    pair.change(&key, MapChange::Remove { names: names.as_slice().into() });
                    if empty {
                        model.remove(&key);
                    }
                }
            }
            94..=95 => {
                let none: Option<&MapView<'_, crate::arena::Arena>> = None;
                let mut members = Members::new();
                added(&mut members);
                model.insert(key.clone(), (kind, members));
                pair.change(&key, MapChange::Store { form: form(none, kind, &strings), items: strings });
            }
            96 if model.remove(&key).is_some() => pair.change(&key, KeyChange::Del),
            97 if model.contains_key(&key) => {
                let expire = (random.below(2) == 0).then(|| UnixMillis(random.below(1000)));
                pair.change(&key, KeyChange::Expire(expire));
            }
            _ => pair.reclaim(&mut random),
        }
        pair.compare_at_random(step, &mut random, &model);
    }
    pair.compare(&model);
}

#[test]
fn random_changes_of_small_ones() {
    for seed in 0..4 {
        run(seed, 3_000, 60);
    }
}

#[test]
fn random_changes_of_large_ones() {
    for seed in 10..12 {
        run(seed, 12_000, 5_000);
    }
}

/// One with so many members that the newer ones are in pages of its own.
fn large_hash(shard: &mut Keyspace, fields: u32) {
    let key = shard.hasher().key(b"large");
    for number in 0..fields {
        let (name, value) = (number.to_le_bytes(), [7; 60]);
        let pair: [&[u8]; 2] = [&name, &value];
        shard.change(&key, MapChange::Put { form: MapForm::LargeHash, items: pair.as_slice().into() }).unwrap();
    }
}

/// It is given up at once and freed by steps, of which an image may be made at any moment.
#[test]
fn a_large_one_is_reclaimed_by_steps() {
    let mut shard = new_shard();
    let key = shard.hasher().key(b"large");
    shard.set(&shard.hasher().key(b"key"), b"value", None).unwrap();
    let before = shard.memory_bytes();
    large_hash(&mut shard, 30_000);
    shard.check(0, 1).unwrap();
    let full = shard.memory_bytes();
    assert!(full - before > 2_400_000, "{full} bytes");
    shard.change(&key, KeyChange::Del).unwrap();
    let steps = reclaim_all(&mut shard, 10);
    assert!(steps > 10, "{steps} steps");
    let left = shard.memory_bytes() - before;
    assert!(left < 2 * PAGE_BYTES as u64, "{left} bytes are left");
}

/// Nothing of a frozen version is copied but what leads to it.
#[test]
fn giving_up_a_large_one_copies_few_pages_of_a_frozen_version() {
    let mut shard = new_shard();
    let key = shard.hasher().key(b"large");
    large_hash(&mut shard, 30_000);
    delete_frozen(&mut shard, &key);
}

/// A scan shows what is there all the time exactly once, whatever form it takes meanwhile.
#[test]
fn a_scan_goes_on_over_changes_of_form() {
    let mut random = Random(3);
    for round in 0..20 {
        let mut shard = new_shard();
        let key = shard.hasher().key(b"key");
        let put = |shard: &mut Keyspace, name: &[u8], form| {
            let names = [name];
            shard.change(&key, MapChange::Put { form, items: names.as_slice().into() }).unwrap();
        };
        let stay: Vec<Vec<u8>> = (0..30).map(|number: u32| number.to_string().into_bytes()).collect();
        stay.iter().for_each(|name| put(&mut shard, name, MapForm::IntegerSet));
        let (mut cursor, mut seen, mut calls) = (0, BTreeMap::new(), 0);
        loop {
            let view = shard.get(&key).unwrap();
            cursor = view.map().scan(cursor, 1 + random.below(5) as usize, &mut |name, _| {
                *seen.entry(name.to_vec()).or_insert(0) += 1;
            });
            calls += 1;
            let name = format!("other:{}", random.next());
            match calls {
                0..2 => put(&mut shard, calls.to_string().as_bytes(), MapForm::IntegerSet),
                2..4 => put(&mut shard, name.as_bytes(), MapForm::PackedSet),
                _ => (0..50).for_each(|n| put(&mut shard, format!("{name}:{n}").as_bytes(), MapForm::LargeSet)),
            }
            if cursor == 0 {
                break;
            }
        }
        assert!(stay.iter().all(|name| seen.get(name) == Some(&1)), "round {round}: {seen:?}");
    }
}

/// Every member is chosen, about equally often.
#[test]
fn a_random_member_is_any() {
    for (form, names) in [(MapForm::IntegerSet, 40), (MapForm::PackedSet, 40), (MapForm::LargeSet, 400)] {
        let mut shard = new_shard();
        let key = shard.hasher().key(b"key");
        for number in 0..names {
            let name = number.to_string();
            let names = [name.as_bytes()];
            shard.change(&key, MapChange::Put { form, items: names.as_slice().into() }).unwrap();
        }
        let (mut random, mut counts) = (Random(1), BTreeMap::new());
        for _ in 0..names * 100 {
            let entry = shard.get(&key).unwrap();
            entry.map().random(random.next(), &mut |name, _| *counts.entry(name.to_vec()).or_insert(0) += 1);
        }
        assert_eq!(counts.len(), names);
        assert!(counts.values().all(|count| (40..220).contains(count)), "{form:?}: {counts:?}");
    }
}

/// Each flipped bit of a record with members in one piece, of a hash table's root, and of an entry's header is refused.
#[test]
fn flipped_bits_are_refused() {
    let mut shard = new_shard();
    let hasher = shard.hasher();
    let (one, two): ([&[u8]; 2], [&[u8]; 2]) = ([b"a", b"1"], [b"b", b"2"]);
    let mut places = Vec::new();
    for (key, form, items) in [
        (&b"integers"[..], MapForm::IntegerSet, [&b"5"[..], b"70000"]),
        (b"packed", MapForm::PackedSet, [b"a", b"b"]),
        (b"hash", MapForm::PackedHash, one),
        (b"large", MapForm::LargeHash, two),
    ] {
        let key = hasher.key(key);
        shard.change(&key, MapChange::Put { form, items: items.as_slice().into() }).unwrap();
        let (record, head) = shard.record(&shard.locate(&key)).unwrap();
        // The first byte of a packed string's content, or of an integer, may become another.
        let fixed = match form {
            MapForm::IntegerSet => 2,
            MapForm::LargeHash => head.rest_len,
            _ => 3,
        };
        places.push((record.page(), head.rest_at..head.rest_at + fixed));
    }
    for (page, range) in places {
        for (at, bit) in range.flat_map(|at| (0..8).map(move |bit| (at, 1 << bit))) {
            let byte = shard.arena().page(page).u8_at(at);
            shard.arena_mut().page_mut(page).put_u8(at, byte ^ bit);
            assert!(shard.check(0, 1).is_err(), "bit {bit} of byte {at} of page {page}");
            shard.arena_mut().page_mut(page).put_u8(at, byte);
        }
    }
    shard.check(0, 1).unwrap();
}

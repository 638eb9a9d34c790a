//! Random changes against plain maps.

use std::collections::BTreeMap;

use super::*;
use crate::arena::{PAGE_BYTES, Pages};
use crate::clock::UnixMillis;
use crate::effect::{KeyChange, Strings};
use crate::keyspace::tests::{Direct, Random, new_shard};
use crate::keyspace::{Entry, Keyspace, Read};
use crate::types::tests::{KeysModel, ReplicatedShard, delete_frozen, reclaim_all};
use crate::value::map::stride;
use crate::value::{Kind, MapView, Member};

/// Values, and when the field expires.
type Members = BTreeMap<Vec<u8>, (Vec<u8>, Option<u64>)>;
type Model = BTreeMap<Vec<u8>, (Kind, Members)>;

/// Members above which one in one piece becomes a hash table here.
const PACKED_MAX: usize = 40;

fn members_of<P: Pages>(view: &MapView<'_, P>) -> Members {
    let mut members = Members::new();
    view.each(&mut |Member { name, value, expiry }| {
        let mut bytes = Vec::new();
        value.range(0, value.len(), &mut bytes);
        assert!(members.insert(name.to_vec(), (bytes, expiry)).is_none(), "a member is visited once");
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
            let view = entry.map(UnixMillis(0));
            assert_eq!(members_of(&view), *members);
            assert_alive(&entry, members);
            for (name, (value, expiry)) in members {
                assert!(view.contains(name) && !view.contains(&[name.as_slice(), b"x"].concat()));
                assert!(expiry.is_none_or(|time| !entry.map(UnixMillis(time)).contains(name)));
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

/// At any moment exactly those fields are there that have not expired.
fn assert_alive(entry: &Entry<'_>, members: &Members) {
    let times: Vec<u64> = members.values().filter_map(|(_, expiry)| *expiry).collect();
    for now in times.iter().copied().step_by(1 + times.len() / 3) {
        let (view, mut alive) = (entry.map(UnixMillis(now)), members.clone());
        alive.retain(|_, (_, expiry)| expiry.is_none_or(|time| time > now));
        assert_eq!(members_of(&view), alive);
        assert_eq!(view.is_empty(), alive.is_empty());
        let unexpired = entry.expire_at().is_none_or(|at| at.0 > now);
        assert_eq!(entry.is_alive(UnixMillis(now)), unexpired && !alive.is_empty());
        let mut gone = view.expired(usize::MAX);
        gone.sort_unstable();
        let expired = members.iter().filter(|(name, _)| !alive.contains_key(*name));
        assert!(expired.map(|(name, _)| name).eq(&gone));
        let mut picked = 0;
        view.random(now, &mut |member| picked += usize::from(alive.contains_key(member.name)));
        assert_eq!(picked, usize::from(!alive.is_empty()));
    }
}

/// The form in which `items` are added, as commands decide it, with small bounds.
fn form(view: Option<&MapView<'_, impl Pages>>, kind: Kind, expires: bool, items: &Strings<'_>) -> MapForm {
    let small = view.map_or(0, MapView::len) as usize + items.len() <= PACKED_MAX;
    let (large, packed) = match kind {
        Kind::Set => (MapForm::LargeSet, MapForm::PackedSet),
        _ if expires => (MapForm::ExpiringLargeHash, MapForm::ExpiringPackedHash),
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

fn random_items(random: &mut Random, stride: usize, spread: u64) -> Vec<Vec<u8>> {
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
        if stride > 1 {
            let len = match random.below(400) {
                0 => 16_300 + random.below(100),
                1 => random.below(60_000),
                2..=6 => random.below(3000),
                _ => random.below(30),
            };
            items.push(random.bytes(len as usize));
        }
        if stride > 2 {
            items.push(random_expiry(random));
        }
    }
    items
}

fn random_expiry(random: &mut Random) -> Vec<u8> {
    let some = random.below(3) != 0;
    if some { (1 + random.below(1000)).to_le_bytes().to_vec() } else { Vec::new() }
}

fn run(seed: u64, steps: u64, spread: u64) {
    println!("seed {seed}, {steps} steps, names of {spread}");
    let mut random = Random(seed);
    let mut pair = ReplicatedShard::new();
    let mut model = Model::new();
    for step in 0..steps {
        let key = format!("key:{}", random.below(12)).into_bytes();
        let kind = if key.last().is_some_and(|last| last % 2 == 0) { Kind::Set } else { Kind::Hash };
        // Some hashes have fields that expire from the start on, some never, some from a time on.
        let had = pair
            .shard
            .get(&pair.shard.hasher().key(&key))
            .is_some_and(|entry| entry.kind() == Kind::Hash && entry.map(UnixMillis(0)).has_expiring_fields());
        let expires = had || (kind == Kind::Hash && matches!(key.last(), Some(b'1' | b'3')) && random.below(10) == 0);
        let stride = if expires { 3 } else { stride(kind) };
        let items = random_items(&mut random, stride, spread);
        let items: Vec<&[u8]> = items.iter().map(Vec::as_slice).collect();
        let strings = Strings::from(items.as_slice());
        let added = |members: &mut Members| {
            for item in items.chunks(stride) {
                let value = item.get(1).map_or(Vec::new(), |value| value.to_vec());
                let expiry = item.get(2).and_then(|time| time.first_chunk()).map(|time| u64::from_le_bytes(*time));
                members.insert(item[0].to_vec(), (value, expiry));
            }
        };
        match random.below(100) {
            0..=49 => {
                let here = pair.shard.hasher().key(&key);
                let form = {
                    let entry = pair.shard.get(&here);
                    form(entry.as_ref().map(|entry| entry.map(UnixMillis(0))).as_ref(), kind, expires, &strings)
                };
                added(&mut model.entry(key.clone()).or_insert((kind, Members::new())).1);
                pair.change(&key, MapChange::Put { form, items: strings });
            }
            50..=59 if expires && model.contains_key(&key) => {
                let times: Vec<Vec<u8>> = items.iter().step_by(stride).map(|_| random_expiry(&mut random)).collect();
                let items: Vec<&[u8]> =
                    items.iter().step_by(stride).zip(&times).flat_map(|(name, time)| [*name, time]).collect();
                let strings = Strings::from(items.as_slice());
                let entry = pair.shard.get(&pair.shard.hasher().key(&key)).unwrap();
                let form = form(Some(&entry.map(UnixMillis(0))), kind, true, &strings);
                let members = &mut model.get_mut(&key).unwrap().1;
                for item in items.chunks(2) {
                    if let Some((_, expiry)) = members.get_mut(item[0]) {
                        *expiry = item[1].first_chunk().map(|time| u64::from_le_bytes(*time));
                    }
                }
                pair.change(&key, MapChange::ExpireFields { form, items: strings });
            }
            50..=93 => {
                if let Some((_, members)) = model.get_mut(&key) {
                    let names: Vec<&[u8]> = items.iter().step_by(stride).copied().collect();
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
                pair.change(&key, MapChange::Store { form: form(none, kind, expires, &strings), items: strings });
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
            cursor = view.map(UnixMillis(0)).scan(cursor, 1 + random.below(5) as usize, &mut |member| {
                *seen.entry(member.name.to_vec()).or_insert(0) += 1;
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
            entry
                .map(UnixMillis(0))
                .random(random.next(), &mut |member| *counts.entry(member.name.to_vec()).or_insert(0) += 1);
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
    let time = 1000_u64.to_le_bytes();
    let expiring: [&[u8]; 3] = [b"a", b"1", &time];
    let mut places = Vec::new();
    for (key, form, items) in [
        (&b"integers"[..], MapForm::IntegerSet, &[&b"5"[..], b"70000"][..]),
        (b"packed", MapForm::PackedSet, &[b"a", b"b"]),
        (b"hash", MapForm::PackedHash, &one),
        (b"large", MapForm::LargeHash, &two),
        (b"expiring", MapForm::ExpiringPackedHash, &expiring),
        (b"expiring and large", MapForm::ExpiringLargeHash, &expiring),
    ] {
        let key = hasher.key(key);
        shard.change(&key, MapChange::Put { form, items: items.into() }).unwrap();
        let (record, head) = shard.record(&shard.locate(&key)).unwrap();
        // The first byte of a packed string's content, or of an integer, may become another.
        let fixed = match form {
            MapForm::IntegerSet => 2,
            MapForm::LargeHash | MapForm::ExpiringLargeHash => head.rest_len,
            MapForm::ExpiringPackedHash => 8 + 3,
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

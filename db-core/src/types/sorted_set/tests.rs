//! Random changes against plain maps.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::arena::{PAGE_BYTES, Ref};
use crate::clock::UnixMillis;
use crate::effect::{KeyChange, KeyEffect, Strings};
use crate::ids::PageId;
use crate::keyspace::tests::{Direct, Random, new_shard};
use crate::keyspace::{Keyspace, Read};
use crate::types::tests::{KeysModel, ReplicatedShard, delete_frozen, reclaim_all};
use crate::value::Member;
use crate::value::{Bound, Kind, Score, SortedView};

/// Members with their scores, by key.
type Model = BTreeMap<Vec<u8>, BTreeMap<Vec<u8>, Score>>;

/// Members above which one in one piece becomes large here.
const PACKED_MAX: u64 = 30;

fn ordered(members: &BTreeMap<Vec<u8>, Score>) -> Vec<(&[u8], Score)> {
    let mut all: Vec<(&[u8], Score)> = members.iter().map(|(name, score)| (name.as_slice(), *score)).collect();
    all.sort_by(|a, b| a.1.cmp(&b.1).then_with(|| a.0.cmp(b.0)));
    all
}

impl KeysModel for Model {
    fn assert_equals(&self, read: &impl Read, shard: &Keyspace) {
        assert_eq!(read.len(), self.len() as u64);
        for (key, members) in self {
            let entry = read.get(&shard.hasher().key(key)).expect("a key that is to be there");
            assert_eq!(entry.kind(), Kind::SortedSet);
            let view = entry.sorted();
            let expected = ordered(members);
            let mut all = Vec::new();
            view.each_from(0, &mut |name, score| {
                all.push((name, score));
                true
            });
            assert_eq!(all, expected);
            all.clear();
            let end = expected.len() as u64 / 2;
            view.each_back_from(end, &mut |name, score| {
                all.push((name, score));
                all.len() < 10
            });
            assert!(all.iter().eq(expected[..end as usize].iter().rev().take(10)));
            for (rank, (name, score)) in expected.iter().enumerate().step_by(7) {
                assert_eq!(view.score(name), Some(*score));
                assert_eq!(view.rank(name), Some((rank as u64, *score)));
                let lower = expected.iter().filter(|(_, other)| other.cmp(score).is_lt()).count() as u64;
                let same = expected.iter().filter(|(_, other)| other.cmp(score).is_eq()).count() as u64;
                assert_eq!(view.count_before(Bound::BeforeScore(*score)), lower);
                assert_eq!(view.count_before(Bound::BehindScore(*score)), lower + same);
            }
            assert_eq!(view.score(b"nobody"), None);
            let (map, mut names, mut cursor) = (view.as_map(), BTreeSet::new(), 0);
            map.each(&mut |member| assert!(names.insert(member.name.to_vec())));
            assert!(names.iter().eq(members.keys()));
            map.random(members.len() as u64, &mut |member| assert!(members.contains_key(member.name)));
            names.clear();
            loop {
                cursor = map.scan(cursor, 7, &mut |Member { name, value, .. }| {
                    assert_eq!(value.as_slice().and_then(Score::from_bytes), Some(members[name]));
                    assert!(names.insert(name.to_vec()), "none is visited twice");
                });
                if cursor == 0 {
                    break;
                }
            }
            assert!(names.iter().eq(members.keys()));
        }
    }
}

/// The form in which they are added, as commands decide it, with a small bound.
fn form(shard: &Keyspace, key: &[u8], names: &[&[u8]]) -> SortedForm {
    let entry = shard.get(&shard.hasher().key(key));
    let view = entry.as_ref().map(|entry| entry.sorted());
    let len = view.as_ref().map_or(0, SortedView::len) + names.len() as u64;
    let large = view.as_ref().is_some_and(SortedView::is_large);
    if large || len > PACKED_MAX || !SortedForm::Packed.has_room(view.as_ref(), names.iter().copied()) {
        SortedForm::Large
    } else {
        SortedForm::Packed
    }
}

fn score(random: &mut Random, spread: u64) -> Score {
    let number = random.below(spread) as f64;
    let score = match random.below(12) {
        0 => -number,
        1 => number / 7.0,
        2 => f64::INFINITY,
        3 => f64::NEG_INFINITY,
        4 => -0.0,
        5 => 0.0,
        6 => number * 1e200,
        _ => number,
    };
    Score::new(score).unwrap()
}

fn run(seed: u64, steps: u64, names: u64, scores: u64) {
    println!("seed {seed}, {steps} steps, {names} names, {scores} scores");
    let mut random = Random(seed);
    let mut pair = ReplicatedShard::new();
    let mut model = Model::new();
    for step in 0..steps {
        let key = format!("key:{}", random.below(5)).into_bytes();
        let len = model.get(&key).map_or(0, |members| members.len() as u64);
        let many = random.below(15) == 0;
        let chosen: Vec<Vec<u8>> = (0..1 + random.below(if many { 50 } else { 3 }))
            .map(|_| {
                let number = random.below(names);
                if number.is_multiple_of(41) {
                    vec![b'n'; number as usize % 7000]
                } else {
                    format!("{number}").into_bytes()
                }
            })
            .collect();
        let chosen: Vec<&[u8]> = chosen.iter().map(Vec::as_slice).collect();
        let pairs: Vec<(&[u8], Score)> = chosen.iter().map(|name| (*name, score(&mut random, scores))).collect();
        let bytes: Vec<[u8; 8]> = pairs.iter().map(|(_, score)| score.to_bytes()).collect();
        let items: Vec<&[u8]> =
            pairs.iter().zip(&bytes).flat_map(|((name, _), score)| [*name, score.as_slice()]).collect();
        let items = Strings::from(items.as_slice());
        match random.below(100) {
            0..=54 => {
                let form = form(&pair.shard, &key, &chosen);
                let members = model.entry(key.clone()).or_default();
                pairs.iter().for_each(|(name, score)| {
                    members.insert(name.to_vec(), *score);
                });
                pair.change(&key, SortedChange::Put { form, items });
            }
            55..=80 if len > 0 => {
                let members = model.get_mut(&key).unwrap();
                chosen.iter().for_each(|name| {
                    members.remove(*name);
                });
                if members.is_empty() {
                    model.remove(&key);
                }
                pair.change(&key, SortedChange::Remove { names: chosen.as_slice().into() });
            }
            81..=87 if len > 0 => {
                let rank = random.below(len);
                let count = 1 + random.below((len - rank).min(if many { 40 } else { 3 }));
                let members = model.get_mut(&key).unwrap();
                let gone: Vec<Vec<u8>> = ordered(members)[rank as usize..(rank + count) as usize]
                    .iter()
                    .map(|(name, _)| name.to_vec())
                    .collect();
                gone.iter().for_each(|name| {
                    members.remove(name);
                });
                if members.is_empty() {
                    model.remove(&key);
                }
                pair.change(&key, SortedChange::Cut { rank, count });
            }
            88 => {
                let none: Option<&SortedView<'_, crate::arena::Arena>> = None;
                let packed = SortedForm::Packed.has_room(none, chosen.iter().copied());
                let form = if packed { SortedForm::Packed } else { SortedForm::Large };
                model.insert(key.clone(), pairs.iter().map(|(name, score)| (name.to_vec(), *score)).collect());
                pair.change(&key, SortedChange::Store { form, items });
            }
            89 if random.below(3) == 0 && model.remove(&key).is_some() => pair.change(&key, KeyChange::Del),
            90 if len > 0 => pair.change(&key, KeyChange::Expire(Some(UnixMillis(random.below(1000))))),
            _ => pair.reclaim(&mut random),
        }
        pair.compare_at_random(step, &mut random, &model);
    }
    pair.compare(&model);
}

#[test]
fn random_changes_of_small_ones() {
    for seed in 0..4 {
        run(seed, 3_000, 40, 10);
    }
}

#[test]
fn random_changes_of_large_ones() {
    run(10, 8_000, 5_000, 1_000_000);
    run(11, 6_000, 5_000, 3);
    run(12, 6_000, 2_000, 1_500);
}

#[test]
fn a_large_one_is_reclaimed_by_steps() {
    let mut shard = new_shard();
    let key = shard.hasher().key(b"sorted");
    shard.set(&shard.hasher().key(b"key"), b"value", None).unwrap();
    let before = shard.memory_bytes();
    for number in 0..40_000u32 {
        let (name, score) = (number.to_le_bytes(), Score::new(f64::from(number % 1000)).unwrap().to_bytes());
        let items: [&[u8]; 2] = [&name, &score];
        shard.change(&key, SortedChange::Put { form: SortedForm::Large, items: items.as_slice().into() }).unwrap();
    }
    shard.check(0, 1).unwrap();
    delete_frozen(&mut shard, &key);
    let steps = reclaim_all(&mut shard, 20);
    assert!(steps > 4, "{steps} steps");
    let left = shard.memory_bytes() - before;
    assert!(left < 3 * PAGE_BYTES as u64, "{left} bytes are left");
}

/// Each flipped bit of the root, of a leaf's items, of the table and of slots is refused. Two members of five share their score.
#[test]
fn flipped_bits_are_refused() {
    let mut shard = new_shard();
    let key = shard.hasher().key(b"sorted");
    for number in 0..5u32 {
        let (name, score) = (number.to_le_bytes(), Score::new(f64::from(number.min(3))).unwrap().to_bytes());
        let items: [&[u8]; 2] = [&name, &score];
        shard.change(&key, SortedChange::Put { form: SortedForm::Large, items: items.as_slice().into() }).unwrap();
    }
    let (record, head) = shard.record(&shard.locate(&key)).unwrap();
    let root = |at: usize| shard.arena().page(record.page()).u32_at(head.rest_at + at);
    let (table, leaf) = (Ref(root(16)), PageId(root(40)));
    let items = shard.arena().page(leaf);
    // The last one is in a slot: its bytes stand at the end of the items.
    let end = PAGE_BYTES - items.u16_at(16 + 2 * 4) as usize;
    let slot = Ref(u32::from_be_bytes(*items.bytes(end, 7)[3..].first_chunk().unwrap()));
    let mut refused = 0;
    let places = [
        (record.page(), head.rest_at..head.rest_at + head.rest_len),
        (leaf, end..PAGE_BYTES),
        (table.page(), table.offset()..table.offset() + 64),
        (slot.page(), slot.offset()..slot.offset() + 15),
    ];
    for (page, range) in places {
        for (at, bit) in range.flat_map(|at| (0..8).map(move |bit| (at, 1 << bit))) {
            let byte = shard.arena().page(page).u8_at(at);
            shard.arena_mut().page_mut(page).put_u8(at, byte ^ bit);
            assert!(shard.check(0, 1).is_err(), "bit {bit} of byte {at} of page {page}");
            shard.arena_mut().page_mut(page).put_u8(at, byte);
            refused += 1;
        }
    }
    assert!(refused > 1200, "{refused}");
    shard.check(0, 1).unwrap();
}

/// Whatever is frozen, a change takes and copies no more pages than it has reserved.
#[test]
fn pages_are_reserved() {
    let (mut shard, mut random, mut most) = (new_shard(), Random(1), 0);
    let key = shard.hasher().key(b"sorted");
    for step in 0..12_000 {
        let name = random.below(4_000).to_le_bytes();
        // From time to time only a few scores, so that members move to slots.
        let score = Score::new(random.below(if step % 3 == 0 { 1_000 } else { 1 << 40 }) as f64).unwrap().to_bytes();
        let items: [&[u8]; 2] = [&name, &score];
        let change = SortedChange::Put { form: SortedForm::Large, items: items.as_slice().into() };
        let frozen = (step % 20 == 0).then(|| shard.freeze());
        let planned = change.pages(&shard, &shard.locate(&key)).unwrap().unwrap() as u64;
        let pages = |shard: &Keyspace| {
            u64::from(shard.arena().pages_used()) + shard.arena().pool().bytes_retired() / PAGE_BYTES as u64
        };
        let before = pages(&shard);
        shard.change(&key, change).unwrap();
        let taken = pages(&shard).saturating_sub(before);
        assert!(taken <= planned, "step {step}: {taken} pages, {planned} planned");
        most = most.max(taken);
        drop(frozen);
    }
    println!("{most} pages at most");
    shard.check(0, 1).unwrap();
}

/// The members of a score move to slots when there is a second one, and stay there; an entry leads to one member always.
#[test]
fn ties_are_in_slots() {
    let mut shard = new_shard();
    let key = shard.hasher().key(b"sorted");
    let put = |shard: &mut Keyspace, name: &[u8], score: f64| {
        let score = Score::new(score).unwrap().to_bytes();
        let items: [&[u8]; 2] = [name, &score];
        shard.change(&key, SortedChange::Put { form: SortedForm::Large, items: items.as_slice().into() }).unwrap();
        shard.check(0, 1).unwrap();
    };
    let slots = |shard: &Keyspace| {
        let (record, head) = shard.record(&shard.locate(&key)).unwrap();
        shard.arena().page(record.page()).u64_at(head.rest_at + 32) / 16
    };
    put(&mut shard, b"a", 1.0);
    put(&mut shard, b"b", 2.0);
    assert_eq!(slots(&shard), 0);
    put(&mut shard, b"c", 2.0);
    assert_eq!(slots(&shard), 2, "both");
    put(&mut shard, b"c", 3.0);
    assert_eq!(slots(&shard), 1, "the other one stays");
    put(&mut shard, b"b", 4.0);
    assert_eq!(slots(&shard), 0, "until it moves itself");
    put(&mut shard, b"", 5.0);
    put(&mut shard, &[b'n'; 8000], 6.0);
    assert!(slots(&shard) > 500);
    let all: [&[u8]; 5] = [b"a", b"b", b"c", b"", &[b'n'; 8000]];
    shard.change(&key, SortedChange::Remove { names: all.as_slice().into() }).unwrap();
    shard.check(0, 1).unwrap();
}

#[test]
fn scores_ascend_as_doubles_do() {
    let doubles = [
        f64::NEG_INFINITY,
        f64::MIN,
        -1.5,
        -1.0,
        -f64::MIN_POSITIVE,
        0.0,
        5e-324,
        1.0,
        1.5,
        9_007_199_254_740_993.0,
        f64::MAX,
        f64::INFINITY,
    ];
    for pair in doubles.windows(2) {
        let (a, b) = (Score::new(pair[0]).unwrap(), Score::new(pair[1]).unwrap());
        assert!(a < b, "{pair:?}");
        assert_eq!(a.get().to_bits(), pair[0].to_bits());
        assert_eq!(Score::from_bytes(&a.to_bytes()), Some(a));
    }
    assert_eq!(Score::new(-0.0), Score::new(0.0));
    assert_eq!(Score::new(f64::NAN), None);
    assert_eq!(Score::from_bytes(&[0; 8]), None);
}

//! Random changes against plain lists.

use std::collections::{BTreeMap, VecDeque};

use super::*;
use crate::arena::PAGE_BYTES;
use crate::clock::UnixMillis;
use crate::effect::{KeyChange, Strings};
use crate::keyspace::tests::{Direct, Random, new_shard};
use crate::keyspace::{Keyspace, Read};
use crate::types::tests::{KeysModel, ReplicatedShard, delete_frozen, reclaim_all};
use crate::value::{Kind, ListView, ValueView};

type Model = BTreeMap<Vec<u8>, VecDeque<Vec<u8>>>;

/// Elements above which a list becomes a tree here.
const PACKED_MAX: u64 = 30;

fn owned(value: ValueView<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.range(0, value.len(), &mut bytes);
    bytes
}

impl KeysModel for Model {
    fn assert_equals(&self, read: &impl Read, shard: &Keyspace) {
        assert_eq!(read.len(), self.len() as u64);
        for (key, elements) in self {
            let entry = read.get(&shard.hasher().key(key)).expect("a key that is to be there");
            assert_eq!(entry.kind(), Kind::List);
            let view = entry.list();
            assert_eq!(view.len(), elements.len() as u64);
            let mut all = Vec::new();
            view.each_from(0, &mut |value| {
                all.push(owned(value));
                true
            });
            assert!(all.iter().eq(elements), "{:?}", all.len());
            all.clear();
            let end = elements.len() as u64 / 2;
            view.each_back_from(end, &mut |value| {
                all.push(owned(value));
                all.len() < 20
            });
            assert!(all.iter().eq(elements.iter().take(end as usize).rev().take(20)));
            for index in [0, end, elements.len() as u64 - 1] {
                assert_eq!(view.get(index).map(owned).as_ref(), elements.get(index as usize));
            }
            assert!(view.get(elements.len() as u64).is_none());
            let sought = &elements[end as usize];
            assert_eq!(view.find(sought), elements.iter().position(|element| element == sought).map(|at| at as u64));
            assert_eq!(view.find(b"nobody has put this"), None);
        }
    }
}

/// The form in which they are added, as commands decide it, with a small bound.
fn form(shard: &Keyspace, key: &[u8], more: &[&[u8]]) -> ListForm {
    let entry = shard.get(&shard.hasher().key(key));
    let view = entry.as_ref().map(|entry| entry.list());
    let len = view.as_ref().map_or(0, ListView::len) + more.len() as u64;
    let large = view.as_ref().is_some_and(ListView::is_large);
    if large || len > PACKED_MAX || !ListForm::Packed.has_room(view.as_ref(), more.iter().copied()) {
        ListForm::Tree
    } else {
        ListForm::Packed
    }
}

fn element(random: &mut Random) -> Vec<u8> {
    let len = match random.below(300) {
        0 => 4_080 + random.below(20),
        1 => 16_300 + random.below(100),
        2 => random.below(60_000),
        3..=6 => random.below(5_000),
        _ => random.below(40),
    };
    random.bytes(len as usize)
}

fn run(seed: u64, steps: u64, grows: u64) {
    println!("seed {seed}, {steps} steps");
    let mut random = Random(seed);
    let mut pair = ReplicatedShard::new();
    let mut model = Model::new();
    for step in 0..steps {
        let key = format!("key:{}", random.below(6)).into_bytes();
        let len = model.get(&key).map_or(0, |list| list.len() as u64);
        let grow = random.below(100) < grows;
        match random.below(100) {
            0..=49 if grow || len == 0 => {
                let many = random.below(15) == 0;
                let elements: Vec<Vec<u8>> =
                    (0..1 + random.below(if many { 50 } else { 3 })).map(|_| element(&mut random)).collect();
                let elements: Vec<&[u8]> = elements.iter().map(Vec::as_slice).collect();
                let (form, end) =
                    (form(&pair.shard, &key, &elements), if random.below(2) == 0 { End::Left } else { End::Right });
                let list = model.entry(key.clone()).or_default();
                for element in &elements {
                    if end == End::Left { list.push_front(element.to_vec()) } else { list.push_back(element.to_vec()) }
                }
                pair.change(&key, ListChange::Push { form, end, elements: elements.as_slice().into() });
            }
            50..=64 if len > 0 => {
                let (index, element) = (random.below(len), element(&mut random));
                let form = form(&pair.shard, &key, &[&element]);
                let list = model.get_mut(&key).unwrap();
                if random.below(2) == 0 {
                    list.insert(index as usize, element.clone());
                    pair.change(&key, ListChange::Insert { form, index, element: &element });
                } else {
                    list[index as usize] = element.clone();
                    pair.change(&key, ListChange::Set { form, index, element: &element });
                }
            }
            65..=79 if len > 0 => {
                let first = random.below(len);
                let count = 1 + random.below((len - first).min(if grow { 2 } else { 40 }));
                let cuts = if first > 0 { vec![(first, count), (0, 1)] } else { vec![(first, count)] };
                let list = model.get_mut(&key).unwrap();
                for (index, count) in &cuts {
                    list.drain(*index as usize..(index + count) as usize);
                }
                if list.is_empty() {
                    model.remove(&key);
                }
                pair.change(&key, ListChange::Cut { cuts: cuts.as_slice().into() });
            }
            80..=85 if len > 0 => {
                let from = if random.below(2) == 0 { End::Left } else { End::Right };
                let list = model.get_mut(&key).unwrap();
                if from == End::Left {
                    list.rotate_left(1)
                } else {
                    list.rotate_right(1)
                }
                pair.change(&key, ListChange::Rotate { from });
            }
            86 => {
                let elements = [element(&mut random), element(&mut random)];
                let elements = [elements[0].as_slice(), &elements[1]];
                let none: Option<&ListView<'_, crate::arena::Arena>> = None;
                let packed = ListForm::Packed.has_room(none, elements.iter().copied());
                let form = if packed { ListForm::Packed } else { ListForm::Tree };
                model.insert(key.clone(), elements.iter().map(|element| element.to_vec()).collect());
                pair.change(&key, ListChange::Store { form, elements: Strings::from(elements.as_slice()) });
            }
            87 if model.remove(&key).is_some() => pair.change(&key, KeyChange::Del),
            88 if len > 0 => pair.change(&key, KeyChange::Expire(Some(UnixMillis(random.below(1000))))),
            _ => pair.reclaim(&mut random),
        }
        pair.compare_at_random(step, &mut random, &model);
    }
    pair.compare(&model);
}

#[test]
fn random_changes_of_small_ones() {
    for seed in 0..4 {
        run(seed, 3_000, 50);
    }
}

#[test]
fn random_changes_of_large_ones() {
    for seed in 10..12 {
        run(seed, 10_000, 92);
    }
}

/// Given up at once and freed by steps, with long elements and without; an image may be made between any two of them.
#[test]
fn a_large_one_is_reclaimed_by_steps() {
    for long in [false, true] {
        let mut shard = new_shard();
        let key = shard.hasher().key(b"list");
        shard.set(&shard.hasher().key(b"key"), b"value", None).unwrap();
        let before = shard.memory_bytes();
        for number in 0..40_000u32 {
            let element = vec![number as u8; if long && number % 100 == 0 { 5_000 } else { 40 }];
            let elements = [element.as_slice()];
            let form = ListForm::Tree;
            shard
                .change(&key, ListChange::Push { form, end: End::Right, elements: elements.as_slice().into() })
                .unwrap();
        }
        shard.check(0, 1).unwrap();
        delete_frozen(&mut shard, &key);
        let steps = reclaim_all(&mut shard, 20);
        assert!(steps > 4, "{steps} steps");
        let left = shard.memory_bytes() - before;
        assert!(left < 3 * PAGE_BYTES as u64, "{left} bytes are left");
    }
}

/// An append at the edge leaves the page before it full.
#[test]
fn a_list_that_is_appended_to_takes_few_bytes_beside_its_elements() {
    let mut shard = new_shard();
    let key = shard.hasher().key(b"list");
    let before = shard.page_bytes();
    const ELEMENTS: u64 = 100_000;
    for number in 0..ELEMENTS {
        let element = [number as u8; 32];
        let elements = [element.as_slice()];
        let form = ListForm::Tree;
        shard.change(&key, ListChange::Push { form, end: End::Right, elements: elements.as_slice().into() }).unwrap();
    }
    let beside = (shard.page_bytes() - before) as f64 / ELEMENTS as f64 - 32.0;
    println!("{beside:.2} bytes beside an element of 32");
    assert!(beside < 4.0, "{beside}");
}

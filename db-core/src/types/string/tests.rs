//! Gaps: parts of a string in which nothing was ever written.

use std::collections::BTreeMap;

use super::*;
use crate::arena::PAGE_BYTES;
use crate::effect::KeyChange;
use crate::keyspace::tests::{Direct, Random, new_shard};
use crate::keyspace::{Keyspace, Read};
use crate::limits::VALUE_BYTES_MAX;
use crate::types::tests::{KeysModel, ReplicatedShard, reclaim_all};

/// Non-zero bytes of strings, and their lengths.
type Model = BTreeMap<Vec<u8>, (u64, BTreeMap<u64, u8>)>;

impl KeysModel for Model {
    fn assert_equals(&self, read: &impl Read, shard: &Keyspace) {
        assert_eq!(read.len(), self.len() as u64);
        for (key, (len, bytes)) in self {
            let entry = read.get(&shard.hasher().key(key)).expect("a key that is to be there");
            assert_eq!(entry.value().len(), *len);
            let mut at = 0;
            let mut there = BTreeMap::new();
            for piece in entry.value().chunks() {
                let found = (at..).zip(piece).filter(|(_, byte)| **byte != 0);
                there.extend(found.map(|(at, byte)| (at, *byte)));
                at += piece.len() as u64;
            }
            assert_eq!(at, *len);
            assert_eq!(there, *bytes);
        }
    }
}

fn patch(len: u64, afresh: bool, list: &mut PatchList) -> StringChange<'_> {
    StringChange::Patch { afresh, len, patches: list.finish() }
}

#[test]
fn what_is_written_far_away_takes_a_page_and_reads_as_zeros_before() {
    let mut shard = new_shard();
    let (key, far) = (shard.hasher().key(b"k"), VALUE_BYTES_MAX - 1);
    let empty = shard.memory_bytes();
    shard.change(&key, StringChange::SetAt { offset: far, bytes: b"x" }).unwrap();
    shard.change(&key, StringChange::SetRange { offset: 100_000_000, bytes: b"y" }).unwrap();
    shard.check(0, 1).unwrap();
    let taken = shard.memory_bytes() - empty;
    assert!(taken <= 8 * PAGE_BYTES as u64, "{taken} bytes");
    let entry = shard.get(&key).unwrap();
    assert!(entry.memory_bytes() < 5 * PAGE_BYTES as u64, "{}", entry.memory_bytes());
    let mut around = Vec::new();
    entry.value().range(99_999_999, 100_000_002, &mut around);
    entry.value().range(far - 2, far + 1, &mut around);
    assert_eq!(around, b"\0y\0\0\0x");
    shard.change(&key, KeyChange::Del).unwrap();
    reclaim_all(&mut shard, 10_000);
    assert!(shard.memory_bytes() - empty <= 2 * PAGE_BYTES as u64, "what was taken is free again");
}

#[test]
fn zeros_leave_a_gap_as_it_is_and_overwrite_what_is_there() {
    let mut shard = new_shard();
    let key = shard.hasher().key(b"k");
    shard.change(&key, StringChange::Set { value: &vec![0; 3_000_000], expire: None }).unwrap();
    assert!(shard.get(&key).unwrap().memory_bytes() < PAGE_BYTES as u64);
    shard.change(&key, StringChange::SetRange { offset: 2_000_000, bytes: b"abc" }).unwrap();
    shard.change(&key, StringChange::SetRange { offset: 2_000_001, bytes: b"\0" }).unwrap();
    let mut bytes = Vec::new();
    shard.get(&key).unwrap().value().range(1_999_999, 2_000_004, &mut bytes);
    assert_eq!(bytes, b"\0a\0c\0");
    shard.check(0, 1).unwrap();
}

#[test]
fn patches_far_apart_take_a_page_each() {
    let mut shard = new_shard();
    let key = shard.hasher().key(b"k");
    let mut list = PatchList::default();
    (0..2_000u64).for_each(|at| list.put(at * 200_000, 7));
    let change = patch(400_000_001, true, &mut list);
    shard.change(&key, change).unwrap();
    let entry = shard.get(&key).unwrap();
    assert_eq!(entry.value().chunks().flatten().filter(|byte| **byte == 7).count(), 2_000);
    assert_eq!(entry.value().len(), 400_000_001);
    assert!(entry.memory_bytes() < 2_010 * PAGE_BYTES as u64, "{}", entry.memory_bytes());
    shard.check(0, 1).unwrap();
}

/// Random writes near and far, on a shard and a replica, with versions frozen, images, and reclaiming between them.
#[test]
fn random_gaps_are_those_of_a_model() {
    let mut random = Random(77);
    let (mut both, mut model) = (ReplicatedShard::<Model>::new(), Model::new());
    for step in 0..3_000 {
        let key = vec![b'a' + random.below(4) as u8];
        let offset = match random.below(4) {
            0 => random.below(100),
            1 => random.below(40_000),
            2 => random.below(2_000_000),
            _ => random.below(90_000_000),
        };
        let mut written: BTreeMap<u64, u8> = BTreeMap::new();
        let old = model.get(&key).map(|(len, _)| *len);
        match random.below(10) {
            0 if old.is_some() => {
                both.change(&key, KeyChange::Del);
                model.remove(&key);
                both.reclaim(&mut random);
                continue;
            }
            1..=4 => {
                let len = 1 + random.below(200) as usize;
                let bytes = random.bytes(len);
                written.extend((offset..).zip(bytes.iter().copied()));
                match old {
                    Some(_) => both.change(&key, StringChange::SetRange { offset, bytes: &bytes }),
                    None => both.change(&key, StringChange::SetAt { offset, bytes: &bytes }),
                }
            }
            5 => {
                let tail = vec![0; random.below(60_000) as usize + 1];
                match old {
                    Some(len) => {
                        written.insert(len + tail.len() as u64 - 1, 0);
                        both.change(&key, StringChange::Append { tail: &tail });
                    }
                    None => {
                        written.insert(tail.len() as u64 - 1, 0);
                        both.change(&key, StringChange::Set { value: &tail, expire: None });
                    }
                }
            }
            _ => {
                let mut list = PatchList::default();
                let places = (0..random.below(5)).map(|_| (offset + random.below(50_000), random.below(3) as u8));
                written.extend(places.collect::<BTreeMap<_, _>>());
                written.iter().for_each(|(at, byte)| list.put(*at, *byte));
                let len = written.keys().last().map_or(0, |last| last + 1).max(offset + 1);
                let afresh = old.is_none() || random.below(8) == 0;
                if afresh {
                    model.remove(&key);
                }
                both.change(&key, patch(len, afresh, &mut list));
                written.entry(len - 1).or_insert_with(|| {
                    model.get(&key).and_then(|(_, bytes)| bytes.get(&(len - 1))).copied().unwrap_or(0)
                });
            }
        }
        let (len, bytes) = model.entry(key).or_default();
        for (at, byte) in written {
            *len = (*len).max(at + 1);
            if byte == 0 {
                bytes.remove(&at)
            } else {
                bytes.insert(at, byte)
            };
        }
        both.compare_at_random(step, &mut random, &model);
    }
    both.compare(&model);
}

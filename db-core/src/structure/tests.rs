//! Allocator and expiry index against plain collections.

use std::collections::{BTreeMap, BTreeSet};

use super::{expiry, root, slab};
use crate::arena::{Arena, PagePool, Pages, Ref};
use crate::keyspace::tests::Random;

fn arena() -> Arena {
    let mut arena = Arena::new(&PagePool::new(0));
    root::create(&mut arena, 1);
    arena
}

fn assert_expiry(arena: &Arena, expected: &BTreeSet<(u64, Ref)>) {
    let mut claimed = BTreeSet::new();
    let mut items = Vec::new();
    expiry::check(arena, &mut |id| arena.is_used(id) && claimed.insert(id), &mut |item| {
        items.push(item);
        Ok(())
    })
    .unwrap();
    assert!(items.iter().eq(expected));
    assert_eq!(claimed.len() + 1, arena.pages_used() as usize, "no node is lost");
    assert_eq!(expiry::first(arena), expected.first().copied());
}

#[test]
fn expiry_index_against_a_set() {
    for seed in 1..=3 {
        println!("seed {seed}");
        let mut random = Random(seed);
        let mut arena = arena();
        let mut expected = BTreeSet::new();
        // Grows to tens of thousands, then shrinks to nothing.
        for step in 0..120_000u64 {
            let item = (random.below(500), Ref(1 + random.below(200) as u32));
            let grow = random.below(10) < if step < 60_000 { 8 } else { 1 };
            if grow && expected.insert(item) {
                expiry::insert(&mut arena, item);
            } else if let Some(item) = expected.range(item..).next().copied() {
                expected.remove(&item);
                expiry::remove(&mut arena, item);
            }
            if step % 10_000 == 0 {
                assert_expiry(&arena, &expected);
            }
        }
        while let Some(item) = expected.pop_first() {
            assert_eq!(expiry::first(&arena), Some(item));
            expiry::remove(&mut arena, item);
        }
        assert_expiry(&arena, &expected);
    }
}

/// Times that only grow leave full nodes behind.
#[test]
fn expiry_index_of_three_levels() {
    let mut random = Random(8);
    let mut arena = arena();
    let mut expected: BTreeSet<(u64, Ref)> = (0..1_000_000).map(|time| (time * 2, Ref(1))).collect();
    expected.iter().for_each(|item| expiry::insert(&mut arena, *item));
    // 1169 items of 12 bytes and their slots a leaf, 584 leaves an inner node.
    assert!(arena.pages_used() < 1_000_000 / 1169 + 6);
    for _ in 0..20_000 {
        let item = (random.below(2_000_000), Ref(2));
        if expected.insert(item) {
            expiry::insert(&mut arena, item);
        }
    }
    assert_expiry(&arena, &expected);
    let gone: Vec<_> = expected.iter().copied().filter(|_| random.below(100) != 0).collect();
    for item in gone {
        expected.remove(&item);
        expiry::remove(&mut arena, item);
    }
    assert_expiry(&arena, &expected);
}

#[test]
fn slots_against_a_map() {
    for seed in 1..=3 {
        println!("seed {seed}");
        let mut random = Random(seed);
        let mut arena = arena();
        let mut slots: BTreeMap<u32, (usize, u8)> = BTreeMap::new();
        for step in 0..20_000u64 {
            let grow = random.below(10) < if step < 10_000 { 6 } else { 4 };
            if grow {
                let longest = if random.below(20) == 0 { 16_352 } else { 400 };
                let bytes = 1 + random.below(longest) as usize;
                let (at, mark) = (slab::allocate(&mut arena, bytes), random.next() as u8);
                arena.page_mut(at.page()).bytes_mut(at.offset(), bytes).fill(mark);
                assert!(slots.insert(at.0, (bytes, mark)).is_none(), "a slot is given out once");
            } else if let Some(at) = slots.keys().nth(random.below(slots.len().max(1) as u64) as usize).copied() {
                let (bytes, mark) = slots[&at];
                let page = arena.page(Ref(at).page());
                assert!(page.bytes(Ref(at).offset(), bytes).iter().all(|byte| *byte == mark));
                slots.remove(&at);
                slab::free(&mut arena, Ref(at));
            }
        }
        let left: Vec<u32> = slots.into_keys().collect();
        left.into_iter().for_each(|at| slab::free(&mut arena, Ref(at)));
        assert!(arena.pages_used() as usize <= 1 + slab::CLASSES, "empty pages are given back, one a class is kept");
    }
}

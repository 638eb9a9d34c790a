//! Allocator and expiry index against plain collections.

use std::collections::{BTreeMap, BTreeSet};

use super::expiry::ExpiryIndex;
use super::heap::Heap;
use super::{expiry, root, slab};
use crate::arena::{Arena, PagePool, Pages, Ref};
use crate::ids::DatabaseId;
use crate::keyspace::tests::Random;

const INDEX: ExpiryIndex = root::expiry_of(DatabaseId(3));

fn arena() -> Arena {
    let mut arena = Arena::new(&PagePool::new(0));
    root::create(&mut arena, 1);
    arena
}

fn assert_expiry(arena: &Arena, expected: &BTreeSet<(u64, Ref)>) {
    let mut claimed = BTreeSet::new();
    let mut items = Vec::new();
    expiry::check(arena, INDEX, &mut |id| arena.is_used(id) && claimed.insert(id), &mut |item| {
        items.push(item);
        Ok(())
    })
    .unwrap();
    assert!(items.iter().eq(expected));
    assert_eq!(claimed.len() + 1, arena.pages_used() as usize, "no node is lost");
    assert_eq!(expiry::first(arena, INDEX), expected.first().copied());
    assert_eq!(expiry::len(arena, INDEX), expected.len() as u64);
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
                expiry::insert(&mut arena, INDEX, item);
            } else if let Some(item) = expected.range(item..).next().copied() {
                expected.remove(&item);
                expiry::remove(&mut arena, INDEX, item);
            }
            if step % 10_000 == 0 {
                assert_expiry(&arena, &expected);
            }
        }
        while let Some(item) = expected.pop_first() {
            assert_eq!(expiry::first(&arena, INDEX), Some(item));
            expiry::remove(&mut arena, INDEX, item);
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
    expected.iter().for_each(|item| expiry::insert(&mut arena, INDEX, *item));
    // 1169 items of 12 bytes and their slots a leaf, 584 leaves an inner node.
    assert!(arena.pages_used() < 1_000_000 / 1169 + 6);
    for _ in 0..20_000 {
        let item = (random.below(2_000_000), Ref(2));
        if expected.insert(item) {
            expiry::insert(&mut arena, INDEX, item);
        }
    }
    assert_expiry(&arena, &expected);
    let gone: Vec<_> = expected.iter().copied().filter(|_| random.below(100) != 0).collect();
    for item in gone {
        expected.remove(&item);
        expiry::remove(&mut arena, INDEX, item);
    }
    assert_expiry(&arena, &expected);
}

#[test]
fn slots_against_a_map() {
    for seed in 1..=3 {
        println!("seed {seed}");
        let mut random = Random(seed);
        let mut arena = arena();
        let heaps = [Heap::SHARED, Heap::create(&mut arena), Heap::create(&mut arena)];
        let mut slots: BTreeMap<u32, (usize, u8)> = BTreeMap::new();
        for step in 0..20_000u64 {
            let grow = random.below(10) < if step < 10_000 { 6 } else { 4 };
            if grow {
                let longest = if random.below(20) == 0 { 16_352 } else { 400 };
                let bytes = 1 + random.below(longest) as usize;
                let heap = heaps[random.below(3) as usize];
                let (at, mark) = (slab::allocate_in(&mut arena, heap, bytes), random.next() as u8);
                assert_eq!(slab::SlabHeader::read(arena.page(at.page())).unwrap().heap, heap, "a page has one owner");
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
        let owner = heaps[2];
        for at in slots.into_keys().map(Ref) {
            if slab::SlabHeader::read(arena.page(at.page())).unwrap().heap != owner {
                slab::free(&mut arena, at);
            }
        }
        let owned = owner.pages(&arena) as usize;
        let kept = arena.pages_used() as usize - owned;
        assert!(kept <= 1 + 2 * slab::CLASSES, "empty pages are given back, one a class is kept");
        // What belongs to one owner goes page by page, and none of them is copied for a frozen version.
        let frozen = arena.freeze();
        let mut freed = 0;
        while let Some(now) = owner.drain(&mut arena, 7) {
            assert!(now == 7 && owner.is_draining(&arena), "steps are of the length that is asked for");
            freed += now;
        }
        assert!(owned > 20 && owned - freed <= 7, "{freed} of {owned} pages before the last step");
        assert_eq!(arena.pages_used() as usize, kept);
        let copied = u64::from(arena.pages_used()) + frozen.retired_pages() - (kept + owned) as u64;
        assert!(copied <= 2, "{copied}: the pages of the root and of what it was taken from");
        drop(frozen);
        assert_eq!(arena.slab_use.pages as usize, kept - 1);
    }
}

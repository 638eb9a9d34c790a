//! Damaged trees are refused, or can be read and worked with.

use super::*;
use crate::arena::PAGE_BYTES;

/// Reads all of a tree that a check has accepted; returns its items' number.
fn read_through<O: Order>(arena: &Arena, tree: &Tree<O>) -> u64 {
    let mut cursor = tree.cursor(arena, tree.start(arena));
    let forth = cursor.by_ref().count() as u64;
    let back = std::iter::from_fn(|| cursor.previous()).count() as u64;
    assert!(forth == tree.len(arena) && back == forth);
    for rank in [0, forth / 2, forth - 1] {
        let item = tree.get(arena, rank).unwrap();
        tree.find(arena, |there| there.cmp(item));
    }
    forth
}

/// Flips bits of all pages of a tree, one at a time; returns how many were accepted by the check.
fn flip_bits<O: Order>(arena: &mut Arena, tree: &Tree<O>, random: &mut Random, flips: usize) -> usize {
    let pages: Vec<u32> = (HANDLES.0 + 1..arena.page_bound()).collect();
    let mut accepted = 0;
    for number in 0..flips {
        let at = match number {
            // Each bit of the handle, then each one where headers and slots begin, then any.
            0..128 => (HANDLES, number / 8, number % 8),
            128..4096 => {
                let bit = number - 128;
                (PageId(pages[bit % pages.len()]), bit / pages.len() / 8, bit / pages.len() % 8)
            }
            _ => {
                let page = PageId(pages[random.below(pages.len() as u64) as usize]);
                (page, random.below(PAGE_BYTES as u64) as usize, random.below(8) as usize)
            }
        };
        let flip = |arena: &mut Arena| {
            let page = arena.page_mut(at.0);
            let byte = page.u8_at(at.1);
            page.put_u8(at.1, byte ^ 1 << at.2);
        };
        flip(arena);
        let mut claimed = BTreeSet::new();
        let verdict =
            tree.check(arena, &mut |id| arena.is_used(id) && id > HANDLES && claimed.insert(id), &mut |_| Ok(()));
        if verdict.is_ok() {
            accepted += 1;
            read_through(arena, tree);
        }
        flip(arena);
    }
    accepted
}

#[test]
fn flipped_bits_are_refused_or_harmless() {
    let mut single = Single::new(7, 0);
    while single.arena.pages_used() < 7 {
        single.step(true);
    }
    let accepted = flip_bits(&mut single.arena, &list(0), &mut single.random, 10_000);
    println!("{accepted} of 10000 in a list are accepted");
    assert!((1_000..8_000).contains(&accepted), "those in items are");
    let mut arena = new_arena();
    for number in 0..2_000_u32 {
        let item = number.wrapping_mul(0x9e37_79b9).to_be_bytes();
        let at = ordered(0).find(&arena, |there| there.cmp(&item));
        ordered(0).insert(&mut arena, &at, &item);
    }
    let accepted = flip_bits(&mut arena, &ordered(0), &mut single.random, 10_000);
    println!("{accepted} of 10000 in an ordered tree are accepted");
    assert!(accepted < 2_500, "those that keep the order are");
}

/// Several bytes of damage at once, where they hurt. What is accepted nevertheless can also be worked with.
#[test]
fn damage_never_crashes() {
    let mut single = Single::new(8, 1);
    while single.arena.pages_used() < 8 {
        single.step(true);
    }
    let pages: Vec<Vec<u8>> =
        (1..single.arena.page_bound()).map(|id| single.arena.page(PageId(id)).all().to_vec()).collect();
    let (mut refused, mut worked_with, mut random) = (0, 0, single.random);
    let mut arena = loaded(&pages);
    for _ in 0..4_000 {
        for _ in 0..=random.below(3) {
            let id = PageId(1 + random.below(pages.len() as u64) as u32);
            let handle = HANDLE_BYTES as u64;
            let offset = if id == HANDLES { handle + random.below(handle) } else { random.below(64) };
            arena.page_mut(id).put_u8(offset as usize, random.below(9) as u8);
        }
        let mut items = Vec::new();
        let mut claimed = BTreeSet::new();
        let verdict =
            ordered(1).check(&arena, &mut |id| arena.is_used(id) && id > HANDLES && claimed.insert(id), &mut |item| {
                items.push(item);
                Ok(())
            });
        if verdict.is_ok() && claimed.len() + 2 == arena.pages_used() as usize {
            let mut single =
                Single { random: random.clone(), arena: loaded(&pages), number: 1, content: vec![vec![]; 4] };
            single.content[1] = items.into_iter().map(<[u8]>::to_vec).collect();
            (1..arena.page_bound()).map(PageId).for_each(|id| {
                single.arena.page_mut(id).all_mut().copy_from_slice(arena.page(id).all());
            });
            (0..50).for_each(|_| single.step(false));
            assert_trees(&single.arena, &single.content);
            worked_with += 1;
        }
        refused += usize::from(verdict.is_err());
        for (index, bytes) in pages.iter().enumerate() {
            arena.page_mut(PageId(index as u32 + 1)).all_mut().copy_from_slice(bytes);
        }
    }
    println!("{refused} refused, {worked_with} worked with");
    assert!(refused > 2_000 && worked_with > 20);
}

/// An arena with these pages from page 1 on.
fn loaded(pages: &[Vec<u8>]) -> Arena {
    let mut arena = new_arena();
    for (index, bytes) in pages.iter().enumerate() {
        let id = if index == 0 { HANDLES } else { arena.allocate() };
        arena.page_mut(id).all_mut().copy_from_slice(bytes);
    }
    arena
}

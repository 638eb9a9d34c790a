//! How full nodes are, and what happens when they get small.

use super::*;
use crate::arena::PAGE_BYTES;

/// Bytes of items, with what a leaf needs for each, of all bytes of pages.
fn fill(arena: &Arena, tree: Tree<ByPosition>) -> f64 {
    let items: usize = tree.cursor(arena, tree.start(arena)).map(|item| item.len() + 2).sum();
    items as f64 / ((arena.pages_used() - 2) as usize * PAGE_BYTES) as f64
}

#[test]
fn growing_at_an_end_leaves_full_nodes() {
    let mut random = Random(4);
    let items: Vec<Vec<u8>> = (0..30_000_u32)
        .map(|number| {
            let len = random.below(200) as usize;
            [&number.to_be_bytes()[..], &bytes(&mut random, len)].concat()
        })
        .collect();
    let (mut up, mut down) = (new_arena(), new_arena());
    let (mut pushed, mut popped) = (new_arena(), new_arena());
    for (item, back) in items.iter().zip(items.iter().rev()) {
        let at = ordered(0).find(&up, |there| there.cmp(item));
        ordered(0).insert(&mut up, &at, item);
        let at = ordered(0).find(&down, |there| there.cmp(back));
        ordered(0).insert(&mut down, &at, back);
        let at = list(0).end(&pushed);
        list(0).insert(&mut pushed, &at, item);
        let at = list(0).start(&popped);
        list(0).insert(&mut popped, &at, back);
    }
    for arena in [&up, &down, &pushed, &popped] {
        assert!(list(0).cursor(arena, list(0).start(arena)).eq(&items));
        let fill = fill(arena, list(0));
        println!("fill {fill:.3}");
        assert!(fill >= 0.97);
    }
    // A queue gives its pages up as it goes, and its leaves are not shared out on the way.
    for item in &items {
        let at = list(0).start(&pushed);
        assert_eq!(at.item(&pushed), Some(&item[..]));
        list(0).remove(&mut pushed, &at);
    }
    assert_eq!(pushed.pages_used(), 2);
}

#[test]
fn nodes_stay_two_fifths_full() {
    let mut random = Random(5);
    let mut arena = new_arena();
    let mut left = Vec::new();
    for number in 0..40_000 {
        let item = bytes(&mut random, 16);
        let at = ordered(0).find(&arena, |there| there.cmp(&item));
        ordered(0).insert(&mut arena, &at, &item);
        left.push(item);
        if number % 8_000 == 7_999 {
            println!("random inserts: fill {:.3}", fill(&arena, list(0)));
        }
    }
    assert!(fill(&arena, list(0)) > 0.8);
    while left.len() > 4_000 {
        let item = left.swap_remove(random.below(left.len() as u64) as usize);
        let at = ordered(0).find(&arena, |there| there.cmp(&item));
        ordered(0).remove(&mut arena, &at);
    }
    println!("random removals: fill {:.3}", fill(&arena, list(0)));
    assert!(fill(&arena, list(0)) > 0.4);
}

/// Removals in one region after the other of a tree whose nodes are all full: nodes on every level take from full
/// neighbours on either side, and below full ones, while separators get shorter and longer.
#[test]
fn small_nodes_take_from_full_neighbours() {
    for seed in 10..=12 {
        let mut single = Single::new(seed, 1);
        for number in 0..6_000_u32 {
            // Of eight neighbours that differ late, the first one differs early from what is before it.
            let mut item = (number / 8).to_be_bytes().to_vec();
            item.resize(110, 0);
            item.extend(number.to_be_bytes());
            item.resize(1_000 + number as usize % 1_000, 1);
            let at = ordered(1).end(&single.arena);
            ordered(1).insert(&mut single.arena, &at, &item);
            single.content[1].push(item);
        }
        assert_eq!(ordered(1).handle(&single.arena).height, 3);
        let mut start = 0;
        for step in 0..5_600 {
            let len = single.content[1].len() as u64;
            if step % 700 == 0 {
                start = single.random.below(len - len / 6);
                assert_trees(&single.arena, &single.content);
            }
            let rank = (start + single.random.below(len / 6)).min(len - 1);
            single.apply(&Change::Remove(rank as usize));
        }
        assert_reads(&single.arena, &single.content, &mut single.random);
    }
}

/// A full inner node has no room for longer separators: then it has empty ones, and searches go on below.
#[test]
fn full_nodes_do_with_empty_separators() {
    let mut single = Single::new(13, 1);
    let root = |arena: &Arena| ordered(1).handle(arena).root.unwrap();
    for number in 0.. {
        // Four a leaf, of which the first one alone differs early from what is before it.
        let mut item = (number / 4_u32).to_be_bytes().to_vec();
        item.resize(110, 0);
        item.extend(number.to_be_bytes());
        item.resize(4_000, 1);
        single.apply(&Change::Insert(number as usize, item));
        if number >= 4 && node::INNER.used(single.arena.page(root(&single.arena))) + 40 > node::CAPACITY {
            break;
        }
    }
    for leaf in [300, 200, 100] {
        (0..3).for_each(|_| single.apply(&Change::Remove(leaf * 4)));
    }
    let page = single.arena.page(root(&single.arena));
    let empty = (1..node::count(page)).filter(|index| node::INNER.len(page, *index) == 0).count();
    assert_eq!(empty, 3);
    assert_trees(&single.arena, &single.content);
    assert_reads(&single.arena, &single.content, &mut single.random);
    for rank in 390..410 {
        let item = single.content[1][rank].clone();
        assert_eq!(
            ordered(1).rank(&single.arena, &ordered(1).find(&single.arena, |there| there.cmp(&item))),
            rank as u64
        );
        single.apply(&Change::Remove(rank));
        single.apply(&Change::Insert(rank, item));
    }
    assert_trees(&single.arena, &single.content);
}

//! Trees against plain vectors, several in one arena.

mod damage;
mod fill;

use std::collections::BTreeSet;

use super::*;
use crate::arena::{FrozenShard, PAGE_BYTES, PagePool};
use crate::keyspace::tests::Random;
use crate::structure::root;

/// Where the handles stand.
const HANDLES: PageId = PageId(1);

/// Pages in use, and those kept for frozen versions alone.
fn pages(arena: &Arena) -> u64 {
    u64::from(arena.pages_used()) + arena.pool().bytes_retired() / PAGE_BYTES as u64
}

fn new_arena() -> Arena {
    let mut arena = Arena::new(&PagePool::new(0));
    root::create(&mut arena, 1);
    assert_eq!(arena.allocate(), HANDLES);
    arena
}

/// What a tree of a test holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A list of items of all lengths, mostly short.
    List,
    /// Strings of few letters: many are the beginning of others, some share more than a separator has room for.
    Set,
    /// A key of 124 bytes of which most are the same, then some KiB that may be replaced.
    Map,
}

const KINDS: [Kind; 4] = [Kind::List, Kind::Set, Kind::Map, Kind::List];
const KEY_BYTES: usize = 124;

type Content = Vec<Vec<Vec<u8>>>;

fn list(number: usize) -> Tree<ByPosition> {
    Tree::at(HANDLES, HANDLE_BYTES * number, ByPosition)
}

fn ordered(number: usize) -> Tree<ByBytes> {
    Tree::at(HANDLES, HANDLE_BYTES * number, ByBytes)
}

fn bytes(random: &mut Random, len: usize) -> Vec<u8> {
    (0..len).map(|_| random.next() as u8).collect()
}

fn new_item(random: &mut Random, kind: Kind) -> Vec<u8> {
    match kind {
        Kind::List => {
            let len = match random.below(40) {
                0 => 1 + random.below(ITEM_BYTES_MAX as u64),
                1 => ITEM_BYTES_MAX as u64,
                2..=6 => 1 + random.below(400),
                _ => 1 + random.below(24),
            };
            bytes(random, len as usize)
        }
        Kind::Set => {
            let mut item = vec![b'p'; if random.below(4) == 0 { random.below(300) as usize } else { 0 }];
            let longest = if random.below(20) == 0 { 3000 } else { 12 };
            let len = 1 + random.below(longest);
            item.extend((0..len).map(|_| b'a' + random.below(3) as u8));
            item
        }
        Kind::Map => {
            let mut item = vec![b'k'; KEY_BYTES - 4];
            item.extend((random.below(1 << 32) as u32).to_be_bytes());
            let len = random.below(3600) as usize;
            item.extend(bytes(random, len));
            item
        }
    }
}

/// One decided change.
#[derive(Clone, Debug)]
enum Change {
    Insert(usize, Vec<u8>),
    Remove(usize),
    Replace(usize, Vec<u8>),
    RemoveRange(usize, usize),
    FreeSome(usize),
    Free,
}

/// Where a key belongs: what is compared in a map is the key alone.
fn compare(kind: Kind, item: &[u8], sought: &[u8]) -> Ordering {
    match kind {
        Kind::Map => item[..item.len().min(KEY_BYTES)].cmp(&sought[..KEY_BYTES]),
        _ => item.cmp(sought),
    }
}

fn change(random: &mut Random, kind: Kind, model: &[Vec<u8>], grows: bool) -> Option<Change> {
    let len = model.len();
    let place = |random: &mut Random| random.below(len.max(1) as u64) as usize;
    let inserts = if grows { 70 } else { 30 };
    let number = random.below(100);
    if number < inserts || len == 0 {
        let item = new_item(random, kind);
        let rank = match (kind, random.below(4)) {
            (Kind::List, 0) => len,
            (Kind::List, 1) => 0,
            (Kind::List, _) => random.below(len as u64 + 1) as usize,
            _ => match model.binary_search_by(|there| compare(kind, there, &item)) {
                Ok(_) => return None,
                Err(rank) => rank,
            },
        };
        return Some(Change::Insert(rank, item));
    }
    Some(match number {
        70..=79 if kind == Kind::List => Change::Replace(place(random), new_item(random, kind)),
        70..=79 if kind == Kind::Map => {
            let rank = place(random);
            let mut item = model[rank].clone();
            item.truncate(KEY_BYTES);
            let more = random.below(3600) as usize;
            item.extend(bytes(random, more));
            Change::Replace(rank, item)
        }
        96 => Change::RemoveRange(place(random), random.below(6) as usize),
        97 if random.below(4) == 0 => Change::RemoveRange(place(random), random.below(60) as usize),
        98 if random.below(60) == 0 => Change::RemoveRange(place(random), random.below(len as u64 + 10) as usize),
        99 if random.below(150) == 0 => Change::FreeSome(random.below(20) as usize),
        99 if random.below(150) == 0 => Change::Free,
        _ => Change::Remove(place(random)),
    })
}

fn apply_to<O: Order>(arena: &mut Arena, tree: Tree<O>, kind: Kind, model: &[Vec<u8>], change: &Change) {
    match change {
        Change::Insert(rank, item) => {
            let at = match kind {
                Kind::List if *rank == model.len() => tree.end(arena),
                Kind::List => tree.seek(arena, *rank as u64),
                _ => tree.find(arena, |there| compare(kind, there, item)),
            };
            assert_eq!(tree.rank(arena, &at), *rank as u64);
            tree.insert(arena, &at, item);
        }
        Change::Remove(rank) => {
            let item = &model[*rank];
            let at = match kind {
                Kind::List => tree.seek(arena, *rank as u64),
                _ => tree.find(arena, |there| compare(kind, there, item)),
            };
            assert!(tree.rank(arena, &at) == *rank as u64 && at.item(arena) == Some(item));
            tree.remove(arena, &at);
        }
        Change::Replace(rank, item) => {
            let at = tree.seek(arena, *rank as u64);
            tree.replace(arena, &at, item);
        }
        Change::RemoveRange(rank, count) => tree.remove_range(arena, *rank as u64, *count as u64),
        Change::FreeSome(pages) => {
            let before = arena.pages_used() as usize;
            let done = tree.free_some(arena, *pages);
            assert!(before - arena.pages_used() as usize <= (*pages).max(HEIGHT_MAX));
            assert_eq!(done, tree.len(arena) == 0);
        }
        Change::Free => tree.free(arena),
    }
}

fn apply_to_model(model: &mut Vec<Vec<u8>>, change: &Change, len: u64) {
    match change {
        Change::Insert(rank, item) => model.insert(*rank, item.clone()),
        Change::Remove(rank) => drop(model.remove(*rank)),
        Change::Replace(rank, item) => model[*rank].clone_from(item),
        Change::RemoveRange(rank, count) => drop(model.drain(*rank..(rank + count).min(model.len()))),
        Change::FreeSome(_) => model.truncate(len as usize),
        Change::Free => model.clear(),
    }
    assert_eq!(model.len() as u64, len);
}

fn apply(arena: &mut Arena, number: usize, model: &[Vec<u8>], change: &Change) {
    match KINDS[number] {
        Kind::List => apply_to(arena, list(number), Kind::List, model, change),
        kind => apply_to(arena, ordered(number), kind, model, change),
    }
}

/// One tree in an arena of its own, with what it should hold.
struct Single {
    random: Random,
    arena: Arena,
    number: usize,
    content: Content,
}

impl Single {
    fn new(seed: u64, number: usize) -> Single {
        println!("seed {seed}");
        Single { random: Random(seed), arena: new_arena(), number, content: vec![Vec::new(); KINDS.len()] }
    }

    fn apply(&mut self, change: &Change) {
        let model = &mut self.content[self.number];
        apply(&mut self.arena, self.number, model, change);
        apply_to_model(model, change, list(self.number).len(&self.arena));
    }

    fn step(&mut self, grows: bool) {
        let change = change(&mut self.random, KINDS[self.number], &self.content[self.number], grows);
        change.iter().for_each(|change| self.apply(change));
    }
}

/// Checks all trees: they hold what they should, and no page belongs to nobody.
fn assert_trees(arena: &Arena, content: &Content) {
    let mut claimed = BTreeSet::new();
    for (number, model) in content.iter().enumerate() {
        let mut claim = |id| arena.is_used(id) && id > HANDLES && claimed.insert(id);
        let mut items = Vec::new();
        let mut visit = |item| {
            items.push(item);
            Ok(())
        };
        match KINDS[number] {
            Kind::List => list(number).check(arena, &mut claim, &mut visit).unwrap(),
            _ => ordered(number).check(arena, &mut claim, &mut visit).unwrap(),
        }
        assert!(items.iter().eq(model), "tree {number}");
    }
    assert_eq!(claimed.len() + 2, arena.pages_used() as usize, "no page is lost");
}

/// Reads trees in all ways, live or frozen.
fn assert_reads<P: Pages>(pages: &P, content: &Content, random: &mut Random) {
    for (number, model) in content.iter().enumerate() {
        let tree = list(number);
        assert_eq!(tree.len(pages), model.len() as u64);
        assert_eq!(tree.first(pages), model.first().map(|item| &item[..]));
        assert!(tree.cursor(pages, tree.start(pages)).eq(model));
        let mut cursor = tree.cursor(pages, tree.end(pages));
        assert!(model.iter().rev().all(|item| cursor.previous() == Some(item)) && cursor.previous().is_none());
        for _ in 0..10 {
            let rank = random.below(model.len() as u64 + 3);
            assert_eq!(tree.get(pages, rank), model.get(rank as usize).map(|item| &item[..]));
            let mut cursor = tree.cursor(pages, tree.seek(pages, rank));
            assert!(cursor.by_ref().eq(model.iter().skip(rank as usize)) && cursor.next().is_none());
            assert_eq!(cursor.previous(), model.last().map(|item| &item[..]));
            let kind = KINDS[number];
            if kind != Kind::List {
                let sought = new_item(random, kind);
                let at = ordered(number).find(pages, |item| compare(kind, item, &sought));
                let expected = model.partition_point(|item| compare(kind, item, &sought) == Ordering::Less);
                assert_eq!(tree.rank(pages, &at), expected as u64);
                assert_eq!(at.item(pages), model.get(expected).map(|item| &item[..]));
            }
        }
    }
}

fn assert_same_bytes(a: &Arena, b: &Arena) {
    for id in (0..a.page_bound().max(b.page_bound())).map(PageId) {
        assert_eq!(a.is_used(id), b.is_used(id));
        assert!(!a.is_used(id) || a.page(id).all() == b.page(id).all(), "page {id}");
    }
}

/// Random changes to four trees in two arenas, one of which freezes at random moments.
#[test]
fn random_changes_against_vectors() {
    for seed in 1..=2 {
        println!("seed {seed}");
        let mut random = Random(seed);
        let (mut plain, mut freezing) = (new_arena(), new_arena());
        let mut content: Content = vec![Vec::new(); KINDS.len()];
        let mut frozen: Vec<(FrozenShard, Content)> = Vec::new();
        let mut heights = BTreeSet::new();
        for step in 0..24_000 {
            let number = random.below(KINDS.len() as u64) as usize;
            let Some(change) = change(&mut random, KINDS[number], &content[number], step % 12_000 < 8_000) else {
                continue;
            };
            if random.below(400) == 0 && frozen.len() < 3 {
                frozen.push((freezing.freeze(), content.clone()));
            }
            let before = pages(&freezing);
            apply(&mut freezing, number, &content[number], &change);
            let taken = pages(&freezing).saturating_sub(before);
            assert!(matches!(change, Change::RemoveRange(..)) || taken <= PAGES_MAX as u64, "{taken} pages");
            apply(&mut plain, number, &content[number], &change);
            apply_to_model(&mut content[number], &change, list(number).len(&plain));
            heights.insert(list(number).handle(&plain).height);
            if random.below(500) == 0 && !frozen.is_empty() {
                let (version, then) = frozen.swap_remove(random.below(frozen.len() as u64) as usize);
                assert_reads(&version, &then, &mut random);
            }
            if step % 800 == 799 {
                assert_trees(&plain, &content);
                assert_reads(&plain, &content, &mut random);
                assert_same_bytes(&plain, &freezing);
            }
        }
        assert_eq!(heights, BTreeSet::from([0, 1, 2, 3]));
        for (number, model) in content.iter_mut().enumerate() {
            while !model.is_empty() {
                let change = Change::Remove(random.below(model.len() as u64) as usize);
                apply(&mut plain, number, model, &change);
                apply_to_model(model, &change, list(number).len(&plain));
            }
        }
        assert_eq!(plain.pages_used(), 2, "an emptied tree has no page");
        assert!(plain.page(HANDLES).all().iter().all(|byte| *byte == 0), "and a handle of zeros");
    }
}

#[test]
fn ranges_give_whole_pages_back() {
    let mut single = Single::new(0, 1);
    for number in 0..200_000_u32 {
        let at = ordered(1).end(&single.arena);
        let item = number.to_be_bytes().repeat(4);
        ordered(1).insert(&mut single.arena, &at, &item);
        single.content[1].push(item);
    }
    for (rank, count) in [(1, 3), (1_000, 50_000), (100_000, 70_000), (0, 20_000), (5, 1), (50_000, 20_000), (7, 9_000)]
    {
        single.apply(&Change::RemoveRange(rank, count));
        assert_trees(&single.arena, &single.content);
        assert!(single.arena.pages_used() as usize <= 5 + single.content[1].len() / 800);
    }
}

/// A large tree is given up in slices, and is a whole tree in between.
#[test]
fn slices_of_a_tree_are_given_up() {
    let mut single = Single::new(6, 2);
    while single.content[2].len() < 2_000 {
        single.step(true);
    }
    assert_eq!(ordered(2).handle(&single.arena).height, 3);
    let mut steps = 0;
    while !single.content[2].is_empty() {
        single.apply(&Change::FreeSome(7));
        assert_trees(&single.arena, &single.content);
        steps += 1;
        if steps == 30 {
            // It is not out of use: what comes and goes meanwhile finds its way.
            (0..300).for_each(|_| single.step(false));
        }
    }
    assert!(steps > 30);
    assert_eq!(single.arena.pages_used(), 2);
}

/// Nodes at the edges may have one entry alone, as an image from elsewhere or a tree that is given up may show.
#[test]
fn thin_trees_are_trees() {
    for height in 1..=HEIGHT_MAX {
        let mut single = Single::new(height as u64, 2);
        let item = new_item(&mut single.random, Kind::Map);
        ordered(2).counted(&mut single.arena, |arena| {
            let mut top = node::LEAF.create(arena);
            node::LEAF.insert(arena.page_mut(top), 0, &item);
            for _ in 1..height {
                let above = node::INNER.create(arena);
                let page = arena.page_mut(above);
                node::INNER.insert(page, 0, &[]);
                node::put_child(page, 0, top);
                node::put_items(page, 0, 1);
                top = above;
            }
            ordered(2).put_handle(arena, TreeHandle { root: Some(top), height, items: 1 });
        });
        single.content[2].push(item);
        assert_trees(&single.arena, &single.content);
        for step in 0..500 {
            single.step(step < 300);
            if step % 50 == 0 {
                assert_trees(&single.arena, &single.content);
            }
        }
        while let Some(rank) = single.content[2].len().checked_sub(1) {
            single.apply(&Change::Remove(single.random.clone().below(rank as u64 + 1) as usize));
        }
        assert_eq!(single.arena.pages_used(), 2);
    }
}

/// Items at both ends of one leaf come and go, so that its bytes have to slide.
#[test]
fn both_ends_of_a_leaf() {
    let mut single = Single::new(9, 0);
    for step in 0..6_000 {
        let len = single.content[0].len();
        let (place, grows) = (single.random.below(2) == 0, len == 0 || single.random.below(20) < 10 + step / 2_000);
        let bytes = bytes(&mut single.random, 1 + step as usize % 40);
        single.apply(&match (grows && len < 500, place) {
            (true, true) => Change::Insert(0, bytes),
            (true, false) => Change::Insert(len, bytes),
            (false, true) => Change::Remove(0),
            (false, false) => Change::Remove(len - 1),
        });
        if step % 100 == 0 {
            assert_trees(&single.arena, &single.content);
        }
    }
}

#[test]
fn separators_are_short_and_right() {
    let divides = |left: &[u8], right: &[u8]| {
        let separator = &right[..ByBytes.separator(left, right)];
        assert!(left < separator && separator <= right);
        separator.len()
    };
    assert_eq!(divides(b"a", b"b"), 1);
    assert_eq!(divides(b"a", b"aa"), 2);
    assert_eq!(divides(&[b'a'; 100], &[b'b'; 100]), SEPARATOR_BYTES_MIN);
    assert_eq!(divides(&[b'a'; 100], &[b'a'; 120]), 101);
    assert_eq!(divides(&[b'a'; 20], &[&[b'a'; 19][..], b"bcd"].concat()), 20);
    assert_eq!((HEIGHT_MAX, PAGES_MAX), (5, 12));
}

//! The expiry index: a B+tree of (time, record), so that what expires first is at its left end.
//!
//! ```text
//!   0  page type u8 = 5 (leaf) or 6 (inner), zero u8, entries u16
//!   4  reserved, zero
//!  16  leaf: 1364 x {time u64, record u32}; inner: 1023 x {time u64, record u32, child page u32}
//! ```
//!
//! An inner entry's key is a lower bound of its child's keys; that of the first is not looked at. Nodes are never empty. One
//! that has become small is merged with a neighbour if that leaves room; times that only grow leave full leaves behind.

use crate::arena::{Arena, PAGE_BYTES, Page, Pages, Ref};
use crate::ids::PageId;

use super::PageType;
use super::root;

const TYPE: usize = 0;
const COUNT: usize = 2;
const HEADER_BYTES: usize = 16;
const LEAF_ENTRY: usize = 12;
const INNER_ENTRY: usize = 16;
const CHILD: usize = 12;

/// What the tree is ordered by.
pub(crate) type Item = (u64, Ref);

/// How entries of one kind of node are laid out.
#[derive(Clone, Copy)]
struct Shape {
    entry: usize,
    max: usize,
}

const LEAF: Shape = Shape { entry: LEAF_ENTRY, max: (PAGE_BYTES - HEADER_BYTES) / LEAF_ENTRY };
const INNER: Shape = Shape { entry: INNER_ENTRY, max: (PAGE_BYTES - HEADER_BYTES) / INNER_ENTRY };

const fn shape(height: u32) -> Shape {
    if height == 1 { LEAF } else { INNER }
}

fn count(page: &Page) -> usize {
    page.u16_at(COUNT) as usize
}

impl Shape {
    fn at(self, index: usize) -> usize {
        HEADER_BYTES + index * self.entry
    }

    fn item(self, page: &Page, index: usize) -> Item {
        (page.u64_at(self.at(index)), Ref(page.u32_at(self.at(index) + 8)))
    }

    /// Entries below `item`.
    fn below(self, page: &Page, item: Item) -> usize {
        let (mut low, mut high) = (0, count(page));
        while low < high {
            let middle = (low + high) / 2;
            if self.item(page, middle) < item { low = middle + 1 } else { high = middle }
        }
        low
    }

    fn insert(self, page: &mut Page, index: usize, item: Item, child: Option<PageId>) {
        let count = count(page);
        assert!(count < self.max && index <= count, "a node is split before it is full");
        page.all_mut().copy_within(self.at(index)..self.at(count), self.at(index + 1));
        self.put(page, index, item);
        if let Some(child) = child {
            page.put_u32(self.at(index) + CHILD, child.0);
        }
        page.put_u16(COUNT, count as u16 + 1);
    }

    fn put(self, page: &mut Page, index: usize, item: Item) {
        page.put_u64(self.at(index), item.0);
        page.put_u32(self.at(index) + 8, item.1.0);
    }

    fn remove(self, page: &mut Page, index: usize) {
        let count = count(page);
        page.all_mut().copy_within(self.at(index + 1)..self.at(count), self.at(index));
        page.put_u16(COUNT, count as u16 - 1);
    }

    /// Moves the entries of `from` from `first` on to the end of `to`.
    fn move_tail(self, arena: &mut Arena, from: PageId, first: usize, to: PageId) {
        let (source, target) = arena.page_pair(from, to);
        let (all, there) = (count(source), count(target));
        let bytes = self.at(all) - self.at(first);
        target.bytes_mut(self.at(there), bytes).copy_from_slice(source.bytes(self.at(first), bytes));
        target.put_u16(COUNT, (there + all - first) as u16);
        arena.page_mut(from).put_u16(COUNT, first as u16);
    }
}

fn child(page: &Page, index: usize) -> PageId {
    PageId(page.u32_at(INNER.at(index) + CHILD))
}

/// The child that holds `item`, if any does.
fn child_of(page: &Page, item: Item) -> usize {
    let below = INNER.below(page, item);
    let equal = below < count(page) && INNER.item(page, below) == item;
    if equal { below } else { below.saturating_sub(1) }
}

fn create(arena: &mut Arena, height: u32) -> PageId {
    let id = arena.allocate();
    let page_type = if height == 1 { PageType::ExpiryLeaf } else { PageType::ExpiryInner };
    arena.page_mut(id).put_u8(TYPE, page_type as u8);
    id
}

/// What expires first.
pub(crate) fn first(pages: &impl Pages) -> Option<Item> {
    let mut id = root::some_page(root::expiry_root(pages))?;
    for _ in 1..root::expiry_height(pages) {
        id = child(pages.page(id), 0);
    }
    Some(LEAF.item(pages.page(id), 0))
}

/// Adds an item, which must not be there.
pub(crate) fn insert(arena: &mut Arena, item: Item) {
    let Some(top) = root::some_page(root::expiry_root(arena)) else {
        let leaf = create(arena, 1);
        LEAF.insert(arena.page_mut(leaf), 0, item, None);
        root::put_expiry_root(arena, leaf.0);
        root::put_expiry_height(arena, 1);
        return;
    };
    let height = root::expiry_height(arena);
    if let Some((bound, right)) = insert_into(arena, top, height, item, true) {
        let new = create(arena, height + 1);
        let page = arena.page_mut(new);
        INNER.insert(page, 0, (0, Ref::NULL), Some(top));
        INNER.insert(page, 1, bound, Some(right));
        root::put_expiry_root(arena, new.0);
        root::put_expiry_height(arena, height + 1);
    }
}

/// Adds below node `id`; answers a new right neighbour of it and its lower bound, if it had to split. `last`: the node is
/// the right-most of its level.
fn insert_into(arena: &mut Arena, id: PageId, height: u32, item: Item, last: bool) -> Option<(Item, PageId)> {
    if height == 1 {
        let index = LEAF.below(arena.page(id), item);
        return insert_here(arena, id, height, index, item, None, last);
    }
    let page = arena.page(id);
    let (index, entries) = (child_of(page, item), count(page));
    let (bound, right) = insert_into(arena, child(page, index), height - 1, item, last && index + 1 == entries)?;
    insert_here(arena, id, height, index + 1, bound, Some(right), last)
}

fn insert_here(
    arena: &mut Arena,
    id: PageId,
    height: u32,
    index: usize,
    item: Item,
    child: Option<PageId>,
    last: bool,
) -> Option<(Item, PageId)> {
    let shape = shape(height);
    let entries = count(arena.page(id));
    if entries < shape.max {
        shape.insert(arena.page_mut(id), index, item, child);
        return None;
    }
    // At the right end times only grow: leave a full node behind. Elsewhere halve.
    let kept = if last && index == entries { entries } else { entries / 2 };
    let right = create(arena, height);
    shape.move_tail(arena, id, kept, right);
    if index < kept {
        shape.insert(arena.page_mut(id), index, item, child);
    } else {
        shape.insert(arena.page_mut(right), index - kept, item, child);
    }
    Some((shape.item(arena.page(right), 0), right))
}

/// Takes an item out, which must be there.
pub(crate) fn remove(arena: &mut Arena, item: Item) {
    let top = root::some_page(root::expiry_root(arena)).expect("an item that is removed is in the expiry index");
    let height = root::expiry_height(arena);
    remove_from(arena, top, height, item);
    shrink(arena);
}

fn remove_from(arena: &mut Arena, id: PageId, height: u32, item: Item) {
    if height == 1 {
        let page = arena.page_mut(id);
        let index = LEAF.below(page, item);
        assert!(
            index < count(page) && LEAF.item(page, index) == item,
            "an item that is removed is in the expiry index"
        );
        LEAF.remove(page, index);
        return;
    }
    let page = arena.page(id);
    let index = child_of(page, item);
    let below = child(page, index);
    remove_from(arena, below, height - 1, item);
    let left = count(arena.page(below));
    if left == 0 {
        INNER.remove(arena.page_mut(id), index);
        arena.free(below);
    } else if left < shape(height - 1).max / 4 {
        merge_child(arena, id, index, height - 1);
    }
}

/// Merges a small child with a neighbour if both together leave a quarter free.
fn merge_child(arena: &mut Arena, parent: PageId, index: usize, height: u32) {
    let page = arena.page(parent);
    if count(page) < 2 {
        return;
    }
    let left = index.min(count(page) - 2);
    let (low, high) = (child(page, left), child(page, left + 1));
    let bound = INNER.item(page, left + 1);
    let shape = shape(height);
    if count(arena.page(low)) + count(arena.page(high)) > shape.max * 3 / 4 {
        return;
    }
    if height > 1 {
        // The first key of an inner node is not looked at, so it may be wrong; within a node it matters.
        INNER.put(arena.page_mut(high), 0, bound);
    }
    shape.move_tail(arena, high, 0, low);
    INNER.remove(arena.page_mut(parent), left + 1);
    arena.free(high);
}

/// Takes levels away that have become useless.
fn shrink(arena: &mut Arena) {
    while let Some(top) = root::some_page(root::expiry_root(arena)) {
        let height = root::expiry_height(arena);
        let page = arena.page(top);
        let (new_root, new_height) = match count(page) {
            0 => (0, 0),
            1 if height > 1 => (child(page, 0).0, height - 1),
            _ => return,
        };
        arena.free(top);
        root::put_expiry_root(arena, new_root);
        root::put_expiry_height(arena, new_height);
    }
}

/// Walks a tree that may be damaged: `claim` says whether a page may be a node (in use, and of nobody else), `visit` gets
/// every item in order.
pub(crate) fn check<P: Pages>(
    pages: &P,
    claim: &mut dyn FnMut(PageId) -> bool,
    visit: &mut dyn FnMut(Item) -> Result<(), &'static str>,
) -> Result<(), &'static str> {
    let height = root::expiry_height(pages);
    match root::some_page(root::expiry_root(pages)) {
        None if height == 0 => Ok(()),
        // 1023 ^ 3 nodes are more than a shard has pages.
        Some(top) if (1..=4).contains(&height) => {
            let mut walk = Walk { pages, claim, visit, low: (0, Ref::NULL) };
            walk.node(top, height, (0, Ref::NULL), (u64::MAX, Ref(u32::MAX)))
        }
        _ => Err("the expiry index has an impossible height"),
    }
}

struct Walk<'a, P> {
    pages: &'a P,
    claim: &'a mut dyn FnMut(PageId) -> bool,
    visit: &'a mut dyn FnMut(Item) -> Result<(), &'static str>,
    /// The item before, or the smallest possible.
    low: Item,
}

impl<P: Pages> Walk<'_, P> {
    /// Checks a node whose items are from `from` to before `to`.
    fn node(&mut self, id: PageId, height: u32, from: Item, to: Item) -> Result<(), &'static str> {
        if !(self.claim)(id) {
            return Err("a node of the expiry index is no page of its own");
        }
        let page = self.pages.page(id);
        let expected = if height == 1 { PageType::ExpiryLeaf } else { PageType::ExpiryInner };
        let entries = count(page);
        if page.u8_at(TYPE) != expected as u8 || entries == 0 || entries > shape(height).max {
            return Err("a node of the expiry index is malformed");
        }
        for index in 0..entries {
            if height == 1 {
                let item = LEAF.item(page, index);
                if item < from || item >= to || item <= self.low {
                    return Err("the expiry index is out of order");
                }
                self.low = item;
                (self.visit)(item)?;
            } else {
                let first = if index == 0 { from } else { INNER.item(page, index) };
                let last = if index + 1 == entries { to } else { INNER.item(page, index + 1) };
                self.node(child(page, index), height - 1, first, last)?;
            }
        }
        Ok(())
    }
}

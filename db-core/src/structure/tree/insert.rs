//! Insertion, replacement and splits.

use crate::arena::{Arena, Page};
use crate::ids::PageId;

use super::node::{self, CAPACITY, INNER, ITEM_BYTES_MAX, LEAF, NodeLayout};
use super::position::{Position, Step};
use super::remove::{neighbours, put_boundary};
use super::{HEIGHT_MAX, Order, Separator, Tree, TreeHandle};

/// Bytes of a leaf above which a full neighbour is split: what comes next would soon have to be shared out again.
const SPILLED_INTO_MAX: usize = CAPACITY * 7 / 8;

/// A node that has become two.
struct Split {
    left: PageId,
    right: PageId,
    right_items: u64,
    separator: Separator,
}

/// Where a node is cut that one more entry is to go into.
struct Cut {
    /// Entries of the left node, the additional one counted.
    left: usize,
    side: Side,
}

/// Where the additional entry is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    /// At the tree's start: the left node is new.
    Start,
    Middle,
    End,
}

impl<O: Order> Tree<O> {
    /// Puts `item` at a place: in a list any, in an ordered tree the one that [`find`](Self::find) has found for it.
    ///
    /// # Panics
    /// If the item has no byte or more than [`ITEM_BYTES_MAX`].
    pub(crate) fn insert(&self, arena: &mut Arena, at: &Position, item: &[u8]) {
        assert!((1..=ITEM_BYTES_MAX).contains(&item.len()), "the caller has checked the length of an item");
        self.counted(arena, |arena| {
            let Some(inner) = at.height().checked_sub(1) else {
                let leaf = LEAF.create(arena);
                LEAF.insert(arena.page_mut(leaf), 0, item);
                self.put_handle(arena, TreeHandle { root: Some(leaf), height: 1, items: 1 });
                return;
            };
            self.add(arena, at, inner, 1);
            self.put(arena, at, item);
        });
    }

    /// Puts `item` in the place of the item behind `at`, with which it must agree in everything that others are
    /// compared with.
    ///
    /// # Panics
    /// If no item is behind `at`, or as [`insert`](Self::insert).
    pub(crate) fn replace(&self, arena: &mut Arena, at: &Position, item: &[u8]) {
        assert!((1..=ITEM_BYTES_MAX).contains(&item.len()), "the caller has checked the length of an item");
        let at = at.before_item(arena);
        let leaf = at.leaf().expect("what is replaced is there");
        let page = arena.page_mut(leaf.page);
        let old = LEAF.len(page, leaf.index);
        if LEAF.used(page) - old + item.len() <= CAPACITY {
            LEAF.replace(page, leaf.index, item);
            if item.len() < old {
                self.counted(arena, |arena| self.fix(arena, &at, at.height() - 1));
            }
        } else {
            LEAF.remove(page, leaf.index..leaf.index + 1);
            self.counted(arena, |arena| self.put(arena, &at, item));
        }
    }

    /// Adds to the leaf; splits as far up as it must. The items are counted already.
    fn put(&self, arena: &mut Arena, at: &Position, item: &[u8]) {
        let Some((leaf, inner)) = at.steps().split_last() else { return };
        let page = arena.page_mut(leaf.page);
        if LEAF.used(page) + LEAF.cell(item.len()) <= CAPACITY {
            LEAF.insert(page, leaf.index, item);
            return;
        }
        let cut = self.cut_of(arena, at, *leaf, item);
        if cut.side == Side::Middle && self.spill(arena, at, *leaf, item) {
            return;
        }
        let mut split = self.split_leaf(arena, *leaf, &cut, item);
        for (depth, step) in inner.iter().enumerate().rev() {
            match self.put_split(arena, at, depth, *step, split) {
                None => return,
                Some(above) => split = above,
            }
        }
        self.put_root(arena, at.height(), &split);
    }

    /// Where a full leaf is cut.
    fn cut_of(&self, arena: &Arena, at: &Position, leaf: Step, item: &[u8]) -> Cut {
        let (depth, page) = (at.height() - 1, arena.page(leaf.page));
        let entries = node::count(page);
        if leaf.index == entries && at.is_right_most(arena, depth) {
            Cut { left: entries, side: Side::End }
        } else if leaf.index == 0 && at.is_left_most(depth) {
            Cut { left: 1, side: Side::Start }
        } else {
            middle(LEAF, page, leaf.index, item.len())
        }
    }

    /// Adds to a full leaf by sharing out with the emptier one of its neighbours; returns false without a change if neither has the room.
    fn spill(&self, arena: &mut Arena, at: &Position, leaf: Step, item: &[u8]) -> bool {
        let Some(above) = at.height().checked_sub(2).map(|depth| at.steps()[depth]) else { return false };
        let Some(pair) = neighbours(arena, LEAF, above.page, above.index) else { return false };
        let is_low = pair.low == leaf.page;
        let (page, other) = (arena.page(leaf.page), if is_low { pair.high } else { pair.low });
        let (entries, cell, there) = (node::count(page), LEAF.cell(item.len()), LEAF.used(arena.page(other)));
        if there > SPILLED_INTO_MAX {
            return false;
        }
        let sum = LEAF.used(page) + cell + there;
        let size = |left| size_with(LEAF, page, leaf.index, cell, left);
        // Entries of the leaf that are in the lower one of both then.
        let left = node::closest(entries + 1, if is_low { sum / 2 } else { sum / 2 - there }, size).clamp(1, entries);
        let low = size(left) + if is_low { 0 } else { there };
        if low.max(sum - low) > CAPACITY {
            return false;
        }
        let in_left = leaf.index < left;
        let kept = left - usize::from(in_left);
        let before = if is_low { 0 } else { node::count(arena.page(pair.low)) };
        if is_low {
            LEAF.transfer(arena, pair.low, kept..entries, pair.high, 0);
        } else {
            LEAF.transfer(arena, pair.high, 0..kept, pair.low, before);
        }
        let (page, index) = if in_left { (pair.low, before + leaf.index) } else { (pair.high, leaf.index - left) };
        LEAF.insert(arena.page_mut(page), index, item);
        let separator = self.separator(arena, pair.low, pair.high);
        put_boundary(arena, LEAF, &pair, &separator);
        true
    }

    fn split_leaf(&self, arena: &mut Arena, leaf: Step, cut: &Cut, item: &[u8]) -> Split {
        let (left, right) = split_page(arena, LEAF, leaf, cut, item);
        let separator = self.separator(arena, left, right);
        let right_items = node::count(arena.page(right)) as u64;
        Split { left, right, right_items, separator }
    }

    /// The separator between two leaves.
    pub(super) fn separator(&self, arena: &Arena, left: PageId, right: PageId) -> Separator {
        if !O::SEPARATES {
            return Separator::new(&[], 0);
        }
        let (left, right) = (arena.page(left), arena.page(right));
        let first = LEAF.bytes(right, 0);
        Separator::new(first, self.order.separator(LEAF.bytes(left, node::count(left) - 1), first))
    }

    /// Enters the two nodes that the path's child of the node at `depth` has become; returns what that node becomes if
    /// it is full.
    fn put_split(&self, arena: &mut Arena, at: &Position, depth: usize, step: Step, below: Split) -> Option<Split> {
        let page = arena.page_mut(step.page);
        let left_items = node::items(page, step.index) - below.right_items;
        node::put_child(page, step.index, below.left);
        node::put_items(page, step.index, left_items);
        let new = Step { page: step.page, index: step.index + 1 };
        let separator = below.separator.as_slice();
        if INNER.used(page) + INNER.cell(separator.len()) <= CAPACITY {
            put_entry(page, new.index, &below);
            return None;
        }
        let entries = node::count(page);
        // Two entries at least on either side, so that whoever has become small has a neighbour.
        let cut = if new.index == entries && at.is_right_most(arena, depth) {
            Cut { left: entries - 1, side: Side::End }
        } else if new.index == 1 && at.is_left_most(depth) {
            Cut { left: 2, side: Side::Start }
        } else {
            middle(INNER, arena.page(step.page), new.index, separator.len())
        };
        let (left, right) = split_page(arena, INNER, new, &cut, separator);
        let (page, index) = if new.index < cut.left { (left, new.index) } else { (right, new.index - cut.left) };
        put_child(arena.page_mut(page), index, &below);
        let separator = take_first_separator(arena.page_mut(right));
        let right_page = arena.page(right);
        let right_items = node::items_of(right_page, 0..node::count(right_page));
        Some(Split { left, right, right_items, separator })
    }

    fn put_root(&self, arena: &mut Arena, height: usize, split: &Split) {
        assert!(height < HEIGHT_MAX, "a shard has not the pages for a higher tree");
        let items = self.len(arena);
        let top = INNER.create(arena);
        let page = arena.page_mut(top);
        INNER.insert(page, 0, &[]);
        node::put_child(page, 0, split.left);
        node::put_items(page, 0, items - split.right_items);
        put_entry(page, 1, split);
        self.put_handle(arena, TreeHandle { root: Some(top), height: height + 1, items });
    }
}

fn put_entry(page: &mut Page, index: usize, split: &Split) {
    INNER.insert(page, index, split.separator.as_slice());
    put_child(page, index, split);
}

fn put_child(page: &mut Page, index: usize, split: &Split) {
    node::put_child(page, index, split.right);
    node::put_items(page, index, split.right_items);
}

/// Cuts a node in halves of bytes, counting an additional entry at `index`.
fn middle(shape: NodeLayout, page: &Page, index: usize, len: usize) -> Cut {
    let (entries, cell) = (node::count(page), shape.cell(len));
    let size = |left| size_with(shape, page, index, cell, left);
    let left = node::closest(entries + 1, (shape.used(page) + cell) / 2, size);
    Cut { left: left.clamp(1, entries), side: Side::Middle }
}

/// Bytes of the first `left` entries, counting an additional one at `index`.
fn size_with(shape: NodeLayout, page: &Page, index: usize, cell: usize, left: usize) -> usize {
    if left <= index { shape.used_by(page, left) } else { shape.used_by(page, left - 1) + cell }
}

/// Makes two nodes of one and an additional entry, which is put at the step's index.
fn split_page(arena: &mut Arena, shape: NodeLayout, at: Step, cut: &Cut, bytes: &[u8]) -> (PageId, PageId) {
    let entries = node::count(arena.page(at.page));
    let in_left = at.index < cut.left;
    let kept = if in_left { cut.left - 1 } else { cut.left };
    let new = shape.create(arena);
    let (left, right) = if cut.side == Side::Start {
        shape.transfer(arena, at.page, 0..kept, new, 0);
        (new, at.page)
    } else {
        shape.transfer(arena, at.page, kept..entries, new, 0);
        (at.page, new)
    };
    if cut.side == Side::Middle {
        // More may come anywhere.
        [left, right].into_iter().for_each(|id| shape.center(arena.page_mut(id)));
    }
    let (page, index) = if in_left { (left, at.index) } else { (right, at.index - cut.left) };
    shape.insert(arena.page_mut(page), index, bytes);
    (left, right)
}

/// Takes the separator of an inner node's first entry, which belongs above it.
pub(super) fn take_first_separator(page: &mut Page) -> Separator {
    let separator = Separator::new(INNER.bytes(page, 0), INNER.len(page, 0));
    INNER.replace(page, 0, &[]);
    separator
}

//! Removal: nodes that become too small are merged with a neighbour, or take entries from it.

use std::ops::Range;

use crate::arena::Arena;
use crate::ids::PageId;

use super::insert::take_first_separator;
use super::node::{self, CAPACITY, INNER, LEAF, NodeLayout};
use super::position::Position;
use super::{HEIGHT_MAX, Order, Separator, Tree, TreeHandle};

/// Bytes below which a node is small.
const SMALL: usize = CAPACITY * 2 / 5;

/// Bytes of two leaves, one of them outermost, up to which they are merged.
const MERGED_AT_END_MAX: usize = CAPACITY * 3 / 4;

/// Bytes in use of a node that are cleared when it is freed.
const CLEARED_MAX: usize = 1024;

/// Two neighbouring nodes and the entry of the left one in the node above them.
pub(super) struct Pair {
    parent: PageId,
    index: usize,
    pub(super) low: PageId,
    pub(super) high: PageId,
}

impl<O: Order> Tree<O> {
    /// Removes the item after `at`.
    ///
    /// # Panics
    /// If no item is there.
    pub(crate) fn remove(&self, arena: &mut Arena, at: &Position) {
        let at = at.before_item(arena);
        let leaf = at.leaf().expect("what is removed is there");
        LEAF.remove(arena.page_mut(leaf.page), leaf.index..leaf.index + 1);
        let depth = at.height() - 1;
        self.add(arena, &at, depth, 1_u64.wrapping_neg());
        self.counted(arena, |arena| self.fix(arena, &at, depth));
    }

    /// Takes out up to `count` items from `rank` on. What lies within the range as a whole is given up page by page and
    /// not read otherwise.
    pub(crate) fn remove_range(&self, arena: &mut Arena, rank: u64, count: u64) {
        let mut left = count.min(self.len(arena).saturating_sub(rank));
        while left > 0 {
            left -= self.counted(arena, |arena| self.remove_some(arena, rank, left));
        }
    }

    /// Takes out what of `count` items from `rank` on is one subtree, or lies in one leaf; returns how many items that
    /// were.
    fn remove_some(&self, arena: &mut Arena, rank: u64, count: u64) -> u64 {
        let all = self.len(arena);
        if rank == 0 && count == all {
            self.free_all(arena);
            return all;
        }
        let at = self.seek(arena, rank);
        let steps = at.steps();
        let (leaf, depth) = (steps[steps.len() - 1], steps.len() - 1);
        for below in 1..steps.len() {
            let above = steps[below - 1];
            let items = node::items(arena.page(above.page), above.index);
            if items <= count && steps[below..].iter().all(|step| step.index == 0) {
                match at.height() - below {
                    1 => free_node(arena, LEAF, steps[below].page),
                    height => free_subtree(arena, steps[below].page, height),
                }
                unlink(arena, above.page, above.index);
                self.add(arena, &at, below - 1, items.wrapping_neg());
                self.fix(arena, &at, below - 1);
                return items;
            }
        }
        let page = arena.page_mut(leaf.page);
        let gone = count.min((node::count(page) - leaf.index) as u64);
        LEAF.remove(page, leaf.index..leaf.index + gone as usize);
        self.add(arena, &at, depth, gone.wrapping_neg());
        self.fix(arena, &at, depth);
        gone
    }

    /// Frees all pages; the tree is empty then.
    pub(crate) fn free(&self, arena: &mut Arena) {
        self.counted(arena, |arena| self.free_all(arena));
    }

    fn free_all(&self, arena: &mut Arena) {
        let handle = self.handle(arena);
        if let Some(top) = handle.root {
            free_subtree(arena, top, handle.height);
            self.put_handle(arena, TreeHandle::EMPTY);
        }
    }

    /// Frees at most `pages` pages (of which at least [`HEIGHT_MAX`] are allowed for), from the end on; returns whether the tree
    /// is empty now. What is left is a tree still.
    pub(crate) fn free_some(&self, arena: &mut Arena, pages: usize) -> bool {
        self.counted(arena, |arena| self.free_last(arena, pages))
    }

    fn free_last(&self, arena: &mut Arena, pages: usize) -> bool {
        let mut left = pages.max(HEIGHT_MAX);
        loop {
            let at = self.end(arena);
            let Some((leaf, inner)) = at.steps().split_last() else { return true };
            // The leaf, and nodes that have nothing else below them.
            let alone = inner.iter().rev().take_while(|step| step.index == 0).count();
            if left < 1 + alone {
                return false;
            }
            left -= 1 + alone;
            let items = node::count(arena.page(leaf.page)) as u64;
            at.steps()[inner.len() - alone..].iter().for_each(|step| arena.free(step.page));
            if alone == inner.len() {
                self.put_handle(arena, TreeHandle::EMPTY);
                return true;
            }
            let depth = inner.len() - alone - 1;
            self.add(arena, &at, depth, items.wrapping_neg());
            unlink(arena, inner[depth].page, inner[depth].index);
        }
    }

    /// Puts the path's nodes in order from that at `depth` upwards, which has lost something.
    pub(super) fn fix(&self, arena: &mut Arena, at: &Position, depth: usize) {
        let steps = at.steps();
        for depth in (1..=depth).rev() {
            let (above, id, shape) = (steps[depth - 1], steps[depth].page, at.shape(depth));
            let page = arena.page(id);
            if node::count(page) == 0 {
                unlink(arena, above.page, above.index);
                free_node(arena, shape, id);
            } else if shape.used(page) >= SMALL {
                return;
            } else {
                let outermost = shape.is_leaf() && (at.is_left_most(depth) || at.is_right_most(arena, depth));
                self.share(arena, above.page, above.index, shape, outermost);
            }
        }
        self.shrink(arena);
    }

    /// Removes levels that have become useless.
    fn shrink(&self, arena: &mut Arena) {
        let mut handle = self.handle(arena);
        while let Some(top) = handle.root {
            let page = arena.page(top);
            handle = match node::count(page) {
                0 => TreeHandle::EMPTY,
                1 if handle.height > 1 => {
                    TreeHandle { root: Some(node::child(page, 0)), height: handle.height - 1, items: handle.items }
                }
                _ => return,
            };
            arena.free(top);
            self.put_handle(arena, handle);
        }
    }

    /// Merges the small child at `index` with the emptier one of its neighbours, or lets it take from that.
    fn share(&self, arena: &mut Arena, parent: PageId, index: usize, shape: NodeLayout, outermost: bool) {
        let Some(pair) = neighbours(arena, shape, parent, index) else { return };
        let separator = if shape.is_leaf() { 0 } else { INNER.len(arena.page(parent), pair.index + 1) };
        let sum = shape.used(arena.page(pair.low)) + shape.used(arena.page(pair.high)) + separator;
        if sum <= if outermost { MERGED_AT_END_MAX } else { CAPACITY } {
            merge(arena, shape, &pair);
        } else if !outermost && pair.index == index {
            self.take_from_right(arena, shape, &pair, sum / 2);
        } else if !outermost {
            self.take_from_left(arena, shape, &pair, sum / 2);
        }
    }

    fn take_from_right(&self, arena: &mut Arena, shape: NodeLayout, pair: &Pair, target: usize) {
        let (there, wanted) = (node::count(arena.page(pair.low)), target - shape.used(arena.page(pair.low)));
        let moved = shape.closest(arena.page(pair.high), wanted).max(1);
        shape.transfer(arena, pair.high, 0..moved, pair.low, there);
        let separator = if shape.is_leaf() {
            self.separator(arena, pair.low, pair.high)
        } else {
            // What stood above was the lower bound of the first entry, which needs one of its own now.
            let above = separator_above(arena, pair);
            INNER.replace(arena.page_mut(pair.low), there, above.as_slice());
            take_first_separator(arena.page_mut(pair.high))
        };
        put_boundary(arena, shape, pair, &separator);
    }

    fn take_from_left(&self, arena: &mut Arena, shape: NodeLayout, pair: &Pair, target: usize) {
        let low = arena.page(pair.low);
        let entries = node::count(low);
        let kept = shape.closest(low, target).clamp(1, entries - 1);
        if !shape.is_leaf() {
            let above = separator_above(arena, pair);
            INNER.replace(arena.page_mut(pair.high), 0, above.as_slice());
        }
        shape.transfer(arena, pair.low, kept..entries, pair.high, 0);
        let separator = if shape.is_leaf() {
            self.separator(arena, pair.low, pair.high)
        } else {
            take_first_separator(arena.page_mut(pair.high))
        };
        put_boundary(arena, shape, pair, &separator);
    }
}

/// The child at `index` and the emptier one of its neighbours; `None` if it has none.
pub(super) fn neighbours(arena: &Arena, shape: NodeLayout, parent: PageId, index: usize) -> Option<Pair> {
    let page = arena.page(parent);
    let used = |index: usize| shape.used(arena.page(node::child(page, index)));
    let last = node::count(page) - 1;
    let left = match (index > 0, index < last) {
        (false, false) => return None,
        (true, true) if used(index + 1) <= used(index - 1) => index,
        (false, true) => index,
        _ => index - 1,
    };
    Some(Pair { parent, index: left, low: node::child(page, left), high: node::child(page, left + 1) })
}

/// The separator between the two.
fn separator_above(arena: &Arena, pair: &Pair) -> Separator {
    let page = arena.page(pair.parent);
    Separator::new(INNER.bytes(page, pair.index + 1), INNER.len(page, pair.index + 1))
}

/// Enters above what divides the two now, and how many items each has. A full node gets an empty separator.
pub(super) fn put_boundary(arena: &mut Arena, shape: NodeLayout, pair: &Pair, separator: &Separator) {
    let high = arena.page(pair.high);
    let entries = node::count(high);
    let right = if shape.is_leaf() { entries as u64 } else { node::items_of(high, 0..entries) };
    let page = arena.page_mut(pair.parent);
    let total = node::items_of(page, pair.index..pair.index + 2);
    node::put_items(page, pair.index, total - right);
    node::put_items(page, pair.index + 1, right);
    let fits = INNER.used(page) - INNER.len(page, pair.index + 1) + separator.as_slice().len() <= CAPACITY;
    INNER.replace(page, pair.index + 1, if fits { separator.as_slice() } else { &[] });
}

fn merge(arena: &mut Arena, shape: NodeLayout, pair: &Pair) {
    if !shape.is_leaf() {
        let above = separator_above(arena, pair);
        INNER.replace(arena.page_mut(pair.high), 0, above.as_slice());
    }
    let (there, entries) = (node::count(arena.page(pair.low)), node::count(arena.page(pair.high)));
    shape.copy(arena, pair.high, 0..entries, pair.low, there);
    arena.free(pair.high);
    let page = arena.page_mut(pair.parent);
    let total = node::items_of(page, pair.index..pair.index + 2);
    node::put_items(page, pair.index, total);
    unlink(arena, pair.parent, pair.index + 1);
}

/// Removes the entry of a child from an inner node.
fn unlink(arena: &mut Arena, parent: PageId, index: usize) {
    let page = arena.page_mut(parent);
    INNER.remove(page, index..index + 1);
    if index == 0 && node::count(page) > 0 {
        INNER.replace(page, 0, &[]);
    }
}

/// Frees a node whose page is at hand. Where little of it is in use that is cleared at once, since a queue whose length goes up and down
/// frees its first leaf and takes another one again and again.
fn free_node(arena: &mut Arena, shape: NodeLayout, id: PageId) {
    let parts = shape.parts(arena.page(id));
    if parts.iter().map(Range::len).sum::<usize>() <= CLEARED_MAX {
        arena.free_cleared(id, parts);
    } else {
        arena.free(id);
    }
}

fn free_subtree(arena: &mut Arena, id: PageId, height: usize) {
    if height > 1 {
        for index in 0..node::count(arena.page(id)) {
            let child = node::child(arena.page(id), index);
            free_subtree(arena, child, height - 1);
        }
    }
    arena.free(id);
}

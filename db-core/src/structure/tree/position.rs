//! Positions between items: searches, and cursors that move from one to the next.

use std::cmp::Ordering;

use crate::arena::{Arena, Page, Pages};
use crate::ids::PageId;

use super::node::{self, INNER, LEAF, NodeLayout};
use super::{HEIGHT_MAX, ITEMS, Order, Tree};

/// A node on a path, and the entry that the path takes in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) page: PageId,
    pub(super) index: usize,
}

impl Step {
    const NONE: Step = Step { page: PageId(0), index: 0 };
}

/// A place between two items of a tree or at one of its ends, with the path that leads there from the root. Void when
/// the tree changes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Position {
    steps: [Step; HEIGHT_MAX],
    /// Levels of the tree; 0 if it is empty.
    height: usize,
}

impl Position {
    /// The path's nodes from the root to the leaf.
    pub(super) fn steps(&self) -> &[Step] {
        &self.steps[..self.height]
    }

    pub(super) const fn height(&self) -> usize {
        self.height
    }

    /// The shape of the path's node at `depth`, the root's being 0.
    pub(super) const fn shape(&self, depth: usize) -> NodeLayout {
        if depth + 1 == self.height { LEAF } else { INNER }
    }

    /// Returns the leaf, and how many of its entries are before the position.
    #[inline]
    pub(super) fn leaf(&self) -> Option<Step> {
        self.steps().last().copied()
    }

    /// Whether no node of its level is before the path's node at `depth`.
    pub(super) fn is_left_most(&self, depth: usize) -> bool {
        self.steps[..depth].iter().all(|step| step.index == 0)
    }

    /// Whether no node of its level is behind the path's node at `depth`.
    pub(super) fn is_right_most(&self, pages: &impl Pages, depth: usize) -> bool {
        self.steps[..depth].iter().all(|step| step.index + 1 == node::count(pages.page(step.page)))
    }

    /// Returns the item behind this place.
    #[inline]
    pub(crate) fn item<'a>(&self, pages: &'a impl Pages) -> Option<&'a [u8]> {
        let at = self.before_item(pages);
        let leaf = at.leaf()?;
        let page = pages.page(leaf.page);
        (leaf.index < node::count(page)).then(|| LEAF.bytes(page, leaf.index))
    }

    /// The same place as the start of the next leaf, if this is the end of one and there is a next one.
    #[inline]
    pub(super) fn before_item(&self, pages: &impl Pages) -> Position {
        let mut at = *self;
        if let Some(leaf) = at.leaf()
            && leaf.index == node::count(pages.page(leaf.page))
        {
            at.enter_next_leaf(pages);
        }
        at
    }

    /// Moves to the start of the next leaf; returns false without a change if this is the last one.
    fn enter_next_leaf(&mut self, pages: &impl Pages) -> bool {
        for depth in (0..self.height.saturating_sub(1)).rev() {
            let step = self.steps[depth];
            if step.index + 1 < node::count(pages.page(step.page)) {
                self.steps[depth].index += 1;
                self.descend(pages, depth, |_, _| 0);
                return true;
            }
        }
        false
    }

    /// Moves to the end of the previous leaf; returns false without a change if this is the first one.
    fn enter_previous_leaf(&mut self, pages: &impl Pages) -> bool {
        for depth in (0..self.height.saturating_sub(1)).rev() {
            if self.steps[depth].index > 0 {
                self.steps[depth].index -= 1;
                self.descend(pages, depth, last);
                return true;
            }
        }
        false
    }

    /// Fills in the path below the node at `depth`, whose entry is chosen already.
    #[inline]
    fn descend(&mut self, pages: &impl Pages, depth: usize, mut choose: impl FnMut(NodeLayout, &Page) -> usize) {
        for depth in depth + 1..self.height {
            let above = self.steps[depth - 1];
            let id = node::child(pages.page(above.page), above.index);
            let index = choose(self.shape(depth), pages.page(id));
            self.steps[depth] = Step { page: id, index };
        }
    }
}

/// The last child of an inner node, the end of a leaf.
fn last(shape: NodeLayout, page: &Page) -> usize {
    if shape.is_leaf() { node::count(page) } else { node::count(page) - 1 }
}

impl<O: Order> Tree<O> {
    /// Fills in a path from the root on.
    #[inline]
    fn walk<P: Pages>(&self, pages: &P, mut choose: impl FnMut(NodeLayout, &Page, usize) -> usize) -> Position {
        let handle = self.handle(pages);
        let mut at = Position { steps: [Step::NONE; HEIGHT_MAX], height: handle.height };
        let Some(top) = handle.root else { return at };
        let mut id = top;
        for depth in 0..handle.height {
            let page = pages.page(id);
            let shape = at.shape(depth);
            let index = choose(shape, page, handle.height - depth);
            at.steps[depth] = Step { page: id, index };
            if !shape.is_leaf() {
                id = node::child(page, index);
            }
        }
        at
    }

    /// Returns the place before all items.
    #[inline]
    pub(crate) fn start(&self, pages: &impl Pages) -> Position {
        self.walk(pages, |_, _, _| 0)
    }

    /// Returns the place behind all items.
    pub(crate) fn end(&self, pages: &impl Pages) -> Position {
        self.walk(pages, |shape, page, _| last(shape, page))
    }

    /// Returns the place before the item at `rank`, or the end if there are no more than that.
    pub(crate) fn seek(&self, pages: &impl Pages, rank: u64) -> Position {
        // Where a queue is taken from.
        if rank == 0 {
            return self.start(pages);
        }
        let mut total = self.len(pages);
        let mut rank = rank.min(total);
        self.walk(pages, |shape, page, _| {
            if shape.is_leaf() {
                return rank as usize;
            }
            let (index, left) = node::child_at_rank(page, rank, total);
            (rank, total) = (left, node::items(page, index));
            index
        })
    }

    /// Returns the place before the first item for which `order` does not say Less. `order` says how an item (or a
    /// separator, which is what the tree's [`Order`] keeps of one) stands to what is sought; it must not go down along
    /// the items.
    #[inline]
    pub(crate) fn find<P: Pages>(&self, pages: &P, order: impl Fn(&[u8]) -> Ordering) -> Position {
        // What is sought at the end, as whatever ascends is, is compared with the last entry of each node alone.
        let mut is_last = true;
        self.walk(pages, |shape, page, height| {
            let entries = node::count(page);
            let order_at = |index: usize, entry: &[u8]| {
                if entry.is_empty() {
                    order(first_below(pages, node::child(page, index), height - 1))
                } else {
                    order(entry)
                }
            };
            // The first entry of an inner node has no separator: whatever is below no other one is below it.
            let low = usize::from(!shape.is_leaf());
            is_last &= low == entries || order_at(entries - 1, shape.bytes(page, entries - 1)) == Ordering::Less;
            let below = if is_last { entries } else { shape.lower_bound(page, low, order_at) };
            below - low
        })
    }

    /// Returns the rank of the first item that is `item`: all before it are looked at.
    pub(crate) fn rank_of(&self, pages: &impl Pages, item: &[u8]) -> Option<u64> {
        let (mut at, mut before) = (self.start(pages), 0);
        loop {
            let page = pages.page(at.leaf()?.page);
            if let Some(index) = LEAF.position(page, item) {
                return Some(before + index as u64);
            }
            before += node::count(page) as u64;
            if !at.enter_next_leaf(pages) {
                return None;
            }
        }
    }

    /// Returns the items before and behind `at`.
    pub(crate) fn around<'a>(&self, pages: &'a impl Pages, at: &Position) -> (Option<&'a [u8]>, Option<&'a [u8]>) {
        let Some(leaf) = at.leaf() else { return (None, None) };
        let page = pages.page(leaf.page);
        let before = match leaf.index.checked_sub(1) {
            Some(index) => Some(LEAF.bytes(page, index)),
            None => self.cursor(pages, *at).previous(),
        };
        let behind = if leaf.index < node::count(page) { Some(LEAF.bytes(page, leaf.index)) } else { at.item(pages) };
        (before, behind)
    }

    /// Returns how many items are before `at`.
    pub(crate) fn rank(&self, pages: &impl Pages, at: &Position) -> u64 {
        let Some((leaf, inner)) = at.steps().split_last() else { return 0 };
        let (mut rank, mut total) = (leaf.index as u64, self.len(pages));
        for step in inner {
            let page = pages.page(step.page);
            rank += if step.index < node::count(page) / 2 {
                node::items_of(page, 0..step.index)
            } else {
                total - node::items_of(page, step.index..node::count(page))
            };
            total = node::items(page, step.index);
        }
        rank
    }

    /// Adds to the number of items on the path, in its nodes above `depth` and in the handle; wraps, so that it also
    /// subtracts.
    pub(super) fn add(&self, arena: &mut Arena, at: &Position, depth: usize, items: u64) {
        for step in &at.steps()[..depth] {
            let page = arena.page_mut(step.page);
            let sum = node::items(page, step.index).wrapping_add(items);
            node::put_items(page, step.index, sum);
        }
        let page = arena.page_mut(self.page);
        let sum = page.u64_at(self.offset + ITEMS).wrapping_add(items);
        page.put_u64(self.offset + ITEMS, sum);
    }
}

/// The first item below a node of a height.
#[cold]
fn first_below<P: Pages>(pages: &P, mut id: PageId, height: usize) -> &[u8] {
    for _ in 1..height {
        id = node::child(pages.page(id), 0);
    }
    LEAF.bytes(pages.page(id), 0)
}

/// A place that moves from item to item, both ways: a step within a leaf touches that leaf alone.
#[derive(Debug)]
pub(crate) struct Cursor<'a, P> {
    pages: &'a P,
    at: Position,
    /// The leaf.
    page: Option<&'a Page>,
    index: usize,
}

impl<'a, P: Pages> Cursor<'a, P> {
    pub(super) fn new(pages: &'a P, at: Position) -> Self {
        let mut cursor = Self { pages, at, page: None, index: 0 };
        cursor.load();
        cursor
    }

    fn load(&mut self) {
        let pages = self.pages;
        if let Some(leaf) = self.at.leaf() {
            (self.page, self.index) = (Some(pages.page(leaf.page)), leaf.index);
        }
    }

    /// Returns the item before this place and goes before it.
    pub(crate) fn previous(&mut self) -> Option<&'a [u8]> {
        if self.index == 0 {
            if !self.at.enter_previous_leaf(self.pages) {
                return None;
            }
            self.load();
        }
        self.index -= 1;
        self.page.map(|page| LEAF.bytes(page, self.index))
    }
}

impl<'a, P: Pages> Iterator for Cursor<'a, P> {
    type Item = &'a [u8];

    /// Returns the item behind this place and goes behind it.
    fn next(&mut self) -> Option<&'a [u8]> {
        let mut page = self.page?;
        if self.index == node::count(page) {
            if !self.at.enter_next_leaf(self.pages) {
                return None;
            }
            self.load();
            page = self.page?;
        }
        self.index += 1;
        Some(LEAF.bytes(page, self.index - 1))
    }
}

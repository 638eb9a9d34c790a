//! The counted B+tree (order-statistic tree): ordered items, each found by a search or by its rank.
//!
//! **Problem.** Lists are read by position, sorted sets by score and by rank, streams by id, deadlines by time. Each
//! wants all of it in O(log n), in pages, with the same bytes on every node.
//!
//! **Idea.** One tree. An *item* is a string of 1 to [`ITEM_BYTES_MAX`] bytes that means nothing to the tree. Leaves
//! hold items, inner nodes hold for each child how many items are below it, and a *separator*.
//!
//! ```text
//!   handle                     inner node                         leaf
//!   page, height, items  ->    | 700 |  sep 512 | sep 488 |   ->  | item | item | item |
//! ```
//!
//! **Handle.** A tree's root pointer is 16 bytes in a page of its owner: the superblock, a key record. The owner may move them; a
//! [`Tree`] is only their current address together with an order. 16 zero bytes are an empty tree, which has no page. A small
//! tree is one leaf.
//!
//! ```text
//!   0  root page u32 (0: none)
//!   4  height u8 (0: none, 1: the root is a leaf)
//!   5  pages u24
//!   8  items u64
//! ```
//!
//! **Order.** The tree never compares items on insertion: the caller says where, by a [`Position`] that a search has found, or by
//! rank. A search uses a closure that compares an item with the target, and returns the first item that is not Less. In a list
//! nothing is compared at all.
//!
//! **Separators.** Between two neighbouring children stands what [`Order::separator`] keeps of the right one's first
//! item: for [`ByBytes`] a short prefix that is greater than the item before it. For the items to the left of a
//! separator and those to its right holds left <= separator <= right, which is what a search for a first item needs; it
//! stays true when items go. A separator may be empty: then a search looks at the first item below that child instead,
//! some pages more. So separators are bounded ([`SEPARATOR_BYTES_MAX`]) and the fan-out with them, whatever the items
//! look like. They are empty in a list, where a prefix would be longer, and where a full node has no room when two
//! children share out anew, which therefore never splits anything.
//!
//! **Fill.** A leaf that is full shares out with a neighbour that is not, so that leaves are five sixths full after random
//! insertions. A node that is split is cut in halves of bytes, but an append leaves the left one full and what is added
//! at the left end leaves the right one full. A node below two fifths is merged with a neighbour or takes from it. The
//! outermost leaves may run empty: a queue copies nothing. Nodes in between are a quarter full at least, always, which
//! bounds the height.
//!
//! **Not done here.** Equal items are up to the caller. Nothing here reserves pages: [`PAGES_MAX`] says how many a change may
//! need.

mod check;
mod insert;
mod node;
mod position;
mod remove;

#[cfg(test)]
mod tests;

use std::cmp::Ordering;

use crate::arena::{Arena, PAGE_BYTES, PAGES_PER_SHARD_MAX, Pages};
use crate::ids::PageId;

use super::root;

pub(crate) use node::ITEM_BYTES_MAX;
pub(crate) use position::{Cursor, Position};

/// Bytes of a handle.
pub(crate) const HANDLE_BYTES: usize = 16;

/// Returns the pages of a tree of so many items of so many bytes, half full.
pub(crate) const fn pages_of(items: u64, item_bytes: usize) -> usize {
    const SLOT_BYTES: usize = 2;
    const FAN_OUT: usize = 50;
    let leaves = 2 * items as usize * (item_bytes + SLOT_BYTES) / PAGE_BYTES;
    leaves + leaves / FAN_OUT + PAGES_MAX
}

/// Longest separator in bytes: an inner node has more than a hundred children when it is full.
pub(crate) const SEPARATOR_BYTES_MAX: usize = 128;

/// Bytes that a separator by bytes has if the item has them: a key of up to so many is compared as a number by who
/// interest, and less would not save much beside the slot.
const SEPARATOR_BYTES_MIN: usize = 16;

/// Bytes that every node takes but the first and the last one of its level.
const FILL_MIN: usize = node::CAPACITY / 4;

/// Levels of the highest tree. A tree grows when its root is full, and from some height on a shard has not the pages
/// for a full root.
pub(crate) const HEIGHT_MAX: usize = {
    let cell = node::INNER_SLOT_BYTES + SEPARATOR_BYTES_MAX;
    // Below a full root, without the two outermost children.
    let mut nodes = (node::CAPACITY - cell) / cell - 2;
    let mut height = 2;
    while nodes <= PAGES_PER_SHARD_MAX as usize {
        nodes *= FILL_MIN / cell;
        height += 1;
    }
    height
};

/// Pages that one insertion, replacement or removal may take or copy at worst: on each level a node and a new or an old
/// neighbour, a new root, and the page of the handle. A removal of ranks may copy more: as many again, and the inner
/// nodes within the range.
pub(crate) const PAGES_MAX: usize = 2 * HEIGHT_MAX + 2;

const ROOT: usize = 0;
const HEIGHT: usize = 4;
const ITEMS: usize = 8;

/// What a tree knows of its items' order.
pub(crate) trait Order {
    /// Whether inner nodes have separators.
    const SEPARATES: bool;

    /// Returns how `a` stands to `b`, which comes somewhere behind it. Each is an item, or what is kept of one as a
    /// separator. Asked when a tree is checked.
    fn compare(&self, a: &[u8], b: &[u8]) -> Ordering;

    /// Returns how many bytes of `right` divide it from `left`, the item before it: with n bytes s of `right`,
    /// left <= s <= right. 0 if none do, as when an item goes on elsewhere and what is here does not decide.
    fn separator(&self, left: &[u8], right: &[u8]) -> usize;

    /// Returns whether bytes that may be damaged can be compared as a separator.
    fn is_separator(&self, _: &[u8]) -> bool {
        true
    }
}

/// Items that are unique and ascend as strings of bytes do. Every search must be a search in that order too, among any
/// strings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ByBytes;

impl Order for ByBytes {
    const SEPARATES: bool = true;

    fn compare(&self, a: &[u8], b: &[u8]) -> Ordering {
        a.cmp(b)
    }

    fn separator(&self, left: &[u8], right: &[u8]) -> usize {
        let differ = 1 + left.iter().zip(right).take_while(|(a, b)| a == b).count();
        differ.max(SEPARATOR_BYTES_MIN.min(right.len()))
    }
}

/// Items that stand where they were put.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ByPosition;

impl Order for ByPosition {
    const SEPARATES: bool = false;

    fn compare(&self, _: &[u8], _: &[u8]) -> Ordering {
        Ordering::Less
    }

    fn separator(&self, _: &[u8], _: &[u8]) -> usize {
        0
    }
}

/// A tree by the place of its handle: a page and a byte offset within it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tree<O> {
    page: PageId,
    offset: usize,
    order: O,
}

/// What a handle says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct TreeHandle {
    root: Option<PageId>,
    height: usize,
    items: u64,
}

impl TreeHandle {
    const EMPTY: TreeHandle = TreeHandle { root: None, height: 0, items: 0 };
}

const _: () = assert!(PAGES_PER_SHARD_MAX < 1 << 24 && HEIGHT_MAX < 1 << 8);

impl<O: Order> Tree<O> {
    /// The tree whose handle stands at byte `offset` of `page`.
    pub(crate) const fn at(page: PageId, offset: usize, order: O) -> Self {
        Self { page, offset, order }
    }

    /// Returns the number of items.
    #[inline]
    pub(crate) fn len(&self, pages: &impl Pages) -> u64 {
        pages.page(self.page).u64_at(self.offset + ITEMS)
    }

    /// Returns the number of pages.
    pub(crate) fn pages(&self, pages: &impl Pages) -> u32 {
        pages.page(self.page).u32_at(self.offset + HEIGHT) >> 8
    }

    /// Returns how many pages one insertion, replacement or removal may take or copy now: see [`PAGES_MAX`].
    pub(crate) fn pages_to_change(&self, pages: &impl Pages) -> usize {
        2 * self.handle(pages).height + 2
    }

    /// Does a change, and counts the pages that it takes and frees.
    #[inline]
    fn counted<T>(&self, arena: &mut Arena, change: impl FnOnce(&mut Arena) -> T) -> T {
        let before = arena.pages_used();
        let result = change(arena);
        let after = arena.pages_used();
        if after != before {
            let word = arena.page(self.page).u32_at(self.offset + HEIGHT);
            let pages = (word >> 8) + after - before;
            arena.page_mut(self.page).put_u32(self.offset + HEIGHT, pages << 8 | word & 0xff);
        }
        result
    }

    /// Returns the item at `rank`.
    pub(crate) fn get<'a>(&self, pages: &'a impl Pages, rank: u64) -> Option<&'a [u8]> {
        if rank < self.len(pages) { self.seek(pages, rank).item(pages) } else { None }
    }

    /// Returns the first item.
    #[inline]
    pub(crate) fn first<'a>(&self, pages: &'a impl Pages) -> Option<&'a [u8]> {
        self.start(pages).item(pages)
    }

    /// Returns a cursor at `position`, to go both ways.
    pub(crate) fn cursor<'a, P: Pages>(&self, pages: &'a P, position: Position) -> Cursor<'a, P> {
        Cursor::new(pages, position)
    }

    #[inline]
    fn handle(&self, pages: &impl Pages) -> TreeHandle {
        let page = pages.page(self.page);
        TreeHandle {
            root: root::some_page(page.u32_at(self.offset + ROOT)),
            height: page.u8_at(self.offset + HEIGHT) as usize,
            items: page.u64_at(self.offset + ITEMS),
        }
    }

    fn put_handle(&self, arena: &mut Arena, handle: TreeHandle) {
        let page = arena.page_mut(self.page);
        page.put_u32(self.offset + ROOT, root::page_or_zero(handle.root));
        page.put_u8(self.offset + HEIGHT, handle.height as u8);
        page.put_u64(self.offset + ITEMS, handle.items);
    }
}

/// A separator on its way between nodes.
struct Separator {
    bytes: [u8; SEPARATOR_BYTES_MAX],
    len: usize,
}

impl Separator {
    /// The first `len` of `bytes`; empty if that is too long, or there are not so many.
    fn new(bytes: &[u8], len: usize) -> Self {
        let len = if len > SEPARATOR_BYTES_MAX.min(bytes.len()) { 0 } else { len };
        let mut separator = Self { bytes: [0; SEPARATOR_BYTES_MAX], len };
        separator.bytes[..len].copy_from_slice(&bytes[..len]);
        separator
    }

    fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

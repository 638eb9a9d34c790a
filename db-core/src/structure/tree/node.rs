//! A node: one page of entries in order, packed without a gap between them.
//!
//! ```text
//!     0  page type u8 = 5 (leaf) or 6 (inner), zero u8, entries u16
//!     4  reserved, zero
//!    14  lead u16: free bytes at the page's end
//!    16  a slot for each entry, in order
//!          leaf, 2 bytes:   end u16
//!          inner, 16 bytes: items below the child u64, child page u32, zero u16, end u16
//!        zero
//! 16384  - end of the last entry: bytes of the entries, those of the first one next to the page's end
//! 16384  - lead: zero
//! ```
//!
//! An entry's bytes are an item in a leaf and a separator in an inner node. *End* is the lead and the bytes of all
//! entries up to and with this one: entry `i` stands from `16384 - end(i)` to `16384 - end(i - 1)`. A slot ends in its
//! end, so that the lead is where that of an entry before the first one would be. There is nothing to compact, and
//! entries move between nodes in one copy. Free bytes are zero.
//!
//! What comes or goes moves the entries on the smaller side of it, if there is room at that side: none at the ends, 4
//! KiB elsewhere at most on average. Where there is no room, all entries slide first: on an insertion in front so that
//! what is free is shared between both ends, otherwise to the page's end. After a cut in the middle it is shared too.

use std::cmp::Ordering;
use std::ops::Range;

use crate::arena::{Arena, PAGE_BYTES, Page};
use crate::ids::PageId;

use super::super::PageType;

const TYPE: usize = 0;
const COUNT: usize = 2;
const RESERVED: usize = 4;
const LEAD: usize = 14;
const HEADER_BYTES: usize = 16;

const ITEMS: usize = 0;
const CHILD: usize = 8;
const PADDING: usize = 12;
const INNER_END: usize = 14;

const LEAF_SLOT_BYTES: usize = 2;
pub(super) const INNER_SLOT_BYTES: usize = 16;

/// Bytes of a node for slots and entries.
pub(super) const CAPACITY: usize = PAGE_BYTES - HEADER_BYTES;

/// Longest item in bytes: four of them fill a leaf, so that whatever is split or shared out leaves both sides a good
/// third full.
pub(crate) const ITEM_BYTES_MAX: usize = CAPACITY / 4 - LEAF_SLOT_BYTES;

/// How the entries of one kind of node are laid out.
#[derive(Clone, Copy, Debug)]
pub(super) struct NodeLayout {
    slot_bytes: usize,
    page_type: PageType,
}

pub(super) const LEAF: NodeLayout = NodeLayout { slot_bytes: LEAF_SLOT_BYTES, page_type: PageType::TreeLeaf };
pub(super) const INNER: NodeLayout = NodeLayout { slot_bytes: INNER_SLOT_BYTES, page_type: PageType::TreeInner };

#[inline]
pub(super) fn count(page: &Page) -> usize {
    page.u16_at(COUNT) as usize
}

/// Returns the child of an inner node's entry.
#[inline]
pub(super) fn child(page: &Page, index: usize) -> PageId {
    PageId(page.u32_at(INNER.slot(index) + CHILD))
}

/// Returns the number of items below an inner node's entry.
#[inline]
pub(super) fn items(page: &Page, index: usize) -> u64 {
    page.u64_at(INNER.slot(index) + ITEMS)
}

/// Returns the number of items below each of an inner node's entries in `range`.
fn each_items(page: &Page, range: Range<usize>) -> impl DoubleEndedIterator<Item = u64> + ExactSizeIterator + '_ {
    let (slots, _) =
        page.bytes(INNER.slot(range.start), range.len() * INNER_SLOT_BYTES).as_chunks::<INNER_SLOT_BYTES>();
    slots.iter().map(|slot| u64::from_le_bytes(*slot[ITEMS..].first_chunk().expect("within a slot")))
}

/// Returns the number of items below an inner node's entries in `range`.
pub(super) fn items_of(page: &Page, range: Range<usize>) -> u64 {
    each_items(page, range).sum()
}

/// Returns the entry of an inner node below which the item at `rank` is, and its rank there; `total` items are below
/// the node. `rank == total` is the end of the last entry.
pub(super) fn child_at_rank(page: &Page, rank: u64, total: u64) -> (usize, u64) {
    let last = count(page) - 1;
    if rank <= total / 2 {
        let mut left = rank;
        for (index, items) in each_items(page, 0..last).enumerate() {
            if left < items {
                return (index, left);
            }
            left -= items;
        }
        return (last, left);
    }
    let mut before = total;
    for (index, items) in each_items(page, 0..last + 1).enumerate().rev() {
        before -= items;
        if rank >= before {
            return (index, rank - before);
        }
    }
    (0, rank)
}

pub(super) fn put_child(page: &mut Page, index: usize, child: PageId) {
    page.put_u32(INNER.slot(index) + CHILD, child.0);
}

#[inline]
pub(super) fn put_items(page: &mut Page, index: usize, items: u64) {
    page.put_u64(INNER.slot(index) + ITEMS, items);
}

impl NodeLayout {
    /// Takes a page into use as a node without entries.
    pub(super) fn create(self, arena: &mut Arena) -> PageId {
        let id = arena.allocate();
        arena.page_mut(id).put_u8(TYPE, self.page_type as u8);
        id
    }

    #[inline]
    pub(super) const fn is_leaf(self) -> bool {
        self.slot_bytes == LEAF_SLOT_BYTES
    }

    #[inline]
    const fn slot(self, index: usize) -> usize {
        HEADER_BYTES + index * self.slot_bytes
    }

    /// The end of the entry before the one at `index`.
    #[inline]
    fn start(self, page: &Page, index: usize) -> usize {
        page.u16_at(LEAD + index * self.slot_bytes) as usize
    }

    /// Returns the bytes of the entry at `index`.
    #[inline]
    pub(super) fn bytes(self, page: &Page, index: usize) -> &[u8] {
        let (start, end) = (self.start(page, index), self.start(page, index + 1));
        &page.all()[PAGE_BYTES - end..PAGE_BYTES - start]
    }

    /// Returns the length of the entry at `index`.
    #[inline]
    pub(super) fn len(self, page: &Page, index: usize) -> usize {
        self.start(page, index + 1) - self.start(page, index)
    }

    /// Returns the bytes that the first `entries` entries take, slots included.
    #[inline]
    pub(super) fn used_by(self, page: &Page, entries: usize) -> usize {
        entries * self.slot_bytes + self.start(page, entries) - self.start(page, 0)
    }

    /// Returns the bytes that all entries take, slots included.
    #[inline]
    pub(super) fn used(self, page: &Page) -> usize {
        self.used_by(page, count(page))
    }

    /// Returns the bytes that an entry of a length takes, slot included.
    #[inline]
    pub(super) const fn cell(self, len: usize) -> usize {
        self.slot_bytes + len
    }

    /// The bytes of a node outside of which all are zero: header and slots, and the entries.
    pub(super) fn parts(self, page: &Page) -> [Range<usize>; 2] {
        let all = count(page);
        [0..self.slot(all), PAGE_BYTES - self.start(page, all)..PAGE_BYTES - self.start(page, 0)]
    }

    /// Returns the number of leading entries whose bytes come closest to `target`.
    pub(super) fn closest(self, page: &Page, target: usize) -> usize {
        closest(count(page), target, |entries| self.used_by(page, entries))
    }

    /// Returns the first entry of a leaf that is `bytes`.
    pub(super) fn position(self, page: &Page, bytes: &[u8]) -> Option<usize> {
        let (ends, _) = page.bytes(HEADER_BYTES, count(page) * LEAF_SLOT_BYTES).as_chunks::<LEAF_SLOT_BYTES>();
        let mut start = self.start(page, 0);
        ends.iter().position(|end| {
            let end = u16::from_le_bytes(*end) as usize;
            let entry = &page.all()[PAGE_BYTES - end..PAGE_BYTES - start];
            start = end;
            // Most entries of the same length differ in their last bytes, which need no call to be compared.
            entry.len() == bytes.len() && entry.last_chunk::<8>() == bytes.last_chunk() && entry == bytes
        })
    }

    /// Returns the first entry from `low` on for which `order` does not say Less, or the number of entries.
    #[inline]
    pub(super) fn lower_bound(self, page: &Page, low: usize, mut order: impl FnMut(usize, &[u8]) -> Ordering) -> usize {
        let (mut low, mut high) = (low, count(page));
        while low < high {
            let middle = (low + high) / 2;
            if order(middle, self.bytes(page, middle)) == Ordering::Less { low = middle + 1 } else { high = middle }
        }
        low
    }

    /// Adds an entry; the node has room. An inner node's child and items are put afterwards.
    pub(super) fn insert(self, page: &mut Page, index: usize, bytes: &[u8]) {
        let start = self.open(page, index, 1, bytes.len());
        page.bytes_mut(PAGE_BYTES - start - bytes.len(), bytes.len()).copy_from_slice(bytes);
        page.bytes_mut(self.slot(index), self.slot_bytes).fill(0);
        page.put_u16(self.slot(index + 1) - 2, (start + bytes.len()) as u16);
    }

    /// Makes room for `entries` slots at `index` and `bytes` bytes; returns the end of the entry before them.
    fn open(self, page: &mut Page, index: usize, entries: usize, bytes: usize) -> usize {
        let (all, used, slots) = (count(page), self.used(page), entries * self.slot_bytes);
        assert!(index <= all && used + slots + bytes <= CAPACITY, "a node is split before it is full");
        let (lead, start, end) = (self.start(page, 0), self.start(page, index), self.start(page, all));
        let is_first = index == 0 && all > 0;
        // The smaller part moves, if there is room at its side.
        let moves_front = lead >= bytes && (is_first || start - lead < end - start);
        // Free bytes between slots and entries, after the slots have got theirs.
        let between = (CAPACITY - used - slots).checked_sub(lead);
        if is_first && (between.is_none() || !moves_front) {
            self.slide(page, bytes + (CAPACITY - used - slots - bytes) / 2);
            return self.open(page, index, entries, bytes);
        }
        if between.is_none_or(|between| between < bytes && !moves_front) {
            self.slide(page, 0);
            return self.open(page, index, entries, bytes);
        }
        page.all_mut().copy_within(self.slot(index)..self.slot(all), self.slot(index + entries));
        page.put_u16(COUNT, (all + entries) as u16);
        if moves_front {
            page.all_mut().copy_within(PAGE_BYTES - start..PAGE_BYTES - lead, PAGE_BYTES - start + bytes);
            self.shift(page, 0..index, (bytes as u16).wrapping_neg());
            page.put_u16(LEAD, (lead - bytes) as u16);
            return start - bytes;
        }
        page.all_mut().copy_within(PAGE_BYTES - end..PAGE_BYTES - start, PAGE_BYTES - end - bytes);
        self.shift(page, index + entries..all + entries, bytes as u16);
        start
    }

    /// Shares what is free between both ends of the entries.
    pub(super) fn center(self, page: &mut Page) {
        self.slide(page, (CAPACITY - self.used(page)) / 2);
    }

    /// Moves the bytes of all entries so that `lead` bytes are free at the page's end.
    fn slide(self, page: &mut Page, lead: usize) {
        let all = count(page);
        let (start, end) = (self.start(page, 0), self.start(page, all));
        let (from, to) = (PAGE_BYTES - end..PAGE_BYTES - start, PAGE_BYTES - (end - start) - lead);
        let free =
            if lead < start { from.start..from.end.min(to) } else { from.start.max(PAGE_BYTES - lead)..from.end };
        page.all_mut().copy_within(from, to);
        page.all_mut()[free].fill(0);
        self.shift(page, 0..all, (lead as u16).wrapping_sub(start as u16));
        page.put_u16(LEAD, lead as u16);
    }

    /// Takes entries out and closes the gap from the smaller side; zeros what gets free.
    pub(super) fn remove(self, page: &mut Page, range: Range<usize>) {
        let all = count(page);
        let (start, stop, end) = (self.start(page, range.start), self.start(page, range.end), self.start(page, all));
        let lead = self.start(page, 0);
        if start - lead < end - stop {
            page.all_mut().copy_within(PAGE_BYTES - start..PAGE_BYTES - lead, PAGE_BYTES - stop);
            page.bytes_mut(PAGE_BYTES - lead - (stop - start), stop - start).fill(0);
            self.shift(page, 0..range.start, (stop - start) as u16);
            page.put_u16(LEAD, (lead + stop - start) as u16);
        } else {
            self.move_later(page, stop, end, start);
            self.shift(page, range.end..all, (start as u16).wrapping_sub(stop as u16));
        }
        page.all_mut().copy_within(self.slot(range.end)..self.slot(all), self.slot(range.start));
        page.all_mut()[self.slot(all - range.len())..self.slot(all)].fill(0);
        page.put_u16(COUNT, (all - range.len()) as u16);
    }

    /// Puts other bytes in an entry's place; the node has room.
    pub(super) fn replace(self, page: &mut Page, index: usize, bytes: &[u8]) {
        let all = count(page);
        let old = self.len(page, index);
        if bytes.len() != old {
            assert!(self.used(page) + bytes.len() <= CAPACITY + old, "a node has room for what it is given");
            if self.used(page) + self.start(page, 0) + bytes.len() > CAPACITY + old {
                self.slide(page, 0);
            }
            let (start, end) = (self.start(page, index), self.start(page, all));
            self.move_later(page, start + old, end, start + bytes.len());
            self.shift(page, index..all, (bytes.len() as u16).wrapping_sub(old as u16));
        }
        let start = self.start(page, index);
        page.bytes_mut(PAGE_BYTES - start - bytes.len(), bytes.len()).copy_from_slice(bytes);
    }

    /// Moves the bytes of entries that stand from `from` to `end` so that they begin at `to`; zeros what gets free.
    fn move_later(self, page: &mut Page, from: usize, end: usize, to: usize) {
        page.all_mut().copy_within(PAGE_BYTES - end..PAGE_BYTES - from, PAGE_BYTES - (end - from) - to);
        if to < from {
            page.bytes_mut(PAGE_BYTES - end, from - to).fill(0);
        }
    }

    /// Adds `bytes` to the ends of entries; wraps, so that it also subtracts.
    #[inline]
    fn shift(self, page: &mut Page, range: Range<usize>, bytes: u16) {
        let slots = page.bytes_mut(self.slot(range.start), range.len() * self.slot_bytes);
        if self.is_leaf() {
            // Adjacent, so that the processor adds several at once.
            let (ends, _) = slots.as_chunks_mut::<LEAF_SLOT_BYTES>();
            ends.iter_mut().for_each(|end| *end = u16::from_le_bytes(*end).wrapping_add(bytes).to_le_bytes());
        } else {
            let (slots, _) = slots.as_chunks_mut::<INNER_SLOT_BYTES>();
            for slot in slots {
                let end = u16::from_le_bytes([slot[INNER_END], slot[INNER_END + 1]]).wrapping_add(bytes);
                slot[INNER_END..].copy_from_slice(&end.to_le_bytes());
            }
        }
    }

    /// Copies entries of `from` into `to` before its entry at `index`.
    pub(super) fn copy(self, arena: &mut Arena, from: PageId, range: Range<usize>, to: PageId, index: usize) {
        let (source, target) = arena.page_pair(from, to);
        let (start, stop) = (self.start(source, range.start), self.start(source, range.end));
        let there = self.open(target, index, range.len(), stop - start);
        let bytes = source.bytes(PAGE_BYTES - stop, stop - start);
        target.bytes_mut(PAGE_BYTES - there - bytes.len(), bytes.len()).copy_from_slice(bytes);
        let slots = source.bytes(self.slot(range.start), range.len() * self.slot_bytes);
        target.bytes_mut(self.slot(index), slots.len()).copy_from_slice(slots);
        self.shift(target, index..index + range.len(), (there as u16).wrapping_sub(start as u16));
    }

    /// Moves entries of `from` into `to` before its entry at `index`.
    pub(super) fn transfer(self, arena: &mut Arena, from: PageId, range: Range<usize>, to: PageId, index: usize) {
        if !range.is_empty() {
            self.copy(arena, from, range.clone(), to, index);
            self.remove(arena.page_mut(from), range);
        }
    }

    /// Checks a node in itself: whatever its bytes are, entries that are looked at afterwards lie within it.
    pub(super) fn check(self, page: &Page, lengths: &Range<usize>) -> Result<(), &'static str> {
        let entries = count(page);
        if page.u8_at(TYPE) != self.page_type as u8 || entries == 0 || entries * self.slot_bytes > CAPACITY {
            return Err("a node of a tree is malformed");
        }
        let lead = page.u16_at(LEAD) as usize;
        let mut before = lead;
        for index in 0..entries {
            let end = self.start(page, index + 1);
            if !end.checked_sub(before).is_some_and(|len| lengths.contains(&len)) {
                return Err("an entry of a tree has an impossible length");
            }
            before = end;
        }
        if entries * self.slot_bytes + before > CAPACITY {
            return Err("the entries of a node of a tree overlap");
        }
        let padded = |index: usize| page.u16_at(self.slot(index) + PADDING) != 0;
        let free = [RESERVED..LEAD, self.slot(entries)..PAGE_BYTES - before, PAGE_BYTES - lead..PAGE_BYTES];
        if page.u8_at(1) != 0
            || free.into_iter().any(|range| page.all()[range].iter().any(|byte| *byte != 0))
            || (!self.is_leaf() && (0..entries).any(padded))
        {
            return Err("free bytes of a node of a tree are not zero");
        }
        Ok(())
    }
}

/// Returns the number of leading entries of `all`, of which `size` says how many bytes they take, that comes closest to
/// `target`; the smaller one of two.
pub(super) fn closest(all: usize, target: usize, size: impl Fn(usize) -> usize) -> usize {
    let (mut low, mut high) = (0, all);
    while low < high {
        let middle = (low + high) / 2;
        if size(middle) < target { low = middle + 1 } else { high = middle }
    }
    if low > 0 && target - size(low - 1) <= size(low).abs_diff(target) { low - 1 } else { low }
}

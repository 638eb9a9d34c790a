//! The directory (of extendible hashing): which segment contains the tags that begin with given bits.
//!
//! ```text
//!      up to 2^12 entries: one page
//!      more: a root page of up to 1024 page numbers u32, each of a page of 4096 entries
//!
//!      an entry u32: the segment's page number in the upper 27 bits, its local depth in the lower 5
//! ```
//!
//! It has 2^depth entries; a segment of local depth `d` has 2^(depth - d) neighbouring entries. The local depth is stored in the
//! entry since a search needs it before it reads the segment.

use crate::arena::{Arena, PAGE_BYTES, Page, Pages};
use crate::ids::PageId;

use super::handle::{TableHandle, Top};
use super::segment::{SegmentSpan, Target};

pub(super) const ENTRIES_PER_PAGE: usize = PAGE_BYTES / 4;

/// Depth up to which a directory is one page.
pub(super) const DEPTH_OF_PAGE: u8 = ENTRIES_PER_PAGE.trailing_zeros() as u8;

/// Depth of the largest directory: as many segments as a shard has pages. 10 bits of a tag are left to choose the home bucket.
pub(super) const DEPTH_MAX: u8 = 22;

const DEPTH_BITS: u32 = 5;

/// What the directory says of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentEntry(pub(super) u32);

impl SegmentEntry {
    #[inline]
    pub(super) const fn new(page: PageId, depth: u8) -> SegmentEntry {
        SegmentEntry(page.0 << DEPTH_BITS | depth as u32)
    }

    const fn depth(self) -> u8 {
        (self.0 & ((1 << DEPTH_BITS) - 1)) as u8
    }

    #[inline]
    pub(super) const fn run<T: Target>(self) -> SegmentSpan<T> {
        SegmentSpan::of_page(PageId(self.0 >> DEPTH_BITS), self.depth())
    }
}

/// The first `depth` bits of a tag.
#[inline]
pub(super) const fn index_of(tag: u32, depth: u8) -> usize {
    (((tag as u64) << depth) >> 32) as usize
}

/// Number of pages of a directory of `depth`, the root page not counted.
pub(super) const fn pages(depth: u8) -> usize {
    (1usize << depth).div_ceil(ENTRIES_PER_PAGE)
}

/// The segment of `tag`.
#[inline]
pub(super) fn lookup<T: Target>(pages: &impl Pages, top: Top, tag: u32) -> SegmentSpan<T> {
    entry(pages, top, index_of(tag, top.depth)).run()
}

/// The entry at `index`.
#[inline]
pub(super) fn entry<P: Pages>(pages: &P, top: Top, index: usize) -> SegmentEntry {
    entry_in(pages.page(page_of(pages, top, index)), index)
}

/// The entry at `index`, in the page of the directory where it stands.
#[inline]
pub(super) fn entry_in(page: &Page, index: usize) -> SegmentEntry {
    SegmentEntry(page.u32_at(4 * (index % ENTRIES_PER_PAGE)))
}

/// The page in which the entry at `index` stands.
#[inline]
pub(super) fn page_of<P: Pages>(pages: &P, top: Top, index: usize) -> PageId {
    if top.depth <= DEPTH_OF_PAGE {
        PageId(top.at)
    } else {
        PageId(pages.page(PageId(top.at)).u32_at(4 * (index / ENTRIES_PER_PAGE)))
    }
}

fn put(arena: &mut Arena, top: Top, index: usize, entry: SegmentEntry) {
    let page = page_of(arena, top, index);
    arena.page_mut(page).put_u32(4 * (index % ENTRIES_PER_PAGE), entry.0);
}

/// A directory of depth 0 that leads to `segment` only; returns its page.
pub(super) fn create(arena: &mut Arena, segment: PageId) -> PageId {
    let page = arena.allocate();
    arena.page_mut(page).put_u32(0, SegmentEntry::new(segment, 0).0);
    page
}

/// Points all entries of tags that begin as `tag` does, by `local` bits, at `segment`.
pub(super) fn point(arena: &mut Arena, top: Top, tag: u32, local: u8, segment: PageId) {
    let width = top.depth - local;
    let first = index_of(tag, local) << width;
    for index in first..first + (1 << width) {
        put(arena, top, index, SegmentEntry::new(segment, local));
    }
}

/// Doubles the directory: every entry becomes two. No segment is of its depth then.
pub(super) fn double(arena: &mut Arena, handle: &mut TableHandle) {
    let old = handle.top;
    assert!(old.depth < DEPTH_MAX, "a table has used up its directory");
    let mut new = Top { depth: old.depth + 1, ..old };
    if old.depth == DEPTH_OF_PAGE {
        new.at = arena.allocate().0;
        arena.page_mut(PageId(new.at)).put_u32(0, old.at);
    }
    for page in pages(old.depth)..pages(new.depth) {
        let id = arena.allocate();
        arena.page_mut(PageId(new.at)).put_u32(4 * page, id.0);
    }
    for index in (0..1usize << new.depth).rev() {
        let entry = entry(arena, old, index / 2);
        put(arena, new, index, entry);
    }
    (handle.top, handle.deepest) = (new, 0);
}

/// Halves the directory, none of whose segments is of its depth: every other entry goes.
pub(super) fn halve(arena: &mut Arena, handle: &mut TableHandle) {
    let old = handle.top;
    let mut new = Top { depth: old.depth - 1, ..old };
    handle.deepest = 0;
    for index in 0..1usize << new.depth {
        let entry = entry(arena, old, 2 * index);
        handle.deepest += u32::from(entry.depth() == new.depth);
        put(arena, old, index, entry);
    }
    for page in pages(new.depth)..pages(old.depth) {
        let root = PageId(old.at);
        let id = PageId(arena.page(root).u32_at(4 * page));
        arena.page_mut(root).put_u32(4 * page, 0);
        arena.free(id);
    }
    if old.depth == DEPTH_OF_PAGE + 1 {
        new.at = arena.page(PageId(old.at)).u32_at(0);
        arena.free(PageId(old.at));
    }
    handle.top = new;
}

//! The directory (of extendible hashing): which segment contains the tags that begin with given bits.
//!
//! ```text
//!      up to 2^9 entries: a slot
//!      up to 2^11: a page
//!      more: a root page of up to 2048 page numbers u32, each of a page of 2048 entries
//!
//!      an entry: the segment's page u32, byte offset of its first bucket there u16, its buckets u8, its local depth u8
//! ```
//!
//! It has 2^depth entries; a segment of local depth `d` has 2^(depth - d) neighbouring entries. Size and local depth are stored in the
//! entry since a search needs them before it reads the segment.

use crate::arena::{Arena, PAGE_BYTES, Page, Pages, Ref};
use crate::ids::PageId;
use crate::structure::slab;

use super::handle::{TableHandle, Top, form};
use super::segment::{SegmentSpan, Target};

const ENTRY_BYTES: usize = 8;

pub(super) const ENTRIES_PER_PAGE: usize = PAGE_BYTES / ENTRY_BYTES;

/// Depth up to which a directory is in a slot.
const DEPTH_OF_SLOT: u8 = 9;

/// Depth up to which it is in one piece.
pub(super) const DEPTH_OF_PAGE: u8 = ENTRIES_PER_PAGE.trailing_zeros() as u8;

/// Depth of the largest directory. 10 bits of a tag are left to choose the home bucket.
pub(super) const DEPTH_MAX: u8 = 22;

/// What the directory says of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentEntry(u64);

impl SegmentEntry {
    pub(super) fn new<T: Target>(run: SegmentSpan<T>) -> SegmentEntry {
        SegmentEntry(run.to_word())
    }

    const fn depth(self) -> u8 {
        (self.0 >> 56) as u8
    }

    #[inline]
    pub(super) const fn run<T: Target>(self) -> SegmentSpan<T> {
        SegmentSpan::of_word(self.0)
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
    let (page, offset) = place(pages, top, index);
    SegmentEntry(pages.page(page).u64_at(offset))
}

/// The entry at `index` of a directory in one piece, which begins at `at` in its page.
#[inline]
pub(super) fn entry_in(page: &Page, at: Ref, index: usize) -> SegmentEntry {
    SegmentEntry(page.u64_at(at.offset() + ENTRY_BYTES * index))
}

/// The page in which the entry at `index` stands.
pub(super) fn page_of<P: Pages>(pages: &P, top: Top, index: usize) -> PageId {
    place(pages, top, index).0
}

/// The page and the byte offset at which the entry at `index` stands.
#[inline]
fn place<P: Pages>(pages: &P, top: Top, index: usize) -> (PageId, usize) {
    let at = Ref(top.at);
    if top.depth <= DEPTH_OF_PAGE {
        (at.page(), at.offset() + ENTRY_BYTES * index)
    } else {
        let page = pages.page(at.page()).u32_at(4 * (index / ENTRIES_PER_PAGE));
        (PageId(page), ENTRY_BYTES * (index % ENTRIES_PER_PAGE))
    }
}

fn put(arena: &mut Arena, top: Top, index: usize, entry: SegmentEntry) {
    let (page, offset) = place(arena, top, index);
    arena.page_mut(page).put_u64(offset, entry.0);
}

/// Bytes of the slot of a directory that is in one.
const fn slot_bytes(depth: u8) -> usize {
    ENTRY_BYTES << depth
}

/// Bytes of the slot of a directory of `depth`, or 0 if it is in pages.
pub(super) const fn bytes_in_slot(depth: u8) -> usize {
    if depth <= DEPTH_OF_SLOT { slot_bytes(depth) } else { 0 }
}

/// Bytes that a directory of `depth` takes.
pub(super) fn memory_bytes(depth: u8) -> u64 {
    let root = usize::from(depth > DEPTH_OF_PAGE);
    let bytes = match bytes_in_slot(depth) {
        0 => (root + pages(depth)) * PAGE_BYTES,
        bytes => slab::slot_bytes(slab::class_of(bytes)),
    };
    bytes as u64
}

/// Room for a directory of `depth` in one piece, without entries.
pub(super) fn create(arena: &mut Arena, depth: u8) -> Top {
    let at = match bytes_in_slot(depth) {
        0 => Ref::new(arena.allocate(), 0),
        bytes => slab::allocate(arena, bytes),
    };
    Top { at: at.0, form: form::DIRECTORY, depth }
}

/// Frees a directory in one piece, or the root page of a larger one.
pub(super) fn give_up(arena: &mut Arena, top: Top) {
    let at = Ref(top.at);
    if bytes_in_slot(top.depth) == 0 {
        arena.free(at.page());
    } else {
        slab::release(arena, at);
    }
}

/// Points all entries of tags that begin as `tag` does, by the segment's local depth, at it.
pub(super) fn point<T: Target>(arena: &mut Arena, top: Top, tag: u32, run: SegmentSpan<T>) {
    let width = top.depth - run.depth;
    let first = index_of(tag, run.depth) << width;
    for index in first..first + (1 << width) {
        put(arena, top, index, SegmentEntry::new(run));
    }
}

/// Doubles the directory: every entry becomes two. No segment is of its depth then.
pub(super) fn double(arena: &mut Arena, handle: &mut TableHandle) {
    let old = handle.top;
    assert!(old.depth < DEPTH_MAX, "a table has used up its directory");
    let mut new = Top { depth: old.depth + 1, ..old };
    let moves = old.depth <= DEPTH_OF_SLOT;
    if moves {
        new = create(arena, new.depth);
    } else if old.depth == DEPTH_OF_PAGE {
        let root = arena.allocate();
        arena.page_mut(root).put_u32(0, Ref(old.at).page().0);
        new.at = Ref::new(root, 0).0;
    }
    for page in pages(old.depth)..pages(new.depth) {
        let id = arena.allocate();
        arena.page_mut(Ref(new.at).page()).put_u32(4 * page, id.0);
    }
    for index in (0..1usize << new.depth).rev() {
        let entry = entry(arena, old, index / 2);
        put(arena, new, index, entry);
    }
    if moves {
        give_up(arena, old);
    }
    (handle.top, handle.deepest) = (new, 0);
}

/// Halves the directory, none of whose segments is of its depth: every other entry goes.
pub(super) fn halve(arena: &mut Arena, handle: &mut TableHandle) {
    let old = handle.top;
    let mut new = Top { depth: old.depth - 1, ..old };
    let moves = new.depth <= DEPTH_OF_SLOT;
    if moves {
        new = create(arena, new.depth);
    }
    handle.deepest = 0;
    for index in 0..1usize << new.depth {
        let entry = entry(arena, old, 2 * index);
        handle.deepest += u32::from(entry.depth() == new.depth);
        put(arena, if moves { new } else { old }, index, entry);
    }
    for page in pages(new.depth)..pages(old.depth) {
        let root = Ref(old.at).page();
        let id = PageId(arena.page(root).u32_at(4 * page));
        arena.page_mut(root).put_u32(4 * page, 0);
        arena.free(id);
    }
    if old.depth == DEPTH_OF_PAGE + 1 {
        let root = Ref(old.at).page();
        new.at = Ref::new(PageId(arena.page(root).u32_at(0)), 0).0;
        arena.free(root);
    }
    if moves {
        give_up(arena, old);
    }
    handle.top = new;
}

//! The directory: which segment holds the tags that begin with given bits.
//!
//! 2^depth page numbers, 4096 a page; a segment of local depth `d` fills 2^(depth - d) neighbouring entries.

use crate::arena::{Arena, PAGE_BYTES, Pages};
use crate::ids::PageId;

use super::root;
use super::segment;

pub(crate) const ENTRIES_PER_PAGE: usize = PAGE_BYTES / 4;

/// Makes the directory and the first segment of an empty shard.
pub(crate) fn create(arena: &mut Arena) {
    let page = arena.allocate();
    root::put_directory_page(arena, 0, page);
    let first = segment::create(arena, 0, 0);
    put(arena, 0, first);
    root::put_segments(arena, 1);
}

/// Number of pages of a directory of `depth`.
pub(crate) const fn pages(depth: u32) -> usize {
    (1usize << depth).div_ceil(ENTRIES_PER_PAGE)
}

/// The segment of `tag`.
#[inline]
pub(crate) fn lookup(pages: &impl Pages, tag: u32) -> PageId {
    entry(pages, index_of(tag, root::depth(pages)))
}

/// The entry at `index`.
#[inline]
pub(crate) fn entry(pages: &impl Pages, index: usize) -> PageId {
    let page = root::directory_page(pages, index / ENTRIES_PER_PAGE).expect("the directory has its pages");
    PageId(pages.page(page).u32_at(4 * (index % ENTRIES_PER_PAGE)))
}

/// The first `depth` bits of a tag.
#[inline]
pub(crate) const fn index_of(tag: u32, depth: u32) -> usize {
    // In 64 bits, since a shift by all 32 of a `u32` is none.
    ((tag as u64) >> (32 - depth)) as usize
}

/// Points all entries of the segment with `prefix` of `local` bits at `segment`.
pub(crate) fn point(arena: &mut Arena, prefix: u32, local: u32, segment: PageId) {
    let width = root::depth(arena) - local;
    let first = (prefix as usize) << width;
    for index in first..first + (1 << width) {
        put(arena, index, segment);
    }
}

/// Doubles the directory: every entry becomes two.
pub(crate) fn double(arena: &mut Arena) {
    let depth = root::depth(arena);
    assert!(depth < root::DEPTH_MAX, "a shard has used up its index");
    for page in pages(depth)..pages(depth + 1) {
        let id = arena.allocate();
        root::put_directory_page(arena, page, id);
    }
    for index in (0..1usize << (depth + 1)).rev() {
        let segment = entry(arena, index / 2);
        put(arena, index, segment);
    }
    root::put_depth(arena, depth + 1);
}

fn put(arena: &mut Arena, index: usize, segment: PageId) {
    let page = root::directory_page(arena, index / ENTRIES_PER_PAGE).expect("the directory has its pages");
    arena.page_mut(page).put_u32(4 * (index % ENTRIES_PER_PAGE), segment.0);
}

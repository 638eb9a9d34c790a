//! Heaps: which owner the allocator's pages belong to.
//!
//! Key records and small data share one heap, whose chains are in the superblock. A large collection has a heap of its own: all
//! slots in its pages contain entries of this collection. So deleting the collection frees entire pages instead of single
//! entries, and writes to none of them. Its root is in a slot of the shared heap:
//!
//! ```text
//!   0  pages u32
//!   4  first of its pages u32 (0: none); they are chained by their headers
//!   8  draining u8: 1 if it is being given up, else 0
//!   9  reserved, zero
//!  16  first page with a free slot, by size class: u32 each (0: none); void while draining
//! ```

use crate::arena::{Arena, Page, Pages, Ref};
use crate::ids::PageId;

use super::root;
use super::slab::{self, CLASSES};

const PAGES: usize = 0;
const FIRST: usize = 4;
const DRAINING: usize = 8;
const RESERVED: usize = 9;
const PARTIAL: usize = 16;

/// Bytes of the root of a heap.
pub(crate) const ROOT_BYTES: usize = PARTIAL + 4 * CLASSES;

/// The heap that a slot belongs to: the address of its root, or null for the shared one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Heap(pub(crate) Ref);

impl Heap {
    /// That of records.
    pub(crate) const SHARED: Heap = Heap(Ref::NULL);

    /// Makes a heap without pages.
    pub(crate) fn create(arena: &mut Arena) -> Heap {
        let at = slab::allocate(arena, ROOT_BYTES);
        arena.page_mut(at.page()).bytes_mut(at.offset(), ROOT_BYTES).fill(0);
        Heap(at)
    }

    #[inline]
    pub(crate) fn is_shared(self) -> bool {
        self.0.is_null()
    }

    /// The number of its pages.
    pub(crate) fn pages(self, pages: &impl Pages) -> u32 {
        self.word(pages, PAGES)
    }

    /// Whether it is half given up.
    pub(crate) fn is_draining(self, pages: &impl Pages) -> bool {
        pages.page(self.0.page()).u8_at(self.0.offset() + DRAINING) != 0
    }

    /// Whether what is fixed in the layout of its root is so.
    pub(crate) fn is_well_formed(self, page: &Page) -> bool {
        let at = self.0.offset();
        page.u8_at(at + DRAINING) <= 1 && page.bytes(at + RESERVED, PARTIAL - RESERVED).iter().all(|byte| *byte == 0)
    }

    /// Its first page.
    pub(crate) fn first(self, pages: &impl Pages) -> Option<PageId> {
        root::some_page(self.word(pages, FIRST))
    }

    /// First page with a free slot of `class`.
    #[inline]
    pub(crate) fn partial(self, pages: &impl Pages, class: usize) -> Option<PageId> {
        if self.is_shared() {
            root::partial(pages, class)
        } else {
            root::some_page(self.word(pages, PARTIAL + 4 * class))
        }
    }

    #[inline]
    pub(super) fn put_partial(self, arena: &mut Arena, class: usize, page: Option<PageId>) {
        if self.is_shared() {
            root::put_partial(arena, class, page);
        } else {
            self.put_word(arena, PARTIAL + 4 * class, root::page_or_zero(page));
        }
    }

    /// Adds a new page to an owner's; returns the one that follows it.
    pub(super) fn add(self, arena: &mut Arena, page: PageId) -> Option<PageId> {
        let (next, pages) = (self.first(arena), self.pages(arena));
        self.put_word(arena, FIRST, page.0);
        self.put_word(arena, PAGES, pages + 1);
        next
    }

    /// Takes a page out of an owner's, given the one that follows it if it is the first.
    pub(super) fn remove(self, arena: &mut Arena, was_first: bool, next: Option<PageId>) {
        let pages = self.pages(arena);
        self.put_word(arena, PAGES, pages - 1);
        if was_first {
            self.put_word(arena, FIRST, root::page_or_zero(next));
        }
    }

    /// Frees at most `max` pages of an owner's heap that is given up, and its root with the last one; returns how many, or `None` if it is
    /// gone. Until then it is good for nothing but to be drained. No page of it is written.
    pub(crate) fn drain(self, arena: &mut Arena, max: usize) -> Option<usize> {
        arena.page_mut(self.0.page()).put_u8(self.0.offset() + DRAINING, 1);
        let (mut freed, mut next) = (0, self.first(arena));
        while let Some(page) = next.filter(|_| freed < max) {
            next = slab::free_owned(arena, page);
            freed += 1;
        }
        if next.is_none() {
            slab::free(arena, self.0);
            return None;
        }
        let left = self.pages(arena) - freed as u32;
        self.put_word(arena, FIRST, root::page_or_zero(next));
        self.put_word(arena, PAGES, left);
        Some(freed)
    }

    fn word(self, pages: &impl Pages, at: usize) -> u32 {
        pages.page(self.0.page()).u32_at(self.0.offset() + at)
    }

    fn put_word(self, arena: &mut Arena, at: usize, value: u32) {
        arena.page_mut(self.0.page()).put_u32(self.0.offset() + at, value);
    }
}

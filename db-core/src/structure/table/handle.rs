//! The handle (root pointer) of a table: all that is stored of it outside its own memory. It may be anywhere in a page and may be
//! copied elsewhere.
//!
//! ```text
//!   0  entries u32
//!   4  buckets of the segments under a directory u32; without a directory 0
//!   8  segments u32
//!  12  directory: segments whose local depth is the directory's u32; draining: directory entries drained u32; else 0
//!  16  top u32: the address of the first bucket, or of the directory; 0 in an empty table
//!  20  depth u8: bits of a tag that the directory is addressed by, 1 to 22; without a directory 0
//!  21  reserved u16, zero
//!  23  form u8: 0 empty, 1 to 14 one segment, 15 directory, 16 draining
//! ```
//!
//! An empty table's handle is 24 zero bytes.

use std::marker::PhantomData;

use crate::arena::{Arena, Pages, Ref};
use crate::ids::PageId;

use crate::structure::slab;

use super::directory::{self, DEPTH_OF_PAGE};
use super::segment::{self, SegmentSpan, Target};

/// Length of a handle in bytes.
pub(crate) const HANDLE_BYTES: usize = 24;

const ENTRIES: usize = 0;
const BUCKETS: usize = 4;
const SEGMENTS: usize = 8;
const DEEPEST: usize = 12;
const TOP: usize = 16;
const RESERVED: usize = 21;

/// Where a handle stands, and what the entries of its table lead to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TableAt<T = Ref> {
    page: PageId,
    offset: usize,
    target: PhantomData<T>,
}

impl<T> TableAt<T> {
    /// The one at byte `offset` of `page`.
    #[inline]
    pub(crate) const fn new(page: PageId, offset: usize) -> TableAt<T> {
        TableAt { page, offset, target: PhantomData }
    }

    /// Whether the reserved bytes are zero.
    pub(super) fn is_clean(&self, pages: &impl Pages) -> bool {
        pages.page(self.page).u16_at(self.offset + RESERVED) == 0
    }
}

/// What the top of a table is: a number of [`segment::BUCKETS`], or one of these.
pub(super) mod form {
    /// No memory at all.
    pub(in super::super) const EMPTY: u8 = 0;
    /// The largest table of one segment.
    pub(in super::super) const LARGEST: u8 = 14;
    /// A directory of segments.
    pub(in super::super) const DIRECTORY: u8 = 15;
    /// The same, given up from its beginning on: nothing is found in it any more.
    pub(in super::super) const DRAINING: u8 = 16;
}

const _: () = assert!(segment::BUCKETS.len() == form::LARGEST as usize + 1);

/// What a search needs of a handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Top {
    pub(super) at: u32,
    pub(super) form: u8,
    pub(super) depth: u8,
}

impl Top {
    pub(super) const EMPTY: Top = Top { at: 0, form: form::EMPTY, depth: 0 };

    #[inline]
    pub(super) fn read<T>(pages: &impl Pages, table: TableAt<T>) -> Top {
        Top::from_word(word(pages, table))
    }

    #[inline]
    pub(super) const fn from_word(word: u64) -> Top {
        Top { at: word as u32, form: (word >> 56) as u8, depth: (word >> 32) as u8 }
    }

    /// The segment of a table that has one and no directory.
    #[inline]
    pub(super) fn single<T: Target>(self) -> SegmentSpan<T> {
        let first = Ref(self.at);
        SegmentSpan::new(first.page(), first.offset(), segment::BUCKETS[self.form as usize])
    }
}

/// The part of a handle that a search needs, as it stands there.
#[inline]
pub(super) fn word<T>(pages: &impl Pages, table: TableAt<T>) -> u64 {
    pages.page(table.page).u64_at(table.offset + TOP)
}

/// The place and the depth of a directory in one piece, which most searches of large tables go through: told from everything else by one
/// comparison. The word is that of a handle.
#[inline]
pub(super) const fn short_directory(word: u64) -> Option<(Ref, u8)> {
    let depth = ((word >> 32) as u32).wrapping_sub((form::DIRECTORY as u32) << 24);
    if depth <= DEPTH_OF_PAGE as u32 { Some((Ref(word as u32), depth as u8)) } else { None }
}

/// A whole handle, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TableHandle {
    pub(super) entries: u64,
    /// Of the segments under a directory.
    pub(super) buckets: u32,
    pub(super) segments: u32,
    /// With a directory: segments of the directory's depth, at least two. Draining: entries of the directory that are void.
    pub(super) deepest: u32,
    pub(super) top: Top,
}

impl TableHandle {
    pub(super) const EMPTY: TableHandle =
        TableHandle { entries: 0, buckets: 0, segments: 0, deepest: 0, top: Top::EMPTY };

    pub(super) fn read<T>(pages: &impl Pages, table: TableAt<T>) -> TableHandle {
        let page = pages.page(table.page);
        TableHandle {
            entries: page.u32_at(table.offset + ENTRIES).into(),
            buckets: page.u32_at(table.offset + BUCKETS),
            segments: page.u32_at(table.offset + SEGMENTS),
            deepest: page.u32_at(table.offset + DEEPEST),
            top: Top::read(pages, table),
        }
    }

    pub(super) fn write<T>(self, arena: &mut Arena, table: TableAt<T>) {
        let page = arena.page_mut(table.page);
        page.put_u32(table.offset + ENTRIES, self.entries as u32);
        page.put_u32(table.offset + BUCKETS, self.buckets);
        page.put_u32(table.offset + SEGMENTS, self.segments);
        page.put_u32(table.offset + DEEPEST, self.deepest);
        let top = u64::from(self.top.at) | u64::from(self.top.form) << 56 | u64::from(self.top.depth) << 32;
        page.put_u64(table.offset + TOP, top);
    }
}

/// Number of entries.
#[inline]
pub(crate) fn entries<T>(pages: &impl Pages, table: TableAt<T>) -> u64 {
    pages.page(table.page).u32_at(table.offset + ENTRIES).into()
}

/// Changes the number of entries by `change`. It stays below 2^32: each leads to a granule or more of its shard's.
#[inline]
pub(super) fn count<T>(arena: &mut Arena, table: TableAt<T>, change: i32) {
    let page = arena.page_mut(table.page);
    let entries = page.u32_at(table.offset + ENTRIES).wrapping_add_signed(change);
    page.put_u32(table.offset + ENTRIES, entries);
}

/// Number of segments.
pub(crate) fn segments<T>(pages: &impl Pages, table: TableAt<T>) -> u32 {
    pages.page(table.page).u32_at(table.offset + SEGMENTS)
}

/// Bytes of the slots and pages of a table, its directory's included.
pub(crate) fn memory_bytes<T>(pages: &impl Pages, table: TableAt<T>) -> u64 {
    let handle = TableHandle::read(pages, table);
    match handle.top.form {
        form::EMPTY => 0,
        form::DIRECTORY | form::DRAINING => {
            directory::memory_bytes(handle.top.depth)
                + segment::memory_bytes(handle.segments.into(), handle.buckets.into())
        }
        smaller => slab::slot_bytes(slab::class_of(segment::BUCKETS[smaller as usize] * segment::BUCKET_BYTES)) as u64,
    }
}

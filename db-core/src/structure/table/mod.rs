//! The hash table. A shard may have any number of them; each is accessed through a [handle](handle), which its owner stores.
//!
//! **Problem.** A key space of millions and a set of five are both looked up by hash. Growth must never rehash everything at
//! once, a small table must be cheap, and a scan must continue across growth, shrinking, restarts and takeovers.
//!
//! **Idea.** An entry is a tag (32 bits of a hash) and a [target](Target): an address, or another word that leads its owner to the data,
//! which the owner compares itself. A table
//! grows through these forms and shrinks back the same way, with hysteresis:
//!
//! ```text
//!   empty      nothing but the handle
//!   1 to 62    buckets in a slot of the allocator, a segment; copied to the next size when they are full
//!   directory  segments, each of which is copied to the next size, and splits in two when it is of the last: extendible hashing
//! ```
//!
//! A tag, read from its highest bit on, is a fraction of 1. Its first bits choose the segment and what follows, times the number
//! of buckets, the home bucket: see [`segment`]. **So the order of homes is the order of tags, whatever the table's form is**,
//! and a scan's cursor is a tag: see [`scan`]. A random pick is a tag and a slot: see [`random`].
//!
//! **Invariants.** A table knows nothing of who owns it, and nothing in it points back at the handle: the handle's bytes can be
//! copied elsewhere and are the table then. All of it is in pages: same changes in the same order, same bytes.
//!
//! **Not done here.** Keys are not compared here, so duplicates are not refused. More than 447 entries (of addresses) whose tags agree in 22
//! bits do not fit: hashes are seeded, so an attacker cannot produce them.

mod change;
mod check;
mod directory;
mod drain;
mod handle;
mod random;
mod scan;
mod segment;

#[cfg(test)]
pub(crate) mod tests;

use crate::arena::{Arena, Pages, Ref};

use handle::{Top, form};
use segment::SegmentSpan;

pub(crate) use change::{insert, pages_to_double, remove, replace};
pub(crate) use check::{Inspector, check};
pub(crate) use drain::{drain, drain_all, has_memory, is_draining};
pub(crate) use handle::{HANDLE_BYTES, TableAt, entries, memory_bytes, segments};
pub(crate) use random::random;
pub(crate) use scan::scan;
pub(crate) use segment::Target;

/// Bytes of an entry of an address.
pub(crate) const ENTRY_BYTES: usize = 8;

/// Entries of `T` for each page that the segments of a growing table take, at least: a quarter of the pages' room is slots that
/// others have left behind, and segments are three quarters full.
pub(crate) const fn page_entries_min<T: Target>() -> u64 {
    SegmentSpan::<T>::ENTRIES_MAX as u64 * 2
}

/// An entry that was found, valid until the table changes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found<T = Ref> {
    run: SegmentSpan<T>,
    /// Byte offset of its target.
    place: u32,
    /// What it leads to.
    pub(crate) at: T,
}

/// The part of a hash that tables work with.
#[inline]
pub(crate) const fn tag_of(hash: u64) -> u32 {
    (hash >> 32) as u32
}

/// The segment in which `tag` is if it is there; `None` if the table has none or is being drained.
#[inline]
fn locate<T: Target>(pages: &impl Pages, table: TableAt<T>, tag: u32) -> Option<SegmentSpan<T>> {
    locate_in(pages, Top::read(pages, table), tag)
}

#[inline(always)]
fn locate_in<T: Target>(pages: &impl Pages, top: Top, tag: u32) -> Option<SegmentSpan<T>> {
    if top.form == form::DIRECTORY {
        Some(directory::lookup(pages, top, tag))
    } else if top.form.wrapping_sub(form::EMPTY + 1) < form::LARGEST {
        Some(top.single())
    } else {
        None
    }
}

/// The entry of `tag` for which `is_it` is true.
#[inline(always)]
pub(crate) fn find<T: Target>(
    pages: &impl Pages,
    table: TableAt<T>,
    tag: u32,
    is_it: impl FnMut(T) -> bool,
) -> Option<Found<T>> {
    let word = handle::word(pages, table);
    if let Some((at, depth)) = handle::short_directory(word) {
        let run = directory::entry_in(pages.page(at.page()), at, directory::index_of(tag, depth)).run();
        return find_in(pages, run, tag, is_it);
    }
    find_in(pages, locate_in(pages, Top::from_word(word), tag)?, tag, is_it)
}

#[inline(always)]
fn find_in<T: Target>(
    pages: &impl Pages,
    run: SegmentSpan<T>,
    tag: u32,
    is_it: impl FnMut(T) -> bool,
) -> Option<Found<T>> {
    run.find(pages.page(run.page), tag, is_it).map(|(place, at)| Found { run, place: place as u32, at })
}

/// Prefetches the memory in which a search for `tag` starts.
#[inline]
pub(crate) fn prefetch<T: Target>(arena: &Arena, table: TableAt<T>, tag: u32) {
    if let Some(run) = locate(arena, table, tag) {
        arena.prefetch(run.page, run.offset(run.home(tag)));
    }
}

/// Visits what a search for `tag` will look at first. The bucket should have been prefetched.
#[inline]
pub(crate) fn likely<T: Target>(arena: &Arena, table: TableAt<T>, tag: u32, visit: impl FnMut(T)) {
    if let Some(run) = locate(arena, table, tag) {
        run.likely(arena.page(run.page), tag, visit);
    }
}

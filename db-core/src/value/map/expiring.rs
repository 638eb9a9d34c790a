//! A hash with fields that may expire.
//!
//! A small one is in one piece, with three strings for each field: name, value, and when it expires. A large one is a hash table, as any
//! hash, whose entries have room for an expiry where one was set, beside an expiry index of them. Its root:
//!
//! ```text
//!   0  when the first field expires u64 (0: none does), as in every such record (`value/record.rs`)
//!   8  root of the hash table (`value/map/large.rs`)
//!  48  handle of the expiry index (`structure/expiry.rs`)
//! ```
//!
//! A hash becomes one when the first of its fields gets an expiry, and stays one: others pay nothing. The database's expiry index has it once,
//! with its first expiry.

use crate::arena::{Arena, PAGE_BYTES, Pages, Ref};
use crate::ids::PageId;
use crate::structure::expiry::{self, ExpiryIndex};
use crate::structure::tree::{self, ByBytes, Tree};
use crate::value::entry::SlotEntry;
use crate::value::packed;
use crate::value::record::FIELDS_EXPIRY_BYTES;

use super::large::{self, Large};

const FIELDS: usize = FIELDS_EXPIRY_BYTES;
const INDEX: usize = FIELDS + large::ROOT_BYTES;

/// Bytes of a root; zeros are one without fields.
pub(crate) const ROOT_BYTES: usize = INDEX + tree::HANDLE_BYTES;

/// Strings of a field of a small one.
pub(crate) const STRIDE: packed::Stride = 3;

/// Reads when a field expires, from the string that says so; `None` if it never does.
#[inline]
pub(crate) fn expiry_of(string: &[u8]) -> Option<u64> {
    string.try_into().ok().map(u64::from_le_bytes).filter(|time| *time != 0)
}

/// Returns when the first field of a small one expires.
pub(crate) fn first_expiry(blob: &[u8]) -> Option<u64> {
    packed::strings(blob).skip(2).step_by(STRIDE).filter_map(expiry_of).min()
}

/// A large one, by the place of its root: a page and a byte offset within it. Whoever owns the root may move it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ExpiringHash {
    page: PageId,
    offset: usize,
}

impl ExpiringHash {
    /// The one whose root stands at byte `offset` of `page`.
    pub(crate) const fn at(page: PageId, offset: usize) -> ExpiringHash {
        ExpiringHash { page, offset }
    }

    /// Its fields, as those of any hash.
    pub(crate) const fn fields(self) -> Large {
        Large::at(self.page, self.offset + FIELDS)
    }

    /// The entries that expire.
    pub(crate) const fn index(self) -> ExpiryIndex {
        Tree::at(self.page, self.offset + INDEX, ByBytes)
    }

    /// Returns when the first field expires.
    pub(crate) fn first_expiry(self, pages: &impl Pages) -> Option<u64> {
        Some(pages.page(self.page).u64_at(self.offset)).filter(|time| *time != 0)
    }

    /// Returns the number of fields that have not expired at `now`.
    pub(super) fn alive(self, pages: &impl Pages, now: u64) -> u64 {
        let gone = match self.first_expiry(pages) {
            Some(first) if first <= now => expiry::due(pages, self.index(), now),
            _ => 0,
        };
        self.fields().len(pages) - gone
    }

    /// Returns the bytes that it takes beside its root.
    pub(crate) fn memory_bytes(self, pages: &impl Pages) -> u64 {
        self.fields().memory_bytes(pages) + u64::from(self.index().pages(pages)) * PAGE_BYTES as u64
    }

    fn expiry_at(arena: &Arena, at: Ref) -> Option<u64> {
        let page = arena.page(at.page());
        SlotEntry::read(page, at).expiry(page)
    }

    fn index_moves(self, arena: &mut Arena, old: (Option<u64>, Ref), new: (Option<u64>, Ref)) {
        if old == new {
            return;
        }
        if let Some(time) = old.0 {
            expiry::remove(arena, self.index(), (time, old.1));
        }
        if let Some(time) = new.0 {
            expiry::insert(arena, self.index(), (time, new.1));
        }
    }

    /// Adds a field, or replaces its value and expiry.
    pub(crate) fn put(self, arena: &mut Arena, name: &[u8], value: &[u8], expiry: Option<u64>) {
        let found = self.fields().find(arena, name).map(|found| found.at);
        let old = found.and_then(|at| Self::expiry_at(arena, at));
        let at = self.fields().put(arena, name, Some(value), expiry);
        self.index_moves(arena, (old, found.unwrap_or(at)), (expiry, at));
    }

    /// Changes when a field expires, if it is there.
    pub(crate) fn expire(self, arena: &mut Arena, name: &[u8], expiry: Option<u64>) {
        let Some(mut found) = self.fields().find(arena, name) else { return };
        let old = (Self::expiry_at(arena, found.at), found.at);
        let at = self.fields().put_expiry(arena, &mut found, expiry);
        self.index_moves(arena, old, (expiry, at));
    }

    /// Removes a field, if it is there.
    pub(crate) fn remove(self, arena: &mut Arena, name: &[u8]) {
        if let Some(found) = self.fields().find(arena, name) {
            let old = Self::expiry_at(arena, found.at);
            self.index_moves(arena, (old, found.at), (None, found.at));
            self.fields().remove(arena, name);
        }
    }

    /// Shows the names of fields that expire first, up to `now`, until `visit` returns false.
    pub(super) fn each_due(self, pages: &impl Pages, now: u64, visit: &mut dyn FnMut(&[u8]) -> bool) {
        for (_, at) in expiry::items(pages, self.index()).take_while(|(time, _)| *time <= now) {
            let page = pages.page(at.page());
            if !visit(SlotEntry::read(page, at).name(page)) {
                return;
            }
        }
    }

    /// Pages and segments that it gives up one after the other.
    pub(crate) fn pages_to_free(self, pages: &impl Pages) -> u64 {
        u64::from(self.index().pages(pages)) + self.fields().pages_to_free(pages)
    }

    /// Frees about `max` pages; returns how many of [`pages_to_free`](Self::pages_to_free) those were, and whether they were the
    /// last. Until then it is good for nothing but to be freed.
    pub(crate) fn drain(self, arena: &mut Arena, max: usize) -> (usize, bool) {
        let before = self.index().pages(arena);
        if before == 0 {
            return self.fields().drain(arena, max);
        }
        expiry::free_some(arena, self.index(), max);
        ((before - self.index().pages(arena)) as usize, false)
    }
}

/// Pages of the index that adding or changing fields may take or copy.
pub(crate) fn pages_to_put(pages: &impl Pages, hash: Option<ExpiringHash>, fields: usize) -> usize {
    let there = hash.map_or(0, |hash| hash.index().pages(pages) as usize);
    // A field that expires leaves one place of the index and comes to another one.
    let each = 2 * tree::PAGES_MAX;
    each + (each * fields.saturating_sub(1)).min(there + tree::pages_of(fields as u64, expiry::ITEM_BYTES))
}

/// Pages that a copy of one of so many fields may take, whose entries take so many bytes.
pub(crate) fn pages_to_make(fields: u64, bytes: u64) -> usize {
    large::pages_to_make(fields, bytes) + tree::pages_of(fields, expiry::ITEM_BYTES)
}

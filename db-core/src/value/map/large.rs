//! A large set or hash: a hash table of entries.
//!
//! Its root stands in the record:
//!
//! ```text
//!   0  handle of the table (`structure/table/handle.rs`), whose entries lead to slots (`value/map/entry.rs`)
//!  24  address u32 of the root of a heap (`structure/heap.rs`) that the newer slots are from (0: none yet)
//!  28  reserved u32, zero
//!  32  bytes of the entries' slots and of the pages of their values u64
//! ```
//!
//! **Whose pages its entries lie in.** At first those of the allocator that all share. From [`OWN_HEAP_BYTES`] on new entries come from
//! a heap of its own; the older ones stay where they are. So a medium one wastes no pages, and of a large one nearly all is
//! given up by the page.

use crate::arena::{Arena, PAGE_BYTES, Pages, Ref};
use crate::ids::PageId;
use crate::structure::heap::Heap;
use crate::structure::table::{self, Found, TableAt, Target};
use crate::structure::{root, slab};
use crate::value::entry::{self, EntryForm, SlotEntry, give_up_value};

use super::Member;

const HEAP: usize = 24;
const RESERVED: usize = 28;
const ENTRY_BYTES: usize = 32;

/// Bytes of a root; zeros are one without members.
pub(crate) const ROOT_BYTES: usize = 40;

const _: () = assert!(table::HANDLE_BYTES == HEAP);

/// Bytes of entries from which on new ones are from a heap of its own: with every size class in use, half of its pages are full.
const OWN_HEAP_BYTES: u64 = 1024 * 1024;

/// A large set or hash, by the place of its root: a page and a byte offset within it. Whoever owns the root may move it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Large {
    page: PageId,
    offset: usize,
}

impl Large {
    /// The one whose root stands at byte `offset` of `page`.
    #[inline]
    pub(crate) const fn at(page: PageId, offset: usize) -> Large {
        Large { page, offset }
    }

    #[inline]
    pub(in crate::value) const fn table(self) -> TableAt {
        TableAt::new(self.page, self.offset)
    }

    /// Returns the number of members.
    #[inline]
    pub(crate) fn len(self, pages: &impl Pages) -> u64 {
        table::entries(pages, self.table())
    }

    /// Returns the heap of its own.
    pub(crate) fn own_heap(self, pages: &impl Pages) -> Option<Heap> {
        Some(Heap(Ref(pages.page(self.page).u32_at(self.offset + HEAP)))).filter(|heap| !heap.is_shared())
    }

    /// Returns the bytes of its entries: of their slots, and of the pages of their values.
    pub(crate) fn entry_bytes(self, pages: &impl Pages) -> u64 {
        pages.page(self.page).u64_at(self.offset + ENTRY_BYTES)
    }

    /// Returns the bytes that it takes beside its root.
    pub(crate) fn memory_bytes(self, pages: &impl Pages) -> u64 {
        self.entry_bytes(pages) + table::memory_bytes(pages, self.table())
    }

    /// Whether what is fixed in the layout of the root is so.
    pub(in crate::value) fn is_clean(self, pages: &impl Pages) -> bool {
        pages.page(self.page).u32_at(self.offset + RESERVED) == 0
    }

    /// Returns the entry of the member `name`.
    #[inline]
    pub(crate) fn find<P: Pages>(self, pages: &P, name: &[u8]) -> Option<Found> {
        table::find(pages, self.table(), tag_of(pages, name), |at| {
            let page = pages.page(at.page());
            SlotEntry::read(page, at).name(page) == name
        })
    }

    /// Returns whether the member `name` is there.
    #[inline]
    pub(crate) fn contains(self, pages: &impl Pages, name: &[u8]) -> bool {
        self.find(pages, name).is_some()
    }

    /// Returns the member `name`.
    #[inline]
    pub(crate) fn get<'a, P: Pages>(self, pages: &'a P, name: &[u8]) -> Option<Member<'a>> {
        self.find(pages, name).map(|found| member(pages, found.at))
    }

    /// Visits about `count` members from `cursor` on (0: from the start) and returns the cursor to go on with (0: done; below 2^32).
    /// A member that is there during the whole iteration is visited once, whatever else changes.
    pub(crate) fn scan<P: Pages>(self, pages: &P, cursor: u64, count: usize, visit: &mut dyn FnMut(Member<'_>)) -> u64 {
        table::scan(pages, self.table(), cursor, count, |at| visit(member(pages, at)))
    }

    /// Returns a member chosen by `random`, close to uniformly.
    pub(crate) fn random<P: Pages>(self, pages: &P, random: u64) -> Option<Member<'_>> {
        table::random(pages, self.table(), random).map(|at| member(pages, at))
    }

    /// Adds a member, or replaces its value; `value`: none in a set; `expiry`: only of an [`ExpiringHash`](super::ExpiringHash). Returns its
    /// entry, which is the old one if the slot is of the same size.
    pub(crate) fn put(self, arena: &mut Arena, name: &[u8], value: Option<&[u8]>, expiry: Option<u64>) -> Ref {
        let form = EntryForm::of(name.len(), value.map(|value| value.len() as u64), expiry);
        let value = value.unwrap_or_default();
        let bytes = form.memory_bytes(value.len() as u64);
        let Some(mut found) = self.find(arena, name) else {
            let tag = tag_of(arena, name);
            let at = self.allocate(arena, form);
            form.write(arena, at, name, value);
            table::insert(arena, self.table(), tag, at);
            self.count(arena, bytes, 0);
            return at;
        };
        let page = arena.page(found.at.page());
        let old = SlotEntry::read(page, found.at);
        let old_bytes = old.memory_bytes(page);
        give_up_value(arena, &old, found.at);
        if old.slot_bytes() != form.slot_bytes() {
            let before = found.at;
            let at = self.allocate(arena, form);
            table::replace(arena, &mut found, at);
            slab::free(arena, before);
        }
        form.write(arena, found.at, name, value);
        self.count(arena, bytes, old_bytes);
        found.at
    }

    /// Sets or removes the expiry of the entry `found`; returns where the entry is then.
    pub(super) fn put_expiry(self, arena: &mut Arena, found: &mut Found, expiry: Option<u64>) -> Ref {
        let from = found.at;
        let done = entry::put_expiry(arena, from, expiry);
        if let Some(time) = expiry.filter(|_| !done) {
            let page = arena.page(from.page());
            let old = SlotEntry::read(page, from);
            let (old_bytes, value_len) = (old.memory_bytes(page), old.value(arena, page).len());
            let form = EntryForm::of(old.name(page).len(), Some(value_len), expiry);
            let to = self.allocate(arena, form);
            entry::copy_with_expiry(arena, from, to, time);
            table::replace(arena, found, to);
            slab::free(arena, from);
            self.count(arena, form.memory_bytes(value_len), old_bytes);
        }
        found.at
    }

    /// Takes a member out; returns whether it was there.
    pub(crate) fn remove(self, arena: &mut Arena, name: &[u8]) -> bool {
        let Some(found) = self.find(arena, name) else { return false };
        let page = arena.page(found.at.page());
        let entry = SlotEntry::read(page, found.at);
        let bytes = entry.memory_bytes(page);
        give_up_value(arena, &entry, found.at);
        table::remove(arena, self.table(), &found);
        slab::free(arena, found.at);
        self.count(arena, 0, bytes);
        true
    }

    /// A slot for an entry.
    pub(in crate::value) fn allocate(self, arena: &mut Arena, form: EntryForm) -> Ref {
        let heap = match self.own_heap(arena) {
            Some(heap) => heap,
            None if self.entry_bytes(arena) < OWN_HEAP_BYTES => Heap::SHARED,
            None => {
                let heap = Heap::create(arena);
                arena.page_mut(self.page).put_u32(self.offset + HEAP, heap.0.0);
                heap
            }
        };
        slab::allocate_in(arena, heap, form.bytes())
    }

    /// Counts bytes of slots and values that have come and gone.
    pub(in crate::value) fn count(self, arena: &mut Arena, more: u64, less: u64) {
        if more == less {
            return;
        }
        let bytes = self.entry_bytes(arena) + more - less;
        arena.page_mut(self.page).put_u64(self.offset + ENTRY_BYTES, bytes);
    }

    /// Pages and segments that it gives up one after the other.
    pub(crate) fn pages_to_free(self, pages: &impl Pages) -> u64 {
        let own = self.own_heap(pages).map_or(0, |heap| heap.pages(pages));
        u64::from(table::segments(pages, self.table())) + u64::from(own)
    }

    /// Frees the first segment of its table with what that leads to, or `max` pages of its heap once no segment is left; returns how many
    /// of [`pages_to_free`](Self::pages_to_free) that were, and whether they were the last. Until then it is good for nothing but to
    /// be freed.
    pub(crate) fn drain(self, arena: &mut Arena, max: usize) -> (usize, bool) {
        self.drain_table(arena, self.table(), max, Some)
    }

    /// The same with a table whose entries lead to slots where `slot_of` says so.
    pub(in crate::value) fn drain_table<T: Target>(
        self,
        arena: &mut Arena,
        table: TableAt<T>,
        max: usize,
        slot_of: impl Fn(T) -> Option<Ref>,
    ) -> (usize, bool) {
        let own = self.own_heap(arena);
        if table::has_memory(arena, table) {
            let mut entries = Vec::new();
            let segments = table::segments(arena, table);
            let mut empty = table::drain(arena, table, 1, |_, target| entries.extend(slot_of(target)));
            if table::entries(arena, table) == 0 {
                // Segments without entries, some tens at most.
                table::drain_all(arena, table, |_| {});
                empty = true;
            }
            let freed = (segments - table::segments(arena, table)) as usize;
            for at in &entries {
                let entry = SlotEntry::read(arena.page(at.page()), *at);
                give_up_value(arena, &entry, *at);
            }
            // What is in pages of its own goes with them.
            entries.retain(|at| slab::heap_of(arena, *at).is_shared());
            slab::free_all(arena, entries);
            return (freed, empty && own.is_none());
        }
        let Some(heap) = own else { return (0, true) };
        let before = heap.pages(arena) as usize;
        match heap.drain(arena, max) {
            Some(freed) => (freed, false),
            None => (before, true),
        }
    }
}

/// The part of a name's hash that tables work with.
#[inline]
pub(in crate::value) fn tag_of(pages: &impl Pages, name: &[u8]) -> u32 {
    table::tag_of(xxhash_rust::xxh3::xxh3_64_with_seed(name, root::hash_seed(pages)))
}

#[inline]
fn member<P: Pages>(pages: &P, at: Ref) -> Member<'_> {
    let page = pages.page(at.page());
    let entry = SlotEntry::read(page, at);
    Member { name: entry.name(page), value: entry.value(pages, page), expiry: entry.expiry(page) }
}

/// Pages that the first of several changes of members may take: a directory, both halves of a segment, and slots.
const FIRST: usize = 24;

/// Pages that adding or replacing members may take or copy beside those of any change: of the table and of slots for each, but no more than
/// there are to be copied and will be new; and of a directory that doubles.
pub(crate) fn pages_to_put(pages: &impl Pages, large: Option<Large>, members: usize, bytes: usize) -> usize {
    const MORE: usize = 4;
    let doubling = large.map_or(0, |large| table::pages_to_double(pages, large.table()));
    if members <= 1 {
        return FIRST + doubling;
    }
    let slots = |large: Large| large.len(pages).min(members as u64);
    let there = large.map_or(0, |large| large.pages_to_free(pages) + slots(large));
    let new = pages_to_make(members as u64, bytes as u64);
    FIRST + (MORE * (members - 1)).min(there as usize + new) + doubling
}

/// Pages that one of so many members with entries of so many bytes may take.
pub(crate) fn pages_to_make(members: u64, bytes: u64) -> usize {
    let table = members / table::page_entries_min::<Ref>() + 1;
    (2 * bytes).div_ceil(PAGE_BYTES as u64) as usize + 2 * table as usize + FIRST
}

//! What is outside of a record, by type: how it is checked, counted and freed. The one place that knows all types' structures.

use crate::arena::{Arena, PAGE_BYTES, Pages, Ref};

use super::Kind;
use super::entry::CollectionInspector;
use super::list::{self, LargeList};
use super::map::{self, ExpiringHash, Large};
use super::paged::{self, ROOT_BYTES_MAX, Root, RootAt};
use super::record::{Encoding, Head};
use super::sorted::{self, LargeSorted};
use super::stream::{self, LargeStream};

/// Pages of what is freed at once: 1 MiB.
pub(crate) const PAGES_AT_ONCE: usize = 64;

/// Members of a large set or hash that is freed at once.
const MEMBERS_AT_ONCE: u64 = 256;

/// What a root leads to, which is in a record or waits to be reclaimed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum External {
    /// A string in pages.
    Paged(RootAt),
    /// A set or hash.
    Map(Kind, Large),
    /// A list.
    List(LargeList),
    /// A sorted set.
    Sorted(LargeSorted),
    /// A hash with fields that may expire.
    Expiring(ExpiringHash),
    /// A stream.
    Stream(LargeStream),
}

impl External {
    /// What the root at `at` of a value of `kind` leads to.
    pub(crate) const fn of(kind: Kind, encoding: Encoding, at: RootAt) -> External {
        match kind {
            Kind::Hash if encoding.has_expiring_fields() => External::Expiring(ExpiringHash::at(at.page, at.offset)),
            Kind::String => External::Paged(at),
            Kind::Set | Kind::Hash => External::Map(kind, Large::at(at.page, at.offset)),
            Kind::List => External::List(LargeList::at(at.page, at.offset)),
            Kind::SortedSet => External::Sorted(LargeSorted::at(at.page, at.offset)),
            Kind::Stream => External::Stream(LargeStream::at(at.page, at.offset)),
        }
    }

    /// What the record at `at` leads to, if its value is not all in it.
    #[inline]
    pub(crate) fn of_record(at: Ref, head: &Head) -> Option<External> {
        let root = RootAt { page: at.page(), offset: head.rest_at };
        head.encoding.is_external().then(|| External::of(head.kind, head.encoding, root))
    }

    /// Bytes of its root; at most so many of a string's.
    pub(super) const fn root_bytes(self) -> usize {
        match self {
            External::Paged(_) => ROOT_BYTES_MAX,
            External::Map(..) => map::large::ROOT_BYTES,
            External::List(_) => list::ROOT_BYTES,
            External::Sorted(_) => sorted::ROOT_BYTES,
            External::Expiring(_) => map::expiring::ROOT_BYTES,
            External::Stream(_) => stream::ROOT_BYTES,
        }
    }

    /// Pages that it gives up one after the other; of a table its segments.
    pub(crate) fn pages(self, pages: &impl Pages) -> u64 {
        match self {
            External::Paged(at) => at.read(pages).pages_there(pages) as u64,
            External::Map(_, large) => large.pages_to_free(pages),
            External::List(list) => list.pages(pages),
            External::Sorted(sorted) => sorted.pages_to_free(pages),
            External::Expiring(hash) => hash.pages_to_free(pages),
            External::Stream(stream) => stream.pages(pages),
        }
    }

    /// Entries of its table that are not given up yet, if it has one.
    pub(super) fn members(self, pages: &impl Pages) -> u64 {
        match self {
            External::Paged(_) | External::List(_) | External::Stream(_) => 0,
            External::Map(_, large) => large.len(pages),
            External::Sorted(sorted) => sorted.len(pages),
            External::Expiring(hash) => hash.fields().len(pages),
        }
    }

    /// Bytes that it takes.
    pub(crate) fn memory_bytes(self, pages: &impl Pages) -> u64 {
        match self {
            External::Paged(at) => at.read(pages).memory_bytes(pages),
            External::Map(_, large) => large.memory_bytes(pages),
            External::List(list) => list.memory_bytes(pages),
            External::Sorted(sorted) => sorted.memory_bytes(pages),
            External::Expiring(hash) => hash.memory_bytes(pages),
            External::Stream(stream) => stream.memory_bytes(pages),
        }
    }

    /// Whether it is freed at once.
    pub(super) fn is_small(self, pages: &impl Pages) -> bool {
        let few = |members: Large| {
            members.len(pages) <= MEMBERS_AT_ONCE && members.entry_bytes(pages) <= (PAGES_AT_ONCE * PAGE_BYTES) as u64
        };
        match self {
            External::Paged(at) => at.read(pages).has_few(pages, PAGES_AT_ONCE),
            External::Map(_, large) => few(large),
            External::List(list) => list.memory_bytes(pages) <= (PAGES_AT_ONCE * PAGE_BYTES) as u64,
            External::Sorted(sorted) => {
                sorted.len(pages) <= MEMBERS_AT_ONCE
                    && sorted.memory_bytes(pages) <= (PAGES_AT_ONCE * PAGE_BYTES) as u64
            }
            External::Expiring(hash) => few(hash.fields()),
            External::Stream(stream) => stream.memory_bytes(pages) <= (PAGES_AT_ONCE * PAGE_BYTES) as u64,
        }
    }

    /// Frees about `max` of its [`pages`](Self::pages), a string's gaps counted as such; returns how many were there, and whether those were the last. Until then it is good for nothing
    /// but to be freed.
    pub(super) fn drain(self, arena: &mut Arena, max: usize) -> (usize, bool) {
        match self {
            External::Paged(at) => {
                let keep = paged::pages(arena, at).saturating_sub(max);
                let shrinks = keep > PAGES_AT_ONCE && !self.is_small(arena);
                let freed = if shrinks { paged::shrink(arena, at, keep) } else { 0 };
                // What has little but gaps left does not wait: nobody would see that it does.
                if shrinks && !self.is_small(arena) {
                    return (freed, false);
                }
                (freed + paged::free(arena, at), true)
            }
            External::Map(_, large) => large.drain(arena, max),
            External::List(list) => list.drain(arena, max),
            External::Sorted(sorted) => sorted.drain(arena, max),
            External::Expiring(hash) => hash.drain(arena, max),
            External::Stream(stream) => stream.drain(arena, max),
        }
    }

    /// Checks what may be damaged and waits to be reclaimed.
    pub(crate) fn check_pending(
        self,
        pages: &impl Pages,
        inspector: &mut impl CollectionInspector,
    ) -> Result<(), &'static str> {
        match self {
            External::Paged(at) => {
                let root = Root::new(pages.page(at.page).bytes(at.offset, ROOT_BYTES_MAX));
                inspector.value(root)?;
                if root.pages() > PAGES_AT_ONCE { Ok(()) } else { Err("a small value waits to be reclaimed") }
            }
            External::Map(kind, large) => map::check_large(pages, large, kind, true, inspector),
            External::List(list) => list::check_large(pages, list, inspector),
            External::Sorted(sorted) => sorted::check_large(pages, sorted, true, inspector),
            External::Expiring(hash) => map::check_expiring(pages, hash, true, inspector),
            External::Stream(stream) => stream::check_large(pages, stream, inspector),
        }
    }
}

/// Checks bytes that may be damaged: the collection in the record at `at`.
pub(crate) fn check_collection(
    pages: &impl Pages,
    at: Ref,
    head: &Head,
    inspector: &mut impl CollectionInspector,
) -> Result<(), &'static str> {
    match head.kind {
        Kind::String => Err("a string is no collection"),
        Kind::Set | Kind::Hash => map::check(pages, at, head, inspector),
        Kind::List => list::check(pages, at, head, inspector),
        Kind::SortedSet => sorted::check(pages, at, head, inspector),
        Kind::Stream => stream::check(pages, at, head, inspector),
    }
}

impl Encoding {
    /// Whether the value is not all in its record.
    #[inline]
    pub(super) const fn is_external(self) -> bool {
        !matches!(self, Encoding::RAW | Encoding::PACKED | Encoding::INTEGERS | Encoding::EXPIRING_PACKED)
    }
}

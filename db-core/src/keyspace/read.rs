//! Reads, from a live shard or from a frozen version.

use std::fmt;

use crate::arena::{Page, Pages, Ref};
use crate::clock::UnixMillis;
use crate::ids::DatabaseId;
use crate::structure::table::{self, Found};
use crate::structure::{expiry, root, slab};
use crate::value::external::External;
use crate::value::paged::Root;
use crate::value::record::{self, Head};
use crate::value::{Kind, ListView, MapView, SortedView, StreamView, ValueView};

use super::Key;

/// A key with its value, borrowed from the pages.
#[derive(Clone, Copy)]
pub struct Entry<'a> {
    pages: &'a dyn Pages,
    page: &'a Page,
    at: Ref,
    head: Head,
}

impl fmt::Debug for Entry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("head", &self.head).finish_non_exhaustive()
    }
}

impl<'a> Entry<'a> {
    #[inline]
    pub(super) fn at<P: Pages>(pages: &'a P, at: Ref) -> Self {
        let page = pages.page(at.page());
        Self { pages, page, at, head: Head::of(page, at) }
    }

    /// Its record's header.
    pub(crate) fn head(&self) -> &Head {
        &self.head
    }

    /// Bytes that it takes: of its slots and pages, and of its entries in the table and in the expiry index.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        let large = External::of_record(self.at, &self.head).map_or(0, |external| external.memory_bytes(&self.pages));
        let expiry = if self.head.first_expiry(self.page).is_some() { expiry::ITEM_BYTES } else { 0 };
        (slab::slot_bytes(slab::class_of(self.head.record_bytes())) + table::ENTRY_BYTES + expiry) as u64 + large
    }

    /// Bytes that whoever reads all of it visits, about: a string's gaps take no memory, but they are read.
    pub(crate) fn bytes_to_read(&self) -> u64 {
        let gaps = if self.kind() == Kind::String { self.value().len() } else { 0 };
        self.memory_bytes().max(gaps)
    }

    /// The value of the key.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.head.kind
    }

    /// When it expires, if ever.
    #[must_use]
    pub fn expire_at(&self) -> Option<UnixMillis> {
        self.head.expiry.map(UnixMillis)
    }

    /// Whether it is there at `now`: neither it has expired nor all of its fields.
    #[inline]
    #[must_use]
    pub fn is_alive(&self, now: UnixMillis) -> bool {
        is_alive(&self.pages, self.at, &self.head, now)
    }

    /// The set or hash, with the fields that it has at `now`.
    #[must_use]
    pub fn map(&self, now: UnixMillis) -> MapView<'_, &'a dyn Pages> {
        MapView::new(&self.pages, self.at, &self.head, now)
    }

    /// The sorted set.
    #[must_use]
    pub fn sorted(&self) -> SortedView<'_, &'a dyn Pages> {
        SortedView::new(&self.pages, self.at, &self.head)
    }

    /// The stream.
    #[must_use]
    pub fn stream(&self) -> StreamView<'_, &'a dyn Pages> {
        StreamView::new(&self.pages, self.at, &self.head)
    }

    /// The list.
    #[must_use]
    pub fn list(&self) -> ListView<'_, &'a dyn Pages> {
        ListView::new(&self.pages, self.at, &self.head)
    }

    /// The string.
    #[must_use]
    pub fn value(&self) -> ValueView<'a> {
        let rest = self.head.rest(self.page);
        if self.head.is_paged() { ValueView::paged(Root::new(rest), self.pages) } else { ValueView::whole(rest) }
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> &'a [u8] {
        self.head.key(self.page)
    }

    /// The database that it is of.
    #[must_use]
    pub fn database(&self) -> DatabaseId {
        self.head.database
    }
}

/// What can be asked of a shard, live or frozen.
///
/// A frozen shard answers as long as no page of it was released.
pub trait Read {
    /// The entry of `key`. Expiry is ignored: the caller compares `expire_at` with its `now`.
    fn get(&self, key: &Key<'_>) -> Option<Entry<'_>>;
    /// Number of keys of all databases.
    fn len(&self) -> u64;
    /// Number of keys of a database.
    fn len_of(&self, database: DatabaseId) -> u64;
    /// Whether there is no key.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Number of keys of a database that have an expiry.
    fn expiring_of(&self, database: DatabaseId) -> u64;
    /// The physical number of the logical database `logical`, below [`DATABASES`](crate::limits::DATABASES).
    fn database(&self, logical: u8) -> DatabaseId;
    /// Visits about `count` keys of a database from `cursor` on (0: from the start) and returns the cursor to continue with (0:
    /// done; below 2^32). A key that is there during the whole iteration is visited once, whatever else changes.
    fn scan(&self, database: DatabaseId, cursor: u64, count: usize, visit: &mut dyn FnMut(Entry<'_>)) -> u64;
    /// A key of a database chosen by `random`, close to uniformly.
    fn random(&self, database: DatabaseId, random: u64) -> Option<Entry<'_>>;
    /// The key that expires first, of all databases, and when.
    fn first_expiring(&self) -> Option<(UnixMillis, Entry<'_>)>;
}

impl<P: Pages> Read for P {
    #[inline]
    fn get(&self, key: &Key<'_>) -> Option<Entry<'_>> {
        record_of(self, key).map(|at| Entry::at(self, at))
    }

    fn len(&self) -> u64 {
        root::numbers(self).map(|number| self.len_of(DatabaseId(number))).iter().sum()
    }

    #[inline]
    fn len_of(&self, database: DatabaseId) -> u64 {
        table::entries(self, root::table_of(database))
    }

    #[inline]
    fn expiring_of(&self, database: DatabaseId) -> u64 {
        expiry::len(self, root::expiry_of(database))
    }

    #[inline]
    fn database(&self, logical: u8) -> DatabaseId {
        root::physical(self, logical)
    }

    fn scan(&self, database: DatabaseId, cursor: u64, count: usize, visit: &mut dyn FnMut(Entry<'_>)) -> u64 {
        table::scan(self, root::table_of(database), cursor, count, |at| visit(Entry::at(self, at)))
    }

    fn random(&self, database: DatabaseId, random: u64) -> Option<Entry<'_>> {
        table::random(self, root::table_of(database), random).map(|at| Entry::at(self, at))
    }

    fn first_expiring(&self) -> Option<(UnixMillis, Entry<'_>)> {
        let first = root::numbers(self)
            .into_iter()
            .filter_map(|number| expiry::first(self, root::expiry_of(DatabaseId(number))))
            .min();
        first.map(|(time, at)| (UnixMillis(time), Entry::at(self, at)))
    }
}

/// The entry of `key` in the table of its database. Not inlined: in its callers it would push their own values out of registers.
#[inline(never)]
pub(super) fn find<P: Pages>(pages: &P, key: &Key<'_>) -> Option<Found> {
    // `move` here and below, so that what the closure knows fits into two registers.
    let is_it = move |at: Ref| record::is_of(pages.page(at.page()), at, key.bytes);
    table::find(pages, root::table_of(key.database), table::tag_of(key.hash), is_it)
}

/// Whether the record at `at` is there at `now`: neither it has expired nor all of its fields.
#[inline]
pub(crate) fn is_alive<P: Pages>(pages: &P, at: Ref, head: &Head, now: UnixMillis) -> bool {
    head.expiry.is_none_or(|time| time > now.0)
        && (!head.encoding.has_expiring_fields() || has_fields(pages, at, head, now))
}

#[inline(never)]
fn has_fields<P: Pages>(pages: &P, at: Ref, head: &Head, now: UnixMillis) -> bool {
    let due = head.fields_expiry(pages.page(at.page())).is_some_and(|time| time <= now.0);
    !due || !MapView::new(pages, at, head, now).is_empty()
}

/// The record of `key`: the same for readers, who need no more.
#[inline(never)]
fn record_of<P: Pages>(pages: &P, key: &Key<'_>) -> Option<Ref> {
    let is_it = move |at: Ref| record::is_of(pages.page(at.page()), at, key.bytes);
    table::find(pages, root::table_of(key.database), table::tag_of(key.hash), is_it).map(|found| found.at)
}

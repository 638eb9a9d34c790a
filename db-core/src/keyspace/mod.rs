//! One shard's data: keys with values and expiries, every byte of it in pages of its arena.
//!
//! It is changed by *effects*, which are deterministic: no clock, no randomness; the same effects in the same order give the same
//! bytes. The pages that an effect needs in the worst case are planned first, so it fails before it changes anything, or not at
//! all.

mod compact;
mod database;
mod key;
mod located;
mod read;
mod verify;
mod write;

#[cfg(test)]
pub(crate) mod tests;

use std::sync::Arc;

use crate::arena::{Arena, OutOfMemory, PAGE_BYTES, PagePool};
use crate::clock::UnixMillis;
use crate::ids::DatabaseId;
use crate::limits::DATABASE_NUMBERS;
use crate::structure::{root, table, tree};
use crate::value::prefetch::LargeMembers;
use crate::value::reclaim;

pub use crate::arena::FrozenShard;
pub use key::{Key, KeyHasher};
pub use located::Located;
pub(crate) use read::is_alive;
pub use read::{Entry, Read};

/// Pages that any mutation may take or copy beside those of large values and of a directory of several pages: the superblock; thirteen
/// where the table grows (the slots of both halves of a segment and of the whole one, and a new and an old one of the directory, with
/// the slab pages chained to theirs; a directory's page that becomes two and a root page is less); five each for the slots of the
/// record, of a large value's tail and of what waits to be reclaimed; and two changes of the expiry index.
const MUTATION_PAGES: usize = 29 + 2 * tree::PAGES_MAX;

/// Pages that a further change planned with it may take: no two of them split a node or a segment, and start a page of slots, each time.
const MORE_PAGES: usize = 4;

/// Pages beside those of large values that are reserved for changes which are planned together (16 MiB). What many take beyond that may
/// exceed the pool's bound.
const RESERVED_PAGES_MAX: usize = 1024;

const _: () = assert!(DATABASE_NUMBERS <= u32::BITS as usize);

/// Pages of the changes that are planned.
#[derive(Clone, Copy, Debug, Default)]
struct Planned {
    /// Those of any change.
    small: usize,
    /// Those of large values.
    values: usize,
}

/// Steps of asking for the memory of a key; each needs what the one before has asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Prefetch {
    Index,
    Record,
}

/// One shard's data.
#[derive(Debug)]
pub struct Keyspace {
    arena: Arena,
    hasher: KeyHasher,
    /// Changes with each change after which a [`Located`] that was looked up before may be wrong. Not state.
    version: u32,
    /// Pages of the changes that are planned. Not state.
    planned: Planned,
    /// Keys of databases that were flushed. Not state: it follows from their tables.
    flushed_keys: u64,
    /// A bit for each database whose counts have changed since they were asked for. Not state.
    counted: u32,
}

impl Keyspace {
    /// An empty keyspace over `pool`.
    ///
    /// # Errors
    /// If the pool's bound does not allow its first pages.
    pub fn new(pool: &Arc<PagePool>, hash_seed: u64) -> Result<Self, OutOfMemory> {
        let mut arena = Arena::new(pool);
        arena.reserve(MUTATION_PAGES)?;
        root::create(&mut arena, hash_seed);
        Ok(Self::of(arena, KeyHasher::new(hash_seed)))
    }

    fn of(arena: Arena, hasher: KeyHasher) -> Self {
        Self { arena, hasher, version: 0, planned: Planned::default(), flushed_keys: 0, counted: 0 }
    }

    /// The keyspace as it was when `frozen` was frozen, to read; whatever would change it panics.
    pub(crate) fn of_frozen(frozen: Arc<FrozenShard>, hasher: KeyHasher) -> Self {
        Self::of(Arena::of_frozen(frozen), hasher)
    }

    /// A keyspace out of an image's pages, for shard `shard` of `shards`.
    ///
    /// # Errors
    /// A sentence if anything in the pages contradicts anything else: nothing of it may be used then.
    pub(crate) fn from_pages(mut arena: Arena, hash_seed: u64, shard: u16, shards: u16) -> Result<Self, &'static str> {
        let hasher = KeyHasher::new(hash_seed);
        arena.slab_use = verify::check(&arena, hasher, shard, shards)?;
        let mut keyspace = Self::of(arena, hasher);
        keyspace.flushed_keys = keyspace.flushed_databases().map(|database| keyspace.len_of(database)).sum();
        Ok(keyspace)
    }

    /// The hasher whose keys this keyspace takes.
    #[must_use]
    pub fn hasher(&self) -> KeyHasher {
        self.hasher
    }

    /// The entry of `key`. Expiry is ignored: the caller compares `expire_at` with its `now`.
    #[inline]
    #[must_use]
    pub fn get(&self, key: &Key<'_>) -> Option<Entry<'_>> {
        Read::get(&self.arena, key)
    }

    /// Asks the processor for the place of a key of `hash` in the index, in a first step, and in a second one for its record. A
    /// hint: nothing is waited for, so that others may be asked for meanwhile.
    #[inline]
    pub(crate) fn prefetch(&self, database: DatabaseId, hash: u64, step: Prefetch) {
        /// Offsets in all lines of a record of 128 bytes, wherever it starts: header, key and a value of usual length.
        const LINES: [usize; 3] = [0, 64, 127];
        let (table, tag) = (root::table_of(database), table::tag_of(hash));
        match step {
            Prefetch::Index => table::prefetch(&self.arena, table, tag),
            Prefetch::Record => table::likely(&self.arena, table, tag, |at| {
                LINES.iter().for_each(|line| self.arena.prefetch(at.page(), at.offset() + line));
            }),
        }
    }

    /// Does the same for members of the collection that the key of `hash` probably holds, if it is a large one.
    pub(crate) fn prefetch_members<'m>(
        &self,
        database: DatabaseId,
        hash: u64,
        members: impl Iterator<Item = &'m [u8]>,
    ) {
        let mut large = None;
        table::likely(&self.arena, root::table_of(database), table::tag_of(hash), |at| {
            large = large.or_else(|| LargeMembers::in_record(&self.arena, at));
        });
        if let Some(large) = large {
            large.prefetch(&self.arena, members);
        }
    }

    /// The value of the setting `number`, below [`SETTINGS_MAX`](crate::limits::SETTINGS_MAX); what it means is the caller's business.
    #[must_use]
    pub fn setting(&self, number: usize) -> Option<u64> {
        root::setting(&self.arena, number)
    }

    /// Sets or removes settings: all of them or none.
    ///
    /// # Errors
    /// If the pool has no page for a copy of the superblock.
    pub(crate) fn put_settings(
        &mut self,
        changes: impl Iterator<Item = (usize, Option<u64>)>,
    ) -> Result<(), OutOfMemory> {
        self.arena.reserve(1)?;
        changes.for_each(|(number, value)| root::put_setting(&mut self.arena, number, value));
        Ok(())
    }

    /// Number of keys of all databases.
    #[must_use]
    pub fn len(&self) -> u64 {
        Read::len(&self.arena)
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of keys of a database.
    #[must_use]
    pub fn len_of(&self, database: DatabaseId) -> u64 {
        Read::len_of(&self.arena, database)
    }

    /// Number of keys of a database that have an expiry.
    #[must_use]
    pub fn expiring_of(&self, database: DatabaseId) -> u64 {
        Read::expiring_of(&self.arena, database)
    }

    /// Visits about `count` keys of a database from `cursor` on (0: from the start) and returns the cursor to go on with (0: done;
    /// below 2^32). A key that is there during the whole iteration is visited once, whatever else changes.
    pub fn scan(&self, database: DatabaseId, cursor: u64, count: usize, visit: &mut dyn FnMut(Entry<'_>)) -> u64 {
        Read::scan(&self.arena, database, cursor, count, visit)
    }

    /// A key of a database chosen by `random`, close to uniformly.
    #[must_use]
    pub fn random(&self, database: DatabaseId, random: u64) -> Option<Entry<'_>> {
        Read::random(&self.arena, database, random)
    }

    /// The key that expires first, of all databases, and when.
    #[must_use]
    pub fn first_expiring(&self) -> Option<(UnixMillis, Entry<'_>)> {
        Read::first_expiring(&self.arena)
    }

    /// Bytes in use: those of slots that are in use, and of pages of other structures.
    #[inline]
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        self.page_bytes() - self.arena.slab_use.free_bytes
    }

    /// Returns whether the memory in use may have changed since the last call.
    #[inline]
    pub(crate) fn take_use_changed(&mut self) -> bool {
        std::mem::take(&mut self.arena.use_changed)
    }

    /// Bytes of the pages in use.
    #[inline]
    #[must_use]
    pub fn page_bytes(&self) -> u64 {
        u64::from(self.arena.pages_used()) * PAGE_BYTES as u64
    }

    /// Bytes of the pages that are cut into slots, whether those are in use or not.
    #[must_use]
    pub fn slab_bytes(&self) -> u64 {
        u64::from(self.arena.slab_use.pages) * PAGE_BYTES as u64
    }

    /// Bytes of pages that contain only data that was deleted and waits to be freed.
    #[must_use]
    pub fn reclaimable_bytes(&self) -> u64 {
        reclaim::waiting(&self.arena) * PAGE_BYTES as u64
    }

    /// Keys of databases that were flushed and wait to be freed.
    #[must_use]
    pub const fn reclaimable_keys(&self) -> u64 {
        self.flushed_keys
    }

    /// Bytes of pages that [`clear`](Self::clear) has set aside and that are not given back yet. Not state.
    #[must_use]
    pub fn cleared_bytes(&self) -> u64 {
        self.arena.cleared_bytes()
    }

    /// Returns a step of those to the pool; true if there are more.
    pub(crate) fn recycle(&mut self) -> bool {
        self.arena.recycle()
    }

    /// Fixes this moment's content: later writes copy what they touch while the frozen shard needs it.
    #[must_use]
    pub fn freeze(&mut self) -> FrozenShard {
        self.arena.freeze()
    }
}

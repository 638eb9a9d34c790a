//! Databases: their logical and physical numbers, and how they are emptied.
//!
//! FLUSHALL sets all pages aside at once. FLUSHDB, when other databases have keys, assigns an empty physical database to the
//! logical one, and reclaims the old one in steps: first its expiry index, from the end, then its table, one segment at a time.

use crate::arena::Ref;
use crate::ids::DatabaseId;
use crate::limits::{DATABASES, SETTINGS_MAX};
use crate::structure::{expiry, root, slab, table};
use crate::value::reclaim;
use crate::value::record::Head;

use super::{Keyspace, Read};

impl Keyspace {
    /// The physical number of the logical database `logical`, below [`DATABASES`].
    #[inline]
    #[must_use]
    pub fn database(&self, logical: u8) -> DatabaseId {
        Read::database(&self.arena, logical)
    }

    /// Returns the physical numbers of the logical databases.
    pub(crate) fn numbers(&self) -> [u8; DATABASES] {
        root::numbers(&self.arena)
    }

    /// The logical number of a database; `None` of one that was flushed, or that nobody has.
    #[inline]
    #[must_use]
    pub fn logical(&self, database: DatabaseId) -> Option<u8> {
        // As long as nothing was swapped or flushed.
        if usize::from(database.0) < DATABASES && self.database(database.0) == database {
            return Some(database.0);
        }
        self.numbers().iter().position(|number| *number == database.0).map(|logical| logical as u8)
    }

    /// Returns whether a physical number is free: no database of clients has it, and nothing is left of one that had.
    pub(crate) fn is_unused(&self, database: DatabaseId) -> bool {
        self.logical(database).is_none() && self.is_emptied(database)
    }

    fn is_emptied(&self, database: DatabaseId) -> bool {
        !table::has_memory(&self.arena, root::table_of(database))
            && expiry::len(&self.arena, root::expiry_of(database)) == 0
    }

    /// A key has come to a database that no client has, or has left it.
    pub(crate) fn note_unlisted(&mut self, has_come: bool) {
        self.flushed_keys = if has_come { self.flushed_keys + 1 } else { self.flushed_keys - 1 };
        self.arena.use_changed = true;
    }

    /// Returns the databases that were flushed and are not reclaimed yet, lowest number first.
    pub(super) fn flushed_databases(&self) -> impl Iterator<Item = DatabaseId> + '_ {
        root::database_numbers().filter(|database| self.logical(*database).is_none() && !self.is_emptied(*database))
    }

    /// Returns the databases whose numbers of keys may have changed since the last call.
    #[inline]
    pub(crate) fn take_counted(&mut self) -> impl Iterator<Item = DatabaseId> + use<> {
        let mut bits = std::mem::take(&mut self.counted);
        std::iter::from_fn(move || {
            let next = (bits != 0).then(|| DatabaseId(bits.trailing_zeros() as u8));
            bits &= bits.wrapping_sub(1);
            next
        })
    }

    #[inline]
    pub(super) fn note_counted(&mut self, database: DatabaseId) {
        self.counted |= 1 << database.0;
    }

    /// Exchanges the keys of the logical databases `one` and `other`, in constant time. Plan for the superblock before.
    pub(crate) fn swap_databases(&mut self, one: u8, other: u8) {
        root::swap(&mut self.arena, one, other);
        self.counted = u32::MAX;
    }

    /// Removes every key, in constant time. Settings stay, and so do the numbers of the databases.
    pub(crate) fn clear(&mut self) {
        self.counted = u32::MAX;
        self.outdate_located();
        let settings: Vec<_> = (0..SETTINGS_MAX).map(|number| self.setting(number)).collect();
        let numbers = self.numbers();
        self.flushed_keys = 0;
        self.arena.clear();
        root::create(&mut self.arena, self.hasher.seed());
        root::put_numbers(&mut self.arena, &numbers);
        for (number, value) in settings.into_iter().enumerate().filter(|(_, value)| value.is_some()) {
            root::put_setting(&mut self.arena, number, value);
        }
    }

    /// Empties a database, in constant time: `fresh`, which is unused, takes its place, and its keys are reclaimed by steps. Never fails:
    /// a copy of the superblock may exceed the pool's bound.
    pub(crate) fn flush_database(&mut self, database: DatabaseId, fresh: DatabaseId) {
        let logical = self.logical(database).expect("a database that is flushed is one of clients");
        root::put_number(&mut self.arena, logical, fresh);
        self.flushed_keys += self.len_of(database);
        self.drop_without_keys(database);
        self.arena.use_changed = true;
        self.counted = u32::MAX;
        self.outdate_located();
        self.settle();
    }

    /// Removes every key of one database. Never fails: copies that it needs may exceed the pool's bound.
    pub(crate) fn clear_database(&mut self, database: DatabaseId) {
        expiry::free(&mut self.arena, root::expiry_of(database));
        let mut records = Vec::new();
        table::drain_all(&mut self.arena, root::table_of(database), |at| records.push(at));
        self.free_records(records);
        self.note_counted(database);
        self.outdate_located();
        self.settle();
    }

    /// Frees at most about `steps` pages, or records of databases, of what was given up. Never fails: copies that it needs may exceed
    /// the pool's bound.
    pub(crate) fn reclaim(&mut self, steps: usize) {
        let mut left = steps;
        while left > 0 {
            let flushed = self.flushed_databases().next();
            let done = match flushed {
                _ if reclaim::waiting(&self.arena) > 0 => reclaim::step(&mut self.arena, left),
                Some(database) => self.reclaim_database(database, left),
                None => break,
            };
            left = left.saturating_sub(done);
        }
        self.settle();
    }

    /// Frees part of a database that was flushed; returns how many pages or records.
    fn reclaim_database(&mut self, database: DatabaseId, pages: usize) -> usize {
        if expiry::len(&self.arena, root::expiry_of(database)) == 0 {
            return self.drain_database(database);
        }
        let before = self.arena.pages_used();
        expiry::free_some(&mut self.arena, root::expiry_of(database), pages);
        (before - self.arena.pages_used()) as usize
    }

    /// Frees one segment of a database's table, and its records; returns how many pages or records.
    fn drain_database(&mut self, database: DatabaseId) -> usize {
        let mut records = Vec::new();
        table::drain(&mut self.arena, root::table_of(database), 1, |_, at| records.push(at));
        self.flushed_keys -= records.len() as u64;
        let freed = 1 + records.len();
        self.free_records(records);
        self.drop_without_keys(database);
        freed
    }

    /// Frees the table of a database if it has no key: of the segments behind the last key there are some tens at most.
    fn drop_without_keys(&mut self, database: DatabaseId) {
        if self.len_of(database) == 0 {
            table::drain_all(&mut self.arena, root::table_of(database), |_| {});
        }
    }

    fn free_records(&mut self, records: Vec<Ref>) {
        for at in &records {
            let head = Head::of(self.arena.page(at.page()), *at);
            self.give_up_value(*at, &head);
        }
        slab::free_all(&mut self.arena, records);
    }
}

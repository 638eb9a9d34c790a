//! Mutations.

use crate::arena::{OutOfMemory, Ref};
use crate::clock::UnixMillis;
use crate::ids::DatabaseId;
use crate::limits::{KEY_BYTES_MAX, VALUE_BYTES_MAX};
use crate::structure::table::{self, Found};
use crate::structure::{expiry, root, slab};
use crate::value::Kind;
use crate::value::paged::{self, RootAt};
use crate::value::record::{self, Form, Head, Sort};

use super::read::find;
use super::{Key, Keyspace, MUTATION_PAGES};

impl Keyspace {
    /// Sets `key` to the string `value`, replacing whatever it held, its expiry included.
    ///
    /// # Errors
    /// If the pool's bound does not allow it; nothing has changed then.
    pub fn set(&mut self, key: &Key<'_>, value: &[u8], expire: Option<UnixMillis>) -> Result<(), OutOfMemory> {
        assert!(key.bytes.len() <= KEY_BYTES_MAX && value.len() as u64 <= VALUE_BYTES_MAX, "lengths were checked");
        let form = Form::of(key.bytes.len(), value.len() as u64);
        self.reserve(key.database, if form.paged { paged::pages_to_grow(0, value.len() as u64) } else { 0 })?;
        let found = find(&self.arena, key);
        if let Some(found) = found {
            self.free_pages(found.at);
        }
        let expiry = expire.map(|at| at.0);
        let at = match found {
            Some(found) => self.fit(&found, form.record_bytes(key.bytes.len(), expiry.is_some()), 0, expiry),
            None => self.add(key, form.record_bytes(key.bytes.len(), expiry.is_some()), expiry),
        };
        let page = self.arena.page_mut(at.page());
        let sort = Sort { database: key.database, kind: Kind::String, form };
        let head = record::write_head(page, at, sort, key.bytes, expiry);
        if form.paged {
            let root = RootAt { page: at.page(), offset: head.rest_at };
            paged::create(&mut self.arena, root, value.len() as u64);
            paged::write(&mut self.arena, root, 0, value);
        } else {
            page.bytes_mut(head.rest_at, value.len()).copy_from_slice(value);
        }
        self.arena.settle();
        Ok(())
    }

    /// Appends to the string at `key`; answers the new length. The caller has checked that it stays within
    /// [`VALUE_BYTES_MAX`].
    ///
    /// # Errors
    /// If the pool's bound does not allow it; nothing has changed then.
    ///
    /// # Panics
    /// If the key does not exist.
    pub fn append(&mut self, key: &Key<'_>, tail: &[u8]) -> Result<u64, OutOfMemory> {
        let (found, len) = self.existing(key);
        self.write_at(key, &found, len, len, tail)
    }

    /// Overwrites from `offset` the string at `key`, filling a gap with zeros; answers the new length. The caller has checked
    /// that it stays within [`VALUE_BYTES_MAX`].
    ///
    /// # Errors
    /// If the pool's bound does not allow it; nothing has changed then.
    ///
    /// # Panics
    /// If the key does not exist.
    pub fn set_range(&mut self, key: &Key<'_>, offset: u64, bytes: &[u8]) -> Result<u64, OutOfMemory> {
        let (found, len) = self.existing(key);
        if bytes.is_empty() {
            return Ok(len);
        }
        self.write_at(key, &found, len, offset, bytes)
    }

    /// Sets or takes away the expiry; answers whether the key exists.
    ///
    /// # Errors
    /// If the pool's bound does not allow it; nothing has changed then.
    pub fn set_expire(&mut self, key: &Key<'_>, expire: Option<UnixMillis>) -> Result<bool, OutOfMemory> {
        self.reserve(key.database, 0)?;
        let Some(found) = find(&self.arena, key) else { return Ok(false) };
        let expiry = expire.map(|at| at.0);
        let page = self.arena.page(found.at.page());
        let head = Head::of(page, found.at);
        if head.expiry == expiry {
            return Ok(true);
        }
        let rest = head.rest(page).to_vec();
        let form = Form { paged: head.paged, rest_len: head.rest_len };
        let at = self.fit(&found, form.record_bytes(head.key_len, expiry.is_some()), 0, expiry);
        let page = self.arena.page_mut(at.page());
        let head =
            record::write_head(page, at, Sort { database: key.database, kind: head.kind, form }, key.bytes, expiry);
        page.bytes_mut(head.rest_at, rest.len()).copy_from_slice(&rest);
        Ok(true)
    }

    /// Makes `key`, which exists, a key of the database `to`, in which it must not exist: in the time of one entry, whatever it holds.
    ///
    /// # Errors
    /// If the pool's bound does not allow it; nothing has changed then.
    ///
    /// # Panics
    /// If the key does not exist.
    pub fn move_to(&mut self, key: &Key<'_>, to: DatabaseId) -> Result<(), OutOfMemory> {
        let directory = table::pages_to_double(&self.arena, root::table_of(key.database));
        self.reserve(to, MUTATION_PAGES + directory)?;
        let found = find(&self.arena, key).expect("the caller has checked that the key exists");
        let (at, tag) = (found.at, table::tag_of(key.hash));
        table::remove(&mut self.arena, root::table_of(key.database), &found);
        table::insert(&mut self.arena, root::table_of(to), tag, at);
        self.note_counted(key.database);
        self.note_counted(to);
        let page = self.arena.page_mut(at.page());
        record::put_database(page, at, to);
        if Head::of(page, at).expiry.is_some() {
            self.count_expiring(key.database, -1);
            self.count_expiring(to, 1);
        }
        self.arena.settle();
        Ok(())
    }

    /// Removes every key of one database. Never fails: copies that it needs may exceed the pool's bound.
    pub fn clear_database(&mut self, database: DatabaseId) {
        if self.len() == self.len_of(database) {
            return self.clear();
        }
        self.note_counted(database);
        let mut records = Vec::new();
        table::drain_all(&mut self.arena, root::table_of(database), |at| records.push(at));
        for at in &records {
            self.free_pages(*at);
            let expiry = Head::of(self.arena.page(at.page()), *at).expiry;
            self.change_expiry(database, (expiry, *at), (None, *at));
        }
        slab::free_all(&mut self.arena, records);
        self.arena.settle();
    }

    /// Makes sure that what changes the superblock alone cannot fail.
    ///
    /// # Errors
    /// If the pool has no page for a copy of it.
    pub fn reserve_root(&mut self) -> Result<(), OutOfMemory> {
        self.arena.reserve(1)
    }

    /// Exchanges the keys of the logical databases `one` and `other`, in constant time. Reserve the superblock before.
    pub fn swap_databases(&mut self, one: u8, other: u8) {
        root::swap(&mut self.arena, one, other);
        self.counted = u16::MAX;
    }

    /// Removes `key`; answers whether it existed. Never fails: copies that it needs may exceed the pool's bound.
    pub fn remove(&mut self, key: &Key<'_>) -> bool {
        let Some(found) = find(&self.arena, key) else { return false };
        self.free_pages(found.at);
        let old = Head::of(self.arena.page(found.at.page()), found.at).expiry;
        self.change_expiry(key.database, (old, found.at), (None, found.at));
        slab::free(&mut self.arena, found.at);
        table::remove(&mut self.arena, root::table_of(key.database), &found);
        self.note_counted(key.database);
        self.arena.settle();
        true
    }

    /// Makes sure that a mutation which takes or copies at most `pages` pages of large values cannot fail.
    #[inline]
    fn reserve(&mut self, database: DatabaseId, pages: usize) -> Result<(), OutOfMemory> {
        let table = root::table_of(database);
        let worst = MUTATION_PAGES + table::pages_to_double(&self.arena, table) + pages;
        if !self.arena.has_addresses(worst) {
            return Err(OutOfMemory);
        }
        self.arena.reserve(worst)
    }

    fn existing(&self, key: &Key<'_>) -> (Found, u64) {
        let found = find(&self.arena, key).expect("the caller has checked that the key exists");
        let len = self.get(key).map_or(0, |entry| entry.value().len());
        (found, len)
    }

    fn write_at(&mut self, key: &Key<'_>, found: &Found, old: u64, at: u64, bytes: &[u8]) -> Result<u64, OutOfMemory> {
        let new = old.max(at.saturating_add(bytes.len() as u64));
        assert!(new <= VALUE_BYTES_MAX, "the caller has checked the length");
        let form = Form::of(key.bytes.len(), new);
        if form.paged {
            self.reserve(key.database, paged::pages_to_grow(old, new) + paged::pages_to_write(bytes.len()))?;
            self.write_paged(key, found, new, form, at, bytes);
        } else {
            self.reserve(key.database, 0)?;
            self.write_inline(key, found, old, form, at as usize, bytes);
        }
        Ok(new)
    }

    fn write_inline(&mut self, key: &Key<'_>, found: &Found, old: u64, form: Form, at: usize, bytes: &[u8]) {
        let head = Head::of(self.arena.page(found.at.page()), found.at);
        let keep = head.rest_at + head.rest_len - found.at.offset();
        let record = self.fit(found, form.record_bytes(head.key_len, head.expiry.is_some()), keep, head.expiry);
        let page = self.arena.page_mut(record.page());
        let sort = Sort { database: key.database, kind: head.kind, form };
        let head = record::write_head(page, record, sort, key.bytes, head.expiry);
        let value = page.bytes_mut(head.rest_at, form.rest_len);
        if at > old as usize {
            value[old as usize..at].fill(0);
        }
        value[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn write_paged(&mut self, key: &Key<'_>, found: &Found, new: u64, form: Form, at: u64, bytes: &[u8]) {
        let page = self.arena.page(found.at.page());
        let old = Head::of(page, found.at);
        let inline = if old.paged { Vec::new() } else { old.rest(page).to_vec() };
        let keep = if old.paged { old.rest_at + old.rest_len - found.at.offset() } else { 0 };
        let record = self.fit(found, form.record_bytes(old.key_len, old.expiry.is_some()), keep, old.expiry);
        let page = self.arena.page_mut(record.page());
        let sort = Sort { database: key.database, kind: old.kind, form };
        let head = record::write_head(page, record, sort, key.bytes, old.expiry);
        let root = RootAt { page: record.page(), offset: head.rest_at };
        if old.paged {
            paged::grow(&mut self.arena, root, new);
        } else {
            paged::create(&mut self.arena, root, new);
            paged::write(&mut self.arena, root, 0, &inline);
        }
        paged::write(&mut self.arena, root, at, bytes);
    }

    /// Gives up the pages of the value of the record at `at`, if it has any.
    fn free_pages(&mut self, at: Ref) {
        let head = Head::of(self.arena.page(at.page()), at);
        if head.paged {
            paged::free(&mut self.arena, RootAt { page: at.page(), offset: head.rest_at });
        }
    }

    /// A slot for a new key.
    fn add(&mut self, key: &Key<'_>, bytes: usize, expiry: Option<u64>) -> Ref {
        let at = slab::allocate(&mut self.arena, bytes);
        table::insert(&mut self.arena, root::table_of(key.database), table::tag_of(key.hash), at);
        self.note_counted(key.database);
        self.change_expiry(key.database, (None, at), (expiry, at));
        at
    }

    /// Makes the slot of a record one for `bytes` bytes, keeping its first `keep`; table and expiry index follow.
    fn fit(&mut self, found: &Found, bytes: usize, keep: usize, expiry: Option<u64>) -> Ref {
        let old = Head::of(self.arena.page(found.at.page()), found.at);
        // A record's own length tells its slot's class: the page's header, elsewhere in memory, need not be looked at.
        let mut at = found.at;
        if slab::class_of(old.record_bytes()) != slab::class_of(bytes) {
            at = paged::resize_slot(&mut self.arena, found.at, keep, bytes);
            table::replace(&mut self.arena, found, at);
        }
        self.change_expiry(old.database, (old.expiry, found.at), (expiry, at));
        at
    }

    #[inline]
    fn change_expiry(&mut self, database: DatabaseId, old: (Option<u64>, Ref), new: (Option<u64>, Ref)) {
        if (old.0.is_none() && new.0.is_none()) || old == new {
            return;
        }
        if let Some(time) = old.0 {
            expiry::remove(&mut self.arena, (time, old.1));
        }
        if let Some(time) = new.0 {
            expiry::insert(&mut self.arena, (time, new.1));
        }
        let change = i64::from(new.0.is_some()) - i64::from(old.0.is_some());
        self.count_expiring(database, change);
    }

    fn count_expiring(&mut self, database: DatabaseId, change: i64) {
        if change != 0 {
            let keys = root::expiring(&self.arena, database).checked_add_signed(change);
            root::put_expiring(&mut self.arena, database, keys.expect("what expires is counted"));
            self.note_counted(database);
        }
    }

    #[inline]
    fn note_counted(&mut self, database: DatabaseId) {
        self.counted |= 1 << database.0;
    }
}

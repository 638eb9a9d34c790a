//! Changes of key records, independent of their type; the changes of values are in `types/`.
//!
//! Pages are [planned](Keyspace::plan) first. After that a change cannot fail.

use crate::arena::{Arena, OutOfMemory, Ref};
use crate::clock::UnixMillis;
use crate::ids::DatabaseId;
use crate::limits::KEY_BYTES_MAX;
use crate::structure::table::{self, Found};
use crate::structure::{expiry, root, slab};
use crate::value::Kind;
use crate::value::external::External;
use crate::value::packed::{self, Edit};
use crate::value::paged::{self, RootAt};
use crate::value::reclaim;
use crate::value::record::{self, Encoding, Form, Head, RecordShape};

use super::{Key, Keyspace, Located, MORE_PAGES, MUTATION_PAGES, Planned, RESERVED_PAGES_MAX};

impl Keyspace {
    /// Makes sure that a change which takes or copies at most `pages` pages beside those of any change cannot fail, and those
    /// that were planned since the last [`settle`](Self::settle) neither. `grows` is the database that may get another key.
    ///
    /// # Errors
    /// If the pool's bound does not allow it.
    #[inline(always)]
    pub(crate) fn plan(&mut self, grows: Option<DatabaseId>, pages: usize) -> Result<(), OutOfMemory> {
        let Planned { small, values } = &mut self.planned;
        if *small > 0 {
            *small += MORE_PAGES;
        } else {
            *small = MUTATION_PAGES;
            if let Some(database) = grows {
                *small += table::pages_to_double(&self.arena, root::table_of(database));
            }
        }
        *values += pages;
        if !self.arena.has_addresses(*small + *values) {
            return Err(OutOfMemory);
        }
        self.arena.reserve((*small).min(RESERVED_PAGES_MAX) + *values)
    }

    /// Ends what was planned: it is done, or will not be.
    #[inline]
    pub(crate) fn settle(&mut self) {
        self.planned = Planned::default();
        self.arena.settle();
    }

    /// The pages, for the types to read what their records lead to.
    #[inline]
    pub(crate) fn arena(&self) -> &Arena {
        &self.arena
    }

    /// The pages, for the types to change what their records lead to.
    #[inline]
    pub(crate) fn arena_mut(&mut self) -> &mut Arena {
        &mut self.arena
    }

    /// Makes the key of `at` hold something else: its record has this shape, and its rest is whatever was there. What it held is
    /// given up.
    #[inline(always)]
    pub(crate) fn replace(&mut self, at: &mut Located<'_>, shape: RecordShape) -> (Ref, Head) {
        if let Some(found) = self.found(at) {
            let old = Head::of(self.arena.page(found.at.page()), found.at);
            self.give_up_value(found.at, &old);
            return match self.reshape_in_place(found.at, &old, shape) {
                Some(head) => (found.at, head),
                None => self.reshape_found(at, found, &old, shape, 0),
            };
        }
        let key = at.key();
        assert!(key.bytes.len() <= KEY_BYTES_MAX, "the length of a key was checked");
        let record = slab::allocate(&mut self.arena, shape.record_bytes(key.bytes.len()));
        table::insert(&mut self.arena, root::table_of(key.database), table::tag_of(key.hash), record);
        self.note_counted(key.database);
        self.change_expiry(key.database, (None, record), (shape.first_expiry(), record));
        self.outdate_located();
        (record, self.write_head(key, record, shape))
    }

    /// Changes the shape of the existing record at `at`; its first `keep` bytes stay, header and key apart.
    #[inline]
    pub(crate) fn reshape(&mut self, at: &mut Located<'_>, shape: RecordShape, keep: usize) -> (Ref, Head) {
        let found = self.found(at).expect("a record that gets another shape exists");
        let old = Head::of(self.arena.page(found.at.page()), found.at);
        match self.reshape_in_place(found.at, &old, shape) {
            Some(head) => (found.at, head),
            None => self.reshape_found(at, found, &old, shape, keep),
        }
    }

    /// Makes the key of `at` hold `rest`, in this form; its expiry stays. What it leads to now is left as it is.
    pub(crate) fn put_rest(&mut self, at: &mut Located<'_>, kind: Kind, form: Form, rest: &[u8]) -> (Ref, Head) {
        let fields_expiry = record::fields_expiry(form.encoding, rest);
        let shape = |expiry| RecordShape { kind, form, expiry, fields_expiry };
        let (record, head) = match self.record(at) {
            Some((_, head)) => self.reshape(at, shape(head.expiry), 0),
            None => self.replace(at, shape(None)),
        };
        self.arena.page_mut(record.page()).bytes_mut(head.rest_at, rest.len()).copy_from_slice(rest);
        (record, head)
    }

    /// Makes a change of the collection in one piece of the key at `at`, where `found` is its record: as `edit` makes it of the piece. The
    /// key is made if it does not exist, and removed with its last member.
    #[inline]
    pub(crate) fn edit<'s>(
        &mut self,
        at: &mut Located<'_>,
        found: Option<(Ref, Head)>,
        kind: Kind,
        edit: impl FnOnce(&[u8]) -> Edit<'s>,
    ) {
        let Some((record, head)) = found else {
            let mut blob = packed::empty();
            edit(&blob).apply(&mut blob);
            self.put_rest(at, kind, Form { encoding: Encoding::PACKED, rest_len: blob.len() }, &blob);
            return;
        };
        let edit = edit(head.rest(self.arena.page(record.page())));
        if edit.len() == 0 {
            self.remove(at);
        } else {
            self.edit_record(at, record, &head, &edit);
        }
    }

    /// Makes the change where the record stands, if its slot has room.
    #[inline]
    fn edit_record(&mut self, at: &mut Located<'_>, record: Ref, head: &Head, edit: &Edit<'_>) {
        let form = Form { rest_len: edit.bytes_after(head.rest_len), ..head.form() };
        let bytes = form.record_bytes(head.key_len, head.expiry.is_some());
        if slab::class_of(head.record_bytes()) != slab::class_of(bytes) {
            return self.edit_elsewhere(at, record, head, (edit, form.rest_len, bytes));
        }
        let page = self.arena.page_mut(record.page());
        record::put_rest_len(page, record, form.rest_len);
        let len = head.rest_len.max(form.rest_len);
        edit.apply_within(page.bytes_mut(head.rest_at, len), head.rest_len);
    }

    /// The same for a record that comes into another slot, where it has `bytes` bytes, of them `rest_len` behind its key.
    #[inline(never)]
    fn edit_elsewhere(
        &mut self,
        at: &mut Located<'_>,
        before: Ref,
        head: &Head,
        (edit, rest_len, bytes): (&Edit<'_>, usize, usize),
    ) {
        let mut found = self.found(at).expect("a record that is edited exists");
        let record = slab::allocate(&mut self.arena, bytes);
        let rest = head.rest_at - before.offset();
        paged::copy(&mut self.arena, before, record, rest + edit.front());
        for (part, to) in edit.moves(head.rest_len) {
            let from = head.rest_at + part.start;
            paged::copy_bytes(
                &mut self.arena,
                (before.page(), from),
                (record.page(), record.offset() + rest + to),
                part.len(),
            );
        }
        let page = self.arena.page_mut(record.page());
        record::put_rest_len(page, record, rest_len);
        edit.fill(page.bytes_mut(record.offset() + rest, rest_len));
        slab::free(&mut self.arena, before);
        table::replace(&mut self.arena, &mut found, record);
        self.moved(at, found);
        self.change_expiry(head.database, (head.expiry, before), (head.expiry, record));
    }

    /// Changes the shape of the record at `record`, if its slot and its key stay where they are.
    #[inline(always)]
    fn reshape_in_place(&mut self, record: Ref, old: &Head, shape: RecordShape) -> Option<Head> {
        // A record's own length tells its slot's class: the page's header, elsewhere in memory, need not be looked at.
        let same_slot = slab::class_of(old.record_bytes()) == slab::class_of(shape.record_bytes(old.key_len));
        if !same_slot || old.expiry.is_some() != shape.expiry.is_some() {
            return None;
        }
        let was = old.first_expiry(self.arena.page(record.page()));
        if was != shape.first_expiry() {
            self.change_expiry(old.database, (was, record), (shape.first_expiry(), record));
        }
        Some(record::change_shape(self.arena.page_mut(record.page()), record, old, shape))
    }

    #[inline(never)]
    fn reshape_found(
        &mut self,
        at: &mut Located<'_>,
        mut found: Found,
        old: &Head,
        shape: RecordShape,
        keep: usize,
    ) -> (Ref, Head) {
        let before = found.at;
        let was = old.first_expiry(self.arena.page(before.page()));
        let bytes = shape.record_bytes(old.key_len);
        if slab::class_of(old.record_bytes()) != slab::class_of(bytes) {
            let record = paged::resize_slot(&mut self.arena, before, keep, bytes);
            table::replace(&mut self.arena, &mut found, record);
            self.moved(at, found);
        }
        self.change_expiry(old.database, (was, before), (shape.first_expiry(), found.at));
        (found.at, self.write_head(at.key(), found.at, shape))
    }

    #[inline]
    fn write_head(&mut self, key: &Key<'_>, record: Ref, shape: RecordShape) -> Head {
        record::write_head(self.arena.page_mut(record.page()), record, shape, key.database, key.bytes)
    }

    /// Sets or takes away the expiry of the existing key at `at`.
    pub(crate) fn set_expire(&mut self, at: &mut Located<'_>, expire: Option<UnixMillis>) {
        let (record, head) = self.record(at).expect("a key whose expiry is set exists");
        let expiry = expire.map(|at| at.0);
        match (head.expiry, expiry) {
            (old, new) if old == new => {}
            (Some(_), Some(new)) => {
                let page = self.arena.page_mut(record.page());
                let was = head.first_expiry(page);
                record::put_expiry(page, record, new);
                let is = Head { expiry, ..head }.first_expiry(page);
                self.change_expiry(head.database, (was, record), (is, record));
            }
            _ => {
                let page = self.arena.page(record.page());
                let (rest, shape) = (head.rest(page).to_vec(), RecordShape { expiry, ..head.shape(page) });
                let (record, head) = self.reshape(at, shape, 0);
                self.arena.page_mut(record.page()).bytes_mut(head.rest_at, rest.len()).copy_from_slice(&rest);
            }
        }
    }

    /// Notes when the first field of the hash in the record at `record` expires now.
    pub(crate) fn set_fields_expiry(&mut self, record: Ref, time: Option<u64>) {
        let page = self.arena.page_mut(record.page());
        let head = Head::of(page, record);
        let was = head.first_expiry(page);
        page.put_u64(head.rest_at, time.unwrap_or(0));
        let is = head.first_expiry(page);
        self.change_expiry(head.database, (was, record), (is, record));
    }

    /// Pages that [`move_to`](Self::move_to) may take beside those of any change.
    pub(crate) fn pages_to_move(&self, key: &Key<'_>) -> usize {
        MUTATION_PAGES + table::pages_to_double(&self.arena, root::table_of(key.database))
    }

    /// Makes the existing key at `at` one of the database `to`, another one: in the time of one entry, whatever it contains. A
    /// key of that name there is removed.
    pub(crate) fn move_to(&mut self, at: &mut Located<'_>, to: DatabaseId) {
        let key = *at.key();
        self.remove(&mut self.locate(&key.of(to)));
        let found = self.found(at).expect("a key that moves exists");
        let record = found.at;
        table::remove(&mut self.arena, root::table_of(key.database), &found);
        table::insert(&mut self.arena, root::table_of(to), table::tag_of(key.hash), record);
        self.outdate_located();
        self.note_counted(key.database);
        self.note_counted(to);
        let page = self.arena.page_mut(record.page());
        record::put_database(page, record, to);
        let expiry = Head::of(page, record).first_expiry(page);
        self.change_expiry(key.database, (expiry, record), (None, record));
        self.change_expiry(to, (None, record), (expiry, record));
    }

    /// Whether the record at `at` keeps the form of its rest with a key of `to`'s length: what it leads to can then be left where
    /// it is.
    pub(crate) fn can_rename(&self, at: &Located<'_>, to: &Key<'_>) -> bool {
        self.entry(at).is_some_and(|entry| {
            if entry.kind() != Kind::String {
                return true;
            }
            let (old, new) = (entry.head().form(), Form::of(to.bytes.len(), entry.value().len()));
            old.is_paged() == new.is_paged()
        })
    }

    /// Renames the existing key at `at` to `to`, in its database: in the time of one entry, whatever it contains. A key of that
    /// name is removed. [`can_rename`](Self::can_rename) says whether that is possible.
    pub(crate) fn rename(&mut self, at: &mut Located<'_>, to: &Key<'_>) {
        self.remove(&mut self.locate(to));
        let (record, head) = self.record(at).expect("a key that gets another name exists");
        let page = self.arena.page(record.page());
        let (rest, shape) = (head.rest(page).to_vec(), head.shape(page));
        self.remove_record(at);
        let (record, head) = self.replace(&mut self.locate(to), shape);
        self.arena.page_mut(record.page()).bytes_mut(head.rest_at, rest.len()).copy_from_slice(&rest);
    }

    /// Removes the key at `at`, if there is one. Never fails: copies that it needs may exceed the pool's bound.
    pub(crate) fn remove(&mut self, at: &mut Located<'_>) {
        if let Some(found) = self.found(at) {
            self.give_up_value(found.at, &Head::of(self.arena.page(found.at.page()), found.at));
            self.remove_record(at);
        }
    }

    /// Removes the existing key at `at` and its record, but not what that leads to.
    fn remove_record(&mut self, at: &mut Located<'_>) {
        let found = self.found(at).expect("a record that is removed exists");
        let key = at.key();
        let page = self.arena.page(found.at.page());
        let old = Head::of(page, found.at).first_expiry(page);
        self.change_expiry(key.database, (old, found.at), (None, found.at));
        slab::free(&mut self.arena, found.at);
        table::remove(&mut self.arena, root::table_of(key.database), &found);
        self.note_counted(key.database);
        self.outdate_located();
    }

    /// Frees what the record at `at` leads to, or leaves it to be reclaimed.
    #[inline]
    pub(super) fn give_up_value(&mut self, at: Ref, head: &Head) {
        if External::of_record(at, head).is_some() {
            reclaim::give_up(
                &mut self.arena,
                head.kind,
                head.encoding,
                RootAt { page: at.page(), offset: head.rest_at },
            );
        }
    }

    #[inline]
    pub(super) fn change_expiry(&mut self, database: DatabaseId, old: (Option<u64>, Ref), new: (Option<u64>, Ref)) {
        if (old.0.is_none() && new.0.is_none()) || old == new {
            return;
        }
        if let Some(time) = old.0 {
            expiry::remove(&mut self.arena, root::expiry_of(database), (time, old.1));
        }
        if let Some(time) = new.0 {
            expiry::insert(&mut self.arena, root::expiry_of(database), (time, new.1));
        }
        self.note_counted(database);
    }
}

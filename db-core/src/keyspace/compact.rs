//! Compaction (Redis: active defragmentation): moves key records out of pages that are at most half full, so that those pages
//! become free.
//!
//! Random deletions leave pages with only a few used slots. A step visits some keys in scan order and moves those in such pages
//! to the page from which the allocator takes the next slot, which is never one of them.

use crate::arena::{Arena, Ref};
use crate::ids::DatabaseId;
use crate::structure::{root, slab, table};
use crate::value::paged::{self, RootAt};
use crate::value::record::Head;

use super::Keyspace;

impl Keyspace {
    /// Looks at about `keys` keys of a database from `cursor` on (0: from the start): returns the cursor to go on with (0: done) and the
    /// records that lie, or whose value's end lies, in pages which are at most half full.
    pub(crate) fn sparse(&self, database: DatabaseId, cursor: u64, keys: usize) -> (u64, Vec<Ref>) {
        let mut records = Vec::new();
        let next = table::scan(&self.arena, root::table_of(database), cursor, keys, |at| {
            if is_sparse(&self.arena, at) {
                records.push(at);
            }
        });
        (next, records)
    }

    /// Moves what [`sparse`](Self::sparse) finds. Never fails: copies that it needs may exceed the pool's bound.
    pub(crate) fn compact(&mut self, database: DatabaseId, cursor: u64, keys: usize) {
        for at in self.sparse(database, cursor, keys).1 {
            // What has moved before it may have made its page the one from which slots are taken.
            if slab::is_sparse(&self.arena, at) {
                self.move_record(database, at);
            } else if let Some(root) = root_of(&self.arena, at) {
                move_tail(&mut self.arena, root);
            }
        }
        self.outdate_located();
        self.settle();
    }

    fn move_record(&mut self, database: DatabaseId, from: Ref) {
        let page = self.arena.page(from.page());
        let head = Head::of(page, from);
        let tag = table::tag_of(self.hasher.key(head.key(page)).hash);
        let to = slab::allocate(&mut self.arena, head.record_bytes());
        paged::copy(&mut self.arena, from, to, head.record_bytes());
        let expiry = head.first_expiry(self.arena.page(from.page()));
        slab::free(&mut self.arena, from);
        let found = table::find(&self.arena, root::table_of(database), tag, |at| at == from);
        table::replace(&mut self.arena, &mut found.expect("a record that moves is in its table"), to);
        self.change_expiry(database, (expiry, from), (expiry, to));
        if let Some(root) = root_of(&self.arena, to) {
            move_tail(&mut self.arena, root);
        }
    }
}

/// Whether the record at `at` lies in a page that is at most half full, or the tail of its value does.
fn is_sparse(arena: &Arena, at: Ref) -> bool {
    let tail = || root_of(arena, at).map(|root| paged::tail(arena, root)).filter(|tail| !tail.is_null());
    slab::is_sparse(arena, at) || tail().is_some_and(|tail| slab::is_sparse(arena, tail))
}

/// Where the root of a large value stands in the record at `at`.
fn root_of(arena: &Arena, at: Ref) -> Option<RootAt> {
    let head = Head::of(arena.page(at.page()), at);
    head.is_paged().then_some(RootAt { page: at.page(), offset: head.rest_at })
}

fn move_tail(arena: &mut Arena, root: RootAt) {
    let tail = paged::tail(arena, root);
    if !tail.is_null() && slab::is_sparse(arena, tail) {
        paged::move_tail(arena, root);
    }
}

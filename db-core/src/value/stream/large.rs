//! A stream by its root, and what becomes of it.

use crate::arena::{Arena, PAGE_BYTES, Pages, Ref};
use crate::ids::PageId;
use crate::structure::slab;
use crate::structure::tree::{self, Position, Tree};
use crate::value::entry::{EntryForm, SlotEntry, give_up_value};

use super::group::{
    self, ByKey, GroupItem, PendingEntry, StreamConsumer, StreamGroup, consumer_item, consumer_key, group_item,
    group_key, name_item, name_key, owned_key, owned_prefix, pending_item, pending_key, prefixes_of_group,
};
use super::id::StreamId;
use super::node::{StreamNode, node_of_long};

const GROUPS: usize = tree::HANDLE_BYTES;
const LEN: usize = 32;
const LAST: usize = 40;
const DELETED: usize = 56;
const ADDED: usize = 72;
const LONG: usize = 80;
const LONG_BYTES: usize = 88;
const NUMBERS: usize = 96;

/// Bytes of a root; zeros are an empty stream that never had an entry.
pub(crate) const ROOT_BYTES: usize = 104;

const _: () = assert!(GROUPS + tree::HANDLE_BYTES == LEN);

/// Makes the copy of a root, and of what is behind it, one without nodes and groups: those are added again.
pub(crate) fn forget_trees(rest: &mut [u8]) {
    rest[..LEN].fill(0);
    rest[LONG..NUMBERS].fill(0);
}

/// A stream, by the place of its root: a page and a byte offset within it. Whoever owns the root may move it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LargeStream {
    page: PageId,
    offset: usize,
}

impl LargeStream {
    /// The one whose root stands at byte `offset` of `page`.
    #[inline]
    pub(crate) const fn at(page: PageId, offset: usize) -> LargeStream {
        LargeStream { page, offset }
    }

    /// The nodes that are full.
    #[inline]
    pub(crate) const fn nodes(self) -> Tree<ByKey> {
        Tree::at(self.page, self.offset, ByKey)
    }

    /// The items of its consumer groups.
    #[inline]
    pub(crate) const fn groups(self) -> Tree<ByKey> {
        Tree::at(self.page, self.offset + GROUPS, ByKey)
    }

    fn word(self, pages: &impl Pages, at: usize) -> u64 {
        pages.page(self.page).u64_at(self.offset + at)
    }

    fn put_word(self, arena: &mut Arena, at: usize, value: u64) {
        arena.page_mut(self.page).put_u64(self.offset + at, value);
    }

    fn id_at(self, pages: &impl Pages, at: usize) -> StreamId {
        StreamId { ms: self.word(pages, at), seq: self.word(pages, at + 8) }
    }

    fn put_id(self, arena: &mut Arena, at: usize, id: StreamId) {
        self.put_word(arena, at, id.ms);
        self.put_word(arena, at + 8, id.seq);
    }

    /// Returns the number of entries.
    #[inline]
    pub(crate) fn len(self, pages: &impl Pages) -> u64 {
        self.word(pages, LEN)
    }

    pub(crate) fn put_len(self, arena: &mut Arena, len: u64) {
        self.put_word(arena, LEN, len);
    }

    /// Returns the id of the last entry that was added.
    pub(crate) fn last(self, pages: &impl Pages) -> StreamId {
        self.id_at(pages, LAST)
    }

    pub(crate) fn put_last(self, arena: &mut Arena, id: StreamId) {
        self.put_id(arena, LAST, id);
    }

    /// Returns the greatest id of an entry that was deleted by it.
    pub(crate) fn deleted(self, pages: &impl Pages) -> StreamId {
        self.id_at(pages, DELETED)
    }

    pub(crate) fn put_deleted(self, arena: &mut Arena, id: StreamId) {
        self.put_id(arena, DELETED, id);
    }

    /// Returns how many entries were ever added.
    pub(crate) fn added(self, pages: &impl Pages) -> u64 {
        self.word(pages, ADDED)
    }

    pub(crate) fn put_added(self, arena: &mut Arena, added: u64) {
        self.put_word(arena, ADDED, added);
    }

    /// Returns how many entries stand elsewhere.
    pub(super) fn long(self, pages: &impl Pages) -> u64 {
        self.word(pages, LONG)
    }

    /// Returns the bytes of their slots and pages.
    pub(super) fn long_bytes(self, pages: &impl Pages) -> u64 {
        self.word(pages, LONG_BYTES)
    }

    /// Returns how many numbers groups and consumers have got.
    pub(crate) fn numbers(self, pages: &impl Pages) -> u64 {
        self.word(pages, NUMBERS)
    }

    pub(crate) fn put_numbers(self, arena: &mut Arena, numbers: u64) {
        self.put_word(arena, NUMBERS, numbers);
    }

    /// Returns the bytes that it takes beside its record.
    pub(crate) fn memory_bytes(self, pages: &impl Pages) -> u64 {
        self.pages(pages) * PAGE_BYTES as u64 + self.long_bytes(pages)
    }

    /// Returns the number of its trees' pages.
    pub(crate) fn pages(self, pages: &impl Pages) -> u64 {
        u64::from(self.nodes().pages(pages)) + u64::from(self.groups().pages(pages))
    }

    /// The place behind the node that an entry of this id would be in.
    pub(super) fn behind(self, pages: &impl Pages, id: StreamId) -> Position {
        let behind = id.next().map(StreamId::to_bytes);
        match behind {
            Some(behind) => self.nodes().find(pages, |item| item.cmp(&behind[..])),
            None => self.nodes().end(pages),
        }
    }

    /// Adds a node at the end.
    pub(crate) fn push_node(self, arena: &mut Arena, node: &[u8]) {
        let tree = self.nodes();
        tree.insert(arena, &tree.end(arena), node);
    }

    /// Adds an entry at the end whose fields, as `node.rs` writes them, stand elsewhere.
    pub(crate) fn push_long(self, arena: &mut Arena, id: StreamId, fields: &[u8]) {
        let len = fields.len() as u64;
        let form = EntryForm::of(0, Some(len), None);
        let at = slab::allocate(arena, form.bytes());
        form.write(arena, at, &[], fields);
        self.count_long(arena, 1, form.memory_bytes(len).cast_signed());
        self.push_node(arena, &node_of_long(id, at));
    }

    fn count_long(self, arena: &mut Arena, entries: i64, bytes: i64) {
        let (entries, bytes) =
            (self.long(arena).wrapping_add_signed(entries), self.long_bytes(arena).wrapping_add_signed(bytes));
        self.put_word(arena, LONG, entries);
        self.put_word(arena, LONG_BYTES, bytes);
    }

    fn free_long(self, arena: &mut Arena, at: Ref) {
        let page = arena.page(at.page());
        let entry = SlotEntry::read(page, at);
        self.count_long(arena, -1, -entry.memory_bytes(page).cast_signed());
        give_up_value(arena, &entry, at);
        slab::free(arena, at);
    }

    /// Removes `count` nodes of the tree from the one at `rank` on.
    pub(crate) fn remove_nodes(self, arena: &mut Arena, rank: u64, count: u64) {
        let tree = self.nodes();
        if self.long(arena) > 0 {
            let nodes = tree.cursor(arena, tree.seek(arena, rank)).take(usize::try_from(count).unwrap_or(usize::MAX));
            let slots: Vec<Ref> = nodes.filter_map(|node| StreamNode(node).elsewhere()).collect();
            slots.into_iter().for_each(|at| self.free_long(arena, at));
        }
        tree.remove_range(arena, rank, count);
    }

    /// Puts `node` in the place of the first one of the tree.
    pub(crate) fn replace_first(self, arena: &mut Arena, node: &[u8]) {
        let tree = self.nodes();
        tree.replace(arena, &tree.start(arena), node);
    }

    /// Removes an entry of a node of the tree; false if it is not there.
    pub(crate) fn remove_entry(self, arena: &mut Arena, id: StreamId) -> bool {
        let tree = self.nodes();
        let Some(rank) = tree.rank(arena, &self.behind(arena, id)).checked_sub(1) else { return false };
        let at = tree.seek(arena, rank);
        let Some(node) = at.item(arena).map(StreamNode) else { return false };
        if node.elsewhere().is_some() {
            let is_it = node.base() == id;
            if is_it {
                self.remove_nodes(arena, rank, 1);
            }
            return is_it;
        }
        let before = node.len();
        match node.retain(|there| there != id) {
            Some(left) if StreamNode(&left).len() == before => false,
            Some(left) => {
                tree.replace(arena, &at, &left);
                true
            }
            None => {
                tree.remove(arena, &at);
                true
            }
        }
    }

    /// Puts an item of the groups in the place of the one with the same key, whose length is `key_len`.
    fn put_item(self, arena: &mut Arena, item: &[u8], key_len: usize) {
        let (tree, key) = (self.groups(), &item[..key_len]);
        let at = tree.find(arena, |there| there.cmp(key));
        if at.item(arena).is_some_and(|there| there.starts_with(key)) {
            tree.replace(arena, &at, item);
        } else {
            tree.insert(arena, &at, item);
        }
    }

    fn remove_item(self, arena: &mut Arena, key: &[u8]) {
        let tree = self.groups();
        let at = tree.find(arena, |there| there.cmp(key));
        if at.item(arena).is_some_and(|there| there.starts_with(key)) {
            tree.remove(arena, &at);
        }
    }

    /// The ranks from which and up to which keys begin with `prefix`.
    pub(crate) fn ranks(self, pages: &impl Pages, prefix: &[u8]) -> std::ops::Range<u64> {
        let tree = self.groups();
        let start = tree.rank(pages, &tree.find(pages, |there| there.cmp(prefix)));
        let behind = tree
            .find(pages, |there| if there.starts_with(prefix) { std::cmp::Ordering::Less } else { there.cmp(prefix) });
        start..tree.rank(pages, &behind)
    }

    fn remove_prefix(self, arena: &mut Arena, prefix: &[u8]) {
        let ranks = self.ranks(arena, prefix);
        self.groups().remove_range(arena, ranks.start, ranks.end - ranks.start);
    }

    /// The item with this key.
    pub(crate) fn item<'p, P: Pages>(self, pages: &'p P, key: &[u8]) -> Option<&'p [u8]> {
        let at = self.groups().find(pages, |there| there.cmp(key));
        at.item(pages).filter(|there| there.starts_with(key))
    }

    fn new_number(self, arena: &mut Arena) -> u64 {
        let number = self.numbers(arena);
        self.put_numbers(arena, number + 1);
        number
    }

    /// Adds a group, or changes it.
    pub(crate) fn put_group(self, arena: &mut Arena, name: &[u8], last: StreamId, read: Option<u64>) {
        let number = match self.group(arena, name) {
            Some(group) => group.number,
            None => self.new_number(arena),
        };
        let item = group_item(name, &StreamGroup { number, last, read });
        self.put_item(arena, &item, group_key(name).len());
    }

    /// Removes a group with all that belongs to it, if it is there.
    pub(crate) fn remove_group(self, arena: &mut Arena, name: &[u8]) {
        if let Some(group) = self.group(arena, name) {
            prefixes_of_group(group.number).iter().for_each(|prefix| self.remove_prefix(arena, prefix));
            self.remove_item(arena, &group_key(name));
        }
    }

    /// Adds a consumer to a group, or changes when it was seen and, if that is given, active; returns its number.
    pub(crate) fn put_consumer(
        self,
        arena: &mut Arena,
        group: u64,
        name: &[u8],
        (seen, active): (u64, Option<u64>),
    ) -> u64 {
        let old = self.consumer(arena, group, name);
        let number = match old {
            Some(old) => old.number,
            None => {
                let number = self.new_number(arena);
                let key_len = name_key(group, number).len();
                self.put_item(arena, &name_item(group, number, name), key_len);
                number
            }
        };
        let active = active.or_else(|| old.and_then(|old| old.active));
        let item = consumer_item(group, name, &StreamConsumer { number, seen, active });
        self.put_item(arena, &item, consumer_key(group, name).len());
        number
    }

    /// Removes a consumer with its pending entries, if it is there.
    pub(crate) fn remove_consumer(self, arena: &mut Arena, group: u64, name: &[u8]) {
        let Some(consumer) = self.consumer(arena, group, name) else { return };
        let owned = owned_prefix(group, consumer.number);
        let (tree, ranks) = (self.groups(), self.ranks(arena, &owned));
        let items = tree.cursor(arena, tree.seek(arena, ranks.start)).take((ranks.end - ranks.start) as usize);
        let keys: Vec<GroupItem> = items
            .filter_map(|item| match group::Noted::read(item)? {
                group::Noted::Owned(_, _, id) => Some(pending_key(group, id)),
                _ => None,
            })
            .collect();
        keys.iter().for_each(|key| self.remove_item(arena, key));
        self.remove_prefix(arena, &owned);
        self.remove_item(arena, &name_key(group, consumer.number));
        self.remove_item(arena, &consumer_key(group, name));
    }

    /// Makes an entry one that is pending, whoever had it before.
    pub(crate) fn put_pending(self, arena: &mut Arena, group: u64, entry: &PendingEntry) {
        let old = self.pending(arena, group, entry.id).map(|old| old.consumer);
        let key_len = pending_key(group, entry.id).len();
        self.put_item(arena, &pending_item(group, entry), key_len);
        if old == Some(entry.consumer) {
            return;
        }
        if let Some(old) = old {
            self.remove_item(arena, &owned_key(group, old, entry.id));
        }
        let owned = owned_key(group, entry.consumer, entry.id);
        self.put_item(arena, &owned, owned.len());
    }

    /// Makes an entry one that is not pending.
    pub(crate) fn remove_pending(self, arena: &mut Arena, group: u64, id: StreamId) {
        if let Some(old) = self.pending(arena, group, id) {
            self.remove_item(arena, &pending_key(group, id));
            self.remove_item(arena, &owned_key(group, old.consumer, id));
        }
    }

    /// Adds an item of a group at the end.
    pub(crate) fn push_group_item(self, arena: &mut Arena, item: &[u8]) {
        let tree = self.groups();
        tree.insert(arena, &tree.end(arena), item);
    }

    /// Frees about `max` pages from its end on; returns how many of its trees' those were, and whether they were the last.
    pub(crate) fn drain(self, arena: &mut Arena, max: usize) -> (usize, bool) {
        /// Nodes that are looked at, where some entries stand elsewhere.
        const NODES: u64 = 256;
        let before = self.pages(arena);
        if !self.groups().free_some(arena, max) {
            return ((before - self.pages(arena)) as usize, false);
        }
        let freed = (before - self.pages(arena)) as usize;
        if freed >= max {
            return (freed, self.pages(arena) == 0);
        }
        if self.long(arena) == 0 {
            self.nodes().free_some(arena, max - freed);
        } else {
            let nodes = self.nodes().len(arena);
            let count = nodes.min(NODES);
            self.remove_nodes(arena, nodes - count, count);
        }
        ((before - self.pages(arena)) as usize, self.pages(arena) == 0)
    }
}

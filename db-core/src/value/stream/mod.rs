//! Streams: entries in the order of their ids, and groups of consumers that share them.
//!
//! Several entries make a *node* (`node.rs`), one item of a counted B+tree in the order of their base ids. The last node stands in the
//! record of the key instead, behind the root, where entries are added to it; when it is full it goes to the end of the tree, whose
//! leaves stay full. So a small stream is one slot, and a large one is changed in its record alone most of the time. An entry that is too
//! long for a node stands in a slot of its own (`value/entry.rs`). All groups are the items of another tree (`group.rs`). The root:
//!
//! ```text
//!   0  handle of the tree of nodes (`structure/tree/mod.rs`)
//!  16  handle of the tree of groups
//!  32  entries u64
//!  40  id of the last entry that was added: milliseconds u64, number u64
//!  56  greatest id that was deleted, likewise; 0-0: none
//!  72  entries that were ever added u64
//!  80  entries that stand elsewhere u64
//!  88  bytes of their slots and pages u64
//!  96  numbers that groups and consumers have got u64
//! 104  the last node; nothing, if it has no entry
//! ```

mod check;
mod group;
mod id;
mod large;
mod node;
mod text;

use std::ops::Range;

use crate::arena::{Pages, Ref};

use super::entry::SlotEntry;
use super::record::Head;
use group::{
    consumer_key, consumers_prefix, group_key, groups_prefix, name_key, name_of_item, owned_key, owned_prefix,
    pending_key, pending_prefix,
};

pub(crate) use check::{PartsProof, check, check_large};
pub(crate) use group::{GroupItem, Noted};
pub use group::{PendingEntry, StreamConsumer, StreamGroup};
pub(crate) use id::ID_BYTES;
pub use id::StreamId;
pub(crate) use large::{LargeStream, ROOT_BYTES, forget_trees};
pub use node::StreamEntry;
pub(crate) use node::{StreamNode, are_fields, entry_after, fields_of_long, new_node, node_of_long, push, put_count};
pub use text::StreamText;

/// A stream as readers see it.
#[derive(Clone, Copy, Debug)]
pub struct StreamView<'a, P> {
    pages: &'a P,
    root: LargeStream,
    /// The last node, if it has an entry.
    tail: Option<StreamNode<'a>>,
}

impl<'a, P: Pages> StreamView<'a, P> {
    /// The stream in the record at `at` with the header `head`.
    #[inline]
    pub(crate) fn new(pages: &'a P, at: Ref, head: &Head) -> Self {
        let tail = &head.rest(pages.page(at.page()))[ROOT_BYTES..];
        let tail = (!tail.is_empty()).then_some(StreamNode(tail));
        StreamView { pages, root: LargeStream::at(at.page(), head.rest_at), tail }
    }

    /// Returns the number of entries.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.root.len(self.pages)
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the id of the last entry that was added.
    #[must_use]
    pub fn last_id(&self) -> StreamId {
        self.root.last(self.pages)
    }

    /// Returns the greatest id that was deleted by it; 0-0 if none was.
    #[must_use]
    pub fn deleted_id(&self) -> StreamId {
        self.root.deleted(self.pages)
    }

    /// Returns how many entries were ever added.
    #[must_use]
    pub fn added(&self) -> u64 {
        self.root.added(self.pages)
    }

    /// Returns the number of nodes.
    #[must_use]
    pub fn nodes(&self) -> u64 {
        self.root.nodes().len(self.pages) + u64::from(self.tail.is_some())
    }

    /// The last node, if it has an entry.
    pub(crate) const fn tail(&self) -> Option<StreamNode<'a>> {
        self.tail
    }

    /// Returns the id of the first entry that there is.
    #[must_use]
    pub fn first_id(&self) -> Option<StreamId> {
        let mut first = None;
        self.each_from(StreamId::ZERO, &mut |entry| {
            first = Some(entry.id());
            false
        });
        first
    }

    /// Returns the id of the last entry that there is.
    #[must_use]
    pub fn end_id(&self) -> Option<StreamId> {
        let mut last = None;
        self.each_back_from(StreamId::MAX, &mut |entry| {
            last = Some(entry.id());
            false
        });
        last
    }

    /// Returns whether there is an entry behind this id.
    #[must_use]
    pub fn has_behind(&self, id: StreamId) -> bool {
        let mut found = false;
        if let Some(next) = id.next().filter(|_| id < self.last_id()) {
            self.each_from(next, &mut |_| {
                found = true;
                false
            });
        }
        found
    }

    /// Returns whether there is an entry of this id.
    #[must_use]
    pub fn contains(&self, id: StreamId) -> bool {
        let mut found = false;
        self.each_from(id, &mut |entry| {
            found = entry.id() == id;
            false
        });
        found
    }

    /// Visits the entries from `id` on, until `visit` returns false.
    pub fn each_from(&self, id: StreamId, visit: &mut dyn FnMut(&StreamEntry<'_>) -> bool) {
        let mut nodes = self.root.nodes().cursor(self.pages, self.root.behind(self.pages, id));
        nodes.previous();
        for node in nodes.map(StreamNode).chain(self.tail) {
            if !self.each_of(node, false, &mut |entry| entry.id() < id || visit(entry)) {
                return;
            }
        }
    }

    /// Visits the entries up to `id`, the last one first, until `visit` returns false.
    pub fn each_back_from(&self, id: StreamId, visit: &mut dyn FnMut(&StreamEntry<'_>) -> bool) {
        let mut nodes = self.root.nodes().cursor(self.pages, self.root.behind(self.pages, id));
        let mut next = self.tail.filter(|tail| tail.base() <= id).or_else(|| nodes.previous().map(StreamNode));
        while let Some(node) = next {
            if !self.each_of(node, true, &mut |entry| entry.id() > id || visit(entry)) {
                return;
            }
            next = nodes.previous().map(StreamNode);
        }
    }

    /// Visits the entries of a node until `visit` returns false; then it is false too.
    fn each_of(&self, node: StreamNode<'_>, backwards: bool, visit: &mut dyn FnMut(&StreamEntry<'_>) -> bool) -> bool {
        if let Some(at) = node.elsewhere() {
            let fields = fields_at(self.pages, at);
            return visit(&StreamEntry::of_long(node.base(), &fields));
        }
        if !backwards {
            return node.entries().all(|(entry, _)| visit(&entry));
        }
        let entries: Vec<StreamEntry<'_>> = node.entries().map(|(entry, _)| entry).collect();
        entries.iter().rev().all(visit)
    }

    /// Visits the number of entries of each node in order, with what finds the id of its last one, until `visit` returns false.
    pub fn each_node(&self, visit: &mut dyn FnMut(u64, &dyn Fn() -> StreamId) -> bool) {
        let nodes = self.root.nodes().cursor(self.pages, self.root.nodes().start(self.pages));
        let _ = nodes.map(StreamNode).chain(self.tail).all(|node| visit(node.len() as u64, &|| node.last_id()));
    }

    /// The nodes of the tree from the one at `rank` on, as they stand there; with the fields of an entry that stands elsewhere.
    pub(crate) fn each_raw_node(&self, rank: u64, visit: &mut dyn FnMut(&'a [u8], Option<Vec<u8>>) -> bool) {
        let tree = self.root.nodes();
        let mut nodes = tree.cursor(self.pages, tree.seek(self.pages, rank));
        let _ = nodes.all(|node| visit(node, StreamNode(node).elsewhere().map(|at| fields_at(self.pages, at))));
    }

    /// The items of the groups from the one at `rank` on, as they stand there.
    pub(crate) fn each_raw_item(&self, rank: u64, visit: &mut dyn FnMut(&'a [u8]) -> bool) {
        let tree = self.root.groups();
        let _ = tree.cursor(self.pages, tree.seek(self.pages, rank)).all(visit);
    }

    /// The number of nodes in the tree, and of items of groups.
    pub(crate) fn raw_counts(&self) -> (u64, u64) {
        (self.root.nodes().len(self.pages), self.root.groups().len(self.pages))
    }

    fn count(&self, prefix: &[u8]) -> u64 {
        let Range { start, end } = self.root.ranks(self.pages, prefix);
        end - start
    }

    /// Visits the items whose keys begin with `prefix`, from `key` on.
    fn each_noted(&self, prefix: &[u8], key: &[u8], visit: &mut dyn FnMut(Noted) -> bool) {
        let tree = self.root.groups();
        let from = tree.find(self.pages, |there| there.cmp(key));
        let mut items = tree.cursor(self.pages, from).take_while(|item| item.starts_with(prefix));
        let _ = items.all(|item| Noted::read(item).is_some_and(&mut *visit));
    }

    /// Returns the number of groups.
    #[must_use]
    pub fn group_count(&self) -> u64 {
        self.count(&groups_prefix())
    }

    /// Returns a group.
    #[must_use]
    pub fn group(&self, name: &[u8]) -> Option<StreamGroup> {
        self.root.group(self.pages, name)
    }

    /// Visits the groups in the order of their names.
    pub fn each_group(&self, visit: &mut dyn FnMut(&[u8], StreamGroup)) {
        let prefix = groups_prefix();
        self.each_noted(&prefix, &prefix, &mut |noted| {
            if let Noted::Group(name, group) = noted {
                visit(&name, group);
            }
            true
        });
    }

    /// Returns the number of consumers of a group.
    #[must_use]
    pub fn consumer_count(&self, group: &StreamGroup) -> u64 {
        self.count(&consumers_prefix(group.number))
    }

    /// Returns a consumer of a group.
    #[must_use]
    pub fn consumer(&self, group: &StreamGroup, name: &[u8]) -> Option<StreamConsumer> {
        self.root.consumer(self.pages, group.number, name)
    }

    /// Visits the consumers of a group in the order of their names.
    pub fn each_consumer(&self, group: &StreamGroup, visit: &mut dyn FnMut(&[u8], StreamConsumer)) {
        let prefix = consumers_prefix(group.number);
        self.each_noted(&prefix, &prefix, &mut |noted| {
            if let Noted::Consumer(_, name, consumer) = noted {
                visit(&name, consumer);
            }
            true
        });
    }

    /// Returns the name of the consumer that a pending entry of a group was delivered to.
    #[must_use]
    pub fn owner(&self, group: &StreamGroup, entry: &PendingEntry) -> &'a [u8] {
        let key = name_key(group.number, entry.consumer);
        self.root.item(self.pages, &key).map_or(&[], |item| name_of_item(item, key.len()))
    }

    /// Returns the number of a group's pending entries.
    #[must_use]
    pub fn pending_count(&self, group: &StreamGroup) -> u64 {
        self.count(&pending_prefix(group.number))
    }

    /// Returns the number of a consumer's pending entries.
    #[must_use]
    pub fn owned_count(&self, group: &StreamGroup, consumer: &StreamConsumer) -> u64 {
        self.count(&owned_prefix(group.number, consumer.number))
    }

    /// Returns a pending entry of a group.
    #[must_use]
    pub fn pending(&self, group: &StreamGroup, id: StreamId) -> Option<PendingEntry> {
        self.root.pending(self.pages, group.number, id)
    }

    /// Visits the pending entries of a group from `id` on, until `visit` returns false.
    pub fn each_pending(&self, group: &StreamGroup, id: StreamId, visit: &mut dyn FnMut(PendingEntry) -> bool) {
        let prefix = pending_prefix(group.number);
        self.each_noted(&prefix, &pending_key(group.number, id), &mut |noted| match noted {
            Noted::Pending(_, entry) => visit(entry),
            _ => true,
        });
    }

    /// Returns the last pending entry of a group.
    #[must_use]
    pub fn last_pending(&self, group: &StreamGroup) -> Option<PendingEntry> {
        let ranks = self.root.ranks(self.pages, &pending_prefix(group.number));
        let item = self.root.groups().get(self.pages, ranks.end.checked_sub(1).filter(|last| *last >= ranks.start)?)?;
        match Noted::read(item) {
            Some(Noted::Pending(_, entry)) => Some(entry),
            _ => None,
        }
    }

    /// Visits the pending entries of a consumer from `id` on, until `visit` returns false.
    pub fn each_owned(
        &self,
        group: &StreamGroup,
        consumer: &StreamConsumer,
        id: StreamId,
        visit: &mut dyn FnMut(PendingEntry) -> bool,
    ) {
        let prefix = owned_prefix(group.number, consumer.number);
        self.each_noted(&prefix, &owned_key(group.number, consumer.number, id), &mut |noted| match noted {
            Noted::Owned(_, _, id) => self.pending(group, id).is_none_or(&mut *visit),
            _ => true,
        });
    }
}

/// The fields in a slot.
fn fields_at(pages: &impl Pages, at: Ref) -> Vec<u8> {
    let page = pages.page(at.page());
    let (mut out, value) = (Vec::new(), SlotEntry::read(page, at).value(&pages, page));
    value.range(0, value.len(), &mut out);
    out
}

impl LargeStream {
    /// Returns a group.
    pub(crate) fn group(self, pages: &impl Pages, name: &[u8]) -> Option<StreamGroup> {
        match Noted::read(self.item(pages, &group_key(name))?) {
            Some(Noted::Group(_, group)) => Some(group),
            _ => None,
        }
    }

    /// Returns a consumer of the group with this number.
    pub(crate) fn consumer(self, pages: &impl Pages, group: u64, name: &[u8]) -> Option<StreamConsumer> {
        match Noted::read(self.item(pages, &consumer_key(group, name))?) {
            Some(Noted::Consumer(_, _, consumer)) => Some(consumer),
            _ => None,
        }
    }

    /// Returns a pending entry of the group with this number.
    pub(crate) fn pending(self, pages: &impl Pages, group: u64, id: StreamId) -> Option<PendingEntry> {
        match Noted::read(self.item(pages, &pending_key(group, id))?) {
            Some(Noted::Pending(_, entry)) => Some(entry),
            _ => None,
        }
    }
}

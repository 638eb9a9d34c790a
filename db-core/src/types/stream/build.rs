//! Makes a whole stream out of what it contains.

use std::collections::BTreeMap;

use crate::effect::Strings;
use crate::limits::GROUP_NAME_BYTES_MAX;
use crate::value::stream::{
    GroupItem, Noted, PendingEntry, StreamConsumer, StreamGroup, StreamId, StreamNode, fields_of_long, new_node, push,
};

use super::parts::{StreamParts, item_part, long_part, node_part, tail_part};

/// How many entries a node takes, and how many bytes, before another one begins.
#[derive(Clone, Copy, Debug)]
pub struct NodeLimits {
    /// Entries; 0: as many as fit.
    pub entries: usize,
    /// Bytes; 0: as many as fit.
    pub bytes: usize,
}

impl NodeLimits {
    /// Whether an entry that takes about so many bytes begins another node, behind one of so many entries and bytes.
    pub(crate) const fn opens(self, (entries, bytes): (usize, usize), more: usize) -> bool {
        (self.entries > 0 && entries >= self.entries) || (self.bytes > 0 && bytes + more >= self.bytes)
    }
}

/// A stream in the making. Entries come in order, then groups, each followed by its consumers, and each of them by its pending entries.
#[derive(Debug)]
pub struct StreamBuilder {
    limits: NodeLimits,
    parts: Vec<Vec<u8>>,
    tail: Vec<u8>,
    /// What the parts take in a record.
    bytes: u64,
    items: Vec<GroupItem>,
    numbers: u64,
    /// The number of the newest group, and of its newest consumer.
    group: u64,
    consumer: u64,
    /// Pending entries of the newest group.
    pending: BTreeMap<StreamId, ()>,
}

impl StreamBuilder {
    /// An empty stream.
    #[must_use]
    pub const fn new(limits: NodeLimits) -> StreamBuilder {
        StreamBuilder {
            limits,
            parts: Vec::new(),
            tail: Vec::new(),
            bytes: 0,
            items: Vec::new(),
            numbers: 0,
            group: 0,
            consumer: 0,
            pending: BTreeMap::new(),
        }
    }

    /// Returns no fewer bytes than it takes in a record.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes + self.tail.len() as u64
    }

    fn add_part(&mut self, part: Vec<u8>) {
        /// What a record counts for a part beside its bytes.
        const EACH: u64 = 10;
        self.bytes += part.len() as u64 + EACH;
        self.parts.push(part);
    }

    fn end_node(&mut self) {
        if !self.tail.is_empty() {
            let node = node_part(&std::mem::take(&mut self.tail));
            self.add_part(node);
        }
    }

    /// Adds an entry: names, each followed by its value. Its id is above that of the one before.
    pub fn entry<'s>(&mut self, id: StreamId, fields: impl Iterator<Item = &'s [u8]> + Clone) {
        let more = fields.clone().map(<[u8]>::len).sum();
        let opens = self.tail.is_empty()
            || self.limits.opens((StreamNode(&self.tail).len(), self.tail.len()), more)
            || !push(&mut self.tail, id, fields.clone());
        if !opens {
            return;
        }
        self.end_node();
        match new_node(id, fields.clone()) {
            Some(node) => self.tail = node,
            None => self.add_part(long_part(id, &fields_of_long(fields))),
        }
    }

    fn add_item(&mut self, noted: &Noted) {
        const EACH: u64 = 10;
        let item = noted.item();
        self.bytes += item.len() as u64 + EACH;
        self.items.push(item);
    }

    fn new_number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers - 1
    }

    /// Adds a group; false if its name is too long.
    #[must_use]
    pub fn group(&mut self, name: &[u8], last: StreamId, read: Option<u64>) -> bool {
        self.group = self.new_number();
        self.pending.clear();
        self.add_item(&Noted::Group(name.to_vec(), StreamGroup { number: self.group, last, read }));
        name.len() <= GROUP_NAME_BYTES_MAX
    }

    /// Adds a consumer of the newest group; false if its name is too long.
    #[must_use]
    pub fn consumer(&mut self, name: &[u8], seen: u64, active: Option<u64>) -> bool {
        self.consumer = self.new_number();
        let consumer = StreamConsumer { number: self.consumer, seen, active };
        self.add_item(&Noted::Consumer(self.group, name.to_vec(), consumer));
        self.add_item(&Noted::Name(self.group, self.consumer, name.to_vec()));
        name.len() <= GROUP_NAME_BYTES_MAX
    }

    /// Adds a pending entry of the newest consumer; false if it is another one's already.
    #[must_use]
    pub fn pending(&mut self, id: StreamId, time: u64, count: u64) -> bool {
        let entry = PendingEntry { id, consumer: self.consumer, time, count };
        self.add_item(&Noted::Pending(self.group, entry));
        self.add_item(&Noted::Owned(self.group, self.consumer, id));
        self.pending.insert(id, ()).is_none()
    }

    /// Returns the parts of the whole; `None` if two groups, or two consumers of one, have the same name.
    #[must_use]
    pub fn finish(mut self) -> Option<Vec<Vec<u8>>> {
        if !self.tail.is_empty() {
            let tail = tail_part(&std::mem::take(&mut self.tail));
            self.add_part(tail);
        }
        self.items.sort_unstable();
        let named = |item: &GroupItem| match Noted::read(item)? {
            Noted::Group(name, _) => Some((None, name)),
            Noted::Consumer(group, name, _) => Some((Some(group), name)),
            _ => None,
        };
        // Names are adjacent, as they are the keys.
        let twice = self.items.windows(2).any(|pair| {
            let names = (named(&pair[0]), named(&pair[1]));
            names.0.is_some() && names.0 == names.1
        });
        self.parts.extend(self.items.iter().map(|item| item_part(item)));
        (!twice).then_some(self.parts)
    }
}

impl<'a> StreamParts<'a> {
    /// The stream with these parts.
    #[must_use]
    pub fn new(last: StreamId, added: u64, deleted: StreamId, parts: &'a [&'a [u8]]) -> StreamParts<'a> {
        StreamParts { last, added, deleted, strings: Strings::from(parts) }
    }
}

//! A node: several entries in one item of the tree, or in the record of the key.
//!
//! ```text
//!    0  base id, 16 bytes big-endian: not above that of its first entry
//!   16  entries u16; 65535: one, which stands elsewhere
//!   18  number of master fields, then their names
//!       entries
//!    or, of one that stands elsewhere:
//!   18  address u32 of a slot with its fields (`value/entry.rs`, with an empty name)
//!
//!      an entry:
//!       (milliseconds above the base id) * 4 + 2 if a number follows + 1 if it has fields of its own
//!       the number: that of its id, above the base id's if their times are equal; 0 if it does not follow
//!       values of the master fields in order; or the number of its own fields, then each name and value
//! ```
//!
//! Numbers are LEB128, strings as in `text.rs`. The *master fields* are those of the entry with which the node began: most entries of a
//! stream have the same, and do without the names. They stay when that entry goes.

use std::ops::Range;

use crate::arena::Ref;
use crate::structure::tree::ITEM_BYTES_MAX;

use super::id::{ID_BYTES, StreamId};
use super::text::{StreamText, Unread, put_text, put_varint, text_bytes_max};

const COUNT: usize = ID_BYTES;
const BODY: usize = COUNT + 2;
const ELSEWHERE: u16 = u16::MAX;

/// Bytes of a node, at most.
pub(crate) const NODE_BYTES_MAX: usize = ITEM_BYTES_MAX;

/// Entries of a node, at most.
const ENTRIES_MAX: usize = ELSEWHERE as usize - 1;

/// Milliseconds from the base id to the last entry, at most.
const SPAN_MAX: u64 = 1 << 40;

const OWN_FIELDS: u64 = 1;
const NUMBER_FOLLOWS: u64 = 2;

/// A node that was checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StreamNode<'a>(pub(crate) &'a [u8]);

/// An entry as readers see it.
#[derive(Clone, Copy, Debug)]
pub struct StreamEntry<'a> {
    id: StreamId,
    fields: u64,
    /// Names, if they are not between the values.
    names: Option<&'a [u8]>,
    rest: &'a [u8],
}

impl<'a> StreamEntry<'a> {
    /// One that stands elsewhere, as [`fields_of_long`] has written it.
    pub(super) fn of_long(id: StreamId, bytes: &'a [u8]) -> StreamEntry<'a> {
        let mut unread = Unread(bytes);
        let fields = unread.varint().unwrap_or(0);
        StreamEntry { id, fields, names: None, rest: unread.0 }
    }

    /// Returns its id.
    #[must_use]
    pub const fn id(&self) -> StreamId {
        self.id
    }

    /// Returns the number of its fields.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.fields
    }

    /// Whether there is no field: never.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.fields == 0
    }

    /// Visits name and value of each field in order.
    pub fn each(&self, visit: &mut dyn FnMut(StreamText<'a>, StreamText<'a>)) {
        let (mut names, mut rest) = (self.names.map(Unread), Unread(self.rest));
        for _ in 0..self.fields {
            let name = names.as_mut().unwrap_or(&mut rest).text();
            let (Some(name), Some(value)) = (name, rest.text()) else { return };
            visit(name, value);
        }
    }
}

impl<'a> StreamNode<'a> {
    pub(crate) fn base(self) -> StreamId {
        StreamId::from_bytes(self.0.first_chunk().expect("a node begins with its id"))
    }

    fn count(self) -> u16 {
        u16::from_le_bytes([self.0[COUNT], self.0[COUNT + 1]])
    }

    /// Returns the number of entries.
    pub(crate) fn len(self) -> usize {
        match self.count() {
            ELSEWHERE => 1,
            count => count.into(),
        }
    }

    /// Returns the slot of its only entry, if that stands elsewhere.
    pub(crate) fn elsewhere(self) -> Option<Ref> {
        let at = self.0[BODY..].first_chunk().filter(|_| self.count() == ELSEWHERE);
        at.map(|at| Ref(u32::from_le_bytes(*at)))
    }

    /// The number of master fields, their names, and where the first entry begins.
    fn master(self) -> Option<(u64, &'a [u8], usize)> {
        let mut unread = Unread(&self.0[BODY..]);
        let fields = unread.varint()?;
        let names = unread.0;
        for _ in 0..fields {
            unread.text()?;
        }
        let names = &names[..names.len() - unread.0.len()];
        Some((fields, names, self.0.len() - unread.0.len()))
    }

    /// Returns the entries that are here, in order.
    pub(crate) fn entries(self) -> NodeEntries<'a> {
        let master = if self.count() == ELSEWHERE { None } else { self.master() };
        let (fields, names, at) = master.unwrap_or((0, &[], self.0.len()));
        NodeEntries { node: self, fields, names, at }
    }

    /// Returns the id of the last entry.
    pub(crate) fn last_id(self) -> StreamId {
        self.entries().last().map_or(self.base(), |(entry, _)| entry.id)
    }

    /// Returns the node with those entries that `keep` says; `None` if there is none.
    pub(crate) fn retain(self, mut keep: impl FnMut(StreamId) -> bool) -> Option<Vec<u8>> {
        let mut out = self.0[..self.entries().at].to_vec();
        let mut count = 0_u16;
        for (entry, span) in self.entries() {
            if keep(entry.id) {
                out.extend_from_slice(&self.0[span]);
                count += 1;
            }
        }
        out[COUNT..BODY].copy_from_slice(&count.to_le_bytes());
        (count > 0).then_some(out)
    }

    /// Checks bytes that may be damaged. Returns the ids of the first and the last entry; of one that stands elsewhere it is the base id.
    pub(crate) fn check(bytes: &[u8]) -> Result<(StreamId, StreamId), &'static str> {
        const MALFORMED: &str = "a node of a stream is malformed";
        if bytes.len() <= BODY || bytes.len() > NODE_BYTES_MAX {
            return Err("a node of a stream has a wrong length");
        }
        let node = StreamNode(bytes);
        if node.count() == ELSEWHERE {
            let alone = bytes.len() == BODY + size_of::<Ref>();
            return if alone { Ok((node.base(), node.base())) } else { Err(MALFORMED) };
        }
        let (fields, ..) = node.master().ok_or(MALFORMED)?;
        let mut entries = node.entries();
        let (mut count, mut first, mut last) = (0, None, None);
        for (entry, _) in entries.by_ref() {
            if last.is_some_and(|last| last >= entry.id) || entry.id < node.base() || entry.is_empty() {
                return Err("the entries of a node of a stream are out of order");
            }
            first = first.or(Some(entry.id));
            last = Some(entry.id);
            count += 1;
        }
        match (first, last) {
            (Some(first), Some(last)) if fields > 0 && count == node.len() && entries.at == bytes.len() => {
                Ok((first, last))
            }
            _ => Err(MALFORMED),
        }
    }
}

/// The entries of a node, each with the bytes where it stands. Ends before one that is cut off.
#[derive(Clone, Debug)]
pub(crate) struct NodeEntries<'a> {
    node: StreamNode<'a>,
    fields: u64,
    names: &'a [u8],
    at: usize,
}

impl<'a> Iterator for NodeEntries<'a> {
    type Item = (StreamEntry<'a>, Range<usize>);

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = self.node.0;
        let mut unread = Unread(&bytes[self.at..]);
        let head = unread.varint()?;
        let number = if head & NUMBER_FOLLOWS == 0 { 0 } else { unread.varint()? };
        let (base, above) = (self.node.base(), head >> 2);
        let seq = if above == 0 { base.seq.checked_add(number)? } else { number };
        let id = StreamId { ms: base.ms.checked_add(above)?, seq };
        let own = head & OWN_FIELDS != 0;
        let fields = if own { unread.varint()? } else { self.fields };
        let rest = unread.0;
        let texts = if own { fields.checked_mul(2)? } else { fields };
        for _ in 0..texts {
            unread.text()?;
        }
        let rest = &rest[..rest.len() - unread.0.len()];
        let span = self.at..bytes.len() - unread.0.len();
        self.at = span.end;
        Some((StreamEntry { id, fields, names: (!own).then_some(self.names), rest }, span))
    }
}

/// The number and the names of fields, as they stand in a node.
fn put_names<'s>(out: &mut Vec<u8>, fields: impl Iterator<Item = &'s [u8]> + Clone) {
    put_varint(out, fields.clone().count() as u64 / 2);
    fields.step_by(2).for_each(|name| put_text(out, name));
}

/// Appends an entry of a node with this base id. `has_own`: its fields are not the master fields.
fn put_entry<'s>(
    out: &mut Vec<u8>,
    (base, id): (StreamId, StreamId),
    has_own: bool,
    fields: impl Iterator<Item = &'s [u8]> + Clone,
) {
    let above = id.ms - base.ms;
    let number = if above == 0 { id.seq - base.seq } else { id.seq };
    let follows = if number == 0 { 0 } else { NUMBER_FOLLOWS };
    put_varint(out, above << 2 | follows | u64::from(has_own));
    if number != 0 {
        put_varint(out, number);
    }
    if has_own {
        put_varint(out, fields.clone().count() as u64 / 2);
        fields.for_each(|text| put_text(out, text));
    } else {
        fields.skip(1).step_by(2).for_each(|value| put_text(out, value));
    }
}

/// Returns a node with one entry; `None` if that is too long for a node. `fields`: each name, followed by its value.
pub(crate) fn new_node<'s>(id: StreamId, fields: impl Iterator<Item = &'s [u8]> + Clone) -> Option<Vec<u8>> {
    // What is far too long is not written first.
    let least: usize = fields.clone().map(|text| text.len() / 4).sum();
    if least > NODE_BYTES_MAX {
        return None;
    }
    let mut out = id.to_bytes().to_vec();
    out.extend_from_slice(&1_u16.to_le_bytes());
    put_names(&mut out, fields.clone());
    put_entry(&mut out, (id, id), false, fields);
    (out.len() <= NODE_BYTES_MAX).then_some(out)
}

/// Returns the bytes with which an entry is added at the end of a node; `None` if it has no room. The id is above all that are there.
pub(crate) fn entry_after<'s>(
    node: StreamNode<'_>,
    id: StreamId,
    fields: impl Iterator<Item = &'s [u8]> + Clone,
) -> Option<Vec<u8>> {
    let least: usize = fields.clone().skip(1).step_by(2).map(|text| text.len() / 4).sum();
    let takes = node.len() < ENTRIES_MAX
        && id.ms.checked_sub(node.base().ms).is_some_and(|above| above < SPAN_MAX)
        && id > node.base()
        && least <= NODE_BYTES_MAX;
    if !takes {
        return None;
    }
    let (.., first) = node.master()?;
    let (mut names, mut out) = (Vec::new(), Vec::new());
    put_names(&mut names, fields.clone());
    put_entry(&mut out, (node.base(), id), names != node.0[BODY..first], fields);
    (node.0.len() + out.len() <= NODE_BYTES_MAX).then_some(out)
}

/// Notes in a node that so many entries are there now.
pub(crate) fn put_count(node: &mut [u8], count: usize) {
    node[COUNT..BODY].copy_from_slice(&(count as u16).to_le_bytes());
}

/// Adds an entry to a node; false without a change if it has no room. Its id is above all that are there.
pub(crate) fn push<'s>(node: &mut Vec<u8>, id: StreamId, fields: impl Iterator<Item = &'s [u8]> + Clone) -> bool {
    let Some(entry) = entry_after(StreamNode(node), id, fields) else { return false };
    let count = StreamNode(node).len();
    node.extend_from_slice(&entry);
    put_count(node, count + 1);
    true
}

/// Returns a node whose only entry stands elsewhere.
pub(crate) fn node_of_long(id: StreamId, at: Ref) -> Vec<u8> {
    let mut out = id.to_bytes().to_vec();
    out.extend_from_slice(&ELSEWHERE.to_le_bytes());
    out.extend_from_slice(&at.0.to_le_bytes());
    out
}

/// Returns the fields of an entry that stands elsewhere.
pub(crate) fn fields_of_long<'s>(fields: impl Iterator<Item = &'s [u8]> + Clone) -> Vec<u8> {
    let mut out = Vec::with_capacity(fields.clone().map(|text| text_bytes_max(text.len())).sum());
    put_varint(&mut out, fields.clone().count() as u64 / 2);
    fields.for_each(|text| put_text(&mut out, text));
    out
}

/// Whether bytes that may be damaged are the fields of an entry, and nothing else.
pub(crate) fn are_fields(bytes: &[u8]) -> bool {
    let mut unread = Unread(bytes);
    let texts = unread.varint().and_then(|fields| fields.checked_mul(2)).unwrap_or(0);
    texts > 0 && (0..texts).all(|_| unread.text().is_some()) && unread.0.is_empty()
}

//! A whole stream in parts: as RESTORE makes it, and as it is copied.
//!
//! ```text
//!   0  a node
//!   1  an entry that is too long for a node: its id, then its fields
//!   2  the last node
//!   3  an item of a group
//! ```
//!
//! A part is such a byte and what it says, as it stands in the stream (`value/stream/`). Nodes and long entries come in the order of their
//! ids, then the last node if there is one, then the items of groups in theirs.

use crate::arena::{PAGE_BYTES, Pages, Ref};
use crate::effect::Strings;
use crate::keyspace::{Keyspace, Located};
use crate::limits::VALUE_BYTES_MAX;
use crate::structure::tree;
use crate::value::entry;
use crate::value::stream::{
    ID_BYTES, LargeStream, PartsProof, StreamId, StreamNode, StreamView, are_fields, node_of_long,
};

use super::entries::{large_of, put_tail};

const NODE: u8 = 0;
const LONG: u8 = 1;
const TAIL: u8 = 2;
const ITEM: u8 = 3;

/// A whole stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamParts<'a> {
    /// The id of the last entry that was added.
    pub last: StreamId,
    /// How many entries were ever added.
    pub added: u64,
    /// The greatest id that was deleted.
    pub deleted: StreamId,
    /// Its parts in order.
    pub strings: Strings<'a>,
}

/// Returns the part for a node.
pub(crate) fn node_part(node: &[u8]) -> Vec<u8> {
    [&[NODE], node].concat()
}

/// Returns the part for an entry whose fields are too long for a node.
pub(crate) fn long_part(id: StreamId, fields: &[u8]) -> Vec<u8> {
    [&[LONG], &id.to_bytes()[..], fields].concat()
}

/// Returns the part for the last node.
pub(crate) fn tail_part(node: &[u8]) -> Vec<u8> {
    [&[TAIL], node].concat()
}

/// Returns the part for an item of a group.
pub(crate) fn item_part(item: &[u8]) -> Vec<u8> {
    [&[ITEM], item].concat()
}

/// Adds a part of the tree of nodes or of that of groups at its end; false if it is another one.
pub(crate) fn put_part(keyspace: &mut Keyspace, large: LargeStream, part: &[u8]) -> bool {
    let arena = keyspace.arena_mut();
    match part.split_first() {
        Some((&NODE, node)) => large.push_node(arena, node),
        Some((&ITEM, item)) => large.push_group_item(arena, item),
        Some((&LONG, entry)) => {
            if let Some((id, fields)) = entry.split_first_chunk::<ID_BYTES>() {
                large.push_long(arena, StreamId::from_bytes(id), fields);
            }
        }
        _ => return false,
    }
    true
}

/// Visits the parts of a stream that are not in its record, from the one with this number on, until `visit` returns false.
pub(crate) fn each_part(view: &StreamView<'_, impl Pages>, from: u64, visit: &mut dyn FnMut(Vec<u8>) -> bool) {
    let (nodes, _) = view.raw_counts();
    let mut goes_on = true;
    if from < nodes {
        view.each_raw_node(from, &mut |node, fields| {
            goes_on = visit(match fields {
                Some(fields) => long_part(StreamNode(node).base(), &fields),
                None => node_part(node),
            });
            goes_on
        });
    }
    if goes_on {
        view.each_raw_item(from.saturating_sub(nodes), &mut |item| visit(item_part(item)));
    }
}

/// Pages that parts of so many bytes may take beside those of any change.
pub(crate) const fn pages_to_make(bytes: u64) -> usize {
    2 * tree::PAGES_MAX + 3 * bytes.div_ceil(PAGE_BYTES as u64) as usize
}

impl StreamParts<'_> {
    /// Pages that it may take beside those of any change.
    pub(super) fn pages(&self) -> Result<usize, &'static str> {
        let (mut proof, mut stage, mut pages, mut bytes) = (PartsProof::default(), NODE, 0, 0);
        for part in self.strings.iter() {
            let (&tag, rest) = part.split_first().ok_or("a part of a stream is empty")?;
            let order = tag.max(LONG);
            if order < stage || (tag == TAIL && stage == TAIL) || tag > ITEM {
                return Err("the parts of a stream are out of order");
            }
            stage = order;
            match tag {
                LONG => {
                    let (id, fields) = rest.split_first_chunk::<ID_BYTES>().ok_or("an entry has no id")?;
                    if !are_fields(fields) || fields.len() as u64 > VALUE_BYTES_MAX {
                        return Err("an entry of a stream is malformed");
                    }
                    proof.node(&node_of_long(StreamId::from_bytes(id), Ref::NULL))?;
                    pages += 2 + entry::pages_of_value(0, fields.len() as u64);
                }
                ITEM => proof.item(rest)?,
                _ => {
                    proof.node(rest)?;
                    if StreamNode(rest).elsewhere().is_some() {
                        return Err("a node of a stream leads elsewhere");
                    }
                }
            }
            // Nodes are a page's quarter at most: two of them and what holds them take one.
            bytes += rest.len() as u64 + ID_BYTES as u64;
        }
        let (.., last, _) = proof.end()?;
        if last.is_some_and(|last| last > self.last) {
            return Err("the last id is below that of an entry");
        }
        Ok(pages_to_make(bytes) + pages)
    }

    /// Makes the key, which holds an empty stream, hold it.
    pub(super) fn put(&self, keyspace: &mut Keyspace, at: &mut Located<'_>) {
        let mut proof = PartsProof::default();
        for part in self.strings.iter() {
            let Some((tag, rest)) = part.split_first() else { continue };
            let _ = match *tag {
                LONG => rest
                    .split_first_chunk()
                    .map_or(Ok(()), |(id, _)| proof.node(&node_of_long(StreamId::from_bytes(id), Ref::NULL))),
                ITEM => proof.item(rest),
                _ => proof.node(rest),
            };
            if *tag == TAIL {
                put_tail(keyspace, at, rest);
            } else {
                let large = large_of(keyspace, at);
                put_part(keyspace, large, part);
            }
        }
        let (entries, _, numbers) = proof.end().expect("the parts were checked when the change was planned");
        let (large, arena) = (large_of(keyspace, at), keyspace.arena_mut());
        large.put_len(arena, entries);
        large.put_last(arena, self.last);
        large.put_added(arena, self.added);
        large.put_deleted(arena, self.deleted);
        large.put_numbers(arena, numbers);
    }
}

//! What becomes of the entries of a stream, in its record and in its tree.

use crate::arena::{Page, Pages, Ref};
use crate::effect::Strings;
use crate::keyspace::{Keyspace, Located};
use crate::limits::VALUE_BYTES_MAX;
use crate::structure::tree;
use crate::value::Kind;
use crate::value::entry;
use crate::value::record::{Encoding, Form, Head, RecordShape};
use crate::value::stream::{
    LargeStream, ROOT_BYTES, StreamId, StreamNode, entry_after, fields_of_long, new_node, put_count,
};

/// The ids that a change names.
pub(super) fn ids<'a>(strings: Strings<'a>) -> impl Iterator<Item = StreamId> + Clone + use<'a> {
    strings.iter().filter_map(|bytes| bytes.try_into().ok()).map(StreamId::from_bytes)
}

/// Pages that adding an entry may take or copy beside those of any change.
pub(super) fn pages_to_add(
    keyspace: &Keyspace,
    large: Option<LargeStream>,
    fields: Strings<'_>,
) -> Result<usize, &'static str> {
    /// Pages of a slot.
    const SLOT: usize = 5;
    /// What is full goes to the tree, and what is too long.
    const INSERTIONS: usize = 2;
    if fields.is_empty() || !fields.len().is_multiple_of(2) {
        return Err("it adds an entry without whole fields");
    }
    let bytes = field_bytes(fields);
    if bytes > VALUE_BYTES_MAX {
        return Err("it adds an entry that is longer than the limit");
    }
    let each = large.map_or(tree::PAGES_MAX, |large| large.nodes().pages_to_change(keyspace.arena()) + 2);
    Ok(INSERTIONS * each + SLOT + entry::pages_of_value(0, bytes))
}

/// No fewer bytes than the fields of an entry take that stands elsewhere.
pub(super) fn field_bytes(fields: Strings<'_>) -> u64 {
    fields.iter().map(|text| text.len() as u64 + 5).sum::<u64>() + 10
}

/// Pages that so many changes of items of groups may take or copy.
pub(super) fn pages_of_groups(pages: &impl Pages, large: Option<LargeStream>, changes: usize) -> usize {
    /// Bytes of an item that is no name.
    const ITEM_BYTES: usize = 64;
    /// Pages of items that are names: they have up to a quarter of one.
    const NAMES: usize = 3;
    let (each, there) = large.map_or((tree::PAGES_MAX, 0), |large| {
        (large.groups().pages_to_change(pages) + 2, large.groups().pages(pages) as usize)
    });
    (changes * each).min(there + tree::pages_of(changes as u64, ITEM_BYTES) + NAMES).max(each)
}

/// The stream that the key at `at` holds.
pub(super) fn large_of(keyspace: &Keyspace, at: &Located<'_>) -> LargeStream {
    let (record, head) = keyspace.record(at).expect("it was looked at when the change was planned");
    LargeStream::at(record.page(), head.rest_at)
}

/// Makes the key hold an empty stream, whatever it held.
pub(super) fn make(keyspace: &mut Keyspace, at: &mut Located<'_>) {
    let form = Form { encoding: Encoding::STREAM, rest_len: ROOT_BYTES };
    keyspace.remove(at);
    keyspace.put_rest(at, Kind::Stream, form, &[0; ROOT_BYTES]);
}

/// The record of the stream, and what is behind its root.
fn tail_of<'k>(keyspace: &'k Keyspace, at: &Located<'_>) -> (Ref, Head, &'k [u8]) {
    let (record, head) = keyspace.record(at).expect("it was looked at when the change was planned");
    (record, head, &head.rest(keyspace.arena().page(record.page()))[ROOT_BYTES..])
}

/// Puts another last node in the record.
pub(super) fn put_tail(keyspace: &mut Keyspace, at: &mut Located<'_>, tail: &[u8]) {
    let (record, head, _) = tail_of(keyspace, at);
    let mut rest = head.rest(keyspace.arena().page(record.page()))[..ROOT_BYTES].to_vec();
    rest.extend_from_slice(tail);
    keyspace.put_rest(at, Kind::Stream, Form { encoding: Encoding::STREAM, rest_len: rest.len() }, &rest);
}

pub(super) fn add(keyspace: &mut Keyspace, at: &mut Located<'_>, opens: bool, id: StreamId, fields: Strings<'_>) {
    let (record, head, tail) = tail_of(keyspace, at);
    let more = (!opens && !tail.is_empty()).then(|| entry_after(StreamNode(tail), id, fields.iter())).flatten();
    match more {
        Some(entry) => append(keyspace, at, (record, &head), &entry),
        None => {
            let full = tail.to_vec();
            let large = large_of(keyspace, at);
            if !full.is_empty() {
                large.push_node(keyspace.arena_mut(), &full);
            }
            let node = new_node(id, fields.iter());
            if node.is_none() {
                large.push_long(keyspace.arena_mut(), id, &fields_of_long(fields.iter()));
            }
            put_tail(keyspace, at, &node.unwrap_or_default());
        }
    }
    let (large, arena) = (large_of(keyspace, at), keyspace.arena_mut());
    large.put_last(arena, id);
    large.put_len(arena, large.len(arena) + 1);
    large.put_added(arena, large.added(arena) + 1);
}

/// Adds an entry to the last node where it stands.
fn append(keyspace: &mut Keyspace, at: &mut Located<'_>, (record, head): (Ref, &Head), entry: &[u8]) {
    let form = Form { rest_len: head.rest_len + entry.len(), ..head.form() };
    let shape = RecordShape { kind: Kind::Stream, form, expiry: head.expiry, fields_expiry: None };
    let tail = |page: &Page, head: &Head| StreamNode(&head.rest(page)[ROOT_BYTES..]).len();
    let count = tail(keyspace.arena().page(record.page()), head);
    let (record, new) = keyspace.reshape(at, shape, head.record_bytes());
    let page = keyspace.arena_mut().page_mut(record.page());
    page.bytes_mut(new.rest_at + head.rest_len, entry.len()).copy_from_slice(entry);
    put_count(page.bytes_mut(new.rest_at + ROOT_BYTES, head.rest_len - ROOT_BYTES), count + 1);
}

/// Removes so many entries from the start.
pub(super) fn cut(keyspace: &mut Keyspace, at: &mut Located<'_>, count: u64) {
    if count == 0 {
        return;
    }
    let large = large_of(keyspace, at);
    let (mut left, mut whole, mut first) = (count, 0, None);
    let (tree, arena) = (large.nodes(), keyspace.arena_mut());
    for node in tree.cursor(arena, tree.start(arena)).map(StreamNode) {
        if left == 0 {
            break;
        }
        if node.len() as u64 > left {
            first = node.retain(behind(left));
            left = 0;
            break;
        }
        left -= node.len() as u64;
        whole += 1;
    }
    large.put_len(arena, large.len(arena) - count);
    large.remove_nodes(arena, 0, whole);
    if let Some(node) = first {
        large.replace_first(arena, &node);
    }
    if left > 0 {
        let tail = StreamNode(tail_of(keyspace, at).2).retain(behind(left));
        put_tail(keyspace, at, &tail.unwrap_or_default());
    }
}

/// Says of the ids of a node, in order, whether so many are before.
fn behind(mut count: u64) -> impl FnMut(StreamId) -> bool {
    move |_| {
        let is_behind = count == 0;
        count = count.saturating_sub(1);
        is_behind
    }
}

pub(super) fn delete(keyspace: &mut Keyspace, at: &mut Located<'_>, which: Strings<'_>) {
    let large = large_of(keyspace, at);
    let (mut tail, before) = (tail_of(keyspace, at).2.to_vec(), large.len(keyspace.arena()));
    let tail_before = tail.len();
    let (mut gone, arena) = (0, keyspace.arena_mut());
    let mut greatest = large.deleted(arena);
    for id in ids(which) {
        let is_gone = if !tail.is_empty() && StreamNode(&tail).base() <= id {
            let entries = StreamNode(&tail).len();
            let left = StreamNode(&tail).retain(|there| there != id).unwrap_or_default();
            let is_gone = left.is_empty() || StreamNode(&left).len() < entries;
            if is_gone {
                tail = left;
            }
            is_gone
        } else {
            large.remove_entry(arena, id)
        };
        if is_gone {
            gone += 1;
            greatest = greatest.max(id);
        }
    }
    large.put_len(arena, before - gone);
    large.put_deleted(arena, greatest);
    if tail.len() != tail_before {
        put_tail(keyspace, at, &tail);
    }
}

pub(super) fn acknowledge(large: LargeStream, keyspace: &mut Keyspace, group: &[u8], which: Strings<'_>) {
    if let Some(group) = large.group(keyspace.arena(), group) {
        ids(which).for_each(|id| large.remove_pending(keyspace.arena_mut(), group.number, id));
    }
}

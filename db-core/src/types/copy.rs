//! Copying a collection, from shard to shard too: a piece at a time.

use crate::clock::UnixMillis;
use crate::keyspace::{Key, Keyspace, Located};
use crate::value::list::{self, LargeList, ListView};
use crate::value::map::{self, ExpiringHash, Large, MapView, Member, expiring, large};
use crate::value::record::{Encoding, Head, RecordShape};
use crate::value::sorted::{self, LargeSorted, SortedView};
use crate::value::stream::{self, LargeStream, StreamView};
use crate::value::{Kind, ValueView};

use super::map::put_large;
use super::sorted_set;
use super::stream as stream_parts;

/// Members or elements that are copied at a time, ...
const COPIED_AT_ONCE: usize = 1024;
/// ... unless they have more bytes: then about so many, or a single one.
const COPIED_BYTES: u64 = 256 * 1024;

/// Bytes that a string takes beside its own, at most.
const ENTRY_BYTES: u64 = 24;

/// A piece of what is copied.
#[derive(Debug)]
pub(crate) struct Piece {
    shape: RecordShape,
    /// What is in the record.
    rest: Vec<u8>,
    /// Pages that the copy may take beside those of any change.
    pages: usize,
    /// Members of a piece of a set or hash, whose scan cannot be stopped by their bytes: as many as have [`COPIED_BYTES`] on average.
    count: usize,
    /// Where the next piece begins: a cursor of a scan, or an index of a list.
    next: Option<u64>,
    /// Members, in a hash each with its value; or elements.
    strings: Vec<Vec<u8>>,
}

impl Piece {
    /// The first piece of what the existing key at `from` holds, which is no string.
    pub(crate) fn first(source: &Keyspace, from: &Located<'_>) -> Piece {
        let (record, head) = source.record(from).expect("what is copied exists");
        let arena = source.arena();
        let Head { rest_at, .. } = head;
        let mut rest = head.rest(arena.page(record.page())).to_vec();
        let large = match head.encoding {
            Encoding::TABLE => {
                let large = Large::at(record.page(), rest_at);
                Some((large.len(arena), large.entry_bytes(arena)))
            }
            Encoding::SORTED => {
                let large = LargeSorted::at(record.page(), rest_at);
                Some((large.len(arena), large.memory_bytes(arena)))
            }
            Encoding::EXPIRING_TABLE => {
                let fields = ExpiringHash::at(record.page(), rest_at).fields();
                Some((fields.len(arena), fields.entry_bytes(arena)))
            }
            Encoding::STREAM => {
                let large = LargeStream::at(record.page(), rest_at);
                Some((large.len(arena), large.memory_bytes(arena)))
            }
            Encoding::TREE => {
                let large = LargeList::at(record.page(), rest_at);
                Some((large.len(arena), large.memory_bytes(arena)))
            }
            _ => None,
        };
        let pages = large.map(|(members, bytes)| pages_to_make(head.encoding, members, bytes));
        let many = |(members, bytes): (u64, u64)| (COPIED_BYTES * members / bytes.max(1)).max(1) as usize;
        let count = large.map_or(0, many).min(COPIED_AT_ONCE);
        let mut shape = head.shape(arena.page(record.page()));
        if pages.is_some() {
            match head.encoding {
                // What it counts is copied with its last node.
                Encoding::STREAM => stream::forget_trees(&mut rest),
                _ => rest.fill(0),
            }
            shape.fields_expiry = None;
        }
        Piece { shape, rest, pages: pages.unwrap_or(0), count, next: pages.map(|_| 0), strings: Vec::new() }
    }

    /// The piece of what the existing key at `from` holds, which is no string, from `cursor` on; nothing if it is not large.
    pub(crate) fn at(source: &Keyspace, from: &Key<'_>, cursor: u64) -> Option<Piece> {
        let mut piece = Piece::first(source, &source.locate(from));
        *piece.next.as_mut()? = cursor;
        piece.next(source, from);
        Some(piece)
    }

    /// Where the next piece begins; nothing if this is the last one.
    pub(crate) const fn cursor(&self) -> Option<u64> {
        self.next
    }

    /// Pages that [`add`](Self::add) may take beside those of any change.
    pub(crate) fn pages_to_add(&self) -> usize {
        let bytes: u64 = self.strings.iter().map(|string| string.len() as u64 + ENTRY_BYTES).sum();
        let members = self.strings.len() as u64;
        pages_to_make(self.shape.form.encoding, members, bytes)
    }

    /// Pages that the copy may take beside those of any change.
    pub(crate) const fn pages(&self) -> usize {
        self.pages
    }

    /// Makes the key at `to` hold the copy, or an empty one of something large, whatever it held.
    pub(crate) fn make(&self, target: &mut Keyspace, to: &mut Located<'_>) {
        let (record, head) = target.replace(to, self.shape);
        target.arena_mut().page_mut(record.page()).bytes_mut(head.rest_at, self.rest.len()).copy_from_slice(&self.rest);
    }

    /// Reads the next piece of something large; false if there is none.
    pub(crate) fn next(&mut self, source: &Keyspace, from: &Key<'_>) -> bool {
        let Some(next) = self.next else { return false };
        let (record, head) = source.record(&source.locate(from)).expect("what is copied stays");
        self.strings.clear();
        let (strings, count, mut bytes) = (&mut self.strings, self.count, 0);
        let owned = |value: ValueView<'_>| {
            let mut bytes = Vec::new();
            value.range(0, value.len(), &mut bytes);
            bytes
        };
        let next = if self.shape.kind == Kind::SortedSet {
            let sorted = SortedView::new(source.arena(), record, &head);
            sorted.each_from(next, &mut |name, score| {
                strings.extend([name.to_vec(), score.to_bytes().to_vec()]);
                bytes += name.len() as u64;
                strings.len() < 2 * COPIED_AT_ONCE && bytes < COPIED_BYTES
            });
            Some(next.saturating_add(strings.len() as u64 / 2)).filter(|next| *next < sorted.len())
        } else if self.shape.kind == Kind::Stream {
            let stream = StreamView::new(source.arena(), record, &head);
            stream_parts::each_part(&stream, next, &mut |part| {
                bytes += part.len() as u64;
                strings.push(part);
                strings.len() < COPIED_AT_ONCE && bytes < COPIED_BYTES
            });
            let (nodes, items) = stream.raw_counts();
            Some(next.saturating_add(strings.len() as u64)).filter(|next| *next < nodes + items)
        } else if self.shape.kind == Kind::List {
            let list = ListView::new(source.arena(), record, &head);
            list.each_from(next, &mut |element| {
                strings.push(owned(element));
                bytes += element.len();
                strings.len() < COPIED_AT_ONCE && bytes < COPIED_BYTES
            });
            Some(next.saturating_add(strings.len() as u64)).filter(|next| *next < list.len())
        } else {
            let map = MapView::new(source.arena(), record, &head, UnixMillis(0));
            let has_values = map::stride(self.shape.kind) == 2;
            let has_expiries = map.has_expiring_fields();
            let next = map.scan(next, count, &mut |Member { name, value, expiry }| {
                strings.push(name.to_vec());
                if has_values {
                    strings.push(owned(value));
                }
                if has_expiries {
                    strings.push(expiry.map_or_else(Vec::new, |time| time.to_le_bytes().to_vec()));
                }
            });
            Some(next).filter(|next| *next != 0)
        };
        self.next = next;
        true
    }

    /// Adds the piece to the copy.
    pub(crate) fn add(&self, target: &mut Keyspace, to: &Located<'_>) {
        let (record, head) = target.record(to).expect("the copy was made");
        let strings = self.strings.iter().map(Vec::as_slice);
        if self.shape.kind == Kind::SortedSet {
            sorted_set::put_large(target, LargeSorted::at(record.page(), head.rest_at), strings);
        } else if self.shape.kind == Kind::Stream {
            let stream = LargeStream::at(record.page(), head.rest_at);
            strings.for_each(|part| {
                stream_parts::put_part(target, stream, part);
            });
        } else if self.shape.kind == Kind::List {
            let list = LargeList::at(record.page(), head.rest_at);
            strings.for_each(|element| list.push(target.arena_mut(), element));
        } else {
            put_large(target, record, strings);
        }
    }
}

/// Pages that something large of so many members or elements and bytes may take beside those of any change.
fn pages_to_make(encoding: Encoding, members: u64, bytes: u64) -> usize {
    match encoding {
        Encoding::SORTED => sorted::pages_to_make(members, bytes),
        Encoding::TREE => list::pages_to_make(bytes),
        Encoding::STREAM => stream_parts::pages_to_make(bytes),
        Encoding::EXPIRING_TABLE => expiring::pages_to_make(members, bytes),
        _ => large::pages_to_make(members, bytes),
    }
}

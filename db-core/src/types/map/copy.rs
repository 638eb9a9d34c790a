//! Copying a set or hash, from shard to shard too: a piece at a time.

use crate::keyspace::{Key, Keyspace, Located};
use crate::value::map::{self, Large, MapView, large};
use crate::value::record::{Encoding, Head, RecordShape};

use super::change::put_large;

/// Members that are copied at a time.
const MEMBERS: usize = 1024;

/// A piece of what is copied.
#[derive(Debug)]
pub(crate) struct Piece {
    shape: RecordShape,
    /// What is in the record.
    rest: Vec<u8>,
    /// Of a hash table.
    members: u64,
    bytes: u64,
    cursor: Option<u64>,
    /// The members of this piece, in a hash each with its value.
    strings: Vec<Vec<u8>>,
}

impl Piece {
    /// The first piece of what the existing key at `from` holds.
    pub(crate) fn first(source: &Keyspace, from: &Located<'_>) -> Piece {
        let (record, head) = source.record(from).expect("what is copied exists");
        let Head { kind, expiry, .. } = head;
        let rest = head.rest(source.arena().page(record.page())).to_vec();
        let large = (head.encoding == Encoding::TABLE).then(|| Large::at(record.page(), head.rest_at));
        let (members, bytes) =
            large.map_or((0, 0), |large| (large.len(source.arena()), large.entry_bytes(source.arena())));
        let shape = RecordShape { kind, form: head.form(), expiry };
        Piece { shape, rest, members, bytes, cursor: large.map(|_| 0), strings: Vec::new() }
    }

    /// Pages that the copy may take beside those of any change.
    pub(crate) fn pages_to_make(&self) -> usize {
        if self.cursor.is_none() {
            return 0;
        }
        // The slots and pages of a copy are those of the original, and its table grows to no more segments.
        large::pages_to_make(self.members, self.bytes)
    }

    /// Makes the key at `to` hold the copy, or one without members of a hash table, whatever it held.
    pub(crate) fn make(&self, target: &mut Keyspace, to: &mut Located<'_>) {
        let (record, head) = target.replace(to, self.shape);
        let arena = target.arena_mut();
        if self.cursor.is_some() {
            Large::at(record.page(), head.rest_at).create(arena);
        } else {
            arena.page_mut(record.page()).bytes_mut(head.rest_at, self.rest.len()).copy_from_slice(&self.rest);
        }
    }

    /// Reads the next members of a hash table; false if there is none.
    pub(crate) fn next(&mut self, source: &Keyspace, from: &Key<'_>) -> bool {
        let Some(cursor) = self.cursor else { return false };
        let (record, head) = source.record(&source.locate(from)).expect("what is copied stays");
        self.strings.clear();
        let (strings, stride) = (&mut self.strings, map::stride(self.shape.kind));
        let next = MapView::new(source.arena(), record, &head).scan(cursor, MEMBERS, &mut |name, value| {
            strings.push(name.to_vec());
            if stride == 2 {
                let mut bytes = Vec::new();
                value.range(0, value.len(), &mut bytes);
                strings.push(bytes);
            }
        });
        self.cursor = Some(next).filter(|next| *next != 0);
        true
    }

    /// Adds the members to the copy.
    pub(crate) fn add(&self, target: &mut Keyspace, to: &Located<'_>) {
        let (record, head) = target.record(to).expect("the copy was made");
        let large = Large::at(record.page(), head.rest_at);
        put_large(target, large, self.shape.kind, self.strings.iter().map(Vec::as_slice));
    }
}

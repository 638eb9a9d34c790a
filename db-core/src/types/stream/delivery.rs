//! What consumers of a group do, as a change has it.

use crate::effect::{Reader, RecordError, Strings, put_bytes, put_number};
use crate::keyspace::Keyspace;
use crate::value::stream::{ID_BYTES, LargeStream, PendingEntry, StreamId};

use super::entries::ids;

/// Flags of a delivery.
const HAS_CURSOR: u8 = 1;
const HAS_CONSUMER: u8 = 2;

/// What becomes of a group when one of its consumers reads or claims, or is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivery<'a> {
    /// The name of the group, which exists.
    pub group: &'a [u8],
    /// The last entry that was delivered to it, and how many had ever been added when that one was; as before if it is not given.
    pub cursor: Option<(StreamId, Option<u64>)>,
    /// The name of the consumer, which is made if it does not exist; nothing happens to any if it is not given.
    pub consumer: Option<&'a [u8]>,
    /// When it was seen, in Unix milliseconds.
    pub seen: u64,
    /// When it was active; as before if it is not given.
    pub active: Option<u64>,
    /// When the entries were delivered.
    pub time: u64,
    /// They are pending, and its own: each an id ([`StreamId::to_bytes`]), then how often it was delivered ([`Delivery::entry`]).
    pub entries: Strings<'a>,
    /// They are not pending any more; as of [`StreamChange::Delete`](super::StreamChange::Delete).
    pub gone: Strings<'a>,
}

impl<'a> Delivery<'a> {
    /// A consumer is seen, and nothing else.
    #[must_use]
    pub fn seen(group: &'a [u8], consumer: &'a [u8], seen: u64) -> Delivery<'a> {
        let none = Strings::from(&[][..]);
        Delivery {
            group,
            cursor: None,
            consumer: Some(consumer),
            seen,
            active: None,
            time: 0,
            entries: none,
            gone: none,
        }
    }

    /// Returns an entry with how often it was delivered.
    #[must_use]
    pub fn entry(id: StreamId, count: u64) -> Vec<u8> {
        let mut bytes = id.to_bytes().to_vec();
        put_number(&mut bytes, count);
        bytes
    }
}

pub(super) fn read_entry(bytes: &[u8]) -> Option<(StreamId, u64)> {
    let (id, count) = bytes.split_first_chunk::<ID_BYTES>()?;
    let mut count = Reader::new(count);
    let number = count.number().ok()?;
    count.is_empty().then_some((StreamId::from_bytes(id), number))
}

pub(super) fn put_id(out: &mut Vec<u8>, id: StreamId) {
    put_number(out, id.ms);
    put_number(out, id.seq);
}

pub(super) fn put_maybe(out: &mut Vec<u8>, value: Option<u64>) {
    put_number(out, value.map_or(0, |value| value.saturating_add(1)));
}

pub(super) fn id(from: &mut Reader<'_>) -> Result<StreamId, RecordError> {
    Ok(StreamId { ms: from.number()?, seq: from.number()? })
}

pub(super) fn maybe(from: &mut Reader<'_>) -> Result<Option<u64>, RecordError> {
    Ok(from.number()?.checked_sub(1))
}

impl<'a> Delivery<'a> {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, self.group);
        out.push(u8::from(self.cursor.is_some()) * HAS_CURSOR + u8::from(self.consumer.is_some()) * HAS_CONSUMER);
        if let Some((last, read)) = self.cursor {
            put_id(out, last);
            put_maybe(out, read);
        }
        if let Some(consumer) = self.consumer {
            put_bytes(out, consumer);
        }
        put_number(out, self.seen);
        put_maybe(out, self.active);
        put_number(out, self.time);
        self.entries.encode(out);
        self.gone.encode(out);
    }

    pub(super) fn decode(from: &mut Reader<'a>) -> Result<Delivery<'a>, RecordError> {
        let group = from.value()?;
        let flags = from.byte()?;
        if flags & !(HAS_CURSOR | HAS_CONSUMER) != 0 {
            return Err(RecordError::Number);
        }
        let cursor = if flags & HAS_CURSOR == 0 { None } else { Some((id(from)?, maybe(from)?)) };
        Ok(Delivery {
            group,
            cursor,
            consumer: if flags & HAS_CONSUMER == 0 { None } else { Some(from.value()?) },
            seen: from.number()?,
            active: maybe(from)?,
            time: from.number()?,
            entries: Strings::decode(from)?,
            gone: Strings::decode(from)?,
        })
    }

    pub(super) fn apply(&self, large: LargeStream, keyspace: &mut Keyspace) {
        let arena = keyspace.arena_mut();
        if let Some((last, read)) = self.cursor {
            large.put_group(arena, self.group, last, read);
        }
        let Some(group) = large.group(arena, self.group) else { return };
        if let Some(name) = self.consumer {
            let consumer = large.put_consumer(arena, group.number, name, (self.seen, self.active));
            for (id, count) in self.entries.iter().filter_map(read_entry) {
                large.put_pending(arena, group.number, &PendingEntry { id, consumer, time: self.time, count });
            }
        }
        ids(self.gone).for_each(|id| large.remove_pending(arena, group.number, id));
    }
}

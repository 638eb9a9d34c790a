//! Changes of a key that holds a stream.

use crate::effect::{Family, KeyEffect, Reader, RecordError, Strings, put_bytes, put_number};
use crate::keyspace::{Keyspace, Located};
use crate::limits::GROUP_NAME_BYTES_MAX;
use crate::value::Kind;
use crate::value::stream::{LargeStream, StreamId, StreamView};

use super::delivery::{Delivery, id, maybe, put_id, put_maybe, read_entry};
use super::entries::{acknowledge, add, cut, delete, large_of, make, pages_of_groups, pages_to_add};
use super::parts::StreamParts;

/// Changes of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamChange<'a> {
    /// An entry is added at its end.
    Add {
        /// Whatever the key held is gone, its expiry too: the stream is a new one.
        fresh: bool,
        /// Another node begins with it, as its length is that of a setting.
        opens: bool,
        /// Above that of every entry before.
        id: StreamId,
        /// So many entries are removed from its start then.
        trim: u64,
        /// Names, each followed by its value.
        fields: Strings<'a>,
    },
    /// Entries are removed from its start.
    Trim {
        /// How many; they exist.
        count: u64,
    },
    /// Entries are removed, if they are there.
    Delete {
        /// Which ones: [`StreamId::to_bytes`].
        ids: Strings<'a>,
    },
    /// What it notes is changed.
    SetId {
        /// The id of the last entry that was added; not below that of one that is there.
        last: StreamId,
        /// How many entries were ever added.
        added: u64,
        /// The greatest id that was deleted.
        deleted: StreamId,
    },
    /// There is a group of consumers that goes on behind an entry.
    PutGroup {
        /// As of [`Add`](Self::Add).
        fresh: bool,
        /// Its name.
        name: &'a [u8],
        /// The last entry that was delivered.
        last: StreamId,
        /// How many entries had ever been added when that one was, if that is known.
        read: Option<u64>,
    },
    /// A group is removed with all that belongs to it, if it is there.
    RemoveGroup {
        /// Its name.
        name: &'a [u8],
    },
    /// A consumer has entries that are pending.
    Deliver(Delivery<'a>),
    /// A consumer is removed with its pending entries, if it is there.
    RemoveConsumer {
        /// The name of its group, which exists.
        group: &'a [u8],
        /// Its name.
        consumer: &'a [u8],
    },
    /// Entries are not pending any more.
    Acknowledge {
        /// The name of the group, which exists.
        group: &'a [u8],
        /// As of [`Delete`](Self::Delete).
        ids: Strings<'a>,
    },
    /// The key holds this stream, and has no expiry, whatever it held.
    Store(StreamParts<'a>),
}

const FAMILY: u8 = 6;
const ADD: u8 = 0;
/// Added to that above: another node begins.
const OPENS: u8 = 1;
/// Added to that above: it is a new stream.
const FRESH: u8 = 2;
const TRIM: u8 = 4;
const DELETE: u8 = 5;
const SET_ID: u8 = 6;
const PUT_GROUP: u8 = 7;
const PUT_GROUP_FRESH: u8 = 8;
const REMOVE_GROUP: u8 = 9;
const DELIVER: u8 = 10;
const REMOVE_CONSUMER: u8 = 11;
const ACKNOWLEDGE: u8 = 12;
const STORE: u8 = 13;

impl KeyEffect for StreamChange<'_> {
    fn operation(&self) -> u8 {
        FAMILY << 4
            | match self {
                StreamChange::Add { fresh, opens, .. } => {
                    ADD + if *fresh { FRESH } else { 0 } + if *opens { OPENS } else { 0 }
                }
                StreamChange::Trim { .. } => TRIM,
                StreamChange::Delete { .. } => DELETE,
                StreamChange::SetId { .. } => SET_ID,
                StreamChange::PutGroup { fresh: false, .. } => PUT_GROUP,
                StreamChange::PutGroup { fresh: true, .. } => PUT_GROUP_FRESH,
                StreamChange::RemoveGroup { .. } => REMOVE_GROUP,
                StreamChange::Deliver(_) => DELIVER,
                StreamChange::RemoveConsumer { .. } => REMOVE_CONSUMER,
                StreamChange::Acknowledge { .. } => ACKNOWLEDGE,
                StreamChange::Store(_) => STORE,
            }
    }

    fn bytes_max(&self) -> usize {
        /// Of all the numbers of a change.
        const NUMBERS: usize = 80;
        NUMBERS
            + match self {
                StreamChange::Add { fields, .. } => fields.bytes_max(),
                StreamChange::Delete { ids } => ids.bytes_max(),
                StreamChange::PutGroup { name, .. } | StreamChange::RemoveGroup { name } => name.len(),
                StreamChange::Deliver(Delivery { group, consumer, entries, gone, .. }) => {
                    group.len() + consumer.map_or(0, <[u8]>::len) + entries.bytes_max() + gone.bytes_max()
                }
                StreamChange::RemoveConsumer { group, consumer } => group.len() + consumer.len(),
                StreamChange::Acknowledge { group, ids } => group.len() + ids.bytes_max(),
                StreamChange::Store(parts) => parts.strings.bytes_max(),
                StreamChange::Trim { .. } | StreamChange::SetId { .. } => 0,
            }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            StreamChange::Add { id, trim, fields, .. } => {
                put_id(out, *id);
                put_number(out, *trim);
                fields.encode(out);
            }
            StreamChange::Trim { count } => put_number(out, *count),
            StreamChange::Delete { ids } => ids.encode(out),
            StreamChange::SetId { last, added, deleted } => {
                put_id(out, *last);
                put_number(out, *added);
                put_id(out, *deleted);
            }
            StreamChange::PutGroup { name, last, read, .. } => {
                put_bytes(out, name);
                put_id(out, *last);
                put_maybe(out, *read);
            }
            StreamChange::RemoveGroup { name } => put_bytes(out, name),
            StreamChange::Deliver(delivery) => delivery.encode(out),
            StreamChange::RemoveConsumer { group, consumer } => {
                put_bytes(out, group);
                put_bytes(out, consumer);
            }
            StreamChange::Acknowledge { group, ids } => {
                put_bytes(out, group);
                ids.encode(out);
            }
            StreamChange::Store(parts) => {
                put_id(out, parts.last);
                put_number(out, parts.added);
                put_id(out, parts.deleted);
                parts.strings.encode(out);
            }
        }
    }

    fn pages(&self, keyspace: &Keyspace, at: &Located<'_>) -> Result<Option<usize>, &'static str> {
        let is_made = matches!(
            self,
            StreamChange::Add { fresh: true, .. } | StreamChange::PutGroup { fresh: true, .. } | StreamChange::Store(_)
        );
        let found = keyspace.record(at).filter(|_| !is_made);
        if !is_made && found.is_none_or(|(_, head)| head.kind != Kind::Stream) {
            return Err("what it changes is no stream");
        }
        let found = found.as_ref();
        let view = found.map(|(record, head)| StreamView::new(keyspace.arena(), *record, head));
        let view = view.as_ref();
        let large = found.map(|(record, head)| LargeStream::at(record.page(), head.rest_at));
        let has = |group: &[u8]| view.is_some_and(|view| view.group(group).is_some());
        match *self {
            StreamChange::Add { id, trim, fields, .. } => {
                let (last, len) = view.map_or((StreamId::ZERO, 0), |view| (view.last_id(), view.len()));
                if id <= last || trim > len + 1 {
                    return Err("it adds an entry whose id is not above the last one, or removes too many");
                }
                pages_to_add(keyspace, large, fields).map(Some)
            }
            StreamChange::Trim { count } if view.is_some_and(|view| count <= view.len()) => Ok(None),
            StreamChange::Trim { .. } => Err("it removes entries that there are not"),
            StreamChange::SetId { last, .. } => {
                let fits = view.is_some_and(|view| view.end_id().is_none_or(|end| end <= last));
                if fits { Ok(Some(0)) } else { Err("the last id is below that of an entry") }
            }
            StreamChange::PutGroup { name, .. } => {
                let pages = pages_of_groups(keyspace.arena(), large, 1);
                if name.len() <= GROUP_NAME_BYTES_MAX { Ok(Some(pages)) } else { Err(LONG_NAME) }
            }
            StreamChange::Deliver(delivery) => {
                let sound = delivery.entries.iter().all(|entry| read_entry(entry).is_some());
                let sound = sound
                    && match delivery.consumer {
                        Some(name) => name.len() <= GROUP_NAME_BYTES_MAX,
                        None => delivery.entries.is_empty(),
                    };
                if !has(delivery.group) || !sound {
                    return Err(
                        "it delivers to a group that there is not, or no entries, or the consumer's name is too long",
                    );
                }
                Ok(Some(pages_of_groups(keyspace.arena(), large, 3 + 3 * delivery.entries.len())))
            }
            StreamChange::RemoveConsumer { group, .. } | StreamChange::Acknowledge { group, .. } if !has(group) => {
                Err("there is no such group")
            }
            StreamChange::Store(parts) => parts.pages().map(Some),
            StreamChange::Delete { .. }
            | StreamChange::RemoveGroup { .. }
            | StreamChange::RemoveConsumer { .. }
            | StreamChange::Acknowledge { .. } => Ok(None),
        }
    }

    fn apply(&self, keyspace: &mut Keyspace, at: &mut Located<'_>) {
        match *self {
            StreamChange::Add { fresh, opens, id, trim, fields } => {
                if fresh {
                    make(keyspace, at);
                }
                add(keyspace, at, opens, id, fields);
                cut(keyspace, at, trim);
            }
            StreamChange::Trim { count } => cut(keyspace, at, count),
            StreamChange::Delete { ids } => delete(keyspace, at, ids),
            StreamChange::SetId { last, added, deleted } => {
                let (large, arena) = (large_of(keyspace, at), keyspace.arena_mut());
                large.put_last(arena, last);
                large.put_added(arena, added);
                large.put_deleted(arena, deleted);
            }
            StreamChange::PutGroup { fresh, name, last, read } => {
                if fresh {
                    make(keyspace, at);
                }
                large_of(keyspace, at).put_group(keyspace.arena_mut(), name, last, read);
            }
            StreamChange::RemoveGroup { name } => large_of(keyspace, at).remove_group(keyspace.arena_mut(), name),
            StreamChange::Deliver(delivery) => delivery.apply(large_of(keyspace, at), keyspace),
            StreamChange::RemoveConsumer { group, consumer } => {
                let large = large_of(keyspace, at);
                if let Some(group) = large.group(keyspace.arena(), group) {
                    large.remove_consumer(keyspace.arena_mut(), group.number, consumer);
                }
            }
            StreamChange::Acknowledge { group, ids } => acknowledge(large_of(keyspace, at), keyspace, group, ids),
            StreamChange::Store(parts) => {
                make(keyspace, at);
                parts.put(keyspace, at);
            }
        }
    }
}

const LONG_NAME: &str = "the name of a group is too long";

impl<'a> Family<'a> for StreamChange<'a> {
    const NUMBER: u8 = FAMILY;

    fn decode(operation: u8, from: &mut Reader<'a>) -> Result<Option<StreamChange<'a>>, RecordError> {
        Ok(Some(match operation {
            ADD..TRIM => StreamChange::Add {
                fresh: operation & FRESH != 0,
                opens: operation & OPENS != 0,
                id: id(from)?,
                trim: from.number()?,
                fields: Strings::decode(from)?,
            },
            TRIM => StreamChange::Trim { count: from.number()? },
            DELETE => StreamChange::Delete { ids: Strings::decode(from)? },
            SET_ID => StreamChange::SetId { last: id(from)?, added: from.number()?, deleted: id(from)? },
            PUT_GROUP | PUT_GROUP_FRESH => StreamChange::PutGroup {
                fresh: operation == PUT_GROUP_FRESH,
                name: from.value()?,
                last: id(from)?,
                read: maybe(from)?,
            },
            REMOVE_GROUP => StreamChange::RemoveGroup { name: from.value()? },
            DELIVER => StreamChange::Deliver(Delivery::decode(from)?),
            REMOVE_CONSUMER => StreamChange::RemoveConsumer { group: from.value()?, consumer: from.value()? },
            ACKNOWLEDGE => StreamChange::Acknowledge { group: from.value()?, ids: Strings::decode(from)? },
            STORE => StreamChange::Store(StreamParts {
                last: id(from)?,
                added: from.number()?,
                deleted: id(from)?,
                strings: Strings::decode(from)?,
            }),
            _ => return Ok(None),
        }))
    }
}

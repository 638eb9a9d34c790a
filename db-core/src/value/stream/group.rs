//! Consumer groups: items of one tree, each a key and what is noted under it.
//!
//! ```text
//!   0, name                                 a group: its number, last id, entries read + 1 (0: not known)
//!   1, group, name                          a consumer: its number, when it was seen, when it was active + 1 (0: never)
//!   2, group, consumer                      its name as it is
//!   3, group, milliseconds, number          a pending entry: its consumer, when it was delivered, how often
//!   4, group, consumer, milliseconds, number  the same entry among those of its consumer; nothing is noted
//! ```
//!
//! A key ascends as a string of bytes and begins no other key. Numbers are one byte below 248, or 247 + their length, then so many bytes
//! big-endian. A name is followed by two zero bytes, and a zero byte in it by 255. So all that belongs to a group, or to a consumer, is
//! adjacent, its number is a difference of ranks, and a pending entry takes some 35 bytes: no id is fixed to 16.
//!
//! Groups and consumers have numbers of the same sequence, which are not used again.

use std::cmp::Ordering;

use smallvec::SmallVec;

use crate::structure::tree::Order;

use super::id::StreamId;
use super::text::Unread;

const GROUP: u8 = 0;
const CONSUMER: u8 = 1;
const NAME: u8 = 2;
const PENDING: u8 = 3;
const OWNED: u8 = 4;

const NUMBER_SHORT_MAX: u64 = 247;

/// A group of consumers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamGroup {
    /// What its consumers and pending entries are found by.
    pub(crate) number: u64,
    /// The last entry that was delivered.
    pub last: StreamId,
    /// How many entries had ever been added when that one was, if that is known.
    pub read: Option<u64>,
}

/// A consumer of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamConsumer {
    /// What its pending entries are found by.
    pub(crate) number: u64,
    /// When it last tried to read or claim, in Unix milliseconds.
    pub seen: u64,
    /// When it last got something, if ever.
    pub active: Option<u64>,
}

/// An entry that was delivered and is not yet acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PendingEntry {
    /// Which one.
    pub id: StreamId,
    /// The number of the consumer that it was delivered to.
    pub(crate) consumer: u64,
    /// When, in Unix milliseconds.
    pub time: u64,
    /// How often.
    pub count: u64,
}

/// Order of items by their keys, which alone decide.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ByKey;

impl Order for ByKey {
    const SEPARATES: bool = true;

    fn compare(&self, a: &[u8], b: &[u8]) -> Ordering {
        a.cmp(b)
    }

    /// No byte of what stands behind the key, which changes where it stands.
    fn separator(&self, left: &[u8], right: &[u8]) -> usize {
        1 + left.iter().zip(right).take_while(|(a, b)| a == b).count()
    }
}

/// A key, or a key with what is noted under it.
pub(crate) type GroupItem = SmallVec<[u8; 64]>;

fn put_number(out: &mut GroupItem, value: u64) {
    if value <= NUMBER_SHORT_MAX {
        return out.push(value as u8);
    }
    let bytes = value.to_be_bytes();
    let zeros = value.leading_zeros() as usize / 8;
    out.push(NUMBER_SHORT_MAX as u8 + (8 - zeros) as u8);
    out.extend_from_slice(&bytes[zeros..]);
}

fn put_name(out: &mut GroupItem, name: &[u8]) {
    for byte in name {
        out.push(*byte);
        if *byte == 0 {
            out.push(0xff);
        }
    }
    out.extend_from_slice(&[0, 0]);
}

fn put_id(out: &mut GroupItem, id: StreamId) {
    put_number(out, id.ms);
    put_number(out, id.seq);
}

impl Unread<'_> {
    fn number(&mut self) -> Option<u64> {
        let first = u64::from(self.byte()?);
        let Some(len) = first.checked_sub(NUMBER_SHORT_MAX).filter(|len| *len > 0) else { return Some(first) };
        let bytes = self.take(len as usize)?;
        Some(bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    fn name(&mut self) -> Option<Vec<u8>> {
        let mut name = Vec::new();
        loop {
            match self.byte()? {
                0 if self.byte()? == 0 => return Some(name),
                byte => name.push(byte),
            }
        }
    }

    fn id(&mut self) -> Option<StreamId> {
        Some(StreamId { ms: self.number()?, seq: self.number()? })
    }
}

const fn or_zero(value: Option<u64>) -> u64 {
    match value {
        Some(value) => value.saturating_add(1),
        None => 0,
    }
}

pub(crate) fn group_key(name: &[u8]) -> GroupItem {
    let mut key = GroupItem::from_slice(&[GROUP]);
    put_name(&mut key, name);
    key
}

pub(crate) fn group_item(name: &[u8], group: &StreamGroup) -> GroupItem {
    let mut item = group_key(name);
    put_number(&mut item, group.number);
    put_id(&mut item, group.last);
    put_number(&mut item, or_zero(group.read));
    item
}

/// What the keys of all groups begin with.
pub(crate) fn groups_prefix() -> GroupItem {
    GroupItem::from_slice(&[GROUP])
}

fn prefix(tag: u8, group: u64) -> GroupItem {
    let mut key = GroupItem::from_slice(&[tag]);
    put_number(&mut key, group);
    key
}

/// What all keys of a group begin with, its own apart.
pub(crate) fn prefixes_of_group(group: u64) -> [GroupItem; 4] {
    [CONSUMER, NAME, PENDING, OWNED].map(|tag| prefix(tag, group))
}

pub(crate) fn consumers_prefix(group: u64) -> GroupItem {
    prefix(CONSUMER, group)
}

pub(crate) fn consumer_key(group: u64, name: &[u8]) -> GroupItem {
    let mut key = consumers_prefix(group);
    put_name(&mut key, name);
    key
}

pub(crate) fn consumer_item(group: u64, name: &[u8], consumer: &StreamConsumer) -> GroupItem {
    let mut item = consumer_key(group, name);
    put_number(&mut item, consumer.number);
    put_number(&mut item, consumer.seen);
    put_number(&mut item, or_zero(consumer.active));
    item
}

pub(crate) fn name_key(group: u64, consumer: u64) -> GroupItem {
    let mut key = prefix(NAME, group);
    put_number(&mut key, consumer);
    key
}

pub(crate) fn name_item(group: u64, consumer: u64, name: &[u8]) -> GroupItem {
    let mut item = name_key(group, consumer);
    item.extend_from_slice(name);
    item
}

pub(crate) fn pending_prefix(group: u64) -> GroupItem {
    prefix(PENDING, group)
}

pub(crate) fn pending_key(group: u64, id: StreamId) -> GroupItem {
    let mut key = pending_prefix(group);
    put_id(&mut key, id);
    key
}

pub(crate) fn pending_item(group: u64, entry: &PendingEntry) -> GroupItem {
    let mut item = pending_key(group, entry.id);
    put_number(&mut item, entry.consumer);
    put_number(&mut item, entry.time);
    put_number(&mut item, entry.count);
    item
}

pub(crate) fn owned_prefix(group: u64, consumer: u64) -> GroupItem {
    let mut key = prefix(OWNED, group);
    put_number(&mut key, consumer);
    key
}

pub(crate) fn owned_key(group: u64, consumer: u64, id: StreamId) -> GroupItem {
    let mut key = owned_prefix(group, consumer);
    put_id(&mut key, id);
    key
}

/// What an item says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Noted {
    Group(Vec<u8>, StreamGroup),
    Consumer(u64, Vec<u8>, StreamConsumer),
    Name(u64, u64, Vec<u8>),
    Pending(u64, PendingEntry),
    Owned(u64, u64, StreamId),
}

impl Noted {
    /// Reads an item, which may be damaged.
    pub(crate) fn read(item: &[u8]) -> Option<Noted> {
        let mut unread = Unread(item);
        let noted = match unread.byte()? {
            GROUP => Noted::Group(
                unread.name()?,
                StreamGroup { number: unread.number()?, last: unread.id()?, read: unread.number()?.checked_sub(1) },
            ),
            CONSUMER => Noted::Consumer(
                unread.number()?,
                unread.name()?,
                StreamConsumer {
                    number: unread.number()?,
                    seen: unread.number()?,
                    active: unread.number()?.checked_sub(1),
                },
            ),
            NAME => {
                let (group, consumer) = (unread.number()?, unread.number()?);
                Noted::Name(group, consumer, std::mem::take(&mut unread.0).to_vec())
            }
            PENDING => {
                let (group, id) = (unread.number()?, unread.id()?);
                let (consumer, time, count) = (unread.number()?, unread.number()?, unread.number()?);
                Noted::Pending(group, PendingEntry { id, consumer, time, count })
            }
            OWNED => Noted::Owned(unread.number()?, unread.number()?, unread.id()?),
            _ => return None,
        };
        unread.0.is_empty().then_some(noted)
    }

    /// Returns the item.
    pub(crate) fn item(&self) -> GroupItem {
        match self {
            Noted::Group(name, group) => group_item(name, group),
            Noted::Consumer(group, name, consumer) => consumer_item(*group, name, consumer),
            Noted::Name(group, consumer, name) => name_item(*group, *consumer, name),
            Noted::Pending(group, entry) => pending_item(*group, entry),
            Noted::Owned(group, consumer, id) => owned_key(*group, *consumer, *id),
        }
    }
}

/// The length of the name of a consumer's item of [`name_key`], as it is.
pub(crate) fn name_of_item(item: &[u8], key_len: usize) -> &[u8] {
    &item[key_len..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_read_as_they_were_written_and_ascend() {
        let numbers = [0, 1, 247, 248, 255, 256, 65_535, 65_536, u64::MAX - 1, u64::MAX];
        let mut last = GroupItem::new();
        for ms in numbers {
            for seq in numbers {
                let entry = PendingEntry { id: StreamId { ms, seq }, consumer: seq, time: ms, count: 3 };
                let item = pending_item(5, &entry);
                assert_eq!(Noted::read(&item), Some(Noted::Pending(5, entry)));
                assert!(last < item, "{ms}-{seq}");
                last = item;
            }
        }
        let names: [&[u8]; 7] = [b"", b"\0", b"\0\0", b"\0a", b"a", b"a\0", b"ab"];
        let group = StreamGroup { number: 300, last: StreamId { ms: 1, seq: 2 }, read: Some(7) };
        let mut last = GroupItem::new();
        for name in names {
            let item = group_item(name, &group);
            assert_eq!(Noted::read(&item), Some(Noted::Group(name.to_vec(), group)));
            assert!(last < item && !item.starts_with(&last) | last.is_empty(), "{name:?}");
            last = item;
        }
    }
}

//! Streams: entries in listpacks, then what is noted of the stream, then its groups of consumers.
//!
//! ```text
//!   count, so many times: 16 bytes of a master id, a listpack
//!   entries; last id in two numbers; from form 2 on: first id, greatest deleted id, entries ever added
//!   count, so many groups: name; last id; from form 2 on: entries read
//!     count, so many pending entries: id, when it was delivered u64, how often
//!     count, so many consumers: name; when it was seen u64; in form 3: when it was active u64
//!       count, so many ids of its pending entries
//!
//!   a listpack: entries, deleted ones, master fields, their names, 0
//!     an entry: flags (1 deleted, 2 master fields); milliseconds and number above the master id; number of fields, names and values, or
//!     values alone; number of all these
//! ```

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Read;

use super::packed_entry::PackedEntry;
use super::string::{count, string};
use super::value::RdbItem;
use super::{Input, RdbError, listpack};
use crate::arena::Pages;
use crate::value::{StreamEntry, StreamId, StreamView};

use super::write::{put_length, put_string};

const DELETED: i64 = 1;
const SAME_FIELDS: i64 = 2;
/// Instead of how many entries were read, if that is not known.
const UNKNOWN: u64 = u64::MAX;

const WRONG_NODE: RdbError = RdbError::Damaged("a node of a stream contradicts itself");
const WRONG_ORDER: RdbError = RdbError::Damaged("the entries of a stream are out of order");
const WRONG_COUNT: RdbError = RdbError::Damaged("a stream counts its entries wrong");
const WRONG_OWNER: RdbError = RdbError::Damaged("a pending entry of a stream has not one consumer");

/// What is read of a stream so far.
#[derive(Default)]
struct Seen {
    entries: u64,
    first: Option<StreamId>,
    last: Option<StreamId>,
}

/// Reads a stream of a form (1: Redis 5, 2: Redis 7.0, 3: Redis 7.2), and shows its entries, what is noted of it, and its groups.
pub(super) fn read<R: Read, E: From<RdbError>>(
    input: &mut Input<R>,
    form: u8,
    visit: &mut impl FnMut(RdbItem<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let (mut seen, mut key, mut blob) = (Seen::default(), Vec::new(), Vec::new());
    for _ in 0..count(input)? {
        string(input, &mut key)?;
        string(input, &mut blob)?;
        let master = key.as_slice().try_into().map_err(|_| WRONG_NODE)?;
        node(StreamId::from_bytes(&master), &blob, &mut seen, visit)?;
    }
    let entries = count(input)?;
    let last = id(input)?;
    if entries != seen.entries || seen.last.is_some_and(|newest| newest > last) {
        return Err(WRONG_COUNT.into());
    }
    let (mut deleted, mut added) = (StreamId::ZERO, entries);
    if form >= 2 {
        id(input)?;
        deleted = id(input)?;
        added = count(input)?;
    }
    visit(RdbItem::Stream { last, added, deleted })?;
    for _ in 0..count(input)? {
        let read_of = |last_read: StreamId| estimate(&seen, last, last_read);
        group(input, form, read_of, visit)?;
    }
    Ok(())
}

/// How many entries had been added when this one was, in a form that does not say it: nothing was deleted in the middle, as far as is known.
fn estimate(seen: &Seen, last: StreamId, id: StreamId) -> Option<u64> {
    match seen.first {
        None if seen.entries == 0 && id <= last => Some(0),
        _ if id == last => Some(seen.entries),
        Some(first) if id < first => Some(0),
        Some(first) if id == first => Some(1),
        _ => None,
    }
}

fn id<R: Read>(input: &mut Input<R>) -> Result<StreamId, RdbError> {
    Ok(StreamId { ms: count(input)?, seq: count(input)? })
}

fn node<E: From<RdbError>>(
    master: StreamId,
    blob: &[u8],
    seen: &mut Seen,
    visit: &mut impl FnMut(RdbItem<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let mut left = Node(listpack::entries(blob)?);
    let (there, deleted, fields) = (left.number()?, left.number()?, left.number()?);
    let names = left.texts(fields)?;
    if left.integer()? != 0 || there == 0 {
        return Err(WRONG_NODE.into());
    }
    let mut found = 0;
    for _ in 0..there.checked_add(deleted).ok_or(WRONG_NODE)? {
        let flags = left.integer()?;
        let (ms, seq) = (left.integer()?, left.integer()?);
        let id = StreamId { ms: master.ms.wrapping_add_signed(ms), seq: master.seq.wrapping_add_signed(seq) };
        let same = flags & SAME_FIELDS != 0;
        let number = if same { fields } else { left.number()? };
        let texts = left.texts(if same { number } else { number.checked_mul(2).ok_or(WRONG_NODE)? })?;
        let parts = 3 + texts.len() as u64 + u64::from(!same);
        if left.number()? != parts || flags & !(DELETED | SAME_FIELDS) != 0 || number == 0 {
            return Err(WRONG_NODE.into());
        }
        if flags & DELETED != 0 {
            continue;
        }
        if seen.last.is_some_and(|last| last >= id) || id == StreamId::ZERO {
            return Err(WRONG_ORDER.into());
        }
        let all: Vec<&[u8]> = if same {
            names.iter().zip(&texts).flat_map(|(name, value)| [&**name, &**value]).collect()
        } else {
            texts.iter().map(|text| &**text).collect()
        };
        visit(RdbItem::Entry { id, fields: &all })?;
        seen.first = seen.first.or(Some(id));
        seen.last = Some(id);
        found += 1;
    }
    seen.entries += found;
    if found == there && left.0.next().is_none() { Ok(()) } else { Err(WRONG_NODE.into()) }
}

/// What is left of a node.
struct Node<'a>(listpack::ListpackEntries<'a>);

impl<'a> Node<'a> {
    fn entry(&mut self) -> Result<PackedEntry<'a>, RdbError> {
        self.0.next().ok_or(WRONG_NODE)?
    }

    fn integer(&mut self) -> Result<i64, RdbError> {
        match self.entry()? {
            PackedEntry::Integer(value) => Ok(value),
            PackedEntry::Bytes(_) => Err(WRONG_NODE),
        }
    }

    fn number(&mut self) -> Result<u64, RdbError> {
        u64::try_from(self.integer()?).map_err(|_| WRONG_NODE)
    }

    fn texts(&mut self, count: u64) -> Result<Vec<Cow<'a, [u8]>>, RdbError> {
        let mut texts = Vec::new();
        for _ in 0..count {
            texts.push(match self.entry()? {
                PackedEntry::Bytes(bytes) => Cow::Borrowed(bytes),
                PackedEntry::Integer(value) => Cow::Owned(itoa::Buffer::new().format(value).as_bytes().to_vec()),
            });
        }
        Ok(texts)
    }
}

fn group<R: Read, E: From<RdbError>>(
    input: &mut Input<R>,
    form: u8,
    read_of: impl Fn(StreamId) -> Option<u64>,
    visit: &mut impl FnMut(RdbItem<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let mut name = Vec::new();
    string(input, &mut name)?;
    let last = id(input)?;
    let read = match form {
        1 => read_of(last),
        _ => Some(count(input)?).filter(|read| *read != UNKNOWN),
    };
    if read.is_some_and(|read| i64::try_from(read).is_err()) {
        return Err(WRONG_COUNT.into());
    }
    visit(RdbItem::Group { name: &name, last, read })?;
    let mut pending = BTreeMap::new();
    for _ in 0..count(input)? {
        let id = StreamId::from_bytes(&input.array()?);
        let time = u64::from_le_bytes(input.array()?);
        if pending.insert(id, (time, count(input)?)).is_some() {
            return Err(WRONG_OWNER.into());
        }
    }
    for _ in 0..count(input)? {
        string(input, &mut name)?;
        let seen = u64::from_le_bytes(input.array()?);
        let active = match form {
            3 => Some(u64::from_le_bytes(input.array()?)).filter(|time| i64::try_from(*time).is_ok()),
            _ => Some(seen),
        };
        visit(RdbItem::Consumer { name: &name, seen, active })?;
        for _ in 0..count(input)? {
            let id = StreamId::from_bytes(&input.array()?);
            let (time, count) = pending.remove(&id).ok_or(WRONG_OWNER)?;
            visit(RdbItem::Pending { id, time, count })?;
        }
    }
    if pending.is_empty() { Ok(()) } else { Err(WRONG_OWNER.into()) }
}

/// Appends a stream in form 2, which every release of Redis since 7.0, and of Valkey, reads.
pub(super) fn put(out: &mut Vec<u8>, view: &StreamView<'_, impl Pages>) {
    let mut nodes = Nodes { count: 0, out: Vec::new(), open: None };
    view.each_from(StreamId::ZERO, &mut |entry| {
        nodes.add(entry);
        true
    });
    nodes.close();
    put_length(out, nodes.count);
    out.append(&mut nodes.out);
    put_length(out, view.len());
    put_id(out, view.last_id());
    put_id(out, view.first_id().unwrap_or_default());
    put_id(out, view.deleted_id());
    put_length(out, view.added());
    put_length(out, view.group_count());
    view.each_group(&mut |name, group| {
        put_string(out, name);
        put_id(out, group.last);
        put_length(out, group.read.unwrap_or(UNKNOWN));
        put_length(out, view.pending_count(&group));
        view.each_pending(&group, StreamId::ZERO, &mut |entry| {
            out.extend_from_slice(&entry.id.to_bytes());
            out.extend_from_slice(&entry.time.to_le_bytes());
            put_length(out, entry.count);
            true
        });
        put_length(out, view.consumer_count(&group));
        view.each_consumer(&group, &mut |name, consumer| {
            put_string(out, name);
            out.extend_from_slice(&consumer.seen.to_le_bytes());
            put_length(out, view.owned_count(&group, &consumer));
            view.each_owned(&group, &consumer, StreamId::ZERO, &mut |entry| {
                out.extend_from_slice(&entry.id.to_bytes());
                true
            });
        });
    });
}

fn put_id(out: &mut Vec<u8>, id: StreamId) {
    put_length(out, id.ms);
    put_length(out, id.seq);
}

/// Listpacks that are written.
struct Nodes {
    count: u64,
    out: Vec<u8>,
    open: Option<OpenNode>,
}

/// One that entries are added to.
struct OpenNode {
    master: StreamId,
    names: Vec<Vec<u8>>,
    entries: i64,
    /// Entries as they stand in the listpack, and how many values of it those are.
    bytes: Vec<u8>,
    values: u64,
}

impl Nodes {
    fn add(&mut self, entry: &StreamEntry<'_>) {
        /// What Redis puts in one.
        const ENTRIES: i64 = 100;
        const BYTES: usize = 4096;
        let (mut names, mut values) = (Vec::new(), Vec::new());
        let mut buffer = itoa::Buffer::new();
        entry.each(&mut |name, value| {
            names.push(name.bytes(&mut buffer).to_vec());
            values.push(value.bytes(&mut buffer).to_vec());
        });
        if self.open.as_ref().is_some_and(|open| open.entries >= ENTRIES || open.bytes.len() >= BYTES) {
            self.close();
        }
        let id = entry.id();
        let open = self.open.get_or_insert_with(|| OpenNode {
            master: id,
            names: names.clone(),
            entries: 0,
            bytes: Vec::new(),
            values: 0,
        });
        let same = open.names == names;
        open.integer(if same { SAME_FIELDS } else { 0 });
        open.integer(id.ms.wrapping_sub(open.master.ms).cast_signed());
        open.integer(id.seq.wrapping_sub(open.master.seq).cast_signed());
        let fields = names.len() as i64;
        if same {
            values.iter().for_each(|value| open.text(value));
            open.integer(3 + fields);
        } else {
            open.integer(fields);
            names.iter().zip(&values).for_each(|(name, value)| {
                open.text(name);
                open.text(value);
            });
            open.integer(4 + 2 * fields);
        }
        open.entries += 1;
    }

    fn close(&mut self) {
        const HEAD_BYTES: usize = 6;
        const END: u8 = 0xff;
        let Some(open) = self.open.take() else { return };
        let mut head = OpenNode { bytes: Vec::new(), values: 0, names: Vec::new(), ..open };
        head.integer(open.entries);
        head.integer(0);
        head.integer(open.names.len() as i64);
        open.names.iter().for_each(|name| head.text(name));
        head.integer(0);
        let bytes = HEAD_BYTES + head.bytes.len() + open.bytes.len() + 1;
        let values = u16::try_from(head.values + open.values).unwrap_or(u16::MAX);
        put_string(&mut self.out, &open.master.to_bytes());
        put_length(&mut self.out, bytes as u64);
        self.out.extend_from_slice(&(bytes as u32).to_le_bytes());
        self.out.extend_from_slice(&values.to_le_bytes());
        self.out.extend_from_slice(&head.bytes);
        self.out.extend_from_slice(&open.bytes);
        self.out.push(END);
        self.count += 1;
    }
}

impl OpenNode {
    fn integer(&mut self, value: i64) {
        listpack::put_integer(&mut self.bytes, value);
        self.values += 1;
    }

    fn text(&mut self, text: &[u8]) {
        listpack::put_text(&mut self.bytes, text);
        self.values += 1;
    }
}

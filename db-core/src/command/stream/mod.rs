//! Streams.

mod add;
mod claim;
mod group;
mod id;
mod info;
mod pending;
mod read;

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashSet;

use crate::arena::{Arena, Pages};
use crate::engine::call::{Call, Failure, Outcome, Reply, is};
use crate::engine::{Data, sizes};
use crate::keyspace::Located;
use crate::limits::GROUP_NAME_BYTES_MAX;
use crate::types::stream::{NodeLimits, StreamChange};
use crate::value::{StreamEntry, StreamGroup, StreamId, StreamView};
use id::{range_end, range_start, strict_id};

pub(crate) use add::{xadd, xtrim};
pub(crate) use claim::{xautoclaim, xclaim};
pub(crate) use group::{
    xgroup_create, xgroup_createconsumer, xgroup_delconsumer, xgroup_destroy, xgroup_help, xgroup_setid,
};
pub(crate) use info::{xinfo_consumers, xinfo_groups, xinfo_help, xinfo_stream};
pub(crate) use pending::{xack, xpending};
pub(crate) use read::{XREAD, XREADGROUP, waits, xread, xreadgroup};

/// How many entries and bytes a node takes, as the settings say.
pub(super) fn node_limits(data: &Data<'_>) -> NodeLimits {
    NodeLimits { entries: data.size(sizes::STREAM_NODE_ENTRIES), bytes: data.size(sizes::STREAM_NODE_BYTES) }
}

/// Writes an id.
fn write_id(id: StreamId, reply: &mut Reply) {
    let (mut ms, mut seq) = (itoa::Buffer::new(), itoa::Buffer::new());
    reply.bulk(&[ms.format(id.ms).as_bytes(), b"-", seq.format(id.seq).as_bytes()].concat());
}

/// Writes an entry: its id and its fields.
fn write_entry(entry: &StreamEntry<'_>, reply: &mut Reply) {
    let (mut name_text, mut value_text) = (itoa::Buffer::new(), itoa::Buffer::new());
    reply.array(2);
    write_id(entry.id(), reply);
    reply.array(2 * entry.len() as usize);
    entry.each(&mut |name, value| {
        reply.bulk(name.bytes(&mut name_text));
        reply.bulk(value.bytes(&mut value_text));
    });
}

/// A part of a stream: the entries from one id to another, at most so many, from an end on.
#[derive(Clone, Copy)]
struct Part {
    start: StreamId,
    end: StreamId,
    max: u64,
    backwards: bool,
}

impl Part {
    /// Visits its entries.
    fn each(self, view: &StreamView<'_, impl Pages>, visit: &mut dyn FnMut(&StreamEntry<'_>)) {
        let mut left = self.max;
        let mut some = |entry: &StreamEntry<'_>, is_within: bool| {
            if left == 0 || !is_within {
                return false;
            }
            visit(entry);
            left -= 1;
            left > 0
        };
        if self.backwards {
            view.each_back_from(self.end, &mut |entry| some(entry, entry.id() >= self.start));
        } else {
            view.each_from(self.start, &mut |entry| some(entry, entry.id() <= self.end));
        }
    }

    /// Writes its entries; returns how many.
    fn write(self, view: &StreamView<'_, impl Pages>, reply: &mut Reply) -> Result<u64, Failure> {
        let mut count = 0;
        self.each(view, &mut |_| count += 1);
        reply.expect(count)?;
        reply.array(count as usize);
        self.each(view, &mut |entry| write_entry(entry, reply));
        Ok(count)
    }
}

fn range(data: &mut Data<'_>, call: &Call<'_>, backwards: bool, reply: &mut Reply) -> Outcome {
    let (from, to) = if backwards { (3, 2) } else { (2, 3) };
    let (start, end) = (range_start(call.arg(from))?, range_end(call.arg(to))?);
    let (mut count, mut at) = (None, 4);
    while at < call.args().len() {
        if !is(call.arg(at), "COUNT") || at + 1 == call.args().len() {
            return Err(Failure::SYNTAX);
        }
        count = Some(u64::try_from(call.int(at + 1)?).unwrap_or(0));
        at += 2;
    }
    let at = data.locate(&call.key(0));
    match (data.stream(&at)?, count) {
        (None, _) => reply.array(0),
        (Some(_), Some(0)) => reply.null_array(),
        (Some(view), max) => {
            Part { start, end, max: max.unwrap_or(u64::MAX), backwards }.write(&view, reply)?;
        }
    }
    Ok(())
}

pub(crate) fn xrange(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    range(data, call, false, reply)
}

pub(crate) fn xrevrange(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    range(data, call, true, reply)
}

pub(crate) fn xlen(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let at = data.locate(&call.key(0));
    reply.count(data.stream(&at)?.map_or(0, |view| view.len()));
    Ok(())
}

/// The ids that are arguments from one on.
fn ids(call: &Call<'_>, from: usize) -> Result<Vec<StreamId>, Failure> {
    call.args()[from..].iter().map(|arg| strict_id(arg)).collect()
}

/// Those of the ids that `is_there` says, each once, as a change has them.
fn chosen(ids: &[StreamId], is_there: impl Fn(StreamId) -> bool) -> Vec<[u8; 16]> {
    let mut seen = HashSet::new();
    let chosen = ids.iter().filter(|id| is_there(**id) && seen.insert(**id));
    chosen.map(|id| id.to_bytes()).collect()
}

/// The same bytes as the strings of a change.
fn slices<T: AsRef<[u8]>>(all: &[T]) -> Vec<&[u8]> {
    all.iter().map(AsRef::as_ref).collect()
}

pub(crate) fn xdel(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let mut at = data.locate(&call.key(0));
    let Some(view) = data.stream(&at)? else {
        reply.int(0);
        return Ok(());
    };
    let gone = chosen(&ids(call, 2)?, |id| view.contains(id));
    if !gone.is_empty() {
        data.change(&mut at, StreamChange::Delete { ids: slices(&gone).as_slice().into() })?;
    }
    reply.count(gone.len() as u64);
    Ok(())
}

pub(crate) fn xsetid(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let last = strict_id(call.arg(2))?;
    let (mut added, mut deleted, mut at) = (None, StreamId::ZERO, 3);
    while at < call.args().len() {
        let has_value = at + 1 < call.args().len();
        if is(call.arg(at), "ENTRIESADDED") && has_value {
            let count = u64::try_from(call.int(at + 1)?);
            added = Some(count.map_err(|_| Failure::fixed("ERR entries_added must be positive"))?);
        } else if is(call.arg(at), "MAXDELETEDID") && has_value {
            deleted = strict_id(call.arg(at + 1))?;
            if last < deleted {
                return Err("ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id".into());
            }
        } else {
            return Err(Failure::SYNTAX);
        }
        at += 2;
    }
    let mut at = data.locate(&call.key(0));
    let Some(view) = data.stream(&at)? else { return Err(Failure::NO_SUCH_KEY) };
    if view.end_id().is_some_and(|end| last < end) {
        return Err("ERR The ID specified in XSETID is smaller than the target stream top item".into());
    }
    if added.is_some_and(|added| !view.is_empty() && added < view.len()) {
        return Err("ERR The entries_added specified in XSETID is smaller than the target stream length".into());
    }
    let added = added.unwrap_or(view.added());
    let deleted = if deleted == StreamId::ZERO { view.deleted_id() } else { deleted };
    data.change(&mut at, StreamChange::SetId { last, added, deleted })?;
    reply.ok();
    Ok(())
}

/// The stream at `at` and a group of it.
fn group_of<'d>(
    data: &'d mut Data<'_>,
    at: &Located<'_>,
    name: &[u8],
) -> Result<Option<(StreamView<'d, Arena>, StreamGroup)>, Failure> {
    let view = data.stream(at)?;
    Ok(view.and_then(|view| view.group(name).map(|group| (view, group))))
}

/// A name of a request in an error message.
fn shown(name: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(name)
}

fn no_group(key: &[u8], group: &[u8]) -> Failure {
    Failure::owned(format!("NOGROUP No such key '{}' or consumer group '{}'", shown(key), shown(group)))
}

fn no_group_of_key(key: &[u8], group: &[u8]) -> Failure {
    Failure::owned(format!("NOGROUP No such consumer group '{}' for key name '{}'", shown(group), shown(key)))
}

/// Checks the length of the name of a group or of a consumer.
fn check_name(name: &[u8]) -> Outcome {
    if name.len() > GROUP_NAME_BYTES_MAX {
        return Err("ERR the name of a group or consumer exceeds the maximum length of 1024 bytes".into());
    }
    Ok(())
}

/// How many entries had ever been added when that of an id was, if that is known.
fn read_when(view: &StreamView<'_, impl Pages>, id: StreamId) -> Option<u64> {
    let (last, added, deleted) = (view.last_id(), view.added(), view.deleted_id());
    if added == 0 {
        return Some(0);
    }
    if (view.is_empty() && id <= last) || id == last {
        return Some(added);
    }
    if id > last {
        return None;
    }
    let first = view.first_id().unwrap_or_default();
    if deleted != StreamId::ZERO && deleted >= first {
        return None;
    }
    let before = added.wrapping_sub(view.len());
    match id.cmp(&first) {
        Ordering::Less => Some(before),
        Ordering::Equal => Some(before.wrapping_add(1)),
        Ordering::Greater => None,
    }
}

/// Whether an entry that was deleted may be among those from an id on.
fn has_gaps_from(view: &StreamView<'_, impl Pages>, id: StreamId) -> bool {
    let deleted = view.deleted_id();
    deleted != StreamId::ZERO && id <= deleted && view.first_id().is_some_and(|first| first <= deleted)
}

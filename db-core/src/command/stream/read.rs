//! XREAD and XREADGROUP.

use std::time::Duration;

use super::id::strict_id;
use super::{Part, check_name, has_gaps_from, read_when, shown, slices, write_entry, write_id};
use crate::arena::{Arena, Pages};
use crate::effect::Change;
use crate::engine::Data;
use crate::engine::call::number::parse_i64;
use crate::engine::call::{Block, Blocking, Call, Failure, Outcome, Protocol, Reply, is};
use crate::keyspace::Key;
use crate::limits::BLOCK_TIMEOUT_MAX;
use crate::types::stream::{Delivery, StreamChange};
use crate::value::{Kind, StreamGroup, StreamId, StreamView};

/// What a call asks for beside keys and ids.
struct ReadOptions<'a> {
    /// How long it waits, if it does; `Some(None)`: for ever.
    block: Option<Option<Duration>>,
    /// Entries of each stream.
    count: u64,
    /// Names of a group and of a consumer.
    group: Option<(&'a [u8], &'a [u8])>,
    no_ack: bool,
    /// Number of streams.
    streams: usize,
}

const UNBALANCED: Failure =
    Failure::fixed("ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.");

/// The time that a call waits, in milliseconds; 0: for ever.
fn block_timeout(arg: &[u8]) -> Result<Option<Duration>, Failure> {
    let millis = parse_i64(arg).ok_or(Failure::fixed("ERR timeout is not an integer or out of range"))?;
    let millis = u64::try_from(millis).map_err(|_| Failure::fixed("ERR timeout is negative"))?;
    let timeout = Duration::from_millis(millis);
    if timeout > BLOCK_TIMEOUT_MAX {
        return Err("ERR timeout is out of range".into());
    }
    Ok((millis > 0).then_some(timeout))
}

impl<'a> ReadOptions<'a> {
    fn parse(call: &Call<'a>, of_group: bool) -> Result<ReadOptions<'a>, Failure> {
        let mut read = ReadOptions { block: None, count: u64::MAX, group: None, no_ack: false, streams: 0 };
        let (args, mut at) = (call.args(), 1);
        while at < args.len() {
            let (word, more) = (args[at], args.len() - at - 1);
            if is(word, "BLOCK") && more > 0 {
                read.block = Some(block_timeout(args[at + 1])?);
                at += 1;
            } else if is(word, "COUNT") && more > 0 {
                // None is as many as there are.
                let count = u64::try_from(call.int(at + 1)?).ok().filter(|count| *count > 0);
                read.count = count.unwrap_or(u64::MAX);
                at += 1;
            } else if is(word, "STREAMS") && more > 0 {
                if more % 2 != 0 {
                    return Err(UNBALANCED);
                }
                read.streams = more / 2;
                break;
            } else if is(word, "GROUP") && more >= 2 {
                if !of_group {
                    return Err(
                        "ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.".into()
                    );
                }
                read.group = Some((args[at + 1], args[at + 2]));
                at += 2;
            } else if is(word, "NOACK") {
                if !of_group {
                    return Err(
                        "ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.".into()
                    );
                }
                read.no_ack = true;
            } else {
                return Err(Failure::SYNTAX);
            }
            at += 1;
        }
        if read.streams == 0 {
            return Err(Failure::SYNTAX);
        }
        if of_group && read.group.is_none() {
            return Err("ERR Missing GROUP option for XREADGROUP".into());
        }
        Ok(read)
    }

    fn block(call: &Call<'_>, of_group: bool) -> Result<Block, Failure> {
        let read = ReadOptions::parse(call, of_group)?;
        Ok(Block::of_all_keys(read.block.flatten()))
    }
}

/// Whether a call waits for its keys.
pub(crate) fn waits(args: &[&[u8]]) -> bool {
    let mut at = 1;
    while let Some(word) = args.get(at) {
        if is(word, "BLOCK") || is(word, "STREAMS") {
            return is(word, "BLOCK");
        }
        let values = [("GROUP", 2), ("COUNT", 1)].iter().find(|(option, _)| is(word, option));
        at += 1 + values.map_or(0, |(_, values)| *values);
    }
    false
}

/// The streams of a call, each with the argument that says from where on it is read: of those of its keys that are looked at.
fn streams<'a>(call: &Call<'a>, streams: usize) -> impl Iterator<Item = (Key<'a>, usize)> + Clone {
    let call = *call;
    call.key_args().iter().enumerate().map(move |(number, arg)| (call.key(number), arg.at as usize + streams))
}

/// The id behind which XREAD begins.
fn begin_behind(view: Option<&StreamView<'_, Arena>>, arg: &[u8]) -> Result<StreamId, Failure> {
    match arg {
        b"$" => Ok(view.map_or(StreamId::ZERO, |view| view.last_id())),
        b"+" => Ok(view.and_then(|view| view.end_id()?.previous()).unwrap_or_default()),
        b">" => {
            Err("ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option."
                .into())
        }
        id => strict_id(id),
    }
}

/// Begins the reply for so many streams.
fn write_head(count: usize, reply: &mut Reply) {
    if reply.protocol() == Protocol::Resp3 { reply.map(count) } else { reply.array(count) }
}

/// Begins that for one of them.
fn write_name(key: &Key<'_>, reply: &mut Reply) {
    if reply.protocol() == Protocol::Resp2 {
        reply.array(2);
    }
    reply.bulk(key.bytes);
}

/// Reads; false if there is nothing.
fn read(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<bool, Failure> {
    let options = ReadOptions::parse(call, false)?;
    let mut found = Vec::new();
    for (key, arg) in streams(call, options.streams) {
        let at = data.locate(&key);
        let view = data.stream(&at)?;
        let behind = begin_behind(view.as_ref(), call.arg(arg))?;
        let has_more = view.is_some_and(|view| view.has_behind(behind));
        if let Some(start) = behind.next().filter(|_| has_more) {
            found.push((key, start));
        }
    }
    if found.is_empty() {
        return Ok(false);
    }
    write_head(found.len(), reply);
    for (key, start) in found {
        let at = data.locate(&key);
        write_name(&key, reply);
        if let Some(view) = data.stream(&at)? {
            Part { start, end: StreamId::MAX, max: options.count, backwards: false }.write(&view, reply)?;
        }
    }
    Ok(true)
}

pub(crate) fn xread(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    if !read(data, call, reply)? {
        reply.null_array();
    }
    Ok(())
}

pub(crate) static XREAD: Blocking = Blocking {
    kind: Kind::Stream,
    minds_loss: false,
    block: |call| ReadOptions::block(call, false),
    run: read,
    fix: Some(|data, call| {
        let Ok(options) = ReadOptions::parse(call, false) else { return Vec::new() };
        let mut fixed = Vec::new();
        for (key, arg) in streams(call, options.streams).filter(|(_, arg)| matches!(call.arg(*arg), b"$" | b"+")) {
            let at = data.locate(&key);
            let id = begin_behind(data.stream_again(&at).ok().flatten().as_ref(), call.arg(arg)).unwrap_or_default();
            fixed.push((arg, format!("{}-{}", id.ms, id.seq).into_bytes()));
        }
        fixed
    }),
};

/// Where a consumer of a group begins to read.
#[derive(Clone, Copy)]
enum From {
    /// Behind the last entry that was delivered to the group.
    New,
    /// At the first of its own pending entries behind this id.
    History(StreamId),
}

impl From {
    fn parse(arg: &[u8]) -> Result<From, Failure> {
        if arg == b"$" {
            return Err(meaningless('$'));
        }
        if arg == b"+" {
            return Err(meaningless('+'));
        }
        match if arg == b">" { StreamId::MAX } else { strict_id(arg)? } {
            StreamId::MAX => Ok(From::New),
            id => Ok(From::History(id)),
        }
    }
}

fn meaningless(id: char) -> Failure {
    Failure::owned(format!(
        "ERR The {id} ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by specifying a \
         proper ID, or use the > ID to get new messages. The {id} ID would just return an empty result set."
    ))
}

/// What a consumer gets of one stream.
struct Got {
    cursor: Option<(StreamId, Option<u64>)>,
    /// Each with how often it was delivered.
    entries: Vec<Vec<u8>>,
    active: bool,
}

/// Writes new entries for a group, and returns what becomes of it.
fn deliver_new(
    view: &StreamView<'_, impl Pages>,
    group: &StreamGroup,
    options: &ReadOptions<'_>,
    reply: &mut Reply,
) -> Result<Got, Failure> {
    let mut got = Got { cursor: None, entries: Vec::new(), active: false };
    let Some(start) = group.last.next() else { return Ok(got) };
    let part = Part { start, end: StreamId::MAX, max: options.count, backwards: false };
    part.write(view, reply)?;
    let (mut read, mut last) = (group.read, group.last);
    part.each(view, &mut |entry| {
        last = entry.id();
        read = match read {
            Some(read) if !has_gaps_from(view, last) => Some(read.wrapping_add(1)),
            _ => read_when(view, last),
        };
        if !options.no_ack {
            got.entries.push(Delivery::entry(last, 1));
        }
    });
    got.cursor = Some((last, read));
    got.active = !got.entries.is_empty();
    Ok(got)
}

/// Writes a consumer's pending entries behind an id, and returns what becomes of them.
fn deliver_history(
    view: &StreamView<'_, impl Pages>,
    group: &StreamGroup,
    options: &ReadOptions<'_>,
    behind: StreamId,
    reply: &mut Reply,
) -> Got {
    let name = options.group.map_or(&[][..], |(_, consumer)| consumer);
    let mut pending = Vec::new();
    if let (Some(consumer), Some(start)) = (view.consumer(group, name), behind.next()) {
        view.each_owned(group, &consumer, start, &mut |entry| {
            pending.push(entry);
            (pending.len() as u64) < options.count
        });
    }
    reply.array(pending.len());
    let mut entries = Vec::new();
    for entry in pending {
        if view.contains(entry.id) {
            let one = Part { start: entry.id, end: entry.id, max: 1, backwards: false };
            one.each(view, &mut |entry| write_entry(entry, reply));
            entries.push(Delivery::entry(entry.id, entry.count.wrapping_add(1)));
        } else {
            reply.array(2);
            write_id(entry.id, reply);
            reply.null_array();
        }
    }
    Got { cursor: None, entries, active: false }
}

/// Reads for a consumer of a group; false if there is nothing for it.
fn read_group(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<bool, Failure> {
    let options = ReadOptions::parse(call, true)?;
    let Some((group_name, consumer)) = options.group else { return Err(Failure::SYNTAX) };
    let (now, mut served) = (data.now().0, Vec::new());
    for (key, arg) in streams(call, options.streams) {
        let at = data.locate(&key);
        let found = data.stream(&at)?.and_then(|view| view.group(group_name).map(|group| (view, group)));
        let Some((view, group)) = found else {
            return Err(Failure::owned(format!(
                "NOGROUP No such key '{}' or consumer group '{}' in XREADGROUP with GROUP option",
                shown(key.bytes),
                shown(group_name)
            )));
        };
        let from = From::parse(call.arg(arg))?;
        let has_more = view.has_behind(group.last);
        if has_more || matches!(from, From::History(_)) {
            served.push((key, from));
        }
    }
    if served.is_empty() {
        return Ok(false);
    }
    check_name(consumer)?;
    write_head(served.len(), reply);
    let mut all = Vec::new();
    // A key that is there twice gets new entries once: they are delivered then.
    for (number, (key, from)) in served.iter().enumerate() {
        let at = data.locate(key);
        write_name(key, reply);
        let Some(view) = data.stream(&at)? else { continue };
        let Some(group) = view.group(group_name) else { continue };
        let is_again = served[..number].iter().any(|(earlier, _)| earlier.bytes == key.bytes);
        let got = match from {
            From::New if is_again => {
                reply.array(0);
                continue;
            }
            From::New => deliver_new(&view, &group, &options, reply)?,
            From::History(behind) => deliver_history(&view, &group, &options, *behind, reply),
        };
        all.push((*key, got));
    }
    let entries: Vec<Vec<&[u8]>> = all.iter().map(|(_, got)| slices(&got.entries)).collect();
    let changes = all.iter().zip(&entries).map(|((key, got), entries)| {
        let delivery = Delivery {
            cursor: got.cursor,
            active: got.active.then_some(now),
            time: now,
            entries: entries.as_slice().into(),
            ..Delivery::seen(group_name, consumer, now)
        };
        (*key, Change::from(StreamChange::Deliver(delivery)))
    });
    data.change_all(changes)?;
    Ok(true)
}

pub(crate) fn xreadgroup(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    if !read_group(data, call, reply)? {
        reply.null_array();
    }
    Ok(())
}

pub(crate) static XREADGROUP: Blocking = Blocking {
    kind: Kind::Stream,
    minds_loss: true,
    block: |call| ReadOptions::block(call, true),
    run: read_group,
    fix: None,
};

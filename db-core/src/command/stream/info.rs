//! XINFO.

use super::group::subcommand_syntax;
use super::{Part, group_of, has_gaps_from, no_group_of_key, read_when, write_entry, write_id};
use crate::arena::Pages;
use crate::engine::Data;
use crate::engine::call::{Call, Failure, Outcome, Reply, is};
use crate::value::{PendingEntry, StreamConsumer, StreamGroup, StreamId, StreamView};

/// A number, or none.
fn write_maybe(value: Option<u64>, reply: &mut Reply) {
    match value {
        Some(value) => reply.int(value.cast_signed()),
        None => reply.null(),
    }
}

/// How many entries a group has yet to read, if that is known.
fn lag(view: &StreamView<'_, impl Pages>, group: &StreamGroup) -> Option<u64> {
    let added = view.added();
    if added == 0 {
        return Some(0);
    }
    let read = group.read.filter(|_| !has_gaps_from(view, group.last)).or_else(|| read_when(view, group.last));
    read.map(|read| added.wrapping_sub(read))
}

fn write_counts(view: &StreamView<'_, impl Pages>, reply: &mut Reply) {
    reply.bulk(b"length");
    reply.count(view.len());
    reply.bulk(b"radix-tree-keys");
    reply.count(view.nodes());
    reply.bulk(b"radix-tree-nodes");
    reply.count(view.nodes() + 1);
    reply.bulk(b"last-generated-id");
    write_id(view.last_id(), reply);
    reply.bulk(b"max-deleted-entry-id");
    write_id(view.deleted_id(), reply);
    reply.bulk(b"entries-added");
    reply.int(view.added().cast_signed());
    reply.bulk(b"recorded-first-entry-id");
    write_id(view.first_id().unwrap_or_default(), reply);
}

pub(crate) fn xinfo_stream(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    /// Entries, and pending ones of each group and consumer, that are shown.
    const COUNT: u64 = 10;
    let at = data.locate(&call.key(0));
    let Some(view) = data.stream(&at)? else { return Err(Failure::NO_SUCH_KEY) };
    let full = match &call.args()[3..] {
        [] => None,
        [word] if is(word, "FULL") => Some(COUNT),
        [word, count, _] if is(word, "FULL") && is(count, "COUNT") => {
            Some(u64::try_from(call.int(5)?).unwrap_or(COUNT))
        }
        _ => return Err(subcommand_syntax(call, "XINFO")),
    };
    if let Some(count) = full {
        return write_full(&view, if count == 0 { u64::MAX } else { count }, reply);
    }
    reply.map(10);
    write_counts(&view, reply);
    reply.bulk(b"groups");
    reply.count(view.group_count());
    for (name, backwards) in [("first-entry", false), ("last-entry", true)] {
        reply.bulk(name.as_bytes());
        if view.is_empty() {
            reply.null();
        } else {
            let one = Part { start: StreamId::ZERO, end: StreamId::MAX, max: 1, backwards };
            one.each(&view, &mut |entry| write_entry(entry, reply));
        }
    }
    Ok(())
}

/// Up to so many of a group's pending entries, or of one of its consumers'.
fn some_pending(
    view: &StreamView<'_, impl Pages>,
    group: &StreamGroup,
    of: Option<&StreamConsumer>,
    count: u64,
) -> Vec<PendingEntry> {
    let mut some = Vec::new();
    let mut take = |entry| {
        some.push(entry);
        (some.len() as u64) < count
    };
    match of {
        None => view.each_pending(group, StreamId::ZERO, &mut take),
        Some(consumer) => view.each_owned(group, consumer, StreamId::ZERO, &mut take),
    }
    some
}

fn write_full(view: &StreamView<'_, impl Pages>, count: u64, reply: &mut Reply) -> Outcome {
    reply.map(9);
    write_counts(view, reply);
    reply.bulk(b"entries");
    Part { start: StreamId::ZERO, end: StreamId::MAX, max: count, backwards: false }.write(view, reply)?;
    reply.bulk(b"groups");
    reply.array(view.group_count() as usize);
    view.each_group(&mut |name, group| write_group(view, name, &group, count, reply));
    Ok(())
}

fn write_group(view: &StreamView<'_, impl Pages>, name: &[u8], group: &StreamGroup, count: u64, reply: &mut Reply) {
    reply.map(7);
    reply.bulk(b"name");
    reply.bulk(name);
    reply.bulk(b"last-delivered-id");
    write_id(group.last, reply);
    reply.bulk(b"entries-read");
    write_maybe(group.read, reply);
    reply.bulk(b"lag");
    write_maybe(lag(view, group), reply);
    reply.bulk(b"pel-count");
    reply.count(view.pending_count(group));
    reply.bulk(b"pending");
    let some = some_pending(view, group, None, count);
    reply.array(some.len());
    for entry in some {
        reply.array(4);
        write_id(entry.id, reply);
        reply.bulk(view.owner(group, &entry));
        reply.int(entry.time.cast_signed());
        reply.int(entry.count.cast_signed());
    }
    reply.bulk(b"consumers");
    reply.array(view.consumer_count(group) as usize);
    view.each_consumer(group, &mut |name, consumer| {
        reply.map(4);
        reply.bulk(b"name");
        reply.bulk(name);
        reply.bulk(b"seen-time");
        reply.int(consumer.seen.cast_signed());
        reply.bulk(b"pel-count");
        reply.count(view.owned_count(group, &consumer));
        reply.bulk(b"pending");
        let some = some_pending(view, group, Some(&consumer), count);
        reply.array(some.len());
        for entry in some {
            reply.array(3);
            write_id(entry.id, reply);
            reply.int(entry.time.cast_signed());
            reply.int(entry.count.cast_signed());
        }
    });
}

pub(crate) fn xinfo_groups(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let at = data.locate(&call.key(0));
    let Some(view) = data.stream(&at)? else { return Err(Failure::NO_SUCH_KEY) };
    reply.array(view.group_count() as usize);
    view.each_group(&mut |name, group| {
        reply.map(6);
        reply.bulk(b"name");
        reply.bulk(name);
        reply.bulk(b"consumers");
        reply.count(view.consumer_count(&group));
        reply.bulk(b"pending");
        reply.count(view.pending_count(&group));
        reply.bulk(b"last-delivered-id");
        write_id(group.last, reply);
        reply.bulk(b"entries-read");
        write_maybe(group.read, reply);
        reply.bulk(b"lag");
        write_maybe(lag(&view, &group), reply);
    });
    Ok(())
}

pub(crate) fn xinfo_consumers(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let (at, now) = (data.locate(&call.key(0)), data.now().0);
    if data.stream(&at)?.is_none() {
        return Err(Failure::NO_SUCH_KEY);
    }
    let Some((view, group)) = group_of(data, &at, call.arg(3))? else {
        return Err(no_group_of_key(call.arg(2), call.arg(3)));
    };
    reply.array(view.consumer_count(&group) as usize);
    view.each_consumer(&group, &mut |name, consumer| {
        reply.map(3);
        reply.bulk(b"name");
        reply.bulk(name);
        reply.bulk(b"pending");
        reply.count(view.owned_count(&group, &consumer));
        reply.bulk(b"idle");
        reply.count(now.saturating_sub(consumer.seen));
    });
    Ok(())
}

pub(crate) fn xinfo_help(_: &mut Data<'_>, _: &Call<'_>, reply: &mut Reply) -> Outcome {
    const LINES: &[&str] = &[
        "XINFO <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "CONSUMERS <key> <groupname>",
        "    Show consumers of <groupname>.",
        "GROUPS <key>",
        "    Show the stream consumer groups.",
        "STREAM <key> [FULL [COUNT <count>]",
        "    Show information about the stream.",
        "HELP",
        "    Prints this help.",
    ];
    reply.array(LINES.len());
    LINES.iter().for_each(|line| reply.simple(line));
    Ok(())
}

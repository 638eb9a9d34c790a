//! XACK and XPENDING.

use super::id::{range_end, range_start};
use super::{chosen, group_of, ids, no_group, slices, write_id};
use crate::arena::Pages;
use crate::engine::Data;
use crate::engine::call::{Call, Failure, Outcome, Reply, is};
use crate::types::stream::StreamChange;
use crate::value::{PendingEntry, StreamGroup, StreamId, StreamView};

pub(crate) fn xack(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let (mut at, name) = (data.locate(&call.key(0)), call.arg(2));
    let Some((view, group)) = group_of(data, &at, name)? else {
        reply.int(0);
        return Ok(());
    };
    let gone = chosen(&ids(call, 3)?, |id| view.pending(&group, id).is_some());
    if !gone.is_empty() {
        data.change(&mut at, StreamChange::Acknowledge { group: name, ids: slices(&gone).as_slice().into() })?;
    }
    reply.count(gone.len() as u64);
    Ok(())
}

/// Which pending entries are asked for.
struct PendingPart<'a> {
    min_idle: i64,
    start: StreamId,
    end: StreamId,
    count: u64,
    consumer: Option<&'a [u8]>,
}

impl<'a> PendingPart<'a> {
    fn parse(call: &Call<'a>) -> Result<PendingPart<'a>, Failure> {
        let (mut min_idle, mut from) = (0, 3);
        if is(call.arg(3), "IDLE") {
            min_idle = call.int(4)?;
            from = 5;
            if call.args().len() < 8 {
                return Err(Failure::SYNTAX);
            }
        }
        let count = u64::try_from(call.int(from + 2)?).unwrap_or(0);
        let (start, end) = (range_start(call.arg(from))?, range_end(call.arg(from + 1))?);
        Ok(PendingPart { min_idle, start, end, count, consumer: call.args().get(from + 3).copied() })
    }
}

pub(crate) fn xpending(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let all = call.args().len() == 3;
    if !all && !(6..=9).contains(&call.args().len()) {
        return Err(Failure::SYNTAX);
    }
    let part = if all { None } else { Some(PendingPart::parse(call)?) };
    let (at, now) = (data.locate(&call.key(0)), data.now().0);
    let Some((view, group)) = group_of(data, &at, call.arg(2))? else {
        return Err(no_group(call.arg(1), call.arg(2)));
    };
    let Some(part) = part else {
        summary(&view, &group, reply);
        return Ok(());
    };
    let mut found: Vec<PendingEntry> = Vec::new();
    let mut take = |entry: PendingEntry| {
        if found.len() as u64 >= part.count || entry.id > part.end {
            return false;
        }
        if part.min_idle == 0 || now.cast_signed().wrapping_sub(entry.time.cast_signed()) >= part.min_idle {
            found.push(entry);
        }
        true
    };
    match part.consumer {
        None => view.each_pending(&group, part.start, &mut take),
        Some(name) => {
            if let Some(consumer) = view.consumer(&group, name) {
                view.each_owned(&group, &consumer, part.start, &mut take);
            }
        }
    }
    reply.expect(found.len() as u64)?;
    reply.array(found.len());
    for entry in found {
        reply.array(4);
        write_id(entry.id, reply);
        reply.bulk(view.owner(&group, &entry));
        reply.count(now.saturating_sub(entry.time));
        reply.int(entry.count.cast_signed());
    }
    Ok(())
}

fn summary(view: &StreamView<'_, impl Pages>, group: &StreamGroup, reply: &mut Reply) {
    let mut first = None;
    view.each_pending(group, StreamId::ZERO, &mut |entry| {
        first = Some(entry.id);
        false
    });
    reply.array(4);
    reply.count(view.pending_count(group));
    let (Some(first), Some(last)) = (first, view.last_pending(group)) else {
        reply.null();
        reply.null();
        return reply.null_array();
    };
    write_id(first, reply);
    write_id(last.id, reply);
    let mut owners = Vec::new();
    view.each_consumer(group, &mut |name, consumer| {
        let count = view.owned_count(group, &consumer);
        if count > 0 {
            owners.push((name.to_vec(), count));
        }
    });
    reply.array(owners.len());
    for (name, count) in owners {
        reply.array(2);
        reply.bulk(&name);
        reply.bulk(itoa::Buffer::new().format(count).as_bytes());
    }
}

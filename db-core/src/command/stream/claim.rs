//! XCLAIM and XAUTOCLAIM.

use std::collections::{BTreeMap, BTreeSet};

use super::id::{range_start, strict_id};
use super::{Part, check_name, group_of, no_group, slices, write_entry, write_id};
use crate::arena::Pages;
use crate::engine::Data;
use crate::engine::call::number::parse_i64;
use crate::engine::call::{Call, Failure, Outcome, Reply, is};
use crate::keyspace::Located;
use crate::types::stream::{Delivery, StreamChange};
use crate::value::{StreamId, StreamView};

/// What XCLAIM asks for beside the ids.
#[derive(Debug, Default)]
struct ClaimOptions {
    /// When the entries count as delivered.
    time: Option<i64>,
    retries: Option<i64>,
    force: bool,
    just_id: bool,
    last: StreamId,
}

impl ClaimOptions {
    /// Reads the ids, and the options behind them.
    fn parse(call: &Call<'_>, now: i64) -> Result<(Vec<StreamId>, ClaimOptions), Failure> {
        let ids: Vec<StreamId> = call.args()[5..].iter().map_while(|arg| strict_id(arg).ok()).collect();
        let (mut read, mut at) = (ClaimOptions::default(), 5 + ids.len());
        let int = |at: usize, error: &'static str| call.int(at).map_err(|_| Failure::fixed(error));
        while at < call.args().len() {
            let (word, has_value) = (call.arg(at), at + 1 < call.args().len());
            at += 1;
            if is(word, "FORCE") {
                read.force = true;
            } else if is(word, "JUSTID") {
                read.just_id = true;
            } else if is(word, "IDLE") && has_value {
                read.time = Some(now.wrapping_sub(int(at, "ERR Invalid IDLE option argument for XCLAIM")?));
                at += 1;
            } else if is(word, "TIME") && has_value {
                read.time = Some(int(at, "ERR Invalid TIME option argument for XCLAIM")?);
                at += 1;
            } else if is(word, "RETRYCOUNT") && has_value {
                read.retries = Some(int(at, "ERR Invalid RETRYCOUNT option argument for XCLAIM")?);
                at += 1;
            } else if is(word, "LASTID") && has_value {
                read.last = strict_id(call.arg(at))?;
                at += 1;
            } else {
                return Err(Failure::owned(format!("ERR Unrecognized XCLAIM option '{}'", super::shown(word))));
            }
        }
        Ok((ids, read))
    }

    /// The time that entries get.
    fn delivered(&self, now: i64) -> u64 {
        let time = self.time.filter(|time| (0..=now).contains(time) && *time != -1);
        time.unwrap_or(now).cast_unsigned()
    }
}

/// Entries that a consumer gets.
#[derive(Default)]
struct Claimed {
    /// How often each was delivered then.
    counts: BTreeMap<StreamId, u64>,
    /// Those that are not there any more.
    gone: BTreeSet<StreamId>,
    /// What the reply shows, in order.
    shown: Vec<StreamId>,
}

impl Claimed {
    /// Writes the entries, or their ids alone.
    fn write(&self, view: &StreamView<'_, impl Pages>, just_id: bool, reply: &mut Reply) {
        reply.array(self.shown.len());
        for id in &self.shown {
            if just_id {
                write_id(*id, reply);
            } else {
                let one = Part { start: *id, end: *id, max: 1, backwards: false };
                one.each(view, &mut |entry| write_entry(entry, reply));
            }
        }
    }

    /// Makes the change.
    fn apply(&self, data: &mut Data<'_>, at: &mut Located<'_>, delivery: Delivery<'_>) -> Outcome {
        let entries: Vec<Vec<u8>> = self.counts.iter().map(|(id, count)| Delivery::entry(*id, *count)).collect();
        let gone: Vec<[u8; 16]> = self.gone.iter().map(|id| id.to_bytes()).collect();
        let (entries, gone) = (slices(&entries), slices(&gone));
        // A consumer that gets nothing is not made.
        let is_seen = !self.shown.is_empty();
        let (active, consumer) = (is_seen.then_some(delivery.seen), delivery.consumer.filter(|_| is_seen));
        if !is_seen && gone.is_empty() && delivery.cursor.is_none() {
            return Ok(());
        }
        data.change(
            at,
            StreamChange::Deliver(Delivery {
                active,
                consumer,
                entries: entries.as_slice().into(),
                gone: gone.as_slice().into(),
                ..delivery
            }),
        )
    }
}

fn min_idle(call: &Call<'_>, error: &'static str) -> Result<i64, Failure> {
    Ok(call.int(4).map_err(|_| Failure::fixed(error))?.max(0))
}

pub(crate) fn xclaim(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let (mut at, now) = (data.locate(&call.key(0)), data.now().0.cast_signed());
    let (name, consumer) = (call.arg(2), call.arg(3));
    let Some((view, group)) = group_of(data, &at, name)? else { return Err(no_group(call.arg(1), name)) };
    let min_idle = min_idle(call, "ERR Invalid min-idle-time argument for XCLAIM")?;
    let (ids, options) = ClaimOptions::parse(call, now)?;
    check_name(consumer)?;
    let time = options.delivered(now);
    let mut claimed = Claimed::default();
    for id in ids {
        let pending = view.pending(&group, id);
        if !view.contains(id) {
            if pending.is_some() {
                claimed.gone.insert(id);
            }
            continue;
        }
        let again = claimed.counts.get(&id).copied();
        let (count, then) = match (again, pending) {
            (Some(count), _) => (count, time.cast_signed()),
            (None, Some(entry)) => (entry.count, entry.time.cast_signed()),
            // One that is forced counts as old enough, and as delivered once.
            (None, None) if options.force => (1, now.saturating_sub(min_idle)),
            (None, None) => continue,
        };
        if min_idle > 0 && now.wrapping_sub(then) < min_idle {
            continue;
        }
        let more = u64::from(!options.just_id);
        let count =
            options.retries.filter(|retries| *retries >= 0).map_or(count.wrapping_add(more), i64::cast_unsigned);
        claimed.counts.insert(id, count);
        claimed.shown.push(id);
    }
    claimed.write(&view, options.just_id, reply);
    let cursor = (options.last > group.last).then_some((options.last, group.read));
    let seen = Delivery { cursor, time, ..Delivery::seen(name, consumer, now.cast_unsigned()) };
    claimed.apply(data, &mut at, seen)
}

/// COUNT and JUSTID.
fn auto_options(call: &Call<'_>) -> Result<(u64, bool), Failure> {
    const COUNT: u64 = 100;
    /// What Redis has memory for.
    const COUNT_MAX: i64 = i64::MAX / 16;
    const WRONG: Failure = Failure::fixed("ERR COUNT must be > 0");
    let (mut count, mut just_id, mut options) = (COUNT, false, call.options(6));
    while let Some(word) = options.word() {
        if is(word, "JUSTID") {
            just_id = true;
        } else if is(word, "COUNT") {
            let value = parse_i64(options.value()?);
            let value = value.filter(|value| (1..=COUNT_MAX).contains(value)).ok_or(WRONG)?;
            count = value.cast_unsigned();
        } else {
            return Err(Failure::SYNTAX);
        }
    }
    Ok((count, just_id))
}

pub(crate) fn xautoclaim(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    /// Entries that are looked at for each one that may be claimed.
    const LOOKED_AT: u64 = 10;
    let min_idle = min_idle(call, "ERR Invalid min-idle-time argument for XAUTOCLAIM")?;
    let start = range_start(call.arg(5))?;
    let (count, just_id) = auto_options(call)?;
    let (mut at, now) = (data.locate(&call.key(0)), data.now().0.cast_signed());
    let (name, consumer) = (call.arg(2), call.arg(3));
    let Some((view, group)) = group_of(data, &at, name)? else { return Err(no_group(call.arg(1), name)) };
    check_name(consumer)?;
    let (mut left, mut looks, mut next) = (count, count.saturating_mul(LOOKED_AT), StreamId::ZERO);
    let mut claimed = Claimed::default();
    view.each_pending(&group, start, &mut |entry| {
        if left == 0 || looks == 0 {
            next = entry.id;
            return false;
        }
        looks -= 1;
        if !view.contains(entry.id) {
            claimed.gone.insert(entry.id);
            left -= 1;
        } else if min_idle == 0 || now.wrapping_sub(entry.time.cast_signed()) >= min_idle {
            claimed.counts.insert(entry.id, entry.count.wrapping_add(u64::from(!just_id)));
            claimed.shown.push(entry.id);
            left -= 1;
        }
        true
    });
    reply.array(3);
    write_id(next, reply);
    claimed.write(&view, just_id, reply);
    reply.array(claimed.gone.len());
    claimed.gone.iter().for_each(|id| write_id(*id, reply));
    let time = now.cast_unsigned();
    claimed.apply(data, &mut at, Delivery { time, ..Delivery::seen(name, consumer, time) })
}

//! XADD and XTRIM.

use super::id::{GivenId, new_id, strict_id};
use super::{node_limits, write_id};
use crate::arena::{Arena, Pages};
use crate::engine::call::{Call, Failure, Outcome, Reply, is};
use crate::engine::{Data, sizes};
use crate::limits::VALUE_BYTES_MAX;
use crate::types::stream::{NodeLimits, StreamChange};
use crate::value::{StreamId, StreamView};

/// Which entries are removed.
#[derive(Clone, Copy, Debug)]
enum Trim {
    /// So many are left.
    Length(u64),
    /// Those with lower ids.
    Below(StreamId),
}

/// What a call asks for.
#[derive(Debug, Default)]
struct EntryOptions {
    trim: Option<Trim>,
    /// Whole nodes alone are removed.
    about: bool,
    /// No more than so many are removed; 0: any number.
    limit: u64,
    no_stream: bool,
    /// The id, unless it is to be chosen.
    id: Option<GivenId>,
}

impl EntryOptions {
    /// Reads the options from the second argument on; returns where they end, which is at the id of XADD.
    fn parse(call: &Call<'_>, adds: bool, data: &Data<'_>) -> Result<(EntryOptions, usize), Failure> {
        let (mut options, mut limit, mut at) = (EntryOptions::default(), None, 2);
        while at < call.args().len() {
            let more = call.args().len() - 1 - at;
            let word = call.arg(at);
            if adds && word == b"*" {
                break;
            } else if (is(word, "MAXLEN") || is(word, "MINID")) && more > 0 {
                at = options.parse_trim(call, at, more)?;
            } else if is(word, "LIMIT") && more > 0 {
                at += 1;
                let count = u64::try_from(call.int(at)?);
                limit = Some(count.map_err(|_| Failure::fixed("ERR The LIMIT argument must be >= 0."))?);
            } else if adds && is(word, "NOMKSTREAM") {
                options.no_stream = true;
            } else if adds {
                options.id = Some(new_id(word)?);
                break;
            } else {
                return Err(Failure::SYNTAX);
            }
            at += 1;
        }
        options.check_limit(limit, data)?;
        if !adds && options.trim.is_none() {
            return Err("ERR syntax error, XTRIM must be called with MAXLEN or MINID".into());
        }
        Ok((options, at))
    }

    /// Reads MAXLEN or MINID at `at`; returns where its last argument stands.
    fn parse_trim(&mut self, call: &Call<'_>, at: usize, more: usize) -> Result<usize, Failure> {
        if self.trim.is_some() {
            return Err("ERR syntax error, MAXLEN and MINID options at the same time are not compatible".into());
        }
        let mark = call.arg(at + 1);
        let has_mark = more >= 2 && (mark == b"~" || mark == b"=");
        self.about = has_mark && mark == b"~";
        let value = at + 1 + usize::from(has_mark);
        self.trim = Some(if is(call.arg(at), "MAXLEN") {
            let len = u64::try_from(call.int(value)?);
            Trim::Length(len.map_err(|_| Failure::fixed("ERR The MAXLEN argument must be >= 0."))?)
        } else {
            Trim::Below(strict_id(call.arg(value))?)
        });
        Ok(value)
    }

    fn check_limit(&mut self, limit: Option<u64>, data: &Data<'_>) -> Outcome {
        /// Entries that are removed at once where a setting does not say how many nodes' they are.
        const LIMIT: u64 = 10_000;
        const LIMIT_MAX: u64 = 1_000_000;
        const NODES: u64 = 100;
        if limit.is_some_and(|limit| limit > 0) && self.trim.is_none() {
            return Err("ERR syntax error, LIMIT cannot be used without specifying a trimming strategy".into());
        }
        if limit.is_some() && !self.about {
            return Err("ERR syntax error, LIMIT cannot be used without the special ~ option".into());
        }
        let entries = data.size(sizes::STREAM_NODE_ENTRIES) as u64;
        let default = if entries == 0 { LIMIT } else { NODES.saturating_mul(entries).min(LIMIT_MAX) };
        self.limit = if self.about { limit.unwrap_or(default) } else { 0 };
        Ok(())
    }

    /// How many entries are removed from a stream to which an entry with this id was added, if one was.
    fn to_remove(&self, view: Option<&StreamView<'_, impl Pages>>, new: Option<StreamId>) -> u64 {
        let there = view.map_or(0, |view| view.len());
        let len = there + u64::from(new.is_some());
        let excess = match self.trim {
            None => return 0,
            Some(Trim::Length(max)) => len.saturating_sub(max),
            Some(Trim::Below(id)) if !self.about => {
                let below = view.map_or(0, |view| count_below(view, id));
                return below + u64::from(new.is_some_and(|new| new < id));
            }
            Some(Trim::Below(_)) => u64::MAX,
        };
        if !self.about {
            return excess;
        }
        let mut removed = 0;
        if let Some(view) = view {
            view.each_node(&mut |entries, last| {
                let is_old = match self.trim {
                    Some(Trim::Below(id)) => last() < id,
                    _ => removed + entries <= excess,
                };
                let fits = self.limit == 0 || removed + entries <= self.limit;
                // The last node gets the new entry, or has it.
                let is_last = new.is_some() && removed + entries == there;
                if is_old && fits && !is_last {
                    removed += entries;
                }
                is_old && fits
            });
        }
        removed
    }
}

/// How many entries have lower ids.
fn count_below(view: &StreamView<'_, impl Pages>, id: StreamId) -> u64 {
    let (mut below, mut from) = (0, Some(StreamId::ZERO));
    view.each_node(&mut |entries, last| {
        let last = last();
        if last < id {
            below += entries;
            from = last.next();
        }
        last < id
    });
    // Those of the node in which they end.
    if let Some(from) = from {
        view.each_from(from, &mut |entry| {
            below += u64::from(entry.id() < id);
            entry.id() < id
        });
    }
    below
}

/// The id of the next entry.
fn choose(given: Option<GivenId>, last: StreamId, now: u64) -> Result<StreamId, Failure> {
    const LOW: Failure =
        Failure::fixed("ERR The ID specified in XADD is equal or smaller than the target stream top item");
    let id = match given {
        Some(GivenId::Whole(id)) => id,
        Some(GivenId::Millis(ms)) if ms == last.ms => StreamId { ms, seq: last.seq.checked_add(1).ok_or(LOW)? },
        Some(GivenId::Millis(ms)) => StreamId { ms, seq: 0 },
        None if now > last.ms => StreamId { ms: now, seq: 0 },
        None => last.next().ok_or(LOW)?,
    };
    if id > last { Ok(id) } else { Err(LOW) }
}

/// Whether another node begins with an entry.
fn opens(view: Option<&StreamView<'_, Arena>>, limits: NodeLimits, fields: &[&[u8]]) -> bool {
    let Some(tail) = view.and_then(StreamView::tail) else { return false };
    limits.opens((tail.len(), tail.0.len()), fields.iter().map(|text| text.len()).sum())
}

pub(crate) fn xadd(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let (options, id_at) = EntryOptions::parse(call, true, data)?;
    let fields = call.args().get(id_at + 1..).unwrap_or_default();
    if fields.is_empty() || !fields.len().is_multiple_of(2) {
        return Err(Failure::arity(call.spec.name));
    }
    if options.id == Some(GivenId::Whole(StreamId::ZERO)) {
        return Err("ERR The ID specified in XADD must be greater than 0-0".into());
    }
    let (mut at, now, limits) = (data.locate(&call.key(0)), data.now().0, node_limits(data));
    data.see(&at);
    let view = data.stream_again(&at)?;
    if view.is_none() && options.no_stream {
        reply.null();
        return Ok(());
    }
    let last = view.as_ref().map_or(StreamId::ZERO, |view| view.last_id());
    if last == StreamId::MAX {
        return Err("ERR The stream has exhausted the last possible ID, unable to add more items".into());
    }
    let id = choose(options.id, last, now)?;
    /// Beside the bytes of a string.
    const EACH: u64 = 5;
    if fields.iter().map(|text| text.len() as u64 + EACH).sum::<u64>() + 2 * EACH > VALUE_BYTES_MAX {
        return Err("ERR Elements are too large to be stored".into());
    }
    let (fresh, trim) = (view.is_none(), options.to_remove(view.as_ref(), Some(id)));
    let opens = opens(view.as_ref(), limits, fields);
    data.change(&mut at, StreamChange::Add { fresh, opens, id, trim, fields: fields.into() })?;
    write_id(id, reply);
    Ok(())
}

pub(crate) fn xtrim(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let (options, _) = EntryOptions::parse(call, false, data)?;
    let mut at = data.locate(&call.key(0));
    let count = options.to_remove(data.stream(&at)?.as_ref(), None);
    if count > 0 {
        data.change(&mut at, StreamChange::Trim { count })?;
    }
    reply.count(count);
    Ok(())
}

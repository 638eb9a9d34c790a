//! Members that are taken out from an end, or shown by chance.

use super::{Members, len};
use crate::arena::Arena;
use crate::command::collection;
use crate::command::timeout::timeout;
use crate::engine::Data;
use crate::engine::call::number::parse_i64;
use crate::engine::call::{Block, Blocking, Call, Failure, Outcome, Protocol, Reply, is};
use crate::keyspace::Located;
use crate::types::sorted_set::SortedChange;
use crate::value::{Kind, Score, SortedView};

/// An end of a sorted set.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extreme {
    /// Lowest scores.
    Min,
    /// Highest scores.
    Max,
}

/// Up to `count` members from an end on, that one first.
fn from_end<'a>(view: &SortedView<'a, Arena>, extreme: Extreme, count: u64) -> Vec<(&'a [u8], Score)> {
    let mut found = Vec::new();
    let mut some = |name: &'a [u8], score| {
        if (found.len() as u64) < count {
            found.push((name, score));
        }
        (found.len() as u64) < count
    };
    match extreme {
        Extreme::Min => view.each_from(0, &mut some),
        Extreme::Max => view.each_back_from(view.len(), &mut some),
    }
    found
}

/// Removes `count` members, of which there are as many, from an end.
fn take(data: &mut Data<'_>, at: &mut Located<'_>, extreme: Extreme, len: u64, count: u64) -> Outcome {
    let rank = if extreme == Extreme::Min { 0 } else { len - count };
    data.change(at, SortedChange::Cut { rank, count })
}

fn pop(data: &mut Data<'_>, call: &Call<'_>, extreme: Extreme, reply: &mut Reply) -> Outcome {
    let count = match &call.args()[2..] {
        [] => None,
        [count] => {
            let count = parse_i64(count).and_then(|count| u64::try_from(count).ok());
            Some(count.ok_or(Failure::fixed("ERR value is out of range, must be positive"))?)
        }
        _ => return Err(Failure::SYNTAX),
    };
    let mut at = data.locate(&call.key(0));
    let view = data.sorted(&at)?;
    let there = len(&view);
    let taken = count.unwrap_or(1).min(there);
    let found = view.filter(|_| taken > 0).map_or_else(Vec::new, |view| from_end(&view, extreme, taken));
    // Without a count the newer protocol has one pair and no array of pairs.
    let pairs = reply.protocol() == Protocol::Resp3 && count.is_some();
    reply.array(if pairs { found.len() } else { 2 * found.len() });
    for (name, score) in found {
        if pairs {
            reply.array(2);
        }
        reply.bulk(name);
        reply.double(score.get());
    }
    if taken > 0 { take(data, &mut at, extreme, there, taken) } else { Ok(()) }
}

pub(crate) fn zpopmin(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    pop(data, call, Extreme::Min, reply)
}

pub(crate) fn zpopmax(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    pop(data, call, Extreme::Max, reply)
}

/// MIN or MAX, and COUNT, from the argument `at` on.
fn extreme_and_count(call: &Call<'_>, at: usize) -> Result<(Extreme, u64), Failure> {
    let extreme = match call.args().get(at) {
        Some(word) if is(word, "MIN") => Extreme::Min,
        Some(word) if is(word, "MAX") => Extreme::Max,
        _ => return Err(Failure::SYNTAX),
    };
    Ok((extreme, collection::count_option(call, at + 1)?))
}

/// Pops from the first sorted set that there is; false if there is none.
fn pop_first(
    data: &mut Data<'_>,
    call: &Call<'_>,
    (extreme, count): (Extreme, u64),
    reply: &mut Reply,
) -> Result<bool, Failure> {
    for key in call.keys() {
        let mut at = data.locate(&key);
        let Some(view) = data.sorted(&at)? else { continue };
        let (there, taken) = (view.len(), count.min(view.len()));
        reply.array(2);
        reply.bulk(key.bytes);
        reply.array(taken as usize);
        for (name, score) in from_end(&view, extreme, taken) {
            reply.array(2);
            reply.bulk(name);
            reply.double(score.get());
        }
        take(data, &mut at, extreme, there, taken)?;
        return Ok(true);
    }
    Ok(false)
}

pub(crate) fn zmpop(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let keys = collection::key_count(call, 1, Failure::SYNTAX)?;
    let wanted = extreme_and_count(call, 2 + keys)?;
    if !pop_first(data, call, wanted, reply)? {
        reply.null_array();
    }
    Ok(())
}

/// BZPOPMIN and BZPOPMAX.
macro_rules! blocking_pop {
    ($extreme:expr) => {
        Blocking {
            kind: Kind::SortedSet,
            minds_loss: false,
            fix: None,
            block: |call| Ok(Block::of_all_keys(timeout(call.arg(call.args().len() - 1))?)),
            run: |data, call, reply| {
                for key in call.keys() {
                    let mut at = data.locate(&key);
                    let Some(view) = data.sorted(&at)? else { continue };
                    let there = view.len();
                    reply.array(3);
                    reply.bulk(key.bytes);
                    for (name, score) in from_end(&view, $extreme, 1) {
                        reply.bulk(name);
                        reply.double(score.get());
                    }
                    take(data, &mut at, $extreme, there, 1)?;
                    return Ok(true);
                }
                Ok(false)
            },
        }
    };
}

pub(crate) static BZPOPMIN: Blocking = blocking_pop!(Extreme::Min);
pub(crate) static BZPOPMAX: Blocking = blocking_pop!(Extreme::Max);

pub(crate) static BZMPOP: Blocking = Blocking {
    kind: Kind::SortedSet,
    minds_loss: false,
    fix: None,
    block: |call| {
        let timeout = timeout(call.arg(1))?;
        extreme_and_count(call, 3 + collection::key_count(call, 2, Failure::SYNTAX)?)?;
        Ok(Block::of_all_keys(timeout))
    },
    run: |data, call, reply| {
        let wanted = extreme_and_count(call, 3 + collection::key_count(call, 2, Failure::SYNTAX)?)?;
        pop_first(data, call, wanted, reply)
    },
};

pub(crate) fn zrandmember(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let at = data.locate(&call.key(0));
    if call.args().len() == 2 {
        return collection::random_one(data, &at, Kind::SortedSet, reply);
    }
    let count = collection::random_count(call.arg(2))?;
    let with_scores = match &call.args()[3..] {
        [] => false,
        [word] if is(word, "WITHSCORES") => true,
        _ => return Err(Failure::SYNTAX),
    };
    collection::expect_random(data, &at, Kind::SortedSet, count, reply)?;
    let picked = collection::random_many(data, &at, Kind::SortedSet, count)?;
    let members = Members::new(with_scores, reply);
    members.start(picked.len() as u64, reply);
    for (name, value) in picked {
        if let Some(score) = Score::from_bytes(&value) {
            members.write(&name, score, reply);
        }
    }
    Ok(())
}

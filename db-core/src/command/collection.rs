//! What commands of sets and of hashes have in common.

use std::collections::HashSet;

use super::scan::ScanOptions;
use super::sorted_set::score_text;
use crate::arena::Pages;
use crate::engine::Data;
use crate::engine::call::number::{parse_cursor, parse_i64};
use crate::engine::call::{Call, Failure, Outcome, Reply, is};
use crate::keyspace::Located;
use crate::limits::KEY_BYTES_MAX;
use crate::random::SplitMix64;
use crate::types::map::MapChange;
use crate::value::{Kind, MapView, Member};

/// What is made of several sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SetOperation {
    /// Members that all of them have.
    Inter,
    /// Members that any of them has.
    Union,
    /// Members of the first one that no other has.
    Diff,
}

impl SetOperation {
    /// How many members are looked at of sets that have so many.
    pub(super) fn looks_at(self, mut lens: impl Iterator<Item = u64>) -> u64 {
        match self {
            SetOperation::Inter => lens.min().unwrap_or(0),
            SetOperation::Union => lens.sum(),
            SetOperation::Diff => lens.next().unwrap_or(0),
        }
    }
}

/// Checks the length of a field or of a member.
pub(super) fn check_name(name: &[u8]) -> Outcome {
    if name.len() > KEY_BYTES_MAX {
        return Err(Failure::fixed("ERR a field or member exceeds the maximum length of 8192 bytes"));
    }
    Ok(())
}

/// Whether there are at most `max` members with these.
pub(super) fn count_with<'a>(
    view: Option<&MapView<'_, impl Pages>>,
    names: impl ExactSizeIterator<Item = &'a [u8]> + Clone,
    max: usize,
) -> bool {
    let there = view.map_or(0, MapView::len) as usize;
    if there + names.len() <= max {
        return true;
    }
    let mut new = HashSet::new();
    names.filter(|name| view.is_none_or(|view| !view.contains(name))).all(|name| {
        new.insert(name);
        there + new.len() <= max
    })
}

/// Returns the number of keys that the argument at `at` says; `too_many` if there are fewer arguments.
pub(super) fn key_count(call: &Call<'_>, at: usize, too_many: Failure) -> Result<usize, Failure> {
    let count = parse_i64(call.arg(at)).and_then(|count| usize::try_from(count).ok()).filter(|count| *count > 0);
    let count = count.ok_or(Failure::fixed("ERR numkeys should be greater than 0"))?;
    if count > call.args().len() - at - 1 { Err(too_many) } else { Ok(count) }
}

/// Returns the number that COUNT says from the argument `at` on, where nothing else may be; 1 if it is not there.
pub(super) fn count_option(call: &Call<'_>, at: usize) -> Result<u64, Failure> {
    let mut count = None;
    let mut options = call.options(at);
    while let Some(word) = options.word() {
        if !is(word, "COUNT") || count.is_some() {
            return Err(Failure::SYNTAX);
        }
        let value = parse_i64(options.value()?).and_then(|count| u64::try_from(count).ok()).filter(|count| *count > 0);
        count = Some(value.ok_or(Failure::fixed("ERR count should be greater than 0"))?);
    }
    Ok(count.unwrap_or(1))
}

/// Takes members out; returns how many there were.
pub(super) fn remove(data: &mut Data<'_>, at: &mut Located<'_>, kind: Kind, names: &[&[u8]]) -> Result<u64, Failure> {
    let Some(view) = data.map(at, kind)? else { return Ok(0) };
    let before = view.len();
    if !names.iter().any(|name| view.contains(name)) {
        return Ok(0);
    }
    data.change(at, MapChange::Remove { names: names.into() })?;
    Ok(before - data.members(at))
}

/// Replies with a member chosen by chance.
pub(super) fn random_one(data: &mut Data<'_>, at: &Located<'_>, kind: Kind, reply: &mut Reply) -> Outcome {
    let dice = data.roll();
    match data.map(at, kind)? {
        Some(view) => view.random(dice, &mut |member| reply.bulk(member.name)),
        None => reply.null(),
    }
    Ok(())
}

/// How many members are asked for by chance: at most so many different ones, or just so many of which some may be the same.
#[derive(Clone, Copy, Debug)]
pub(super) enum RandomCount {
    Different(u64),
    Any(u64),
}

pub(super) fn random_count(arg: &[u8]) -> Result<RandomCount, Failure> {
    /// The reply is made in one piece.
    const ANY_MAX: u64 = 1024 * 1024;
    let count = parse_i64(arg).ok_or(Failure::NOT_AN_INTEGER)?;
    if count == i64::MIN {
        let text = "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807";
        return Err(Failure::fixed(text));
    }
    match u64::try_from(count) {
        Ok(count) => Ok(RandomCount::Different(count)),
        Err(_) if count.unsigned_abs() <= ANY_MAX => Ok(RandomCount::Any(count.unsigned_abs())),
        Err(_) => Err(Failure::fixed("ERR value is out of range, at most 1048576 members are returned with repeats")),
    }
}

/// Replies with members chosen by chance are expected to be so large.
pub(super) fn expect_random(
    data: &mut Data<'_>,
    at: &Located<'_>,
    kind: Kind,
    count: RandomCount,
    reply: &mut Reply,
) -> Outcome {
    reply.expect(match count {
        RandomCount::Any(count) => count,
        RandomCount::Different(count) => data.map(at, kind)?.map_or(0, |view| view.len()).min(count),
    })
}

/// A member and its value.
pub(super) type PickedMember = (Vec<u8>, Vec<u8>);

/// Chooses members by chance.
pub(super) fn random_many(
    data: &mut Data<'_>,
    at: &Located<'_>,
    kind: Kind,
    count: RandomCount,
) -> Result<Vec<PickedMember>, Failure> {
    /// Members above which a choice by chance is one by one: below it, all are shuffled.
    const SPARSE: u64 = 3;
    let dice = data.roll();
    let Some(view) = data.map(at, kind)? else { return Ok(Vec::new()) };
    let mut dice = SplitMix64(dice);
    let len = view.len();
    let mut picked: Vec<PickedMember> = Vec::new();
    let owned = |Member { name, value, .. }: Member<'_>| {
        let mut bytes = Vec::new();
        value.range(0, value.len(), &mut bytes);
        (name.to_vec(), bytes)
    };
    match count {
        RandomCount::Any(count) => {
            for _ in 0..count {
                view.random(dice.next(), &mut |member| picked.push(owned(member)));
            }
        }
        RandomCount::Different(count) if count.saturating_mul(SPARSE) >= len => {
            view.each(&mut |member| picked.push(owned(member)));
            for place in 0..picked.len().min(count as usize) {
                let left = (picked.len() - place) as u64;
                picked.swap(place, place + dice.below(left) as usize);
            }
            picked.truncate(usize::try_from(count).unwrap_or(usize::MAX));
        }
        RandomCount::Different(count) => {
            let mut seen = HashSet::new();
            while (picked.len() as u64) < count {
                view.random(dice.next(), &mut |member| {
                    if seen.insert(member.name.to_vec()) {
                        picked.push(owned(member));
                    }
                });
            }
        }
    }
    Ok(picked)
}

/// Replies with a cursor and some members, in a hash each with its value. Options are read only where there is something to scan, as
/// Redis does it.
pub(super) fn scan(data: &mut Data<'_>, call: &Call<'_>, kind: Kind, own_word: &str, reply: &mut Reply) -> Outcome {
    let cursor = parse_cursor(call.arg(2)).ok_or(Failure::fixed("ERR invalid cursor"))?;
    let at = data.locate(&call.key(0));
    let mut found = Reply::new(reply.protocol());
    let (mut count, mut next) = (0, 0);
    if let Some(view) = data.map(&at, kind)? {
        let options = ScanOptions::parse(call, 3, own_word)?;
        reply.expect(view.len().min(options.count as u64))?;
        next = view.scan(cursor, options.count, &mut |Member { name, value, .. }| {
            if options.matches(name) {
                found.bulk(name);
                count += 1;
                if kind != Kind::Set && !options.no_values {
                    match value.as_slice().filter(|_| kind == Kind::SortedSet) {
                        Some(score) => found.bulk(score_text(score).as_bytes()),
                        None => found.value(&value),
                    }
                    count += 1;
                }
            }
        });
    }
    reply.expect_bytes(found.len() as u64)?;
    reply.array(2);
    reply.bulk(itoa::Buffer::new().format(next).as_bytes());
    reply.array(count);
    reply.raw(found.as_bytes());
    Ok(())
}

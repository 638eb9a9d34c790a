//! Sorted sets.

mod combine;
mod pop;
mod range;

use std::collections::HashMap;

use smallvec::SmallVec;

use super::collection::{self, check_name};
use super::float;
use crate::arena::Arena;
use crate::engine::call::{Call, Failure, Outcome, Protocol, Reply, double_text, is};
use crate::engine::{Data, sizes};
use crate::keyspace::Located;
use crate::types::sorted_set::{SortedChange, SortedForm};
use crate::value::{Kind, Score, SortedView};

pub(crate) use combine::{zdiff, zdiffstore, zinter, zintercard, zinterstore, zunion, zunionstore};
pub(crate) use pop::{BZMPOP, BZPOPMAX, BZPOPMIN, zmpop, zpopmax, zpopmin, zrandmember};
pub(crate) use range::{
    zcount, zlexcount, zrange, zrangebylex, zrangebyscore, zrangestore, zremrangebylex, zremrangebyrank,
    zremrangebyscore, zrevrange, zrevrangebylex, zrevrangebyscore,
};

type FoundSorted<'a> = Option<SortedView<'a, Arena>>;

const NAN: Failure = Failure::fixed("ERR resulting score is not a number (NaN)");

fn len(view: &FoundSorted<'_>) -> u64 {
    view.as_ref().map_or(0, SortedView::len)
}

/// Members with scores, as a change takes them.
pub(super) struct Items {
    strings: Vec<Vec<u8>>,
}

impl Items {
    pub(super) fn new<'n>(members: impl Iterator<Item = (&'n [u8], Score)>) -> Items {
        Items { strings: members.flat_map(|(name, score)| [name.to_vec(), score.to_bytes().to_vec()]).collect() }
    }

    fn slices(&self) -> Vec<&[u8]> {
        self.strings.iter().map(Vec::as_slice).collect()
    }
}

/// The form of a sorted set that members are added to; `items` are those, each followed by its score.
pub(super) fn form_with(data: &Data<'_>, view: &FoundSorted<'_>, items: &[&[u8]]) -> SortedForm {
    let value_max = data.size(sizes::SORTED_VALUE);
    let names = || items.iter().step_by(2).copied();
    let large = view.as_ref().is_some_and(SortedView::is_large);
    let map = view.as_ref().map(SortedView::as_map);
    let fits = || {
        names().all(|name| name.len() <= value_max)
            && collection::count_with(map.as_ref(), names(), data.size(sizes::SORTED_ENTRIES))
            && SortedForm::Packed.has_room(view.as_ref(), names())
    };
    if large || !fits() { SortedForm::Large } else { SortedForm::Packed }
}

/// Replaces what the key holds by these members, or deletes it if there is none; returns how many there are.
pub(super) fn store(data: &mut Data<'_>, at: &mut Located<'_>, items: &Items) -> Result<u64, Failure> {
    let items = items.slices();
    if items.is_empty() {
        if data.exists(at) {
            data.change(at, crate::effect::KeyChange::Del)?;
        }
        return Ok(0);
    }
    let form = form_with(data, &None, &items);
    data.change(at, SortedChange::Store { form, items: items.as_slice().into() })?;
    Ok(items.len() as u64 / 2)
}

/// What ZADD asks for beside scores and members.
#[derive(Default)]
pub(super) struct AddOptions {
    only_new: bool,
    only_present: bool,
    only_greater: bool,
    only_less: bool,
    count_changed: bool,
    increment: bool,
}

impl AddOptions {
    /// The options, and the argument behind the last one.
    fn parse(call: &Call<'_>) -> (AddOptions, usize) {
        let mut add = AddOptions::default();
        let mut at = 2;
        while call.args().get(at).is_some_and(|word| add.set(word)) {
            at += 1;
        }
        (add, at)
    }

    /// Sets the option that a word names; false if it names none.
    pub(super) fn set(&mut self, word: &[u8]) -> bool {
        let option = match () {
            () if is(word, "NX") => &mut self.only_new,
            () if is(word, "XX") => &mut self.only_present,
            () if is(word, "GT") => &mut self.only_greater,
            () if is(word, "LT") => &mut self.only_less,
            () if is(word, "CH") => &mut self.count_changed,
            () if is(word, "INCR") => &mut self.increment,
            () => return false,
        };
        *option = true;
        true
    }

    /// Whether no member can be both.
    pub(super) fn contradict(&self) -> bool {
        self.only_new && self.only_present
    }

    fn check(&self, pairs: &[&[u8]]) -> Outcome {
        if pairs.is_empty() || !pairs.len().is_multiple_of(2) {
            return Err(Failure::SYNTAX);
        }
        if self.contradict() {
            return Err(Failure::fixed("ERR XX and NX options at the same time are not compatible"));
        }
        if (self.only_new && (self.only_greater || self.only_less)) || (self.only_greater && self.only_less) {
            let text = "ERR GT, LT, and/or NX options at the same time are not compatible";
            return Err(Failure::fixed(text));
        }
        if self.increment && pairs.len() > 2 {
            return Err(Failure::fixed("ERR INCR option supports a single increment-element pair"));
        }
        Ok(())
    }

    /// The score that a member has then; `None`: it stays as it is.
    fn decide(&self, old: Option<Score>, score: f64) -> Result<Option<Score>, Failure> {
        let Some(old) = old else {
            return if self.only_present { Ok(None) } else { Score::new(score).ok_or(NAN).map(Some) };
        };
        if self.only_new {
            return Ok(None);
        }
        let new = Score::new(if self.increment { old.get() + score } else { score }).ok_or(NAN)?;
        let order = new.cmp(&old);
        let refused = (self.only_greater && !order.is_gt()) || (self.only_less && !order.is_lt());
        Ok(if refused { None } else { Some(new) })
    }
}

pub(crate) fn zadd(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let (options, first) = AddOptions::parse(call);
    add_pairs(data, call, &options, &call.args()[first..], reply)
}

pub(crate) fn zincrby(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let options = AddOptions { increment: true, ..AddOptions::default() };
    add_pairs(data, call, &options, &call.args()[2..], reply)
}

fn add_pairs(
    data: &mut Data<'_>,
    call: &Call<'_>,
    options: &AddOptions,
    pairs: &[&[u8]],
    reply: &mut Reply,
) -> Outcome {
    options.check(pairs)?;
    let mut members: SmallVec<[(f64, &[u8]); 4]> = SmallVec::new();
    for [score, name] in pairs.as_chunks::<2>().0 {
        members.push((float::parse(score).ok_or(Failure::NOT_A_FLOAT)?, name));
    }
    add(data, call, options, &members, reply)
}

/// Adds members with scores to the sorted set at the first key, and replies.
pub(super) fn add(
    data: &mut Data<'_>,
    call: &Call<'_>,
    options: &AddOptions,
    members: &[(f64, &[u8])],
    reply: &mut Reply,
) -> Outcome {
    members.iter().try_for_each(|(_, name)| check_name(name))?;
    let mut at = data.locate(&call.key(0));
    data.see(&at);
    let view = data.sorted_again(&at)?;
    // A member may be there twice: what the first one has done counts.
    let mut changed: SmallVec<[(&[u8], Score); 4]> = SmallVec::new();
    let mut places: Option<HashMap<&[u8], usize>> = (members.len() > 1).then(HashMap::new);
    let (mut added, mut updated, mut last) = (0, 0, None);
    for (score, name) in members.iter().copied() {
        let place = places.as_ref().and_then(|places| places.get(name).copied());
        let old = match place {
            Some(place) => Some(changed[place].1),
            None => view.as_ref().and_then(|view| view.score(name)),
        };
        last = options.decide(old, score)?;
        let Some(new) = last.filter(|new| old.is_none_or(|old| old != *new)) else { continue };
        (added, updated) = if old.is_none() { (added + 1, updated) } else { (added, updated + 1) };
        match place {
            Some(place) => changed[place].1 = new,
            None => {
                places.iter_mut().for_each(|places| _ = places.insert(name, changed.len()));
                changed.push((name, new));
            }
        }
    }
    if !changed.is_empty() {
        let mut scores: SmallVec<[[u8; 8]; 4]> = SmallVec::new();
        changed.iter().for_each(|(_, score)| scores.push(score.to_bytes()));
        let mut items: SmallVec<[&[u8]; 8]> = SmallVec::new();
        for ((name, _), score) in changed.iter().zip(&scores) {
            items.push(name);
            items.push(score);
        }
        let (exists, form) = (view.is_some(), form_with(data, &view, &items));
        data.change(&mut at, SortedChange::add(exists, form, items.as_slice().into()))?;
    }
    match (options.increment, last) {
        (true, Some(score)) => reply.double(score.get()),
        (true, None) => reply.null(),
        _ => reply.count(added + if options.count_changed { updated } else { 0 }),
    }
    Ok(())
}

pub(crate) fn zrem(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let (mut at, names) = (data.locate(&call.key(0)), &call.args()[2..]);
    let view = data.sorted(&at)?;
    let before = len(&view);
    let there = view.is_some_and(|view| names.iter().any(|name| view.score(name).is_some()));
    if there {
        data.change(&mut at, SortedChange::Remove { names: names.into() })?;
    }
    let after = if there { len(&data.sorted_again(&at)?) } else { before };
    reply.count(before - after);
    Ok(())
}

pub(crate) fn zcard(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let at = data.locate(&call.key(0));
    reply.count(len(&data.sorted(&at)?));
    Ok(())
}

fn write_score(score: Option<Score>, reply: &mut Reply) {
    match score {
        Some(score) => reply.double(score.get()),
        None => reply.null(),
    }
}

pub(crate) fn zscore(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let at = data.locate(&call.key(0));
    write_score(data.sorted(&at)?.and_then(|view| view.score(call.arg(2))), reply);
    Ok(())
}

pub(crate) fn zmscore(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let at = data.locate(&call.key(0));
    let view = data.sorted(&at)?;
    reply.array(call.args().len() - 2);
    for name in &call.args()[2..] {
        write_score(view.as_ref().and_then(|view| view.score(name)), reply);
    }
    Ok(())
}

pub(crate) fn zrank(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    rank(data, call, false, reply)
}

pub(crate) fn zrevrank(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    rank(data, call, true, reply)
}

fn rank(data: &mut Data<'_>, call: &Call<'_>, from_end: bool, reply: &mut Reply) -> Outcome {
    let with_score = match &call.args()[3..] {
        [] => false,
        [word] if is(word, "WITHSCORE") => true,
        _ => return Err(Failure::SYNTAX),
    };
    let at = data.locate(&call.key(0));
    let found = data.sorted(&at)?.and_then(|view| {
        let (rank, score) = view.rank(call.arg(2))?;
        Some((if from_end { view.len() - 1 - rank } else { rank }, score))
    });
    match found {
        Some((rank, score)) => {
            if with_score {
                reply.array(2);
            }
            reply.count(rank);
            if with_score {
                reply.double(score.get());
            }
        }
        None if with_score => reply.null_array(),
        None => reply.null(),
    }
    Ok(())
}

pub(crate) fn zscan(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    collection::scan(data, call, Kind::SortedSet, "", reply)
}

/// Writes members, each with its score if asked for: in the newer protocol as pairs, in the older one behind each other.
struct Members {
    with_scores: bool,
    nested: bool,
}

impl Members {
    fn new(with_scores: bool, reply: &Reply) -> Members {
        Members { with_scores, nested: with_scores && reply.protocol() == Protocol::Resp3 }
    }

    fn start(&self, count: u64, reply: &mut Reply) {
        reply.array(if self.with_scores && !self.nested { 2 * count } else { count } as usize);
    }

    fn write(&self, name: &[u8], score: Score, reply: &mut Reply) {
        if self.nested {
            reply.array(2);
        }
        reply.bulk(name);
        if self.with_scores {
            reply.double(score.get());
        }
    }
}

/// The text of a score where it is a string among others.
pub(super) fn score_text(bytes: &[u8]) -> String {
    Score::from_bytes(bytes).map_or_else(String::new, |score| double_text(score.get()))
}

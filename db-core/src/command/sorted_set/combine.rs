//! What is made of several sets and sorted sets.

use std::collections::HashMap;

use super::{Items, Members, store};
use crate::arena::Arena;
use crate::command::collection::SetOperation;
use crate::command::float;
use crate::engine::Data;
use crate::engine::call::number::parse_i64;
use crate::engine::call::{Call, Failure, Outcome, Reply, is};
use crate::keyspace::Located;
use crate::value::{Kind, MapView, Score, SortedView};

/// How scores of one member become one.
#[derive(Clone, Copy)]
enum Aggregate {
    Sum,
    Min,
    Max,
}

impl Aggregate {
    fn of(self, a: f64, b: f64) -> f64 {
        match self {
            // Infinities of both signs add up to 0.
            Aggregate::Sum => zero_if_nan(a + b),
            Aggregate::Min if b < a => b,
            Aggregate::Max if b > a => b,
            Aggregate::Min | Aggregate::Max => a,
        }
    }
}

fn zero_if_nan(value: f64) -> f64 {
    if value.is_nan() { 0.0 } else { value }
}

/// A set, whose members all have score 1, or a sorted set.
enum Input<'a> {
    Set(MapView<'a, Arena>),
    Sorted(SortedView<'a, Arena>),
}

impl Input<'_> {
    fn len(&self) -> u64 {
        match self {
            Input::Set(set) => set.len(),
            Input::Sorted(sorted) => sorted.len(),
        }
    }

    fn score(&self, name: &[u8]) -> Option<f64> {
        match self {
            Input::Set(set) => set.contains(name).then_some(1.0),
            Input::Sorted(sorted) => sorted.score(name).map(Score::get),
        }
    }

    fn each(&self, visit: &mut dyn FnMut(&[u8], f64)) {
        match self {
            Input::Set(set) => set.each(&mut |member| visit(member.name, 1.0)),
            Input::Sorted(sorted) => sorted.each_from(0, &mut |name, score| {
                visit(name, score.get());
                true
            }),
        }
    }
}

/// What is there of each key; the keys are noted as looked at.
fn inputs<'d>(data: &'d mut Data<'_>, sets: &[Located<'_>]) -> Result<Vec<Option<Input<'d>>>, Failure> {
    for at in sets {
        // Of which type it is matters below.
        let _ = data.sorted(at);
    }
    let data = &*data;
    let input = |at: &Located<'_>| match data.map_again(at, Kind::Set) {
        Ok(set) => Ok(set.map(Input::Set)),
        Err(_) => Ok(data.sorted_again(at)?.map(Input::Sorted)),
    };
    sets.iter().map(input).collect()
}

/// What a command asks for beside its keys.
struct CombineOptions {
    weights: Vec<f64>,
    aggregate: Aggregate,
    with_scores: bool,
    limit: u64,
}

/// The options that a command takes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kinds {
    /// It shows members.
    Shows,
    /// It stores them.
    Stores,
    /// It counts them.
    Counts,
}

impl CombineOptions {
    /// The options behind `keys` keys, whose number is the argument at `at`.
    fn parse(
        call: &Call<'_>,
        at: usize,
        keys: usize,
        operation: SetOperation,
        kinds: Kinds,
    ) -> Result<CombineOptions, Failure> {
        let mut query =
            CombineOptions { weights: vec![1.0; keys], aggregate: Aggregate::Sum, with_scores: false, limit: 0 };
        let combines = operation != SetOperation::Diff && kinds != Kinds::Counts;
        let mut options = call.options(at + 1 + keys);
        while let Some(word) = options.word() {
            if is(word, "WEIGHTS") && combines {
                let given: Vec<&[u8]> = (0..keys).map(|_| options.value()).collect::<Result<_, _>>()?;
                for (weight, given) in query.weights.iter_mut().zip(given) {
                    *weight = float::parse(given).ok_or(Failure::fixed("ERR weight value is not a float"))?;
                }
            } else if is(word, "AGGREGATE") && combines {
                query.aggregate = match options.value()? {
                    word if is(word, "SUM") => Aggregate::Sum,
                    word if is(word, "MIN") => Aggregate::Min,
                    word if is(word, "MAX") => Aggregate::Max,
                    _ => return Err(Failure::SYNTAX),
                };
            } else if is(word, "WITHSCORES") && kinds == Kinds::Shows {
                query.with_scores = true;
            } else if is(word, "LIMIT") && kinds == Kinds::Counts {
                let limit = parse_i64(options.value()?).and_then(|limit| u64::try_from(limit).ok());
                query.limit = limit.ok_or(Failure::fixed("ERR LIMIT can't be negative"))?;
            } else {
                return Err(Failure::SYNTAX);
            }
        }
        Ok(query)
    }
}

/// Members with their scores, in the order of (score, member).
type Scored = Vec<(Vec<u8>, Score)>;

/// The number of keys, which is the argument at `at`.
fn key_count(call: &Call<'_>, at: usize) -> Result<usize, Failure> {
    let keys = parse_i64(call.arg(at)).ok_or(Failure::NOT_AN_INTEGER)?;
    let keys = usize::try_from(keys).ok().filter(|keys| *keys > 0).ok_or_else(|| {
        Failure::owned(format!("ERR at least 1 input key is needed for '{}' command", call.spec.name))
    })?;
    if keys > call.args().len() - at - 1 { Err(Failure::SYNTAX) } else { Ok(keys) }
}

/// Combines the keys whose number is the argument at `at`. `admit` is asked whether so many members may be looked at.
fn combine(
    data: &mut Data<'_>,
    call: &Call<'_>,
    at: usize,
    operation: SetOperation,
    kinds: Kinds,
    admit: impl FnOnce(u64) -> Outcome,
) -> Result<(Scored, CombineOptions), Failure> {
    let keys = key_count(call, at)?;
    let sets: Vec<Located<'_>> = call.keys().skip(at - 1).map(|key| data.locate(&key)).collect();
    let inputs = inputs(data, &sets)?;
    let query = CombineOptions::parse(call, at, keys, operation, kinds)?;
    admit(operation.looks_at(inputs.iter().map(|input| input.as_ref().map_or(0, Input::len))))?;
    let mut weighted: Vec<(Option<Input<'_>>, f64)> = inputs.into_iter().zip(query.weights.iter().copied()).collect();
    if operation != SetOperation::Diff {
        // Scores are added up in this order.
        weighted.sort_by_key(|(input, _)| input.as_ref().map_or(0, Input::len));
    }
    let mut found: Vec<(Vec<u8>, f64)> = Vec::new();
    match operation {
        SetOperation::Union => {
            let mut places: HashMap<Vec<u8>, usize> = HashMap::new();
            for (input, weight) in weighted.iter().filter_map(|(input, weight)| Some((input.as_ref()?, weight))) {
                input.each(&mut |name, score| {
                    let score = zero_if_nan(score * weight);
                    match places.get(name) {
                        Some(place) => found[*place].1 = query.aggregate.of(found[*place].1, score),
                        None => {
                            places.insert(name.to_vec(), found.len());
                            found.push((name.to_vec(), score));
                        }
                    }
                });
            }
        }
        SetOperation::Inter => {
            if let [(Some(first), weight), others @ ..] = weighted.as_slice() {
                first.each(&mut |name, score| {
                    if query.limit > 0 && found.len() as u64 >= query.limit {
                        return;
                    }
                    let start = zero_if_nan(score * weight);
                    let all = others.iter().try_fold(start, |sum, (other, weight)| {
                        let score = other.as_ref()?.score(name)?;
                        Some(query.aggregate.of(sum, score * weight))
                    });
                    found.extend(all.map(|score| (name.to_vec(), score)));
                });
            }
        }
        SetOperation::Diff => {
            if let [(Some(first), _), others @ ..] = weighted.as_slice() {
                first.each(&mut |name, score| {
                    let other = others.iter().filter_map(|(other, _)| other.as_ref());
                    if other.clone().all(|other| other.score(name).is_none()) {
                        found.push((name.to_vec(), score));
                    }
                });
            }
        }
    }
    let mut found: Scored = found.into_iter().filter_map(|(name, score)| Some((name, Score::new(score)?))).collect();
    found.sort_by(|a, b| a.1.cmp(&b.1).then_with(|| a.0.cmp(&b.0)));
    Ok((found, query))
}

fn show(data: &mut Data<'_>, call: &Call<'_>, operation: SetOperation, reply: &mut Reply) -> Outcome {
    let (found, query) = combine(data, call, 1, operation, Kinds::Shows, |members| reply.expect(members))?;
    let members = Members::new(query.with_scores, reply);
    members.start(found.len() as u64, reply);
    found.iter().for_each(|(name, score)| members.write(name, *score, reply));
    Ok(())
}

fn store_all(data: &mut Data<'_>, call: &Call<'_>, operation: SetOperation, reply: &mut Reply) -> Outcome {
    let (found, _) = combine(data, call, 2, operation, Kinds::Stores, |_| Ok(()))?;
    let items = Items::new(found.iter().map(|(name, score)| (name.as_slice(), *score)));
    reply.count(store(data, &mut data.locate(&call.key(0)), &items)?);
    Ok(())
}

pub(crate) fn zunion(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    show(data, call, SetOperation::Union, reply)
}

pub(crate) fn zinter(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    show(data, call, SetOperation::Inter, reply)
}

pub(crate) fn zdiff(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    show(data, call, SetOperation::Diff, reply)
}

pub(crate) fn zunionstore(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    store_all(data, call, SetOperation::Union, reply)
}

pub(crate) fn zinterstore(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    store_all(data, call, SetOperation::Inter, reply)
}

pub(crate) fn zdiffstore(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    store_all(data, call, SetOperation::Diff, reply)
}

pub(crate) fn zintercard(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let admit = |members| reply.expect(members);
    let (found, _) = combine(data, call, 1, SetOperation::Inter, Kinds::Counts, admit)?;
    reply.count(found.len() as u64);
    Ok(())
}

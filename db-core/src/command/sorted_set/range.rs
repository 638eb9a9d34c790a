//! Ranges of sorted sets: by rank, by score, and by member where all have one score.

use super::{Items, Members, len, store};
use crate::arena::Arena;
use crate::command::{float, list};
use crate::engine::Data;
use crate::engine::call::number::parse_i64;
use crate::engine::call::{Call, Failure, Outcome, Reply, is};
use crate::types::sorted_set::SortedChange;
use crate::value::{Bound, Score, SortedView};

/// By what a range is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Rank,
    Score,
    Lex,
}

/// A range as arguments give it.
enum Range<'a> {
    Rank(i64, i64),
    /// Bounds between which the range is.
    Between(Edge<'a>, Edge<'a>),
}

/// An end of a range.
enum Edge<'a> {
    Start,
    At(Bound<'a>),
    End,
}

impl Edge<'_> {
    /// How many members are before it.
    fn rank(&self, view: &SortedView<'_, Arena>) -> u64 {
        match self {
            Edge::Start => 0,
            Edge::At(bound) => view.count_before(*bound),
            Edge::End => view.len(),
        }
    }
}

impl<'a> Range<'a> {
    fn parse(by: By, min: &'a [u8], max: &'a [u8]) -> Result<Range<'a>, Failure> {
        Ok(match by {
            By::Rank => {
                let number = |arg: &[u8]| parse_i64(arg).ok_or(Failure::NOT_AN_INTEGER);
                Range::Rank(number(min)?, number(max)?)
            }
            By::Score => {
                let (min, max) = (score(min)?, score(max)?);
                let from = if min.1 { Bound::BehindScore(min.0) } else { Bound::BeforeScore(min.0) };
                let to = if max.1 { Bound::BeforeScore(max.0) } else { Bound::BehindScore(max.0) };
                Range::Between(Edge::At(from), Edge::At(to))
            }
            By::Lex => {
                let edge = |arg: &'a [u8], is_max: bool| {
                    Ok(match arg {
                        b"-" => Edge::Start,
                        b"+" => Edge::End,
                        [b'[', name @ ..] if is_max => Edge::At(Bound::BehindMember(name)),
                        [b'[', name @ ..] => Edge::At(Bound::BeforeMember(name)),
                        [b'(', name @ ..] if is_max => Edge::At(Bound::BeforeMember(name)),
                        [b'(', name @ ..] => Edge::At(Bound::BehindMember(name)),
                        _ => return Err(Failure::fixed("ERR min or max not valid string range item")),
                    })
                };
                Range::Between(edge(min, false)?, edge(max, true)?)
            }
        })
    }

    /// The ranks that it is: the first one, and that behind the last one. `from_end`: ranks are counted from the highest score.
    fn ranks(&self, view: &SortedView<'_, Arena>, from_end: bool) -> (u64, u64) {
        let len = view.len();
        match self {
            Range::Rank(start, stop) => {
                let range = list::range(*start, *stop, len);
                if from_end && !range.is_empty() {
                    (len - range.end, len - range.start)
                } else {
                    (range.start, range.end)
                }
            }
            Range::Between(from, to) => {
                let (from, to) = (from.rank(view), to.rank(view));
                (from, to.max(from))
            }
        }
    }
}

/// A score of a range, and whether it is outside of it.
fn score(arg: &[u8]) -> Result<(Score, bool), Failure> {
    let (text, outside) = match arg {
        [b'(', text @ ..] => (text, true),
        text => (text, false),
    };
    let score = float::parse_bound(text).and_then(Score::new);
    score.map(|score| (score, outside)).ok_or(Failure::fixed("ERR min or max is not a float"))
}

/// What a range command asks for.
struct RangeQuery<'a> {
    range: Range<'a>,
    from_end: bool,
    with_scores: bool,
    /// Members that are passed and those that are taken; negative: none, all.
    limit: Option<(i64, i64)>,
}

impl<'a> RangeQuery<'a> {
    /// The query whose bounds are the arguments `first` and the one behind it. What the command itself does not say, options do.
    fn parse(
        call: &Call<'a>,
        first: usize,
        by: Option<By>,
        direction: Option<bool>,
        stores: bool,
    ) -> Result<RangeQuery<'a>, Failure> {
        let (mut found_by, mut from_end, mut with_scores, mut limit) = (by, direction, false, None);
        let mut options = call.options(first + 2);
        while let Some(word) = options.word() {
            if is(word, "WITHSCORES") && !stores {
                with_scores = true;
            } else if is(word, "LIMIT") {
                let (offset, count) = (options.value()?, options.value()?);
                let number = |arg| parse_i64(arg).ok_or(Failure::NOT_AN_INTEGER);
                limit = Some((number(offset)?, number(count)?));
            } else if is(word, "REV") && direction.is_none() {
                from_end = Some(true);
            } else if is(word, "BYLEX") && by.is_none() {
                found_by = Some(By::Lex);
            } else if is(word, "BYSCORE") && by.is_none() {
                found_by = Some(By::Score);
            } else {
                return Err(Failure::SYNTAX);
            }
        }
        let (by, from_end) = (found_by.unwrap_or(By::Rank), from_end.unwrap_or(false));
        // Redis takes a count of -1 for none.
        if limit.is_some_and(|(_, count)| count != -1) && by == By::Rank {
            return Err(Failure::fixed(
                "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
            ));
        }
        if with_scores && by == By::Lex {
            return Err(Failure::fixed("ERR syntax error, WITHSCORES not supported in combination with BYLEX"));
        }
        let (mut min, mut max) = (call.arg(first), call.arg(first + 1));
        if from_end && by != By::Rank {
            (min, max) = (max, min);
        }
        let limit = limit.filter(|_| by != By::Rank);
        Ok(RangeQuery { range: Range::parse(by, min, max)?, from_end, with_scores, limit })
    }

    /// The ranks that are shown.
    fn ranks(&self, view: &SortedView<'_, Arena>) -> (u64, u64) {
        let (mut from, mut to) = self.range.ranks(view, self.from_end);
        if let Some((offset, count)) = self.limit {
            // A negative offset passes everything.
            let offset = u64::try_from(offset).unwrap_or(u64::MAX);
            let count = u64::try_from(count).unwrap_or(u64::MAX);
            if self.from_end {
                to = to.saturating_sub(offset).max(from);
                from = from.max(to.saturating_sub(count));
            } else {
                from = from.saturating_add(offset).min(to);
                to = to.min(from.saturating_add(count));
            }
        }
        (from, to)
    }

    /// Visits the members that are shown, in their order.
    fn each<'v>(&self, view: &SortedView<'v, Arena>, visit: &mut dyn FnMut(&'v [u8], Score)) {
        let (from, to) = self.ranks(view);
        let mut left = to - from;
        let mut some = |name: &'v [u8], score| {
            visit(name, score);
            left -= 1;
            left > 0
        };
        if from == to {
        } else if self.from_end {
            view.each_back_from(to, &mut some);
        } else {
            view.each_from(from, &mut some);
        }
    }
}

fn show(data: &mut Data<'_>, call: &Call<'_>, by: Option<By>, direction: Option<bool>, reply: &mut Reply) -> Outcome {
    let query = RangeQuery::parse(call, 2, by, direction, false)?;
    let at = data.locate(&call.key(0));
    let Some(view) = data.sorted(&at)? else {
        reply.array(0);
        return Ok(());
    };
    let (from, to) = query.ranks(&view);
    reply.expect(to - from)?;
    let members = Members::new(query.with_scores, reply);
    members.start(to - from, reply);
    query.each(&view, &mut |name, score| members.write(name, score, reply));
    Ok(())
}

pub(crate) fn zrange(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    show(data, call, None, None, reply)
}

pub(crate) fn zrevrange(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    show(data, call, Some(By::Rank), Some(true), reply)
}

pub(crate) fn zrangebyscore(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    show(data, call, Some(By::Score), Some(false), reply)
}

pub(crate) fn zrevrangebyscore(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    show(data, call, Some(By::Score), Some(true), reply)
}

pub(crate) fn zrangebylex(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    show(data, call, Some(By::Lex), Some(false), reply)
}

pub(crate) fn zrevrangebylex(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    show(data, call, Some(By::Lex), Some(true), reply)
}

pub(crate) fn zrangestore(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let query = RangeQuery::parse(call, 3, None, None, true)?;
    let mut found = Vec::new();
    if let Some(view) = data.sorted(&data.locate(&call.key(1)))? {
        query.each(&view, &mut |name, score| found.push((name, score)));
    }
    let items = Items::new(found.into_iter());
    reply.count(store(data, &mut data.locate(&call.key(0)), &items)?);
    Ok(())
}

pub(crate) fn zcount(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    count(data, call, By::Score, reply)
}

pub(crate) fn zlexcount(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    count(data, call, By::Lex, reply)
}

fn count(data: &mut Data<'_>, call: &Call<'_>, by: By, reply: &mut Reply) -> Outcome {
    let range = Range::parse(by, call.arg(2), call.arg(3))?;
    let at = data.locate(&call.key(0));
    let (from, to) = data.sorted(&at)?.map_or((0, 0), |view| range.ranks(&view, false));
    reply.count(to - from);
    Ok(())
}

pub(crate) fn zremrangebyrank(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    remove(data, call, By::Rank, reply)
}

pub(crate) fn zremrangebyscore(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    remove(data, call, By::Score, reply)
}

pub(crate) fn zremrangebylex(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    remove(data, call, By::Lex, reply)
}

fn remove(data: &mut Data<'_>, call: &Call<'_>, by: By, reply: &mut Reply) -> Outcome {
    let range = Range::parse(by, call.arg(2), call.arg(3))?;
    let mut at = data.locate(&call.key(0));
    let view = data.sorted(&at)?;
    debug_assert!(view.is_none() || len(&view) > 0, "a sorted set that is kept has members");
    let (from, to) = view.map_or((0, 0), |view| range.ranks(&view, false));
    if to > from {
        data.change(&mut at, SortedChange::Cut { rank: from, count: to - from })?;
    }
    reply.count(to - from);
    Ok(())
}

//! Lists.

mod position;

use super::collection;
use super::timeout::timeout;
use crate::arena::Arena;
use crate::effect::{Change, Strings};
use crate::engine::call::number::parse_i64;
use crate::engine::call::{Block, Blocking, Call, Failure, Outcome, Reply, is};
use crate::engine::{Data, sizes};
use crate::keyspace::{Key, Located};
use crate::types::list::{End, ListChange, ListForm};
use crate::value::{Kind, ListView, ValueView};

pub(crate) use position::lpos;

type FoundList<'a> = Option<ListView<'a, Arena>>;

const INDEX_OUT_OF_RANGE: Failure = Failure::fixed("ERR index out of range");
const OUT_OF_RANGE: Failure = Failure::fixed("ERR value is out of range, must be positive");

/// The form of a list that elements are added to.
pub(super) fn form_with<'e>(
    data: &Data<'_>,
    view: &FoundList<'_>,
    elements: impl ExactSizeIterator<Item = &'e [u8]>,
) -> ListForm {
    let max = data.size(sizes::LIST_ELEMENTS);
    let many = max > 0 && len(view) + elements.len() as u64 > max as u64;
    if many || view.as_ref().is_some_and(ListView::is_large) || !ListForm::Packed.has_room(view.as_ref(), elements) {
        ListForm::Tree
    } else {
        ListForm::Packed
    }
}

fn len(view: &FoundList<'_>) -> u64 {
    view.as_ref().map_or(0, ListView::len)
}

/// Whether `end` is the left one, as an argument says.
fn end(arg: &[u8]) -> Result<End, Failure> {
    if is(arg, "LEFT") {
        Ok(End::Left)
    } else if is(arg, "RIGHT") {
        Ok(End::Right)
    } else {
        Err(Failure::SYNTAX)
    }
}

fn push(data: &mut Data<'_>, call: &Call<'_>, end: End, only_if_present: bool, reply: &mut Reply) -> Outcome {
    let (mut at, elements) = (data.locate(&call.key(0)), &call.args()[2..]);
    data.see(&at);
    let view = data.list_again(&at)?;
    let there = len(&view);
    if view.is_none() && only_if_present {
        reply.int(0);
        return Ok(());
    }
    let exists = view.is_some();
    let form = form_with(data, &view, elements.iter().copied());
    add(data, &mut at, exists, form, end, elements)?;
    reply.count(there + elements.len() as u64);
    Ok(())
}

fn add(
    data: &mut Data<'_>,
    at: &mut Located<'_>,
    exists: bool,
    form: ListForm,
    end: End,
    elements: &[&[u8]],
) -> Outcome {
    if exists || end == End::Right || elements.len() == 1 {
        return data.change(at, ListChange::add(exists, form, end, elements.into()));
    }
    // A new list has them in the order in which it is stored.
    let reversed: Vec<&[u8]> = elements.iter().rev().copied().collect();
    data.change(at, ListChange::Store { form, elements: reversed.as_slice().into() })
}

pub(crate) fn lpush(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    push(data, call, End::Left, false, reply)
}

pub(crate) fn rpush(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    push(data, call, End::Right, false, reply)
}

pub(crate) fn lpushx(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    push(data, call, End::Left, true, reply)
}

pub(crate) fn rpushx(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    push(data, call, End::Right, true, reply)
}

/// Writes up to `count` elements from an end on, that one first; returns which part of the list they are.
fn write_from(view: &ListView<'_, Arena>, end: End, count: u64, reply: &mut Reply) -> (u64, u64) {
    let (len, mut left) = (view.len(), count.min(view.len()));
    let taken = left;
    let mut write = |value: ValueView<'_>| {
        if left > 0 {
            reply.value(&value);
            left -= 1;
        }
        left > 0
    };
    match end {
        End::Left => view.each_from(0, &mut write),
        End::Right => view.each_back_from(len, &mut write),
    }
    (if end == End::Left { 0 } else { len - taken }, taken)
}

fn pop(data: &mut Data<'_>, call: &Call<'_>, end: End, reply: &mut Reply) -> Outcome {
    let mut at = data.locate(&call.key(0));
    let count = match &call.args()[2..] {
        [] => None,
        [count] => Some(parse_i64(count).and_then(|count| u64::try_from(count).ok()).ok_or(OUT_OF_RANGE)?),
        _ => return Err(Failure::arity(call.spec.name)),
    };
    let Some(view) = data.list(&at)? else {
        if count.is_some() {
            reply.null_array()
        } else {
            reply.null()
        }
        return Ok(());
    };
    if let Some(count) = count {
        reply.array(count.min(view.len()) as usize);
    }
    let part = match count {
        Some(0) => return Ok(()),
        count => write_from(&view, end, count.unwrap_or(1), reply),
    };
    data.change(&mut at, ListChange::Cut { cuts: [part].as_slice().into() })
}

pub(crate) fn lpop(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    pop(data, call, End::Left, reply)
}

pub(crate) fn rpop(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    pop(data, call, End::Right, reply)
}

pub(crate) fn lmpop(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let keys = collection::key_count(call, 1, Failure::SYNTAX)?;
    let (end, count) = end_and_count(call, 2 + keys)?;
    if !pop_first(data, call, end, count, reply)? {
        reply.null_array();
    }
    Ok(())
}

/// LEFT or RIGHT, and COUNT, from the argument `at` on.
fn end_and_count(call: &Call<'_>, at: usize) -> Result<(End, u64), Failure> {
    let end = end(call.args().get(at).ok_or(Failure::SYNTAX)?)?;
    Ok((end, collection::count_option(call, at + 1)?))
}

/// Pops from the first list that there is; false if there is none.
fn pop_first(data: &mut Data<'_>, call: &Call<'_>, end: End, count: u64, reply: &mut Reply) -> Result<bool, Failure> {
    for key in call.keys() {
        let mut at = data.locate(&key);
        let Some(view) = data.list(&at)? else { continue };
        reply.array(2);
        reply.bulk(key.bytes);
        reply.array(count.min(view.len()) as usize);
        let part = write_from(&view, end, count, reply);
        data.change(&mut at, ListChange::Cut { cuts: [part].as_slice().into() })?;
        return Ok(true);
    }
    Ok(false)
}

/// BLPOP and BRPOP.
macro_rules! blocking_pop {
    ($end:expr) => {
        Blocking {
            kind: Kind::List,
            minds_loss: false,
            fix: None,
            block: |call| Ok(Block::of_all_keys(timeout(call.arg(call.args().len() - 1))?)),
            run: |data, call, reply| {
                for key in call.keys() {
                    let mut at = data.locate(&key);
                    let Some(view) = data.list(&at)? else { continue };
                    reply.array(2);
                    reply.bulk(key.bytes);
                    let part = write_from(&view, $end, 1, reply);
                    data.change(&mut at, ListChange::Cut { cuts: [part].as_slice().into() })?;
                    return Ok(true);
                }
                Ok(false)
            },
        }
    };
}

pub(crate) static BLPOP: Blocking = blocking_pop!(End::Left);
pub(crate) static BRPOP: Blocking = blocking_pop!(End::Right);

pub(crate) static BLMPOP: Blocking = Blocking {
    kind: Kind::List,
    minds_loss: false,
    fix: None,
    block: |call| {
        let timeout = timeout(call.arg(1))?;
        end_and_count(call, 3 + collection::key_count(call, 2, Failure::SYNTAX)?)?;
        Ok(Block::of_all_keys(timeout))
    },
    run: |data, call, reply| {
        let (end, count) = end_and_count(call, 3 + collection::key_count(call, 2, Failure::SYNTAX)?)?;
        pop_first(data, call, end, count, reply)
    },
};

/// How a command waits that moves an element from its first key to its second one.
fn block_for_source(arg: &[u8]) -> Result<Block, Failure> {
    Ok(Block { keys: 1, at_once: |reply| reply.null(), ..Block::of_all_keys(timeout(arg)?) })
}

pub(crate) static BLMOVE: Blocking = Blocking {
    kind: Kind::List,
    minds_loss: false,
    fix: None,
    block: |call| {
        end(call.arg(3))?;
        end(call.arg(4))?;
        block_for_source(call.arg(5))
    },
    run: |data, call, reply| move_element(data, call, (end(call.arg(3))?, end(call.arg(4))?), reply),
};

pub(crate) static BRPOPLPUSH: Blocking = Blocking {
    kind: Kind::List,
    minds_loss: false,
    fix: None,
    block: |call| block_for_source(call.arg(3)),
    run: |data, call, reply| move_element(data, call, (End::Right, End::Left), reply),
};

pub(crate) fn llen(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let at = data.locate(&call.key(0));
    reply.count(len(&data.list(&at)?));
    Ok(())
}

/// The index that a number means, which counts from the end if it is negative.
fn index_of(number: i64, len: u64) -> Option<u64> {
    let index = if number < 0 { len.checked_sub(number.unsigned_abs())? } else { number.cast_unsigned() };
    Some(index).filter(|index| *index < len)
}

pub(crate) fn lindex(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let at = data.locate(&call.key(0));
    let Some(view) = data.list(&at)? else {
        reply.null();
        return Ok(());
    };
    match index_of(call.int(2)?, view.len()).and_then(|index| view.get(index)) {
        Some(value) => reply.value(&value),
        None => reply.null(),
    }
    Ok(())
}

/// The indexes from the first to the last one, both included, that two numbers mean.
pub(super) fn range(start: i64, stop: i64, len: u64) -> std::ops::Range<u64> {
    let len = len.cast_signed();
    let place = |number: i64| if number < 0 { number.saturating_add(len) } else { number };
    let (start, stop) = (place(start).max(0), place(stop).min(len - 1));
    if start > stop { 0..0 } else { start.cast_unsigned()..stop.cast_unsigned() + 1 }
}

pub(crate) fn lrange(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let (start, stop) = (call.int(2)?, call.int(3)?);
    let at = data.locate(&call.key(0));
    let view = data.list(&at)?;
    let range = range(start, stop, len(&view));
    let mut left = range.end - range.start;
    reply.expect(left)?;
    reply.array(left as usize);
    if let Some(view) = view.filter(|_| left > 0) {
        view.each_from(range.start, &mut |value| {
            reply.value(&value);
            left -= 1;
            left > 0
        });
    }
    Ok(())
}

pub(crate) fn ltrim(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let (start, stop) = (call.int(2)?, call.int(3)?);
    let mut at = data.locate(&call.key(0));
    if let Some(view) = data.list(&at)? {
        let len = view.len();
        let kept = range(start, stop, len);
        let cuts: Vec<(u64, u64)> = if kept.is_empty() {
            vec![(0, len)]
        } else {
            [(kept.end, len - kept.end), (0, kept.start)].into_iter().filter(|(_, count)| *count > 0).collect()
        };
        if !cuts.is_empty() {
            data.change(&mut at, ListChange::Cut { cuts: cuts.as_slice().into() })?;
        }
    }
    reply.ok();
    Ok(())
}

pub(crate) fn lset(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let (mut at, element) = (data.locate(&call.key(0)), call.arg(3));
    let view = data.list(&at)?;
    let Some(there) = view else { return Err(Failure::NO_SUCH_KEY) };
    let index = index_of(call.int(2)?, there.len()).ok_or(INDEX_OUT_OF_RANGE)?;
    let form = form_with(data, &data.list_again(&at)?, std::iter::once(element));
    data.change(&mut at, ListChange::Set { form, index, element })?;
    reply.ok();
    Ok(())
}

pub(crate) fn linsert(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let after = match call.arg(2) {
        word if is(word, "AFTER") => 1,
        word if is(word, "BEFORE") => 0,
        _ => return Err(Failure::SYNTAX),
    };
    let (mut at, pivot, element) = (data.locate(&call.key(0)), call.arg(3), call.arg(4));
    let view = data.list(&at)?;
    let Some(there) = view else {
        reply.int(0);
        return Ok(());
    };
    let (len, found) = (there.len(), there.find(pivot));
    let Some(index) = found.map(|index| index + after) else {
        reply.int(-1);
        return Ok(());
    };
    let form = form_with(data, &data.list_again(&at)?, std::iter::once(element));
    let elements = [element];
    let change = if index == len {
        ListChange::Push { form, end: End::Right, elements: elements.as_slice().into() }
    } else {
        ListChange::Insert { form, index, element }
    };
    data.change(&mut at, change)?;
    reply.count(len + 1);
    Ok(())
}

pub(crate) fn lrem(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let (mut at, count, element) = (data.locate(&call.key(0)), call.int(2)?, call.arg(3));
    let Some(view) = data.list(&at)? else {
        reply.int(0);
        return Ok(());
    };
    let max = if count == 0 { u64::MAX } else { count.unsigned_abs() };
    let mut found = Vec::new();
    let (mut index, step) = if count < 0 { (view.len().wrapping_sub(1), u64::MAX) } else { (0, 1) };
    let mut look = |value: ValueView<'_>| {
        if value.equals(element) {
            found.push(index);
        }
        index = index.wrapping_add(step);
        (found.len() as u64) < max
    };
    if count < 0 {
        view.each_back_from(view.len(), &mut look);
    } else {
        view.each_from(0, &mut look);
        found.reverse();
    }
    if !found.is_empty() {
        let mut cuts: Vec<(u64, u64)> = Vec::new();
        for index in &found {
            match cuts.last_mut() {
                Some((first, count)) if *first == index + 1 => (*first, *count) = (*index, *count + 1),
                _ => cuts.push((*index, 1)),
            }
        }
        data.change(&mut at, ListChange::Cut { cuts: cuts.as_slice().into() })?;
    }
    reply.count(found.len() as u64);
    Ok(())
}

pub(crate) fn lmove(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let ends = (end(call.arg(3))?, end(call.arg(4))?);
    if !move_element(data, call, ends, reply)? {
        reply.null();
    }
    Ok(())
}

pub(crate) fn rpoplpush(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    if !move_element(data, call, (End::Right, End::Left), reply)? {
        reply.null();
    }
    Ok(())
}

/// Moves an element from an end of one list to an end of another, perhaps the same one; false if there is none.
fn move_element(
    data: &mut Data<'_>,
    call: &Call<'_>,
    (from_end, to_end): (End, End),
    reply: &mut Reply,
) -> Result<bool, Failure> {
    let (from, to) = (call.key(0), call.key(1));
    let mut at = data.locate(&from);
    let Some(view) = data.list(&at)? else { return Ok(false) };
    let index = if from_end == End::Left { 0 } else { view.len() - 1 };
    let mut element = Vec::new();
    if let Some(value) = view.get(index) {
        value.range(0, value.len(), &mut element);
    }
    if from == to {
        if from_end != to_end {
            data.change(&mut at, ListChange::Rotate { from: from_end })?;
        }
    } else {
        let target = data.locate(&to);
        let exists = data.list(&target)?.is_some();
        let form = form_with(data, &data.list_again(&target)?, std::iter::once(element.as_slice()));
        let (cuts, elements) = ([(index, 1)], [element.as_slice()]);
        let elements: Strings<'_> = elements.as_slice().into();
        let changes: [(Key<'_>, Change<'_>); 2] = [
            (from, ListChange::Cut { cuts: cuts.as_slice().into() }.into()),
            (to, ListChange::add(exists, form, to_end, elements).into()),
        ];
        data.change_all(changes.into_iter())?;
    }
    reply.bulk(&element);
    Ok(true)
}

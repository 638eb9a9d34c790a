//! Sets.

use std::collections::HashSet;

use super::collection::{self, RandomCount, SetOperation, check_name};
use crate::arena::Arena;
use crate::effect::{Change, KeyChange, Strings};
use crate::engine::call::number::parse_i64;
use crate::engine::call::{Call, Failure, Outcome, Reply, is};
use crate::engine::{Data, sizes};
use crate::keyspace::{Key, Located};
use crate::types::map::{MapChange, MapForm};
use crate::value::{Kind, MapView, Member};

type FoundSet<'a> = Option<MapView<'a, Arena>>;

/// The form of a set that `members` are added to.
pub(super) fn form_with(data: &Data<'_>, view: &FoundSet<'_>, members: &[&[u8]]) -> MapForm {
    let items = Strings::from(members);
    if view.as_ref().is_some_and(MapView::is_large) {
        return MapForm::LargeSet;
    }
    let of_integers = view.as_ref().is_none_or(MapView::is_of_integers);
    let count_fits = |max| collection::count_with(view.as_ref(), members.iter().copied(), max);
    if of_integers && MapForm::IntegerSet.has_room(view.as_ref(), &items) {
        if count_fits(data.size(sizes::SET_INTEGERS)) {
            return MapForm::IntegerSet;
        }
        return MapForm::LargeSet;
    }
    let value_max = data.size(sizes::SET_VALUE);
    let fits = members.iter().all(|member| member.len() <= value_max)
        && count_fits(data.size(sizes::SET_ENTRIES))
        && MapForm::PackedSet.has_room(view.as_ref(), &items);
    if fits { MapForm::PackedSet } else { MapForm::LargeSet }
}

pub(crate) fn sadd(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let (mut at, members) = (data.locate(&call.key(0)), &call.args()[2..]);
    members.iter().try_for_each(|member| check_name(member))?;
    data.see(&at);
    let view = data.map_again(&at, Kind::Set)?;
    let before = view.as_ref().map_or(0, MapView::len);
    if view.as_ref().is_some_and(|view| members.iter().all(|member| view.contains(member))) {
        reply.int(0);
        return Ok(());
    }
    let (exists, form) = (view.is_some(), form_with(data, &view, members));
    data.change(&mut at, MapChange::add(exists, form, members.into()))?;
    reply.count(data.members(&at) - before);
    Ok(())
}

pub(crate) fn srem(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    reply.count(collection::remove(data, &mut data.locate(&call.key(0)), Kind::Set, &call.args()[2..])?);
    Ok(())
}

pub(crate) fn scard(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let at = data.locate(&call.key(0));
    reply.count(data.map(&at, Kind::Set)?.map_or(0, |view| view.len()));
    Ok(())
}

pub(crate) fn sismember(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let at = data.locate(&call.key(0));
    reply.int(data.map(&at, Kind::Set)?.is_some_and(|view| view.contains(call.arg(2))).into());
    Ok(())
}

pub(crate) fn smismember(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let at = data.locate(&call.key(0));
    let view = data.map(&at, Kind::Set)?;
    let members = &call.args()[2..];
    reply.array(members.len());
    members.iter().for_each(|member| reply.int(view.as_ref().is_some_and(|view| view.contains(member)).into()));
    Ok(())
}

pub(crate) fn smembers(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let at = data.locate(&call.key(0));
    let view = data.map(&at, Kind::Set)?;
    let len = view.as_ref().map_or(0, MapView::len);
    reply.expect(len)?;
    reply.set(len as usize);
    if let Some(view) = view {
        view.each(&mut |member| reply.bulk(member.name));
    }
    Ok(())
}

pub(crate) fn srandmember(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let at = data.locate(&call.key(0));
    let count = match &call.args()[2..] {
        [] => return collection::random_one(data, &at, Kind::Set, reply),
        [count] => collection::random_count(count)?,
        _ => return Err(Failure::SYNTAX),
    };
    collection::expect_random(data, &at, Kind::Set, count, reply)?;
    let picked = collection::random_many(data, &at, Kind::Set, count)?;
    reply.array(picked.len());
    picked.iter().for_each(|(member, _)| reply.bulk(member));
    Ok(())
}

pub(crate) fn spop(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let mut at = data.locate(&call.key(0));
    let count = match &call.args()[2..] {
        [] => None,
        [count] => {
            let count = parse_i64(count).and_then(|count| u64::try_from(count).ok());
            Some(count.ok_or(Failure::fixed("ERR value is out of range, must be positive"))?)
        }
        _ => return Err(Failure::SYNTAX),
    };
    let picked = collection::random_many(data, &at, Kind::Set, RandomCount::Different(count.unwrap_or(1)))?;
    let names: Vec<&[u8]> = picked.iter().map(|(member, _)| member.as_slice()).collect();
    if !names.is_empty() {
        data.change(&mut at, MapChange::Remove { names: names.as_slice().into() })?;
    }
    match (count, names.first()) {
        (None, Some(member)) => reply.bulk(member),
        (None, None) => reply.null(),
        (Some(_), _) => {
            reply.set(names.len());
            names.iter().for_each(|member| reply.bulk(member));
        }
    }
    Ok(())
}

pub(crate) fn smove(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let member = call.arg(3);
    let (from, to) = (call.key(0), call.key(1));
    let there = data.map(&data.locate(&from), Kind::Set)?.map(|view| view.contains(member));
    let Some(there) = there else {
        reply.int(0);
        return Ok(());
    };
    let target = data.locate(&to);
    let exists = data.map(&target, Kind::Set)?.is_some();
    if there && from != to {
        let names = [member];
        let form = form_with(data, &data.map_again(&target, Kind::Set)?, &names);
        let add = MapChange::add(exists, form, names.as_slice().into());
        let changes: [(Key<'_>, Change<'_>); 2] =
            [(from, MapChange::Remove { names: names.as_slice().into() }.into()), (to, add.into())];
        data.change_all(changes.into_iter())?;
    }
    reply.int(there.into());
    Ok(())
}

/// The members of what is made of the sets `keys`; at most `limit` of them. `admit` is asked whether so many may be looked at.
fn combine<'k>(
    data: &mut Data<'_>,
    keys: impl Iterator<Item = Key<'k>>,
    operation: SetOperation,
    limit: usize,
    admit: impl FnOnce(u64) -> Outcome,
) -> Result<Vec<Vec<u8>>, Failure> {
    let sets: Vec<Located<'k>> = keys.map(|key| data.locate(&key)).collect();
    for at in &sets {
        data.map(at, Kind::Set)?;
    }
    let mut views: Vec<FoundSet<'_>> = sets.iter().map(|at| data.map_again(at, Kind::Set)).collect::<Result<_, _>>()?;
    admit(operation.looks_at(views.iter().map(|view| view.as_ref().map_or(0, MapView::len))))?;
    let mut found = Vec::new();
    match operation {
        SetOperation::Union => {
            // In the order in which they come, so that the same sets make the same set.
            let mut all = HashSet::new();
            views.iter().flatten().for_each(|view| {
                view.each(&mut |Member { name: member, .. }| {
                    if !all.contains(member) {
                        all.insert(member.to_vec());
                        found.push(member.to_vec());
                    }
                });
            });
        }
        SetOperation::Inter => {
            // The fewest members are looked up in the others.
            views.sort_by_key(|view| view.as_ref().map_or(0, MapView::len));
            if let [Some(first), others @ ..] = views.as_slice() {
                let others: Vec<_> = others.iter().flatten().collect();
                first.each(&mut |Member { name: member, .. }| {
                    if found.len() < limit && others.iter().all(|view| view.contains(member)) {
                        found.push(member.to_vec());
                    }
                });
            }
        }
        SetOperation::Diff => {
            if let [Some(first), others @ ..] = views.as_slice() {
                first.each(&mut |Member { name: member, .. }| {
                    if others.iter().flatten().all(|view| !view.contains(member)) {
                        found.push(member.to_vec());
                    }
                });
            }
        }
    }
    Ok(found)
}

fn show(data: &mut Data<'_>, call: &Call<'_>, operation: SetOperation, reply: &mut Reply) -> Outcome {
    let found = combine(data, call.keys(), operation, usize::MAX, |members| reply.expect(members))?;
    reply.set(found.len());
    found.iter().for_each(|member| reply.bulk(member));
    Ok(())
}

fn store(data: &mut Data<'_>, call: &Call<'_>, operation: SetOperation, reply: &mut Reply) -> Outcome {
    let found = combine(data, call.keys().skip(1), operation, usize::MAX, |_| Ok(()))?;
    let members: Vec<&[u8]> = found.iter().map(Vec::as_slice).collect();
    let mut at = data.locate(&call.key(0));
    if !members.is_empty() {
        let form = form_with(data, &None, &members);
        data.change(&mut at, MapChange::Store { form, items: members.as_slice().into() })?;
    } else if data.exists(&at) {
        data.change(&mut at, KeyChange::Del)?;
    }
    reply.count(members.len() as u64);
    Ok(())
}

pub(crate) fn sinter(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    show(data, call, SetOperation::Inter, reply)
}

pub(crate) fn sunion(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    show(data, call, SetOperation::Union, reply)
}

pub(crate) fn sdiff(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    show(data, call, SetOperation::Diff, reply)
}

pub(crate) fn sinterstore(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    store(data, call, SetOperation::Inter, reply)
}

pub(crate) fn sunionstore(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    store(data, call, SetOperation::Union, reply)
}

pub(crate) fn sdiffstore(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    store(data, call, SetOperation::Diff, reply)
}

pub(crate) fn sintercard(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let too_many = Failure::fixed("ERR Number of keys can't be greater than number of args");
    let keys = collection::key_count(call, 1, too_many)?;
    let mut limit = 0;
    let mut options = call.options(2 + keys);
    while let Some(word) = options.word() {
        if !is(word, "LIMIT") {
            return Err(Failure::SYNTAX);
        }
        let value = parse_i64(options.value()?).and_then(|limit| usize::try_from(limit).ok());
        limit = value.ok_or(Failure::fixed("ERR LIMIT can't be negative"))?;
    }
    let limit = if limit == 0 { usize::MAX } else { limit };
    let found = combine(data, call.keys(), SetOperation::Inter, limit, |members| reply.expect(members))?;
    reply.count(found.len() as u64);
    Ok(())
}

pub(crate) fn sscan(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    collection::scan(data, call, Kind::Set, "", reply)
}

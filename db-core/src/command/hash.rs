//! Hashes.

use super::collection::{self, check_name};
use super::extended::Extended;
use crate::arena::Arena;
use crate::effect::Strings;
use crate::engine::call::number::{INTEGER_TEXT_MAX, parse_i64};
use crate::engine::call::{Call, Failure, Outcome, Protocol, Reply, is};
use crate::engine::{Data, sizes};
use crate::keyspace::Located;
use crate::types::map::{MapChange, MapForm};
use crate::value::{Kind, MapView, ValueView};

pub(super) type FoundHash<'a> = Option<MapView<'a, Arena>>;

/// The form of a hash that `items` are added to, which are pairs, or triples if fields may expire.
pub(super) fn form_with(data: &Data<'_>, view: &FoundHash<'_>, items: &[&[u8]], expires: bool) -> MapForm {
    let (packed, large) = match expires {
        true => (MapForm::ExpiringPackedHash, MapForm::ExpiringLargeHash),
        false => (MapForm::PackedHash, MapForm::LargeHash),
    };
    let strings = Strings::from(items);
    let (count_max, value_max) = (data.size(sizes::HASH_ENTRIES), data.size(sizes::HASH_VALUE));
    if view.as_ref().is_some_and(MapView::is_large) {
        return large;
    }
    let names = items.iter().step_by(packed.stride()).copied();
    // When a field expires does not count.
    let fits = items.chunks_exact(packed.stride()).all(|item| item[0].len().max(item[1].len()) <= value_max)
        && collection::count_with(view.as_ref(), names, count_max)
        && packed.has_room(view.as_ref(), &strings);
    if fits { packed } else { large }
}

/// Sets fields, which do not expire; returns how many are new.
fn put(data: &mut Data<'_>, at: &mut Located<'_>, pairs: &[&[u8]]) -> Result<u64, Failure> {
    data.see(at);
    let view = data.map_again(at, Kind::Hash)?;
    if !view.as_ref().is_some_and(MapView::has_expiring_fields) {
        let there = There::of(&view);
        pairs.iter().step_by(2).try_for_each(|name| check_name(name))?;
        let form = form_with(data, &view, pairs, false);
        return there.add(data, at, form, pairs);
    }
    let triples: Vec<&[u8]> = pairs.chunks_exact(2).flat_map(|pair| [pair[0], pair[1], &[]]).collect();
    put_items(data, at, &triples, true)
}

/// Sets a field, whose expiry stays.
fn put_kept(data: &mut Data<'_>, at: &mut Located<'_>, name: &[u8], value: &[u8]) -> Outcome {
    match data.map(at, Kind::Hash)?.and_then(|view| view.get(name)).and_then(|field| field.expiry) {
        Some(expiry) => put_items(data, at, &[name, value, &expiry.to_le_bytes()], true)?,
        None => put(data, at, &[name, value])?,
    };
    Ok(())
}

/// Sets fields; returns how many are new. `items`: names and values, and, if it `expires` fields, when each does.
pub(super) fn put_items(
    data: &mut Data<'_>,
    at: &mut Located<'_>,
    items: &[&[u8]],
    expires: bool,
) -> Result<u64, Failure> {
    items.iter().step_by(if expires { 3 } else { 2 }).try_for_each(|name| check_name(name))?;
    data.see(at);
    let view = data.map_again(at, Kind::Hash)?;
    let (there, form) = (There::of(&view), form_with(data, &view, items, expires));
    there.add(data, at, form, items)
}

/// What there was before fields are set.
#[derive(Clone, Copy)]
struct There {
    exists: bool,
    fields: u64,
}

impl There {
    fn of(view: &FoundHash<'_>) -> There {
        There { exists: view.is_some(), fields: view.as_ref().map_or(0, MapView::len) }
    }

    /// Adds `items`; returns how many are new.
    fn add(self, data: &mut Data<'_>, at: &mut Located<'_>, form: MapForm, items: &[&[u8]]) -> Result<u64, Failure> {
        data.change(at, MapChange::add(self.exists, form, items.into()))?;
        Ok(data.members(at) - self.fields)
    }
}

fn put_pairs(data: &mut Data<'_>, call: &Call<'_>) -> Result<u64, Failure> {
    let pairs = &call.args()[2..];
    if !pairs.len().is_multiple_of(2) {
        return Err(Failure::arity(call.spec.name));
    }
    put(data, &mut data.locate(&call.key(0)), pairs)
}

pub(crate) fn hset(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    reply.count(put_pairs(data, call)?);
    Ok(())
}

pub(crate) fn hmset(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    put_pairs(data, call)?;
    reply.ok();
    Ok(())
}

pub(crate) fn hsetnx(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let mut at = data.locate(&call.key(0));
    let missing = data.map(&at, Kind::Hash)?.is_none_or(|view| !view.contains(call.arg(2)));
    if missing {
        put(data, &mut at, &call.args()[2..])?;
    }
    reply.int(missing.into());
    Ok(())
}

pub(crate) fn hget(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let at = data.locate(&call.key(0));
    let value = data.map(&at, Kind::Hash)?.and_then(|view| view.value(call.arg(2)));
    write_value(value, reply);
    Ok(())
}

pub(crate) fn hmget(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let at = data.locate(&call.key(0));
    let view = data.map(&at, Kind::Hash)?;
    reply.array(call.args().len() - 2);
    for name in &call.args()[2..] {
        write_value(view.as_ref().and_then(|view| view.value(name)), reply);
    }
    Ok(())
}

pub(super) fn write_value(value: Option<ValueView<'_>>, reply: &mut Reply) {
    match value {
        Some(value) => reply.value(&value),
        None => reply.null(),
    }
}

pub(crate) fn hdel(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    reply.count(collection::remove(data, &mut data.locate(&call.key(0)), Kind::Hash, &call.args()[2..])?);
    Ok(())
}

pub(crate) fn hlen(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let at = data.locate(&call.key(0));
    reply.count(data.map(&at, Kind::Hash)?.map_or(0, |view| view.len()));
    Ok(())
}

pub(crate) fn hstrlen(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let at = data.locate(&call.key(0));
    let value = data.map(&at, Kind::Hash)?.and_then(|view| view.value(call.arg(2)));
    reply.count(value.map_or(0, |value| value.len()));
    Ok(())
}

pub(crate) fn hexists(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let at = data.locate(&call.key(0));
    reply.int(data.map(&at, Kind::Hash)?.is_some_and(|view| view.contains(call.arg(2))).into());
    Ok(())
}

pub(crate) fn hkeys(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    each(data, call, reply, |reply, len| reply.array(len), |reply, name, _| reply.bulk(name))
}

pub(crate) fn hvals(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    each(data, call, reply, |reply, len| reply.array(len), |reply, _, value| reply.value(&value))
}

pub(crate) fn hgetall(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    each(
        data,
        call,
        reply,
        |reply, len| reply.map(len),
        |reply, name, value| {
            reply.bulk(name);
            reply.value(&value);
        },
    )
}

/// Replies with something of every field.
fn each(
    data: &mut Data<'_>,
    call: &Call<'_>,
    reply: &mut Reply,
    start: fn(&mut Reply, usize),
    write: fn(&mut Reply, &[u8], ValueView<'_>),
) -> Outcome {
    let at = data.locate(&call.key(0));
    let view = data.map(&at, Kind::Hash)?;
    let len = view.as_ref().map_or(0, MapView::len);
    reply.expect(len)?;
    start(reply, len as usize);
    if let Some(view) = view {
        view.each(&mut |field| write(reply, field.name, field.value));
    }
    Ok(())
}

pub(crate) fn hincrby(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let (mut at, name, by) = (data.locate(&call.key(0)), call.arg(2), call.int(3)?);
    let old = match data.map(&at, Kind::Hash)?.and_then(|view| view.value(name)) {
        Some(value) => {
            let text = text_of(&value, INTEGER_TEXT_MAX);
            parse_i64(&text).ok_or(Failure::fixed("ERR hash value is not an integer"))?
        }
        None => 0,
    };
    let new = old.checked_add(by).ok_or(Failure::OVERFLOW)?;
    put_kept(data, &mut at, name, itoa::Buffer::new().format(new).as_bytes())?;
    reply.int(new);
    Ok(())
}

pub(crate) fn hincrbyfloat(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let (mut at, name) = (data.locate(&call.key(0)), call.arg(2));
    let by = Extended::parse(call.arg(3)).ok_or(Failure::NOT_A_FLOAT)?;
    if by.is_infinite() {
        return Err(Failure::fixed("ERR value is NaN or Infinity"));
    }
    let text = data
        .map(&at, Kind::Hash)?
        .and_then(|view| view.value(name))
        .map(|value| text_of(&value, super::extended::TEXT_MAX));
    let text = text.as_deref().unwrap_or(b"0");
    let old = Extended::parse(text).ok_or(Failure::fixed("ERR hash value is not a float"))?;
    let new = old.plus(by).and_then(Extended::to_text).ok_or(Failure::NAN_OR_INFINITY)?;
    put_kept(data, &mut at, name, new.as_bytes())?;
    reply.bulk(new.as_bytes());
    Ok(())
}

/// The value's bytes; of one that is longer than `max` no more than one byte beyond it, which is too many.
fn text_of(value: &ValueView<'_>, max: usize) -> Vec<u8> {
    let mut text = Vec::new();
    value.range(0, max as u64 + 1, &mut text);
    text
}

pub(crate) fn hrandfield(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let at = data.locate(&call.key(0));
    if call.args().len() == 2 {
        return collection::random_one(data, &at, Kind::Hash, reply);
    }
    let count = collection::random_count(call.arg(2))?;
    let with_values = match &call.args()[3..] {
        [] => false,
        [word] if is(word, "WITHVALUES") => true,
        _ => return Err(Failure::SYNTAX),
    };
    collection::expect_random(data, &at, Kind::Hash, count, reply)?;
    let picked = collection::random_many(data, &at, Kind::Hash, count)?;
    let pairs = with_values && reply.protocol() == Protocol::Resp3;
    reply.array(if with_values && !pairs { 2 * picked.len() } else { picked.len() });
    for (name, value) in picked {
        if pairs {
            reply.array(2);
        }
        reply.bulk(&name);
        if with_values {
            reply.bulk(&value);
        }
    }
    Ok(())
}

pub(crate) fn hscan(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    collection::scan(data, call, Kind::Hash, "NOVALUES", reply)
}

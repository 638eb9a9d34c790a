//! Fields of hashes that expire.

use std::collections::HashSet;

use super::collection::check_name;
use super::expiry::{Condition, EX, EXAT, Lifetime, PX, PXAT, Unit, round_to_seconds};
use super::hash::{put_items, write_value};
use crate::clock::UnixMillis;
use crate::effect::Strings;
use crate::engine::Data;
use crate::engine::call::number::parse_i64;
use crate::engine::call::{Call, Failure, Outcome, Reply, is};
use crate::keyspace::Located;
use crate::types::map::{MapChange, MapForm};
use crate::value::{Kind, MapView};

const FIELD_COUNT: Failure =
    Failure::fixed("ERR numfields should be greater than 0 and match the provided number of fields");

// What a command replies for each field.
const NO_FIELD: i64 = -2;
const NO_EXPIRY: i64 = -1;
const NOT_DONE: i64 = 0;
const DONE: i64 = 1;
const DELETED: i64 = 2;

/// The arguments behind FIELDS and their number, which stand at `at`: `each` of them for a field. Fails with `wrong_count` if there are more
/// or fewer.
fn fields_at<'c>(call: &Call<'c>, at: usize, each: usize, wrong_count: Failure) -> Result<&'c [&'c [u8]], Failure> {
    let [word, count, fields @ ..] = &call.args()[at..] else { return Err(Failure::SYNTAX) };
    if !is(word, "FIELDS") {
        return Err(Failure::SYNTAX);
    }
    let count = parse_i64(count).ok_or(Failure::NOT_AN_INTEGER)?;
    let fits = count > 0 && usize::try_from(count).is_ok_and(|count| count.checked_mul(each) == Some(fields.len()));
    if fits { Ok(fields) } else { Err(wrong_count) }
}

/// The options from the argument `from` up to the word FIELDS, and the place of that word.
fn options_from<'c>(call: &Call<'c>, from: usize) -> Result<(&'c [&'c [u8]], usize), Failure> {
    let count = call.args()[from..].iter().position(|word| is(word, "FIELDS")).ok_or(FIELD_COUNT)?;
    Ok((&call.args()[from..from + count], from + count))
}

/// Makes these fields expire at `at`, or never: all of them are there.
fn expire(data: &mut Data<'_>, place: &mut Located<'_>, names: &[&[u8]], at: Option<UnixMillis>) -> Outcome {
    if names.is_empty() {
        return Ok(());
    }
    if at.is_some_and(|at| at <= data.now()) {
        return data.change(place, MapChange::Remove { names: names.into() });
    }
    let time = at.map(|at| at.0.to_le_bytes());
    let time = time.as_ref().map_or(&[][..], |time| time);
    let items: Vec<&[u8]> = names.iter().flat_map(|name| [*name, time]).collect();
    let items = Strings::from(items.as_slice());
    let small = |view: MapView<'_, _>| !view.is_large() && MapForm::ExpiringPackedHash.has_room(Some(&view), &items);
    let packed = data.map_again(place, Kind::Hash)?.is_some_and(small);
    let form = if packed { MapForm::ExpiringPackedHash } else { MapForm::ExpiringLargeHash };
    data.change(place, MapChange::ExpireFields { form, items })
}

pub(crate) fn hexpire(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    change_expiry(data, call, EX, reply)
}

pub(crate) fn hpexpire(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    change_expiry(data, call, PX, reply)
}

pub(crate) fn hexpireat(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    change_expiry(data, call, EXAT, reply)
}

pub(crate) fn hpexpireat(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    change_expiry(data, call, PXAT, reply)
}

fn change_expiry(data: &mut Data<'_>, call: &Call<'_>, unit: Unit, reply: &mut Reply) -> Outcome {
    let (options, at) = options_from(call, 3)?;
    let condition = Condition::parse(options)?;
    let fields = fields_at(call, at, 1, FIELD_COUNT)?;
    let count = Some(call.int(2)?).filter(|count| *count >= 0);
    let at = count.and_then(|count| unit.absolute(count, data.now()));
    let at = at.ok_or_else(|| Failure::expire_time(call.spec.name))?;
    let time = UnixMillis(at.unsigned_abs());
    let is_past = time <= data.now();
    let mut place = data.locate(&call.key(0));
    let view = data.map(&place, Kind::Hash)?;
    // What becomes of fields, so that one which is named again is as the first time left it.
    let (mut acted, mut names) = (HashSet::new(), Vec::new());
    reply.array(fields.len());
    for name in fields {
        let there = match acted.contains(name) {
            true if is_past => None,
            true => Some(Some(time)),
            false => view.as_ref().and_then(|view| view.get(name)).map(|field| field.expiry.map(UnixMillis)),
        };
        reply.int(match there {
            None => NO_FIELD,
            Some(current) if !condition.holds(current, at) => NOT_DONE,
            Some(_) => {
                if acted.insert(*name) {
                    names.push(*name);
                }
                if is_past { DELETED } else { DONE }
            }
        });
    }
    expire(data, &mut place, &names, Some(time))
}

pub(crate) fn hpersist(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let fields = fields_at(call, 2, 1, FIELD_COUNT)?;
    let mut place = data.locate(&call.key(0));
    let view = data.map(&place, Kind::Hash)?;
    let (mut acted, mut names) = (HashSet::new(), Vec::new());
    reply.array(fields.len());
    for name in fields {
        reply.int(match view.as_ref().and_then(|view| view.get(name)) {
            None => NO_FIELD,
            Some(field) if field.expiry.is_none() || !acted.insert(*name) => NO_EXPIRY,
            Some(_) => {
                names.push(*name);
                DONE
            }
        });
    }
    expire(data, &mut place, &names, None)
}

pub(crate) fn httl(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    tell_expiry(data, call, reply, |at, now| round_to_seconds(at.0.saturating_sub(now.0)))
}

pub(crate) fn hpttl(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    tell_expiry(data, call, reply, |at, now| at.0.saturating_sub(now.0))
}

pub(crate) fn hexpiretime(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    tell_expiry(data, call, reply, |at, _| round_to_seconds(at.0))
}

pub(crate) fn hpexpiretime(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    tell_expiry(data, call, reply, |at, _| at.0)
}

fn tell_expiry(
    data: &mut Data<'_>,
    call: &Call<'_>,
    reply: &mut Reply,
    form: fn(UnixMillis, UnixMillis) -> u64,
) -> Outcome {
    let fields = fields_at(call, 2, 1, Failure::SYNTAX)?;
    let now = data.now();
    let view = data.map(&data.locate(&call.key(0)), Kind::Hash)?;
    reply.array(fields.len());
    for name in fields {
        match view.as_ref().and_then(|view| view.get(name)).map(|field| field.expiry) {
            None => reply.int(NO_FIELD),
            Some(None) => reply.int(NO_EXPIRY),
            Some(Some(at)) => reply.count(form(UnixMillis(at), now)),
        }
    }
    Ok(())
}

/// What HGETEX and HSETEX say of a time to live.
#[derive(Debug, Clone, Copy)]
enum FieldLifetime {
    Until(Lifetime),
    /// PERSIST of HGETEX: none from now on.
    Persist,
    /// KEEPTTL of HSETEX: as it was.
    Keep,
}

impl FieldLifetime {
    /// The moment at which it ends; it may be in the past.
    fn deadline(self, now: UnixMillis, call: &Call<'_>) -> Result<Option<UnixMillis>, Failure> {
        match self {
            FieldLifetime::Until(lifetime) => lifetime.field_deadline(now, call.spec.name).map(Some),
            FieldLifetime::Persist | FieldLifetime::Keep => Ok(None),
        }
    }

    /// Adds the first of `options`, which is `other_word` or a unit with a number; returns how many words that are.
    fn add(
        earlier: &mut Option<FieldLifetime>,
        options: &[&[u8]],
        other_word: &str,
        other: FieldLifetime,
    ) -> Result<usize, Failure> {
        let (new, words) = match (options, &earlier) {
            ([word, ..], None) if is(word, other_word) => (other, 1),
            ([word, count, ..], None) if Lifetime::replaces(word, None) => {
                (FieldLifetime::Until(Lifetime::parse(word, count)), 2)
            }
            ([word, count, ..], Some(FieldLifetime::Until(earlier))) if Lifetime::replaces(word, Some(earlier)) => {
                (FieldLifetime::Until(Lifetime::parse(word, count)), 2)
            }
            _ => return Err(Failure::SYNTAX),
        };
        *earlier = Some(new);
        Ok(words)
    }
}

pub(crate) fn hgetex(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let (mut options, at) = options_from(call, 2)?;
    let mut lifetime = None;
    while !options.is_empty() {
        let words = FieldLifetime::add(&mut lifetime, options, "PERSIST", FieldLifetime::Persist)?;
        options = &options[words..];
    }
    let fields = fields_at(call, at, 1, FIELD_COUNT)?;
    let now = data.now();
    let mut place = data.locate(&call.key(0));
    let view = data.map(&place, Kind::Hash)?;
    let deadline = lifetime.map(|lifetime| lifetime.deadline(now, call)).transpose()?;
    let is_past = deadline.flatten().is_some_and(|deadline| deadline <= now);
    reply.array(fields.len());
    let (mut gone, mut names) = (HashSet::new(), Vec::new());
    for name in fields {
        // One that is named again has gone by then.
        let field = view.as_ref().and_then(|view| view.get(name)).filter(|_| !is_past || gone.insert(*name));
        write_value(field.map(|field| field.value), reply);
        if field.is_some_and(|field| deadline.is_some_and(|deadline| deadline.is_some() || field.expiry.is_some())) {
            names.push(*name);
        }
    }
    match deadline {
        Some(deadline) => expire(data, &mut place, &names, deadline),
        None => Ok(()),
    }
}

pub(crate) fn hgetdel(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let fields = fields_at(call, 2, 1, FIELD_COUNT)?;
    let mut place = data.locate(&call.key(0));
    let view = data.map(&place, Kind::Hash)?;
    reply.array(fields.len());
    let mut taken = HashSet::new();
    for name in fields {
        let field = view.as_ref().and_then(|view| view.get(name)).filter(|_| taken.insert(*name));
        write_value(field.map(|field| field.value), reply);
    }
    if taken.is_empty() {
        return Ok(());
    }
    data.change(&mut place, MapChange::Remove { names: fields.into() })
}

/// On which condition HSETEX acts.
#[derive(Debug, Default)]
struct SetCondition {
    /// NX, XX: of the key.
    key: Option<bool>,
    /// FNX, FXX: of all the fields.
    fields: Option<bool>,
}

impl SetCondition {
    /// Adds what `word` says; false if it is none of the words for a condition.
    fn takes(&mut self, word: &[u8]) -> Result<bool, Failure> {
        let words = [("NX", false), ("XX", true), ("FNX", false), ("FXX", true)];
        let Some(found) = words.iter().position(|(name, _)| is(word, name)) else { return Ok(false) };
        let place = if found < 2 { &mut self.key } else { &mut self.fields };
        if place.replace(words[found].1).is_some_and(|there| there != words[found].1) {
            return Err(Failure::SYNTAX);
        }
        Ok(true)
    }

    fn holds_for_key(&self, there: bool) -> bool {
        self.key.is_none_or(|exists| there == exists)
    }

    fn holds_for_fields<P: crate::arena::Pages>(&self, view: Option<&MapView<'_, P>>, fields: &[&[u8]]) -> bool {
        let there = |name: &&[u8]| view.is_some_and(|view| view.contains(name));
        self.fields.is_none_or(|exists| fields.iter().step_by(2).all(|name| there(name) == exists))
    }
}

pub(crate) fn hsetex(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let (mut options, at) = options_from(call, 2)?;
    let (mut condition, mut lifetime) = (SetCondition::default(), None);
    while let Some(word) = options.first() {
        let words = match condition.takes(word)? {
            true => 1,
            false => FieldLifetime::add(&mut lifetime, options, "KEEPTTL", FieldLifetime::Keep)?,
        };
        options = &options[words..];
    }
    let pairs = fields_at(call, at, 2, FIELD_COUNT)?;
    let now = data.now();
    let mut place = data.locate(&call.key(0));
    let view = data.map(&place, Kind::Hash)?;
    // A key that is not as it should be comes before a time that is none, as in Valkey.
    if !condition.holds_for_key(view.is_some()) {
        reply.int(0);
        return Ok(());
    }
    let deadline = lifetime.map(|lifetime| lifetime.deadline(now, call)).transpose()?.flatten();
    pairs.iter().step_by(2).try_for_each(|name| check_name(name))?;
    let holds = condition.holds_for_fields(view.as_ref(), pairs);
    reply.int(holds.into());
    if !holds {
        return Ok(());
    }
    if deadline.is_some_and(|deadline| deadline <= now) {
        let view = data.map_again(&place, Kind::Hash)?;
        let there = |name: &&&[u8]| view.as_ref().is_some_and(|view| view.contains(name));
        let names: Vec<&[u8]> = pairs.iter().step_by(2).filter(there).copied().collect();
        return expire(data, &mut place, &names, deadline);
    }
    set_until(data, &mut place, pairs, lifetime, deadline)
}

/// Sets fields, which expire at `deadline` or, if the lifetime says so, when they did.
fn set_until(
    data: &mut Data<'_>,
    place: &mut Located<'_>,
    pairs: &[&[u8]],
    lifetime: Option<FieldLifetime>,
    deadline: Option<UnixMillis>,
) -> Outcome {
    let view = data.map_again(place, Kind::Hash)?;
    let kept = |name: &[u8]| view.as_ref().and_then(|view| view.get(name)).and_then(|field| field.expiry);
    let expiries: Vec<Option<[u8; 8]>> = pairs
        .chunks_exact(2)
        .map(|pair| match lifetime {
            Some(FieldLifetime::Keep) => kept(pair[0]).map(u64::to_le_bytes),
            _ => deadline.map(|deadline| deadline.0.to_le_bytes()),
        })
        .collect();
    let expires = view.is_some_and(|view| view.has_expiring_fields()) || expiries.iter().any(Option::is_some);
    if !expires {
        return put_items(data, place, pairs, false).map(|_| ());
    }
    let items = pairs.chunks_exact(2).zip(&expiries);
    let items: Vec<&[u8]> =
        items.flat_map(|(pair, expiry)| [pair[0], pair[1], expiry.as_ref().map_or(&[][..], |time| time)]).collect();
    put_items(data, place, &items, true).map(|_| ())
}

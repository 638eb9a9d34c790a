//! String commands that treat the value as bytes.

use super::compare::ValueCondition;
use super::expiry::{self, Lifetime};
use crate::clock::UnixMillis;
use crate::effect::KeyChange;
use crate::engine::Data;
use crate::engine::call::number::parse_i64;
use crate::engine::call::{Call, Failure, Outcome, Reply, is};
use crate::keyspace::{Entry, Located};
use crate::limits::{RECORD_BYTES_MAX, VALUE_BYTES_MAX};
use crate::types::string::StringChange;

/// What SET and MSETEX ask for beside keys and values.
#[derive(Debug, Default)]
struct SetOptions<'a> {
    only_if_missing: bool,
    only_if_present: bool,
    /// On which value it acts: of SET alone, as `get`.
    condition: Option<ValueCondition<'a>>,
    get: bool,
    keep_ttl: bool,
    lifetime: Option<Lifetime>,
}

impl<'a> SetOptions<'a> {
    /// The options from an argument on. `of_several`: those of MSETEX.
    fn parse(call: &Call<'a>, from: usize, of_several: bool) -> Result<SetOptions<'a>, Failure> {
        let mut set = SetOptions::default();
        let mut options = call.options(from);
        while let Some(word) = options.word() {
            if is(word, "NX") && !set.only_if_present && set.condition.is_none() {
                set.only_if_missing = true;
            } else if is(word, "XX") && !set.only_if_missing && set.condition.is_none() {
                set.only_if_present = true;
            } else if is(word, "GET") && !of_several {
                set.get = true;
            } else if is(word, "KEEPTTL") && set.lifetime.is_none() {
                set.keep_ttl = true;
            } else if !set.keep_ttl && Lifetime::replaces(word, set.lifetime.as_ref()) {
                set.lifetime = Some(Lifetime::parse(word, options.value()?));
            } else if ValueCondition::is_named(word) && !of_several && !set.has_condition() {
                set.condition = Some(ValueCondition::parse(word, options.value()?)?);
            } else {
                return Err(Failure::SYNTAX);
            }
        }
        Ok(set)
    }

    fn has_condition(&self) -> bool {
        self.only_if_missing || self.only_if_present || self.condition.is_some()
    }

    /// The moment at which what is set expires.
    fn deadline(&self, data: &Data<'_>, call: &Call<'_>) -> Result<Option<UnixMillis>, Failure> {
        self.lifetime.map(|lifetime| lifetime.deadline(data.now(), call.spec.name)).transpose()
    }

    /// Whether it sets a key that is there, or is not.
    fn admit(&self, exists: bool) -> bool {
        !(self.only_if_missing && exists || self.only_if_present && !exists)
    }
}

pub(crate) fn set(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let (key, value) = (call.key(0), call.arg(2));
    check_value(value.len() as u64)?;
    if call.args().len() == 3 {
        data.change(&mut data.locate(&key), StringChange::Set { value, expire: None })?;
        reply.ok();
        return Ok(());
    }
    let options = SetOptions::parse(call, 3, false)?;
    let mut expire = options.deadline(data, call)?;
    let mut at = data.locate(&key);
    let of_string = options.get || options.condition.is_some();
    let found = if of_string { data.string(&at)? } else { data.entry(&at) };
    if let (true, Some(entry)) = (options.keep_ttl, found) {
        expire = entry.expire_at();
    }
    let holds = options.condition.is_none_or(|condition| condition.holds(found.map(|entry| entry.value()).as_ref()));
    let sets = holds && options.admit(found.is_some());
    if options.get {
        write_value(found, reply);
    }
    if sets {
        data.change(&mut at, StringChange::Set { value, expire })?;
    }
    match (options.get, sets) {
        (true, _) => {}
        (false, true) => reply.ok(),
        (false, false) => reply.null(),
    }
    Ok(())
}

/// MSETEX: sets several keys on a condition, with an expiry.
pub(crate) fn msetex(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let count = parse_i64(call.arg(1)).and_then(|count| i32::try_from(count).ok()).filter(|count| *count > 0);
    let count = count.ok_or(Failure::fixed("ERR invalid numkeys value or out of range"))? as usize;
    let pairs = call.args().get(2..2 + 2 * count).ok_or(Failure::SYNTAX)?;
    check_pairs(pairs)?;
    let options = SetOptions::parse(call, 2 + 2 * count, true)?;
    let expire = options.deadline(data, call)?;
    let (mut changes, mut sets) = (Vec::with_capacity(count), true);
    for (key, pair) in call.keys().zip(pairs.chunks_exact(2)) {
        // All are looked at: the reply depends on all of them.
        let found = data.find(&key);
        sets &= options.admit(found.is_some());
        let expire = if options.keep_ttl { found.and_then(|entry| entry.expire_at()) } else { expire };
        changes.push((key, StringChange::Set { value: pair[1], expire }));
    }
    if sets {
        data.change_all(changes.into_iter().map(|(key, change)| (key, change.into())))?;
    }
    reply.int(sets.into());
    Ok(())
}

pub(crate) fn get(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    write_value(data.find_string(&call.key(0))?, reply);
    Ok(())
}

/// GETEX: the value, and perhaps another expiry.
pub(crate) fn getex(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let (mut lifetime, mut persist) = (None, false);
    let mut options = call.options(2);
    while let Some(word) = options.word() {
        if is(word, "PERSIST") && lifetime.is_none() {
            persist = true;
        } else if !persist && Lifetime::replaces(word, lifetime.as_ref()) {
            lifetime = Some(Lifetime::parse(word, options.value()?));
        } else {
            return Err(Failure::SYNTAX);
        }
    }
    let now = data.now();
    let mut at = data.locate(&call.key(0));
    let Some(entry) = data.string(&at)? else {
        reply.null();
        return Ok(());
    };
    let expiring = entry.expire_at().is_some();
    let deadline = lifetime.map(|lifetime| lifetime.deadline(now, call.spec.name)).transpose()?;
    write_value(Some(entry), reply);
    match deadline {
        Some(deadline) => expiry::expire_at(data, &mut at, deadline),
        None if persist && expiring => data.change(&mut at, KeyChange::Expire(None)),
        None => Ok(()),
    }
}

pub(crate) fn getdel(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let mut at = data.locate(&call.key(0));
    let found = data.string(&at)?;
    let exists = found.is_some();
    write_value(found, reply);
    if exists {
        data.change(&mut at, KeyChange::Del)?;
    }
    Ok(())
}

pub(crate) fn getset(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let (mut at, value) = (data.locate(&call.key(0)), call.arg(2));
    check_value(value.len() as u64)?;
    write_value(data.string(&at)?, reply);
    data.change(&mut at, StringChange::Set { value, expire: None })
}

pub(crate) fn setnx(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let (mut at, value) = (data.locate(&call.key(0)), call.arg(2));
    check_value(value.len() as u64)?;
    let missing = !data.exists(&at);
    if missing {
        data.change(&mut at, StringChange::Set { value, expire: None })?;
    }
    reply.int(i64::from(missing));
    Ok(())
}

pub(crate) fn setex(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    set_with_lifetime(data, call, Lifetime::parse(b"EX", call.arg(2)), reply)
}

pub(crate) fn psetex(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    set_with_lifetime(data, call, Lifetime::parse(b"PX", call.arg(2)), reply)
}

fn set_with_lifetime(data: &mut Data<'_>, call: &Call<'_>, lifetime: Lifetime, reply: &mut Reply) -> Outcome {
    let value = call.arg(3);
    check_value(value.len() as u64)?;
    let expire = Some(lifetime.deadline(data.now(), call.spec.name)?);
    data.change(&mut data.locate(&call.key(0)), StringChange::Set { value, expire })?;
    reply.ok();
    Ok(())
}

pub(crate) fn mset(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    set_pairs(data, call)?;
    reply.ok();
    Ok(())
}

pub(crate) fn msetnx(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    check_pairs(pairs(call)?)?;
    // All are looked at: the answer depends on all of them.
    let mut none = true;
    for key in call.keys() {
        none &= data.find(&key).is_none();
    }
    if none {
        set_pairs(data, call)?;
    }
    reply.int(i64::from(none));
    Ok(())
}

fn set_pairs(data: &mut Data<'_>, call: &Call<'_>) -> Outcome {
    check_pairs(pairs(call)?)?;
    let pairs = call.keys().zip(call.args()[1..].chunks_exact(2));
    data.change_all(pairs.map(|(key, pair)| (key, StringChange::Set { value: pair[1], expire: None }.into())))
}

/// All arguments, which are keys with their values.
fn pairs<'a>(call: &Call<'a>) -> Result<&'a [&'a [u8]], Failure> {
    let pairs = &call.args()[1..];
    if pairs.len().is_multiple_of(2) { Ok(pairs) } else { Err(Failure::arity(call.spec.name)) }
}

fn check_pairs(pairs: &[&[u8]]) -> Outcome {
    let bytes: u64 = pairs.iter().map(|arg| arg.len() as u64 + 32).sum();
    if bytes > RECORD_BYTES_MAX {
        return Err(Failure::RECORD_TOO_LONG);
    }
    pairs.chunks_exact(2).try_for_each(|pair| check_value(pair[1].len() as u64))
}

pub(crate) fn mget(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    reply.expect(call.args().len() as u64 - 1)?;
    reply.array(call.args().len() - 1);
    for key in call.keys() {
        // A key of another type counts as missing here.
        write_value(data.find_string(&key).unwrap_or_default(), reply);
    }
    Ok(())
}

pub(crate) fn append(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let (mut at, tail) = (data.locate(&call.key(0)), call.arg(2));
    let len = data.string(&at)?.map(|entry| entry.value().len());
    let new = len.unwrap_or(0) + tail.len() as u64;
    check_value(new)?;
    let change =
        if len.is_some() { StringChange::Append { tail } } else { StringChange::Set { value: tail, expire: None } };
    data.change(&mut at, change)?;
    reply.count(new);
    Ok(())
}

pub(crate) fn strlen(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    reply.count(data.find_string(&call.key(0))?.map_or(0, |entry| entry.value().len()));
    Ok(())
}

pub(crate) fn setrange(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let (mut at, bytes) = (data.locate(&call.key(0)), call.arg(3));
    let offset = u64::try_from(call.int(2)?).map_err(|_| Failure::fixed("ERR offset is out of range"))?;
    let len = data.string(&at)?.map(|entry| entry.value().len());
    if bytes.is_empty() {
        reply.count(len.unwrap_or(0));
        return Ok(());
    }
    let end = offset.saturating_add(bytes.len() as u64);
    check_value(end)?;
    write_at(data, &mut at, len, offset, bytes)?;
    reply.count(len.unwrap_or(0).max(end));
    Ok(())
}

/// Overwrites a string of `len` bytes (none: there is no such key) from `offset`, with zeros in a gap. What it becomes is within the limit.
pub(super) fn write_at(
    data: &mut Data<'_>,
    at: &mut Located<'_>,
    len: Option<u64>,
    offset: u64,
    bytes: &[u8],
) -> Outcome {
    let change = match len {
        None if offset == 0 => StringChange::Set { value: bytes, expire: None },
        None => StringChange::SetAt { offset, bytes },
        Some(_) => StringChange::SetRange { offset, bytes },
    };
    data.change(at, change)
}

/// GETRANGE and SUBSTR: both ends count from the end when negative, and the last byte is included.
pub(crate) fn getrange(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let (start, end) = (call.int(2)?, call.int(3)?);
    let Some(entry) = data.find_string(&call.key(0))? else {
        reply.bulk(b"");
        return Ok(());
    };
    let value = entry.value();
    let (from, to) = range(start, end, value.len());
    reply.bulk_chunks(to - from, value.chunks_of(from, to));
    Ok(())
}

/// The half-open range of bytes that `start..=end` means in a string of `len` bytes.
fn range(start: i64, end: i64, len: u64) -> (u64, u64) {
    if start < 0 && end < 0 && start > end {
        return (0, 0);
    }
    let len = len as i64;
    let place = |at: i64| if at < 0 { len.saturating_add(at).max(0) } else { at };
    let (from, to) = (place(start), place(end).min(len - 1));
    if from > to || len == 0 { (0, 0) } else { (from as u64, to as u64 + 1) }
}

fn write_value(found: Option<Entry<'_>>, reply: &mut Reply) {
    match found {
        Some(entry) => reply.value(&entry.value()),
        None => reply.null(),
    }
}

fn check_value(len: u64) -> Outcome {
    if len > VALUE_BYTES_MAX { Err(Failure::STRING_TOO_LONG) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::range;

    #[test]
    fn ranges_count_from_either_end() {
        let of = |start: i64, end: i64| {
            let (from, to) = range(start, end, 5);
            &b"hello"[from as usize..to as usize]
        };
        assert_eq!(of(0, -1), b"hello");
        assert_eq!(of(1, 3), b"ell");
        assert_eq!(of(-3, -1), b"llo");
        assert_eq!(of(-100, 100), b"hello");
        assert_eq!(of(3, 1), b"");
        assert_eq!(of(-1, -3), b"");
        assert_eq!(of(5, 9), b"");
        assert_eq!(of(0, -100), b"h");
        assert_eq!(of(i64::MIN, i64::MAX), b"hello");
        assert_eq!(range(0, -1, 0), (0, 0));
    }
}

//! Times to live. Times are kept as absolute milliseconds; a key whose time is `now` or earlier has expired.

use crate::clock::UnixMillis;
use crate::effect::KeyChange;
use crate::engine::Data;
use crate::engine::call::number::parse_i64;
use crate::engine::call::{Call, Failure, Outcome, Reply, is};
use crate::keyspace::Located;

/// How a time is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unit {
    seconds: bool,
    /// From now on, not since 1970.
    relative: bool,
}

pub(super) const EX: Unit = Unit { seconds: true, relative: true };
pub(super) const PX: Unit = Unit { seconds: false, relative: true };
pub(super) const EXAT: Unit = Unit { seconds: true, relative: false };
pub(super) const PXAT: Unit = Unit { seconds: false, relative: false };

impl Unit {
    fn of(word: &[u8]) -> Option<Unit> {
        [("EX", EX), ("PX", PX), ("EXAT", EXAT), ("PXAT", PXAT)]
            .into_iter()
            .find_map(|(name, unit)| is(word, name).then_some(unit))
    }

    /// `count` of this unit as absolute milliseconds, if that fits.
    pub(super) fn absolute(self, count: i64, now: UnixMillis) -> Option<i64> {
        let millis = if self.seconds { count.checked_mul(1000)? } else { count };
        if self.relative { millis.checked_add(i64::try_from(now.0).ok()?) } else { Some(millis) }
    }
}

/// The lifetime that an option of SET or GETEX gives: `EX`, `PX`, `EXAT` or `PXAT` with a number that must be positive.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lifetime {
    unit: Unit,
    count: Option<i64>,
}

impl Lifetime {
    /// Whether `word` names a unit and may stand after `earlier`: the same again is accepted, another is not.
    pub(super) fn replaces(word: &[u8], earlier: Option<&Lifetime>) -> bool {
        Unit::of(word).is_some_and(|unit| earlier.is_none_or(|earlier| earlier.unit == unit))
    }

    /// `word` must name a unit. Whether `count` is a number is told by [`Lifetime::deadline`], after the other options.
    pub(super) fn parse(word: &[u8], count: &[u8]) -> Lifetime {
        Lifetime { unit: Unit::of(word).unwrap_or(PX), count: parse_i64(count) }
    }

    /// The moment at which it ends, for `command` at `now`.
    pub(super) fn deadline(self, now: UnixMillis, command: &str) -> Result<UnixMillis, Failure> {
        self.after(1, now, command)
    }

    /// The same for fields of a hash, of which zero is as good a time as any that has passed.
    pub(super) fn field_deadline(self, now: UnixMillis, command: &str) -> Result<UnixMillis, Failure> {
        self.after(0, now, command)
    }

    fn after(self, least: i64, now: UnixMillis, command: &str) -> Result<UnixMillis, Failure> {
        let count = self.count.ok_or(Failure::NOT_AN_INTEGER)?;
        let at = if count >= least { self.unit.absolute(count, now) } else { None };
        at.and_then(|at| u64::try_from(at).ok()).map(UnixMillis).ok_or_else(|| Failure::expire_time(command))
    }
}

/// Lets the existing key at `place` expire at `at`: it is deleted if that is not in the future.
pub(super) fn expire_at(data: &mut Data<'_>, place: &mut Located<'_>, at: UnixMillis) -> Outcome {
    let change = if at <= data.now() { KeyChange::Del } else { KeyChange::Expire(Some(at)) };
    data.change(place, change)
}

/// On which condition EXPIRE and its relatives act.
#[derive(Debug, Default)]
pub(super) struct Condition {
    if_none: bool,
    if_any: bool,
    if_later: bool,
    if_earlier: bool,
}

impl Condition {
    pub(super) fn parse(words: &[&[u8]]) -> Result<Condition, Failure> {
        let mut condition = Condition::default();
        for word in words {
            let flag = match *word {
                word if is(word, "NX") => &mut condition.if_none,
                word if is(word, "XX") => &mut condition.if_any,
                word if is(word, "GT") => &mut condition.if_later,
                word if is(word, "LT") => &mut condition.if_earlier,
                word => {
                    let word = String::from_utf8_lossy(word);
                    return Err(Failure::owned(format!("ERR Unsupported option {word}")));
                }
            };
            *flag = true;
        }
        if condition.if_none && (condition.if_any || condition.if_later || condition.if_earlier) {
            return Err(Failure::fixed("ERR NX and XX, GT or LT options at the same time are not compatible"));
        }
        if condition.if_later && condition.if_earlier {
            return Err(Failure::fixed("ERR GT and LT options at the same time are not compatible"));
        }
        Ok(condition)
    }

    /// Whether a key or a field that expires at `current` may be given `new`. No expiry counts as later than any.
    pub(super) fn holds(&self, current: Option<UnixMillis>, new: i64) -> bool {
        let current = current.map(|at| i64::try_from(at.0).unwrap_or(i64::MAX));
        !(self.if_none && current.is_some()
            || self.if_any && current.is_none()
            || self.if_later && current.is_none_or(|current| new <= current)
            || self.if_earlier && current.is_some_and(|current| new >= current))
    }
}

pub(crate) fn expire(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    change_expiry(data, call, EX, reply)
}

pub(crate) fn pexpire(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    change_expiry(data, call, PX, reply)
}

pub(crate) fn expireat(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    change_expiry(data, call, EXAT, reply)
}

pub(crate) fn pexpireat(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    change_expiry(data, call, PXAT, reply)
}

fn change_expiry(data: &mut Data<'_>, call: &Call<'_>, unit: Unit, reply: &mut Reply) -> Outcome {
    let condition = Condition::parse(&call.args()[3..])?;
    let at = unit.absolute(call.int(2)?, data.now()).ok_or_else(|| Failure::expire_time(call.spec.name))?;
    let mut place = data.locate(&call.key(0));
    let acts = data.entry(&place).is_some_and(|entry| condition.holds(entry.expire_at(), at));
    if acts {
        // A time before 1970 is in the past like any other.
        expire_at(data, &mut place, UnixMillis(u64::try_from(at).unwrap_or(0)))?;
    }
    reply.int(i64::from(acts));
    Ok(())
}

pub(crate) fn persist(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let mut place = data.locate(&call.key(0));
    let expiring = data.entry(&place).is_some_and(|entry| entry.expire_at().is_some());
    if expiring {
        data.change(&mut place, KeyChange::Expire(None))?;
    }
    reply.int(i64::from(expiring));
    Ok(())
}

pub(crate) fn ttl(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    tell_expiry(data, call, reply, |at, now| round_to_seconds(at.0.saturating_sub(now.0)))
}

pub(crate) fn pttl(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    tell_expiry(data, call, reply, |at, now| at.0.saturating_sub(now.0))
}

pub(crate) fn expiretime(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    tell_expiry(data, call, reply, |at, _| round_to_seconds(at.0))
}

pub(crate) fn pexpiretime(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    tell_expiry(data, call, reply, |at, _| at.0)
}

pub(super) const fn round_to_seconds(millis: u64) -> u64 {
    millis.saturating_add(500) / 1000
}

/// -2: no such key; -1: it does not expire.
fn tell_expiry(
    data: &mut Data<'_>,
    call: &Call<'_>,
    reply: &mut Reply,
    form: fn(UnixMillis, UnixMillis) -> u64,
) -> Outcome {
    let now = data.now();
    match data.find(&call.key(0)).map(|entry| entry.expire_at()) {
        None => reply.int(-2),
        Some(None) => reply.int(-1),
        Some(Some(at)) => reply.count(form(at, now)),
    }
    Ok(())
}

//! INCREX: adds to a number within bounds, and sets its expiry.

use super::expiry::Lifetime;
use super::extended::{Extended, TEXT_MAX};
use super::string_number::number;
use crate::clock::UnixMillis;
use crate::effect::KeyChange;
use crate::engine::Data;
use crate::engine::call::number::parse_i64;
use crate::engine::call::{Call, Failure, Outcome, Reply, is};
use crate::types::string::StringChange;

/// What the number is added to, and how far it may go.
#[derive(Clone, Copy, Debug)]
enum Addition {
    Int(BoundedStep<i64>),
    Float(BoundedStep<Extended>),
}

#[derive(Clone, Copy, Debug)]
struct BoundedStep<N> {
    by: N,
    low: N,
    high: N,
}

/// The options of a call, not yet read as numbers: of which kind these are may stand behind them.
#[derive(Default)]
struct IncrexOptions<'a> {
    by_int: Option<&'a [u8]>,
    by_float: Option<&'a [u8]>,
    low: Option<&'a [u8]>,
    high: Option<&'a [u8]>,
    saturate: bool,
    lifetime: Option<Lifetime>,
    persist: bool,
    only_if_none: bool,
}

impl<'a> IncrexOptions<'a> {
    fn parse(call: &Call<'a>) -> Result<IncrexOptions<'a>, Failure> {
        let mut parsed = IncrexOptions::default();
        let mut options = call.options(2);
        while let Some(word) = options.word() {
            let value = match () {
                () if is(word, "BYINT") => &mut parsed.by_int,
                () if is(word, "BYFLOAT") => &mut parsed.by_float,
                () if is(word, "LBOUND") => &mut parsed.low,
                () if is(word, "UBOUND") => &mut parsed.high,
                () if Lifetime::replaces(word, None) && parsed.lifetime.is_none() => {
                    parsed.lifetime = Some(Lifetime::parse(word, options.value()?));
                    continue;
                }
                () => {
                    let flag = match () {
                        () if is(word, "SATURATE") => &mut parsed.saturate,
                        () if is(word, "PERSIST") => &mut parsed.persist,
                        () if is(word, "ENX") => &mut parsed.only_if_none,
                        () => return Err(Failure::SYNTAX),
                    };
                    if std::mem::replace(flag, true) {
                        return Err(Failure::SYNTAX);
                    }
                    continue;
                }
            };
            if value.replace(options.value()?).is_some() {
                return Err(Failure::SYNTAX);
            }
        }
        let two_kinds = parsed.by_int.is_some() && parsed.by_float.is_some();
        if two_kinds || (parsed.persist && (parsed.lifetime.is_some() || parsed.only_if_none)) {
            return Err(Failure::SYNTAX);
        }
        if parsed.only_if_none && parsed.lifetime.is_none() {
            return Err(Failure::fixed("ERR ENX flag requires an expiration"));
        }
        Ok(parsed)
    }

    fn addition(&self) -> Result<Addition, Failure> {
        const CROSSED: Failure = Failure::fixed("ERR LBOUND can't be greater than UBOUND");
        if let Some(by) = self.by_float {
            let float = |arg: &[u8], otherwise| Extended::parse(arg).ok_or(Failure::fixed(otherwise));
            let bound = |arg: Option<&[u8]>, name, otherwise| arg.map_or(Ok(otherwise), |arg| float(arg, name));
            let by = float(by, "ERR Increment is not a valid float")?;
            if by.is_infinite() {
                return Err(Failure::fixed("ERR BYFLOAT increment cannot be Infinity"));
            }
            let low = bound(self.low, "ERR LBOUND is not a valid float", Extended::MAX.negated())?;
            let high = bound(self.high, "ERR UBOUND is not a valid float", Extended::MAX)?;
            return if high.is_below(low) { Err(CROSSED) } else { Ok(Addition::Float(BoundedStep { by, low, high })) };
        }
        let int = |arg: Option<&[u8]>, name, otherwise| {
            arg.map_or(Ok(otherwise), |arg| parse_i64(arg).ok_or(Failure::fixed(name)))
        };
        let by = int(self.by_int, "ERR Increment is not an integer or out of range", 1)?;
        let low = int(self.low, "ERR LBOUND is not an integer or out of range", i64::MIN)?;
        let high = int(self.high, "ERR UBOUND is not an integer or out of range", i64::MAX)?;
        if high < low { Err(CROSSED) } else { Ok(Addition::Int(BoundedStep { by, low, high })) }
    }

    /// The expiry that a key has then that has `old` now.
    fn expire(&self, old: Option<UnixMillis>, deadline: Option<UnixMillis>) -> Option<UnixMillis> {
        match deadline {
            _ if self.persist => None,
            Some(deadline) if !(self.only_if_none && old.is_some()) => Some(deadline),
            _ => old,
        }
    }
}

pub(crate) fn increx(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let options = IncrexOptions::parse(call)?;
    let addition = options.addition()?;
    let now = data.now();
    let deadline = options.lifetime.map(|lifetime| lifetime.deadline(now, call.spec.name)).transpose()?;
    let mut buffer = [0; TEXT_MAX + 1];
    let mut at = data.locate(&call.key(0));
    let exists = data.exists(&at);
    let (text, old_expire) = number(data, &at, &mut buffer)?;
    let Sum { text, by, changes } = match addition {
        Addition::Int(step) => step.add(text, options.saturate)?,
        Addition::Float(step) => step.add(text, options.saturate)?,
    };
    if changes {
        let expire = options.expire(old_expire, deadline);
        match expire {
            Some(expire) if expire <= now && exists => data.change(&mut at, KeyChange::Del)?,
            Some(expire) if expire <= now => {}
            _ => data.change(&mut at, StringChange::Set { value: text.as_bytes(), expire })?,
        }
    }
    reply.array(2);
    for text in [text, by] {
        match addition {
            Addition::Int(_) => reply.int(parse_i64(text.as_bytes()).unwrap_or_default()),
            Addition::Float(_) => reply.long_double(&text),
        }
    }
    Ok(())
}

/// What became of a number.
struct Sum {
    /// The number, changed or not.
    text: String,
    /// What was added.
    by: String,
    changes: bool,
}

impl BoundedStep<i64> {
    fn add(&self, old: &[u8], saturate: bool) -> Result<Sum, Failure> {
        let old = parse_i64(old).ok_or(Failure::NOT_AN_INTEGER)?;
        // Where it would overflow it is beyond every bound on that side.
        let sum = i128::from(old) + i128::from(self.by);
        let within = sum.clamp(self.low.into(), self.high.into());
        if within != sum && !saturate {
            return Ok(Sum { text: old.to_string(), by: "0".to_owned(), changes: false });
        }
        let by = i64::try_from(within - i128::from(old));
        let by = by.map_err(|_| Failure::fixed("ERR applied increment would overflow"))?;
        Ok(Sum { text: within.to_string(), by: by.to_string(), changes: true })
    }
}

impl BoundedStep<Extended> {
    fn add(&self, old: &[u8], saturate: bool) -> Result<Sum, Failure> {
        const OVERFLOWS: Failure = Failure::fixed("ERR applied increment would overflow");
        let old = Extended::parse(old).ok_or(Failure::NOT_A_FLOAT)?;
        if old.is_infinite() {
            return Err(Failure::fixed("ERR value cannot be Infinity"));
        }
        // Both are finite, so there is a sum; one that is too large for a number is beyond every bound.
        let sum = old.plus(self.by).ok_or(Failure::NAN_OR_INFINITY)?;
        let bound = [(sum.is_below(self.low), self.low), (self.high.is_below(sum), self.high)];
        let bound = bound.into_iter().find_map(|(is_beyond, bound)| is_beyond.then_some(bound));
        let text = |number: Extended| number.to_text().ok_or(OVERFLOWS);
        match bound {
            None => Ok(Sum { text: text(sum)?, by: text(self.by)?, changes: true }),
            Some(bound) if saturate => {
                let by = bound.plus(old.negated()).ok_or(OVERFLOWS)?;
                Ok(Sum { text: text(bound)?, by: text(by)?, changes: true })
            }
            Some(_) => Ok(Sum { text: text(old)?, by: "0".to_owned(), changes: false }),
        }
    }
}

//! String commands that treat the value as a number (INCR and the like).

use super::extended::{Extended, TEXT_MAX};
use crate::clock::UnixMillis;
use crate::engine::Data;
use crate::engine::call::number::{INTEGER_TEXT_MAX, parse_i64};
use crate::engine::call::{Call, Failure, Outcome, Reply};
use crate::keyspace::{Key, Located};
use crate::types::string::StringChange;

pub(crate) fn incr(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    add(data, call.key(0), 1, reply)
}

pub(crate) fn decr(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    add(data, call.key(0), -1, reply)
}

pub(crate) fn incrby(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    add(data, call.key(0), call.int(2)?, reply)
}

pub(crate) fn decrby(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let by = call.int(2)?.checked_neg().ok_or(Failure::fixed("ERR decrement would overflow"))?;
    add(data, call.key(0), by, reply)
}

fn add(data: &mut Data<'_>, key: Key<'_>, by: i64, reply: &mut Reply) -> Outcome {
    let mut text = [0; INTEGER_TEXT_MAX + 1];
    let mut at = data.locate(&key);
    let (old, expire) = number(data, &at, &mut text)?;
    let old = parse_i64(old).ok_or(Failure::NOT_AN_INTEGER)?;
    let new = old.checked_add(by).ok_or(Failure::OVERFLOW)?;
    data.change(&mut at, StringChange::Set { value: itoa::Buffer::new().format(new).as_bytes(), expire })?;
    reply.int(new);
    Ok(())
}

pub(crate) fn incrbyfloat(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let mut text = [0; TEXT_MAX + 1];
    let mut at = data.locate(&call.key(0));
    let (old, expire) = number(data, &at, &mut text)?;
    let old = Extended::parse(old).ok_or(Failure::NOT_A_FLOAT)?;
    let by = Extended::parse(call.arg(2)).ok_or(Failure::NOT_A_FLOAT)?;
    let new = old.plus(by).and_then(Extended::to_text).ok_or(Failure::NAN_OR_INFINITY)?;
    data.change(&mut at, StringChange::Set { value: new.as_bytes(), expire })?;
    reply.bulk(new.as_bytes());
    Ok(())
}

/// The text of the number at `at` in `buffer`, and its expiry; `0` if there is none. Of a text that is too long for any
/// number only as much comes back as `buffer` takes, which is too long still.
pub(super) fn number<'b>(
    data: &mut Data<'_>,
    at: &Located<'_>,
    buffer: &'b mut [u8],
) -> Result<(&'b [u8], Option<UnixMillis>), Failure> {
    let Some(entry) = data.string(at)? else { return Ok((b"0", None)) };
    let mut len = 0;
    for chunk in entry.value().chunks() {
        let taken = chunk.len().min(buffer.len() - len);
        buffer[len..len + taken].copy_from_slice(&chunk[..taken]);
        len += taken;
    }
    Ok((&buffer[..len], entry.expire_at()))
}

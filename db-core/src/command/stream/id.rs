//! Ids of entries as clients write them.

use crate::engine::call::Failure;
use crate::engine::call::number::parse_i64;
use crate::value::StreamId;

const INVALID_ID: Failure = Failure::fixed("ERR Invalid stream ID specified as stream command argument");

/// Longest id that is looked at, in bytes.
const TEXT_BYTES_MAX: usize = 127;

/// An id that may be given without its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GivenId {
    /// All of it.
    Whole(StreamId),
    /// `<milliseconds>-*`: the number is chosen.
    Millis(u64),
}

/// What C's `strtoull` makes of a whole text, and Redis of an integer: a negative one is none.
fn number(text: &[u8]) -> Option<u64> {
    if let Some(value) = parse_i64(text) {
        return u64::try_from(value).ok();
    }
    let blank = text.iter().take_while(|byte| matches!(byte, b' ' | b'\t'..=b'\r')).count();
    let (negative, digits) = match &text[blank..] {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(if negative { value.wrapping_neg() } else { value })
}

/// Reads an id whose number is `missing` if it is not given; `-` and `+` are none.
fn parse(arg: &[u8], missing: u64, may_choose: bool) -> Result<GivenId, Failure> {
    if arg.len() > TEXT_BYTES_MAX {
        return Err(INVALID_ID);
    }
    // A text ends at a zero byte, as in C.
    let text = arg.split(|byte| *byte == 0).next().unwrap_or_default();
    let (ms, seq) = match text.iter().position(|byte| *byte == b'-') {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    let ms = number(ms).ok_or(INVALID_ID)?;
    match seq {
        Some(b"*") if may_choose => Ok(GivenId::Millis(ms)),
        Some(seq) => Ok(GivenId::Whole(StreamId { ms, seq: number(seq).ok_or(INVALID_ID)? })),
        None => Ok(GivenId::Whole(StreamId { ms, seq: missing })),
    }
}

/// An id; its number is 0 if it is not given.
pub(super) fn strict_id(arg: &[u8]) -> Result<StreamId, Failure> {
    match parse(arg, 0, false)? {
        GivenId::Whole(id) => Ok(id),
        GivenId::Millis(_) => Err(INVALID_ID),
    }
}

/// The id of an entry that is to be added, or its milliseconds.
pub(super) fn new_id(arg: &[u8]) -> Result<GivenId, Failure> {
    parse(arg, 0, true)
}

/// An id, or `-` or `+` for the least and the greatest one.
pub(super) fn any_id(arg: &[u8], missing: u64) -> Result<StreamId, Failure> {
    match arg {
        b"-" => Ok(StreamId::ZERO),
        b"+" => Ok(StreamId::MAX),
        _ => match parse(arg, missing, false)? {
            GivenId::Whole(id) => Ok(id),
            GivenId::Millis(_) => Err(INVALID_ID),
        },
    }
}

/// Where a range starts: an id, or `(` and an id that is not in it.
pub(super) fn range_start(arg: &[u8]) -> Result<StreamId, Failure> {
    match arg {
        [b'(', rest @ ..] if !rest.is_empty() => {
            strict_id(rest)?.next().ok_or(Failure::fixed("ERR invalid start ID for the interval"))
        }
        _ => any_id(arg, 0),
    }
}

/// Where it ends, likewise.
pub(super) fn range_end(arg: &[u8]) -> Result<StreamId, Failure> {
    match arg {
        [b'(', rest @ ..] if !rest.is_empty() => match parse(rest, u64::MAX, false)? {
            GivenId::Whole(id) => id.previous().ok_or(Failure::fixed("ERR invalid end ID for the interval")),
            GivenId::Millis(_) => Err(INVALID_ID),
        },
        _ => any_id(arg, u64::MAX),
    }
}

//! Commands that treat a string as an array of bits. Bit 0 is the highest one of the first byte, and bits behind the end are 0.

pub(crate) mod field;
pub(crate) mod operation;
mod range;

use super::string::write_at;
use crate::engine::Data;
use crate::engine::call::number::parse_i64;
use crate::engine::call::{Call, Failure, Outcome, Reply};
use crate::limits::VALUE_BYTES_MAX;
use crate::value::ValueView;
use range::{BitRange, RangeUnit};

const WRONG_OFFSET: Failure = Failure::fixed("ERR bit offset is not an integer or out of range");
const WRONG_BIT: Failure = Failure::fixed("ERR bit is not an integer or out of range");
const NEITHER_0_NOR_1: Failure = Failure::fixed("ERR The bit argument must be 1 or 0.");

/// The offset of a bit in a string of the largest size.
fn offset(arg: &[u8]) -> Result<u64, Failure> {
    parse_i64(arg).and_then(checked_offset).ok_or(WRONG_OFFSET)
}

fn checked_offset(offset: i64) -> Option<u64> {
    u64::try_from(offset).ok().filter(|offset| offset / 8 < VALUE_BYTES_MAX)
}

/// The byte at `at`, which is 0 behind the end.
fn byte(value: Option<&ValueView<'_>>, at: u64) -> u8 {
    value.and_then(|value| value.chunks_of(at, at + 1).next()).map_or(0, |piece| piece[0])
}

/// The bit of a byte at an offset.
const fn mask(offset: u64) -> u8 {
    0x80 >> (offset % 8)
}

pub(crate) fn setbit(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let offset = offset(call.arg(2))?;
    let is_set = match parse_i64(call.arg(3)) {
        Some(0) => false,
        Some(1) => true,
        _ => return Err(WRONG_BIT),
    };
    let (mut at, place) = (data.locate(&call.key(0)), offset / 8);
    let value = data.string(&at)?.map(|entry| entry.value());
    let (len, before) = (value.map(|value| value.len()), byte(value.as_ref(), place));
    let after = if is_set { before | mask(offset) } else { before & !mask(offset) };
    if before != after || len.is_none_or(|len| len <= place) {
        write_at(data, &mut at, len, place, &[after])?;
    }
    reply.int(i64::from(before & mask(offset) != 0));
    Ok(())
}

pub(crate) fn getbit(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let offset = offset(call.arg(2))?;
    let value = data.find_string(&call.key(0))?.map(|entry| entry.value());
    reply.int(i64::from(byte(value.as_ref(), offset / 8) & mask(offset) != 0));
    Ok(())
}

pub(crate) fn bitcount(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let Some(entry) = data.find_string(&call.key(0))? else {
        reply.int(0);
        return Ok(());
    };
    let value = entry.value();
    let range = match call.args().len() {
        2 => BitRange::of_bytes(0, -1, value.len()),
        4 | 5 => {
            let (start, end) = (call.int(2)?, call.int(3)?);
            // Both are counted from the end, where the one is behind the other whatever the length is.
            if start < 0 && end < 0 && start > end {
                reply.int(0);
                return Ok(());
            }
            RangeUnit::parse(call, 4)?.range(start, end, value.len())
        }
        _ => return Err(Failure::SYNTAX),
    };
    let Some(range) = range else {
        reply.int(0);
        return Ok(());
    };
    reply.expect_bytes(range.bytes())?;
    reply.count(range.count_ones(&value));
    Ok(())
}

pub(crate) fn bitpos(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let bit = match call.int(2)? {
        0 => false,
        1 => true,
        _ => return Err(NEITHER_0_NOR_1),
    };
    let Some(entry) = data.find_string(&call.key(0))? else {
        // As a string of zeros without an end.
        reply.int(if bit { -1 } else { 0 });
        return Ok(());
    };
    let (value, args) = (entry.value(), call.args().len());
    let range = match args {
        3 => BitRange::of_bytes(0, -1, value.len()),
        4..=6 => {
            let start = call.int(3)?;
            let unit = RangeUnit::parse(call, 5)?;
            unit.range(start, if args > 4 { call.int(4)? } else { -1 }, value.len())
        }
        _ => return Err(Failure::SYNTAX),
    };
    let Some(range) = range else {
        reply.int(-1);
        return Ok(());
    };
    reply.expect_bytes(range.bytes())?;
    match range.first(&value, bit) {
        Some(offset) => reply.count(offset),
        // Zeros follow the end, unless the range says where it is.
        None if !bit && args < 5 => reply.count(value.len() * 8),
        None => reply.int(-1),
    }
    Ok(())
}

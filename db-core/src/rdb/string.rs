//! Lengths and strings.
//!
//! ```text
//!   00nnnnnn                      a length of 6 bits
//!   01nnnnnn n                    of 14 bits, big-endian
//!   10000000 nnnn                 of 32 bits, big-endian
//!   10000001 nnnnnnnn             of 64 bits, big-endian
//!   11000000 / 01 / 10 and 1 / 2 / 4 bytes     instead of a string: an integer, little-endian
//!   11000011, length, length, bytes            compressed: bytes as they are here, and uncompressed
//! ```

use std::io::Read;

use super::{Input, RdbError, lzf};
use crate::limits::VALUE_BYTES_MAX;

pub(super) const BITS_14: u8 = 0b0100_0000;
pub(super) const BITS_32: u8 = 0b1000_0000;
pub(super) const BITS_64: u8 = 0b1000_0001;
const SPECIAL: u8 = 0b1100_0000;
const INT8: u8 = 0;
const INT16: u8 = 1;
const INT32: u8 = 2;
const COMPRESSED: u8 = 3;

/// How a string begins.
enum Prefix {
    Length(u64),
    Special(u8),
}

fn prefix<R: Read>(input: &mut Input<R>) -> Result<Prefix, RdbError> {
    let first = input.byte()?;
    Ok(match first & SPECIAL {
        0 => Prefix::Length(first.into()),
        BITS_14 => Prefix::Length(u64::from(first & !SPECIAL) << 8 | u64::from(input.byte()?)),
        SPECIAL => Prefix::Special(first & !SPECIAL),
        _ if first == BITS_32 => Prefix::Length(u32::from_be_bytes(input.array()?).into()),
        _ if first == BITS_64 => Prefix::Length(u64::from_be_bytes(input.array()?)),
        _ => return Err(RdbError::Damaged("a length is of a form that no server writes")),
    })
}

/// Reads a number of things.
pub(super) fn count<R: Read>(input: &mut Input<R>) -> Result<u64, RdbError> {
    match prefix(input)? {
        Prefix::Length(count) => Ok(count),
        Prefix::Special(_) => Err(RdbError::Damaged("a string stands where a count belongs")),
    }
}

/// Puts the next string in the place of what `out` contains.
pub(super) fn string<R: Read>(input: &mut Input<R>, out: &mut Vec<u8>) -> Result<(), RdbError> {
    let integer = match prefix(input)? {
        Prefix::Length(len) => return input.take(len, out),
        Prefix::Special(COMPRESSED) => return compressed(input, out),
        Prefix::Special(INT8) => i32::from(i8::from_le_bytes(input.array()?)),
        Prefix::Special(INT16) => i32::from(i16::from_le_bytes(input.array()?)),
        Prefix::Special(INT32) => i32::from_le_bytes(input.array()?),
        Prefix::Special(_) => return Err(RdbError::Damaged("a string is of a form that no server writes")),
    };
    out.clear();
    out.extend_from_slice(itoa::Buffer::new().format(integer).as_bytes());
    Ok(())
}

fn compressed<R: Read>(input: &mut Input<R>, out: &mut Vec<u8>) -> Result<(), RdbError> {
    let (bytes, len) = (count(input)?, count(input)?);
    if len > VALUE_BYTES_MAX {
        return Err(RdbError::TooLong(len));
    }
    let mut packed = Vec::new();
    input.take(bytes, &mut packed)?;
    out.clear();
    lzf::decode(&packed, len as usize, out).ok_or(RdbError::Damaged("a compressed string is damaged"))
}

/// Passes over a string.
pub(super) fn skip_string<R: Read>(input: &mut Input<R>) -> Result<(), RdbError> {
    let bytes = match prefix(input)? {
        Prefix::Length(len) => len,
        Prefix::Special(COMPRESSED) => {
            let bytes = count(input)?;
            count(input)?;
            bytes
        }
        Prefix::Special(INT8) => 1,
        Prefix::Special(INT16) => 2,
        Prefix::Special(INT32) => 4,
        Prefix::Special(_) => return Err(RdbError::Damaged("a string is of a form that no server writes")),
    };
    input.pass(bytes)
}

//! Listpacks: several strings in one, as Redis 7 and Valkey write them.
//!
//! ```text
//!   0  bytes of all u32
//!   4  entries u16; 65535: that many or more
//!   6  entries: encoding and length, bytes, length of both, read backwards
//!      then 255
//! ```

use super::RdbError;
use super::packed_entry::{Bytes, PackedEntry};

const HEAD_BYTES: usize = 6;
const END: u8 = 0xff;
const MANY: u16 = u16::MAX;

/// Checks the head, and returns the entries. Each is an error if it is not whole, the last one if the listpack does not end there.
pub(super) fn entries(blob: &[u8]) -> Result<ListpackEntries<'_>, RdbError> {
    let mut rest = Bytes(blob);
    let bytes = u32::from_le_bytes(rest.array()?);
    let count = u16::from_le_bytes(rest.array()?);
    if bytes as usize != blob.len() || blob.len() <= HEAD_BYTES {
        return Err(RdbError::Damaged("a listpack has a wrong length"));
    }
    Ok(ListpackEntries { rest, count, seen: 0 })
}

/// The strings of a listpack in order.
pub(super) struct ListpackEntries<'a> {
    rest: Bytes<'a>,
    count: u16,
    seen: u64,
}

impl<'a> ListpackEntries<'a> {
    fn entry(&mut self) -> Result<Option<PackedEntry<'a>>, RdbError> {
        if self.rest.0.first() == Some(&END) {
            let counted = self.count == MANY || u64::from(self.count) == self.seen;
            let ends = self.rest.0.len() == 1 && counted;
            return if ends { Ok(None) } else { Err(RdbError::Damaged("a listpack contradicts itself")) };
        }
        let start = self.rest.0.len();
        let entry = self.value()?;
        check_backwards(&mut self.rest, start)?;
        self.seen += 1;
        Ok(Some(entry))
    }

    fn value(&mut self) -> Result<PackedEntry<'a>, RdbError> {
        let rest = &mut self.rest;
        let first = rest.byte()?;
        Ok(match first {
            0x00..=0x7f => PackedEntry::Integer(first.into()),
            0x80..=0xbf => PackedEntry::Bytes(rest.take(usize::from(first & 0x3f))?),
            0xc0..=0xdf => {
                let bits = u16::from(first & 0x1f) << 8 | u16::from(rest.byte()?);
                // 13 bits with a sign.
                PackedEntry::Integer(i64::from((bits << 3).cast_signed() >> 3))
            }
            0xe0..=0xef => {
                let len = usize::from(first & 0x0f) << 8 | usize::from(rest.byte()?);
                PackedEntry::Bytes(rest.take(len)?)
            }
            0xf0 => {
                let len = u32::from_le_bytes(rest.array()?) as usize;
                PackedEntry::Bytes(rest.take(len)?)
            }
            0xf1 => PackedEntry::Integer(i16::from_le_bytes(rest.array()?).into()),
            0xf2 => PackedEntry::Integer(rest.int24()?),
            0xf3 => PackedEntry::Integer(i32::from_le_bytes(rest.array()?).into()),
            0xf4 => PackedEntry::Integer(i64::from_le_bytes(rest.array()?)),
            _ => return Err(RdbError::Damaged("an entry of a listpack is of a form that no server writes")),
        })
    }
}

/// Appends an integer: in one byte, or as one of 64 bits.
pub(super) fn put_integer(out: &mut Vec<u8>, value: i64) {
    let start = out.len();
    match u8::try_from(value) {
        Ok(small @ 0..=0x7f) => out.push(small),
        _ => {
            out.push(0xf4);
            out.extend_from_slice(&value.to_le_bytes());
        }
    }
    put_backwards(out, start);
}

/// Appends a string.
pub(super) fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    let start = out.len();
    match text.len() {
        len @ 0..0x40 => out.push(0x80 | len as u8),
        len @ 0x40..0x1000 => out.extend_from_slice(&[0xe0 | (len >> 8) as u8, len as u8]),
        len => {
            out.push(0xf0);
            out.extend_from_slice(&(len as u32).to_le_bytes());
        }
    }
    out.extend_from_slice(text);
    put_backwards(out, start);
}

/// Appends the length of the entry from `start` on.
fn put_backwards(out: &mut Vec<u8>, start: usize) {
    let len = out.len() - start;
    let digits = backward_digits(len);
    for place in 0..digits {
        let bits = (len >> (7 * (digits - 1 - place)) & 0x7f) as u8;
        out.push(if place == 0 { bits } else { bits | 0x80 });
    }
}

/// Bytes that a length takes behind an entry.
const fn backward_digits(len: usize) -> usize {
    match len {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        0x20_0000..0x1000_0000 => 4,
        _ => 5,
    }
}

/// The length of an entry that begins where `start` bytes were left stands behind it: 7 bits a byte, the lowest ones last.
fn check_backwards(rest: &mut Bytes<'_>, start: usize) -> Result<(), RdbError> {
    let len = start - rest.0.len();
    let digits = backward_digits(len);
    let sound = rest.take(digits)?.iter().enumerate().all(|(place, byte)| {
        let bits = (len >> (7 * (digits - 1 - place)) & 0x7f) as u8;
        *byte == if place == 0 { bits } else { bits | 0x80 }
    });
    if sound { Ok(()) } else { Err(RdbError::Damaged("an entry of a listpack has a wrong length behind it")) }
}

impl<'a> Iterator for ListpackEntries<'a> {
    type Item = Result<PackedEntry<'a>, RdbError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.entry().transpose()
    }
}

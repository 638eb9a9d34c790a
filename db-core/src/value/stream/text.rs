//! Strings and numbers as they stand in a node.
//!
//! ```text
//!   0x00..0x5f  a string of so many bytes
//!   0x60..0xdf  an integer, from 0 to 127
//!   0xe0..0xef  a string of up to 4095 bytes: its length, high bits here and low ones in the next byte
//!   0xf0        a string: its length u32
//!   0xf1..0xf8  an integer of 1 to 8 bytes
//! ```
//!
//! A string that is the text of an integer is written as that integer, if it is shorter so.

use crate::value::number::parse_i64;

const INTEGER: u8 = 0x60;
const INTEGER_MAX: i64 = 0x7f;
const LONG: u8 = 0xe0;
const LONGEST: u8 = 0xf0;

/// A string of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamText<'a> {
    /// Its bytes.
    Bytes(&'a [u8]),
    /// The text of this number.
    Integer(i64),
}

impl StreamText<'_> {
    /// Returns the string, which `buffer` may have room for.
    #[inline]
    pub fn bytes<'t>(&'t self, buffer: &'t mut itoa::Buffer) -> &'t [u8] {
        match self {
            StreamText::Bytes(bytes) => bytes,
            StreamText::Integer(value) => buffer.format(*value).as_bytes(),
        }
    }
}

/// Appends a string.
pub(super) fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    if let Some(value) = parse_i64(text) {
        if (0..=INTEGER_MAX).contains(&value) {
            return out.push(INTEGER + value as u8);
        }
        let sign_bits = if value < 0 { value.leading_ones() } else { value.leading_zeros() };
        let len = (65 - sign_bits).div_ceil(8) as usize;
        if len < text.len() {
            out.push(LONGEST + len as u8);
            return out.extend_from_slice(&value.to_le_bytes()[..len]);
        }
    }
    match text.len() {
        len if len < usize::from(INTEGER) => out.push(len as u8),
        len if len < 0x1000 => out.extend_from_slice(&[LONG | (len >> 8) as u8, len as u8]),
        len => {
            out.push(LONGEST);
            out.extend_from_slice(&(len as u32).to_le_bytes());
        }
    }
    out.extend_from_slice(text);
}

/// No fewer bytes than a string takes.
pub(super) const fn text_bytes_max(len: usize) -> usize {
    5 + len
}

/// What is left of bytes that are read from front to back; they may be damaged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unread<'a>(pub(super) &'a [u8]);

impl<'a> Unread<'a> {
    #[inline]
    pub(super) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes)
    }

    #[inline]
    pub(super) fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    pub(super) fn text(&mut self) -> Option<StreamText<'a>> {
        Some(match self.byte()? {
            len @ 0..INTEGER => StreamText::Bytes(self.take(len.into())?),
            value @ INTEGER..LONG => StreamText::Integer((value - INTEGER).into()),
            high @ LONG..LONGEST => {
                let len = usize::from(high & 0x0f) << 8 | usize::from(self.byte()?);
                StreamText::Bytes(self.take(len)?)
            }
            LONGEST => {
                let len = u32::from_le_bytes(*self.take(4)?.first_chunk()?);
                StreamText::Bytes(self.take(len as usize)?)
            }
            code => {
                let bytes = self.take(usize::from(code - LONGEST)).filter(|bytes| bytes.len() <= 8)?;
                let mut all = [if bytes.last()? & 0x80 == 0 { 0 } else { 0xff }; 8];
                all[..bytes.len()].copy_from_slice(bytes);
                StreamText::Integer(i64::from_le_bytes(all))
            }
        })
    }

    /// A number as [`put_varint`] writes it.
    #[inline]
    pub(super) fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                return None;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}

/// Appends a number: 7 bits a byte, the lowest ones first.
pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_as_they_were_written() {
        let mut texts: Vec<Vec<u8>> = ["", "a", "0", "-0", "01", "+1", "127", "128", "-1", "-128", "-129", "32768"]
            .iter()
            .map(|text| text.as_bytes().to_vec())
            .collect();
        texts.extend([i64::MAX, i64::MIN, 1 << 40, -(1 << 55), 99_999].map(|value| value.to_string().into_bytes()));
        texts.extend([0x5f, 0x60, 0xfff, 0x1000, 70_000].map(|len| vec![b'x'; len]));
        for text in &texts {
            let mut out = Vec::new();
            put_text(&mut out, text);
            assert!(out.len() <= text_bytes_max(text.len()));
            let mut unread = Unread(&out);
            assert_eq!(unread.text().unwrap().bytes(&mut itoa::Buffer::new()), text);
            assert!(unread.0.is_empty());
            assert!((0..out.len()).all(|len| Unread(&out[..len]).text().is_none()), "what is cut off is no text");
        }
    }
}

//! Encoding of numbers, times and strings in a log record, and the decoding errors.
//!
//! Lengths and offsets are LEB128 (at most ten bytes, in their shortest form), times and epochs eight bytes little-endian.

use thiserror::Error;

use crate::clock::UnixMillis;
use crate::ids::DatabaseId;
use crate::limits::{DATABASE_NUMBERS, DATABASES, VALUE_BYTES_MAX};

/// Why bytes are not a record. Every replica that reads the same bytes fails alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RecordError {
    /// It contains no effect.
    #[error("it is empty")]
    Empty,
    /// It ends within an effect.
    #[error("it ends within an effect")]
    Truncated,
    /// This program knows no such effect.
    #[error("unknown effect {0}: the log was written by a newer version")]
    UnknownEffect(u8),
    /// There is no such database.
    #[error("unknown database {0}: the log was written by a newer version")]
    UnknownDatabase(u8),
    /// This program knows no such setting.
    #[error("unknown setting {0}: the log was written by a newer version")]
    UnknownSetting(u8),
    /// Something is said that goes without saying, or the key of the effect before is meant and there is none.
    #[error("a key or a database is not named in the only way")]
    NotCanonical,
    /// A number in a form that is never written.
    #[error("a number is malformed")]
    Number,
    /// A key or a value longer than any can be.
    #[error("a key or value is longer than the limit")]
    TooLong,
}

#[inline]
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    match bytes.len() {
        // Nearly always.
        len @ 0..0x80 => out.push(len as u8),
        len => put_number(out, len as u64),
    }
    out.extend_from_slice(bytes);
}

pub(crate) fn put_time(out: &mut Vec<u8>, at: UnixMillis) {
    out.extend_from_slice(&at.0.to_le_bytes());
}

pub(crate) fn put_number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// What is left of a record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    /// All of these bytes.
    pub(crate) const fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader(bytes)
    }

    /// Whether nothing is left.
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Nothing is left.
    pub(crate) const EMPTY: Reader<'static> = Reader(&[]);

    pub(crate) fn value(&mut self) -> Result<&'a [u8], RecordError> {
        self.bytes(VALUE_BYTES_MAX)
    }

    pub(crate) fn bytes(&mut self, max: u64) -> Result<&'a [u8], RecordError> {
        let len = self.number()?;
        if len > max {
            return Err(RecordError::TooLong);
        }
        let (bytes, rest) = self.0.split_at_checked(len as usize).ok_or(RecordError::Truncated)?;
        self.0 = rest;
        Ok(bytes)
    }

    pub(crate) fn time(&mut self) -> Result<UnixMillis, RecordError> {
        self.fixed().map(UnixMillis)
    }

    /// The physical number of a database.
    pub(crate) fn database(&mut self) -> Result<DatabaseId, RecordError> {
        self.database_below(DATABASE_NUMBERS).map(DatabaseId)
    }

    /// The logical number of a database.
    pub(crate) fn logical(&mut self) -> Result<u8, RecordError> {
        self.database_below(DATABASES)
    }

    fn database_below(&mut self, end: usize) -> Result<u8, RecordError> {
        let number = self.byte()?;
        if usize::from(number) < end { Ok(number) } else { Err(RecordError::UnknownDatabase(number)) }
    }

    pub(crate) fn fixed(&mut self) -> Result<u64, RecordError> {
        let (bytes, rest) = self.0.split_first_chunk::<8>().ok_or(RecordError::Truncated)?;
        self.0 = rest;
        Ok(u64::from_le_bytes(*bytes))
    }

    pub(crate) fn number(&mut self) -> Result<u64, RecordError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits || (byte == 0 && shift > 0) {
                return Err(RecordError::Number);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(RecordError::Number)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, RecordError> {
        let (byte, rest) = self.0.split_first().ok_or(RecordError::Truncated)?;
        self.0 = rest;
        Ok(*byte)
    }
}

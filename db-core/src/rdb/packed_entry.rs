//! What ziplists and listpacks contain.

use super::RdbError;

/// A string of a packed form; servers write one that looks like an integer as that integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PackedEntry<'a> {
    Bytes(&'a [u8]),
    Integer(i64),
}

impl PackedEntry<'_> {
    /// The string, which `text` may have room for.
    pub(super) fn bytes<'t>(&'t self, text: &'t mut itoa::Buffer) -> &'t [u8] {
        match self {
            PackedEntry::Bytes(bytes) => bytes,
            PackedEntry::Integer(value) => text.format(*value).as_bytes(),
        }
    }
}

/// Bytes from which strings are split off at the front.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl<'a> Bytes<'a> {
    /// The next `len` bytes.
    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8], RdbError> {
        let (bytes, rest) =
            self.0.split_at_checked(len).ok_or(RdbError::Damaged("a packed collection ends within an entry"))?;
        self.0 = rest;
        Ok(bytes)
    }

    /// The next `N` bytes.
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], RdbError> {
        let bytes = self.take(N)?;
        Ok(*bytes.first_chunk().expect("as many were taken"))
    }

    /// The next byte.
    pub(super) fn byte(&mut self) -> Result<u8, RdbError> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// An integer of 3 bytes.
    pub(super) fn int24(&mut self) -> Result<i64, RdbError> {
        let [a, b, c] = self.array()?;
        Ok(i64::from(i32::from_le_bytes([0, a, b, c]) >> 8))
    }
}

//! Bytes that are read from front to back.

use std::io::Read;

use super::RdbError;
use crate::limits::VALUE_BYTES_MAX;

/// Bytes that are read from front to back, with the number of those that are left.
#[derive(Clone, Debug)]
pub struct Input<R> {
    from: R,
    position: u64,
    end: u64,
}

impl<'a> Input<&'a [u8]> {
    /// All of these bytes.
    #[must_use]
    pub fn of_slice(bytes: &'a [u8]) -> Self {
        Input::new(bytes, bytes.len() as u64)
    }
}

impl<R: Read> Input<R> {
    /// The first `len` bytes of `from`.
    pub const fn new(from: R, len: u64) -> Self {
        Input { from, position: 0, end: len }
    }

    /// Returns the offset of the next byte.
    pub const fn position(&self) -> u64 {
        self.position
    }

    /// Returns the number of bytes that are left.
    pub const fn left(&self) -> u64 {
        self.end - self.position
    }

    /// Returns what the bytes come from.
    pub(super) const fn source(&self) -> &R {
        &self.from
    }

    /// The next `N` bytes.
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], RdbError> {
        self.must_have(N as u64)?;
        let mut bytes = [0; N];
        self.from.read_exact(&mut bytes)?;
        self.position += N as u64;
        Ok(bytes)
    }

    /// The next byte.
    pub(super) fn byte(&mut self) -> Result<u8, RdbError> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// Puts the next `len` bytes in the place of what `out` contains.
    pub(super) fn take(&mut self, len: u64, out: &mut Vec<u8>) -> Result<(), RdbError> {
        self.must_have(len)?;
        if len > VALUE_BYTES_MAX {
            return Err(RdbError::TooLong(len));
        }
        out.clear();
        // No more than is there: the source may end before it said.
        let read = self.from.by_ref().take(len).read_to_end(out)? as u64;
        self.position += read;
        if read == len { Ok(()) } else { Err(RdbError::Cut) }
    }

    /// Passes over `len` bytes.
    ///
    /// # Errors
    /// If there are not as many.
    pub fn pass(&mut self, len: u64) -> Result<(), RdbError> {
        self.must_have(len)?;
        let read = std::io::copy(&mut self.from.by_ref().take(len), &mut std::io::sink())?;
        self.position += read;
        if read == len { Ok(()) } else { Err(RdbError::Cut) }
    }

    fn must_have(&self, len: u64) -> Result<(), RdbError> {
        if len <= self.left() { Ok(()) } else { Err(RdbError::Cut) }
    }
}

//! Sets of integers in one string, ascending.
//!
//! ```text
//!   0  bytes of an integer u32: 2, 4 or 8
//!   4  integers u32
//!   8  integers, little-endian
//! ```

use super::RdbError;
use super::packed_entry::Bytes;

/// Checks all of it, and returns the integers.
pub(super) fn integers(blob: &[u8]) -> Result<impl Iterator<Item = i64> + '_, RdbError> {
    let mut rest = Bytes(blob);
    let width = u32::from_le_bytes(rest.array()?) as usize;
    let count = u32::from_le_bytes(rest.array()?) as usize;
    if ![2, 4, 8].contains(&width) || rest.0.len() != width.saturating_mul(count) {
        return Err(RdbError::Damaged("a set of integers has a wrong length"));
    }
    let values = rest.0.chunks_exact(width).map(integer);
    if values.clone().zip(values.clone().skip(1)).all(|(one, next)| one < next) {
        Ok(values)
    } else {
        Err(RdbError::Damaged("a set of integers does not ascend"))
    }
}

fn integer(bytes: &[u8]) -> i64 {
    match *bytes {
        [a, b] => i16::from_le_bytes([a, b]).into(),
        [a, b, c, d] => i32::from_le_bytes([a, b, c, d]).into(),
        _ => i64::from_le_bytes(*bytes.first_chunk().expect("an integer is of 2, 4 or 8 bytes")),
    }
}

//! A small set of integers in one piece, ascending.
//!
//! ```text
//!   0  bytes of an integer u8: 2, 4 or 8, the fewest that all of them fit into
//!   1  reserved u8, zero
//!   2  integers, ascending, little-endian
//! ```

use crate::value::packed;

const WIDTH: usize = 0;
const RESERVED: usize = 1;
const FIRST: usize = 2;

/// No fewer bytes than `count` integers take.
pub(crate) const fn bytes_max(count: usize) -> usize {
    FIRST + 8 * count
}

/// Returns the number of integers.
#[inline]
pub(crate) fn len(blob: &[u8]) -> usize {
    (blob.len() - FIRST) / blob[WIDTH] as usize
}

/// Returns the integer at `index`.
#[inline]
pub(crate) fn get(blob: &[u8], index: usize) -> i64 {
    let width = blob[WIDTH] as usize;
    let bytes = &blob[FIRST + index * width..][..width];
    match *bytes {
        [a, b] => i16::from_le_bytes([a, b]).into(),
        [a, b, c, d] => i32::from_le_bytes([a, b, c, d]).into(),
        _ => i64::from_le_bytes(*bytes.first_chunk().expect("an integer is of 2, 4 or 8 bytes")),
    }
}

/// Returns all integers, ascending.
pub(crate) fn all(blob: &[u8]) -> impl ExactSizeIterator<Item = i64> + '_ {
    (0..len(blob)).map(|index| get(blob, index))
}

/// Returns whether `value` is there.
#[inline]
pub(crate) fn contains(blob: &[u8], value: i64) -> bool {
    let (mut low, mut high) = (0, len(blob));
    while low < high {
        let middle = usize::midpoint(low, high);
        match get(blob, middle).cmp(&value) {
            std::cmp::Ordering::Equal => return true,
            std::cmp::Ordering::Less => low = middle + 1,
            std::cmp::Ordering::Greater => high = middle,
        }
    }
    false
}

/// Returns the set of `values`, which are unique and ascend.
pub(crate) fn pack(values: &[i64]) -> Vec<u8> {
    let fits = |bits: u32| values.iter().all(|value| *value >= -1 << (bits - 1) && *value < 1 << (bits - 1));
    let width = if fits(16) {
        2
    } else if fits(32) {
        4
    } else {
        8
    };
    let mut blob = Vec::with_capacity(FIRST + width * values.len());
    blob.extend_from_slice(&[width as u8, 0]);
    values.iter().for_each(|value| blob.extend_from_slice(&value.to_le_bytes()[..width]));
    blob
}

/// Checks bytes that may be damaged.
pub(crate) fn check(blob: &[u8]) -> Result<(), &'static str> {
    let width = blob.first().map_or(0, |width| *width as usize);
    if ![2, 4, 8].contains(&width) || blob.len() > packed::BYTES_MAX || blob.len() < FIRST + width {
        return Err("a set of integers has a wrong length");
    }
    let values: Vec<i64> = all(blob).collect();
    let ascend = values.windows(2).all(|pair| pair[0] < pair[1]);
    // The one form of these integers, with nothing behind them.
    if blob[RESERVED] != 0 || !ascend || pack(&values) != blob {
        return Err("a set of integers is malformed");
    }
    Ok(())
}

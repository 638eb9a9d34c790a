//! A range of bits of a string.

use crate::engine::call::{Call, Failure, is};
use crate::value::ValueView;

/// Bytes that are compared at a time.
const COMPARED: usize = 32;

/// What the ends of a range count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RangeUnit {
    Byte,
    Bit,
}

impl RangeUnit {
    /// The unit at an argument, which may be left out.
    pub(super) fn parse(call: &Call<'_>, at: usize) -> Result<RangeUnit, Failure> {
        match call.args().get(at) {
            None => Ok(RangeUnit::Byte),
            Some(word) if is(word, "BYTE") => Ok(RangeUnit::Byte),
            Some(word) if is(word, "BIT") => Ok(RangeUnit::Bit),
            Some(_) => Err(Failure::SYNTAX),
        }
    }

    /// The range from `start` to `end` of a string of `len` bytes; nothing if there is no bit in it.
    pub(super) fn range(self, start: i64, end: i64, len: u64) -> Option<BitRange> {
        match self {
            RangeUnit::Byte => BitRange::of_bytes(start, end, len),
            RangeUnit::Bit => {
                let (first, last) = clip(start, end, len as i64 * 8)?;
                Some(BitRange { first, last })
            }
        }
    }
}

/// Offsets of the first and the last one of `start..=end` of `len`; negative ones are counted from the end.
fn clip(start: i64, end: i64, len: i64) -> Option<(u64, u64)> {
    let place = |at: i64| if at < 0 { len.saturating_add(at).max(0) } else { at };
    let (first, last) = (place(start), place(end).min(len - 1));
    if first > last { None } else { Some((first as u64, last as u64)) }
}

/// Bits of a string, of which there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BitRange {
    /// Offset of the first bit.
    first: u64,
    /// Of the last one, which the string has.
    last: u64,
}

impl BitRange {
    /// The bits of the bytes from `start` to `end` of a string of `len` bytes.
    pub(super) fn of_bytes(start: i64, end: i64, len: u64) -> Option<BitRange> {
        let (first, last) = clip(start, end, len as i64)?;
        Some(BitRange { first: first * 8, last: last * 8 + 7 })
    }

    /// Bytes in which it lies.
    pub(super) const fn bytes(self) -> u64 {
        self.last / 8 - self.first / 8 + 1
    }

    /// The bits of its byte at `at` that are in it.
    const fn mask(self, at: u64) -> u8 {
        let head = if at == self.first / 8 { 0xff >> (self.first % 8) } else { 0xff };
        let tail = if at == self.last / 8 { 0xff << (7 - self.last % 8) } else { 0xff };
        head & tail
    }

    /// Its bytes, in pieces, with the offset of each.
    fn pieces<'a>(self, value: &ValueView<'a>) -> impl Iterator<Item = (u64, &'a [u8])> + use<'a> {
        let mut next = self.first / 8;
        value.chunks_of(next, self.last / 8 + 1).map(move |piece| {
            let at = next;
            next += piece.len() as u64;
            (at, piece)
        })
    }

    /// How many bits are 1.
    pub(super) fn count_ones(self, value: &ValueView<'_>) -> u64 {
        let all: u64 = self.pieces(value).map(|(_, piece)| count_ones(piece)).sum();
        let outside = |at: u64| u64::from((super::byte(Some(value), at) & !self.mask(at)).count_ones());
        let (first, last) = (self.first / 8, self.last / 8);
        all - outside(first) - if first == last { 0 } else { outside(last) }
    }

    /// The offset of the first bit that is `bit`.
    pub(super) fn first(self, value: &ValueView<'_>, bit: bool) -> Option<u64> {
        // The other bits are flipped to 0.
        let flip = if bit { 0 } else { 0xff };
        let wanted = |at: u64, byte: u8| (byte ^ flip) & self.mask(at);
        for (start, piece) in self.pieces(value) {
            for (index, bytes) in piece.chunks(COMPARED).enumerate() {
                if bytes.iter().fold(0, |any, byte| any | (byte ^ flip)) == 0 {
                    continue;
                }
                let at = start + (index * COMPARED) as u64;
                let found = (at..).zip(bytes).find(|(at, byte)| wanted(*at, **byte) != 0);
                if let Some((at, byte)) = found {
                    return Some(at * 8 + u64::from(wanted(at, *byte).leading_zeros()));
                }
            }
        }
        None
    }
}

/// How many bits are 1, counted by words.
fn count_ones(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let words: u64 = words.iter().map(|word| u64::from(u64::from_le_bytes(*word).count_ones())).sum();
    words + rest.iter().map(|byte| u64::from(byte.count_ones())).sum::<u64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_range_of_a_short_string_counts_and_finds_as_bit_by_bit() {
        let bytes: Vec<u8> = (0..70u32).map(|at| if at % 3 == 0 { 0 } else { (at * 37) as u8 | 1 }).collect();
        let whole = |at: i64| at < bytes.len() as i64 * 8 && bytes[at as usize / 8] & (0x80 >> (at % 8)) != 0;
        let (value, bits) = (ValueView::whole(&bytes), bytes.len() as i64 * 8);
        for start in (0..bits).step_by(3) {
            for end in (start..bits).step_by(5) {
                let range = RangeUnit::Bit.range(start, end, bytes.len() as u64).unwrap();
                assert_eq!(range.count_ones(&value), (start..=end).filter(|at| whole(*at)).count() as u64);
                for bit in [false, true] {
                    let first = (start..=end).find(|at| whole(*at) == bit);
                    assert_eq!(range.first(&value, bit), first.map(|at| at as u64), "{start} to {end}, {bit}");
                }
            }
        }
        assert_eq!(RangeUnit::Byte.range(-2, -1, 70), RangeUnit::Bit.range(-16, -1, 70));
        for (start, end) in [(5, 4), (560, 560), (560, i64::MAX)] {
            assert_eq!(RangeUnit::Bit.range(start, end, 70), None);
        }
        assert_eq!(RangeUnit::Byte.range(i64::MIN, i64::MAX, 70), RangeUnit::Byte.range(0, 69, 70));
        assert_eq!(RangeUnit::Byte.range(0, -1, 0), None);
    }
}

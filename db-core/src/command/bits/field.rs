//! BITFIELD: a string as integers of any width, at any bit.

use std::collections::BTreeMap;

use super::{WRONG_OFFSET, checked_offset};
use crate::engine::Data;
use crate::engine::call::number::parse_i64;
use crate::engine::call::{Call, Failure, Outcome, Reply, is};
use crate::limits::VALUE_BYTES_MAX;
use crate::types::string::{PatchList, StringChange};
use crate::value::ValueView;

const WRONG_TYPE: Failure =
    Failure::fixed("ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.");
const ONLY_GET: Failure = Failure::fixed("ERR BITFIELD_RO only supports the GET subcommand");
const WRONG_OVERFLOW: Failure = Failure::fixed("ERR Invalid OVERFLOW type specified");

/// What becomes of a number that does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Overflow {
    /// Its lowest bits are taken.
    Wrap,
    /// The nearest one that fits is.
    Saturate,
    /// Nothing is written.
    Fail,
}

/// A number in the string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Field {
    signed: bool,
    /// 1 to 64, or 63 if it has no sign.
    bits: u32,
    /// Of its highest bit.
    offset: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    Get,
    Set(i64),
    IncrBy(i64),
}

#[derive(Clone, Copy, Debug)]
struct FieldOperation {
    field: Field,
    deed: Deed,
    overflow: Overflow,
}

impl FieldOperation {
    /// Reads all operations of a call.
    fn parse_all(call: &Call<'_>) -> Result<Vec<FieldOperation>, Failure> {
        let (mut all, mut overflow, mut left) = (Vec::new(), Overflow::Wrap, call.args().len() - 2);
        let mut options = call.options(2);
        while let Some(word) = options.word() {
            left -= 1;
            let operands = match () {
                () if is(word, "GET") => 2,
                () if is(word, "SET") || is(word, "INCRBY") => 3,
                () if is(word, "OVERFLOW") => 1,
                () => return Err(Failure::SYNTAX),
            };
            left = usize::checked_sub(left, operands).ok_or(Failure::SYNTAX)?;
            if operands == 1 {
                overflow = match options.value()? {
                    word if is(word, "WRAP") => Overflow::Wrap,
                    word if is(word, "SAT") => Overflow::Saturate,
                    word if is(word, "FAIL") => Overflow::Fail,
                    _ => return Err(WRONG_OVERFLOW),
                };
                continue;
            }
            let field = Field::parse(options.value()?, options.value()?)?;
            let mut number = || parse_i64(options.value()?).ok_or(Failure::NOT_AN_INTEGER);
            let deed = match operands {
                2 => Deed::Get,
                _ if is(word, "SET") => Deed::Set(number()?),
                _ => Deed::IncrBy(number()?),
            };
            all.push(FieldOperation { field, deed, overflow });
        }
        Ok(all)
    }
}

impl Field {
    /// Reads a type, as `i16`, and an offset: of a bit, or after `#` of such a number.
    fn parse(kind: &[u8], offset: &[u8]) -> Result<Field, Failure> {
        let (signed, bits_max) = match kind.first() {
            Some(b'i') => (true, 64),
            Some(b'u') => (false, 63),
            _ => return Err(WRONG_TYPE),
        };
        let bits = parse_i64(&kind[1..]).filter(|bits| (1..=bits_max).contains(bits)).ok_or(WRONG_TYPE)?;
        let (number, factor) = offset.strip_prefix(b"#").map_or((offset, 1), |number| (number, bits));
        let offset = parse_i64(number).and_then(|number| number.checked_mul(factor)).and_then(checked_offset);
        Ok(Field { signed, bits: bits as u32, offset: offset.ok_or(WRONG_OFFSET)? })
    }

    /// Bytes that a string has with this field.
    const fn end(self) -> u64 {
        (self.offset + self.bits as u64).div_ceil(8)
    }

    const fn max(self) -> u64 {
        if self.signed { (1 << (self.bits - 1)) - 1 } else { (1 << self.bits) - 1 }
    }

    /// The number as it is written of these bits.
    const fn number(self, raw: u64) -> i64 {
        let unused = 64 - self.bits;
        if self.signed { (raw << unused).cast_signed() >> unused } else { raw.cast_signed() }
    }

    /// What `value + by` becomes: a number that fits, and whether the sum did.
    fn sum(self, value: i64, by: i64, overflow: Overflow) -> (i64, bool) {
        let side =
            if self.signed { self.signed_side(value, by) } else { self.unsigned_side(value.cast_unsigned(), by) };
        let sum = value.wrapping_add(by);
        let nearest = match (side, self.signed) {
            (FitSide::Within, _) => return (sum, true),
            (FitSide::Above, _) => self.max().cast_signed(),
            (FitSide::Below, true) => -self.max().cast_signed() - 1,
            (FitSide::Below, false) => 0,
        };
        let wrapped = self.number(sum.cast_unsigned() & (u64::MAX >> (64 - self.bits)));
        (if overflow == Overflow::Saturate { nearest } else { wrapped }, false)
    }

    /// Redis computes the room above and below with 64 bits and lets that wrap around, which decides where a number far beyond is taken to be.
    fn signed_side(self, value: i64, by: i64) -> FitSide {
        let max = self.max().cast_signed();
        let min = -max - 1;
        let (above, below) = (max.wrapping_sub(value), min.wrapping_sub(value));
        let is_narrow = self.bits != 64;
        if value > max || (is_narrow && by > above) || (value >= 0 && by > 0 && by > above) {
            FitSide::Above
        } else if value < min || (is_narrow && by < below) || (value < 0 && by < 0 && by < below) {
            FitSide::Below
        } else {
            FitSide::Within
        }
    }

    fn unsigned_side(self, value: u64, by: i64) -> FitSide {
        let max = self.max();
        let (above, below) = (max.wrapping_sub(value).cast_signed(), value.wrapping_neg().cast_signed());
        if value > max || (by > 0 && by > above) {
            FitSide::Above
        } else if by < 0 && by < below {
            FitSide::Below
        } else {
            FitSide::Within
        }
    }
}

/// Where a number is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FitSide {
    Below,
    Within,
    Above,
}

/// A string with bytes that are yet to be written.
struct Draft<'a> {
    value: Option<ValueView<'a>>,
    written: BTreeMap<u64, u8>,
}

impl Draft<'_> {
    /// Bytes at which a field of 64 bits may lie.
    const FIELD_BYTES: usize = 9;

    /// The bytes from that of the field's first bit on, as the highest ones of a number, and how far its last bit is from the lowest.
    fn bytes(&self, field: Field) -> (u128, u32) {
        let (start, mut bytes) = (field.offset / 8, [0; 16]);
        let end = start + Self::FIELD_BYTES as u64;
        let pieces = self.value.iter().flat_map(|value| value.chunks_of(start, end));
        bytes.iter_mut().zip(pieces.flatten()).for_each(|(byte, there)| *byte = *there);
        for (at, byte) in self.written.range(start..end) {
            bytes[(at - start) as usize] = *byte;
        }
        (u128::from_be_bytes(bytes), 128 - (field.offset % 8) as u32 - field.bits)
    }

    fn get(&self, field: Field) -> i64 {
        let (bytes, shift) = self.bytes(field);
        field.number((bytes >> shift) as u64 & (u64::MAX >> (64 - field.bits)))
    }

    fn put(&mut self, field: Field, number: i64) {
        let (bytes, shift) = self.bytes(field);
        let mask = u128::from(u64::MAX >> (64 - field.bits)) << shift;
        let bits = u128::from(number.cast_unsigned()) << shift & mask;
        let bytes = (bytes & !mask | bits).to_be_bytes();
        let places = field.offset / 8..field.end();
        self.written.extend(places.zip(bytes));
    }

    /// Does one operation; returns what it replies, nothing if the number does not fit and is not to be written then.
    fn run(&mut self, operation: FieldOperation) -> Option<i64> {
        let FieldOperation { field, deed, overflow } = operation;
        let old = self.get(field);
        let (new, fits) = match deed {
            Deed::Get => return Some(old),
            Deed::Set(number) => field.sum(number, 0, overflow),
            Deed::IncrBy(by) => field.sum(old, by, overflow),
        };
        if !fits && overflow == Overflow::Fail {
            return None;
        }
        self.put(field, new);
        Some(if matches!(deed, Deed::Set(_)) { old } else { new })
    }

    /// What differs from the string as it is.
    fn patches(&self) -> PatchList {
        let mut patches = PatchList::default();
        for (at, byte) in &self.written {
            if super::byte(self.value.as_ref(), *at) != *byte {
                patches.put(*at, *byte);
            }
        }
        patches
    }
}

/// BITFIELD and BITFIELD_RO.
pub(crate) fn bitfield(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let operations = FieldOperation::parse_all(call)?;
    let writes = || operations.iter().filter(|operation| operation.deed != Deed::Get);
    if !call.spec.writes() && writes().next().is_some() {
        return Err(ONLY_GET);
    }
    // As long as all that it may write, whether it is written or not.
    let len = writes().map(|operation| operation.field.end()).max().unwrap_or(0);
    if len > VALUE_BYTES_MAX {
        return Err(WRONG_OFFSET);
    }
    let mut at = data.locate(&call.key(0));
    let value = data.string(&at)?.map(|entry| entry.value());
    let mut draft = Draft { value, written: BTreeMap::new() };
    reply.array(operations.len());
    for operation in &operations {
        match draft.run(*operation) {
            Some(number) => reply.int(number),
            None => reply.null(),
        }
    }
    let (mut patches, old) = (draft.patches(), value.map(|value| value.len()));
    let patches = patches.finish();
    if patches.is_empty() && old.unwrap_or(0) >= len {
        return Ok(());
    }
    data.change(&mut at, StringChange::Patch { afresh: old.is_none(), len, patches })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(kind: &str, offset: &str) -> Field {
        Field::parse(kind.as_bytes(), offset.as_bytes()).unwrap()
    }

    #[test]
    fn what_is_written_is_read_again_at_any_bit() {
        let bytes: Vec<u8> = (0..40u8).map(|at| at.wrapping_mul(73)).collect();
        for bits in 1..=64 {
            for offset in 0..30 {
                for signed in [false, true] {
                    if bits == 64 && !signed {
                        continue;
                    }
                    let field = Field { signed, bits, offset };
                    let mut draft = Draft { value: Some(ValueView::whole(&bytes)), written: BTreeMap::new() };
                    let around = [Field { signed: false, bits: 40, offset: offset + u64::from(bits) }];
                    let before = around.map(|field| draft.get(field));
                    for number in [0, -1, 0x0123_4567_89ab_cdef] {
                        let (fits, _) = field.sum(number, 0, Overflow::Wrap);
                        draft.put(field, fits);
                        assert_eq!(draft.get(field), fits, "{field:?}");
                    }
                    assert_eq!(around.map(|field| draft.get(field)), before, "{field:?}");
                }
            }
        }
    }

    #[test]
    fn sums_that_do_not_fit() {
        let (i8, u8, i64, u63) = (field("i8", "0"), field("u8", "#3"), field("i64", "0"), field("u63", "0"));
        for (field, value, by, wrapped, nearest) in [
            (i8, 127, 1, -128, 127),
            (i8, -128, -1, 127, -128),
            (i8, 300, 0, 44, 127),
            (u8, 255, 1, 0, 255),
            (u8, 0, -1, 255, 0),
            (u8, -1, 0, 255, 255),
            (i64, i64::MAX, 1, i64::MIN, i64::MAX),
            (i64, i64::MIN, -1, i64::MAX, i64::MIN),
            (u63, i64::MAX, 1, 0, i64::MAX),
        ] {
            assert_eq!(field.sum(value, by, Overflow::Wrap), (wrapped, false), "{field:?} {value} {by}");
            assert_eq!(field.sum(value, by, Overflow::Saturate), (nearest, false), "{field:?} {value} {by}");
        }
        assert_eq!(i8.sum(100, 27, Overflow::Fail), (127, true));
        assert_eq!(u8.offset, 24);
    }

    #[test]
    fn a_type_or_an_offset_beyond_the_limits_is_refused() {
        for kind in ["", "i", "i0", "i65", "u64", "x8", "i+8", "u-1", "i08"] {
            assert_eq!(Field::parse(kind.as_bytes(), b"0"), Err(WRONG_TYPE), "{kind}");
        }
        for offset in ["", "-1", "#-1", "4294967296", "#536870912", "#9223372036854775807", "##1", "x"] {
            assert_eq!(Field::parse(b"u8", offset.as_bytes()), Err(WRONG_OFFSET), "{offset}");
        }
        assert_eq!(field("u8", "#536870911").end(), VALUE_BYTES_MAX);
    }
}

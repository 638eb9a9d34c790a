//! Strings as arrays of bits.

use redis::{FromRedisValue, RedisWrite, ToRedisArgs};

use super::{Call, Execute, call};

/// Commands for strings as arrays of bits: bit 0 is the highest one of the first byte, and bits behind the end are 0.
pub trait BitCommands: Execute + Sized {
    /// Sets or clears a bit; returns what it was.
    fn setbit(&self, key: impl ToRedisArgs, offset: u64, bit: bool) -> Call<'_, bool> {
        call(self, "SETBIT").arg(key).arg(offset).arg(u8::from(bit))
    }

    /// A bit.
    fn getbit(&self, key: impl ToRedisArgs, offset: u64) -> Call<'_, bool> {
        call(self, "GETBIT").arg(key).arg(offset)
    }

    /// How many bits are set, in a range or in all of the value.
    fn bitcount(&self, key: impl ToRedisArgs, range: Option<BitRange>) -> Call<'_, u64> {
        call(self, "BITCOUNT").arg(key).arg(range)
    }

    /// Where the first bit is that is `bit`. Without a range zeros follow the end of the value, so that there is always one that is not set, unless
    /// it is empty.
    fn bitpos(&self, key: impl ToRedisArgs, bit: bool, range: Option<BitRange>) -> Call<'_, BitPosition> {
        call(self, "BITPOS").arg(key).arg(u8::from(bit)).arg(range)
    }

    /// Combines the values of keys bit by bit and stores the result; returns its length in bytes.
    fn bitop(&self, operation: BitOperation, to: impl ToRedisArgs, keys: impl ToRedisArgs) -> Call<'_, u64> {
        call(self, "BITOP").arg(operation).arg(to).arg(keys)
    }

    /// Reads, sets and adds to integers in a value; returns a number for each of them, none where one would not fit that was to fit.
    fn bitfield(&self, key: impl ToRedisArgs, fields: &BitFields) -> Call<'_, Vec<Option<i64>>> {
        call(self, "BITFIELD").arg(key).arg(&fields.words)
    }

    /// The same for what only reads.
    fn bitfield_ro(&self, key: impl ToRedisArgs, fields: &BitFields) -> Call<'_, Vec<Option<i64>>> {
        call(self, "BITFIELD_RO").arg(key).arg(&fields.words)
    }
}

impl<E: Execute> BitCommands for E {}

/// A range of a value; its last byte or bit is included, and negative ends are counted from the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BitRange {
    /// From a byte to another.
    Bytes(i64, i64),
    /// From a bit to another.
    Bits(i64, i64),
}

impl ToRedisArgs for BitRange {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        match self {
            BitRange::Bytes(start, end) => (start, end, "BYTE").write_redis_args(out),
            BitRange::Bits(start, end) => (start, end, "BIT").write_redis_args(out),
        }
    }
}

/// Where a bit is; none: nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BitPosition(pub Option<u64>);

impl FromRedisValue for BitPosition {
    fn from_redis_value(value: redis::Value) -> Result<Self, redis::ParsingError> {
        Ok(BitPosition(u64::try_from(i64::from_redis_value(value)?).ok()))
    }
}

/// Which bits of a result are set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BitOperation {
    /// Those that are set in all values.
    And,
    /// In any of them.
    Or,
    /// In an odd number of them.
    Xor,
    /// Not in the only one.
    Not,
    /// In the first one and no other. (Redis 8.2, as those that follow.)
    Diff,
    /// In any of the others and not in the first one.
    Diff1,
    /// In the first one and any of the others.
    AndOr,
    /// In exactly one of them.
    One,
}

impl ToRedisArgs for BitOperation {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        let word = match self {
            BitOperation::And => "AND",
            BitOperation::Or => "OR",
            BitOperation::Xor => "XOR",
            BitOperation::Not => "NOT",
            BitOperation::Diff => "DIFF",
            BitOperation::Diff1 => "DIFF1",
            BitOperation::AndOr => "ANDOR",
            BitOperation::One => "ONE",
        };
        word.write_redis_args(out);
    }
}

/// What becomes of a number that does not fit into its bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BitOverflow {
    /// Its lowest bits are taken.
    Wrap,
    /// The nearest one that fits is.
    Saturate,
    /// It is not written.
    Fail,
}

/// What is done with integers in a value, one after the other. A type is `i` with a sign or `u` without, and a number of bits, as `u8`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BitFields {
    words: Vec<String>,
}

impl BitFields {
    fn with<const N: usize>(mut self, words: [&dyn ToString; N]) -> Self {
        self.words.extend(words.map(ToString::to_string));
        self
    }

    /// Reads an integer at a bit.
    #[must_use]
    pub fn get(self, kind: &str, offset: u64) -> Self {
        self.with([&"GET", &kind, &offset])
    }

    /// Sets an integer at a bit, and reads what it was.
    #[must_use]
    pub fn set(self, kind: &str, offset: u64, value: i64) -> Self {
        self.with([&"SET", &kind, &offset, &value])
    }

    /// Adds to an integer at a bit, and reads the sum.
    #[must_use]
    pub fn incrby(self, kind: &str, offset: u64, by: i64) -> Self {
        self.with([&"INCRBY", &kind, &offset, &by])
    }

    /// Says what becomes of numbers that do not fit, from here on.
    #[must_use]
    pub fn overflow(self, overflow: BitOverflow) -> Self {
        let word = match overflow {
            BitOverflow::Wrap => "WRAP",
            BitOverflow::Saturate => "SAT",
            BitOverflow::Fail => "FAIL",
        };
        self.with([&"OVERFLOW", &word])
    }
}

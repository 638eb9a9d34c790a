//! HyperLogLog: the number of different elements, about, in Redis's representation of it as a string.
//!
//! An element's hash chooses one of 16384 registers, which keeps the longest run of zeros (and one) among the rest of such hashes. How
//! many registers have which value says how many elements there were, with a standard error of 0.81 % (Ertl, "New cardinality
//! estimation algorithms for HyperLogLog sketches", 2017).
//!
//! ```text
//!   0  "HYLL"
//!   4  representation u8: 0 dense, 1 sparse
//!   5  not used, zero when it is made
//!   8  the count as last computed u64, little-endian; the highest bit is set if registers have changed since
//!  16  dense: the registers, 6 bits each, the lowest bits of a byte first
//!      sparse: runs of registers, which add up to all of them
//!        00llllll             l + 1 registers are 0
//!        01llllll llllllll    l + 1 registers are 0 (high bits first)
//!        1vvvvvll             l + 1 registers are v + 1
//! ```
//!
//! Clients can set any string, so what is read is checked as a whole; what was checked, and what is made of it, is sound.

use super::ValueView;

const MAGIC: &[u8; 4] = b"HYLL";
const REPRESENTATION: usize = 4;
const DENSE: u8 = 0;
const SPARSE: u8 = 1;
const COUNT: usize = 8;
/// Of the count's last byte.
const OUTDATED: u8 = 0x80;
const HEADER_BYTES: usize = 16;

const INDEX_BITS: u32 = 14;
/// Registers of each.
const REGISTERS: usize = 1 << INDEX_BITS;
/// Bits of a hash that a register counts zeros of.
const RANK_BITS: u32 = 64 - INDEX_BITS;
const REGISTER_BITS: usize = 6;
const REGISTER_MASK: u8 = (1 << REGISTER_BITS) - 1;
const DENSE_BYTES: usize = HEADER_BYTES + REGISTERS * REGISTER_BITS / 8;
/// Longest sparse one: each register in a run of its own, of the longer form.
const SPARSE_BYTES_MAX: usize = HEADER_BYTES + 2 * REGISTERS;

const VALUE_MAX: u8 = 32;
const VALUE_RUN_MAX: usize = 4;
const ZERO_RUN_MAX: usize = 64;
/// Runs that are looked at after a change, to join those of one value.
const JOINED_RUNS: usize = 5;

const HASH_SEED: u64 = 0xadc8_3b19;

/// Why a string is no HyperLogLog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HyperLogLogError {
    /// It is something else.
    Foreign,
    /// Its runs do not add up to the registers.
    Corrupted,
}

/// All registers of one, a byte each.
pub(crate) struct Registers(Box<[u8; REGISTERS]>);

impl Registers {
    /// All are 0.
    pub(crate) fn new() -> Registers {
        Registers(Box::new([0; REGISTERS]))
    }

    /// Returns about how many elements they have seen.
    pub(crate) fn count(&self) -> u64 {
        let mut histogram = Histogram::default();
        self.0.iter().for_each(|value| histogram.add(*value, 1));
        histogram.count()
    }
}

/// How many registers have which value.
struct Histogram([u32; 1 << REGISTER_BITS]);

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram([0; 1 << REGISTER_BITS])
    }
}

impl Histogram {
    fn add(&mut self, value: u8, registers: usize) {
        self.0[usize::from(value & REGISTER_MASK)] += registers as u32;
    }

    /// The improved raw estimator of the paper.
    fn count(&self) -> u64 {
        const ALPHA: f64 = 0.721_347_520_444_481_7;
        const ALL: f64 = REGISTERS as f64;
        let last = RANK_BITS as usize + 1;
        let mut sum = ALL * tau((ALL - f64::from(self.0[last])) / ALL);
        for registers in self.0[1..last].iter().rev() {
            sum = (sum + f64::from(*registers)) * 0.5;
        }
        sum += ALL * sigma(f64::from(self.0[0]) / ALL);
        (ALPHA * ALL * ALL / sum).round() as u64
    }
}

fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut sum) = (1.0, x);
    loop {
        x *= x;
        let before = sum;
        sum += x * y;
        y += y;
        if sum == before {
            return sum;
        }
    }
}

fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut y, mut sum) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = sum;
        y *= 0.5;
        sum -= (1.0 - x) * (1.0 - x) * y;
        if sum == before {
            return sum / 3.0;
        }
    }
}

/// A run of registers of a sparse one.
#[derive(Clone, Copy)]
struct Run {
    value: u8,
    registers: usize,
    /// Bytes that it takes.
    bytes: usize,
}

impl Run {
    /// The run at the beginning of `bytes`; nothing if it is cut off.
    fn read(bytes: &[u8]) -> Option<Run> {
        let first = *bytes.first()?;
        Some(match first {
            0x80.. => Run { value: (first >> 2 & 0x1f) + 1, registers: usize::from(first & 3) + 1, bytes: 1 },
            0x40.. => {
                let len = usize::from(first & 0x3f) << 8 | usize::from(*bytes.get(1)?);
                Run { value: 0, registers: len + 1, bytes: 2 }
            }
            _ => Run { value: 0, registers: usize::from(first) + 1, bytes: 1 },
        })
    }

    /// Appends the shortest run of so many registers, unless there are none.
    fn put(out: &mut Vec<u8>, value: u8, registers: usize) {
        if registers == 0 {
            return;
        }
        let len = registers - 1;
        match value {
            0 if registers > ZERO_RUN_MAX => out.extend([0x40 | (len >> 8) as u8, len as u8]),
            0 => out.push(len as u8),
            _ => out.push(0x80 | (value - 1) << 2 | len as u8),
        }
    }
}

/// A sound HyperLogLog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HyperLogLog {
    bytes: Vec<u8>,
}

impl HyperLogLog {
    /// One that has seen nothing: sparse.
    pub(crate) fn new() -> HyperLogLog {
        let mut bytes = vec![0; HEADER_BYTES];
        bytes[..MAGIC.len()].copy_from_slice(MAGIC);
        bytes[REPRESENTATION] = SPARSE;
        Run::put(&mut bytes, 0, REGISTERS);
        HyperLogLog { bytes }
    }

    /// Reads and checks a string.
    ///
    /// # Errors
    /// If it is none.
    pub(crate) fn read(value: &ValueView<'_>) -> Result<HyperLogLog, HyperLogLogError> {
        let header = Header::read(value)?;
        if value.len() > SPARSE_BYTES_MAX as u64 {
            return Err(HyperLogLogError::Corrupted);
        }
        let mut bytes = Vec::new();
        value.range(0, value.len(), &mut bytes);
        let read = HyperLogLog { bytes };
        if !header.is_dense() {
            let (mut at, mut registers) = (HEADER_BYTES, 0);
            while at < read.bytes.len() {
                let run = Run::read(&read.bytes[at..]).ok_or(HyperLogLogError::Corrupted)?;
                at += run.bytes;
                registers += run.registers;
            }
            if registers != REGISTERS {
                return Err(HyperLogLogError::Corrupted);
            }
        }
        Ok(read)
    }

    /// The string.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether registers have room for any value.
    pub(crate) fn is_dense(&self) -> bool {
        self.bytes[REPRESENTATION] == DENSE
    }

    /// Adds an element; returns whether a register has changed. A sparse one of more than `sparse_bytes_max` bytes becomes dense.
    pub(crate) fn add(&mut self, element: &[u8], sparse_bytes_max: usize) -> bool {
        let hash = murmur64(element, HASH_SEED);
        let rest = hash >> INDEX_BITS | 1 << RANK_BITS;
        self.raise((hash as usize) % REGISTERS, rest.trailing_zeros() as u8 + 1, sparse_bytes_max)
    }

    /// Raises a register to at least `value`; returns whether it has changed. As [`add`](Self::add).
    fn raise(&mut self, register: usize, value: u8, sparse_bytes_max: usize) -> bool {
        if !self.is_dense() {
            if value <= VALUE_MAX
                && let Some(changed) = self.raise_sparse(register, value, sparse_bytes_max)
            {
                return changed;
            }
            self.make_dense();
        }
        let is_higher = self.dense(register) < value;
        if is_higher {
            self.put_dense(register, value);
        }
        is_higher
    }

    /// Raises a register of a sparse one; nothing if it would be longer than `sparse_bytes_max` bytes.
    fn raise_sparse(&mut self, register: usize, value: u8, sparse_bytes_max: usize) -> Option<bool> {
        let (mut at, mut first, mut before) = (HEADER_BYTES, 0, None);
        let run = loop {
            let run = self.run(at);
            if register < first + run.registers {
                break run;
            }
            before = Some(at);
            at += run.bytes;
            first += run.registers;
        };
        if run.value >= value {
            return Some(false);
        }
        let mut runs = Vec::with_capacity(5);
        Run::put(&mut runs, run.value, register - first);
        Run::put(&mut runs, value, 1);
        Run::put(&mut runs, run.value, first + run.registers - register - 1);
        if runs.len() > run.bytes && self.bytes.len() + runs.len() - run.bytes > sparse_bytes_max {
            return None;
        }
        self.bytes.splice(at..at + run.bytes, runs);
        self.join_runs(before.unwrap_or(HEADER_BYTES));
        Some(true)
    }

    /// Joins neighbouring runs of one value, from the run at `at` on.
    fn join_runs(&mut self, mut at: usize) {
        for _ in 0..JOINED_RUNS {
            if at >= self.bytes.len() {
                return;
            }
            let run = self.run(at);
            let next = at + run.bytes;
            if run.value != 0 && next < self.bytes.len() {
                let other = self.run(next);
                let registers = run.registers + other.registers;
                if other.value == run.value && registers <= VALUE_RUN_MAX {
                    let mut joined = Vec::with_capacity(1);
                    Run::put(&mut joined, run.value, registers);
                    self.bytes.splice(at..=next, joined);
                    continue;
                }
            }
            at = next;
        }
    }

    fn run(&self, at: usize) -> Run {
        Run::read(&self.bytes[at..]).expect("its runs are sound")
    }

    /// Makes it dense, with the same registers.
    pub(crate) fn make_dense(&mut self) {
        if self.is_dense() {
            return;
        }
        let mut dense = HyperLogLog { bytes: vec![0; DENSE_BYTES] };
        dense.bytes[..HEADER_BYTES].copy_from_slice(&self.bytes[..HEADER_BYTES]);
        dense.bytes[REPRESENTATION] = DENSE;
        let mut first = 0;
        self.each_run(|value, registers| {
            if value != 0 {
                (first..first + registers).for_each(|register| dense.put_dense(register, value));
            }
            first += registers;
        });
        *self = dense;
    }

    /// Shows values in the order of the registers, each with how many there are of it in a row.
    fn each_run(&self, mut visit: impl FnMut(u8, usize)) {
        if self.is_dense() {
            (0..REGISTERS).for_each(|register| visit(self.dense(register), 1));
            return;
        }
        let mut at = HEADER_BYTES;
        while at < self.bytes.len() {
            let run = self.run(at);
            visit(run.value, run.registers);
            at += run.bytes;
        }
    }

    /// The place of a register of a dense one: a byte, and the lowest of its bits there.
    fn place(register: usize) -> (usize, usize) {
        let bit = register * REGISTER_BITS;
        (HEADER_BYTES + bit / 8, bit % 8)
    }

    fn dense(&self, register: usize) -> u8 {
        let (at, low) = Self::place(register);
        let high = self.bytes.get(at + 1).copied().unwrap_or(0);
        (u16::from_le_bytes([self.bytes[at], high]) >> low) as u8 & REGISTER_MASK
    }

    fn put_dense(&mut self, register: usize, value: u8) {
        let (at, low) = Self::place(register);
        let (mask, bits) = (u16::from(REGISTER_MASK) << low, u16::from(value) << low);
        let old = u16::from_le_bytes([self.bytes[at], self.bytes.get(at + 1).copied().unwrap_or(0)]);
        let [first, second] = (old & !mask | bits).to_le_bytes();
        self.bytes[at] = first;
        if mask > 0xff {
            self.bytes[at + 1] = second;
        }
    }

    /// Raises `registers` to those of this one.
    pub(crate) fn merge_into(&self, registers: &mut Registers) {
        let mut first = 0;
        self.each_run(|value, count| {
            registers.0[first..first + count].iter_mut().for_each(|register| *register = value.max(*register));
            first += count;
        });
    }

    /// Raises its registers to those of `registers`. As [`add`](Self::add).
    pub(crate) fn raise_all(&mut self, registers: &Registers, sparse_bytes_max: usize) {
        for (register, value) in registers.0.iter().enumerate().filter(|(_, value)| **value != 0) {
            self.raise(register, *value, sparse_bytes_max);
        }
    }

    /// Notes that the count it has is that of other registers.
    pub(crate) fn outdate_count(&mut self) {
        self.bytes[HEADER_BYTES - 1] |= OUTDATED;
    }

    /// Computes the count.
    pub(crate) fn count(&self) -> u64 {
        let mut histogram = Histogram::default();
        self.each_run(|value, registers| histogram.add(value, registers));
        histogram.count()
    }
}

/// The beginning of one whose registers were not looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Header([u8; HEADER_BYTES]);

impl Header {
    /// Where the count is, in bytes.
    pub(crate) const COUNT_AT: u64 = COUNT as u64;

    /// Reads the header of a string.
    ///
    /// # Errors
    /// If it is no HyperLogLog.
    pub(crate) fn read(value: &ValueView<'_>) -> Result<Header, HyperLogLogError> {
        let mut bytes = Vec::new();
        value.range(0, HEADER_BYTES as u64, &mut bytes);
        let header = Header(bytes.try_into().map_err(|_| HyperLogLogError::Foreign)?);
        let is_long_enough = !header.is_dense() || value.len() == DENSE_BYTES as u64;
        let is_one = header.0.starts_with(MAGIC) && header.0[REPRESENTATION] <= SPARSE && is_long_enough;
        if is_one { Ok(header) } else { Err(HyperLogLogError::Foreign) }
    }

    fn is_dense(self) -> bool {
        self.0[REPRESENTATION] == DENSE
    }

    /// The count, unless registers have changed since it was computed.
    pub(crate) fn count(self) -> Option<u64> {
        let count: &[u8; 8] = self.0.last_chunk().expect("the count stands last");
        (count[7] & OUTDATED == 0).then_some(u64::from_le_bytes(*count))
    }
}

/// MurmurHash64A, of the bytes in the order of a little-endian machine.
fn murmur64(bytes: &[u8], seed: u64) -> u64 {
    const FACTOR: u64 = 0xc6a4_a793_5bd1_e995;
    const SHIFT: u32 = 47;
    let mut hash = seed ^ (bytes.len() as u64).wrapping_mul(FACTOR);
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        let mut mixed = u64::from_le_bytes(*word).wrapping_mul(FACTOR);
        mixed ^= mixed >> SHIFT;
        hash = (hash ^ mixed.wrapping_mul(FACTOR)).wrapping_mul(FACTOR);
    }
    if !rest.is_empty() {
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        hash = (hash ^ u64::from_le_bytes(last)).wrapping_mul(FACTOR);
    }
    hash ^= hash >> SHIFT;
    hash = hash.wrapping_mul(FACTOR);
    hash ^ hash >> SHIFT
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPARSE_MAX: usize = 3_000;

    fn added(elements: std::ops::Range<u32>, sparse_bytes_max: usize) -> HyperLogLog {
        let mut made = HyperLogLog::new();
        elements.for_each(|element| {
            made.add(&element.to_le_bytes(), sparse_bytes_max);
        });
        made
    }

    fn registers(of: &HyperLogLog) -> Vec<u8> {
        let mut registers = Registers::new();
        of.merge_into(&mut registers);
        registers.0.to_vec()
    }

    #[test]
    fn it_counts_within_its_error_in_either_representation() {
        for elements in [0, 1, 10, 1_000, 20_000, 300_000] {
            let made = added(0..elements, SPARSE_MAX);
            let error = made.count() as f64 / f64::from(elements.max(1)) - 1.0;
            assert!(elements == 0 && made.count() == 0 || error.abs() < 0.03, "{elements}: {}", made.count());
            assert_eq!(made.is_dense(), elements > 10_000, "{elements}: {}", made.bytes.len());
            let mut dense = made.clone();
            dense.make_dense();
            assert_eq!((dense.count(), registers(&dense)), (made.count(), registers(&made)));
        }
    }

    #[test]
    fn what_it_makes_of_itself_is_sound_and_the_same_in_both_representations() {
        let (mut sparse, mut dense) = (HyperLogLog::new(), HyperLogLog::new());
        dense.make_dense();
        for element in 0..20_000u32 {
            let element = (element % 15_000).to_le_bytes();
            assert_eq!(sparse.add(&element, usize::MAX), dense.add(&element, 0), "{element:?}");
        }
        assert!(!sparse.is_dense());
        assert_eq!(registers(&sparse), registers(&dense));
        for one in [&sparse, &dense] {
            assert_eq!(HyperLogLog::read(&ValueView::whole(one.bytes())).as_ref(), Ok(one));
        }
    }

    #[test]
    fn a_register_that_a_run_has_no_room_for_makes_it_dense() {
        let mut made = added(0..10, SPARSE_MAX);
        assert!(made.raise(REGISTERS - 1, VALUE_MAX, SPARSE_MAX) && !made.is_dense());
        assert!(!made.raise(REGISTERS - 1, VALUE_MAX, SPARSE_MAX));
        assert!(made.raise(REGISTERS - 1, VALUE_MAX + 1, SPARSE_MAX) && made.is_dense());
        assert_eq!(registers(&made)[REGISTERS - 1], VALUE_MAX + 1);
        assert!(made.raise(REGISTERS - 1, RANK_BITS as u8 + 1, SPARSE_MAX));
        assert_eq!(made.bytes.len(), DENSE_BYTES);
    }

    #[test]
    fn what_is_none_is_refused() {
        let read = |bytes: &[u8]| HyperLogLog::read(&ValueView::whole(bytes)).err();
        let sound = added(0..100, SPARSE_MAX).bytes;
        let with = |at: usize, byte: u8| {
            let mut bytes = sound.clone();
            bytes[at] = byte;
            read(&bytes)
        };
        assert_eq!(read(&sound), None);
        for foreign in [read(b""), read(&sound[..15]), with(0, b'h'), with(4, 2), with(4, 0)] {
            assert_eq!(foreign, Some(HyperLogLogError::Foreign));
        }
        let corrupted = [
            read(&sound[..16]),
            read(&sound[..sound.len() - 1]),
            read(&[&sound[..], &[0]].concat()),
            read(&[&sound[..], &[0x40]].concat()),
            read(&[&sound[..16], &[0; 40_000]].concat()),
        ];
        for corrupted in corrupted {
            assert_eq!(corrupted, Some(HyperLogLogError::Corrupted));
        }
    }

    #[test]
    fn the_count_is_kept_until_registers_change() {
        let mut made = added(0..50, SPARSE_MAX);
        let header = |made: &HyperLogLog| Header::read(&ValueView::whole(made.bytes())).unwrap().count();
        assert_eq!(header(&made), Some(0), "who adds outdates it");
        made.outdate_count();
        assert_eq!(header(&made), None);
    }
}

//! LCS: the longest common subsequence of two strings.

use crate::engine::Data;
use crate::engine::call::number::parse_i64;
use crate::engine::call::{Call, Failure, Outcome, Reply, is};
use crate::limits::VALUE_BYTES_MAX;
use crate::value::ValueView;

/// Bytes of Redis's table for each pair of places. What is refused there for its memory is refused here for its time.
const CELL_BYTES: u64 = 4;

/// Pairs of places that are compared in about the time in which an element of a reply is visited.
const CELLS_OF_AN_ELEMENT: u64 = 8;

const NO_STRINGS: Failure = Failure::fixed("ERR The specified keys must contain string values");
const EITHER: Failure = Failure::fixed("ERR If you want both the length and indexes, please just use IDX.");
const TOO_LARGE: Failure =
    Failure::fixed("ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len");

#[derive(Debug, Default)]
struct LcsOptions {
    length: bool,
    indexes: bool,
    with_lengths: bool,
    length_min: i64,
}

impl LcsOptions {
    fn parse(call: &Call<'_>) -> Result<LcsOptions, Failure> {
        let mut lcs = LcsOptions::default();
        let mut options = call.options(3);
        while let Some(word) = options.word() {
            match () {
                () if is(word, "IDX") => lcs.indexes = true,
                () if is(word, "LEN") => lcs.length = true,
                () if is(word, "WITHMATCHLEN") => lcs.with_lengths = true,
                () if is(word, "MINMATCHLEN") => {
                    lcs.length_min = parse_i64(options.value()?).ok_or(Failure::NOT_AN_INTEGER)?;
                }
                () => return Err(Failure::SYNTAX),
            }
        }
        if lcs.indexes && lcs.length { Err(EITHER) } else { Ok(lcs) }
    }
}

/// Bytes that both strings have in a row: where the first one is in each, and how many there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Match {
    a: usize,
    b: usize,
    len: usize,
}

/// Which way a subsequence goes where two bytes differ.
struct Ways {
    /// A bit for each pair of places: one byte less of the first string is better than one less of the second.
    first: Vec<u64>,
    width: usize,
}

impl Ways {
    fn new(a: usize, b: usize) -> Ways {
        Ways { first: vec![0; (a * b).div_ceil(64)], width: b }
    }

    fn put(&mut self, a: usize, b: usize) {
        let at = a * self.width + b;
        self.first[at / 64] |= 1 << (at % 64);
    }

    fn is_first(&self, a: usize, b: usize) -> bool {
        let at = a * self.width + b;
        self.first[at / 64] & 1 << (at % 64) != 0
    }

    /// What is common, in rows, the last one first.
    fn matches(&self, a: &[u8], b: &[u8]) -> Vec<Match> {
        let (mut matches, mut row) = (Vec::new(), None::<Match>);
        let (mut at_a, mut at_b) = (a.len(), b.len());
        while at_a > 0 && at_b > 0 {
            if a[at_a - 1] == b[at_b - 1] {
                (at_a, at_b) = (at_a - 1, at_b - 1);
                row = Some(Match { a: at_a, b: at_b, len: row.map_or(0, |row| row.len) + 1 });
                continue;
            }
            matches.extend(row.take());
            if self.is_first(at_a - 1, at_b - 1) {
                at_a -= 1;
            } else {
                at_b -= 1;
            }
        }
        matches.extend(row);
        matches
    }
}

/// Returns how long the longest common subsequence is; `ways` is filled in, if it is there.
fn length(a: &[u8], b: &[u8], mut ways: Option<&mut Ways>) -> usize {
    // Of the strings up to a place of `a` and each of `b`: before the place, and at it.
    let (mut before, mut here) = (vec![0u32; b.len() + 1], vec![0u32; b.len() + 1]);
    for (at_a, byte) in a.iter().enumerate() {
        for (at_b, other) in b.iter().enumerate() {
            here[at_b + 1] = if byte == other {
                before[at_b] + 1
            } else {
                let (up, left) = (before[at_b + 1], here[at_b]);
                if let (true, Some(ways)) = (up > left, &mut ways) {
                    ways.put(at_a, at_b);
                }
                up.max(left)
            };
        }
        std::mem::swap(&mut before, &mut here);
    }
    before[b.len()] as usize
}

pub(crate) fn lcs(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let keys = [0, 1].map(|n| data.locate(&call.key(n)));
    keys.iter().for_each(|at| data.see(at));
    let value = |n: usize| match data.string_again(&keys[n]) {
        Ok(found) => Ok(found.map_or(ValueView::whole(b""), |entry| entry.value())),
        Err(_) => Err(NO_STRINGS),
    };
    let (a, b) = (value(0)?, value(1)?);
    let options = LcsOptions::parse(call)?;
    // Neither factor is above 2^30.
    let cells = (a.len() + 1) * (b.len() + 1);
    if cells * CELL_BYTES > VALUE_BYTES_MAX {
        return Err(TOO_LARGE);
    }
    reply.expect(cells / CELLS_OF_AN_ELEMENT)?;
    let (mut copy_a, mut copy_b) = (Vec::new(), Vec::new());
    let (a, b) = (slice(&a, &mut copy_a), slice(&b, &mut copy_b));
    if options.length {
        reply.count(length(a, b, None) as u64);
        return Ok(());
    }
    let mut ways = Ways::new(a.len(), b.len());
    let len = length(a, b, Some(&mut ways));
    let matches = ways.matches(a, b);
    if options.indexes {
        write_matches(&matches, &options, len, reply);
    } else {
        let common: Vec<u8> = matches.iter().rev().flat_map(|row| &a[row.a..row.a + row.len]).copied().collect();
        reply.bulk(&common);
    }
    Ok(())
}

/// The value in one piece, copied if it is not.
fn slice<'a>(value: &ValueView<'a>, copy: &'a mut Vec<u8>) -> &'a [u8] {
    value.as_slice().unwrap_or_else(|| {
        value.range(0, value.len(), copy);
        copy
    })
}

fn write_matches(matches: &[Match], options: &LcsOptions, len: usize, reply: &mut Reply) {
    let long_enough = |row: &&Match| row.len as i64 >= options.length_min;
    reply.map(2);
    reply.bulk(b"matches");
    reply.array(matches.iter().filter(long_enough).count());
    for Match { a, b, len } in matches.iter().filter(long_enough) {
        reply.array(2 + usize::from(options.with_lengths));
        for start in [a, b] {
            reply.array(2);
            reply.count(*start as u64);
            reply.count((start + len - 1) as u64);
        }
        if options.with_lengths {
            reply.count(*len as u64);
        }
    }
    reply.bulk(b"len");
    reply.count(len as u64);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_common_subsequence_is_one_of_both_and_as_long_as_said() {
        let mut state = 1u32;
        for round in 0..200 {
            let mut string = |len: u32| -> Vec<u8> {
                let next = |_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    b"abc"[(state >> 24) as usize % 3]
                };
                (0..len).map(next).collect()
            };
            let (a, b) = (string(round % 23), string(round % 17));
            let mut ways = Ways::new(a.len(), b.len());
            let len = length(&a, &b, Some(&mut ways));
            assert_eq!((length(&a, &b, None), length(&b, &a, None)), (len, len));
            let matches = ways.matches(&a, &b);
            assert_eq!(matches.iter().map(|row| row.len).sum::<usize>(), len);
            let (mut end_a, mut end_b) = (a.len(), b.len());
            for Match { a: at_a, b: at_b, len } in matches {
                assert!(at_a + len <= end_a && at_b + len <= end_b);
                assert_eq!(a[at_a..at_a + len], b[at_b..at_b + len]);
                (end_a, end_b) = (at_a, at_b);
            }
        }
    }
}

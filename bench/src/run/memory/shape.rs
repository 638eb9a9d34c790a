//! What is stored: plain keys, and collections, small and large.

use crate::load::{key, push_command};

/// What is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Shape {
    /// Keys of 16 bytes, values of 10
    Small,
    /// Keys of 16 bytes, values of 100
    Usual,
    /// The same, each with an expiry
    Expiring,
    /// Keys of 32 bytes, values of 1000
    Large,
    /// Keys of 16 bytes, integers
    Integers,
    /// Keys of 16 bytes, values of 10 to 500
    Mixed,
    /// Hashes of 10 fields of 6 bytes with values of 8
    SmallHashes,
    /// Sets of 10 members of 8 bytes
    SmallSets,
    /// One hash, fields of 16 bytes, values of 64
    Hash,
    /// One set, members of 20 bytes
    Set,
    /// One list, elements of 32 bytes, each added behind the last
    List,
    /// One sorted set, members of 20 bytes, scores 0, 1, 2 and so on, members and scores rising
    SortedRising,
    /// The same members and scores, each score of any of the members, in any order
    SortedRandom,
    /// The same, a thousand scores shared by all members
    SortedTied,
}

/// Elements of a small collection.
const FEW: u64 = 10;

/// Where a large collection is.
const ONE: &[u8] = b"the-collection-0";

impl Shape {
    pub(super) const ALL: [Shape; 14] = [
        Shape::Small,
        Shape::Usual,
        Shape::Expiring,
        Shape::Large,
        Shape::Integers,
        Shape::Mixed,
        Shape::SmallHashes,
        Shape::SmallSets,
        Shape::Hash,
        Shape::Set,
        Shape::List,
        Shape::SortedRising,
        Shape::SortedRandom,
        Shape::SortedTied,
    ];

    pub(super) fn words(self) -> &'static str {
        match self {
            Shape::Small => "16 B + 10 B",
            Shape::Usual => "16 B + 100 B",
            Shape::Expiring => "16 B + 100 B, expiring",
            Shape::Large => "32 B + 1000 B",
            Shape::Integers => "16 B + integer",
            Shape::Mixed => "16 B + 10 to 500 B",
            Shape::SmallHashes => "hashes of 10, 6 B + 8 B",
            Shape::SmallSets => "sets of 10, 8 B",
            Shape::Hash => "hash, 16 B + 64 B",
            Shape::Set => "set, 20 B",
            Shape::List => "list, 32 B",
            Shape::SortedRising => "sorted set, 20 B, rising",
            Shape::SortedRandom => "sorted set, 20 B, random",
            Shape::SortedTied => "sorted set, 20 B, tied",
        }
    }

    /// Whether keys are set and nothing else.
    pub(super) fn is_plain(self) -> bool {
        (self as usize) < Shape::SmallHashes as usize
    }

    /// What a figure is divided by for each command of the fill: keys or elements.
    pub(super) fn units(self) -> u64 {
        if matches!(self, Shape::SmallHashes | Shape::SmallSets) { FEW } else { 1 }
    }

    /// Bytes of a unit that a client has sent: key and value, or an element with its share of the key. Of a sorted set the members
    /// alone, as its neighbours count.
    pub(super) fn data_bytes(self) -> f64 {
        const KEY: f64 = 16.0;
        match self {
            Shape::Small => KEY + 10.0,
            Shape::Usual | Shape::Expiring => KEY + 100.0,
            Shape::Large => 2.0 * KEY + 1000.0,
            Shape::Integers => KEY + 6.0,
            Shape::Mixed => KEY + 255.0,
            Shape::SmallHashes => KEY / FEW as f64 + 14.0,
            Shape::SmallSets => KEY / FEW as f64 + 8.0,
            Shape::Hash => 80.0,
            Shape::List => 32.0,
            Shape::Set | Shape::SortedRising | Shape::SortedRandom | Shape::SortedTied => 20.0,
        }
    }

    /// Bytes behind a key, at most, for an estimate.
    pub(super) fn value_bytes_max(self) -> u64 {
        match self {
            Shape::Mixed => 500,
            _ => self.units() * self.data_bytes() as u64,
        }
    }

    pub(super) fn key(self, number: u64) -> Vec<u8> {
        let name = key(b'k', number);
        if self == Shape::Large { [name, name].concat() } else { name.to_vec() }
    }

    /// Appends the command of this number of `all`; it is answered with one line.
    pub(super) fn push(self, out: &mut Vec<u8>, number: u64, all: u64) {
        const LETTERS: [u8; 1000] = [b'v'; 1000];
        let key = self.key(number);
        let set = |out: &mut Vec<u8>, value: &[u8]| push_command(out, &[b"SET", &key, value]);
        match self {
            Shape::Small => set(out, &LETTERS[..10]),
            Shape::Usual => set(out, &LETTERS[..100]),
            Shape::Large => set(out, &LETTERS),
            Shape::Integers => set(out, number.to_string().as_bytes()),
            Shape::Mixed => set(out, &LETTERS[..10 + (scatter(number) >> 32) as usize % 491]),
            // Far enough away that nothing expires while it is measured.
            Shape::Expiring => push_command(out, &[b"SET", &key, &LETTERS[..100], b"EX", b"1000000"]),
            Shape::SmallHashes => push_few(out, b"HSET", &key, |i| {
                vec![format!("field{i}").into_bytes(), format!("{:08}", (number + i) % 100_000_000).into_bytes()]
            }),
            Shape::SmallSets => {
                push_few(out, b"SADD", &key, |i| {
                    vec![format!("{:08x}", scatter(FEW * number + i) as u32).into_bytes()]
                });
            }
            Shape::Hash => push_command(out, &[b"HSET", ONE, &key, &LETTERS[..64]]),
            Shape::Set => push_command(out, &[b"SADD", ONE, &member(scatter(number))]),
            Shape::List => push_command(out, &[b"RPUSH", ONE, &LETTERS[..32]]),
            Shape::SortedRising => push_scored(out, number, number),
            Shape::SortedRandom => push_scored(out, shuffled(number, all), scatter(number)),
            Shape::SortedTied => push_scored(out, shuffled(number, all) % 1000, scatter(number)),
        }
    }
}

fn push_scored(out: &mut Vec<u8>, score: u64, name: u64) {
    push_command(out, &[b"ZADD", ONE, score.to_string().as_bytes(), &member(name)]);
}

fn push_few(out: &mut Vec<u8>, name: &[u8], key: &[u8], parts: impl Fn(u64) -> Vec<Vec<u8>>) {
    let all: Vec<Vec<u8>> = (0..FEW).flat_map(parts).collect();
    let mut command: Vec<&[u8]> = vec![name, key];
    command.extend(all.iter().map(Vec::as_slice));
    push_command(out, &command);
}

/// A member of 20 bytes, in the order of numbers.
fn member(number: u64) -> Vec<u8> {
    format!("{number:020}").into_bytes()
}

/// Scattered, but the same for the same number: all servers get the same.
fn scatter(number: u64) -> u64 {
    let mut x = number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    x = (x ^ x >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ x >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ x >> 31
}

/// Where `number` of `0..all` comes if all are shuffled: rounds of a Feistel network over the bits that they need, repeated until it
/// is one of them (a permutation without a table).
fn shuffled(number: u64, all: u64) -> u64 {
    let half = (64 - all.leading_zeros()).div_ceil(2);
    let mask = (1 << half) - 1;
    let mut at = number;
    loop {
        for round in 0..4 {
            let (left, right) = (at >> half, at & mask);
            at = right << half | (left ^ (scatter(right ^ round << 60) & mask));
        }
        if at < all {
            return at;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_shuffled_to_another_place() {
        let mut there: Vec<u64> = (0..1000).map(|number| shuffled(number, 1000)).collect();
        assert!(there[..10] != (0..10).collect::<Vec<_>>()[..]);
        there.sort_unstable();
        assert_eq!(there, (0..1000).collect::<Vec<_>>());
    }

    #[test]
    fn members_are_of_the_length_that_is_counted() {
        assert_eq!(member(scatter(7)).len(), 20);
        assert_eq!(member(u64::MAX).len(), 20);
    }
}

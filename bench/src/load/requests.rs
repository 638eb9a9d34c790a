//! Requests, made ahead: for each connection a run of batches and what each of them is answered with.

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::{CollectionCommand, Group};

/// Which command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    Set,
    Get,
    Incr,
    /// MSET of ten keys; one command.
    Mset,
    /// SET and GET, one to one, keys by a zipf distribution.
    Mix,
    /// A command on collections, of which there are as many as keys.
    #[value(skip)]
    On(CollectionCommand),
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Set => "SET",
            Kind::Get => "GET",
            Kind::Incr => "INCR",
            Kind::Mset => "MSET",
            Kind::Mix => "MIX",
            Kind::On(operation) => operation.deed.name(),
        }
    }
}

/// Keys of one MSET.
const MSET_KEYS: u64 = 10;

/// Requests of a group are made ahead up to this many commands: enough to reach every key of a million.
const COMMANDS_MAX: usize = 1_000_000;

/// The same in bytes: what is made ahead must not crowd out the server's memory.
const BYTES_MAX: usize = 256 << 20;

/// How the end of a batch's replies is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    /// So many bytes.
    Bytes(usize),
    /// So many lines: replies whose length depends on the server's state.
    Lines(usize),
}

/// One batch within the bytes of its connection.
#[derive(Clone, Copy)]
pub(super) struct Batch {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) expected: Expected,
}

/// All batches of one connection.
pub(super) struct Requests {
    pub(super) bytes: Vec<u8>,
    pub(super) batches: Vec<Batch>,
}

impl Requests {
    /// The batches of connection `number`. Equal numbers give equal requests: all servers get the same ones.
    pub(super) fn new(group: &Group, number: u64) -> Self {
        let mut maker = Maker::new(group, number);
        let mut requests = Self { bytes: Vec::new(), batches: Vec::new() };
        let bytes_max = BYTES_MAX / group.connections;
        let commands = (COMMANDS_MAX / group.connections).max(group.pipeline);
        for _ in 0..commands.div_ceil(group.pipeline).max(16) {
            let start = requests.bytes.len();
            let mut reply_bytes = 0;
            for _ in 0..group.pipeline {
                reply_bytes += maker.push(&mut requests.bytes);
            }
            let expected = match group.kind {
                Kind::Incr => Expected::Lines(group.pipeline),
                Kind::On(operation) if operation.deed.is_by_lines() => Expected::Lines(reply_bytes),
                _ => Expected::Bytes(reply_bytes),
            };
            requests.batches.push(Batch { start, end: requests.bytes.len(), expected });
            if requests.bytes.len() >= bytes_max {
                break;
            }
        }
        requests
    }
}

/// Writes random commands of one kind.
struct Maker {
    kind: Kind,
    keys: u64,
    value: Vec<u8>,
    rng: SmallRng,
    /// Commands so far, and the key of the last one.
    made: u64,
    last: u64,
}

impl Maker {
    fn new(group: &Group, number: u64) -> Self {
        let mut rng = SmallRng::seed_from_u64(number + 1);
        let value = value(&mut rng, group.value_bytes);
        Self { kind: group.kind, keys: group.keys, value, rng, made: 0, last: 0 }
    }

    /// Appends one command; the answer is the length of its reply in bytes or in lines, 0 if that is not known ahead.
    fn push(&mut self, out: &mut Vec<u8>) -> usize {
        let number = match self.kind {
            Kind::Mix => zipf(&mut self.rng, self.keys),
            _ => self.rng.random_range(0..self.keys),
        };
        match self.kind {
            Kind::Set => self.push_set(out, number),
            Kind::Get => self.push_get(out, number),
            Kind::Mix if self.rng.random() => self.push_set(out, number),
            Kind::Mix => self.push_get(out, number),
            Kind::Incr => {
                push_command(out, &[b"INCR", &key(b'n', number)]);
                0
            }
            Kind::On(operation) => {
                // Two commands in a row are about one collection: the second takes what the first has brought.
                if self.made.is_multiple_of(2) {
                    self.last = number;
                }
                self.made += 1;
                operation.push(out, self.last, self.made - 1, &mut self.rng)
            }
            Kind::Mset => {
                out.extend_from_slice(format!("*{}\r\n$4\r\nMSET\r\n", 2 * MSET_KEYS + 1).as_bytes());
                for i in 0..MSET_KEYS {
                    push_bulk(out, &key(b'k', (number + i * 7919) % self.keys));
                    push_bulk(out, &self.value);
                }
                OK.len()
            }
        }
    }

    fn push_set(&self, out: &mut Vec<u8>, number: u64) -> usize {
        push_command(out, &[b"SET", &key(b'k', number), &self.value]);
        OK.len()
    }

    fn push_get(&self, out: &mut Vec<u8>, number: u64) -> usize {
        push_command(out, &[b"GET", &key(b'k', number)]);
        bulk_len(self.value.len())
    }
}

const OK: &str = "+OK\r\n";

/// Length of a bulk string reply.
pub(super) fn bulk_len(bytes: usize) -> usize {
    format!("${bytes}\r\n").len() + bytes + 2
}

/// A value that no snapshot compresses to nothing.
pub(super) fn value(rng: &mut SmallRng, bytes: usize) -> Vec<u8> {
    const LETTERS: &[u8; 64] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_.";
    (0..bytes).map(|_| LETTERS[rng.random_range(0..64)]).collect()
}

/// A key of 16 bytes.
pub(crate) fn key(first: u8, number: u64) -> [u8; 16] {
    let mut name = *b"k000000000000000";
    name[0] = first;
    let mut rest = number;
    for digit in name[1..].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    name
}

/// Close to a zipf distribution with exponent 1: the logarithm of the rank is uniform.
fn zipf(rng: &mut SmallRng, keys: u64) -> u64 {
    let rank = (rng.random::<f64>() * (keys as f64).ln()).exp() as u64;
    // Popular keys are scattered over all keys: neighbours in rank are no neighbours in memory.
    rank.min(keys - 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) % keys
}

/// Appends one command.
pub(crate) fn push_command(out: &mut Vec<u8>, parts: &[&[u8]]) {
    out.extend_from_slice(format!("*{}\r\n", parts.len()).as_bytes());
    for part in parts {
        push_bulk(out, part);
    }
}

pub(super) fn push_bulk(out: &mut Vec<u8>, part: &[u8]) {
    out.extend_from_slice(format!("${}\r\n", part.len()).as_bytes());
    out.extend_from_slice(part);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Pace;

    #[test]
    fn a_batch_knows_its_bytes_and_those_of_its_replies() {
        let group =
            Group { kind: Kind::Get, connections: 2, pipeline: 3, keys: 10, value_bytes: 100, pace: Pace::Closed };
        let requests = Requests::new(&group, 0);
        let batch = requests.batches[1];
        assert_eq!(batch.end - batch.start, 3 * "*2\r\n$3\r\nGET\r\n$16\r\nk000000000000000\r\n".len());
        assert_eq!(batch.expected, Expected::Bytes(3 * ("$100\r\n".len() + 102)));
    }

    #[test]
    fn what_is_made_ahead_is_bounded() {
        let group =
            Group { kind: Kind::Mset, connections: 50, pipeline: 64, keys: 9, value_bytes: 1000, pace: Pace::Closed };
        let bytes = Requests::new(&group, 0).bytes.len();
        assert!(bytes < 2 * BYTES_MAX / 50, "{bytes}");
    }
}

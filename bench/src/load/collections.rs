//! Commands on collections: many small ones, or a large one of each type.
//!
//! All fields, members and elements are of one length, so that the length of most replies is known ahead.

use rand::RngExt;
use rand::rngs::SmallRng;

use super::requests::{bulk_len, push_bulk, push_command};
use super::{key, send_all};
use crate::Fallible;

/// Which command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Deed {
    /// HSET of a field that is there
    Hset,
    /// HGET
    Hget,
    /// HGETALL of 20 fields: short values in a small hash, of 100 bytes in a large one
    Hgetall,
    /// LPUSH, then LPOP of the same list
    Queue,
    /// LRANGE of 100, or of all
    Lrange,
    /// SADD of a member, half of them new at first
    Sadd,
    /// SISMEMBER
    Sismember,
    /// ZADD: another score of a member
    Zadd,
    /// ZRANK
    Zrank,
    /// ZRANGE of 100, or of all
    Zrange,
    /// LINDEX in the middle of a list
    LindexMiddle,
    /// LINDEX at its end
    LindexEnd,
    /// LSET in the middle
    LsetMiddle,
    /// LSET at the end
    LsetEnd,
    /// LINSERT before an element in the middle
    Linsert,
    /// SETRANGE of 100 bytes anywhere in a long string
    Setrange,
}

impl Deed {
    /// Those of collections of any size.
    pub(crate) const USUAL: [Deed; 10] = [
        Deed::Hset,
        Deed::Hget,
        Deed::Hgetall,
        Deed::Queue,
        Deed::Lrange,
        Deed::Sadd,
        Deed::Sismember,
        Deed::Zadd,
        Deed::Zrank,
        Deed::Zrange,
    ];

    /// One of each type of a large value.
    pub(crate) const EACH_TYPE: [Deed; 5] = [Deed::Hset, Deed::Queue, Deed::Sadd, Deed::Zadd, Deed::Setrange];

    /// Those of one long list.
    pub(crate) const DEEP: [Deed; 5] =
        [Deed::LindexEnd, Deed::LindexMiddle, Deed::LsetEnd, Deed::LsetMiddle, Deed::Linsert];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Deed::Hset => "HSET",
            Deed::Hget => "HGET",
            Deed::Hgetall => "HGETALL",
            Deed::Queue => "LPUSH, LPOP",
            Deed::Lrange => "LRANGE",
            Deed::Sadd => "SADD",
            Deed::Sismember => "SISMEMBER",
            Deed::Zadd => "ZADD",
            Deed::Zrank => "ZRANK",
            Deed::Zrange => "ZRANGE",
            Deed::LindexMiddle => "LINDEX, middle",
            Deed::LindexEnd => "LINDEX, end",
            Deed::LsetMiddle => "LSET, middle",
            Deed::LsetEnd => "LSET, end",
            Deed::Linsert => "LINSERT, middle",
            Deed::Setrange => "SETRANGE",
        }
    }

    /// Whether replies are counted in lines: where the length is that of a number.
    pub(super) fn is_by_lines(self) -> bool {
        matches!(self, Deed::Queue | Deed::Zrank | Deed::Linsert | Deed::Setrange)
    }
}

/// A command on collections of a size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CollectionCommand {
    pub(crate) deed: Deed,
    /// Whether it is about one large collection.
    pub(crate) large: bool,
    /// Elements of each; pieces of 1 MB of a string.
    pub(crate) elements: u64,
}

/// Elements of a range.
const RANGE: u64 = 100;

/// Bytes of a piece of a string.
const PIECE_BYTES: usize = 1 << 20;

/// Fields that HGETALL returns.
const FIELDS: u64 = 20;

/// Bytes of a field, member or element.
const ELEMENT_BYTES: usize = 20;

const VALUE: &[u8] = &[b'v'; 100];

fn element(number: u64) -> [u8; ELEMENT_BYTES] {
    let mut element = *b"elem----------------";
    element[4..].copy_from_slice(&key(b'0', number));
    element
}

impl CollectionCommand {
    fn value(self) -> &'static [u8] {
        if self.deed == Deed::Hgetall && self.large { VALUE } else { &VALUE[..32] }
    }

    pub(crate) fn key(self, number: u64) -> [u8; 16] {
        let first = match self.deed {
            Deed::Hset | Deed::Hget => b'h',
            Deed::Hgetall => b'g',
            Deed::Setrange => b't',
            Deed::Sadd | Deed::Sismember => b's',
            Deed::Zadd | Deed::Zrank | Deed::Zrange => b'z',
            _ => b'l',
        };
        key(if self.large { first.to_ascii_uppercase() } else { first }, number)
    }

    /// Appends a command about collection `number`, the `turn`th of its connection; returns the bytes of its reply, or its lines.
    pub(super) fn push(self, out: &mut Vec<u8>, number: u64, turn: u64, rng: &mut SmallRng) -> usize {
        const DIGIT: usize = ":0\r\n".len();
        let (key, at) = (self.key(number), rng.random_range(0..self.elements));
        let middle = (self.elements / 2).to_string();
        let mut send = |parts: &[&[u8]]| push_command(out, parts);
        match self.deed {
            Deed::Hset => send(&[b"HSET", &key, &element(at), self.value()]),
            Deed::Hget => {
                send(&[b"HGET", &key, &element(at)]);
                return bulk_len(self.value().len());
            }
            Deed::Hgetall => {
                send(&[b"HGETALL", &key]);
                let pair = bulk_len(ELEMENT_BYTES) + bulk_len(self.value().len());
                return format!("*{}\r\n", 2 * FIELDS).len() + FIELDS as usize * pair;
            }
            Deed::Queue if turn.is_multiple_of(2) => {
                send(&[b"LPUSH", &key, &element(at)]);
                return 1;
            }
            Deed::Queue => {
                send(&[b"LPOP", &key]);
                return 2;
            }
            Deed::Sadd => send(&[b"SADD", &key, &element(rng.random_range(0..2 * self.elements))]),
            Deed::Sismember => send(&[b"SISMEMBER", &key, &element(at)]),
            Deed::Zadd => {
                let score = rng.random_range(0..self.elements);
                send(&[b"ZADD", &key, score.to_string().as_bytes(), &element(at)]);
            }
            Deed::Zrank => {
                send(&[b"ZRANK", &key, &element(at)]);
                return 1;
            }
            Deed::Lrange | Deed::Zrange => {
                let (count, first) = (RANGE.min(self.elements), at.min(self.elements.saturating_sub(RANGE)));
                let command: &[u8] = if self.deed == Deed::Lrange { b"LRANGE" } else { b"ZRANGE" };
                send(&[command, &key, first.to_string().as_bytes(), (first + count - 1).to_string().as_bytes()]);
                return format!("*{count}\r\n").len() + count as usize * bulk_len(ELEMENT_BYTES);
            }
            Deed::LindexMiddle | Deed::LindexEnd => {
                let index = if self.deed == Deed::LindexEnd { "-1" } else { &middle };
                send(&[b"LINDEX", &key, index.as_bytes()]);
                return bulk_len(ELEMENT_BYTES);
            }
            Deed::LsetMiddle | Deed::LsetEnd => {
                let index = if self.deed == Deed::LsetEnd { "-1" } else { &middle };
                send(&[b"LSET", &key, index.as_bytes(), &element(self.elements)]);
                return "+OK\r\n".len();
            }
            Deed::Setrange => {
                let offset = at * PIECE_BYTES as u64 + rng.random_range(0..PIECE_BYTES as u64 - 100);
                send(&[b"SETRANGE", &key, offset.to_string().as_bytes(), VALUE]);
                return 1;
            }
            Deed::Linsert => {
                send(&[b"LINSERT", &key, b"BEFORE", &element(self.elements / 2 + 1), &element(self.elements + 1)]);
                return 1;
            }
        }
        DIGIT
    }

    /// Makes what it is about: `collections` of them.
    pub(crate) fn fill(self, port: u16, collections: u64) -> Fallible<()> {
        if self.deed == Deed::Setrange {
            let piece = vec![b'p'; PIECE_BYTES];
            return send_all(port, 0..self.elements, |out, _| push_command(out, &[b"APPEND", &self.key(0), &piece]));
        }
        let command: &[u8] = match self.deed {
            Deed::Hset | Deed::Hget | Deed::Hgetall => b"HSET",
            Deed::Sadd | Deed::Sismember => b"SADD",
            Deed::Zadd | Deed::Zrank | Deed::Zrange => b"ZADD",
            _ => b"RPUSH",
        };
        let (elements, at_once) = if self.deed == Deed::Hgetall { (FIELDS, FIELDS) } else { (self.elements, 10) };
        let pieces = elements.div_ceil(at_once);
        send_all(port, 0..collections * pieces, |out, number| {
            let first = number % pieces * at_once;
            let numbers = first..(first + at_once).min(elements);
            let parts = numbers.clone().count() * if matches!(command, b"HSET" | b"ZADD") { 2 } else { 1 };
            out.extend_from_slice(format!("*{}\r\n", 2 + parts).as_bytes());
            push_bulk(out, command);
            push_bulk(out, &self.key(number / pieces));
            for number in numbers {
                if command == b"ZADD" {
                    push_bulk(out, number.to_string().as_bytes());
                }
                push_bulk(out, &element(number));
                if command == b"HSET" {
                    push_bulk(out, self.value());
                }
            }
        })
    }
}

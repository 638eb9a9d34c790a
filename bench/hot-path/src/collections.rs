//! Operations on collections: `NAME-small` on [`SMALL`] collections of 10 elements in one piece, `NAME-large` on one of [`LARGE`].
//!
//! - `hset`, `hget`: a field that is there, a value of the same length. `sismember`: a member that is there.
//! - `lpush`, `sadd`, `zadd-new`: a new element. `lpop`: there are enough. `zadd`: another score of a member that is there.
//! - `zrank`: a member. `zrange`, `lrange`: 100 in the middle, of a small one all 10.
//! - `hgetall`: 20 fields; in the large one values too long for one piece.

use super::{STRIDE, request};

/// Elements of a large collection.
const LARGE: usize = 40_000;

/// Small collections.
const SMALL: usize = 4_000;

/// Elements of a small one.
const FEW: usize = 10;

/// Requests that are counted, and those before them.
pub(crate) struct Load {
    pub(crate) fill: Vec<Vec<u8>>,
    pub(crate) requests: Vec<Vec<u8>>,
}

/// The load of this name.
pub(crate) fn find(name: &str) -> Option<Load> {
    let (operation, size) = name.rsplit_once('-')?;
    let large = size == "large";
    if operation == "hgetall" {
        return Some(hgetall(large));
    }
    let places = Places { large };
    let fill: fn(&[u8], usize) -> Vec<u8> = match operation {
        "hset" | "hget" => |key, number| request(&[b"HSET", key, &element(number), &[b'a'; 32]]),
        "lpush" | "lpop" | "lrange" => |key, number| request(&[b"RPUSH", key, &element(number)]),
        "sadd" | "sismember" => |key, number| request(&[b"SADD", key, &element(number)]),
        "zadd" | "zadd-new" | "zrank" | "zrange" => {
            |key, number| request(&[b"ZADD", key, number.to_string().as_bytes(), &element(number)])
        }
        _ => return None,
    };
    let counted: fn(&[u8], usize, usize) -> Vec<u8> = match operation {
        "hset" => |key, number, _| request(&[b"HSET", key, &element(number), &[b'b'; 32]]),
        "hget" => |key, number, _| request(&[b"HGET", key, &element(number)]),
        "lpush" => |key, number, _| request(&[b"LPUSH", key, &element(number)]),
        "lpop" => |key, _, _| request(&[b"LPOP", key]),
        "lrange" => |key, number, all| range(b"LRANGE", key, number, all),
        "sadd" => |key, number, all| request(&[b"SADD", key, &element(all + number)]),
        "sismember" => |key, number, _| request(&[b"SISMEMBER", key, &element(number)]),
        "zadd" => |key, number, all| {
            request(&[b"ZADD", key, ((number * 7919) % all).to_string().as_bytes(), &element(number)])
        },
        "zadd-new" => {
            |key, number, all| request(&[b"ZADD", key, format!("{number}.5").as_bytes(), &element(all + number)])
        }
        "zrank" => |key, number, _| request(&[b"ZRANK", key, &element(number)]),
        _ => |key, number, all| range(b"ZRANGE", key, number, all),
    };
    Some(Load { fill: places.each(fill), requests: places.each(|key, number| counted(key, number, places.all())) })
}

/// Which elements of which collections a request is about.
struct Places {
    large: bool,
}

impl Places {
    /// Elements of a collection.
    fn all(&self) -> usize {
        if self.large { LARGE } else { FEW }
    }

    /// A request for each element, in an order that is not that of their numbers.
    fn each(&self, of: impl Fn(&[u8], usize) -> Vec<u8>) -> Vec<Vec<u8>> {
        if self.large {
            return (0..LARGE).map(|i| of(b"the-collection-0", i * STRIDE % LARGE)).collect();
        }
        let one = |i: usize| of(name(i * STRIDE % SMALL).as_bytes(), i / SMALL);
        (0..SMALL * FEW).map(one).collect()
    }
}

fn name(number: usize) -> String {
    format!("few:{number:012}")
}

/// A field, member or element of 20 bytes.
fn element(number: usize) -> Vec<u8> {
    format!("element:{number:012}").into_bytes()
}

fn range(command: &[u8], key: &[u8], number: usize, all: usize) -> Vec<u8> {
    const COUNT: usize = 100;
    let first = number.min(all.saturating_sub(COUNT));
    request(&[command, key, first.to_string().as_bytes(), (first + COUNT - 1).to_string().as_bytes()])
}

fn hgetall(large: bool) -> Load {
    const FIELDS: usize = 20;
    let value = [b'v'; 100];
    let value = if large { &value[..] } else { &value[..32] };
    let hash = |number: usize| {
        let fields: Vec<Vec<u8>> = (0..FIELDS).map(|field| format!("field:{field:02}").into_bytes()).collect();
        let name = name(number);
        let mut args: Vec<&[u8]> = vec![b"HSET", name.as_bytes()];
        args.extend(fields.iter().flat_map(|field| [field.as_slice(), value]));
        request(&args)
    };
    let numbers = || (0..SMALL / 10).map(|i| i * STRIDE % (SMALL / 10));
    Load {
        fill: numbers().map(hash).collect(),
        requests: numbers().map(|number| request(&[b"HGETALL", name(number).as_bytes()])).collect(),
    }
}

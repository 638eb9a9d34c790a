//! Payloads of RESTORE.

use tanist_db_core::engine::{Engine, EngineOptions, Session};
use tanist_db_core::ids::Epoch;
use tanist_db_core::rdb::{self, Layout, RdbError};
use tanist_db_core::value::Kind;

use crate::command::execute;

/// The checksum of dumps, computed beside the code that is tested.
pub(crate) static CHECKSUM: crc::Crc<u64> = crc::Crc::<u64>::new(&crc::CRC_64_REDIS);

const NOW: u64 = 1_000_000;

/// The bytes as a payload, and as a value that is sealed in the formats of Redis and of Valkey.
pub fn read(bytes: &[u8]) {
    restore(bytes);
    for version in [11, 80] {
        restore(&seal(bytes, version));
    }
}

fn seal(value: &[u8], version: u16) -> Vec<u8> {
    let mut payload = [value, &version.to_le_bytes()].concat();
    let checksum = CHECKSUM.checksum(&payload);
    payload.extend_from_slice(&checksum.to_le_bytes());
    payload
}

/// What is restored can be dumped, and the dump restores the same content; what is refused has changed nothing.
fn restore(payload: &[u8]) {
    let engine =
        Engine::new(EngineOptions { shards: 2, memory_bytes_max: 64 << 20, hash_seed: 3, ..EngineOptions::default() });
    engine.begin_epoch(Epoch(1)).expect("a newer epoch");
    let mut session = Session::new(1);
    let mut call = |words: &[&[u8]]| execute(&engine, &mut session, words, NOW);
    call(&[b"SET", b"k", b"v"]);
    let before = engine.content_hash();
    let reply = call(&[b"RESTORE", b"k", b"0", payload, b"REPLACE"]);
    if reply != b"+OK\r\n" {
        assert_eq!(engine.content_hash(), before, "{}", String::from_utf8_lossy(&reply));
        return;
    }
    let dump = dumped(&call(&[b"DUMP", b"k"]));
    assert_eq!(call(&[b"RESTORE", b"copy", b"5000", &dump]), b"+OK\r\n");
    let copy = dumped(&call(&[b"DUMP", b"copy"]));
    let (one, other) = (content(&dump), content(&copy));
    assert_eq!(one, other);
    assert!(!one.is_empty());
    assert_eq!(call(&[b"OBJECT", b"ENCODING", b"k"]), call(&[b"OBJECT", b"ENCODING", b"copy"]));
    assert_eq!(call(&[b"DEL", b"k", b"copy"]), b":2\r\n");
}

/// The payload in a reply.
fn dumped(reply: &[u8]) -> Vec<u8> {
    let start = reply.iter().position(|byte| *byte == b'\n').expect("a string") + 1;
    reply[start..reply.len() - 2].to_vec()
}

/// The parts of a value, in an order that means something or sorted.
fn content(payload: &[u8]) -> Vec<String> {
    let (mut input, version) = rdb::open(payload).expect("we have written it");
    let Ok(Layout::Value(layout)) = Layout::of(payload[0], version) else { panic!("we have written it") };
    input.pass(1).expect("a type");
    let mut parts = Vec::new();
    let read = rdb::read_value(&mut input, layout, |item| {
        parts.push(format!("{item:?}"));
        Ok::<(), RdbError>(())
    });
    read.expect("we have written it");
    if !matches!(layout.kind(), Kind::List | Kind::SortedSet | Kind::Stream) {
        parts.sort();
    }
    parts
}

/// Types and values: what redis-server 7.0.15 and valkey-server 9.1.2 have dumped, and layouts of older releases.
pub(crate) const VALUES: [&[u8]; 26] = [
    b"\x00\x05hello",
    b"\x00\xc0\x0c",
    b"\x00\xc1\xd4\xfe",
    b"\x00\xc2p\x11\x01\x00",
    b"\x00\xc3\x10<\x01aa\xe0\x13\x00\x02bcd\xe0\x10\x02\x01cd",
    b"\x12\x01\x02\xc3.@n\x1an\x00\x00\x00\x07\x00\x81a\x02\x01\x01\xf1x\xec\x03\xf2p\x11\x01\x04\xf3\xc0\xabv\xff\x05\xf4 \x19\x08\x00\xe8\x03\x00\x00\x09\xe0Fb\xe0<\x00\x01H\xff",
    b"\x12\x02\x01\x04long\x02\x0a\x0a\x00\x00\x00\x01\x00\x81a\x02\xff",
    b"\x0b\x0e\x02\x00\x00\x00\x03\x00\x00\x00\xfd\xff\x01\x00\x02\x00",
    b"\x0b\x10\x04\x00\x00\x00\x02\x00\x00\x00\x01\x00\x00\x00p\x11\x01\x00",
    b"\x0b\x18\x08\x00\x00\x00\x02\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00",
    b"\x02\x03\x01b\x01a\xc0\x07",
    b"\x14\x0f\x0f\x00\x00\x00\x03\x00\x81a\x02\x81b\x02\x07\x01\xff",
    b"\x10\x14\x14\x00\x00\x00\x04\x00\x81a\x02\x01\x01\x81b\x02\x83two\x04\xff",
    b"\x04\x02\x01b\x03two\x01a\xc0\x01",
    b"\x11%%\x00\x00\x00\x08\x00\x81c\x02\x84-inf\x05\x81a\x02\x01\x01\x81b\x02\x832.5\x04\x81d\x02\x83inf\x04\xff",
    b"\x05\x04\x01d\x00\x00\x00\x00\x00\x00\xf0\x7f\x01b\x00\x00\x00\x00\x00\x00\x04@\x01a\x00\x00\x00\x00\x00\x00\xf0?\x01c\x00\x00\x00\x00\x00\x00\xf0\xff",
    b"\x16\x02\x01a\xc0\x01\xff\x9frN\x18\x09\x00\x00\x01b\xc0\x02\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\x13\x01\x10\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01\x1d\x1d\x00\x00\x00\x0a\x00\x01\x01\x00\x01\x01\x01\x81f\x02\x00\x01\x02\x01\x00\x01\x00\x01\x81v\x02\x04\x01\xff\x01\x01\x01\x01\x01\x00\x00\x01\x00",
    // Streams with a deleted entry and groups, of both.
    b"\x13\x01\x10\x00\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x01\xc3@N@T\x12T\x00\x00\x00\x1f\x00\x03\x01\x01\x01\x02\x01\x81a\x02\x81b\x02\x00 \x09\x00\x00 \x01\x09\x01\x01\x83two\x04\x05\x01\x03`\x0c\x06\xc1,\x02\x81x\x02\x05`\x0b\x0e\xdf\xff\x02\x01\x01\x85other\x06\x01\x01\x06 0\x00\x02\x80\x13\x01\x81y !\x00\xff\x03\x07\x00\x05\x01\x05\x02\x04\x02\x01g\x06\x00\x81\xff\xff\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x01@B\x0f\x00\x00\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x06\x00\x00\x00\x00\x00\x00\x00\x00\x80\x84\x1e\x00\x00\x00\x00\x00\x04\x01\x05alice~\x9b\xda/\xa2\x01\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x06\x00\x00\x00\x00\x00\x00\x00\x00\x01h\x07\x00\x09\x00\x01\x03bob~\x9b\xda/\xa2\x01\x00\x00\x00",
    b"\x15\x00\x00\x05\x01\x00\x00\x00\x00\x03\x01\x01g\x05\x01\x03\x00\x01\x01c\x01\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\x00",
    // A ziplist of "a" and 7, as a list, as a hash and as a sorted set.
    b"\x0a\x10\x10\x00\x00\x00\x0d\x00\x00\x00\x02\x00\x00\x01a\x03\xf8\xff",
    b"\x0d\x10\x10\x00\x00\x00\x0d\x00\x00\x00\x02\x00\x00\x01a\x03\xf8\xff",
    b"\x0c\x10\x10\x00\x00\x00\x0d\x00\x00\x00\x02\x00\x00\x01a\x03\xf8\xff",
    b"\x0e\x02\x10\x10\x00\x00\x00\x0d\x00\x00\x00\x02\x00\x00\x01a\x03\xf8\xff\x10\x10\x00\x00\x00\x0d\x00\x00\x00\x02\x00\x00\x01a\x03\xf8\xff",
    // A zipmap, and scores as text.
    b"\x09\x12\x02\x01a\x03\x02one??\x03two\x01\x002\xff",
    b"\x03\x03\x01a\x032.5\x01b\xfe\x01c\xff",
];

/// Each of them.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let sealed = [seal(VALUES[0], 9), seal(VALUES[16], 80)];
    VALUES.iter().map(|value| value.to_vec()).chain(sealed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A seed that is refused teaches a fuzzer nothing.
    #[test]
    fn seeds_are_restored_but_for_what_there_is_not_here() {
        for value in VALUES {
            let payload = seal(value, if value[0] == 22 { 80 } else { 11 });
            let (mut input, version) = rdb::open(&payload).expect("sealed");
            input.pass(1).expect("a type");
            match Layout::of(value[0], version).expect("known") {
                Layout::Value(layout) => {
                    rdb::read_value(&mut input, layout, |_| Ok::<(), RdbError>(())).unwrap();
                }
                Layout::Foreign(layout) => layout.skip(&mut input).unwrap(),
            }
            assert_eq!(input.left(), 0, "{value:?}");
        }
    }
}

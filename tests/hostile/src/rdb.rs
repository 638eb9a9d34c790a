//! Dump files of Redis, as `tanist import` reads them.

use std::io::Read;

use tanist_db_core::rdb::file::{FileChecksum, RdbFile};
use tanist_db_core::rdb::{Layout, RdbError, read_value};

use crate::restore::{CHECKSUM, VALUES};

/// The bytes as a file, and as what stands behind the head of one.
pub fn read(bytes: &[u8]) {
    let bare = pass(bytes);
    let sealed = seal(bytes);
    let of_sealed = pass(&sealed);
    // Before version 5 there are none.
    let fits = |checksum: Option<FileChecksum>, sound| {
        checksum.is_none_or(|checksum| (checksum != FileChecksum::Wrong) == sound)
    };
    assert!(fits(of_sealed, true));
    let none = bytes.ends_with(&[0; 8]) || bytes.starts_with(b"REDIS000");
    assert!(none || fits(bare, sealed == bytes));
    pass(&[&b"REDIS0011"[..], bytes].concat());
    pass(&[&b"VALKEY080"[..], bytes].concat());
}

/// The bytes with the checksum of all but the last eight of them in their place.
fn seal(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if let Some((content, checksum)) = bytes.split_last_chunk_mut::<8>() {
        *checksum = CHECKSUM.checksum(content).to_le_bytes();
    }
    bytes
}

/// Reads to the end or to what is wrong; how the checksum is, if it begins as a file does.
fn pass(bytes: &[u8]) -> Option<FileChecksum> {
    let mut file = RdbFile::open(bytes, bytes.len() as u64).ok()?;
    let mut keys = 0;
    let _wrong = read_keys(&mut file, &mut keys);
    assert!(file.position() <= bytes.len() as u64);
    assert!(keys <= bytes.len() as u64, "a key takes a byte");
    Some(file.checksum().expect("a slice can be read"))
}

fn read_keys<R: Read>(file: &mut RdbFile<R>, keys: &mut u64) -> Result<(), RdbError> {
    let mut key = Vec::new();
    while let Some(head) = file.next_key(&mut key)? {
        *keys += 1;
        match head.layout {
            Layout::Value(layout) => read_value(file.input(), layout, |_| Ok::<(), RdbError>(()))?,
            Layout::Foreign(layout) => layout.skip(file.input())?,
        }
    }
    Ok(())
}

/// Files of all values in one database, and of each alone with an expiry and a note.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let mut all = b"REDIS0011\xfa\x09redis-ver\x057.2.4\xfe\x00\xfb\x10\x00".to_vec();
    let mut seeds = Vec::new();
    for value in VALUES {
        let (kind, rest) = value.split_at(1);
        let keyed = [kind, b"\x01k", rest].concat();
        let magic = if kind == [22] { b"VALKEY080" } else { b"REDIS0012" };
        seeds.push([&magic[..], b"\xfc\x01\x02\0\0\0\0\0\0\xf9\x05", &keyed, b"\xff________"].concat());
        if kind[0] < 22 {
            all.extend_from_slice(&keyed);
        }
    }
    all.extend_from_slice(b"\xf5\x03lib\xff________");
    seeds.push(all);
    seeds.iter().map(|seed| seal(seed)).collect()
}

//! A small collection in one piece: its strings one behind the other.
//!
//! ```text
//!   0  members, fields or elements u16
//!   2  strings: length u8 below 128, or u16 big-endian with the highest bit set; then its bytes
//!      in a list the elements; in a set the members, in the order in which they came; in a hash each field, then its value, and then,
//!      if fields of it may expire, when this one does (8 bytes, or none if it does not)
//! ```
//!
//! A lookup reads it from the start, which is why it is small: [`BYTES_MAX`].

use std::ops::Range;

use crate::arena::PAGE_BYTES;

/// Bytes of the largest: a quarter of a page, and what 512 integers of 8 bytes take.
pub(crate) const BYTES_MAX: usize = PAGE_BYTES / 4 + 16;

const COUNT_BYTES: usize = 2;
const LONG: u8 = 0x80;

const _: () = assert!(BYTES_MAX < (LONG as usize) << 8);

/// Strings that belong to one member: itself, or a field and its value, or these and when it expires.
pub(crate) type Stride = usize;

/// Bytes that a string of `len` bytes takes.
pub(crate) const fn string_bytes(len: usize) -> usize {
    len + if len < LONG as usize { 1 } else { 2 }
}

/// Returns the number of members.
#[inline]
pub(crate) fn len(blob: &[u8]) -> usize {
    u16::from_le_bytes([blob[0], blob[1]]) as usize
}

/// Returns a copy to be changed, with room for a few strings more.
pub(crate) fn copy(blob: &[u8]) -> Vec<u8> {
    const ROOM: usize = 128;
    let mut copy = Vec::with_capacity(blob.len() + ROOM);
    copy.extend_from_slice(blob);
    copy
}

/// Returns one without members.
pub(crate) fn empty() -> Vec<u8> {
    vec![0; COUNT_BYTES]
}

/// Reads the string at `at`; returns it and where the next one begins, or `None` if it does not end within the blob.
#[inline]
fn string_at(blob: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let first = *blob.get(at)?;
    let (start, len) = if first & LONG == 0 {
        (at + 1, first as usize)
    } else {
        (at + 2, usize::from(first & !LONG) << 8 | usize::from(*blob.get(at + 1)?))
    };
    Some((blob.get(start..start + len)?, start + len))
}

/// All strings in order; ends before one that is cut off.
#[derive(Clone, Debug)]
pub(crate) struct PackedStrings<'a> {
    blob: &'a [u8],
    at: usize,
}

impl<'a> Iterator for PackedStrings<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let (string, next) = string_at(self.blob, self.at)?;
        self.at = next;
        Some(string)
    }
}

/// Returns all strings in order.
pub(crate) fn strings(blob: &[u8]) -> PackedStrings<'_> {
    PackedStrings { blob, at: COUNT_BYTES }
}

/// Returns the strings from the member `name` on, itself the first.
#[inline]
pub(crate) fn find<'a>(blob: &'a [u8], stride: Stride, name: &[u8]) -> Option<PackedStrings<'a>> {
    let mut all = strings(blob);
    loop {
        let at = all.at;
        if all.next()? == name {
            return Some(PackedStrings { blob, at });
        }
        for _ in 1..stride {
            all.next();
        }
    }
}

/// Returns the value of the member `name`.
#[inline]
pub(crate) fn value<'a>(blob: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    find(blob, 2, name)?.nth(1)
}

/// Adds a member: `item` is its name with the strings that belong to it. If it is there they are replaced where they stand. The result may
/// be too large to be kept.
pub(crate) fn put(blob: &mut Vec<u8>, item: &[&[u8]]) {
    let (name, rest) = (item[0], &item[1..]);
    match find(blob, item.len(), name) {
        None => {
            let end = blob.len();
            splice(blob, end..end, item);
            let count = len(blob) + 1;
            put_len(blob, count);
        }
        Some(mut old) => {
            old.next();
            let start = old.at;
            rest.iter().for_each(|_| {
                old.next();
            });
            let old = start..old.at;
            splice(blob, old, rest);
        }
    }
}

/// Returns a hash with an empty string behind the value of each field.
pub(crate) fn widen(blob: &[u8]) -> Vec<u8> {
    let (mut wide, mut all) = (empty(), strings(blob));
    while let (Some(name), Some(value)) = (all.next(), all.next()) {
        let end = wide.len();
        splice(&mut wide, end..end, &[name, value, &[]]);
    }
    put_len(&mut wide, len(blob));
    wide
}

/// Takes a member out; returns whether it was there.
pub(crate) fn remove(blob: &mut Vec<u8>, stride: Stride, name: &[u8]) -> bool {
    let Some(mut rest) = find(blob, stride, name) else { return false };
    let start = rest.at;
    for _ in 0..stride {
        rest.next();
    }
    let old = start..rest.at;
    blob.drain(old);
    let count = len(blob) - 1;
    put_len(blob, count);
    true
}

/// Puts strings in the place of the bytes `old`. Counts nothing.
fn splice(blob: &mut Vec<u8>, old: Range<usize>, strings: &[&[u8]]) {
    let bytes: usize = strings.iter().map(|string| string_bytes(string.len())).sum();
    let (before, after) = (blob.len(), blob.len() - old.len() + bytes);
    blob.resize(before.max(after), 0);
    blob.copy_within(old.end..before, old.start + bytes);
    blob.truncate(after);
    let mut rest = &mut blob[old.start..old.start + bytes];
    for string in strings {
        let (len, room) = rest.split_at_mut(string_bytes(0) + usize::from(string.len() >= LONG as usize));
        match len {
            [short] => *short = string.len() as u8,
            long => long.copy_from_slice(&(string.len() as u16 | u16::from(LONG) << 8).to_be_bytes()),
        }
        let (there, room) = room.split_at_mut(string.len());
        there.copy_from_slice(string);
        rest = room;
    }
}

fn put_len(blob: &mut [u8], len: usize) {
    blob[..COUNT_BYTES].copy_from_slice(&(len as u16).to_le_bytes());
}

/// Inserts a string before the one at `index`, or at the end if that is their number.
pub(crate) fn insert(blob: &mut Vec<u8>, index: usize, string: &[u8]) {
    let at = offset(blob, index);
    splice(blob, at..at, &[string]);
    let count = len(blob) + 1;
    put_len(blob, count);
}

/// Inserts a member with its value before the one at `index`, or at the end if that is their number.
pub(crate) fn insert_pair(blob: &mut Vec<u8>, index: usize, name: &[u8], value: &[u8]) {
    let mut all = strings(blob);
    (0..2 * index).for_each(|_| {
        all.next();
    });
    let at = all.at;
    splice(blob, at..at, &[name, value]);
    let count = len(blob) + 1;
    put_len(blob, count);
}

/// Removes `count` strings from `index` on, which are there.
pub(crate) fn cut(blob: &mut Vec<u8>, index: usize, count: usize) {
    let old = offset(blob, index)..offset(blob, index + count);
    blob.drain(old);
    let count = len(blob) - count;
    put_len(blob, count);
}

/// Removes `count` members with their values from the one at `index` on, which are there.
pub(crate) fn cut_pairs(blob: &mut Vec<u8>, index: usize, count: usize) {
    let mut all = strings(blob);
    let mut skip = |strings: usize| {
        (0..strings).for_each(|_| {
            all.next();
        });
        all.at
    };
    let old = skip(2 * index)..skip(2 * count);
    blob.drain(old);
    let count = len(blob) - count;
    put_len(blob, count);
}

/// Where the string at `index` begins; the end if there is none.
fn offset(blob: &[u8], index: usize) -> usize {
    let mut all = strings(blob);
    if index == len(blob) && index > 0 {
        return blob.len();
    }
    (0..index).for_each(|_| {
        all.next();
    });
    all.at
}

/// Checks bytes that may be damaged: strings, and nothing else; `visit` gets each with its index.
fn check_each<'a>(blob: &'a [u8], stride: Stride, mut visit: impl FnMut(usize, &'a [u8])) -> Result<(), &'static str> {
    if blob.len() < COUNT_BYTES || blob.len() > BYTES_MAX {
        return Err("a packed collection has a wrong length");
    }
    let mut all = strings(blob);
    let (mut count, mut start) = (0, all.at);
    while let Some(string) = all.next() {
        if all.at - start != string_bytes(string.len()) {
            return Err("a packed collection has a length in a form that is never written");
        }
        visit(count, string);
        (count, start) = (count + 1, all.at);
    }
    if all.at != blob.len() || count != len(blob) * stride || count == 0 {
        return Err("a packed collection contradicts itself");
    }
    Ok(())
}

/// Checks bytes that may be damaged: strings, and nothing else.
pub(crate) fn check_strings(blob: &[u8]) -> Result<(), &'static str> {
    check_each(blob, 1, |_, _| {})
}

/// Checks bytes that may be damaged: members that are unique, and nothing else.
pub(crate) fn check(blob: &[u8], stride: Stride) -> Result<(), &'static str> {
    let mut names = Vec::new();
    check_each(blob, stride, |index, string| {
        if index % stride == 0 {
            names.push(string);
        }
    })?;
    names.sort_unstable();
    if names.windows(2).any(|pair| pair[0] == pair[1]) { Err("a member is there twice") } else { Ok(()) }
}

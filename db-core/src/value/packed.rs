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

/// Bytes of one without members.
pub(crate) const EMPTY_BYTES: usize = COUNT_BYTES;

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

/// Where the string whose length stands at `at` begins and ends, which may be beyond the blob.
#[inline]
fn span(blob: &[u8], at: usize) -> Option<Range<usize>> {
    let first = *blob.get(at)?;
    let (start, len) = if first & LONG == 0 {
        (at + 1, first as usize)
    } else {
        (at + 2, usize::from(first & !LONG) << 8 | usize::from(*blob.get(at + 1)?))
    };
    Some(start..start + len)
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
        let span = span(self.blob, self.at)?;
        let string = self.blob.get(span.clone())?;
        self.at = span.end;
        Some(string)
    }
}

impl PackedStrings<'_> {
    /// Where the next string begins.
    pub(crate) const fn at(&self) -> usize {
        self.at
    }

    /// Passes over strings; returns where the next one begins.
    #[inline]
    fn skip_strings(&mut self, count: usize) -> usize {
        for _ in 0..count {
            self.at = span(self.blob, self.at).map_or(self.at, |span| span.end);
        }
        self.at
    }
}

/// Returns all strings in order.
#[inline]
pub(crate) fn strings(blob: &[u8]) -> PackedStrings<'_> {
    PackedStrings { blob, at: COUNT_BYTES }
}

/// Returns the strings from the member `name` on, itself the first.
#[inline]
pub(crate) fn find<'a>(blob: &'a [u8], stride: Stride, name: &[u8]) -> Option<PackedStrings<'a>> {
    let mut all = strings(blob);
    let last = name.last_chunk::<8>();
    loop {
        let at = all.at;
        let string = all.next()?;
        // Most names of the same length differ in their last bytes, which need no call to be compared.
        if string.len() == name.len() && string.last_chunk() == last && string == name {
            return Some(PackedStrings { blob, at });
        }
        all.skip_strings(stride - 1);
    }
}

/// Returns the value of the member `name`.
#[inline]
pub(crate) fn value<'a>(blob: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    find(blob, 2, name)?.nth(1)
}

/// Returns a hash with an empty string behind the value of each field.
pub(crate) fn widen(blob: &[u8]) -> Vec<u8> {
    let (mut wide, mut all) = (empty(), strings(blob));
    while let (Some(name), Some(value)) = (all.next(), all.next()) {
        Edit::append(&wide, &[name, value, &[]]).apply(&mut wide);
    }
    wide
}

/// Adds a member: see [`Edit::put`].
pub(crate) fn put(blob: &mut Vec<u8>, item: &[&[u8]]) {
    Edit::put(blob, item).apply(blob);
}

/// Takes a member out, if it is there.
pub(crate) fn remove(blob: &mut Vec<u8>, stride: Stride, name: &[u8]) {
    if let Some(edit) = Edit::remove(blob, stride, name) {
        edit.apply(blob);
    }
}

/// Inserts an element before the one at `index`, or at the end if that is their number.
pub(crate) fn insert(blob: &mut Vec<u8>, index: usize, element: &[u8]) {
    Edit::insert(blob, index, &[element]).apply(blob);
}

/// Takes `count` members or elements out from the one at `index` on, which are there.
pub(crate) fn cut(blob: &mut Vec<u8>, stride: Stride, index: usize, count: usize) {
    Edit::cut(blob, stride, index, count).apply(blob);
}

/// A change of one member or element, or the removal of several that are adjacent. What is left stays in order:
///
/// ```text
///   0..front, [strings], middle, back..      or      0..front, middle, [strings], back..
/// ```
#[derive(Clone, Debug)]
pub(crate) struct Edit<'s> {
    front: usize,
    middle: Range<usize>,
    back: usize,
    strings: &'s [&'s [u8]],
    /// Bytes that the strings take.
    bytes: usize,
    strings_first: bool,
    /// Members or elements then.
    len: usize,
}

impl<'s> Edit<'s> {
    /// Puts strings in the place of the bytes `old`.
    #[inline]
    fn new(old: Range<usize>, strings: &'s [&'s [u8]], len: usize) -> Edit<'s> {
        let bytes = strings.iter().map(|string| string_bytes(string.len())).sum();
        Edit { front: old.start, middle: old.end..old.end, back: old.end, strings, bytes, strings_first: true, len }
    }

    /// Adds a member: `item` is its name with the strings that belong to it. If it is there they are replaced where they stand. The
    /// result may be too large to be kept.
    #[inline]
    pub(crate) fn put(blob: &[u8], item: &'s [&'s [u8]]) -> Edit<'s> {
        let Some(mut old) = find(blob, item.len(), item[0]) else { return Edit::append(blob, item) };
        old.next();
        let start = old.at;
        Edit::new(start..old.skip_strings(item.len() - 1), &item[1..], len(blob))
    }

    /// Adds a member or an element at the end.
    #[inline]
    pub(crate) fn append(blob: &[u8], item: &'s [&'s [u8]]) -> Edit<'s> {
        Edit::new(blob.len()..blob.len(), item, len(blob) + 1)
    }

    /// Inserts an element before the one at `index`, or at the end if that is their number.
    #[inline]
    pub(crate) fn insert(blob: &[u8], index: usize, element: &'s [&'s [u8]]) -> Edit<'s> {
        let at = if index == len(blob) { blob.len() } else { strings(blob).skip_strings(index) };
        Edit::new(at..at, element, len(blob) + 1)
    }

    /// Puts another element in the place of the one at `index`, which is there.
    #[inline]
    pub(crate) fn set(blob: &[u8], index: usize, element: &'s [&'s [u8]]) -> Edit<'s> {
        let mut all = strings(blob);
        let start = all.skip_strings(index);
        Edit::new(start..all.skip_strings(1), element, len(blob))
    }

    /// Takes a member out, if it is there.
    #[inline]
    pub(crate) fn remove(blob: &[u8], stride: Stride, name: &[u8]) -> Option<Edit<'s>> {
        let mut old = find(blob, stride, name)?;
        let start = old.at;
        Some(Edit::new(start..old.skip_strings(stride), &[], len(blob) - 1))
    }

    /// Takes `count` members or elements out from the one at `index` on, which are there.
    #[inline]
    pub(crate) fn cut(blob: &[u8], stride: Stride, index: usize, count: usize) -> Edit<'s> {
        let mut all = strings(blob);
        let start = all.skip_strings(stride * index);
        Edit::new(start..all.skip_strings(stride * count), &[], len(blob) - count)
    }

    /// Adds a member at byte `at`; `old`: where it stands, if it is there.
    #[inline]
    pub(crate) fn put_at(blob: &[u8], at: usize, old: Option<Range<usize>>, item: &'s [&'s [u8]]) -> Edit<'s> {
        match old {
            None => Edit::new(at..at, item, len(blob) + 1),
            Some(old) if at <= old.start => {
                Edit { front: at, middle: at..old.start, ..Edit::new(old, item, len(blob)) }
            }
            Some(old) => {
                let middle = old.end..at;
                Edit { middle, back: at, strings_first: false, ..Edit::new(old, item, len(blob)) }
            }
        }
    }

    /// Members or elements then.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Bytes of the whole then, of so many now.
    #[inline]
    pub(crate) fn bytes_after(&self, before: usize) -> usize {
        self.front + self.middle.len() + self.bytes + before - self.back
    }

    /// The bytes in front that stay where they are.
    #[inline]
    pub(crate) const fn front(&self) -> usize {
        self.front
    }

    /// What else stays, of `before` bytes, and where each part stands then: in an order in which no part is written over before it is
    /// moved.
    #[inline]
    pub(crate) fn moves(&self, before: usize) -> [(Range<usize>, usize); 2] {
        let middle_to = self.front + if self.strings_first { self.bytes } else { 0 };
        let middle = (self.middle.clone(), middle_to);
        let back = (self.back..before, self.front + self.middle.len() + self.bytes);
        if self.strings_first { [back, middle] } else { [middle, back] }
    }

    /// Makes the change in a place where `before` bytes stand and that has room for what it makes of them.
    #[inline]
    pub(crate) fn apply_within(&self, place: &mut [u8], before: usize) {
        for (part, to) in self.moves(before) {
            if !part.is_empty() && part.start != to {
                place.copy_within(part, to);
            }
        }
        self.fill(place);
    }

    /// The same in a piece that grows and shrinks.
    pub(crate) fn apply(&self, blob: &mut Vec<u8>) {
        let (before, after) = (blob.len(), self.bytes_after(blob.len()));
        blob.resize(before.max(after), 0);
        self.apply_within(blob, before);
        blob.truncate(after);
    }

    /// Writes the strings and the number of members, where all that stays is where it belongs.
    #[inline]
    pub(crate) fn fill(&self, place: &mut [u8]) {
        let start = self.front + if self.strings_first { 0 } else { self.middle.len() };
        let mut rest = &mut place[start..start + self.bytes];
        for string in self.strings {
            let (len, room) = rest.split_at_mut(string_bytes(0) + usize::from(string.len() >= LONG as usize));
            match len {
                [short] => *short = string.len() as u8,
                long => long.copy_from_slice(&(string.len() as u16 | u16::from(LONG) << 8).to_be_bytes()),
            }
            let (there, room) = room.split_at_mut(string.len());
            there.copy_from_slice(string);
            rest = room;
        }
        place[..COUNT_BYTES].copy_from_slice(&(self.len as u16).to_le_bytes());
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_that_moves_leaves_the_others_in_order() {
        let names: [&[u8]; 4] = [b"a", &[b'b'; 200], b"", b"dd"];
        let mut all = empty();
        names.iter().for_each(|name| Edit::append(&all, &[*name]).apply(&mut all));
        let start = |index| strings(&all).skip_strings(index);
        for new in [&b"x"[..], &[b'x'; 300]] {
            for (from, to) in (0..4).flat_map(|from| (0..5).map(move |to| (from, to))) {
                let mut moved = all.clone();
                Edit::put_at(&all, start(to), Some(start(from)..start(from + 1)), &[new]).apply(&mut moved);
                let mut wanted = names.to_vec();
                wanted.remove(from);
                wanted.insert(if to > from { to - 1 } else { to }, new);
                assert_eq!(strings(&moved).collect::<Vec<_>>(), wanted, "from {from} to {to}");
                check_strings(&moved).expect("nothing else is there");
            }
        }
    }
}

//! Several writes to one string, as they stand in a record.

use crate::effect::{Reader, RecordError, put_bytes, put_number};

/// Bytes that stay as they are within a patch, rather than end it: a patch of its own takes about so many.
const BYTES_KEPT_MAX: usize = 4;

/// Bytes that are compared at a time.
const COMPARED: usize = 64;

/// Writes to one string: each an offset in bytes, and the bytes to be there. Later ones lie behind earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patches<'a> {
    bytes: &'a [u8],
}

/// Patches in the making.
#[derive(Debug, Default)]
pub(crate) struct PatchList {
    bytes: Vec<u8>,
    /// The patch that the next byte may still be of: its offset, and its bytes.
    open: Option<(u64, Vec<u8>)>,
}

impl PatchList {
    /// Writes a byte, behind all others.
    pub(crate) fn put(&mut self, offset: u64, byte: u8) {
        match &mut self.open {
            Some((start, bytes)) if *start + bytes.len() as u64 == offset => bytes.push(byte),
            _ => {
                self.close();
                self.open = Some((offset, vec![byte]));
            }
        }
    }

    /// What makes `old`, with zeros behind it, begin with `new`, which is no shorter.
    pub(crate) fn between(old: &[u8], new: &[u8]) -> PatchList {
        let mut list = PatchList::default();
        let old_byte = |at: usize| old.get(at).copied().unwrap_or(0);
        let mut at = 0;
        // Behind the last byte that differs.
        let mut behind = None;
        while at < new.len() {
            if old.get(at..at + COMPARED).is_some_and(|old| new.get(at..at + COMPARED) == Some(old)) {
                at += COMPARED;
                continue;
            }
            let end = new.len().min(at + COMPARED);
            for at in at..end {
                if new[at] == old_byte(at) {
                    continue;
                }
                let start = behind.filter(|behind| at - behind <= BYTES_KEPT_MAX).unwrap_or(at);
                (start..=at).for_each(|at| list.put(at as u64, new[at]));
                behind = Some(at + 1);
            }
            at = end;
        }
        list
    }

    fn close(&mut self) {
        if let Some((offset, bytes)) = self.open.take() {
            put_number(&mut self.bytes, offset);
            put_bytes(&mut self.bytes, &bytes);
        }
    }

    /// The patches.
    pub(crate) fn finish(&mut self) -> Patches<'_> {
        self.close();
        Patches { bytes: &self.bytes }
    }
}

impl<'a> Patches<'a> {
    /// Whether there is none.
    pub(crate) const fn is_empty(self) -> bool {
        self.bytes.is_empty()
    }

    /// As they stand in a record.
    pub(super) const fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// Reads and checks patches of a string of `len` bytes.
    ///
    /// # Errors
    /// If they are malformed, or lie beyond its end.
    pub(crate) fn read(bytes: &'a [u8], len: u64) -> Result<Patches<'a>, RecordError> {
        let (mut rest, mut behind) = (Reader::new(bytes), 0);
        while !rest.is_empty() {
            let (offset, written) = (rest.number()?, rest.value()?);
            if offset < behind || written.is_empty() {
                return Err(RecordError::NotCanonical);
            }
            behind = offset.saturating_add(written.len() as u64);
        }
        if behind > len { Err(RecordError::TooLong) } else { Ok(Patches { bytes }) }
    }

    /// Each of them.
    pub(super) fn each(self, mut visit: impl FnMut(u64, &'a [u8])) {
        let mut rest = Reader::new(self.bytes);
        while !rest.is_empty() {
            let offset = rest.number().expect("patches were checked");
            visit(offset, rest.value().expect("patches were checked"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(patches: Patches<'_>) -> Vec<(u64, Vec<u8>)> {
        let mut all = Vec::new();
        patches.each(|offset, bytes| all.push((offset, bytes.to_vec())));
        all
    }

    #[test]
    fn what_differs_is_written_and_little_else() {
        let old = vec![7; 1_000];
        let mut new = [&old[..], &[0, 0, 9, 0]].concat();
        for at in [3, 5, 64, 127, 128, 600] {
            new[at] = 1;
        }
        let mut list = PatchList::between(&old, &new);
        let expected: Vec<(u64, Vec<u8>)> =
            vec![(3, vec![1, 7, 1]), (64, vec![1]), (127, vec![1, 1]), (600, vec![1]), (1_002, vec![9])];
        assert_eq!(all(list.finish()), expected);
        assert!(PatchList::between(&old, &old).finish().is_empty());
        let mut made = old;
        made.resize(new.len(), 0);
        for (offset, bytes) in expected {
            made[offset as usize..offset as usize + bytes.len()].copy_from_slice(&bytes);
        }
        assert_eq!(made, new);
    }

    #[test]
    fn what_is_no_list_of_patches_is_refused() {
        let mut list = PatchList::default();
        [(5, 1), (6, 2), (9, 3)].iter().for_each(|(offset, byte)| list.put(*offset, *byte));
        let bytes = list.finish().bytes().to_vec();
        assert_eq!(bytes, b"\x05\x02\x01\x02\x09\x01\x03");
        assert_eq!(Patches::read(&bytes, 10).map(all), Ok(vec![(5, vec![1, 2]), (9, vec![3])]));
        assert_eq!(Patches::read(&bytes, 9), Err(RecordError::TooLong));
        assert_eq!(Patches::read(&bytes[..6], 10), Err(RecordError::Truncated));
        assert_eq!(Patches::read(b"\x05\x02\x01\x02\x06\x01\x03", 10), Err(RecordError::NotCanonical));
        assert_eq!(Patches::read(b"\x05\x00", 10), Err(RecordError::NotCanonical));
    }
}

//! Ziplists: several strings in one, as Redis wrote them before 7.
//!
//! ```text
//!   0  bytes of all u32
//!   4  offset of the last entry u32
//!   8  entries u16; 65535: that many or more
//!  10  entries: length of the one before (u8, or 254 and u32), encoding and length, bytes
//!      then 255
//! ```

use super::RdbError;
use super::packed_entry::{Bytes, PackedEntry};

const HEAD_BYTES: usize = 10;
const END: u8 = 0xff;
const LONG: u8 = 0xfe;
const MANY: u16 = u16::MAX;

/// Checks the head, and returns the entries. Each is an error if it is not whole, the last one if the ziplist does not end there.
pub(super) fn entries(blob: &[u8]) -> Result<ZiplistEntries<'_>, RdbError> {
    let mut rest = Bytes(blob);
    let bytes = u32::from_le_bytes(rest.array()?);
    let last = u32::from_le_bytes(rest.array()?);
    let count = u16::from_le_bytes(rest.array()?);
    if bytes as usize != blob.len() || blob.len() <= HEAD_BYTES {
        return Err(RdbError::Damaged("a ziplist has a wrong length"));
    }
    Ok(ZiplistEntries { len: blob.len(), rest, last: last as usize, count, seen: 0, before: 0 })
}

/// The strings of a ziplist in order.
pub(super) struct ZiplistEntries<'a> {
    len: usize,
    rest: Bytes<'a>,
    /// Offset of the last entry, as the head says.
    last: usize,
    count: u16,
    seen: u64,
    /// Bytes of the entry before.
    before: usize,
}

impl<'a> ZiplistEntries<'a> {
    fn entry(&mut self) -> Result<Option<PackedEntry<'a>>, RdbError> {
        let start = self.rest.0.len();
        let at = self.len - start;
        if self.rest.0.first() == Some(&END) {
            let counted = self.count == MANY || u64::from(self.count) == self.seen;
            let ends = start == 1 && counted && self.last == at - self.before;
            return if ends { Ok(None) } else { Err(RdbError::Damaged("a ziplist contradicts itself")) };
        }
        let before = match self.rest.byte()? {
            LONG => u32::from_le_bytes(self.rest.array()?) as usize,
            short => short.into(),
        };
        if before != self.before {
            return Err(RdbError::Damaged("an entry of a ziplist has a wrong length before it"));
        }
        let entry = self.value()?;
        self.before = start - self.rest.0.len();
        self.seen += 1;
        Ok(Some(entry))
    }

    fn value(&mut self) -> Result<PackedEntry<'a>, RdbError> {
        let rest = &mut self.rest;
        let first = rest.byte()?;
        Ok(match first {
            0x00..=0x3f => PackedEntry::Bytes(rest.take(first.into())?),
            0x40..=0x7f => {
                let len = usize::from(first & 0x3f) << 8 | usize::from(rest.byte()?);
                PackedEntry::Bytes(rest.take(len)?)
            }
            0x80 => {
                let len = u32::from_be_bytes(rest.array()?) as usize;
                PackedEntry::Bytes(rest.take(len)?)
            }
            0xc0 => PackedEntry::Integer(i16::from_le_bytes(rest.array()?).into()),
            0xd0 => PackedEntry::Integer(i32::from_le_bytes(rest.array()?).into()),
            0xe0 => PackedEntry::Integer(i64::from_le_bytes(rest.array()?)),
            0xf0 => PackedEntry::Integer(rest.int24()?),
            0xfe => PackedEntry::Integer(i8::from_le_bytes(rest.array()?).into()),
            0xf1..=0xfd => PackedEntry::Integer(i64::from(first & 0x0f) - 1),
            _ => return Err(RdbError::Damaged("an entry of a ziplist is of a form that no server writes")),
        })
    }
}

impl<'a> Iterator for ZiplistEntries<'a> {
    type Item = Result<PackedEntry<'a>, RdbError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.entry().transpose()
    }
}

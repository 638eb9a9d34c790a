//! Zipmaps: small hashes in one string, as Redis wrote them before 2.6.
//!
//! ```text
//!   0  fields u8; 254: that many or more
//!   1  fields: length, bytes; then of the value length, unused bytes u8, bytes, the unused ones
//!      then 255
//!
//!      a length: u8 below 254, or 254 and u32
//! ```

use super::RdbError;
use super::packed_entry::Bytes;

const MANY: u8 = 0xfe;
const LONG: u8 = 0xfe;
const END: u8 = 0xff;

/// A field and its value.
type ZipmapField<'a> = (&'a [u8], &'a [u8]);

/// The fields in order, each with its value. Each is an error if it is not whole, the last one if the zipmap does not end there.
pub(super) fn fields(blob: &[u8]) -> Result<ZipmapFields<'_>, RdbError> {
    let mut rest = Bytes(blob);
    let count = rest.byte()?;
    Ok(ZipmapFields { rest, count, seen: 0 })
}

/// The fields of a zipmap.
pub(super) struct ZipmapFields<'a> {
    rest: Bytes<'a>,
    count: u8,
    seen: u64,
}

impl<'a> ZipmapFields<'a> {
    fn field(&mut self) -> Result<Option<ZipmapField<'a>>, RdbError> {
        if self.rest.0.first() == Some(&END) {
            let counted = self.count >= MANY || u64::from(self.count) == self.seen;
            let ends = self.rest.0.len() == 1 && counted;
            return if ends { Ok(None) } else { Err(RdbError::Damaged("a zipmap contradicts itself")) };
        }
        let rest = &mut self.rest;
        let len = length(rest)?;
        let name = rest.take(len)?;
        let len = length(rest)?;
        let unused = rest.byte()?;
        let value = rest.take(len)?;
        rest.take(unused.into())?;
        self.seen += 1;
        Ok(Some((name, value)))
    }
}

fn length(rest: &mut Bytes<'_>) -> Result<usize, RdbError> {
    match rest.byte()? {
        END => Err(RdbError::Damaged("a zipmap contradicts itself")),
        LONG => Ok(u32::from_le_bytes(rest.array()?) as usize),
        short => Ok(short.into()),
    }
}

impl<'a> Iterator for ZipmapFields<'a> {
    type Item = Result<ZipmapField<'a>, RdbError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.field().transpose()
    }
}

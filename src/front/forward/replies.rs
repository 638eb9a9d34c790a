//! Where replies end in the bytes that a primary sends: they are passed on as they come, and counted.

use memchr::memchr;
use tanist_db_core::ids::Lsn;

use super::wire;

/// Longest line that begins a value: a length, a number, a status or an error.
const LINE_BYTES_MAX: usize = 1 << 20;

/// What stands at the front of the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::front) enum Found {
    /// So many bytes of a reply, and whether it ends with them.
    Reply { bytes: usize, ends: bool },
    /// The mark *end*, of so many bytes.
    End { bytes: usize },
    /// The mark *position*, of so many bytes: the next reply depends on this record.
    Position { bytes: usize, lsn: Lsn },
}

/// The bytes are none of a primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::front) struct NotReplies;

/// Finds the ends of replies, however they are cut into pieces.
#[derive(Debug, Default)]
pub(in crate::front) struct ReplyEnds {
    /// Values that the one at hand still lacks; 0 between replies.
    missing: u64,
    /// Bytes that the string at hand still lacks, with its line's end.
    string: u64,
}

impl ReplyEnds {
    /// Whether a reply has begun and not ended.
    pub(in crate::front) fn is_within(&self) -> bool {
        self.missing > 0
    }

    /// Returns what stands at the front of `bytes`, which the caller consumes; `None` if more bytes are needed to tell.
    pub(in crate::front) fn next(&mut self, bytes: &[u8]) -> Result<Option<Found>, NotReplies> {
        let Some(&first) = bytes.first() else { return Ok(None) };
        if self.missing == 0 {
            if first == wire::MARK {
                return mark(bytes);
            }
            self.missing = 1;
        }
        let mut at = 0;
        while self.missing > 0 {
            let rest = &bytes[at..];
            if self.string > 0 {
                let taken = self.string.min(rest.len() as u64);
                self.string -= taken;
                at += taken as usize;
                if self.string > 0 {
                    break;
                }
                self.missing -= 1;
                continue;
            }
            let Some(end) = memchr(b'\n', rest) else {
                if rest.len() > LINE_BYTES_MAX {
                    return Err(NotReplies);
                }
                break;
            };
            self.begin(&rest[..end])?;
            at += end + 1;
        }
        let (bytes, ends) = (at, self.missing == 0);
        Ok((at > 0).then_some(Found::Reply { bytes, ends }))
    }

    /// A value begins with `line`, which lacks its last byte.
    fn begin(&mut self, line: &[u8]) -> Result<(), NotReplies> {
        let [kind, number @ .., b'\r'] = line else { return Err(NotReplies) };
        match kind {
            b'+' | b'-' | b':' | b'_' | b'#' | b',' | b'(' => self.missing -= 1,
            b'$' | b'=' | b'!' => match length(number)? {
                None => self.missing -= 1,
                Some(bytes) => self.string = bytes + 2,
            },
            b'*' | b'~' => self.replace_by(length(number)?.unwrap_or(0)),
            b'%' => self.replace_by(2 * length(number)?.unwrap_or(0)),
            // The value itself follows its attributes.
            b'|' => self.replace_by(2 * length(number)?.unwrap_or(0) + 1),
            _ => return Err(NotReplies),
        }
        Ok(())
    }

    /// The value at hand consists of so many others.
    fn replace_by(&mut self, values: u64) {
        self.missing = (self.missing - 1).saturating_add(values);
    }
}

fn mark(bytes: &[u8]) -> Result<Option<Found>, NotReplies> {
    match bytes {
        [_] => Ok(None),
        [first, second, ..] if [*first, *second] == wire::END => Ok(Some(Found::End { bytes: wire::END.len() })),
        [first, second, rest @ ..] if [*first, *second] == wire::POSITION => Ok(rest.first_chunk().map(|lsn| {
            let lsn = Lsn(u64::from_le_bytes(*lsn));
            Found::Position { bytes: wire::POSITION_BYTES, lsn }
        })),
        _ => Err(NotReplies),
    }
}

/// A length; `None` is that of a null.
fn length(digits: &[u8]) -> Result<Option<u64>, NotReplies> {
    let text = std::str::from_utf8(digits).map_err(|_| NotReplies)?;
    match text.parse::<i64>() {
        Ok(-1) => Ok(None),
        // What a primary can send fits, also doubled.
        Ok(length @ 0..=0xffff_ffff_ffff) => Ok(Some(length as u64)),
        _ => Err(NotReplies),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All that stands in `bytes`, which come in pieces of `piece`, as (kind, bytes) of whole replies and marks.
    fn all(bytes: &[u8], piece: usize) -> Result<Vec<(char, usize)>, NotReplies> {
        let (mut ends, mut found, mut unread, mut whole) = (ReplyEnds::default(), Vec::new(), Vec::new(), 0);
        for piece in bytes.chunks(piece) {
            unread.extend_from_slice(piece);
            while let Some(next) = ends.next(&unread)? {
                let (kind, bytes, is_end) = match next {
                    Found::Reply { bytes, ends } => ('r', bytes, ends),
                    Found::End { bytes } => ('e', bytes, true),
                    Found::Position { bytes, lsn } => {
                        assert_eq!(lsn, Lsn(0x0a0d));
                        ('p', bytes, true)
                    }
                };
                unread.drain(..bytes);
                whole += bytes;
                assert_eq!(ends.is_within(), !is_end);
                if is_end {
                    found.push((kind, std::mem::take(&mut whole)));
                }
            }
        }
        assert!(unread.is_empty() && !ends.is_within(), "an incomplete reply is left");
        Ok(found)
    }

    #[test]
    fn every_reply_ends_where_it_ends_however_it_comes() {
        let replies = [
            "+OK\r\n",
            "-ERR no\r\n",
            ":1\r\n",
            "_\r\n",
            "#t\r\n",
            ",1.5\r\n",
            "(12345678901234567890\r\n",
            "$-1\r\n",
            "$0\r\n\r\n",
            "$5\r\n\r\n+OK\r\n",
            "=7\r\ntxt:a\r\n\r\n",
            "!3\r\nERR\r\n",
            "*-1\r\n",
            "*0\r\n",
            "*2\r\n*1\r\n:1\r\n$1\r\na\r\n",
            "%2\r\n+a\r\n:1\r\n+b\r\n*0\r\n",
            "~1\r\n#f\r\n",
            "|1\r\n+ttl\r\n:1\r\n*2\r\n:1\r\n:2\r\n",
        ];
        let (end, position) = ("\0\u{1}", "\0\u{2}\r\n\0\0\0\0\0\0");
        let mut bytes = String::new();
        let mut expected = Vec::new();
        for reply in replies {
            bytes.push_str(reply);
            expected.push(('r', reply.len()));
            bytes.push_str(position);
            expected.push(('p', position.len()));
        }
        bytes.push_str(end);
        expected.push(('e', end.len()));
        for piece in [1, 2, 3, 7, bytes.len()] {
            assert_eq!(all(bytes.as_bytes(), piece).unwrap(), expected, "in pieces of {piece}");
        }
    }

    #[test]
    fn what_is_no_reply_is_refused() {
        for bytes in
            ["x\r\n", ">1\r\n:1\r\n", "+OK\n", "\r\n", "\n", "$-2\r\n", "$x\r\n", "*9999999999999999\r\n", "\0\u{3}"]
        {
            assert_eq!(all(bytes.as_bytes(), bytes.len()), Err(NotReplies), "{bytes:?}");
        }
        assert_eq!(ReplyEnds::default().next(&vec![b'+'; LINE_BYTES_MAX + 2]), Err(NotReplies));
    }
}

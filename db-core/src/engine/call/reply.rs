//! Replies in RESP2 and RESP3, appended to one growing buffer.

use std::fmt;

use super::failure::Failure;
use super::number::INTEGER_TEXT_MAX;
use crate::value::ValueView;

/// Version of the protocol that a connection speaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Protocol {
    /// What every connection starts with.
    #[default]
    Resp2,
    /// After `HELLO 3`: maps, sets, doubles, nulls and booleans of their own.
    Resp3,
}

/// Bytes of a piece in which a large reply is sent.
const PIECE_BYTES: usize = 64 * 1024;

/// Takes the next piece of a large reply; false if nobody wants it any more.
pub type SendPiece = Box<dyn FnMut(Vec<u8>) -> bool + Send>;

/// Encoder of replies. Aggregates are written as a header with a count, then that many members; where RESP2 lacks a
/// type, its accepted stand-in is written.
#[derive(Debug)]
pub struct Reply {
    out: Vec<u8>,
    protocol: Protocol,
    /// Bytes of `out` at which the reply is sent in part, if it leaves in pieces, and else given up.
    limit: usize,
    /// Bytes up to which a string can be added without a look at memory and limit: one comparison for both.
    room: usize,
    /// Elements beyond which it is given up.
    elements_max: u64,
    is_given_up: bool,
    pieces: Option<Pieces>,
}

/// A reply that leaves in pieces.
struct Pieces {
    send: SendPiece,
    any_sent: bool,
    is_wanted: bool,
}

impl Default for Reply {
    fn default() -> Reply {
        Reply::new(Protocol::default())
    }
}

impl Reply {
    /// An empty buffer.
    #[must_use]
    pub fn new(protocol: Protocol) -> Reply {
        Reply {
            out: Vec::new(),
            protocol,
            limit: usize::MAX,
            room: 0,
            elements_max: u64::MAX,
            is_given_up: false,
            pieces: None,
        }
    }

    /// An encoder of one reply that leaves in pieces of about 64 KiB. [`finish`](Self::finish) is due at the end.
    #[must_use]
    pub fn in_pieces(protocol: Protocol, send: SendPiece) -> Reply {
        let pieces = Some(Pieces { send, any_sent: false, is_wanted: true });
        Reply { limit: PIECE_BYTES, pieces, ..Reply::new(protocol) }
    }

    /// Sends what is left of a reply in pieces. False if nobody wanted all of it.
    #[must_use]
    pub fn finish(mut self) -> bool {
        self.flush()
    }

    /// From here on the reply may take so many bytes, and so many elements.
    #[inline]
    pub(crate) fn bound(&mut self, bytes: usize, elements: u64) {
        self.limit = self.out.len().saturating_add(bytes);
        self.room = self.limit.min(self.out.capacity());
        self.elements_max = elements;
    }

    /// Ends the bound; returns whether the reply has outgrown it, so that what was written of it is of no use.
    #[inline]
    pub(crate) fn unbound(&mut self) -> bool {
        self.limit = usize::MAX;
        self.room = self.out.capacity();
        self.elements_max = u64::MAX;
        std::mem::take(&mut self.is_given_up)
    }

    /// A reply of so many elements is about to be written.
    ///
    /// # Errors
    /// If that is more than the bound allows: the caller spares itself the work.
    pub(crate) fn expect(&mut self, elements: u64) -> Result<(), Failure> {
        if elements > self.elements_max { Err(self.give_up()) } else { Ok(()) }
    }

    /// A reply of so many bytes is about to be written; errors as [`expect`](Self::expect).
    pub(crate) fn expect_bytes(&mut self, bytes: u64) -> Result<(), Failure> {
        let fits = self.pieces.is_some() || bytes <= self.limit.saturating_sub(self.out.len()) as u64;
        if fits { Ok(()) } else { Err(self.give_up()) }
    }

    #[cold]
    fn give_up(&mut self) -> Failure {
        self.is_given_up = true;
        self.stop();
        Failure::LARGE
    }

    /// Nothing more is written.
    fn stop(&mut self) {
        self.limit = 0;
        self.room = 0;
    }

    /// Makes room for `bytes`. False if nothing more is to be written.
    #[cold]
    #[inline(never)]
    fn makes_room(&mut self, bytes: usize) -> bool {
        if self.out.len() >= self.limit && !self.passes_limit() {
            return false;
        }
        self.out.reserve(bytes);
        self.room = self.limit.min(self.out.capacity());
        true
    }

    /// Sends the reply so far if it leaves in pieces. False if nothing more is to be written.
    fn passes_limit(&mut self) -> bool {
        if self.pieces.is_none() {
            self.give_up();
        }
        self.flush()
    }

    /// Sends what there is; false if nobody wants it.
    fn flush(&mut self) -> bool {
        let Some(pieces) = &mut self.pieces else { return false };
        if pieces.is_wanted && !self.out.is_empty() {
            pieces.any_sent = true;
            pieces.is_wanted = (pieces.send)(std::mem::take(&mut self.out));
        }
        let is_wanted = pieces.is_wanted;
        if !is_wanted {
            self.out.clear();
            self.stop();
        }
        is_wanted
    }

    /// The version written from now on.
    pub fn set_protocol(&mut self, protocol: Protocol) {
        self.protocol = protocol;
    }

    /// The version being written.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Bytes written so far: where the next reply starts.
    #[must_use]
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// Whether nothing is written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// Everything written.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.out
    }

    /// Takes everything written, leaving the buffer empty and without memory.
    #[must_use]
    pub fn take(&mut self) -> Vec<u8> {
        self.room = 0;
        std::mem::take(&mut self.out)
    }

    /// Forgets everything written, keeping the memory.
    pub fn clear(&mut self) {
        self.out.clear();
    }

    /// Forgets what was written after `len` bytes.
    pub fn truncate(&mut self, len: usize) {
        if let Some(Pieces { any_sent: true, is_wanted, .. }) = &mut self.pieces {
            // A part of it has left: nothing else can be said in its place.
            *is_wanted = false;
        }
        self.out.truncate(len);
    }

    /// Takes already encoded bytes over as they are.
    pub fn raw(&mut self, encoded: &[u8]) {
        if self.pieces.is_none() {
            self.out.extend_from_slice(encoded);
            return;
        }
        for piece in encoded.chunks(PIECE_BYTES) {
            if self.out.len() >= self.limit && !self.passes_limit() {
                return;
            }
            self.out.extend_from_slice(piece);
        }
    }

    /// `+OK`.
    pub fn ok(&mut self) {
        self.out.extend_from_slice(b"+OK\r\n");
    }

    /// A short status; must not contain a line break.
    pub fn simple(&mut self, text: &str) {
        debug_assert!(!text.contains(['\r', '\n']), "a status is one line");
        self.out.push(b'+');
        self.out.extend_from_slice(text.as_bytes());
        self.end_line();
    }

    /// An error: code, blank, sentence. Line breaks, which a request may have smuggled in, become blanks.
    pub fn error(&mut self, text: &str) {
        self.out.push(b'-');
        self.out.extend(text.bytes().map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { byte }));
        self.end_line();
    }

    /// The error that a failure stands for.
    pub fn failure(&mut self, failure: &Failure) {
        self.error(failure.text());
    }

    /// An integer.
    pub fn int(&mut self, value: i64) {
        self.out.push(b':');
        self.out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
        self.end_line();
    }

    /// A count as an integer.
    pub fn count(&mut self, value: u64) {
        self.header(b':', value);
    }

    /// A string of bytes.
    pub fn bulk(&mut self, bytes: &[u8]) {
        if bytes.len() > PIECE_BYTES {
            self.bulk_chunks(bytes.len() as u64, bytes.chunks(PIECE_BYTES));
        } else {
            self.put_bulk(bytes);
        }
    }

    #[inline(always)]
    fn put_bulk(&mut self, bytes: &[u8]) {
        let more = bytes.len() + INTEGER_TEXT_MAX + 5;
        if self.out.len() + more > self.room && !self.makes_room(more) {
            return;
        }
        self.header(b'$', bytes.len() as u64);
        self.out.extend_from_slice(bytes);
        self.end_line();
    }

    /// A string of `len` bytes that lies in pieces.
    pub fn bulk_chunks<'a>(&mut self, len: u64, chunks: impl Iterator<Item = &'a [u8]>) {
        if self.expect_bytes(len).is_err() {
            return;
        }
        self.header(b'$', len);
        self.out.reserve(usize::try_from(len).unwrap_or(0).min(self.limit) + 2);
        let mut written = 0;
        for chunk in chunks {
            if self.out.len() >= self.limit && !self.passes_limit() {
                return;
            }
            self.out.extend_from_slice(chunk);
            written += chunk.len() as u64;
        }
        assert_eq!(written, len, "the pieces of a string add up to its length");
        self.end_line();
    }

    /// A string, in one piece or in several. Inlined where values are what most replies are.
    #[inline(always)]
    pub fn value(&mut self, value: &ValueView<'_>) {
        match value.as_slice() {
            Some(bytes) => self.put_bulk(bytes),
            None => self.bulk_chunks(value.len(), value.chunks()),
        }
    }

    /// A number, as Redis writes scores.
    pub fn double(&mut self, value: f64) {
        self.long_double(&double_text(value));
    }

    /// A number in its text, which may have more digits than a double.
    pub fn long_double(&mut self, text: &str) {
        if self.resp3() {
            self.out.push(b',');
            self.out.extend_from_slice(text.as_bytes());
            self.end_line();
        } else {
            self.bulk(text.as_bytes());
        }
    }

    /// No value.
    pub fn null(&mut self) {
        self.out.extend_from_slice(if self.resp3() { b"_\r\n" } else { b"$-1\r\n" });
    }

    /// No value where an array would stand.
    pub fn null_array(&mut self) {
        self.out.extend_from_slice(if self.resp3() { b"_\r\n" } else { b"*-1\r\n" });
    }

    /// Starts an array of `count` members.
    pub fn array(&mut self, count: usize) {
        self.header(b'*', count as u64);
    }

    /// Starts a map of `pairs` keys, each followed by its value.
    pub fn map(&mut self, pairs: usize) {
        if self.resp3() {
            self.header(b'%', pairs as u64);
        } else {
            self.header(b'*', pairs as u64 * 2);
        }
    }

    /// Starts a set of `count` members.
    pub fn set(&mut self, count: usize) {
        self.header(if self.resp3() { b'~' } else { b'*' }, count as u64);
    }

    /// Starts a message that answers nothing, of `count` members.
    pub fn push(&mut self, count: usize) {
        self.header(if self.resp3() { b'>' } else { b'*' }, count as u64);
    }

    /// Text for people; `format` is `txt` or `mkd`.
    pub fn verbatim(&mut self, format: &str, text: &str) {
        debug_assert_eq!(format.len(), 3, "a format has three letters");
        if self.resp3() {
            self.header(b'=', text.len() as u64 + 4);
            self.out.extend_from_slice(format.as_bytes());
            self.out.push(b':');
            self.out.extend_from_slice(text.as_bytes());
            self.end_line();
        } else {
            self.bulk(text.as_bytes());
        }
    }

    fn resp3(&self) -> bool {
        self.protocol == Protocol::Resp3
    }

    /// Kind, count and line end. Most counts have few digits and take the short way.
    #[inline(always)]
    fn header(&mut self, kind: u8, count: u64) {
        let digit = |place: u64| b'0' + (count / place % 10) as u8;
        match count {
            0..=9 => self.out.extend_from_slice(&[kind, digit(1), b'\r', b'\n']),
            10..=99 => self.out.extend_from_slice(&[kind, digit(10), digit(1), b'\r', b'\n']),
            100..=999 => self.out.extend_from_slice(&[kind, digit(100), digit(10), digit(1), b'\r', b'\n']),
            _ => {
                self.out.push(kind);
                self.out.extend_from_slice(itoa::Buffer::new().format(count).as_bytes());
                self.end_line();
            }
        }
    }

    fn end_line(&mut self) {
        self.out.extend_from_slice(b"\r\n");
    }
}

impl fmt::Debug for Pieces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pieces").field("any_sent", &self.any_sent).field("is_wanted", &self.is_wanted).finish()
    }
}

/// Returns the shortest text that is read as `value`, in the form that Redis writes: whole numbers up to 2^62 as such, others with an
/// exponent where they would have many zeros.
pub(crate) fn double_text(value: f64) -> String {
    const WHOLE_MAX: f64 = (1u64 << 62) as f64;
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    if value == 0.0 {
        return if value.is_sign_negative() { "-0" } else { "0" }.to_owned();
    }
    if value.abs() <= WHOLE_MAX && value.fract() == 0.0 {
        return format!("{value:.0}");
    }
    let scientific = format!("{:e}", value.abs());
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let digits: String = digits.chars().filter(|digit| *digit != '.').collect();
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let count = digits.len() as i32;
    // The number is the digits times ten to this power.
    let power = exponent - (count - 1);
    let sign = if value < 0.0 { "-" } else { "" };
    if power >= 0 && exponent < count + 7 {
        return format!("{sign}{digits}{}", "0".repeat(power as usize));
    }
    if power < 0 && (power > -7 || exponent.abs() < 4) {
        let whole = count + power;
        return if whole <= 0 {
            format!("{sign}0.{}{digits}", "0".repeat(-whole as usize))
        } else {
            let (before, behind) = digits.split_at(whole as usize);
            format!("{sign}{before}.{behind}")
        };
    }
    let (first, rest) = digits.split_at(1);
    let point = if rest.is_empty() { "" } else { "." };
    format!("{sign}{first}{point}{rest}e{exponent:+}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(protocol: Protocol, write: impl FnOnce(&mut Reply)) -> String {
        let mut reply = Reply::new(protocol);
        write(&mut reply);
        String::from_utf8(reply.take()).unwrap()
    }

    #[test]
    fn doubles_are_short() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (3.0, "3"),
            (3.1, "3.1"),
            (-1.5e-3, "-0.0015"),
            (1e21, "1e+21"),
            (1e17, "100000000000000000"),
            (12_345_678_901_234_567_890.0, "12345678901234567000"),
            (-504_191.553_869_527_76, "-5.0419155386952776e+5"),
            (1e-10, "1e-10"),
            (1.5e300, "1.5e+300"),
            (4_503_599_627_370_495.0, "4503599627370495"),
            (9_007_199_254_740_993.0, "9007199254740992"),
            (f64::NEG_INFINITY, "-inf"),
            (0.1 + 0.2, "0.30000000000000004"),
        ] {
            assert_eq!(double_text(value), text);
        }
    }

    #[test]
    fn every_type_in_both_protocols() {
        type Case = (fn(&mut Reply), &'static str, &'static str);
        let cases: &[Case] = &[
            (|r| r.ok(), "+OK\r\n", "+OK\r\n"),
            (|r| r.error("ERR a\r\nb"), "-ERR a  b\r\n", "-ERR a  b\r\n"),
            (|r| r.int(-42), ":-42\r\n", ":-42\r\n"),
            (|r| r.count(u64::MAX), ":18446744073709551615\r\n", ":18446744073709551615\r\n"),
            (|r| r.bulk(b""), "$0\r\n\r\n", "$0\r\n\r\n"),
            (|r| r.bulk(b"0123456789"), "$10\r\n0123456789\r\n", "$10\r\n0123456789\r\n"),
            (|r| r.bulk_chunks(3, [&b"a"[..], b"bc"].into_iter()), "$3\r\nabc\r\n", "$3\r\nabc\r\n"),
            (|r| r.null(), "$-1\r\n", "_\r\n"),
            (|r| r.null_array(), "*-1\r\n", "_\r\n"),
            (|r| r.array(12), "*12\r\n", "*12\r\n"),
            (|r| r.array(709), "*709\r\n", "*709\r\n"),
            (|r| r.array(1000), "*1000\r\n", "*1000\r\n"),
            (|r| r.map(2), "*4\r\n", "%2\r\n"),
            (|r| r.set(2), "*2\r\n", "~2\r\n"),
            (|r| r.push(2), "*2\r\n", ">2\r\n"),
            (|r| r.verbatim("txt", "hi"), "$2\r\nhi\r\n", "=6\r\ntxt:hi\r\n"),
        ];
        for (write, resp2, resp3) in cases {
            assert_eq!(written(Protocol::Resp2, write), *resp2);
            assert_eq!(written(Protocol::Resp3, write), *resp3);
        }
    }
}

//! The incremental parser.

use std::fmt;

use smallvec::SmallVec;

use super::{RequestLimits, inline};

/// A command's arguments, name first. [`ARGUMENTS_HERE`] need no allocation.
pub type Arguments<'a> = SmallVec<[&'a [u8]; ARGUMENTS_HERE]>;

/// Arguments of nearly all commands.
const ARGUMENTS_HERE: usize = 6;

/// Spans kept between commands; a longer list is given back after the command that needed it.
const SPANS_KEPT: usize = 1024;
/// Bytes kept for unquoted lines between commands.
const UNQUOTED_BYTES_KEPT: usize = 4096;
/// Digits of a length; one more could not be a valid one, and 18 cannot overflow.
const DIGITS_MAX: usize = 18;

/// What stands at the front of the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// A whole command.
    Command(Request),
    /// An empty line or an empty array, which asks for nothing and gets no answer.
    Nothing {
        /// Bytes to consume.
        bytes: usize,
    },
    /// The rest has not come yet; call again with the same bytes and more behind them.
    Incomplete {
        /// At least so many bytes are still to come. A hint, declared by the peer: do not allocate by it.
        missing: usize,
    },
}

/// A whole request; its parser knows where its arguments lie until told to [forget](RequestParser::forget).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Bytes of the buffer that it takes, to consume once it has been executed.
    pub bytes: usize,
    /// Its arguments among the parser's spans.
    first: u32,
    end: u32,
    /// It came as a plain line, so its spans lie in what was unquoted.
    pub inline: bool,
}

impl Request {
    /// Number of its arguments, the command's name among them.
    #[must_use]
    pub const fn arguments(&self) -> usize {
        (self.end - self.first) as usize
    }
}

/// Why the bytes are no request. Its text is Redis's; the connection cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolError {
    /// The number of arguments is malformed or beyond the limit.
    ArgumentCount,
    /// More arguments than a client may send before it has authenticated.
    ArgumentCountUnauthenticated,
    /// An argument does not start with `$` but with this byte.
    ExpectedBulk(u8),
    /// An argument's length is malformed or beyond the limit.
    BulkLength,
    /// An argument longer than a client may send before it has authenticated.
    BulkLengthUnauthenticated,
    /// An argument is not followed by CR LF, so its length was wrong.
    BulkEnd,
    /// A plain line without an end.
    InlineTooLong,
    /// A plain line with an open quote.
    UnbalancedQuotes,
    /// The request as a whole is beyond the limit.
    RequestTooLong,
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Protocol error: ")?;
        match self {
            Self::ArgumentCount => f.write_str("invalid multibulk length"),
            Self::ArgumentCountUnauthenticated => f.write_str("unauthenticated multibulk length"),
            Self::ExpectedBulk(byte) => {
                // A control character would break the reply's own line.
                let shown = if byte.is_ascii_graphic() || *byte == b' ' { *byte as char } else { '?' };
                write!(f, "expected '$', got '{shown}'")
            }
            Self::BulkLength => f.write_str("invalid bulk length"),
            Self::BulkLengthUnauthenticated => f.write_str("unauthenticated bulk length"),
            Self::BulkEnd => f.write_str("expected CRLF after bulk"),
            Self::InlineTooLong => f.write_str("too big inline request"),
            Self::UnbalancedQuotes => f.write_str("unbalanced quotes in request"),
            Self::RequestTooLong => f.write_str("too big request"),
        }
    }
}

impl std::error::Error for ProtocolError {}

/// Where an argument lies, in bytes from the start of its request (or of the unquoted line).
#[derive(Clone, Copy, Debug)]
struct Span {
    start: u32,
    end: u32,
}

impl Span {
    fn new(start: usize, end: usize) -> Span {
        // Both are within `request_bytes_max`, which fits; see `limits`.
        Span { start: start as u32, end: end as u32 }
    }
}

/// Reads one request after the other from a buffer, and remembers how far it got when a request is not complete. The buffer's
/// owner consumes the bytes of finished requests and may move the rest; it must not change them. It may parse several
/// requests before it executes the first.
#[derive(Debug)]
pub struct RequestParser {
    limits: RequestLimits,
    /// Next byte to look at, from the request's start. Between requests 0.
    position: usize,
    /// Arguments of the array at hand that are not complete; 0 between requests and within a plain line.
    missing: usize,
    /// Length of the argument whose header stands right before `position`.
    bulk: Option<usize>,
    spans: Vec<Span>,
    /// The first of `spans` that belongs to the request at hand.
    begun: usize,
    /// Arguments of plain lines without their quotes.
    unquoted: Vec<u8>,
}

/// A number at the front of a header line.
enum Number {
    Value { value: i64, next: usize },
    Incomplete,
    Malformed,
}

impl RequestParser {
    /// A parser at the start of a request.
    #[must_use]
    pub fn new(limits: RequestLimits) -> Self {
        Self { limits, position: 0, missing: 0, bulk: None, spans: Vec::new(), begun: 0, unquoted: Vec::new() }
    }

    /// From the next length on, these bounds apply.
    pub fn set_limits(&mut self, limits: RequestLimits) {
        self.limits = limits;
    }

    /// The bounds in force.
    #[must_use]
    pub fn limits(&self) -> &RequestLimits {
        &self.limits
    }

    /// Looks at `input`, which starts with the request at hand.
    ///
    /// # Errors
    /// If the bytes are no request; nothing behind them can be trusted.
    #[inline]
    pub fn parse(&mut self, input: &[u8]) -> Result<Parsed, ProtocolError> {
        if self.missing == 0 {
            match input.first() {
                None => return Ok(Parsed::Incomplete { missing: 1 }),
                Some(b'*') => {}
                Some(_) => return self.parse_inline(input),
            }
            match number(input, 1) {
                Number::Incomplete => return Ok(Parsed::Incomplete { missing: 1 }),
                Number::Malformed => return Err(ProtocolError::ArgumentCount),
                Number::Value { value, next } if value <= 0 => return Ok(Parsed::Nothing { bytes: next }),
                Number::Value { value, next } => self.begin_array(value, next)?,
            }
        }
        self.parse_bulks(input)
    }

    /// The arguments of `request`, which stands at the front of `input`.
    #[inline]
    #[must_use]
    pub fn arguments<'a>(&'a self, request: &Request, input: &'a [u8]) -> Arguments<'a> {
        let source = if request.inline { &self.unquoted[..] } else { input };
        let spans = &self.spans[request.first as usize..request.end as usize];
        let arguments = spans.iter().map(|span| &source[span.start as usize..span.end as usize]);
        if spans.len() > ARGUMENTS_HERE {
            return arguments.collect();
        }
        // Without the checks for room that collecting them makes.
        let mut here: [&[u8]; ARGUMENTS_HERE] = Default::default();
        here.iter_mut().zip(arguments).for_each(|(place, argument)| *place = argument);
        Arguments::from_buf_and_len(here, spans.len())
    }

    /// One argument of `request`, which stands at the front of `input`.
    ///
    /// # Panics
    /// If it has no such argument.
    #[inline]
    #[must_use]
    pub fn argument<'a>(&'a self, request: &Request, input: &'a [u8], index: usize) -> &'a [u8] {
        let source = if request.inline { &self.unquoted[..] } else { input };
        let span = self.spans[request.first as usize..request.end as usize][index];
        &source[span.start as usize..span.end as usize]
    }

    /// The arguments of all requests found so far are not asked for any more.
    pub fn forget(&mut self) {
        self.spans.drain(..self.begun);
        self.begun = 0;
        if self.spans.len() < SPANS_KEPT && self.spans.capacity() > SPANS_KEPT {
            self.spans.shrink_to(SPANS_KEPT);
        }
        if !self.unquoted.is_empty() {
            self.unquoted.clear();
            self.unquoted.shrink_to(UNQUOTED_BYTES_KEPT);
        }
    }

    /// The request at hand is complete.
    #[inline]
    fn complete(&mut self, bytes: usize, inline: bool) -> Request {
        let first = std::mem::replace(&mut self.begun, self.spans.len()) as u32;
        Request { bytes, first, end: self.begun as u32, inline }
    }

    fn begin_array(&mut self, count: i64, next: usize) -> Result<(), ProtocolError> {
        let count = usize::try_from(count).map_err(|_| ProtocolError::ArgumentCount)?;
        if count > self.limits.arguments_max {
            return Err(match self.limits.before_authentication {
                true if count <= RequestLimits::TRUSTED.arguments_max => ProtocolError::ArgumentCountUnauthenticated,
                _ => ProtocolError::ArgumentCount,
            });
        }
        self.missing = count;
        self.position = next;
        Ok(())
    }

    #[inline]
    fn parse_bulks(&mut self, input: &[u8]) -> Result<Parsed, ProtocolError> {
        while self.missing > 0 {
            let length = match self.bulk {
                Some(length) => length,
                None => match self.parse_bulk_header(input)? {
                    Some(length) => length,
                    None => return Ok(Parsed::Incomplete { missing: 1 }),
                },
            };
            let end = self.position + length;
            if input.len() < end + 2 {
                self.bulk = Some(length);
                return Ok(Parsed::Incomplete { missing: end + 2 - input.len() });
            }
            if input[end..end + 2] != *b"\r\n" {
                return Err(ProtocolError::BulkEnd);
            }
            self.spans.push(Span::new(self.position, end));
            self.bulk = None;
            self.position = end + 2;
            self.missing -= 1;
        }
        let bytes = std::mem::take(&mut self.position);
        Ok(Parsed::Command(self.complete(bytes, false)))
    }

    /// Moves `position` behind an argument's header and gives its length, or nothing if the header is not complete.
    #[inline]
    fn parse_bulk_header(&mut self, input: &[u8]) -> Result<Option<usize>, ProtocolError> {
        match input.get(self.position) {
            None => return Ok(None),
            Some(b'$') => {}
            Some(&other) => return Err(ProtocolError::ExpectedBulk(other)),
        }
        let (value, next) = match number(input, self.position + 1) {
            Number::Incomplete => return Ok(None),
            Number::Malformed => return Err(ProtocolError::BulkLength),
            Number::Value { value, next } => (value, next),
        };
        let length = usize::try_from(value).map_err(|_| ProtocolError::BulkLength)?;
        if length > self.limits.bulk_bytes_max {
            return Err(match self.limits.before_authentication {
                true if length <= RequestLimits::TRUSTED.bulk_bytes_max => ProtocolError::BulkLengthUnauthenticated,
                _ => ProtocolError::BulkLength,
            });
        }
        if next + length + 2 > self.limits.request_bytes_max {
            return Err(ProtocolError::RequestTooLong);
        }
        self.position = next;
        Ok(Some(length))
    }

    #[cold]
    fn parse_inline(&mut self, input: &[u8]) -> Result<Parsed, ProtocolError> {
        // `position` remembers how far the line has been searched for its end.
        let Some(found) = memchr::memchr(b'\n', &input[self.position..]) else {
            if input.len() > self.limits.inline_bytes_max {
                return Err(ProtocolError::InlineTooLong);
            }
            self.position = input.len();
            return Ok(Parsed::Incomplete { missing: 1 });
        };
        let end = std::mem::take(&mut self.position) + found;
        if end > self.limits.inline_bytes_max {
            return Err(ProtocolError::InlineTooLong);
        }
        let line = input[..end].strip_suffix(b"\r").unwrap_or(&input[..end]);
        let (spans, unquoted) = (&mut self.spans, &mut self.unquoted);
        inline::split(line, unquoted, |start, end| spans.push(Span::new(start, end)))
            .map_err(|inline::Unbalanced| ProtocolError::UnbalancedQuotes)?;
        if self.limits.before_authentication {
            self.check_unauthenticated()?;
        }
        let bytes = end + 1;
        if self.spans.len() == self.begun {
            return Ok(Parsed::Nothing { bytes });
        }
        Ok(Parsed::Command(self.complete(bytes, true)))
    }

    fn check_unauthenticated(&self) -> Result<(), ProtocolError> {
        let spans = &self.spans[self.begun..];
        if spans.len() > self.limits.arguments_max {
            return Err(ProtocolError::ArgumentCountUnauthenticated);
        }
        if spans.iter().any(|span| (span.end - span.start) as usize > self.limits.bulk_bytes_max) {
            return Err(ProtocolError::BulkLengthUnauthenticated);
        }
        Ok(())
    }
}

/// Reads a decimal number and CR LF from `from` on: no sign but `-`, no leading zero, no space.
#[inline]
fn number(input: &[u8], from: usize) -> Number {
    // Nearly all lengths have one to three digits and stand before more bytes.
    let digit = |byte: u8| i64::from(byte.wrapping_sub(b'0'));
    match input.get(from..) {
        Some(&[a @ b'0'..=b'9', b'\r', b'\n', ..]) => Number::Value { value: digit(a), next: from + 3 },
        Some(&[a @ b'1'..=b'9', b @ b'0'..=b'9', b'\r', b'\n', ..]) => {
            Number::Value { value: digit(a) * 10 + digit(b), next: from + 4 }
        }
        Some(&[a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', b'\r', b'\n', ..]) => {
            Number::Value { value: digit(a) * 100 + digit(b) * 10 + digit(c), next: from + 5 }
        }
        _ => any_number(input, from),
    }
}

#[inline(never)]
fn any_number(input: &[u8], from: usize) -> Number {
    let mut at = from;
    let negative = input.get(at) == Some(&b'-');
    at += usize::from(negative);
    let first = at;
    let mut value: i64 = 0;
    loop {
        let Some(&byte) = input.get(at) else { return Number::Incomplete };
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        if at - first == DIGITS_MAX {
            return Number::Malformed;
        }
        value = value * 10 + i64::from(digit);
        at += 1;
    }
    let digits = at - first;
    if digits == 0 || (input[first] == b'0' && (digits > 1 || negative)) || input[at] != b'\r' {
        return Number::Malformed;
    }
    match input.get(at + 1) {
        None => Number::Incomplete,
        Some(b'\n') => Number::Value { value: if negative { -value } else { value }, next: at + 2 },
        Some(_) => Number::Malformed,
    }
}

#[cfg(test)]
mod tests;

//! Incremental parser of replies: RESP3, and RESP2 where it differs.
//!
//! The parser keeps the partial reply, so each byte is read once however a long reply is split into packets, and memory grows
//! with what has arrived, never with a length that was only declared.

use bytes::{Buf, BytesMut};
use redis::{PushKind, Value, VerbatimFormat};
use thiserror::Error;

use crate::limits;

/// Why bytes are no reply; the stream is of no further use.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the node's reply is malformed: {0}")]
pub struct ReplyError(&'static str);

/// Parses replies from a buffer that is filled from a stream.
#[derive(Debug, Default)]
pub struct ReplyParser {
    /// Aggregates that wait for elements, the outermost first.
    open: Vec<Aggregate>,
    /// A string whose length line has been read.
    string: Option<(StringKind, usize)>,
    /// Bytes at the buffer's start that contain no end of a line.
    searched: usize,
}

#[derive(Debug)]
struct Aggregate {
    kind: AggregateKind,
    missing: usize,
    elements: Vec<Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AggregateKind {
    Array,
    Set,
    Map,
    Push,
    Attribute,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StringKind {
    Bulk,
    Verbatim,
    Error,
}

/// What one line gives.
enum Element {
    Value(Value),
    Opens(AggregateKind, usize),
    String(StringKind, usize),
}

impl ReplyParser {
    /// The next whole reply, or push message, at the buffer's start; `None` if more bytes are needed.
    ///
    /// # Errors
    /// If the bytes are no reply.
    pub fn next(&mut self, buffer: &mut BytesMut) -> Result<Option<Value>, ReplyError> {
        loop {
            let value = if let Some((kind, length)) = self.string {
                // The string and the line end behind it.
                if buffer.len() < length + 2 {
                    return Ok(None);
                }
                self.string = None;
                take_string(kind, length, buffer)?
            } else {
                let Some(line) = self.line(buffer)? else { return Ok(None) };
                match element(&line)? {
                    Element::Value(value) => value,
                    Element::String(kind, length) => {
                        self.string = Some((kind, length));
                        continue;
                    }
                    Element::Opens(kind, missing) => match self.open(kind, missing)? {
                        Some(value) => value,
                        None => continue,
                    },
                }
            };
            if let Some(whole) = self.place(value) {
                return Ok(Some(whole));
            }
        }
    }

    /// The next line without its end.
    fn line(&mut self, buffer: &mut BytesMut) -> Result<Option<BytesMut>, ReplyError> {
        let Some(found) = buffer[self.searched..].iter().position(|b| *b == b'\n') else {
            self.searched = buffer.len();
            return if buffer.len() > limits::REPLY_LINE_BYTES_MAX {
                Err(ReplyError("a line is too long"))
            } else {
                Ok(None)
            };
        };
        let end = self.searched + found;
        self.searched = 0;
        if end > limits::REPLY_LINE_BYTES_MAX {
            return Err(ReplyError("a line is too long"));
        }
        if end == 0 || buffer[end - 1] != b'\r' {
            return Err(ReplyError("a line does not end in CR LF"));
        }
        let mut line = buffer.split_to(end + 1);
        line.truncate(end - 1);
        Ok(Some(line))
    }

    /// Begins an aggregate; returns it at once if it has no elements.
    fn open(&mut self, kind: AggregateKind, missing: usize) -> Result<Option<Value>, ReplyError> {
        if self.open.len() >= limits::REPLY_DEPTH_MAX {
            return Err(ReplyError("it is nested too deeply"));
        }
        if kind == AggregateKind::Push && !self.open.is_empty() {
            return Err(ReplyError("a push message stands within a reply"));
        }
        match (missing, kind) {
            (0, AggregateKind::Push) => Err(ReplyError("a push message is empty")),
            (0, AggregateKind::Attribute) => Ok(None),
            (0, _) => Ok(Some(finish(kind, Vec::new()))),
            _ => {
                let elements = Vec::with_capacity(missing.min(64));
                self.open.push(Aggregate { kind, missing, elements });
                Ok(None)
            }
        }
    }

    /// Puts a value where it belongs; returns the reply if that completes it.
    fn place(&mut self, mut value: Value) -> Option<Value> {
        loop {
            let Some(inner) = self.open.last_mut() else { return Some(value) };
            inner.elements.push(value);
            inner.missing -= 1;
            if inner.missing > 0 {
                return None;
            }
            let full = self.open.pop().expect("there is an innermost aggregate");
            if full.kind == AggregateKind::Attribute {
                // Attributes only comment on the value that follows.
                return None;
            }
            value = finish(full.kind, full.elements);
        }
    }
}

fn element(line: &[u8]) -> Result<Element, ReplyError> {
    let Some((first, rest)) = line.split_first() else { return Err(ReplyError("a line is empty")) };
    let value = match first {
        b'+' if rest == b"OK" => Value::Okay,
        b'+' => Value::SimpleString(text(rest)),
        b'-' => server_error(rest)?,
        b':' => Value::Int(number(rest)?),
        b'_' if rest.is_empty() => Value::Nil,
        b'#' if rest == b"t" => Value::Boolean(true),
        b'#' if rest == b"f" => Value::Boolean(false),
        b',' => Value::Double(double(rest)?),
        b'(' => big_number(rest)?,
        b'$' | b'*' if rest == b"-1" => Value::Nil,
        b'$' => return Ok(Element::String(StringKind::Bulk, string_length(rest)?)),
        b'=' => return Ok(Element::String(StringKind::Verbatim, string_length(rest)?)),
        b'!' => return Ok(Element::String(StringKind::Error, string_length(rest)?)),
        b'*' => return Ok(Element::Opens(AggregateKind::Array, count(rest)?)),
        b'~' => return Ok(Element::Opens(AggregateKind::Set, count(rest)?)),
        b'>' => return Ok(Element::Opens(AggregateKind::Push, count(rest)?)),
        b'%' => return Ok(Element::Opens(AggregateKind::Map, count(rest)? * 2)),
        b'|' => return Ok(Element::Opens(AggregateKind::Attribute, count(rest)? * 2)),
        _ => return Err(ReplyError("unknown type")),
    };
    Ok(Element::Value(value))
}

fn take_string(kind: StringKind, length: usize, buffer: &mut BytesMut) -> Result<Value, ReplyError> {
    if buffer[length..length + 2] != *b"\r\n" {
        return Err(ReplyError("a string is longer than it was announced"));
    }
    let value = match kind {
        StringKind::Bulk => Value::BulkString(buffer[..length].to_vec()),
        StringKind::Verbatim => verbatim(&buffer[..length])?,
        StringKind::Error => server_error(&buffer[..length])?,
    };
    buffer.advance(length + 2);
    Ok(value)
}

fn finish(kind: AggregateKind, mut elements: Vec<Value>) -> Value {
    match kind {
        AggregateKind::Array => Value::Array(elements),
        AggregateKind::Set => Value::Set(elements),
        AggregateKind::Push => {
            let name = elements.remove(0);
            Value::Push { kind: push_kind(&name), data: elements }
        }
        AggregateKind::Map | AggregateKind::Attribute => {
            let mut pairs = Vec::with_capacity(elements.len() / 2);
            let mut elements = elements.into_iter();
            while let (Some(key), Some(value)) = (elements.next(), elements.next()) {
                pairs.push((key, value));
            }
            Value::Map(pairs)
        }
    }
}

fn push_kind(name: &Value) -> PushKind {
    let name = match name {
        Value::BulkString(name) => text(name),
        Value::SimpleString(name) => name.clone(),
        _ => String::new(),
    };
    match name.as_str() {
        "invalidate" => PushKind::Invalidate,
        "message" => PushKind::Message,
        "pmessage" => PushKind::PMessage,
        "smessage" => PushKind::SMessage,
        "subscribe" => PushKind::Subscribe,
        "psubscribe" => PushKind::PSubscribe,
        "ssubscribe" => PushKind::SSubscribe,
        "unsubscribe" => PushKind::Unsubscribe,
        "punsubscribe" => PushKind::PUnsubscribe,
        "sunsubscribe" => PushKind::SUnsubscribe,
        _ => PushKind::Other(name),
    }
}

fn verbatim(bytes: &[u8]) -> Result<Value, ReplyError> {
    let Some((format, text_bytes)) = bytes.split_first_chunk::<4>().filter(|(format, _)| format[3] == b':') else {
        return Err(ReplyError("a verbatim string has no format"));
    };
    let format = match &format[..3] {
        b"txt" => VerbatimFormat::Text,
        b"mkd" => VerbatimFormat::Markdown,
        other => VerbatimFormat::Unknown(text(other)),
    };
    Ok(Value::VerbatimString { format, text: text(text_bytes) })
}

/// Only the crate's own parser makes this type; it gets one line, which an error is.
fn server_error(message: &[u8]) -> Result<Value, ReplyError> {
    let mut line = vec![b'-'];
    line.extend(message.iter().map(|b| if matches!(b, b'\r' | b'\n') { b' ' } else { *b }));
    let line = [String::from_utf8_lossy(&line).as_bytes(), b"\r\n"].concat();
    redis::parse_redis_value(&line).map_err(|_| ReplyError("an error cannot be read"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn number(digits: &[u8]) -> Result<i64, ReplyError> {
    let text = std::str::from_utf8(digits).ok();
    text.and_then(|text| text.parse().ok()).ok_or(ReplyError("a number cannot be read"))
}

fn double(digits: &[u8]) -> Result<f64, ReplyError> {
    match digits {
        b"inf" => Ok(f64::INFINITY),
        b"-inf" => Ok(f64::NEG_INFINITY),
        b"nan" => Ok(f64::NAN),
        _ => {
            let text = std::str::from_utf8(digits).ok().filter(|text| text.bytes().any(|b| b.is_ascii_digit()));
            text.and_then(|text| text.parse().ok()).ok_or(ReplyError("a number cannot be read"))
        }
    }
}

/// Made by the `redis` crate: of which type it is depends on that crate's features, which are the program's choice.
fn big_number(digits: &[u8]) -> Result<Value, ReplyError> {
    let wrong = ReplyError("a number cannot be read");
    let unsigned = digits.strip_prefix(b"-").unwrap_or(digits);
    if unsigned.is_empty() || !unsigned.iter().all(u8::is_ascii_digit) {
        return Err(wrong);
    }
    redis::parse_redis_value(&[b"(", digits, b"\r\n"].concat()).map_err(|_| wrong)
}

fn length(digits: &[u8], max: usize, what: &'static str) -> Result<usize, ReplyError> {
    let plain = !digits.is_empty() && digits.len() <= 10 && digits.iter().all(u8::is_ascii_digit);
    let length = if plain { usize::try_from(number(digits)?).ok() } else { None };
    length.filter(|length| *length <= max).ok_or(ReplyError(what))
}

fn string_length(digits: &[u8]) -> Result<usize, ReplyError> {
    length(digits, limits::REPLY_STRING_BYTES_MAX, "a string's length is not possible")
}

fn count(digits: &[u8]) -> Result<usize, ReplyError> {
    length(digits, limits::REPLY_ELEMENTS_MAX, "a number of elements is not possible")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8], piece: usize) -> Result<Vec<Value>, ReplyError> {
        let mut parser = ReplyParser::default();
        let mut buffer = BytesMut::new();
        let mut replies = Vec::new();
        for piece in bytes.chunks(piece) {
            buffer.extend_from_slice(piece);
            while let Some(reply) = parser.next(&mut buffer)? {
                replies.push(reply);
            }
        }
        assert!(buffer.is_empty() && parser.open.is_empty() && parser.string.is_none(), "something is left over");
        Ok(replies)
    }

    /// What the redis crate's parser reads too.
    const COMMON: [&[u8]; 25] = [
        b"+OK\r\n",
        b"+PONG\r\n",
        b"-ERR no such key\r\n",
        b"-NOTPRIMARY ? x\r\n",
        b":-42\r\n",
        b"$6\r\nhe\r\nlo\r\n",
        b"$0\r\n\r\n",
        b"$-1\r\n",
        b"*-1\r\n",
        b"_\r\n",
        b"#t\r\n",
        b"#f\r\n",
        b",1.5\r\n",
        b",-3\r\n",
        b",inf\r\n",
        b",-inf\r\n",
        b"(12345678901234567890123\r\n",
        b"=8\r\ntxt:text\r\n",
        b"!9\r\nSYNTAX no\r\n",
        b"*0\r\n",
        b"*3\r\n:1\r\n*2\r\n$1\r\na\r\n*0\r\n_\r\n",
        b"%1\r\n+k\r\n*1\r\n:1\r\n",
        b"~2\r\n:1\r\n:2\r\n",
        b">2\r\n+message\r\n:7\r\n",
        b"*2\r\n-ERR inside\r\n%0\r\n",
    ];

    fn everything() -> Vec<u8> {
        [&COMMON.concat()[..], b"|1\r\n+ttl\r\n:9\r\n$1\r\nv\r\n", b"*2\r\n|1\r\n+a\r\n+b\r\n:1\r\n:2\r\n"].concat()
    }

    #[test]
    fn every_type_is_read_as_the_redis_crate_reads_it() {
        let replies = all(&everything(), usize::MAX).unwrap();
        for (reply, bytes) in replies.iter().zip(COMMON) {
            assert_eq!(*reply, redis::parse_redis_value(bytes).unwrap());
        }
        let without_attributes = [Value::BulkString(b"v".to_vec()), Value::Array(vec![Value::Int(1), Value::Int(2)])];
        assert_eq!(replies[COMMON.len()..], without_attributes);
    }

    #[test]
    fn pieces_make_no_difference() {
        let whole = all(&everything(), usize::MAX).unwrap();
        for piece in 1..50 {
            assert_eq!(all(&everything(), piece).unwrap(), whole, "pieces of {piece}");
        }
    }

    #[test]
    fn what_is_no_reply_is_refused() {
        let deep = b"*1\r\n".repeat(limits::REPLY_DEPTH_MAX + 1);
        let long = vec![b'+'; limits::REPLY_LINE_BYTES_MAX + 2];
        for bad in [
            &b"\r\n"[..],
            b"x\r\n",
            b"+OK\n",
            b":1x\r\n",
            b"$-2\r\n",
            b"$+1\r\n",
            b"$99999999999\r\n",
            b"$536870913\r\n",
            b"*-2\r\n",
            b"*9999999999\r\n",
            b"$1\r\nab\r\n",
            b"#x\r\n",
            b"(12a\r\n",
            b"=2\r\nab\r\n",
            b">0\r\n",
            b"*1\r\n>1\r\n+x\r\n",
            b"$?\r\n",
            &deep,
            &long,
        ] {
            assert!(all(bad, usize::MAX).is_err(), "{}", String::from_utf8_lossy(&bad[..bad.len().min(40)]));
        }
    }

    #[test]
    fn an_announced_length_costs_nothing() {
        let mut parser = ReplyParser::default();
        let mut buffer = BytesMut::from(&b"*268435456\r\n*268435456\r\n$536870912\r\nabc"[..]);
        assert_eq!(parser.next(&mut buffer), Ok(None));
        assert!(parser.open.iter().map(|open| open.elements.capacity()).sum::<usize>() <= 128);
        assert!(buffer.capacity() < 1_000);
    }
}

//! Requests of the Redis protocol, from bytes to arguments.
//!
//! A client sends either arrays of bulk strings (`*2\r\n$3\r\nGET\r\n$1\r\nk\r\n`), which is what programs speak, or plain lines
//! with shell-like quoting (`GET "a key"`), which is what people type into `telnet`. [`RequestParser`] reads both from
//! the front of one read buffer and hands out slices of it: no byte of an argument is copied on the way to the engine, and a
//! command that arrives in pieces is never scanned twice.
//!
//! What an unauthenticated client can make us do is bounded by [`RequestLimits`]: before authentication a handful of short arguments. No
//! length that was only *declared* ever allocates: buffers grow with the bytes that have really come.
//!
//! A malformed request cannot be skipped (nobody knows where the next one begins), so every [`ProtocolError`] ends the
//! connection, after one error reply in Redis's words.
//!
//! ```
//! use tanist::resp::{Parsed, RequestLimits, RequestParser};
//!
//! let mut parser = RequestParser::new(RequestLimits::TRUSTED);
//! let input = b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\nPING\r\n";
//! let Ok(Parsed::Command(first)) = parser.parse(input) else { panic!("a whole command is there") };
//! let rest = &input[first.bytes..];
//! let Ok(Parsed::Command(second)) = parser.parse(rest) else { panic!("and another") };
//! assert_eq!(parser.arguments(&first, input)[..], [&b"GET"[..], b"k"]);
//! assert_eq!(parser.arguments(&second, rest)[..], [b"PING"]);
//! parser.forget();
//! ```

mod inline;
mod limits;
mod request;

pub use limits::RequestLimits;
pub use request::{Arguments, Parsed, ProtocolError, Request, RequestParser};

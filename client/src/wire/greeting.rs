//! Byte layout of the client's greeting and of the node's notices.
//!
//! | greeting at | bytes | field |
//! |---|---|---|
//! | 0 | 4 | magic `TNSC` |
//! | 4 | 1 | version, 1 |
//! | 5 | 3 | reserved, 0 |
//!
//! | notice at | bytes | field |
//! |---|---|---|
//! | 0 | 4 | magic `TNSN` |
//! | 4 | 1 | version, 1 |
//! | 5 | 1 | 1: primary by a switchover, 2: elsewhere, 3: refused, 4: primary by a takeover |
//! | 6 | 2 | length of the text in bytes |
//! | 8 | 8 | the newest epoch that the node knows; its own if it is primary |
//! | 16 | | text: the primary's address (may be empty), or why the client is refused |
//!
//! The greeting, and a notice that refuses, are the same in every version: each end can read what the other begins with, and say why
//! it goes no further. A node speaks the version of its release and that of the release before.
//!
//! Integers are little-endian. There is no checksum: TLS guards the stream.

use std::io;

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::limits;

/// Version of greeting and notices that this library speaks.
pub const VERSION: u8 = 1;

/// Length of a greeting in bytes.
pub const GREETING_BYTES: usize = 8;

const NOTICE_BYTES: usize = 16;
const GREETING_MAGIC: [u8; 4] = *b"TNSC";
const NOTICE_MAGIC: [u8; 4] = *b"TNSN";
const PRIMARY: u8 = 1;
const ELSEWHERE: u8 = 2;
const REFUSED: u8 = 3;
const PRIMARY_BY_TAKEOVER: u8 = 4;

/// What a node says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Commands may come.
    Primary {
        /// The epoch of its term.
        epoch: u64,
        /// Its term began by a takeover, not by a switchover: the primary of the epoch before will hardly reply to anything more.
        took_over: bool,
    },
    /// Not primary; another notice follows when this changes.
    Elsewhere {
        /// The newest epoch it knows.
        epoch: u64,
        /// Where the primary serves clients, `host:port`, if the node knows of one.
        address: Option<String>,
    },
    /// The node will not serve this client; it ends the stream.
    Refused {
        /// A sentence for a person.
        why: String,
    },
}

/// Why a greeting or a notice is none.
#[derive(Debug, Error)]
pub enum GreetingError {
    /// Something else stands in its place.
    #[error("the other end does not speak this protocol: {0}")]
    Malformed(&'static str),
    /// The client speaks another version, as the node finds.
    #[error(
        "the client speaks version {0} of the protocol, and this node version {VERSION}: use the client library of the node's release"
    )]
    Version(u8),
    /// The node speaks another version, as the client finds.
    #[error(
        "the node speaks version {0} of the protocol, and this client version {VERSION}: use the client library of the node's release"
    )]
    NodeVersion(u8),
    /// The stream failed or ended.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// The greeting of this version.
#[must_use]
pub fn greeting() -> [u8; GREETING_BYTES] {
    let mut bytes = [0; GREETING_BYTES];
    bytes[..4].copy_from_slice(&GREETING_MAGIC);
    bytes[4] = VERSION;
    bytes
}

/// Checks a client's greeting.
///
/// # Errors
/// If it is none, or of another version (answer with [`Notice::Refused`]).
pub fn check_greeting(bytes: [u8; GREETING_BYTES]) -> Result<(), GreetingError> {
    if bytes[..4] != GREETING_MAGIC {
        return Err(GreetingError::Malformed("a greeting starts with TNSC"));
    }
    if bytes[4] != VERSION {
        return Err(GreetingError::Version(bytes[4]));
    }
    if bytes[5..] != [0; 3] {
        return Err(GreetingError::Malformed("a reserved field is not zero"));
    }
    Ok(())
}

impl Notice {
    /// The notice's bytes. A text longer than [`limits::NOTICE_TEXT_BYTES_MAX`] is cut.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let (what, epoch, text) = match self {
            Notice::Primary { epoch, took_over: false } => (PRIMARY, *epoch, ""),
            Notice::Primary { epoch, took_over: true } => (PRIMARY_BY_TAKEOVER, *epoch, ""),
            Notice::Elsewhere { epoch, address } => (ELSEWHERE, *epoch, address.as_deref().unwrap_or_default()),
            Notice::Refused { why } => (REFUSED, 0, why.as_str()),
        };
        let cut = (0..=text.len().min(limits::NOTICE_TEXT_BYTES_MAX)).rev().find(|end| text.is_char_boundary(*end));
        let text = &text[..cut.unwrap_or(0)];
        let length = u16::try_from(text.len()).expect("the limit of a text is below 64 KiB");
        let mut bytes = Vec::with_capacity(NOTICE_BYTES + text.len());
        bytes.extend_from_slice(&NOTICE_MAGIC);
        bytes.extend_from_slice(&[VERSION, what]);
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&epoch.to_le_bytes());
        bytes.extend_from_slice(text.as_bytes());
        bytes
    }

    /// Reads the next notice. Must not be dropped half way.
    ///
    /// # Errors
    /// If the stream ends or contains something else.
    pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Notice, GreetingError> {
        let mut header = [0; NOTICE_BYTES];
        stream.read_exact(&mut header).await?;
        let [m0, m1, m2, m3, version, what, l0, l1, epoch @ ..] = header;
        if [m0, m1, m2, m3] != NOTICE_MAGIC {
            return Err(GreetingError::Malformed("a notice starts with TNSN"));
        }
        if version != VERSION && what != REFUSED {
            return Err(GreetingError::NodeVersion(version));
        }
        let length = usize::from(u16::from_le_bytes([l0, l1]));
        if length > limits::NOTICE_TEXT_BYTES_MAX {
            return Err(GreetingError::Malformed("a notice's text is too long"));
        }
        let mut text = vec![0; length];
        stream.read_exact(&mut text).await?;
        let text = String::from_utf8(text).map_err(|_| GreetingError::Malformed("a notice's text is no text"))?;
        let epoch = u64::from_le_bytes(epoch);
        match (what, text.is_empty()) {
            (PRIMARY, true) => Ok(Notice::Primary { epoch, took_over: false }),
            (PRIMARY_BY_TAKEOVER, true) => Ok(Notice::Primary { epoch, took_over: true }),
            (ELSEWHERE, empty) => Ok(Notice::Elsewhere { epoch, address: (!empty).then_some(text) }),
            (REFUSED, _) => Ok(Notice::Refused { why: text }),
            _ => Err(GreetingError::Malformed("unknown notice")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notices() -> [Notice; 5] {
        [
            Notice::Primary { epoch: 0x0102, took_over: false },
            Notice::Elsewhere { epoch: 7, address: Some("127.0.0.1:6379".into()) },
            Notice::Elsewhere { epoch: 0, address: None },
            Notice::Primary { epoch: 0x0103, took_over: true },
            Notice::Refused { why: "the vault is full".into() },
        ]
    }

    #[test]
    fn these_are_the_bytes() {
        assert_eq!(greeting(), *b"TNSC\x01\0\0\0");
        assert_eq!(notices()[0].to_bytes(), b"TNSN\x01\x01\0\0\x02\x01\0\0\0\0\0\0");
        assert_eq!(notices()[1].to_bytes(), b"TNSN\x01\x02\x0e\0\x07\0\0\0\0\0\0\x00127.0.0.1:6379");
        assert_eq!(notices()[3].to_bytes(), b"TNSN\x01\x04\0\0\x03\x01\0\0\0\0\0\0");
    }

    #[tokio::test]
    async fn notices_come_back_one_after_the_other() {
        let bytes: Vec<u8> = notices().iter().flat_map(Notice::to_bytes).collect();
        let mut stream = &bytes[..];
        for notice in notices() {
            assert_eq!(Notice::read(&mut stream).await.unwrap(), notice);
        }
        assert!(matches!(Notice::read(&mut stream).await, Err(GreetingError::Io(_))));
    }

    #[tokio::test]
    async fn what_is_no_notice_is_refused() {
        let good = notices()[1].to_bytes();
        for (at, byte) in
            [(0, b'X'), (4, 2), (5, 0), (5, 5), (5, PRIMARY), (5, PRIMARY_BY_TAKEOVER), (7, 0xFF), (16, 0xFF)]
        {
            let mut bytes = good.clone();
            bytes[at] = byte;
            assert!(Notice::read(&mut &bytes[..]).await.is_err(), "byte {at} = {byte}");
        }
        for end in 0..good.len() {
            assert!(Notice::read(&mut &good[..end]).await.is_err());
        }
    }

    #[test]
    fn what_is_no_greeting_is_refused() {
        assert!(check_greeting(greeting()).is_ok());
        for at in 0..GREETING_BYTES {
            let mut bytes = greeting();
            bytes[at] ^= 0x40;
            assert!(check_greeting(bytes).is_err(), "byte {at}");
        }
    }

    #[tokio::test]
    async fn another_version_is_refused_with_both_and_a_refusal_is_read_in_any() {
        let why = check_greeting(*b"TNSC\x02\0\0\0").unwrap_err().to_string();
        assert!(why.starts_with("the client speaks version 2 of the protocol, and this node version 1: use"), "{why}");
        let of_version_2 = |notice: &Notice| {
            let mut bytes = notice.to_bytes();
            bytes[4] = 2;
            bytes
        };
        let [primary, .., refused] = notices();
        let why = Notice::read(&mut &of_version_2(&primary)[..]).await.unwrap_err().to_string();
        assert!(why.starts_with("the node speaks version 2 of the protocol, and this client version 1: use"), "{why}");
        assert_eq!(Notice::read(&mut &of_version_2(&refused)[..]).await.unwrap(), refused);
    }

    #[test]
    fn a_long_text_is_cut_at_a_character() {
        let bytes = Notice::Refused { why: "ä".repeat(1_000) }.to_bytes();
        assert_eq!(bytes.len(), NOTICE_BYTES + limits::NOTICE_TEXT_BYTES_MAX);
        assert!(std::str::from_utf8(&bytes[NOTICE_BYTES..]).is_ok());
    }
}

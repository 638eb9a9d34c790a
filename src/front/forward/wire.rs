//! Byte layout of a forwarded session: the greeting of the node that forwards, and the marks of the primary between replies.
//!
//! | greeting at | bytes | field |
//! |---|---|---|
//! | 0 | 4 | magic `TNSF` |
//! | 4 | 1 | version, 1 |
//! | 5 | 1 | reserved, 0 |
//! | 6 | 2 | length of the client's address in bytes |
//! | 8 | 8 | epoch in which the commands may be executed |
//! | 16 | 8 | number of the start of the forwarding node's process |
//! | 24 | 8 | number of the client's connection there; 0: the node asks for itself |
//! | 32 | 8 | number of the first command that follows, of those that were forwarded for this connection |
//! | 40 | | the client's address |
//!
//! Behind it the requests follow as the client has sent them. The primary sends replies, in order, and between two of them a mark, which
//! begins with a byte that begins no reply:
//!
//! | mark at | bytes | field |
//! |---|---|---|
//! | 0 | 1 | 0 |
//! | 1 | 1 | 1: end; 2: position |
//! | 2 | 8 | of a position: the newest record that the next reply depends on, where it is newer than that before |
//!
//! A node that asks for itself sends `PING`, and gets one reply and no mark.
//!
//! After *end* nothing is executed, and nothing was of what has had no reply. A stream that ends without it leaves open what has become
//! of those commands. Integers are little-endian. There is no checksum: TLS guards the stream.

use std::io;

use tanist_db_core::ids::{Epoch, Lsn};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Version of the greeting that this release speaks.
const VERSION: u8 = 1;
const MAGIC: [u8; 4] = *b"TNSF";
const HEADER_BYTES: usize = 40;
/// Longest address of a client in bytes; an IPv6 address with a port takes 47.
const ADDRESS_BYTES_MAX: usize = 255;

/// The client's number of a node that asks for itself: no connection has it.
pub(super) const NODE_ITSELF: u64 = 0;

/// Begins a mark.
pub(super) const MARK: u8 = 0;
/// The mark *end*.
pub(in crate::front) const END: [u8; 2] = [MARK, 1];

/// Begins the mark *position*.
pub(super) const POSITION: [u8; 2] = [MARK, 2];
/// Bytes of the mark *position*.
pub(super) const POSITION_BYTES: usize = POSITION.len() + 8;

/// The mark *position*: the next reply depends on the record `lsn`.
#[must_use]
pub(in crate::front) fn position_mark(lsn: Lsn) -> [u8; POSITION_BYTES] {
    let mut mark = [0; POSITION_BYTES];
    mark[..2].copy_from_slice(&POSITION);
    mark[2..].copy_from_slice(&lsn.0.to_le_bytes());
    mark
}

/// The mark *position* at the front of `bytes`; empty if there is none. A reply never begins so.
#[must_use]
pub(in crate::front) fn leading_position(bytes: &[u8]) -> &[u8] {
    if bytes.starts_with(&POSITION) { &bytes[..POSITION_BYTES] } else { &[] }
}

/// What a node says before it forwards the commands of one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Greeting {
    /// Only the primary of this epoch may execute them.
    pub epoch: Epoch,
    /// Number of the start of the process that forwards.
    pub incarnation: u64,
    /// Number of the client's connection in that process, from 1.
    pub client: u64,
    /// How many commands were forwarded for that connection before.
    pub first: u64,
    /// The client's address.
    pub address: String,
}

/// Why bytes are no greeting.
#[derive(Debug, Error)]
pub(super) enum GreetingError {
    #[error("the other node does not speak this protocol: {0}")]
    Malformed(&'static str),
    #[error(
        "the other node forwards by version {0} of the protocol, and this node by version {VERSION}: run releases that are next to each other"
    )]
    Version(u8),
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl Greeting {
    /// The greeting's bytes. An address that is too long is cut.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let end = (0..=ADDRESS_BYTES_MAX.min(self.address.len())).rev().find(|end| self.address.is_char_boundary(*end));
        let address = &self.address.as_bytes()[..end.unwrap_or(0)];
        let mut bytes = Vec::with_capacity(HEADER_BYTES + address.len());
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&[VERSION, 0]);
        bytes.extend_from_slice(&(address.len() as u16).to_le_bytes());
        for number in [self.epoch.0, self.incarnation, self.client, self.first] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(address);
        bytes
    }

    /// Reads a greeting.
    ///
    /// # Errors
    /// If it is none, or of another version, or the stream fails.
    pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Greeting, GreetingError> {
        let mut header = [0; HEADER_BYTES];
        stream.read_exact(&mut header).await?;
        if header[..4] != MAGIC {
            return Err(GreetingError::Malformed("a greeting starts with TNSF"));
        }
        if header[4] != VERSION {
            return Err(GreetingError::Version(header[4]));
        }
        if header[5] != 0 {
            return Err(GreetingError::Malformed("a reserved field is not zero"));
        }
        let length = usize::from(u16::from_le_bytes([header[6], header[7]]));
        if length > ADDRESS_BYTES_MAX {
            return Err(GreetingError::Malformed("the client's address is too long"));
        }
        let number = |at: usize| u64::from_le_bytes(header[at..at + 8].try_into().expect("eight bytes"));
        let mut address = vec![0; length];
        stream.read_exact(&mut address).await?;
        let address =
            String::from_utf8(address).map_err(|_| GreetingError::Malformed("the client's address is no text"))?;
        Ok(Greeting {
            epoch: Epoch(number(8)),
            incarnation: number(16),
            client: number(24),
            first: number(32),
            address,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn greeting() -> Greeting {
        Greeting { epoch: Epoch(7), incarnation: 0x0102, client: 3, first: 40, address: "10.0.0.9:5".into() }
    }

    #[test]
    fn these_are_the_bytes() {
        let mut bytes = b"TNSF\x01\x00\x0a\x00".to_vec();
        for number in [7_u64, 0x0102, 3, 40] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(b"10.0.0.9:5");
        assert_eq!(greeting().to_bytes(), bytes);
        assert_eq!(END, [0, 1]);
        assert_eq!(position_mark(Lsn(0x0102)), [0, 2, 2, 1, 0, 0, 0, 0, 0, 0]);
    }

    #[tokio::test]
    async fn a_greeting_comes_back() {
        let bytes = greeting().to_bytes();
        assert_eq!(Greeting::read(&mut &bytes[..]).await.unwrap(), greeting());
        let long = Greeting { address: "ä".repeat(200), ..greeting() };
        let read = Greeting::read(&mut &long.to_bytes()[..]).await.unwrap();
        assert_eq!(read.address, "ä".repeat(127));
    }

    #[tokio::test]
    async fn what_is_no_greeting_is_refused() {
        let good = greeting().to_bytes();
        for (at, byte, why) in [
            (0, b'X', "the other node does not speak this protocol: a greeting starts with TNSF"),
            (
                4,
                9,
                "the other node forwards by version 9 of the protocol, and this node by version 1: run releases that are next to each other",
            ),
            (5, 1, "the other node does not speak this protocol: a reserved field is not zero"),
            (7, 1, "the other node does not speak this protocol: the client's address is too long"),
            (42, 0xff, "the other node does not speak this protocol: the client's address is no text"),
        ] {
            let mut bytes = good.clone();
            bytes[at] = byte;
            assert_eq!(Greeting::read(&mut &bytes[..]).await.unwrap_err().to_string(), why);
        }
        for length in 0..good.len() {
            assert!(matches!(Greeting::read(&mut &good[..length]).await, Err(GreetingError::Io(_))), "{length}");
        }
    }
}

//! The frame: the checksummed envelope of everything on the wire and in segment and image files.
//!
//! A frame is a header of [`HEADER_BYTES`] bytes and a body. The vault writes exactly the bytes that the primary sent, and a
//! follower receives the same bytes, so one layout and one check serve wire and disk:
//!
//! | at | bytes | field | guards against |
//! |---|---|---|---|
//! | 0 | 4 | magic `TNS1` | a foreign stream or file |
//! | 4 | 1 | format version, 1 | a frame from another version |
//! | 5 | 1 | kind | a message where a batch belongs |
//! | 6 | 2 | reserved, 0 | use of what this version does not know |
//! | 8 | 4 | body length in bytes | a frame cut short |
//! | 12 | 4 | CRC-32C of the header's other 20 bytes | a damaged length, before it is believed |
//! | 16 | 4 | CRC-32C of the body | damage to the body |
//! | 20 | 4 | reserved, 0 | as above |
//!
//! Integers are little-endian. A reader's memory grows with the bytes that have arrived and never with a length that a peer has
//! merely declared. The checksums detect accidental damage; TLS decides who may connect.

use bytes::{Buf, Bytes, BytesMut};
use rkyv::rancor;
use tanist_db_core::level::FormatError;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::limits;
use crate::wire::message::{Call, Reply};

/// Length of a frame's header.
pub const HEADER_BYTES: usize = 24;

const MAGIC: [u8; 4] = *b"TNS1";
const VERSION: u8 = 1;

/// What a frame's body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum FrameKind {
    /// A [`Hello`](crate::wire::message::Hello).
    Hello = 1,
    /// A [`Call`].
    Call = 2,
    /// A [`Reply`].
    Reply = 3,
    /// An archived redo batch.
    Batch = 4,
    /// A chunk of an image.
    Chunk = 5,
    /// A [`Refusal`](crate::wire::hello::Refusal).
    Refusal = 6,
}

impl FrameKind {
    /// Longest body of this kind in bytes; anything longer is refused by its header alone.
    #[must_use]
    pub const fn body_bytes_max(self) -> usize {
        match self {
            FrameKind::Hello | FrameKind::Call | FrameKind::Reply | FrameKind::Refusal => limits::MESSAGE_BYTES_MAX,
            FrameKind::Batch => limits::BATCH_BYTES_MAX,
            FrameKind::Chunk => limits::CHUNK_BYTES_MAX,
        }
    }

    const fn of(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(FrameKind::Hello),
            2 => Some(FrameKind::Call),
            3 => Some(FrameKind::Reply),
            4 => Some(FrameKind::Batch),
            5 => Some(FrameKind::Chunk),
            6 => Some(FrameKind::Refusal),
            _ => None,
        }
    }
}

/// Why bytes are not a frame, or not the frame that belongs here.
#[derive(Debug, Error)]
pub enum FrameError {
    /// The bytes end before the frame does: the torn end of a file, or a peer that stopped in the middle.
    #[error("frame cut short: {have} of {need} bytes")]
    Short {
        /// Bytes present.
        have: usize,
        /// Bytes that the frame needs; as long as the header itself is incomplete, the header's length.
        need: usize,
    },
    /// Not a frame at all.
    #[error("frame header damaged: {0}")]
    Header(&'static str),
    /// Made by another version of the format.
    #[error("frame of {0}")]
    Version(FormatError),
    /// The declared body is longer than any of its kind may be.
    #[error("frame of kind {kind:?} declares {bytes} bytes, at most {} are allowed", kind.body_bytes_max())]
    TooLong {
        /// Its kind.
        kind: FrameKind,
        /// Declared length of its body.
        bytes: usize,
    },
    /// The body's checksum does not match.
    #[error("frame body damaged: its checksum does not match")]
    Body,
    /// A sound frame, but of the wrong kind for its place.
    #[error("expected a frame of kind {expected:?}, found {found:?}")]
    Unexpected {
        /// What belongs here.
        expected: FrameKind,
        /// What came.
        found: FrameKind,
    },
    /// A sound frame whose body is not a valid message.
    #[error("frame of kind {0:?} does not hold a valid message")]
    Message(FrameKind),
    /// The stream ended where a message had to follow.
    #[error("the stream ended where a frame of kind {0:?} had to follow")]
    Ended(FrameKind),
    /// Reading or writing failed.
    #[error("frame stream: {0}")]
    Io(#[from] std::io::Error),
}

/// A checked frame header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// What the body is.
    pub kind: FrameKind,
    /// Length of the body in bytes.
    pub body_bytes: usize,
    body_crc: u32,
}

impl FrameHeader {
    /// Checks the first [`HEADER_BYTES`] of `bytes`; the length it then tells may be believed.
    ///
    /// # Errors
    /// [`FrameError::Short`] if there are fewer, otherwise what is wrong with them.
    pub fn parse(bytes: &[u8]) -> Result<Self, FrameError> {
        let Some(header) = bytes.first_chunk::<HEADER_BYTES>() else {
            return Err(FrameError::Short { have: bytes.len(), need: HEADER_BYTES });
        };
        if header[..4] != MAGIC {
            return Err(FrameError::Header("it does not start with TNS1"));
        }
        if word(header, 12) != header_crc(header) {
            return Err(FrameError::Header("its checksum does not match"));
        }
        FormatError::check(header[4].into(), VERSION.into()).map_err(FrameError::Version)?;
        if header[6..8] != [0; 2] || header[20..24] != [0; 4] {
            return Err(FrameError::Header("a reserved field is not zero"));
        }
        let kind = FrameKind::of(header[5]).ok_or(FrameError::Header("unknown kind"))?;
        let body_bytes = word(header, 8) as usize;
        if body_bytes > kind.body_bytes_max() {
            return Err(FrameError::TooLong { kind, bytes: body_bytes });
        }
        Ok(Self { kind, body_bytes, body_crc: word(header, 16) })
    }

    /// Length of header and body together.
    #[must_use]
    pub const fn frame_bytes(&self) -> usize {
        HEADER_BYTES + self.body_bytes
    }

    /// Whether `body` is the body that was sealed under this header.
    ///
    /// # Errors
    /// [`FrameError::Short`] or [`FrameError::Body`] if it is not.
    pub fn check_body(&self, body: &[u8]) -> Result<(), FrameError> {
        if body.len() < self.body_bytes {
            return Err(FrameError::Short { have: HEADER_BYTES + body.len(), need: self.frame_bytes() });
        }
        if body.len() > self.body_bytes || crc32c::crc32c(body) != self.body_crc {
            return Err(FrameError::Body);
        }
        Ok(())
    }
}

/// A whole and checked frame; clones share its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    kind: FrameKind,
    bytes: Bytes,
}

impl Frame {
    /// Checks the frame that fills `bytes` exactly.
    ///
    /// # Errors
    /// If it is damaged.
    pub fn open(bytes: Bytes) -> Result<Frame, FrameError> {
        let header = FrameHeader::parse(&bytes)?;
        header.check_body(&bytes[HEADER_BYTES..])?;
        Ok(Frame { kind: header.kind, bytes })
    }

    /// What the body is.
    #[must_use]
    pub const fn kind(&self) -> FrameKind {
        self.kind
    }

    /// Header and body, as they travel and as they stand in files.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Header and body, given away.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }

    /// The body alone.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.bytes[HEADER_BYTES..]
    }

    /// This frame, if it is of kind `expected`.
    ///
    /// # Errors
    /// [`FrameError::Unexpected`] otherwise.
    pub fn expect(self, expected: FrameKind) -> Result<Frame, FrameError> {
        if self.kind == expected { Ok(self) } else { Err(FrameError::Unexpected { expected, found: self.kind }) }
    }

    /// The message in this frame.
    ///
    /// # Errors
    /// If the frame is of another kind, or its body no valid archive of the message.
    pub fn message<M: Message>(&self) -> Result<M, FrameError> {
        if self.kind != M::KIND {
            return Err(FrameError::Unexpected { expected: M::KIND, found: self.kind });
        }
        M::open(self.body()).ok_or(FrameError::Message(M::KIND))
    }
}

/// A message that fills a frame.
pub trait Message: Sized {
    /// The kind of its frame.
    const KIND: FrameKind;
    /// Appends the archived message to `out`.
    fn archive(&self, out: Vec<u8>) -> Vec<u8>;
    /// The message archived in `body`, if every part of the archive is valid.
    fn open(body: &[u8]) -> Option<Self>;
}

macro_rules! message {
    ($($name:ident),+) => {$(
        impl Message for $name {
            const KIND: FrameKind = FrameKind::$name;

            fn archive(&self, out: Vec<u8>) -> Vec<u8> {
                rkyv::api::high::to_bytes_in::<_, rancor::Error>(self, out).expect("archiving to memory cannot fail")
            }

            fn open(body: &[u8]) -> Option<Self> {
                rkyv::from_bytes::<$name, rancor::Error>(body).ok()
            }
        }
    )+};
}

message!(Call, Reply);

/// Puts `body` into a frame.
///
/// # Panics
/// If the body is longer than its kind allows: whoever makes bodies bounds them.
#[must_use]
pub fn seal(kind: FrameKind, body: &[u8]) -> Bytes {
    let mut frame = Vec::with_capacity(HEADER_BYTES + body.len());
    frame.resize(HEADER_BYTES, 0);
    frame.extend_from_slice(body);
    seal_in_place(kind, frame)
}

/// Puts a body into a frame without copying it: `frame` is [`HEADER_BYTES`] of any content, then the body.
///
/// # Panics
/// If there is no room for the header, or the body is longer than its kind allows.
#[must_use]
pub fn seal_in_place(kind: FrameKind, mut frame: Vec<u8>) -> Bytes {
    let (header, body) =
        frame.split_first_chunk_mut::<HEADER_BYTES>().expect("a frame starts with room for its header");
    assert!(body.len() <= kind.body_bytes_max(), "a frame's body must keep to the limit of its kind");
    let body_bytes = u32::try_from(body.len()).expect("every limit of a kind is below 4 GiB");
    *header = [0; HEADER_BYTES];
    header[..4].copy_from_slice(&MAGIC);
    header[4] = VERSION;
    header[5] = kind as u8;
    header[8..12].copy_from_slice(&body_bytes.to_le_bytes());
    header[16..20].copy_from_slice(&crc32c::crc32c(body).to_le_bytes());
    let crc = header_crc(header);
    header[12..16].copy_from_slice(&crc.to_le_bytes());
    frame.into()
}

/// Puts a message into a frame.
///
/// # Panics
/// If the archived message is longer than a message may be: its lists and sentences are bounded where they are made.
#[must_use]
pub fn seal_message<M: Message>(message: &M) -> Bytes {
    seal_in_place(M::KIND, message.archive(vec![0; HEADER_BYTES]))
}

/// Takes frames off a byte stream. Dropping a future of its methods loses nothing: the next call goes on where it stopped.
#[derive(Debug)]
pub struct FrameReader<R> {
    source: R,
    buffer: BytesMut,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    /// A reader at the start of a frame.
    pub fn new(source: R) -> Self {
        Self { source, buffer: BytesMut::new() }
    }

    /// The next frame, or `None` at the stream's end.
    ///
    /// # Errors
    /// If the frame is damaged, too long or cut short, or the stream fails. The stream is then of no further use.
    pub async fn next(&mut self) -> Result<Option<Frame>, FrameError> {
        while self.buffer.len() < HEADER_BYTES {
            if self.fill(HEADER_BYTES).await? == 0 {
                let have = self.buffer.len();
                return if have == 0 { Ok(None) } else { Err(FrameError::Short { have, need: HEADER_BYTES }) };
            }
        }
        let header = FrameHeader::parse(&self.buffer)?;
        while self.buffer.len() < header.frame_bytes() {
            if self.fill(header.frame_bytes()).await? == 0 {
                return Err(FrameError::Short { have: self.buffer.len(), need: header.frame_bytes() });
            }
        }
        self.take(&header).map(Some)
    }

    /// The frame that is already here in full, without waiting for the stream; `None` if there is none.
    ///
    /// # Errors
    /// As [`FrameReader::next`].
    pub fn buffered(&mut self) -> Result<Option<Frame>, FrameError> {
        match FrameHeader::parse(&self.buffer) {
            Err(FrameError::Short { .. }) => Ok(None),
            Err(error) => Err(error),
            Ok(header) if self.buffer.len() < header.frame_bytes() => Ok(None),
            Ok(header) => self.take(&header).map(Some),
        }
    }

    /// The next frame, which must be a message of type `M`.
    ///
    /// # Errors
    /// As [`FrameReader::next`], and if the stream has ended or contains anything else here.
    pub async fn message<M: Message>(&mut self) -> Result<M, FrameError> {
        self.next().await?.ok_or(FrameError::Ended(M::KIND))?.message()
    }

    fn take(&mut self, header: &FrameHeader) -> Result<Frame, FrameError> {
        header.check_body(&self.buffer[HEADER_BYTES..header.frame_bytes()])?;
        let bytes = self.buffer.split_to(header.frame_bytes()).freeze();
        Ok(Frame { kind: header.kind, bytes })
    }

    /// Reads some more towards `need` bytes. Memory at most doubles, so a declared length costs a peer as many bytes; a frame
    /// that has come to some length may grow in larger steps, which spares it most of the copying.
    async fn fill(&mut self, need: usize) -> Result<usize, FrameError> {
        let missing = need - self.buffer.len();
        let here = self.buffer.len();
        let growth = if here < limits::LONG_FRAME_BYTES { 2 } else { limits::LONG_FRAME_GROWTH };
        let step = (here * (growth - 1)).max(limits::READ_BYTES);
        if self.buffer.capacity() - self.buffer.len() < missing.min(limits::READ_BYTES_MIN) {
            self.buffer.reserve(step.min(missing.max(limits::READ_BYTES)));
        }
        Ok(self.source.read_buf(&mut self.buffer).await?)
    }
}

/// Writes a message as one frame.
///
/// # Errors
/// If the stream fails.
pub async fn send_message<M: Message>(out: &mut (impl AsyncWrite + Unpin), message: &M) -> Result<(), FrameError> {
    send_frame(out, seal_message(message)).await
}

/// Writes a sealed frame.
///
/// # Errors
/// If the stream fails.
pub async fn send_frame(out: &mut (impl AsyncWrite + Unpin), frame: Bytes) -> Result<(), FrameError> {
    let mut rest = frame;
    while rest.has_remaining() {
        out.write_buf(&mut rest).await?;
    }
    Ok(())
}

fn word(header: &[u8; HEADER_BYTES], at: usize) -> u32 {
    u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
}

/// Checksum of all of the header but the checksum itself.
fn header_crc(header: &[u8; HEADER_BYTES]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&header[..12]), &header[16..])
}

#[cfg(test)]
mod tests;

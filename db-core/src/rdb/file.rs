//! Dump files.
//!
//! ```text
//!   magic and version      "REDIS" and 4 digits, or "VALKEY" and 3
//!   entries                opcode or type u8, and what belongs to it
//!   end                    255
//!   checksum u64           from version 5 on; 0: none
//! ```

use std::io::Read;

use super::string::{count, skip_string, string};
use super::{CHECKSUM, CHECKSUM_BYTES, Input, Layout, REDIS_VERSION_MAX, RdbError, VALKEY_VERSION, is_known, skip};
use crate::clock::UnixMillis;

const MAGIC_BYTES: usize = 9;
const REDIS: &[u8] = b"REDIS";
const VALKEY: &[u8] = b"VALKEY";
/// First version with a checksum.
const CHECKED_FROM: u32 = 5;

const SLOT_IMPORT: u8 = 243;
const SLOT_INFO: u8 = 244;
const FUNCTION: u8 = 245;
const FUNCTION_OF_CANDIDATE: u8 = 246;
const MODULE: u8 = 247;
const IDLE: u8 = 248;
const FREQUENCY: u8 = 249;
pub(super) const NOTE: u8 = 250;
const SIZES: u8 = 251;
pub(super) const EXPIRE_MILLIS: u8 = 252;
const EXPIRE_SECONDS: u8 = 253;
pub(super) const DATABASE: u8 = 254;
pub(super) const END: u8 = 255;

/// Adds the bytes that are read through it up to a checksum, but for the last ones, where the checksum itself stands.
pub struct Summing<R> {
    from: R,
    digest: crc::Digest<'static, u64, crc::Table<16>>,
    /// Bytes that are not yet read and that count.
    left: u64,
    /// Those behind them that were read.
    stored: Vec<u8>,
}

impl<R> std::fmt::Debug for Summing<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Summing").field("left", &self.left).finish_non_exhaustive()
    }
}

impl<R: Read> Read for Summing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.from.read(buffer)?;
        let counted = self.left.min(read as u64);
        let (counted, behind) = buffer[..read].split_at(counted as usize);
        self.digest.update(counted);
        self.left -= counted.len() as u64;
        self.stored.extend_from_slice(&behind[..behind.len().min(CHECKSUM_BYTES - self.stored.len())]);
        Ok(read)
    }
}

/// What a file's values are read from.
pub type FileInput<R> = Input<std::io::BufReader<Summing<R>>>;

/// What stands before the value of a key.
#[derive(Clone, Copy, Debug)]
pub struct KeyHead {
    /// How the value is laid out, which is to be read, or passed over, before the next head.
    pub layout: Layout,
    /// The number of the database, which may be one that there is not here.
    pub database: u64,
    /// When the key expires, if ever.
    pub expire: Option<UnixMillis>,
}

/// What there is in a file beside keys of the types that there are here, and is passed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Beside {
    /// Libraries of functions.
    pub functions: u64,
    /// What modules have kept beside their keys.
    pub modules: u64,
}

/// How the checksum of a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileChecksum {
    /// It fits.
    Right,
    /// The file is not what was written.
    Wrong,
    /// The server that wrote the file was told to write none, or is older than checksums.
    None,
}

/// A dump file that is read.
#[derive(Debug)]
pub struct RdbFile<R> {
    input: FileInput<R>,
    version: u32,
    database: u64,
    beside: Beside,
}

impl<R: Read> RdbFile<R> {
    /// Begins to read a file of `len` bytes.
    ///
    /// # Errors
    /// If it does not begin as a dump file of a known version does.
    pub fn open(from: R, len: u64) -> Result<Self, RdbError> {
        const BUFFER_BYTES: usize = 256 * 1024;
        let counted = len.saturating_sub(CHECKSUM_BYTES as u64);
        let summing = Summing { from, digest: CHECKSUM.digest(), left: counted, stored: Vec::new() };
        let mut input = Input::new(std::io::BufReader::with_capacity(BUFFER_BYTES, summing), len);
        let version = version(&input.array()?)?;
        Ok(RdbFile { input, version, database: 0, beside: Beside::default() })
    }

    /// Returns the offset of what is read next.
    pub fn position(&self) -> u64 {
        self.input.position()
    }

    /// Returns what was passed over so far.
    pub fn beside(&self) -> Beside {
        self.beside
    }

    /// The bytes behind a head, where its value is.
    pub fn input(&mut self) -> &mut FileInput<R> {
        &mut self.input
    }

    /// Puts the next key in the place of what `key` contains; `None` at the end of the file.
    ///
    /// # Errors
    /// If the file ends early, or contains what no server writes.
    pub fn next_key(&mut self, key: &mut Vec<u8>) -> Result<Option<KeyHead>, RdbError> {
        let mut expire = None;
        loop {
            let input = &mut self.input;
            match input.byte()? {
                END => return self.end().map(|()| None),
                DATABASE => self.database = count(input)?,
                EXPIRE_MILLIS => expire = Some(u64::from_le_bytes(input.array()?)),
                EXPIRE_SECONDS => expire = Some(u64::from(u32::from_le_bytes(input.array()?)) * 1000),
                IDLE => drop(count(input)?),
                FREQUENCY => drop(input.byte()?),
                SIZES => (0..2).try_for_each(|_| count(input).map(drop))?,
                NOTE => (0..2).try_for_each(|_| skip_string(input))?,
                SLOT_INFO => (0..3).try_for_each(|_| count(input).map(drop))?,
                SLOT_IMPORT => {
                    return Err(RdbError::Unsupported("a dump of a cluster that moves slots at that moment"));
                }
                FUNCTION => {
                    skip_string(input)?;
                    self.beside.functions += 1;
                }
                FUNCTION_OF_CANDIDATE => {
                    return Err(RdbError::Unsupported("a library of functions of a release candidate of Redis 7.0"));
                }
                MODULE => {
                    skip::module_beside_keys(input)?;
                    self.beside.modules += 1;
                }
                byte => {
                    let layout = Layout::of(byte, self.version)?;
                    string(input, key)?;
                    return Ok(Some(KeyHead { layout, database: self.database, expire: expire.map(UnixMillis) }));
                }
            }
        }
    }

    fn end(&mut self) -> Result<(), RdbError> {
        let behind = if self.version >= CHECKED_FROM { CHECKSUM_BYTES as u64 } else { 0 };
        match self.input.left() {
            left if left == behind => Ok(()),
            left if left < behind => Err(RdbError::Cut),
            _ => Err(RdbError::Damaged("there are bytes behind the end of the dump")),
        }
    }

    /// Reads what is left, whatever it is, and compares the checksum.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn checksum(mut self) -> Result<FileChecksum, RdbError> {
        if self.version < CHECKED_FROM {
            return Ok(FileChecksum::None);
        }
        let left = self.input.left();
        self.input.pass(left)?;
        let summing = self.input.source().get_ref();
        let stored = summing.stored.first_chunk().map(|stored| u64::from_le_bytes(*stored));
        Ok(match stored {
            Some(0) => FileChecksum::None,
            Some(stored) if stored == summing.digest.clone().finalize() => FileChecksum::Right,
            _ => FileChecksum::Wrong,
        })
    }
}

fn version(magic: &[u8; MAGIC_BYTES]) -> Result<u32, RdbError> {
    let of_valkey = magic.strip_prefix(VALKEY);
    let digits = magic.strip_prefix(REDIS).or(of_valkey);
    let digits = digits.ok_or(RdbError::Damaged("it does not begin as a dump of Redis or Valkey does"))?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return Err(RdbError::Damaged("its version is no number"));
    }
    let version = digits.iter().fold(0, |version, digit| version * 10 + u32::from(digit - b'0'));
    // Each of the two counts its own versions.
    if is_known(version) && of_valkey.is_some() == (version >= VALKEY_VERSION) {
        Ok(version)
    } else {
        Err(RdbError::UnknownVersion(version))
    }
}

const _: () = assert!(REDIS_VERSION_MAX < VALKEY_VERSION);

//! The bytes of a redo record: its one home.
//!
//! A record is one or more effects, back to back, executed as one. An effect is decided: no clock and no chance is asked
//! again when it is replayed. It starts with a tag of one byte; lengths and offsets are LEB128 (at most ten bytes, in
//! their shortest form), times and epochs are eight bytes little-endian. A tag is never given a second meaning: another
//! layout of the same effect gets a tag of its own, so a log outlives the program that wrote it.
//!
//! Keys are of the first physical database unless the record has named another one before ([`Effect::encode`] does that).
//!
//! A record has no length or checksum of its own: the batch knows where it ends and the frame around it is checksummed.

use thiserror::Error;

use crate::clock::UnixMillis;
use crate::ids::{DatabaseId, Epoch};
use crate::keyspace::{Key, KeyHasher};
use crate::limits::{DATABASES, KEY_BYTES_MAX, SETTINGS_MAX, VALUE_BYTES_MAX};

/// Something that a command did, in a form that every replica repeats alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect<'a> {
    /// The key holds this string and this expiry, whatever it held before.
    Set { key: Key<'a>, value: &'a [u8], expire: Option<UnixMillis> },
    /// The existing key has this expiry.
    SetExpire { key: Key<'a>, expire: Option<UnixMillis> },
    /// The existing string is longer by this tail.
    Append { key: Key<'a>, tail: &'a [u8] },
    /// The existing string holds these bytes from this offset, with zeros in a gap.
    SetRange { key: Key<'a>, offset: u64, bytes: &'a [u8] },
    /// The existing key is gone.
    Del { key: Key<'a> },
    /// `to` holds what the existing `from` holds, expiry included.
    Copy { from: Key<'a>, to: Key<'a> },
    /// `to` holds what the existing `from` held, expiry included, and `from` is gone.
    Rename { from: Key<'a>, to: Key<'a> },
    /// The existing key is one of the database `to`, where it did not exist.
    Move { key: Key<'a>, to: DatabaseId },
    /// No key is left.
    FlushAll,
    /// No key of this database is left.
    FlushDatabase { database: DatabaseId },
    /// These logical databases have what the other had.
    SwapDatabases { one: u8, other: u8 },
    /// The first record of an epoch.
    EpochStart { epoch: Epoch },
    /// The primary froze a version that contains exactly the records before and this one.
    Cut,
    /// The setting of that number has this value, or none.
    Setting { number: u8, value: Option<u64> },
}

const TAG_SET: u8 = 1;
const TAG_SET_EXPIRING: u8 = 2;
const TAG_EXPIRE: u8 = 3;
const TAG_PERSIST: u8 = 4;
const TAG_APPEND: u8 = 5;
const TAG_SET_RANGE: u8 = 6;
const TAG_DEL: u8 = 7;
const TAG_COPY: u8 = 8;
const TAG_RENAME: u8 = 9;
const TAG_FLUSH_ALL: u8 = 10;
const TAG_EPOCH_START: u8 = 11;
const TAG_CUT: u8 = 12;
const TAG_SETTING: u8 = 13;
const TAG_SETTING_NONE: u8 = 14;
/// Not an effect: the keys that follow in the record are of this database.
const TAG_DATABASE: u8 = 15;
/// As the tag without it, with the database of the second key.
const TAG_COPY_TO: u8 = 16;
const TAG_MOVE: u8 = 17;
const TAG_FLUSH_DATABASE: u8 = 18;
const TAG_SWAP_DATABASES: u8 = 19;

/// Why bytes are not a record. Every replica that reads the same bytes fails alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RecordError {
    /// It holds no effect.
    #[error("it is empty")]
    Empty,
    /// It ends within an effect.
    #[error("it ends within an effect")]
    Truncated,
    /// This program knows no such effect.
    #[error("unknown effect {0}: the log was written by a newer version")]
    UnknownTag(u8),
    /// There is no such database.
    #[error("unknown database {0}: the log was written by a newer version")]
    UnknownDatabase(u8),
    /// The database of the keys that follow is named though it is so already, or no key follows.
    #[error("a database is named in vain")]
    DatabaseInVain,
    /// This program knows no such setting.
    #[error("unknown setting {0}: the log was written by a newer version")]
    UnknownSetting(u8),
    /// A number in a form that is never written.
    #[error("a number is malformed")]
    Number,
    /// A key or a value longer than any can be.
    #[error("a key or value is longer than the limit")]
    TooLong,
}

impl<'a> Effect<'a> {
    /// The keys that it touches, unless it [touches them all](Self::is_of_all).
    #[inline]
    pub(crate) fn keys(&self) -> [Option<Key<'a>>; 2] {
        match *self {
            Effect::Set { key, .. }
            | Effect::SetExpire { key, .. }
            | Effect::Append { key, .. }
            | Effect::SetRange { key, .. }
            | Effect::Del { key } => [Some(key), None],
            Effect::Move { key, to } => [Some(key), Some(key.of(to))],
            Effect::Copy { from, to } | Effect::Rename { from, to } => [Some(from), Some(to)],
            Effect::FlushAll
            | Effect::FlushDatabase { .. }
            | Effect::SwapDatabases { .. }
            | Effect::EpochStart { .. }
            | Effect::Cut
            | Effect::Setting { .. } => [None, None],
        }
    }

    /// Hashes of [its keys](Self::keys). A key that moves has the same in both databases.
    #[inline]
    pub(crate) fn hashes(&self) -> [Option<u64>; 2] {
        match self {
            Effect::Copy { from, to } | Effect::Rename { from, to } => [Some(from.hash), Some(to.hash)],
            effect => [effect.first_key().map(|key| key.hash), None],
        }
    }

    /// The key that it begins with, if it begins with one.
    #[inline]
    fn first_key(&self) -> Option<&Key<'a>> {
        match self {
            Effect::Set { key, .. }
            | Effect::SetExpire { key, .. }
            | Effect::Append { key, .. }
            | Effect::SetRange { key, .. }
            | Effect::Del { key }
            | Effect::Move { key, .. }
            | Effect::Copy { from: key, .. }
            | Effect::Rename { from: key, .. } => Some(key),
            Effect::FlushAll
            | Effect::FlushDatabase { .. }
            | Effect::SwapDatabases { .. }
            | Effect::EpochStart { .. }
            | Effect::Cut
            | Effect::Setting { .. } => None,
        }
    }

    /// Whether it touches all keys, or so many that all count as touched.
    #[inline]
    pub(crate) fn is_of_all(&self) -> bool {
        matches!(self, Effect::FlushAll | Effect::FlushDatabase { .. } | Effect::SwapDatabases { .. })
    }

    /// No fewer bytes than [`Effect::encode`] adds.
    #[inline]
    pub(crate) fn bytes_max(&self) -> usize {
        const NUMBERS: usize = 32;
        let payload = match *self {
            Effect::Set { value, .. } => value.len(),
            Effect::Append { tail, .. } => tail.len(),
            Effect::SetRange { bytes, .. } => bytes.len(),
            _ => 0,
        };
        let second = match self {
            Effect::Copy { to, .. } | Effect::Rename { to, .. } => to.bytes.len(),
            _ => 0,
        };
        let keys = self.first_key().map_or(0, |key| key.bytes.len()) + second;
        NUMBERS + keys + payload
    }

    /// Appends the effect's bytes to the record `out`, in which keys are of `database` so far (of the first one at its beginning).
    pub(crate) fn encode(&self, out: &mut Vec<u8>, database: &mut DatabaseId) {
        if let Some(key) = self.first_key()
            && key.database != *database
        {
            *database = key.database;
            out.extend_from_slice(&[TAG_DATABASE, database.0]);
        }
        match *self {
            Effect::Set { key, value, expire: None } => put_pair(out, TAG_SET, key.bytes, value),
            Effect::Set { key, value, expire: Some(at) } => {
                out.reserve(value.len() + key.bytes.len() + 24);
                out.push(TAG_SET_EXPIRING);
                put_time(out, at);
                put_bytes(out, key.bytes);
                put_bytes(out, value);
            }
            Effect::SetExpire { key, expire: Some(at) } => {
                out.push(TAG_EXPIRE);
                put_time(out, at);
                put_bytes(out, key.bytes);
            }
            Effect::SetExpire { key, expire: None } => {
                out.push(TAG_PERSIST);
                put_bytes(out, key.bytes);
            }
            Effect::Append { key, tail } => put_pair(out, TAG_APPEND, key.bytes, tail),
            Effect::SetRange { key, offset, bytes } => {
                out.push(TAG_SET_RANGE);
                put_number(out, offset);
                put_bytes(out, key.bytes);
                put_bytes(out, bytes);
            }
            Effect::Del { key } => {
                out.push(TAG_DEL);
                put_bytes(out, key.bytes);
            }
            Effect::Copy { from, to } if to.database != from.database => {
                out.extend_from_slice(&[TAG_COPY_TO, to.database.0]);
                put_bytes(out, from.bytes);
                put_bytes(out, to.bytes);
            }
            Effect::Copy { from, to } => put_pair(out, TAG_COPY, from.bytes, to.bytes),
            Effect::Rename { from, to } => put_pair(out, TAG_RENAME, from.bytes, to.bytes),
            Effect::Move { key, to } => {
                out.extend_from_slice(&[TAG_MOVE, to.0]);
                put_bytes(out, key.bytes);
            }
            Effect::FlushAll => out.push(TAG_FLUSH_ALL),
            Effect::FlushDatabase { database } => out.extend_from_slice(&[TAG_FLUSH_DATABASE, database.0]),
            Effect::SwapDatabases { one, other } => out.extend_from_slice(&[TAG_SWAP_DATABASES, one, other]),
            Effect::EpochStart { epoch } => {
                out.push(TAG_EPOCH_START);
                out.extend_from_slice(&epoch.0.to_le_bytes());
            }
            Effect::Cut => out.push(TAG_CUT),
            Effect::Setting { number, value: Some(value) } => {
                out.extend_from_slice(&[TAG_SETTING, number]);
                put_number(out, value);
            }
            Effect::Setting { number, value: None } => out.extend_from_slice(&[TAG_SETTING_NONE, number]),
        }
    }
}

/// Whether an effect with this tag begins with a key of the record's database.
const fn has_key(tag: u8) -> bool {
    matches!(tag, TAG_SET..=TAG_RENAME | TAG_COPY_TO | TAG_MOVE)
}

fn put_pair(out: &mut Vec<u8>, tag: u8, first: &[u8], second: &[u8]) {
    out.reserve(first.len() + second.len() + 16);
    out.push(tag);
    put_bytes(out, first);
    put_bytes(out, second);
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn put_time(out: &mut Vec<u8>, at: UnixMillis) {
    out.extend_from_slice(&at.0.to_le_bytes());
}

fn put_number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Reads the effects of one record; stops after the first error.
#[derive(Debug, Clone)]
pub(crate) struct Effects<'a> {
    rest: &'a [u8],
    hasher: KeyHasher,
    /// Of the keys that follow.
    database: DatabaseId,
    begun: bool,
}

impl<'a> Effects<'a> {
    /// The effects in `record`, their keys hashed by `hasher`.
    pub(crate) fn new(record: &'a [u8], hasher: KeyHasher) -> Effects<'a> {
        Effects { rest: record, hasher, database: DatabaseId(0), begun: false }
    }

    fn effect(&mut self) -> Result<Effect<'a>, RecordError> {
        let mut tag = self.byte()?;
        if tag == TAG_DATABASE {
            let named = self.database()?;
            let before = std::mem::replace(&mut self.database, named);
            tag = self.byte()?;
            if self.database == before || !has_key(tag) {
                return Err(RecordError::DatabaseInVain);
            }
        }
        Ok(match tag {
            TAG_SET => Effect::Set { key: self.key()?, value: self.value()?, expire: None },
            TAG_SET_EXPIRING => {
                let expire = Some(self.time()?);
                Effect::Set { key: self.key()?, value: self.value()?, expire }
            }
            TAG_EXPIRE => {
                let expire = Some(self.time()?);
                Effect::SetExpire { key: self.key()?, expire }
            }
            TAG_PERSIST => Effect::SetExpire { key: self.key()?, expire: None },
            TAG_APPEND => Effect::Append { key: self.key()?, tail: self.value()? },
            TAG_SET_RANGE => self.set_range()?,
            TAG_DEL => Effect::Del { key: self.key()? },
            TAG_COPY => Effect::Copy { from: self.key()?, to: self.key()? },
            TAG_COPY_TO => {
                let database = self.database()?;
                let (from, to) = (self.key()?, self.key()?.of(database));
                if from.database == database {
                    return Err(RecordError::DatabaseInVain);
                }
                Effect::Copy { from, to }
            }
            TAG_MOVE => {
                let to = self.database()?;
                Effect::Move { key: self.key()?, to }
            }
            TAG_FLUSH_DATABASE => Effect::FlushDatabase { database: self.database()? },
            TAG_SWAP_DATABASES => Effect::SwapDatabases { one: self.database()?.0, other: self.database()?.0 },
            TAG_RENAME => Effect::Rename { from: self.key()?, to: self.key()? },
            TAG_FLUSH_ALL => Effect::FlushAll,
            TAG_EPOCH_START => Effect::EpochStart { epoch: Epoch(self.fixed()?) },
            TAG_CUT => Effect::Cut,
            TAG_SETTING => {
                let number = self.setting()?;
                Effect::Setting { number, value: Some(self.number()?) }
            }
            TAG_SETTING_NONE => Effect::Setting { number: self.setting()?, value: None },
            tag => return Err(RecordError::UnknownTag(tag)),
        })
    }

    fn set_range(&mut self) -> Result<Effect<'a>, RecordError> {
        let offset = self.number()?;
        let effect = Effect::SetRange { key: self.key()?, offset, bytes: self.value()? };
        match effect {
            Effect::SetRange { bytes, .. } if offset > VALUE_BYTES_MAX - bytes.len() as u64 => {
                Err(RecordError::TooLong)
            }
            effect => Ok(effect),
        }
    }

    fn setting(&mut self) -> Result<u8, RecordError> {
        let number = self.byte()?;
        if usize::from(number) < SETTINGS_MAX { Ok(number) } else { Err(RecordError::UnknownSetting(number)) }
    }

    fn database(&mut self) -> Result<DatabaseId, RecordError> {
        let number = self.byte()?;
        if usize::from(number) < DATABASES { Ok(DatabaseId(number)) } else { Err(RecordError::UnknownDatabase(number)) }
    }

    fn key(&mut self) -> Result<Key<'a>, RecordError> {
        let bytes = self.bytes(KEY_BYTES_MAX as u64)?;
        Ok(self.hasher.key_in(self.database, bytes))
    }

    fn value(&mut self) -> Result<&'a [u8], RecordError> {
        self.bytes(VALUE_BYTES_MAX)
    }

    fn bytes(&mut self, max: u64) -> Result<&'a [u8], RecordError> {
        let len = self.number()?;
        if len > max {
            return Err(RecordError::TooLong);
        }
        let (bytes, rest) = self.rest.split_at_checked(len as usize).ok_or(RecordError::Truncated)?;
        self.rest = rest;
        Ok(bytes)
    }

    fn time(&mut self) -> Result<UnixMillis, RecordError> {
        self.fixed().map(UnixMillis)
    }

    fn fixed(&mut self) -> Result<u64, RecordError> {
        let (bytes, rest) = self.rest.split_first_chunk::<8>().ok_or(RecordError::Truncated)?;
        self.rest = rest;
        Ok(u64::from_le_bytes(*bytes))
    }

    fn number(&mut self) -> Result<u64, RecordError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits || (byte == 0 && shift > 0) {
                return Err(RecordError::Number);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(RecordError::Number)
    }

    fn byte(&mut self) -> Result<u8, RecordError> {
        let (byte, rest) = self.rest.split_first().ok_or(RecordError::Truncated)?;
        self.rest = rest;
        Ok(*byte)
    }
}

impl<'a> Iterator for Effects<'a> {
    type Item = Result<Effect<'a>, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            let empty = !std::mem::replace(&mut self.begun, true);
            return empty.then_some(Err(RecordError::Empty));
        }
        self.begun = true;
        let effect = self.effect();
        if effect.is_err() {
            self.rest = &[];
        }
        Some(effect)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HASHER: KeyHasher = KeyHasher::new(7);

    fn read(bytes: &[u8]) -> Result<Vec<Effect<'_>>, RecordError> {
        Effects::new(bytes, HASHER).collect()
    }

    fn golden() -> Vec<(Effect<'static>, &'static [u8])> {
        let (k, to) = (HASHER.key(b"key"), HASHER.key(b"to"));
        let at = Some(UnixMillis(0x0102_0304_0506_0708));
        vec![
            (Effect::Set { key: k, value: b"v", expire: None }, b"\x01\x03key\x01v"),
            (Effect::Set { key: k, value: b"", expire: at }, b"\x02\x08\x07\x06\x05\x04\x03\x02\x01\x03key\x00"),
            (Effect::SetExpire { key: k, expire: at }, b"\x03\x08\x07\x06\x05\x04\x03\x02\x01\x03key"),
            (Effect::SetExpire { key: k, expire: None }, b"\x04\x03key"),
            (Effect::Append { key: k, tail: b"xy" }, b"\x05\x03key\x02xy"),
            (Effect::SetRange { key: k, offset: 300, bytes: b"z" }, b"\x06\xac\x02\x03key\x01z"),
            (Effect::Del { key: k }, b"\x07\x03key"),
            (Effect::Copy { from: k, to }, b"\x08\x03key\x02to"),
            (Effect::Rename { from: k, to }, b"\x09\x03key\x02to"),
            (Effect::FlushAll, b"\x0a"),
            (Effect::EpochStart { epoch: Epoch(5) }, b"\x0b\x05\x00\x00\x00\x00\x00\x00\x00"),
            (Effect::Cut, b"\x0c"),
            (Effect::Setting { number: 3, value: Some(300) }, b"\x0d\x03\xac\x02"),
            (Effect::Setting { number: 3, value: None }, b"\x0e\x03"),
            (Effect::Move { key: k, to: DatabaseId(2) }, b"\x11\x02\x03key"),
            (Effect::Copy { from: k, to: to.of(DatabaseId(2)) }, b"\x10\x02\x03key\x02to"),
            (Effect::FlushDatabase { database: DatabaseId(15) }, b"\x12\x0f"),
            (Effect::SwapDatabases { one: 3, other: 1 }, b"\x13\x03\x01"),
            // The last: those behind it would be of its database.
            (Effect::Del { key: k.of(DatabaseId(3)) }, b"\x0f\x03\x07\x03key"),
        ]
    }

    #[test]
    fn golden_bytes() {
        let mut all = Vec::new();
        for (effect, bytes) in golden() {
            let mut out = Vec::new();
            effect.encode(&mut out, &mut DatabaseId(0));
            assert_eq!(out, bytes, "{effect:?}");
            assert!(out.len() <= effect.bytes_max());
            assert_eq!(read(bytes), Ok(vec![effect]));
            all.extend_from_slice(bytes);
        }
        let effects: Vec<_> = golden().into_iter().map(|(effect, _)| effect).collect();
        assert_eq!(read(&all), Ok(effects), "effects stand back to back in one record");
    }

    #[test]
    fn every_truncation_is_refused() {
        for (effect, bytes) in golden() {
            for end in 0..bytes.len() {
                assert!(read(&bytes[..end]).is_err(), "{effect:?} cut at {end}");
            }
        }
    }

    #[test]
    fn what_is_never_written_is_refused() {
        let cases: &[(&[u8], RecordError)] = &[
            (b"", RecordError::Empty),
            (b"\x00", RecordError::UnknownTag(0)),
            (b"\x14", RecordError::UnknownTag(20)),
            (b"\x0f\x10\x07\x01k", RecordError::UnknownDatabase(16)),
            (b"\x0f\x00\x07\x01k", RecordError::DatabaseInVain),
            (b"\x0f\x01\x0c", RecordError::DatabaseInVain),
            (b"\x0f\x01\x0f\x02\x07\x01k", RecordError::DatabaseInVain),
            (b"\x10\x00\x01k\x01l", RecordError::DatabaseInVain),
            (b"\x0d\x20\x01", RecordError::UnknownSetting(32)),
            (b"\x0c\xff", RecordError::UnknownTag(255)),
            (b"\x07\x83\x00key", RecordError::Number),
            (b"\x07\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", RecordError::Number),
            (b"\x07\x81\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", RecordError::Number),
            (b"\x07\x81\x40", RecordError::TooLong),
            (b"\x01\x01k\x81\x80\x80\x80\x02", RecordError::TooLong),
            (b"\x06\xff\xff\xff\xff\x01\x01k\x02xy", RecordError::TooLong),
        ];
        for (bytes, error) in cases {
            assert_eq!(read(bytes), Err(*error), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(effects) = read(&bytes) {
                let mut again = Vec::new();
                let mut database = DatabaseId(0);
                effects.iter().for_each(|effect| effect.encode(&mut again, &mut database));
                prop_assert_eq!(again, bytes);
            }
        }
    }
}

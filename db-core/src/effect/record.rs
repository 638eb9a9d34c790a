//! The byte layout of a redo record.
//!
//! A record is one or more effects, back to back, applied atomically. An effect starts with a byte: a family in its high half and
//! an operation of the family in its low half. After it comes the key, if it has one, and then the fields of the operation
//! (`key.rs`, `types/`). If the highest bit is set, the key is that of the previous effect and is left out.
//!
//! ```text
//!   0x01  epoch start: epoch u64          0x07  swap databases: logical u8, logical u8
//!   0x02  cut                             0x08  copy: key, key
//!   0x03  setting: number u8, value       0x09  copy to another database: key, u8, key
//!   0x04  no setting: number u8           0x0a  rename: key, key
//!   0x05  flush all                       0x0b  reclaim: shard, steps
//!   0x06  flush database: u8, fresh u8    0x0c  compact: u8, shard, cursor, keys
//!                                         0x0d  step of a copy: key, made in u8, u8, key, step u8, cursor
//!                                         0x0e  rehearsal, for tests of an upgrade: text
//!                                         0x0f  not an effect: the keys that follow in the record are of this database: u8
//!   0x1_  changes of any key              0x2_  changes of strings
//! ```
//!
//! Keys are of the first physical database unless the record has named another one before. A record has no length or checksum of
//! its own: the batch knows where it ends and the frame around it is checksummed.

use super::codec::{Reader, RecordError, put_bytes, put_number};
use super::{Change, CopyStep, Effect, KeyEffect, bytes_max};
use crate::ids::{DatabaseId, Epoch, ShardId};
use crate::keyspace::{Key, KeyHasher};
use crate::limits::{KEY_BYTES_MAX, SETTINGS_MAX};

const EPOCH_START: u8 = 0x01;
const CUT: u8 = 0x02;
const SETTING: u8 = 0x03;
const SETTING_NONE: u8 = 0x04;
const FLUSH_ALL: u8 = 0x05;
const FLUSH_DATABASE: u8 = 0x06;
const SWAP_DATABASES: u8 = 0x07;
const COPY: u8 = 0x08;
const COPY_TO: u8 = 0x09;
const RENAME: u8 = 0x0a;
const RECLAIM: u8 = 0x0b;
const COMPACT: u8 = 0x0c;
const COPY_STEP: u8 = 0x0d;
#[cfg(feature = "next-level")]
const REHEARSE: u8 = 0x0e;
const DATABASE: u8 = 0x0f;

/// Steps of a copy; only a piece has a cursor.
const BEGIN: u8 = 0;
const PIECE: u8 = 1;
const END_COPY: u8 = 2;
const END_RENAME: u8 = 3;

/// The first byte of a change of a key.
const FAMILIES: u8 = 0x10;

/// The key is that of the effect before.
const SAME_KEY: u8 = 0x80;

/// Whether an effect begins with a key of the record's database.
const fn has_key(byte: u8) -> bool {
    byte >= FAMILIES || matches!(byte, COPY | COPY_TO | RENAME | COPY_STEP)
}

/// A record in the making.
#[derive(Debug, Default)]
pub(crate) struct RecordWriter {
    bytes: Vec<u8>,
    /// Of the keys that come next.
    database: DatabaseId,
    /// The newest key, which is of `database`: its hash, and where it stands (0: there is none).
    key_hash: u64,
    key_at: usize,
    key_len: usize,
}

impl RecordWriter {
    /// Begins another record, in the memory of the one before.
    #[inline]
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.database = DatabaseId(0);
        self.key_at = 0;
    }

    /// The bytes so far; to be taken when the record is done.
    #[inline]
    pub(crate) fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Length in bytes.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Appends a change of a key.
    #[inline]
    pub(crate) fn push_change(&mut self, key: &Key<'_>, change: &impl KeyEffect) {
        self.push_change_of(bytes_max(key, change), key, change);
    }

    /// The same for one that takes at most `bytes_max` bytes.
    #[inline]
    pub(crate) fn push_change_of(&mut self, bytes_max: usize, key: &Key<'_>, change: &impl KeyEffect) {
        self.bytes.reserve(bytes_max);
        self.push_key(change.operation(), key);
        change.encode(&mut self.bytes);
    }

    /// Appends an effect.
    pub(crate) fn push(&mut self, effect: &Effect<'_>) {
        match *effect {
            Effect::Key(key, change) => self.push_change(&key, &change),
            Effect::Copy { from, to } if to.database != from.database => {
                self.push_key(COPY_TO, &from);
                self.bytes.push(to.database.0);
                put_bytes(&mut self.bytes, to.bytes);
            }
            Effect::Copy { from, to } => {
                self.push_key(COPY, &from);
                put_bytes(&mut self.bytes, to.bytes);
            }
            Effect::Rename { from, to } => {
                self.push_key(RENAME, &from);
                put_bytes(&mut self.bytes, to.bytes);
            }
            Effect::CopyStep { from, to, made_in, step } => {
                self.push_key(COPY_STEP, &from);
                self.bytes.extend_from_slice(&[made_in.0, to.database.0]);
                put_bytes(&mut self.bytes, to.bytes);
                self.push_step(step);
            }
            Effect::FlushAll => self.bytes.push(FLUSH_ALL),
            Effect::FlushDatabase { database, fresh } => {
                self.bytes.extend_from_slice(&[FLUSH_DATABASE, database.0, fresh.0]);
            }
            Effect::SwapDatabases { one, other } => self.bytes.extend_from_slice(&[SWAP_DATABASES, one, other]),
            Effect::EpochStart { epoch } => {
                self.bytes.push(EPOCH_START);
                self.bytes.extend_from_slice(&epoch.0.to_le_bytes());
            }
            Effect::Cut => self.bytes.push(CUT),
            Effect::Reclaim { shard, steps } => {
                self.bytes.push(RECLAIM);
                put_number(&mut self.bytes, shard.0.into());
                put_number(&mut self.bytes, steps.into());
            }
            Effect::Compact { shard, database, cursor, keys } => {
                self.bytes.extend_from_slice(&[COMPACT, database.0]);
                [shard.0.into(), cursor.into(), keys.into()]
                    .iter()
                    .for_each(|number| put_number(&mut self.bytes, *number));
            }
            Effect::Setting { number, value: Some(value) } => {
                self.bytes.extend_from_slice(&[SETTING, number]);
                put_number(&mut self.bytes, value);
            }
            Effect::Setting { number, value: None } => self.bytes.extend_from_slice(&[SETTING_NONE, number]),
            #[cfg(feature = "next-level")]
            Effect::Rehearse { text } => {
                self.bytes.push(REHEARSE);
                put_bytes(&mut self.bytes, text);
            }
        }
    }

    fn push_step(&mut self, step: CopyStep) {
        match step {
            CopyStep::Begin => self.bytes.push(BEGIN),
            CopyStep::Piece { cursor } => {
                self.bytes.push(PIECE);
                put_number(&mut self.bytes, cursor);
            }
            CopyStep::End { renames } => self.bytes.push(if renames { END_RENAME } else { END_COPY }),
        }
    }

    /// Appends an effect's first byte and its key.
    #[inline]
    fn push_key(&mut self, byte: u8, key: &Key<'_>) {
        if self.key_at != 0 && self.is_newest(key) {
            self.bytes.push(byte | SAME_KEY);
            return;
        }
        if key.database != self.database {
            self.database = key.database;
            self.bytes.extend_from_slice(&[DATABASE, key.database.0]);
        }
        self.bytes.push(byte);
        put_bytes(&mut self.bytes, key.bytes);
        (self.key_hash, self.key_at, self.key_len) = (key.hash, self.bytes.len() - key.bytes.len(), key.bytes.len());
    }

    fn is_newest(&self, key: &Key<'_>) -> bool {
        (self.key_hash, self.database) == (key.hash, key.database)
            && self.bytes[self.key_at..self.key_at + self.key_len] == *key.bytes
    }
}

/// Reads the effects of one record; stops after the first error.
#[derive(Debug, Clone)]
pub(crate) struct Effects<'a> {
    rest: Reader<'a>,
    hasher: KeyHasher,
    /// Of the keys that follow.
    database: DatabaseId,
    /// Of the effect before.
    key: Option<Key<'a>>,
    begun: bool,
}

impl<'a> Effects<'a> {
    /// The effects in `record`, their keys hashed by `hasher`.
    pub(crate) fn new(record: &'a [u8], hasher: KeyHasher) -> Effects<'a> {
        Effects { rest: Reader(record), hasher, database: DatabaseId(0), key: None, begun: false }
    }

    fn effect(&mut self) -> Result<Effect<'a>, RecordError> {
        let mut byte = self.rest.byte()?;
        if byte == DATABASE {
            let named = self.rest.database()?;
            let before = std::mem::replace(&mut self.database, named);
            byte = self.rest.byte()?;
            if self.database == before || !has_key(byte) || byte & SAME_KEY != 0 {
                return Err(RecordError::NotCanonical);
            }
        }
        let kind = byte & !SAME_KEY;
        if !has_key(kind) {
            return if byte == kind { self.keyless(kind) } else { Err(RecordError::UnknownEffect(byte)) };
        }
        let from = self.first_key(byte & SAME_KEY != 0)?;
        match kind {
            COPY => Ok(Effect::Copy { from, to: self.key()? }),
            COPY_TO => {
                let database = self.rest.database()?;
                if from.database == database {
                    return Err(RecordError::NotCanonical);
                }
                Ok(Effect::Copy { from, to: self.key()?.of(database) })
            }
            RENAME => Ok(Effect::Rename { from, to: self.key()? }),
            COPY_STEP => {
                let (made_in, database) = (self.rest.database()?, self.rest.database()?);
                let to = self.key()?.of(database);
                Ok(Effect::CopyStep { from, to, made_in, step: self.step()? })
            }
            kind => Ok(Effect::Key(from, Change::decode(kind, &mut self.rest)?)),
        }
    }

    fn keyless(&mut self, byte: u8) -> Result<Effect<'a>, RecordError> {
        Ok(match byte {
            FLUSH_ALL => Effect::FlushAll,
            FLUSH_DATABASE => Effect::FlushDatabase { database: self.rest.database()?, fresh: self.rest.database()? },
            SWAP_DATABASES => Effect::SwapDatabases { one: self.rest.logical()?, other: self.rest.logical()? },
            EPOCH_START => Effect::EpochStart { epoch: Epoch(self.rest.fixed()?) },
            CUT => Effect::Cut,
            RECLAIM => Effect::Reclaim { shard: self.shard()?, steps: self.small_number()? },
            COMPACT => {
                let (database, shard) = (self.rest.database()?, self.shard()?);
                Effect::Compact { shard, database, cursor: self.small_number()?, keys: self.small_number()? }
            }
            SETTING => {
                let number = self.setting()?;
                Effect::Setting { number, value: Some(self.rest.number()?) }
            }
            SETTING_NONE => Effect::Setting { number: self.setting()?, value: None },
            #[cfg(feature = "next-level")]
            REHEARSE => Effect::Rehearse { text: self.rest.bytes(KEY_BYTES_MAX as u64)? },
            byte => return Err(RecordError::UnknownEffect(byte)),
        })
    }

    fn step(&mut self) -> Result<CopyStep, RecordError> {
        Ok(match self.rest.byte()? {
            BEGIN => CopyStep::Begin,
            PIECE => CopyStep::Piece { cursor: self.rest.number()? },
            END_COPY => CopyStep::End { renames: false },
            END_RENAME => CopyStep::End { renames: true },
            _ => return Err(RecordError::NotCanonical),
        })
    }

    fn shard(&mut self) -> Result<ShardId, RecordError> {
        u16::try_from(self.rest.number()?).map(ShardId).map_err(|_| RecordError::Number)
    }

    fn small_number(&mut self) -> Result<u32, RecordError> {
        u32::try_from(self.rest.number()?).map_err(|_| RecordError::Number)
    }

    fn setting(&mut self) -> Result<u8, RecordError> {
        let number = self.rest.byte()?;
        if usize::from(number) < SETTINGS_MAX { Ok(number) } else { Err(RecordError::UnknownSetting(number)) }
    }

    /// The key of an effect: that of the one before, or another one.
    fn first_key(&mut self, same: bool) -> Result<Key<'a>, RecordError> {
        if same {
            return self.key.ok_or(RecordError::NotCanonical);
        }
        let key = self.key()?;
        if self.key == Some(key) {
            return Err(RecordError::NotCanonical);
        }
        self.key = Some(key);
        Ok(key)
    }

    fn key(&mut self) -> Result<Key<'a>, RecordError> {
        let bytes = self.rest.bytes(KEY_BYTES_MAX as u64)?;
        Ok(self.hasher.key_in(self.database, bytes))
    }
}

impl<'a> Iterator for Effects<'a> {
    type Item = Result<Effect<'a>, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.0.is_empty() {
            let empty = !std::mem::replace(&mut self.begun, true);
            return empty.then_some(Err(RecordError::Empty));
        }
        self.begun = true;
        let effect = self.effect();
        if effect.is_err() {
            self.rest = Reader(&[]);
        }
        Some(effect)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clock::UnixMillis;
    use crate::effect::KeyChange;
    use crate::types::stream::{Delivery, StreamChange, StreamParts};
    use crate::types::string::{Patches, StringChange};
    use crate::value::StreamId;

    const HASHER: KeyHasher = KeyHasher::new(7);

    fn read(bytes: &[u8]) -> Result<Vec<Effect<'_>>, RecordError> {
        Effects::new(bytes, HASHER).collect()
    }

    fn written(effects: &[Effect<'_>]) -> Vec<u8> {
        let mut record = RecordWriter::default();
        effects.iter().for_each(|effect| record.push(effect));
        record.bytes
    }

    fn copy_step(step: CopyStep) -> Effect<'static> {
        let (from, to) = (HASHER.key(b"key"), HASHER.key(b"to").of(DatabaseId(2)));
        Effect::CopyStep { from, to, made_in: DatabaseId(31), step }
    }

    fn patch(afresh: bool) -> StringChange<'static> {
        let patches = Patches::read(b"\x05\x01z\x09\x01y", 300).unwrap();
        StringChange::Patch { afresh, len: 300, patches }
    }

    fn golden_streams() -> Vec<(Effect<'static>, &'static [u8])> {
        let stream = |change: StreamChange<'static>| Effect::Key(HASHER.key(b"key"), change.into());
        let (id, fields): (_, &[&[u8]]) = (StreamId { ms: 300, seq: 1 }, &[b"f", b"v"]);
        let ids: &[&[u8]] = &[b"\0\0\0\0\0\0\x01\x2c\0\0\0\0\0\0\0\x01"];
        let delivery = Delivery { cursor: Some((id, None)), time: 7, ..Delivery::seen(b"g", b"c", 300) };
        vec![
            (
                stream(StreamChange::Add { fresh: true, opens: false, id, trim: 0, fields: fields.into() }),
                b"\x62\x03key\xac\x02\x01\x00\x02\x01f\x01v",
            ),
            (stream(StreamChange::Trim { count: 300 }), b"\x64\x03key\xac\x02"),
            (
                stream(StreamChange::Delete { ids: ids.into() }),
                b"\x65\x03key\x01\x10\0\0\0\0\0\0\x01\x2c\0\0\0\0\0\0\0\x01",
            ),
            (
                stream(StreamChange::SetId { last: id, added: 9, deleted: id }),
                b"\x66\x03key\xac\x02\x01\x09\xac\x02\x01",
            ),
            (
                stream(StreamChange::PutGroup { fresh: false, name: b"g", last: id, read: Some(4) }),
                b"\x67\x03key\x01g\xac\x02\x01\x05",
            ),
            (stream(StreamChange::RemoveGroup { name: b"g" }), b"\x69\x03key\x01g"),
            (
                stream(StreamChange::Deliver(delivery)),
                b"\x6a\x03key\x01g\x03\xac\x02\x01\x00\x01c\xac\x02\x00\x07\x00\x00",
            ),
            (stream(StreamChange::RemoveConsumer { group: b"g", consumer: b"c" }), b"\x6b\x03key\x01g\x01c"),
            (
                stream(StreamChange::Store(StreamParts::new(id, 9, id, fields))),
                b"\x6d\x03key\xac\x02\x01\x09\xac\x02\x01\x02\x01f\x01v",
            ),
        ]
    }

    fn golden() -> Vec<(Effect<'static>, &'static [u8])> {
        golden_but_streams().into_iter().chain(golden_streams()).collect()
    }

    fn golden_but_streams() -> Vec<(Effect<'static>, &'static [u8])> {
        let (k, to) = (HASHER.key(b"key"), HASHER.key(b"to"));
        let at = Some(UnixMillis(0x0102_0304_0506_0708));
        let string = |change: StringChange<'static>| Effect::Key(k, change.into());
        let any = |change: KeyChange| Effect::Key(k, change.into());
        vec![
            (string(StringChange::Set { value: b"v", expire: None }), b"\x20\x03key\x01v"),
            (string(StringChange::Set { value: b"", expire: at }), b"\x21\x03key\x08\x07\x06\x05\x04\x03\x02\x01\x00"),
            (string(StringChange::Append { tail: b"xy" }), b"\x22\x03key\x02xy"),
            (string(StringChange::SetRange { offset: 300, bytes: b"z" }), b"\x23\x03key\xac\x02\x01z"),
            (string(StringChange::SetAt { offset: 300, bytes: b"z" }), b"\x24\x03key\xac\x02\x01z"),
            (string(patch(false)), b"\x25\x03key\xac\x02\x06\x05\x01z\x09\x01y"),
            (string(patch(true)), b"\x26\x03key\xac\x02\x06\x05\x01z\x09\x01y"),
            (any(KeyChange::Del), b"\x10\x03key"),
            (any(KeyChange::Expire(at)), b"\x11\x03key\x08\x07\x06\x05\x04\x03\x02\x01"),
            (any(KeyChange::Expire(None)), b"\x12\x03key"),
            (any(KeyChange::Move { to: DatabaseId(2) }), b"\x13\x03key\x02"),
            (Effect::Copy { from: k, to }, b"\x08\x03key\x02to"),
            (Effect::Copy { from: k, to: to.of(DatabaseId(2)) }, b"\x09\x03key\x02\x02to"),
            (Effect::Rename { from: k, to }, b"\x0a\x03key\x02to"),
            (copy_step(CopyStep::Begin), b"\x0d\x03key\x1f\x02\x02to\x00"),
            (copy_step(CopyStep::Piece { cursor: 300 }), b"\x0d\x03key\x1f\x02\x02to\x01\xac\x02"),
            (copy_step(CopyStep::End { renames: false }), b"\x0d\x03key\x1f\x02\x02to\x02"),
            (copy_step(CopyStep::End { renames: true }), b"\x0d\x03key\x1f\x02\x02to\x03"),
            (Effect::FlushAll, b"\x05"),
            (Effect::FlushDatabase { database: DatabaseId(15), fresh: DatabaseId(16) }, b"\x06\x0f\x10"),
            (Effect::SwapDatabases { one: 3, other: 1 }, b"\x07\x03\x01"),
            (Effect::EpochStart { epoch: Epoch(5) }, b"\x01\x05\x00\x00\x00\x00\x00\x00\x00"),
            (Effect::Cut, b"\x02"),
            (Effect::Reclaim { shard: ShardId(200), steps: 5 }, b"\x0b\xc8\x01\x05"),
            (
                Effect::Compact { shard: ShardId(1), database: DatabaseId(16), cursor: 300, keys: 9 },
                b"\x0c\x10\x01\xac\x02\x09",
            ),
            (Effect::Setting { number: 3, value: Some(300) }, b"\x03\x03\xac\x02"),
            (Effect::Setting { number: 3, value: None }, b"\x04\x03"),
            #[cfg(feature = "next-level")]
            (Effect::Rehearse { text: b"once" }, b"\x0e\x04once"),
            (Effect::Key(k.of(DatabaseId(3)), KeyChange::Del.into()), b"\x0f\x03\x10\x03key"),
        ]
    }

    #[test]
    fn golden_bytes() {
        for (effect, bytes) in golden() {
            assert_eq!(written(&[effect]), bytes, "{effect:?}");
            assert!(bytes.len() <= effect.bytes_max());
            assert_eq!(read(bytes), Ok(vec![effect]));
        }
        let effects: Vec<_> = golden().into_iter().map(|(effect, _)| effect).collect();
        assert_eq!(read(&written(&effects)), Ok(effects), "effects stand back to back in one record");
    }

    #[test]
    fn a_key_stands_once_for_the_effects_on_it() {
        let (key, other) = (HASHER.key(b"key"), HASHER.key(b"other"));
        let there = key.of(DatabaseId(1));
        let of = |key, change: KeyChange| Effect::Key(key, change.into());
        let effects = [
            Effect::Key(key, StringChange::Set { value: b"v", expire: None }.into()),
            of(key, KeyChange::Expire(None)),
            Effect::Cut,
            Effect::Copy { from: key, to: other },
            of(key, KeyChange::Del),
            of(other, KeyChange::Del),
            of(key, KeyChange::Del),
            of(there, KeyChange::Del),
            of(there, KeyChange::Del),
        ];
        let bytes = b"\x20\x03key\x01v\x92\x02\x88\x05other\x90\x10\x05other\x10\x03key\x0f\x01\x10\x03key\x90";
        assert_eq!(written(&effects).escape_ascii().to_string(), bytes.escape_ascii().to_string());
        assert_eq!(read(bytes), Ok(effects.to_vec()));
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
            (b"\x00", RecordError::UnknownEffect(0)),
            (b"\x0d\x03key\x1f\x02\x02to\x04", RecordError::NotCanonical),
            (b"\x0d\x03key\x20\x02\x02to\x00", RecordError::UnknownDatabase(32)),
            #[cfg(not(feature = "next-level"))]
            (b"\x0e\x04once", RecordError::UnknownEffect(0x0e)),
            (b"\x0b\x80\x80\x04\x01", RecordError::Number),
            (b"\x1f\x01k", RecordError::UnknownEffect(0x1f)),
            (b"\x27\x01k", RecordError::UnknownEffect(0x27)),
            (b"\x6e\x01k", RecordError::UnknownEffect(0x6e)),
            (b"\x70\x01k", RecordError::UnknownEffect(0x70)),
            (b"\x02\xff", RecordError::NotCanonical),
            (b"\x02\x82", RecordError::UnknownEffect(0x82)),
            (b"\x90", RecordError::NotCanonical),
            (b"\x10\x01k\x10\x01k", RecordError::NotCanonical),
            (b"\x10\x01k\x0f\x01\x90", RecordError::NotCanonical),
            (b"\x0f\x20\x10\x01k", RecordError::UnknownDatabase(32)),
            (b"\x06\x00\x20", RecordError::UnknownDatabase(32)),
            (b"\x07\x10\x00", RecordError::UnknownDatabase(16)),
            (b"\x07\x00\x10", RecordError::UnknownDatabase(16)),
            (b"\x0f\x00\x10\x01k", RecordError::NotCanonical),
            (b"\x0f\x01\x02", RecordError::NotCanonical),
            (b"\x0f\x01\x0f\x02\x10\x01k", RecordError::NotCanonical),
            (b"\x09\x01k\x00\x01l", RecordError::NotCanonical),
            (b"\x03\x20\x01", RecordError::UnknownSetting(32)),
            (b"\x10\x83\x00key", RecordError::Number),
            (b"\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", RecordError::Number),
            (b"\x10\x81\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", RecordError::Number),
            (b"\x10\x81\x40", RecordError::TooLong),
            (b"\x20\x01k\x81\x80\x80\x80\x02", RecordError::TooLong),
            (b"\x23\x01k\xff\xff\xff\xff\x01\x02xy", RecordError::TooLong),
            (b"\x24\x01k\xff\xff\xff\xff\x01\x02xy", RecordError::TooLong),
        ];
        for (bytes, error) in cases {
            assert_eq!(read(bytes), Err(*error), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(effects) = read(&bytes) {
                prop_assert_eq!(written(&effects), bytes);
            }
        }
    }
}

//! Writes dump files from the payloads that `DUMP` returns.

use std::io::Write;

use super::file::{DATABASE, END, EXPIRE_MILLIS, NOTE};
use super::write::{HASH, put_length, put_string};
use super::{
    CHECKSUM, CHECKSUM_BYTES, Input, Layout, RdbError, RdbItem, VALKEY_VERSION, ValueLayout, open, read_value,
};
use crate::clock::UnixMillis;
use crate::value::Kind;

/// A hash with fields that expire, as Redis 7.4 writes it.
const HASH_EXPIRING_FIRST: u8 = 24;

/// Bytes behind type and value of a payload: version and checksum.
const SEAL_BYTES: usize = 2 + CHECKSUM_BYTES;

/// Which servers read a file that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Redis since 7.0, and Valkey: fields of hashes lose their expiries.
    Redis,
    /// Redis since 7.4.
    Redis74,
    /// Valkey since 9.0.
    Valkey,
}

impl Dialect {
    const fn magic(self) -> &'static [u8] {
        match self {
            Dialect::Redis => b"REDIS0010",
            Dialect::Redis74 => b"REDIS0012",
            Dialect::Valkey => b"VALKEY080",
        }
    }

    /// The newest version of payloads that are written as they are.
    const fn version(self) -> u32 {
        match self {
            Dialect::Redis => 10,
            Dialect::Redis74 => 12,
            Dialect::Valkey => VALKEY_VERSION,
        }
    }
}

/// What became of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Type of its value.
    pub kind: Kind,
    /// Fields of a hash that expire, and do not in the file.
    pub expiries_lost: u64,
}

/// A dump file that is written; it is none before [`end`](Self::end).
pub struct RdbWriter<W> {
    out: W,
    digest: crc::Digest<'static, u64, crc::Table<16>>,
    dialect: Dialect,
    /// The database of the last key.
    database: Option<u64>,
    bytes: u64,
}

impl<W: Write> RdbWriter<W> {
    /// Begins a file with notes: names and texts for people, and for the servers that know them.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn begin(out: W, dialect: Dialect, notes: &[(&str, String)]) -> Result<Self, RdbError> {
        let mut writer = RdbWriter { out, digest: CHECKSUM.digest(), dialect, database: None, bytes: 0 };
        let mut start = dialect.magic().to_vec();
        for (name, text) in notes {
            start.push(NOTE);
            put_string(&mut start, name.as_bytes());
            put_string(&mut start, text.as_bytes());
        }
        writer.put(&start)?;
        Ok(writer)
    }

    /// Adds a key with its value. Keys of a database are added one after the other.
    ///
    /// # Errors
    /// If the payload is not sound, the dialect has no form for the value, or the file cannot be written.
    pub fn key(
        &mut self,
        database: u64,
        key: &[u8],
        expire: Option<UnixMillis>,
        payload: &[u8],
    ) -> Result<Written, RdbError> {
        let (mut value, version) = open(payload).ok_or(RdbError::Damaged("a payload does not fit its checksum"))?;
        let byte = value.byte()?;
        let Layout::Value(layout) = Layout::of(byte, version)? else {
            return Err(RdbError::Unsupported("a value of a type that there is not here"));
        };
        let mut head = Vec::with_capacity(key.len() + 32);
        if self.database != Some(database) {
            self.database = Some(database);
            head.push(DATABASE);
            put_length(&mut head, database);
        }
        if let Some(at) = expire {
            head.push(EXPIRE_MILLIS);
            head.extend_from_slice(&at.0.to_le_bytes());
        }
        let mut written = Written { kind: layout.kind(), expiries_lost: 0 };
        if layout.expires_fields() && self.dialect != Dialect::Valkey {
            let fields = Fields::of(&value, layout)?;
            if self.dialect == Dialect::Redis {
                written.expiries_lost = fields.expiring;
            }
            self.fields(head, key, value, layout, fields)?;
        } else if version > self.dialect.version() {
            return Err(RdbError::Unsupported("a value of a form that is newer than the file"));
        } else {
            head.push(byte);
            put_string(&mut head, key);
            self.put(&head)?;
            self.put(&payload[1..payload.len() - SEAL_BYTES])?;
        }
        Ok(written)
    }

    /// Adds a hash whose fields expire in the form of Redis: that of 7.4, or without their expiries.
    fn fields(
        &mut self,
        mut out: Vec<u8>,
        key: &[u8],
        mut value: Input<&[u8]>,
        layout: ValueLayout,
        fields: Fields,
    ) -> Result<(), RdbError> {
        let keeps = self.dialect == Dialect::Redis74;
        out.push(if keeps { HASH_EXPIRING_FIRST } else { HASH });
        put_string(&mut out, key);
        if keeps {
            out.extend_from_slice(&fields.first.to_le_bytes());
        }
        put_length(&mut out, fields.count);
        read_value(&mut value, layout, |item| {
            let RdbItem::Field { name, value, expire } = item else { return Ok(()) };
            if keeps {
                // 0 is left for a field that does not expire.
                put_length(&mut out, expire.map_or(0, |at| at.0 - fields.first + 1));
            }
            put_string(&mut out, name);
            put_string(&mut out, value);
            self.put(&out)?;
            out.clear();
            Ok(())
        })
    }

    /// Ends the file. Returns what it was written to, and its length in bytes.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn end(mut self) -> Result<(W, u64), RdbError> {
        self.put(&[END])?;
        let checksum = self.digest.clone().finalize();
        self.put(&checksum.to_le_bytes())?;
        self.out.flush()?;
        Ok((self.out, self.bytes))
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), RdbError> {
        self.out.write_all(bytes)?;
        self.digest.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(())
    }
}

impl<W> std::fmt::Debug for RdbWriter<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RdbWriter").field("dialect", &self.dialect).field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

/// What is known of a hash before its fields are written.
struct Fields {
    count: u64,
    expiring: u64,
    /// The first expiry, in milliseconds since 1970.
    first: u64,
}

impl Fields {
    fn of(value: &Input<&[u8]>, layout: ValueLayout) -> Result<Fields, RdbError> {
        let mut fields = Fields { count: 0, expiring: 0, first: u64::MAX };
        read_value(&mut value.clone(), layout, |item| {
            fields.count += 1;
            if let RdbItem::Field { expire: Some(at), .. } = item {
                fields.expiring += 1;
                fields.first = fields.first.min(at.0);
            }
            Ok::<(), RdbError>(())
        })?;
        Ok(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rdb::file::{FileChecksum, RdbFile};
    use crate::rdb::payload::seal;

    fn payload(bytes: &[u8], version: u16) -> Vec<u8> {
        let mut sealed = bytes.to_vec();
        seal(&mut sealed, version);
        sealed
    }

    /// Fields `a` that never expires, `b` at 70,000 and `c` at 300.
    fn expiring() -> Vec<u8> {
        let mut bytes = b"\x16\x03".to_vec();
        for (field, at) in [(b"\x01a\x011", u64::MAX), (b"\x01b\x012", 70_000), (b"\x01c\x013", 300)] {
            bytes.extend_from_slice(field);
            bytes.extend_from_slice(&at.to_le_bytes());
        }
        payload(&bytes, 80)
    }

    /// A file of two keys, as lines, and what was lost.
    fn written(dialect: Dialect) -> (Vec<String>, u64) {
        let mut writer = RdbWriter::begin(Vec::new(), dialect, &[("ctime", "5".to_owned())]).expect("memory");
        let plain = writer.key(0, b"s", None, &payload(b"\x00\x01v", 9)).expect("it has a form");
        assert_eq!(plain, Written { kind: Kind::String, expiries_lost: 0 });
        let hash = writer.key(3, b"h", Some(UnixMillis(99)), &expiring()).expect("it has a form");
        let (file, bytes) = writer.end().expect("memory");
        assert_eq!(file.len() as u64, bytes);
        assert!(file.starts_with(dialect.magic()));
        let (mut lines, mut key) = (Vec::new(), Vec::new());
        let mut read = RdbFile::open(&file[..], bytes).expect("a file");
        while let Some(head) = read.next_key(&mut key).expect("a key") {
            let Layout::Value(layout) = head.layout else { panic!("a foreign value") };
            let mut items = Vec::new();
            read_value(read.input(), layout, |item| {
                items.push(match item {
                    RdbItem::Field { name, value, expire } => {
                        let text = [name, b"=", value].concat();
                        format!("{}@{:?}", String::from_utf8_lossy(&text), expire.map(|at| at.0))
                    }
                    other => format!("{other:?}"),
                });
                Ok::<(), RdbError>(())
            })
            .expect("a value");
            let at = head.expire.map(|at| at.0);
            lines.push(format!("{} {} {at:?}: {}", head.database, String::from_utf8_lossy(&key), items.join(" ")));
        }
        assert_eq!(read.checksum().expect("it is read"), FileChecksum::Right);
        (lines, hash.expiries_lost)
    }

    #[test]
    fn each_dialect_is_read_back() {
        let text = "0 s None: Text([118])".to_owned();
        let whole = "3 h Some(99): a=1@None b=2@Some(70000) c=3@Some(300)".to_owned();
        assert_eq!(written(Dialect::Valkey), (vec![text.clone(), whole.clone()], 0));
        assert_eq!(written(Dialect::Redis74), (vec![text.clone(), whole], 0));
        let bare = "3 h Some(99): a=1@None b=2@None c=3@None".to_owned();
        assert_eq!(written(Dialect::Redis), (vec![text, bare], 2));
    }

    #[test]
    fn what_is_not_sound_is_refused() {
        let mut writer = RdbWriter::begin(Vec::new(), Dialect::Redis, &[]).expect("memory");
        let mut flipped = payload(b"\x00\x01v", 9);
        flipped[1] ^= 1;
        for (wrong, why) in [
            (flipped, "a payload does not fit its checksum"),
            (payload(b"\x00\x01v", 12), "a value of a form that is newer than the file cannot be read"),
            (payload(b"\x07\x05", 9), "a value of a type that there is not here cannot be read"),
        ] {
            assert_eq!(writer.key(0, b"k", None, &wrong).expect_err("not sound").to_string(), why);
        }
    }
}

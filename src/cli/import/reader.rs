//! The second pass over the file: keys and their parts, made into batches.

use std::io::Read;

use tanist_db_core::clock::UnixMillis;
use tanist_db_core::limits::KEY_BYTES_MAX;
use tanist_db_core::rdb::file::{KeyHead, RdbFile};
use tanist_db_core::rdb::{ForeignLayout, Layout, RdbError, RdbItem, ValueLayout, read_value};

use super::batch::{Batcher, ImportBatch};
use crate::cli::transfer::{LeftOut, Tally};

/// Why the pass has ended before the file.
#[derive(Debug)]
pub(super) enum Halt {
    /// The file is not what the first pass has read.
    Rdb(RdbError),
    /// Nobody takes batches any more.
    Stopped,
}

impl From<RdbError> for Halt {
    fn from(error: RdbError) -> Halt {
        Halt::Rdb(error)
    }
}

/// Reads the file to its end and delivers batches; what has expired at `now` is left out.
pub(super) fn read<R: Read>(
    file: &mut RdbFile<R>,
    now: UnixMillis,
    deliver: impl FnMut(ImportBatch) -> Result<(), Halt>,
) -> Result<Tally, Halt> {
    let mut pass = Pass { batcher: Batcher::new(deliver), tally: Tally::default(), now };
    let mut key = Vec::new();
    while let Some(head) = file.next_key(&mut key)? {
        pass.tally.sees_key();
        match head.layout {
            Layout::Value(layout) => pass.key(file, &key, &head, layout)?,
            Layout::Foreign(layout) => {
                let why = match layout {
                    ForeignLayout::Module => LeftOut::ModuleValues,
                };
                pass.tally.left_out(why, 1, Some(&key));
                layout.skip(file.input())?;
            }
        }
    }
    let beside = file.beside();
    pass.tally.left_out(LeftOut::Functions, beside.functions, None);
    pass.tally.left_out(LeftOut::ModuleData, beside.modules, None);
    pass.batcher.finish()?;
    Ok(pass.tally)
}

struct Pass<D> {
    batcher: Batcher<D>,
    tally: Tally,
    now: UnixMillis,
}

impl<D: FnMut(ImportBatch) -> Result<(), Halt>> Pass<D> {
    fn key<R: Read>(
        &mut self,
        file: &mut RdbFile<R>,
        key: &[u8],
        head: &KeyHead,
        layout: ValueLayout,
    ) -> Result<(), Halt> {
        let unwanted = if head.expire.is_some_and(|at| at <= self.now) {
            Some(LeftOut::ExpiredKeys)
        } else {
            (key.len() > KEY_BYTES_MAX).then_some(LeftOut::LongKeys)
        };
        if let Some(why) = unwanted {
            self.tally.left_out(why, 1, Some(key));
            return read_value(file.input(), layout, |_| Ok(()));
        }
        self.batcher.begin(head.database, key, layout.kind())?;
        let mut parts = 0;
        read_value(file.input(), layout, |item| {
            parts += 1;
            self.part(key, item)
        })?;
        if self.batcher.end(head.expire)? {
            self.tally.moved(layout.kind(), head.database, head.expire.is_some());
        } else if parts == 0 {
            self.tally.left_out(LeftOut::EmptyCollections, 1, Some(key));
        }
        Ok(())
    }

    fn part(&mut self, key: &[u8], item: RdbItem<'_>) -> Result<(), Halt> {
        let (name, expire) = match item {
            RdbItem::Text(_) | RdbItem::Element(_) => (&[][..], None),
            RdbItem::Member(name) | RdbItem::Scored { name, .. } => (name, None),
            RdbItem::Field { name, expire, .. } => (name, expire),
            // Of a stream.
            _ => (&[][..], None),
        };
        let unwanted = if expire.is_some_and(|at| at <= self.now) {
            Some(LeftOut::ExpiredFields)
        } else {
            (name.len() > KEY_BYTES_MAX).then_some(LeftOut::LongNames)
        };
        if let Some(why) = unwanted {
            self.tally.left_out(why, 1, Some(key));
            return Ok(());
        }
        self.batcher.add(item)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_not_imported_is_counted_by_its_reason() {
        let mut dump = b"VALKEY080\xfe\x00".to_vec();
        for entry in [
            &b"\xfc\x0a\0\0\0\0\0\0\0\x00\x04gone\x01v"[..],
            b"\xfc\x0b\0\0\0\0\0\0\0\x00\x05alive\x01v",
            // Fields that expire at 10, at 11 and never.
            b"\x16\x04hash\x03\x01a\x011\x0a\0\0\0\0\0\0\0\x01b\x012\x0b\0\0\0\0\0\0\0\x01c\x013\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\x16\x05empty\x01\x01a\x011\x0a\0\0\0\0\0\0\0",
            b"\x02\x04none\x00",
            b"\x13\x06stream\x00\0\0\0\0\0\0\0\0\x00",
            b"\x07\x06module\x05\x02\x07\x00",
            &[&b"\x00\x60\x01"[..], &[b'k'; 8193], b"\x01v"].concat(),
            &[&b"\x02\x03set\x02\x60\x01"[..], &[b'm'; 8193], b"\x01n"].concat(),
            b"\xf7\x05\x02\x00\x00\xf5\x03lib",
        ] {
            dump.extend_from_slice(entry);
        }
        dump.extend_from_slice(b"\xff\0\0\0\0\0\0\0\0");
        let mut file = RdbFile::open(&dump[..], dump.len() as u64).expect("it begins as a file does");
        let mut commands = 0;
        let tally = read(&mut file, UnixMillis(10), |batch| {
            commands += batch.commands.len();
            Ok(())
        });
        let tally = tally.expect("it is whole");
        assert_eq!((tally.seen(), commands), (9, 10), "SET, DEL HSETEX HSET, DEL XADD XTRIM XSETID, DEL SADD");
        let long = format!("{}...", "k".repeat(40));
        let expected = format!(
            "imported 4 keys in 1.0 s: 1 hash, 1 set, 1 stream, 1 string\nwith an expiry: 1\nin database 0: 4\n\
             left out: keys that had expired: 1 (gone)\n\
             left out: fields of hashes that had expired: 2 (hash, empty)\n\
             left out: collections without a member: 1 (none)\n\
             left out: keys longer than 8192 bytes: 1 ({long})\n\
             left out: fields and members longer than 8192 bytes, of keys that are there without them: 1 (set)\n\
             left out: values that a module has written: 1 (module)\n\
             left out: pieces of data that a module has kept beside the keys: 1\n\
             left out: libraries of functions: 1\n"
        );
        assert_eq!(tally.summary("imported", Duration::from_secs(1)), expected);
    }
}

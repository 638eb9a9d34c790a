//! The second pass over the file: keys and their parts, made into batches.

use std::io::Read;

use tanist_db_core::clock::UnixMillis;
use tanist_db_core::limits::KEY_BYTES_MAX;
use tanist_db_core::rdb::file::{KeyHead, RdbFile};
use tanist_db_core::rdb::{ForeignLayout, Layout, RdbError, RdbItem, ValueLayout, read_value};

use super::batch::{Batcher, ImportBatch};
use super::tally::{LeftOut, Tally};

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
                    ForeignLayout::Stream(_) => LeftOut::Streams,
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
            self.tally.imported(layout.kind(), head.database, head.expire.is_some());
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
        if expire.is_some() {
            // `Batcher` does not send HPEXPIREAT.
            self.tally.left_out(LeftOut::ExpiriesOfFields, 1, Some(key));
        }
        self.batcher.add(item)
    }
}

//! A copy of the durable log: no record in it may ever change or disappear.

use std::sync::Arc;

use tanist_db_core::ids::{Epoch, Lsn};
use tanist_db_core::redo::batch::{BatchView, RedoBatch};
use tanist_replication::vault::disk::Disk;
use tanist_replication::vault::log::Extent;
use tanist_replication::vault::log::reader::LogReader;
use tanist_replication::vault::log::segment::LogFrame;
use tanist_replication::wire::frame::HEADER_BYTES;
use xxhash_rust::xxh3::xxh3_64;

use crate::vault::CLUSTER;

/// All records that were ever durable, in order from record 1.
#[derive(Debug, Default)]
pub(super) struct Truth {
    records: Vec<RecordFacts>,
}

/// A record, as far as it must not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct RecordFacts {
    epoch: u64,
    hash: u64,
}

impl RecordFacts {
    fn of(epoch: Epoch, record: &[u8]) -> RecordFacts {
        RecordFacts { epoch: epoch.0, hash: xxh3_64(record) }
    }
}

impl Truth {
    pub(super) fn durable(&self) -> Lsn {
        Lsn(self.records.len() as u64)
    }

    pub(super) fn committed(&mut self, frame: &LogFrame) -> Result<(), String> {
        let batch = RedoBatch::open(&frame.bytes()[HEADER_BYTES..]).map_err(|error| error.to_string())?;
        self.take(&batch)
    }

    /// Records that are durable: known ones must be the same, new ones follow.
    fn take(&mut self, batch: &BatchView<'_>) -> Result<(), String> {
        for (lsn, record) in batch.records() {
            let this = RecordFacts::of(batch.epoch(), record);
            match self.records.get(lsn.0 as usize - 1) {
                Some(known) if *known != this => return Err(format!("record {lsn} was another one before")),
                Some(_) => {}
                None if lsn == self.durable().next() => self.records.push(this),
                None => return Err(format!("record {lsn} follows {}", self.durable())),
            }
        }
        Ok(())
    }

    pub(super) fn applied(&self, batch: &BatchView<'_>) -> Result<(), String> {
        let epoch = batch.epoch();
        for (lsn, record) in batch.records() {
            if self.records.get(lsn.0 as usize - 1) != Some(&RecordFacts::of(epoch, record)) {
                return Err(format!(
                    "a follower was sent record {lsn} of epoch {epoch}, which the log does not hold so"
                ));
            }
        }
        Ok(())
    }

    /// The epoch of a record that is durable.
    pub(super) fn epoch_of(&self, lsn: Lsn) -> Option<Epoch> {
        self.records.get((lsn.0 as usize).checked_sub(1)?).map(|known| Epoch(known.epoch))
    }

    /// Reads all that a vault has found at its start.
    pub(super) fn found(&mut self, disk: &Arc<dyn Disk>, extent: &Extent) -> Result<(), String> {
        if extent.durable < self.durable() {
            return Err(format!("the log ends at {}, but {} was durable", extent.durable, self.durable()));
        }
        let before = Lsn(extent.oldest.0.saturating_sub(1));
        let mut reader = LogReader::new(Arc::clone(disk), CLUSTER, before);
        for frame in reader.read(extent, usize::MAX).map_err(|error| error.to_string())? {
            self.committed(&frame)?;
        }
        Ok(())
    }
}

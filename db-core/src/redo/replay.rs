//! Replay: which records of a batch a follower applies, and the errors that it may find in them.

use thiserror::Error;

use super::batch::BatchView;
use crate::effect::RecordError;
use crate::ids::{Epoch, Lsn};
use crate::level::LevelError;
use crate::planted::planted;

/// What a batch brought.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// Newest record now applied.
    pub last: Lsn,
    /// Positions of the cut records among those applied, in order.
    pub cuts: Vec<Lsn>,
    /// The newest epoch that began among the records applied.
    pub epoch_start: Option<Epoch>,
}

/// Why a batch cannot be applied. The records before the one at fault are applied.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReplayError {
    /// Records between are missing: fetch them. Another replica may have them.
    #[error("the batch starts at {first} but the newest record applied is {applied}")]
    Gap {
        /// Newest record applied here.
        applied: Lsn,
        /// First record of the batch.
        first: Lsn,
    },
    /// The bytes are not a record: every replica that reads them fails alike.
    #[error("record {lsn} is malformed, as every replica would find: {error}")]
    Record {
        /// Which record.
        lsn: Lsn,
        /// What is wrong with it.
        error: RecordError,
    },
    /// The record contradicts the content: every replica of equal history fails alike; if others do not, this one
    /// has diverged.
    #[error("record {lsn} contradicts the content: {what}; replicas of equal history fail alike")]
    Contradiction {
        /// Which record.
        lsn: Lsn,
        /// The contradiction.
        what: &'static str,
    },
    /// An epoch went back: every replica fails alike.
    #[error("record {lsn} starts epoch {epoch} after epoch {newest}, as every replica would find")]
    EpochBack {
        /// Which record.
        lsn: Lsn,
        /// The epoch that it starts.
        epoch: Epoch,
        /// The newest epoch known before.
        newest: Epoch,
    },
    /// The record is the first of a feature level that this program does not know; a replica of another release goes on.
    #[error("record {lsn} takes the cluster to {error}")]
    Level {
        /// Which record.
        lsn: Lsn,
        /// The level, and what this program knows.
        error: LevelError,
    },
    /// This process's memory is exhausted; a replica with more of it goes on.
    #[error("record {lsn} does not fit into this process's memory bound")]
    OutOfMemory {
        /// Which record.
        lsn: Lsn,
    },
    /// This engine appends records itself.
    #[error("this engine is the one that writes")]
    Writing,
}

/// The records of `batch` that come after `applied`, which may be none: batches are sent again after a reconnection.
///
/// # Errors
/// If records between are missing.
pub(crate) fn unapplied<'a>(
    batch: &BatchView<'a>,
    applied: Lsn,
) -> Result<impl Iterator<Item = (Lsn, &'a [u8])> + use<'a>, ReplayError> {
    if batch.first() > applied.next() {
        return Err(ReplayError::Gap { applied, first: batch.first() });
    }
    let mut known = (applied.next().0 - batch.first().0).min(batch.count() as u64);
    if planted("a record replayed twice") {
        known = known.saturating_sub(1);
    }
    Ok(batch.records().skip(known as usize))
}

#[cfg(test)]
mod tests {
    use super::super::batch::RedoBatch;
    use super::*;

    fn positions(applied: u64) -> Result<Vec<u64>, ReplayError> {
        let bytes = RedoBatch { epoch: 1, first_lsn: 5, ends: vec![1, 2, 3], blob: b"abc".to_vec() }.to_bytes();
        let view = RedoBatch::open(&bytes).unwrap();
        Ok(unapplied(&view, Lsn(applied))?.map(|(lsn, _)| lsn.0).collect())
    }

    #[test]
    fn known_records_are_skipped_and_a_gap_is_an_error() {
        assert_eq!(positions(4), Ok(vec![5, 6, 7]));
        assert_eq!(positions(6), Ok(vec![7]));
        assert_eq!(positions(7), Ok(vec![]));
        assert_eq!(positions(100), Ok(vec![]));
        assert_eq!(positions(3), Err(ReplayError::Gap { applied: Lsn(3), first: Lsn(5) }));
    }
}

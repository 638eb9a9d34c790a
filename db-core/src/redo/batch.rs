//! The layout of a batch of consecutive redo records, as sent to the vault, stored in its segments and sent to followers.
//!
//! One blob and the end of each record within it, so that archiving is two copies and access is a check of bounds. The
//! envelope around it (magic, length, checksum) is the transport's and the segment's; a batch is only ever read through
//! [`RedoBatch::open`], which checks all of it.

use rkyv::{Archive, Archived, Deserialize, Serialize, rancor};
use thiserror::Error;

use crate::ids::{Epoch, Lsn};

/// Consecutive redo records under one epoch.
#[derive(Archive, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[rkyv(derive(Debug))]
pub struct RedoBatch {
    /// Epoch under which the records were decided.
    pub epoch: u64,
    /// Position of the first record; the others follow without a gap.
    pub first_lsn: u64,
    /// End of each record in `blob`, in bytes from its start, not decreasing.
    pub ends: Vec<u32>,
    /// The records' bytes, back to back; see `effect/record.rs`.
    pub blob: Vec<u8>,
}

/// Why bytes are not a redo batch.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum BatchError {
    /// The archive itself is malformed.
    #[error("redo batch: not a valid archive")]
    Archive,
    /// The parts contradict each other.
    #[error("redo batch: {0}")]
    Structure(&'static str),
}

/// A checked view of an archived batch.
#[derive(Clone, Copy, Debug)]
pub struct BatchView<'a> {
    inner: &'a ArchivedRedoBatch,
}

impl RedoBatch {
    /// The batch's archived bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.to_bytes_behind(0)
    }

    /// The batch's archived bytes behind `room` zeros, where an envelope's header goes without another copy.
    #[must_use]
    pub fn to_bytes_behind(&self, room: usize) -> Vec<u8> {
        let rest = size_of::<Archived<RedoBatch>>() + 4 * self.ends.len() + self.blob.len();
        let mut out = Vec::with_capacity(room + rest);
        out.resize(room, 0);
        rkyv::api::high::to_bytes_in::<_, rancor::Error>(self, out).expect("archiving to memory cannot fail")
    }

    /// Checks `bytes` and gives access without copying.
    ///
    /// # Errors
    /// If the archive is malformed, contains no record, or an end lies outside the blob or before its predecessor.
    pub fn open(bytes: &[u8]) -> Result<BatchView<'_>, BatchError> {
        let inner = rkyv::access::<ArchivedRedoBatch, rancor::Error>(bytes).map_err(|_| BatchError::Archive)?;
        if inner.ends.is_empty() {
            return Err(BatchError::Structure("it holds no record"));
        }
        let mut previous = 0;
        for end in inner.ends.iter() {
            let end = end.to_native();
            if end < previous {
                return Err(BatchError::Structure("record ends go back"));
            }
            previous = end;
        }
        if previous as usize != inner.blob.len() {
            return Err(BatchError::Structure("record ends and blob disagree"));
        }
        if inner.first_lsn.to_native() == 0
            || inner.first_lsn.to_native().checked_add(inner.ends.len() as u64).is_none()
        {
            return Err(BatchError::Structure("impossible log position"));
        }
        Ok(BatchView { inner })
    }
}

impl<'a> BatchView<'a> {
    /// Epoch under which the records were decided.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        Epoch(self.inner.epoch.to_native())
    }

    /// Position of the first record.
    #[must_use]
    pub fn first(&self) -> Lsn {
        Lsn(self.inner.first_lsn.to_native())
    }

    /// Position of the last record.
    #[must_use]
    pub fn last(&self) -> Lsn {
        Lsn(self.inner.first_lsn.to_native() + self.inner.ends.len() as u64 - 1)
    }

    /// Number of records, at least 1.
    #[must_use]
    pub fn count(&self) -> usize {
        self.inner.ends.len()
    }

    /// The records with their positions, in order.
    pub fn records(&self) -> impl Iterator<Item = (Lsn, &'a [u8])> + use<'a> {
        let inner = self.inner;
        let mut start = 0;
        inner.ends.iter().enumerate().map(move |(i, end)| {
            let end = end.to_native() as usize;
            let record = &inner.blob[start..end];
            start = end;
            (Lsn(inner.first_lsn.to_native() + i as u64), record)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> RedoBatch {
        RedoBatch { epoch: 3, first_lsn: 7, ends: vec![2, 2, 5], blob: b"abcde".to_vec() }
    }

    #[test]
    fn records_come_back_with_their_positions() {
        let bytes = sample().to_bytes();
        let view = RedoBatch::open(&bytes).unwrap();
        let records: Vec<_> = view.records().collect();
        assert_eq!(records, [(Lsn(7), &b"ab"[..]), (Lsn(8), &b""[..]), (Lsn(9), &b"cde"[..])]);
        assert_eq!((view.epoch(), view.first(), view.last(), view.count()), (Epoch(3), Lsn(7), Lsn(9), 3));
    }

    #[test]
    fn contradictions_are_refused() {
        for (ends, blob) in [(vec![], &b""[..]), (vec![3, 2], b"abc"), (vec![2], b"abc"), (vec![4], b"abc")] {
            let bytes = RedoBatch { epoch: 1, first_lsn: 1, ends, blob: blob.to_vec() }.to_bytes();
            assert!(matches!(RedoBatch::open(&bytes), Err(BatchError::Structure(_))));
        }
        let wrapped = RedoBatch { first_lsn: u64::MAX, ..sample() }.to_bytes();
        assert!(RedoBatch::open(&wrapped).is_err());
        assert_eq!(RedoBatch::open(b"short").err(), Some(BatchError::Archive));
    }
}

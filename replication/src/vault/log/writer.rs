//! Makes groups of frames durable, in the order of the requests; also writes the lease and trims the log.
//!
//! A failure other than a full disk is final: the content of the disk is then unknown, [`LogState::failed`] says so, and nothing
//! more is written. A full disk only refuses the group, and every frame that was queued after it.

use std::sync::Arc;

use parking_lot::Mutex;
use tanist_db_core::ids::{Epoch, Lsn};
use tanist_db_core::planted::planted;

use crate::limits;
use crate::vault::catalog::{LeaseRecord, Records};
use crate::vault::error::StorageError;
use crate::vault::log::recent::Recent;
use crate::vault::log::segment::LogFrame;
use crate::vault::log::{Extent, Log};

/// Groups after which the durable mark is synced although there is no idle moment: some tenths of a second under full load.
const GROUPS_PER_SETTLE: u32 = 1024;

/// What the log writer has achieved.
#[derive(Clone, Debug, Default)]
pub struct LogState {
    /// What is durable, and where.
    pub extent: Extent,
    /// Frames that were refused, counted from the start: whoever sees the number rise must not rely on what it had sent.
    pub refused: u64,
    /// Why the newest of them was.
    pub refused_why: Arc<str>,
    /// Nothing will ever be written again: the process must end.
    pub failed: Option<Arc<str>>,
}

/// The one owner of the log.
#[derive(Debug)]
pub struct LogWriter {
    log: Log,
    records: Records,
    state: LogState,
    recent: Arc<Mutex<Recent>>,
    /// Groups since the mark was last made durable.
    unsettled: u32,
}

impl LogWriter {
    /// A writer that goes on at the log's end.
    #[must_use]
    pub fn new(log: Log, records: Records) -> LogWriter {
        let state = LogState { extent: log.extent(), ..LogState::default() };
        let recent = Arc::new(Mutex::new(Recent::new(limits::RECENT_BYTES)));
        LogWriter { log, records, state, recent, unsettled: 0 }
    }

    /// What has been achieved.
    #[must_use]
    pub const fn state(&self) -> &LogState {
        &self.state
    }

    /// The newest durable frames, for followers.
    #[must_use]
    pub const fn recent(&self) -> &Arc<Mutex<Recent>> {
        &self.recent
    }

    /// Makes a group durable, or refuses all or the end of it, and says so in the state.
    ///
    /// # Errors
    /// If the disk has failed.
    pub fn commit(&mut self, group: Vec<LogFrame>) -> Result<(), StorageError> {
        if group.is_empty() {
            return Ok(());
        }
        let came = group.len();
        let mut end = self.state.extent.durable;
        let frames: Vec<_> = group
            .into_iter()
            // A frame whose predecessor was refused is refused too.
            .filter(|frame| {
                let follows = frame.first == end.next();
                end = if follows { frame.last } else { end };
                follows
            })
            .collect();
        self.refuse(came - frames.len(), None);
        match self.log.commit(&frames) {
            Ok(()) => self.recent.lock().push(&frames),
            Err(StorageError::Full { file }) => self.refuse(frames.len(), Some(StorageError::Full { file })),
            Err(error) => return Err(self.fail(error)),
        }
        self.state.extent = self.log.extent();
        self.unsettled += 1;
        if self.unsettled >= GROUPS_PER_SETTLE {
            self.settle()?;
        }
        Ok(())
    }

    /// Syncs the durable mark if necessary: for idle moments.
    ///
    /// # Errors
    /// If the disk has failed.
    pub fn settle(&mut self) -> Result<(), StorageError> {
        if self.unsettled > 0 {
            self.log.settle().map_err(|error| self.fail(error))?;
            self.unsettled = 0;
        }
        Ok(())
    }

    /// Stores the lease durably; `seal` writes the log's end into it first. Returns the log's end.
    ///
    /// # Errors
    /// If the disk or the catalog has failed.
    pub fn put_lease(&mut self, mut record: LeaseRecord, seal: bool) -> Result<Lsn, StorageError> {
        let end = self.log.extent().durable;
        if seal {
            record.sealed = end.0;
        }
        if planted("epoch not persisted") {
            return Ok(end);
        }
        let put = self.records.put_lease(&record).and_then(|()| self.log.stamp(Epoch(record.epoch)));
        put.map_err(|error| self.fail(error))?;
        Ok(end)
    }

    /// Removes segments that contain nothing newer than `through`. If a removal fails, the segment only takes space: the next
    /// trim tries again.
    pub fn trim(&mut self, through: Lsn) {
        if let Err(error) = self.log.trim(through) {
            tracing::warn!(%error, "could not remove an old log segment");
        }
        self.state.extent = self.log.extent();
    }

    /// Makes everything durable, for a clean stop.
    ///
    /// # Errors
    /// If the disk has failed.
    pub fn close(&mut self) -> Result<(), StorageError> {
        self.log.close().map_err(|error| self.fail(error))
    }

    fn refuse(&mut self, frames: usize, why: Option<StorageError>) {
        self.state.refused += frames as u64;
        if let Some(why) = why {
            self.state.refused_why = why.to_string().into();
        }
    }

    fn fail(&mut self, error: StorageError) -> StorageError {
        self.state.failed = Some(error.to_string().into());
        error
    }
}

#[cfg(test)]
mod tests;

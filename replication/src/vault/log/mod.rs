//! The vault's log: recovery at start, durable appends of groups of frames, trimming of old segments.
//!
//! One thread owns it. What readers may rely on is published in an [`Extent`], which changes only after a sync.

pub mod acknowledge;
pub mod durable_mark;
pub mod feed;
pub mod reader;
pub mod recent;
mod recover;
pub mod segment;
pub mod turn;
pub mod writer;

use std::io;
use std::sync::Arc;

use tanist_db_core::ids::{Epoch, Lsn};
use tanist_db_core::planted::planted;

use crate::limits;
use crate::vault::disk::{Disk, DiskFile, is_full};
use crate::vault::error::StorageError;
use crate::vault::log::durable_mark::{DurableMark, DurablePosition};
use crate::vault::log::segment::{LOG_FOLDER, LogFrame, SEGMENT_HEADER_BYTES, seal_header, segment_path};

/// What is durable, and where it stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// Newest durable record.
    pub durable: Lsn,
    /// Oldest record still there; one more than `durable` if the log has none.
    pub oldest: Lsn,
    /// Bytes of all segments.
    pub bytes: u64,
    /// First position of the newest segment.
    pub segment: Lsn,
    /// Durable bytes of the newest segment, its header included.
    pub segment_bytes: u64,
}

/// A segment other than the newest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Older {
    pub(super) first: Lsn,
    pub(super) bytes: u64,
}

/// The log, open for appending.
#[derive(Debug)]
pub struct Log {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) cluster: u128,
    pub(super) older: Vec<Older>,
    pub(super) first: Lsn,
    pub(super) file: Box<dyn DiskFile>,
    pub(super) bytes: u64,
    /// Length of its file: content, then zeros.
    pub(super) reserved: u64,
    /// Up to here the disk has been written, with records or with zeros.
    pub(super) zeroed: u64,
    pub(super) durable: Lsn,
    /// Newest epoch in any frame.
    pub(super) epoch: Epoch,
    pub(super) mark: DurableMark,
    pub(super) poisoned: Option<String>,
    pub(super) segment_bytes_max: u64,
    pub(super) buffer: Vec<u8>,
}

impl Log {
    /// Opens the log in `disk`, or begins one, with segments of about `segment_bytes_max`. A torn tail, which was never
    /// acknowledged, is cut off.
    ///
    /// # Errors
    /// If anything that was acknowledged is missing or damaged, or the log is another cluster's. Nothing is changed then.
    pub fn open(disk: Arc<dyn Disk>, cluster: u128, segment_bytes_max: u64) -> Result<Self, StorageError> {
        recover::open(disk, cluster, segment_bytes_max)
    }

    /// What is durable.
    #[must_use]
    pub fn extent(&self) -> Extent {
        Extent {
            durable: self.durable,
            oldest: self.older.first().map_or(self.first, |older| older.first),
            bytes: self.older.iter().map(|older| older.bytes).sum::<u64>() + self.bytes,
            segment: self.first,
            segment_bytes: self.bytes,
        }
    }

    /// Newest epoch that the log knows of: in a frame, or stamped.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.epoch.max(self.mark.record().epoch)
    }

    /// Adds `frames`, which follow the log's end and each other without a gap, and returns once they are durable.
    ///
    /// # Errors
    /// [`StorageError::Full`]: nothing was added, and a later call may succeed. Any other: nothing is known about `frames`,
    /// and every further call fails alike.
    pub fn commit(&mut self, frames: &[LogFrame]) -> Result<(), StorageError> {
        let Some(newest) = frames.last() else { return Ok(()) };
        self.check_order(frames);
        self.unless_poisoned()?;
        if self.bytes >= self.segment_bytes_max {
            self.roll()?;
        }
        let path = segment_path(self.first);
        let written = match self.prepare(frames).and_then(|()| self.write(frames)) {
            Ok(bytes) => bytes,
            Err(error) => return Err(self.take_back(&path, error)),
        };
        if !planted("sync skipped") {
            self.file.sync().map_err(|e| self.poison(&path, e))?;
        }
        let record = DurablePosition { durable: newest.last, epoch: self.mark.record().epoch };
        if let Err(error) = self.mark.write(record) {
            // Nobody was told: without room for the mark there is none for the records.
            return Err(if is_full(&error) {
                self.take_back_synced(error)
            } else {
                self.poison(&DurableMark::path(), error)
            });
        }
        self.bytes += written;
        self.durable = newest.last;
        self.epoch = newest.epoch;
        Ok(())
    }

    /// Syncs the durable mark: for idle moments and a clean stop.
    ///
    /// # Errors
    /// As the machine says; the log is then poisoned.
    pub fn settle(&mut self) -> Result<(), StorageError> {
        self.unless_poisoned()?;
        self.mark.sync().map_err(|e| self.poison(&DurableMark::path(), e))
    }

    /// Makes everything durable and gives the room behind the newest segment's end back: for a clean stop.
    ///
    /// # Errors
    /// As [`Log::settle`].
    pub fn close(&mut self) -> Result<(), StorageError> {
        self.settle()?;
        let path = segment_path(self.first);
        self.file.truncate(self.bytes).and_then(|()| self.file.sync()).map_err(|e| self.poison(&path, e))?;
        self.keep_to_end();
        Ok(())
    }

    /// Notes, durably, that `epoch` was granted: should the catalog forget it, the log will not.
    ///
    /// # Errors
    /// [`StorageError::Full`]: it is not noted, and a later call may succeed. Otherwise as [`Log::settle`].
    pub fn stamp(&mut self, epoch: Epoch) -> Result<(), StorageError> {
        self.unless_poisoned()?;
        let record = DurablePosition { durable: self.durable, epoch: epoch.max(self.mark.record().epoch) };
        match self.mark.write(record) {
            Err(error) if is_full(&error) => Err(StorageError::io(&*self.disk, &DurableMark::path(), error)),
            written => written.and_then(|()| self.mark.sync()).map_err(|e| self.poison(&DurableMark::path(), e)),
        }
    }

    /// Removes the segments that contain nothing newer than `through`; never the newest. Returns their number.
    ///
    /// # Errors
    /// As the machine says; some may be gone then, from the oldest on, which does no harm.
    pub fn trim(&mut self, through: Lsn) -> Result<usize, StorageError> {
        let mut removed = 0;
        while let Some(oldest) = self.older.first() {
            let next = self.older.get(1).map_or(self.first, |older| older.first);
            if next > through.next() && !planted("log trimmed beyond the image") {
                break;
            }
            let path = segment_path(oldest.first);
            self.disk.remove_file(&path).map_err(|e| StorageError::io(&*self.disk, &path, e))?;
            self.older.remove(0);
            removed += 1;
        }
        if removed > 0 {
            self.disk.sync_folder(LOG_FOLDER).map_err(|e| StorageError::io(&*self.disk, LOG_FOLDER, e))?;
        }
        Ok(removed)
    }

    fn check_order(&self, frames: &[LogFrame]) {
        let mut end = self.durable;
        for frame in frames {
            assert!(frame.first == end.next() && frame.epoch >= self.epoch, "only frames that follow reach the log");
            end = frame.last;
        }
    }

    fn unless_poisoned(&self) -> Result<(), StorageError> {
        match &self.poisoned {
            None => Ok(()),
            Some(why) => Err(StorageError::Poisoned { why: why.clone() }),
        }
    }

    /// Makes the newest segment's file long enough for `frames` and more, and writes zeros ahead of short groups. Where room
    /// cannot be had, the file grows as it is written; if the disk is full, the write will say so.
    fn prepare(&mut self, frames: &[LogFrame]) -> io::Result<()> {
        let bytes = frames.iter().map(|frame| frame.bytes().len() as u64).sum::<u64>();
        let need = self.bytes + bytes;
        if need > self.reserved {
            let wanted = need.max((need + limits::SEGMENT_RESERVE_BYTES).min(self.segment_bytes_max));
            let had = self.file.reserve(wanted).is_ok();
            self.reserved = if had { wanted } else { need };
        }
        let ahead = (need + limits::SEGMENT_ZERO_BYTES).min(self.reserved);
        if self.zeroed < need && need < ahead && bytes <= limits::SEGMENT_ZERO_BYTES / 4 {
            let from = self.zeroed.max(self.bytes);
            self.file.write_at(from, &vec![0; usize::try_from(ahead - from).expect("a length below a limit fits")])?;
            self.zeroed = ahead;
        }
        self.zeroed = self.zeroed.max(need);
        Ok(())
    }

    /// The newest segment's file ends where its records do.
    fn keep_to_end(&mut self) {
        self.reserved = self.bytes;
        self.zeroed = self.bytes;
    }

    /// Writes the frames after the durable end; returns their length.
    fn write(&mut self, frames: &[LogFrame]) -> io::Result<u64> {
        let mut at = self.bytes;
        self.buffer.clear();
        for frame in frames {
            let bytes = frame.bytes();
            if !self.buffer.is_empty() && self.buffer.len() + bytes.len() > limits::WRITE_BYTES {
                self.file.write_at(at, &self.buffer)?;
                at += self.buffer.len() as u64;
                self.buffer.clear();
            }
            if bytes.len() > limits::WRITE_BYTES {
                self.file.write_at(at, bytes)?;
                at += bytes.len() as u64;
            } else {
                self.buffer.extend_from_slice(bytes);
            }
        }
        if !self.buffer.is_empty() {
            self.file.write_at(at, &self.buffer)?;
            at += self.buffer.len() as u64;
        }
        Ok(at - self.bytes)
    }

    /// After a failed write: if only space is missing, frees the space that was taken.
    fn take_back(&mut self, path: &str, error: io::Error) -> StorageError {
        if !is_full(&error) {
            return self.poison(path, error);
        }
        self.keep_to_end();
        match self.file.truncate(self.bytes) {
            Ok(()) => StorageError::io(&*self.disk, path, error),
            Err(worse) => self.poison(path, worse),
        }
    }

    /// The records are durable, but the durable mark does not say so: frees their space as well, for good. Otherwise the next
    /// start would find records in the log that this process has written over.
    fn take_back_synced(&mut self, error: io::Error) -> StorageError {
        let refusal = self.take_back(&DurableMark::path(), error);
        if let (StorageError::Full { .. }, Err(worse)) = (&refusal, self.file.sync()) {
            return self.poison(&segment_path(self.first), worse);
        }
        refusal
    }

    /// Begins the next segment. The old one is durable to its end, and keeps no zeros behind it.
    fn roll(&mut self) -> Result<(), StorageError> {
        let old = segment_path(self.first);
        self.file.truncate(self.bytes).and_then(|()| self.file.sync()).map_err(|e| self.poison(&old, e))?;
        self.keep_to_end();
        let first = self.durable.next();
        let path = segment_path(first);
        let file = match begin_segment(&*self.disk, self.cluster, first) {
            Ok(file) => file,
            Err(error) if is_full(&error) => return Err(self.take_back_segment(&path, error)),
            Err(error) => return Err(self.poison(&path, error)),
        };
        self.older.push(Older { first: self.first, bytes: self.bytes });
        self.file = file;
        self.first = first;
        self.bytes = SEGMENT_HEADER_BYTES;
        self.keep_to_end();
        Ok(())
    }

    fn take_back_segment(&mut self, path: &str, error: io::Error) -> StorageError {
        match self.disk.remove_file(path) {
            Err(worse) if worse.kind() != io::ErrorKind::NotFound => self.poison(path, worse),
            _ => StorageError::io(&*self.disk, path, error),
        }
    }

    /// After this nothing is written or acknowledged any more: what a failed write or sync left behind is not known.
    fn poison(&mut self, path: &str, source: io::Error) -> StorageError {
        let file = self.disk.name(path);
        self.poisoned = Some(format!("{file}: {source}"));
        StorageError::Io { file, source }
    }
}

/// Makes the segment that starts at `first`, durably, with nothing but its header.
pub(super) fn begin_segment(disk: &dyn Disk, cluster: u128, first: Lsn) -> io::Result<Box<dyn DiskFile>> {
    let mut file = disk.create(&segment_path(first))?;
    file.write_at(0, &seal_header(cluster, first))?;
    file.sync()?;
    if !planted("directory sync skipped") {
        disk.sync_folder(LOG_FOLDER)?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests;

//! Reads the log's files from a position on, for a follower that is further behind than `vault::log::recent` reaches.

use std::io;
use std::sync::Arc;

use tanist_db_core::ids::Lsn;

use crate::vault::disk::Disk;
use crate::vault::error::StorageError;
use crate::vault::log::Extent;
use crate::vault::log::segment::{LOG_FOLDER, LogFrame, Piece, SegmentReader, segment_first};

/// A place in the log. Verifies every frame again before it gives it away.
#[derive(Debug)]
pub struct LogReader {
    disk: Arc<dyn Disk>,
    cluster: u128,
    after: Lsn,
    segment: Option<(Lsn, SegmentReader)>,
}

impl LogReader {
    /// A reader of all records after `after`.
    #[must_use]
    pub const fn new(disk: Arc<dyn Disk>, cluster: u128, after: Lsn) -> Self {
        Self { disk, cluster, after, segment: None }
    }

    /// The newest record given, or that it was told to begin after.
    #[must_use]
    pub const fn after(&self) -> Lsn {
        self.after
    }

    /// About `bytes_max` bytes of the frames that follow, at least one unless all up to `extent.durable` have been given.
    /// The very first may begin before the position asked for.
    ///
    /// # Errors
    /// [`StorageError::Trimmed`] if the records are gone; otherwise if a file cannot be read or is damaged.
    pub fn read(&mut self, extent: &Extent, bytes_max: usize) -> Result<Vec<LogFrame>, StorageError> {
        let mut out = Vec::new();
        let mut bytes = 0;
        while self.after < extent.durable && bytes < bytes_max {
            match self.next(extent)? {
                Some(frame) if frame.last > self.after => {
                    self.after = frame.last;
                    bytes += frame.bytes().len();
                    out.push(frame);
                }
                Some(_) => {}
                None => self.segment = None,
            }
        }
        Ok(out)
    }

    /// The next frame of the current segment; `None` at its end.
    fn next(&mut self, extent: &Extent) -> Result<Option<LogFrame>, StorageError> {
        let disk = Arc::clone(&self.disk);
        let (first, reader) = match &mut self.segment {
            Some(open) => open,
            None => {
                let opened = self.open(extent)?;
                self.segment.insert(opened)
            }
        };
        let bound = bound(extent, *first);
        let ended = |e| StorageError::io(&*disk, &super::segment::segment_path(*first), e);
        reader.extend(bound).map_err(ended)?;
        match reader.next().map_err(ended)? {
            Piece::Frame(frame) if frame.first > self.after.next() => {
                let what = format!("record {} is missing before record {}", self.after.next(), frame.first);
                Err(StorageError::damaged(&*disk, reader.path(), reader.offset(), what))
            }
            Piece::Frame(frame) => Ok(Some(frame)),
            Piece::Foreign(error) => Err(StorageError::unreadable(&*disk, reader.path(), error.into())),
            Piece::Bad(what) => Err(StorageError::damaged(&*disk, reader.path(), reader.offset(), what)),
            Piece::End if *first == extent.segment || *first > self.after => {
                let what = format!("it ends before record {}", self.after.next());
                Err(StorageError::damaged(&*disk, reader.path(), reader.offset(), what))
            }
            Piece::End => Ok(None),
        }
    }

    /// Opens the segment that contains the next record.
    fn open(&self, extent: &Extent) -> Result<(Lsn, SegmentReader), StorageError> {
        let trimmed = || StorageError::Trimmed { oldest: extent.oldest.0 };
        let names = self.disk.list(LOG_FOLDER).map_err(|e| StorageError::io(&*self.disk, LOG_FOLDER, e))?;
        let firsts = names.iter().filter_map(|name| segment_first(name));
        let first = firsts.filter(|first| *first <= self.after.next()).max().ok_or_else(trimmed)?;
        match SegmentReader::open(&*self.disk, self.cluster, first, bound(extent, first)) {
            Ok(reader) => Ok((first, reader)),
            Err(StorageError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Err(trimmed()),
            Err(error) => Err(error),
        }
    }
}

/// Only the newest segment may contain bytes that are not durable yet.
fn bound(extent: &Extent, first: Lsn) -> u64 {
    if first == extent.segment { extent.segment_bytes } else { u64::MAX }
}

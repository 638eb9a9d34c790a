//! What a follower is sent: everything after a position, from memory as far as that reaches back, else from the files.

use std::sync::Arc;

use tanist_db_core::ids::Lsn;

use super::disk::Disk;
use super::error::StorageError;
use super::log::Extent;
use super::log_reader::LogReader;
use super::recent::Recent;
use super::segment::LogFrame;
use crate::limits;
use crate::wire::message::Answer;

/// A follow stream's place in the log.
#[derive(Debug)]
pub struct Feed {
    disk: Arc<dyn Disk>,
    cluster: u128,
    after: Lsn,
    /// Where it stands in the files, while it is too far behind for memory.
    reader: Option<LogReader>,
}

impl Feed {
    /// A feed of all records after `after`, and the answer that begins it.
    ///
    /// # Errors
    /// With the answer that says why there is none.
    pub fn open(disk: Arc<dyn Disk>, cluster: u128, after: Lsn, extent: &Extent) -> Result<(Feed, Answer), Answer> {
        if after > extent.durable {
            let why = format!("you have records up to {after}, but the log ends at {}", extent.durable);
            return Err(Answer::Refused { why });
        }
        if after.next() < extent.oldest {
            return Err(Answer::Trimmed { oldest: extent.oldest.0 });
        }
        Ok((Feed { disk, cluster, after, reader: None }, Answer::Following { durable: extent.durable.0 }))
    }

    /// Newest record given.
    #[must_use]
    pub const fn after(&self) -> Lsn {
        self.after
    }

    /// The next frames, at least one, from memory; `None`: they have to be [read](Feed::reader) from the files. Something newer
    /// is durable.
    pub fn from_memory(&mut self, recent: &Recent) -> Option<Vec<LogFrame>> {
        let frames = recent.after(self.after, limits::LOG_READ_BYTES)?;
        self.reader = None;
        self.gave(&frames);
        Some(frames)
    }

    /// The place in the files, to read on where that may block; to be given back to [`Feed::from_files`].
    #[must_use]
    pub fn reader(&mut self) -> LogReader {
        let after = self.after;
        let reader = self.reader.take().filter(|reader| reader.after() == after);
        reader.unwrap_or_else(|| LogReader::new(Arc::clone(&self.disk), self.cluster, after))
    }

    /// The next frames, as `reader` has read them.
    ///
    /// # Errors
    /// With the answer that ends the stream.
    pub fn from_files(
        &mut self,
        reader: LogReader,
        read: Result<Vec<LogFrame>, StorageError>,
    ) -> Result<Vec<LogFrame>, Answer> {
        self.reader = Some(reader);
        let frames = read.map_err(|error| match error {
            StorageError::Trimmed { oldest } => Answer::Trimmed { oldest },
            error => Answer::Refused { why: error.to_string() },
        })?;
        self.gave(&frames);
        Ok(frames)
    }

    fn gave(&mut self, frames: &[LogFrame]) {
        self.after = frames.last().map_or(self.after, |newest| newest.last);
    }
}

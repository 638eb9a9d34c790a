//! What to send to a follower: all records after a position, from memory as far as that reaches back, otherwise from the files.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tanist_db_core::ids::Lsn;

use crate::limits;
use crate::vault::disk::Disk;
use crate::vault::error::StorageError;
use crate::vault::log::Extent;
use crate::vault::log::acknowledge::stopped;
use crate::vault::log::reader::LogReader;
use crate::vault::log::recent::Recent;
use crate::vault::log::segment::LogFrame;
use crate::vault::log::writer::LogState;
use crate::wire::message::Answer;

/// What a follower is to get next.
#[derive(Debug)]
pub enum FeedStep {
    /// These frames; then ask again.
    Send(Vec<LogFrame>),
    /// What this reads from the files, where that may block; to be given back to [`Feed::from_files`], for the frames.
    Read(LogReader),
    /// This: it has all that is durable. Ask again after [`FOLLOW_PAUSE`](limits::FOLLOW_PAUSE), and when more is durable.
    CaughtUp(Answer),
    /// Nothing until more is durable.
    Wait,
}

/// A follow stream's place in the log. Nothing is queued for a follower: it is sent what it is ready to take.
#[derive(Debug)]
pub struct Feed {
    disk: Arc<dyn Disk>,
    cluster: u128,
    after: Lsn,
    /// Newest position of which it was told that it has all before it.
    told: Lsn,
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
        Ok((Feed { disk, cluster, after, told: after, reader: None }, Answer::Following { durable: extent.durable.0 }))
    }

    /// The next step towards what is durable in `state`.
    ///
    /// # Errors
    /// With the answer that ends the stream.
    pub fn step(&mut self, state: &LogState, recent: &Recent) -> Result<FeedStep, Answer> {
        if state.failed.is_some() {
            return Err(stopped());
        }
        if self.after < state.extent.durable {
            let Some(frames) = recent.after(self.after, limits::LOG_READ_BYTES) else {
                return Ok(FeedStep::Read(self.reader()));
            };
            self.reader = None;
            self.gave(&frames);
            return Ok(FeedStep::Send(frames));
        }
        if self.told < self.after {
            self.told = self.after;
            return Ok(FeedStep::CaughtUp(Answer::Durable { lsn: self.after.0 }));
        }
        Ok(FeedStep::Wait)
    }

    /// Its place in the files.
    fn reader(&mut self) -> LogReader {
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

/// `frames` as they are written to a stream: in few pieces. For each packet quinn searches the pieces that are not acknowledged one by one,
/// so ten thousand frames of a hundred bytes in a window would keep the vault's thread from all appends for hundreds of milliseconds.
#[must_use]
pub fn pieces(frames: &[LogFrame]) -> Vec<Bytes> {
    let mut pieces = Vec::new();
    let mut joined = BytesMut::new();
    for (at, frame) in frames.iter().enumerate() {
        let bytes = frame.bytes();
        let is_alone = joined.is_empty() && at + 1 == frames.len();
        if is_alone || bytes.len() >= limits::FOLLOW_PIECE_BYTES {
            pieces.extend((!joined.is_empty()).then(|| joined.split().freeze()));
            pieces.push(bytes.clone());
        } else {
            joined.extend_from_slice(bytes);
        }
    }
    pieces.extend((!joined.is_empty()).then(|| joined.freeze()));
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::catalog::{CatalogMemory, Records};
    use crate::vault::disk::sim::DiskSim;
    use crate::vault::log::Log;
    use crate::vault::log::writer::LogWriter;
    use crate::vault::testing::frame;

    const CLUSTER: u128 = 3;

    fn writer(disk: &DiskSim) -> LogWriter {
        let log = Log::open(Arc::new(disk.clone()), CLUSTER, 300).unwrap();
        LogWriter::new(log, Records::new(Arc::new(CatalogMemory::default())))
    }

    fn feed(disk: &DiskSim, writer: &LogWriter, after: u64) -> Feed {
        Feed::open(Arc::new(disk.clone()), CLUSTER, Lsn(after), &writer.state().extent).unwrap().0
    }

    fn step(feed: &mut Feed, writer: &LogWriter) -> FeedStep {
        feed.step(writer.state(), &writer.recent().lock()).unwrap()
    }

    #[test]
    fn who_is_close_behind_is_fed_from_memory_and_told_once_that_it_has_caught_up() {
        let disk = DiskSim::new(1);
        let mut writer = writer(&disk);
        let mut feed = feed(&disk, &writer, 0);
        assert!(matches!(step(&mut feed, &writer), FeedStep::Wait), "there is nothing");
        for first in [1, 2] {
            writer.commit(vec![frame(1, first, 1)]).unwrap();
            let FeedStep::Send(frames) = step(&mut feed, &writer) else { panic!() };
            assert_eq!(frames, [frame(1, first, 1)]);
            let FeedStep::CaughtUp(answer) = step(&mut feed, &writer) else { panic!() };
            assert_eq!(answer, Answer::Durable { lsn: first });
            assert!(matches!(step(&mut feed, &writer), FeedStep::Wait));
        }
    }

    #[test]
    fn small_frames_are_sent_together_and_large_ones_as_they_are() {
        let small: Vec<LogFrame> = (1..=1_000).map(|first| frame(1, first, 1)).collect();
        let large = frame(1, 1_001, 5_000);
        assert!(large.bytes().len() >= limits::FOLLOW_PIECE_BYTES);
        let alone = std::slice::from_ref(&small[0]);
        assert_eq!(pieces(alone)[0].as_ptr(), alone[0].bytes().as_ptr(), "one frame is not copied");
        assert_eq!(pieces(&small).len(), 1);
        let all = [&small[..], std::slice::from_ref(&large), &small[..2]].concat();
        let sent = pieces(&all);
        assert_eq!((sent.len(), sent[1].as_ptr()), (3, large.bytes().as_ptr()));
        assert_eq!(sent.concat(), all.iter().flat_map(|frame| frame.bytes().to_vec()).collect::<Vec<u8>>());
        assert!(pieces(&[]).is_empty());
    }

    #[test]
    fn who_is_far_behind_is_fed_from_the_files_first() {
        let disk = DiskSim::new(1);
        let mut older = writer(&disk);
        older.commit(vec![frame(1, 1, 2), frame(1, 3, 1)]).unwrap();
        older.close().unwrap();
        drop(older);
        let mut writer = writer(&disk);
        let mut feed = feed(&disk, &writer, 0);
        let mut given = Vec::new();
        while given.len() < 2 {
            let FeedStep::Read(mut reader) = step(&mut feed, &writer) else { panic!() };
            let read = reader.read(&writer.state().extent, 1);
            given.extend(feed.from_files(reader, read).unwrap());
        }
        assert_eq!(given, [frame(1, 1, 2), frame(1, 3, 1)]);
        writer.commit(vec![frame(1, 4, 1)]).unwrap();
        assert!(matches!(step(&mut feed, &writer), FeedStep::Send(_)));
        assert!(matches!(step(&mut feed, &writer), FeedStep::CaughtUp(Answer::Durable { lsn: 4 })));
    }
}

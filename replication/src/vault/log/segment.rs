//! One file of the log: a header, then frames exactly as they came over the wire.
//!
//! `log/<position of its first record, 20 digits>.seg`:
//!
//! | at | bytes | field | guards against |
//! |---|---|---|---|
//! | 0 | 4 | magic `TNSG` | a foreign file |
//! | 4 | 1 | format version, 1 | a file of another version |
//! | 5 | 3 | reserved, 0 | use of what this version does not know |
//! | 8 | 16 | cluster | a file of another cluster |
//! | 24 | 8 | position of the first record | a file under another's name |
//! | 32 | 4 | reserved, 0 | as above |
//! | 36 | 4 | CRC-32C of the bytes before | damage to any of it |
//! | 40 | | frames of kind `Batch`, back to back | |

use std::io;

use bytes::{Bytes, BytesMut};
use tanist_db_core::ids::{Epoch, Lsn};
use tanist_db_core::level::FormatError;
use tanist_db_core::planted::planted;
use tanist_db_core::redo::batch::{BatchError, RedoBatch};
use thiserror::Error;

use crate::limits;
use crate::vault::disk::{Disk, DiskFile};
use crate::vault::error::StorageError;
use crate::vault::layout::{Unreadable, u32_at, u64_at, u128_at};
use crate::wire::frame::{Frame, FrameError, FrameHeader, FrameKind, HEADER_BYTES};

/// Length of a segment's header.
pub const SEGMENT_HEADER_BYTES: u64 = 40;

const MAGIC: [u8; 4] = *b"TNSG";
const VERSION: u8 = 1;

/// The folder of all segments.
pub(crate) const LOG_FOLDER: &str = "log";

/// Path of the segment whose first record is `first`.
#[must_use]
pub fn segment_path(first: Lsn) -> String {
    format!("{LOG_FOLDER}/{:020}.seg", first.0)
}

/// The position in a segment's name, if `name` is one.
#[must_use]
pub fn segment_first(name: &str) -> Option<Lsn> {
    let digits = name.strip_suffix(".seg")?;
    let proper = digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit());
    proper.then(|| digits.parse().ok().map(Lsn)).flatten()
}

/// The header of the segment that starts at `first`.
#[must_use]
pub fn seal_header(cluster: u128, first: Lsn) -> [u8; SEGMENT_HEADER_BYTES as usize] {
    let mut header = [0; SEGMENT_HEADER_BYTES as usize];
    header[..4].copy_from_slice(&MAGIC);
    header[4] = VERSION;
    header[8..24].copy_from_slice(&cluster.to_le_bytes());
    header[24..32].copy_from_slice(&first.0.to_le_bytes());
    let crc = crc32c::crc32c(&header[..36]);
    header[36..].copy_from_slice(&crc.to_le_bytes());
    header
}

/// What a valid header says: the cluster and the first position.
///
/// # Errors
/// What is wrong with it.
pub fn open_header(header: &[u8]) -> Result<(u128, Lsn), Unreadable> {
    if header.len() < SEGMENT_HEADER_BYTES as usize {
        return Err(Unreadable::Damaged("the header is cut short"));
    }
    if header[..4] != MAGIC {
        return Err(Unreadable::Damaged("it does not start with TNSG"));
    }
    if u32_at(header, 36) != crc32c::crc32c(&header[..36]) {
        return Err(Unreadable::Damaged("the header's checksum does not match"));
    }
    FormatError::check(header[4].into(), VERSION.into())?;
    if header[5..8] != [0; 3] || header[32..36] != [0; 4] {
        return Err(Unreadable::Damaged("a reserved field of the header is not zero"));
    }
    Ok((u128_at(header, 8), Lsn(u64_at(header, 24))))
}

/// A whole and checked frame of the log: the very bytes, and what they say of themselves. Clones share the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFrame {
    bytes: Bytes,
    /// Epoch under which its records were decided.
    pub epoch: Epoch,
    /// Position of its first record.
    pub first: Lsn,
    /// Position of its last record.
    pub last: Lsn,
}

/// Why a frame does not belong into the log.
#[derive(Debug, Error)]
pub enum LogFrameError {
    /// The envelope.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The batch in it.
    #[error(transparent)]
    Batch(#[from] BatchError),
}

impl LogFrame {
    /// Looks into a frame that came over the wire, whose checksums its reader has verified.
    ///
    /// # Errors
    /// If it is not a valid redo batch.
    pub fn of(frame: Frame) -> Result<Self, LogFrameError> {
        let frame = frame.expect(FrameKind::Batch)?;
        Ok(Self::looked_into(frame.into_bytes())?)
    }

    /// Checks the frame that fills `bytes` exactly, as found in a file.
    ///
    /// # Errors
    /// If it is damaged, or not a redo batch.
    pub fn open(bytes: Bytes) -> Result<Self, LogFrameError> {
        if planted("torn tail accepted") {
            return Ok(Self::looked_into(bytes)?);
        }
        Self::of(Frame::open(bytes)?)
    }

    fn looked_into(bytes: Bytes) -> Result<Self, BatchError> {
        let batch = RedoBatch::open(&bytes[HEADER_BYTES..])?;
        let (epoch, first, last) = (batch.epoch(), batch.first(), batch.last());
        Ok(Self { bytes, epoch, first, last })
    }

    /// Header and body.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

/// What a segment contains at a reader's position.
#[derive(Debug)]
pub enum Piece {
    /// A sound frame; the reader stands behind it.
    Frame(LogFrame),
    /// Nothing more, up to the reader's bound.
    End,
    /// A frame of a format version that this program does not know; the reader still stands before it.
    Foreign(FormatError),
    /// Something that is not a sound frame; the reader still stands before it.
    Bad(String),
}

/// Reads a segment's frames in order, verifying all of each.
#[derive(Debug)]
pub struct SegmentReader {
    file: Box<dyn DiskFile>,
    path: String,
    offset: u64,
    bound: u64,
    /// The file's bytes from `offset` on, as far as they have been read.
    ahead: BytesMut,
}

impl SegmentReader {
    /// Opens the segment that starts at `first` and checks its header. Reads nothing at or behind byte `bound`, but never
    /// behind the file's end.
    ///
    /// # Errors
    /// If the file cannot be read, is damaged, or another cluster's.
    pub fn open(disk: &dyn Disk, cluster: u128, first: Lsn, bound: u64) -> Result<Self, StorageError> {
        let path = segment_path(first);
        let file = disk.open(&path).map_err(|e| StorageError::io(disk, &path, e))?;
        let mut header = [0; SEGMENT_HEADER_BYTES as usize];
        let read = file.read_at(0, &mut header).map_err(|e| StorageError::io(disk, &path, e))?;
        let (found, named) = open_header(&header[..read]).map_err(|why| StorageError::unreadable(disk, &path, why))?;
        if found != cluster {
            return Err(StorageError::OtherCluster { file: disk.name(&path), found, wanted: cluster });
        }
        if named != first {
            let what = format!("its header says that it starts at record {named}");
            return Err(StorageError::damaged(disk, &path, 24, what));
        }
        let mut reader = Self { file, path, offset: SEGMENT_HEADER_BYTES, bound: 0, ahead: BytesMut::new() };
        reader.extend(bound).map_err(|e| StorageError::io(disk, &reader.path, e))?;
        Ok(reader)
    }

    /// Lets the reader go on up to byte `bound`, as far as the file goes.
    ///
    /// # Errors
    /// If the file's length cannot be had.
    pub fn extend(&mut self, bound: u64) -> io::Result<()> {
        self.bound = bound.min(self.file.len()?);
        Ok(())
    }

    /// Where the next frame starts, in bytes from the file's start.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// The file's path within the vault's folder.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The next piece.
    ///
    /// # Errors
    /// If the file cannot be read.
    #[expect(clippy::should_implement_trait, reason = "it has four outcomes and three kinds of failure")]
    pub fn next(&mut self) -> io::Result<Piece> {
        if self.offset >= self.bound {
            return Ok(Piece::End);
        }
        self.fill(HEADER_BYTES)?;
        let header = match FrameHeader::parse(&self.ahead) {
            Ok(header) => header,
            Err(FrameError::Version(error)) => return Ok(Piece::Foreign(error)),
            Err(error) => return Ok(Piece::Bad(error.to_string())),
        };
        self.fill(header.frame_bytes())?;
        if self.ahead.len() < header.frame_bytes() {
            let have = self.ahead.len();
            return Ok(Piece::Bad(FrameError::Short { have, need: header.frame_bytes() }.to_string()));
        }
        // A copy that survives the check is split off; a bad frame stays where it is.
        match LogFrame::open(Bytes::copy_from_slice(&self.ahead[..header.frame_bytes()])) {
            Ok(frame) => {
                let _ = self.ahead.split_to(header.frame_bytes());
                self.offset += header.frame_bytes() as u64;
                Ok(Piece::Frame(frame))
            }
            Err(error) => Ok(Piece::Bad(error.to_string())),
        }
    }

    /// Reads on until `need` bytes are at hand, or the bound is reached. A frame's length is believed only after its own
    /// checksum, and memory grows by what the file really contains.
    fn fill(&mut self, need: usize) -> io::Result<()> {
        if self.ahead.len() >= need {
            return Ok(());
        }
        let from = self.offset + self.ahead.len() as u64;
        let want = (need - self.ahead.len()).max(limits::WRITE_BYTES) as u64;
        let take = usize::try_from(want.min(self.bound - from)).expect("bounded by a frame's length");
        let have = self.ahead.len();
        self.ahead.resize(have + take, 0);
        let read = self.file.read_at(from, &mut self.ahead[have..])?;
        self.ahead.truncate(have + read);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::disk::sim::DiskSim;
    use crate::vault::testing::{chunk, frame};

    #[test]
    fn names_are_exact() {
        assert_eq!(segment_first("00000000000000000077.seg"), Some(Lsn(77)));
        assert_eq!(segment_path(Lsn(77)), "log/00000000000000000077.seg");
        for name in [
            "77.seg",
            "0000000000000000077.seg",
            "000000000000000000077.seg",
            "+0000000000000000077.seg",
            "00000000000000000077",
            "00000000000000000077.seg.old",
            "99999999999999999999.seg",
            "durable",
        ] {
            assert_eq!(segment_first(name), None, "{name}");
        }
    }

    #[test]
    fn a_header_of_another_version_and_one_that_uses_what_is_reserved_are_refused() {
        let resealed = |at: usize| {
            let mut header = seal_header(1, Lsn(1));
            header[at] += 1;
            let crc = crc32c::crc32c(&header[..36]);
            header[36..].copy_from_slice(&crc.to_le_bytes());
            open_header(&header).map_err(|why| why.to_string())
        };
        assert_eq!(
            resealed(4).unwrap_err(),
            "it has format version 2, and this program knows version 1: start the release that wrote it, or a newer one"
        );
        for at in (5..8).chain(32..36) {
            assert!(resealed(at).unwrap_err().contains("reserved"), "byte {at}");
        }
        assert!(resealed(0).unwrap_err().contains("TNSG"));
        assert!(open_header(&seal_header(1, Lsn(1))[..39]).unwrap_err().to_string().contains("cut short"));
    }

    #[test]
    fn only_redo_batches_belong_into_the_log() {
        let other = chunk(1, 100);
        assert!(matches!(LogFrame::of(other.clone()), Err(LogFrameError::Frame(_))));
        assert!(matches!(LogFrame::open(other.into_bytes()), Err(LogFrameError::Frame(_))));
        let empty = crate::wire::frame::seal(FrameKind::Batch, b"no batch");
        assert!(matches!(LogFrame::open(empty), Err(LogFrameError::Batch(_))));
    }

    /// What stands behind the bound may be written at this moment: nothing of it is looked at.
    #[test]
    fn a_reader_stops_at_its_bound_and_goes_on_when_that_is_moved() {
        let disk = DiskSim::new(1);
        disk.make_folder(LOG_FOLDER).unwrap();
        let (one, two) = (frame(1, 1, 2), frame(1, 3, 1));
        let mut file = disk.create(&segment_path(Lsn(1))).unwrap();
        file.write_at(0, &[&seal_header(9, Lsn(1)), &one.bytes()[..], &two.bytes()[..]].concat()).unwrap();
        let first_end = SEGMENT_HEADER_BYTES + one.bytes().len() as u64;
        let end = first_end + two.bytes().len() as u64;
        let mut reader = SegmentReader::open(&disk, 9, Lsn(1), SEGMENT_HEADER_BYTES).unwrap();
        assert!(matches!(reader.next().unwrap(), Piece::End));
        reader.extend(first_end - 1).unwrap();
        assert!(matches!(reader.next().unwrap(), Piece::Bad(_)), "it does not look behind the bound for the rest");
        for bound in [first_end, end] {
            reader.extend(bound).unwrap();
            let piece = reader.next().unwrap();
            assert!(matches!(&piece, Piece::Frame(frame) if [&one, &two].contains(&frame)), "{piece:?}");
            assert_eq!(reader.offset(), bound);
            assert!(matches!(reader.next().unwrap(), Piece::End));
        }
        reader.extend(u64::MAX).unwrap();
        assert!(matches!(reader.next().unwrap(), Piece::End), "nor behind the file's end");
    }

    #[test]
    fn a_segment_of_another_cluster_or_under_anothers_name_is_refused() {
        let disk = DiskSim::new(1);
        disk.make_folder(LOG_FOLDER).unwrap();
        disk.create(&segment_path(Lsn(5))).unwrap().write_at(0, &seal_header(9, Lsn(1))).unwrap();
        let other = SegmentReader::open(&disk, 8, Lsn(5), u64::MAX).unwrap_err();
        assert!(matches!(other, StorageError::OtherCluster { found: 9, wanted: 8, .. }), "{other}");
        let misplaced = SegmentReader::open(&disk, 9, Lsn(5), u64::MAX).unwrap_err().to_string();
        assert!(misplaced.contains("starts at record 1"), "{misplaced}");
    }
}

//! Recovery: finds the valid end of the log at start.
//!
//! Everything is read before anything is changed. The durable mark (see `vault::log::durable_mark`) says how far records were
//! acknowledged. Up to there every byte must be valid, every segment must follow its predecessor, and epochs must not go back;
//! anything else is bit rot, and the vault refuses to start. After it an invalid frame is a torn write: it was never acknowledged
//! and is truncated. Valid frames after the mark are kept: they were accepted and may have been synced, but nobody was promised
//! anything about them.

use std::io;
use std::sync::Arc;

use tanist_db_core::ids::{Epoch, Lsn};
use tanist_db_core::planted::planted;

use crate::limits;
use crate::vault::disk::{Disk, DiskFile};
use crate::vault::error::StorageError;
use crate::vault::layout::Unreadable;
use crate::vault::log::durable_mark::{DurableMark, DurablePosition};
use crate::vault::log::segment::{
    LOG_FOLDER, Piece, SEGMENT_HEADER_BYTES, SegmentReader, open_header, segment_first, segment_path,
};
use crate::vault::log::{Log, Older, begin_segment};

/// What a look at all segments has found.
#[derive(Debug)]
struct Survey {
    segments: Vec<Older>,
    end: Lsn,
    epoch: Epoch,
    /// The newest segment's sound length, if bytes behind it are torn; nothing is said of them if they are zeros.
    torn_at: Option<(u64, Option<String>)>,
    /// Where in the newest segment begins what nobody was told of; its header is part of that if all frames are.
    untold_at: u64,
    /// A newest segment whose making a crash interrupted: it contains nothing.
    stillborn: Option<Lsn>,
}

pub(in crate::vault) fn open(disk: Arc<dyn Disk>, cluster: u128, segment_bytes_max: u64) -> Result<Log, StorageError> {
    make_log_folder(&*disk)?;
    let firsts = list_segments(&*disk)?;
    let mark = read_durable_mark(&*disk, cluster, &firsts)?;
    let record = mark.map_or(DurablePosition::default(), |(_, record)| record);
    let survey = survey(&*disk, cluster, &firsts, record.durable)?;
    repair(&*disk, &survey)?;
    let mark = match mark {
        Some((sequence, record)) => DurableMark::open(&*disk, cluster, sequence, record)?,
        None => DurableMark::create(&*disk, cluster, record)?,
    };
    resume(disk, cluster, survey, mark, segment_bytes_max)
}

fn make_log_folder(disk: &dyn Disk) -> Result<(), StorageError> {
    let make = || {
        disk.make_folder(LOG_FOLDER)?;
        disk.sync_folder("")
    };
    make().map_err(|e| StorageError::io(disk, LOG_FOLDER, e))
}

fn list_segments(disk: &dyn Disk) -> Result<Vec<Lsn>, StorageError> {
    let names = disk.list(LOG_FOLDER).map_err(|e| StorageError::io(disk, LOG_FOLDER, e))?;
    Ok(names.iter().filter_map(|name| segment_first(name)).collect())
}

/// The durable mark; `None` if this is a new log. It is created before the first segment, so a log without one has lost it.
fn read_durable_mark(
    disk: &dyn Disk,
    cluster: u128,
    firsts: &[Lsn],
) -> Result<Option<(u64, DurablePosition)>, StorageError> {
    let path = DurableMark::path();
    match DurableMark::read(disk, cluster) {
        Err(StorageError::Damaged { .. }) if firsts.is_empty() => {
            tracing::warn!(file = disk.name(&path), "a crash interrupted the creation of the log; creating it again");
            disk.remove_file(&path).map_err(|e| StorageError::io(disk, &path, e))?;
            Ok(None)
        }
        Ok(None) if !firsts.is_empty() => {
            Err(StorageError::damaged(disk, &path, 0, "it is missing, though there are log segments"))
        }
        Ok(Some((_, record))) if firsts.is_empty() && record.durable > Lsn::ZERO => {
            let what = format!("records up to {} were acknowledged, but there is no segment", record.durable);
            Err(StorageError::damaged(disk, LOG_FOLDER, 0, what))
        }
        other => other,
    }
}

fn survey(disk: &dyn Disk, cluster: u128, firsts: &[Lsn], durable: Lsn) -> Result<Survey, StorageError> {
    let mut survey = Survey {
        segments: Vec::new(),
        end: Lsn::ZERO,
        epoch: Epoch::ZERO,
        torn_at: None,
        untold_at: 0,
        stillborn: None,
    };
    for (i, &first) in firsts.iter().enumerate() {
        let newest = i + 1 == firsts.len();
        if newest && is_stillborn(disk, cluster, first)? {
            survey.stillborn = Some(first);
            break;
        }
        survey_segment(disk, cluster, first, newest, durable, &mut survey)?;
    }
    if survey.end < durable {
        let path = survey.segments.last().map_or(LOG_FOLDER.to_owned(), |segment| segment_path(segment.first));
        let offset = survey.segments.last().map_or(0, |segment| segment.bytes);
        let what = format!("the log ends at record {}, but records up to {durable} were acknowledged", survey.end);
        return Err(StorageError::damaged(disk, &path, offset, what));
    }
    Ok(survey)
}

/// Whether a crash interrupted the making of this newest segment. Its header is durable before any frame is written, so a
/// file that contains more than a header is not excused.
fn is_stillborn(disk: &dyn Disk, cluster: u128, first: Lsn) -> Result<bool, StorageError> {
    let path = segment_path(first);
    let look = || {
        let file = disk.open(&path)?;
        let mut header = [0; SEGMENT_HEADER_BYTES as usize];
        let read = file.read_at(0, &mut header)?;
        io::Result::Ok((file.len()?, header, read))
    };
    let (len, header, read) = look().map_err(|e| StorageError::io(disk, &path, e))?;
    match open_header(&header[..read]) {
        Ok((found, _)) if found != cluster => {
            Err(StorageError::OtherCluster { file: disk.name(&path), found, wanted: cluster })
        }
        Ok(_) => Ok(false),
        Err(Unreadable::Damaged(_)) => Ok(len <= SEGMENT_HEADER_BYTES),
        Err(why) => Err(StorageError::unreadable(disk, &path, why)),
    }
}

fn survey_segment(
    disk: &dyn Disk,
    cluster: u128,
    first: Lsn,
    newest: bool,
    durable: Lsn,
    survey: &mut Survey,
) -> Result<(), StorageError> {
    let mut reader = SegmentReader::open(disk, cluster, first, u64::MAX)?;
    if survey.segments.is_empty() {
        survey.end = Lsn(first.0.saturating_sub(1));
    } else if first != survey.end.next() {
        let what = format!("it starts at record {first}, but the segment before it ends at record {}", survey.end);
        return Err(StorageError::damaged(disk, reader.path(), 24, what));
    }
    survey.untold_at = 0;
    loop {
        let offset = reader.offset();
        let bad = match reader.next().map_err(|e| StorageError::io(disk, reader.path(), e))? {
            Piece::End => break,
            // No torn tail: its header's checksum is right.
            Piece::Foreign(error) => return Err(StorageError::unreadable(disk, reader.path(), error.into())),
            Piece::Bad(what) => what,
            Piece::Frame(frame) if frame.first == survey.end.next() && frame.epoch >= survey.epoch => {
                survey.end = frame.last;
                survey.epoch = frame.epoch;
                if frame.last <= durable {
                    survey.untold_at = reader.offset();
                }
                continue;
            }
            Piece::Frame(frame) => format!(
                "records {} to {} of epoch {} cannot follow record {} of epoch {}",
                frame.first, frame.last, frame.epoch, survey.end, survey.epoch
            ),
        };
        if !newest || survey.end < durable {
            return Err(StorageError::damaged(disk, reader.path(), offset, bad));
        }
        let unwritten =
            only_zeros(disk, reader.path(), offset).map_err(|e| StorageError::io(disk, reader.path(), e))?;
        survey.torn_at = Some((offset, (!unwritten).then_some(bad)));
        break;
    }
    // A sound frame that does not follow has been read, and is cut off like a torn one.
    let bytes = survey.torn_at.as_ref().map_or(reader.offset(), |(offset, _)| *offset);
    survey.segments.push(Older { first, bytes });
    Ok(())
}

/// Whether the file contains nothing but zeros from `offset` on: room that was taken for frames to come.
fn only_zeros(disk: &dyn Disk, path: &str, mut offset: u64) -> io::Result<bool> {
    let file = disk.open(path)?;
    let mut bytes = vec![0; limits::WRITE_BYTES];
    loop {
        let read = file.read_at(offset, &mut bytes)?;
        if bytes[..read].iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
        if read < bytes.len() {
            return Ok(true);
        }
        offset += read as u64;
    }
}

/// Cuts off what a crash left behind, durably.
fn repair(disk: &dyn Disk, survey: &Survey) -> Result<(), StorageError> {
    if let Some(first) = survey.stillborn {
        let path = segment_path(first);
        tracing::warn!(file = disk.name(&path), "a crash interrupted the creation of this segment; removing it");
        let remove = || {
            disk.remove_file(&path)?;
            disk.sync_folder(LOG_FOLDER)
        };
        remove().map_err(|e| StorageError::io(disk, &path, e))?;
    }
    if let (Some((offset, what)), Some(newest)) = (&survey.torn_at, survey.segments.last()) {
        let path = segment_path(newest.first);
        if let Some(what) = what {
            tracing::warn!(
                file = disk.name(&path),
                offset,
                what,
                "cutting off a torn tail that was never acknowledged"
            );
        }
        disk.open(&path).and_then(|mut file| file.truncate(*offset)).map_err(|e| StorageError::io(disk, &path, e))?;
    }
    Ok(())
}

/// Writes the bytes from `at` to `end` once more. If a sync of them has failed, the system may hold them in memory, take them for
/// written, and keep that from every sync to come.
fn write_again(file: &mut dyn DiskFile, mut at: u64, end: u64) -> io::Result<()> {
    let mut bytes = vec![0; limits::WRITE_BYTES.min(usize::try_from(end - at).unwrap_or(usize::MAX))];
    while at < end {
        let wanted = bytes.len().min(usize::try_from(end - at).unwrap_or(usize::MAX));
        let read = file.read_at(at, &mut bytes[..wanted])?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        file.write_at(at, &bytes[..read])?;
        at += read as u64;
    }
    Ok(())
}

/// Makes durable all that the survey counted, which a crash may have left in the page cache, and opens for appending.
fn resume(
    disk: Arc<dyn Disk>,
    cluster: u128,
    survey: Survey,
    mut mark: DurableMark,
    segment_bytes_max: u64,
) -> Result<Log, StorageError> {
    let mut older = survey.segments;
    let (first, bytes, file) = match older.pop() {
        Some(newest) => {
            let path = segment_path(newest.first);
            let mut file = disk.open(&path).map_err(|e| StorageError::io(&*disk, &path, e))?;
            let from = if planted("untold records not written again") { newest.bytes } else { survey.untold_at };
            write_again(&mut *file, from, newest.bytes)
                .and_then(|()| file.sync())
                .map_err(|e| StorageError::io(&*disk, &path, e))?;
            (newest.first, newest.bytes, file)
        }
        None => {
            let path = segment_path(Lsn(1));
            let file = begin_segment(&*disk, cluster, Lsn(1)).map_err(|e| StorageError::io(&*disk, &path, e))?;
            (Lsn(1), SEGMENT_HEADER_BYTES, file)
        }
    };
    // A crash may have come between the making of a file and the sync of its name.
    disk.sync_folder(LOG_FOLDER).map_err(|e| StorageError::io(&*disk, LOG_FOLDER, e))?;
    let record = DurablePosition { durable: survey.end, epoch: mark.record().epoch };
    mark.write(record).and_then(|()| mark.sync()).map_err(|e| StorageError::io(&*disk, &DurableMark::path(), e))?;
    Ok(Log {
        disk,
        cluster,
        older,
        first,
        file,
        bytes,
        reserved: bytes,
        zeroed: bytes,
        durable: survey.end,
        epoch: survey.epoch,
        mark,
        poisoned: None,
        segment_bytes_max,
        buffer: Vec::new(),
    })
}

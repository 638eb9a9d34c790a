//! The run, what was acknowledged in it, and the comparison with what a start finds.

use std::sync::Arc;

use bytes::Bytes;
use tanist_db_core::clock::UnixMillis;
use tanist_db_core::ids::{Epoch, Lsn};
use tanist_db_core::level::Levels;

use super::catalog_disk::CatalogDisk;
use crate::vault::Storage;
use crate::vault::catalog::LeaseRecord;
use crate::vault::disk::sim::DiskSim;
use crate::vault::error::StorageError;
use crate::vault::log::reader::LogReader;
use crate::vault::log::segment::LogFrame;
use crate::vault::testing::{chunk, frame};

const CLUSTER: u128 = 0xfa017;
/// Groups of records that the run writes.
const WRITES: u64 = 500;
/// Small, so that the run has many segments.
const SEGMENT_BYTES: u64 = 5_000;

/// One thing that the vault does, in the order in which its actors do it.
#[derive(Clone, Debug)]
pub(super) enum Act {
    /// A group of frames.
    Commit(Vec<LogFrame>),
    /// A quiet moment.
    Settle,
    /// A node is granted this epoch.
    Grant(u64),
    /// An image of all that is durable is uploaded, published, and the log below the oldest image trimmed.
    Image,
    /// The process is stopped and starts again.
    Restart,
}

/// What somebody has been told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) durable: Lsn,
    pub(super) epoch: u64,
    pub(super) image: u64,
}

impl Told {
    fn has(self, told: Told) -> bool {
        self.durable >= told.durable && self.epoch >= told.epoch && self.image >= told.image
    }
}

/// The run: always the same.
pub(super) fn acts() -> Vec<Act> {
    let (mut acts, mut next, mut epoch) = (Vec::new(), 1, 0);
    for i in 0..WRITES {
        if i % 60 == 0 {
            epoch += 1;
            acts.push(Act::Grant(epoch));
        }
        let mut group = Vec::new();
        for k in 0..=i % 3 {
            let records = (i + k) % 2 + 1;
            group.push(frame(epoch, next, records));
            next += records;
        }
        acts.push(Act::Commit(group));
        match i % 40 {
            17 => acts.push(Act::Settle),
            23 => acts.push(Act::Image),
            37 => acts.push(Act::Restart),
            _ => {}
        }
    }
    acts.push(Act::Settle);
    acts
}

/// All frames of the run, in order.
pub(super) fn frames(acts: &[Act]) -> Vec<LogFrame> {
    let groups = acts.iter().filter_map(|act| match act {
        Act::Commit(group) => Some(group.clone()),
        _ => None,
    });
    groups.flatten().collect()
}

pub(super) fn open(disk: &DiskSim) -> Result<Storage, StorageError> {
    let catalog = CatalogDisk::open(disk)?;
    Storage::open_with(Arc::new(disk.clone()), Arc::new(catalog), CLUSTER, SEGMENT_BYTES, Levels::OWN)
}

/// The chunks of the image at `cut`.
fn chunks(cut: u64) -> usize {
    (cut % 3 + 1) as usize
}

/// Does `act`; what has come of it is in `told` even if a later part of it fails.
pub(super) fn act(disk: &DiskSim, storage: &mut Storage, act: &Act, told: &mut Told) -> Result<(), StorageError> {
    match act {
        Act::Commit(group) => {
            storage.log.commit(group)?;
            told.durable = storage.log.extent().durable;
        }
        Act::Settle => storage.log.settle()?,
        Act::Grant(epoch) => {
            let sealed = storage.log.extent().durable.0;
            let lease = LeaseRecord { epoch: *epoch, holder: "a".to_owned(), sealed, ..LeaseRecord::default() };
            storage.records.put_lease(&lease)?;
            storage.log.stamp(Epoch(*epoch))?;
            told.epoch = *epoch;
        }
        Act::Image => {
            let cut = storage.log.extent().durable;
            let mut upload = storage.images.begin(cut, Epoch(told.epoch))?;
            for i in 0..chunks(cut.0) {
                upload.add(&[chunk(cut.0 + i as u64, 600)])?;
            }
            let finished = upload.finish(chunks(cut.0) as u32, 600 * chunks(cut.0) as u64, UnixMillis(1))?;
            let oldest = storage.images.publish(finished)?;
            told.image = cut.0;
            storage.log.trim(oldest)?;
        }
        Act::Restart => {
            storage.log.close()?;
            *storage = open(disk)?;
        }
    }
    Ok(())
}

/// The run up to the first error.
pub(super) fn run(disk: &DiskSim, acts: &[Act]) -> (Told, Option<StorageError>) {
    let mut told = Told::default();
    let mut storage = match open(disk) {
        Ok(storage) => storage,
        Err(error) => return (told, Some(error)),
    };
    for next in acts {
        if let Err(error) = act(disk, &mut storage, next, &mut told) {
            return (told, Some(error));
        }
    }
    (told, None)
}

/// The whole run on a disk that works, with a clean stop.
pub(super) fn finished(acts: &[Act]) -> (DiskSim, Told) {
    let disk = DiskSim::new(1);
    let (told, error) = run(&disk, acts);
    assert!(error.is_none(), "{error:?}");
    disk.restart_process();
    (disk, told)
}

/// What a start finds.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) storage: Storage,
    pub(super) told: Told,
}

/// Starts on `disk`, and reads all that is there.
///
/// # Errors
/// As the start, or whoever reads log or image, is told.
pub(super) fn start(disk: &DiskSim, frames: &[LogFrame], what: &str) -> Result<Found, StorageError> {
    let found = start_after_lies(disk, frames, what)?;
    let lease = &found.storage.lease;
    assert!(lease.epoch == 0 || lease.holder == "a", "{what}: {lease:?}");
    Ok(found)
}

/// The same on a disk that may have lost the whole catalog: it is made again from the log, which knows no holder.
///
/// # Errors
/// As [`start`].
pub(super) fn start_after_lies(disk: &DiskSim, frames: &[LogFrame], what: &str) -> Result<Found, StorageError> {
    let storage = open(disk)?;
    let extent = storage.log.extent();
    let mut reader = LogReader::new(Arc::new(disk.clone()), CLUSTER, Lsn(extent.oldest.0 - 1));
    let read = reader.read(&extent, usize::MAX)?;
    let inside = |frame: &&LogFrame| frame.last >= extent.oldest && frame.last <= extent.durable;
    assert!(read.iter().eq(frames.iter().filter(inside)), "{what}: the log is not what was written");
    let image = read_image(&storage, what)?;
    let lease = &storage.lease;
    let made_again = lease.holder.is_empty() && lease.sealed == extent.durable.0;
    assert!(lease.epoch == 0 || lease.holder == "a" || made_again, "{what}: {lease:?}");
    let told = Told { durable: extent.durable, epoch: lease.epoch, image };
    Ok(Found { storage, told })
}

/// Reads the newest image completely; returns its cut (log position).
fn read_image(storage: &Storage, what: &str) -> Result<u64, StorageError> {
    let Some(mut reader) = storage.images.open_newest()? else { return Ok(0) };
    let (cut, mut read) = (reader.view().cut, Vec::new());
    loop {
        let more = reader.read(1)?;
        if more.is_empty() {
            break;
        }
        read.extend(more);
    }
    let wanted: Vec<Bytes> = (0..chunks(cut)).map(|i| chunk(cut + i as u64, 600).into_bytes()).collect();
    assert!(read == wanted, "{what}: the image at {cut} is not what was written");
    Ok(cut)
}

impl Found {
    /// Everything that was told is there, it goes on from here, and all that it then says is there after a power failure.
    pub(super) fn check_has(mut self, told: Told, disk: &DiskSim, frames: &[LogFrame], what: &str) {
        let found = self.told;
        assert!(found.has(told), "{what}: told {told:?}, found {found:?}");
        let (epoch, mut told) = (found.epoch + 1, found);
        let next = frame(epoch, found.durable.0 + 1, 2);
        for next in [Act::Grant(epoch), Act::Commit(vec![next.clone()])] {
            let done = act(disk, &mut self.storage, &next, &mut told);
            done.unwrap_or_else(|error| panic!("{what}: it does not go on: {error}"));
        }
        let before = frames.iter().filter(|frame| frame.last <= found.durable);
        let frames: Vec<_> = before.cloned().chain([next]).collect();
        drop(self);
        disk.restart();
        let what = format!("{what}, and later the power is cut");
        let again = start(disk, &frames, &what).unwrap_or_else(|error| panic!("{what}: {error}")).told;
        assert!(again.has(told), "{what}: told {told:?}, found {again:?}");
    }
}

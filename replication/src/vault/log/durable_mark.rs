//! The durable mark (high-water mark): a small file beside the log that says how far the log is durable. It distinguishes bit rot
//! from a torn write at the log's end.
//!
//! A crash may tear the last bytes of a segment. Those were never acknowledged and are truncated. Acknowledged bytes must never
//! be truncated, so the vault has to record how far it has acknowledged. After each sync of the log, and before anything of it is
//! acknowledged, the position is written to `log/durable`. That write is not synced at once (a process that dies loses nothing
//! that is in the page cache), but in the next idle moment (under load: after a number of groups), and before any change of the
//! lease. After a power failure the mark may be slightly old, never too new.
//!
//! The file has two slots of [`SLOT_BYTES`], in different sectors and written alternately, so one of them is always complete:
//!
//! | at | bytes | field | guards against |
//! |---|---|---|---|
//! | 0 | 4 | magic `TNSD` | a foreign file |
//! | 4 | 1 | format version, 1 | a file of another version |
//! | 5 | 3 | reserved, 0 | use of what this version does not know |
//! | 8 | 16 | cluster | another cluster's file |
//! | 24 | 8 | sequence number; even ones stand in slot 0 | an older slot taken for the newest |
//! | 32 | 8 | newest durable record | loss of acknowledged records |
//! | 40 | 8 | newest epoch granted | a catalog that has forgotten it |
//! | 48 | 4 | reserved, 0 | as above |
//! | 52 | 4 | CRC-32C of the bytes before | damage to any of it |

use std::io;

use tanist_db_core::ids::{Epoch, Lsn};
use tanist_db_core::level::FormatError;

use crate::vault::disk::{self, Disk, DiskFile};
use crate::vault::error::StorageError;
use crate::vault::layout::{u32_at, u64_at, u128_at};
use crate::vault::log::segment::LOG_FOLDER;

/// Length of a slot.
pub const SLOT_BYTES: usize = 56;
/// Distance of the two slots: different sectors and different pages.
const SLOT_STRIDE: u64 = 4096;
const FILE_BYTES_MAX: u64 = 2 * SLOT_STRIDE;

const MAGIC: [u8; 4] = *b"TNSD";
const VERSION: u8 = 1;

/// Content of the durable mark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DurablePosition {
    /// Newest record that is durable.
    pub durable: Lsn,
    /// Newest epoch ever granted.
    pub epoch: Epoch,
}

/// The open file.
#[derive(Debug)]
pub struct DurableMark {
    file: Box<dyn DiskFile>,
    cluster: u128,
    sequence: u64,
    record: DurablePosition,
    synced: bool,
}

impl DurableMark {
    /// Path of the file within the vault's folder.
    #[must_use]
    pub fn path() -> String {
        format!("{LOG_FOLDER}/durable")
    }

    /// What the file says, changing nothing; `None` if there is no file.
    ///
    /// # Errors
    /// If it cannot be read, no slot is whole, or it is another cluster's.
    pub fn read(disk: &dyn Disk, cluster: u128) -> Result<Option<(u64, DurablePosition)>, StorageError> {
        let path = Self::path();
        let bytes = match disk::read_whole(disk, &path, FILE_BYTES_MAX) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StorageError::io(disk, &path, error)),
        };
        let slots = [0, SLOT_STRIDE as usize].map(|at| bytes.get(at..at + SLOT_BYTES));
        // A newer release may have written one of the two: the older one must not count then.
        for version in slots.into_iter().filter_map(version_of) {
            FormatError::check(version.into(), VERSION.into())
                .map_err(|error| StorageError::unreadable(disk, &path, error.into()))?;
        }
        let slots = slots.map(open_slot);
        let newest = slots.iter().flatten().max_by_key(|slot| slot.1);
        let Some(&(found, sequence, record)) = newest else {
            return Err(StorageError::damaged(disk, &path, 0, "neither of its two slots is whole"));
        };
        if found != cluster {
            return Err(StorageError::OtherCluster { file: disk.name(&path), found, wanted: cluster });
        }
        Ok(Some((sequence, record)))
    }

    /// Makes the file, durably, saying `record`.
    ///
    /// # Errors
    /// As the machine says.
    pub fn create(disk: &dyn Disk, cluster: u128, record: DurablePosition) -> Result<Self, StorageError> {
        let path = Self::path();
        let make = || {
            let mut mark = Self { file: disk.create(&path)?, cluster, sequence: 0, record, synced: false };
            mark.write(record)?;
            mark.write(record)?;
            mark.sync()?;
            disk.sync_folder(LOG_FOLDER)?;
            Ok(mark)
        };
        make().map_err(|e| StorageError::io(disk, &path, e))
    }

    /// Opens the file that [`DurableMark::read`] has read.
    ///
    /// # Errors
    /// As the machine says.
    pub fn open(disk: &dyn Disk, cluster: u128, sequence: u64, record: DurablePosition) -> Result<Self, StorageError> {
        let file = disk.open(&Self::path()).map_err(|e| StorageError::io(disk, &Self::path(), e))?;
        Ok(Self { file, cluster, sequence, record, synced: false })
    }

    /// What was written last.
    #[must_use]
    pub const fn record(&self) -> DurablePosition {
        self.record
    }

    /// Writes the next slot, not yet durably.
    ///
    /// # Errors
    /// As the machine says; what was written before still counts.
    pub fn write(&mut self, record: DurablePosition) -> io::Result<()> {
        let sequence = self.sequence + 1;
        let slot = seal_slot(self.cluster, sequence, record);
        // After a failure this slot may be torn and the other one is all there is: the next attempt writes this one again.
        self.file.write_at(sequence % 2 * SLOT_STRIDE, &slot)?;
        self.sequence = sequence;
        self.record = record;
        self.synced = false;
        Ok(())
    }

    /// Makes the newest slot durable, unless it is.
    ///
    /// # Errors
    /// As the machine says.
    pub fn sync(&mut self) -> io::Result<()> {
        if !self.synced {
            self.file.sync()?;
            self.synced = true;
        }
        Ok(())
    }
}

fn seal_slot(cluster: u128, sequence: u64, record: DurablePosition) -> [u8; SLOT_BYTES] {
    let mut slot = [0; SLOT_BYTES];
    slot[..4].copy_from_slice(&MAGIC);
    slot[4] = VERSION;
    slot[8..24].copy_from_slice(&cluster.to_le_bytes());
    slot[24..32].copy_from_slice(&sequence.to_le_bytes());
    slot[32..40].copy_from_slice(&record.durable.0.to_le_bytes());
    slot[40..48].copy_from_slice(&record.epoch.0.to_le_bytes());
    let crc = crc32c::crc32c(&slot[..52]);
    slot[52..].copy_from_slice(&crc.to_le_bytes());
    slot
}

/// The version of a slot, if it is complete.
fn version_of(slot: Option<&[u8]>) -> Option<u8> {
    slot.filter(|slot| slot[..4] == MAGIC && u32_at(slot, 52) == crc32c::crc32c(&slot[..52])).map(|slot| slot[4])
}

fn open_slot(slot: Option<&[u8]>) -> Option<(u128, u64, DurablePosition)> {
    let sound = version_of(slot) == Some(VERSION);
    let slot = slot.filter(|slot| sound && slot[5..8] == [0; 3] && slot[48..52] == [0; 4])?;
    let record = DurablePosition { durable: Lsn(u64_at(slot, 32)), epoch: Epoch(u64_at(slot, 40)) };
    Some((u128_at(slot, 8), u64_at(slot, 24), record))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::disk::sim::DiskSim;

    #[test]
    fn golden_slot() {
        let slot = seal_slot(0x0102_0304, 5, DurablePosition { durable: Lsn(7), epoch: Epoch(2) });
        let mut wanted = [0u8; SLOT_BYTES];
        wanted[..5].copy_from_slice(b"TNSD\x01");
        wanted[8..12].copy_from_slice(&[4, 3, 2, 1]);
        (wanted[24], wanted[32], wanted[40]) = (5, 7, 2);
        assert_eq!(slot[..52], wanted[..52]);
        assert_eq!(slot[52..], GOLDEN_CRC);
        assert_eq!(
            open_slot(Some(&slot)),
            Some((0x0102_0304, 5, DurablePosition { durable: Lsn(7), epoch: Epoch(2) }))
        );
    }

    const GOLDEN_CRC: [u8; 4] = [225, 255, 50, 36];

    const RECORDS: [DurablePosition; 3] = [
        DurablePosition { durable: Lsn(1), epoch: Epoch(1) },
        DurablePosition { durable: Lsn(9), epoch: Epoch(2) },
        DurablePosition { durable: Lsn(5), epoch: Epoch(3) },
    ];

    fn created(disk: &DiskSim) -> DurableMark {
        disk.make_folder(LOG_FOLDER).unwrap();
        assert!(DurableMark::read(disk, 9).unwrap().is_none());
        DurableMark::create(disk, 9, RECORDS[0]).unwrap()
    }

    #[test]
    fn the_newest_slot_counts_and_the_other_one_if_that_is_torn() {
        let disk = DiskSim::new(1);
        let mut mark = created(&disk);
        assert_eq!(DurableMark::read(&disk, 9).unwrap(), Some((2, RECORDS[0])));
        mark.write(RECORDS[1]).unwrap();
        assert_eq!((mark.record(), DurableMark::read(&disk, 9).unwrap()), (RECORDS[1], Some((3, RECORDS[1]))));
        // Reopened, it goes on: the newest is never written over.
        let mut mark = DurableMark::open(&disk, 9, 3, RECORDS[1]).unwrap();
        mark.write(RECORDS[2]).unwrap();
        assert_eq!(DurableMark::read(&disk, 9).unwrap(), Some((4, RECORDS[2])), "by its number, not by what it says");
        let mut content = disk.content(&DurableMark::path());
        content[32] ^= 1;
        disk.tamper(&DurableMark::path(), &content);
        assert_eq!(DurableMark::read(&disk, 9).unwrap(), Some((3, RECORDS[1])));
        content[SLOT_STRIDE as usize + 32] ^= 1;
        disk.tamper(&DurableMark::path(), &content);
        assert!(matches!(DurableMark::read(&disk, 9), Err(StorageError::Damaged { .. })));
    }

    #[test]
    fn a_new_mark_has_two_whole_slots_and_is_durable() {
        let mut disk = DiskSim::new(0);
        // What is not synced has often reached the disk all the same.
        for seed in 0..16 {
            disk = DiskSim::new(seed);
            drop(created(&disk));
            disk.sync_folder("").unwrap();
            disk.restart();
            assert_eq!(DurableMark::read(&disk, 9).unwrap(), Some((2, RECORDS[0])), "seed {seed}");
        }
        assert!(matches!(DurableMark::read(&disk, 8), Err(StorageError::OtherCluster { found: 9, wanted: 8, .. })));
        let mut content = disk.content(&DurableMark::path());
        content[32] ^= 1;
        disk.tamper(&DurableMark::path(), &content);
        assert_eq!(DurableMark::read(&disk, 9).unwrap(), Some((1, RECORDS[0])));
    }

    #[test]
    fn a_sync_is_asked_of_the_disk_only_if_there_is_something_to_sync() {
        let disk = DiskSim::new(1);
        let mut mark = created(&disk);
        let syncs = |mark: &mut DurableMark| {
            let before = disk.operations();
            mark.sync().unwrap();
            disk.operations() - before
        };
        assert_eq!(syncs(&mut mark), 0);
        mark.write(RECORDS[1]).unwrap();
        assert_eq!([syncs(&mut mark), syncs(&mut mark)], [1, 0]);
        // What a process has left in the page cache its successor must sync.
        let mut mark = DurableMark::open(&disk, 9, 3, RECORDS[1]).unwrap();
        assert_eq!([syncs(&mut mark), syncs(&mut mark)], [1, 0]);
    }

    #[test]
    fn a_slot_of_another_version_and_one_that_uses_what_is_reserved_do_not_count() {
        for at in [0, 4, 5, 6, 7, 48, 49, 50, 51] {
            let mut slot = seal_slot(9, 5, RECORDS[0]);
            slot[at] += 1;
            let crc = crc32c::crc32c(&slot[..52]);
            slot[52..].copy_from_slice(&crc.to_le_bytes());
            assert_eq!(open_slot(Some(&slot)), None, "byte {at}");
        }
        assert_eq!(open_slot(None), None, "a file that ends before it");
    }

    /// The older slot alone would be a mark that has gone back.
    #[test]
    fn a_file_with_a_slot_of_another_version_is_refused_with_both_versions() {
        for at in [0, SLOT_STRIDE as usize] {
            let disk = DiskSim::new(1);
            drop(created(&disk));
            let mut content = disk.content(&DurableMark::path());
            content[at + 4] = 2;
            let crc = crc32c::crc32c(&content[at..at + 52]);
            content[at + 52..at + 56].copy_from_slice(&crc.to_le_bytes());
            disk.tamper(&DurableMark::path(), &content);
            let why = DurableMark::read(&disk, 9).unwrap_err().to_string();
            assert!(why.contains("log/durable has format version 2, and this program knows version 1"), "{why}");
        }
    }

    #[test]
    fn every_flipped_bit_of_a_slot_is_noticed() {
        let slot = seal_slot(9, 5, DurablePosition { durable: Lsn(7), epoch: Epoch(2) });
        for bit in 0..SLOT_BYTES * 8 {
            let mut flipped = slot;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open_slot(Some(&flipped)), None, "bit {bit}");
        }
    }
}

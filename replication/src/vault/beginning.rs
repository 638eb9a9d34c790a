//! Whether a vault may start with an empty folder.
//!
//! An empty folder looks the same whether the cluster is new or the disk is not mounted. So a start without a log needs a permit:
//! a file outside the vault's folder, created with the cluster and durably removed before the vault serves for the first time.
//! From then on a folder without a log is refused, until an operator creates another permit.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use super::disk::Disk;
use super::error::StorageError;
use super::log::durable_mark::DurableMark;
use super::log::segment::{LOG_FOLDER, segment_first};

/// Whether there is a log, valid or not. The durable mark is the first file of a log and is never removed.
///
/// # Errors
/// As the machine says, or if the log is another cluster's.
pub fn has_log(disk: &dyn Disk, cluster: u128) -> Result<bool, StorageError> {
    match disk.list(LOG_FOLDER) {
        Ok(names) if names.iter().any(|name| segment_first(name).is_some()) => return Ok(true),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(StorageError::io(disk, LOG_FOLDER, error)),
    }
    match DurableMark::read(disk, cluster) {
        Ok(mark) => Ok(mark.is_some()),
        // Without a segment it is what a crash in the middle of a first start leaves behind.
        Err(StorageError::Damaged { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Refuses a folder without a log unless `permit` is there. Makes nothing.
///
/// # Errors
/// If the vault may not begin, with the ways out.
pub fn check(disk: &dyn Disk, cluster: u128, permit: &Path) -> Result<(), StorageError> {
    if permit.exists() || has_log(disk, cluster)? {
        return Ok(());
    }
    Err(StorageError::Refused(format!(
        "{} holds no vault, but the vault of this cluster has been opened before: if it is on a disk of its own, mount that; \
         otherwise restore the folder from a backup; or, to begin with an empty vault and give up every record that there was, \
         run `touch {}` and start again",
        disk.name(""),
        permit.display()
    )))
}

/// Removes the permit, durably: there is something now.
///
/// # Errors
/// As the machine says.
pub fn begun(permit: &Path) -> Result<(), StorageError> {
    let removed = match fs::remove_file(permit) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other,
    };
    let folder = permit.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    removed
        .and_then(|()| File::open(folder)?.sync_all())
        .map_err(|source| StorageError::Io { file: permit.display().to_string(), source })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::vault::Storage;
    use crate::vault::catalog::CatalogMemory;
    use crate::vault::disk::sim::DiskSim;

    const CLUSTER: u128 = 11;

    fn open(disk: &DiskSim, catalog: &CatalogMemory) -> Result<Storage, StorageError> {
        Storage::open(Arc::new(disk.clone()), Arc::new(catalog.clone()), CLUSTER)
    }

    #[test]
    fn nothing_begins_without_a_permit_and_what_has_begun_needs_none() {
        let (dir, disk) = (tempfile::tempdir().unwrap(), DiskSim::new(1));
        let permit = dir.path().join("permit");
        let refused = check(&disk, CLUSTER, &permit).unwrap_err().to_string();
        assert!(refused.contains("mount") && refused.contains(&format!("touch {}", permit.display())), "{refused}");
        assert!(disk.paths().is_empty(), "a refusal makes nothing");

        File::create(&permit).unwrap();
        check(&disk, CLUSTER, &permit).unwrap();
        drop(open(&disk, &CatalogMemory::default()).unwrap());
        begun(&permit).unwrap();
        assert!(!permit.exists());
        begun(&permit).unwrap();
        check(&disk, CLUSTER, &permit).unwrap();
    }

    /// A log that a crash left half made, or whose records are all that is left of it.
    #[test]
    fn a_mark_that_is_not_whole_counts_only_beside_a_segment() {
        let disk = DiskSim::new(1);
        disk.make_folder(LOG_FOLDER).unwrap();
        assert!(!has_log(&disk, CLUSTER).unwrap());
        disk.create(&DurableMark::path()).unwrap();
        assert!(!has_log(&disk, CLUSTER).unwrap());
        disk.create("log/00000000000000000001.seg").unwrap();
        assert!(has_log(&disk, CLUSTER).unwrap());
    }
}

//! The lock file that allows one vault per folder: each of two would believe that it has written everything that is there.

use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::disk::fs::{PRIVATE_FILE, PRIVATE_FOLDER};
use super::error::StorageError;

/// The folder's lock, held as long as this lives. The kernel gives it back when the process ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    file: File,
}

impl Lock {
    /// Makes `folder` if need be, and locks it.
    ///
    /// # Errors
    /// If another process has it, or the folder cannot be made.
    pub fn take(folder: &Path) -> Result<Self, StorageError> {
        let path = folder.join("lock");
        let fail = |file: PathBuf| move |source| StorageError::Io { file: file.display().to_string(), source };
        let made = DirBuilder::new().recursive(true).mode(PRIVATE_FOLDER).create(folder);
        made.map_err(fail(folder.to_owned()))?;
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(PRIVATE_FILE)
            .open(&path)
            .map_err(fail(path.clone()))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { path, file }),
            Err(Errno::WOULDBLOCK) => Err(StorageError::Refused(format!(
                "another vault is using {}: stop it first, or give this one a data folder of its own",
                folder.display()
            ))),
            Err(error) => Err(fail(path)(error.into())),
        }
    }

    /// Looks whether the folder is still where it was when it was locked. Open files outlive the removal of their folder and the end
    /// of a mount, so without a look records would be acknowledged that no start will find.
    ///
    /// # Errors
    /// If it is not.
    pub fn is_in_place(&self) -> Result<(), StorageError> {
        let place = |meta: Metadata| (meta.dev(), meta.ino());
        let io = |source| StorageError::Io { file: self.path.display().to_string(), source };
        let held = self.file.metadata().map(place).map_err(io)?;
        match std::fs::metadata(&self.path).map(place) {
            Ok(found) if found == held => Ok(()),
            Err(error) if error.kind() != ErrorKind::NotFound => Err(io(error)),
            _ => Err(StorageError::Refused(format!(
                "{} is not there any more, or is another file: the vault's folder was removed or unmounted while the vault was \
                 running; mount or restore it, and the vault starts again with all that was acknowledged there",
                self.path.display()
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A vault whose folder was moved away went on and acknowledged.
    #[test]
    fn a_folder_that_is_moved_removed_or_replaced_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let (folder, away) = (dir.path().join("vault"), dir.path().join("away"));
        let lock = Lock::take(&folder).unwrap();
        lock.is_in_place().unwrap();
        std::fs::rename(&folder, &away).unwrap();
        let gone = lock.is_in_place().unwrap_err().to_string();
        assert!(gone.contains("vault/lock is not there any more") && gone.contains("mount"), "{gone}");
        let other = Lock::take(&folder).unwrap();
        assert!(lock.is_in_place().is_err(), "another file is there");
        drop(other);
        std::fs::remove_dir_all(&folder).unwrap();
        std::fs::rename(&away, &folder).unwrap();
        lock.is_in_place().unwrap();
    }
}

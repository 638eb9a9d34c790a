//! One vault a folder: two would each believe that what they have synced is all there is.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::error::StorageError;

/// The folder's lock, held as long as this lives. The kernel gives it back when the process ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Makes `folder` if need be, and locks it.
    ///
    /// # Errors
    /// If another process has it, or the folder cannot be made.
    pub fn take(folder: &Path) -> Result<Self, StorageError> {
        let path = folder.join("lock");
        let fail = |file: PathBuf| move |source| StorageError::Io { file: file.display().to_string(), source };
        std::fs::create_dir_all(folder).map_err(fail(folder.to_owned()))?;
        let file =
            OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(fail(path.clone()))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { _file: file }),
            Err(Errno::WOULDBLOCK) => Err(StorageError::Refused(format!(
                "another vault is using {}: stop it first, or give this one a data folder of its own",
                folder.display()
            ))),
            Err(error) => Err(fail(path)(error.into())),
        }
    }
}

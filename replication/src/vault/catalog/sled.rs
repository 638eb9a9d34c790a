//! The catalog in sled.
//!
//! sled's `flush` writes to the operating system, but does not make the file durable: after each flush this catalog syncs `db`
//! through a file handle of its own. And sled takes a damaged entry of its file for a torn write at the end: it opens with the
//! entries before it, and reports no error. So nothing here is trusted if log and images contradict it (`vault::storage`).

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FallocateFlags, fallocate};

use crate::vault::catalog::Catalog;
use crate::vault::disk::fs::PRIVATE_FOLDER;
use crate::vault::error::{REMOVE_CATALOG, StorageError};

/// Memory that sled may use for its cache, in bytes: the catalog is a few KiB.
const CACHE_BYTES: u64 = 1 << 20;
/// Room kept free for what is put next: thousands of leases.
const RESERVE_BYTES: u64 = 1 << 20;
/// So often a catalog is tried whose last user has just gone,
const LOCK_LOOKS: u32 = 100;
/// and so long it is waited in between.
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// A sled database in a folder of its own.
#[derive(Debug)]
pub struct CatalogSled {
    folder: PathBuf,
    is_new: bool,
    /// Always there; taken out by the drop.
    db: Option<sled::Db>,
    file: File,
}

impl CatalogSled {
    /// Opens or makes the catalog in `folder`, whose parent exists.
    ///
    /// # Errors
    /// If it cannot be opened, or sled finds it damaged.
    pub fn open(folder: &Path) -> Result<Self, StorageError> {
        let fail = |source| StorageError::Io { file: folder.display().to_string(), source };
        let is_new = !folder.join("db").exists();
        // sled makes its files as the process's mask says; nobody else gets to them.
        DirBuilder::new().recursive(true).mode(PRIVATE_FOLDER).create(folder).map_err(fail)?;
        let config = sled::Config::new()
            .path(folder)
            .cache_capacity(CACHE_BYTES)
            .mode(sled::Mode::LowSpace)
            .flush_every_ms(None);
        let db = open_when_free(&config).map_err(|error| trouble(folder, error))?;
        let file = File::open(folder.join("db")).map_err(fail)?;
        let catalog = Self { folder: folder.to_owned(), is_new, db: Some(db), file };
        catalog.reserve();
        catalog.flush()?;
        sync_folder(folder).map_err(fail)?;
        if let Some(parent) = folder.parent() {
            sync_folder(parent).map_err(fail)?;
        }
        Ok(catalog)
    }

    /// Takes room for what is written next, behind the file's end: sled takes a full disk for its own end, and a lease that cannot be
    /// remembered ends the vault. Where it cannot be had, what was taken before lasts for a while.
    fn reserve(&self) {
        if let Ok(meta) = self.file.metadata() {
            let _ = fallocate(&self.file, FallocateFlags::KEEP_SIZE, 0, meta.len() + RESERVE_BYTES);
        }
    }

    fn db(&self) -> &sled::Db {
        self.db.as_ref().expect("it is there until the drop")
    }

    fn flush(&self) -> Result<(), StorageError> {
        self.db().flush().map_err(|error| trouble(&self.folder, error))?;
        self.file.sync_data().map_err(|source| StorageError::Io { file: self.place(), source })
    }

    fn write(&self, change: impl FnOnce(&sled::Db) -> sled::Result<Option<sled::IVec>>) -> Result<(), StorageError> {
        self.reserve();
        change(self.db()).map_err(|error| trouble(&self.folder, error))?;
        self.flush()
    }
}

/// sled syncs its file when it is dropped, and panics if that fails: a vault whose disk has gone would end by a signal in place of a
/// sentence. Everything was made durable when it was put, so nothing is lost if sled is left as it is.
impl Drop for CatalogSled {
    fn drop(&mut self) {
        let works = self.flush().is_ok() && self.file.sync_all().is_ok();
        let db = self.db.take();
        if works { drop(db) } else { std::mem::forget(db) }
    }
}

/// sled gives its lock back from a thread of its own, a moment after the last who had the catalog is gone. Nobody else's vault can
/// have it: that is what the folder's own lock is for.
#[expect(clippy::disallowed_methods, reason = "storage is opened where it may block")]
fn open_when_free(config: &sled::Config) -> sled::Result<sled::Db> {
    for _ in 0..LOCK_LOOKS {
        match config.open() {
            Err(sled::Error::Io(error)) if error.to_string().contains("could not acquire lock") => {
                std::thread::sleep(LOCK_PAUSE);
            }
            opened => return opened,
        }
    }
    config.open()
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// sled's errors by what the caller does next.
fn trouble(folder: &Path, error: sled::Error) -> StorageError {
    let file = folder.display().to_string();
    match error {
        sled::Error::Io(source) if crate::vault::disk::is_full(&source) => StorageError::Full { file },
        sled::Error::Io(source) => StorageError::Io { file, source },
        sled::Error::Corruption { .. } => {
            let what = "the catalog's own checksums do not match".to_owned();
            StorageError::Damaged { file, offset: 0, what, remedy: REMOVE_CATALOG }
        }
        other => StorageError::Io { file, source: io::Error::other(other) },
    }
}

impl Catalog for CatalogSled {
    fn place(&self) -> String {
        self.folder.display().to_string()
    }

    fn is_new(&self) -> bool {
        self.is_new
    }

    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StorageError> {
        let value = self.db().get(key).map_err(|error| trouble(&self.folder, error))?;
        Ok(value.map(|value| value.to_vec()))
    }

    fn put(&self, key: &str, value: &[u8]) -> Result<(), StorageError> {
        self.write(|db| db.insert(key, value))
    }

    fn remove(&self, key: &str) -> Result<(), StorageError> {
        self.write(|db| db.remove(key))
    }

    fn keys(&self, prefix: &str) -> Result<Vec<String>, StorageError> {
        let mut keys = Vec::new();
        for key in self.db().scan_prefix(prefix).keys() {
            let key = key.map_err(|error| trouble(&self.folder, error))?;
            keys.push(String::from_utf8_lossy(&key).into_owned());
        }
        Ok(keys)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tanist_db_core::ids::Epoch;

    use super::*;
    use crate::vault::Storage;
    use crate::vault::catalog::{ImageRecord, LeaseRecord, Records};
    use crate::vault::disk::sim::DiskSim;

    #[test]
    fn what_was_put_is_there_after_reopening() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("catalog");
        let lease = LeaseRecord { epoch: 3, holder: "a".to_owned(), ended: true, ..LeaseRecord::default() };
        let image = ImageRecord { cut: 5, epoch: 3, chunks: 2, bytes: 100, stored_unix_ms: 1 };
        {
            let records = Records::new(Arc::new(CatalogSled::open(&path).unwrap()));
            records.enter(11).unwrap();
            records.put_lease(&lease).unwrap();
            records.put_image(&image).unwrap();
            records.put_image(&ImageRecord { cut: 6, ..image }).unwrap();
            records.remove_image(&ImageRecord { cut: 6, ..image }).unwrap();
        }
        let records = Records::new(Arc::new(CatalogSled::open(&path).unwrap()));
        assert!(records.knows(11).unwrap());
        assert_eq!((records.lease().unwrap(), records.images().unwrap()), (Some(lease), vec![image]));
    }

    /// A bit that flips in sled's file makes it forget silently: then the log knows better, and the vault does not start.
    #[test]
    fn a_flipped_bit_is_noticed_or_changes_nothing() {
        let (folder, disk) = (tempfile::tempdir().unwrap(), DiskSim::new(1));
        let path = folder.path().join("catalog");
        let lease = |epoch| LeaseRecord { epoch, holder: "a".to_owned(), ..LeaseRecord::default() };
        {
            let catalog = Arc::new(CatalogSled::open(&path).unwrap());
            let mut storage = Storage::open(Arc::new(disk.clone()), catalog, 11).unwrap();
            for epoch in 1..=6 {
                storage.records.put_lease(&lease(epoch)).unwrap();
                storage.log.stamp(Epoch(epoch)).unwrap();
            }
        }
        let db = std::fs::read(path.join("db")).unwrap();
        let used = db.iter().rposition(|byte| *byte != 0).unwrap();
        let mut refused = 0;
        for at in (0..used).step_by(used / 40) {
            let copy = tempfile::tempdir().unwrap();
            let mut flipped = db.clone();
            flipped[at] ^= 1 << (at % 8);
            std::fs::write(copy.path().join("db"), &flipped).unwrap();
            std::fs::copy(path.join("conf"), copy.path().join("conf")).unwrap();
            let opened = CatalogSled::open(copy.path())
                .and_then(|catalog| Storage::open(Arc::new(disk.fork()), Arc::new(catalog), 11));
            match opened {
                Ok(storage) => assert_eq!(storage.lease, lease(6), "byte {at}"),
                Err(error) => {
                    let sentence = error.to_string();
                    assert!(sentence.contains(&copy.path().display().to_string()), "byte {at}: {sentence}");
                    refused += 1;
                }
            }
        }
        assert!(refused > 10, "only {refused} were refused");
    }
}

//! A catalog on the simulated disk: one file per entry, replaced by a rename. It guarantees only what is expected of sled, and
//! suffers power failures, full disks and bit rot like everything else.

use std::io;

use crate::vault::catalog::Catalog;
use crate::vault::disk::sim::DiskSim;
use crate::vault::disk::{Disk, read_whole};
use crate::vault::error::StorageError;

const FOLDER: &str = "catalog";
const TEMPORARY: &str = "catalog/tmp";

#[derive(Debug)]
pub(super) struct CatalogDisk {
    disk: DiskSim,
    is_new: bool,
}

fn path(key: &str) -> String {
    format!("{FOLDER}/{}", key.replace('/', "~"))
}

impl CatalogDisk {
    pub(super) fn open(disk: &DiskSim) -> Result<Self, StorageError> {
        let fail = |error| StorageError::io(disk, FOLDER, error);
        disk.make_folder(FOLDER).and_then(|()| disk.sync_folder("")).map_err(fail)?;
        let names = disk.list(FOLDER).map_err(fail)?;
        let is_new = names.iter().all(|name| name == "tmp");
        Ok(Self { disk: disk.clone(), is_new })
    }

    fn fail(&self, key: &str, error: io::Error) -> StorageError {
        StorageError::io(&self.disk, &path(key), error)
    }
}

impl Catalog for CatalogDisk {
    fn place(&self) -> String {
        self.disk.name(FOLDER)
    }

    fn is_new(&self) -> bool {
        self.is_new
    }

    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StorageError> {
        match read_whole(&self.disk, &path(key), u64::MAX) {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.fail(key, error)),
        }
    }

    fn put(&self, key: &str, value: &[u8]) -> Result<(), StorageError> {
        let put = || {
            match self.disk.remove_file(TEMPORARY) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut file = self.disk.create(TEMPORARY)?;
            file.write_at(0, value)?;
            file.sync()?;
            self.disk.rename(TEMPORARY, &path(key))?;
            self.disk.sync_folder(FOLDER)
        };
        put().map_err(|error| self.fail(key, error))
    }

    fn remove(&self, key: &str) -> Result<(), StorageError> {
        let remove = || {
            match self.disk.remove_file(&path(key)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            self.disk.sync_folder(FOLDER)
        };
        remove().map_err(|error| self.fail(key, error))
    }

    fn keys(&self, prefix: &str) -> Result<Vec<String>, StorageError> {
        let names = self.disk.list(FOLDER).map_err(|error| self.fail(prefix, error))?;
        Ok(names.iter().map(|name| name.replace('~', "/")).filter(|key| key.starts_with(prefix)).collect())
    }
}

//! A catalog in memory, for tests and the simulator.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::Catalog;
use crate::vault::StorageError;

/// A catalog in memory that outlives the vault using it. Clones are the same catalog.
#[derive(Clone, Debug, Default)]
pub struct CatalogMemory {
    entries: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
}

impl CatalogMemory {
    /// Changes an entry behind everyone's back.
    pub fn tamper(&self, key: &str, change: impl FnOnce(&mut Vec<u8>)) {
        self.entries.lock().entry(key.to_owned()).and_modify(change);
    }

    /// An independent catalog with the same entries.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self { entries: Arc::new(Mutex::new(self.entries.lock().clone())) }
    }
}

impl Catalog for CatalogMemory {
    fn place(&self) -> String {
        "sim:catalog".to_owned()
    }

    fn is_new(&self) -> bool {
        self.entries.lock().is_empty()
    }

    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(self.entries.lock().get(key).cloned())
    }

    fn put(&self, key: &str, value: &[u8]) -> Result<(), StorageError> {
        self.entries.lock().insert(key.to_owned(), value.to_vec());
        Ok(())
    }

    fn remove(&self, key: &str) -> Result<(), StorageError> {
        self.entries.lock().remove(key);
        Ok(())
    }

    fn keys(&self, prefix: &str) -> Result<Vec<String>, StorageError> {
        Ok(self.entries.lock().keys().filter(|key| key.starts_with(prefix)).cloned().collect())
    }
}

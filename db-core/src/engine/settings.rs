//! Settings that all nodes of a cluster have in common: numbers that are part of the state, so that a standby, an image and the log
//! have them. They are kept in shard 0's superblock, changed by a record like anything else, and published beside it for whoever
//! asks at any time.

use std::sync::atomic::{AtomicU64, Ordering};

use thiserror::Error;

use super::apply::{ApplyError, apply};
use super::shard::Shards;
use super::{Engine, Executed};
use crate::keyspace::Keyspace;
use crate::limits::SETTINGS_MAX;
use crate::redo::record::Effect;

/// Number of a setting, below [`SETTINGS_MAX`]. Beside [`MEMORY_MAX`], what it means is known to who sets and asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SettingId(pub u8);

/// Bytes of pages above which commands that may need memory fail; 0: no bound.
pub const MEMORY_MAX: SettingId = SettingId(0);

/// Why settings were not changed; none of them was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ChangeRefused {
    /// This engine does not write.
    #[error("this node is not the primary")]
    NotWriting,
    /// A command holds the shard in which settings are kept.
    #[error("a command that takes long holds the data")]
    Busy,
    /// There is no page for it.
    #[error("there is no memory for it")]
    OutOfMemory,
}

/// The settings as last changed, readable without a lock.
#[derive(Debug)]
pub(super) struct Settings {
    /// Bit for each that has a value.
    present: AtomicU64,
    values: [AtomicU64; SETTINGS_MAX],
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { present: AtomicU64::new(0), values: std::array::from_fn(|_| AtomicU64::new(0)) }
    }
}

impl Settings {
    /// Shows the settings that `first`, the keyspace of shard 0, has; its lock is held.
    pub(super) fn publish(&self, first: &Keyspace) {
        let mut present = 0;
        for (number, shown) in self.values.iter().enumerate() {
            let value = first.setting(number);
            shown.store(value.unwrap_or(0), Ordering::Relaxed);
            present |= u64::from(value.is_some()) << number;
        }
        // Release: pairs with the load in `get`, so that a value is there when its bit is.
        self.present.store(present, Ordering::Release);
    }

    #[inline]
    fn get(&self, id: SettingId) -> Option<u64> {
        let number = usize::from(id.0);
        let present = self.present.load(Ordering::Acquire) & (1 << number) != 0;
        present.then(|| self.values[number].load(Ordering::Relaxed))
    }
}

impl Engine {
    /// Shows the settings of shard 0, whose lock is held.
    pub(super) fn publish_settings(&self, first: &Keyspace) {
        self.settings.publish(first);
        self.adopt_memory_max();
    }

    pub(super) fn adopt_memory_max(&self) {
        let here = self.memory_max_here.load(Ordering::Relaxed);
        self.memory_max.store(self.setting(MEMORY_MAX).unwrap_or(here), Ordering::Relaxed);
    }

    /// The cluster's value of a setting; `None` if each node goes by its own.
    #[inline]
    #[must_use]
    pub fn setting(&self, id: SettingId) -> Option<u64> {
        self.settings.get(id)
    }

    /// Changes settings of the cluster, all in one record. The caller has decided that this node may execute.
    ///
    /// # Errors
    /// Says why none was changed.
    ///
    /// # Panics
    /// If there is no setting of a number given.
    pub fn change_settings(&self, changes: &[(SettingId, Option<u64>)]) -> Result<Executed, ChangeRefused> {
        let mut shards = Shards::try_at(&self.cells, 0).ok_or(ChangeRefused::Busy)?;
        if !self.is_writing() {
            return Err(ChangeRefused::NotWriting);
        }
        let mut record = Vec::new();
        for &(SettingId(number), value) in changes {
            assert!(usize::from(number) < SETTINGS_MAX, "setting {number}");
            let effect = Effect::Setting { number, value };
            apply(&mut shards, &effect).map_err(|error| match error {
                ApplyError::OutOfMemory => ChangeRefused::OutOfMemory,
                ApplyError::Contradiction(what) => unreachable!("a setting contradicts nothing: {what}"),
            })?;
            effect.encode(&mut record);
        }
        self.publish_settings(&shards.first_mut().keyspace);
        let appended = self.redo.append(&mut record);
        drop(shards);
        Ok(Executed { lsn: appended.lsn, wrote: true, wakes: appended.first, refused: None })
    }
}

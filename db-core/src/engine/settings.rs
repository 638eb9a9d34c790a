//! Settings that all nodes of a cluster share (`CONFIG SET` of cluster scope): numbers that are part of the replicated state, so
//! that standbys, images and the log have them. They are stored in shard 0's superblock, changed by log records, and published
//! beside it for reads at any time.

use std::sync::atomic::{AtomicU64, Ordering};

use super::call::Failure;
use super::shard::Shards;
use super::{Engine, Executed, Refused, Replied};
use crate::effect::{Effect, RecordWriter};
use crate::ids::Lsn;
use crate::keyspace::Keyspace;
use crate::limits::SETTINGS_MAX;

/// Number of a setting, below [`SETTINGS_MAX`]. Beside [`MEMORY_MAX`] and [`LEVEL`], what it means is known to who sets and asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SettingId(pub u8);

/// Bytes of pages above which commands that may need memory fail; 0: no bound.
pub const MEMORY_MAX: SettingId = SettingId(0);

/// Feature level of what is appended (`Engine::raise_level`); none: that of the oldest program that may read it.
pub const LEVEL: SettingId = SettingId(31);

#[cfg(feature = "next-level")]
/// Number of rehearsals so far (`level::since::REHEARSAL`).
pub(crate) const REHEARSALS: SettingId = SettingId(30);

/// A size up to which a collection is held in one piece, or a HyperLogLog is sparse: the setting, and its value where it has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// The setting.
    pub id: SettingId,
    /// Its value where it has none.
    pub default: u64,
}

/// The sizes up to which collections are held in one piece, within a bound of bytes. The log says how each one is held: a change of these is
/// for what is changed later.
pub mod sizes {
    use super::{SettingId, Size};

    const fn size(id: u8, default: u64) -> Size {
        Size { id: SettingId(id), default }
    }

    /// Fields of a hash.
    pub const HASH_ENTRIES: Size = size(8, 128);
    /// Bytes of a field or of its value.
    pub const HASH_VALUE: Size = size(9, 64);
    /// Members of a set of integers.
    pub const SET_INTEGERS: Size = size(10, 512);
    /// Members of a set.
    pub const SET_ENTRIES: Size = size(11, 128);
    /// Bytes of a member.
    pub const SET_VALUE: Size = size(12, 64);
    /// Members of a sorted set.
    pub const SORTED_ENTRIES: Size = size(13, 128);
    /// Bytes of a member.
    pub const SORTED_VALUE: Size = size(14, 64);
    /// Elements of a list; 0: as many as fit.
    pub const LIST_ELEMENTS: Size = size(15, 0);
    /// Bytes of a sparse HyperLogLog.
    pub const HLL_SPARSE_BYTES: Size = size(18, 3_000);
    /// Entries of a node of a stream; 0: as many as fit.
    pub const STREAM_NODE_ENTRIES: Size = size(16, 100);
    /// Bytes of a node of a stream; 0: as many as fit.
    pub const STREAM_NODE_BYTES: Size = size(17, 4096);
}

/// The settings as last changed, readable without a lock.
#[derive(Debug)]
pub(super) struct Settings {
    /// Bit for each that has a value.
    present: AtomicU64,
    values: [AtomicU64; SETTINGS_MAX],
    /// Position of the newest change.
    changed_at: AtomicU64,
}

impl Default for Settings {
    fn default() -> Settings {
        let values = std::array::from_fn(|_| AtomicU64::new(0));
        Settings { present: AtomicU64::new(0), values, changed_at: AtomicU64::new(0) }
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

    /// Returns a size up to which collections are held in one piece.
    #[inline]
    pub(super) fn size(&self, size: Size) -> usize {
        usize::try_from(self.get(size.id).unwrap_or(size.default)).unwrap_or(usize::MAX)
    }

    #[inline]
    fn get(&self, id: SettingId) -> Option<u64> {
        let number = usize::from(id.0);
        let present = self.present.load(Ordering::Acquire) & (1 << number) != 0;
        present.then(|| self.values[number].load(Ordering::Relaxed))
    }
}

impl Engine {
    /// Shows the settings of shard 0, whose lock is held, as the record at `lsn` has left them.
    pub(super) fn publish_settings(&self, first: &Keyspace, lsn: Lsn) {
        self.settings.publish(first);
        self.settings.changed_at.store(lsn.0, Ordering::Release);
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

    /// The record that last changed a setting. A value that promises less is to be acted on only once this is durable: until
    /// then a takeover may undo it.
    #[must_use]
    pub fn settings_changed_at(&self) -> Lsn {
        Lsn(self.settings.changed_at.load(Ordering::Acquire))
    }

    /// Changes settings of the cluster, all in one record. The caller has decided that this node may execute. Refused like any
    /// command if this engine does not write, or if a command holds the shard in which settings are kept.
    ///
    /// # Errors
    /// If there is no memory for it: none was changed.
    ///
    /// # Panics
    /// If there is no setting of a number given.
    pub fn change_settings(
        &self,
        changes: &[(SettingId, Option<u64>)],
        check: impl FnOnce() -> Result<(), Failure>,
    ) -> Result<Executed, Failure> {
        let mut shards = match Shards::try_first(&self.cells) {
            Ok(shards) => shards,
            Err(busy) => return Ok(busy.into()),
        };
        if !self.is_writing() {
            return Ok(Executed::Refused(Refused::NotWriting));
        }
        check()?;
        assert!(changes.iter().all(|(id, _)| usize::from(id.0) < SETTINGS_MAX), "{changes:?}");
        let first = &mut shards.first_mut().keyspace;
        let numbered = changes.iter().map(|(id, value)| (usize::from(id.0), *value));
        first.put_settings(numbered).map_err(|_| Failure::SHARD_FULL)?;
        let mut record = RecordWriter::default();
        changes.iter().for_each(|(id, value)| record.push(&Effect::Setting { number: id.0, value: *value }));
        let appended = self.redo.append(record.bytes());
        self.publish_settings(first, appended.lsn);
        drop(shards);
        Ok(Executed::Replied(Replied { lsn: appended.lsn, wrote: true, wakes: appended.first }))
    }
}

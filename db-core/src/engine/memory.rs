//! Memory use of the shards, published so that it can be read without their locks.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::keyspace::Keyspace;

/// Bytes of one shard as last published.
#[derive(Debug, Default)]
pub(super) struct MemoryCounts {
    used: AtomicU64,
    pages: AtomicU64,
    slabs: AtomicU64,
    reclaimable: AtomicU64,
    reclaimable_keys: AtomicU64,
    cleared: AtomicU64,
}

/// Memory in use, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Memory {
    /// In use: slots that are in use, and pages of other structures.
    pub used: u64,
    /// Of pages in use.
    pub pages: u64,
    /// Of pages that are cut into slots, whether those are in use or not.
    pub slabs: u64,
    /// Pages that contain only data that was deleted and waits to be freed.
    pub reclaimable: u64,
    /// Keys of databases that were flushed and wait to be freed; no bytes.
    pub reclaimable_keys: u64,
    /// Of pages that FLUSHALL has set aside and that are not given back yet; they count in nothing else.
    pub cleared: u64,
}

impl Memory {
    /// Share of the slots' pages that is in use.
    #[must_use]
    pub fn slab_fill(&self) -> f64 {
        if self.slabs == 0 { 1.0 } else { 1.0 - self.free() as f64 / self.slabs as f64 }
    }
}

impl std::iter::Sum for Memory {
    fn sum<I: Iterator<Item = Memory>>(all: I) -> Memory {
        all.fold(Memory::default(), |sum, one| Memory {
            used: sum.used + one.used,
            pages: sum.pages + one.pages,
            slabs: sum.slabs + one.slabs,
            reclaimable: sum.reclaimable + one.reclaimable,
            reclaimable_keys: sum.reclaimable_keys + one.reclaimable_keys,
            cleared: sum.cleared + one.cleared,
        })
    }
}

impl Memory {
    /// Bytes of slots that are in no use.
    pub(super) const fn free(&self) -> u64 {
        self.pages - self.used
    }

    /// Whether anything waits to be reclaimed.
    pub(super) const fn has_reclaimable(&self) -> bool {
        self.reclaimable > 0 || self.reclaimable_keys > 0
    }
}

impl MemoryCounts {
    pub(super) fn read(&self) -> Memory {
        // Relaxed here and below: each is a figure of its own that may be a moment old.
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let used = get(&self.used);
        Memory {
            used,
            // Each may be of another moment.
            pages: get(&self.pages).max(used),
            slabs: get(&self.slabs),
            reclaimable: get(&self.reclaimable),
            reclaimable_keys: get(&self.reclaimable_keys),
            cleared: get(&self.cleared),
        }
    }

    #[inline(never)]
    pub(super) fn publish(&self, keyspace: &Keyspace) {
        let MemoryCounts { used, pages, slabs, reclaimable, reclaimable_keys, cleared } = self;
        used.store(keyspace.memory_bytes(), Ordering::Relaxed);
        pages.store(keyspace.page_bytes(), Ordering::Relaxed);
        slabs.store(keyspace.slab_bytes(), Ordering::Relaxed);
        reclaimable.store(keyspace.reclaimable_bytes(), Ordering::Relaxed);
        reclaimable_keys.store(keyspace.reclaimable_keys(), Ordering::Relaxed);
        cleared.store(keyspace.cleared_bytes(), Ordering::Relaxed);
    }
}

//! The page table: logical page -> physical page, in two levels, so that a freeze copies only the upper one.

use std::sync::Arc;

use super::raw::SharedPage;
use crate::ids::PageId;

/// Slots of a lower-level chunk: 8 KiB, copied when a shared chunk's first slot changes.
const CHUNK_SLOTS: usize = 512;

/// Where a logical page lies, and since which version.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    pub(super) page: Option<SharedPage>,
    /// The version that was current when `page` was put here, or when it was last found to be needed by no older one.
    pub(super) born: u64,
}

impl Slot {
    pub(super) const EMPTY: Slot = Slot { page: None, born: u64::MAX };
}

#[derive(Clone, Debug)]
struct Chunk([Slot; CHUNK_SLOTS]);

/// A shard's table, live or frozen. Cloning it costs one reference count for each 512 pages.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    chunks: Vec<Arc<Chunk>>,
}

impl Table {
    /// The slot of `id`; empty if the table does not reach so far.
    #[inline]
    pub(super) fn slot(&self, id: PageId) -> Slot {
        match self.chunks.get(id.0 as usize / CHUNK_SLOTS) {
            Some(chunk) => chunk.0[id.0 as usize % CHUNK_SLOTS],
            None => Slot::EMPTY,
        }
    }

    /// Changes the slot of `id`, growing the table to reach it.
    pub(super) fn put(&mut self, id: PageId, slot: Slot) {
        let index = id.0 as usize / CHUNK_SLOTS;
        while self.chunks.len() <= index {
            self.chunks.push(Arc::new(Chunk([Slot::EMPTY; CHUNK_SLOTS])));
        }
        Arc::make_mut(&mut self.chunks[index]).0[id.0 as usize % CHUNK_SLOTS] = slot;
    }
}

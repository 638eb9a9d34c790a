//! The live pages of a shard: reads, copy-on-write and freezes.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;
use std::sync::Arc;

use super::cleared::Cleared;
use super::frozen::FrozenShard;
use super::page::{PAGE_BYTES, PAGES_PER_SHARD_MAX, Page, Pages};
use super::pins::Pins;
use super::pool::{OutOfMemory, PagePool};
use super::raw::{OwnedPage, reclaim_unpinned};
use super::table::{Slot, Table};
use crate::ids::PageId;

/// Spare pages that a shard keeps at hand beyond what a mutation reserved; more go back to the pool. About what a change of one element of a
/// large collection reserves, which so does not go to the pool each time.
const SPARES_MAX: usize = 100;

/// How full the allocator's pages are. Not state: it follows from them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SlabUse {
    /// Pages that are cut into slots.
    pub(crate) pages: u32,
    /// Bytes of them that are in no slot in use.
    pub(crate) free_bytes: u64,
}

/// The pages of one shard, addressed by [`PageId`]; see the module's essay.
#[derive(Debug)]
pub struct Arena {
    table: Table,
    /// Ids from here on were never used since the last clear.
    bound: u32,
    /// Unused ids below `bound`. Not state: it follows from which pages are in use.
    holes: BinaryHeap<Reverse<u32>>,
    used: u32,
    pub(crate) slab_use: SlabUse,
    /// Slots or pages have been taken or freed since somebody asked.
    pub(crate) use_changed: bool,
    newest_frozen: u64,
    spares: Vec<OwnedPage>,
    cleared: Cleared,
    pins: Arc<Pins>,
    /// The frozen version whose pages these are: they are read only then.
    source: Option<Arc<FrozenShard>>,
}

impl Arena {
    /// An arena without pages.
    #[must_use]
    pub fn new(pool: &Arc<PagePool>) -> Self {
        Self {
            table: Table::default(),
            bound: 0,
            holes: BinaryHeap::new(),
            used: 0,
            slab_use: SlabUse::default(),
            use_changed: true,
            newest_frozen: 0,
            spares: Vec::new(),
            cleared: Cleared::default(),
            pins: Pins::new(Arc::clone(pool)),
            source: None,
        }
    }

    /// The pages of a frozen version, to read them by whatever reads a live shard.
    ///
    /// # Panics
    /// If some of its pages were released; and whatever would change a page of it panics.
    pub(crate) fn of_frozen(frozen: Arc<FrozenShard>) -> Self {
        assert!(frozen.is_complete(), "all pages of a version that is read are there");
        let mut arena = Self::new(frozen.pool());
        arena.table = frozen.table().clone();
        arena.bound = frozen.page_bound();
        arena.used = frozen.pages_used();
        // So every write would have to copy first, which is refused.
        arena.newest_frozen = u64::MAX;
        arena.source = Some(frozen);
        arena
    }

    /// Makes sure that `pages` pages can be used or copied without asking the pool.
    ///
    /// # Errors
    /// If the pool's bound does not allow it. Nothing has changed then.
    #[inline]
    pub fn reserve(&mut self, pages: usize) -> Result<(), OutOfMemory> {
        if self.spares.len() >= pages {
            return Ok(());
        }
        if !self.cleared.is_empty() {
            self.reserve_cleared(pages);
        }
        self.pins.pool().take(pages.saturating_sub(self.spares.len()), &mut self.spares)
    }

    /// Takes pages that were cleared, until there are enough of them.
    #[cold]
    fn reserve_cleared(&mut self, pages: usize) {
        while self.spares.len() < pages && !self.cleared.is_empty() {
            self.cleared.step(&self.pins, &mut self.spares);
        }
    }

    /// Takes a zeroed page into use: always the lowest unused id, so that the choice depends on nothing but which pages
    /// are in use, and an image restored elsewhere continues with the same choices.
    ///
    /// # Panics
    /// If the shard has used up its addresses (32 GiB); callers check [`has_addresses`](Self::has_addresses) first.
    pub fn allocate(&mut self) -> PageId {
        let id = match self.holes.pop() {
            Some(Reverse(id)) => id,
            None => {
                assert!(self.bound < PAGES_PER_SHARD_MAX, "a shard has used up its page addresses");
                self.bound += 1;
                self.bound - 1
            }
        };
        let mut page = self.spare();
        page.make_zero();
        self.put_new(PageId(id), page);
        PageId(id)
    }

    /// Whether `pages` more can be addressed.
    #[must_use]
    pub const fn has_addresses(&self, pages: usize) -> bool {
        (self.used as usize).saturating_add(pages) <= PAGES_PER_SHARD_MAX as usize
    }

    /// Takes page `id` of an image into use; None if it is in use or beyond a shard's addresses. When all are there,
    /// [`note_holes`](Self::note_holes) follows.
    pub(crate) fn insert(&mut self, id: PageId, bytes: &[u8; PAGE_BYTES]) -> Option<Result<(), OutOfMemory>> {
        if id.0 >= PAGES_PER_SHARD_MAX || self.slot(id).page.is_some() {
            return None;
        }
        if let Err(error) = self.reserve(1) {
            return Some(Err(error));
        }
        self.bound = self.bound.max(id.0 + 1);
        let mut page = self.spare();
        page.all_mut().copy_from_slice(bytes);
        self.put_new(id, page);
        Some(Ok(()))
    }

    /// Finds the unused ids between the pages of an image.
    pub(crate) fn note_holes(&mut self) {
        let unused = |id: &u32| self.slot(PageId(*id)).page.is_none();
        self.holes = (0..self.bound).filter(unused).map(Reverse).collect();
    }

    /// Frees a page. Its id is reused next if it is the lowest.
    ///
    /// # Panics
    /// If the page is not in use.
    pub fn free(&mut self, id: PageId) {
        self.free_page(id, None);
    }

    /// The same for a page that is zero outside of `used`. Should it be taken into use again soon, it need not be cleared as a whole.
    ///
    /// # Panics
    /// If the page is not in use.
    pub(crate) fn free_cleared(&mut self, id: PageId, used: [Range<usize>; 2]) {
        self.free_page(id, Some(used));
    }

    #[inline]
    fn free_page(&mut self, id: PageId, used: Option<[Range<usize>; 2]>) {
        self.assert_live();
        let slot = self.slot(id);
        assert!(slot.page.is_some(), "a page that is freed is in use");
        self.table.put(id, Slot::EMPTY);
        self.holes.push(Reverse(id.0));
        self.used -= 1;
        self.use_changed = true;
        self.discard(id, slot, used);
    }

    /// Returns spare pages beyond what a mutation needs to the pool: the end of a mutation.
    #[inline]
    pub fn settle(&mut self) {
        if self.spares.len() > SPARES_MAX {
            self.trim(SPARES_MAX);
        }
    }

    /// Sets all pages aside, in constant time; ids start from 0 again. [`recycle`](Self::recycle) returns them to the pool.
    pub fn clear(&mut self) {
        self.assert_live();
        let table = std::mem::take(&mut self.table);
        self.cleared.add(table, self.bound, self.used, self.newest_frozen);
        self.bound = 0;
        self.used = 0;
        self.slab_use = SlabUse::default();
        self.use_changed = true;
        self.holes = BinaryHeap::new();
        self.trim(0);
    }

    /// Returns a step of the pages that were cleared to the pool; true if there are more.
    pub fn recycle(&mut self) -> bool {
        self.cleared.step(&self.pins, &mut self.spares);
        self.trim(0);
        !self.cleared.is_empty()
    }

    /// Bytes of pages that were cleared and wait to be given back.
    #[must_use]
    pub const fn cleared_bytes(&self) -> u64 {
        self.cleared.bytes()
    }

    /// Fixes this moment's pages. Costs one reference count for each 512 pages.
    pub fn freeze(&mut self) -> FrozenShard {
        self.assert_live();
        self.newest_frozen += 1;
        self.trim(SPARES_MAX);
        FrozenShard::new(self.table.clone(), self.bound, self.used, self.newest_frozen, Arc::clone(&self.pins))
    }

    /// Number of pages in use.
    #[must_use]
    pub const fn pages_used(&self) -> u32 {
        self.used
    }

    /// Where the pages come from.
    #[must_use]
    pub fn pool(&self) -> &Arc<PagePool> {
        self.pins.pool()
    }

    #[inline]
    pub(super) fn slot(&self, id: PageId) -> Slot {
        self.table.slot(id)
    }

    #[inline]
    pub(super) const fn newest_frozen(&self) -> u64 {
        self.newest_frozen
    }

    /// The first write to a page since the newest freeze: copies it if a frozen version still needs it, and sets its `born` so
    /// that the next write goes in place.
    #[cold]
    #[inline(never)]
    pub(super) fn make_private(&mut self, id: PageId) {
        self.assert_live();
        let old = self.slot(id);
        let Some(shared) = old.page else { return };
        let born = self.newest_frozen + 1;
        if !self.pins.is_pinned(id, old.born, self.newest_frozen) {
            self.table.put(id, Slot { page: Some(shared), born });
            return;
        }
        let mut copy = self.spare();
        copy.all_mut().copy_from_slice(self.page(id).all());
        self.table.put(id, Slot { page: Some(copy.into_shared()), born });
        self.pins.retire(id, shared, old.born, self.newest_frozen);
    }

    /// The pages of a frozen version are not this arena's to change, nor to give back.
    fn assert_live(&self) {
        assert!(self.source.is_none(), "a frozen version is only read");
    }

    fn put_new(&mut self, id: PageId, page: OwnedPage) {
        self.assert_live();
        self.table.put(id, Slot { page: Some(page.into_shared()), born: self.newest_frozen + 1 });
        self.used += 1;
        self.use_changed = true;
    }

    /// Sends the page of a slot that was emptied to where it is needed: frozen versions, or the spares.
    /// If it is zero outside of `used`, all of it is zero then.
    fn discard(&mut self, id: PageId, slot: Slot, used: Option<[Range<usize>; 2]>) {
        let Some(page) = slot.page else { return };
        let last = self.newest_frozen;
        let pinned = slot.born <= last && self.pins.is_pinned(id, slot.born, last);
        if pinned {
            self.pins.retire(id, page, slot.born, last);
        } else {
            let mut page = reclaim_unpinned(page, pinned);
            if let Some(used) = used {
                page.clear(used);
            }
            self.spares.push(page);
        }
    }

    fn spare(&mut self) -> OwnedPage {
        match self.spares.pop() {
            Some(page) => page,
            None => self.spare_elsewhere(),
        }
    }

    #[cold]
    fn spare_elsewhere(&mut self) -> OwnedPage {
        while !self.cleared.is_empty() {
            self.cleared.step(&self.pins, &mut self.spares);
            if let Some(page) = self.spares.pop() {
                return page;
            }
        }
        self.pool().take_one()
    }

    fn trim(&mut self, keep: usize) {
        if self.spares.len() > keep {
            let excess = self.spares.split_off(keep);
            self.pool().give(excess);
        }
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        if self.source.is_some() {
            self.trim(0);
            return;
        }
        self.clear();
        while self.recycle() {}
    }
}

impl Pages for Arena {
    #[inline]
    fn page(&self, id: PageId) -> &Page {
        Arena::page(self, id)
    }

    fn page_bound(&self) -> u32 {
        self.bound
    }

    fn is_used(&self, id: PageId) -> bool {
        self.slot(id).page.is_some()
    }
}

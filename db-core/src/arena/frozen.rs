//! A frozen version (snapshot) of one shard.

use std::sync::Arc;

use super::bits::PageSet;
use super::page::{Page, Pages};
use super::pins::Pins;
use super::pool::PagePool;
use super::table::{Slot, Table};
use crate::ids::PageId;

/// One shard as it was at a freeze: read from any thread, without the shard's lock, while the live shard goes on.
///
/// Pages are given back in ascending order by [`release_through`](Self::release_through), some before their turn by
/// [`release_early`](Self::release_early), and the rest when it is dropped.
#[derive(Debug)]
pub struct FrozenShard {
    table: Table,
    bound: u32,
    used: u32,
    version: u64,
    passed: u32,
    /// Pages released before their turn.
    early: PageSet,
    pins: Arc<Pins>,
}

impl FrozenShard {
    pub(super) fn new(table: Table, bound: u32, used: u32, version: u64, pins: Arc<Pins>) -> Self {
        pins.add(version);
        Self { table, bound, used, version, passed: 0, early: PageSet::default(), pins }
    }

    #[inline]
    pub(super) fn slot(&self, id: PageId) -> Slot {
        self.table.slot(id)
    }

    pub(super) fn table(&self) -> &Table {
        &self.table
    }

    pub(super) fn pool(&self) -> &Arc<PagePool> {
        self.pins.pool()
    }

    /// Whether no page was given back yet.
    pub(super) fn is_complete(&self) -> bool {
        self.passed == 0 && self.early.is_empty()
    }

    /// Whether the page was given back.
    #[inline]
    #[must_use]
    pub fn is_released(&self, id: PageId) -> bool {
        id.0 < self.passed || self.early.contains(id)
    }

    /// Number of pages in use at the freeze.
    #[must_use]
    pub const fn pages_used(&self) -> u32 {
        self.used
    }

    /// Releases the page `last` and all before it: the live shard may write them in place again.
    pub fn release_through(&mut self, last: PageId) {
        if last.0 < self.passed {
            return;
        }
        self.passed = last.0.saturating_add(1);
        self.pins.pass(self.version, self.passed, false);
    }

    /// Releases these pages out of order.
    pub fn release_early(&mut self, ids: &[PageId]) {
        ids.iter().for_each(|id| self.early.insert(*id));
        self.pins.pass_early(self.version, ids);
    }

    /// Up to `max` of the pages that are kept for this version alone, in order: the live shard has others in their place by
    /// now, so each takes memory until it is released.
    #[must_use]
    pub fn retired(&self, max: usize) -> Vec<PageId> {
        self.pins.retired_for(self.version, max)
    }

    /// Number of pages of this shard that are kept for frozen versions alone.
    #[must_use]
    pub fn retired_pages(&self) -> u64 {
        self.pins.retired_pages()
    }

    /// The pages in use that are not released, in order.
    pub fn unreleased_pages(&self) -> impl Iterator<Item = PageId> + '_ {
        self.used_pages(PageId(self.passed)).filter(|id| !self.early.contains(*id))
    }

    /// The pages in use from `first` on, in order.
    pub fn used_pages(&self, first: PageId) -> impl Iterator<Item = PageId> + '_ {
        (first.0..self.bound).map(PageId).filter(|id| self.slot(*id).page.is_some())
    }
}

impl Drop for FrozenShard {
    fn drop(&mut self) {
        // From here on nothing reads through this table: `&mut self` proves that no borrow of a page is left.
        self.passed = u32::MAX;
        self.pins.pass(self.version, u32::MAX, true);
    }
}

impl Pages for FrozenShard {
    fn page(&self, id: PageId) -> &Page {
        FrozenShard::page(self, id)
    }

    fn page_bound(&self) -> u32 {
        self.bound
    }

    fn is_used(&self, id: PageId) -> bool {
        self.slot(id).page.is_some()
    }
}

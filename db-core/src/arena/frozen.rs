//! A shard at the moment of a freeze.

use std::sync::Arc;

use super::page::{Page, Pages};
use super::pins::Pins;
use super::table::{Slot, Table};
use crate::ids::PageId;

/// One shard as it was at a freeze: read from any thread, without the shard's lock, while the live shard goes on.
///
/// Pages are given back in ascending order by [`release_through`](Self::release_through), the rest when it is dropped.
#[derive(Debug)]
pub struct FrozenShard {
    table: Table,
    bound: u32,
    used: u32,
    version: u64,
    passed: u32,
    pins: Arc<Pins>,
}

impl FrozenShard {
    pub(super) fn new(table: Table, bound: u32, used: u32, version: u64, pins: Arc<Pins>) -> Self {
        pins.add(version);
        Self { table, bound, used, version, passed: 0, pins }
    }

    #[inline]
    pub(super) fn slot(&self, id: PageId) -> Slot {
        self.table.slot(id)
    }

    /// Pages below this were released.
    #[must_use]
    pub const fn passed(&self) -> u32 {
        self.passed
    }

    /// Number of pages in use at the freeze.
    #[must_use]
    pub const fn pages_used(&self) -> u32 {
        self.used
    }

    /// Gives back the page `last` and all before it: the live shard may write them in place again.
    pub fn release_through(&mut self, last: PageId) {
        if last.0 < self.passed {
            return;
        }
        self.passed = last.0.saturating_add(1);
        self.pins.pass(self.version, self.passed, false);
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

//! Pages of cleared page tables: unreachable, and returned to the pool a few at a time.
//!
//! Not part of the replicated state: a cleared arena uses page numbers from 0 on at once, whatever still waits here. Its next
//! pages come from here first.

use std::collections::VecDeque;

use super::page::PAGE_BYTES;
use super::pins::Pins;
use super::raw::{OwnedPage, reclaim_unpinned};
use super::table::Table;
use crate::ids::PageId;

/// Slots of a cleared table that are looked at in one step: some 10 microseconds.
pub(super) const SLOTS_PER_STEP: u32 = 512;

/// The tables that were cleared, oldest first.
#[derive(Debug, Default)]
pub(super) struct Cleared {
    tables: VecDeque<ClearedTable>,
    /// Pages in them.
    pages: u64,
}

#[derive(Debug)]
struct ClearedTable {
    table: Table,
    /// Slots below this were emptied.
    next: u32,
    bound: u32,
    /// The newest version that was frozen before: later ones have none of these pages.
    newest_frozen: u64,
}

impl Cleared {
    /// Adds the table of an arena with its bound, its pages in use, and its newest frozen version.
    pub(super) fn add(&mut self, table: Table, bound: u32, used: u32, newest_frozen: u64) {
        if used > 0 {
            self.tables.push_back(ClearedTable { table, next: 0, bound, newest_frozen });
            self.pages += u64::from(used);
        }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    /// Bytes of the pages that wait.
    pub(super) const fn bytes(&self) -> u64 {
        self.pages * PAGE_BYTES as u64
    }

    /// Takes pages out of the oldest table, of at most [`SLOTS_PER_STEP`] slots: to `spares`, or to the frozen versions that need them.
    pub(super) fn step(&mut self, pins: &Pins, spares: &mut Vec<OwnedPage>) {
        let Some(oldest) = self.tables.front_mut() else { return };
        let end = oldest.bound.min(oldest.next.saturating_add(SLOTS_PER_STEP));
        for id in (oldest.next..end).map(PageId) {
            let slot = oldest.table.slot(id);
            let Some(page) = slot.page else { continue };
            self.pages -= 1;
            let last = oldest.newest_frozen;
            let pinned = slot.born <= last && pins.is_pinned(id, slot.born, last);
            if pinned {
                pins.retire(id, page, slot.born, last);
            } else {
                spares.push(reclaim_unpinned(page, pinned));
            }
        }
        oldest.next = end;
        if end == oldest.bound {
            self.tables.pop_front();
        }
    }
}

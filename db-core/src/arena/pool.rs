//! The pool of physical pages: mapped in large regions, recycled, and returned to the operating system when not needed for a
//! while.

#[cfg(any(test, feature = "test-support"))]
mod testing;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::idle::{Excess, Idle};
use super::page::PAGE_BYTES;
use super::raw::{OwnedPage, Region, return_to_machine};
use crate::clock::Monotonic;

/// Pages of a region: 64 MiB of address space; memory is taken by the machine as pages are touched.
const REGION_PAGES: usize = 64 * 1024 * 1024 / PAGE_BYTES;

/// Pages of a block, the unit in which memory goes back: 2 MiB, a huge page where the machine has such. A part of one would not
/// be free before the machine is short of memory, and the machine would fill it up again at the next occasion.
const BLOCK_PAGES: usize = 2 * 1024 * 1024 / PAGE_BYTES;

/// The pool's bound does not allow the pages that a mutation might need; nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the page pool's memory bound is reached")]
pub struct OutOfMemory;

/// Physical memory for pages, shared by the shards of one engine.
///
/// A page that comes back is kept for the next taker, since it is already faulted in: copying into it costs a third of
/// copying into memory that is touched for the first time. What nobody needs for seconds is returned to the operating system
/// ([`give_back`](Self::give_back)), but for a reserve.
#[derive(Debug)]
pub struct PagePool {
    pages_max: u64,
    state: Mutex<PoolState>,
    /// Pages of all arenas that are kept for frozen versions alone.
    retired: AtomicU64,
}

#[derive(Debug, Default)]
struct PoolState {
    /// Used before and faulted in; taken from the back.
    free: VecDeque<OwnedPage>,
    /// Given back to the machine, which gives memory again when they are touched; whole blocks, taken from the back.
    returned: VecDeque<OwnedPage>,
    idle: Idle,
    regions: Vec<Region>,
    pages_out: u64,
}

impl PoolState {
    /// None if the machine refuses more memory.
    #[inline(always)]
    fn one(&mut self) -> Option<OwnedPage> {
        if let Some(page) = self.free.pop_back() {
            self.idle.taken(self.free.len());
            return Some(page);
        }
        if cfg!(feature = "page-heap") {
            return Some(OwnedPage::from_heap());
        }
        self.untouched()
    }

    /// A page without memory.
    fn untouched(&mut self) -> Option<OwnedPage> {
        if let Some(page) = self.returned.pop_back() {
            return Some(page);
        }
        if let Some(page) = self.regions.last_mut().and_then(Region::cut) {
            return Some(page);
        }
        self.regions.push(Region::map(REGION_PAGES)?);
        self.regions.last_mut().and_then(Region::cut)
    }
}

impl PagePool {
    /// A pool that hands out at most `bytes_max` bytes of pages (0: no bound but the machine's).
    #[must_use]
    pub fn new(bytes_max: u64) -> Arc<PagePool> {
        let pages_max = if bytes_max == 0 { u64::MAX } else { bytes_max / PAGE_BYTES as u64 };
        Arc::new(PagePool { pages_max, state: Mutex::default(), retired: AtomicU64::new(0) })
    }

    /// Bytes of pages that frozen versions alone still need: what writing has cost in memory since they were frozen.
    #[must_use]
    pub fn bytes_retired(&self) -> u64 {
        // Relaxed here and below: a figure of its own that may be a moment old.
        self.retired.load(Ordering::Relaxed) * PAGE_BYTES as u64
    }

    pub(super) fn note_retired(&self) {
        self.retired.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn note_released(&self, pages: usize) {
        self.retired.fetch_sub(pages as u64, Ordering::Relaxed);
    }

    /// Bytes of pages that were used before and wait for their next use, faulted in.
    #[must_use]
    pub fn bytes_free(&self) -> u64 {
        self.state.lock().free.len() as u64 * PAGE_BYTES as u64
    }

    /// Bytes of pages that were used before and whose memory the machine has back.
    #[must_use]
    pub fn bytes_returned(&self) -> u64 {
        self.state.lock().returned.len() as u64 * PAGE_BYTES as u64
    }

    /// Returns memory that nobody has needed for a while to the machine, at most a step of it; returns its bytes. Call it about
    /// once a second from a thread that has the time: it takes some milliseconds, for most of which the pool is not locked.
    pub fn give_back(&self, now: Monotonic) -> u64 {
        let (pages, step) = {
            let mut state = self.state.lock();
            let PoolState { free, idle, pages_out, .. } = &mut *state;
            let Excess { idle: pages, step } = idle.look(now, free.len(), *pages_out);
            if step < BLOCK_PAGES {
                return 0;
            }
            idle.lowered(pages);
            (free.drain(..pages).collect(), step)
        };
        let (returned, kept) = return_blocks(pages, step);
        let mut state = self.state.lock();
        let bytes = returned.len() * PAGE_BYTES;
        if returned.is_empty() {
            state.idle.in_vain();
        }
        // At the far end: a block that has been taken in part is used up before another is begun.
        returned.into_iter().for_each(|page| state.returned.push_front(page));
        state.idle.raised(kept.len());
        kept.into_iter().for_each(|page| state.free.push_front(page));
        bytes as u64
    }

    /// Faults free pages in until there are `pages` of them, so that those who copy pages need not wait for the machine. The pool is not
    /// locked meanwhile. Returns how many.
    pub fn warm(&self, pages: usize) -> usize {
        if cfg!(feature = "page-heap") {
            return 0;
        }
        let mut cold: Vec<OwnedPage> = {
            let mut state = self.state.lock();
            let room = usize::try_from(self.pages_max.saturating_sub(state.pages_out)).unwrap_or(usize::MAX);
            let missing = pages.min(room).saturating_sub(state.free.len());
            (0..missing).map_while(|_| state.untouched()).collect()
        };
        cold.iter_mut().for_each(OwnedPage::touch);
        let warmed = cold.len();
        let mut state = self.state.lock();
        state.idle.raised(warmed);
        cold.into_iter().for_each(|page| state.free.push_front(page));
        warmed
    }

    /// Moves `count` pages to `out`; some of them may be there even if it fails.
    pub(super) fn take(&self, count: usize, out: &mut Vec<OwnedPage>) -> Result<(), OutOfMemory> {
        let mut state = self.state.lock();
        if state.pages_out.saturating_add(count as u64) > self.pages_max {
            return Err(OutOfMemory);
        }
        for _ in 0..count {
            out.push(state.one().ok_or(OutOfMemory)?);
            state.pages_out += 1;
        }
        Ok(())
    }

    /// A page beyond the bound if need be: for what must not fail (removal), and for which only copies are needed.
    pub(super) fn take_one(&self) -> OwnedPage {
        let mut state = self.state.lock();
        let page = state.one().expect("the machine has memory for a removal");
        state.pages_out += 1;
        page
    }

    /// Takes pages back.
    pub(super) fn give(&self, pages: impl IntoIterator<Item = OwnedPage>) {
        let mut state = self.state.lock();
        for page in pages {
            state.pages_out -= 1;
            if cfg!(feature = "page-heap") {
                drop(page);
            } else {
                state.free.push_back(poison(page));
            }
        }
    }
}

/// Returns the memory of blocks whose pages are all among `pages` to the machine, `step` pages at most. Returns the pages without
/// memory, and the others.
fn return_blocks(mut pages: Vec<OwnedPage>, step: usize) -> (Vec<OwnedPage>, Vec<OwnedPage>) {
    let block = |page: &OwnedPage| page.address() / (BLOCK_PAGES * PAGE_BYTES);
    pages.sort_unstable_by_key(OwnedPage::address);
    let sizes: Vec<usize> = pages.chunk_by(|a, b| block(a) == block(b)).map(<[OwnedPage]>::len).collect();
    let (mut returned, mut kept) = (Vec::new(), Vec::new());
    let mut pages = pages.into_iter();
    for size in sizes {
        let mut block: Vec<OwnedPage> = pages.by_ref().take(size).collect();
        let whole = size == BLOCK_PAGES && returned.len() + BLOCK_PAGES <= step;
        let list = if whole && return_to_machine(&mut block) { &mut returned } else { &mut kept };
        list.append(&mut block);
    }
    (returned, kept)
}

/// In debug builds a page that comes back is overwritten, so that a read of it through a stale way shows in every test.
fn poison(mut page: OwnedPage) -> OwnedPage {
    if cfg!(debug_assertions) {
        page.all_mut().fill(0xdd);
    }
    page
}

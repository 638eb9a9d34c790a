//! Physical pages: mapped in large regions, recycled for ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::page::PAGE_BYTES;
use super::raw::{OwnedPage, Region};

/// Pages of a region: 64 MiB of address space; memory is taken by the machine as pages are touched.
const REGION_PAGES: usize = 64 * 1024 * 1024 / PAGE_BYTES;

/// The pool's bound does not allow the pages that a mutation might need; nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the page pool's memory bound is reached")]
pub struct OutOfMemory;

/// Physical memory for pages, shared by the shards of one engine.
///
/// A page that comes back is kept for the next taker, since it is already faulted in: copying into it costs a third of
/// copying into memory that is touched for the first time. Memory is never given back to the machine before the end.
#[derive(Debug)]
pub struct PagePool {
    pages_max: u64,
    state: Mutex<State>,
    /// Pages of all arenas that are kept for frozen versions alone.
    retired: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    free: Vec<OwnedPage>,
    regions: Vec<Region>,
    pages_out: u64,
}

impl State {
    /// None if the machine refuses more memory.
    fn one(&mut self) -> Option<OwnedPage> {
        if let Some(page) = self.free.pop() {
            return Some(page);
        }
        if cfg!(feature = "page-heap") {
            return Some(OwnedPage::from_heap());
        }
        self.never_used()
    }

    fn never_used(&mut self) -> Option<OwnedPage> {
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

    /// Bytes of pages handed out: live, retired for frozen versions, and the shards' spares.
    #[must_use]
    pub fn bytes_in_use(&self) -> u64 {
        self.state.lock().pages_out * PAGE_BYTES as u64
    }

    /// Bytes of pages that were used before and wait for their next use.
    #[must_use]
    pub fn bytes_free(&self) -> u64 {
        self.state.lock().free.len() as u64 * PAGE_BYTES as u64
    }

    /// Touches new memory so that at least `bytes` of pages wait, faulted in, for their next use; for a thread that has the
    /// time, before a freeze makes copies likely. The pool's bound is respected.
    pub fn prefault(&self, bytes: u64) {
        let pages = bytes / PAGE_BYTES as u64;
        loop {
            let mut page = {
                let mut state = self.state.lock();
                let free = state.free.len() as u64;
                if free >= pages || state.pages_out + free >= self.pages_max || cfg!(feature = "page-heap") {
                    return;
                }
                let Some(page) = state.never_used() else { return };
                page
            };
            page.all_mut().fill(0);
            self.state.lock().free.push(page);
        }
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
                state.free.push(poison(page));
            }
        }
    }
}

/// In debug builds a page that comes back is overwritten, so that a read of it through a stale way shows in every test.
fn poison(mut page: OwnedPage) -> OwnedPage {
    if cfg!(debug_assertions) {
        page.all_mut().fill(0xdd);
    }
    page
}

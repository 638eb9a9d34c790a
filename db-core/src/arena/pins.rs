//! Which frozen versions still need which pages, and the pages kept for them alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use smallvec::SmallVec;

use super::bits::PageSet;
use super::pool::PagePool;
use super::raw::{OwnedPage, SharedPage, reclaim_retired};
use crate::ids::PageId;

/// Page ids that are looked at in one go under the mutex: some 10 microseconds.
const SWEEP_IDS_MAX: usize = 64;

/// Page ids that are looked at for retired pages: those of one version are nearly all there are.
const RETIRED_IDS_MAX: usize = 1024;

/// Shared by an arena and its frozen versions. Taken on the first write to a page after a freeze, which copies 16 KiB
/// anyway, and by a frozen version that passes pages; never on the fast paths.
#[derive(Debug)]
pub(super) struct Pins {
    pool: Arc<PagePool>,
    state: Mutex<PinState>,
}

#[derive(Debug, Default)]
struct PinState {
    /// The frozen versions that exist, ascending.
    pins: Vec<Pin>,
    /// Pages that left the live table while a frozen version needed them, by logical page, oldest first.
    retired: BTreeMap<u32, RetiredList>,
    retired_pages: u64,
}

type RetiredList = SmallVec<[Retired; 1]>;

#[derive(Debug)]
struct Pin {
    version: u64,
    /// Pages below this are needed no more.
    passed: u32,
    /// Nor are these.
    early: PageSet,
}

impl Pin {
    fn needs(&self, id: u32) -> bool {
        id >= self.passed && !self.early.contains(PageId(id))
    }
}

#[derive(Debug)]
struct Retired {
    page: SharedPage,
    /// Versions from `born` to `last` see the page.
    born: u64,
    last: u64,
}

impl PinState {
    fn is_needed(&self, id: u32, born: u64, last: u64) -> bool {
        self.pins.iter().any(|pin| pin.version >= born && pin.version <= last && pin.needs(id))
    }

    /// Takes back the retired pages that no version needs, of at most `SWEEP_IDS_MAX` page ids from `from` to before `to`;
    /// answers the id to go on with, if there may be more.
    fn sweep(&mut self, from: u32, to: u32, free: &mut Vec<OwnedPage>) -> Option<u32> {
        let ids: SmallVec<[u32; SWEEP_IDS_MAX]> =
            self.retired.range(from..to).map(|(id, _)| *id).take(SWEEP_IDS_MAX).collect();
        for id in &ids {
            let Some(list) = self.retired.remove(id) else { continue };
            let mut kept = RetiredList::new();
            for retired in list {
                if self.is_needed(*id, retired.born, retired.last) {
                    kept.push(retired);
                } else {
                    self.retired_pages -= 1;
                    free.push(reclaim_retired(retired.page, false));
                }
            }
            if !kept.is_empty() {
                self.retired.insert(*id, kept);
            }
        }
        ids.last().filter(|_| ids.len() == SWEEP_IDS_MAX).map(|last| last + 1)
    }
}

impl Pins {
    pub(super) fn new(pool: Arc<PagePool>) -> Arc<Pins> {
        Arc::new(Pins { pool, state: Mutex::default() })
    }

    pub(super) fn pool(&self) -> &Arc<PagePool> {
        &self.pool
    }

    /// Notes a new frozen version, newer than all others.
    pub(super) fn add(&self, version: u64) {
        self.state.lock().pins.push(Pin { version, passed: 0, early: PageSet::default() });
    }

    /// Whether a frozen version from `born` to `last` may still read page `id`.
    pub(super) fn is_pinned(&self, id: PageId, born: u64, last: u64) -> bool {
        self.state.lock().is_needed(id.0, born, last)
    }

    /// Keeps a page that leaves its table for the versions from `born` to `last`, the newest that have it, that need it.
    pub(super) fn retire(&self, id: PageId, page: SharedPage, born: u64, last: u64) {
        let mut state = self.state.lock();
        let needed = state.is_needed(id.0, born, last);
        if needed {
            state.retired.entry(id.0).or_default().push(Retired { page, born, last });
            state.retired_pages += 1;
            self.pool.note_retired();
            return;
        }
        // The version has passed the page between the caller's check and now.
        drop(state);
        self.pool.give([reclaim_retired(page, needed)]);
    }

    /// `version` needs no page below `to` any more, nor (with `gone`) any other.
    pub(super) fn pass(&self, version: u64, to: u32, gone: bool) {
        let mut state = self.state.lock();
        let Some(index) = state.pins.iter().position(|pin| pin.version == version) else { return };
        let from = state.pins[index].passed;
        state.pins[index].passed = to.max(from);
        if gone {
            state.pins.remove(index);
        }
        drop(state);
        // In steps, so that a writer never waits for long.
        let (mut next, mut free) = (Some(from), Vec::new());
        while let Some(from) = next {
            next = self.state.lock().sweep(from, to.max(from), &mut free);
            self.pool.note_released(free.len());
            self.pool.give(free.drain(..));
        }
    }

    /// `version` needs these pages no more, though it has not passed them.
    pub(super) fn pass_early(&self, version: u64, ids: &[PageId]) {
        let (mut state, mut free) = (self.state.lock(), Vec::new());
        let Some(pin) = state.pins.iter_mut().find(|pin| pin.version == version) else { return };
        ids.iter().for_each(|id| pin.early.insert(*id));
        for id in ids {
            state.sweep(id.0, id.0 + 1, &mut free);
        }
        drop(state);
        self.pool.note_released(free.len());
        self.pool.give(free);
    }

    /// Up to `max` ids of retired pages that `version` needs, ascending. Looks at a bounded number of ids.
    pub(super) fn retired_for(&self, version: u64, max: usize) -> Vec<PageId> {
        let state = self.state.lock();
        let Some(pin) = state.pins.iter().find(|pin| pin.version == version) else { return Vec::new() };
        let seen = |retired: &Retired| retired.born <= version && version <= retired.last;
        let ids = state.retired.range(pin.passed..).take(RETIRED_IDS_MAX);
        ids.filter(|(id, list)| pin.needs(**id) && list.iter().any(seen)).map(|(id, _)| PageId(*id)).take(max).collect()
    }

    /// Pages kept for frozen versions alone.
    pub(super) fn retired_pages(&self) -> u64 {
        self.state.lock().retired_pages
    }
}

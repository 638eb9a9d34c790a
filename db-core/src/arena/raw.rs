//! The only unsafe code of the engine: mapped memory, and the pages of it that a live table and its frozen versions share.
//!
//! **Ownership.** Every physical page has one owner at any time: the pool or an arena's spares (as an [`OwnedPage`], which is to
//! a page what `Box` is to a value), a slot of a live table or of one that was cleared, or a retired list.
//! `OwnedPage::into_shared` and `SharedPage::reclaim` are the only ways between the first kind and the others.
//!
//! **Sharing.** A frozen version has a copy of the table, so the same page may be read through a live slot and through
//! frozen slots, by different threads. It is never written or reclaimed while a frozen version may read it. Two facts
//! carry this; both are kept in `live.rs` and `pins.rs`, and every path to them runs under the pins' mutex:
//!
//! 1. A live slot whose `born` is above the newest frozen version is in no frozen table: versions only grow, a freeze
//!    takes the number that was current, and a slot gets the then current number when its page is put in.
//! 2. A slot with an older `born` gets the current number only after `Pins::is_pinned` has said no: every frozen version
//!    from `born` on has released that page or was dropped. `FrozenShard` refuses to read a page that it has released, and
//!    releasing takes `&mut FrozenShard`, so no borrow of that page is left in it. Otherwise the page is copied, and the old
//!    one is retired until the same condition is true.
//!
//! An arena over a frozen version (`Arena::of_frozen`) has a copy of that version's table and a share of the version itself, of which
//! nobody can release a page then: it is one more reader of it. Each of its ways to a page that is written, reclaimed or frozen panics first
//! (`Arena::assert_live`).
//!
//! The mutex makes the frozen reader's last read happen before the write or the reuse that follows the check.
//!
//! **Lifetime of the mapping.** Regions are unmapped when the `PagePool` is dropped. Whatever holds an `OwnedPage` or a
//! `SharedPage` (arena, frozen shard, pins) holds an `Arc<PagePool>` too, and lends pages only for its own borrow.
#![allow(unsafe_code)]

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut, Range};
use std::ptr::NonNull;

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};

use super::frozen::FrozenShard;
use super::live::Arena;
use super::page::{PAGE_BYTES, Page};
use crate::ids::PageId;

/// A run of mapped, zeroed memory that is cut into pages from its start.
#[derive(Debug)]
pub(super) struct Region {
    start: NonNull<Page>,
    pages: usize,
    cut: usize,
}

// SAFETY: a region is an exclusive mapping; it hands each of its pages out once (`cut` only grows) and touches none after.
unsafe impl Send for Region {}

impl Region {
    /// Maps `pages` pages; None if the system refuses.
    pub(super) fn map(pages: usize) -> Option<Region> {
        let bytes = pages.checked_mul(PAGE_BYTES)?;
        // SAFETY: a new anonymous private mapping at an address of the kernel's choice touches no existing memory.
        let start = unsafe {
            mmap_anonymous(std::ptr::null_mut(), bytes, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE)
        }
        .ok()?;
        // SAFETY: the range is the mapping made above. Huge pages are a wish: a refusal changes nothing but speed.
        let _ = unsafe { madvise(start, bytes, Advice::LinuxHugepage) };
        // A mapping is aligned to the machine's page size, which is a multiple of the 64 bytes that `Page` asks for.
        Some(Region { start: NonNull::new(start.cast())?, pages, cut: 0 })
    }

    /// The next page that was never handed out: zeroed, since the kernel gives zeroed memory.
    pub(super) fn cut(&mut self) -> Option<OwnedPage> {
        if self.cut == self.pages {
            return None;
        }
        // SAFETY: `cut < pages`, so the page lies within the mapping.
        let page = unsafe { self.start.add(self.cut) };
        self.cut += 1;
        Some(OwnedPage { page, zeroed: true })
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: `start` and `pages` are those of the mapping. No page of it is used any more: see "Lifetime" above.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.pages * PAGE_BYTES) };
    }
}

/// A page that nothing else can reach.
#[derive(Debug)]
pub(super) struct OwnedPage {
    page: NonNull<Page>,
    zeroed: bool,
}

// SAFETY: it is the only way to its page, like a `Box`.
unsafe impl Send for OwnedPage {}

impl OwnedPage {
    /// With feature `page-heap`: a page of its own allocation, so that the address sanitizer knows when it may be used and
    /// where it ends.
    pub(super) fn from_heap() -> OwnedPage {
        let layout = Layout::new::<Page>();
        // SAFETY: the layout is not empty.
        let page = unsafe { alloc_zeroed(layout) };
        let page = NonNull::new(page.cast()).unwrap_or_else(|| handle_alloc_error(layout));
        OwnedPage { page, zeroed: true }
    }

    /// Gives up exclusive access: the page goes into a live table's slot.
    pub(super) fn into_shared(self) -> SharedPage {
        SharedPage(ManuallyDrop::new(self).page)
    }

    /// Where it lies.
    pub(super) fn address(&self) -> usize {
        self.page.as_ptr().addr()
    }

    /// Writes to all of it, so that the machine gives it memory now and not when somebody waits.
    pub(super) fn touch(&mut self) {
        self.all_mut().fill(0);
        self.zeroed = true;
    }

    /// Makes all bytes zero, if they are not known to be.
    pub(super) fn make_zero(&mut self) {
        if !self.zeroed {
            self.all_mut().fill(0);
            self.zeroed = true;
        }
    }

    /// Makes all bytes zero, as those outside of `used` are.
    pub(super) fn clear(&mut self, used: [Range<usize>; 2]) {
        used.into_iter().for_each(|part| self.all_mut()[part].fill(0));
        debug_assert!(self.all().iter().all(|byte| *byte == 0), "nothing else was in use");
        self.zeroed = true;
    }
}

impl Deref for OwnedPage {
    type Target = Page;
    fn deref(&self) -> &Page {
        // SAFETY: the page lies in a mapping that lives (see "Lifetime"), every bit pattern is a valid `Page`, and this
        // owner is the only way to it.
        unsafe { self.page.as_ref() }
    }
}

impl DerefMut for OwnedPage {
    fn deref_mut(&mut self) -> &mut Page {
        self.zeroed = false;
        // SAFETY: as in `deref`, and `self` is borrowed exclusively.
        unsafe { self.page.as_mut() }
    }
}

impl Drop for OwnedPage {
    fn drop(&mut self) {
        if cfg!(feature = "page-heap") {
            // SAFETY: with this feature every page came from `from_heap` with this layout, and its one owner ends here.
            unsafe { dealloc(self.page.as_ptr().cast(), Layout::new::<Page>()) };
        }
    }
}

/// Returns the memory of a run of pages, each adjacent to the one before, to the machine; they are zero when they are touched
/// again. False if the machine refuses: nothing has changed.
///
/// # Panics
/// If they are not adjacent.
pub(super) fn return_to_machine(run: &mut [OwnedPage]) -> bool {
    assert!(run.windows(2).all(|pair| pair[1].address() == pair[0].address() + PAGE_BYTES), "a run of pages");
    let Some(first) = run.first().filter(|_| !cfg!(feature = "page-heap")) else { return false };
    // SAFETY: the range is that of the run's pages and nothing else, as asserted. They are owned, so nobody reads or writes them
    // meanwhile. They lie in anonymous private mappings, of which the kernel gives zeroed memory after this (madvise(2)).
    let given = unsafe { madvise(first.page.as_ptr().cast(), run.len() * PAGE_BYTES, Advice::LinuxDontNeed) };
    if given.is_ok() {
        run.iter_mut().for_each(|page| page.zeroed = true);
    }
    given.is_ok()
}

/// A page in a table's slot or on a retired list.
#[derive(Clone, Copy, Debug)]
pub(super) struct SharedPage(NonNull<Page>);

// SAFETY: the handle itself grants nothing; every access goes through the functions of this file, whose arguments cover
// access from several threads.
unsafe impl Send for SharedPage {}
// SAFETY: as for `Send`.
unsafe impl Sync for SharedPage {}

impl SharedPage {
    /// Takes a page back as owned.
    ///
    /// # Safety
    /// No table's slot holds the page any more, except slots of frozen versions that have released it, and no borrow of it
    /// exists. No other copy of this handle is used afterwards.
    pub(super) unsafe fn reclaim(self) -> OwnedPage {
        OwnedPage { page: self.0, zeroed: false }
    }
}

/// Takes the page back that a slot held before it was emptied: one of the live table, or of one that was cleared. `pinned` is
/// `Pins::is_pinned` of that slot.
pub(super) fn reclaim_unpinned(page: SharedPage, pinned: bool) -> OwnedPage {
    assert!(!pinned, "a page that a frozen version needs is not reclaimed");
    // SAFETY: the caller (`Arena::free`, `Cleared::step`) has emptied the slot, or will never look at it again, under `&mut
    // Arena`, so no borrow through it exists; no frozen version can read it (facts 1 and 2; none that was frozen after a table
    // was cleared has a slot of it).
    unsafe { page.reclaim() }
}

/// Takes a retired page back that no frozen version needs any more: `needed` is `Pins`' judgement under its mutex.
pub(super) fn reclaim_retired(page: SharedPage, needed: bool) -> OwnedPage {
    assert!(!needed, "a retired page that a frozen version needs is not reclaimed");
    // SAFETY: the live slot was given another page or emptied when this one was retired; every frozen version that sees it
    // has released it (fact 2); the list entry is consumed.
    unsafe { page.reclaim() }
}

impl Arena {
    /// The page to read.
    ///
    /// # Panics
    /// If the page is not in use: an address within the shard is wrong.
    #[inline]
    #[must_use]
    pub fn page(&self, id: PageId) -> &Page {
        let page = self.slot(id).page.expect("page in use");
        // SAFETY: a live slot's page is mapped and initialised. Writing takes `&mut self`; frozen versions only read. If this is
        // an arena over a frozen version, it shares in that version, which has released nothing and cannot (releasing takes `&mut`,
        // which a shared one does not lend), so the page is not written (fact 2).
        unsafe { page.0.as_ref() }
    }

    /// The page to write: copied first if a frozen version still needs it.
    ///
    /// # Panics
    /// If the page is not in use.
    #[inline]
    pub fn page_mut(&mut self, id: PageId) -> &mut Page {
        let mut page = self.writable(id);
        // SAFETY: `writable` makes sure that no frozen version can read the page (facts 1 and 2); the live table is
        // borrowed exclusively for as long as the result lives; slots never share a page within one table.
        unsafe { page.0.as_mut() }
    }

    /// One page to read and another to write.
    ///
    /// # Panics
    /// If both are the same, or one is not in use.
    pub fn page_pair(&mut self, read: PageId, write: PageId) -> (&Page, &mut Page) {
        assert!(read != write, "a pair is of two pages");
        let mut to = self.writable(write);
        let from = self.slot(read).page.expect("page in use");
        // SAFETY: as in `page` and `page_mut`; the two are different pages, since slots never share one.
        unsafe { (from.0.as_ref(), to.0.as_mut()) }
    }

    /// Asks the processor for the cache line at byte `offset` of a page, if the page is in use. A hint: reads nothing.
    #[inline]
    pub(crate) fn prefetch(&self, id: PageId, offset: usize) {
        if let Some(page) = self.slot(id).page
            && offset < PAGE_BYTES
        {
            fetch_ahead(page.0.as_ptr().cast::<u8>().wrapping_add(offset));
        }
    }

    #[inline]
    fn writable(&mut self, id: PageId) -> SharedPage {
        let mut slot = self.slot(id);
        if slot.born <= self.newest_frozen() {
            self.make_private(id);
            slot = self.slot(id);
        }
        slot.page.expect("page in use")
    }
}

/// A prefetch to all levels of the cache, where this program knows the instruction.
#[inline]
fn fetch_ahead(at: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch accesses nothing that a program could notice, whatever the address is, and cannot fault.
    unsafe {
        core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T0 }>(at.cast());
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above; the instruction changes no register and no flag.
    unsafe {
        core::arch::asm!("prfm pldl1keep, [{at}]", at = in(reg) at, options(nostack, preserves_flags, readonly));
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = at;
}

impl FrozenShard {
    /// The page as it was at the freeze.
    ///
    /// # Panics
    /// If the page was not in use, or was released.
    #[must_use]
    pub fn page(&self, id: PageId) -> &Page {
        assert!(!self.is_released(id), "page {id} of a frozen version was released");
        let page = self.slot(id).page.expect("page in use");
        // SAFETY: this version has not released the page, so it is neither written nor reclaimed (fact 2); releasing it
        // takes `&mut self`.
        unsafe { page.0.as_ref() }
    }
}

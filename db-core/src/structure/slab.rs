//! The record allocator: pages cut into slots of one size class, chained by class while they have room.
//!
//! ```text
//!   0  page type u8 = 4, class u8, slots in use u16
//!   4  first free slot's granule u16 (0: none), slots ever used u16
//!   8  next page of the class with room u32, previous one u32 (0: none)
//!  16  root of the heap that it belongs to u32 (0: the shared one)
//!  20  next page of that heap u32, previous one u32 (0: none, and in the shared one)
//!  28  reserved, zero
//!  32  slots; a free slot's first two bytes are the granule of the next free one
//! ```
//!
//! Allocation takes the first page of the class with room, its newest free slot first, then its first never used one. An empty
//! page is freed unless it is the only one of its class with room, since otherwise it would be freed and allocated again and
//! again at the boundary; no page is kept for a slot that is [released](release) by an owner which will not need this size again
//! soon. Sizes up to 256 B are exact in granules, larger ones are what divides a page well: at most 1/8 is lost up to 1984 B. From there on
//! slots are whole cache lines long, so that all begin 32 bytes behind one.

use crate::arena::{Arena, GRANULE_BYTES, GRANULES_PER_PAGE, PAGE_BYTES, Page, Pages, Ref};
use crate::ids::PageId;

use super::PageType;
use super::heap::Heap;
use super::root;
use crate::planted::planted;

const TYPE: usize = 0;
const CLASS: usize = 1;
const USED: usize = 2;
const FREE: usize = 4;
const FRESH: usize = 6;
const NEXT: usize = 8;
const PREVIOUS: usize = 12;
const HEAP: usize = 16;
const NEXT_OWNED: usize = 20;
const PREVIOUS_OWNED: usize = 24;
const RESERVED: usize = 28;
const HEADER_BYTES: usize = 32;
const HEADER_GRANULES: usize = HEADER_BYTES / GRANULE_BYTES;

const SLOT_GRANULES: usize = GRANULES_PER_PAGE - HEADER_GRANULES;

/// Largest slot in bytes.
pub(crate) const SLOT_BYTES_MAX: usize = SLOT_GRANULES * GRANULE_BYTES;

/// Smallest slot in bytes: a page has at most 1022.
const SLOT_BYTES_MIN: usize = 16;

/// Classes that are exact in granules: those up to 256 bytes.
const EXACT: usize = (256 - SLOT_BYTES_MIN) / GRANULE_BYTES + 1;

/// Slots a page of the classes above those; each class is as large as that number allows.
const SLOTS_OF_LARGE: [usize; 27] =
    [56, 51, 46, 42, 39, 36, 31, 28, 25, 22, 20, 18, 16, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1];

/// Number of size classes.
pub(crate) const CLASSES: usize = EXACT + SLOTS_OF_LARGE.len();

const _: () = assert!(CLASSES <= root::CLASSES_MAX);

/// Granules of a slot, by class.
const GRANULES: [u16; CLASSES] = {
    let mut granules = [0; CLASSES];
    let mut class = 0;
    while class < CLASSES {
        granules[class] = match class {
            0..EXACT => (SLOT_BYTES_MIN / GRANULE_BYTES + class) as u16,
            _ => granules_of_large(SLOTS_OF_LARGE[class - EXACT]) as u16,
        };
        assert!(class == 0 || granules[class] > granules[class - 1]);
        class += 1;
    }
    granules
};

/// Granules of each of so many slots of a page.
const fn granules_of_large(slots: usize) -> usize {
    const LINE: usize = 64 / GRANULE_BYTES;
    let all = SLOT_GRANULES / slots;
    if slots == 1 || slots > 8 { all } else { all / LINE * LINE }
}

/// Smallest class with room for a number of granules.
const CLASS_OF: [u8; SLOT_GRANULES + 1] = {
    let mut table = [0; SLOT_GRANULES + 1];
    let (mut granules, mut class) = (0, 0);
    while granules <= SLOT_GRANULES {
        if granules > GRANULES[class] as usize {
            class += 1;
        }
        table[granules] = class as u8;
        granules += 1;
    }
    table
};

/// The class of `bytes`, at most [`SLOT_BYTES_MAX`].
#[inline]
pub(crate) fn class_of(bytes: usize) -> usize {
    CLASS_OF[bytes.div_ceil(GRANULE_BYTES)] as usize
}

/// Bytes of a slot of `class`.
#[inline]
pub(crate) fn slot_bytes(class: usize) -> usize {
    GRANULES[class] as usize * GRANULE_BYTES
}

fn slots_per_page(class: usize) -> usize {
    SLOT_GRANULES / GRANULES[class] as usize
}

/// A slot of the shared heap for `bytes`, whose content is whatever was there.
pub(crate) fn allocate(arena: &mut Arena, bytes: usize) -> Ref {
    allocate_in(arena, Heap::SHARED, bytes)
}

/// A slot of `heap` for `bytes`, whose content is whatever was there.
#[inline(always)]
pub(crate) fn allocate_in(arena: &mut Arena, heap: Heap, bytes: usize) -> Ref {
    let class = class_of(bytes);
    let id = match heap.partial(arena, class) {
        Some(id) => id,
        None => add_page(arena, heap, class),
    };
    let page = arena.page_mut(id);
    let used = page.u16_at(USED) + 1;
    page.put_u16(USED, used);
    let free = page.u16_at(FREE) as usize;
    let granule = if free != 0 {
        let next = page.u16_at(free * GRANULE_BYTES);
        if !planted("two structures share a slot") {
            page.put_u16(FREE, next);
        }
        free
    } else {
        let fresh = page.u16_at(FRESH);
        page.put_u16(FRESH, fresh + 1);
        HEADER_GRANULES + fresh as usize * GRANULES[class] as usize
    };
    arena.slab_use.free_bytes -= slot_bytes(class) as u64;
    arena.use_changed = true;
    if used as usize == slots_per_page(class) {
        unlink(arena, heap, id, class);
    }
    Ref::new(id, granule)
}

/// Frees the slot at `at`, which goes back to its heap.
pub(crate) fn free(arena: &mut Arena, at: Ref) {
    give_back(arena, at, true);
}

/// The same for an owner that will need no slot of this size soon: an empty page is not kept for it.
pub(crate) fn release(arena: &mut Arena, at: Ref) {
    give_back(arena, at, false);
}

#[inline]
fn give_back(arena: &mut Arena, at: Ref, keeps_one: bool) {
    let id = at.page();
    let page = arena.page_mut(id);
    assert!(page.u8_at(TYPE) == PageType::Slab as u8, "a freed slot lies in a slab page");
    let class = page.u8_at(CLASS) as usize;
    let used = page.u16_at(USED) - 1;
    page.put_u16(USED, used);
    let first = page.u16_at(FREE);
    page.put_u16(at.offset(), first);
    page.put_u16(FREE, at.granule() as u16);
    let (next, previous) = (page.u32_at(NEXT), page.u32_at(PREVIOUS));
    let heap = Heap(Ref(page.u32_at(HEAP)));
    arena.slab_use.free_bytes += slot_bytes(class) as u64;
    arena.use_changed = true;
    if used as usize + 1 == slots_per_page(class) {
        // One slot a page: it went from full to empty. It is kept if it is the only one with room, as below.
        if used == 0 && (!keeps_one || heap.partial(arena, class).is_some()) {
            free_page(arena, heap, id, 0);
        } else {
            link(arena, heap, id, class);
        }
    } else if used == 0 && (!keeps_one || next != 0 || previous != 0) {
        unlink(arena, heap, id, class);
        free_page(arena, heap, id, 0);
    }
}

/// Frees a page of `heap` that has slots of `bytes` bytes altogether in use, which nobody needs any more.
#[inline]
fn free_page(arena: &mut Arena, heap: Heap, id: PageId, bytes: usize) {
    if !heap.is_shared() {
        disown(arena, heap, id);
    }
    release_page(arena, id, bytes);
}

fn release_page(arena: &mut Arena, id: PageId, bytes: usize) {
    arena.free(id);
    arena.slab_use.pages -= 1;
    arena.slab_use.free_bytes -= (PAGE_BYTES - bytes) as u64;
}

/// Bytes of the slot at `at`.
#[inline]
pub(crate) fn capacity(pages: &impl Pages, at: Ref) -> usize {
    slot_bytes(pages.page(at.page()).u8_at(CLASS) as usize)
}

/// Returns the heap that the slot at `at` is from.
pub(crate) fn heap_of(pages: &impl Pages, at: Ref) -> Heap {
    Heap(Ref(pages.page(at.page()).u32_at(HEAP)))
}

/// Frees a page of a heap that is given up, whatever is in it; returns the one that follows it.
pub(super) fn free_owned(arena: &mut Arena, id: PageId) -> Option<PageId> {
    let header = SlabHeader::read(arena.page(id)).expect("an owner's page is one of slots");
    release_page(arena, id, header.used_bytes());
    header.next_owned
}

/// Takes a page out of the chain of its owner's.
#[cold]
fn disown(arena: &mut Arena, heap: Heap, id: PageId) {
    let page = arena.page(id);
    let (next, previous) = (root::some_page(page.u32_at(NEXT_OWNED)), root::some_page(page.u32_at(PREVIOUS_OWNED)));
    if let Some(next) = next {
        arena.page_mut(next).put_u32(PREVIOUS_OWNED, root::page_or_zero(previous));
    }
    if let Some(previous) = previous {
        arena.page_mut(previous).put_u32(NEXT_OWNED, root::page_or_zero(next));
    }
    heap.remove(arena, previous.is_none(), next);
}

fn own(arena: &mut Arena, heap: Heap, id: PageId) {
    let next = heap.add(arena, id);
    let page = arena.page_mut(id);
    page.put_u32(HEAP, heap.0.0);
    page.put_u32(NEXT_OWNED, root::page_or_zero(next));
    if let Some(next) = next {
        arena.page_mut(next).put_u32(PREVIOUS_OWNED, id.0);
    }
}

/// Whether the slot at `at`, of the shared heap, lies in a page that is at most half full and is not the one from which the next slot
/// of its class is taken.
pub(crate) fn is_sparse(pages: &impl Pages, at: Ref) -> bool {
    let page = pages.page(at.page());
    let class = page.u8_at(CLASS) as usize;
    2 * page.u16_at(USED) as usize <= slots_per_page(class) && root::partial(pages, class) != Some(at.page())
}

fn add_page(arena: &mut Arena, heap: Heap, class: usize) -> PageId {
    let id = arena.allocate();
    let page = arena.page_mut(id);
    page.put_u8(TYPE, PageType::Slab as u8);
    page.put_u8(CLASS, class as u8);
    if !heap.is_shared() {
        own(arena, heap, id);
    }
    arena.slab_use.pages += 1;
    arena.slab_use.free_bytes += PAGE_BYTES as u64;
    link(arena, heap, id, class);
    id
}

/// Frees many slots. A page all of whose slots are among them is freed as it is: where a frozen version has it, nothing of it is copied.
pub(crate) fn free_all(arena: &mut Arena, mut slots: Vec<Ref>) {
    slots.sort_unstable_by_key(|at| at.0);
    for here in slots.chunk_by(|a, b| a.page() == b.page()) {
        let id = here[0].page();
        let header = SlabHeader::read(arena.page(id)).expect("a freed slot lies in a slab page");
        if header.used != here.len() {
            here.iter().for_each(|at| free(arena, *at));
            continue;
        }
        if !header.is_full() {
            detach(arena, header);
        }
        free_page(arena, header.heap, id, header.used_bytes());
    }
}

/// Puts a page at the head of its class's chain.
fn link(arena: &mut Arena, heap: Heap, id: PageId, class: usize) {
    let next = heap.partial(arena, class);
    let page = arena.page_mut(id);
    page.put_u32(NEXT, root::page_or_zero(next));
    page.put_u32(PREVIOUS, 0);
    if let Some(next) = next {
        arena.page_mut(next).put_u32(PREVIOUS, id.0);
    }
    heap.put_partial(arena, class, Some(id));
}

fn unlink(arena: &mut Arena, heap: Heap, id: PageId, class: usize) {
    let page = arena.page_mut(id);
    let (next, previous) = (root::some_page(page.u32_at(NEXT)), root::some_page(page.u32_at(PREVIOUS)));
    page.put_u32(NEXT, 0);
    page.put_u32(PREVIOUS, 0);
    bridge(arena, heap, next, previous, class);
}

/// Takes a page out of its class's chain without writing to it.
fn detach(arena: &mut Arena, header: SlabHeader) {
    bridge(arena, header.heap, header.next, header.previous, header.class);
}

/// Makes neighbours of two pages of a chain.
fn bridge(arena: &mut Arena, heap: Heap, next: Option<PageId>, previous: Option<PageId>, class: usize) {
    if let Some(next) = next {
        arena.page_mut(next).put_u32(PREVIOUS, root::page_or_zero(previous));
    }
    match previous {
        Some(previous) => arena.page_mut(previous).put_u32(NEXT, root::page_or_zero(next)),
        None => heap.put_partial(arena, class, next),
    }
}

/// A slab page's header, for the verification of an image.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SlabHeader {
    pub(crate) class: usize,
    pub(crate) used: usize,
    pub(crate) next: Option<PageId>,
    pub(crate) previous: Option<PageId>,
    pub(crate) heap: Heap,
    pub(crate) next_owned: Option<PageId>,
    pub(crate) previous_owned: Option<PageId>,
}

impl SlabHeader {
    /// Reads and checks a header in itself.
    pub(crate) fn read(page: &Page) -> Result<SlabHeader, &'static str> {
        let class = page.u8_at(CLASS) as usize;
        if page.u8_at(TYPE) != PageType::Slab as u8 || class >= CLASSES {
            return Err("a page of records is not one");
        }
        let (used, fresh) = (page.u16_at(USED) as usize, page.u16_at(FRESH) as usize);
        if used > fresh || fresh > slots_per_page(class) {
            return Err("a page of records counts more slots than it has");
        }
        let other = |at| root::some_page(page.u32_at(at));
        let header = SlabHeader {
            class,
            used,
            next: other(NEXT),
            previous: other(PREVIOUS),
            heap: Heap(Ref(page.u32_at(HEAP))),
            next_owned: other(NEXT_OWNED),
            previous_owned: other(PREVIOUS_OWNED),
        };
        let chained = header.next_owned.is_some() || header.previous_owned.is_some();
        if page.u32_at(RESERVED) != 0 || (header.heap.is_shared() && chained) {
            return Err("the header of a page of records is malformed");
        }
        Ok(header)
    }

    /// Bytes of the slots in use.
    pub(crate) fn used_bytes(self) -> usize {
        self.used * slot_bytes(self.class)
    }

    /// Whether all slots are in use: such a page is in no chain.
    pub(crate) fn is_full(self) -> bool {
        self.used == slots_per_page(self.class)
    }
}

/// Number of the slot at byte `offset`, if one that was ever used starts there.
pub(crate) fn slot_index(page: &Page, offset: usize) -> Option<usize> {
    let size = slot_bytes(page.u8_at(CLASS) as usize);
    let from = offset.checked_sub(HEADER_GRANULES * GRANULE_BYTES)?;
    let index = from / size;
    (from % size == 0 && index < page.u16_at(FRESH) as usize).then_some(index)
}

/// Walks the chain of free slots, telling `visit` each one's number; it answers false to stop with an error.
pub(crate) fn walk_free(page: &Page, mut visit: impl FnMut(usize) -> bool) -> Result<(), &'static str> {
    let mut granule = page.u16_at(FREE) as usize;
    let mut left = page.u16_at(FRESH) as usize - page.u16_at(USED) as usize;
    while granule != 0 {
        if granule >= GRANULES_PER_PAGE || left == 0 {
            return Err("a chain of free slots leads astray");
        }
        let Some(index) = slot_index(page, granule * GRANULE_BYTES) else {
            return Err("a chain of free slots leads astray");
        };
        if !visit(index) {
            return Err("a free slot is in use");
        }
        left -= 1;
        granule = page.u16_at(granule * GRANULE_BYTES) as usize;
    }
    if left == 0 { Ok(()) } else { Err("a chain of free slots is too short") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_fit_tightly() {
        for bytes in 1..=SLOT_BYTES_MAX {
            let class = class_of(bytes);
            assert!(slot_bytes(class) >= bytes);
            assert!(class == 0 || slot_bytes(class - 1) < bytes);
            if (256..1984).contains(&bytes) {
                assert!(slot_bytes(class) - bytes < slot_bytes(class) / 8 + GRANULE_BYTES, "{bytes}");
            }
        }
        assert_eq!((slot_bytes(0), slot_bytes(CLASSES - 1)), (16, SLOT_BYTES_MAX));
    }
}

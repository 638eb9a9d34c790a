//! Large values, which do not fit into a slot: full pages, and a slot for the remainder.
//!
//! The root stands in the record, after the key:
//!
//! ```text
//!   0  length u64
//!   8  slot of the tail u32 (0: none)
//!  12  up to 64 page numbers u32: of the pages themselves if they are at most 64 (1 MiB), else of list pages,
//!      each an array of 4096 page numbers
//! ```
//!
//! How many pages, lists and tail bytes there are follows from the length alone. A tail above half a slot takes a page of its
//! own, which costs the same. Bytes of a page or slot beyond the length are zero if they are in a page; in a slot they are
//! whatever was there, so growing fills them.
//!
//! A value is sparse: where nothing but zeros was ever written, the page number is 0 (the superblock's, so of no value) and there
//! is no page, and where that is so of a whole list, there is no list either. Such a gap is read as zeros, and takes a page once
//! something else is written there.

use crate::arena::{Arena, PAGE_BYTES, Pages, Ref};
use crate::ids::PageId;
use crate::limits::VALUE_BYTES_MAX;
use crate::structure::slab::{self, SLOT_BYTES_MAX};

/// Page number of a gap.
const GAP: PageId = PageId(0);
/// What is read of a gap.
static ZEROS: [u8; PAGE_BYTES] = [0; PAGE_BYTES];

const LEN: usize = 0;
const TAIL: usize = 8;
const IDS: usize = 12;

/// Page numbers that a root has room for.
const ROOT_IDS_MAX: usize = 64;
const LIST_IDS: usize = PAGE_BYTES / 4;
const TAIL_BYTES_MAX: u64 = SLOT_BYTES_MAX as u64 / 2;

/// Longest root in bytes.
pub(crate) const ROOT_BYTES_MAX: usize = IDS + 4 * ROOT_IDS_MAX;

const _: () = assert!(VALUE_BYTES_MAX <= (ROOT_IDS_MAX * LIST_IDS * PAGE_BYTES) as u64);

/// Pages of a value of `len` bytes, gaps included, the lists not counted.
fn pages_of(len: u64) -> usize {
    let full = (len / PAGE_BYTES as u64) as usize;
    full + usize::from(len % PAGE_BYTES as u64 > TAIL_BYTES_MAX)
}

/// Bytes in the tail's slot.
fn tail_of(len: u64) -> usize {
    let rest = len % PAGE_BYTES as u64;
    if rest > TAIL_BYTES_MAX { 0 } else { rest as usize }
}

fn has_lists(pages: usize) -> bool {
    pages > ROOT_IDS_MAX
}

/// Page numbers that a root has room for: a root never shrinks as its value grows.
fn root_ids(pages: usize) -> usize {
    pages.min(ROOT_IDS_MAX)
}

fn lists_of(pages: usize) -> usize {
    if has_lists(pages) { pages.div_ceil(LIST_IDS) } else { 0 }
}

/// Bytes of the root of a value of `len` bytes.
pub(crate) fn root_bytes(len: u64) -> usize {
    IDS + 4 * root_ids(pages_of(len))
}

/// Bytes of the pages of a value of `len` bytes without gaps, their lists and the tail's slot.
pub(crate) fn memory_bytes(len: u64) -> u64 {
    let pages = pages_of(len);
    ((pages + lists_of(pages)) * PAGE_BYTES) as u64 + tail_slot_bytes(len)
}

fn tail_slot_bytes(len: u64) -> u64 {
    let tail = tail_of(len);
    if tail == 0 { 0 } else { slab::slot_bytes(slab::class_of(tail)) as u64 }
}

/// Pages that growing may take or copy: for what was the tail, its list, the slot that it was in, the new tail's.
pub(crate) const PAGES_TO_GROW: usize = 4;

/// Pages that writing `bytes` bytes may take or copy, lists included.
pub(crate) fn pages_to_write(bytes: usize) -> usize {
    let pages = bytes / PAGE_BYTES + 2;
    pages + pages / LIST_IDS + 2
}

/// A root as read from a record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Root<'a> {
    bytes: &'a [u8],
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(*bytes[at..].first_chunk().expect("a root has its page numbers"))
}

impl<'a> Root<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// Bytes of its pages, their lists and the tail's slot; gaps take none.
    pub(crate) fn memory_bytes(self, pages: &(impl Pages + ?Sized)) -> u64 {
        let lists = (0..lists_of(self.pages())).filter(|list| self.id(*list) != GAP).count();
        ((self.pages_there(pages) + lists) * PAGE_BYTES) as u64 + tail_slot_bytes(self.len())
    }

    /// The number of pages that are there, lists not counted.
    pub(crate) fn pages_there(self, pages: &(impl Pages + ?Sized)) -> usize {
        self.there(pages).count()
    }

    /// Whether at most `max` pages are there.
    pub(crate) fn has_few(self, pages: &(impl Pages + ?Sized), max: usize) -> bool {
        self.there(pages).nth(max).is_none()
    }

    /// Which pages are there. Passes a list that is not there at once.
    fn there(self, pages: &(impl Pages + ?Sized)) -> impl Iterator<Item = usize> {
        let count = self.pages();
        let is_list = move |list: &usize| !has_lists(count) || self.id(*list) != GAP;
        let of_list = move |list: usize| list * LIST_IDS..count.min((list + 1) * LIST_IDS);
        let parts = (0..count.div_ceil(LIST_IDS)).filter(is_list);
        parts.flat_map(of_list).filter(move |index| self.page(pages, *index) != GAP)
    }

    /// The number of pages, gaps included, lists not counted.
    pub(crate) fn pages(self) -> usize {
        pages_of(self.len())
    }

    pub(crate) fn len(self) -> u64 {
        u64::from_le_bytes(*self.bytes[LEN..].first_chunk().expect("a root has a length"))
    }

    fn tail(self) -> Ref {
        Ref(word(self.bytes, TAIL))
    }

    /// The `index`th page number of the root itself.
    fn id(self, index: usize) -> PageId {
        PageId(word(self.bytes, IDS + 4 * index))
    }

    /// The `index`th page.
    fn page(self, pages: &(impl Pages + ?Sized), index: usize) -> PageId {
        if !has_lists(pages_of(self.len())) {
            return self.id(index);
        }
        match self.id(index / LIST_IDS) {
            GAP => GAP,
            list => PageId(pages.page(list).u32_at(4 * (index % LIST_IDS))),
        }
    }

    /// The pieces of the value: one a page, then the tail.
    pub(crate) fn pieces(self) -> usize {
        pages_of(self.len()) + usize::from(tail_of(self.len()) != 0)
    }

    /// The `index`th piece; pieces but the last are a page long.
    pub(crate) fn piece(self, pages: &'a dyn Pages, index: usize) -> &'a [u8] {
        let len = (self.len() - (index * PAGE_BYTES) as u64).min(PAGE_BYTES as u64) as usize;
        if index < pages_of(self.len()) {
            match self.page(pages, index) {
                GAP => &ZEROS[..len],
                page => pages.page(page).bytes(0, len),
            }
        } else {
            pages.page(self.tail().page()).bytes(self.tail().offset(), len)
        }
    }

    /// Checks a root that may be damaged: `page` and `slot` say whether a page or slot is in use and of nobody else. Gaps are no pages.
    pub(crate) fn check(
        self,
        pages: &impl Pages,
        mut page: impl FnMut(PageId) -> bool,
        mut slot: impl FnMut(Ref, usize) -> Result<(), &'static str>,
    ) -> Result<(), &'static str> {
        if self.bytes.len() < IDS || self.len() > VALUE_BYTES_MAX || self.bytes.len() != root_bytes(self.len()) {
            return Err("a large value's root has a wrong length");
        }
        let count = pages_of(self.len());
        let mut is_own = |id: PageId| id == GAP || page(id);
        if !(0..lists_of(count)).all(|list| is_own(self.id(list))) {
            return Err("a list of a large value's pages is no page of its own");
        }
        if !(0..count).all(|index| is_own(self.page(pages, index))) {
            return Err("a page of a large value is no page of its own");
        }
        match tail_of(self.len()) {
            0 if self.tail().is_null() => Ok(()),
            0 => Err("a large value without a tail has one"),
            bytes => slot(self.tail(), bytes),
        }
    }
}

/// Where a root stands: the record's page and the byte offset within it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RootAt {
    pub(crate) page: PageId,
    pub(crate) offset: usize,
}

impl RootAt {
    fn u32_at(self, arena: &Arena, at: usize) -> u32 {
        arena.page(self.page).u32_at(self.offset + at)
    }

    fn put_u32(self, arena: &mut Arena, at: usize, value: u32) {
        arena.page_mut(self.page).put_u32(self.offset + at, value);
    }

    pub(crate) fn len(self, pages: &impl Pages) -> u64 {
        pages.page(self.page).u64_at(self.offset + LEN)
    }

    /// The root, which is sound.
    pub(crate) fn read(self, pages: &impl Pages) -> Root<'_> {
        Root::new(pages.page(self.page).bytes(self.offset, root_bytes(self.len(pages))))
    }

    fn page(self, arena: &Arena, index: usize) -> PageId {
        self.read(arena).page(arena, index)
    }
}

/// Makes a value of `len` zero bytes; its root has room.
pub(crate) fn create(arena: &mut Arena, root: RootAt, len: u64) {
    arena.page_mut(root.page).put_u64(root.offset + LEN, 0);
    root.put_u32(arena, TAIL, 0);
    grow(arena, root, len);
}

/// Makes a value longer, with zero bytes, which are gaps; its root has room for the new length.
pub(crate) fn grow(arena: &mut Arena, root: RootAt, new: u64) {
    let old = root.len(arena);
    let (before, after) = (pages_of(old), pages_of(new));
    for index in root_ids(before)..root_ids(after) {
        root.put_u32(arena, IDS + 4 * index, GAP.0);
    }
    arena.page_mut(root.page).put_u64(root.offset + LEN, new);
    if !has_lists(before) && has_lists(after) {
        move_to_lists(arena, root, before);
    }
    grow_tail(arena, root, tail_of(old), before, after > before, tail_of(new));
}

fn move_to_lists(arena: &mut Arena, root: RootAt, pages: usize) {
    let ids: Vec<u32> = (0..pages).map(|index| root.u32_at(arena, IDS + 4 * index)).collect();
    for index in 0..pages {
        root.put_u32(arena, IDS + 4 * index, GAP.0);
    }
    for (index, id) in ids.into_iter().enumerate().filter(|(_, id)| *id != GAP.0) {
        put_page(arena, root, index, PageId(id), true);
    }
}

fn put_page(arena: &mut Arena, root: RootAt, index: usize, id: PageId, lists: bool) {
    if !lists {
        root.put_u32(arena, IDS + 4 * index, id.0);
        return;
    }
    let slot = IDS + 4 * (index / LIST_IDS);
    let list = match PageId(root.u32_at(arena, slot)) {
        GAP => {
            let list = arena.allocate();
            root.put_u32(arena, slot, list.0);
            list
        }
        list => list,
    };
    arena.page_mut(list).put_u32(4 * (index % LIST_IDS), id.0);
}

/// Puts a page where there is a gap.
fn fill_gap(arena: &mut Arena, root: RootAt, index: usize) -> PageId {
    let (id, lists) = (arena.allocate(), has_lists(pages(arena, root)));
    put_page(arena, root, index, id, lists);
    id
}

/// Moves the tail into the page that took its place (`moved`), or to a slot of its new size.
fn grow_tail(arena: &mut Arena, root: RootAt, old: usize, page_index: usize, moved: bool, new: usize) {
    let mut there = old;
    let mut tail = Ref(root.u32_at(arena, TAIL));
    if moved && old != 0 {
        let page = fill_gap(arena, root, page_index);
        let (from, to) = arena.page_pair(tail.page(), page);
        to.bytes_mut(0, old).copy_from_slice(from.bytes(tail.offset(), old));
        slab::free(arena, tail);
        (tail, there) = (Ref::NULL, 0);
    }
    if new != 0 {
        tail = resize_slot(arena, tail, there, new);
        arena.page_mut(tail.page()).bytes_mut(tail.offset() + there, new - there).fill(0);
    }
    root.put_u32(arena, TAIL, tail.0);
}

/// A slot of the class of `new` bytes with the first `keep` bytes of the one at `at` (null: none).
pub(crate) fn resize_slot(arena: &mut Arena, at: Ref, keep: usize, new: usize) -> Ref {
    if !at.is_null() && slab::capacity(arena, at) == slab::slot_bytes(slab::class_of(new)) {
        return at;
    }
    let to = slab::allocate(arena, new);
    if !at.is_null() {
        copy(arena, at, to, keep);
        slab::free(arena, at);
    }
    to
}

/// Returns the slot of a value's tail (null: it has none).
pub(crate) fn tail(arena: &Arena, root: RootAt) -> Ref {
    Ref(root.u32_at(arena, TAIL))
}

/// Moves the tail, which is there, to another slot.
pub(crate) fn move_tail(arena: &mut Arena, root: RootAt) {
    let (from, bytes) = (tail(arena, root), tail_of(root.len(arena)));
    let to = slab::allocate(arena, bytes);
    copy(arena, from, to, bytes);
    slab::free(arena, from);
    root.put_u32(arena, TAIL, to.0);
}

/// Copies the first `bytes` bytes of a slot to another one.
pub(crate) fn copy(arena: &mut Arena, from: Ref, to: Ref, bytes: usize) {
    copy_bytes(arena, (from.page(), from.offset()), (to.page(), to.offset()), bytes);
}

/// Copies bytes to another place; each place is a page and a byte offset within it.
pub(crate) fn copy_bytes(arena: &mut Arena, from: (PageId, usize), to: (PageId, usize), bytes: usize) {
    if bytes == 0 {
        return;
    }
    if from.0 == to.0 {
        arena.page_mut(to.0).all_mut().copy_within(from.1..from.1 + bytes, to.1);
    } else {
        let (source, target) = arena.page_pair(from.0, to.0);
        target.bytes_mut(to.1, bytes).copy_from_slice(source.bytes(from.1, bytes));
    }
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.chunks(64).all(|chunk| chunk.iter().fold(0, |all, byte| all | byte) == 0)
}

/// Overwrites from `offset`; the value is long enough. Touches the pages concerned and no other. Zeros leave a gap as it is.
pub(crate) fn write(arena: &mut Arena, root: RootAt, mut offset: u64, mut bytes: &[u8]) {
    let pages = pages_of(root.len(arena));
    while !bytes.is_empty() {
        let (index, within) = ((offset / PAGE_BYTES as u64) as usize, (offset % PAGE_BYTES as u64) as usize);
        let (now, later) = bytes.split_at(bytes.len().min(PAGE_BYTES - within));
        let place = if index < pages {
            match root.page(arena, index) {
                GAP if is_zero(now) => None,
                GAP => Some((fill_gap(arena, root, index), within)),
                page => Some((page, within)),
            }
        } else {
            let tail = Ref(root.u32_at(arena, TAIL));
            Some((tail.page(), tail.offset() + within))
        };
        if let Some((page, at)) = place {
            arena.page_mut(page).bytes_mut(at, now.len()).copy_from_slice(now);
        }
        offset += now.len() as u64;
        bytes = later;
    }
}

/// Returns the number of pages of a value, gaps included, its lists not counted.
pub(crate) fn pages(pages: &impl Pages, root: RootAt) -> usize {
    pages_of(root.len(pages))
}

/// Frees a page, unless it is a gap; returns how many pages that were.
fn free_page(arena: &mut Arena, id: PageId) -> usize {
    if id == GAP {
        return 0;
    }
    arena.free(id);
    1
}

/// Frees the last pages of a value, and its tail, so that it is `keep` pages long: fewer than before, and more than a root has room for.
/// Returns how many were there.
pub(crate) fn shrink(arena: &mut Arena, root: RootAt, keep: usize) -> usize {
    let before = pages(arena, root);
    assert!(keep < before && has_lists(keep), "{keep} of {before} pages");
    if tail_of(root.len(arena)) != 0 {
        let tail = Ref(root.u32_at(arena, TAIL));
        slab::free(arena, tail);
        root.put_u32(arena, TAIL, 0);
    }
    let mut freed = 0;
    for index in (keep..before).rev() {
        let id = root.page(arena, index);
        freed += free_page(arena, id);
        if index.is_multiple_of(LIST_IDS) {
            let list = PageId(root.u32_at(arena, IDS + 4 * (index / LIST_IDS)));
            free_page(arena, list);
        }
    }
    arena.page_mut(root.page).put_u64(root.offset + LEN, (keep * PAGE_BYTES) as u64);
    freed
}

/// Frees all pages and the tail; the root is void afterwards. Returns how many pages were there.
#[inline(never)]
pub(crate) fn free(arena: &mut Arena, root: RootAt) -> usize {
    let len = root.len(arena);
    let (pages, mut freed) = (pages_of(len), 0);
    for index in 0..pages {
        let id = root.page(arena, index);
        freed += free_page(arena, id);
    }
    for list in 0..lists_of(pages) {
        let id = PageId(root.u32_at(arena, IDS + 4 * list));
        free_page(arena, id);
    }
    if tail_of(len) != 0 {
        let tail = Ref(root.u32_at(arena, TAIL));
        slab::free(arena, tail);
    }
    freed
}

//! Lists: elements by position.
//!
//! A small one is one piece, as a small set is (`value/map/packed.rs`). A large one is a counted B+tree by position: an element at any
//! place is found, inserted and removed in O(log n). Its root is in the record:
//!
//! ```text
//!   0  handle of the tree (`structure/tree/mod.rs`)
//!  16  long elements u64
//!  24  bytes of their slots and pages u64
//!
//!      an item of the tree: 0 u8, then the element; or, if that is too long for an item, 1 u8, then the address u32 of a slot that
//!      contains it (`value/entry.rs`, with an empty name)
//! ```

use smallvec::SmallVec;

use crate::arena::{Arena, PAGE_BYTES, Pages, Ref};
use crate::ids::PageId;
use crate::structure::slab;
use crate::structure::tree::{self, ByPosition, ITEM_BYTES_MAX, Tree};

use super::ValueView;
use super::entry::{self, CollectionInspector, EntryContent, EntryForm, SlotEntry, check_entry, give_up_value};
use super::packed;
use super::record::{Encoding, Head};

const LONG: usize = 16;
const LONG_BYTES: usize = 24;

/// Bytes of a root; zeros are one without elements.
pub(crate) const ROOT_BYTES: usize = 32;

const _: () = assert!(tree::HANDLE_BYTES == LONG);

const HERE: u8 = 0;
const ELSEWHERE: u8 = 1;

/// A list as readers see it.
#[derive(Clone, Copy, Debug)]
pub struct ListView<'a, P> {
    pages: &'a P,
    repr: ListRepr<'a>,
}

#[derive(Clone, Copy, Debug)]
enum ListRepr<'a> {
    Packed(&'a [u8]),
    Large(LargeList),
}

impl<'a, P: Pages> ListView<'a, P> {
    /// The list in the record at `at` with the header `head`.
    #[inline]
    pub(crate) fn new(pages: &'a P, at: Ref, head: &Head) -> Self {
        let repr = match head.encoding {
            Encoding::TREE => ListRepr::Large(LargeList::at(at.page(), head.rest_at)),
            _ => ListRepr::Packed(head.rest(pages.page(at.page()))),
        };
        ListView { pages, repr }
    }

    /// Returns the number of elements.
    #[must_use]
    pub fn len(&self) -> u64 {
        match self.repr {
            ListRepr::Packed(blob) => packed::len(blob) as u64,
            ListRepr::Large(large) => large.len(self.pages),
        }
    }

    /// Whether there is no element: never, of one that is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns whether it is a tree.
    #[must_use]
    pub fn is_large(&self) -> bool {
        matches!(self.repr, ListRepr::Large(_))
    }

    /// Returns the bytes of one in one piece; 0 of a tree.
    pub(crate) fn packed_bytes(&self) -> usize {
        match self.repr {
            ListRepr::Packed(blob) => blob.len(),
            ListRepr::Large(_) => 0,
        }
    }

    /// Returns the bytes that it takes beside its record.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        match self.repr {
            ListRepr::Packed(_) => 0,
            ListRepr::Large(large) => large.memory_bytes(self.pages),
        }
    }

    /// Returns the element at `index`.
    #[must_use]
    pub fn get(&self, index: u64) -> Option<ValueView<'a>> {
        match self.repr {
            ListRepr::Packed(blob) => packed::strings(blob).nth(index as usize).map(ValueView::whole),
            ListRepr::Large(large) => large.tree().get(self.pages, index).map(|item| element(self.pages, item)),
        }
    }

    /// Returns the index of the first element that is `value`.
    #[must_use]
    pub fn find(&self, value: &[u8]) -> Option<u64> {
        match self.repr {
            ListRepr::Packed(blob) => {
                packed::strings(blob).position(|string| string == value).map(|index| index as u64)
            }
            ListRepr::Large(large) if is_long(value.len() as u64) => {
                let tree = large.tree();
                let mut items = tree.cursor(self.pages, tree.start(self.pages));
                items.position(|item| element(self.pages, item).equals(value)).map(|index| index as u64)
            }
            ListRepr::Large(large) => {
                let mut item = SmallVec::<[u8; 128]>::new();
                item.push(HERE);
                item.extend_from_slice(value);
                large.tree().rank_of(self.pages, &item)
            }
        }
    }

    /// Visits the elements from `index` on, until `visit` returns false.
    pub fn each_from(&self, index: u64, visit: &mut dyn FnMut(ValueView<'a>) -> bool) {
        match self.repr {
            ListRepr::Packed(blob) => {
                let _ = packed::strings(blob).skip(index as usize).all(|string| visit(ValueView::whole(string)));
            }
            ListRepr::Large(large) => {
                let tree = large.tree();
                let mut from = tree.cursor(self.pages, tree.seek(self.pages, index));
                let _ = from.all(|item| visit(element(self.pages, item)));
            }
        }
    }

    /// Visits the elements before `end`, the last one first, until `visit` returns false.
    pub fn each_back_from(&self, end: u64, visit: &mut dyn FnMut(ValueView<'a>) -> bool) {
        match self.repr {
            ListRepr::Packed(blob) => {
                let all: Vec<&[u8]> = packed::strings(blob).take(end as usize).collect();
                let _ = all.into_iter().rev().all(|string| visit(ValueView::whole(string)));
            }
            ListRepr::Large(large) => {
                let tree = large.tree();
                let mut from = tree.cursor(self.pages, tree.seek(self.pages, end));
                while let Some(item) = from.previous() {
                    if !visit(element(self.pages, item)) {
                        return;
                    }
                }
            }
        }
    }
}

fn element<'a>(pages: &'a impl Pages, item: &'a [u8]) -> ValueView<'a> {
    match slot_of(item) {
        Some(at) => {
            let page = pages.page(at.page());
            SlotEntry::read(page, at).value(pages, page)
        }
        None => ValueView::whole(&item[1..]),
    }
}

/// The slot of a long element.
fn slot_of(item: &[u8]) -> Option<Ref> {
    let at = item[1..].first_chunk().map(|at| Ref(u32::from_le_bytes(*at)));
    at.filter(|_| item[0] == ELSEWHERE)
}

/// Whether an element of `len` bytes is too long for an item.
const fn is_long(len: u64) -> bool {
    len + 1 > ITEM_BYTES_MAX as u64
}

/// Pages that adding elements of these lengths to a tree may take or copy beside those of any change.
pub(crate) fn pages_to_add(lengths: impl Iterator<Item = usize>) -> usize {
    /// Bytes of an item beside its element.
    const ITEM: usize = 3;
    /// Pages of a slot.
    const SLOT: usize = 2;
    let (mut bytes, mut values) = (0, 0);
    for len in lengths {
        if is_long(len as u64) {
            values += SLOT + entry::pages_of_value(0, len as u64);
            bytes += ITEM + size_of::<Ref>();
        } else {
            bytes += ITEM + len;
        }
    }
    // Nodes that are cut in halves, and one in a hundred of them above.
    tree::PAGES_MAX + 2 * (bytes / PAGE_BYTES) + bytes / (50 * PAGE_BYTES) + values
}

/// Pages that a copy of one that takes so many bytes may take: its leaves are full, but its slots may fit as badly.
pub(crate) const fn pages_to_make(bytes: u64) -> usize {
    tree::PAGES_MAX + 2 * bytes.div_ceil(PAGE_BYTES as u64) as usize
}

/// A large list, by the place of its root: a page and a byte offset within it. Whoever owns the root may move it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LargeList {
    page: PageId,
    offset: usize,
}

impl LargeList {
    /// The one whose root stands at byte `offset` of `page`.
    #[inline]
    pub(crate) const fn at(page: PageId, offset: usize) -> LargeList {
        LargeList { page, offset }
    }

    #[inline]
    const fn tree(self) -> Tree<ByPosition> {
        Tree::at(self.page, self.offset, ByPosition)
    }

    /// Returns the number of elements.
    #[inline]
    pub(crate) fn len(self, pages: &impl Pages) -> u64 {
        self.tree().len(pages)
    }

    fn long(self, pages: &impl Pages) -> u64 {
        pages.page(self.page).u64_at(self.offset + LONG)
    }

    fn long_bytes(self, pages: &impl Pages) -> u64 {
        pages.page(self.page).u64_at(self.offset + LONG_BYTES)
    }

    /// Returns the bytes that it takes beside its root.
    pub(crate) fn memory_bytes(self, pages: &impl Pages) -> u64 {
        self.pages(pages) * PAGE_BYTES as u64 + self.long_bytes(pages)
    }

    /// Returns the number of its tree's pages.
    pub(crate) fn pages(self, pages: &impl Pages) -> u64 {
        self.tree().pages(pages).into()
    }

    /// Inserts an element before the one at `index`; at the end if that is their number.
    pub(crate) fn insert(self, arena: &mut Arena, index: u64, value: &[u8]) {
        let item = self.new_item(arena, value);
        let tree = self.tree();
        let at = if index == 0 {
            tree.start(arena)
        } else if index == self.len(arena) {
            tree.end(arena)
        } else {
            tree.seek(arena, index)
        };
        tree.insert(arena, &at, &item);
    }

    /// Adds an element at the end.
    pub(crate) fn push(self, arena: &mut Arena, value: &[u8]) {
        self.insert(arena, self.len(arena), value);
    }

    /// Replaces the element at `index`, which exists.
    pub(crate) fn set(self, arena: &mut Arena, index: u64, value: &[u8]) {
        self.give_up(arena, index, 1);
        let item = self.new_item(arena, value);
        let tree = self.tree();
        tree.replace(arena, &tree.seek(arena, index), &item);
    }

    /// Removes `count` elements from `index` on.
    pub(crate) fn remove(self, arena: &mut Arena, index: u64, count: u64) {
        self.give_up(arena, index, count);
        self.tree().remove_range(arena, index, count);
    }

    /// Moves an element from one end to the other.
    pub(crate) fn rotate(self, arena: &mut Arena, from: u64, to: u64) {
        let tree = self.tree();
        let at = tree.seek(arena, from);
        let item = SmallVec::<[u8; 128]>::from_slice(at.item(arena).expect("there is an element at either end"));
        tree.remove(arena, &at);
        let at = tree.seek(arena, to);
        tree.insert(arena, &at, &item);
    }

    /// The item for an element; a long one is put into a slot.
    fn new_item(self, arena: &mut Arena, value: &[u8]) -> SmallVec<[u8; 128]> {
        let len = value.len() as u64;
        let mut item = SmallVec::new();
        if is_long(len) {
            let form = EntryForm::of(0, Some(len), None);
            let at = slab::allocate(arena, form.bytes());
            form.write(arena, at, &[], value);
            self.count_long(arena, 1, form.memory_bytes(len).cast_signed());
            item.push(ELSEWHERE);
            item.extend_from_slice(&at.0.to_le_bytes());
        } else {
            item.push(HERE);
            item.extend_from_slice(value);
        }
        item
    }

    fn count_long(self, arena: &mut Arena, elements: i64, bytes: i64) {
        let page = arena.page_mut(self.page);
        let elements = page.u64_at(self.offset + LONG).wrapping_add_signed(elements);
        let bytes = page.u64_at(self.offset + LONG_BYTES).wrapping_add_signed(bytes);
        page.put_u64(self.offset + LONG, elements);
        page.put_u64(self.offset + LONG_BYTES, bytes);
    }

    /// Frees what long elements that are about to go are in, or leaves it to be reclaimed.
    fn give_up(self, arena: &mut Arena, index: u64, count: u64) {
        if self.long(arena) == 0 {
            return;
        }
        let tree = self.tree();
        let items = tree.cursor(arena, tree.seek(arena, index));
        let slots: Vec<Ref> = items.take(usize::try_from(count).unwrap_or(usize::MAX)).filter_map(slot_of).collect();
        for at in slots {
            let page = arena.page(at.page());
            let entry = SlotEntry::read(page, at);
            self.count_long(arena, -1, -entry.memory_bytes(arena.page(at.page())).cast_signed());
            give_up_value(arena, &entry, at);
            slab::free(arena, at);
        }
    }

    /// Frees about `max` pages from its end on; returns how many of its tree's those were, and whether they were the last.
    pub(crate) fn drain(self, arena: &mut Arena, max: usize) -> (usize, bool) {
        /// Elements that are looked at, where some are paged.
        const ELEMENTS: u64 = 256;
        let before = self.pages(arena);
        if self.long(arena) == 0 {
            self.tree().free_some(arena, max);
        } else {
            let count = self.len(arena).min(ELEMENTS);
            self.remove(arena, self.len(arena) - count, count);
        }
        ((before - self.pages(arena)) as usize, self.len(arena) == 0)
    }
}

/// Checks bytes that may be damaged: the list in the record at `at`.
pub(crate) fn check(
    pages: &impl Pages,
    at: Ref,
    head: &Head,
    inspector: &mut impl CollectionInspector,
) -> Result<(), &'static str> {
    let rest = head.rest(pages.page(at.page()));
    match head.encoding {
        Encoding::PACKED => packed::check_strings(rest),
        _ if rest.len() != ROOT_BYTES => Err("the root of a list has a wrong length"),
        _ => {
            let large = LargeList::at(at.page(), head.rest_at);
            if large.len(pages) == 0 {
                return Err("a list has no element");
            }
            check_large(pages, large, inspector)
        }
    }
}

/// Checks a large list, which may be one that waits to be reclaimed.
pub(crate) fn check_large(
    pages: &impl Pages,
    large: LargeList,
    inspector: &mut impl CollectionInspector,
) -> Result<(), &'static str> {
    let inspector = std::cell::RefCell::new(inspector);
    let (mut elements, mut bytes) = (0, 0);
    large.tree().check(pages, &mut |id| inspector.borrow_mut().page(id), &mut |item| {
        let (HERE | ELSEWHERE) = item[0] else { return Err("an element of a list is malformed") };
        let Some(at) = slot_of(item) else {
            return if item[0] == HERE { Ok(()) } else { Err("an element of a list is malformed") };
        };
        let entry = check_entry(pages, at, EntryContent::Value, &mut **inspector.borrow_mut())?;
        let page = pages.page(at.page());
        if item.len() != 1 + size_of::<Ref>()
            || !entry.name(page).is_empty()
            || !is_long(entry.value(pages, page).len())
        {
            return Err("an element of a list is malformed");
        }
        (elements, bytes) = (elements + 1, bytes + entry.memory_bytes(page));
        Ok(())
    })?;
    let counted = elements == large.long(pages) && bytes == large.long_bytes(pages);
    if counted { Ok(()) } else { Err("a list counts its long elements wrong") }
}

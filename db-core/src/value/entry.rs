//! An entry: a slot with a name and a value. Of a large set or hash, or of a list (with an empty name) if an element is long.
//!
//! ```text
//!   flags u8: 1 the value is paged, 2 there is no value (a set), 4 the name's length is a u16, 8 the value's length is a u16,
//!             16 it has an expiry
//!   length of the name u8, or u16 little-endian
//!   length of what follows the name, likewise; not in a set
//!   expiry u64 in Unix milliseconds (0: none any more), if flagged
//!   the name, then the value or the root of its pages (`value/paged.rs`)
//! ```

use crate::arena::{Arena, PAGE_BYTES, Page, Pages, Ref};
use crate::ids::PageId;
use crate::limits::{KEY_BYTES_MAX, VALUE_BYTES_MAX};
use crate::structure::heap::Heap;
use crate::structure::slab::{self, SLOT_BYTES_MAX};

use super::paged::{self, Root, RootAt};
use super::reclaim;
use super::record::Encoding;
use super::{Kind, ValueView};

const PAGED: u8 = 1;
const BARE: u8 = 2;
const LONG_NAME: u8 = 4;
const LONG_REST: u8 = 8;
const HAS_EXPIRY: u8 = 16;
const FLAGS: u8 = PAGED | BARE | LONG_NAME | LONG_REST | HAS_EXPIRY;

const EXPIRY_BYTES: usize = 8;

/// Longest header.
const HEADER_BYTES_MAX: usize = 5 + EXPIRY_BYTES;

const _: () = assert!(HEADER_BYTES_MAX + KEY_BYTES_MAX + paged::ROOT_BYTES_MAX <= SLOT_BYTES_MAX);

/// An entry's parts, as byte offsets within its page.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SlotEntry {
    start: usize,
    flags: u8,
    name_at: usize,
    name_len: usize,
    rest_len: usize,
}

impl SlotEntry {
    /// Reads the entry at `at`, whatever is there. Its parts may lie beyond the page.
    #[inline]
    pub(super) fn read(page: &Page, at: Ref) -> SlotEntry {
        let start = at.offset();
        let flags = page.u8_at(start);
        let mut next = start + 1;
        let mut length = |long: bool| {
            let len = if long { page.u16_at(next) as usize } else { page.u8_at(next) as usize };
            next += 1 + usize::from(long);
            len
        };
        let name_len = length(flags & LONG_NAME != 0);
        let rest_len = if flags & BARE != 0 { 0 } else { length(flags & LONG_REST != 0) };
        if flags & HAS_EXPIRY != 0 {
            next += EXPIRY_BYTES;
        }
        SlotEntry { start, flags, name_at: next, name_len, rest_len }
    }

    /// Bytes of the whole entry.
    #[inline]
    pub(super) fn bytes(&self) -> usize {
        self.name_at - self.start + self.name_len + self.rest_len
    }

    /// Bytes of its slot.
    #[inline]
    pub(super) fn slot_bytes(&self) -> usize {
        slab::slot_bytes(slab::class_of(self.bytes()))
    }

    /// When it expires, if ever.
    #[inline]
    pub(super) fn expiry(&self, page: &Page) -> Option<u64> {
        if self.has_room_for_expiry() { Some(page.u64_at(self.expiry_at())).filter(|time| *time != 0) } else { None }
    }

    /// Where its expiry stands, if it has room for one.
    fn expiry_at(&self) -> usize {
        self.name_at - EXPIRY_BYTES
    }

    pub(super) fn has_room_for_expiry(&self) -> bool {
        self.flags & HAS_EXPIRY != 0
    }

    pub(super) fn is_paged(&self) -> bool {
        self.flags & PAGED != 0
    }

    #[inline]
    pub(super) fn name<'a>(&self, page: &'a Page) -> &'a [u8] {
        page.bytes(self.name_at, self.name_len)
    }

    #[inline]
    fn rest<'a>(&self, page: &'a Page) -> &'a [u8] {
        page.bytes(self.name_at + self.name_len, self.rest_len)
    }

    /// The value; empty in a set.
    pub(super) fn value<'a>(&self, pages: &'a dyn Pages, page: &'a Page) -> ValueView<'a> {
        let rest = self.rest(page);
        if self.is_paged() { ValueView::paged(Root::new(rest), pages) } else { ValueView::whole(rest) }
    }

    /// Where the root of a paged value stands.
    pub(super) fn root(&self, at: Ref) -> RootAt {
        RootAt { page: at.page(), offset: self.name_at + self.name_len }
    }

    /// Bytes of its slot, and of the pages of its value as if it had no gaps.
    pub(super) fn memory_bytes(&self, page: &Page) -> u64 {
        let paged = if self.is_paged() { paged::memory_bytes(Root::new(self.rest(page)).len()) } else { 0 };
        self.slot_bytes() as u64 + paged
    }

    /// Checks the header of an entry that may be damaged, within a page.
    pub(super) fn check(page: &Page, at: Ref, content: EntryContent) -> Result<SlotEntry, &'static str> {
        let expiry = if page.u8_at(at.offset()) & HAS_EXPIRY == 0 { EXPIRY_BYTES } else { 0 };
        if at.offset() + HEADER_BYTES_MAX - expiry > PAGE_BYTES {
            return Err("an entry is cut off");
        }
        let entry = SlotEntry::read(page, at);
        let lengths = (entry.flags & LONG_NAME != 0) == (entry.name_len > 0xff)
            && (entry.flags & LONG_REST != 0) == (entry.rest_len > 0xff);
        let bare = content == EntryContent::Name;
        let allowed = match content {
            EntryContent::Name => FLAGS & !PAGED & !HAS_EXPIRY,
            EntryContent::Value => FLAGS & !HAS_EXPIRY,
            EntryContent::ValueAndExpiry => FLAGS,
        };
        let is_such = (entry.flags & BARE != 0) == bare && entry.flags & !allowed == 0;
        if !lengths || !is_such || entry.name_len > KEY_BYTES_MAX || entry.bytes() > SLOT_BYTES_MAX {
            return Err("an entry is malformed");
        }
        Ok(entry)
    }

    /// The root of a paged value, to be checked.
    pub(super) fn paged_root<'a>(&self, page: &'a Page) -> Option<Root<'a>> {
        self.is_paged().then(|| Root::new(self.rest(page)))
    }

    /// Whether a value of its length is one to be paged.
    pub(super) fn is_to_be_paged(&self, value_len: u64) -> bool {
        EntryForm::of(self.name_len, Some(value_len), None).paged
    }
}

/// The form of an entry with a name and a value of some length.
#[derive(Clone, Copy, Debug)]
pub(super) struct EntryForm {
    bare: bool,
    pub(super) paged: bool,
    expiry: Option<u64>,
    name_len: usize,
    rest_len: usize,
}

impl EntryForm {
    /// `value_len`: none in a set.
    #[inline]
    pub(super) fn of(name_len: usize, value_len: Option<u64>, expiry: Option<u64>) -> EntryForm {
        let len = value_len.unwrap_or(0);
        // The expiry counts whether it is there or not, so that it never decides where the value is.
        let paged = len > (SLOT_BYTES_MAX - HEADER_BYTES_MAX - name_len) as u64;
        let rest_len = if paged { paged::root_bytes(len) } else { len as usize };
        EntryForm { bare: value_len.is_none(), paged, expiry, name_len, rest_len }
    }

    #[inline]
    pub(super) fn bytes(self) -> usize {
        let length = |len: usize| 1 + usize::from(len > 0xff);
        let expiry = if self.expiry.is_some() { EXPIRY_BYTES } else { 0 };
        let lengths = length(self.name_len) + if self.bare { 0 } else { length(self.rest_len) };
        1 + lengths + expiry + self.name_len + self.rest_len
    }

    /// Bytes of its slot.
    #[inline]
    pub(super) fn slot_bytes(self) -> usize {
        slab::slot_bytes(slab::class_of(self.bytes()))
    }

    /// Bytes of its slot, and of the pages of a value of `value_len` bytes without gaps.
    #[inline]
    pub(super) fn memory_bytes(self, value_len: u64) -> u64 {
        self.slot_bytes() as u64 + if self.paged { paged::memory_bytes(value_len) } else { 0 }
    }

    /// Writes the entry into its slot, with the pages of a paged value.
    pub(super) fn write(self, arena: &mut Arena, at: Ref, name: &[u8], value: &[u8]) {
        let page = arena.page_mut(at.page());
        let mut next = at.offset() + 1;
        let mut flags = if self.paged { PAGED } else { 0 } | if self.bare { BARE } else { 0 };
        let mut length = |len: usize, long: u8| {
            if len > 0xff {
                flags |= long;
                page.put_u16(next, len as u16);
                next += 2;
            } else {
                page.put_u8(next, len as u8);
                next += 1;
            }
        };
        length(self.name_len, LONG_NAME);
        if !self.bare {
            length(self.rest_len, LONG_REST);
        }
        if let Some(time) = self.expiry {
            flags |= HAS_EXPIRY;
            page.put_u64(next, time);
            next += EXPIRY_BYTES;
        }
        page.put_u8(at.offset(), flags);
        page.bytes_mut(next, name.len()).copy_from_slice(name);
        next += name.len();
        if self.paged {
            let root = RootAt { page: at.page(), offset: next };
            paged::create(arena, root, value.len() as u64);
            paged::write(arena, root, 0, value);
        } else {
            page.bytes_mut(next, value.len()).copy_from_slice(value);
        }
    }
}

/// Pages that an entry with a value of `len` bytes may take for it alone.
pub(crate) fn pages_of_value(name_len: usize, len: u64) -> usize {
    debug_assert!(len <= VALUE_BYTES_MAX, "the length of a value was checked");
    if EntryForm::of(name_len, Some(len), None).paged {
        paged::PAGES_TO_GROW + paged::pages_to_write(len as usize)
    } else {
        0
    }
}

/// Changes when the entry at `at` expires; false if it has no room for that.
pub(super) fn put_expiry(arena: &mut Arena, at: Ref, expiry: Option<u64>) -> bool {
    let page = arena.page_mut(at.page());
    let entry = SlotEntry::read(page, at);
    if entry.has_room_for_expiry() {
        page.put_u64(entry.expiry_at(), expiry.unwrap_or(0));
    }
    entry.has_room_for_expiry() || expiry.is_none()
}

/// Copies the entry at `from`, which has no room for an expiry, to `to` and gives it one. What its value leads to is then that of the
/// copy.
pub(super) fn copy_with_expiry(arena: &mut Arena, from: Ref, to: Ref, expiry: u64) {
    let page = arena.page(from.page());
    let entry = SlotEntry::read(page, from);
    let mut bytes = page.bytes(from.offset(), entry.bytes()).to_vec();
    bytes[0] |= HAS_EXPIRY;
    let header = entry.name_at - entry.start;
    bytes.splice(header..header, expiry.to_le_bytes());
    arena.page_mut(to.page()).bytes_mut(to.offset(), bytes.len()).copy_from_slice(&bytes);
}

/// Frees the pages of an entry's value, or leaves them to be reclaimed.
pub(super) fn give_up_value(arena: &mut Arena, entry: &SlotEntry, at: Ref) {
    if entry.is_paged() {
        reclaim::give_up(arena, Kind::String, Encoding::PAGED, entry.root(at));
    }
}

/// What a collection is checked against.
pub(crate) trait CollectionInspector {
    /// Claims a page; false if it is not in use or somebody else's.
    fn page(&mut self, id: PageId) -> bool;
    /// Claims a slot, whose size `bytes_of` tells from its content once it is known to be a slot.
    fn slot(
        &mut self,
        at: Ref,
        bytes_of: &mut dyn FnMut(&Page) -> Result<usize, &'static str>,
    ) -> Result<(), &'static str>;
    /// Claims the pages and the tail of a value.
    fn value(&mut self, root: Root<'_>) -> Result<(), &'static str>;
    /// Claims the pages of a heap; `given_up`: nobody needs any more what is in them.
    fn heap(&mut self, heap: Heap, given_up: bool) -> Result<(), &'static str>;
}

/// What there is in the entries of an owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EntryContent {
    /// A name and nothing else.
    Name,
    /// A name and a value.
    Value,
    /// And when it expires, in some of them.
    ValueAndExpiry,
}

/// Claims and checks an entry that may be damaged, with its value.
pub(super) fn check_entry(
    pages: &impl Pages,
    at: Ref,
    content: EntryContent,
    inspector: &mut impl CollectionInspector,
) -> Result<SlotEntry, &'static str> {
    let mut read = Err("an entry is missing");
    inspector.slot(at, &mut |page| {
        let entry = SlotEntry::check(page, at, content)?;
        read = Ok(entry);
        Ok(entry.bytes())
    })?;
    let (entry, page) = (read?, pages.page(at.page()));
    if let Some(root) = entry.paged_root(page) {
        inspector.value(root)?;
        if !entry.is_to_be_paged(root.len()) {
            return Err("a short value stands in pages");
        }
    }
    Ok(entry)
}

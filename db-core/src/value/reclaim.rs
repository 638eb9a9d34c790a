//! Lazy free: deleted data with many pages, which are freed a few at a time.
//!
//! Freeing the pages of half a gigabyte takes milliseconds, in which the shard would be locked. So a value above
//! [`PAGES_AT_ONCE`] pages, or a large set or hash, is unlinked at once and put on a list; later steps, each an effect of its own,
//! free its pages.
//!
//! The list is part of the replicated state: it is stored in slots, chained from the superblock, newest first, and is contained
//! in images. Only logged steps shorten it, so a replica frees the same pages at the same position of the log.
//!
//! ```text
//!   0  next item u32 (0: none)
//!   4  what it is u8: 0 a large value, 1 a set, 2 a hash, 3 a list, 4 a sorted set
//!   5  reserved, zero
//!   8  root of a value (layout: `value/paged.rs`), of more than 64 pages; or that of a large set or hash
//!      (`value/map/large.rs`) list (`value/list.rs`) or sorted set
//!      (`value/sorted.rs`), then zero
//! ```

use crate::arena::{Arena, PAGE_BYTES, Page, Pages, Ref};
use crate::structure::{root, slab};

use super::Kind;
use super::list::{self, LargeList};
use super::map::{self, Large};
use super::paged::{self, ROOT_BYTES_MAX, Root, RootAt};
use super::sorted::{self, LargeSorted};

const NEXT: usize = 0;
const KIND: usize = 4;
const ROOT: usize = 8;

const VALUE: u8 = 0;
const SET: u8 = 1;
const HASH: u8 = 2;
const LIST: u8 = 3;
const SORTED_SET: u8 = 4;

/// Bytes of an item: roots of so many pages are all of one length.
pub(crate) const ITEM_BYTES: usize = ROOT + ROOT_BYTES_MAX;

/// Pages of what is freed at once: 1 MiB.
pub(crate) const PAGES_AT_ONCE: usize = 64;

/// Members of a large set or hash that is freed at once.
const MEMBERS_AT_ONCE: u64 = 256;

const _: () = assert!(map::large::ROOT_BYTES <= ROOT_BYTES_MAX);

/// What waits.
#[derive(Clone, Copy, Debug)]
pub(crate) enum PendingReclaim<'a> {
    /// A large value.
    Value(Root<'a>),
    /// A large set or hash.
    Map(Kind, Large),
    /// A large list.
    List(LargeList),
    /// A large sorted set.
    Sorted(LargeSorted),
}

fn root_at(item: Ref) -> RootAt {
    RootAt { page: item.page(), offset: item.offset() + ROOT }
}

/// Frees the value whose root stands at `value`: at once, or by later steps if it has many pages.
pub(crate) fn give_up(arena: &mut Arena, value: RootAt) {
    let pages = paged::pages(arena, value);
    if pages <= PAGES_AT_ONCE {
        return paged::free(arena, value);
    }
    let root: [u8; ROOT_BYTES_MAX] = *arena.page(value.page).array(value.offset);
    push(arena, VALUE, &root, pages);
}

/// Frees the large set or hash whose root stands at `root`: by later steps, unless it has few members.
pub(crate) fn give_up_map(arena: &mut Arena, kind: Kind, root: RootAt) {
    let large = Large::at(root.page, root.offset);
    if has_few_members(arena, large) {
        while !large.drain(arena, PAGES_AT_ONCE).1 {}
    } else {
        let pages = large.pages_to_free(arena) as usize;
        push_root(arena, if kind == Kind::Set { SET } else { HASH }, root, map::large::ROOT_BYTES, pages);
    }
}

/// Frees the large sorted set whose root stands at `root`: by later steps, unless it has few members.
pub(crate) fn give_up_sorted(arena: &mut Arena, root: RootAt) {
    let sorted = LargeSorted::at(root.page, root.offset);
    if has_few_members(arena, sorted.members()) {
        while !sorted.drain(arena, PAGES_AT_ONCE).1 {}
    } else {
        let pages = sorted.pages_to_free(arena) as usize;
        push_root(arena, SORTED_SET, root, sorted::ROOT_BYTES, pages);
    }
}

fn has_few_members(arena: &Arena, large: Large) -> bool {
    large.len(arena) <= MEMBERS_AT_ONCE && large.entry_bytes(arena) <= (PAGES_AT_ONCE * PAGE_BYTES) as u64
}

/// Frees the large list whose root stands at `root`: at once, or by later steps if it has many pages or long elements.
pub(crate) fn give_up_list(arena: &mut Arena, root: RootAt) {
    let large = LargeList::at(root.page, root.offset);
    if large.memory_bytes(arena) <= (PAGES_AT_ONCE * PAGE_BYTES) as u64 {
        while !large.drain(arena, PAGES_AT_ONCE).1 {}
    } else {
        let pages = large.pages(arena) as usize;
        push_root(arena, LIST, root, list::ROOT_BYTES, pages);
    }
}

fn push_root(arena: &mut Arena, kind: u8, at: RootAt, bytes: usize, pages: usize) {
    let mut root = [0; ROOT_BYTES_MAX];
    root[..bytes].copy_from_slice(arena.page(at.page).bytes(at.offset, bytes));
    push(arena, kind, &root, pages);
}

fn push(arena: &mut Arena, kind: u8, root: &[u8; ROOT_BYTES_MAX], pages: usize) {
    let item = slab::allocate(arena, ITEM_BYTES);
    let (next, waiting) = (root::reclaim_head(arena), root::reclaim_pages(arena));
    let page = arena.page_mut(item.page());
    page.put_u32(item.offset() + NEXT, next.0);
    page.put_u32(item.offset() + KIND, kind.into());
    *page.array_mut(item.offset() + ROOT) = *root;
    root::put_reclaim(arena, item, waiting + pages as u64);
}

/// Frees about `max` of the pages that wait; fewer if there are not so many. Returns how many.
pub(crate) fn step(arena: &mut Arena, max: usize) -> usize {
    let mut done = 0;
    while done < max {
        let item = root::reclaim_head(arena);
        if item.is_null() {
            break;
        }
        let page = arena.page(item.page());
        let next = Ref(page.u32_at(item.offset() + NEXT));
        // What is in an item may have to wait itself: so it is taken off, and put back if something is left.
        let waiting = root::reclaim_pages(arena);
        root::put_reclaim(arena, next, waiting);
        let kind = arena.page(item.page()).u8_at(item.offset() + KIND);
        let RootAt { page, offset } = root_at(item);
        let (freed, is_gone) = match kind {
            VALUE => free_value(arena, root_at(item), max - done),
            LIST => LargeList::at(page, offset).drain(arena, max - done),
            SORTED_SET => LargeSorted::at(page, offset).drain(arena, max - done),
            _ => Large::at(page, offset).drain(arena, max - done),
        };
        let waiting = root::reclaim_pages(arena) - freed as u64;
        let first = root::reclaim_head(arena);
        if is_gone {
            slab::free(arena, item);
            root::put_reclaim(arena, first, waiting);
        } else {
            if first != next {
                arena.page_mut(item.page()).put_u32(item.offset() + NEXT, first.0);
            }
            root::put_reclaim(arena, item, waiting);
        }
        done += freed.max(1);
    }
    done
}

/// Frees pages of a value; returns how many, and whether those were the last.
fn free_value(arena: &mut Arena, root: RootAt, max: usize) -> (usize, bool) {
    let before = paged::pages(arena, root);
    let keep = before.saturating_sub(max);
    if keep > PAGES_AT_ONCE {
        paged::shrink(arena, root, keep);
        return (before - keep, false);
    }
    paged::free(arena, root);
    (before, true)
}

/// Reads an item that may be damaged: what is next, and what waits.
pub(crate) fn read(page: &Page, item: Ref) -> Result<(Ref, PendingReclaim<'_>), &'static str> {
    let next = Ref(page.u32_at(item.offset() + NEXT));
    let root = page.bytes(item.offset() + ROOT, ROOT_BYTES_MAX);
    let is_clean = |bytes: usize| root[bytes..].iter().all(|byte| *byte == 0);
    let RootAt { page: id, offset } = root_at(item);
    let map = |kind| is_clean(map::large::ROOT_BYTES).then_some(PendingReclaim::Map(kind, Large::at(id, offset)));
    let waiting = match page.u32_at(item.offset() + KIND).to_le_bytes() {
        [VALUE, 0, 0, 0] => Some(PendingReclaim::Value(Root::new(root))),
        [SET, 0, 0, 0] => map(Kind::Set),
        [HASH, 0, 0, 0] => map(Kind::Hash),
        [LIST, 0, 0, 0] => is_clean(list::ROOT_BYTES).then_some(PendingReclaim::List(LargeList::at(id, offset))),
        [SORTED_SET, 0, 0, 0] => {
            is_clean(sorted::ROOT_BYTES).then_some(PendingReclaim::Sorted(LargeSorted::at(id, offset)))
        }
        _ => None,
    };
    let waiting = waiting.ok_or("what waits to be reclaimed is malformed")?;
    Ok((next, waiting))
}

/// Returns the number of pages that wait.
pub(crate) fn waiting(pages: &impl Pages) -> u64 {
    root::reclaim_pages(pages)
}

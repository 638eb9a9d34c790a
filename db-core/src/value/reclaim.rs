//! Lazy free: deleted data with many pages, which are freed a few at a time.
//!
//! Freeing the pages of half a gigabyte takes milliseconds, in which the shard would be locked. So a value or a heap above
//! [`PAGES_AT_ONCE`] pages is unlinked at once and put on a list; later steps, each an effect of its own, free its pages.
//!
//! The list is part of the replicated state: it is stored in slots, chained from the superblock, newest first, and is contained
//! in images. Only logged steps shorten it, so a replica frees the same pages at the same position of the log.
//!
//! ```text
//!   0  next item u32 (0: none)
//!   4  what it is u8: 0 a large value, 1 a heap
//!   5  reserved, zero
//!   8  root of a value (layout: `value/paged.rs`), of more than 64 pages; or address u32 of the root of a heap, then zero
//! ```

use crate::arena::{Arena, Page, Pages, Ref};
use crate::structure::heap::Heap;
use crate::structure::{root, slab};

use super::paged::{self, ROOT_BYTES_MAX, Root, RootAt};

const NEXT: usize = 0;
const KIND: usize = 4;
const ROOT: usize = 8;

const VALUE: u8 = 0;
const HEAP: u8 = 1;

/// Bytes of an item: roots of so many pages are all of one length.
pub(crate) const ITEM_BYTES: usize = ROOT + ROOT_BYTES_MAX;

/// Pages of what is freed at once: 1 MiB.
pub(crate) const PAGES_AT_ONCE: usize = 64;

/// What waits.
#[derive(Clone, Copy, Debug)]
pub(crate) enum PendingReclaim<'a> {
    /// A large value.
    Value(Root<'a>),
    /// All slots of an owner.
    Heap(Heap),
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

/// Frees an owner's heap with all that is in it: at once, or by later steps if it has many pages.
#[cfg_attr(not(test), expect(dead_code, reason = "collections, which own pages, are to come"))]
pub(crate) fn give_up_heap(arena: &mut Arena, heap: Heap) {
    let pages = heap.pages(arena) as usize;
    if pages <= PAGES_AT_ONCE {
        heap.drain(arena, pages);
        return;
    }
    let mut root = [0; ROOT_BYTES_MAX];
    root[..4].copy_from_slice(&heap.0.0.to_le_bytes());
    push(arena, HEAP, &root, pages);
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

/// Frees `max` of the pages that wait, and at most [`PAGES_AT_ONCE`] more; fewer if there are not so many. Returns how many.
pub(crate) fn step(arena: &mut Arena, max: usize) -> usize {
    let mut done = 0;
    while done < max {
        let item = root::reclaim_head(arena);
        if item.is_null() {
            break;
        }
        let page = arena.page(item.page());
        let next = Ref(page.u32_at(item.offset() + NEXT));
        let (freed, is_gone) = if page.u8_at(item.offset() + KIND) == HEAP {
            free_heap(arena, Heap(Ref(page.u32_at(item.offset() + ROOT))), max - done)
        } else {
            free_value(arena, root_at(item), max - done)
        };
        if is_gone {
            slab::free(arena, item);
        }
        let waiting = root::reclaim_pages(arena) - freed as u64;
        root::put_reclaim(arena, if is_gone { next } else { item }, waiting);
        done += freed;
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

/// Frees pages of a heap; returns how many, and whether those were the last.
fn free_heap(arena: &mut Arena, heap: Heap, max: usize) -> (usize, bool) {
    let before = heap.pages(arena) as usize;
    match heap.drain(arena, max) {
        Some(freed) => (freed, false),
        None => (before, true),
    }
}

/// Reads an item that may be damaged: what is next, and what waits.
pub(crate) fn read(page: &Page, item: Ref) -> Result<(Ref, PendingReclaim<'_>), &'static str> {
    let next = Ref(page.u32_at(item.offset() + NEXT));
    let root = page.bytes(item.offset() + ROOT, ROOT_BYTES_MAX);
    let waiting = match page.u32_at(item.offset() + KIND).to_le_bytes() {
        [VALUE, 0, 0, 0] => PendingReclaim::Value(Root::new(root)),
        [HEAP, 0, 0, 0] if root[4..].iter().all(|byte| *byte == 0) => {
            PendingReclaim::Heap(Heap(Ref(page.u32_at(item.offset() + ROOT))))
        }
        _ => return Err("what waits to be reclaimed is malformed"),
    };
    Ok((next, waiting))
}

/// Returns the number of pages that wait.
pub(crate) fn waiting(pages: &impl Pages) -> u64 {
    root::reclaim_pages(pages)
}

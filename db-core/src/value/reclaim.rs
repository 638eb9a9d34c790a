//! Large values that were given up, and whose pages are freed a few at a time.
//!
//! To free the pages of half a gigabyte takes milliseconds, in which its shard would be locked. So a value above
//! [`PAGES_AT_ONCE`] pages is unlinked at once and waits in a list; steps, each of them an effect of its own, free its pages.
//!
//! The list is state: it stands in slots, chained from the superblock, newest first, and travels in images. Only logged steps shorten
//! it, so a replica frees the same pages at the same place of the log.
//!
//! ```text
//!   0  next item u32 (0: none)
//!   4  zero u32
//!   8  root of a value (layout: `value/paged.rs`), of more than 64 pages
//! ```

use crate::arena::{Arena, Page, Pages, Ref};
use crate::structure::{root, slab};

use super::paged::{self, ROOT_BYTES_MAX, Root, RootAt};

const NEXT: usize = 0;
const ROOT: usize = 8;

/// Bytes of an item: roots of so many pages are all of one length.
pub(crate) const ITEM_BYTES: usize = ROOT + ROOT_BYTES_MAX;

/// Pages of a value that is freed at once: 1 MiB.
pub(crate) const PAGES_AT_ONCE: usize = 64;

fn root_at(item: Ref) -> RootAt {
    RootAt { page: item.page(), offset: item.offset() + ROOT }
}

/// Frees the value whose root stands at `value`: at once, or by later steps if it has many pages.
pub(crate) fn give_up(arena: &mut Arena, value: RootAt) {
    let pages = paged::pages(arena, value);
    if pages <= PAGES_AT_ONCE {
        return paged::free(arena, value);
    }
    let bytes: [u8; ROOT_BYTES_MAX] = *arena.page(value.page).array(value.offset);
    let item = slab::allocate(arena, ITEM_BYTES);
    let (next, waiting) = (root::reclaim_head(arena), root::reclaim_pages(arena));
    let page = arena.page_mut(item.page());
    page.put_u32(item.offset() + NEXT, next.0);
    page.put_u32(item.offset() + NEXT + 4, 0);
    *page.array_mut(item.offset() + ROOT) = bytes;
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
        let before = paged::pages(arena, root_at(item));
        let keep = before.saturating_sub(max - done);
        let (next, freed) = if keep > PAGES_AT_ONCE {
            paged::shrink(arena, root_at(item), keep);
            (item, before - keep)
        } else {
            paged::free(arena, root_at(item));
            let next = Ref(arena.page(item.page()).u32_at(item.offset() + NEXT));
            slab::free(arena, item);
            (next, before)
        };
        let waiting = root::reclaim_pages(arena) - freed as u64;
        root::put_reclaim(arena, next, waiting);
        done += freed;
    }
    done
}

/// An item that may be damaged: what is next, and the root of its value.
pub(crate) fn read(page: &Page, item: Ref) -> Result<(Ref, Root<'_>), &'static str> {
    if page.u32_at(item.offset() + NEXT + 4) != 0 {
        return Err("what waits to be reclaimed is malformed");
    }
    let root = Root::new(page.bytes(item.offset() + ROOT, ROOT_BYTES_MAX));
    Ok((Ref(page.u32_at(item.offset() + NEXT)), root))
}

/// Returns the number of pages that wait.
pub(crate) fn waiting(pages: &impl Pages) -> u64 {
    root::reclaim_pages(pages)
}

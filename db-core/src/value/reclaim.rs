//! Lazy free: deleted data with many pages, which are freed a few at a time.
//!
//! Freeing the pages of half a gigabyte takes milliseconds, in which the shard would be locked. So what is [large](External::is_small) is
//! unlinked at once and put on a list; later steps, each an effect of its own, free its pages.
//!
//! The list is part of the replicated state: it is stored in slots, chained from the superblock, newest first, and is contained
//! in images. Only logged steps shorten it, so a replica frees the same pages at the same position of the log.
//!
//! ```text
//!   0  next item u32 (0: none)
//!   4  its type u8: see [`Kind`]
//!   5  how it is held u8: see [`Encoding`]
//!   6  reserved, zero
//!   8  its root, then zero (`value/external.rs`)
//! ```

use crate::arena::{Arena, Page, Pages, Ref};
use crate::structure::{root, slab};

use super::Kind;
use super::external::{External, PAGES_AT_ONCE};
use super::paged::{ROOT_BYTES_MAX, RootAt};
use super::record::Encoding;

const NEXT: usize = 0;
const KIND: usize = 4;
const ROOT: usize = 8;

/// Bytes of an item: roots of strings of so many pages are all of one length, which is the longest of a root.
pub(crate) const ITEM_BYTES: usize = ROOT + ROOT_BYTES_MAX;

/// Frees what the root at `at` of a value of `kind` leads to: at once, or by later steps if it is large.
pub(crate) fn give_up(arena: &mut Arena, kind: Kind, encoding: Encoding, at: RootAt) {
    let external = External::of(kind, encoding, at);
    if external.is_small(arena) {
        while !external.drain(arena, PAGES_AT_ONCE).1 {}
        return;
    }
    let bytes = external.root_bytes();
    let mut root = [0; ROOT_BYTES_MAX];
    root[..bytes].copy_from_slice(arena.page(at.page).bytes(at.offset, bytes));
    let pages = external.pages(arena);
    let item = slab::allocate(arena, ITEM_BYTES);
    let (next, waiting) = (root::reclaim_head(arena), root::reclaim_pages(arena));
    let page = arena.page_mut(item.page());
    page.put_u32(item.offset() + NEXT, next.0);
    page.put_u32(item.offset() + KIND, u32::from_le_bytes([kind as u8, encoding.0, 0, 0]));
    *page.array_mut(item.offset() + ROOT) = root;
    root::put_reclaim(arena, item, waiting + pages);
}

/// Frees about `max` of the pages that wait; fewer if there are not so many, or if a table is among it, each of whose entries counts as a page:
/// to read one takes about the time of freeing the other. Returns how many of both.
pub(crate) fn step(arena: &mut Arena, max: usize) -> usize {
    let mut done = 0;
    while done < max {
        let item = root::reclaim_head(arena);
        if item.is_null() {
            break;
        }
        let (next, external) = read(arena.page(item.page()), item).expect("what waits was put here");
        // What is in an item may have to wait itself: so it is taken off, and put back if something is left.
        let waiting = root::reclaim_pages(arena);
        root::put_reclaim(arena, next, waiting);
        let members = external.members(arena);
        let (freed, is_gone) = external.drain(arena, max - done);
        let passed = if is_gone { 0 } else { members - external.members(arena) };
        let (first, waiting) = (root::reclaim_head(arena), root::reclaim_pages(arena) - freed as u64);
        if is_gone {
            slab::free(arena, item);
            root::put_reclaim(arena, first, waiting);
        } else {
            if first != next {
                arena.page_mut(item.page()).put_u32(item.offset() + NEXT, first.0);
            }
            root::put_reclaim(arena, item, waiting);
        }
        done += freed.max(1) + passed as usize;
    }
    done
}

/// Reads an item that may be damaged: what is next, and what waits.
pub(crate) fn read(page: &Page, item: Ref) -> Result<(Ref, External), &'static str> {
    let [kind, encoding, reserved @ ..] = page.u32_at(item.offset() + KIND).to_le_bytes();
    let encoding = Encoding(encoding);
    let kind = Kind::from_bits(kind).filter(|kind| encoding.is_of(*kind) && encoding.is_external());
    let kind = kind.ok_or("what waits to be reclaimed is of no known type")?;
    let root = RootAt { page: item.page(), offset: item.offset() + ROOT };
    let external = External::of(kind, encoding, root);
    let rest = page.bytes(root.offset, ROOT_BYTES_MAX);
    if reserved != [0; 2] || rest[external.root_bytes()..].iter().any(|byte| *byte != 0) {
        return Err("what waits to be reclaimed is malformed");
    }
    Ok((Ref(page.u32_at(item.offset() + NEXT)), external))
}

/// Returns the number of pages that wait.
pub(crate) fn waiting(pages: &impl Pages) -> u64 {
    root::reclaim_pages(pages)
}

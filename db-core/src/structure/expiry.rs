//! The expiry index: a tree of (time, slot), so that what expires first is at its start.
//!
//! ```text
//!   0  time u64 in Unix milliseconds, big-endian
//!   8  slot u32, big-endian: of a key's record, or of a hash's field
//! ```
//!
//! Big-endian, so that items ascend as strings of bytes do. Each database has one, whose handle stands in the superblock, and each large
//! hash with fields that may expire (`value/map/expiring.rs`).

use std::cmp::Ordering;

use crate::arena::{Arena, Pages, Ref};
use crate::ids::PageId;

use super::tree::{ByBytes, Tree};

/// An index, by the place of its handle.
pub(crate) type ExpiryIndex = Tree<ByBytes>;

/// What the tree is ordered by.
pub(crate) type Item = (u64, Ref);

pub(crate) const ITEM_BYTES: usize = 12;
const REF: usize = 8;

fn encode(item: Item) -> [u8; ITEM_BYTES] {
    let mut bytes = [0; ITEM_BYTES];
    bytes[..REF].copy_from_slice(&item.0.to_be_bytes());
    bytes[REF..].copy_from_slice(&item.1.0.to_be_bytes());
    bytes
}

fn decode(bytes: &[u8; ITEM_BYTES]) -> Item {
    let [t0, t1, t2, t3, t4, t5, t6, t7, r0, r1, r2, r3] = *bytes;
    (u64::from_be_bytes([t0, t1, t2, t3, t4, t5, t6, t7]), Ref(u32::from_be_bytes([r0, r1, r2, r3])))
}

/// An item as one number, which is compared without a branch.
#[inline]
fn number(item: Item) -> u128 {
    u128::from(item.0) << 32 | u128::from(item.1.0)
}

/// How an item, or what stands for one in an inner node, stands to `item`.
#[inline]
fn order(there: &[u8], item: Item, bytes: &[u8; ITEM_BYTES]) -> Ordering {
    match there.first_chunk() {
        Some(there) => number(decode(there)).cmp(&number(item)),
        None => there.cmp(bytes),
    }
}

/// Returns the number of items.
#[inline]
pub(crate) fn len(pages: &impl Pages, index: ExpiryIndex) -> u64 {
    index.len(pages)
}

/// Returns what expires first.
pub(crate) fn first(pages: &impl Pages, index: ExpiryIndex) -> Option<Item> {
    let first = index.first(pages);
    first.map(|item| decode(item.first_chunk().expect("an item of the expiry index is 12 bytes")))
}

/// Returns the number of items up to `now`.
pub(crate) fn due(pages: &impl Pages, index: ExpiryIndex, now: u64) -> u64 {
    let last = (now, Ref(u32::MAX));
    let bytes = encode(last);
    index.rank(pages, &index.find(pages, |there| order(there, last, &bytes)))
}

/// Returns the items in order.
pub(crate) fn items<P: Pages>(pages: &P, index: ExpiryIndex) -> impl Iterator<Item = Item> + '_ {
    let items = index.cursor(pages, index.start(pages));
    items.map(|item| decode(item.first_chunk().expect("an item of the expiry index is 12 bytes")))
}

/// Adds an item, which must not be there.
pub(crate) fn insert(arena: &mut Arena, index: ExpiryIndex, item: Item) {
    let bytes = encode(item);
    let at = index.find(arena, |there| order(there, item, &bytes));
    index.insert(arena, &at, &bytes);
}

/// Removes an item, which must be there.
pub(crate) fn remove(arena: &mut Arena, index: ExpiryIndex, item: Item) {
    let bytes = encode(item);
    let at = index.find(arena, |there| order(there, item, &bytes));
    assert!(at.item(arena) == Some(&bytes), "an item that is removed is in the expiry index");
    index.remove(arena, &at);
}

/// Frees at most about `pages` pages, those of the last items; what is left is an index.
pub(crate) fn free_some(arena: &mut Arena, index: ExpiryIndex, pages: usize) {
    index.free_some(arena, pages);
}

/// Frees all pages.
pub(crate) fn free(arena: &mut Arena, index: ExpiryIndex) {
    index.free(arena);
}

/// Walks an index that may be damaged: `claim` says whether a page may be a node (in use, and of nobody else), `visit`
/// gets every item in order.
pub(crate) fn check(
    pages: &impl Pages,
    index: ExpiryIndex,
    claim: &mut dyn FnMut(PageId) -> bool,
    visit: &mut dyn FnMut(Item) -> Result<(), &'static str>,
) -> Result<(), &'static str> {
    index.check(pages, claim, &mut |item| match item.try_into() {
        Ok(item) => visit(decode(item)),
        Err(_) => Err("an item of the expiry index has another length than 12 bytes"),
    })
}

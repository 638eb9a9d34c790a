//! The expiry index: a tree of (time, record), so that what expires first is at its start.
//!
//! ```text
//!   0  time u64 in Unix milliseconds, big-endian
//!   8  record u32, big-endian
//! ```
//!
//! Big-endian, so that items ascend as strings of bytes do. The handle stands in the superblock.

use std::cmp::Ordering;

use crate::arena::{Arena, Pages, Ref};
use crate::ids::PageId;

use super::root;
use super::tree::{ByBytes, Tree};

/// What the tree is ordered by.
pub(crate) type Item = (u64, Ref);

pub(crate) const ITEM_BYTES: usize = 12;
const REF: usize = 8;

const TREE: Tree<ByBytes> = Tree::at(root::ROOT, root::EXPIRY, ByBytes);

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

/// Returns what expires first.
pub(crate) fn first(pages: &impl Pages) -> Option<Item> {
    TREE.first(pages).map(|item| decode(item.first_chunk().expect("an item of the expiry index is 12 bytes")))
}

/// Adds an item, which must not be there.
pub(crate) fn insert(arena: &mut Arena, item: Item) {
    let bytes = encode(item);
    let at = TREE.find(arena, |there| order(there, item, &bytes));
    TREE.insert(arena, &at, &bytes);
}

/// Takes an item out, which must be there.
pub(crate) fn remove(arena: &mut Arena, item: Item) {
    let bytes = encode(item);
    let at = TREE.find(arena, |there| order(there, item, &bytes));
    assert!(at.item(arena) == Some(&bytes), "an item that is removed is in the expiry index");
    TREE.remove(arena, &at);
}

/// Walks an index that may be damaged: `claim` says whether a page may be a node (in use, and of nobody else), `visit`
/// gets every item in order.
pub(crate) fn check(
    pages: &impl Pages,
    claim: &mut dyn FnMut(PageId) -> bool,
    visit: &mut dyn FnMut(Item) -> Result<(), &'static str>,
) -> Result<(), &'static str> {
    TREE.check(pages, claim, &mut |item| match item.try_into() {
        Ok(item) => visit(decode(item)),
        Err(_) => Err("an item of the expiry index has another length than 12 bytes"),
    })
}

//! The data structures within a shard's pages: the superblock, the record allocator, hash tables and trees.
//!
//! **All state is here**, so an image is simply a set of pages, and a restored shard makes the same choices (of pages, slots) as
//! the original: same effects, same bytes. The offsets of each layout are in one file:
//!
//! | file | pages | finds |
//! |---|---|---|
//! | `root` | page 0, the superblock | seed, free-slot lists, the handles of each database's table and expiry index |
//! | `slab` | one size class a page | free slots for records |
//! | `heap` | a slot | the allocator's pages of one large collection |
//! | `table` | a hash table: slots for its segments, and a directory | a key's record |
//! | `tree` | counted B+trees, any number of them | an item by its order or by its rank |
//! | `expiry` | those of one tree a database | the record that expires first |
//!
//! Functions take `&impl Pages` to read, so that the live shard and a frozen version share them, and `&mut Arena` to write. A
//! page's first byte is its type ([`PageType`]), except for pages that are one array from end to end: those of the directory, of
//! large values, and of the page lists of large values. Their type follows from where the pointer to them is.

pub(crate) mod expiry;
pub(crate) mod heap;
pub(crate) mod root;
pub(crate) mod slab;
pub(crate) mod table;
pub(crate) mod tree;

#[cfg(test)]
mod tests;

/// First byte of a page that has a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum PageType {
    Root = 1,
    Slab = 4,
    TreeLeaf = 5,
    TreeInner = 6,
}

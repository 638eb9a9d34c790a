//! The arena: a shard's memory as an array of fixed-size pages, with copy-on-write snapshots (frozen versions) at any moment.
//!
//! **Problem.** A consistent snapshot of gigabytes must be taken while writes continue, without `fork`, at a cost that does not
//! depend on the kind of values.
//!
//! **Idea.** All state of a shard is in pages of [`PAGE_BYTES`] bytes, addressed by logical number
//! ([`PageId`](crate::ids::PageId)) and 8-byte granule ([`Ref`]). A two-level table leads from the logical page to the physical
//! one:
//!
//! ```text
//!   live table      [chunk 0] [chunk 1] ...            frozen version 7     [chunk 0] [chunk 1] ...
//!                       |         \___________ shared ______________________________/
//!                   slots {page, born}                                       |
//!                     |                                                  slots {page, born}
//!                  physical page (copied since)                              |
//!                                                              physical page as it was: retired
//! ```
//!
//! - **Freeze** clones the upper level (one reference count for each 512 pages) and gives the version the next number.
//! - **Write** compares the slot's `born` with the newest frozen version: newer means in place. Older means that this is the
//!   first write since: is there a frozen version, from `born` on, that has not released this page? Then the page is copied into
//!   a recycled one, and the old one is *retired* for those versions. If not, the slot's `born` is updated and the page is
//!   written in place.
//! - **Release.** A reader goes through a frozen version in ascending page order and releases pages as it goes; it takes retired
//!   pages first, since these cost memory. A released page is never copied for that version. A retired page returns to the pool
//!   when the last version that needs it releases it.
//! - **Clear** sets the complete page table aside: its pages are returned a few at a time, first to the arena's own next writes.
//!
//! Physical pages come from a [`PagePool`] that the shards of an engine share; they are recycled, since the first access to new
//! memory costs more than the copy. Pages that are not needed for seconds are returned to the operating system, except for a
//! reserve. A mutation [reserves](Arena::reserve) the pages that it could need before it changes anything, so reaching the pool's
//! limit is a clean error and never leaves half a mutation.
//!
//! **Invariants.** A page that a frozen version can still read is never written. A page in use belongs to one slot. The lowest
//! unused id is used first, so page numbers depend only on the history of effects: not on freezes, and not on whether the shard
//! was restored from an image in between. A page starts zeroed.
//!
//! **Not done here.** The memory of frozen versions is not bounded here: [`FrozenShard::retired_pages`] and
//! [`PagePool::bytes_retired`] show it, and the engine makes writers wait when it is too much.

mod bits;
mod cleared;
mod frozen;
mod idle;
mod live;
mod page;
mod pins;
mod pool;
mod raw;
mod table;

#[cfg(test)]
mod tests;

pub use frozen::FrozenShard;
pub use live::Arena;
pub(crate) use live::SlabUse;
pub use page::{GRANULE_BYTES, GRANULES_PER_PAGE, PAGE_BYTES, PAGES_PER_SHARD_MAX, Page, Pages, Ref};
pub use pool::{OutOfMemory, PagePool};

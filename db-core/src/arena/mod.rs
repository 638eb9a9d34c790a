//! Pages: a shard's memory as an array of fixed-size pages that can be frozen at any moment.
//!
//! **Problem.** A consistent image of gigabytes must be taken while writes go on, without a fork, at a cost that does not
//! depend on what the values look like.
//!
//! **Idea.** Whatever a shard knows stands in pages of [`PAGE_BYTES`] bytes, addressed by logical number
//! ([`PageId`](crate::ids::PageId)) and 16-byte granule ([`Ref`]). A two-level table leads from the logical page to the
//! physical one:
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
//!   first write since: is there a frozen version, from `born` on, that has not released this page? Then the page is copied
//!   into a recycled one, and the old one is *retired* for those versions. If not, the slot is marked and written in place.
//! - **Release.** A transfer reads a frozen version in ascending page order and releases pages as it goes; what was retired it
//!   takes before its turn, since that takes memory. A page that it has released is never copied for it. What was retired
//!   comes back to the pool when the last version that needs it releases it.
//! - **Clear** sets the whole table aside: its pages are given back a few at a time, and first to the arena's own next writes.
//!
//! Physical pages come from a [`PagePool`] that the shards of an engine share; they are recycled, since a first touch of
//! new memory costs more than the copy; what nobody needs for seconds goes back to the machine, but for a reserve. A mutation [reserves](Arena::reserve) what it could need before it changes anything,
//! so the pool's bound turns into a clean error and never into half a mutation.
//!
//! **Invariants.** A page that a frozen version can still read is never written. A page in use belongs to one slot. The
//! lowest unused id is used first, so page numbers follow from the history of effects alone: never from freezes, and not
//! from whether the shard was restored from an image in between. A page starts zeroed.
//!
//! **Missing on purpose.** Frozen memory has no bound here: it shows in
//! [`FrozenShard::retired_pages`] and [`PagePool::bytes_retired`], and the engine tells its writers when it is too much.

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

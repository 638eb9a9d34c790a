//! Images: a frozen version as an ordered list of chunks, and back.
//!
//! ```text
//!   FrozenVersion --into_chunks--> ImageWalk --next_chunk--> header, pages, pages, ...   (each at most 1 MiB)
//!   chunks in order --feed--> ImageRestore --finish--> verified shards
//! ```
//!
//! An image is pages: nothing is encoded on the way out, parsed or rebuilt on the way in; pages that are not in use are not
//! in it. Everybody between the two ends may treat chunks as opaque bytes that have an order. The walk gives pages back as it
//! passes them, so the live shards copy less and less for it.
//!
//! **What is verified**, before anything of an image is used: each chunk's checksum, that it belongs to this image and is the
//! next one, that none is missing, and then the structure as a whole: every address, every count, every chain, every key's
//! hash (`keyspace::verify`). A bad image is an error with a sentence, never a crash, never a part of the data.

mod chunk;
mod frozen;
mod restore;

#[cfg(test)]
mod tests;

pub use frozen::{FrozenVersion, ImageWalk};
pub use restore::{ImageError, ImageRestore, RestoredImage};

/// What an image's pages are restored into; the engine made from it goes on with the same.
pub use crate::arena::PagePool;

use crate::ids::{Epoch, Lsn};

/// What an image says of itself beside its pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageMeta {
    /// Position up to which the content includes the log.
    pub cut: Lsn,
    /// Epoch of the record at the cut.
    pub epoch: Epoch,
    /// Seed of the key hash.
    pub hash_seed: u64,
}

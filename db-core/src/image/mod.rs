//! Images (Redis: RDB files): a frozen version as an ordered list of chunks, and the way back.
//!
//! ```text
//!   FrozenVersion --into_chunks--> ImageWalk --next_chunk--> header, pages, pages, ...   (each at most 1 MiB)
//!   chunks in order --feed--> ImageRestore --finish--> verified shards
//! ```
//!
//! An image consists of memory pages: nothing is encoded when it is written, or parsed and rebuilt when it is loaded; unused
//! pages are left out. Everything between the two ends treats chunks as opaque, ordered bytes. The walk releases pages as it
//! passes them, so the live shards copy less and less for it.
//!
//! **What is verified**, before anything of an image is used: each chunk's checksum, that it belongs to this image and is the
//! next one, that none is missing, and then the structure as a whole: every address, every count, every chain, every key's hash
//! (`keyspace::verify`). A bad image is an error with a message, never a crash, and never loaded in part.

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

//! Restores shards from the chunks of an image.

use std::sync::Arc;

use thiserror::Error;

use crate::arena::{Arena, OutOfMemory, PagePool};
use crate::ids::{Lsn, ShardId};
use crate::keyspace::Keyspace;
use crate::level::FormatError;
use crate::structure::root;

use super::ImageMeta;
use super::chunk::{self, Body, HeaderChunk, PagesChunk};

/// Why bytes are not an image that can be loaded. Nothing of it is used then.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ImageError {
    /// A chunk is damaged, foreign, or not the next one.
    #[error("image chunk {index}: {what}")]
    Chunk {
        /// Position in the order in which chunks were fed, from 0.
        index: u32,
        /// What was wrong.
        what: &'static str,
    },
    /// A chunk, or the pages of a shard, are of another format version.
    #[error("image: {what} has {error}")]
    Version {
        /// What has it.
        what: &'static str,
        /// The version, and what this program knows.
        error: FormatError,
    },
    /// Chunks are missing at the end.
    #[error("image: only {there} of {expected} chunks are there")]
    Incomplete {
        /// Chunks that came.
        there: u32,
        /// Chunks of the image; 0 if not even the header came.
        expected: u32,
    },
    /// The pages contradict each other, although every checksum is right.
    #[error("image, shard {shard}: {what}")]
    Structure {
        /// The shard.
        shard: ShardId,
        /// What was wrong.
        what: &'static str,
    },
    /// The image is larger than the memory this process may use for pages: not the image's fault.
    #[error("image: {0}")]
    Memory(#[from] OutOfMemory),
    /// An earlier chunk was refused.
    #[error("image: an earlier chunk was refused")]
    Refused,
}

/// The content of a verified image.
#[derive(Debug)]
pub struct RestoredImage {
    /// What the image says of itself.
    pub meta: ImageMeta,
    /// The shards in order.
    pub shards: Vec<Keyspace>,
}

/// Receives an image chunk by chunk and verifies all of it before any of it may be used.
#[derive(Debug)]
pub struct ImageRestore {
    pool: Arc<PagePool>,
    header: Option<HeaderChunk>,
    cut: Option<Lsn>,
    shards: Vec<Arena>,
    next: u32,
    refused: bool,
}

impl ImageRestore {
    /// A restore into pages of `pool`.
    #[must_use]
    pub fn new(pool: Arc<PagePool>) -> Self {
        Self { pool, header: None, cut: None, shards: Vec::new(), next: 0, refused: false }
    }

    /// Takes the next chunk.
    ///
    /// # Errors
    /// If the chunk is damaged, foreign, or not the next one, or memory is lacking; after that only a new restore helps.
    pub fn feed(&mut self, chunk: &[u8]) -> Result<(), ImageError> {
        if self.refused {
            return Err(ImageError::Refused);
        }
        let done = self.take(chunk);
        self.refused = done.is_err();
        done
    }

    fn take(&mut self, chunk: &[u8]) -> Result<(), ImageError> {
        let index = self.next;
        let refuse = |what| ImageError::Chunk { index, what };
        chunk::check_version(chunk).map_err(|error| ImageError::Version { what: "a chunk", error })?;
        let (cut, body) = chunk::read(chunk, index, self.cut).map_err(refuse)?;
        match body {
            Body::Header(header) => {
                self.shards = header.pages.iter().map(|_| Arena::new(&self.pool)).collect();
                (self.cut, self.header) = (Some(cut), Some(header));
            }
            Body::Pages(pages) => self.take_pages(&pages, index)?,
        }
        self.next += 1;
        Ok(())
    }

    fn take_pages(&mut self, pages: &PagesChunk<'_>, index: u32) -> Result<(), ImageError> {
        let refuse = |what| ImageError::Chunk { index, what };
        let shard = pages.shard.0 as usize;
        if shard >= self.shards.len() {
            return Err(refuse("its shard is none of the image's"));
        }
        for (id, bytes) in pages.pages() {
            match self.shards[shard].insert(id, bytes) {
                Some(done) => done?,
                None => return Err(refuse("a page of it came before, or is none that a shard can have")),
            }
        }
        Ok(())
    }

    /// Checks completeness and structure.
    ///
    /// # Errors
    /// If a chunk is missing or was refused, or the structure contradicts itself.
    pub fn finish(self) -> Result<RestoredImage, ImageError> {
        if self.refused {
            return Err(ImageError::Refused);
        }
        let Some(header) = self.header else { return Err(ImageError::Incomplete { there: 0, expected: 0 }) };
        if header.chunks != self.next {
            return Err(ImageError::Incomplete { there: self.next, expected: header.chunks });
        }
        let count = self.shards.len() as u16;
        let mut shards = Vec::with_capacity(self.shards.len());
        for (number, (mut arena, pages)) in (0..count).zip(self.shards.into_iter().zip(&header.pages)) {
            let refuse = |what| ImageError::Structure { shard: ShardId(number), what };
            if arena.pages_used() != *pages {
                return Err(refuse("it has not as many pages as the header says"));
            }
            root::check_version(&arena).map_err(|error| ImageError::Version { what: "a superblock", error })?;
            arena.note_holes();
            let shard = Keyspace::from_pages(arena, header.meta.hash_seed, number, count).map_err(refuse)?;
            if shards.first().is_some_and(|first: &Keyspace| first.numbers() != shard.numbers()) {
                return Err(refuse("its databases have other numbers than those of the first shard"));
            }
            shards.push(shard);
        }
        Ok(RestoredImage { meta: header.meta, shards })
    }
}

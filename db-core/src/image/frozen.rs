//! A frozen version (snapshot) of all shards, and the walk that encodes it as chunks.

use xxhash_rust::xxh3::Xxh3;

use crate::arena::FrozenShard;
use crate::ids::{Lsn, PageId, ShardId};

use super::ImageMeta;
use super::chunk::{self, HeaderChunk, PAGES_MAX};

/// All shards at one cut.
#[derive(Debug)]
pub struct FrozenVersion {
    meta: ImageMeta,
    pub(super) shards: Vec<FrozenShard>,
}

impl FrozenVersion {
    /// One version out of shards that were frozen together, in shard order; a power of two of them.
    #[must_use]
    pub fn new(meta: ImageMeta, shards: Vec<FrozenShard>) -> Self {
        assert!(shards.len().is_power_of_two() && u16::try_from(shards.len()).is_ok(), "shards are a power of two");
        Self { meta, shards }
    }

    /// Its position in the log.
    #[must_use]
    pub fn cut(&self) -> Lsn {
        self.meta.cut
    }

    /// Hash (xxh3, 128 bits) of all pages in order with their numbers: equal on nodes of equal history.
    #[must_use]
    pub fn content_hash(&self) -> u128 {
        let mut hash = Xxh3::new();
        for (number, shard) in self.shards.iter().enumerate() {
            hash.update(&(number as u32).to_le_bytes());
            for id in shard.used_pages(PageId(0)) {
                hash.update(&id.0.to_le_bytes());
                hash.update(shard.page(id).all());
            }
        }
        hash.digest128()
    }

    /// Turns the version into its image.
    #[must_use]
    pub fn into_chunks(self) -> ImageWalk {
        let pages: Vec<u32> = self.shards.iter().map(FrozenShard::pages_used).collect();
        let chunks = 1 + pages.iter().map(|pages| pages.div_ceil(PAGES_MAX as u32)).sum::<u32>();
        let header = HeaderChunk { meta: self.meta, chunks, pages };
        ImageWalk { header, next: 0, shards: self.shards.into_iter().map(Some).collect() }
    }
}

/// Produces an image chunk by chunk, and gives pages back as it passes them.
///
/// Shard by shard, in order; but where a chunk can be filled with pages that are kept for the image alone, these go first: each
/// then gives its memory back, while of those in their turn only the ones do that were written to since the freeze.
#[derive(Debug)]
pub struct ImageWalk {
    header: HeaderChunk,
    next: u32,
    /// Those that are done are not there any more.
    shards: Vec<Option<FrozenShard>>,
}

impl ImageWalk {
    /// Replaces `out` with the next chunk (at most [`crate::limits::IMAGE_CHUNK_BYTES_MAX`] bytes); false and empty when
    /// there is none left.
    pub fn next_chunk(&mut self, out: &mut Vec<u8>) -> bool {
        out.clear();
        if self.next == 0 {
            chunk::write_header(out, &self.header);
            self.next = 1;
            return true;
        }
        while let Some(number) = self.next_shard() {
            let Some(frozen) = &mut self.shards[number] else { continue };
            let early = frozen.retired(PAGES_MAX);
            let in_turn = frozen.unreleased_pages().filter(|id| early.binary_search(id).is_err());
            let in_turn: Vec<PageId> = in_turn.take(PAGES_MAX - early.len()).collect();
            let mut ids = [&early[..], &in_turn].concat();
            if ids.is_empty() {
                self.shards[number] = None;
                continue;
            }
            ids.sort_unstable();
            let shard = ShardId(number as u16);
            chunk::write_pages(out, self.next, shard, self.header.meta.cut, &ids, |id| frozen.page(id).all());
            frozen.release_early(&early);
            if let Some(last) = in_turn.last() {
                frozen.release_through(*last);
            }
            self.next += 1;
            return true;
        }
        false
    }

    /// The shard that the next chunk is of: one that can fill it with pages kept for the image alone, else the first.
    fn next_shard(&self) -> Option<usize> {
        let there = || self.shards.iter().enumerate().filter_map(|(number, shard)| Some((number, shard.as_ref()?)));
        let kept = there().map(|(number, shard)| (shard.retired_pages(), number)).max();
        let full = kept.filter(|(pages, _)| *pages >= PAGES_MAX as u64).map(|(_, number)| number);
        full.or_else(|| there().next().map(|(number, _)| number))
    }
}

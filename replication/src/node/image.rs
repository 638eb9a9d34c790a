//! Builds an engine from the chunks of an image.

use std::sync::Arc;

use tanist_db_core::engine::{Engine, EngineOptions};
use tanist_db_core::image::{ImageRestore, PagePool};

use crate::wire::message::ImageView;

/// An image that is being loaded. Nothing of it is used unless all of it is sound and is what it was announced to be.
#[derive(Debug)]
pub struct ImageLoad {
    view: ImageView,
    pool: Arc<PagePool>,
    restore: ImageRestore,
    chunks: u32,
}

impl ImageLoad {
    /// The image that the vault has announced.
    #[must_use]
    pub fn new(view: ImageView) -> ImageLoad {
        let pool = PagePool::new(0);
        ImageLoad { view, restore: ImageRestore::new(Arc::clone(&pool)), pool, chunks: 0 }
    }

    /// Chunks that are still to come.
    #[must_use]
    pub fn missing(&self) -> u32 {
        self.view.chunks - self.chunks
    }

    /// Takes the next chunk.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the image.
    pub fn feed(&mut self, chunk: &[u8]) -> Result<(), String> {
        self.chunks += 1;
        self.restore.feed(chunk).map_err(|error| self.wrong(&error.to_string()))
    }

    /// All chunks are here: the engine with the image's content, which must have as many shards as `options` say.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the image.
    pub fn finish(self, options: EngineOptions) -> Result<Engine, String> {
        let ImageLoad { view, pool, restore, .. } = self;
        let wrong = |why: String| wrong(&view, &why);
        let image = restore.finish().map_err(|error| wrong(error.to_string()))?;
        if image.meta.cut.0 != view.cut {
            return Err(wrong(format!("it says of itself that its cut is {}", image.meta.cut)));
        }
        let EngineOptions { shards, memory_bytes_max, levels, .. } = options;
        if image.shards.len() != usize::from(shards) {
            return Err(wrong(format!("it has {} shards, this cluster {shards}", image.shards.len())));
        }
        let engine = Engine::restored(image, &pool, memory_bytes_max).knowing(levels);
        engine.map_err(|error| wrong(format!("it is of {error}")))
    }

    /// The sentence for an image that cannot be used because of `why`.
    #[must_use]
    pub fn wrong(&self, why: &str) -> String {
        wrong(&self.view, why)
    }
}

fn wrong(view: &ImageView, why: &str) -> String {
    format!("the image at record {} cannot be used: {why}", view.cut)
}

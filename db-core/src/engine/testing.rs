//! Access to an engine's internals for tests.

use super::Engine;
use crate::engine::shard::Shards;
use crate::ids::Epoch;
use crate::redo::batch::BatchView;
use crate::redo::{Applied, ReplayError};

impl Engine {
    /// Runs `act` while all shards are locked, as by a command that takes as long.
    pub fn while_held<T>(&self, act: impl FnOnce() -> T) -> T {
        let _shards = Shards::all(&self.cells);
        act()
    }

    /// Applies all of a batch; cuts in it are noted, and nothing is frozen there.
    ///
    /// # Errors
    /// As [`Engine::apply`].
    pub fn apply_whole(&self, batch: &BatchView<'_>) -> Result<Applied, ReplayError> {
        let mut all = self.apply(batch)?;
        while all.last < batch.last() {
            let more = self.apply(batch)?;
            all.last = more.last;
            all.cuts.extend(more.cuts);
            all.epoch_start = more.epoch_start.or(all.epoch_start);
        }
        Ok(all)
    }

    /// Hash of all pages as they are now: equal on engines of equal history.
    #[must_use]
    pub fn content_hash(&self) -> u128 {
        self.content_hash_at().1
    }

    /// Epoch under which records are appended; on a follower that of the newest epoch-start record applied.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.redo.epoch()
    }
}

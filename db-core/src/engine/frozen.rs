//! Engines over a frozen version: every read command runs on them unchanged, and they never write.

use std::fmt;
use std::sync::Arc;

use super::Engine;
use super::shard::{Busy, ShardCell, Shards};
use crate::arena::{FrozenShard, PagePool};
use crate::ids::{Epoch, Lsn, ShardId};
use crate::keyspace::{KeyHasher, Keyspace};
use crate::redo::RedoQueue;

/// All shards as they were at one position, for any number of readers. While it or a reader of it lives, writes copy the pages that they
/// touch first.
pub struct FrozenState {
    shards: Vec<Arc<FrozenShard>>,
    cut: Lsn,
    epoch: Epoch,
    hash_seed: u64,
    pool: Arc<PagePool>,
}

impl FrozenState {
    /// The newest record in it: every reply of its readers depends on all records up to here.
    #[must_use]
    pub fn cut(&self) -> Lsn {
        self.cut
    }

    /// Returns an engine that reads this state, never writes, and follows nobody. Its locks are its own: readers do not wait for each other.
    #[must_use]
    pub fn reader(&self) -> Engine {
        let hasher = KeyHasher::new(self.hash_seed);
        let cell = |shard| ShardCell::of_frozen(Keyspace::of_frozen(Arc::clone(shard), hasher), self.cut);
        let cells = self.shards.iter().map(cell).collect();
        Engine::assemble(cells, &self.pool, self.hash_seed, RedoQueue::new(self.epoch, self.cut))
    }
}

impl fmt::Debug for FrozenState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrozenState").field("cut", &self.cut).finish_non_exhaustive()
    }
}

impl Engine {
    /// Freezes all shards, to read this moment's state.
    ///
    /// # Errors
    /// With a shard that a long command holds, to wait for ([`Engine::shard_free`]): nothing is frozen.
    pub fn try_pin(&self) -> Result<FrozenState, ShardId> {
        let mut shards = Shards::try_all(&self.cells).map_err(|Busy(shard)| shard)?;
        let (cut, epoch) = (self.redo.last(), self.redo.epoch());
        let shards = shards.iter_mut().map(|shard| Arc::new(shard.keyspace.freeze())).collect();
        Ok(FrozenState { shards, cut, epoch, hash_seed: self.hash_seed, pool: Arc::clone(&self.pool) })
    }
}

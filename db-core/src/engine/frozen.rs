//! An engine over a frozen version: every read command runs on it unchanged, and it never writes.

use super::Engine;
use super::shard::{Busy, ShardCell, Shards};
use crate::ids::ShardId;
use crate::keyspace::Keyspace;
use crate::redo::RedoQueue;

impl Engine {
    /// Freezes all shards and returns an engine that reads this version: with all records up to its [`last`](Engine::last), on which
    /// every reply of it depends. While it lives, writes copy the pages that they touch first. It never writes and follows nobody.
    ///
    /// # Errors
    /// With a shard that a long command holds, to wait for ([`Engine::shard_free`]): nothing is frozen.
    pub fn try_pin(&self) -> Result<Engine, ShardId> {
        let mut shards = Shards::try_all(&self.cells).map_err(|Busy(shard)| shard)?;
        let (cut, epoch) = (self.redo.last(), self.redo.epoch());
        let frozen: Vec<_> = shards.iter_mut().map(|shard| shard.keyspace.freeze()).collect();
        drop(shards);
        let cell = |shard| ShardCell::of_frozen(Keyspace::of_frozen(shard, self.hasher), cut);
        let cells = frozen.into_iter().map(cell).collect();
        Ok(Engine::assemble(cells, &self.pool, self.hash_seed, RedoQueue::new(epoch, cut)))
    }
}

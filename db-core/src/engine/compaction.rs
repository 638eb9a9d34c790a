//! Compaction (Redis: active defragmentation): when many pages are at most half full, the primary moves their key records
//! together.

use parking_lot::Mutex;

use super::Engine;
use super::apply::apply;
use super::memory::Memory;
use super::shard::Shards;
use super::upkeep::encoded;
use crate::effect::Effect;
use crate::ids::ShardId;
use crate::limits::{COMPACT_BYTES_MIN, COMPACT_RECORD_KEYS_MAX, DATABASES};

/// How far each shard is compacted. Not state: whoever becomes primary begins anew.
#[derive(Debug)]
pub(super) struct Compaction(Mutex<Vec<Progress>>);

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Progress {
    /// The logical database and the cursor of the pass that is under way.
    next: Option<(u8, u64)>,
    /// Bytes of slots that were free at the end of the last pass.
    left: u64,
}

impl Compaction {
    pub(super) fn new(shards: usize) -> Compaction {
        Compaction(Mutex::new(vec![Progress::default(); shards]))
    }
}

impl Progress {
    /// Whether there is something to do: a pass is under way, or more than half of the slots is free, and a quarter more than the last
    /// pass has left.
    fn is_due(&self, memory: &Memory) -> bool {
        let free = memory.free();
        let sparse = memory.slabs >= COMPACT_BYTES_MIN && free > memory.slabs / 2;
        self.next.is_some() || (sparse && free > self.left + self.left / 4)
    }

    /// The pass goes on at `cursor` of a database (0: at the next database, if there is one).
    fn advance(&mut self, logical: u8, cursor: u64, memory: &Memory) {
        self.next = match (logical + 1, cursor) {
            (next, 0) if usize::from(next) == DATABASES => None,
            (next, 0) => Some((next, 0)),
            (_, cursor) => Some((logical, cursor)),
        };
        if self.next.is_none() {
            self.left = memory.free();
        }
    }
}

impl Engine {
    /// Moves records out of pages that are at most half full, in shards where more than half of all slots is free; looks at about
    /// `keys` keys at most, and returns whether there may be more to do. Skips shards that a command holds. Does nothing unless
    /// this engine writes and its queue has room, nor if a frozen version takes half of what it may.
    pub fn compact_due(&self, keys: usize) -> bool {
        let mut shards = self.compaction.0.lock();
        let mut left = keys;
        for (at, progress) in shards.iter_mut().enumerate() {
            while left > 0 && progress.is_due(&self.cells[at].memory()) && self.redo.has_room() && self.may_copy() {
                let here = left.min(COMPACT_RECORD_KEYS_MAX);
                if !self.compact_in_shard(at, progress, here) {
                    break;
                }
                left -= here;
            }
        }
        left == 0
    }

    /// Looks at about `keys` keys of one shard, and moves in one record what is to be moved of them; returns whether that was possible.
    pub(super) fn compact_in_shard(&self, at: usize, progress: &mut Progress, keys: usize) -> bool {
        let Some(mut shards) = Shards::try_at(&self.cells, at) else { return false };
        if !self.is_writing() {
            return false;
        }
        let (logical, cursor) = progress.next.unwrap_or_default();
        let database = shards.database(logical);
        let id = ShardId(at as u16);
        let shard = shards.at_mut(id).expect("the shard is held");
        let (next, records) = shard.keyspace.sparse(database, cursor, keys);
        let appended = (!records.is_empty()).then(|| {
            let effect = Effect::Compact { shard: id, database, cursor: cursor as u32, keys: keys as u32 };
            apply(&mut shards, &effect).expect("to move a record needs no page, and the shard is held");
            self.redo.append(&mut encoded(&effect))
        });
        shards.publish();
        drop(shards);
        progress.advance(logical, next, &self.cells[at].memory());
        if appended.is_some_and(|appended| appended.first) {
            self.redo.wake();
        }
        true
    }
}

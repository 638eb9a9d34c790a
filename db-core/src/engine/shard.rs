//! Shards behind their locks, and the sets of them that a command holds.
//!
//! A command takes the locks of its shards in index order and holds them until its effects are applied and its record
//! has a position. Counts that others may ask for at any time are published beside the lock.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use smallvec::SmallVec;

use super::dirty::Dirty;
use super::watch::Watched;
use crate::clock::{Clock, Monotonic};
use crate::ids::{Lsn, ShardId};
use crate::keyspace::{Key, Keyspace};

/// A shard that is not free after this long is held by a long command; a short one takes a microsecond.
const BUSY_PATIENCE: Duration = Duration::from_micros(100);

/// Attempts to take all shards without making anyone wait for a long command; then everyone waits for once.
const BUSY_TRIES: usize = 32;

/// One shard: data, and what the engine knows of it.
pub(crate) struct Shard {
    pub(crate) keyspace: Keyspace,
    pub(crate) dirty: Dirty,
    pub(crate) watched: Watched,
}

/// A shard, its lock, and its published counts.
pub(crate) struct ShardCell {
    shard: Mutex<Shard>,
    keys: AtomicU64,
    expiring: AtomicU64,
    memory_bytes: AtomicU64,
}

/// The counts of one shard as last published.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) keys: u64,
    pub(crate) expiring: u64,
    pub(crate) memory_bytes: u64,
}

impl ShardCell {
    pub(crate) fn new(keyspace: Keyspace) -> ShardCell {
        let cell = ShardCell {
            shard: Mutex::new(Shard { keyspace, dirty: Dirty::new(), watched: Watched::default() }),
            keys: AtomicU64::new(0),
            expiring: AtomicU64::new(0),
            memory_bytes: AtomicU64::new(0),
        };
        cell.publish(&cell.lock());
        cell
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Shard> {
        self.shard.lock()
    }

    /// Counts as of the last publication, without the lock.
    pub(crate) fn counts(&self) -> Counts {
        // Relaxed here and below: each is a figure of its own that may be a moment old.
        Counts {
            keys: self.keys.load(Ordering::Relaxed),
            expiring: self.expiring.load(Ordering::Relaxed),
            memory_bytes: self.memory_bytes.load(Ordering::Relaxed),
        }
    }

    /// Publishes the counts of `shard`, which is this cell's own, locked.
    fn publish(&self, shard: &Shard) {
        self.keys.store(shard.keyspace.len(), Ordering::Relaxed);
        self.expiring.store(shard.keyspace.expiring(), Ordering::Relaxed);
        self.memory_bytes.store(shard.keyspace.memory_bytes(), Ordering::Relaxed);
    }
}

impl fmt::Debug for ShardCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.counts().fmt(f)
    }
}

/// The shards that a command may touch.
pub(crate) struct Shards<'e> {
    cells: &'e [ShardCell],
    held: Held<'e>,
}

/// On the heap: the locks of a command with one key, which most have, move with it.
type Guards<'e> = Vec<Option<MutexGuard<'e, Shard>>>;

enum Held<'e> {
    /// Nothing; a whole shard may be visited under its own lock.
    None,
    One(ShardId, MutexGuard<'e, Shard>),
    /// One place a shard.
    Many(Guards<'e>),
}

impl<'e> Shards<'e> {
    pub(crate) fn none(cells: &'e [ShardCell]) -> Shards<'e> {
        Shards { cells, held: Held::None }
    }

    /// The shard of one key.
    #[inline]
    pub(crate) fn one(cells: &'e [ShardCell], hash: u64) -> Shards<'e> {
        let id = shard_of(cells, hash);
        Shards { cells, held: Held::One(id, cells[usize::from(id.0)].lock()) }
    }

    /// The shard at an index.
    pub(crate) fn at(cells: &'e [ShardCell], at: usize) -> Shards<'e> {
        Shards { cells, held: Held::One(ShardId(at as u16), cells[at].lock()) }
    }

    /// The shards of all these keys, locked in index order.
    pub(crate) fn of_keys(cells: &'e [ShardCell], hashes: impl Iterator<Item = u64>) -> Shards<'e> {
        let mut wanted: SmallVec<[bool; 16]> = SmallVec::from_elem(false, cells.len());
        hashes.for_each(|hash| wanted[usize::from(shard_of(cells, hash).0)] = true);
        let held = cells.iter().zip(wanted).map(|(cell, wanted)| wanted.then(|| cell.lock())).collect();
        Shards { cells, held: Held::Many(held) }
    }

    /// Every shard, locked in index order.
    pub(crate) fn all(cells: &'e [ShardCell]) -> Shards<'e> {
        Shards { cells, held: Held::Many(cells.iter().map(|cell| Some(cell.lock())).collect()) }
    }

    /// All shards, for a moment's work, and since when the first of them is held. While a long command holds one, only those
    /// wait that need it too: a busy shard is waited for with no other held.
    pub(crate) fn all_at_once<'c>(cells: &'e [ShardCell], clock: &'c dyn Clock) -> (Shards<'e>, Monotonic) {
        let mut waited_for: Option<usize> = None;
        for _ in 0..BUSY_TRIES {
            let mut held: Guards<'e> = cells.iter().map(|_| None).collect();
            if let Some(at) = waited_for {
                held[at] = Some(cells[at].lock());
            }
            let since = clock.monotonic();
            waited_for = (0..cells.len()).find(|at| {
                let guard = held[*at].take();
                held[*at] = guard.or_else(|| cells[*at].shard.try_lock_for(BUSY_PATIENCE));
                held[*at].is_none()
            });
            if waited_for.is_none() {
                return (Shards { cells, held: Held::Many(held) }, since);
            }
        }
        (Shards::all(cells), clock.monotonic())
    }

    /// Number of shards, held or not.
    pub(crate) fn count(&self) -> u16 {
        self.cells.len() as u16
    }

    /// The shard of the key of `hash`.
    ///
    /// # Panics
    /// If it is not held: a command's record did not name all its keys.
    #[inline]
    pub(crate) fn of(&self, hash: u64) -> &Shard {
        self.held(shard_of(self.cells, hash)).expect("a command touches the shards of its own keys")
    }

    /// The shard of the key of `hash`, to change it; panics as [`Shards::of`] does.
    #[inline]
    pub(crate) fn of_mut(&mut self, hash: u64) -> &mut Shard {
        let id = shard_of(self.cells, hash);
        let shard = match &mut self.held {
            Held::One(held, shard) if *held == id => Some(&mut **shard),
            Held::Many(shards) => shards[usize::from(id.0)].as_deref_mut(),
            _ => None,
        };
        shard.expect("a command touches the shards of its own keys")
    }

    /// Shows one shard, locking it for the time if it is not held.
    pub(crate) fn visit<T>(&self, id: ShardId, look: impl FnOnce(&Shard) -> T) -> T {
        match self.held(id) {
            Some(shard) => look(shard),
            None => look(&self.cells[usize::from(id.0)].lock()),
        }
    }

    /// All shards that are held, in index order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Shard> {
        (0..self.count()).filter_map(|id| self.held(ShardId(id)))
    }

    /// All shards that are held, in index order, to change them.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Shard> {
        let (one, many) = match &mut self.held {
            Held::None => (None, None),
            Held::One(_, shard) => (Some(shard), None),
            Held::Many(shards) => (None, Some(shards.iter_mut().flatten())),
        };
        one.into_iter().chain(many.into_iter().flatten()).map(|guard| &mut **guard)
    }

    /// Notes that the record at `lsn` wrote the key of `hash`, and publishes its shard's counts.
    #[inline]
    pub(crate) fn wrote(&mut self, hash: u64, lsn: Lsn) {
        let cells = self.cells;
        let shard = self.of_mut(hash);
        shard.dirty.wrote(hash, lsn);
        cells[usize::from(shard_of(cells, hash).0)].publish(shard);
    }

    /// Notes that the record at `lsn` wrote every key; all shards are held.
    pub(crate) fn wrote_all(&mut self, lsn: Lsn) {
        let cells = self.cells;
        for (shard, cell) in self.iter_mut().zip(cells) {
            shard.dirty.wrote_all(lsn);
            cell.publish(shard);
        }
    }

    #[inline]
    fn held(&self, id: ShardId) -> Option<&Shard> {
        match &self.held {
            Held::One(held, shard) if *held == id => Some(shard),
            Held::Many(shards) => shards[usize::from(id.0)].as_deref(),
            _ => None,
        }
    }
}

/// The shard of the key of `hash`, unless somebody holds it.
#[inline]
pub(crate) fn try_shard(cells: &[ShardCell], hash: u64) -> Option<MutexGuard<'_, Shard>> {
    cells[usize::from(shard_of(cells, hash).0)].shard.try_lock()
}

#[inline]
fn shard_of(cells: &[ShardCell], hash: u64) -> ShardId {
    Key { bytes: &[], hash }.shard(cells.len() as u16)
}

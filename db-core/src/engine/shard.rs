//! Shards behind their locks, and the sets of locked shards of a command.
//!
//! A command takes the locks of its shards in index order and holds them until its effects are applied and its record has a
//! position. Counters that are read at any time are published beside the lock.
//!
//! A command never blocks its thread on a shard that a long command holds: it releases the locks that it has and returns the
//! shard ([`Busy`]); the session waits for that shard ([`super::ShardFree`]) while the thread serves others. Only threads that
//! have nothing else to do block on a lock: `Shards::one`, `of_keys` and `all`.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use smallvec::SmallVec;

use super::dirty::Dirty;
use super::line::Lines;
use super::memory::{Memory, MemoryCounts};
use super::waiting::{Freed, ShardWaiters};
use super::watch::{Abandoned, Watched};
use crate::ids::{DatabaseId, Lsn, ShardId};
use crate::keyspace::{Key, Keyspace};
use crate::limits::DATABASES;
use crate::structure::root;

/// A shard that is not free after this long is held by a long command; a short one takes a microsecond.
const BUSY_PATIENCE: Duration = Duration::from_micros(100);

/// Looks at a shard before a thread is parked for it, one to three microseconds altogether: a short command is done by then, and to park
/// a thread and to wake it takes longer.
const SPINS: usize = 64;

/// This shard is locked by another command, and will be for longer than a short command takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Busy(pub(crate) ShardId);

/// One shard: data, and what the engine knows of it.
pub(crate) struct Shard {
    pub(crate) keyspace: Keyspace,
    pub(crate) dirty: Dirty,
    pub(crate) watched: Watched,
}

/// A shard, its lock, who waits for it, and its published counts.
pub(crate) struct ShardCell {
    shard: Mutex<Shard>,
    pub(super) waiting: ShardWaiters,
    /// Who is blocked until a key of the shard is there. Locked while the shard is, or without it; never the other way round.
    pub(super) lines: Arc<Mutex<Lines>>,
    /// Copies that are being made here in databases that nobody has: keys of those are not reclaimed meanwhile.
    pub(super) copies: AtomicUsize,
    /// Watches that ended while the shard was locked by another command.
    pub(super) abandoned: Mutex<Vec<Abandoned>>,
    /// By logical number.
    databases: [Counts; DATABASES],
    memory: MemoryCounts,
}

/// The counts of one database in one shard as last published.
#[derive(Debug, Default)]
struct Counts {
    keys: AtomicU64,
    expiring: AtomicU64,
}

/// How many keys a database has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DatabaseCounts {
    /// The number by which clients select it.
    pub logical: u8,
    /// Expired ones included that are not yet deleted.
    pub keys: u64,
    /// Those with an expiry.
    pub expiring: u64,
}

impl DatabaseCounts {
    pub(super) fn of(cells: &[ShardCell], logical: u8) -> DatabaseCounts {
        let counts = || cells.iter().map(|cell| &cell.databases[usize::from(logical)]);
        // Relaxed: figures that may be a moment old.
        DatabaseCounts {
            logical,
            keys: counts().map(|counts| counts.keys.load(Ordering::Relaxed)).sum(),
            expiring: counts().map(|counts| counts.expiring.load(Ordering::Relaxed)).sum(),
        }
    }
}

impl ShardCell {
    /// A shard that has all records up to `cut`.
    pub(crate) fn new(keyspace: Keyspace, cut: Lsn) -> ShardCell {
        ShardCell::with(keyspace, Dirty::new(cut))
    }

    /// A shard of a frozen version that has all records up to `cut`.
    pub(super) fn of_frozen(keyspace: Keyspace, cut: Lsn) -> ShardCell {
        ShardCell::with(keyspace, Dirty::of_frozen(cut))
    }

    fn with(keyspace: Keyspace, dirty: Dirty) -> ShardCell {
        let lines = Arc::default();
        let cell = ShardCell {
            shard: Mutex::new(Shard { keyspace, dirty, watched: Watched::new(&lines) }),
            waiting: ShardWaiters::default(),
            lines,
            copies: AtomicUsize::new(0),
            abandoned: Mutex::default(),
            databases: Default::default(),
            memory: MemoryCounts::default(),
        };
        {
            let mut shard = cell.lock();
            cell.publish(&mut shard);
            root::database_numbers().for_each(|database| cell.publish_counts(&shard, database));
        }
        cell
    }

    /// The shard, once it is free.
    pub(crate) fn lock(&self) -> Guard<'_> {
        Guard::new(self.shard.lock(), &self.waiting)
    }

    /// The shard, if it is free now.
    #[inline]
    pub(crate) fn try_lock(&self) -> Option<Guard<'_>> {
        self.shard.try_lock().map(|shard| Guard::new(shard, &self.waiting))
    }

    /// The shard, unless a long command holds it.
    #[inline]
    fn lock_soon(&self) -> Option<Guard<'_>> {
        self.try_lock().or_else(|| self.lock_patiently())
    }

    #[cold]
    fn lock_patiently(&self) -> Option<Guard<'_>> {
        // Where others wait already there is nothing to hope for, and every session of a thread would hope in turn.
        if self.waiting.anyone() {
            return None;
        }
        for _ in 0..SPINS {
            std::hint::spin_loop();
            if !self.shard.is_locked()
                && let Some(guard) = self.try_lock()
            {
                return Some(guard);
            }
        }
        self.shard.try_lock_for(BUSY_PATIENCE).map(|shard| Guard::new(shard, &self.waiting))
    }

    /// Whether somebody holds the shard.
    pub(super) fn is_held(&self) -> bool {
        self.shard.is_locked()
    }

    /// Keys with an expiry, as last published.
    pub(crate) fn expiring(&self) -> u64 {
        // Relaxed here and below: each is a figure of its own that may be a moment old.
        self.databases.iter().map(|counts| counts.expiring.load(Ordering::Relaxed)).sum()
    }

    /// Its memory, as last published.
    pub(crate) fn memory(&self) -> Memory {
        self.memory.read()
    }

    /// Returns pages that were cleared to the pool, by steps between which others may have the shard; none while a long command
    /// has it.
    pub(crate) fn recycle(&self) {
        while self.memory().cleared > 0 {
            let Some(mut shard) = self.try_lock() else { return };
            shard.keyspace.recycle();
            self.memory.publish(&shard.keyspace);
        }
    }

    /// Publishes what has changed in `shard`, which is this cell's own, locked.
    #[inline]
    fn publish(&self, shard: &mut Shard) {
        if shard.keyspace.take_use_changed() {
            self.memory.publish(&shard.keyspace);
        }
        for database in shard.keyspace.take_counted() {
            self.publish_counts(shard, database);
        }
    }

    fn publish_counts(&self, shard: &Shard, database: DatabaseId) {
        let Some(logical) = shard.keyspace.logical(database) else { return };
        let counts = &self.databases[usize::from(logical)];
        counts.keys.store(shard.keyspace.len_of(database), Ordering::Relaxed);
        counts.expiring.store(shard.keyspace.expiring_of(database), Ordering::Relaxed);
    }
}

impl fmt::Debug for ShardCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShardCell").field("databases", &self.databases).finish_non_exhaustive()
    }
}

/// A shard's lock. Fields are dropped in this order: the lock is free before those who wait for it are woken.
pub(crate) struct Guard<'e> {
    shard: MutexGuard<'e, Shard>,
    _freed: Freed<'e>,
}

impl<'e> Guard<'e> {
    #[inline]
    fn new(shard: MutexGuard<'e, Shard>, waiting: &'e ShardWaiters) -> Guard<'e> {
        Guard { shard, _freed: Freed(waiting) }
    }
}

impl std::ops::Deref for Guard<'_> {
    type Target = Shard;

    #[inline]
    fn deref(&self) -> &Shard {
        &self.shard
    }
}

impl std::ops::DerefMut for Guard<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut Shard {
        &mut self.shard
    }
}

/// The shards that a command may touch.
pub(crate) struct Shards<'e> {
    cells: &'e [ShardCell],
    held: Held<'e>,
}

/// On the heap: the locks of a command with one key, which most have, move with it.
type Guards<'e> = Vec<Option<Guard<'e>>>;

enum Held<'e> {
    /// Nothing; a whole shard may be visited under its own lock.
    None,
    One(ShardId, Guard<'e>),
    /// One place a shard.
    Many(Guards<'e>),
}

impl<'e> Shards<'e> {
    pub(crate) fn none(cells: &'e [ShardCell]) -> Shards<'e> {
        Shards { cells, held: Held::None }
    }

    /// The shard of one key.
    ///
    /// # Errors
    /// If it is busy.
    #[inline]
    pub(crate) fn try_one(cells: &'e [ShardCell], hash: u64) -> Result<Shards<'e>, Busy> {
        let id = shard_of(cells, hash);
        let guard = cells[usize::from(id.0)].lock_soon().ok_or(Busy(id))?;
        Ok(Shards { cells, held: Held::One(id, guard) })
    }

    /// The shards of all these keys.
    ///
    /// # Errors
    /// If one of them is busy; then none is held.
    pub(crate) fn try_of_keys(cells: &'e [ShardCell], hashes: impl Iterator<Item = u64>) -> Result<Shards<'e>, Busy> {
        Shards::try_some(cells, &wanted(cells, hashes))
    }

    /// Every shard.
    ///
    /// # Errors
    /// If one of them is busy; then none is held.
    pub(crate) fn try_all(cells: &'e [ShardCell]) -> Result<Shards<'e>, Busy> {
        Shards::try_some(cells, &vec![true; cells.len()])
    }

    fn try_some(cells: &'e [ShardCell], wanted: &[bool]) -> Result<Shards<'e>, Busy> {
        let take = |(at, (cell, wanted)): (usize, (&'e ShardCell, &bool))| {
            wanted.then(|| cell.lock_soon().ok_or(Busy(ShardId(at as u16)))).transpose()
        };
        let held = cells.iter().zip(wanted).enumerate().map(take).collect::<Result<_, _>>()?;
        Ok(Shards { cells, held: Held::Many(held) })
    }

    /// Shard 0, in which the cluster's settings are.
    ///
    /// # Errors
    /// If it is busy.
    pub(crate) fn try_first(cells: &'e [ShardCell]) -> Result<Shards<'e>, Busy> {
        let guard = cells[0].lock_soon().ok_or(Busy(ShardId(0)))?;
        Ok(Shards { cells, held: Held::One(ShardId(0), guard) })
    }

    /// The shard at an index, if it is free now.
    pub(crate) fn try_at(cells: &'e [ShardCell], at: usize) -> Option<Shards<'e>> {
        Some(Shards { cells, held: Held::One(ShardId(at as u16), cells[at].try_lock()?) })
    }

    /// The shard of one key; waits for it.
    pub(crate) fn one(cells: &'e [ShardCell], hash: u64) -> Shards<'e> {
        let id = shard_of(cells, hash);
        Shards { cells, held: Held::One(id, cells[usize::from(id.0)].lock()) }
    }

    /// The shards of all these keys; waits for each in index order.
    pub(crate) fn of_keys(cells: &'e [ShardCell], hashes: impl Iterator<Item = u64>) -> Shards<'e> {
        let wanted = wanted(cells, hashes);
        let held = cells.iter().zip(wanted).map(|(cell, wanted)| wanted.then(|| cell.lock())).collect();
        Shards { cells, held: Held::Many(held) }
    }

    /// Every shard; waits for each in index order.
    pub(crate) fn all(cells: &'e [ShardCell]) -> Shards<'e> {
        Shards { cells, held: Held::Many(cells.iter().map(|cell| Some(cell.lock())).collect()) }
    }

    /// Keys of a logical database, as last published.
    pub(crate) fn published_keys(&self, logical: u8) -> u64 {
        DatabaseCounts::of(self.cells, logical).keys
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

    /// Whether the shard of the key of `hash` is held.
    pub(crate) fn holds(&self, hash: u64) -> bool {
        self.held(shard_of(self.cells, hash)).is_some()
    }

    /// Whether keys of these hashes are in one shard.
    pub(crate) fn are_one(&self, one: u64, other: u64) -> bool {
        shard_of(self.cells, one) == shard_of(self.cells, other)
    }

    /// The shard of the key of `hash`, to change it; panics as [`Shards::of`] does.
    #[inline]
    pub(crate) fn of_mut(&mut self, hash: u64) -> &mut Shard {
        let shard = self.at_mut(shard_of(self.cells, hash));
        shard.expect("a command touches the shards of its own keys")
    }

    /// The shard of this number, to change it, if it is held.
    pub(crate) fn at_mut(&mut self, id: ShardId) -> Option<&mut Shard> {
        match &mut self.held {
            Held::One(held, shard) if *held == id => Some(&mut **shard),
            Held::Many(shards) => shards.get_mut(usize::from(id.0))?.as_deref_mut(),
            _ => None,
        }
    }

    /// Shard 0, to change it.
    ///
    /// # Panics
    /// If it is not held.
    pub(crate) fn first_mut(&mut self) -> &mut Shard {
        self.at_mut(ShardId(0)).expect("whoever changes a setting holds shard 0")
    }

    /// Shows one shard, locking it for the time if it is not held.
    ///
    /// # Errors
    /// If it is busy.
    pub(crate) fn visit<T>(&self, id: ShardId, look: impl FnOnce(&Shard) -> T) -> Result<T, Busy> {
        match self.held(id) {
            Some(shard) => Ok(look(shard)),
            None => self.cells[usize::from(id.0)].lock_soon().map(|shard| look(&shard)).ok_or(Busy(id)),
        }
    }

    /// The physical number of a logical database, which is the same in all shards; of the first one if none is held.
    #[inline]
    pub(crate) fn database(&self, logical: u8) -> DatabaseId {
        match &self.held {
            Held::One(_, shard) => shard.keyspace.database(logical),
            _ => self.iter().next().map_or(DatabaseId(0), |shard| shard.keyspace.database(logical)),
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

    /// Publishes the counts of all shards that are held, after a record that wrote no key.
    pub(crate) fn publish(&mut self) {
        let cells = self.cells;
        match &mut self.held {
            Held::None => {}
            Held::One(id, shard) => cells[usize::from(id.0)].publish(shard),
            Held::Many(shards) => {
                cells.iter().zip(shards).for_each(|(cell, shard)| {
                    if let Some(shard) = shard {
                        cell.publish(shard);
                    }
                });
            }
        }
    }

    /// Notes that the record at `lsn` wrote every key; all shards are locked.
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
pub(crate) fn try_shard(cells: &[ShardCell], hash: u64) -> Option<Guard<'_>> {
    cells[usize::from(shard_of(cells, hash).0)].try_lock()
}

/// Which shards the keys of `hashes` lie in, by index.
fn wanted(cells: &[ShardCell], hashes: impl Iterator<Item = u64>) -> SmallVec<[bool; 16]> {
    let mut wanted = SmallVec::from_elem(false, cells.len());
    hashes.for_each(|hash| wanted[usize::from(shard_of(cells, hash).0)] = true);
    wanted
}

#[inline]
pub(super) fn shard_of(cells: &[ShardCell], hash: u64) -> ShardId {
    Key { bytes: &[], hash, database: DatabaseId(0) }.shard(cells.len() as u16)
}

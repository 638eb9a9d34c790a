//! Operations on an engine other than commands: epochs, replay, expiry, freezes (snapshots), statistics.

use std::sync::atomic::Ordering;
use std::time::Duration;

use smallvec::SmallVec;

use super::apply::{apply, apply_expired, change_key};
use super::memory::Memory;
use super::shard::{Busy, DatabaseCounts, ShardCell, Shards};
use super::{Ahead, Engine};
use crate::arena::{PAGE_BYTES, PagePool};
use crate::clock::{Clock, Monotonic, UnixMillis};
use crate::effect::{ApplyError, Effect, Effects, KeyChange, RecordError, RecordWriter};
use crate::ids::{DatabaseId, Epoch, Lsn, ShardId};
use crate::image::{FrozenVersion, ImageMeta};
use crate::keyspace::Entry;
use crate::limits::{
    CLEAN_UP_COMPACT_KEYS_MAX, CLEAN_UP_KEYS_MAX, CLEAN_UP_STEPS_MAX, DATABASES, EXPIRE_RECORD_KEYS_MAX,
    RECLAIM_RECORD_STEPS_MAX, WARM_PAGES_MAX,
};
use crate::planted::planted;
use crate::redo::batch::BatchView;
use crate::redo::{Applied, RedoQueue, ReplayError, replay};
use crate::types::map::MapChange;
use crate::value::Kind;

/// Records of a batch that are read before the first of them is applied: as many as a processor can ask its memory for.
const RECORDS_AHEAD: usize = 32;

impl Engine {
    /// Makes this engine the one that writes: appends the epoch-start record and returns its position. From now on
    /// records carry `epoch`, and commands that write are executed. Waits for all shards.
    ///
    /// # Errors
    /// With the newest epoch seen, if `epoch` is not newer: nothing has changed.
    pub fn begin_epoch(&self, epoch: Epoch) -> Result<Lsn, Epoch> {
        let appended = {
            let _applying = self.applying.lock();
            let _shards = Shards::all(&self.cells);
            if epoch <= self.redo.epoch() {
                return Err(self.redo.epoch());
            }
            self.redo.set_epoch(epoch);
            let appended = self.redo.append(&mut encoded(&Effect::EpochStart { epoch }));
            // Relaxed: ordered by the shard locks.
            self.writing.store(true, Ordering::Relaxed);
            appended
        };
        if appended.first {
            self.redo.wake();
        }
        Ok(appended.lsn)
    }

    /// Ends this engine's time of writing, in a switchover, if the epoch under which it writes is older than `newest`: whoever
    /// ends it may come late, after a newer one was begun here. Commands that write are refused from now on. Returns the newest
    /// record; once the queue is taken and all of it is durable, the engine may follow. Waits for all shards, unless the engine
    /// does not write anyway.
    pub fn end_epoch(&self, newest: Epoch) -> Lsn {
        // Relaxed: only a hint that spares the locks; an epoch that is begun meanwhile is none that the caller has heard of.
        if !self.writing.load(Ordering::Relaxed) {
            return self.redo.last();
        }
        let _shards = Shards::all(&self.cells);
        if self.redo.epoch() >= newest {
            return self.redo.last();
        }
        // Relaxed: ordered by the shard locks.
        self.writing.store(false, Ordering::Relaxed);
        self.redo.last()
    }

    /// Applies the records of `batch` that are not applied yet, up to the first cut record among them, so that the caller may
    /// freeze exactly there: it calls again with the same batch until [`Applied::last`] has reached its end. Known records are
    /// skipped, so a batch may come again.
    ///
    /// # Errors
    /// If records are missing before the batch, or a record cannot be applied. Those before it are applied, and after any
    /// error but [`ReplayError::Gap`] and [`ReplayError::Writing`] the record itself may be in part: the engine is not to be
    /// used any more.
    pub fn apply(&self, batch: &BatchView<'_>) -> Result<Applied, ReplayError> {
        let _applying = self.applying.lock();
        // Relaxed: it changes to true only under `applying`.
        if self.writing.load(Ordering::Relaxed) {
            return Err(ReplayError::Writing);
        }
        let mut applied = Applied { last: self.redo.last(), ..Applied::default() };
        let mut records = replay::unapplied(batch, applied.last)?;
        loop {
            // Read some records before the first of them is applied: their memory is asked for together.
            let run: SmallVec<[Decoded<'_>; RECORDS_AHEAD]> =
                records.by_ref().take(RECORDS_AHEAD).map(|(lsn, record)| self.decode(lsn, record)).collect();
            if run.is_empty() {
                return Ok(applied);
            }
            let keys = run.iter().filter_map(|record| record.effects.as_ref().ok()).flat_map(keys);
            self.prefetch_all(keys, |_, database| database);
            for record in run {
                let lsn = record.lsn;
                self.apply_record(record, &mut applied)?;
                applied.last = lsn;
                if applied.cuts.last() == Some(&lsn) {
                    return Ok(applied);
                }
            }
        }
    }

    fn decode<'r>(&self, lsn: Lsn, record: &'r [u8]) -> Decoded<'r> {
        Decoded { lsn, effects: Effects::new(record, self.hasher).collect() }
    }

    /// Applies one record, all of which has been read. Its locks are taken before anything changes.
    fn apply_record(&self, record: Decoded<'_>, applied: &mut Applied) -> Result<(), ReplayError> {
        let lsn = record.lsn;
        let mut effects = record.effects.map_err(|error| ReplayError::Record { lsn, error })?;
        if planted("half a transaction replayed") {
            effects.truncate(effects.len().div_ceil(2));
        }
        let keys: SmallVec<[(u64, DatabaseId); 4]> = keys(&effects).map(|key| (key.hash, key.database)).collect();
        let (mut whole, mut settings, mut reclaims, mut newest) = (false, false, false, self.redo.epoch());
        for effect in &effects {
            match *effect {
                Effect::EpochStart { epoch } if epoch <= newest => {
                    return Err(ReplayError::EpochBack { lsn, epoch, newest });
                }
                Effect::EpochStart { epoch } => newest = epoch,
                _ if effect.is_of_all() => whole = true,
                Effect::Setting { number, value } => {
                    self.check_setting(lsn, number, value)?;
                    settings = true;
                }
                #[cfg(feature = "next-level")]
                Effect::Rehearse { .. } => settings = true,
                // There may be no such shard, which is found out under all locks.
                Effect::Reclaim { .. } | Effect::Compact { .. } => reclaims = true,
                _ => {}
            }
        }
        let mut shards = match keys[..] {
            _ if whole || settings || reclaims => Shards::all(&self.cells),
            [(hash, _)] => Shards::one(&self.cells, hash),
            ref keys => Shards::of_keys(&self.cells, keys.iter().map(|(hash, _)| *hash)),
        };
        for effect in effects {
            apply(&mut shards, &effect).map_err(|error| match error {
                ApplyError::OutOfMemory => ReplayError::OutOfMemory { lsn },
                ApplyError::Contradiction(what) => ReplayError::Contradiction { lsn, what },
            })?;
            match effect {
                Effect::EpochStart { epoch } => {
                    self.redo.set_epoch(epoch);
                    applied.epoch_start = Some(epoch);
                }
                Effect::Cut => applied.cuts.push(lsn),
                _ => {}
            }
        }
        keys.iter().for_each(|(hash, _)| shards.wrote(*hash, lsn));
        if self.anybody_waits() {
            shards.iter().for_each(|shard| shard.watched.call_ready());
        }
        if whole {
            shards.wrote_all(lsn);
        }
        if planted("a replica frees by itself what was given up") {
            shards.iter_mut().for_each(|shard| shard.keyspace.reclaim(usize::MAX));
        }
        if reclaims {
            shards.publish();
        }
        if settings {
            self.publish_settings(&shards.first_mut().keyspace, lsn);
        }
        self.redo.applied(lsn);
        Ok(())
    }

    /// Deletes keys that have expired at `now`, frees what was given up, and compacts sparse pages: a step of each. Returns
    /// whether there may be more to do. Skips shards that a command holds. Does nothing unless this engine writes and its queue
    /// has room.
    pub fn clean_up(&self, now: UnixMillis) -> bool {
        let deleted = self.expire_due(now, CLEAN_UP_KEYS_MAX);
        let freed = self.reclaim_due(CLEAN_UP_STEPS_MAX);
        let compacts = self.compact_due(CLEAN_UP_COMPACT_KEYS_MAX);
        deleted >= CLEAN_UP_KEYS_MAX || freed >= CLEAN_UP_STEPS_MAX || compacts
    }

    /// Deletes keys and fields of hashes that have expired at `now`, about `max` of them; returns how many. Skips shards that a
    /// command holds. Does nothing unless this engine writes and its queue has room.
    pub fn expire_due(&self, now: UnixMillis, max: usize) -> usize {
        // Relaxed: no more than a turn-taking, so that a shard with many due keys does not keep the others waiting.
        let start = self.expire_first.fetch_add(1, Ordering::Relaxed);
        let mut deleted = 0;
        for at in (0..self.cells.len()).map(|n| (start + n) % self.cells.len()) {
            while deleted < max && self.redo.has_room() {
                let step = (max - deleted).min(EXPIRE_RECORD_KEYS_MAX);
                let here = self.expire_in_shard(at, now, step);
                deleted += here;
                if here < step {
                    break;
                }
            }
        }
        deleted
    }

    /// Deletes about `max` expired keys and fields of one shard in one record.
    fn expire_in_shard(&self, at: usize, now: UnixMillis, max: usize) -> usize {
        let cell = &self.cells[at];
        if cell.expiring() == 0 {
            return 0;
        }
        let mut record = RecordWriter::default();
        let (mut changed, mut deleted) = (Vec::new(), 0);
        let mut key = Vec::new();
        let Some(mut shards) = Shards::try_at(&self.cells, at) else { return 0 };
        if !self.is_writing() {
            return 0;
        }
        while deleted < max {
            let shard = shards.iter_mut().next().expect("one shard is held");
            let (database, fields) = match shard.keyspace.first_expiring() {
                Some((due, entry)) if due <= now => {
                    key.clear();
                    key.extend_from_slice(entry.key());
                    (entry.database(), expired_fields(&entry, now, max - deleted))
                }
                _ => break,
            };
            let key = self.hasher.key_in(database, &key);
            changed.push(key.hash);
            if fields.is_empty() {
                apply_expired(shard, &key);
                record.push_change(&key, &KeyChange::Del);
                deleted += 1;
            } else {
                deleted += fields.len();
                let names: Vec<&[u8]> = fields.iter().map(Vec::as_slice).collect();
                let change = MapChange::Remove { names: names.as_slice().into() };
                let done = change_key(shard, &mut shard.keyspace.locate(&key), &change);
                done.expect("to remove fields needs no memory, and they are there");
                record.push_change(&key, &change);
            }
        }
        if changed.is_empty() {
            return 0;
        }
        let appended = self.redo.append(record.bytes());
        changed.iter().for_each(|hash| shards.wrote(*hash, appended.lsn));
        shards.iter().for_each(|shard| shard.watched.call_ready());
        drop(shards);
        if appended.first {
            self.redo.wake();
        }
        deleted
    }

    /// Frees what was given up: at most about `steps` pages of large values, or keys of databases that were flushed; returns how
    /// many it has taken on. Skips shards that a command holds. Does nothing unless this engine writes and its queue has room,
    /// nor if a frozen version takes half of what it may: what is freed may be copied for it.
    pub fn reclaim_due(&self, steps: usize) -> usize {
        self.reclaim_while(steps, || self.may_copy())
    }

    /// Whether frozen versions take less than half of what they may, so that others than clients may make pages be copied for
    /// them.
    pub(super) fn may_copy(&self) -> bool {
        self.frozen_bytes() <= self.frozen_bytes_max() / 2
    }

    /// As [`Engine::reclaim_due`], as long as `goes_on` says so.
    pub(super) fn reclaim_while(&self, steps: usize, goes_on: impl Fn() -> bool) -> usize {
        let mut done = 0;
        for (at, cell) in self.cells.iter().enumerate() {
            while done < steps && cell.memory().has_reclaimable() && self.redo.has_room() && goes_on() {
                let here = (steps - done).min(RECLAIM_RECORD_STEPS_MAX);
                if !self.reclaim_in_shard(at, here) {
                    break;
                }
                done += here;
            }
        }
        done
    }

    /// Does about `steps` steps in one shard, in one record; returns whether that was possible.
    fn reclaim_in_shard(&self, at: usize, steps: usize) -> bool {
        let Some(mut shards) = Shards::try_at(&self.cells, at) else { return false };
        if !self.is_writing() {
            return false;
        }
        let steps = self.may_reclaim(at, &shards).map_or(steps, |pages| steps.min(pages));
        if steps == 0 {
            return false;
        }
        let effect = Effect::Reclaim { shard: ShardId(at as u16), steps: steps as u32 };
        apply(&mut shards, &effect).expect("to free pages needs none, and the shard is held");
        let appended = self.redo.append(&mut encoded(&effect));
        shards.publish();
        drop(shards);
        if appended.first {
            self.redo.wake();
        }
        true
    }

    /// How many pages at most may be reclaimed in a shard, which is held, if keys may not: among those are copies that are being made.
    fn may_reclaim(&self, at: usize, shards: &Shards<'_>) -> Option<usize> {
        // Relaxed: it is changed to more only under the shard's lock.
        let copies = self.cells[at].copies.load(Ordering::Relaxed);
        let bytes = || shards.iter().map(|shard| shard.keyspace.reclaimable_bytes()).sum::<u64>();
        (copies > 0).then(|| bytes() as usize / PAGE_BYTES)
    }

    /// Freezes all shards at one cut. The engine that writes appends a cut record for it; a follower's cut is the newest
    /// record applied. Waits for all shards.
    pub fn freeze(&self) -> FrozenVersion {
        self.freeze_held(Shards::all(&self.cells))
    }

    /// As [`Engine::freeze`], without waiting; also answers how long commands waited for it.
    ///
    /// # Errors
    /// With a shard that a long command holds, to wait for ([`Engine::shard_free`]): nothing is frozen.
    pub fn try_freeze(&self, clock: &dyn Clock) -> Result<(FrozenVersion, Duration), ShardId> {
        let begun = clock.monotonic();
        let shards = Shards::try_all(&self.cells).map_err(|Busy(shard)| shard)?;
        let version = self.freeze_held(shards);
        Ok((version, clock.monotonic().since(begun)))
    }

    fn freeze_held(&self, mut shards: Shards<'_>) -> FrozenVersion {
        let appended = self.is_writing().then(|| self.redo.append(&mut encoded(&Effect::Cut)));
        let meta = ImageMeta { cut: self.redo.last(), epoch: self.redo.epoch(), hash_seed: self.hash_seed };
        let frozen = shards.iter_mut().map(|shard| shard.keyspace.freeze()).collect();
        drop(shards);
        if appended.is_some_and(|appended| appended.first) {
            self.redo.wake();
        }
        FrozenVersion::new(meta, frozen)
    }

    /// Hash of all pages as they are now, equal on engines of equal history, and the position of the newest record in it. Freezes
    /// for the time of hashing, without a cut record.
    #[must_use]
    pub fn content_hash_at(&self) -> (Lsn, u128) {
        let mut shards = Shards::all(&self.cells);
        let meta = ImageMeta { cut: self.redo.last(), epoch: self.redo.epoch(), hash_seed: self.hash_seed };
        let frozen = shards.iter_mut().map(|shard| shard.keyspace.freeze()).collect();
        drop(shards);
        (meta.cut, FrozenVersion::new(meta, frozen).content_hash())
    }

    /// Newest record appended or applied.
    #[must_use]
    pub fn last(&self) -> Lsn {
        self.redo.last()
    }

    /// Records appended here and not yet taken by the shipper.
    #[must_use]
    pub fn redo(&self) -> &RedoQueue {
        &self.redo
    }

    /// Number of keys, expired ones included that are not yet deleted.
    #[must_use]
    pub fn keys(&self) -> u64 {
        self.databases().map(|database| database.keys).sum()
    }

    /// Number of keys with an expiry.
    #[must_use]
    pub fn expiring(&self) -> u64 {
        self.cells.iter().map(ShardCell::expiring).sum()
    }

    /// What is known of each logical database that may have keys, in order.
    pub fn databases(&self) -> impl Iterator<Item = DatabaseCounts> {
        (0..DATABASES as u8).map(|logical| DatabaseCounts::of(&self.cells, logical)).filter(|counts| counts.keys > 0)
    }

    /// How much memory is used for data; pages that only a frozen version needs are not among it.
    #[must_use]
    pub fn memory(&self) -> Memory {
        self.cells.iter().map(ShardCell::memory).sum()
    }

    /// Bytes in use, of those.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        self.memory().used
    }

    /// Bytes in use above which commands that may need memory fail; 0: no bound. Counts unless the cluster has
    /// [its own](super::MEMORY_MAX).
    pub fn set_memory_max(&self, bytes: u64) {
        // Relaxed: a setting of its own, and which of two is in force follows from what is published.
        self.memory_max_here.store(bytes, Ordering::Relaxed);
        self.adopt_memory_max();
    }

    /// The bound in force.
    #[must_use]
    pub fn memory_max(&self) -> u64 {
        // Relaxed: a setting of its own.
        self.memory_max.load(Ordering::Relaxed)
    }

    /// Whether a session may execute a write now: the redo queue has room, and frozen versions do not hold too much memory. One
    /// record may overshoot.
    #[must_use]
    pub fn has_room(&self) -> bool {
        let frozen = self.frozen_bytes();
        self.redo.has_room() && (frozen == 0 || frozen < self.frozen_bytes_max())
    }

    /// Bytes of pages kept for frozen versions alone.
    #[must_use]
    pub fn frozen_bytes(&self) -> u64 {
        self.pool.bytes_retired()
    }

    /// Bytes that pages kept for frozen versions alone may take before writes wait; no bound at first.
    #[must_use]
    pub fn frozen_bytes_max(&self) -> u64 {
        // Relaxed: a setting of its own.
        self.frozen_max.load(Ordering::Relaxed)
    }

    /// Changes the bound of [`Engine::frozen_bytes_max`].
    pub fn set_frozen_bytes_max(&self, bytes: u64) {
        // Relaxed: a setting of its own.
        self.frozen_max.store(bytes, Ordering::Relaxed);
    }

    /// Returns memory of free pages that nobody has needed for ten seconds to the machine, a step of it at most, and keeps a
    /// reserve; returns its bytes. Call it about once a second from a thread that has the time: a step takes some milliseconds.
    /// Commands go on meanwhile.
    pub fn give_back(&self, now: Monotonic) -> u64 {
        self.cells.iter().for_each(ShardCell::recycle);
        self.pool.give_back(now)
    }

    /// Has free pages at hand for those that writes copy while a version is frozen: an eighth of the pages in use, 8 MiB at most. It takes
    /// a millisecond or two where memory is touched for the first time; commands go on meanwhile.
    pub fn warm(&self) {
        let eighth = self.memory().pages / (8 * PAGE_BYTES as u64);
        self.pool.warm(usize::try_from(eighth).unwrap_or(usize::MAX).min(WARM_PAGES_MAX));
    }

    /// The pages' pool, for its figures.
    #[must_use]
    pub fn pool(&self) -> &PagePool {
        &self.pool
    }
}

/// Returns the names of at most `max` fields that have expired of a hash that has not; none: it has itself.
fn expired_fields(entry: &Entry<'_>, now: UnixMillis, max: usize) -> Vec<Vec<u8>> {
    if entry.kind() != Kind::Hash || entry.expire_at().is_some_and(|at| at <= now) {
        return Vec::new();
    }
    entry.map(now).expired(max)
}

/// A record with its effects, or what is wrong with its bytes.
struct Decoded<'r> {
    lsn: Lsn,
    effects: Result<SmallVec<[Effect<'r>; 1]>, RecordError>,
}

/// The keys that effects touch: hash and database.
fn keys<'r>(effects: &SmallVec<[Effect<'r>; 1]>) -> impl Iterator<Item = Ahead<'r, DatabaseId>> {
    let keys = effects.iter().flat_map(|effect| effect.keys().into_iter().flatten());
    keys.map(|key| Ahead { hash: key.hash, database: key.database, member: None })
}

pub(super) fn encoded(effect: &Effect<'_>) -> Vec<u8> {
    let mut record = RecordWriter::default();
    record.push(effect);
    std::mem::take(record.bytes())
}

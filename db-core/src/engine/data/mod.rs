//! A command handler's view of the engine: locked shards, the time, and the log record under construction.

mod copying;
mod views;

use smallvec::SmallVec;

use super::apply::{apply, change_key, change_planned};
use super::call::Failure;
use super::flush::plan_flush;
use super::scratch::Scratch;
use super::serve::ReadyKey;
#[cfg(feature = "next-level")]
use super::settings::SettingId;
use super::settings::{Settings, Size};
use super::shard::{Busy, Shard, Shards};
use crate::clock::UnixMillis;
use crate::effect::{ApplyError, Change, Effect, KeyChange, KeyEffect, bytes_max};
use crate::ids::{DatabaseId, Lsn, ShardId};
use crate::keyspace::{Entry, Key, Located, is_alive};
use crate::limits::RECORD_BYTES_MAX;
use crate::redo::RedoQueue;
use crate::value::Kind;

/// The data of one command, or of all commands of one EXEC.
pub(crate) struct Data<'a> {
    shards: Shards<'a>,
    settings: &'a Settings,
    now: UnixMillis,
    /// The logical number of the database that is selected.
    logical: u8,
    scratch: &'a mut Scratch,
    /// Newest record that wrote anything that was looked at.
    seen: Lsn,
    /// A shard that was to be looked at and is locked by another command.
    busy: Option<Busy>,
}

/// What became of a command's effects.
#[derive(Debug, Clone, Copy)]
pub(super) struct Committed {
    /// What its reply waits for.
    pub(super) lsn: Lsn,
    pub(super) wrote: bool,
    /// The queue was empty before.
    pub(super) wakes: bool,
}

impl<'a> Data<'a> {
    #[inline]
    pub(super) fn new(
        shards: Shards<'a>,
        settings: &'a Settings,
        now: UnixMillis,
        logical: u8,
        scratch: &'a mut Scratch,
    ) -> Data<'a> {
        scratch.log.clear();
        Data { shards, settings, now, logical, scratch, seen: Lsn::ZERO, busy: None }
    }

    /// Selects another database for the next command.
    pub(super) fn select(&mut self, logical: u8) {
        self.logical = logical;
    }

    /// The logical number of the database that is selected.
    pub(crate) fn logical(&self) -> u8 {
        self.logical
    }

    /// The database that is selected; of no use if no shard is locked.
    #[inline]
    pub(crate) fn database(&self) -> DatabaseId {
        self.shards.database(self.logical)
    }

    /// The database of that logical number; of no use if no shard is locked.
    pub(crate) fn database_of(&self, logical: u8) -> DatabaseId {
        self.shards.database(logical)
    }

    /// The moment at which the command happens.
    pub(crate) fn now(&self) -> UnixMillis {
        self.now
    }

    /// The key of that name, which need not be an argument. All shards are held.
    pub(crate) fn key<'k>(&self, name: &'k [u8]) -> Key<'k> {
        let first = self.shards.iter().next().expect("a command that makes names of keys holds all shards");
        first.keyspace.hasher().key_in(self.database(), name)
    }

    /// The entry of `key`, unless it is missing or has expired.
    #[inline]
    pub(crate) fn find(&mut self, key: &Key<'_>) -> Option<Entry<'_>> {
        let shard = self.shards.of(key.hash);
        self.seen = self.seen.max(shard.dirty.of(key.hash));
        shard.keyspace.get(key).filter(|entry| entry.is_alive(self.now))
    }

    /// The entry of `key`, which must be a string if there is one.
    #[inline]
    pub(crate) fn find_string(&mut self, key: &Key<'_>) -> Result<Option<Entry<'_>>, Failure> {
        let shard = self.shards.of(key.hash);
        self.seen = self.seen.max(shard.dirty.of(key.hash));
        string_of(shard.keyspace.get(key), self.now)
    }

    /// Looks `key` up, to read and then change it.
    #[inline]
    pub(crate) fn locate<'k>(&self, key: &Key<'k>) -> Located<'k> {
        self.shards.of(key.hash).keyspace.locate(key)
    }

    /// Whether there is an entry of `key`, expired or not.
    pub(crate) fn holds(&self, key: &Key<'_>) -> bool {
        self.shards.of(key.hash).keyspace.get(key).is_some()
    }

    /// The entry at `at`, unless it is missing or has expired.
    #[inline]
    pub(crate) fn entry(&mut self, at: &Located<'_>) -> Option<Entry<'_>> {
        let shard = self.shards.of(at.key().hash);
        self.seen = self.seen.max(shard.dirty.of(at.key().hash));
        shard.keyspace.entry(at).filter(|entry| entry.is_alive(self.now))
    }

    /// Whether there is a key at `at` that has not expired.
    #[inline]
    pub(crate) fn exists(&mut self, at: &Located<'_>) -> bool {
        let shard = self.shards.of(at.key().hash);
        self.seen = self.seen.max(shard.dirty.of(at.key().hash));
        shard
            .keyspace
            .record(at)
            .is_some_and(|(record, head)| is_alive(shard.keyspace.arena(), record, &head, self.now))
    }

    /// The entry at `at`, which must be a string if there is one.
    #[inline]
    pub(crate) fn string(&mut self, at: &Located<'_>) -> Result<Option<Entry<'_>>, Failure> {
        let shard = self.shards.of(at.key().hash);
        self.seen = self.seen.max(shard.dirty.of(at.key().hash));
        string_of(shard.keyspace.entry(at), self.now)
    }

    /// Notes that the reply depends on what is at `at`.
    #[inline]
    pub(crate) fn see(&mut self, at: &Located<'_>) {
        self.seen = self.seen.max(self.shards.of(at.key().hash).dirty.of(at.key().hash));
    }

    /// Returns a size up to which collections are held in one piece.
    #[inline]
    pub(crate) fn size(&self, size: Size) -> usize {
        self.settings.size(size)
    }

    /// The next number of a sequence that looks random.
    pub(crate) fn roll(&mut self) -> u64 {
        self.scratch.roll()
    }

    /// Changes the key at `at` and notes it in the record.
    ///
    /// # Errors
    /// If memory does not suffice, or the record would be too long: nothing has changed.
    ///
    /// # Panics
    /// If the change contradicts the content: a handler made it without looking.
    #[inline]
    pub(crate) fn change(&mut self, at: &mut Located<'_>, change: impl KeyEffect) -> Result<(), Failure> {
        let bytes = bytes_max(at.key(), &change);
        self.check_room(bytes)?;
        done(change_key(self.shards.of_mut(at.key().hash), at, &change))?;
        self.scratch.log.push_change(bytes, at.key(), &change);
        Ok(())
    }

    /// Changes the key at `at` so that it exists, and sets its expiry: both or neither.
    ///
    /// # Errors
    /// As [`change`](Self::change).
    ///
    /// # Panics
    /// As [`change`](Self::change).
    pub(crate) fn change_expiring(
        &mut self,
        at: &mut Located<'_>,
        change: impl KeyEffect,
        expire: UnixMillis,
    ) -> Result<(), Failure> {
        let expiry = KeyChange::Expire(Some(expire));
        let bytes = [bytes_max(at.key(), &change), bytes_max(at.key(), &expiry)];
        self.check_room(bytes[0] + bytes[1])?;
        let shard = self.shards.of_mut(at.key().hash);
        let planned = change.plan(&mut shard.keyspace, at).and_then(|()| Ok(shard.keyspace.plan(None, 0)?));
        if planned.is_ok() {
            change_planned(shard, at, &change);
            change_planned(shard, at, &expiry);
        }
        shard.keyspace.settle();
        done(planned)?;
        self.scratch.log.push_change(bytes[0], at.key(), &change);
        self.scratch.log.push_change(bytes[1], at.key(), &expiry);
        Ok(())
    }

    /// Changes several keys, all or none of them. No change may presume what another one does.
    ///
    /// # Errors
    /// As [`change`](Self::change).
    ///
    /// # Panics
    /// As [`change`](Self::change).
    pub(crate) fn change_all<'k>(
        &mut self,
        changes: impl Iterator<Item = (Key<'k>, Change<'k>)> + Clone,
    ) -> Result<(), Failure> {
        let bytes = changes.clone().map(|(key, change)| bytes_max(&key, &change)).sum();
        self.check_room(bytes)?;
        let mut located: SmallVec<[Located<'k>; 8]> = SmallVec::new();
        let planned = changes.clone().try_for_each(|(key, change)| {
            let shard = self.shards.of_mut(key.hash);
            let at = shard.keyspace.locate(&key);
            located.push(at);
            change.plan(&mut shard.keyspace, &at)
        });
        if planned.is_ok() {
            for (at, (key, change)) in located.iter_mut().zip(changes) {
                change_planned(self.shards.of_mut(key.hash), at, &change);
                self.scratch.log.push_change(bytes_max(&key, &change), &key, &change);
            }
        }
        for at in &located {
            self.shards.of_mut(at.key().hash).keyspace.settle();
        }
        done(planned)
    }

    /// Does an effect that is of more than one key, and notes it in the record.
    ///
    /// # Errors
    /// As [`change`](Self::change).
    ///
    /// # Panics
    /// As [`change`](Self::change).
    pub(crate) fn act(&mut self, effect: Effect<'_>) -> Result<(), Failure> {
        self.check_room(effect.bytes_max())?;
        done(apply(&mut self.shards, &effect))?;
        self.scratch.log.push(&effect);
        Ok(())
    }

    #[inline]
    fn check_room(&self, bytes: usize) -> Result<(), Failure> {
        let len = (self.scratch.log.record.len() + bytes) as u64;
        if len > RECORD_BYTES_MAX { Err(Failure::RECORD_TOO_LONG) } else { Ok(()) }
    }

    /// Takes the keys that have come, in the order in which they were changed.
    pub(super) fn take_ready(&mut self) -> Vec<ReadyKey> {
        if self.scratch.log.is_empty() {
            return Vec::new();
        }
        let mut ready: Vec<ReadyKey> = self.shards.iter().flat_map(|shard| shard.watched.take_ready()).collect();
        let hashes = &self.scratch.log.hashes;
        ready.sort_by_key(|key| hashes.iter().position(|hash| *hash == key.hash));
        ready
    }

    /// Whether the shard of the key of `hash` is held.
    pub(super) fn holds_shard(&self, hash: u64) -> bool {
        self.shards.holds(hash)
    }

    /// A blocked command is about to wait for the key of `hash`: whoever changes it looks.
    pub(super) fn heed_lines(&mut self, hash: u64) {
        self.shards.of_mut(hash).watched.heed_lines();
    }

    /// Number of shards.
    pub(crate) fn shard_count(&self) -> u16 {
        self.shards.count()
    }

    /// Returns the number of keys of the selected database, those included that have expired and are not yet deleted. All shards
    /// are held.
    pub(crate) fn key_count(&mut self) -> u64 {
        self.look_at_all();
        let database = self.database();
        self.shards.iter().map(|shard| shard.keyspace.len_of(database)).sum()
    }

    /// Returns about how many keys the selected database has: as last published, without a look at shards that are not held.
    pub(crate) fn about_keys(&self) -> u64 {
        self.shards.published_keys(self.logical)
    }

    /// Shows every key of the database that is selected, unless it has expired. All shards are locked.
    pub(crate) fn each(&mut self, visit: &mut dyn FnMut(Entry<'_>)) {
        self.look_at_all();
        let database = self.database();
        self.shards.iter().for_each(|shard| each_alive(shard, database, self.now, visit));
    }

    /// Shows about `count` keys of the selected database in one shard from `cursor` on; expired ones are passed over. Returns the
    /// cursor to go on with (0: the shard is done) and the number of keys passed.
    ///
    /// # Errors
    /// If another command has locked the shard: the command has to be tried again.
    pub(crate) fn scan(
        &mut self,
        shard: ShardId,
        cursor: u64,
        count: usize,
        visit: &mut dyn FnMut(Entry<'_>),
    ) -> Result<(u64, usize), Failure> {
        let (now, logical, mut passed) = (self.now, self.logical, 0);
        let visited = self.shards.visit(shard, |shard| {
            let database = shard.keyspace.database(logical);
            let next = shard.keyspace.scan(database, cursor, count, &mut |entry| {
                passed += 1;
                if entry.is_alive(now) {
                    visit(entry);
                }
            });
            (next, shard.dirty.newest())
        });
        let (next, newest) = visited.map_err(|busy| {
            self.busy = Some(busy);
            Failure::BUSY
        })?;
        self.seen = self.seen.max(newest);
        Ok((next, passed))
    }

    /// The shard for which the command has to wait before it is tried again, if it failed with [`Failure::BUSY`].
    pub(super) fn busy(&self) -> Option<Busy> {
        self.busy
    }

    /// Shows a key of the selected database, chosen by chance, close to uniformly, that has not expired; false when there is
    /// none. All shards are held.
    pub(crate) fn random(&mut self, visit: &mut dyn FnMut(Entry<'_>)) -> bool {
        const TRIES: u32 = 100;
        let total = self.key_count();
        for _ in 0..if total == 0 { 0 } else { TRIES } {
            let (place, dice) = (self.scratch.roll() % total, self.scratch.roll());
            if let Some(entry) = self.pick(place, dice).filter(|entry| entry.is_alive(self.now)) {
                visit(entry);
                return true;
            }
        }
        // Nearly all keys have expired: any one that has not will do.
        let mut found = false;
        self.each(&mut |entry| {
            if !std::mem::replace(&mut found, true) {
                visit(entry);
            }
        });
        found
    }

    /// A key of the shard in which the `place`-th of all keys lies.
    fn pick(&self, mut place: u64, dice: u64) -> Option<Entry<'_>> {
        let database = self.database();
        for shard in self.shards.iter() {
            let keys = shard.keyspace.len_of(database);
            if place < keys {
                return shard.keyspace.random(database, dice);
            }
            place -= keys;
        }
        None
    }

    /// Returns the value of a setting of the cluster, as the effects so far have left it. All shards are locked.
    #[cfg(feature = "next-level")]
    pub(crate) fn setting(&self, id: SettingId) -> Option<u64> {
        self.shards.iter().next().and_then(|first| first.keyspace.setting(usize::from(id.0)))
    }

    /// Returns the effect that empties the database that is selected. All shards are locked.
    pub(crate) fn flush(&self) -> Effect<'static> {
        plan_flush(&self.shards, self.database())
    }

    fn look_at_all(&mut self) {
        let newest = self.shards.iter().map(|shard| shard.dirty.newest()).max();
        self.seen = self.seen.max(newest.unwrap_or_default());
    }

    /// Notes that the reply shows effects of the record at `lsn`.
    pub(super) fn saw(&mut self, lsn: Lsn) {
        self.seen = self.seen.max(lsn);
    }

    /// Appends the record, if anything changed, and notes its position where readers look. The locks are still held.
    #[inline]
    pub(super) fn commit(&mut self, redo: &RedoQueue) -> Committed {
        let log = &mut self.scratch.log;
        if log.is_empty() {
            return Committed { lsn: self.seen, wrote: false, wakes: false };
        }
        let appended = redo.append(log.record.bytes());
        for hash in &log.hashes {
            self.shards.wrote(*hash, appended.lsn);
        }
        if log.all {
            self.shards.wrote_all(appended.lsn);
        }
        Committed { lsn: appended.lsn, wrote: true, wakes: appended.first }
    }
}

/// What became of an effect, in a handler's terms.
#[inline]
fn done(applied: Result<(), ApplyError>) -> Result<(), Failure> {
    applied.map_err(|error| match error {
        ApplyError::OutOfMemory => Failure::SHARD_FULL,
        ApplyError::Contradiction(what) => panic!("a command made an impossible effect: {what}"),
    })
}

/// The string that was found, unless it has expired.
#[inline]
fn string_of(found: Option<Entry<'_>>, now: UnixMillis) -> Result<Option<Entry<'_>>, Failure> {
    // Strings have no fields that could have expired: the path of GET asks for no more than it needs.
    match found.filter(|entry| entry.expire_at().is_none_or(|at| at > now)) {
        Some(entry) if entry.kind() != Kind::String => {
            if entry.is_alive(now) {
                Err(Failure::WRONG_TYPE)
            } else {
                Ok(None)
            }
        }
        found => Ok(found),
    }
}

fn each_alive(shard: &Shard, database: DatabaseId, now: UnixMillis, visit: &mut dyn FnMut(Entry<'_>)) {
    const STEP: usize = 1024;
    let mut cursor = 0;
    loop {
        cursor = shard.keyspace.scan(database, cursor, STEP, &mut |entry| {
            if entry.is_alive(now) {
                visit(entry);
            }
        });
        if cursor == 0 {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::primary;
    use super::*;
    use crate::types::string::StringChange;

    /// A short command may have a long effect (INCRBYFLOAT writes up to 5 KB), so arguments do not bound a record.
    #[test]
    fn a_record_is_bounded_whatever_a_transaction_makes_of_its_arguments() {
        let engine = primary();
        let mut scratch = Scratch::new(1);
        let mut data = Data::new(Shards::all(&engine.cells), &engine.settings, UnixMillis(0), 0, &mut scratch);
        let key = engine.hasher.key(b"k");
        let room = 100;
        data.scratch.log.record.bytes().resize(RECORD_BYTES_MAX as usize - room, 0);
        let set = |value| StringChange::Set { value, expire: None };
        assert_eq!(data.change(&mut data.locate(&key), set(&[b'v'; 100])), Err(Failure::RECORD_TOO_LONG));
        let both = [(key, set(b"1").into()), (key, set(b"2").into())];
        assert_eq!(data.change_all(both.into_iter()), Err(Failure::RECORD_TOO_LONG));
        assert!(data.find(&key).is_none(), "a change that fails has changed nothing");
        assert_eq!(data.change(&mut data.locate(&key), set(b"v")), Ok(()));
    }
}

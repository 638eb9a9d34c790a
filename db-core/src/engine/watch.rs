//! Watched keys (WATCH), registered per key beside the shard that owns them.
//!
//! A change sets a flag that the watcher shares with its session. The registry is only consulted when some session watches or is
//! blocked (`blocking.rs`), so a write costs one test for both. Time alone changes a key as well: a key that was alive when the
//! watch began and has expired since counts as changed, and EXEC asks for that itself; a key that had already expired and is then
//! deleted for that reason does not. A watch belongs to a logical database: when two are swapped, keys that exist in either count
//! as changed.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::call::Failure;
use super::line::Lines;
use super::serve::ReadyKey;
use super::shard::{Guard, ShardCell, Shards, shard_of};
use crate::clock::UnixMillis;
use crate::ids::Lsn;
use crate::keyspace::{Key, Keyspace};
use crate::limits::WATCHED_BYTES_MAX;

/// The watched keys of one shard, and those that blocked commands wait for.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    /// Somebody watches or waits; lines are left without the shard's lock, so it is taken back with the next change.
    pub(super) any: Cell<bool>,
    lines: Arc<Mutex<Lines>>,
    /// Keys that have come, for whoever has changed them to serve those who wait. One whose waiters have all left meanwhile stays until
    /// somebody is served again, and does no harm.
    ready: RefCell<Vec<ReadyKey>>,
    /// By the logical number of their database; one without a watched key has no entry.
    pub(super) databases: BTreeMap<u8, BTreeMap<Box<[u8]>, Vec<Watcher>>>,
}

/// A key by the logical number of its database.
type Name = (u8, Box<[u8]>);

#[derive(Debug)]
pub(super) struct Watcher {
    changed: Arc<AtomicBool>,
    /// The key had expired when the watch began.
    expired: bool,
}

impl Watched {
    /// Nobody watches; `lines` are those of the same shard.
    pub(super) fn new(lines: &Arc<Mutex<Lines>>) -> Watched {
        Watched { lines: Arc::clone(lines), ..Watched::default() }
    }

    /// A seat is about to be taken in a line.
    pub(super) fn heed_lines(&self) {
        self.any.set(true);
    }

    /// A command changed `key` of `keyspace`.
    #[inline]
    pub(crate) fn touch(&self, keyspace: &Keyspace, key: &Key<'_>) {
        if self.any.get() {
            self.changed(keyspace, key);
        }
    }

    #[cold]
    fn changed(&self, keyspace: &Keyspace, key: &Key<'_>) {
        let Some(logical) = keyspace.logical(key.database) else { return };
        self.flag(logical, key.bytes, |_| true);
        let lines = self.lines.lock();
        let mut ready = self.ready.borrow_mut();
        let known = || ready.iter().any(|there| there.logical == logical && *there.bytes == *key.bytes);
        let concerns = || keyspace.get(key).is_some() || lines.minds_loss(logical, key.bytes);
        if lines.has(logical, key.bytes) && concerns() && !known() {
            ready.push(ReadyKey { logical, bytes: key.bytes.into(), hash: key.hash });
        }
        self.any.set(!self.databases.is_empty() || !lines.is_empty());
    }

    /// Takes the keys that have come.
    pub(super) fn take_ready(&self) -> Vec<ReadyKey> {
        self.ready.take()
    }

    /// Calls the first who waits for each of the keys that have come otherwise than by a command, which would have served them.
    pub(super) fn call_ready(&self) {
        for ReadyKey { logical, bytes, .. } in self.take_ready() {
            self.lines.lock().changed(logical, &bytes, || true);
        }
    }

    /// `key` was deleted because it has expired.
    pub(crate) fn touch_expired(&self, keyspace: &Keyspace, key: &Key<'_>) {
        if self.any.get()
            && let Some(logical) = keyspace.logical(key.database)
        {
            self.flag(logical, key.bytes, |watcher| !watcher.expired);
            self.lines.lock().lost(|of, bytes| of == logical && bytes == key.bytes);
        }
    }

    /// The keys of `keyspace` in these logical databases are about to be deleted.
    pub(crate) fn touch_present(&self, keyspace: &Keyspace, which: impl Fn(u8) -> bool) {
        for (logical, bytes) in self.names().filter(|(logical, _)| which(*logical)) {
            if holds(keyspace, logical, bytes) {
                self.flag(logical, bytes, |watcher| !watcher.expired);
            }
        }
        self.lines.lock().lost(|logical, _| which(logical));
    }

    /// These logical databases of `keyspace` are about to have each other's keys.
    pub(crate) fn touch_swapped(&self, keyspace: &Keyspace, one: u8, other: u8) {
        for (logical, bytes) in self.names().filter(|(logical, _)| [one, other].contains(logical)) {
            let incoming = holds(keyspace, if logical == one { other } else { one }, bytes);
            if incoming || holds(keyspace, logical, bytes) {
                self.flag(logical, bytes, |watcher| incoming || !watcher.expired);
            }
        }
        let incoming = |logical, bytes: &[u8]| holds(keyspace, if logical == one { other } else { one }, bytes);
        let mut lines = self.lines.lock();
        lines.swapped(one, other, incoming);
        lines.lost(|logical, _| [one, other].contains(&logical));
    }

    fn names(&self) -> impl Iterator<Item = (u8, &[u8])> {
        self.databases.iter().flat_map(|(logical, keys)| keys.keys().map(|bytes| (*logical, &**bytes)))
    }

    fn flag(&self, logical: u8, bytes: &[u8], which: impl Fn(&Watcher) -> bool) {
        let watchers = self.databases.get(&logical).and_then(|keys| keys.get(bytes));
        for watcher in watchers.into_iter().flatten().filter(|watcher| which(watcher)) {
            // Relaxed: written and read under the shard's lock.
            watcher.changed.store(true, Ordering::Relaxed);
        }
    }

    fn add(&mut self, (logical, bytes): Name, watcher: Watcher) {
        self.any.set(true);
        self.databases.entry(logical).or_default().entry(bytes).or_default().push(watcher);
    }

    fn forget(&mut self, abandoned: Vec<Abandoned>) {
        abandoned.iter().for_each(|watch| self.remove(&watch.key, &watch.changed));
    }

    fn remove(&mut self, (logical, bytes): &Name, changed: &Arc<AtomicBool>) {
        let Some(keys) = self.databases.get_mut(logical) else { return };
        let Some(watchers) = keys.get_mut(bytes) else { return };
        watchers.retain(|watcher| !Arc::ptr_eq(&watcher.changed, changed));
        if watchers.is_empty() {
            keys.remove(bytes);
        }
        if keys.is_empty() {
            self.databases.remove(logical);
        }
    }
}

/// A watch that ended while its shard was held. It is taken out of the registry with the shard's next watch: until then it
/// costs a write to its key the setting of a flag that nobody reads.
#[derive(Debug)]
pub(crate) struct Abandoned {
    key: Name,
    changed: Arc<AtomicBool>,
}

/// The keys that one session watches; dropping it ends the watch. No shard lock may be held then.
#[derive(Debug)]
pub(super) struct Watching {
    cells: Arc<[ShardCell]>,
    changed: Arc<AtomicBool>,
    /// By key, with what is to be known of it.
    keys: BTreeMap<Name, WatchedKey>,
    bytes: usize,
}

#[derive(Debug, Clone, Copy)]
struct WatchedKey {
    hash: u64,
    expired: bool,
}

impl Watching {
    pub(super) fn new(cells: &Arc<[ShardCell]>) -> Watching {
        Watching { cells: Arc::clone(cells), changed: Arc::default(), keys: BTreeMap::new(), bytes: 0 }
    }

    /// Watches `key`, whose shard is held in `shards`, from now on.
    pub(super) fn add(
        &mut self,
        shards: &mut Shards<'_>,
        logical: u8,
        key: &Key<'_>,
        now: UnixMillis,
    ) -> Result<(), Failure> {
        let shard = shards.of_mut(key.hash);
        let name: Name = (logical, key.bytes.into());
        if self.keys.contains_key(&name) {
            return Ok(());
        }
        let bytes = self.bytes + key.bytes.len() + size_of::<(Name, WatchedKey)>();
        if bytes > WATCHED_BYTES_MAX {
            return Err(Failure::owned(format!(
                "ERR too many watched keys: they may take {WATCHED_BYTES_MAX} bytes in a session"
            )));
        }
        self.bytes = bytes;
        shard.watched.forget(std::mem::take(&mut *self.cell_of(key.hash).abandoned.lock()));
        let expired = has_expired(&shard.keyspace, key, now);
        shard.watched.add(name.clone(), Watcher { changed: Arc::clone(&self.changed), expired });
        self.keys.insert(name, WatchedKey { hash: key.hash, expired });
        Ok(())
    }

    fn cell_of(&self, hash: u64) -> &ShardCell {
        &self.cells[usize::from(shard_of(&self.cells, hash).0)]
    }

    fn end(&self, name: &Name, hash: u64) {
        let cell = self.cell_of(hash);
        let remove = |mut shard: Guard<'_>| shard.watched.remove(name, &self.changed);
        if cell.try_lock().map(remove).is_none() {
            // A long command must not make whoever hangs up wait.
            cell.abandoned.lock().push(Abandoned { key: name.clone(), changed: Arc::clone(&self.changed) });
        }
    }

    /// Hashes of the watched keys.
    pub(super) fn hashes(&self) -> impl Iterator<Item = u64> + Clone {
        self.keys.values().map(|key| key.hash)
    }

    /// Whether a key changed or expired since its watch began, and the newest record that may have made it so. The
    /// locks of all watched keys are held in `shards`.
    pub(super) fn verdict(&self, shards: &Shards<'_>, now: UnixMillis) -> (bool, Lsn) {
        // Relaxed: written under the locks that are held here.
        let mut changed = self.changed.load(Ordering::Relaxed);
        let mut newest = Lsn::ZERO;
        for ((logical, bytes), watched) in &self.keys {
            let shard = shards.of(watched.hash);
            let key = Key { bytes, hash: watched.hash, database: shard.keyspace.database(*logical) };
            newest = newest.max(shard.dirty.of(key.hash));
            changed |= !watched.expired && has_expired(&shard.keyspace, &key, now);
        }
        (changed, newest)
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        for (name, watched) in &self.keys {
            self.end(name, watched.hash);
        }
    }
}

fn holds(keyspace: &Keyspace, logical: u8, bytes: &[u8]) -> bool {
    keyspace.get(&keyspace.hasher().key_in(keyspace.database(logical), bytes)).is_some()
}

fn has_expired(keyspace: &Keyspace, key: &Key<'_>, now: UnixMillis) -> bool {
    keyspace.get(key).is_some_and(|entry| !entry.is_alive(now))
}

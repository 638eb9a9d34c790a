//! Serving those who wait: a command that adds what blocked commands wait for executes them, before anybody else sees it, in its own log
//! record.
//!
//! **Locks.** A blocked command may need a shard beside that of the key which has come (BLMOVE: where it moves to). So a command that
//! writes looks first whether somebody waits for its keys, and takes the locks that serving all of them may need, those of whoever
//! waits for what they move included.
//!
//! **Order.** Keys are served in the order in which they came, and for each key whoever waits longest first. A waiter that moves its element
//! to a list for which others wait makes that a key that has come.
//!
//! **Bound.** [`SERVED_AT_ONCE_MAX`] in one record. Whoever is left is *called*: its session executes it again by itself. So are those whose
//! key has come otherwise than by a command on it (SWAPDB).

use std::collections::{HashSet, VecDeque};
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::blocking::cell_of;
use super::call::{Call, Failure, KeyArg, Reply};
use super::data::Data;
use super::shard::{Busy, Shards};
use super::waiter::{Served, Waiter};
use super::{Engine, Executed, Replied};
use crate::ids::Lsn;
use crate::keyspace::Key;
use crate::limits::SERVED_AT_ONCE_MAX;

/// A key that somebody waits for, and that is there.
#[derive(Debug)]
pub(crate) struct ReadyKey {
    /// The logical number of its database.
    pub(super) logical: u8,
    pub(super) bytes: Box<[u8]>,
    pub(super) hash: u64,
}

/// A command that was served, and its reply.
type ServedCall = (Arc<Waiter>, Vec<u8>);

impl Engine {
    /// Serves whoever waits for what `data` has added, and appends the record of all of it; the locks are still held.
    #[inline(always)]
    pub(super) fn commit(&self, data: &mut Data<'_>) -> Executed {
        let served = if self.anybody_waits() { self.serve_ready(data) } else { Vec::new() };
        let committed = data.commit(&self.redo);
        if !served.is_empty() {
            tell(served, committed.lsn);
        }
        Executed::Replied(Replied { lsn: committed.lsn, wrote: committed.wrote, wakes: committed.wakes })
    }

    /// Whether a blocked command waits for a key. Whoever takes a seat after it was asked is [called](super::line).
    #[inline]
    pub(super) fn anybody_waits(&self) -> bool {
        // Relaxed: no more than a hint.
        self.seated.load(Ordering::Relaxed) > 0
    }

    /// Whether a blocked command waits for one of these keys, in any database.
    #[cold]
    pub(super) fn waits_for(&self, keys: &[KeyArg], args: &[&[u8]]) -> bool {
        keys.iter().any(|key| cell_of(&self.cells, key.hash).lines.lock().is_awaited(args[key.at as usize]))
    }

    /// The shards of these keys, and those that serving whoever waits for them may need.
    ///
    /// # Errors
    /// If one of them is busy; then none is held.
    #[cold]
    pub(super) fn shards_to_serve(&self, keys: &[KeyArg], args: &[&[u8]]) -> Result<Shards<'_>, Busy> {
        let keys = keys.iter().map(|key| (args[key.at as usize], key.hash));
        let shards = Shards::try_of_keys(&self.cells, keys.clone().map(|(_, hash)| hash))?;
        self.with_those_to_serve(shards, keys)
    }

    /// Returns `shards` with those beside them that serving whoever waits for these keys may need.
    ///
    /// # Errors
    /// If one of them is busy; then none is held.
    #[cold]
    pub(super) fn with_those_to_serve<'e, 'k>(
        &'e self,
        mut shards: Shards<'e>,
        keys: impl Iterator<Item = (&'k [u8], u64)> + Clone,
    ) -> Result<Shards<'e>, Busy> {
        /// Times that others may have joined meanwhile who need more.
        const TRIES: usize = 4;
        for _ in 0..TRIES {
            let more = self.to_serve(keys.clone());
            if more.iter().all(|hash| shards.holds(*hash)) {
                return Ok(shards);
            }
            drop(shards);
            let own = keys.clone().map(|(_, hash)| hash);
            shards = Shards::try_of_keys(&self.cells, own.chain(more))?;
        }
        drop(shards);
        Shards::try_all(&self.cells)
    }

    /// Hashes of the keys, beside those that they wait for, that are needed to serve whoever waits for these keys, and for those.
    fn to_serve<'k>(&self, keys: impl Iterator<Item = (&'k [u8], u64)>) -> Vec<u64> {
        let mut queue: VecDeque<(Box<[u8]>, u64)> = keys.map(|(bytes, hash)| (bytes.into(), hash)).collect();
        let (mut seen, mut hashes) = (HashSet::new(), Vec::new());
        while let Some((bytes, hash)) = queue.pop_front() {
            cell_of(&self.cells, hash).lines.lock().each_other(&bytes, &mut |other, hash| {
                if hashes.len() < SERVED_AT_ONCE_MAX && seen.insert(Box::<[u8]>::from(other)) {
                    hashes.push(hash);
                    queue.push_back((other.into(), hash));
                }
            });
        }
        hashes
    }

    /// Serves whoever waits for keys that have come, as far as it can; returns who has what.
    #[cold]
    fn serve_ready(&self, data: &mut Data<'_>) -> Vec<ServedCall> {
        let (mut ready, mut served) = (VecDeque::from(data.take_ready()), Vec::new());
        while let Some(key) = ready.pop_front() {
            self.serve_key(data, &key, &mut served);
            ready.extend(data.take_ready());
        }
        served
    }

    fn serve_key(&self, data: &mut Data<'_>, ready: &ReadyKey, served: &mut Vec<ServedCall>) {
        let lines = &cell_of(&self.cells, ready.hash).lines;
        let mut from = Bound::Unbounded;
        loop {
            data.select(ready.logical);
            let key = Key { bytes: &ready.bytes, hash: ready.hash, database: data.database() };
            let kind = data.find(&key).map(|entry| entry.kind());
            let Some((ticket, waiter)) = lines.lock().next(ready.logical, &ready.bytes, from) else { return };
            from = Bound::Excluded(ticket);
            // Who waits for another type waits on.
            if kind != Some(waiter.call.blocking.kind) && !waiter.call.blocking.minds_loss {
                continue;
            }
            let fits =
                served.len() < SERVED_AT_ONCE_MAX && waiter.call.others().all(|(_, hash)| data.holds_shard(hash));
            if !fits {
                return lines.lock().call(ready.logical, &ready.bytes, ticket);
            }
            if !waiter.claim() {
                continue;
            }
            match run_for(&waiter, data, ready) {
                Ok(Some(reply)) => {
                    for (bytes, hash) in waiter.call.awaited() {
                        cell_of(&self.cells, hash).lines.lock().leave(ready.logical, bytes, ticket, false);
                    }
                    served.push((waiter, reply));
                }
                Ok(None) => waiter.release(),
                // Of memory, or of the record: it tries by itself, and is told.
                Err(_) => {
                    waiter.release();
                    return lines.lock().call(ready.logical, &ready.bytes, ticket);
                }
            }
        }
    }
}

/// Hands their replies to those who were served, in the record at `lsn`.
#[cold]
fn tell(served: Vec<ServedCall>, lsn: Lsn) {
    for (waiter, reply) in served {
        waiter.serve(Served { reply, lsn });
    }
}

/// Executes a blocked command whose key has come; returns its reply, or nothing if it still finds nothing.
fn run_for(waiter: &Waiter, data: &mut Data<'_>, ready: &ReadyKey) -> Result<Option<Vec<u8>>, Failure> {
    let call = &waiter.call;
    let args: Vec<&[u8]> = call.args().collect();
    // Of the keys that it waits for only this one: the others may be in shards that are not held.
    let (awaited, others) = call.keys.split_at(call.awaited);
    let this = awaited.iter().filter(|key| *args[key.at as usize] == *ready.bytes).take(1);
    let keys: Vec<KeyArg> = this.chain(others).copied().collect();
    let mut reply = Reply::new(call.protocol);
    match (call.blocking.run)(data, &Call::new(call.spec, &args, &keys, data.database()), &mut reply) {
        Ok(true) => Ok(Some(reply.take())),
        Ok(false) => Ok(None),
        // This key is of its type: so that to which it moves its element is not. Or what it needs is lost.
        Err(failure) if failure == Failure::WRONG_TYPE || call.blocking.minds_loss => {
            reply.truncate(0);
            reply.failure(&failure);
            Ok(Some(reply.take()))
        }
        Err(failure) => Err(failure),
    }
}

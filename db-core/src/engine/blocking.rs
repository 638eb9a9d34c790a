//! Blocking commands (like BLPOP): they wait until one of their keys exists.
//!
//! A command that finds nothing joins the wait queue (*line*) of each of its keys, under the locks of their shards, so no change
//! of a key can come between its lookup and its entry (*seat*) in the queue. A command that changes a key wakes (*calls*) the
//! first waiter of its line. The woken session then executes the same arguments again, like any other command: with its own log
//! record and its own permission check. It keeps its seat if it finds nothing again. A blocking command that comes while a waiter
//! is being woken queues behind it, even if the key exists.
//!
//! Lines are kept beside the shards, not in them, so a session can leave them without waiting for a long command when its client
//! disconnects. They are not part of the replicated state: standbys and images do not have them.
//!
//! **Not guaranteed**: a command that never blocks may take a value before a waiter that was woken but has not tried yet.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

use super::call::{Block, Blocking, Call, CommandSpec, Failure, Reply};
use super::data::Data;
use super::line::{Lines, Ticket};
use super::outcome::{Blocked, Executed, Refused, Until};
use super::shard::{ShardCell, Shards, shard_of};
use super::{Engine, Session};
use crate::clock::UnixMillis;
use crate::keyspace::Key;
use crate::limits::WATCHED_BYTES_MAX;

/// Of one blocked command: somebody has called it.
#[derive(Debug, Default)]
pub(crate) struct Waiter {
    called: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Waiter {
    /// The key is there: wakes the session. Whoever registers a waker looks for a call afterwards, so none is lost.
    pub(super) fn call(&self) {
        // Release: who sees the call sees what was done before it. The waker's lock orders it before or behind a registration.
        self.called.store(true, Ordering::Release);
        if let Some(waker) = self.waker.lock().take() {
            waker.wake();
        }
    }

    /// Whether it was called since the last time.
    pub(super) fn take_call(&self) -> bool {
        self.called.swap(false, Ordering::Acquire)
    }

    fn poll_called(&self, cx: &mut Context<'_>) -> Poll<()> {
        *self.waker.lock() = Some(cx.waker().clone());
        if self.called.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// Seats in lines, given back when dropped; a call is passed on then.
#[derive(Debug)]
pub(super) struct Place {
    cells: Arc<[ShardCell]>,
    waiter: Arc<Waiter>,
    ticket: Ticket,
    /// The logical number of the database.
    logical: u8,
    keys: Vec<Seated>,
}

#[derive(Debug)]
struct Seated {
    key: Box<[u8]>,
    hash: u64,
}

impl Place {
    /// Applies `change` to each line of this ticket, given whether the key is there.
    fn each(&self, data: &Data<'_>, change: impl Fn(&mut Lines, &[u8], bool)) {
        for Seated { key, hash } in &self.keys {
            let there = data.holds(&Key { bytes: key, hash: *hash, database: data.database() });
            change(&mut cell_of(&self.cells, *hash).lines.lock(), key, there);
        }
    }

    /// It has what it waited for, or will never have it.
    fn leave(mut self, data: &Data<'_>) {
        self.each(data, |lines, key, there| lines.leave(self.logical, key, self.ticket, there));
        self.keys.clear();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        for Seated { key, hash } in &self.keys {
            // Whether the key is there would take its shard's lock to know: the next in line finds out.
            cell_of(&self.cells, *hash).lines.lock().leave(self.logical, key, self.ticket, true);
        }
    }
}

fn cell_of(cells: &[ShardCell], hash: u64) -> &ShardCell {
    &cells[usize::from(shard_of(cells, hash).0)]
}

impl Session {
    /// Ready when the blocked command is to be executed again.
    pub fn poll_called(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.place.as_ref().map_or(Poll::Pending, |place| place.waiter.poll_called(cx))
    }

    /// Whether the blocked command is to be executed again.
    #[must_use]
    pub fn is_called(&self) -> bool {
        self.place.as_ref().is_some_and(|place| place.waiter.called.load(Ordering::Acquire))
    }

    /// The blocked command is given up: it leaves all lines.
    pub fn unblock(&mut self) {
        self.place = None;
    }
}

impl Engine {
    /// Executes a command that may block; also one that has blocked before, with the same arguments.
    pub(super) fn execute_blocking(
        &self,
        blocking: &Blocking,
        spec: &'static CommandSpec,
        session: &mut Session,
        args: &[&[u8]],
        now: UnixMillis,
        reply: &mut Reply,
    ) -> Executed {
        if let Err(failure) = self.admit(spec, args, &mut session.keys) {
            reply.failure(&failure);
            return Executed::AT_ONCE;
        }
        let shards = match Shards::try_of_keys(&self.cells, session.keys.iter().map(|key| key.hash)) {
            Ok(shards) => shards,
            Err(busy) => return busy.into(),
        };
        if spec.writes() && !self.is_writing() {
            return Executed::Refused(Refused::NotWriting);
        }
        let place = session.place.take();
        let mut data = Data::new(shards, &self.settings, now, session.database, &mut session.scratch);
        let call = Call::new(spec, args, &session.keys, data.database());
        let reply_start = reply.len();
        match self.serve_or_seat(blocking, &mut data, &call, place, reply) {
            Ok(None) => {}
            Ok(Some((place, Block { timeout, otherwise, .. }))) => {
                let lsn = data.commit(&self.redo).lsn;
                session.place = Some(place);
                return Executed::Blocked(Box::new(Blocked { until: Until::Keys, timeout, otherwise, lsn }));
            }
            Err(failure) => {
                reply.truncate(reply_start);
                reply.failure(&failure);
            }
        }
        self.commit(&mut data)
    }

    /// Runs the command; seats for it if it finds nothing.
    fn serve_or_seat(
        &self,
        blocking: &Blocking,
        data: &mut Data<'_>,
        call: &Call<'_>,
        place: Option<Place>,
        reply: &mut Reply,
    ) -> Result<Option<(Place, Block)>, Failure> {
        let block = (blocking.block)(call)?;
        let Some(place) = place else {
            let lines_up = self.must_line_up(data, call, block.keys);
            if !lines_up && (blocking.run)(data, call, reply)? {
                return Ok(None);
            }
            return Ok(Some((self.take_seats(data, call, block.keys, lines_up)?, block)));
        };
        place.waiter.take_call();
        let start = reply.len();
        match (blocking.run)(data, call, reply) {
            Ok(true) => {
                place.leave(data);
                return Ok(None);
            }
            // One that has waited goes on until a key of its type comes.
            Err(failure) if failure == Failure::WRONG_TYPE => reply.truncate(start),
            other => drop(other?),
        }
        place.each(data, |lines, key, there| lines.tried(place.logical, key, place.ticket, there));
        Ok(Some((place, block)))
    }

    /// Whether somebody who waits for a key of the call has been called.
    fn must_line_up(&self, data: &Data<'_>, call: &Call<'_>, keys: usize) -> bool {
        call.keys()
            .take(keys)
            .any(|key| cell_of(&self.cells, key.hash).lines.lock().is_called(data.logical(), key.bytes))
    }

    /// Joins the line of each key of the call, whose shards are locked.
    fn take_seats(&self, data: &mut Data<'_>, call: &Call<'_>, keys: usize, lines_up: bool) -> Result<Place, Failure> {
        let waits_for = || call.keys().take(keys);
        let bytes: usize = waits_for().map(|key| key.bytes.len() + size_of::<Seated>()).sum();
        if bytes > WATCHED_BYTES_MAX {
            return Err(Failure::owned(format!(
                "ERR too many keys to wait for: they may take {WATCHED_BYTES_MAX} bytes in a session"
            )));
        }
        let logical = data.logical();
        // Relaxed: two who come at once have the order of their shards' locks, if they have a key in common.
        let ticket = self.tickets.fetch_add(1, Ordering::Relaxed);
        let keys = waits_for().map(|key| Seated { key: key.bytes.into(), hash: key.hash }).collect();
        let place = Place { cells: Arc::clone(&self.cells), waiter: Arc::default(), ticket, logical, keys };
        for key in waits_for() {
            data.heed_lines(&key);
            cell_of(&self.cells, key.hash).lines.lock().join(logical, key.bytes, ticket, &place.waiter);
        }
        if lines_up {
            // Another of its keys may be there, and nobody called for it: then nobody would come by.
            place.each(data, |lines, key, there| {
                if !lines.is_called(logical, key) {
                    lines.changed(logical, key, || there);
                }
            });
        }
        Ok(place)
    }
}

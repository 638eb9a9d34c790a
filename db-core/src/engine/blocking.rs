//! Blocking commands (like BLPOP): they wait until one of their keys exists.
//!
//! A command that finds nothing joins the wait queue (*line*) of each of its keys, under the locks of their shards, so no change
//! of a key can come between its lookup and its entry (*seat*) in the queue. A command that adds what somebody waits for serves the
//! first in line, before anybody else sees what it has added, and in its own log record (`serve.rs`): the session of whoever was
//! served is woken and finds its reply.
//!
//! Whoever is *called* instead executes the same arguments again, like any other command: with its own log record and its own permission
//! check. It keeps its seat if it finds nothing again. A blocking command that comes while a waiter is called queues behind it,
//! even if the key exists.
//!
//! Lines are kept beside the shards, not in them, so a session can leave them without waiting for a long command when its client
//! disconnects. They are not part of the replicated state: standbys and images do not have them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use super::call::{Block, Blocking, Call, CommandSpec, Failure, Flag, Reply};
use super::data::Data;
use super::line::{Lines, Ticket};
use super::outcome::{Blocked, Executed, Refused, Replied, Until};
use super::shard::{ShardCell, shard_of};
use super::waiter::{Waiter, WaitingCall};
use super::{Engine, Session};
use crate::clock::UnixMillis;
use crate::keyspace::Key;
use crate::limits::WATCHED_BYTES_MAX;

/// Seats in lines, given back when dropped; a call is passed on then.
#[derive(Debug)]
pub(super) struct Place {
    cells: Arc<[ShardCell]>,
    waiter: Arc<Waiter>,
    ticket: Ticket,
    /// Counts it.
    seated: Arc<AtomicUsize>,
}

impl Place {
    /// Applies `change` to each line of this ticket, given whether the key is there.
    fn each(&self, data: &Data<'_>, change: impl Fn(&mut Lines, &[u8], bool)) {
        for (bytes, hash) in self.waiter.call.awaited() {
            let there = data.holds(&Key { bytes, hash, database: data.database() });
            change(&mut cell_of(&self.cells, hash).lines.lock(), bytes, there);
        }
    }

    /// It has what it waited for, or will never have it.
    fn leave(self, data: &Data<'_>) {
        self.each(data, |lines, key, there| lines.leave(self.waiter.call.logical, key, self.ticket, there));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.waiter.leave();
        // Relaxed: no more than a hint.
        self.seated.fetch_sub(1, Ordering::Relaxed);
        for (bytes, hash) in self.waiter.call.awaited() {
            // Whether the key is there would take its shard's lock to know: the next in line finds out.
            cell_of(&self.cells, hash).lines.lock().leave(self.waiter.call.logical, bytes, self.ticket, true);
        }
    }
}

pub(super) fn cell_of(cells: &[ShardCell], hash: u64) -> &ShardCell {
    &cells[usize::from(shard_of(cells, hash).0)]
}

impl Session {
    /// Ready when the blocked command [has its reply](Session::take_served), or is to be executed again.
    pub fn poll_called(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.place.as_ref().map_or(Poll::Pending, |place| place.waiter.poll(cx))
    }

    /// Whether the blocked command is to be executed again.
    #[must_use]
    pub fn is_called(&self) -> bool {
        self.place.as_ref().is_some_and(|place| place.waiter.is_called())
    }

    /// Whether another command has served the blocked one.
    #[must_use]
    pub fn is_served(&self) -> bool {
        self.place.as_ref().is_some_and(|place| place.waiter.is_served())
    }

    /// The blocked command has been served by another: appends its reply.
    pub fn take_served(&mut self, reply: &mut Reply) -> Option<Replied> {
        let served = self.place.as_ref()?.waiter.take_served()?;
        reply.raw(&served.reply);
        self.place = None;
        Some(Replied { lsn: served.lsn, wrote: true, wakes: false })
    }

    /// The blocked command is not to be served any more; false if it is, or is about to be: then it
    /// [is woken](Session::poll_called).
    #[must_use]
    pub fn give_up(&self) -> bool {
        self.place.as_ref().is_none_or(|place| place.waiter.leave())
    }

    /// The blocked command is over: it leaves all lines.
    pub fn unblock(&mut self) {
        self.place = None;
    }
}

impl Engine {
    /// Executes a command that may block; also one that has blocked before, with the same arguments.
    pub(super) fn execute_blocking(
        &self,
        blocking: &'static Blocking,
        spec: &'static CommandSpec,
        session: &mut Session,
        args: &[&[u8]],
        now: UnixMillis,
        reply: &mut Reply,
    ) -> Executed {
        if let Err(failure) = self.find_keys(spec, args, &mut session.keys) {
            reply.failure(&failure);
            return Executed::AT_ONCE;
        }
        let over_memory = spec.flags.has(Flag::DenyOom) && self.stays_over_memory();
        let shards = match self.shards_to_serve(&session.keys, args) {
            Ok(shards) => shards,
            Err(busy) => return busy.into(),
        };
        // Nobody serves it now, since the shards of its keys are held.
        if let Some(replied) = session.take_served(reply) {
            return Executed::Replied(replied);
        }
        if spec.writes() && !self.is_writing() {
            return Executed::Refused(Refused::NotWriting);
        }
        let place = session.place.take();
        // What meant a moment when it began to wait has become that moment.
        let waiter = place.as_ref().map(|place| Arc::clone(&place.waiter));
        let fixed: Option<Vec<&[u8]>> = waiter.as_ref().map(|waiter| waiter.call.args().collect());
        let args = fixed.as_deref().unwrap_or(args);
        if over_memory {
            reply.failure(&Failure::OUT_OF_MEMORY);
            return Executed::AT_ONCE;
        }
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
        blocking: &'static Blocking,
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
            let mut waiting = WaitingCall::new(blocking, call, block.keys, data.logical(), reply.protocol());
            if let Some(fix) = blocking.fix {
                waiting.replace(fix(data, call));
            }
            return Ok(Some((self.take_seats(data, waiting, lines_up)?, block)));
        };
        place.waiter.take_call();
        let start = reply.len();
        match (blocking.run)(data, call, reply) {
            Ok(true) => {
                place.leave(data);
                return Ok(None);
            }
            // One that has waited goes on until a key of its type comes.
            Err(failure) if failure == Failure::WRONG_TYPE && !blocking.minds_loss => reply.truncate(start),
            other => drop(other?),
        }
        place.each(data, |lines, key, there| lines.tried(place.waiter.call.logical, key, place.ticket, there));
        Ok(Some((place, block)))
    }

    /// Whether somebody who waits for a key of the call has been called.
    fn must_line_up(&self, data: &Data<'_>, call: &Call<'_>, keys: usize) -> bool {
        call.keys()
            .take(keys)
            .any(|key| cell_of(&self.cells, key.hash).lines.lock().is_called(data.logical(), key.bytes))
    }

    /// Joins the line of each key that the call waits for, whose shards are locked.
    fn take_seats(&self, data: &mut Data<'_>, call: WaitingCall, lines_up: bool) -> Result<Place, Failure> {
        if call.bytes() > WATCHED_BYTES_MAX {
            return Err(Failure::owned(format!(
                "ERR too many keys to wait for: they may take {WATCHED_BYTES_MAX} bytes in a session"
            )));
        }
        let logical = call.logical;
        // Relaxed: two who come at once have the order of their shards' locks, if they have a key in common.
        let ticket = self.tickets.fetch_add(1, Ordering::Relaxed);
        self.seated.fetch_add(1, Ordering::Relaxed);
        let (cells, seated) = (Arc::clone(&self.cells), Arc::clone(&self.seated));
        let place = Place { cells, waiter: Arc::new(Waiter::new(call)), ticket, seated };
        for (bytes, hash) in place.waiter.call.awaited() {
            data.heed_lines(hash);
            cell_of(&self.cells, hash).lines.lock().join(bytes, ticket, &place.waiter);
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

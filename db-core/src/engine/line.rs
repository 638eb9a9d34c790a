//! The wait queue (line) of a key, first come first served; protected by a lock of its own.
//!
//! Whoever changes a key serves those who wait for it (`serve.rs`), unless it cannot. Then it *calls*: that wakes one waiter because the key
//! exists, which tries by itself. A call passes down the line: the woken waiter tries, and if the key still exists
//! afterwards, whether the waiter was served or needs something else, the next one is called. So of a thousand waiters for one
//! item only one is woken, and of waiters that only read each is woken once.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use super::waiter::Waiter;

/// Order of waiting: who has a smaller number came first.
pub(super) type Ticket = u64;

/// The lines of one shard, by logical number of a database and key. A line has somebody in it.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    databases: BTreeMap<u8, BTreeMap<Box<[u8]>, KeyLine>>,
}

#[derive(Debug, Default)]
struct KeyLine {
    seats: BTreeMap<Ticket, Seat>,
}

#[derive(Debug)]
struct Seat {
    waiter: Arc<Waiter>,
    /// It was told that the key is there, and has not tried since.
    called: bool,
}

impl KeyLine {
    fn call_next(&mut self, from: Bound<Ticket>) {
        if let Some((_, seat)) = self.seats.range_mut((from, Bound::Unbounded)).next() {
            seat.call();
        }
    }
}

impl Seat {
    fn call(&mut self) {
        self.called = true;
        self.waiter.call();
    }
}

impl Lines {
    pub(super) fn is_empty(&self) -> bool {
        self.databases.is_empty()
    }

    /// Joins the end of a line.
    pub(super) fn join(&mut self, key: &[u8], ticket: Ticket, waiter: &Arc<Waiter>) {
        let line = self.databases.entry(waiter.call.logical).or_default().entry(key.into()).or_default();
        line.seats.insert(ticket, Seat { waiter: Arc::clone(waiter), called: false });
    }

    /// Whether somebody in the line has been called, so that others have to line up.
    pub(super) fn is_called(&self, logical: u8, key: &[u8]) -> bool {
        self.line(logical, key).is_some_and(|line| line.seats.values().any(|seat| seat.called))
    }

    /// Whether anybody waits for the key.
    pub(super) fn has(&self, logical: u8, key: &[u8]) -> bool {
        self.line(logical, key).is_some()
    }

    /// Whether somebody waits for the key who is told when it is lost.
    pub(super) fn minds_loss(&self, logical: u8, key: &[u8]) -> bool {
        self.line(logical, key).is_some_and(|line| line.seats.values().any(|seat| seat.waiter.call.blocking.minds_loss))
    }

    /// Keys are gone otherwise than by a command on them: calls whoever waits for one of them and is told when it is lost.
    pub(super) fn lost(&mut self, is_gone: impl Fn(u8, &[u8]) -> bool) {
        for (logical, lines) in &mut self.databases {
            let gone = lines.iter_mut().filter(|(key, _)| is_gone(*logical, key));
            let seats = gone.flat_map(|(_, line)| line.seats.values_mut());
            seats.filter(|seat| seat.waiter.call.blocking.minds_loss).for_each(Seat::call);
        }
    }

    /// Whether anybody waits for the key, in any database.
    pub(super) fn is_awaited(&self, key: &[u8]) -> bool {
        self.databases.values().any(|lines| lines.contains_key(key))
    }

    /// The next who waits for the key, from a place in the line on.
    pub(super) fn next(&self, logical: u8, key: &[u8], from: Bound<Ticket>) -> Option<(Ticket, Arc<Waiter>)> {
        let (ticket, seat) = self.line(logical, key)?.seats.range((from, Bound::Unbounded)).next()?;
        Some((*ticket, Arc::clone(&seat.waiter)))
    }

    /// Shows the keys that those who wait for this one, in any database, need beside those that they wait for.
    pub(super) fn each_other(&self, key: &[u8], visit: &mut dyn FnMut(&[u8], u64)) {
        for line in self.databases.values().filter_map(|lines| lines.get(key)) {
            line.seats.values().flat_map(|seat| seat.waiter.call.others()).for_each(|(other, hash)| visit(other, hash));
        }
    }

    /// Calls the holder of a ticket.
    pub(super) fn call(&mut self, logical: u8, key: &[u8], ticket: Ticket) {
        if let Some(seat) = self.line_mut(logical, key).and_then(|line| line.seats.get_mut(&ticket)) {
            seat.call();
        }
    }

    /// A key has changed: calls the first who waits for it, if it is `there`.
    pub(super) fn changed(&mut self, logical: u8, key: &[u8], there: impl FnOnce() -> bool) {
        if let Some(line) = self.line_mut(logical, key)
            && there()
        {
            line.call_next(Bound::Unbounded);
        }
    }

    /// Calls the first of each line of these two databases whose key will be there when they have each other's keys.
    pub(super) fn swapped(&mut self, one: u8, other: u8, will_be_there: impl Fn(u8, &[u8]) -> bool) {
        for logical in [one, other] {
            for (key, line) in self.databases.get_mut(&logical).into_iter().flatten() {
                if will_be_there(logical, key) {
                    line.call_next(Bound::Unbounded);
                }
            }
        }
    }

    /// The waiter with `ticket` has tried without success and keeps its seat. The call passes on if the key is `there`.
    pub(super) fn tried(&mut self, logical: u8, key: &[u8], ticket: Ticket, there: bool) {
        let Some(line) = self.line_mut(logical, key) else { return };
        let called = line.seats.get_mut(&ticket).is_some_and(|seat| std::mem::take(&mut seat.called));
        if called && there {
            line.call_next(Bound::Excluded(ticket));
        }
    }

    /// The holder of `ticket` leaves. A call goes on if the key is, or may be, `there`.
    pub(super) fn leave(&mut self, logical: u8, key: &[u8], ticket: Ticket, there: bool) {
        self.tried(logical, key, ticket, there);
        let Some(lines) = self.databases.get_mut(&logical) else { return };
        let Some(line) = lines.get_mut(key) else { return };
        line.seats.remove(&ticket);
        if line.seats.is_empty() {
            lines.remove(key);
        }
        if lines.is_empty() {
            self.databases.remove(&logical);
        }
    }

    fn line(&self, logical: u8, key: &[u8]) -> Option<&KeyLine> {
        self.databases.get(&logical)?.get(key)
    }

    fn line_mut(&mut self, logical: u8, key: &[u8]) -> Option<&mut KeyLine> {
        self.databases.get_mut(&logical)?.get_mut(key)
    }
}

#[cfg(test)]
mod tests {
    use super::super::call::{Call, Handler, KeyArg, Protocol};
    use super::super::waiter::WaitingCall;
    use super::*;
    use crate::command::testing::ENGINE_COMMANDS;
    use crate::ids::DatabaseId;

    const KEY: &[u8] = b"k";

    fn waiter(logical: u8) -> Arc<Waiter> {
        let args: [&[u8]; 3] = [b"blpop", KEY, b"0"];
        let spec = ENGINE_COMMANDS.resolve(&args).unwrap();
        let Handler::Blocking(blocking) = spec.handler else { panic!("BLPOP blocks") };
        let call = Call::new(spec, &args, &[KeyArg { at: 1, hash: 0 }], DatabaseId(logical));
        Arc::new(Waiter::new(WaitingCall::new(blocking, &call, 1, logical, Protocol::Resp2)))
    }

    /// A line of `count` in the first database.
    fn line(count: usize) -> (Lines, Vec<Arc<Waiter>>) {
        let (mut lines, waiters) = (Lines::default(), (0..count).map(|_| waiter(0)).collect::<Vec<_>>());
        waiters.iter().zip(1..).for_each(|(waiter, ticket)| lines.join(KEY, ticket, waiter));
        (lines, waiters)
    }

    /// Who has been called since the last look.
    fn called(waiters: &[Arc<Waiter>]) -> Vec<usize> {
        (0..waiters.len()).filter(|at| waiters[*at].take_call()).collect()
    }

    #[test]
    fn the_first_is_called_and_the_next_only_if_something_is_left() {
        let (mut lines, waiters) = line(3);
        lines.changed(0, KEY, || true);
        assert_eq!(called(&waiters), [0]);
        assert!(lines.is_called(0, KEY) && !lines.is_called(1, KEY));
        lines.leave(0, KEY, 1, false);
        assert!(called(&waiters).is_empty() && !lines.is_called(0, KEY), "it has taken what was there");
        lines.changed(0, KEY, || true);
        lines.leave(0, KEY, 2, true);
        assert_eq!(called(&waiters), [1, 2]);
        lines.leave(0, KEY, 3, true);
        assert!(lines.is_empty());
    }

    #[test]
    fn who_finds_nothing_keeps_its_seat_and_the_call_goes_by() {
        let (mut lines, waiters) = line(3);
        lines.changed(0, KEY, || true);
        lines.tried(0, KEY, 1, true);
        lines.tried(0, KEY, 2, false);
        assert_eq!(called(&waiters), [0, 1], "the key was gone when the second had tried");
        lines.changed(0, KEY, || true);
        assert_eq!(called(&waiters), [0], "the first is still the first");
    }

    #[test]
    fn a_call_is_not_lost_with_who_leaves_and_nobody_is_called_in_vain() {
        let (mut lines, waiters) = line(3);
        lines.leave(0, KEY, 2, true);
        assert!(called(&waiters).is_empty(), "there was no call to pass on");
        lines.changed(0, KEY, || false);
        assert!(called(&waiters).is_empty(), "the key was deleted");
        lines.changed(0, KEY, || true);
        lines.leave(0, KEY, 1, true);
        assert_eq!(called(&waiters), [0, 2]);
    }

    #[test]
    fn databases_that_are_swapped_call_whose_key_comes() {
        let (mut lines, waiters) = line(1);
        let other = waiter(3);
        lines.join(KEY, 9, &other);
        lines.swapped(0, 3, |logical, _| logical == 3);
        assert!(called(&waiters).is_empty() && other.take_call());
    }
}

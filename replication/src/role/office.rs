//! Holding office: renewing the lease, and leaving in good order when the process is asked to stop.

use tanist_db_core::clock::Monotonic;
use tanist_db_core::ids::{Epoch, Lsn};

use super::event::{Ask, End};
use super::machine::{Machine, State};
use crate::lease::Holder;
use crate::limits::STOP_WAIT;

/// An epoch in office.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Office {
    pub(super) epoch: Epoch,
    pub(super) lease: Holder,
    /// Nothing executes before this record is durable: see the module's text on a lost answer to a hand-over.
    /// The largest position while it is being appended.
    pub(super) barrier: Option<Lsn>,
}

impl Office {
    pub(super) fn new(epoch: Epoch, lease: Holder) -> Office {
        Office { epoch, lease, barrier: None }
    }
}

/// A primary that leaves: hold, drain, give the lease up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Stopping {
    pub(super) office: Office,
    /// The log's end, once nothing executes.
    pub(super) at: Option<Lsn>,
    pub(super) released: bool,
    pub(super) deadline: Monotonic,
}

impl Machine {
    pub(super) fn renew_if_due(&mut self, now: Monotonic) {
        if !self.connected {
            return;
        }
        if let Some((epoch, lease)) = self.lease_mut()
            && lease.take_due(now)
        {
            self.ask(Ask::Renew { epoch });
        }
    }

    pub(super) fn advance_office(&mut self, now: Monotonic) {
        self.renew_if_due(now);
        if let State::Primary(office) = &mut self.state
            && office.barrier.is_some_and(|barrier| self.durable >= barrier)
        {
            office.barrier = None;
        }
        self.advance_choosing(now);
    }

    pub(super) fn shutdown(&mut self, now: Monotonic) {
        self.end_switchover(Err("the process was asked to stop".to_owned()));
        self.forget_sight(now);
        let stopping =
            |office| State::Stopping(Stopping { office, at: None, released: false, deadline: now.after(STOP_WAIT) });
        match std::mem::replace(&mut self.state, State::Standby) {
            State::Primary(office) | State::HandingOver(office, _) => self.state = stopping(office),
            State::Promoting(promoting) => self.state = stopping(Office::new(promoting.epoch, promoting.lease)),
            State::Stopping(under_way) => self.state = State::Stopping(under_way),
            State::Joining { .. } | State::Standby | State::Ended { .. } => self.end(End::Stopped),
        }
    }

    pub(super) fn advance_stopping(&mut self, now: Monotonic) {
        self.renew_if_due(now);
        let State::Stopping(stopping) = &mut self.state else { return };
        if stopping.at.is_none() && self.sight.executing == 0 {
            stopping.at = Some(self.sight.last);
        }
        if now >= stopping.deadline {
            return self.end(End::Stopped);
        }
        let drained = stopping.at.is_some_and(|at| self.durable >= at);
        if drained && !stopping.released && self.connected {
            stopping.released = true;
            let epoch = stopping.office.epoch;
            self.ask(Ask::Release { epoch });
        }
    }

    /// The lease is given up, or will run out.
    pub(super) fn released(&mut self) {
        if matches!(self.state, State::Stopping(_)) {
            self.end(End::Stopped);
        }
    }
}

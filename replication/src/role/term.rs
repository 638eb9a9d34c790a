//! A term as primary: renewing the lease, and a clean shutdown when the process is asked to stop.

use tanist_db_core::clock::Monotonic;
use tanist_db_core::ids::{Epoch, Lsn};

use super::event::{Ask, End};
use super::machine::{Machine, RoleState};
use crate::lease::Holder;
use crate::limits::STOP_WAIT;

/// A term as primary.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Term {
    pub(super) epoch: Epoch,
    pub(super) lease: Holder,
    /// Nothing executes before this record is durable: see the module's text on a lost answer to a hand-over.
    /// The largest position while it is being appended.
    pub(super) barrier: Option<Lsn>,
    /// See [`Standing::took_over`](crate::serving::Standing::took_over).
    pub(super) took_over: bool,
}

impl Term {
    pub(super) fn new(epoch: Epoch, lease: Holder, took_over: bool) -> Term {
        Term { epoch, lease, barrier: None, took_over }
    }
}

/// A primary that leaves: hold, drain, release the lease.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Stopping {
    pub(super) term: Term,
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

    pub(super) fn advance_term(&mut self, now: Monotonic) {
        self.renew_if_due(now);
        if let RoleState::Primary(term) = &mut self.state
            && term.barrier.is_some_and(|barrier| self.durable >= barrier)
        {
            term.barrier = None;
        }
        self.advance_choosing(now);
    }

    pub(super) fn shutdown(&mut self, now: Monotonic) {
        self.end_switchover(Err("the process was asked to stop".to_owned()));
        self.forget_sight(now);
        let stopping =
            |term| RoleState::Stopping(Stopping { term, at: None, released: false, deadline: now.after(STOP_WAIT) });
        match std::mem::replace(&mut self.state, RoleState::Standby) {
            RoleState::Primary(term) | RoleState::HandingOver(term, _) => self.state = stopping(term),
            RoleState::Promoting(promoting) => {
                self.state = stopping(Term::new(promoting.epoch, promoting.lease, promoting.took_over))
            }
            RoleState::Stopping(under_way) => self.state = RoleState::Stopping(under_way),
            RoleState::Joining { .. } | RoleState::Standby | RoleState::Ended { .. } => self.end(End::Stopped),
        }
    }

    pub(super) fn advance_stopping(&mut self, now: Monotonic) {
        self.renew_if_due(now);
        let RoleState::Stopping(stopping) = &mut self.state else { return };
        if stopping.at.is_none() && self.sight.executing == 0 {
            stopping.at = Some(self.sight.last);
        }
        if now >= stopping.deadline {
            return self.end(End::Stopped);
        }
        let drained = stopping.at.is_some_and(|at| self.durable >= at);
        if drained && !stopping.released && self.connected {
            stopping.released = true;
            let epoch = stopping.term.epoch;
            self.ask(Ask::Release { epoch });
        }
    }

    /// The lease is given up, or will run out.
    pub(super) fn released(&mut self) {
        if matches!(self.state, RoleState::Stopping(_)) {
            self.end(End::Stopped);
        }
    }
}

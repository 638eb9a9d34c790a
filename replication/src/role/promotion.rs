//! From standby to primary: steps 1 to 4 of a takeover.

use std::time::Duration;

use tanist_db_core::clock::Monotonic;
use tanist_db_core::ids::{Epoch, Lsn};

use super::event::{Ask, Effect, End, Takeover};
use super::machine::{Machine, RoleState};
use super::term::Term;
use crate::lease::Holder;
use crate::wire::message::LeaseView;

/// An epoch that was granted, until it is begun.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Promoting {
    pub(super) epoch: Epoch,
    pub(super) lease: Holder,
    /// End of all older epochs' log.
    sealed: Lsn,
    /// Position of the epoch-start record; the largest while it is being appended. From then on this node may have what
    /// nobody else has.
    pub(super) begun: Option<Lsn>,
    /// Claimed after the lease of another had ended, not handed over by it.
    pub(super) took_over: bool,
    from: String,
    claim: Duration,
    granted_at: Monotonic,
    caught_up_at: Monotonic,
}

impl Machine {
    pub(super) fn following(&mut self, durable: Lsn) {
        // It may be late: who writes hears what is durable on its append stream, which nobody else's records are named on.
        let follows = match &self.state {
            RoleState::Joining { .. } | RoleState::Standby => true,
            RoleState::Promoting(promoting) => promoting.begun.is_none(),
            _ => false,
        };
        if !follows {
            return;
        }
        self.durable = self.durable.max(durable);
        if let RoleState::Joining { target } = &mut self.state {
            target.get_or_insert(durable);
        }
    }

    pub(super) fn advance_joining(&mut self, now: Monotonic) {
        if matches!(self.state, RoleState::Joining { target: Some(target) } if self.applied >= target) {
            self.state = RoleState::Standby;
            self.advance_standby(now);
        }
    }

    pub(super) fn advance_standby(&mut self, now: Monotonic) {
        if !self.connected {
            return;
        }
        // Handed over to this very process, or its claim's answer was lost: the claim as it was or would have been gets the
        // same epoch, and tells where the log is sealed.
        let granted = self.view.remaining_us > 0 && self.is_me(&self.view.holder, self.view.incarnation);
        if granted {
            self.watcher.told(now, Duration::ZERO);
        }
        if self.watcher.take_due(now) {
            let seen = if granted { Epoch(self.view.epoch - 1) } else { self.epoch() };
            // Only here: news of a claim's grant may come before its answer.
            if granted {
                self.granted = Epoch(self.view.epoch);
            }
            self.ask(Ask::Claim { seen });
        }
    }

    pub(super) fn claimed(&mut self, epoch: Epoch, sealed: Lsn, sent: Monotonic, now: Monotonic) {
        self.watcher.answered();
        if !matches!(self.state, RoleState::Standby) || epoch < self.epoch() {
            return;
        }
        if self.applied > sealed {
            let why = format!(
                "this node has applied record {}, but the vault's log ends at {sealed}: it has lost records that it had confirmed",
                self.applied
            );
            return self.end(End::Rejoin(why));
        }
        // What the vault's news will say; it may have come before.
        let from = if epoch == self.epoch() { self.previous.clone() } else { self.view.holder.clone() };
        self.view = LeaseView {
            epoch: epoch.0,
            holder: self.me.node.clone(),
            incarnation: self.me.incarnation,
            remaining_us: 0,
            resp_address: self.me.resp_address.clone(),
            quic_address: self.me.quic_address.clone(),
            level: self.view.level,
        };
        self.state = RoleState::Promoting(Promoting {
            epoch,
            lease: Holder::granted(self.times, sent),
            sealed,
            begun: None,
            took_over: epoch != self.granted,
            from,
            claim: now.since(sent),
            granted_at: now,
            caught_up_at: now,
        });
        self.push(Effect::OpenAppend(epoch));
    }

    pub(super) fn advance_promotion(&mut self, now: Monotonic) {
        self.renew_if_due(now);
        let RoleState::Promoting(promoting) = &mut self.state else { return };
        match promoting.begun {
            None if self.applied >= promoting.sealed => {
                promoting.caught_up_at = now;
                // Whatever else the follow stream has named is of an epoch that has overtaken this one.
                self.durable = promoting.sealed;
                promoting.begun = Some(Lsn(u64::MAX));
                let epoch = promoting.epoch;
                self.push(Effect::StopFollow);
                self.push(Effect::BeginEpoch(epoch));
            }
            Some(begun) if self.durable >= begun => {
                let takeover = Takeover {
                    from: std::mem::take(&mut promoting.from),
                    epoch: promoting.epoch,
                    claim: promoting.claim,
                    catch_up: promoting.caught_up_at.since(promoting.granted_at),
                    begin: now.since(promoting.caught_up_at),
                };
                self.state =
                    RoleState::Primary(Term::new(promoting.epoch, promoting.lease.clone(), promoting.took_over));
                self.push(Effect::TookOver(takeover));
            }
            _ => {}
        }
    }

    pub(super) fn own_record_appended(&mut self, lsn: Lsn) {
        match &mut self.state {
            RoleState::Promoting(promoting) => promoting.begun = Some(lsn),
            RoleState::Primary(term) => term.barrier = Some(lsn),
            _ => {}
        }
    }

    /// The log has gone on under a newer epoch before this one was begun.
    pub(super) fn overtaken(&mut self) {
        if matches!(self.state, RoleState::Promoting(_)) {
            self.step_back();
            self.push(Effect::StartFollow);
        }
    }

    /// The epoch is over before it was begun: nothing of it exists, so follow on.
    pub(super) fn step_back(&mut self) {
        self.state = RoleState::Standby;
        self.push(Effect::CloseAppend);
    }
}

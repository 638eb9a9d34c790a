//! The role machine: its states, what it publishes, its next timer, and the dispatch of events to the parts that handle them.

use std::sync::Arc;
use std::time::Duration;

use tanist_db_core::clock::Monotonic;
use tanist_db_core::ids::{Epoch, Lsn};
use tanist_db_core::planted::planted;

use super::event::{Ask, Effect, End, Event, Identity, Sight};
use super::promotion::Promoting;
use super::switchover::{Choosing, HandingOver};
use super::term::{Stopping, Term};
use crate::lease::{Holder, LeaseTimes, Watcher};
use crate::limits::HOLD_LOOK_EVERY;
use crate::serving::{PrimaryAddress, Role, Standing};
use crate::wire::message::LeaseView;

/// What the node is, with what only that role needs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum RoleState {
    /// Reads the log until it has caught up with where it stood when the stream began.
    Joining {
        target: Option<Lsn>,
    },
    Standby,
    Promoting(Promoting),
    Primary(Term),
    HandingOver(Term, HandingOver),
    Stopping(Stopping),
    /// The process is about to end, and shows this role until then.
    Ended(Role),
}

/// A node's role; see the module's text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Machine {
    pub(super) me: Identity,
    pub(super) times: LeaseTimes,
    pub(super) state: RoleState,
    /// The newest word of the vault; `remaining_us` means nothing here.
    pub(super) view: LeaseView,
    pub(super) watcher: Watcher,
    pub(super) connected: bool,
    pub(super) sight: Sight,
    /// When to look again, while something is waited for that has no event.
    pub(super) look_at: Monotonic,
    /// Newest record applied, while following.
    pub(super) applied: Lsn,
    /// Newest record known to be in the vault.
    pub(super) durable: Lsn,
    /// Whom the holder in `view` has replaced.
    pub(super) previous: String,
    /// The newest epoch that this node knew to be its own before it claimed it: handed over to it, or a claim repeated.
    pub(super) granted: Epoch,
    /// A switchover that has not begun to hold.
    pub(super) choosing: Option<Choosing>,
    pub(super) followers_asked: bool,
    published: Standing,
    effects: Vec<Effect>,
}

impl Machine {
    /// A node that has loaded the state up to `applied`, and follows from there.
    #[must_use]
    pub fn new(me: Identity, times: LeaseTimes, applied: Lsn) -> Machine {
        Machine {
            me,
            times,
            state: RoleState::Joining { target: None },
            view: LeaseView::default(),
            watcher: Watcher::default(),
            connected: false,
            sight: Sight { last: applied, ..Sight::default() },
            look_at: Monotonic(0),
            applied,
            durable: Lsn::ZERO,
            previous: String::new(),
            granted: Epoch::ZERO,
            choosing: None,
            followers_asked: false,
            published: Standing::joining(),
            effects: Vec::new(),
        }
    }

    /// Handles `event`, and appends to `effects` what to do, in this order.
    pub fn handle(&mut self, event: Event, now: Monotonic, effects: &mut Vec<Effect>) {
        if matches!(self.state, RoleState::Ended(_)) {
            return;
        }
        self.take_in(event, now);
        self.advance(now);
        let standing = self.standing();
        if standing != self.published {
            self.published = standing.clone();
            effects.push(Effect::Publish(standing));
        }
        effects.append(&mut self.effects);
    }

    /// When the machine wants the next [`Event::Tick`] at the latest; a moment that is past means at once.
    #[must_use]
    pub fn wake_at(&self) -> Option<Monotonic> {
        match &self.state {
            RoleState::Joining { .. } | RoleState::Ended(_) => None,
            RoleState::Standby if !self.connected => None,
            RoleState::Standby => self.watcher.claim_at(),
            RoleState::Promoting(promoting) => self.renew_at(&promoting.lease),
            RoleState::Primary(term) => {
                let choosing = self.choosing.as_ref().map(|_| self.look_at);
                choosing.into_iter().chain(self.renew_at(&term.lease)).min()
            }
            RoleState::HandingOver(term, handing) => {
                let look = handing.look_at(self.look_at);
                look.into_iter().chain(self.renew_at(&term.lease)).min()
            }
            RoleState::Stopping(stopping) => {
                let look = if stopping.at.is_none() { self.look_at } else { stopping.deadline };
                self.renew_at(&stopping.term.lease).into_iter().chain([look]).min()
            }
        }
    }

    /// Without a connection there is nobody to ask.
    fn renew_at(&self, lease: &Holder) -> Option<Monotonic> {
        self.connected.then(|| lease.renew_at())
    }

    /// The node's role.
    #[must_use]
    pub fn role(&self) -> Role {
        match &self.state {
            RoleState::Joining { .. } => Role::Joining,
            RoleState::Standby => Role::Standby,
            RoleState::Promoting(_) => Role::Promoting,
            RoleState::Primary(_) => Role::Primary,
            RoleState::HandingOver(..) | RoleState::Stopping(_) => Role::HandingOver,
            RoleState::Ended(role) => *role,
        }
    }

    /// The newest epoch that the vault has named to this node.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        Epoch(self.view.epoch)
    }

    /// Length and renewals of the lease.
    #[must_use]
    pub fn times(&self) -> LeaseTimes {
        self.times
    }

    fn take_in(&mut self, event: Event, now: Monotonic) {
        match event {
            Event::Connected { view, length } => self.connected(view, length, now),
            Event::Disconnected => self.disconnected(),
            Event::News(view) => self.learn(view, now),
            Event::Lease { ask, sent, view } => self.lease_answered(&ask, sent, view, now),
            Event::Claimed { epoch, sealed, sent } => self.claimed(epoch, sealed, sent, now),
            Event::Refused { ask, why } => self.refused(&ask, &why),
            Event::Unanswered { ask } => self.unanswered(&ask),
            Event::Followers { sent, nodes } => self.followers(sent, &nodes, now),
            Event::Following { durable } => self.following(durable),
            Event::Applied { last } => {
                self.applied = self.applied.max(last);
                // Only what is durable is ever sent to followers.
                self.durable = self.durable.max(last);
            }
            Event::Durable { lsn } => self.durable = self.durable.max(lsn),
            Event::OwnRecordAppended { lsn } => self.own_record_appended(lsn),
            Event::Overtaken => self.overtaken(),
            Event::Fenced { .. } if self.is_drained() => self.await_word(),
            Event::Fenced { epoch } => self.superseded(epoch, "the vault refuses its records", now),
            Event::Broken(end) => self.end(end),
            Event::SwitchoverAsked { to } => self.switchover_asked(to, now),
            Event::Shutdown => self.shutdown(now),
            Event::Tick(sight) => {
                self.sight = sight;
                self.look_at = now.after(HOLD_LOOK_EVERY);
            }
        }
    }

    /// Whatever may go on without another event does.
    fn advance(&mut self, now: Monotonic) {
        match &self.state {
            RoleState::Joining { .. } => self.advance_joining(now),
            RoleState::Standby => self.advance_standby(now),
            RoleState::Promoting(_) => self.advance_promotion(now),
            RoleState::Primary(_) => self.advance_term(now),
            RoleState::HandingOver(..) => self.advance_hand_over(now),
            RoleState::Stopping(_) => self.advance_stopping(now),
            RoleState::Ended(_) => {}
        }
    }

    fn connected(&mut self, view: LeaseView, length: Duration, now: Monotonic) {
        if length != self.times.length {
            if self.term_epoch().is_some() {
                let why = format!(
                    "the vault now grants leases of {} ms: its count and this node's differ",
                    length.as_millis()
                );
                return self.end(End::Rejoin(why));
            }
            self.times = LeaseTimes { length, renew_every: self.times.renew_every.min(length / 4) };
        }
        if view.epoch < self.view.epoch {
            let (theirs, ours) = (view.epoch, self.view.epoch);
            let why = format!(
                "this vault knows only epoch {theirs}, but epoch {ours} was granted: it is not this cluster's vault, or it has lost files"
            );
            return self.end(End::Failed(why));
        }
        self.connected = true;
        self.watcher.answered();
        let follows = matches!(self.state, RoleState::Joining { .. } | RoleState::Standby);
        self.learn(view, now);
        match &mut self.state {
            RoleState::Joining { .. } | RoleState::Standby if follows => self.effects.push(Effect::StartFollow),
            // It has just become one, and that has started it.
            RoleState::Joining { .. } | RoleState::Standby => {}
            RoleState::Promoting(promoting) => {
                let (epoch, begun) = (promoting.epoch, promoting.begun.is_some());
                promoting.lease.hurry(now);
                if !begun {
                    self.effects.push(Effect::StartFollow);
                }
                self.effects.push(Effect::OpenAppend(epoch));
            }
            RoleState::Primary(term) | RoleState::HandingOver(term, _) | RoleState::Stopping(Stopping { term, .. }) => {
                term.lease.hurry(now);
                let epoch = term.epoch;
                self.effects.push(Effect::OpenAppend(epoch));
            }
            RoleState::Ended(_) => {}
        }
        self.settle_unknown();
    }

    fn disconnected(&mut self) {
        self.connected = false;
        self.watcher.answered();
        self.followers_asked = false;
        self.lose_hand_over_answer();
        if matches!(&self.state, RoleState::Stopping(stopping) if stopping.released) {
            self.released();
        }
    }

    /// The vault's word on who may write. Old words change nothing.
    pub(super) fn learn(&mut self, view: LeaseView, now: Monotonic) {
        if view.epoch < self.view.epoch {
            return;
        }
        self.watcher.told(now, Duration::from_micros(view.remaining_us));
        if view.epoch > self.view.epoch {
            self.previous = std::mem::take(&mut self.view.holder);
            self.watcher.new_epoch();
        }
        self.view = view;
        let newest = self.epoch();
        if self.term_epoch().is_some_and(|own| newest > own) {
            self.superseded(newest, "another node has been granted", now);
        }
    }

    /// The epoch that this node holds or had; `None` while it follows.
    fn term_epoch(&self) -> Option<Epoch> {
        match &self.state {
            RoleState::Promoting(promoting) => Some(promoting.epoch),
            RoleState::Primary(term) | RoleState::HandingOver(term, _) => Some(term.epoch),
            RoleState::Stopping(stopping) => Some(stopping.term.epoch),
            RoleState::Joining { .. } | RoleState::Standby | RoleState::Ended(_) => None,
        }
    }

    /// The lease of the own term, to renew it.
    pub(super) fn lease_mut(&mut self) -> Option<(Epoch, &mut Holder)> {
        match &mut self.state {
            RoleState::Promoting(promoting) => Some((promoting.epoch, &mut promoting.lease)),
            RoleState::Primary(term) | RoleState::HandingOver(term, _) => Some((term.epoch, &mut term.lease)),
            RoleState::Stopping(stopping) => Some((stopping.term.epoch, &mut stopping.term.lease)),
            RoleState::Joining { .. } | RoleState::Standby | RoleState::Ended(_) => None,
        }
    }

    /// The term is over: a newer epoch exists, or the lease was ended for good. Whether this process may go on as a follower
    /// depends on whether it can have records that are not in the sealed log.
    pub(super) fn superseded(&mut self, newest: Epoch, how: &str, now: Monotonic) {
        match &self.state {
            RoleState::Promoting(promoting) if promoting.begun.is_none() => self.step_back(),
            RoleState::HandingOver(..) if self.is_drained() => self.handed_over(now),
            RoleState::Stopping(_) => self.end(End::Stopped),
            RoleState::Promoting(_) | RoleState::Primary(_) | RoleState::HandingOver(..) => {
                let own = self.term_epoch().unwrap_or_default();
                self.end_switchover(Err(format!("fenced by epoch {newest}")));
                self.end(End::Rejoin(format!("fenced: epoch {own} of this node is over, {how} (epoch {newest})")));
            }
            RoleState::Joining { .. } | RoleState::Standby | RoleState::Ended(_) => {}
        }
    }

    pub(super) fn end(&mut self, end: End) {
        self.end_switchover(Err("the process ends".to_owned()));
        self.state = RoleState::Ended(if end == End::Stopped { self.role() } else { Role::Fenced });
        self.push(Effect::End(end));
    }

    pub(super) fn push(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    pub(super) fn ask(&mut self, ask: Ask) {
        self.push(Effect::Ask(ask));
    }

    /// What was seen is no longer so: nothing counts as quiet until the next look.
    pub(super) fn forget_sight(&mut self, now: Monotonic) {
        self.sight.executing = u32::MAX;
        self.look_at = now;
    }

    fn lease_answered(&mut self, ask: &Ask, sent: Monotonic, view: LeaseView, now: Monotonic) {
        let renewed = matches!(ask, Ask::Renew { epoch } if epoch.0 == view.epoch)
            && self.is_me(&view.holder, view.incarnation)
            && view.epoch >= self.view.epoch;
        let left = view.remaining_us > 0;
        if matches!(ask, Ask::Claim { .. }) {
            self.watcher.answered();
        }
        self.learn(view, now);
        let newest = self.epoch();
        match (renewed, left, self.lease_mut()) {
            (true, true, Some((_, lease))) if planted("lease counted from the answer") => lease.renewed(now),
            (true, true, Some((_, lease))) => lease.renewed(sent),
            // Not even a renewal revives it: it was ended by an obituary or given up.
            (true, false, Some(_)) => self.superseded(newest, "the vault has ended its lease", now),
            _ => {}
        }
        match ask {
            Ask::HandOver { .. } => self.hand_over_refused("the vault left the lease where it was"),
            Ask::Release { .. } => self.released(),
            Ask::Renew { .. } | Ask::Claim { .. } | Ask::Followers => {}
        }
    }

    fn refused(&mut self, ask: &Ask, why: &str) {
        match ask {
            Ask::HandOver { .. } => self.hand_over_refused(why),
            Ask::Release { .. } => self.released(),
            Ask::Claim { .. } => self.watcher.answered(),
            Ask::Renew { .. } | Ask::Followers => {}
        }
    }

    fn unanswered(&mut self, ask: &Ask) {
        match ask {
            Ask::HandOver { .. } => self.lose_hand_over_answer(),
            Ask::Release { .. } => self.released(),
            Ask::Claim { .. } => self.watcher.answered(),
            Ask::Followers => self.followers_asked = false,
            Ask::Renew { .. } => {}
        }
    }

    pub(super) fn is_me(&self, node: &str, incarnation: u64) -> bool {
        self.me.node == node && self.me.incarnation == incarnation
    }

    fn standing(&self) -> Standing {
        let (lease_until, execute_until) = match &self.state {
            RoleState::Primary(term) => {
                let until = term.lease.until();
                (until, if term.barrier.is_none() { until } else { Monotonic(0) })
            }
            RoleState::Promoting(promoting) => (promoting.lease.until(), Monotonic(0)),
            RoleState::HandingOver(term, _) => (term.lease.until(), Monotonic(0)),
            _ => (Monotonic(0), Monotonic(0)),
        };
        let known = !self.view.holder.is_empty();
        let primary = known.then(|| PrimaryAddress {
            node: self.view.holder.clone(),
            resp: self.view.resp_address.clone(),
            quic: self.view.quic_address.clone(),
        });
        let unchanged = self.published.primary.as_deref() == primary.as_ref();
        let primary = if unchanged { self.published.primary.clone() } else { primary.map(Arc::new) };
        let long_waits = self.choosing.as_ref().is_some_and(|choosing| choosing.for_long);
        let took_over = match &self.state {
            RoleState::Promoting(promoting) => promoting.took_over,
            RoleState::Primary(term) | RoleState::HandingOver(term, _) => term.took_over,
            _ => false,
        };
        Standing { role: self.role(), epoch: self.epoch(), lease_until, execute_until, long_waits, took_over, primary }
    }
}

//! Planned failover (switchover) to a successor: its steps 1 to 5.

use tanist_db_core::clock::Monotonic;
use tanist_db_core::ids::Lsn;
use tanist_db_core::planted::planted;

use super::event::{Ask, Effect, SwitchoverReport};
use super::machine::{Machine, RoleState};
use crate::limits::{SWITCHOVER_ANSWER_WAIT, SWITCHOVER_CHOOSE_WAIT, SWITCHOVER_HOLD_MAX, SWITCHOVER_LAG_MAX};
use crate::serving::Role;
use crate::wire::message::FollowerView;

/// How far a hand-over has come.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct HandingOver {
    successor: String,
    held_since: Monotonic,
    /// When the hold ends; once the vault is asked, when whoever wanted the switchover waits no longer, if it still does.
    deadline: Option<Monotonic>,
    /// Newest record that the successor has reported as applied.
    confirmed: Lsn,
    step: HandOverStep,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum HandOverStep {
    /// Batches that began before the hold still execute.
    Quieting,
    /// Nothing executes; the log ends here. Until it is durable and the successor has it.
    Draining { at: Lsn },
    /// Asked; only the vault's word counts now.
    Sent,
    /// The connection was lost after asking, or the vault has fenced this term without saying for whom.
    Unknown,
}

/// A switchover that was asked for, before anything is held.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Choosing {
    to: Option<String>,
    asked_at: Monotonic,
    deadline: Monotonic,
    /// Why none of those seen so far will do.
    why: String,
    /// One would do, but for a long command: no further one may begin.
    pub(super) for_long: bool,
}

impl HandingOver {
    /// Nothing has been asked of the vault yet: the hold may still be ended.
    pub(super) fn is_early(&self) -> bool {
        matches!(self.step, HandOverStep::Quieting | HandOverStep::Draining { .. })
    }

    /// When to look again.
    pub(super) fn look_at(&self, next: Monotonic) -> Option<Monotonic> {
        if self.is_early() { Some(next) } else { self.deadline }
    }
}

impl Machine {
    pub(super) fn switchover_asked(&mut self, to: Option<String>, now: Monotonic) {
        if let (RoleState::Primary(term), true) = (&self.state, to.as_deref() == Some(&self.me.node)) {
            // What was asked for is so.
            let report = SwitchoverReport { successor: self.me.node.clone(), epoch: term.epoch.0, hold_us: 0 };
            return self.push(Effect::SwitchoverEnded(Ok(report)));
        }
        if let Err(why) = self.may_switch_over() {
            return self.push(Effect::SwitchoverEnded(Err(why)));
        }
        self.look_at = now;
        let why = "the vault does not answer".to_owned();
        self.choosing =
            Some(Choosing { to, asked_at: now, deadline: now.after(SWITCHOVER_CHOOSE_WAIT), why, for_long: false });
        self.ask_followers();
    }

    fn may_switch_over(&self) -> Result<(), String> {
        match &self.state {
            RoleState::Primary(term) if self.choosing.is_some() || term.barrier.is_some() => {
                Err("a switchover is under way already".to_owned())
            }
            RoleState::Primary(_) => Ok(()),
            RoleState::HandingOver(..) => Err("a switchover is under way already".to_owned()),
            _ if self.view.holder.is_empty() => Err("there is no primary yet".to_owned()),
            _ => Err(format!("this node is {}; ask the primary, {}", self.role().word(), self.view.holder)),
        }
    }

    /// One such call at a time.
    fn ask_followers(&mut self) {
        if self.connected && !self.followers_asked {
            self.followers_asked = true;
            self.ask(Ask::Followers);
        }
    }

    pub(super) fn followers(&mut self, sent: Monotonic, nodes: &[FollowerView], now: Monotonic) {
        self.followers_asked = false;
        if let RoleState::HandingOver(_, handing) = &mut self.state
            && let Some(successor) = nodes.iter().find(|node| node.node == handing.successor)
        {
            handing.confirmed = Lsn(successor.progress.applied);
        }
        if self.choosing.as_ref().is_some_and(|choosing| sent >= choosing.asked_at) {
            self.choose(nodes, now);
        }
    }

    /// Step 1. Nobody will do yet, or clients would wait for a long command: the next answer may find it otherwise.
    fn choose(&mut self, nodes: &[FollowerView], now: Monotonic) {
        let Some(choosing) = &mut self.choosing else { return };
        let (last, long) = (self.sight.last.0, self.sight.long);
        let wanted = |node: &&FollowerView| choosing.to.as_ref().is_none_or(|to| *to == node.node);
        let standby = |node: &&FollowerView| node.progress.role == Role::Standby.word();
        choosing.for_long = false;
        match nodes.iter().filter(wanted).filter(standby).max_by_key(|node| node.progress.applied) {
            Some(_) if long => {
                choosing.for_long = true;
                choosing.why =
                    "a command that takes long is being executed, and clients would have to wait for it; try \
                                again when it has ended (CLIENT LIST shows it)"
                        .to_owned();
            }
            Some(node) if node.progress.applied.saturating_add(SWITCHOVER_LAG_MAX) >= last => {
                let successor = node.node.clone();
                self.hold(successor, now);
            }
            Some(node) => {
                let behind = last - node.progress.applied;
                choosing.why = format!("{} is {behind} records behind; try again when it has caught up", node.node);
            }
            None => {
                choosing.why = match &choosing.to {
                    Some(to) => format!("{to} is not connected to the vault as a standby"),
                    None => "no standby is connected to the vault".to_owned(),
                };
            }
        }
    }

    pub(super) fn advance_choosing(&mut self, now: Monotonic) {
        match &mut self.choosing {
            Some(choosing) if now >= choosing.deadline => {
                let why = std::mem::take(&mut choosing.why);
                self.end_switchover(Err(why));
            }
            Some(_) => self.ask_followers(),
            None => {}
        }
    }

    /// Step 2.
    fn hold(&mut self, successor: String, now: Monotonic) {
        let RoleState::Primary(term) = std::mem::replace(&mut self.state, RoleState::Standby) else {
            unreachable!("only a primary chooses a successor");
        };
        self.choosing = None;
        self.forget_sight(now);
        let handing = HandingOver {
            successor,
            held_since: now,
            deadline: Some(now.after(SWITCHOVER_HOLD_MAX)),
            confirmed: Lsn::ZERO,
            step: HandOverStep::Quieting,
        };
        self.state = RoleState::HandingOver(term, handing);
    }

    /// Steps 2 to 4, as far as they can go.
    pub(super) fn advance_hand_over(&mut self, now: Monotonic) {
        self.renew_if_due(now);
        let RoleState::HandingOver(term, handing) = &mut self.state else { return };
        let quiet = self.sight.executing == 0 || planted("hold does not wait for what executes");
        if matches!(handing.step, HandOverStep::Quieting) && quiet {
            handing.step = HandOverStep::Draining { at: self.sight.last };
        }
        let late = handing.deadline.is_some_and(|deadline| now >= deadline);
        if late && !handing.is_early() {
            handing.deadline = None;
            let why = format!(
                "the vault has been asked to make {} primary and does not answer: once it does, one of both is; until then this node executes nothing",
                handing.successor
            );
            return self.push(Effect::SwitchoverUnsettled(why));
        }
        if late {
            let (successor, confirmed, durable) = (&handing.successor, handing.confirmed, self.durable);
            let held = SWITCHOVER_HOLD_MAX.as_millis();
            let why = match handing.step {
                HandOverStep::Quieting => format!(
                    "given up after {held} ms of holding: a command that began before is still being executed; try again \
                     when it has ended (CLIENT LIST shows it)"
                ),
                _ => format!(
                    "given up after {held} ms of holding: durable to {durable}, {successor} has applied {confirmed}, the \
                     log ends at {}",
                    self.sight.last
                ),
            };
            return self.resume(&why);
        }
        let HandOverStep::Draining { at } = handing.step else { return };
        if self.durable >= at && handing.confirmed == at && self.connected {
            handing.step = HandOverStep::Sent;
            handing.deadline = Some(now.after(SWITCHOVER_ANSWER_WAIT));
            let (epoch, successor) = (term.epoch, handing.successor.clone());
            self.ask(Ask::HandOver { epoch, successor, at });
        } else {
            self.ask_followers();
        }
    }

    /// Everything this node has is in the log, and nothing executes.
    pub(super) fn is_drained(&self) -> bool {
        match &self.state {
            RoleState::HandingOver(_, HandingOver { step, .. }) => match step {
                HandOverStep::Quieting => false,
                HandOverStep::Draining { at } => self.durable >= *at,
                HandOverStep::Sent | HandOverStep::Unknown => true,
            },
            _ => false,
        }
    }

    /// The vault has refused an append of the drained term: a newer epoch is there or in the making. Its view will say.
    pub(super) fn await_word(&mut self) {
        if let RoleState::HandingOver(_, handing) = &mut self.state {
            handing.step = HandOverStep::Unknown;
        }
    }

    /// Step 5.
    pub(super) fn handed_over(&mut self, now: Monotonic) {
        let RoleState::HandingOver(_, handing) = std::mem::replace(&mut self.state, RoleState::Standby) else {
            unreachable!("only a term that is handed over ends so");
        };
        let holder = self.view.holder.clone();
        let outcome = if holder == handing.successor {
            let hold_us = u64::try_from(now.since(handing.held_since).as_micros()).unwrap_or(u64::MAX);
            Ok(SwitchoverReport { successor: holder, epoch: self.view.epoch, hold_us })
        } else {
            Err(format!("{holder} has become primary instead of {}", handing.successor))
        };
        self.applied = self.sight.last;
        self.push(Effect::CloseAppend);
        self.push(Effect::StartFollow);
        self.push(Effect::SwitchoverEnded(outcome));
    }

    /// Nothing has been handed over for certain.
    pub(super) fn hand_over_refused(&mut self, why: &str) {
        if matches!(&self.state, RoleState::HandingOver(_, HandingOver { step: HandOverStep::Sent, .. })) {
            self.resume(why);
        }
    }

    pub(super) fn lose_hand_over_answer(&mut self) {
        self.followers_asked = false;
        if planted("two holders after a hand-over") {
            return self.hand_over_refused("the connection was lost");
        }
        if let RoleState::HandingOver(_, handing) = &mut self.state
            && matches!(handing.step, HandOverStep::Sent)
        {
            handing.step = HandOverStep::Unknown;
        }
    }

    /// A fresh connection shows that the lease has not moved; make sure that the old request cannot move it any more.
    pub(super) fn settle_unknown(&mut self) {
        if !matches!(&self.state, RoleState::HandingOver(_, HandingOver { step: HandOverStep::Unknown, .. })) {
            return;
        }
        self.resume("the connection to the vault was lost, and the lease has not moved");
        if let RoleState::Primary(term) = &mut self.state {
            term.barrier = Some(Lsn(u64::MAX));
            self.push(Effect::Barrier);
        }
    }

    /// Back to primary: the hold ends.
    fn resume(&mut self, why: &str) {
        match std::mem::replace(&mut self.state, RoleState::Standby) {
            RoleState::HandingOver(term, _) => self.state = RoleState::Primary(term),
            other => self.state = other,
        }
        self.push(Effect::SwitchoverEnded(Err(why.to_owned())));
    }

    /// Reports the outcome to whoever requested the switchover that is under way.
    pub(super) fn end_switchover(&mut self, outcome: Result<SwitchoverReport, String>) {
        if self.choosing.take().is_some() || matches!(self.state, RoleState::HandingOver(..)) {
            self.push(Effect::SwitchoverEnded(outcome));
        }
    }
}

//! The role driver: carries out the effects of the role machine, in order. It manages the connection to the vault, calls and
//! their timeouts, reports, the periodic tick, images, and the requests for a switchover or an image.
//!
//! A state machine without I/O. The actor of a node (`actors::role_driver`) and the simulator drive it: both feed it events
//! ([`DriverEvent`]) and perform the actions that it returns ([`Action`]), in that order.
//!
//! ```text
//!   dialer, control stream ──┐                                  ┌──> dialer, control stream, timers
//!   siblings ────────────────┼─ DriverEvent ─> Driver ─ Action ─┼──> siblings
//!   timers, beat, people ────┘                   │              └──> people (notes, replies), the end
//!                                             Machine
//! ```
//!
//! - **Connections** are numbered. A silent or lost one is replaced by a fresh one, since after a network partition QUIC keeps an
//!   old one silent even when packets pass again. What still arrives on an old connection is dropped by its number, and calls
//!   made on it are forgotten.
//! - **It never blocks**: whatever takes time is an action whose completion comes back as an event.
//! - **State that other threads read directly** (the role state in [`Serving`](crate::serving::Serving), figures) is written by
//!   the driver itself, before it returns any action of the same event.

mod action;
mod beat;
mod connection;
mod images;
mod note;
mod switchover;
#[cfg(any(test, feature = "test-support"))]
mod testing;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use tanist_db_core::clock::Monotonic;
use tanist_db_core::ids::Lsn;
use tanist_db_core::level::Level;

pub use action::{Action, CallOutcome, DriverEvent, OwnRecord, Performed, SiblingOrder, Timer};
pub use note::Note;

use super::{ImagePlan, Paced, Shared};
use crate::limits::{POSITION_PAUSE, REPORT_PAUSE};
use crate::repeats::Repeats;
use crate::role::{Effect, End, Event, Machine, Sight};
use crate::serving::Standing;
use connection::Called;
use switchover::Askers;

/// The driver of one database process; `W` is the way back to whoever asks for a switchover or an image.
#[derive(Debug)]
pub struct Driver<W> {
    shared: Arc<Shared>,
    machine: Machine,
    /// Number of the newest connection or attempt.
    generation: u64,
    /// The vault has greeted on it, and it has not ended.
    connected: bool,
    /// Calls whose answers may still come, all made on the present connection, by number: when they were sent, and what about.
    calls: BTreeMap<u64, (Monotonic, Called)>,
    calls_made: u64,
    wake: Option<Monotonic>,
    reports: Paced,
    /// Questions how far the log is durable.
    positions: Paced,
    plan: ImagePlan,
    askers: Option<Askers<W>>,
    /// Who waits for an image, and the newest record that it must have.
    image_askers: Vec<(Lsn, W)>,
    /// What may happen again and again: told once, then counted.
    connections_lost: Repeats,
    images_failed: Repeats,
    /// The newest loss was not told, so its end is not either.
    quiet: bool,
    ended: bool,
    actions: Vec<Action<W>>,
}

impl<W> Driver<W> {
    /// A driver that has done nothing yet: it begins with [`DriverEvent::Begin`].
    #[must_use]
    pub fn new(shared: Arc<Shared>, machine: Machine, plan: ImagePlan) -> Driver<W> {
        Driver {
            shared,
            machine,
            generation: 0,
            connected: false,
            calls: BTreeMap::new(),
            calls_made: 0,
            wake: None,
            reports: Paced::new(REPORT_PAUSE),
            positions: Paced::new(POSITION_PAUSE),
            plan,
            askers: None,
            image_askers: Vec::new(),
            connections_lost: Repeats::default(),
            images_failed: Repeats::default(),
            quiet: false,
            ended: false,
            actions: Vec::new(),
        }
    }

    /// Handles an event and returns the actions to perform now, in this order.
    pub fn handle(&mut self, event: DriverEvent<W>, now: Monotonic) -> Vec<Action<W>> {
        if !self.ended {
            self.take_in(event, now);
        }
        std::mem::take(&mut self.actions)
    }

    fn take_in(&mut self, event: DriverEvent<W>, now: Monotonic) {
        match event {
            DriverEvent::Begin => self.begin(now),
            DriverEvent::Connected { generation, welcome } => self.connected(generation, welcome, now),
            DriverEvent::ConnectionLost { generation, why } => self.lose_connection(generation, &why, now),
            DriverEvent::News { generation, answer } => self.news(generation, answer, now),
            DriverEvent::Answered { call, outcome } => self.answered(call, outcome, now),
            DriverEvent::Timer(Timer::Wake(at)) => self.woken(at, now),
            DriverEvent::Timer(Timer::Report) => {
                let due = self.reports.late(now);
                self.report_if(due, now);
            }
            DriverEvent::Timer(Timer::Position) => {
                let due = self.positions.late(now);
                self.ask_position_if(due, now);
            }
            DriverEvent::Beat { data_bytes } => self.beat(data_bytes, now),
            DriverEvent::Happened(event) => self.happened(event, now),
            DriverEvent::Carried(result) => self.carried(result, now),
            DriverEvent::SwitchoverAsked { to, way } => self.switchover_asked(to, way, now),
            DriverEvent::ImageAsked { way } => self.image_asked(way, now),
        }
    }

    fn happened(&mut self, event: Event, now: Monotonic) {
        let progress = matches!(event, Event::Applied { .. } | Event::Following { .. });
        self.tell(event, now);
        if progress {
            self.report(now);
        }
    }

    /// Hands the event to the machine, and does what it wants done.
    fn tell(&mut self, event: Event, now: Monotonic) {
        if self.ended {
            return;
        }
        if let Some(view) = event.view() {
            self.shared.learn_level(Level(view.level));
        }
        let mut effects = Vec::new();
        self.machine.handle(event, now, &mut effects);
        for effect in effects {
            self.act(effect, now);
        }
        self.set_wake();
    }

    fn act(&mut self, effect: Effect, now: Monotonic) {
        match effect {
            Effect::Publish(standing) => self.publish(standing, now),
            Effect::Ask(ask) => {
                let request = ask.request(|| self.shared.progress());
                self.call(request, Called::Machine(ask), now);
            }
            Effect::OpenAppend(epoch) => self.order_if_connected(SiblingOrder::Ship(epoch)),
            Effect::CloseAppend => {
                self.actions.extend([SiblingOrder::StopShipping, SiblingOrder::StopCarrying].map(Action::Order))
            }
            Effect::StartFollow => self.order_if_connected(SiblingOrder::Follow(self.machine.epoch())),
            Effect::StopFollow => self.actions.push(Action::Order(SiblingOrder::StopFollowing)),
            Effect::BeginEpoch(epoch) => {
                self.actions.push(Action::Order(SiblingOrder::Append(OwnRecord::EpochStart(epoch))))
            }
            Effect::Barrier => self.actions.push(Action::Order(SiblingOrder::Append(OwnRecord::Barrier))),
            Effect::SwitchoverUnsettled(why) => self.switchover_unsettled(why),
            Effect::SwitchoverEnded(outcome) => self.switchover_ended(outcome),
            Effect::TookOver(takeover) => {
                self.shared.figures.lock().last_takeover = takeover.words();
                self.plan.became_primary(now, self.shared.engine.last());
                self.actions.push(Action::Note(Note::TookOver(takeover)));
            }
            Effect::End(end) => self.end(end),
        }
    }

    fn publish(&mut self, standing: Standing, now: Monotonic) {
        let was = self.shared.serving.role();
        self.shared.serving.publish(&standing, now);
        if standing.role != was {
            self.ask_position(now);
            self.actions.push(Action::Note(Note::Role { was, standing }));
        }
    }

    /// Without a connection there is nothing to be done on one: a fresh one makes the machine repeat what it wants.
    fn order_if_connected(&mut self, order: SiblingOrder) {
        if self.connected {
            self.actions.push(Action::Order(order));
        }
    }

    fn set_wake(&mut self) {
        let at = self.machine.wake_at();
        if self.wake != at {
            self.wake = at;
            self.actions.extend(at.map(|at| Action::Later(at, Timer::Wake(at))));
        }
    }

    fn woken(&mut self, at: Monotonic, now: Monotonic) {
        if self.wake == Some(at) {
            self.wake = None;
            let sight = Sight::of(&self.shared.serving, &self.shared.engine);
            self.tell(Event::Tick(sight), now);
        }
    }

    fn end(&mut self, end: End) {
        self.ended = true;
        self.actions.push(Action::End(end));
    }
}

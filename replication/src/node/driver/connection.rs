//! The connection to the vault, and the calls on it.

use std::time::Duration;

use tanist_db_core::clock::Monotonic;
use tanist_db_core::ids::Lsn;

use super::{Action, CallOutcome, Driver, Note};
use crate::role::{Ask, Event};
use crate::transport::rpc::Welcome;
use crate::wire::message::{Answer, HealthView, Request};

/// What a call was about.
#[derive(Clone, Debug)]
pub(super) enum Called {
    Machine(Ask),
    Report,
    Position,
}

impl<W> Driver<W> {
    pub(super) fn begin(&mut self, now: Monotonic) {
        self.shared.figures.lock().vault_is(false, now);
        self.connect();
    }

    fn connect(&mut self) {
        self.generation += 1;
        self.actions.push(Action::Connect { generation: self.generation });
    }

    pub(super) fn connected(&mut self, generation: u64, welcome: Welcome, now: Monotonic) {
        if generation != self.generation || self.connected {
            return;
        }
        if !self.quiet {
            self.actions.push(Action::Note(Note::Connected { durable: welcome.durable }));
        }
        let mut figures = self.shared.figures.lock();
        // It says so next if anything is wrong.
        figures.vault_health = HealthView::default();
        figures.vault_is(true, now);
        drop(figures);
        self.connected = true;
        self.reports.reset();
        self.positions.reset();
        self.tell(Event::Connected { view: welcome.view, length: welcome.lease }, now);
        self.report(now);
        self.ask_position(now);
    }

    pub(super) fn lose_connection(&mut self, generation: u64, why: &str, now: Monotonic) {
        if generation != self.generation || !self.connected {
            return;
        }
        self.connected = false;
        self.calls.clear();
        self.shared.figures.lock().vault_is(false, now);
        let times = self.connections_lost.happened(now, why);
        self.quiet = times.is_none();
        self.actions.push(Action::Note(Note::ConnectionLost { why: why.to_owned(), times }));
        self.actions.push(Action::Close { why: "a fresh connection follows" });
        self.connect();
        self.tell(Event::Disconnected, now);
    }

    pub(super) fn news(&mut self, generation: u64, answer: Answer, now: Monotonic) {
        match answer {
            _ if generation != self.generation => {}
            Answer::Lease(view) => self.tell(Event::News(view), now),
            Answer::Health(health) => self.shared.figures.lock().vault_health = health,
            _ => {}
        }
    }

    /// Calls the vault. Without a connection nothing comes of it.
    pub(super) fn call(&mut self, request: Request, about: Called, now: Monotonic) {
        if !self.connected {
            return self.told(about, now, None, now);
        }
        self.calls_made += 1;
        let (call, wait): (u64, Duration) = (self.calls_made, self.machine.times().silence());
        self.calls.insert(call, (now, about));
        self.actions.push(Action::Call { call, request, wait });
    }

    pub(super) fn answered(&mut self, call: u64, outcome: CallOutcome, now: Monotonic) {
        let Some((sent, about)) = self.calls.remove(&call) else { return };
        match outcome {
            CallOutcome::Answer(answer) => self.told(about, sent, Some(answer), now),
            CallOutcome::Nothing => self.told(about, sent, None, now),
            CallOutcome::Late => {
                self.lose_connection(self.generation, "it is silent", now);
                self.told(about, sent, None, now);
            }
        }
    }

    fn told(&mut self, about: Called, sent: Monotonic, answer: Option<Answer>, now: Monotonic) {
        match about {
            Called::Machine(ask) => {
                let event = Event::answered(ask, sent, answer);
                let unsettled = event.needs_fresh_connection();
                self.tell(event, now);
                if unsettled {
                    self.lose_connection(self.generation, "a hand-over was not answered", now);
                }
            }
            Called::Report => {
                if let Some(Answer::Followers(nodes)) = answer {
                    self.shared.figures.lock().others.clone_from(&nodes);
                    self.tell(Event::Followers { sent, nodes }, now);
                }
                let due = self.reports.answered(now);
                self.report_if(due, now);
            }
            Called::Position => {
                if let Some(Answer::Durable { lsn }) = answer {
                    let engine = &self.shared.engine;
                    self.shared.serving.freshness().told(sent, Lsn(lsn), || engine.last());
                }
                let due = self.positions.answered(now);
                self.ask_position_if(due, now);
                self.ask_position(now);
            }
        }
    }
}

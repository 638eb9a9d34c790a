//! Pending requests for a switchover, each of which gets the outcome.

use tanist_db_core::clock::Monotonic;

use super::{Action, Driver, Note, Performed};
use crate::limits::SWITCHOVER_ASKERS_MAX;
use crate::role::{Event, SwitchoverReport};

/// Who wants to know how the switchover under way ends: whom each wanted as successor, and the way back.
#[derive(Debug)]
pub(super) struct Askers<W>(Vec<(Option<String>, W)>);

impl<W> Driver<W> {
    pub(super) fn switchover_asked(&mut self, to: Option<String>, way: W, now: Monotonic) {
        match &mut self.askers {
            Some(Askers(askers)) if askers.len() >= SWITCHOVER_ASKERS_MAX => {
                let why = Err("too many wait for a switchover already".to_owned());
                self.actions.push(Action::Reply(way, why));
            }
            // Who asks for what is being done gets its outcome, and nothing is done twice.
            Some(Askers(askers)) => askers.push((to, way)),
            None => {
                self.askers = Some(Askers(vec![(to.clone(), way)]));
                self.tell(Event::SwitchoverAsked { to }, now);
            }
        }
    }

    pub(super) fn switchover_unsettled(&mut self, why: String) {
        self.actions.push(Action::Note(Note::SwitchoverUnsettled(why.clone())));
        self.reply(&Err(why));
    }

    pub(super) fn switchover_ended(&mut self, outcome: Result<SwitchoverReport, String>) {
        if let Ok(report) = &outcome {
            self.shared.figures.lock().last_takeover = report.words();
        }
        self.actions.push(Action::Note(Note::SwitchoverEnded(outcome.clone())));
        self.reply(&outcome);
    }

    fn reply(&mut self, outcome: &Result<SwitchoverReport, String>) {
        for (wanted, way) in self.askers.take().into_iter().flat_map(|Askers(askers)| askers) {
            let outcome = outcome.clone().and_then(|report| match wanted {
                Some(to) if to != report.successor => {
                    Err(format!("a switchover to {} was under way; {to} can be asked for now", report.successor))
                }
                _ => Ok(report),
            });
            self.actions.push(Action::Reply(way, outcome.map(Performed::Switchover)));
        }
    }
}

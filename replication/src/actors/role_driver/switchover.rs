//! Who asked for a switchover, and hears how it ended.

use std::time::Duration;

use actix::{Context, Handler, Message, ResponseFuture};
use tokio::sync::oneshot;

use super::RoleDriver;
use crate::EVENT;
use crate::limits::SWITCHOVER_ASKERS_MAX;
use crate::role::{Event, SwitchoverReport};

/// Hand the office to a successor.
#[derive(Debug, Message)]
#[rtype(result = "Result<SwitchoverReport, String>")]
pub(crate) struct SwitchOver {
    pub(crate) to: Option<String>,
}

/// A switchover that is under way: who wants to know how it ends.
pub(super) struct Switchover {
    askers: Vec<SwitchoverAsker>,
}

/// Who wants a switchover to a certain node, or to any.
struct SwitchoverAsker {
    to: Option<String>,
    tell: oneshot::Sender<Result<SwitchoverReport, String>>,
}

impl SwitchoverAsker {
    /// Whoever asked may have given up waiting.
    fn answer(self, outcome: Result<SwitchoverReport, String>) {
        let outcome = outcome.and_then(|report| match self.to {
            Some(to) if to != report.successor => {
                Err(format!("a switchover to {} was under way; {to} can be asked for now", report.successor))
            }
            _ => Ok(report),
        });
        let _ = self.tell.send(outcome);
    }
}

impl RoleDriver {
    pub(super) fn switchover_ended(&mut self, outcome: Result<SwitchoverReport, String>) {
        match &outcome {
            Ok(report) => {
                let words = format!(
                    "handed over to {} with epoch {} after holding for {:.1} ms",
                    report.successor,
                    report.epoch,
                    Duration::from_micros(report.hold_us).as_secs_f64() * 1e3
                );
                tracing::info!(target: EVENT, "{words}");
                self.shared.figures.lock().last_takeover = words;
            }
            Err(why) => tracing::warn!(target: EVENT, "no switchover: {why}"),
        }
        self.answer_switchover(outcome);
    }

    pub(super) fn answer_switchover(&mut self, outcome: Result<SwitchoverReport, String>) {
        for asker in self.switchover.take().into_iter().flat_map(|switchover| switchover.askers) {
            asker.answer(outcome.clone());
        }
    }
}

impl Handler<SwitchOver> for RoleDriver {
    type Result = ResponseFuture<Result<SwitchoverReport, String>>;

    fn handle(&mut self, order: SwitchOver, ctx: &mut Context<Self>) -> Self::Result {
        let (tell, told) = oneshot::channel();
        let asker = SwitchoverAsker { to: order.to.clone(), tell };
        match &mut self.switchover {
            Some(under_way) if under_way.askers.len() >= SWITCHOVER_ASKERS_MAX => {
                return Box::pin(async { Err("too many wait for a switchover already".to_owned()) });
            }
            // Who asks for what is being done gets its outcome, and nothing is done twice.
            Some(under_way) => under_way.askers.push(asker),
            None => {
                self.switchover = Some(Switchover { askers: vec![asker] });
                self.on(Event::SwitchoverAsked { to: order.to }, ctx);
            }
        }
        Box::pin(async { told.await.unwrap_or_else(|_| Err("the process ends".to_owned())) })
    }
}

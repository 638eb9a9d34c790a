//! Translates between the role machine and the wire protocol: its calls into requests, the vault's answers into events.

use tanist_db_core::clock::Monotonic;
use tanist_db_core::ids::{Epoch, Lsn};

use super::event::{Ask, Event};
use crate::wire::message::{Answer, Progress, Request};

impl Ask {
    /// The request to send; `progress` tells how the node stands.
    #[must_use]
    pub fn request(&self, progress: impl FnOnce() -> Progress) -> Request {
        match self {
            Ask::Renew { epoch } => Request::Renew { epoch: epoch.0 },
            Ask::Claim { seen } => Request::Claim { seen: seen.0 },
            Ask::HandOver { epoch, successor, at } => {
                Request::HandOver { epoch: epoch.0, successor: successor.clone(), at: at.0 }
            }
            Ask::Release { epoch } => Request::Release { epoch: epoch.0 },
            Ask::Followers => Request::Report(progress()),
        }
    }
}

impl Event {
    /// What came back for `ask`, sent at `sent`; `None`: nothing will.
    #[must_use]
    pub fn answered(ask: Ask, sent: Monotonic, answer: Option<Answer>) -> Event {
        match answer {
            Some(Answer::Lease(view)) => Event::Lease { ask, sent, view },
            Some(Answer::Claimed { epoch, sealed }) => {
                Event::Claimed { epoch: Epoch(epoch), sealed: Lsn(sealed), sent }
            }
            Some(Answer::Followers(nodes)) => Event::Followers { sent, nodes },
            Some(Answer::Fenced { epoch }) => Event::Fenced { epoch: Epoch(epoch) },
            Some(Answer::Refused { why }) => {
                tracing::warn!("the vault refuses {ask:?}: {why}");
                Event::Refused { ask, why }
            }
            Some(other) => {
                tracing::warn!("the vault answers {ask:?} with {other:?}");
                Event::Unanswered { ask }
            }
            None => Event::Unanswered { ask },
        }
    }

    /// Whether only a fresh connection's first look at the lease settles who holds it now.
    #[must_use]
    pub fn needs_fresh_connection(&self) -> bool {
        matches!(self, Event::Unanswered { ask: Ask::HandOver { .. } })
    }
}

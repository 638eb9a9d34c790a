//! Calls and the ways back to their askers, `W`, while a change of the lease is made durable.

use std::collections::VecDeque;
use std::sync::Arc;

use tanist_db_core::clock::Monotonic;
use tanist_db_core::ids::Lsn;

use super::catalog::LeaseRecord;
use super::lease_authority::{LeaseAuthority, Ruling};
use super::roster::{Caller, ConnectionId};
use crate::wire::message::{Answer, Request};

/// A call with the way back to its asker.
#[derive(Debug)]
pub struct Asked<W> {
    /// Who asks.
    pub caller: Arc<Caller>,
    /// What.
    pub request: Request,
    /// Where the answer goes.
    pub way: W,
}

/// What is to be done about a call.
#[derive(Debug)]
pub enum Ruled<W> {
    /// Answer this.
    Answer(W, Answer),
    /// Make the record durable behind every frame accepted so far, then say so by [`Calls::persisted`].
    Persist {
        /// What to remember.
        record: LeaseRecord,
        /// Write the log's end into it first.
        seal: bool,
    },
    /// Nothing now.
    Wait,
}

/// The calls that cannot be answered yet.
#[derive(Debug)]
pub struct Calls<W> {
    /// At most one a connection.
    waiting: VecDeque<Asked<W>>,
    /// Whose call caused the change that is being made durable.
    change: Option<W>,
}

impl<W> Default for Calls<W> {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), change: None }
    }
}

impl<W> Calls<W> {
    /// Has the lease authority rule on a call; `durable` is the log's durable end.
    pub fn rule(
        &mut self,
        lease_authority: &mut LeaseAuthority,
        now: Monotonic,
        asked: Asked<W>,
        durable: Lsn,
    ) -> Ruled<W> {
        match lease_authority.call(now, &asked.caller, asked.request.clone(), durable) {
            Ruling::Answer(answer) => Ruled::Answer(asked.way, answer),
            Ruling::Persist { record, seal } => {
                self.change = Some(asked.way);
                Ruled::Persist { record, seal }
            }
            Ruling::Wait => {
                self.waiting.push_back(asked);
                Ruled::Wait
            }
        }
    }

    /// The change is durable, with the log's end at `sealed`. Gives the answer to whoever caused it, which goes out before the
    /// news of it, and the calls to be ruled on after that.
    pub fn persisted(
        &mut self,
        lease_authority: &mut LeaseAuthority,
        now: Monotonic,
        sealed: Lsn,
    ) -> (Option<(W, Answer)>, VecDeque<Asked<W>>) {
        let answer = lease_authority.persisted(now, sealed);
        (self.change.take().map(|way| (way, answer)), std::mem::take(&mut self.waiting))
    }

    /// A connection has ended: nobody waits there any more.
    pub fn leave(&mut self, connection: ConnectionId) {
        self.waiting.retain(|asked| asked.caller.connection != connection);
    }

    /// How many wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

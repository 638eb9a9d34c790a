//! Acknowledgements on an append stream.

use tanist_db_core::ids::Lsn;
use tanist_db_core::planted::planted;

use crate::vault::log::writer::LogState;
use crate::wire::message::Answer;

/// One append stream's acknowledgements.
#[derive(Debug)]
pub struct Acknowledger {
    /// Newest record of this stream that was accepted. Nothing beyond it is ever acknowledged here: the log may go on under
    /// another epoch, at the very positions that this sender still waits for.
    accepted: Lsn,
    told: Lsn,
    /// Frames that had been refused when the stream began.
    refused: u64,
}

impl Acknowledger {
    /// A stream that goes on after what is durable in `start`.
    #[must_use]
    pub const fn new(start: &LogState) -> Acknowledger {
        let durable = start.extent.durable;
        Acknowledger { accepted: durable, told: durable, refused: start.refused }
    }

    /// A frame that ends at `last` was accepted, or was there already.
    pub fn accepted(&mut self, last: Lsn) {
        self.accepted = self.accepted.max(last);
    }

    /// The news for the sender, if any.
    ///
    /// # Errors
    /// With the answer that ends the stream.
    pub fn news(&mut self, state: &LogState) -> Result<Option<Answer>, Answer> {
        let durable = self.durable(state)?;
        if durable <= self.told {
            return Ok(None);
        }
        self.told = durable;
        Ok(Some(Answer::Durable { lsn: durable.0 }))
    }

    /// The last word to a sender that has said all, when all of it is on disk or refused.
    #[must_use]
    pub fn last_word(&self, state: &LogState) -> Answer {
        self.durable(state).map_or_else(|answer| answer, |durable| Answer::Durable { lsn: durable.0 })
    }

    fn durable(&self, state: &LogState) -> Result<Lsn, Answer> {
        if state.failed.is_some() {
            return Err(stopped());
        }
        if state.refused > self.refused {
            return Err(Answer::Refused { why: state.refused_why.to_string() });
        }
        let accepted = if planted("records of others acknowledged") { Lsn(u64::MAX) } else { self.accepted };
        Ok(state.extent.durable.min(accepted))
    }
}

/// The answer of a vault whose disk has failed, or that is stopping.
#[must_use]
pub fn stopped() -> Answer {
    Answer::Refused { why: "the vault has stopped".to_owned() }
}

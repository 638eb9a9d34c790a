//! Applying the durable log: what each thing on a follow stream means for this node's engine.
//!
//! Frames that are here together form a run, of which [`Following::end_run`] tells once.

use tanist_db_core::engine::Engine;
use tanist_db_core::ids::Lsn;
use tanist_db_core::redo::ReplayError;
use tanist_db_core::redo::batch::RedoBatch;

use crate::limits::FOLLOW_BYTES;
use crate::role::{End, Event};
use crate::wire::frame::Frame;
use crate::wire::message::{Answer, Request};

/// What has become of a frame or message of the stream.
#[derive(Debug, PartialEq, Eq)]
pub enum Taken {
    /// Go on.
    On,
    /// Go on, and tell the machine that the stream has begun.
    Begun(Event),
    /// The stream is over, and this is why.
    Ended(Event),
    /// This node has taken office, and the order to stop following is on its way: an echo of its own records.
    Echo,
    /// The stream is of no further use; a fresh connection goes on after what is applied.
    Lost(String),
}

/// What a run has brought.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// Everything up to here is known to be durable.
    pub durable: Lsn,
    /// What the machine must hear, in this order.
    pub events: Vec<Event>,
}

/// One follow stream's life.
#[derive(Debug)]
pub struct Following {
    /// Newest record that this stream has brought, or that it was to begin after. Not the engine's own end, which will be that
    /// of records not yet durable once this node has taken office.
    applied: Lsn,
    /// The same when the run began.
    before: Lsn,
    /// Newest position that the run has named.
    durable: Lsn,
    /// Bytes of the run.
    bytes: usize,
}

impl Following {
    /// A stream that is about to begin after `applied`.
    #[must_use]
    pub fn after(applied: Lsn) -> Following {
        Following { applied, before: applied, durable: Lsn::ZERO, bytes: 0 }
    }

    /// What opens the stream.
    #[must_use]
    pub fn request(&self) -> Request {
        Request::Follow { after: self.applied.0 }
    }

    /// The vault's answer to that.
    #[must_use]
    pub fn opened(&self, answer: Answer) -> Taken {
        match answer {
            Answer::Following { durable } => Taken::Begun(Event::Following { durable: Lsn(durable) }),
            Answer::Trimmed { oldest } => Taken::Ended(self.trimmed(oldest)),
            other => Taken::Lost(format!("{other:?} in answer to a follow")),
        }
    }

    /// Applies a batch; `at_cut` is called right after each cut record, with the engine as it is there.
    pub fn batch(&mut self, frame: &Frame, engine: &Engine, at_cut: &mut dyn FnMut(Lsn)) -> Taken {
        self.bytes += frame.bytes().len();
        let rejoin = |why: String| Taken::Ended(Event::Broken(End::Rejoin(why)));
        let batch = match RedoBatch::open(frame.body()) {
            Ok(batch) => batch,
            Err(error) => return rejoin(error.to_string()),
        };
        loop {
            match engine.apply_until_cut(&batch) {
                Ok(applied) => {
                    self.applied = self.applied.max(applied.last);
                    applied.cuts.iter().for_each(|cut| at_cut(*cut));
                    if applied.last >= batch.last() {
                        return Taken::On;
                    }
                }
                Err(ReplayError::Writing) => return Taken::Echo,
                Err(error) => return rejoin(error.to_string()),
            }
        }
    }

    /// Takes in a message.
    pub fn message(&mut self, answer: Answer) -> Taken {
        match answer {
            Answer::Durable { lsn } => {
                self.durable = self.durable.max(Lsn(lsn));
                Taken::On
            }
            Answer::Trimmed { oldest } => Taken::Ended(self.trimmed(oldest)),
            Answer::Refused { why } => Taken::Lost(why),
            other => Taken::Lost(format!("{other:?} on a follow stream")),
        }
    }

    /// Whether the run is so long that the machine must hear of it before more is taken.
    #[must_use]
    pub fn is_long(&self) -> bool {
        self.bytes >= FOLLOW_BYTES
    }

    /// Nothing more is here for now, or enough.
    pub fn end_run(&mut self) -> Run {
        let (applied, before) = (self.applied, self.before);
        let mut run = Run { durable: self.durable.max(applied), events: Vec::new() };
        if self.durable > applied {
            run.events.push(Event::Durable { lsn: self.durable });
        }
        if applied > before {
            run.events.push(Event::Applied { last: applied });
        }
        (self.before, self.durable, self.bytes) = (applied, Lsn::ZERO, 0);
        run
    }

    fn trimmed(&self, oldest: u64) -> Event {
        let why =
            format!("the log begins at record {oldest}, this node has only {}: it must load an image", self.applied);
        Event::Broken(End::Rejoin(why))
    }
}

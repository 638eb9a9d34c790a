//! Applies the durable log on a standby: what each message of the follow stream means for this node's engine.
//!
//! Frames that are available together form a run; [`Following::end_run`] reports once per run.

use std::sync::Arc;

use tanist_db_core::ids::{Epoch, Lsn};
use tanist_db_core::redo::ReplayError;
use tanist_db_core::redo::batch::RedoBatch;

use super::Shared;
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
    /// This node has become primary, and the order to stop following is on its way: an echo of its own records.
    Echo,
    /// The stream is of no further use; a fresh connection goes on after what is applied.
    Lost(String),
}

/// One follow stream's life.
#[derive(Debug)]
pub struct Following {
    shared: Arc<Shared>,
    /// The vault has answered what opened the stream.
    open: bool,
    /// Newest record that this stream has brought, or that it was to begin after. Not the engine's own end, which will be that
    /// of records not yet durable once this node has become primary.
    applied: Lsn,
    /// The same when the run began.
    before: Lsn,
    /// Newest position that the run has named.
    durable: Lsn,
    /// Bytes of the run.
    bytes: usize,
}

impl Following {
    /// A stream that is about to begin after what is applied. `epoch` is the newest known: one of this node's own before it is over.
    ///
    /// Only a node that handed over has something to end here; whoever calls may wait for the shards. If the order comes late, the node
    /// may have begun its next epoch already, and is about to be told to stop following.
    #[must_use]
    pub fn begin(shared: Arc<Shared>, epoch: Epoch) -> Following {
        shared.engine.end_epoch(epoch);
        let applied = shared.engine.last();
        Following { shared, open: false, applied, before: applied, durable: Lsn::ZERO, bytes: 0 }
    }

    /// What opens the stream.
    #[must_use]
    pub fn request(&self) -> Request {
        Request::Follow { after: self.applied.0 }
    }

    /// Handles a message: the first is the answer to the request that opened the stream.
    pub fn message(&mut self, answer: Answer) -> Taken {
        match (std::mem::replace(&mut self.open, true), answer) {
            (false, Answer::Following { durable }) => Taken::Begun(Event::Following { durable: Lsn(durable) }),
            (_, Answer::Trimmed { oldest }) => Taken::Ended(self.trimmed(oldest)),
            (false, other) => lost(format!("{other:?} in answer to a follow")),
            (true, Answer::Durable { lsn }) => {
                self.durable = self.durable.max(Lsn(lsn));
                Taken::On
            }
            (true, Answer::Refused { why }) => lost(why),
            (true, other) => lost(format!("{other:?} on a follow stream")),
        }
    }

    /// Applies a batch; `at_cut` is called right after each cut record, with the engine as it is there.
    pub fn batch(&mut self, frame: &Frame, at_cut: &mut dyn FnMut(Lsn)) -> Taken {
        self.shared.note_log_bytes(frame.bytes().len());
        self.bytes += frame.bytes().len();
        let rejoin = |why: String| Taken::Ended(Event::Broken(End::Rejoin(why)));
        let batch = match RedoBatch::open(frame.body()) {
            Ok(batch) => batch,
            Err(error) => return rejoin(error.to_string()),
        };
        loop {
            match self.shared.engine.apply(&batch) {
                Ok(applied) => {
                    self.applied = self.applied.max(applied.last);
                    for cut in applied.cuts {
                        self.shared.note_cut();
                        at_cut(cut);
                    }
                    if applied.last >= batch.last() {
                        return Taken::On;
                    }
                }
                Err(ReplayError::Writing) => return Taken::Echo,
                Err(error) => return rejoin(error.to_string()),
            }
        }
    }

    /// Whether the run is so long that the machine must hear of it before more is taken.
    #[must_use]
    pub fn is_long(&self) -> bool {
        self.bytes >= FOLLOW_BYTES
    }

    /// Nothing more is here for now, or enough. Returns what the machine must hear, in this order.
    pub fn end_run(&mut self) -> Vec<Event> {
        let (applied, before) = (self.applied, self.before);
        self.shared.serving.advance_durable(self.durable.max(applied));
        self.shared.serving.freshness().applied(applied);
        let mut events = Vec::new();
        if self.durable > applied {
            events.push(Event::Durable { lsn: self.durable });
        }
        if applied > before {
            events.push(Event::Applied { last: applied });
        }
        (self.before, self.durable, self.bytes) = (applied, Lsn::ZERO, 0);
        events
    }

    fn trimmed(&self, oldest: u64) -> Event {
        let why =
            format!("the log begins at record {oldest}, this node has only {}: it must load an image", self.applied);
        Event::Broken(End::Rejoin(why))
    }
}

fn lost(why: String) -> Taken {
    Taken::Lost(format!("follow stream: {why}"))
}

#[cfg(test)]
mod tests {
    use tanist_db_core::engine::{Engine, EngineOptions};

    use super::*;
    use crate::serving::Serving;
    use crate::stream::sealed;

    fn shared() -> Arc<Shared> {
        Shared::new(Arc::new(Engine::new(EngineOptions { shards: 2, ..EngineOptions::default() })), Serving::new())
    }

    /// The frames of an epoch's start and of a cut after it.
    fn frames() -> Vec<Frame> {
        let primary = shared();
        primary.engine.begin_epoch(Epoch(3)).unwrap();
        let first = primary.engine.redo().take(1).unwrap();
        primary.engine.freeze();
        let second = primary.engine.redo().take(1).unwrap();
        [first, second].map(|batch| Frame::open(sealed(&batch)).unwrap()).into()
    }

    #[test]
    fn a_run_is_told_once_with_what_is_durable_beyond_it_first() {
        let shared = shared();
        let mut following = Following::begin(Arc::clone(&shared), Epoch(3));
        assert_eq!(following.request(), Request::Follow { after: 0 });
        let begun = following.message(Answer::Following { durable: 2 });
        assert_eq!(begun, Taken::Begun(Event::Following { durable: Lsn(2) }));
        let mut cuts = Vec::new();
        for frame in frames() {
            assert_eq!(following.batch(&frame, &mut |cut| cuts.push(cut)), Taken::On);
        }
        assert_eq!((cuts, shared.log_bytes_since_cut()), (vec![Lsn(2)], 0));
        assert_eq!(following.message(Answer::Durable { lsn: 9 }), Taken::On);
        let events = [Event::Durable { lsn: Lsn(9) }, Event::Applied { last: Lsn(2) }];
        assert_eq!(following.end_run(), events);
        assert_eq!((shared.serving.durable(), shared.engine.last()), (Lsn(9), Lsn(2)));
        assert_eq!(following.end_run(), [], "nothing new");
    }

    #[test]
    fn a_log_that_no_longer_reaches_back_ends_the_process_and_nonsense_the_connection() {
        let following = || Following::begin(shared(), Epoch(3));
        for answers in
            [vec![Answer::Trimmed { oldest: 7 }], vec![Answer::Following { durable: 2 }, Answer::Trimmed { oldest: 7 }]]
        {
            let mut following = following();
            let taken = answers.into_iter().map(|answer| following.message(answer)).last().unwrap();
            assert!(matches!(taken, Taken::Ended(Event::Broken(End::Rejoin(_)))), "{taken:?}");
        }
        assert!(matches!(following().message(Answer::Durable { lsn: 1 }), Taken::Lost(_)), "it has not begun");
        let second = frames().pop().unwrap();
        let gap = following().batch(&second, &mut |_| {});
        assert!(matches!(gap, Taken::Ended(Event::Broken(End::Rejoin(_)))), "{gap:?}");
    }
}

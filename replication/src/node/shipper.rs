//! Ships records to the vault: one term after another, and within each term one append stream after another.

use std::sync::Arc;

use tanist_db_core::clock::Monotonic;
use tanist_db_core::ids::{Epoch, Lsn};

use super::Shared;
use crate::EVENT;
use crate::repeats::Repeats;
use crate::role::Event;
use crate::stream::{AppendNews, ShipStep, Shipping};
use crate::wire::message::{Answer, Request};

/// What follows from what the vault has said on the stream.
#[derive(Debug, PartialEq, Eq)]
pub enum Shipped {
    /// Go on, and tell the machine, if there is something; there may be room to ship again.
    On(Option<Event>),
    /// The stream is over: tell the machine why.
    Over(Event),
    /// Records were refused, and nothing is wrong with the connection: [begin](Shipper::begin) again on it after
    /// [`REFUSED_PAUSE`](crate::limits::REFUSED_PAUSE).
    Again,
    /// The stream is of no further use; a fresh connection repeats what is not confirmed.
    Lost(String),
}

/// The shipper of one database process. What an older stream still brings is not for it.
#[derive(Debug)]
pub struct Shipper {
    shared: Arc<Shared>,
    /// What the vault has not confirmed outlives a stream, and not a term.
    pub(crate) term: Option<(Epoch, Shipping)>,
    refused: Repeats,
}

impl Shipper {
    /// One that ships nothing.
    #[must_use]
    pub fn new(shared: Arc<Shared>) -> Shipper {
        Shipper { shared, term: None, refused: Repeats::default() }
    }

    /// A stream begins, and any older one is over. Returns what opens it.
    pub fn begin(&mut self, epoch: Epoch) -> Request {
        if self.term.as_ref().is_none_or(|(own, _)| *own != epoch) {
            self.term = Some((epoch, Shipping::default()));
        }
        Request::Append { epoch: epoch.0 }
    }

    /// The term is over: what was not confirmed is forgotten.
    pub fn stop(&mut self) {
        self.term = None;
    }

    /// The next step. What it takes off the queue is accounted for.
    pub fn next(&mut self, now: Monotonic) -> ShipStep {
        let Some((_, shipping)) = &mut self.term else { return ShipStep::Wait };
        let (engine, serving) = (&self.shared.engine, &self.shared.serving);
        let step = shipping.next(engine.redo(), serving.is_awaited(), now);
        let taken = match &step {
            ShipStep::Fresh(_, bytes) => *bytes,
            ShipStep::Aside(batch, _) => batch.blob.len(),
            ShipStep::Again(_) | ShipStep::Wait | ShipStep::Gather => return step,
        };
        serving.room_freed();
        self.shared.note_log_bytes(taken);
        step
    }

    /// The vault has said this, all that is here at once.
    pub fn told(&mut self, answers: impl IntoIterator<Item = Answer>, now: Monotonic) -> Shipped {
        let Some((_, shipping)) = &mut self.term else { return Shipped::On(None) };
        let mut newest: Option<Lsn> = None;
        for answer in answers {
            match shipping.told(answer) {
                AppendNews::Durable(lsn) => newest = newest.max(Some(lsn)),
                AppendNews::Ended(event) => return Shipped::Over(event),
                AppendNews::Refused(why) => {
                    if let Some(times) = self.refused.happened(now, "") {
                        tracing::warn!(target: EVENT, "the vault takes no records: {why}{times}");
                    }
                    return Shipped::Again;
                }
                AppendNews::Lost(why) => return Shipped::Lost(format!("append stream: {why}")),
            }
        }
        Shipped::On(newest.map(|lsn| {
            self.shared.serving.advance_durable(lsn);
            Event::Durable { lsn }
        }))
    }
}

#[cfg(test)]
mod tests {
    use tanist_db_core::engine::{Engine, EngineOptions};

    use super::*;
    use crate::serving::Serving;

    const NOW: Monotonic = Monotonic(1_000_000);

    fn shipper() -> (Shipper, Arc<Shared>) {
        let engine = Engine::new(EngineOptions { shards: 2, ..EngineOptions::default() });
        let shared = Shared::new(Arc::new(engine), Serving::new());
        shared.engine.begin_epoch(Epoch(3)).unwrap();
        (Shipper::new(Arc::clone(&shared)), shared)
    }

    /// Steps until there is nothing to ship; how many frames left, and how many of them not for the first time.
    fn ship(shipper: &mut Shipper) -> (usize, usize) {
        let (mut frames, mut again) = (0, 0);
        let mut now = NOW;
        loop {
            match shipper.next(now) {
                ShipStep::Fresh(..) => frames += 1,
                ShipStep::Again(_) => (frames, again) = (frames + 1, again + 1),
                ShipStep::Gather => now = now.after(crate::limits::SHIP_GATHER),
                ShipStep::Wait => return (frames, again),
                ShipStep::Aside(..) => unreachable!("no record here is long"),
            }
        }
    }

    #[test]
    fn what_a_lost_stream_had_sent_is_sent_again_and_what_another_term_had_is_not() {
        let (mut shipper, shared) = shipper();
        assert_eq!(shipper.begin(Epoch(3)), Request::Append { epoch: 3 });
        assert_eq!(ship(&mut shipper), (0, 0), "the vault has not said where its log ends");
        let begun = shipper.told([Answer::AppendReady { durable: 0 }], NOW);
        assert_eq!(begun, Shipped::On(Some(Event::Durable { lsn: Lsn(0) })));
        assert_eq!(ship(&mut shipper), (1, 0));
        assert!(shared.log_bytes_since_cut() > 0 && shipper.bytes() > 0);
        shipper.begin(Epoch(3));
        shipper.told([Answer::AppendReady { durable: 0 }], NOW);
        assert_eq!(ship(&mut shipper), (1, 1));
        let confirmed = shipper.told([Answer::Durable { lsn: 1 }], NOW);
        assert_eq!(confirmed, Shipped::On(Some(Event::Durable { lsn: Lsn(1) })));
        assert_eq!((shared.serving.durable(), shipper.bytes()), (Lsn(1), 0));
        shared.engine.freeze();
        ship(&mut shipper);
        assert!(shipper.bytes() > 0);
        shipper.begin(Epoch(5));
        assert_eq!(shipper.bytes(), 0);
    }

    #[test]
    fn answers_that_are_here_together_are_told_once() {
        let (mut shipper, shared) = shipper();
        shipper.begin(Epoch(3));
        shipper.told([Answer::AppendReady { durable: 0 }], NOW);
        ship(&mut shipper);
        shared.engine.freeze();
        ship(&mut shipper);
        let told = shipper.told([Answer::Durable { lsn: 1 }, Answer::Durable { lsn: 2 }], NOW);
        assert_eq!(told, Shipped::On(Some(Event::Durable { lsn: Lsn(2) })));
    }

    #[test]
    fn a_full_disk_is_waited_for_on_the_same_connection_and_a_fence_is_not() {
        let (mut shipper, _) = shipper();
        shipper.begin(Epoch(3));
        assert_eq!(shipper.told([Answer::Refused { why: "full".to_owned() }], NOW), Shipped::Again);
        let fenced = shipper.told([Answer::Fenced { epoch: 4 }], NOW);
        assert_eq!(fenced, Shipped::Over(Event::Fenced { epoch: Epoch(4) }));
        assert!(matches!(shipper.told([Answer::ImageStored], NOW), Shipped::Lost(_)));
        shipper.stop();
        assert_eq!(shipper.told([Answer::Fenced { epoch: 4 }], NOW), Shipped::On(None), "it ships nothing");
        assert!(matches!(shipper.next(NOW), ShipStep::Wait));
    }
}

//! Log shipping: which records to send to the vault next, and what its answers mean. Covers one term's append streams, one after
//! another.
//!
//! Records are sent as soon as a client waits for one of them to become durable; those that nobody waits for (level `relaxed`)
//! may be batched for a moment. The first of a term, its epoch-start record, is not: no session waits for it yet, but all clients
//! do. While a frame is in flight the next one fills, so frames grow with the load.

use bytes::Bytes;
use tanist_db_core::clock::Monotonic;
use tanist_db_core::ids::{Epoch, Lsn};
use tanist_db_core::redo::RedoQueue;
use tanist_db_core::redo::batch::RedoBatch;

use super::window::{Unsealed, Window, WindowError};
use crate::limits::{
    SHIP_ASIDE_BYTES, SHIP_FRAME_BYTES, SHIP_FRAMES_MAX, SHIP_GATHER, SHIP_SMALL_BYTES, SHIP_WINDOW_BYTES,
};
use crate::role::{End, Event};
use crate::wire::frame::{FrameKind, HEADER_BYTES, seal_in_place};
use crate::wire::message::Answer;

/// What is to be done to ship on.
#[derive(Debug)]
pub enum ShipStep {
    /// Send this, which an older stream of this term may have sent already.
    Again(Bytes),
    /// Send this, which was taken off the queue just now: so many bytes of records.
    Fresh(Bytes, usize),
    /// Was taken off the queue just now. It is long: seal it where that keeps nobody waiting, then ask again.
    Aside(RedoBatch, Unsealed),
    /// Ask again when a record was appended, somebody begins to wait for one, or the vault has answered.
    Wait,
    /// The same, but after [`SHIP_GATHER`] in any case.
    Gather,
}

/// What an answer on the append stream means.
#[derive(Debug, PartialEq, Eq)]
pub enum AppendNews {
    /// Everything up to here is in the vault; there may be room to ship again.
    Durable(Lsn),
    /// The stream is over, and this is why.
    Ended(Event),
    /// The stream is over: the vault does not take its records now.
    Refused(String),
    /// The stream is of no further use; a fresh connection repeats what is not confirmed.
    Lost(String),
}

/// The shipper's state in one term.
#[derive(Debug, Default)]
pub struct Shipping {
    /// `None` until the vault has said where its log ends.
    pub(crate) window: Option<Window>,
    /// Records of this term have been taken off the queue.
    has_shipped: bool,
    gathered_since: Option<Monotonic>,
}

impl Shipping {
    /// The next step at `now`; `awaited`: somebody waits for a record to become durable.
    pub fn next(&mut self, redo: &RedoQueue, awaited: bool, now: Monotonic) -> ShipStep {
        let step = self.step(redo, awaited, now);
        if !matches!(step, ShipStep::Gather) {
            self.gathered_since = None;
        }
        step
    }

    fn step(&mut self, redo: &RedoQueue, awaited: bool, now: Monotonic) -> ShipStep {
        let Some(window) = &mut self.window else { return ShipStep::Wait };
        if let Some(frame) = window.take_unsent() {
            return ShipStep::Again(frame);
        }
        if window.has_unsent() {
            return ShipStep::Wait;
        }
        let queued = redo.queued_bytes();
        let gather = window.frames() >= SHIP_FRAMES_MAX && queued < SHIP_SMALL_BYTES as u64;
        if gather || !window.has_room() {
            return ShipStep::Wait;
        }
        if self.has_shipped
            && queued > 0
            && queued < SHIP_FRAME_BYTES as u64
            && !awaited
            && now.since(*self.gathered_since.get_or_insert(now)) < SHIP_GATHER
        {
            return ShipStep::Gather;
        }
        let Some(batch) = redo.take(SHIP_FRAME_BYTES) else { return ShipStep::Wait };
        self.has_shipped = true;
        let (first, last) = (Lsn(batch.first_lsn), Lsn(batch.first_lsn + batch.ends.len() as u64 - 1));
        let bytes = batch.blob.len();
        if bytes >= SHIP_ASIDE_BYTES {
            let unsealed = window.push_unsealed(first, last, bytes);
            return ShipStep::Aside(batch, unsealed);
        }
        window.push(first, last, sealed(&batch));
        window.take_unsent().map_or(ShipStep::Wait, |frame| ShipStep::Fresh(frame, bytes))
    }

    /// The vault has said this on the stream.
    pub fn told(&mut self, answer: Answer) -> AppendNews {
        let (lsn, confirmed) = match answer {
            Answer::AppendReady { durable } => (durable, self.begin(Lsn(durable))),
            Answer::Durable { lsn } => (lsn, self.window.as_mut().map_or(Ok(()), |window| window.confirm(Lsn(lsn)))),
            Answer::Fenced { epoch } => return AppendNews::Ended(Event::Fenced { epoch: Epoch(epoch) }),
            Answer::Refused { why } => return AppendNews::Refused(why),
            other => return AppendNews::Lost(format!("{other:?} on an append stream")),
        };
        match confirmed {
            Ok(()) => AppendNews::Durable(Lsn(lsn)),
            Err(error) => AppendNews::Ended(Event::Broken(End::Rejoin(error.to_string()))),
        }
    }

    /// A stream goes on after `durable`.
    fn begin(&mut self, durable: Lsn) -> Result<(), WindowError> {
        self.gathered_since = None;
        match &mut self.window {
            Some(window) => window.restart(durable),
            fresh => {
                *fresh = Some(Window::new(durable, SHIP_WINDOW_BYTES));
                Ok(())
            }
        }
    }
}

/// The frame of a batch.
#[must_use]
pub fn sealed(batch: &RedoBatch) -> Bytes {
    seal_in_place(FrameKind::Batch, batch.to_bytes_behind(HEADER_BYTES))
}

#[cfg(test)]
mod tests {
    use tanist_db_core::engine::{Engine, EngineOptions};

    use super::*;

    #[test]
    fn the_first_record_of_a_term_leaves_at_once_and_later_ones_gather() {
        let engine = Engine::new(EngineOptions { shards: 2, ..EngineOptions::default() });
        let mut shipping = Shipping::default();
        shipping.told(Answer::AppendReady { durable: 0 });
        let now = Monotonic(1_000_000);
        assert!(matches!(shipping.next(engine.redo(), false, now), ShipStep::Wait), "there is nothing to ship yet");
        engine.begin_epoch(Epoch(3)).unwrap();
        let first = shipping.next(engine.redo(), false, now);
        assert!(matches!(first, ShipStep::Fresh(..)), "the epoch-start record waits for company: {first:?}");

        engine.freeze();
        assert!(matches!(shipping.next(engine.redo(), false, now), ShipStep::Gather));
        assert!(matches!(shipping.next(engine.redo(), true, now), ShipStep::Fresh(..)), "somebody waits for this one");
    }
}

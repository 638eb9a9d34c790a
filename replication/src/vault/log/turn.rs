//! A turn of the log writer (group commit): a group of frames, and at most one order after it.
//!
//! Whatever waits when a turn ends forms the next one, so a single frame does not wait and many share one sync. Orders go through
//! the same queue: when one is done, everything accepted before it is on disk or refused.

use tanist_db_core::ids::Lsn;

use crate::limits::GROUP_BYTES_MAX;
use crate::vault::catalog::LeaseRecord;
use crate::vault::error::StorageError;
use crate::vault::log::segment::LogFrame;
use crate::vault::log::writer::{LogState, LogWriter};

/// Something that is done behind all frames that came before it. `B` and `L` are the ways back to whoever waits for it.
#[derive(Debug)]
pub enum LogOrder<B, L> {
    /// Return the state.
    Barrier(B),
    /// Remember the lease, durably.
    Lease {
        /// What to remember.
        record: LeaseRecord,
        /// Write the log's end into it first.
        seal: bool,
        /// Who waits.
        way: L,
    },
    /// Remove segments that contain nothing newer.
    Trim(Lsn),
}

/// An order that is done.
#[derive(Debug)]
pub enum Done<B, L> {
    /// Everything before it is on disk or refused: so the log stands.
    Barrier(B, LogState),
    /// The lease is remembered; the log's end.
    Lease(L, Lsn),
    /// Nobody waits for this.
    Trimmed,
}

/// What one turn is about.
#[derive(Debug)]
pub struct Turn<B, L> {
    frames: Vec<LogFrame>,
    bytes: usize,
    order: Option<LogOrder<B, L>>,
}

impl<B, L> Default for Turn<B, L> {
    fn default() -> Turn<B, L> {
        Turn { frames: Vec::new(), bytes: 0, order: None }
    }
}

impl<B, L> Turn<B, L> {
    /// Whether nothing more belongs to it.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.order.is_some() || self.bytes >= GROUP_BYTES_MAX
    }

    /// Takes the next thing that waits.
    pub fn frame(&mut self, frame: LogFrame) {
        debug_assert!(self.order.is_none(), "an order is the last of its turn");
        self.bytes += frame.bytes().len();
        self.frames.push(frame);
    }

    /// Takes the next thing that waits, which ends the turn.
    pub fn order(&mut self, order: LogOrder<B, L>) {
        debug_assert!(self.order.is_none(), "an order is the last of its turn");
        self.order = Some(order);
    }

    /// Its frames, which are [committed](LogWriter::commit) first, and the order, which is [obeyed](LogWriter::obey) then.
    #[must_use]
    pub fn into_parts(self) -> (Vec<LogFrame>, Option<LogOrder<B, L>>) {
        (self.frames, self.order)
    }
}

impl LogWriter {
    /// Does what an order wants: all frames before it are committed.
    ///
    /// # Errors
    /// If the disk or the catalog has failed.
    pub fn obey<B, L>(&mut self, order: LogOrder<B, L>) -> Result<Done<B, L>, StorageError> {
        Ok(match order {
            LogOrder::Barrier(way) => Done::Barrier(way, self.state().clone()),
            LogOrder::Lease { record, seal, way } => Done::Lease(way, self.put_lease(record, seal)?),
            LogOrder::Trim(through) => {
                self.trim(through);
                Done::Trimmed
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::vault::catalog::{CatalogMemory, Records};
    use crate::vault::disk::sim::DiskSim;
    use crate::vault::log::Log;
    use crate::vault::testing::frame;

    #[test]
    fn an_order_ends_a_turn_and_sees_all_frames_before_it() {
        let disk = DiskSim::new(1);
        let records = Records::new(Arc::new(CatalogMemory::default()));
        let mut writer = LogWriter::new(Log::open(Arc::new(disk), 3, 300).unwrap(), records);
        let mut turn = Turn::<u8, u8>::default();
        turn.frame(frame(1, 1, 2));
        turn.frame(frame(1, 3, 2));
        assert!(!turn.is_full());
        turn.order(LogOrder::Barrier(7));
        assert!(turn.is_full());
        let (frames, order) = turn.into_parts();
        writer.commit(frames).unwrap();
        let done = writer.obey(order.unwrap()).unwrap();
        let Done::Barrier(7, state) = done else { panic!("{done:?}") };
        assert_eq!(state.extent.durable, Lsn(4));
        let record = LeaseRecord { epoch: 2, ..LeaseRecord::default() };
        let done = writer.obey(LogOrder::<u8, u8>::Lease { record, seal: true, way: 8 }).unwrap();
        assert!(matches!(done, Done::Lease(8, Lsn(4))), "{done:?}");
    }

    #[test]
    fn a_group_is_bounded_by_its_bytes() {
        let mut turn = Turn::<u8, u8>::default();
        let long = frame(1, 1, 200_000);
        let mut frames = 0;
        while !turn.is_full() {
            turn.frame(long.clone());
            frames += 1;
        }
        assert_eq!(frames, GROUP_BYTES_MAX.div_ceil(long.bytes().len()));
    }
}

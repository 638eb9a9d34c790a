//! The send window: frames that are in flight to the vault.
//!
//! ```text
//!        durable                                 sent             last
//!   ------|--------- in flight: sent, kept --------|-- to send ----|   <- push
//! ```
//!
//! A frame is kept until the vault has confirmed it. After a reconnect everything that the vault does not have is sent again, in
//! order, starting right after what it has. So the vault never sees a gap, and it recognizes duplicates by their position.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use tanist_db_core::ids::Lsn;
use thiserror::Error;

/// What the vault has said contradicts what it said before, or what was sent. The process must end: its state and the log may
/// have parted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum WindowError {
    /// It confirms what it cannot have.
    #[error("the vault confirms record {confirmed}, but only records up to {sent} were sent to it")]
    Unsent {
        /// What it confirms.
        confirmed: Lsn,
        /// Newest record sent.
        sent: Lsn,
    },
    /// It no longer has what it had confirmed.
    #[error("the vault's log ends at {has}, but it had confirmed {confirmed}: it has lost records")]
    Lost {
        /// End of its log.
        has: Lsn,
        /// What it had confirmed.
        confirmed: Lsn,
    },
    /// Its log ends within a frame, which it writes whole or not at all.
    #[error("the vault's log ends at {has}, in the middle of the records {first} to {last} that were sent as one")]
    Torn {
        /// End of its log.
        has: Lsn,
        /// First record of the frame.
        first: Lsn,
        /// Last record of the frame.
        last: Lsn,
    },
}

/// The place of a frame that another thread seals. It keeps its turn meanwhile.
#[derive(Clone, Debug, Default)]
pub struct Unsealed(Arc<OnceLock<Bytes>>);

impl Unsealed {
    /// The frame is there. Whoever sends has to be woken.
    ///
    /// # Panics
    /// If called twice.
    pub fn fill(&self, frame: Bytes) {
        assert!(self.0.set(frame).is_ok(), "a frame is sealed once");
    }
}

#[derive(Debug)]
struct Kept {
    first: Lsn,
    last: Lsn,
    bytes: usize,
    frame: Arc<OnceLock<Bytes>>,
}

/// Frames that the vault has not confirmed.
#[derive(Debug)]
pub(crate) struct Window {
    frames: VecDeque<Kept>,
    /// How many of `frames`, from the front, have been sent on the present stream.
    sent: usize,
    /// Newest confirmed record; the first kept one follows it.
    durable: Lsn,
    /// Newest record pushed; `durable` when nothing is kept.
    last: Lsn,
    pub(crate) bytes: usize,
    bytes_max: usize,
}

impl Window {
    /// An empty window for records after `durable`, which keeps about `bytes_max`: it takes one more frame as long as it is
    /// below.
    #[must_use]
    pub(crate) fn new(durable: Lsn, bytes_max: usize) -> Window {
        Window { frames: VecDeque::new(), sent: 0, durable, last: durable, bytes: 0, bytes_max }
    }

    /// Whether another frame may be pushed.
    #[must_use]
    pub(crate) fn has_room(&self) -> bool {
        self.bytes < self.bytes_max
    }

    /// Frames kept.
    #[must_use]
    pub(crate) fn frames(&self) -> usize {
        self.frames.len()
    }

    /// Adds a sealed frame of the records `first` to `last`.
    ///
    /// # Panics
    /// If they do not follow what was pushed before.
    pub(crate) fn push(&mut self, first: Lsn, last: Lsn, frame: Bytes) {
        let bytes = frame.len();
        self.push_unsealed(first, last, bytes).fill(frame);
    }

    /// Adds the records `first` to `last`, of about `bytes`, whose frame is yet to be sealed.
    ///
    /// # Panics
    /// As [`Window::push`].
    pub(crate) fn push_unsealed(&mut self, first: Lsn, last: Lsn, bytes: usize) -> Unsealed {
        assert!(first == self.last.next() && last >= first, "records are shipped without a gap");
        self.bytes += bytes;
        self.last = last;
        let unsealed = Unsealed::default();
        self.frames.push_back(Kept { first, last, bytes, frame: Arc::clone(&unsealed.0) });
        unsealed
    }

    /// The next frame to send, which counts as sent; `None` also while it is not sealed yet.
    pub(crate) fn take_unsent(&mut self) -> Option<Bytes> {
        let frame = self.frames.get(self.sent)?.frame.get()?.clone();
        self.sent += 1;
        Some(frame)
    }

    /// Whether a frame is kept that has not been sent on the present stream.
    #[must_use]
    pub(crate) fn has_unsent(&self) -> bool {
        self.sent < self.frames.len()
    }

    /// A fresh stream begins behind `has`: nothing was sent on it yet.
    ///
    /// # Errors
    /// If the vault has less than it had confirmed, or more than was ever pushed.
    pub(crate) fn restart(&mut self, has: Lsn) -> Result<(), WindowError> {
        if has < self.durable {
            return Err(WindowError::Lost { has, confirmed: self.durable });
        }
        // What an older stream had sent may have arrived.
        self.sent = self.frames.len();
        let confirmed = self.confirm(has);
        self.sent = 0;
        confirmed
    }

    /// Everything up to `lsn` is in the vault: it is kept no longer. Confirmations behind the newest do nothing.
    ///
    /// # Errors
    /// If that was not sent, or ends within a frame.
    pub(crate) fn confirm(&mut self, lsn: Lsn) -> Result<(), WindowError> {
        if lsn <= self.durable {
            return Ok(());
        }
        let sent = self.sent.checked_sub(1).map_or(self.durable, |newest| self.frames[newest].last);
        if lsn > sent {
            return Err(WindowError::Unsent { confirmed: lsn, sent });
        }
        while let Some(front) = self.frames.front()
            && front.first <= lsn
        {
            if front.last > lsn {
                return Err(WindowError::Torn { has: lsn, first: front.first, last: front.last });
            }
            self.bytes -= front.bytes;
            self.sent -= 1;
            self.frames.pop_front();
        }
        self.durable = lsn;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(first: u64, last: u64) -> (Lsn, Lsn, Bytes) {
        (Lsn(first), Lsn(last), Bytes::from(vec![u8::try_from(first).unwrap(); 10]))
    }

    fn window() -> Window {
        let mut window = Window::new(Lsn(10), 25);
        for (first, last) in [(11, 13), (14, 14), (15, 19)] {
            let (first, last, bytes) = frame(first, last);
            window.push(first, last, bytes);
        }
        window
    }

    #[test]
    fn frames_leave_in_order_and_stay_until_confirmed() {
        let mut window = window();
        assert!(!window.has_room());
        let sent: Vec<u8> = std::iter::from_fn(|| window.take_unsent()).map(|bytes| bytes[0]).collect();
        assert_eq!(sent, [11, 14, 15]);
        window.confirm(Lsn(14)).unwrap();
        assert_eq!((window.durable, window.bytes, window.has_room()), (Lsn(14), 10, true));
        window.confirm(Lsn(12)).unwrap();
        assert_eq!(window.durable, Lsn(14));
        window.confirm(Lsn(19)).unwrap();
        assert_eq!(window.bytes, 0);
    }

    #[test]
    fn a_frame_in_the_making_keeps_its_turn() {
        let mut window = Window::new(Lsn(10), 100);
        let unsealed = window.push_unsealed(Lsn(11), Lsn(11), 60);
        let (first, last, later) = frame(12, 12);
        window.push(first, last, later);
        assert!(window.take_unsent().is_none() && window.has_unsent() && window.bytes == 70);
        window.restart(Lsn(10)).unwrap();
        unsealed.fill(Bytes::from_static(&[11]));
        let sent: Vec<u8> = std::iter::from_fn(|| window.take_unsent()).map(|bytes| bytes[0]).collect();
        assert_eq!((sent, window.has_unsent()), (vec![11, 12], false));
        window.confirm(Lsn(12)).unwrap();
        assert_eq!(window.bytes, 0);
    }

    #[test]
    fn a_fresh_stream_goes_on_right_after_what_the_vault_has() {
        let mut window = window();
        while window.take_unsent().is_some() {}
        window.confirm(Lsn(13)).unwrap();
        window.restart(Lsn(14)).unwrap();
        let sent: Vec<u8> = std::iter::from_fn(|| window.take_unsent()).map(|bytes| bytes[0]).collect();
        assert_eq!(sent, [15], "14 had arrived although its confirmation had not");
        window.restart(Lsn(14)).unwrap();
        assert_eq!(window.take_unsent().unwrap()[0], 15);
        window.restart(Lsn(19)).unwrap();
        assert_eq!((window.take_unsent(), window.bytes), (None, 0));
    }

    #[test]
    fn contradictions_are_found() {
        let mut window = window();
        window.take_unsent();
        assert_eq!(window.confirm(Lsn(14)), Err(WindowError::Unsent { confirmed: Lsn(14), sent: Lsn(13) }));
        assert_eq!(window.confirm(Lsn(12)), Err(WindowError::Torn { has: Lsn(12), first: Lsn(11), last: Lsn(13) }));
        window.confirm(Lsn(13)).unwrap();
        assert_eq!(window.restart(Lsn(12)), Err(WindowError::Lost { has: Lsn(12), confirmed: Lsn(13) }));
        assert_eq!(window.restart(Lsn(20)), Err(WindowError::Unsent { confirmed: Lsn(20), sent: Lsn(19) }));
    }

    #[test]
    #[should_panic(expected = "without a gap")]
    fn a_gap_is_a_broken_promise_of_our_own() {
        let (first, last, bytes) = frame(21, 22);
        window().push(first, last, bytes);
    }

    /// Random pushes, sends, confirmations and reconnects against a model vault: it sees every record once and in order.
    #[test]
    fn the_vault_sees_every_record_in_order_whatever_is_lost() {
        for seed in 0..200_u64 {
            let mut random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
            let mut roll = |n: u64| {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                random % n
            };
            let mut window = Window::new(Lsn(0), 1_000);
            let (mut pushed, mut vault) = (0_u64, 0_u64);
            let mut wire: VecDeque<u64> = VecDeque::new();
            for _ in 0..400 {
                match roll(10) {
                    0..=3 if window.has_room() => {
                        let last = pushed + 1 + roll(5);
                        window.push(Lsn(pushed + 1), Lsn(last), Bytes::copy_from_slice(&last.to_le_bytes()));
                        pushed = last;
                    }
                    4..=6 => wire.extend(window.take_unsent().map(|b| u64::from_le_bytes(b[..].try_into().unwrap()))),
                    7 => {
                        vault = wire.pop_front().map_or(vault, |last| {
                            assert!(last > vault, "seed {seed}: sent again what this stream had");
                            last
                        })
                    }
                    8 => window.confirm(Lsn(vault)).unwrap(),
                    9 if roll(4) == 0 => {
                        wire.clear();
                        window.restart(Lsn(vault)).unwrap();
                    }
                    _ => {}
                }
            }
            wire.extend(
                std::iter::from_fn(|| window.take_unsent()).map(|b| u64::from_le_bytes(b[..].try_into().unwrap())),
            );
            if let Some(last) = wire.back() {
                vault = *last;
            }
            assert_eq!(vault, pushed, "seed {seed}");
        }
    }
}

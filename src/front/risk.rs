//! Level `relaxed`: bounds the acknowledged writes that a takeover may lose, in bytes and time, by making further writes wait.
//!
//! Exact accounting would need the size of every record until it is durable. Instead a *checkpoint* is
//! taken at the log's end; once it is durable, everything counted before it is durable too, and the next checkpoint is taken. So
//! the reported amounts are never too small, and too large by at most one round trip to the vault.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tanist_db_core::clock::Monotonic;
use tanist_db_core::ids::Lsn;

/// Counts bytes that were written and are not yet confirmed.
#[derive(Debug, Default)]
pub struct Risk {
    /// Bytes of executed write requests, ever.
    written: AtomicU64,
    checkpoints: Mutex<Checkpoints>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Checkpoint {
    lsn: Lsn,
    written: u64,
    at: Monotonic,
}

#[derive(Debug, Default)]
struct Checkpoints {
    /// All that was counted when it was set is durable.
    safe: Checkpoint,
    /// Not known to be durable.
    next: Option<Checkpoint>,
}

/// What would be lost if the node died now, at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AtRisk {
    /// Bytes of write requests.
    pub bytes: u64,
    /// Age of the oldest.
    pub time: Duration,
    /// Once this is durable the amounts are smaller.
    pub until: Lsn,
}

impl Risk {
    /// Write requests of `bytes` have been executed.
    pub fn wrote(&self, bytes: u64) {
        self.written.fetch_add(bytes, Ordering::Relaxed);
    }

    /// What is at risk at `now`, `last` being the log's end and `durable` what the vault has.
    #[must_use]
    pub fn at(&self, last: Lsn, durable: Lsn, now: Monotonic) -> AtRisk {
        let written = self.written.load(Ordering::Relaxed);
        let here = Checkpoint { lsn: last, written, at: now };
        let mut checkpoints = self.checkpoints.lock();
        if durable >= last {
            *checkpoints = Checkpoints { safe: here, next: None };
            return AtRisk { bytes: 0, time: Duration::ZERO, until: last };
        }
        let next = match checkpoints.next {
            Some(next) if durable < next.lsn => next,
            reached => {
                if let Some(reached) = reached {
                    checkpoints.safe = reached;
                }
                checkpoints.next = Some(here);
                here
            }
        };
        let safe = checkpoints.safe;
        AtRisk { bytes: written.saturating_sub(safe.written), time: now.since(safe.at), until: next.lsn }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Monotonic {
        Monotonic(millis * 1000)
    }

    #[test]
    fn what_is_at_risk_is_never_told_too_small() {
        let risk = Risk::default();
        assert_eq!(risk.at(Lsn(5), Lsn(5), ms(10)).bytes, 0);
        risk.wrote(100); // records 6..=7
        let told = risk.at(Lsn(7), Lsn(5), ms(20));
        assert_eq!(told, AtRisk { bytes: 100, time: Duration::from_millis(10), until: Lsn(7) });
        risk.wrote(50); // record 8
        assert_eq!(risk.at(Lsn(8), Lsn(6), ms(30)).bytes, 150);
        // The checkpoint at 7 is durable: its 100 bytes are safe, and the next one is at 8.
        let told = risk.at(Lsn(8), Lsn(7), ms(40));
        assert_eq!(told, AtRisk { bytes: 50, time: Duration::from_millis(20), until: Lsn(8) });
        assert_eq!(risk.at(Lsn(8), Lsn(8), ms(50)).bytes, 0);
        // A long silence does not count as risk.
        risk.wrote(1);
        assert_eq!(risk.at(Lsn(8), Lsn(8), ms(9000)).bytes, 0);
        risk.wrote(1);
        assert!(risk.at(Lsn(9), Lsn(8), ms(9001)).time <= Duration::from_millis(1));
    }
}

//! When to take an image.
//!
//! An image writes all data once more, so it pays off when the log has grown as large as the data. Then images cost at most as
//! much as the log itself, and a start replays at most as much as it loads.

use std::time::Duration;

use tanist_db_core::clock::Monotonic;
use tanist_db_core::ids::Lsn;

use crate::limits::IMAGE_RETRY;

/// A plain schedule: one image at a time, each when enough log has gathered or enough time has passed since the last.
#[derive(Debug)]
pub struct ImagePlan {
    interval: Duration,
    log_bytes: u64,
    under_way: bool,
    /// The last one was not stored.
    owed: bool,
    /// Somebody asks for one.
    wanted: bool,
    /// The log's end right after the newest cut, or at the beginning of the term.
    at: Lsn,
    since: Monotonic,
    not_before: Monotonic,
}

impl ImagePlan {
    /// At most `interval` between two, and none before `log_bytes` of log otherwise.
    #[must_use]
    pub fn new(interval: Duration, log_bytes: u64) -> ImagePlan {
        let never = Monotonic(0);
        ImagePlan {
            interval,
            log_bytes,
            under_way: false,
            owed: false,
            wanted: false,
            at: Lsn::ZERO,
            since: never,
            not_before: never,
        }
    }

    /// This node is primary from now on.
    pub fn became_primary(&mut self, now: Monotonic, last: Lsn) {
        (self.at, self.since, self.under_way, self.owed, self.wanted) = (last, now, false, false, false);
    }

    /// One is due as soon as none is under way, whether anything was written or not.
    pub fn want(&mut self) {
        self.wanted = true;
    }

    /// Whether to freeze now, with `log_bytes` since the last cut and as many `data_bytes`; if so, counts it as done: the cut's
    /// own record follows `last`.
    pub fn take_due(&mut self, now: Monotonic, last: Lsn, log_bytes: u64, data_bytes: u64) -> bool {
        let long = log_bytes >= self.log_bytes.max(data_bytes);
        let changed = last > self.at && (long || now.since(self.since) >= self.interval);
        let due = (changed || self.owed) && now >= self.not_before;
        let take = (due || self.wanted) && !self.under_way;
        if take {
            (self.at, self.since, self.under_way) = (last.next(), now, true);
            (self.owed, self.wanted) = (false, false);
        }
        take
    }

    /// The image is in the vault.
    pub fn stored(&mut self) {
        self.under_way = false;
    }

    /// It is not; the next is due soon.
    pub fn failed(&mut self, now: Monotonic) {
        (self.under_way, self.owed) = (false, true);
        self.not_before = now.after(IMAGE_RETRY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    fn plan() -> ImagePlan {
        let mut plan = ImagePlan::new(Duration::from_secs(60), 1_000);
        plan.became_primary(Monotonic(SECOND), Lsn(10));
        plan
    }

    #[test]
    fn an_image_is_due_after_enough_log_or_enough_time_if_anything_was_written() {
        let mut plan = plan();
        assert!(!plan.take_due(Monotonic(2 * SECOND), Lsn(20), 999, 500));
        assert!(!plan.take_due(Monotonic(2 * SECOND), Lsn(20), 1_000, 1_001), "less log than data");
        assert!(plan.take_due(Monotonic(2 * SECOND), Lsn(20), 1_000, 500));
        plan.stored();
        assert!(!plan.take_due(Monotonic(62 * SECOND), Lsn(21), 10, 500), "only the cut itself was written");
        assert!(plan.take_due(Monotonic(62 * SECOND), Lsn(22), 10, 500));
    }

    #[test]
    fn one_at_a_time_and_a_failed_one_is_repeated_after_a_pause() {
        let mut plan = plan();
        assert!(plan.take_due(Monotonic(2 * SECOND), Lsn(20), 5_000, 500));
        assert!(!plan.take_due(Monotonic(3 * SECOND), Lsn(30), 5_000, 500));
        plan.failed(Monotonic(4 * SECOND));
        assert!(!plan.take_due(Monotonic(4 * SECOND), Lsn(30), 0, 500));
        assert!(plan.take_due(Monotonic(4 * SECOND).after(IMAGE_RETRY), Lsn(30), 0, 500));
    }

    #[test]
    fn one_that_is_asked_for_is_due_behind_the_one_under_way() {
        let mut plan = plan();
        plan.want();
        assert!(plan.take_due(Monotonic(2 * SECOND), Lsn(10), 0, 500), "nothing was written");
        plan.want();
        assert!(!plan.take_due(Monotonic(3 * SECOND), Lsn(11), 0, 500), "one at a time");
        plan.failed(Monotonic(4 * SECOND));
        assert!(plan.take_due(Monotonic(4 * SECOND), Lsn(11), 0, 500), "nobody waits for the pause");
        plan.stored();
        assert!(!plan.take_due(Monotonic(5 * SECOND), Lsn(12), 0, 500), "it was asked for once");
    }
}

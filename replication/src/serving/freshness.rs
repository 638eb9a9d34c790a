//! How old the data of a standby are at most.
//!
//! The standby asks the vault, again and again, how far the log is durable. Whatever was acknowledged before it asked (at level `durable`) is
//! in the log up to the position that it is told. Once it has applied the log up to there, its data are those of the moment at which it
//! asked, or newer ones.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tanist_db_core::clock::Monotonic;
use tanist_db_core::ids::Lsn;

/// What is known of it; see the module's text.
#[derive(Debug, Default)]
pub struct Freshness {
    wanted: AtomicBool,
    as_of: AtomicU64,
    /// Since when this node, a standby, has been asking; zero: it does not.
    asking_since: AtomicU64,
    answers: Mutex<Answers>,
}

/// Answers of the vault up to whose positions nothing was applied yet: each the position, and when it was asked for.
#[derive(Debug, Default)]
struct Answers {
    /// Kept until it counts, so that one counts at last, however far the standby is behind.
    first: Option<(Lsn, Monotonic)>,
    newest: Option<(Lsn, Monotonic)>,
}

impl Freshness {
    /// Whether anybody reads here while this node is a standby: only then does it ask.
    pub fn want(&self, wanted: bool) {
        self.wanted.store(wanted, Ordering::Relaxed);
    }

    /// Whether anybody does.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }

    /// All that was acknowledged before this moment is in this node's data; zero: nothing is known.
    #[must_use]
    pub fn as_of(&self) -> Monotonic {
        // Acquire: whoever reads it also sees what was applied before.
        Monotonic(self.as_of.load(Ordering::Acquire))
    }

    /// How long the node has been asking at `now`: so long at least nothing has been missed for want of a question.
    #[must_use]
    pub fn asking_for(&self, now: Monotonic) -> Duration {
        match self.asking_since.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            since => now.since(Monotonic(since)),
        }
    }

    /// The node asks from now on, or does not.
    pub fn asks(&self, asks: bool, now: Monotonic) {
        let since = self.asking_since.load(Ordering::Relaxed);
        if asks != (since > 0) {
            self.asking_since.store(if asks { now.0.max(1) } else { 0 }, Ordering::Relaxed);
        }
    }

    /// All that was acknowledged before `moment` is in this node's data.
    pub(super) fn proven(&self, moment: Monotonic) {
        self.as_of.fetch_max(moment.0, Ordering::AcqRel);
    }

    /// The vault, asked at `asked`, has said that the log is durable up to `durable`. `applied` returns the newest record applied.
    pub fn told(&self, asked: Monotonic, durable: Lsn, applied: impl FnOnce() -> Lsn) {
        let mut answers = self.answers.lock();
        let place = if answers.first.is_none() { &mut answers.first } else { &mut answers.newest };
        *place = Some((durable, asked));
        // Under the lock: what is applied after this look finds the answer.
        self.settle(&mut answers, applied());
    }

    /// The log is applied up to `lsn`.
    pub(crate) fn applied(&self, lsn: Lsn) {
        self.settle(&mut self.answers.lock(), lsn);
    }

    fn settle(&self, answers: &mut Answers, applied: Lsn) {
        while let Some((_, asked)) = answers.first.filter(|(durable, _)| *durable <= applied) {
            self.proven(asked);
            answers.first = answers.newest.take();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_counts_once_the_log_is_applied_up_to_it() {
        let freshness = Freshness::default();
        assert_eq!(freshness.as_of(), Monotonic(0), "nothing is known");
        freshness.told(Monotonic(10), Lsn(5), || Lsn(4));
        freshness.applied(Lsn(4));
        assert_eq!(freshness.as_of(), Monotonic(0));
        freshness.applied(Lsn(5));
        assert_eq!(freshness.as_of(), Monotonic(10));
        freshness.told(Monotonic(20), Lsn(5), || Lsn(5));
        assert_eq!(freshness.as_of(), Monotonic(20), "it was there already");
    }

    #[test]
    fn of_many_answers_the_first_and_the_newest_count() {
        let freshness = Freshness::default();
        for (asked, durable) in [(10, 5), (20, 50), (30, 70)] {
            freshness.told(Monotonic(asked), Lsn(durable), || Lsn(1));
        }
        freshness.applied(Lsn(60));
        assert_eq!(freshness.as_of(), Monotonic(10), "that far it is behind");
        freshness.applied(Lsn(70));
        assert_eq!(freshness.as_of(), Monotonic(30));
    }
}

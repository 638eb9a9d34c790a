//! When a standby may claim: its own count of the primary's lease.

use std::time::Duration;

use tanist_db_core::clock::Monotonic;

use crate::limits::CLAIM_PAUSE;

/// When a standby asks for the lease. Asking too early costs one refused call, whose answer corrects the count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Watcher {
    /// The lease runs out here unless it is renewed; zero: it has ended, or nothing is known.
    ends: Monotonic,
    /// Earliest next claim.
    next_claim: Monotonic,
    asked: bool,
}

impl Watcher {
    /// News of the lease, as it stood when the vault sent it.
    pub fn told(&mut self, now: Monotonic, remaining: Duration) {
        self.ends = if remaining.is_zero() { Monotonic(0) } else { now.after(remaining) };
    }

    /// A newer epoch was granted: the pause after claims of the older one is over.
    pub fn new_epoch(&mut self) {
        self.next_claim = Monotonic(0);
    }

    /// The claim that was sent has been answered, or will not be.
    pub fn answered(&mut self) {
        self.asked = false;
    }

    /// When to ask, unless a claim is under way.
    #[must_use]
    pub fn claim_at(&self) -> Option<Monotonic> {
        (!self.asked).then(|| self.ends.max(self.next_claim))
    }

    /// Whether to ask now; if so, counts it as sent.
    pub fn take_due(&mut self, now: Monotonic) -> bool {
        let due = self.claim_at().is_some_and(|at| now >= at);
        if due {
            self.asked = true;
            self.next_claim = now.after(CLAIM_PAUSE);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_live_lease_is_waited_out_and_an_ended_one_claimed_at_once() {
        let mut watcher = Watcher::default();
        watcher.told(Monotonic(1_000_000), Duration::from_millis(500));
        assert_eq!(watcher.claim_at(), Some(Monotonic(1_500_000)));
        assert!(!watcher.take_due(Monotonic(1_499_999)));
        watcher.told(Monotonic(1_200_000), Duration::ZERO);
        assert!(watcher.take_due(Monotonic(1_200_000)), "an obituary ended it");
    }

    #[test]
    fn one_claim_at_a_time_and_refusals_do_not_make_a_storm() {
        let mut watcher = Watcher::default();
        assert!(watcher.take_due(Monotonic(1_000_000)));
        assert_eq!(watcher.claim_at(), None);
        watcher.answered();
        watcher.told(Monotonic(1_000_100), Duration::ZERO);
        assert!(!watcher.take_due(Monotonic(1_000_200)));
        assert!(watcher.take_due(Monotonic(1_000_000).after(CLAIM_PAUSE)));
    }
}

//! When may a node act as primary, and when may another try to become it.
//!
//! The vault grants a lease, times it by its own clock, and never extends or ends it but by one of: a renewal by its holder,
//! its length running out, its holder's giving it up or handing it over, or the obituary of its holder's process. Two plain
//! values count along, each on its own side and each erring to the safe one:
//!
//! ```text
//!             sent            received                                     the vault's end
//!   vault      |                 |<---------------- length -------------------->|
//!   holder     |<---------- length - margin ----------->| stops here
//!   watcher                                                  told "remaining"   | asks to claim here
//! ```
//!
//! The [`Holder`] counts from the moment it *sent* what was granted, which is before the vault began to count, and stops a
//! margin earlier: it has stopped before anyone else can be granted the lease, even if its clock is a little slow. The
//! [`Watcher`] counts from the moment the news *arrived*, which is later than the vault's count. It may be wrong in both
//! directions without harm: it only decides when to ask, and the vault decides who gets it.
//!
//! A lease says *when* a node may serve. *Whether* its records are accepted is the epoch's matter, checked by the vault with each
//! append: a holder that does not notice the time passing (a paused process, a wild clock) can answer no write after it was
//! replaced, because no write becomes durable.

mod holder;
mod watcher;

use std::time::Duration;

pub use holder::Holder;
pub use watcher::Watcher;

/// Lengths that follow from the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LeaseTimes {
    /// As the vault grants it.
    pub length: Duration,
    /// Between two renewals.
    pub renew_every: Duration,
}

impl LeaseTimes {
    /// By how much the holder stops early: a sixteenth. Clocks of two machines differ by less than a thousandth; the rest is for
    /// the time between a look at the clock and what is done because of it.
    #[must_use]
    pub fn margin(&self) -> Duration {
        self.length / 16
    }

    /// A vault that has not answered for so long is tried on a fresh connection.
    #[must_use]
    pub fn silence(&self) -> Duration {
        self.renew_every * 3
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_connection_is_given_up_while_the_lease_can_still_be_renewed_on_a_fresh_one() {
        let times = LeaseTimes::of(Duration::from_millis(1_600));
        assert_eq!(times.silence(), Duration::from_millis(600));
        let renewal_lost_right_after_one_that_was_granted = times.renew_every;
        let left = times.length - times.margin() - times.silence() - renewal_lost_right_after_one_that_was_granted;
        assert!(left >= times.silence(), "a second attempt takes as long: {left:?}");
    }
}

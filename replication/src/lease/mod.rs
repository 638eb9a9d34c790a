//! The lease: when a node may act as primary, and when another node may try to become primary.
//!
//! The vault grants a lease and times it by its own clock. A lease is extended only by a renewal of its holder. It ends when its
//! time is over, when its holder releases it or hands it over, or when the supervisor reports the death of the holder's process
//! (obituary). Two values track the remaining time, one on each node, and each errs on the safe side:
//!
//! ```text
//!             sent            received                                     the vault's end
//!   vault      |                 |<---------------- length -------------------->|
//!   holder     |<---------- length - margin ----------->| stops here
//!   watcher                                                  told "remaining"   | asks to claim here
//! ```
//!
//! The [`Holder`] (on the primary) counts from the moment it *sent* the request, which is before the vault began to count, and
//! stops a margin earlier. So it has stopped before anyone else can be granted the lease, even if its clock is a little slow. The
//! [`Watcher`] (on the standby) counts from the moment the notification *arrived*, which is later than the vault's count. It may
//! be wrong in both directions without harm: it only decides when to ask; the vault decides who gets the lease.
//!
//! A lease says *when* a node may serve. *Whether* its records are accepted depends on the epoch, which the vault checks with
//! each append. A holder that does not notice that time passes (a paused process, a wrong clock) cannot confirm a write after it
//! was replaced, because none becomes durable.

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

//! How long the primary may still serve: the holder's own, cautious count of its lease.

use tanist_db_core::clock::Monotonic;

use super::LeaseTimes;

/// How long the holder may serve, and when to renew.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Holder {
    times: LeaseTimes,
    /// Serves before this moment only; never goes back.
    until: Monotonic,
    renew_at: Monotonic,
}

impl Holder {
    /// A lease that was asked for at `sent` and granted.
    #[must_use]
    pub fn granted(times: LeaseTimes, sent: Monotonic) -> Holder {
        let mut holder = Holder { times, until: Monotonic(0), renew_at: sent.after(times.renew_every) };
        holder.renewed(sent);
        holder
    }

    /// A renewal that was sent at `sent` has been confirmed. Answers may come in any order.
    pub fn renewed(&mut self, sent: Monotonic) {
        self.until = self.until.max(sent.after(self.times.length - self.times.margin()));
    }

    /// End of the right to serve.
    #[must_use]
    pub fn until(&self) -> Monotonic {
        self.until
    }

    /// When to send the next renewal.
    #[must_use]
    pub fn renew_at(&self) -> Monotonic {
        self.renew_at
    }

    /// Whether to send a renewal now; if so, counts it as sent.
    pub fn take_due(&mut self, now: Monotonic) -> bool {
        let due = now >= self.renew_at;
        if due {
            self.renew_at = now.after(self.times.renew_every);
        }
        due
    }

    /// The next renewal is due at once: the connection is a new one.
    pub fn hurry(&mut self, now: Monotonic) {
        self.renew_at = self.renew_at.min(now);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn times() -> LeaseTimes {
        LeaseTimes::of(Duration::from_millis(1_600))
    }

    #[test]
    fn validity_counts_from_the_sending_and_ends_a_margin_early() {
        let mut holder = Holder::granted(times(), Monotonic(1_000));
        assert_eq!(holder.until(), Monotonic(1_000 + 1_500_000));
        holder.renewed(Monotonic(201_000));
        assert_eq!(holder.until(), Monotonic(1_701_000));
        holder.renewed(Monotonic(101_000));
        assert_eq!(holder.until(), Monotonic(1_701_000), "an older answer that comes late takes nothing away");
    }

    #[test]
    fn renewals_are_spaced_and_a_fresh_connection_hurries() {
        let mut holder = Holder::granted(times(), Monotonic(0));
        assert!(!holder.take_due(Monotonic(199_999)));
        assert!(holder.take_due(Monotonic(200_000)));
        assert!(!holder.take_due(Monotonic(200_001)));
        holder.hurry(Monotonic(200_002));
        assert!(holder.take_due(Monotonic(200_002)));
        assert_eq!(holder.renew_at(), Monotonic(400_002));
    }

    /// The vault begins to count when the request arrives, which is never before it was sent; with clocks that differ by less
    /// than the margin the holder has always stopped when the vault's lease ends.
    #[test]
    fn the_holder_stops_first_even_with_a_slow_clock() {
        let times = times();
        for delay_us in [0, 50, 700_000] {
            for slow_by_thousandths in [0, 1, 60] {
                let vault_end = delay_us + times.length.as_micros();
                let holder = Holder::granted(times, Monotonic(0));
                let stops_at = u128::from(holder.until().0) * (1_000 + slow_by_thousandths) / 1_000;
                assert!(stops_at < vault_end, "delay {delay_us} us, slow by {slow_by_thousandths}/1000");
            }
        }
    }
}

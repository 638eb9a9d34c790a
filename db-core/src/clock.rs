//! The clock abstraction, through which all time enters. Code that decides takes a `now` argument; only drivers have a [`Clock`].

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

/// Wall time in milliseconds since 1970-01-01 UTC: what expiry is counted in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixMillis(pub u64);

/// Time since the process's clock was made, in microseconds: never goes back, means nothing to another process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Monotonic(pub u64);

impl Monotonic {
    /// This moment and `by` more; saturates.
    #[must_use]
    pub fn after(self, by: Duration) -> Monotonic {
        Monotonic(self.0.saturating_add(u64::try_from(by.as_micros()).unwrap_or(u64::MAX)))
    }

    /// Time from `earlier` to this moment; zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Monotonic) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

/// A source of both times.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Wall time, which may jump.
    fn unix(&self) -> UnixMillis;
    /// Elapsed time, which may not.
    fn monotonic(&self) -> Monotonic;
}

/// The machine's clocks.
#[derive(Debug)]
pub struct SystemClock {
    origin: Duration,
    /// Added to wall time, in milliseconds.
    shift: i64,
}

impl SystemClock {
    /// A clock whose monotonic time starts near zero now.
    #[must_use]
    pub fn new() -> Self {
        Self { origin: since_boot(), shift: 0 }
    }

    /// The same clock with a wall time that is off by `shift` milliseconds, as that of a machine that nobody has set.
    #[must_use]
    pub fn shifted(self, shift: i64) -> Self {
        Self { shift, ..self }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the seam")]
    fn unix(&self) -> UnixMillis {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX).saturating_add_signed(self.shift))
    }

    fn monotonic(&self) -> Monotonic {
        Monotonic(u64::try_from(since_boot().saturating_sub(self.origin).as_micros()).unwrap_or(u64::MAX))
    }
}

/// Counts on while the machine is suspended, as [`std::time::Instant`] does not: a lease runs out meanwhile.
fn since_boot() -> Duration {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    const CLOCK: ClockId = ClockId::Boottime;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    const CLOCK: ClockId = ClockId::Monotonic;
    clock_gettime(CLOCK).try_into().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shifted_clock_is_off_in_wall_time_alone() {
        let (right, late) = (SystemClock::new(), SystemClock::new().shifted(-3_600_000));
        let hour_before = right.unix().0 - 3_600_000;
        assert!((hour_before..hour_before + 60_000).contains(&late.unix().0));
        assert!(late.monotonic().since(right.monotonic()) < Duration::from_secs(60));
    }
}

//! The true time of a run, and the inaccurate clocks of its machines.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use tanist_db_core::clock::{Clock, Monotonic, UnixMillis};

/// True time: microseconds since the run began. Nobody in the cluster knows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

impl Time {
    /// This moment and `by` more.
    #[must_use]
    pub fn after(self, by: Duration) -> Time {
        Time(self.0 + by.as_micros() as u64)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>10.3} ms", self.0 as f64 / 1e3)
    }
}

/// What all machines' clocks are made of.
#[derive(Clone, Debug, Default)]
pub(crate) struct TrueTime(Arc<AtomicU64>);

impl TrueTime {
    pub(crate) fn set(&self, now: Time) {
        self.0.store(now.0, Ordering::Relaxed);
    }
}

/// Wall time of the first moment.
const UNIX_START_MS: i64 = 1_700_000_000_000;

/// A machine's clocks: the monotonic one runs a little fast or slow, the wall clock may jump.
#[derive(Debug)]
pub(crate) struct MachineClock {
    time: TrueTime,
    origin: u64,
    /// By how many millionths it runs fast.
    fast_ppm: i64,
    wall_off_ms: AtomicI64,
}

impl MachineClock {
    pub(crate) fn new(time: TrueTime, origin: u64, fast_ppm: i64) -> Arc<MachineClock> {
        Arc::new(MachineClock { time, origin, fast_ppm, wall_off_ms: AtomicI64::new(0) })
    }

    /// The wall clock jumps.
    pub(crate) fn jump(&self, by_ms: i64) {
        self.wall_off_ms.fetch_add(by_ms, Ordering::Relaxed);
    }

    /// What this machine's monotonic clock shows at `time`.
    fn local(&self, time: u64) -> u64 {
        let scaled = i128::from(time) * i128::from(1_000_000 + self.fast_ppm) / 1_000_000;
        self.origin + scaled as u64
    }

    /// The true time at which this machine's clock has reached `local`.
    pub(crate) fn when(&self, local: Monotonic) -> Time {
        let past = i128::from(local.0.saturating_sub(self.origin));
        let per = i128::from(1_000_000 + self.fast_ppm);
        Time(((past * 1_000_000 + per - 1) / per) as u64)
    }
}

impl Clock for MachineClock {
    fn unix(&self) -> UnixMillis {
        let true_ms = (self.time.0.load(Ordering::Relaxed) / 1_000) as i64;
        UnixMillis((UNIX_START_MS + true_ms + self.wall_off_ms.load(Ordering::Relaxed)) as u64)
    }

    fn monotonic(&self) -> Monotonic {
        Monotonic(self.local(self.time.0.load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_never_fires_before_its_moment_on_the_own_clock() {
        for fast_ppm in [-30_000, -7, 0, 13, 30_000] {
            let time = TrueTime::default();
            let clock = MachineClock::new(time.clone(), 5_000_000, fast_ppm);
            for local in (5_000_000..5_100_000).step_by(37) {
                let when = clock.when(Monotonic(local));
                time.set(when);
                assert!(clock.monotonic().0 >= local && clock.monotonic().0 <= local + 2, "{fast_ppm} {local}");
            }
        }
    }
}

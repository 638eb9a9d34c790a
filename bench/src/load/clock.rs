//! The clock of a run. A benchmark measures real time; nothing else in the project reads it this way.

use std::time::{Duration, Instant};

/// Microseconds since the run began.
#[derive(Clone, Copy)]
pub(crate) struct Clock(Instant);

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn micros(&self) -> u64 {
        self.0.elapsed().as_micros() as u64
    }

    pub(crate) fn seconds(&self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}

/// Lets time pass: between two looks at a server, never on a thread that makes load.
#[expect(clippy::disallowed_methods, reason = "no arbiter runs here")]
pub(crate) fn pause(millis: u64) {
    std::thread::sleep(Duration::from_millis(millis));
}

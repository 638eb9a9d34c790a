//! The clock of a server process.

use tanist_db_core::clock::SystemClock;

/// Milliseconds by which the wall clock of a process is off: what tests of a cluster whose machines disagree about the time set.
/// Leases do not know wall time; expiry and certificates do.
const SHIFT: &str = "TANIST_CLOCK_SHIFT_MS";

/// The machine's clock, off by as much as the environment says.
#[must_use]
pub fn machine() -> SystemClock {
    let shift = std::env::var(SHIFT).ok().and_then(|text| text.parse().ok());
    SystemClock::new().shifted(shift.unwrap_or(0))
}

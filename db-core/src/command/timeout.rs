//! How long a blocking command waits.

use std::time::Duration;

use crate::engine::call::Failure;
use crate::limits::BLOCK_TIMEOUT_MAX;

/// The time that a blocking command waits, in seconds; 0: forever.
pub(super) fn timeout(arg: &[u8]) -> Result<Option<Duration>, Failure> {
    let seconds = seconds(arg).ok_or(Failure::fixed("ERR timeout is not a float or out of range"))?;
    if seconds < 0.0 {
        return Err(Failure::fixed("ERR timeout is negative"));
    }
    let timeout = Duration::try_from_secs_f64(seconds).ok().filter(|timeout| *timeout <= BLOCK_TIMEOUT_MAX);
    let timeout = timeout.ok_or(Failure::fixed("ERR timeout is out of range"))?;
    // Redis counts milliseconds, and rounds up.
    Ok((seconds > 0.0).then(|| timeout.max(Duration::from_millis(1))))
}

/// A number of seconds, perhaps with a fraction.
pub(super) fn seconds(arg: &[u8]) -> Option<f64> {
    std::str::from_utf8(arg).ok().and_then(|text| text.parse().ok()).filter(|number: &f64| !number.is_nan())
}

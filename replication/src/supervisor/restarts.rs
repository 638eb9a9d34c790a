//! Backoff before a process is restarted.

use std::time::Duration;

use crate::limits::{RESTART_PAUSE_MAX, RESTART_PAUSE_MIN, RESTART_STEADY};

/// Counts consecutive starts that ended early, of any process that is kept running.
#[derive(Debug, Default)]
pub struct Restarts {
    short_lives: u32,
}

impl Restarts {
    /// The pause after a process that has `lived`. One death is answered at once; a process that keeps dying of its start is
    /// started ever more rarely.
    pub fn pause(&mut self, lived: Duration) -> Duration {
        self.short_lives = if lived >= RESTART_STEADY { 0 } else { self.short_lives + 1 };
        match self.short_lives {
            0 | 1 => Duration::ZERO,
            repeated => RESTART_PAUSE_MIN.saturating_mul(1 << (repeated - 2).min(10)).min(RESTART_PAUSE_MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_death_is_answered_at_once_and_a_row_of_them_ever_more_slowly() {
        let mut restarts = Restarts::default();
        let mut pause = |lived_ms| restarts.pause(Duration::from_millis(lived_ms)).as_millis();
        assert_eq!([pause(60_000), pause(90_000)], [0, 0]);
        assert_eq!([pause(50), pause(50), pause(50), pause(50)], [0, 100, 200, 400]);
        assert_eq!([pause(50), pause(50), pause(50), pause(50), pause(50)], [800, 1_600, 3_200, 5_000, 5_000]);
        assert_eq!([pause(10_000), pause(50), pause(50)], [0, 0, 100]);
    }
}

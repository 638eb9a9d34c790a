//! Rate limit for repeated log events: the first is logged at once, then one line per interval says how many there were.
//! Otherwise a full disk would fill itself with messages about being full, and anyone who sends packets to a port could flood the
//! log.

use std::fmt;

use tanist_db_core::clock::Monotonic;

use crate::limits;

/// What has happened at one place of the program. An event that is another one than the newest is always told.
#[derive(Debug, Default)]
pub struct Repeats {
    what: String,
    untold: u64,
    /// The same event is not told again before this.
    next: Monotonic,
}

/// How often, for the end of a line; nothing if once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// Since it was last told, this time included.
    pub same: u64,
    /// The event before it, since that was last told.
    pub other: u64,
}

impl Repeats {
    /// `what` has happened. Returns how often, if it is to be told now. Where events differ in no way that matters, or outsiders
    /// choose the words, `what` is always the same.
    pub fn happened(&mut self, now: Monotonic, what: &str) -> Option<Times> {
        self.happened_times(now, what, 1)
    }

    /// The same for `times` at once.
    pub(crate) fn happened_times(&mut self, now: Monotonic, what: &str, times: u64) -> Option<Times> {
        let is_new = self.next == Monotonic::default() || self.what != what;
        let other = if is_new { std::mem::take(&mut self.untold) } else { 0 };
        self.untold += times;
        if !is_new && now < self.next {
            return None;
        }
        if is_new {
            what.clone_into(&mut self.what);
        }
        self.next = now.after(limits::REPEAT_LOG_EVERY);
        Some(Times { same: std::mem::take(&mut self.untold), other })
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.same > 1 {
            write!(f, " ({} times since it was last logged)", self.same)?;
        }
        if self.other > 0 {
            write!(f, " (the one before came {} times more)", self.other)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Monotonic {
        Monotonic(1 + ms * 1000)
    }

    /// A full disk had 300 lines a second in the log.
    #[test]
    fn the_first_is_told_at_once_and_then_a_line_an_interval_counts_them() {
        let mut repeats = Repeats::default();
        let told: Vec<_> = (0..25_000)
            .step_by(10)
            .filter_map(|ms| repeats.happened(at(ms), "no room").map(|times| (ms, times.to_string())))
            .collect();
        let again = " (1000 times since it was last logged)".to_owned();
        assert_eq!(told, [(0, String::new()), (10_000, again.clone()), (20_000, again)]);
    }

    #[test]
    fn another_event_is_told_at_once_and_says_what_was_left_untold() {
        let mut repeats = Repeats::default();
        assert_eq!(repeats.happened_times(at(0), "a", 3).unwrap().to_string(), " (3 times since it was last logged)");
        assert_eq!(repeats.happened(at(1), "a"), None);
        let other = repeats.happened(at(2), "b").unwrap();
        assert_eq!(
            (other, other.to_string().as_str()),
            (Times { same: 1, other: 1 }, " (the one before came 1 times more)")
        );
        assert_eq!(repeats.happened(at(3), "b"), None);
        assert_eq!(repeats.happened(at(20_000), "b"), Some(Times { same: 2, other: 0 }));
    }
}

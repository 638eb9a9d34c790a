//! When a node asks the vault something again and again: one request at a time, not too often, and never forgotten.

use std::time::Duration;

use tanist_db_core::clock::Monotonic;

/// What to do about a wish to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Ask.
    Now,
    /// Call [`Paced::late`] at that moment.
    At(Monotonic),
    /// Nothing: another request is under way, or will be.
    No,
}

/// Requests of one kind, on one connection after another.
#[derive(Debug)]
pub struct Paced {
    pause: Duration,
    under_way: bool,
    wanted: bool,
    /// No request leaves before this.
    next: Monotonic,
}

impl Paced {
    /// Requests that leave so far apart at least.
    #[must_use]
    pub fn new(pause: Duration) -> Paced {
        Paced { pause, under_way: false, wanted: false, next: Monotonic(0) }
    }

    /// A fresh connection: nothing is under way on it.
    pub fn reset(&mut self) {
        (self.under_way, self.wanted) = (false, false);
    }

    /// There is something to ask, or to tell.
    pub fn want(&mut self, now: Monotonic) -> Due {
        if self.under_way {
            self.wanted = true;
            return Due::No;
        }
        if now < self.next {
            let timed = std::mem::replace(&mut self.wanted, true);
            return if timed { Due::No } else { Due::At(self.next) };
        }
        (self.under_way, self.wanted, self.next) = (true, false, now.after(self.pause));
        Due::Now
    }

    /// The request under way was answered, or will not be.
    pub fn answered(&mut self, now: Monotonic) -> Due {
        self.under_way = false;
        self.late(now)
    }

    /// The moment named by [`Due::At`] has come.
    pub fn late(&mut self, now: Monotonic) -> Due {
        if !self.under_way && std::mem::take(&mut self.wanted) { self.want(now) } else { Due::No }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_spaced_and_none_is_forgotten() {
        let pause = Duration::from_millis(5);
        let mut reports = Paced::new(pause);
        let start = Monotonic(1_000_000);
        assert_eq!(reports.want(start), Due::Now);
        assert_eq!(reports.want(start), Due::No, "one is under way");
        assert_eq!(reports.answered(start), Due::At(start.after(pause)));
        assert_eq!(reports.want(start), Due::No, "one is to come");
        assert_eq!(reports.late(start.after(pause)), Due::Now);
        assert_eq!(reports.answered(start.after(pause)), Due::No);
    }
}

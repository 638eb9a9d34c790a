//! When a node reports its state to the vault: one report at a time, rate-limited, and the newest state is always sent in the
//! end.

use tanist_db_core::clock::Monotonic;

use crate::limits::REPORT_PAUSE;

/// What to do about a wish to report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportDue {
    /// Send a report.
    Now,
    /// Call [`Reports::late`] at that moment.
    At(Monotonic),
    /// Nothing: another is under way, or will be.
    No,
}

/// The reports of one connection after another.
#[derive(Debug, Default)]
pub struct Reports {
    under_way: bool,
    wanted: bool,
    /// No report leaves before this.
    next: Monotonic,
}

impl Reports {
    /// A fresh connection: nothing is under way on it.
    pub fn reset(&mut self) {
        (self.under_way, self.wanted) = (false, false);
    }

    /// There is something to tell.
    pub fn want(&mut self, now: Monotonic) -> ReportDue {
        if self.under_way {
            self.wanted = true;
            return ReportDue::No;
        }
        if now < self.next {
            let timed = std::mem::replace(&mut self.wanted, true);
            return if timed { ReportDue::No } else { ReportDue::At(self.next) };
        }
        (self.under_way, self.wanted, self.next) = (true, false, now.after(REPORT_PAUSE));
        ReportDue::Now
    }

    /// The report under way was answered, or will not be.
    pub fn answered(&mut self, now: Monotonic) -> ReportDue {
        self.under_way = false;
        self.late(now)
    }

    /// The moment named by [`ReportDue::At`] has come.
    pub fn late(&mut self, now: Monotonic) -> ReportDue {
        if !self.under_way && std::mem::take(&mut self.wanted) { self.want(now) } else { ReportDue::No }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_spaced_and_none_is_forgotten() {
        let mut reports = Reports::default();
        let start = Monotonic(1_000_000);
        assert_eq!(reports.want(start), ReportDue::Now);
        assert_eq!(reports.want(start), ReportDue::No, "one is under way");
        assert_eq!(reports.answered(start), ReportDue::At(start.after(REPORT_PAUSE)));
        assert_eq!(reports.want(start), ReportDue::No, "one is to come");
        assert_eq!(reports.late(start.after(REPORT_PAUSE)), ReportDue::Now);
        assert_eq!(reports.answered(start.after(REPORT_PAUSE)), ReportDue::No);
    }
}

//! Periodic work: reports to the vault, and a look at whether an image is due.

use tanist_db_core::clock::Monotonic;

use super::connection::Called;
use super::images::MAY_NOT;
use super::{Action, Driver, Timer};
use crate::node::ReportDue;
use crate::serving::Permit;
use crate::wire::message::Request;

impl<W> Driver<W> {
    /// There is something to tell the vault of how this node stands.
    pub(super) fn report(&mut self, now: Monotonic) {
        if self.connected {
            let due = self.reports.want(now);
            self.report_if(due, now);
        }
    }

    pub(super) fn report_if(&mut self, due: ReportDue, now: Monotonic) {
        match due {
            ReportDue::No => {}
            ReportDue::At(at) => self.actions.push(Action::Later(at, Timer::Report)),
            ReportDue::Now => self.call(Request::Report(self.shared.progress()), Called::Report, now),
        }
    }

    pub(super) fn beat(&mut self, data_bytes: u64, now: Monotonic) {
        self.report(now);
        // Nothing waits longer than this, should whoever appended a record, or gave room back, not have come to say so.
        self.shared.engine.redo().wake();
        self.shared.serving.room_freed();
        if self.shared.serving.may_execute(now) == Permit::Yes {
            self.freeze_if_due(data_bytes, now);
        } else {
            self.no_image(MAY_NOT);
        }
    }
}

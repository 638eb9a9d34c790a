//! Periodic work: reports to the vault, and a look at whether an image is due.

use tanist_db_core::clock::Monotonic;

use super::connection::Called;
use super::images::MAY_NOT;
use super::{Action, Driver, Timer};
use crate::node::Due;
use crate::serving::{Permit, Role};
use crate::wire::message::Request;

impl<W> Driver<W> {
    /// There is something to tell the vault of how this node stands.
    pub(super) fn report(&mut self, now: Monotonic) {
        if self.connected {
            let due = self.reports.want(now);
            self.report_if(due, now);
        }
    }

    pub(super) fn report_if(&mut self, due: Due, now: Monotonic) {
        match due {
            Due::No => {}
            Due::At(at) => self.actions.push(Action::Later(at, Timer::Report)),
            Due::Now => self.call(Request::Report(self.shared.progress()), Called::Report, now),
        }
    }

    /// A standby whose clients read here must know how old its data are.
    pub(super) fn ask_position(&mut self, now: Monotonic) {
        let serving = &self.shared.serving;
        let asks = serving.role() == Role::Standby && serving.freshness().is_wanted();
        serving.freshness().asks(asks, now);
        if self.connected && asks {
            let due = self.positions.want(now);
            self.ask_position_if(due, now);
        }
    }

    pub(super) fn ask_position_if(&mut self, due: Due, now: Monotonic) {
        match due {
            Due::No => {}
            Due::At(at) => self.actions.push(Action::Later(at, Timer::Position)),
            Due::Now => self.call(Request::Position, Called::Position, now),
        }
    }

    pub(super) fn beat(&mut self, data_bytes: u64, now: Monotonic) {
        self.report(now);
        self.ask_position(now);
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

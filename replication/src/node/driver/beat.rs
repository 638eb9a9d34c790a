//! Periodic work: reports to the vault, and images.

use tanist_db_core::clock::Monotonic;

use super::connection::Called;
use super::{Action, Driver, Note, SiblingOrder, Timer};
use crate::node::{Due, ImageReport};
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
        }
    }

    fn freeze_if_due(&mut self, data_bytes: u64, now: Monotonic) {
        let (last, log_bytes) = (self.shared.engine.last(), self.shared.log_bytes_since_cut());
        if self.connected && self.plan.take_due(now, last, log_bytes, data_bytes) {
            self.actions.push(Action::Order(SiblingOrder::Carry(self.machine.epoch())));
        }
    }

    pub(super) fn carried(&mut self, result: Result<ImageReport, String>, now: Monotonic) {
        let mut figures = self.shared.figures.lock();
        figures.image_failed = result.is_err();
        match result {
            Ok(report) => {
                figures.images_stored += 1;
                figures.last_image = Some(report);
                self.plan.stored();
                self.actions.push(Action::Note(Note::ImageStored(report)));
            }
            // Not even a newer epoch is news here: the append stream and the lease tell it, and of the right term.
            Err(why) => {
                figures.images_failed += 1;
                self.plan.failed(now);
                let times = self.images_failed.happened(now, "");
                self.actions.push(Action::Note(Note::ImageFailed { why, times }));
            }
        }
    }
}

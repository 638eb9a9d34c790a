//! Images: when one is made, and who waits for it.

use tanist_db_core::clock::Monotonic;

use super::{Action, Driver, Note, Performed, SiblingOrder};
use crate::limits::IMAGE_ASKERS_MAX;
use crate::node::ImageReport;
use crate::serving::Permit;

/// Why a node makes no image.
pub(super) const MAY_NOT: &str = "this node must not execute for now";

impl<W> Driver<W> {
    pub(super) fn freeze_if_due(&mut self, data_bytes: u64, now: Monotonic) {
        let (last, log_bytes) = (self.shared.engine.last(), self.shared.log_bytes_since_cut());
        if self.connected && self.plan.take_due(now, last, log_bytes, data_bytes) {
            self.shared.figures.lock().image_since = Some(now);
            self.actions.push(Action::Order(SiblingOrder::Carry(self.machine.epoch())));
        }
    }

    pub(super) fn carried(&mut self, result: Result<ImageReport, String>, now: Monotonic) {
        let mut figures = self.shared.figures.lock();
        figures.image_failed = result.is_err();
        figures.image_since = None;
        match result {
            Ok(report) => {
                figures.images_stored += 1;
                figures.last_image = Some(report);
                self.plan.stored();
                drop(figures);
                self.actions.push(Action::Note(Note::ImageStored(report)));
                self.image_stored(report, now);
            }
            // Not even a newer epoch is news here: the append stream and the lease tell it, and of the right term.
            Err(why) => {
                figures.images_failed += 1;
                self.plan.failed(now);
                drop(figures);
                self.no_image(&why);
                let times = self.images_failed.happened(now, "");
                self.actions.push(Action::Note(Note::ImageFailed { why, times }));
            }
        }
    }

    /// Somebody asks for an image of all that there is now; those who ask while one is under way share the next.
    pub(super) fn image_asked(&mut self, way: W, now: Monotonic) {
        let refused = if self.shared.serving.may_execute(now) != Permit::Yes {
            MAY_NOT
        } else if self.image_askers.len() >= IMAGE_ASKERS_MAX {
            "too many wait for an image already"
        } else {
            self.image_askers.push((self.shared.engine.last(), way));
            self.plan.want();
            return self.freeze_if_due(0, now);
        };
        self.actions.push(Action::Reply(way, Err(refused.to_owned())));
    }

    fn image_stored(&mut self, report: ImageReport, now: Monotonic) {
        let (done, waiting): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.image_askers).into_iter().partition(|(last, _)| last.0 <= report.cut);
        self.image_askers = waiting;
        self.actions.extend(done.into_iter().map(|(_, way)| Action::Reply(way, Ok(Performed::Image(report)))));
        if !self.image_askers.is_empty() && self.shared.serving.may_execute(now) == Permit::Yes {
            self.freeze_if_due(0, now);
        }
    }

    /// Nobody who waits for an image gets one.
    pub(super) fn no_image(&mut self, why: &str) {
        let askers = std::mem::take(&mut self.image_askers).into_iter();
        self.actions.extend(askers.map(|(_, way)| Action::Reply(way, Err(why.to_owned()))));
    }
}

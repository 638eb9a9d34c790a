//! When the role driver has an image made, and what became of it.

use actix::{Context, Handler};

use super::RoleDriver;
use crate::EVENT;
use crate::actors::transfer::{Carried, Carry};

impl RoleDriver {
    pub(super) fn freeze_if_due(&mut self) {
        let now = self.now();
        let log_bytes = self.shared.log_bytes_since_cut();
        let (Some(client), Some(siblings)) = (self.link.clone(), &self.siblings) else { return };
        let data_bytes = self.shared.engine.memory_bytes();
        if !self.plan.take_due(now, self.shared.engine.last(), log_bytes, data_bytes) {
            return;
        }
        if siblings.transfer.try_send(Carry { client, epoch: self.machine.epoch() }).is_err() {
            self.image_failed("the transfer takes no orders");
        }
    }

    fn image_failed(&mut self, why: &str) {
        if let Some(times) = self.lines.image.happened(self.now(), "") {
            tracing::warn!(target: EVENT, "image not stored: {why}{times}");
        }
        let mut figures = self.shared.figures.lock();
        figures.images_failed += 1;
        figures.image_failed = true;
        drop(figures);
        self.plan.failed(self.now());
    }
}

impl Handler<Carried> for RoleDriver {
    type Result = ();

    fn handle(&mut self, Carried(result): Carried, _: &mut Context<Self>) {
        match result {
            Ok(report) => {
                self.plan.stored();
                tracing::info!(
                    "image at record {} stored: {:.1} MB, {:.0} MB/s",
                    report.cut,
                    report.bytes as f64 / 1e6,
                    report.bytes as f64 / report.took_us.max(1) as f64
                );
                let mut figures = self.shared.figures.lock();
                figures.images_stored += 1;
                figures.image_failed = false;
                figures.last_image = Some(report);
            }
            // Not even a newer epoch is news here: the append stream and the lease tell it, and of the right office.
            Err(why) => self.image_failed(&why),
        }
    }
}

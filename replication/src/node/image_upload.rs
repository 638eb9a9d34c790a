//! The steps of an image upload: freeze a version (take a snapshot), send it to the vault, report the outcome.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tanist_db_core::clock::{Clock, Monotonic};
use tanist_db_core::ids::{Epoch, ShardId};
use tanist_db_core::image::FrozenVersion;

use super::Shared;
use crate::stream::{Carrying, Heard, Load};
use crate::wire::message::{Answer, Request};

/// An image that was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ImageReport {
    /// Log position that it contains exactly.
    pub cut: u64,
    /// Its bytes.
    pub bytes: u64,
    /// From the first chunk to the vault's confirmation, in microseconds.
    pub took_us: u64,
}

impl ImageReport {
    /// For people.
    #[must_use]
    pub fn words(&self) -> String {
        let (megabytes, rate) = (self.bytes as f64 / 1e6, self.bytes as f64 / self.took_us.max(1) as f64);
        format!("image at record {} stored: {megabytes:.1} MB, {rate:.0} MB/s", self.cut)
    }
}

/// Why nothing was frozen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotFrozen {
    /// A long command holds this shard: try again when it is free.
    Busy(ShardId),
    /// The upload is over, in words.
    Over(String),
}

/// What follows from the vault's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Uploaded {
    /// The vault takes chunks: send the [next](ImageUpload::next_load) and so on.
    Ready,
    /// The image is stored.
    Stored(ImageReport),
}

/// One image, from the order to make it to its end. Each step that fails ends it, with the sentence that says why.
#[derive(Debug)]
pub struct ImageUpload {
    shared: Arc<Shared>,
    epoch: Epoch,
    begun: Monotonic,
    /// `None` until a version is frozen.
    carrying: Option<Carrying>,
}

impl ImageUpload {
    /// An image that is to be made under `epoch`.
    #[must_use]
    pub fn new(shared: Arc<Shared>, epoch: Epoch) -> ImageUpload {
        ImageUpload { shared, epoch, begun: Monotonic::default(), carrying: None }
    }

    /// What becomes of an upload that is stopped: it belongs to a term that is over.
    pub fn stopped() -> Result<ImageReport, String> {
        Err("the term in which it was frozen is over".to_owned())
    }

    /// Fixes a version, which may keep `memory_percent` of the memory in use a second time, and notes how long commands waited for
    /// it. A freeze appends a record, so it counts as executing.
    ///
    /// # Errors
    /// If nothing is frozen.
    pub fn try_freeze(&self, clock: &dyn Clock, memory_percent: u16) -> Result<FrozenVersion, NotFrozen> {
        let Shared { engine, serving, .. } = &*self.shared;
        let Ok(_executing) = serving.enter(clock.monotonic()) else {
            return Err(NotFrozen::Over("this node must not execute for now".to_owned()));
        };
        let (version, pause) = Carrying::try_freeze(engine, clock, memory_percent).map_err(NotFrozen::Busy)?;
        self.shared.note_cut();
        self.shared.figures.lock().froze(pause);
        tracing::info!("frozen at record {} in {} us; the image is on its way", version.cut(), pause.as_micros());
        Ok(version)
    }

    /// Begins to carry `version`; returns what opens the stream.
    pub fn carry(&mut self, version: FrozenVersion, now: Monotonic) -> Request {
        let carrying = Carrying::new(version, self.epoch, self.shared.engine.memory_bytes(), now);
        self.begun = now;
        self.carrying.insert(carrying).opening()
    }

    /// What to send next; nothing while the vault has not answered, or after the end.
    pub fn next_load(&mut self) -> Option<Load> {
        let load = self.carrying.as_mut()?.next_load();
        // A chunk's pages are given back: whoever waits for memory may find some.
        if matches!(load, Some(Load::Chunk(_))) {
            self.shared.serving.room_freed();
        }
        load
    }

    /// How long to wait after a chunk before the next.
    pub fn pause(&mut self, now: Monotonic) -> Option<Duration> {
        self.carrying.as_mut()?.pause(&self.shared.engine, now)
    }

    /// The vault has said this on the stream.
    ///
    /// # Errors
    /// In words, why the image is not stored.
    pub fn told(&mut self, answer: Answer, now: Monotonic) -> Result<Uploaded, String> {
        let Some(carrying) = &mut self.carrying else { return Err("nothing is frozen".to_owned()) };
        Ok(match carrying.told(answer)? {
            Heard::Ready => Uploaded::Ready,
            Heard::Stored => {
                let took_us = u64::try_from(now.since(self.begun).as_micros()).unwrap_or(u64::MAX);
                Uploaded::Stored(ImageReport { cut: carrying.cut().0, bytes: carrying.bytes(), took_us })
            }
        })
    }
}

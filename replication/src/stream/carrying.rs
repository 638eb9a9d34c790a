//! An image upload to the vault: what to send next, and what the vault's answers mean.

use std::time::Duration;

use bytes::Bytes;
use tanist_db_core::clock::{Clock, Monotonic};
use tanist_db_core::engine::Engine;
use tanist_db_core::ids::{Epoch, Lsn, ShardId};
use tanist_db_core::image::{FrozenVersion, ImageWalk};

use super::pace::Pace;
use crate::limits::FROZEN_BYTES_MIN;
use crate::wire::frame::{FrameKind, seal};
use crate::wire::message::{Answer, Request};

/// One image, from its freeze to the vault's word that it is stored.
#[derive(Debug)]
pub struct Carrying {
    epoch: Epoch,
    cut: Lsn,
    stage: Stage,
    pace: Pace,
    chunk: Vec<u8>,
    chunks: u32,
    bytes: u64,
}

#[derive(Debug)]
enum Stage {
    /// The vault has not said yet that it takes the image.
    Asking(ImageWalk),
    Sending(ImageWalk),
    /// All of it is sent, and the version given back.
    Ending,
}

/// What to send next.
#[derive(Debug)]
pub enum Load {
    /// The next chunk, sealed. When it is on its way, [`Carrying::pause`] says how long to wait before the next.
    Chunk(Bytes),
    /// There are no more chunks: this, once.
    End(Request),
}

/// What an answer means; the image has failed if it is neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// The vault takes the chunks.
    Ready,
    /// The image is in the vault.
    Stored,
}

impl Carrying {
    /// Fixes a version of `engine` for an image, which may keep `memory_percent` of the memory in use a second time; also tells
    /// how long commands waited for it.
    ///
    /// # Errors
    /// With a shard that a long command holds, to wait for: nothing is frozen.
    pub fn try_freeze(
        engine: &Engine,
        clock: &dyn Clock,
        memory_percent: u16,
    ) -> Result<(FrozenVersion, Duration), ShardId> {
        let share = engine.memory_bytes() / 100 * u64::from(memory_percent);
        engine.set_frozen_bytes_max(share.max(FROZEN_BYTES_MIN));
        engine.warm();
        engine.try_freeze(clock)
    }

    /// Begins to carry `version`, frozen under `epoch`, of about `bytes`.
    #[must_use]
    pub fn new(version: FrozenVersion, epoch: Epoch, bytes: u64, now: Monotonic) -> Carrying {
        let cut = version.cut();
        let stage = Stage::Asking(version.into_chunks());
        Carrying { epoch, cut, stage, pace: Pace::new(now, bytes), chunk: Vec::new(), chunks: 0, bytes: 0 }
    }

    /// The log position that the image contains exactly.
    #[must_use]
    pub fn cut(&self) -> Lsn {
        self.cut
    }

    /// Bytes of the chunks so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The request that opens the stream.
    #[must_use]
    pub fn opening(&self) -> Request {
        Request::ImagePut { epoch: self.epoch.0, cut: self.cut.0 }
    }

    /// What to send next; nothing while the vault has not answered.
    pub fn next_load(&mut self) -> Option<Load> {
        let Stage::Sending(walk) = &mut self.stage else { return None };
        if walk.next_chunk(&mut self.chunk) {
            self.chunks += 1;
            self.bytes += self.chunk.len() as u64;
            return Some(Load::Chunk(seal(FrameKind::Chunk, &self.chunk)));
        }
        self.stage = Stage::Ending;
        Some(Load::End(Request::ImageEnd { chunks: self.chunks, bytes: self.bytes }))
    }

    /// How long to wait before the next chunk: briefly, the more is kept a second time for the image. Where writes copy pages, some are
    /// at hand for the next copies then.
    pub fn pause(&mut self, engine: &Engine, now: Monotonic) -> Option<Duration> {
        let held = engine.frozen_bytes();
        if held > 0 {
            engine.warm();
        }
        self.pace.sent(self.chunk.len() as u64, now, held, engine.frozen_bytes_max())
    }

    /// What `answer` means.
    ///
    /// # Errors
    /// In words, why the image is not stored.
    pub fn told(&mut self, answer: Answer) -> Result<Heard, String> {
        match (std::mem::replace(&mut self.stage, Stage::Ending), answer) {
            (Stage::Asking(walk), Answer::ImageReady) => {
                self.stage = Stage::Sending(walk);
                Ok(Heard::Ready)
            }
            (Stage::Ending, Answer::ImageStored) => Ok(Heard::Stored),
            (_, Answer::Fenced { epoch }) => Err(format!("epoch {epoch} has begun")),
            (_, Answer::Refused { why }) => Err(why),
            (_, other) => Err(format!("{other:?} on an image's stream")),
        }
    }
}

#[cfg(test)]
mod tests {
    use tanist_db_core::clock::SystemClock;
    use tanist_db_core::engine::EngineOptions;

    use super::*;

    fn carrying(engine: &Engine) -> Carrying {
        let (version, _) = Carrying::try_freeze(engine, &SystemClock::new(), 25).unwrap();
        Carrying::new(version, Epoch(3), engine.memory_bytes(), Monotonic(0))
    }

    fn engine() -> Engine {
        Engine::new(EngineOptions { shards: 2, ..EngineOptions::default() })
    }

    #[test]
    fn chunks_leave_once_the_vault_is_ready_and_are_counted_at_the_end() {
        let engine = engine();
        let mut carrying = carrying(&engine);
        assert_eq!(carrying.opening(), Request::ImagePut { epoch: 3, cut: carrying.cut().0 });
        assert!(carrying.next_load().is_none(), "the vault has not answered");
        assert_eq!(carrying.told(Answer::ImageReady), Ok(Heard::Ready));
        let mut sent = 0;
        let end = loop {
            match carrying.next_load().unwrap() {
                Load::Chunk(_) => sent += 1,
                Load::End(end) => break end,
            }
        };
        assert!(sent > 0);
        assert_eq!(end, Request::ImageEnd { chunks: sent, bytes: carrying.bytes() });
        assert!(carrying.next_load().is_none());
        assert_eq!(engine.frozen_bytes(), 0, "the version is given back before the vault has stored it");
        assert_eq!(carrying.told(Answer::ImageStored), Ok(Heard::Stored));
    }

    #[test]
    fn an_answer_out_of_its_order_is_no_success() {
        let engine = engine();
        let outcomes = |answers: Vec<Answer>| {
            let mut carrying = carrying(&engine);
            answers.into_iter().map(|answer| carrying.told(answer)).last().unwrap()
        };
        assert!(outcomes(vec![Answer::ImageStored]).is_err(), "nothing was sent");
        assert!(outcomes(vec![Answer::ImageReady, Answer::ImageStored]).is_err(), "not all was sent");
        assert!(outcomes(vec![Answer::ImageReady, Answer::ImageReady]).is_err());
        assert_eq!(outcomes(vec![Answer::Fenced { epoch: 9 }]), Err("epoch 9 has begun".to_owned()));
        assert_eq!(outcomes(vec![Answer::Refused { why: "full".to_owned() }]), Err("full".to_owned()));
    }
}

//! COPY and RENAME of values, at once or in pieces.

use super::Data;
use crate::effect::{CopyStep, Effect};
use crate::engine::call::Failure;
use crate::engine::pieces::{CopyInPieces, CopyNames};
use crate::keyspace::Key;

impl Data<'_> {
    /// Makes `to` have the value of the existing `from`, expiry included; with `renames` `from` is gone.
    ///
    /// # Errors
    /// As [`change`](Self::change); or with [`Failure::LARGE`] if it is to be copied in pieces before.
    pub(crate) fn copy(&mut self, from: Key<'_>, to: Key<'_>, renames: bool) -> Result<(), Failure> {
        let at_once = if renames { Effect::Rename { from, to } } else { Effect::Copy { from, to } };
        if !self.takes_pieces(&from, &to, renames) {
            return self.act(at_once);
        }
        let earlier = self.scratch.copy.as_deref();
        if let Some(made_in) = earlier.and_then(|copy| copy.complete(&self.shards, (&from, &to), self.now)) {
            return self.act(Effect::CopyStep { from, to, made_in, step: CopyStep::End { renames } });
        }
        if earlier.is_some_and(CopyInPieces::is_given_up) {
            return self.act(at_once);
        }
        self.scratch.wanted = Some(CopyNames::new(&from, &to));
        Err(Failure::LARGE)
    }

    /// Whether the value of `from` is large and has to be copied.
    fn takes_pieces(&self, from: &Key<'_>, to: &Key<'_>, renames: bool) -> bool {
        let Some(at_once) = self.scratch.copied_at_once else { return false };
        let keyspace = &self.shards.of(from.hash).keyspace;
        let is_large = keyspace.get(from).is_some_and(|entry| entry.bytes_to_read() > at_once);
        let stays = || self.shards.are_one(from.hash, to.hash) && keyspace.can_rename(&keyspace.locate(from), to);
        is_large && !(renames && stays())
    }
}

//! Buffers that a session reuses from command to command, so that a command needs no allocation.

use super::pieces::{CopyInPieces, CopyNames};
use crate::effect::{Effect, KeyEffect, RecordWriter};
use crate::keyspace::Key;
use crate::limits::SCRATCH_BYTES_KEPT;
use crate::random::SplitMix64;

/// Buffers and dice of one session.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    pub(super) log: Log,
    dice: SplitMix64,
    /// Values of more bytes are copied in pieces, if they are at all.
    pub(super) copied_at_once: Option<u64>,
    /// The command that copies a large value in pieces.
    pub(super) copy: Option<Box<CopyInPieces>>,
    /// The copy that the command being executed wants.
    pub(super) wanted: Option<CopyNames>,
}

impl Scratch {
    pub(super) fn new(seed: u64) -> Scratch {
        Scratch { dice: SplitMix64(seed), ..Scratch::default() }
    }

    /// The command wants a copy in pieces, again if there is one. No shard lock is held.
    #[cold]
    pub(super) fn want_copy(&mut self) {
        if let Some(names) = self.wanted.take() {
            self.copy = Some(Box::new(CopyInPieces::wanted(names, self.copy.take())));
        }
    }

    /// The next number of a sequence that looks random ; it decides nothing that is replayed.
    pub(super) fn roll(&mut self) -> u64 {
        self.dice.next()
    }
}

/// Empties `buffer`, keeping its memory unless one command has made it large: there may be many sessions.
#[inline]
pub(super) fn clear<T>(buffer: &mut Vec<T>) {
    buffer.clear();
    if buffer.capacity() * size_of::<T>() > SCRATCH_BYTES_KEPT {
        *buffer = Vec::new();
    }
}

/// The record in the making.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) record: RecordWriter,
    /// Hashes of the keys written.
    pub(super) hashes: Vec<u64>,
    /// Every key was written.
    pub(super) all: bool,
}

impl Log {
    #[inline]
    pub(super) fn clear(&mut self) {
        self.record.clear();
        clear(self.record.bytes());
        clear(&mut self.hashes);
        self.all = false;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.record.len() == 0
    }

    #[inline]
    pub(super) fn push_change(&mut self, bytes_max: usize, key: &Key<'_>, change: &impl KeyEffect) {
        self.record.push_change_of(bytes_max, key, change);
        self.hashes.push(key.hash);
    }

    pub(super) fn push(&mut self, effect: &Effect<'_>) {
        self.record.push(effect);
        self.hashes.extend(effect.keys().into_iter().flatten().map(|key| key.hash));
        self.all |= effect.is_of_all();
    }
}

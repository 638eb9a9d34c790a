//! The results of key lookups.

use crate::arena::Ref;
use crate::structure::table::Found;
use crate::value::record::Head;

use super::read::{Entry, find};
use super::{Key, Keyspace};

/// A key that was looked up: once, for all that is read and changed there. Should something else have changed the shard meanwhile, it is
/// looked up again.
#[derive(Clone, Copy, Debug)]
pub struct Located<'k> {
    key: Key<'k>,
    found: Option<Found>,
    /// The keyspace's [`version`](Keyspace) when it was looked up.
    version: u32,
}

impl<'k> Located<'k> {
    /// The key.
    #[inline]
    #[must_use]
    pub fn key(&self) -> &Key<'k> {
        &self.key
    }
}

impl Keyspace {
    /// Looks a key up.
    #[inline]
    #[must_use]
    pub fn locate<'k>(&self, key: &Key<'k>) -> Located<'k> {
        Located { key: *key, found: find(&self.arena, key), version: self.version }
    }

    /// Whether there is an entry at `at`, expired or not.
    #[inline]
    #[must_use]
    pub fn holds(&self, at: &Located<'_>) -> bool {
        self.found(at).is_some()
    }

    /// The entry at `at`, expired or not.
    #[inline]
    #[must_use]
    pub fn entry(&self, at: &Located<'_>) -> Option<Entry<'_>> {
        self.found(at).map(|found| Entry::at(&self.arena, found.at))
    }

    /// The record at `at` and its header.
    #[inline]
    pub(crate) fn record(&self, at: &Located<'_>) -> Option<(Ref, Head)> {
        self.found(at).map(|found| (found.at, Head::of(self.arena.page(found.at.page()), found.at)))
    }

    #[inline]
    pub(super) fn found(&self, at: &Located<'_>) -> Option<Found> {
        if at.version == self.version { at.found } else { find(&self.arena, &at.key) }
    }

    /// Notes that the entry at `at` is `found` after a change.
    #[inline]
    pub(super) fn moved(&mut self, at: &mut Located<'_>, found: Found) {
        self.version = self.version.wrapping_add(1);
        (at.found, at.version) = (Some(found), self.version);
    }

    /// Notes that keys which were located have to be looked up again.
    #[inline]
    pub(super) fn outdate_located(&mut self) {
        self.version = self.version.wrapping_add(1);
    }
}

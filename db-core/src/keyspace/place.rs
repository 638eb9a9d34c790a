//! Where a key is.

use crate::arena::Ref;
use crate::structure::table::Found;
use crate::value::record::Head;

use super::read::{Entry, find};
use super::{Key, Keyspace};

/// Where a key is in its shard, looked up once and used for all that is read and changed there. Should something else have changed the
/// shard meanwhile, it is looked up again.
#[derive(Clone, Copy, Debug)]
pub struct Place<'k> {
    key: Key<'k>,
    found: Option<Found>,
    /// The keyspace's [`version`](Keyspace) when it was looked up.
    version: u32,
}

impl<'k> Place<'k> {
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
    pub fn locate<'k>(&self, key: &Key<'k>) -> Place<'k> {
        Place { key: *key, found: find(&self.arena, key), version: self.version }
    }

    /// Whether there is an entry at `at`, expired or not.
    #[inline]
    #[must_use]
    pub fn holds(&self, at: &Place<'_>) -> bool {
        self.found(at).is_some()
    }

    /// The entry at `at`, expired or not.
    #[inline]
    #[must_use]
    pub fn entry(&self, at: &Place<'_>) -> Option<Entry<'_>> {
        self.found(at).map(|found| Entry::at(&self.arena, found.at))
    }

    /// The record at `at` and its header.
    #[inline]
    pub(crate) fn record(&self, at: &Place<'_>) -> Option<(Ref, Head)> {
        self.found(at).map(|found| (found.at, Head::of(self.arena.page(found.at.page()), found.at)))
    }

    #[inline]
    pub(super) fn found(&self, at: &Place<'_>) -> Option<Found> {
        if at.version == self.version { at.found } else { find(&self.arena, &at.key) }
    }

    /// Notes that the entry at `at` is `found` after a change.
    #[inline]
    pub(super) fn moved(&mut self, at: &mut Place<'_>, found: Found) {
        self.version = self.version.wrapping_add(1);
        (at.found, at.version) = (Some(found), self.version);
    }

    /// Notes that places have to be looked up again.
    #[inline]
    pub(super) fn outdate_places(&mut self) {
        self.version = self.version.wrapping_add(1);
    }
}

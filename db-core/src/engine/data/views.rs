//! Collections as handlers look at them, and strings of which several are needed at once.

use super::Data;
use crate::arena::{Arena, Ref};
use crate::engine::call::Failure;
use crate::keyspace::{Entry, Located, is_alive};
use crate::value::record::Head;
use crate::value::{Kind, ListView, MapView, SortedView, StreamView};

impl Data<'_> {
    /// The string at `at`, which was [seen](Self::see) and must be one if there is anything.
    pub(crate) fn string_again(&self, at: &Located<'_>) -> Result<Option<Entry<'_>>, Failure> {
        super::string_of(self.shards.of(at.key().hash).keyspace.entry(at), self.now)
    }

    /// The set or hash at `at`, which must be one of `kind` if there is anything.
    #[inline]
    pub(crate) fn map(&mut self, at: &Located<'_>, kind: Kind) -> Result<Option<MapView<'_, Arena>>, Failure> {
        self.see(at);
        self.map_again(at, kind)
    }

    /// The same for one that was [seen](Self::see).
    #[inline]
    pub(crate) fn map_again(&self, at: &Located<'_>, kind: Kind) -> Result<Option<MapView<'_, Arena>>, Failure> {
        let found = self.record(at, kind)?;
        Ok(found.map(|(arena, record, head)| MapView::new(arena, record, &head, self.now)))
    }

    /// The number of members of the set or hash at `at` that was [seen](Self::see), or was changed: nothing else is there.
    #[inline]
    pub(crate) fn members(&self, at: &Located<'_>) -> u64 {
        let keyspace = &self.shards.of(at.key().hash).keyspace;
        let view = |(record, head): (Ref, Head)| MapView::new(keyspace.arena(), record, &head, self.now);
        keyspace.record(at).map_or(0, |found| view(found).len())
    }

    /// The list at `at`, which must be one if there is anything.
    #[inline]
    pub(crate) fn list(&mut self, at: &Located<'_>) -> Result<Option<ListView<'_, Arena>>, Failure> {
        self.see(at);
        self.list_again(at)
    }

    /// The same for one that was [seen](Self::see).
    #[inline]
    pub(crate) fn list_again(&self, at: &Located<'_>) -> Result<Option<ListView<'_, Arena>>, Failure> {
        let found = self.record(at, Kind::List)?;
        Ok(found.map(|(arena, record, head)| ListView::new(arena, record, &head)))
    }

    /// The sorted set at `at`, which must be one if there is anything.
    #[inline]
    pub(crate) fn sorted(&mut self, at: &Located<'_>) -> Result<Option<SortedView<'_, Arena>>, Failure> {
        self.see(at);
        self.sorted_again(at)
    }

    /// The same for one that was [seen](Self::see).
    #[inline]
    pub(crate) fn sorted_again(&self, at: &Located<'_>) -> Result<Option<SortedView<'_, Arena>>, Failure> {
        let found = self.record(at, Kind::SortedSet)?;
        Ok(found.map(|(arena, record, head)| SortedView::new(arena, record, &head)))
    }

    /// The stream at `at`, which must be one if there is anything.
    #[inline]
    pub(crate) fn stream(&mut self, at: &Located<'_>) -> Result<Option<StreamView<'_, Arena>>, Failure> {
        self.see(at);
        self.stream_again(at)
    }

    /// The same for one that was [seen](Self::see).
    #[inline]
    pub(crate) fn stream_again(&self, at: &Located<'_>) -> Result<Option<StreamView<'_, Arena>>, Failure> {
        let found = self.record(at, Kind::Stream)?;
        Ok(found.map(|(arena, record, head)| StreamView::new(arena, record, &head)))
    }

    /// The record at `at`, which must be one of `kind` if there is any that has not expired. Inlined, so that the header stays in
    /// registers.
    #[inline(always)]
    fn record(&self, at: &Located<'_>, kind: Kind) -> Result<Option<(&Arena, Ref, Head)>, Failure> {
        let keyspace = &self.shards.of(at.key().hash).keyspace;
        let alive = |(record, head): &(Ref, Head)| is_alive(keyspace.arena(), *record, head, self.now);
        match keyspace.record(at).filter(alive) {
            Some((_, head)) if head.kind != kind => Err(Failure::WRONG_TYPE),
            found => Ok(found.map(|(record, head)| (keyspace.arena(), record, head))),
        }
    }
}

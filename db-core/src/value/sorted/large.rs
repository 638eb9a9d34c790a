//! Large sorted sets: a hash table and a tree of the same entries.

use std::cmp::Ordering;

use crate::arena::{Arena, PAGE_BYTES, Pages, Ref};
use crate::ids::PageId;
use crate::structure::tree::{self, Order, Position, Tree};
use crate::value::entry::SlotEntry;
use crate::value::map::large::{self, Large};

use super::score::Score;

/// Bytes of a root; zeros are one without members.
pub(crate) const ROOT_BYTES: usize = large::ROOT_BYTES + tree::HANDLE_BYTES;

const ITEM_BYTES: usize = 12;
const REF: usize = 8;

/// Order of items: by score alone, since nothing else is asked where they are changed.
#[derive(Clone, Copy, Debug)]
pub(super) struct ByScore;

impl Order for ByScore {
    const SEPARATES: bool = true;

    fn compare(&self, a: &[u8], b: &[u8]) -> Ordering {
        a[..REF].cmp(&b[..REF])
    }

    fn separator(&self, left: &[u8], right: &[u8]) -> usize {
        if left[..REF] == right[..REF] { 0 } else { REF }
    }
}

/// The same by member too.
pub(super) struct ByMember<'a, P>(pub(super) &'a P);

impl<P: Pages> Order for ByMember<'_, P> {
    const SEPARATES: bool = true;

    fn compare(&self, a: &[u8], b: &[u8]) -> Ordering {
        a[..REF].cmp(&b[..REF]).then_with(|| match (entry_of(a), entry_of(b)) {
            (Some(a), Some(b)) => member(self.0, a).cmp(member(self.0, b)),
            // A separator has the first item's score.
            _ => Ordering::Less,
        })
    }

    fn separator(&self, left: &[u8], right: &[u8]) -> usize {
        ByScore.separator(left, right)
    }
}

pub(super) fn item(score: Score, at: Ref) -> [u8; ITEM_BYTES] {
    let mut item = [0; ITEM_BYTES];
    item[..REF].copy_from_slice(&score.to_bytes());
    item[REF..].copy_from_slice(&at.0.to_be_bytes());
    item
}

/// The score of an item or a separator.
#[inline]
pub(super) fn score_of(item: &[u8]) -> Score {
    Score(item.first_chunk().map_or(0, |score| u64::from_be_bytes(*score)))
}

/// The entry of an item; `None` of a separator.
#[inline]
pub(super) fn entry_of(item: &[u8]) -> Option<Ref> {
    item[REF..].first_chunk().map(|at| Ref(u32::from_be_bytes(*at)))
}

pub(super) fn member<P: Pages>(pages: &P, at: Ref) -> &[u8] {
    let page = pages.page(at.page());
    SlotEntry::read(page, at).name(page)
}

pub(super) fn score_in<P: Pages>(pages: &P, at: Ref) -> Score {
    let page = pages.page(at.page());
    let value = SlotEntry::read(page, at).value(&pages, page);
    score_of(value.as_slice().unwrap_or_default())
}

/// A large sorted set, by the place of its root: a page and a byte offset within it. Whoever owns the root may move it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LargeSorted {
    page: PageId,
    offset: usize,
}

impl LargeSorted {
    /// The one whose root stands at byte `offset` of `page`.
    #[inline]
    pub(crate) const fn at(page: PageId, offset: usize) -> LargeSorted {
        LargeSorted { page, offset }
    }

    /// The tree, with an order that is checked.
    pub(super) const fn ordered<P: Pages>(self, pages: &P) -> Tree<ByMember<'_, P>> {
        Tree::at(self.page, self.offset + large::ROOT_BYTES, ByMember(pages))
    }

    /// Its members, as those of a hash.
    #[inline]
    pub(crate) const fn members(self) -> Large {
        Large::at(self.page, self.offset)
    }

    #[inline]
    pub(super) const fn tree(self) -> Tree<ByScore> {
        Tree::at(self.page, self.offset + large::ROOT_BYTES, ByScore)
    }

    /// Returns the number of members.
    #[inline]
    pub(crate) fn len(self, pages: &impl Pages) -> u64 {
        self.members().len(pages)
    }

    /// Returns the bytes that it takes beside its root.
    pub(crate) fn memory_bytes(self, pages: &impl Pages) -> u64 {
        let tree = u64::from(self.tree().pages(pages)) * PAGE_BYTES as u64;
        tree + self.members().memory_bytes(pages)
    }

    /// The place of (score, member), or that where it belongs.
    pub(super) fn find<P: Pages>(self, pages: &P, score: Score, name: &[u8]) -> Position {
        self.tree().find(pages, |item| {
            score_of(item).cmp(&score).then_with(|| match entry_of(item) {
                Some(at) => member(pages, at).cmp(name),
                None => Ordering::Less,
            })
        })
    }

    /// Adds a member, or changes its score.
    pub(crate) fn put(self, arena: &mut Arena, name: &[u8], score: Score) {
        let (members, tree) = (self.members(), self.tree());
        if let Some(found) = members.find(arena, name) {
            let old = score_in(arena, found.at);
            if old == score {
                return;
            }
            let at = self.find(arena, old, name);
            tree.remove(arena, &at);
            members.put(arena, name, Some(&score.to_bytes()), None);
            let at = self.find(arena, score, name);
            tree.insert(arena, &at, &item(score, found.at));
            return;
        }
        let entry = members.put(arena, name, Some(&score.to_bytes()), None);
        let at = self.find(arena, score, name);
        tree.insert(arena, &at, &item(score, entry));
    }

    /// Removes a member, if it is there.
    pub(crate) fn remove(self, arena: &mut Arena, name: &[u8]) {
        let Some(found) = self.members().find(arena, name) else { return };
        let at = self.find(arena, score_in(arena, found.at), name);
        self.tree().remove(arena, &at);
        self.members().remove(arena, name);
    }

    /// Removes the members from `rank` on, `count` of them.
    pub(crate) fn cut(self, arena: &mut Arena, rank: u64, count: u64) {
        let tree = self.tree();
        let items = tree.cursor(arena, tree.seek(arena, rank)).take(usize::try_from(count).unwrap_or(usize::MAX));
        let names: Vec<Vec<u8>> = items.filter_map(entry_of).map(|at| member(arena, at).to_vec()).collect();
        tree.remove_range(arena, rank, count);
        for name in names {
            self.members().remove(arena, &name);
        }
    }

    /// Pages and segments that it gives up one after the other.
    pub(crate) fn pages_to_free(self, pages: &impl Pages) -> u64 {
        u64::from(self.tree().pages(pages)) + self.members().pages_to_free(pages)
    }

    /// Frees about `max` pages; returns how many of [`pages_to_free`](Self::pages_to_free) those were, and whether they were the
    /// last. Until then it is good for nothing but to be freed.
    pub(crate) fn drain(self, arena: &mut Arena, max: usize) -> (usize, bool) {
        let before = self.tree().pages(arena);
        if before == 0 {
            return self.members().drain(arena, max);
        }
        self.tree().free_some(arena, max);
        ((before - self.tree().pages(arena)) as usize, false)
    }
}

/// Pages that adding or changing members may take or copy beside those of any change.
pub(crate) fn pages_to_put(pages: &impl Pages, large: Option<LargeSorted>, members: usize, bytes: usize) -> usize {
    let there = large.map_or(0, |large| large.tree().pages(pages) as usize);
    // A member that is there leaves one place of the tree and comes to another one.
    let each = 2 * tree::PAGES_MAX;
    let more = (each * members.saturating_sub(1)).min(there + tree::pages_of(members as u64, ITEM_BYTES));
    each + more + large::pages_to_put(pages, large.map(LargeSorted::members), members, bytes)
}

/// Pages that a copy of one of so many members may take, whose entries take so many bytes.
pub(crate) fn pages_to_make(members: u64, bytes: u64) -> usize {
    large::pages_to_make(members, bytes) + tree::pages_of(members, ITEM_BYTES)
}

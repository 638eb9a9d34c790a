//! Large sorted sets: a tree of members by order, and a hash table that leads from a member to its place there.

use crate::arena::{Arena, PAGE_BYTES, Pages};
use crate::ids::PageId;
use crate::structure::slab;
use crate::structure::table::{self, Found, TableAt};
use crate::structure::tree::{self, Position, Tree};
use crate::value::entry::EntryForm;
use crate::value::map::large::{self, Large, tag_of};

use super::item::{ByMember, ByScore, MemberPlace, fits_leaf, in_slot, name_of, new_item, place_of, score_of};
use super::score::Score;

/// Bytes of a root; zeros are one without members.
pub(crate) const ROOT_BYTES: usize = large::ROOT_BYTES + tree::HANDLE_BYTES;

/// A member that was found.
pub(super) struct FoundMember {
    entry: Found<MemberPlace>,
    pub(super) score: Score,
    /// Its place in the tree, if it was looked for there.
    at: Option<Position>,
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

    #[inline]
    pub(super) const fn tree(self) -> Tree<ByScore> {
        Tree::at(self.page, self.offset + large::ROOT_BYTES, ByScore)
    }

    #[inline]
    pub(in crate::value) const fn table(self) -> TableAt<MemberPlace> {
        TableAt::new(self.page, self.offset)
    }

    /// Its slots, whose heap and bytes stand where a hash has them.
    pub(super) const fn slots(self) -> Large {
        Large::at(self.page, self.offset)
    }

    /// Returns the number of members.
    #[inline]
    pub(crate) fn len(self, pages: &impl Pages) -> u64 {
        table::entries(pages, self.table())
    }

    /// Returns the bytes that it takes beside its root.
    pub(crate) fn memory_bytes(self, pages: &impl Pages) -> u64 {
        let tree = u64::from(self.tree().pages(pages)) * PAGE_BYTES as u64;
        tree + table::memory_bytes(pages, self.table()) + self.slots().entry_bytes(pages)
    }

    /// The place of (score, member), or that where it belongs.
    pub(super) fn position(self, pages: &impl Pages, score: Score, name: &[u8]) -> Position {
        self.tree().find(pages, |item| {
            score_of(item).cmp(&score).then_with(|| match name_of(pages, item) {
                Some(there) => there.cmp(name),
                None => std::cmp::Ordering::Less,
            })
        })
    }

    /// The place of the first member of a score, or that where it belongs.
    #[inline]
    fn position_of_score(self, pages: &impl Pages, score: Score) -> Position {
        self.tree().find(pages, |item| {
            let is_separator =
                || if place_of(item).is_none() { std::cmp::Ordering::Less } else { std::cmp::Ordering::Equal };
            score_of(item).cmp(&score).then_with(is_separator)
        })
    }

    /// The member that an entry leads to, and its score.
    pub(super) fn member<P: Pages>(self, pages: &P, place: MemberPlace) -> (&[u8], Score) {
        match place {
            MemberPlace::Slot(at) => in_slot(pages, at),
            MemberPlace::Leaf(score) => (self.name_at(pages, &self.position_of_score(pages, score)), score),
        }
    }

    /// The member at its place.
    fn name_at<'a, P: Pages>(self, pages: &'a P, at: &Position) -> &'a [u8] {
        at.item(pages).and_then(|item| name_of(pages, item)).unwrap_or_default()
    }

    /// Returns a member.
    pub(super) fn find(self, pages: &impl Pages, name: &[u8]) -> Option<FoundMember> {
        let (mut score, mut at) = (Score(0), None);
        let entry = table::find(pages, self.table(), tag_of(pages, name), |place| match place {
            MemberPlace::Leaf(its) => {
                score = its;
                name == self.name_at(pages, at.insert(self.position_of_score(pages, its)))
            }
            MemberPlace::Slot(slot) => {
                let (there, its) = in_slot(pages, slot);
                (score, at) = (its, None);
                there == name
            }
        })?;
        Some(FoundMember { entry, score, at })
    }

    /// The place of a member that was found.
    pub(super) fn position_of(self, pages: &impl Pages, member: &FoundMember, name: &[u8]) -> Position {
        member.at.unwrap_or_else(|| self.position(pages, member.score, name))
    }

    /// Visits about `count` members from `cursor` on, as [`Large::scan`] does.
    pub(crate) fn scan(
        self,
        pages: &impl Pages,
        cursor: u64,
        count: usize,
        visit: &mut dyn FnMut(&[u8], Score),
    ) -> u64 {
        table::scan(pages, self.table(), cursor, count, |place| {
            let (name, score) = self.member(pages, place);
            visit(name, score);
        })
    }

    /// Adds a member, or changes its score.
    pub(crate) fn put(self, arena: &mut Arena, name: &[u8], score: Score) {
        let found = self.find(arena, name);
        if let Some(member) = &found {
            if member.score == score {
                return;
            }
            let at = self.position_of(arena, member, name);
            self.tree().remove(arena, &at);
            self.free_slot(arena, member.entry.at);
        }
        let mut at = self.position(arena, score, name);
        let (before, behind) = self.tree().around(arena, &at);
        let tied = [before, behind].into_iter().flatten().find(|item| score_of(item) == score);
        let is_tied = tied.is_some();
        // A score has one member in a leaf at most, so that an entry leads to one member.
        if let Some(alone) = tied.filter(|item| matches!(place_of(item), Some(MemberPlace::Leaf(_)))) {
            let alone = name_of(arena, alone).unwrap_or_default().to_vec();
            self.move_to_slot(arena, score, &alone);
            at = self.position(arena, score, name);
        }
        let place =
            if is_tied || !fits_leaf(name) { self.new_slot(arena, score, name) } else { MemberPlace::Leaf(score) };
        self.tree().insert(arena, &at, &new_item(score, name, place));
        match found {
            Some(mut member) => table::replace(arena, &mut member.entry, place),
            None => {
                let tag = tag_of(arena, name);
                table::insert(arena, self.table(), tag, place);
            }
        }
    }

    /// Moves the only member of a score from its leaf to a slot.
    fn move_to_slot(self, arena: &mut Arena, score: Score, name: &[u8]) {
        let tag = tag_of(arena, name);
        let entry = table::find(arena, self.table(), tag, |place| place == MemberPlace::Leaf(score));
        let place = self.new_slot(arena, score, name);
        let at = self.position_of_score(arena, score);
        self.tree().replace(arena, &at, &new_item(score, name, place));
        table::replace(arena, &mut entry.expect("what stands in a leaf has an entry"), place);
    }

    fn new_slot(self, arena: &mut Arena, score: Score, name: &[u8]) -> MemberPlace {
        let form = EntryForm::of(name.len(), Some(size_of::<Score>() as u64), None);
        let at = self.slots().allocate(arena, form);
        form.write(arena, at, name, &score.to_bytes());
        self.slots().count(arena, form.slot_bytes() as u64, 0);
        MemberPlace::Slot(at)
    }

    fn free_slot(self, arena: &mut Arena, place: MemberPlace) {
        if let MemberPlace::Slot(at) = place {
            let bytes = slab::capacity(arena, at) as u64;
            self.slots().count(arena, 0, bytes);
            slab::free(arena, at);
        }
    }

    /// Removes a member, if it is there.
    pub(crate) fn remove(self, arena: &mut Arena, name: &[u8]) {
        let Some(member) = self.find(arena, name) else { return };
        let at = self.position_of(arena, &member, name);
        self.tree().remove(arena, &at);
        table::remove(arena, self.table(), &member.entry);
        self.free_slot(arena, member.entry.at);
    }

    /// Removes the members from `rank` on, `count` of them.
    pub(crate) fn cut(self, arena: &mut Arena, rank: u64, count: u64) {
        let tree = self.tree();
        let items = tree.cursor(arena, tree.seek(arena, rank)).take(usize::try_from(count).unwrap_or(usize::MAX));
        let entry = |item| Some((tag_of(arena, name_of(arena, item)?), place_of(item)?));
        let gone: Vec<(u32, MemberPlace)> = items.filter_map(entry).collect();
        tree.remove_range(arena, rank, count);
        for (tag, place) in gone {
            let entry = table::find(arena, self.table(), tag, |there| there == place);
            table::remove(arena, self.table(), &entry.expect("what stands in the tree has an entry"));
            self.free_slot(arena, place);
        }
    }

    /// Pages and segments that it gives up one after the other.
    pub(crate) fn pages_to_free(self, pages: &impl Pages) -> u64 {
        u64::from(self.tree().pages(pages)) + self.slots().pages_to_free(pages)
    }

    /// Frees about `max` pages; returns how many of [`pages_to_free`](Self::pages_to_free) those were, and whether they were the
    /// last. Until then it is good for nothing but to be freed.
    pub(crate) fn drain(self, arena: &mut Arena, max: usize) -> (usize, bool) {
        let before = self.tree().pages(arena);
        if before != 0 {
            self.tree().free_some(arena, max);
            return ((before - self.tree().pages(arena)) as usize, false);
        }
        self.slots().drain_table(arena, self.table(), max, |place| match place {
            MemberPlace::Slot(at) => Some(at),
            MemberPlace::Leaf(_) => None,
        })
    }
}

/// Pages that one change of a member may take or copy beside those of the tree: entries and slots of the member and of the one that it
/// shares a score with; a directory and both halves of a segment.
const PAGES_OF_MEMBER: usize = 32;

/// Changes of the tree for one member: it leaves one place and comes to another one, and so may the one that it shares a score with.
const CHANGES_OF_MEMBER: usize = 3;

/// Pages that adding or changing members may take or copy beside those of any change: no more than there are to be copied and will be new.
pub(crate) fn pages_to_put(pages: &impl Pages, large: Option<LargeSorted>, members: usize, bytes: usize) -> usize {
    let (first, doubling) = large.map_or((tree::PAGES_MAX, 0), |large| {
        (large.tree().pages_to_change(pages), table::pages_to_double(pages, large.table()))
    });
    let first = CHANGES_OF_MEMBER * first + PAGES_OF_MEMBER + doubling;
    if members <= 1 {
        return first;
    }
    let slots = |large: LargeSorted| 2 * large.len(pages).min(members as u64);
    let there = large.map_or(0, |large| large.pages_to_free(pages) + slots(large));
    let each = CHANGES_OF_MEMBER * tree::PAGES_MAX + PAGES_OF_MEMBER;
    first + (each * (members - 1)).min(there as usize + pages_to_make(members as u64, bytes as u64))
}

/// Pages that one of so many members may take, whose names, scores and whatever is beside them take so many bytes.
pub(crate) fn pages_to_make(members: u64, bytes: u64) -> usize {
    let table = members / table::page_entries_min::<MemberPlace>() + 1;
    // Of a tree half full, and as much of slots.
    let pages = 2 * (bytes + 4 * members).div_ceil(PAGE_BYTES as u64);
    (2 * pages + pages / 50 + 2 * table) as usize + tree::PAGES_MAX + PAGES_OF_MEMBER
}

//! Sorted sets: members with scores, in the order of (score, member).
//!
//! A small one is one piece in that order, as a small hash is (`value/packed.rs`): each member, then its score. A large one is a hash
//! table of its members, each with its score, and a counted B+tree of the same entries by order:
//!
//! ```text
//!   0  root of the hash table (`value/map/large.rs`); the value of an entry is a score, big-endian
//!  40  handle of the tree (`structure/tree/mod.rs`)
//!
//!      an item of the tree:
//!   0  score u64 big-endian
//!   8  address u32 of the entry, big-endian
//! ```
//!
//! **Scores.** A double as a number that ascends as doubles do ([`Score`]). In one piece it is without the zero bytes at its end: most
//! scores are small integers, which then take two or three bytes.
//!
//! **Ties.** Members of one score ascend as strings of bytes do. They are compared in their entries, so that the tree's items are short;
//! where scores differ, as they mostly do, no entry is read.

use std::cmp::Ordering;

use crate::arena::{Arena, PAGE_BYTES, Pages, Ref};
use crate::ids::PageId;
use crate::structure::tree::{self, Order, Position, Tree};

use super::Kind;
use super::entry::{CollectionInspector, Entry};
use super::map::large::{self, Large};
use super::map::{MapView, check_entries};
use super::packed;
use super::record::{Encoding, Head};

/// Bytes of a root; zeros are one without members.
pub(crate) const ROOT_BYTES: usize = large::ROOT_BYTES + tree::HANDLE_BYTES;

const ITEM_BYTES: usize = 12;
const REF: usize = 8;

/// A score that is a number: its bits, ascending as doubles do. There is no -0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Score(u64);

const SIGN: u64 = 1 << 63;

impl Score {
    /// Returns the score; `None` if it is not a number.
    #[must_use]
    pub fn new(score: f64) -> Option<Score> {
        // -0 becomes +0.
        let bits = (score + 0.0).to_bits();
        (!score.is_nan()).then_some(Score(if bits & SIGN == 0 { bits | SIGN } else { !bits }))
    }

    /// Returns the double.
    #[must_use]
    pub fn get(self) -> f64 {
        f64::from_bits(if self.0 & SIGN == 0 { !self.0 } else { self.0 & !SIGN })
    }

    /// Returns the bytes that stand in a hash table, and in a record of the log.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }

    /// Reads a score whose last bytes are zero if they are not there; `None` if it is none.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Score> {
        let mut all = [0; 8];
        all.get_mut(..bytes.len())?.copy_from_slice(bytes);
        let score = Score(u64::from_be_bytes(all));
        (Score::new(score.get()) == Some(score)).then_some(score)
    }

    /// Returns the bytes without zeros at the end, and how many.
    fn short_bytes(self) -> ([u8; 8], usize) {
        (self.to_bytes(), 8 - self.0.trailing_zeros() as usize / 8)
    }
}

/// Order of items: by score alone, since nothing else is asked where they are changed.
#[derive(Clone, Copy, Debug)]
struct ByScore;

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
struct ByMember<'a, P>(&'a P);

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

fn item(score: Score, at: Ref) -> [u8; ITEM_BYTES] {
    let mut item = [0; ITEM_BYTES];
    item[..REF].copy_from_slice(&score.to_bytes());
    item[REF..].copy_from_slice(&at.0.to_be_bytes());
    item
}

/// The score of an item or a separator.
#[inline]
fn score_of(item: &[u8]) -> Score {
    Score(item.first_chunk().map_or(0, |score| u64::from_be_bytes(*score)))
}

/// The entry of an item; `None` of a separator.
#[inline]
fn entry_of(item: &[u8]) -> Option<Ref> {
    item[REF..].first_chunk().map(|at| Ref(u32::from_be_bytes(*at)))
}

fn member<P: Pages>(pages: &P, at: Ref) -> &[u8] {
    let page = pages.page(at.page());
    Entry::read(page, at).name(page)
}

fn score_in<P: Pages>(pages: &P, at: Ref) -> Score {
    let page = pages.page(at.page());
    let value = Entry::read(page, at).value(&pages, page);
    score_of(value.as_slice().unwrap_or_default())
}

/// Where a range begins or ends.
#[derive(Clone, Copy, Debug)]
pub enum Bound<'b> {
    /// Before all members of this score and all higher ones.
    BeforeScore(Score),
    /// Behind all members of this score and all lower ones.
    BehindScore(Score),
    /// Before this member, if all members are of one score.
    BeforeMember(&'b [u8]),
    /// Behind this member, likewise.
    BehindMember(&'b [u8]),
}

impl Bound<'_> {
    /// How a member stands to it; `name` is asked for only if it matters.
    #[inline]
    fn order<'n>(&self, score: Score, name: impl Fn() -> &'n [u8]) -> Ordering {
        match self {
            Bound::BeforeScore(bound) if score < *bound => Ordering::Less,
            Bound::BehindScore(bound) if score <= *bound => Ordering::Less,
            Bound::BeforeMember(bound) if name() < *bound => Ordering::Less,
            Bound::BehindMember(bound) if name() <= *bound => Ordering::Less,
            _ => Ordering::Greater,
        }
    }
}

/// A sorted set as readers see it.
#[derive(Clone, Copy, Debug)]
pub struct SortedView<'a, P> {
    pages: &'a P,
    repr: Repr<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Repr<'a> {
    Packed(&'a [u8]),
    Large(LargeSorted),
}

impl<'a, P: Pages> SortedView<'a, P> {
    /// The sorted set in the record at `at` with the header `head`.
    #[inline]
    pub(crate) fn new(pages: &'a P, at: Ref, head: &Head) -> Self {
        let repr = match head.encoding {
            Encoding::SORTED => Repr::Large(LargeSorted::at(at.page(), head.rest_at)),
            _ => Repr::Packed(head.rest(pages.page(at.page()))),
        };
        SortedView { pages, repr }
    }

    /// Returns the members as those of a hash, whose values are scores as [`Score::from_bytes`] reads them.
    #[must_use]
    pub fn as_map(&self) -> MapView<'a, P> {
        match self.repr {
            Repr::Packed(blob) => MapView::of_blob(self.pages, Encoding::PACKED, Kind::SortedSet, blob),
            Repr::Large(sorted) => MapView::of_large(self.pages, sorted.members()),
        }
    }

    /// Returns the number of members.
    #[must_use]
    pub fn len(&self) -> u64 {
        match self.repr {
            Repr::Packed(blob) => packed::len(blob) as u64,
            Repr::Large(sorted) => sorted.len(self.pages),
        }
    }

    /// Whether there is no member: never, of one that is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns whether it is a tree.
    #[must_use]
    pub fn is_large(&self) -> bool {
        matches!(self.repr, Repr::Large(_))
    }

    /// Returns the bytes of one in one piece; 0 of a tree.
    pub(crate) fn packed_bytes(&self) -> usize {
        match self.repr {
            Repr::Packed(blob) => blob.len(),
            Repr::Large(_) => 0,
        }
    }

    /// Returns the bytes that it takes beside its record.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        match self.repr {
            Repr::Packed(_) => 0,
            Repr::Large(sorted) => sorted.memory_bytes(self.pages),
        }
    }

    /// Returns the score of a member.
    #[must_use]
    pub fn score(&self, name: &[u8]) -> Option<Score> {
        match self.repr {
            Repr::Packed(blob) => packed::value(blob, name).and_then(Score::from_bytes),
            Repr::Large(sorted) => sorted.members().find(self.pages, name).map(|found| score_in(self.pages, found.at)),
        }
    }

    /// Returns the rank of a member, counted from the lowest score, and its score.
    #[must_use]
    pub fn rank(&self, name: &[u8]) -> Option<(u64, Score)> {
        match self.repr {
            Repr::Packed(blob) => {
                let (rank, (_, score)) = pairs(blob).enumerate().find(|(_, (member, _))| *member == name)?;
                Some((rank as u64, score))
            }
            Repr::Large(sorted) => {
                let at = sorted.members().find(self.pages, name)?.at;
                let score = score_in(self.pages, at);
                let position = sorted.find(self.pages, score, name);
                Some((sorted.tree().rank(self.pages, &position), score))
            }
        }
    }

    /// Returns how many members are before a bound.
    #[must_use]
    pub fn count_before(&self, bound: Bound<'_>) -> u64 {
        match self.repr {
            Repr::Packed(blob) => {
                let before = |(name, score): &(&[u8], Score)| bound.order(*score, || name) == Ordering::Less;
                pairs(blob).take_while(before).count() as u64
            }
            Repr::Large(sorted) => {
                let (pages, tree) = (self.pages, sorted.tree());
                let position = tree.find(pages, |item| match entry_of(item) {
                    Some(at) => bound.order(score_of(item), || member(pages, at)),
                    // A separator: nothing before it has its score. Where all members are of one score there is none.
                    None => match bound {
                        Bound::BeforeScore(score) | Bound::BehindScore(score) if score_of(item) > score => {
                            Ordering::Greater
                        }
                        _ => Ordering::Less,
                    },
                });
                tree.rank(pages, &position)
            }
        }
    }

    /// Visits the members from `rank` on, until `visit` returns false.
    pub fn each_from(&self, rank: u64, visit: &mut dyn FnMut(&'a [u8], Score) -> bool) {
        match self.repr {
            Repr::Packed(blob) => {
                let _ = pairs(blob).skip(rank as usize).all(|(name, score)| visit(name, score));
            }
            Repr::Large(sorted) => {
                let (pages, tree) = (self.pages, sorted.tree());
                let mut from = tree.cursor(pages, tree.seek(pages, rank));
                let _ = from.all(|item| visit_item(pages, item, visit));
            }
        }
    }

    /// Visits the members before `end`, a rank, the last one first, until `visit` returns false.
    pub fn each_back_from(&self, end: u64, visit: &mut dyn FnMut(&'a [u8], Score) -> bool) {
        match self.repr {
            Repr::Packed(blob) => {
                let all: Vec<_> = pairs(blob).take(end as usize).collect();
                let _ = all.into_iter().rev().all(|(name, score)| visit(name, score));
            }
            Repr::Large(sorted) => {
                let (pages, tree) = (self.pages, sorted.tree());
                let mut from = tree.cursor(pages, tree.seek(pages, end));
                while let Some(item) = from.previous() {
                    if !visit_item(pages, item, visit) {
                        return;
                    }
                }
            }
        }
    }
}

fn visit_item<'a, P: Pages>(pages: &'a P, item: &[u8], visit: &mut dyn FnMut(&'a [u8], Score) -> bool) -> bool {
    entry_of(item).is_none_or(|at| visit(member(pages, at), score_in(pages, at)))
}

/// The members of one in one piece, in order.
pub(crate) fn pairs(blob: &[u8]) -> impl Iterator<Item = (&[u8], Score)> + Clone {
    let mut strings = packed::strings(blob);
    std::iter::from_fn(move || Some((strings.next()?, Score::from_bytes(strings.next()?)?)))
}

/// Adds a member to one in one piece, or changes its score.
pub(crate) fn put(blob: &mut Vec<u8>, name: &[u8], score: Score) {
    packed::remove(blob, 2, name);
    let before = |(other, there): &(&[u8], Score)| there.cmp(&score).then_with(|| (*other).cmp(name)).is_lt();
    let index = pairs(blob).take_while(before).count();
    let (bytes, len) = score.short_bytes();
    packed::insert_pair(blob, index, name, &bytes[..len]);
}

/// Bytes that a member takes in one piece, at most.
pub(crate) const fn pair_bytes(name_len: usize) -> usize {
    packed::string_bytes(name_len) + packed::string_bytes(8)
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

    /// Its members, as those of a hash.
    #[inline]
    pub(crate) const fn members(self) -> Large {
        Large::at(self.page, self.offset)
    }

    #[inline]
    const fn tree(self) -> Tree<ByScore> {
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
    fn find<P: Pages>(self, pages: &P, score: Score, name: &[u8]) -> Position {
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
            members.put(arena, name, Some(&score.to_bytes()));
            let at = self.find(arena, score, name);
            tree.insert(arena, &at, &item(score, found.at));
            return;
        }
        let entry = members.put(arena, name, Some(&score.to_bytes()));
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
    let more = (each * members.saturating_sub(1)).min(there + pages_of_items(members as u64));
    each + more + large::pages_to_put(pages, large.map(LargeSorted::members), members, bytes)
}

/// Pages of a tree of so many items, half full.
const fn pages_of_items(items: u64) -> usize {
    let leaves = 2 * items as usize * (ITEM_BYTES + 2) / PAGE_BYTES;
    leaves + leaves / 50 + tree::PAGES_MAX
}

/// Pages that a copy of one of so many members may take, whose entries take so many bytes.
pub(crate) fn pages_to_make(members: u64, bytes: u64) -> usize {
    large::pages_to_make(members, bytes) + pages_of_items(members)
}

/// Checks bytes that may be damaged: the sorted set in the record at `at`.
pub(crate) fn check(
    pages: &impl Pages,
    at: Ref,
    head: &Head,
    inspector: &mut impl CollectionInspector,
) -> Result<(), &'static str> {
    let rest = head.rest(pages.page(at.page()));
    match head.encoding {
        Encoding::PACKED => check_packed(rest),
        _ if rest.len() != ROOT_BYTES => Err("the root of a sorted set has a wrong length"),
        _ => {
            let sorted = LargeSorted::at(at.page(), head.rest_at);
            if sorted.len(pages) == 0 {
                return Err("a sorted set has no member");
            }
            check_large(pages, sorted, false, inspector)
        }
    }
}

fn check_packed(blob: &[u8]) -> Result<(), &'static str> {
    packed::check(blob, 2)?;
    let shortest = packed::strings(blob).skip(1).step_by(2).all(|bytes| {
        Score::from_bytes(bytes).is_some_and(|score| {
            let (all, len) = score.short_bytes();
            all[..len] == *bytes
        })
    });
    let keys = || pairs(blob).map(|(name, score)| (score, name));
    let ascend = keys().zip(keys().skip(1)).all(|(a, b)| a < b);
    if shortest && ascend { Ok(()) } else { Err("a sorted set in one piece is out of order") }
}

/// Checks a large one; `draining`: it waits to be reclaimed.
pub(crate) fn check_large(
    pages: &impl Pages,
    sorted: LargeSorted,
    draining: bool,
    inspector: &mut impl CollectionInspector,
) -> Result<(), &'static str> {
    let mut entries = Vec::new();
    check_entries(pages, sorted.members(), false, draining, inspector, &mut |at, entry, page| {
        let value = entry.value(&pages, page);
        let bytes = value.as_slice().filter(|bytes| bytes.len() == 8).ok_or("a score has a wrong length")?;
        let score = Score::from_bytes(bytes).ok_or("a score is not a number")?;
        entries.push(item(score, at));
        Ok(())
    })?;
    entries.sort_unstable();
    let tree = Tree::at(sorted.page, sorted.offset + large::ROOT_BYTES, ByMember(pages));
    let mut items = Vec::new();
    tree.check(pages, &mut |id| inspector.page(id), &mut |item| {
        // Members are compared next, so each item must lead to an entry.
        let item = item.try_into().map_err(|_| "an item of a sorted set has a wrong length")?;
        if entries.binary_search(&item).is_err() {
            return Err("an item of a sorted set leads to no entry of it");
        }
        items.push(item);
        Ok(())
    })?;
    items.sort_unstable();
    items.dedup();
    // Of one that waits, the tree is given up first.
    if items.len() == entries.len() || draining {
        Ok(())
    } else {
        Err("a member of a sorted set is missing in its order")
    }
}

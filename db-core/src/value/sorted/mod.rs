//! Sorted sets: members with scores, in the order of (score, member).
//!
//! A small one is one piece in that order, as a small hash is (`value/packed.rs`): each member, then its score. A large one is a counted
//! B+tree of its members by order, and a hash table that leads from a member to its place there:
//!
//! ```text
//!   0  handle of the table (`structure/table/handle.rs`), whose entries lead to words u64
//!  24  heap and bytes of its slots, as a hash has them (`value/map/large.rs`)
//!  40  handle of the tree (`structure/tree/mod.rs`)
//!
//!      an item of the tree:
//!   0  bytes of the score u8, 1 to 8; with the highest bit set if the member is in a slot
//!   1  the score, big-endian, without zeros at its end
//!      the member; or the address u32 of its slot, big-endian (`value/entry.rs`, with the score as its value)
//!
//!      a word of the table: the score of a member in a leaf; or the address of a slot
//! ```
//!
//! **Scores.** A double as a number that ascends as doubles do ([`Score`]), without the zero bytes at its end: most scores are small
//! integers, which then take two to four bytes.
//!
//! **Where a member stands.** In its leaf, once, so that a range is read from one page to the next. The table says its score, and the tree
//! finds that score and confirms the member. So nothing has to be put right when a leaf is split, and the bytes of an entry are those
//! of a score.
//!
//! **Ties.** Members of one score ascend as strings of bytes do. From its score alone none of them could be found (by a scan, which goes by
//! hash), so **a score has one member in a leaf, or all of its members in slots**, whose addresses are in the table and in the tree. When a
//! second one comes to a score, the first moves; it stays there when it is alone again. Very long members and the empty one are in slots too.

mod check;
mod item;
mod large;
mod score;

use std::cmp::Ordering;

use crate::arena::{Pages, Ref};
use crate::random::share;

use super::map::MapView;
use super::packed::{self, Edit};
use super::record::{Encoding, Head};
use item::{name_of, score_of};

pub(crate) use check::{check, check_large};
pub(crate) use item::MemberPlace;
pub(crate) use large::{LargeSorted, ROOT_BYTES, pages_to_make, pages_to_put};
pub use score::Score;

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
    repr: SortedRepr<'a>,
}

#[derive(Clone, Copy, Debug)]
enum SortedRepr<'a> {
    Packed(&'a [u8]),
    Large(LargeSorted),
}

impl<'a, P: Pages> SortedView<'a, P> {
    /// The sorted set in the record at `at` with the header `head`.
    #[inline]
    pub(crate) fn new(pages: &'a P, at: Ref, head: &Head) -> Self {
        let repr = match head.encoding {
            Encoding::SORTED => SortedRepr::Large(LargeSorted::at(at.page(), head.rest_at)),
            _ => SortedRepr::Packed(head.rest(pages.page(at.page()))),
        };
        SortedView { pages, repr }
    }

    /// Returns the members as those of a hash, whose values are scores as [`Score::from_bytes`] reads them.
    #[must_use]
    pub fn as_map(&self) -> MapView<'a, P> {
        match self.repr {
            SortedRepr::Packed(blob) => MapView::of_packed(self.pages, blob),
            SortedRepr::Large(sorted) => MapView::of_sorted(self.pages, sorted),
        }
    }

    /// Returns the number of members.
    #[must_use]
    pub fn len(&self) -> u64 {
        match self.repr {
            SortedRepr::Packed(blob) => packed::len(blob) as u64,
            SortedRepr::Large(sorted) => sorted.len(self.pages),
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
        matches!(self.repr, SortedRepr::Large(_))
    }

    /// Returns the bytes of one in one piece; 0 of a tree.
    pub(crate) fn packed_bytes(&self) -> usize {
        match self.repr {
            SortedRepr::Packed(blob) => blob.len(),
            SortedRepr::Large(_) => 0,
        }
    }

    /// Returns the bytes that it takes beside its record.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        match self.repr {
            SortedRepr::Packed(_) => 0,
            SortedRepr::Large(sorted) => sorted.memory_bytes(self.pages),
        }
    }

    /// Returns the score of a member.
    #[must_use]
    pub fn score(&self, name: &[u8]) -> Option<Score> {
        match self.repr {
            SortedRepr::Packed(blob) => packed::value(blob, name).and_then(Score::from_bytes),
            SortedRepr::Large(sorted) => sorted.find(self.pages, name).map(|member| member.score),
        }
    }

    /// Returns the rank of a member, counted from the lowest score, and its score.
    #[must_use]
    pub fn rank(&self, name: &[u8]) -> Option<(u64, Score)> {
        match self.repr {
            SortedRepr::Packed(blob) => {
                let (rank, (_, score)) = pairs(blob).enumerate().find(|(_, (member, _))| *member == name)?;
                Some((rank as u64, score))
            }
            SortedRepr::Large(sorted) => {
                let member = sorted.find(self.pages, name)?;
                let position = sorted.position_of(self.pages, &member, name);
                Some((sorted.tree().rank(self.pages, &position), member.score))
            }
        }
    }

    /// Returns how many members are before a bound.
    #[must_use]
    pub fn count_before(&self, bound: Bound<'_>) -> u64 {
        match self.repr {
            SortedRepr::Packed(blob) => {
                let before = |(name, score): &(&[u8], Score)| bound.order(*score, || name) == Ordering::Less;
                pairs(blob).take_while(before).count() as u64
            }
            SortedRepr::Large(sorted) => {
                let (pages, tree) = (self.pages, sorted.tree());
                let position = tree.find(pages, |item| match name_of(pages, item) {
                    Some(name) => bound.order(score_of(item), || name),
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
            SortedRepr::Packed(blob) => {
                let _ = pairs(blob).skip(rank as usize).all(|(name, score)| visit(name, score));
            }
            SortedRepr::Large(sorted) => {
                let (pages, tree) = (self.pages, sorted.tree());
                let mut from = tree.cursor(pages, tree.seek(pages, rank));
                let _ = from.all(|item| visit_item(pages, item, visit));
            }
        }
    }

    /// Visits the members before `end`, a rank, the last one first, until `visit` returns false.
    pub fn each_back_from(&self, end: u64, visit: &mut dyn FnMut(&'a [u8], Score) -> bool) {
        match self.repr {
            SortedRepr::Packed(blob) => {
                let all: Vec<_> = pairs(blob).take(end as usize).collect();
                let _ = all.into_iter().rev().all(|(name, score)| visit(name, score));
            }
            SortedRepr::Large(sorted) => {
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

fn visit_item<'a, P: Pages>(pages: &'a P, item: &'a [u8], visit: &mut dyn FnMut(&'a [u8], Score) -> bool) -> bool {
    name_of(pages, item).is_none_or(|name| visit(name, score_of(item)))
}

impl LargeSorted {
    /// Visits all members in order.
    pub(crate) fn each(self, pages: &impl Pages, visit: &mut dyn FnMut(&[u8], Score)) {
        let tree = self.tree();
        tree.cursor(pages, tree.start(pages))
            .for_each(|item| visit(name_of(pages, item).unwrap_or_default(), score_of(item)));
    }

    /// Visits a member chosen by `random`.
    pub(crate) fn random(self, pages: &impl Pages, random: u64, visit: &mut dyn FnMut(&[u8], Score)) {
        if let Some(item) = self.tree().get(pages, share(random, self.len(pages))) {
            visit(name_of(pages, item).unwrap_or_default(), score_of(item));
        }
    }

    /// Returns whether a member is there.
    pub(crate) fn contains(self, pages: &impl Pages, name: &[u8]) -> bool {
        self.find(pages, name).is_some()
    }
}

/// The members of one in one piece, in order.
pub(crate) fn pairs(blob: &[u8]) -> impl Iterator<Item = (&[u8], Score)> + Clone {
    let mut strings = packed::strings(blob);
    std::iter::from_fn(move || Some((strings.next()?, Score::from_bytes(strings.next()?)?)))
}

/// Adds a member to one in one piece, or changes its score.
pub(crate) fn put(blob: &mut Vec<u8>, name: &[u8], score: Score) {
    let (bytes, len) = score.short_bytes();
    put_edit(blob, score, &[name, &bytes[..len]]).apply(blob);
}

/// The change of one in one piece that adds a member, or changes its score; `item` are its name and its score's
/// [bytes](Score::short_bytes).
pub(crate) fn put_edit<'s>(blob: &[u8], score: Score, item: &'s [&'s [u8]; 2]) -> Edit<'s> {
    let name = item[0];
    let mut strings = packed::strings(blob);
    let (mut old, mut place) = (None, None);
    while old.is_none() || place.is_none() {
        let at = strings.at();
        let (Some(other), Some(bytes)) = (strings.next(), strings.next()) else { break };
        // Most members of the same length differ in their last bytes, which need no call to be compared.
        if other.len() == name.len() && other.last_chunk::<8>() == name.last_chunk() && other == name {
            old = Some(at..strings.at());
        } else if place.is_none() {
            let there = Score::from_own_bytes(bytes);
            let is_before = there.cmp(&score).then_with(|| other.cmp(name)).is_lt();
            place = if is_before { None } else { Some(at) };
        }
    }
    Edit::put_at(blob, place.unwrap_or(blob.len()), old, item)
}

/// Bytes that a member takes in one piece, at most.
pub(crate) const fn pair_bytes(name_len: usize) -> usize {
    packed::string_bytes(name_len) + packed::string_bytes(8)
}

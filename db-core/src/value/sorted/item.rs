//! An item of the tree, and what an entry of the table leads to.

use std::cmp::Ordering;

use smallvec::SmallVec;

use crate::arena::{Pages, Ref};
use crate::structure::table::Target;
use crate::structure::tree::{ITEM_BYTES_MAX, Order};
use crate::value::entry::SlotEntry;

use super::score::Score;

/// Added to the number of a score's bytes: the member stands in a slot.
const IN_SLOT: u8 = 0x80;
const SCORE_BYTES: u8 = 0x0f;

/// Longest member in a leaf.
const NAME_BYTES_MAX: usize = ITEM_BYTES_MAX - 1 - size_of::<Score>();

/// Where a member stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum MemberPlace {
    /// In the tree's leaf, the only one of its score.
    Leaf(Score),
    /// In a slot (`value/entry.rs`), with its score.
    Slot(Ref),
}

impl MemberPlace {
    /// The slot, if it stands in one.
    pub(in crate::value) const fn slot(self) -> Option<Ref> {
        match self {
            MemberPlace::Leaf(_) => None,
            MemberPlace::Slot(at) => Some(at),
        }
    }
}

/// An address has no upper half, and no score is so low.
impl Target for MemberPlace {
    const BYTES: usize = 8;

    #[inline]
    fn of_word(word: u64) -> MemberPlace {
        u32::try_from(word).map_or(MemberPlace::Leaf(Score(word)), |at| MemberPlace::Slot(Ref(at)))
    }

    #[inline]
    fn word(self) -> u64 {
        match self {
            MemberPlace::Leaf(score) => score.0,
            MemberPlace::Slot(at) => at.0.into(),
        }
    }
}

/// Whether a member may stand in a leaf. An empty one may not: an item is longer than its score, which is what a separator is.
pub(super) const fn fits_leaf(name: &[u8]) -> bool {
    !name.is_empty() && name.len() <= NAME_BYTES_MAX
}

/// The item of a member.
pub(super) fn new_item(score: Score, name: &[u8], place: MemberPlace) -> SmallVec<[u8; 64]> {
    let (bytes, len) = score.short_bytes();
    let mut item = SmallVec::new();
    item.push(len as u8 | if matches!(place, MemberPlace::Slot(_)) { IN_SLOT } else { 0 });
    item.extend_from_slice(&bytes[..len]);
    match place {
        MemberPlace::Leaf(_) => item.extend_from_slice(name),
        MemberPlace::Slot(at) => item.extend_from_slice(&at.0.to_be_bytes()),
    }
    item
}

/// The bytes of an item or a separator, its score at their beginning.
const fn key_len(item: &[u8]) -> usize {
    1 + (item[0] & SCORE_BYTES) as usize
}

/// Whether the score of an item or a separator is one, in the bytes that it is written in.
pub(super) fn is_sound(item: &[u8]) -> bool {
    let len = key_len(item);
    let score = item.get(1..len).and_then(Score::from_bytes);
    item[0] & !(SCORE_BYTES | IN_SLOT) == 0 && score.is_some_and(|score| score.short_bytes().1 + 1 == len)
}

/// The score of an item or a separator.
#[inline]
pub(super) fn score_of(item: &[u8]) -> Score {
    let len = key_len(item);
    match item[1..].first_chunk() {
        // What stands behind the score is masked away.
        Some(bytes) => Score(u64::from_be_bytes(*bytes) & u64::MAX << (72_usize.wrapping_sub(8 * len) & 63)),
        None => Score::from_bytes(&item[1..len]).unwrap_or(Score(0)),
    }
}

/// Where the member of an item stands; `None` of a separator.
#[inline]
pub(super) fn place_of(item: &[u8]) -> Option<MemberPlace> {
    let rest = &item[key_len(item)..];
    if item[0] & IN_SLOT == 0 {
        (!rest.is_empty()).then(|| MemberPlace::Leaf(score_of(item)))
    } else {
        rest.first_chunk().map(|at| MemberPlace::Slot(Ref(u32::from_be_bytes(*at))))
    }
}

/// The member of an item; `None` of a separator.
#[inline]
pub(super) fn name_of<'a, P: Pages>(pages: &'a P, item: &'a [u8]) -> Option<&'a [u8]> {
    let rest = &item[key_len(item)..];
    if item[0] & IN_SLOT == 0 {
        return (!rest.is_empty()).then_some(rest);
    }
    rest.first_chunk().map(|at| in_slot(pages, Ref(u32::from_be_bytes(*at))).0)
}

/// The member in a slot, and its score.
#[inline]
pub(super) fn in_slot<P: Pages>(pages: &P, at: Ref) -> (&[u8], Score) {
    let page = pages.page(at.page());
    let entry = SlotEntry::read(page, at);
    let score = entry.value(&pages, page).as_slice().and_then(Score::from_bytes);
    (entry.name(page), score.unwrap_or(Score(0)))
}

/// Order of items, by score alone: the tree asks for separators only.
#[derive(Clone, Copy, Debug)]
pub(super) struct ByScore;

impl Order for ByScore {
    const SEPARATES: bool = true;

    fn compare(&self, a: &[u8], b: &[u8]) -> Ordering {
        score_of(a).cmp(&score_of(b))
    }

    fn separator(&self, left: &[u8], right: &[u8]) -> usize {
        if score_of(left) == score_of(right) { 0 } else { key_len(right) }
    }

    fn is_separator(&self, bytes: &[u8]) -> bool {
        is_sound(bytes) && bytes.len() == key_len(bytes)
    }
}

/// The same by member too.
pub(super) struct ByMember<'a, P>(pub(super) &'a P);

impl<P: Pages> Order for ByMember<'_, P> {
    const SEPARATES: bool = true;

    fn compare(&self, a: &[u8], b: &[u8]) -> Ordering {
        ByScore.compare(a, b).then_with(|| match (name_of(self.0, a), name_of(self.0, b)) {
            (Some(a), Some(b)) => a.cmp(b),
            // A separator has the first item's score.
            _ => Ordering::Less,
        })
    }

    fn separator(&self, left: &[u8], right: &[u8]) -> usize {
        ByScore.separator(left, right)
    }

    fn is_separator(&self, bytes: &[u8]) -> bool {
        ByScore.is_separator(bytes)
    }
}

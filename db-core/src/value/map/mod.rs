//! Sets and hashes: members by name, each with a value in a hash.
//!
//! **Problem.** Most are small, and there may be millions of them; some have millions of members.
//!
//! **Idea.** A small one is [one piece](super::packed) in its record, read from the start; a small set whose members are all integers is
//! [smaller still](integers). From some size on, which the command decides and the log says, it is a [hash table](large) of entries. It
//! never goes back, so a size at the border costs nothing.
//!
//! **Iteration.** In every form a cursor is the tag of a member's name, a part of its hash: so a scan goes on where it was when the
//! form has changed, on another node too.

mod check;
pub(crate) mod integers;
pub(crate) mod large;

use crate::arena::Pages;
use crate::random::share;

use super::number::parse_i64;
use super::packed;
use super::record::{Encoding, Head};
use super::sorted::{LargeSorted, Score};
use super::{Kind, ValueView};

pub(crate) use check::{check, check_large};
pub(crate) use large::Large;

/// A set or hash as readers see it.
#[derive(Clone, Copy, Debug)]
pub struct MapView<'a, P> {
    pages: &'a P,
    repr: MapRepr<'a>,
}

#[derive(Clone, Copy, Debug)]
enum MapRepr<'a> {
    Packed(&'a [u8], packed::Stride),
    Integers(&'a [u8]),
    Large(Large),
    Sorted(LargeSorted),
}

/// Strings that belong to one member of a kind.
pub(crate) const fn stride(kind: Kind) -> packed::Stride {
    if matches!(kind, Kind::Hash | Kind::SortedSet) { 2 } else { 1 }
}

impl<'a, P: Pages> MapView<'a, P> {
    /// The set or hash in the record at `at` with the header `head`.
    #[inline]
    pub(crate) fn new(pages: &'a P, at: crate::arena::Ref, head: &Head) -> Self {
        let page = pages.page(at.page());
        let repr = match head.encoding {
            Encoding::INTEGERS => MapRepr::Integers(head.rest(page)),
            Encoding::TABLE => MapRepr::Large(Large::at(at.page(), head.rest_at)),
            Encoding::SORTED => MapRepr::Sorted(LargeSorted::at(at.page(), head.rest_at)),
            _ => MapRepr::Packed(head.rest(page), stride(head.kind)),
        };
        MapView { pages, repr }
    }

    /// The members of a large sorted set.
    pub(crate) const fn of_sorted(pages: &'a P, sorted: LargeSorted) -> Self {
        MapView { pages, repr: MapRepr::Sorted(sorted) }
    }

    /// The set or hash in one piece, which may have no member.
    pub(crate) fn of_blob(pages: &'a P, encoding: Encoding, kind: Kind, blob: &'a [u8]) -> Self {
        let packed = MapRepr::Packed(blob, stride(kind));
        MapView { pages, repr: if encoding == Encoding::INTEGERS { MapRepr::Integers(blob) } else { packed } }
    }

    /// Returns the bytes of one in one piece, a set of integers as packed strings; 0 of a hash table.
    pub(crate) fn packed_bytes(&self) -> usize {
        match self.repr {
            MapRepr::Packed(blob, _) => blob.len(),
            MapRepr::Integers(blob) => {
                let text = |value: i64| packed::string_bytes(itoa::Buffer::new().format(value).len());
                packed::empty().len() + integers::all(blob).map(text).sum::<usize>()
            }
            MapRepr::Large(_) | MapRepr::Sorted(_) => 0,
        }
    }

    /// Returns the number of members.
    #[must_use]
    pub fn len(&self) -> u64 {
        match self.repr {
            MapRepr::Packed(blob, _) => packed::len(blob) as u64,
            MapRepr::Integers(blob) => integers::len(blob) as u64,
            MapRepr::Large(large) => large.len(self.pages),
            MapRepr::Sorted(sorted) => sorted.len(self.pages),
        }
    }

    /// Whether there is no member: never, of one that is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns whether the member `name` is there.
    #[must_use]
    pub fn contains(&self, name: &[u8]) -> bool {
        match self.repr {
            MapRepr::Packed(blob, stride) => packed::contains(blob, stride, name),
            MapRepr::Integers(blob) => parse_i64(name).is_some_and(|value| integers::contains(blob, value)),
            MapRepr::Large(large) => large.contains(self.pages, name),
            MapRepr::Sorted(sorted) => sorted.contains(self.pages, name),
        }
    }

    /// Returns the value of the field `name` of a hash.
    #[must_use]
    pub fn value(&self, name: &[u8]) -> Option<ValueView<'a>> {
        match self.repr {
            MapRepr::Packed(blob, _) => packed::value(blob, name).map(ValueView::whole),
            MapRepr::Integers(_) | MapRepr::Sorted(_) => None,
            MapRepr::Large(large) => large.value(self.pages, name),
        }
    }

    /// Visits all members, each with its value (empty in a set).
    pub fn each(&self, visit: &mut dyn FnMut(&[u8], ValueView<'_>)) {
        match self.repr {
            MapRepr::Large(large) => {
                let mut cursor = large.scan(self.pages, 0, usize::MAX, visit);
                while cursor != 0 {
                    cursor = large.scan(self.pages, cursor, usize::MAX, visit);
                }
            }
            MapRepr::Packed(blob, stride) => each_packed(blob, stride, visit),
            MapRepr::Integers(blob) => integers::all(blob).for_each(|value| visit_integer(value, visit)),
            MapRepr::Sorted(sorted) => sorted.each(self.pages, &mut |name, score| visit_scored(name, score, visit)),
        }
    }

    /// Visits about `count` members from `cursor` on (0: from the start) and returns the cursor to go on with (0: done; below 2^32).
    /// A member that is there during the whole iteration is visited once, whatever else changes.
    pub fn scan(&self, cursor: u64, count: usize, visit: &mut dyn FnMut(&[u8], ValueView<'_>)) -> u64 {
        match self.repr {
            MapRepr::Large(large) => return large.scan(self.pages, cursor, count, visit),
            MapRepr::Sorted(sorted) => {
                return sorted.scan(self.pages, cursor, count, &mut |name, score| visit_scored(name, score, visit));
            }
            MapRepr::Packed(..) | MapRepr::Integers(_) => {}
        }
        let Ok(from) = u32::try_from(cursor) else { return 0 };
        // Few members: those from the cursor on are put in the order of their tags each time.
        let mut members = Vec::new();
        self.each(&mut |name, value| {
            let tag = large::tag_of(self.pages, name);
            if tag >= from {
                members.push((tag, name.to_vec(), value.as_slice().unwrap_or_default().to_vec()));
            }
        });
        members.sort_unstable();
        // Members of one tag are visited together.
        let mut behind = count.min(members.len());
        while behind > 0 && members.get(behind).is_some_and(|next| next.0 == members[behind - 1].0) {
            behind += 1;
        }
        members[..behind].iter().for_each(|(_, name, value)| visit(name, ValueView::whole(value)));
        members.get(behind).map_or(0, |next| next.0.into())
    }

    /// Visits a member chosen by `random`, close to uniformly, if there is one.
    pub fn random(&self, random: u64, visit: &mut dyn FnMut(&[u8], ValueView<'_>)) {
        let index = share(random, self.len()) as usize;
        match self.repr {
            MapRepr::Packed(blob, stride) => {
                let mut strings = packed::strings(blob).skip(index * stride);
                if let Some(name) = strings.next() {
                    let value = if stride == 2 { strings.next() } else { None };
                    visit(name, ValueView::whole(value.unwrap_or_default()));
                }
            }
            MapRepr::Integers(blob) => visit_integer(integers::get(blob, index), visit),
            MapRepr::Large(large) => {
                if let Some((name, value)) = large.random(self.pages, random) {
                    visit(name, value);
                }
            }
            MapRepr::Sorted(sorted) => {
                sorted.random(self.pages, random, &mut |name, score| visit_scored(name, score, visit));
            }
        }
    }

    /// Returns whether it is a set of integers in one piece.
    #[must_use]
    pub fn is_of_integers(&self) -> bool {
        matches!(self.repr, MapRepr::Integers(_))
    }

    /// Returns whether it is a hash table.
    #[must_use]
    pub fn is_large(&self) -> bool {
        matches!(self.repr, MapRepr::Large(_) | MapRepr::Sorted(_))
    }

    /// Returns the bytes that it takes beside its record.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        match self.repr {
            MapRepr::Packed(..) | MapRepr::Integers(_) => 0,
            MapRepr::Large(large) => large.memory_bytes(self.pages),
            MapRepr::Sorted(sorted) => sorted.memory_bytes(self.pages),
        }
    }
}

fn each_packed(blob: &[u8], stride: packed::Stride, visit: &mut dyn FnMut(&[u8], ValueView<'_>)) {
    let mut strings = packed::strings(blob);
    while let Some(name) = strings.next() {
        let value = if stride == 2 { strings.next() } else { None };
        visit(name, ValueView::whole(value.unwrap_or_default()));
    }
}

fn visit_integer(value: i64, visit: &mut dyn FnMut(&[u8], ValueView<'_>)) {
    visit(itoa::Buffer::new().format(value).as_bytes(), ValueView::whole(&[]));
}

fn visit_scored(name: &[u8], score: Score, visit: &mut dyn FnMut(&[u8], ValueView<'_>)) {
    visit(name, ValueView::whole(&score.to_bytes()));
}

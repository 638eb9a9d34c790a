//! Sets and hashes: members by name, each with a value in a hash.
//!
//! **Problem.** Most are small, and there may be millions of them; some have millions of members.
//!
//! **Idea.** A small one is [one piece](super::packed) in its record, read from the start; a small set whose members are all integers is
//! [smaller still](integers). From some size on, which the command decides and the log says, it is a [hash table](large) of entries. It
//! never goes back, so a size at the border costs nothing. A hash with fields that may expire is [one of its own](expiring), small and large.
//!
//! **Iteration.** In every form a cursor is the tag of a member's name, a part of its hash: so a scan goes on where it was when the
//! form has changed, on another node too.

mod check;
pub(crate) mod expiring;
pub(crate) mod integers;
pub(crate) mod large;

use crate::arena::{Page, Pages, Ref};
use crate::clock::UnixMillis;
use crate::random::{SplitMix64, share};

use super::number::parse_i64;
use super::packed;
use super::record::{Encoding, FIELDS_EXPIRY_BYTES, Head};
use super::sorted::{LargeSorted, Score};
use super::{Kind, ValueView};

pub(crate) use check::{check, check_expiring, check_large};
pub(crate) use expiring::ExpiringHash;
pub(crate) use large::Large;

/// A set or hash as readers see it.
#[derive(Clone, Copy, Debug)]
pub struct MapView<'a, P> {
    pages: &'a P,
    repr: MapRepr<'a>,
    /// Fields that expire until then are passed over.
    now: UnixMillis,
}

#[derive(Clone, Copy, Debug)]
enum MapRepr<'a> {
    Packed(&'a [u8], packed::Stride),
    Integers(&'a [u8]),
    Large(Large),
    Expiring(ExpiringHash),
    Sorted(LargeSorted),
}

impl<'a> MapRepr<'a> {
    #[cold]
    fn of_expiring(page: &'a Page, at: Ref, head: &Head) -> MapRepr<'a> {
        if head.encoding == Encoding::EXPIRING_TABLE {
            return MapRepr::Expiring(ExpiringHash::at(at.page(), head.rest_at));
        }
        MapRepr::Packed(&head.rest(page)[FIELDS_EXPIRY_BYTES..], expiring::STRIDE)
    }
}

/// A member of a set, or a field of a hash.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// The value of a field; empty in a set.
    pub value: ValueView<'a>,
    /// When the field expires, in Unix milliseconds, if ever.
    pub expiry: Option<u64>,
}

impl<'a> Member<'a> {
    const fn new(name: &'a [u8], value: ValueView<'a>) -> Self {
        Member { name, value, expiry: None }
    }

    #[inline]
    fn of((name, value, expiry): MemberStrings<'a>) -> Self {
        Member { name, value: ValueView::whole(value), expiry }
    }

    #[inline]
    fn is_alive(&self, now: UnixMillis) -> bool {
        self.expiry.is_none_or(|time| time > now.0)
    }
}

/// Strings that belong to one member of a kind.
pub(crate) const fn stride(kind: Kind) -> packed::Stride {
    if matches!(kind, Kind::Hash | Kind::SortedSet) { 2 } else { 1 }
}

impl<'a, P: Pages> MapView<'a, P> {
    /// The set or hash in the record at `at` with the header `head`, with the fields that it has at `now`.
    #[inline(always)]
    pub(crate) fn new(pages: &'a P, at: Ref, head: &Head, now: UnixMillis) -> Self {
        let page = pages.page(at.page());
        let repr = match head.encoding {
            Encoding::INTEGERS => MapRepr::Integers(head.rest(page)),
            Encoding::TABLE => MapRepr::Large(Large::at(at.page(), head.rest_at)),
            Encoding::SORTED => MapRepr::Sorted(LargeSorted::at(at.page(), head.rest_at)),
            Encoding::PACKED => MapRepr::Packed(head.rest(page), stride(head.kind)),
            _ => MapRepr::of_expiring(page, at, head),
        };
        MapView { pages, repr, now }
    }

    /// The members of a large sorted set.
    pub(crate) const fn of_sorted(pages: &'a P, sorted: LargeSorted) -> Self {
        MapView { pages, repr: MapRepr::Sorted(sorted), now: UnixMillis(0) }
    }

    /// A sorted set in one piece.
    pub(crate) const fn of_packed(pages: &'a P, blob: &'a [u8]) -> Self {
        MapView { pages, repr: MapRepr::Packed(blob, stride(Kind::SortedSet)), now: UnixMillis(0) }
    }

    /// Returns the bytes that it has as one in one piece with so many strings for each member; 0 of a hash table.
    #[inline]
    pub(crate) fn packed_bytes(&self, stride: packed::Stride) -> usize {
        match self.repr {
            MapRepr::Packed(blob, own) => blob.len() + (stride - own) * packed::len(blob) * packed::string_bytes(0),
            MapRepr::Integers(blob) => integers_packed_bytes(blob),
            MapRepr::Large(_) | MapRepr::Expiring(_) | MapRepr::Sorted(_) => 0,
        }
    }

    /// Returns the number of members.
    #[inline]
    #[must_use]
    pub fn len(&self) -> u64 {
        match self.repr {
            MapRepr::Packed(blob, expiring::STRIDE) => alive_in_piece(blob, self.now),
            MapRepr::Packed(blob, _) => packed::len(blob) as u64,
            MapRepr::Integers(blob) => integers::len(blob) as u64,
            MapRepr::Large(large) => large.len(self.pages),
            MapRepr::Expiring(hash) => hash.alive(self.pages, self.now.0),
            MapRepr::Sorted(sorted) => sorted.len(self.pages),
        }
    }

    /// Whether there is no member: of one that is kept only if all of its fields have expired.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns whether the member `name` is there.
    #[must_use]
    pub fn contains(&self, name: &[u8]) -> bool {
        match self.repr {
            MapRepr::Packed(blob, stride) if stride < expiring::STRIDE => packed::find(blob, stride, name).is_some(),
            MapRepr::Integers(blob) => parse_i64(name).is_some_and(|value| integers::contains(blob, value)),
            MapRepr::Large(large) => large.contains(self.pages, name),
            MapRepr::Sorted(sorted) => sorted.contains(self.pages, name),
            _ => self.get(name).is_some(),
        }
    }

    /// Returns the field `name` of a hash.
    #[must_use]
    pub fn get(&self, name: &[u8]) -> Option<Member<'a>> {
        let found = match self.repr {
            MapRepr::Packed(blob, stride) => {
                packed::find(blob, stride, name).and_then(|strings| members(strings, stride).next()).map(Member::of)
            }
            MapRepr::Integers(_) | MapRepr::Sorted(_) => None,
            MapRepr::Large(large) => large.get(self.pages, name),
            MapRepr::Expiring(hash) => hash.fields().get(self.pages, name),
        };
        found.filter(|member| member.is_alive(self.now))
    }

    /// Returns the value of the field `name` of a hash.
    #[must_use]
    pub fn value(&self, name: &[u8]) -> Option<ValueView<'a>> {
        self.get(name).map(|member| member.value)
    }

    /// Visits all members.
    pub fn each(&self, visit: &mut dyn FnMut(Member<'_>)) {
        match self.repr {
            MapRepr::Large(_) | MapRepr::Expiring(_) => {
                let mut cursor = self.scan(0, usize::MAX, visit);
                while cursor != 0 {
                    cursor = self.scan(cursor, usize::MAX, visit);
                }
            }
            MapRepr::Packed(blob, stride) => {
                packed_members(blob, stride).filter(|member| member.is_alive(self.now)).for_each(visit);
            }
            MapRepr::Integers(blob) => integers::all(blob).for_each(|value| visit_integer(value, visit)),
            MapRepr::Sorted(sorted) => sorted.each(self.pages, &mut |name, score| visit_scored(name, score, visit)),
        }
    }

    /// Visits about `count` members from `cursor` on (0: from the start) and returns the cursor to go on with (0: done; below 2^32).
    /// A member that is there during the whole iteration is visited once, whatever else changes.
    pub fn scan(&self, cursor: u64, count: usize, visit: &mut dyn FnMut(Member<'_>)) -> u64 {
        match self.repr {
            MapRepr::Large(large) => large.scan(self.pages, cursor, count, visit),
            MapRepr::Expiring(hash) => hash.fields().scan(self.pages, cursor, count, &mut |member| {
                if member.is_alive(self.now) {
                    visit(member);
                }
            }),
            MapRepr::Sorted(sorted) => {
                sorted.scan(self.pages, cursor, count, &mut |name, score| visit_scored(name, score, visit))
            }
            MapRepr::Packed(..) | MapRepr::Integers(_) => self.scan_piece(cursor, count, visit),
        }
    }

    /// The same for one in one piece.
    fn scan_piece(&self, cursor: u64, count: usize, visit: &mut dyn FnMut(Member<'_>)) -> u64 {
        let Ok(from) = u32::try_from(cursor) else { return 0 };
        // Few members: those from the cursor on are put in the order of their tags each time.
        let mut members = Vec::new();
        self.each(&mut |Member { name, value, expiry }| {
            let tag = large::tag_of(self.pages, name);
            if tag >= from {
                members.push((tag, name.to_vec(), value.as_slice().unwrap_or_default().to_vec(), expiry));
            }
        });
        members.sort_unstable();
        // Members of one tag are visited together.
        let mut behind = count.min(members.len());
        while behind > 0 && members.get(behind).is_some_and(|next| next.0 == members[behind - 1].0) {
            behind += 1;
        }
        for (_, name, value, expiry) in &members[..behind] {
            visit(Member { name, value: ValueView::whole(value), expiry: *expiry });
        }
        members.get(behind).map_or(0, |next| next.0.into())
    }

    /// Visits a member chosen by `random`, close to uniformly, if there is one.
    pub fn random(&self, random: u64, visit: &mut dyn FnMut(Member<'_>)) {
        match self.repr {
            MapRepr::Packed(blob, stride) => {
                let index = share(random, self.len()) as usize;
                let mut members = packed_members(blob, stride).filter(|member| member.is_alive(self.now));
                members.nth(index).into_iter().for_each(visit);
            }
            MapRepr::Integers(blob) => {
                visit_integer(integers::get(blob, share(random, self.len()) as usize), visit);
            }
            MapRepr::Large(large) => large.random(self.pages, random).into_iter().for_each(visit),
            MapRepr::Expiring(hash) => self.random_alive(hash, random, visit),
            MapRepr::Sorted(sorted) => {
                sorted.random(self.pages, random, &mut |name, score| visit_scored(name, score, visit));
            }
        }
    }

    fn random_alive(&self, hash: ExpiringHash, random: u64, visit: &mut dyn FnMut(Member<'_>)) {
        const TRIES: usize = 100;
        let mut dice = SplitMix64(random);
        let mut picks = (0..TRIES).filter_map(|_| hash.fields().random(self.pages, dice.next()));
        if let Some(member) = picks.find(|member| member.is_alive(self.now)) {
            return visit(member);
        }
        // Nearly all fields have expired: any one that has not will do.
        let mut found = false;
        self.each(&mut |member| {
            if !std::mem::replace(&mut found, true) {
                visit(member);
            }
        });
    }

    /// Returns the names of at most `max` fields that have expired, those first that were the first to.
    pub(crate) fn expired(&self, max: usize) -> Vec<Vec<u8>> {
        let mut names = Vec::new();
        match self.repr {
            MapRepr::Packed(blob, stride) => {
                let gone = packed_members(blob, stride).filter(|member| !member.is_alive(self.now));
                names.extend(gone.take(max).map(|member| member.name.to_vec()));
            }
            MapRepr::Expiring(hash) => hash.each_due(self.pages, self.now.0, &mut |name| {
                names.push(name.to_vec());
                names.len() < max
            }),
            MapRepr::Integers(_) | MapRepr::Large(_) | MapRepr::Sorted(_) => {}
        }
        names
    }

    /// Returns whether it is a set of integers in one piece.
    #[must_use]
    pub fn is_of_integers(&self) -> bool {
        matches!(self.repr, MapRepr::Integers(_))
    }

    /// Returns whether it is a hash table.
    #[must_use]
    pub fn is_large(&self) -> bool {
        matches!(self.repr, MapRepr::Large(_) | MapRepr::Expiring(_) | MapRepr::Sorted(_))
    }

    /// Returns whether it is a hash with fields that may expire.
    #[must_use]
    pub fn has_expiring_fields(&self) -> bool {
        matches!(self.repr, MapRepr::Packed(_, expiring::STRIDE) | MapRepr::Expiring(_))
    }

    /// Returns the bytes that it takes beside its record.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        match self.repr {
            MapRepr::Large(large) => large.memory_bytes(self.pages),
            MapRepr::Expiring(hash) => hash.memory_bytes(self.pages),
            MapRepr::Sorted(sorted) => sorted.memory_bytes(self.pages),
            MapRepr::Packed(..) | MapRepr::Integers(_) => 0,
        }
    }
}

/// A member as its strings stand: its name, the value of a field (empty in a set), and when that expires.
pub(crate) type MemberStrings<'a> = (&'a [u8], &'a [u8], Option<u64>);

/// Members out of the strings of an effect, or of one in one piece.
#[inline(always)]
pub(crate) fn members<'a>(
    mut strings: impl Iterator<Item = &'a [u8]>,
    stride: packed::Stride,
) -> impl Iterator<Item = MemberStrings<'a>> {
    std::iter::from_fn(move || {
        let name = strings.next()?;
        let value = if stride >= 2 { strings.next() } else { None };
        let expiry = if stride == expiring::STRIDE { strings.next().and_then(expiring::expiry_of) } else { None };
        Some((name, value.unwrap_or_default(), expiry))
    })
}

/// Fields of an expiring hash in one piece that have not expired.
#[inline(never)]
fn alive_in_piece(blob: &[u8], now: UnixMillis) -> u64 {
    packed_members(blob, expiring::STRIDE).filter(|member| member.is_alive(now)).count() as u64
}

/// Bytes of a set of integers as a set of strings.
fn integers_packed_bytes(blob: &[u8]) -> usize {
    let text = |value: i64| packed::string_bytes(itoa::Buffer::new().format(value).len());
    packed::EMPTY_BYTES + integers::all(blob).map(text).sum::<usize>()
}

fn packed_members(blob: &[u8], stride: packed::Stride) -> impl Iterator<Item = Member<'_>> {
    members(packed::strings(blob), stride).map(Member::of)
}

fn visit_integer(value: i64, visit: &mut dyn FnMut(Member<'_>)) {
    visit(Member::new(itoa::Buffer::new().format(value).as_bytes(), ValueView::whole(&[])));
}

fn visit_scored(name: &[u8], score: Score, visit: &mut dyn FnMut(Member<'_>)) {
    visit(Member::new(name, ValueView::whole(&score.to_bytes())));
}

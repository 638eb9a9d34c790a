//! A segment of the hash index: one page, a table of its own.
//!
//! ```text
//!   0  page type u8 = 3, local depth u8, entries u16
//!   4  prefix u32: the first `local depth` bits of every tag here
//!   8  reserved, zero
//!  64  255 buckets of 64 bytes: 8 tags u32, then 8 record addresses u32 (0: free)
//! ```
//!
//! A *tag* is the upper half of the key's hash. Its upper bits choose the segment, its lower 10 the home bucket, and all of
//! it is the fingerprint: so a split sorts 8-byte entries within pages and reads no record. A bucket is one cache line; an
//! entry whose home is full goes to the next bucket with room. Invariant: **all buckets from an entry's home to before its
//! place are full**, so a search ends at the first bucket with room, and a removal moves later entries back.

use crate::arena::{Arena, Page, Ref};
use crate::ids::PageId;

use super::PageType;

pub(crate) const BUCKETS: usize = 255;
const SLOTS_PER_BUCKET: usize = 8;
const BUCKET_BYTES: usize = 64;
const BUCKETS_AT: usize = 64;
const REFS_AT: usize = 4 * SLOTS_PER_BUCKET;

/// Entries at which a segment splits: 9 in 10. Above that, searches for absent keys get long.
pub(crate) const ENTRIES_MAX: usize = BUCKETS * SLOTS_PER_BUCKET * 9 / 10;

/// Two neighbours of together at most so many entries merge: far enough below a split not to swing.
pub(crate) const ENTRIES_MERGED_MAX: usize = ENTRIES_MAX * 2 / 5;

const TYPE: usize = 0;
const DEPTH: usize = 1;
const COUNT: usize = 2;
const PREFIX: usize = 4;

/// Bits of a tag that choose the home bucket.
const HOME_BITS: u32 = 10;

type Line = [u8; BUCKET_BYTES];

/// Where an entry stands within its segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    bucket: usize,
    slot: usize,
}

/// A new segment without entries.
pub(crate) fn create(arena: &mut Arena, depth: u32, prefix: u32) -> PageId {
    let id = arena.allocate();
    reset(arena.page_mut(id), depth, prefix);
    id
}

fn reset(page: &mut Page, depth: u32, prefix: u32) {
    page.all_mut().fill(0);
    page.put_u8(TYPE, PageType::Segment as u8);
    page.put_u8(DEPTH, depth as u8);
    page.put_u32(PREFIX, prefix);
}

pub(crate) fn is_segment(page: &Page) -> bool {
    page.u8_at(TYPE) == PageType::Segment as u8
}

pub(crate) fn depth(page: &Page) -> u32 {
    u32::from(page.u8_at(DEPTH))
}

pub(crate) fn prefix(page: &Page) -> u32 {
    page.u32_at(PREFIX)
}

pub(crate) fn count(page: &Page) -> usize {
    page.u16_at(COUNT) as usize
}

/// The bucket at which a search for `tag` starts.
#[inline]
pub(crate) const fn home(tag: u32) -> usize {
    ((tag & ((1 << HOME_BITS) - 1)) as usize * BUCKETS) >> HOME_BITS
}

const fn next(bucket: usize) -> usize {
    if bucket + 1 == BUCKETS { 0 } else { bucket + 1 }
}

/// Steps from bucket `from` on to bucket `to`.
const fn distance(from: usize, to: usize) -> usize {
    if to >= from { to - from } else { to + BUCKETS - from }
}

#[inline]
fn line(page: &Page, bucket: usize) -> &Line {
    page.array(BUCKETS_AT + bucket * BUCKET_BYTES)
}

#[inline]
fn word(line: &Line, at: usize) -> u32 {
    u32::from_le_bytes(*line[at..].first_chunk().expect("within a bucket"))
}

/// One bit for each of the 8 words from `at` on that equals `value`.
#[inline]
fn equal(line: &Line, at: usize, value: u32) -> u32 {
    (0..SLOTS_PER_BUCKET).fold(0, |mask, slot| mask | u32::from(word(line, at + 4 * slot) == value) << slot)
}

#[inline]
fn free_slot(line: &Line) -> Option<usize> {
    let free = equal(line, REFS_AT, 0);
    (free != 0).then(|| free.trailing_zeros() as usize)
}

/// The entry of `tag` for whose record `is_it` holds.
#[inline]
pub(crate) fn find(page: &Page, tag: u32, mut is_it: impl FnMut(Ref) -> bool) -> Option<(Place, Ref)> {
    let mut bucket = home(tag);
    for _ in 0..BUCKETS {
        let line = line(page, bucket);
        let mut same = equal(line, 0, tag);
        while same != 0 {
            let slot = same.trailing_zeros() as usize;
            let at = Ref(word(line, REFS_AT + 4 * slot));
            if !at.is_null() && is_it(at) {
                return Some((Place { bucket, slot }, at));
            }
            same &= same - 1;
        }
        if free_slot(line).is_some() {
            return None;
        }
        bucket = next(bucket);
    }
    None
}

/// Byte offset of the bucket at which a search for `tag` starts.
#[inline]
pub(crate) const fn home_offset(tag: u32) -> usize {
    BUCKETS_AT + home(tag) * BUCKET_BYTES
}

/// The records that a search for `tag` looks at first: those of its home bucket with this very tag.
#[inline]
pub(crate) fn likely(page: &Page, tag: u32, mut visit: impl FnMut(Ref)) {
    let line = line(page, home(tag));
    let mut same = equal(line, 0, tag);
    while same != 0 {
        visit(Ref(word(line, REFS_AT + 4 * same.trailing_zeros() as usize)));
        same &= same - 1;
    }
}

/// Adds an entry; the segment must have room.
pub(crate) fn insert(page: &mut Page, tag: u32, at: Ref) {
    let mut bucket = home(tag);
    let slot = loop {
        match free_slot(line(page, bucket)) {
            Some(slot) => break slot,
            None => bucket = next(bucket),
        }
    };
    put(page, Place { bucket, slot }, tag, at);
    let entries = page.u16_at(COUNT) + 1;
    assert!(entries as usize <= ENTRIES_MAX, "a segment is split before it is full");
    page.put_u16(COUNT, entries);
}

/// Changes the address of an entry.
pub(crate) fn replace(page: &mut Page, place: Place, at: Ref) {
    page.put_u32(BUCKETS_AT + place.bucket * BUCKET_BYTES + REFS_AT + 4 * place.slot, at.0);
}

fn put(page: &mut Page, place: Place, tag: u32, at: Ref) {
    page.put_u32(BUCKETS_AT + place.bucket * BUCKET_BYTES + 4 * place.slot, tag);
    replace(page, place, at);
}

/// Takes an entry out and moves later ones back, so that the invariant holds.
pub(crate) fn remove(page: &mut Page, place: Place) {
    let entries = page.u16_at(COUNT) - 1;
    page.put_u16(COUNT, entries);
    let mut hole = place;
    let mut bucket = place.bucket;
    let mut full = free_slot(line(page, bucket)).is_none();
    // While the buckets seen so far were full, entries further on may have passed the hole.
    while full {
        bucket = next(bucket);
        let line = line(page, bucket);
        full = free_slot(line).is_none();
        let back = (0..SLOTS_PER_BUCKET).find(|slot| {
            let (tag, at) = (word(line, 4 * slot), word(line, REFS_AT + 4 * slot));
            at != 0 && distance(home(tag), bucket) >= distance(hole.bucket, bucket)
        });
        if let Some(slot) = back {
            let (tag, at) = (word(line, 4 * slot), Ref(word(line, REFS_AT + 4 * slot)));
            put(page, hole, tag, at);
            hole = Place { bucket, slot };
        }
    }
    put(page, hole, 0, Ref::NULL);
}

/// All entries in the order of their places.
pub(crate) fn entries(page: &Page) -> impl Iterator<Item = (u32, Ref)> + '_ {
    (0..BUCKETS).flat_map(move |bucket| in_bucket(page, bucket))
}

fn in_bucket(page: &Page, bucket: usize) -> impl Iterator<Item = (u32, Ref)> + '_ {
    let line = line(page, bucket);
    (0..SLOTS_PER_BUCKET)
        .map(move |slot| (word(line, 4 * slot), Ref(word(line, REFS_AT + 4 * slot))))
        .filter(|(_, at)| !at.is_null())
}

/// The records whose home is `bucket`.
pub(crate) fn at_home(page: &Page, bucket: usize, mut visit: impl FnMut(Ref)) {
    let mut place = bucket;
    for _ in 0..BUCKETS {
        for (tag, at) in in_bucket(page, place) {
            if home(tag) == bucket {
                visit(at);
            }
        }
        if free_slot(line(page, place)).is_some() {
            return;
        }
        place = next(place);
    }
}

/// Moves the entries whose next bit is 1 from `low` to a new segment, which is answered.
pub(crate) fn split(arena: &mut Arena, low: PageId) -> PageId {
    let page = arena.page(low);
    let (depth, prefix) = (depth(page), prefix(page));
    let all: Vec<(u32, Ref)> = entries(page).collect();
    let high = create(arena, depth + 1, prefix << 1 | 1);
    reset(arena.page_mut(low), depth + 1, prefix << 1);
    let is_high = |tag: u32| tag << depth >> 31 == 1;
    for (id, of_high) in [(low, false), (high, true)] {
        let page = arena.page_mut(id);
        all.iter().filter(|(tag, _)| is_high(*tag) == of_high).for_each(|(tag, at)| insert(page, *tag, *at));
    }
    high
}

/// Moves the entries of `high` to `low`, its neighbour of the same depth, and gives `high` up.
pub(crate) fn merge(arena: &mut Arena, low: PageId, high: PageId) {
    let all: Vec<(u32, Ref)> = [low, high].iter().flat_map(|id| entries(arena.page(*id))).collect();
    let page = arena.page_mut(low);
    let (depth, prefix) = (depth(page), prefix(page));
    reset(page, depth - 1, prefix >> 1);
    all.into_iter().for_each(|(tag, at)| insert(page, tag, at));
    arena.free(high);
}

/// Checks a segment in itself: count, prefix, and that every entry is found where a search looks for it.
pub(crate) fn check(page: &Page) -> Result<(), &'static str> {
    let depth = depth(page);
    if entries(page).count() != count(page) || count(page) > ENTRIES_MAX {
        return Err("a segment of the index counts wrong");
    }
    for bucket in 0..BUCKETS {
        for (tag, _) in in_bucket(page, bucket) {
            if super::directory::index_of(tag, depth) as u64 != u64::from(prefix(page)) {
                return Err("an index entry is in a segment of another prefix");
            }
            let steps = distance(home(tag), bucket);
            if (0..steps).any(|step| free_slot(line(page, (home(tag) + step) % BUCKETS)).is_some()) {
                return Err("an index entry is where no search finds it");
            }
        }
    }
    Ok(())
}

//! A segment: a run of buckets, a table of its own, in a slot or in a page.
//!
//! ```text
//!      in a slot: 1 to 127 buckets of 64 bytes
//!      in a page:
//!   0  page type u8 = 3, zero u8, entries u16
//!   4  reserved, zero
//!  64  255 buckets of 64 bytes
//!
//!      a bucket: as many tags u32 as targets fit beside them, then the targets (0: free), then zero
//!      8 entries of addresses u32, or 5 of words u64
//! ```
//!
//! A *tag* is 32 bits of a hash. The first `depth` bits chose the segment; the bits after them, as a fraction, choose the *home*
//! among the buckets, however many there are; all of it is the fingerprint. So homes are in the order of the tags in a segment
//! of any size. A bucket is a cache line's worth; an entry whose home is full goes to the next bucket with room, from the last on
//! to the first. Invariant: **all buckets from an entry's home to before its place are full**, so a search ends at the first
//! bucket with room, and a removal moves later entries back.

use std::marker::PhantomData;

use crate::arena::{Arena, GRANULE_BYTES, PAGE_BYTES, Page, Ref};
use crate::ids::PageId;
use crate::structure::PageType;

pub(super) const BUCKET_BYTES: usize = 64;

const TAG_BYTES: usize = 4;

/// What an entry leads to: a word that is never zero.
pub(crate) trait Target: Copy + Ord + 'static {
    /// Bytes of the word, 4 or 8.
    const BYTES: usize;

    /// The target of a word that is not zero.
    fn of_word(word: u64) -> Self;

    fn word(self) -> u64;
}

impl Target for Ref {
    const BYTES: usize = 4;

    #[inline]
    fn of_word(word: u64) -> Ref {
        Ref(word as u32)
    }

    #[inline]
    fn word(self) -> u64 {
        self.0.into()
    }
}

/// Buckets of a segment in a page.
const PAGE_BUCKETS: usize = 255;
/// Where they begin.
pub(super) const PAGE_BUCKETS_AT: usize = 64;

/// Buckets of a segment, by the form of its table. In slots: steps of about 1.4, each a slot of the allocator that is filled but
/// for 48 bytes at most.
pub(super) const BUCKETS: [usize; 16] = [0, 1, 2, 3, 4, 6, 8, 11, 15, 21, 31, 42, 63, 85, 127, PAGE_BUCKETS];

/// Entries at which a segment of `slots` slots grows: 9 in 10. Above that, searches for what is absent get long.
const fn entries_max(slots: usize) -> usize {
    (slots * 9).div_ceil(10)
}

const TYPE: usize = 0;
const COUNT: usize = 2;

type BucketLine = [u8; BUCKET_BYTES];

/// Where a segment is and how large: 8 bytes, so that it travels in a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentSpan<T> {
    pub(super) page: PageId,
    /// Byte offset of the first bucket.
    at: u16,
    buckets: u8,
    /// Bits of a tag that lead here.
    pub(super) depth: u8,
    target: PhantomData<T>,
}

const _: () = assert!(PAGE_BUCKETS <= u8::MAX as usize && PAGE_BYTES <= u16::MAX as usize);

impl<T: Target> SegmentSpan<T> {
    const SLOTS_PER_BUCKET: usize = BUCKET_BYTES / (TAG_BYTES + T::BYTES);
    const TARGETS_AT: usize = TAG_BYTES * Self::SLOTS_PER_BUCKET;

    /// Entries at which a segment in a page splits.
    pub(super) const ENTRIES_MAX: usize = entries_max(PAGE_BUCKETS * Self::SLOTS_PER_BUCKET);

    /// Two neighbours of together at most so many entries merge: far enough below a split not to swing.
    pub(super) const ENTRIES_MERGED_MAX: usize = Self::ENTRIES_MAX * 2 / 5;

    /// The only segment of a table.
    #[inline]
    pub(super) const fn new(page: PageId, at: usize, buckets: usize) -> Self {
        SegmentSpan { page, at: at as u16, buckets: buckets as u8, depth: 0, target: PhantomData }
    }

    /// The segment in a page of its own.
    #[inline]
    pub(super) const fn of_page(page: PageId, depth: u8) -> Self {
        SegmentSpan { page, at: PAGE_BUCKETS_AT as u16, buckets: PAGE_BUCKETS as u8, depth, target: PhantomData }
    }

    /// Whether it has a page of its own.
    #[inline]
    pub(super) const fn has_page(self) -> bool {
        self.buckets() == PAGE_BUCKETS
    }

    /// Number of buckets.
    #[inline]
    pub(super) const fn buckets(self) -> usize {
        self.buckets as usize
    }

    /// Entries at which it grows.
    pub(super) const fn entries_max(self) -> usize {
        entries_max(self.slots())
    }

    /// Address of the first bucket.
    pub(super) fn first(self) -> Ref {
        Ref::new(self.page, self.at as usize / GRANULE_BYTES)
    }

    /// The bucket at which a search for `tag` starts.
    #[inline]
    pub(super) const fn home(self, tag: u32) -> usize {
        ((tag.wrapping_shl(self.depth as u32) as u64 * self.buckets as u64) >> 32) as usize
    }

    /// Byte offset of `bucket`.
    #[inline]
    pub(super) const fn offset(self, bucket: usize) -> usize {
        self.at as usize + bucket * BUCKET_BYTES
    }

    /// The lowest tag whose home is `bucket` or a later one; of one bucket too many, the first tag beyond the segment. `inside`
    /// is any tag of the segment.
    pub(super) const fn first_tag(self, inside: u32, bucket: usize) -> u64 {
        let start = inside & !(u32::MAX >> self.depth);
        start as u64 + ((bucket as u64) << (32 - self.depth)).div_ceil(self.buckets as u64)
    }

    #[inline]
    const fn next(self, bucket: usize) -> usize {
        if bucket + 1 == self.buckets() { 0 } else { bucket + 1 }
    }

    /// Steps from bucket `from` on to bucket `to`.
    const fn distance(self, from: usize, to: usize) -> usize {
        if to >= from { to - from } else { to + self.buckets() - from }
    }

    #[inline]
    fn line(self, page: &Page, bucket: usize) -> &BucketLine {
        page.array(self.offset(bucket))
    }

    fn has_room(self, page: &Page, bucket: usize) -> bool {
        Self::free_slot(self.line(page, bucket)).is_some()
    }

    /// The entry of `tag` for which `is_it` is true: the byte offset of its address, and the address. Most searches end at home,
    /// so that part is inlined and the other is not.
    #[inline(always)]
    pub(super) fn find(self, page: &Page, tag: u32, mut is_it: impl FnMut(T) -> bool) -> Option<(usize, T)> {
        let home = self.home(tag);
        let line = self.line(page, home);
        match Self::in_line(line, tag, &mut is_it) {
            Some((slot, at)) => Some((self.place(home, slot), at)),
            None if Self::free_slot(line).is_some() => None,
            None => self.find_from(page, self.next(home), tag, is_it),
        }
    }

    /// The same from `bucket` on.
    #[inline(never)]
    pub(super) fn find_from(
        self,
        page: &Page,
        mut bucket: usize,
        tag: u32,
        mut is_it: impl FnMut(T) -> bool,
    ) -> Option<(usize, T)> {
        for _ in 0..self.buckets() {
            let line = self.line(page, bucket);
            if let Some((slot, at)) = Self::in_line(line, tag, &mut is_it) {
                return Some((self.place(bucket, slot), at));
            }
            if Self::free_slot(line).is_some() {
                return None;
            }
            bucket = self.next(bucket);
        }
        None
    }

    /// The targets that a search for `tag` looks at first: those in its home bucket with this very tag.
    #[inline]
    pub(super) fn likely(self, page: &Page, tag: u32, mut visit: impl FnMut(T)) {
        let line = self.line(page, self.home(tag));
        let mut same = Self::with_tag(line, tag);
        while same != 0 {
            visit(T::of_word(Self::word(line, first(same))));
            same &= !(3 << (2 * first(same)));
        }
    }

    /// Adds an entry; there is room. Counts nothing.
    #[inline]
    pub(super) fn insert(self, page: &mut Page, tag: u32, at: T) {
        let mut bucket = self.home(tag);
        let slot = loop {
            match Self::free_slot(self.line(page, bucket)) {
                Some(slot) => break slot,
                None => bucket = self.next(bucket),
            }
        };
        self.put(page, self.place(bucket, slot), tag, at.word());
    }

    /// Byte offset of a target.
    #[inline]
    const fn place(self, bucket: usize, slot: usize) -> usize {
        self.offset(bucket) + Self::TARGETS_AT + T::BYTES * slot
    }

    /// The bucket of the target at `place`, and the byte offset of its tag.
    #[inline]
    const fn tag_of_place(self, place: usize) -> (usize, usize) {
        let bucket = (place - self.at as usize) / BUCKET_BYTES;
        let first = self.offset(bucket);
        (bucket, first + TAG_BYTES * ((place - first - Self::TARGETS_AT) / T::BYTES))
    }

    /// The tag of the entry whose target stands at `place`.
    pub(super) fn tag_at(self, page: &Page, place: usize) -> u32 {
        page.u32_at(self.tag_of_place(place).1)
    }

    #[inline]
    fn put(self, page: &mut Page, place: usize, tag: u32, word: u64) {
        page.put_u32(self.tag_of_place(place).1, tag);
        Self::put_word(page, place, word);
    }

    /// Writes a target at its place.
    #[inline]
    pub(super) fn put_word(page: &mut Page, place: usize, word: u64) {
        if T::BYTES == 4 { page.put_u32(place, word as u32) } else { page.put_u64(place, word) }
    }

    /// Removes the entry whose target is at `place` and moves later ones back, which keeps the invariant. Does not change the
    /// count.
    #[inline]
    pub(super) fn remove(self, page: &mut Page, place: usize) {
        let (bucket, _) = self.tag_of_place(place);
        let place = if self.has_room(page, bucket) { place } else { self.move_back(page, place, bucket) };
        self.put(page, place, 0, 0);
    }

    /// Moves entries that would have stood in or before the full bucket `bucket` back into the hole at `place`, and so on;
    /// returns the last hole.
    #[inline(never)]
    fn move_back(self, page: &mut Page, place: usize, mut bucket: usize) -> usize {
        let mut hole = (place, bucket);
        for _ in 1..self.buckets() {
            bucket = self.next(bucket);
            let line = self.line(page, bucket);
            let back = (0..Self::SLOTS_PER_BUCKET).find_map(|slot| {
                let (tag, word) = (Self::tag(line, slot), Self::word(line, slot));
                let passed = word != 0 && self.distance(self.home(tag), bucket) >= self.distance(hole.1, bucket);
                passed.then_some((slot, tag, word))
            });
            let last = Self::free_slot(line).is_some();
            if let Some((slot, tag, word)) = back {
                self.put(page, hole.0, tag, word);
                hole = (self.place(bucket, slot), bucket);
            }
            // Behind a bucket with room, nothing has passed the hole.
            if last {
                break;
            }
        }
        hole.0
    }

    /// All entries in the order of their places.
    pub(super) fn entries(self, page: &Page) -> impl Iterator<Item = (u32, T)> + '_ {
        (0..self.buckets()).flat_map(move |bucket| Self::in_bucket(self.line(page, bucket)))
    }

    /// The entry in one of the slots, which are counted from the first bucket on.
    pub(super) fn in_slot(self, page: &Page, slot: usize) -> Option<T> {
        let line = self.line(page, slot / Self::SLOTS_PER_BUCKET);
        Some(Self::word(line, slot % Self::SLOTS_PER_BUCKET)).filter(|word| *word != 0).map(T::of_word)
    }

    /// Number of slots for entries.
    pub(super) const fn slots(self) -> usize {
        self.buckets() * Self::SLOTS_PER_BUCKET
    }

    /// The entries whose home is `bucket`.
    pub(super) fn at_home(self, page: &Page, bucket: usize, mut visit: impl FnMut(u32, T)) {
        let mut place = bucket;
        for _ in 0..self.buckets() {
            let line = self.line(page, place);
            Self::in_bucket(line).filter(|(tag, _)| self.home(*tag) == bucket).for_each(|(tag, at)| visit(tag, at));
            if Self::free_slot(line).is_some() {
                return;
            }
            place = self.next(place);
        }
    }

    /// Whether a search finds every entry where it is.
    pub(super) fn is_searchable(self, page: &Page) -> bool {
        (0..self.buckets()).all(|bucket| {
            Self::in_bucket(self.line(page, bucket)).all(|(tag, _)| {
                let home = self.home(tag);
                (0..self.distance(home, bucket)).all(|step| !self.has_room(page, (home + step) % self.buckets()))
            })
        })
    }

    #[inline]
    fn tag(line: &BucketLine, slot: usize) -> u32 {
        u32::from_le_bytes(*line[TAG_BYTES * slot..].first_chunk().expect("within a bucket"))
    }

    /// The word of a target; 0: the slot is free.
    #[inline]
    fn word(line: &BucketLine, slot: usize) -> u64 {
        let bytes = &line[Self::TARGETS_AT + T::BYTES * slot..];
        if T::BYTES == 4 {
            u32::from_le_bytes(*bytes.first_chunk().expect("within a bucket")).into()
        } else {
            u64::from_le_bytes(*bytes.first_chunk().expect("within a bucket"))
        }
    }

    /// Two bits for each slot: whether its tag is `tag`. Two, since the compiler makes vectors of that only.
    #[inline]
    fn with_tag(line: &BucketLine, tag: u32) -> u32 {
        (0..Self::SLOTS_PER_BUCKET)
            .fold(0, |mask, slot| mask | if Self::tag(line, slot) == tag { 3 << (2 * slot) } else { 0 })
    }

    #[inline]
    fn free_slot(line: &BucketLine) -> Option<usize> {
        let free = (0..Self::SLOTS_PER_BUCKET)
            .fold(0, |mask, slot| mask | if Self::word(line, slot) == 0 { 3 << (2 * slot) } else { 0 });
        (free != 0).then(|| first(free))
    }

    /// The slot of the entry of `tag` for which `is_it` is true, and its target.
    #[inline(always)]
    fn in_line(line: &BucketLine, tag: u32, is_it: &mut impl FnMut(T) -> bool) -> Option<(usize, T)> {
        let mut same = Self::with_tag(line, tag);
        while same != 0 {
            let word = Self::word(line, first(same));
            if word != 0 && is_it(T::of_word(word)) {
                return Some((first(same), T::of_word(word)));
            }
            same &= !(3 << (2 * first(same)));
        }
        None
    }

    fn in_bucket(line: &BucketLine) -> impl Iterator<Item = (u32, T)> + '_ {
        (0..Self::SLOTS_PER_BUCKET)
            .map(move |slot| (Self::tag(line, slot), Self::word(line, slot)))
            .filter(|(_, word)| *word != 0)
            .map(|(tag, word)| (tag, T::of_word(word)))
    }

    /// Whether all that is not an entry is zero.
    pub(super) fn is_clean(self, page: &Page) -> bool {
        (0..self.buckets()).all(|bucket| {
            let line = self.line(page, bucket);
            let end = Self::TARGETS_AT + T::BYTES * Self::SLOTS_PER_BUCKET;
            let free = |slot| Self::word(line, slot) != 0 || Self::tag(line, slot) == 0;
            line[end..].iter().all(|byte| *byte == 0) && (0..Self::SLOTS_PER_BUCKET).all(free)
        })
    }
}

/// The first slot whose bits are set; those of one are.
#[inline]
const fn first(same: u32) -> usize {
    same.trailing_zeros() as usize / 2
}

/// Makes `page` a segment without entries.
fn reset(page: &mut Page) {
    page.all_mut().fill(0);
    page.put_u8(TYPE, PageType::Segment as u8);
}

/// A page that is a segment without entries.
pub(super) fn create(arena: &mut Arena) -> PageId {
    let id = arena.allocate();
    arena.page_mut(id).put_u8(TYPE, PageType::Segment as u8);
    id
}

/// Entries of a segment in a page.
#[inline]
pub(super) fn count(page: &Page) -> usize {
    page.u16_at(COUNT) as usize
}

#[inline]
pub(super) fn put_count(page: &mut Page, entries: usize) {
    page.put_u16(COUNT, entries as u16);
}

/// Whether the head of a segment in a page is in order.
pub(super) fn is_segment(page: &Page) -> bool {
    let head: &[u8; PAGE_BUCKETS_AT] = page.array(0);
    head[TYPE] == PageType::Segment as u8 && head[TYPE + 1] == 0 && head[COUNT + 2..].iter().all(|byte| *byte == 0)
}

fn fill<T: Target>(arena: &mut Arena, run: SegmentSpan<T>, all: impl Iterator<Item = (u32, T)>) {
    let page = arena.page_mut(run.page);
    let mut entries = 0;
    for (tag, at) in all {
        run.insert(page, tag, at);
        entries += 1;
    }
    assert!(entries <= SegmentSpan::<T>::ENTRIES_MAX, "a segment is split before it is full");
    put_count(page, entries);
}

/// Moves the entries whose next bit is 1 from `low` to a new segment, which is returned.
pub(super) fn split<T: Target>(arena: &mut Arena, low: SegmentSpan<T>) -> PageId {
    let all: Vec<(u32, T)> = low.entries(arena.page(low.page)).collect();
    let high = SegmentSpan { page: create(arena), depth: low.depth + 1, ..low };
    let low = SegmentSpan { depth: high.depth, ..low };
    reset(arena.page_mut(low.page));
    let is_high = |tag: u32| tag << (low.depth - 1) >> 31 == 1;
    fill(arena, low, all.iter().copied().filter(|(tag, _)| !is_high(*tag)));
    fill(arena, high, all.iter().copied().filter(|(tag, _)| is_high(*tag)));
    high.page
}

/// Moves the entries of `high` to `low`, its neighbour of the same depth, and gives `high` up.
pub(super) fn merge<T: Target>(arena: &mut Arena, low: SegmentSpan<T>, high: SegmentSpan<T>) {
    let all: Vec<(u32, T)> = [low, high].iter().flat_map(|run| run.entries(arena.page(run.page))).collect();
    reset(arena.page_mut(low.page));
    fill(arena, SegmentSpan { depth: low.depth - 1, ..low }, all.into_iter());
    arena.free(high.page);
}

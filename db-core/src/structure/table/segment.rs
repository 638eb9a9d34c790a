//! A segment: a run of buckets, a table of its own, in a slot.
//!
//! ```text
//!      the only one of a table: 1 to 62 buckets of 64 bytes
//!      under a directory:
//!   0  entries u16
//!   2  reserved, zero
//!  32  30 to 62 buckets of 64 bytes
//!      reserved, 32 bytes, zero
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
//!
//! **A segment under a directory grows in steps of a fifth before it splits.** All segments of a table are about equally full, since hashes are even;
//! if each only split, all would at about the same time, and a table would be half empty then. So a table is about 80 % full whatever its size.

mod check;

use std::marker::PhantomData;

use crate::arena::{Arena, GRANULE_BYTES, PAGE_BYTES, Page, Ref};
use crate::ids::PageId;
use crate::structure::slab;

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

/// Buckets of the only segment of a table, by its form: steps of at most 1.5, each a slot of the allocator that is filled but for 64 bytes at
/// most.
pub(super) const BUCKETS: [usize; 15] = [0, 1, 2, 3, 4, 6, 8, 11, 15, 21, 31, 36, 42, 51, 62];

/// Buckets of a segment under a directory. Half of the last is a little less than the second, so that a split is a step like any other.
pub(super) const SIZES: [usize; 5] = [30, 35, 41, 50, 62];

const BUCKETS_MAX: usize = SIZES[SIZES.len() - 1];

/// Bytes before the buckets of a segment under a directory. Slots of these sizes begin 32 bytes behind a cache line, so that buckets are lines.
const HEAD_BYTES: usize = 32;

/// Entries at which a segment of so many buckets grows: 9 in 10 slots, 8 where few of them make a bucket. Above that, searches for what is absent
/// get long.
const fn entries_max(buckets: usize, slots_per_bucket: usize) -> usize {
    let tenths = if slots_per_bucket < 8 { 8 } else { 9 };
    (buckets * slots_per_bucket * tenths).div_ceil(10)
}

/// Bytes of `segments` segments with `buckets` buckets, under a directory: head and tail are as long as a bucket.
pub(super) const fn memory_bytes(segments: u64, buckets: u64) -> u64 {
    (segments + buckets) * BUCKET_BYTES as u64
}

type BucketLine = [u8; BUCKET_BYTES];

/// Where a segment is and how large: 8 bytes, so that it travels in a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentSpan<T> {
    pub(super) page: PageId,
    /// Byte offset of the first bucket.
    at: u16,
    buckets: u8,
    /// Bits of a tag that lead here; 0: it is the only one of its table.
    pub(super) depth: u8,
    target: PhantomData<T>,
}

const _: () = assert!(BUCKETS_MAX <= u8::MAX as usize && PAGE_BYTES <= u16::MAX as usize);

impl<T: Target> SegmentSpan<T> {
    const SLOTS_PER_BUCKET: usize = BUCKET_BYTES / (TAG_BYTES + T::BYTES);
    const TARGETS_AT: usize = TAG_BYTES * Self::SLOTS_PER_BUCKET;

    /// Entries at which a segment splits.
    pub(super) const ENTRIES_MAX: usize = entries_max(BUCKETS_MAX, Self::SLOTS_PER_BUCKET);

    /// Slots of the largest segment.
    pub(super) const SLOTS_MAX: usize = BUCKETS_MAX * Self::SLOTS_PER_BUCKET;

    /// Two neighbours of together at most so many entries merge: far enough below a split not to swing.
    pub(super) const ENTRIES_MERGED_MAX: usize = Self::ENTRIES_MAX * 2 / 5;

    /// The only segment of a table.
    #[inline]
    pub(super) const fn new(page: PageId, at: usize, buckets: usize) -> Self {
        SegmentSpan { page, at: at as u16, buckets: buckets as u8, depth: 0, target: PhantomData }
    }

    /// The one of a directory's entry: its fields, from the lowest bits on.
    #[inline]
    pub(super) const fn of_word(word: u64) -> Self {
        let (at, buckets, depth) = ((word >> 32) as u16, (word >> 48) as u8, (word >> 56) as u8);
        SegmentSpan { page: PageId(word as u32), at, buckets, depth, target: PhantomData }
    }

    pub(super) const fn to_word(self) -> u64 {
        self.page.0 as u64 | (self.at as u64) << 32 | (self.buckets as u64) << 48 | (self.depth as u64) << 56
    }

    /// The one in the slot at `slot`, under a directory.
    #[inline]
    pub(super) const fn in_directory(slot: Ref, buckets: usize, depth: u8) -> Self {
        let at = (slot.offset() + HEAD_BYTES) as u16;
        SegmentSpan { page: slot.page(), at, buckets: buckets as u8, depth, target: PhantomData }
    }

    /// Whether it is under a directory, and counts its entries.
    #[inline]
    pub(super) const fn has_head(self) -> bool {
        self.depth != 0
    }

    /// Entries of one under a directory.
    #[inline]
    pub(super) fn count(self, page: &Page) -> usize {
        page.u16_at(self.at as usize - HEAD_BYTES) as usize
    }

    #[inline]
    pub(super) fn put_count(self, page: &mut Page, entries: usize) {
        page.put_u16(self.at as usize - HEAD_BYTES, entries as u16);
    }

    /// Number of buckets.
    #[inline]
    pub(super) const fn buckets(self) -> usize {
        self.buckets as usize
    }

    /// Entries at which it grows.
    pub(super) const fn entries_max(self) -> usize {
        entries_max(self.buckets(), Self::SLOTS_PER_BUCKET)
    }

    /// Address of its slot.
    pub(super) fn slot(self) -> Ref {
        let head = if self.has_head() { HEAD_BYTES } else { 0 };
        Ref::new(self.page, (self.at as usize - head) / GRANULE_BYTES)
    }

    /// Bytes that its slot is asked for.
    pub(super) const fn slot_bytes(self) -> usize {
        let more = if self.has_head() { 1 } else { 0 };
        (self.buckets() + more) * BUCKET_BYTES
    }

    /// Buckets of a segment for so many entries, with some to come.
    pub(super) fn buckets_for(entries: usize) -> usize {
        let fits = |buckets: &usize| 20 * entries <= 19 * entries_max(*buckets, Self::SLOTS_PER_BUCKET);
        SIZES.into_iter().find(fits).unwrap_or(BUCKETS_MAX)
    }

    /// Buckets of the next larger segment under a directory.
    pub(super) fn wider(self) -> Option<usize> {
        SIZES.into_iter().find(|buckets| *buckets > self.buckets())
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
        let home = self.home(tag);
        let mut bucket = home;
        let slot = loop {
            match Self::free_slot(self.line(page, bucket)) {
                Some(slot) => break slot,
                None => bucket = self.next(bucket),
            }
            assert!(bucket != home, "a segment has more entries than it counts");
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

    /// The same at once.
    pub(super) fn all(self, page: &Page) -> Vec<(u32, T)> {
        let mut all = Vec::with_capacity(self.slots());
        for bucket in 0..self.buckets() {
            all.extend(Self::in_bucket(self.line(page, bucket)));
        }
        all
    }

    /// Adds entries to one that has none, faster than one by one and with the same result. Returns how many.
    fn fill(self, page: &mut Page, entries: impl Iterator<Item = (u32, T)>) -> usize {
        let (mut used, mut count) = ([0; BUCKETS_MAX], 0);
        for (tag, at) in entries {
            let mut bucket = self.home(tag);
            while used[bucket] == Self::SLOTS_PER_BUCKET {
                bucket = self.next(bucket);
            }
            let first = self.offset(bucket);
            page.put_u32(first + TAG_BYTES * used[bucket], tag);
            Self::put_word(page, first + Self::TARGETS_AT + T::BYTES * used[bucket], at.word());
            used[bucket] += 1;
            count += 1;
        }
        count
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
}

/// The first slot whose bits are set; those of one are.
#[inline]
const fn first(same: u32) -> usize {
    same.trailing_zeros() as usize / 2
}

/// Makes a segment of these entries, `depth` bits of whose tags are the same.
pub(super) fn create<T: Target>(
    arena: &mut Arena,
    depth: u8,
    buckets: usize,
    entries: impl Iterator<Item = (u32, T)>,
) -> SegmentSpan<T> {
    let bytes = SegmentSpan::<T>::in_directory(Ref::NULL, buckets, depth).slot_bytes();
    let run = SegmentSpan::in_directory(slab::allocate(arena, bytes), buckets, depth);
    let page = arena.page_mut(run.page);
    page.bytes_mut(run.slot().offset(), bytes).fill(0);
    let count = run.fill(page, entries);
    assert!(count <= run.entries_max(), "a segment grows before it is full");
    run.put_count(page, count);
    run
}

/// Makes two segments of these entries, by the bit behind the `depth` that they share.
pub(super) fn create_two<T: Target>(arena: &mut Arena, depth: u8, all: &[(u32, T)]) -> [SegmentSpan<T>; 2] {
    [0, 1].map(|half| {
        let mine = || all.iter().copied().filter(|(tag, _)| tag << depth >> 31 == half);
        create(arena, depth + 1, SegmentSpan::<T>::buckets_for(mine().count()), mine())
    })
}

/// Frees the slot of a segment.
pub(super) fn give_up<T: Target>(arena: &mut Arena, run: SegmentSpan<T>) {
    slab::release(arena, run.slot());
}

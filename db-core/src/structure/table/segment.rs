//! A segment: a run of buckets, a table of its own, in a slot or in a page.
//!
//! ```text
//!      in a slot: 1 to 127 buckets of 64 bytes
//!      in a page:
//!   0  page type u8 = 3, zero u8, entries u16
//!   4  reserved, zero
//!  64  255 buckets of 64 bytes
//!
//!      a bucket: 8 tags u32, then 8 addresses u32 (0: free)
//! ```
//!
//! A *tag* is 32 bits of a hash. The first `depth` bits chose the segment; the bits after them, as a fraction, choose the *home*
//! among the buckets, however many there are; all of it is the fingerprint. So homes are in the order of the tags in a segment
//! of any size. A bucket is a cache line's worth; an entry whose home is full goes to the next bucket with room, from the last on
//! to the first. Invariant: **all buckets from an entry's home to before its place are full**, so a search ends at the first
//! bucket with room, and a removal moves later entries back.

use crate::arena::{Arena, GRANULE_BYTES, PAGE_BYTES, Page, Ref};
use crate::ids::PageId;
use crate::structure::PageType;

const SLOTS_PER_BUCKET: usize = 8;
pub(super) const BUCKET_BYTES: usize = 64;
const REFS_AT: usize = 4 * SLOTS_PER_BUCKET;

/// Buckets of a segment in a page.
const PAGE_BUCKETS: usize = 255;
/// Where they begin.
pub(super) const PAGE_BUCKETS_AT: usize = 64;

/// Buckets of a segment, by the form of its table. In slots: steps of about 1.4, each a slot of the allocator that is filled but
/// for 48 bytes at most.
pub(super) const BUCKETS: [usize; 16] = [0, 1, 2, 3, 4, 6, 8, 11, 15, 21, 31, 42, 63, 85, 127, PAGE_BUCKETS];

/// Entries at which a segment of `buckets` grows: 9 in 10. Above that, searches for what is absent get long.
pub(super) const fn entries_max(buckets: usize) -> usize {
    (buckets * SLOTS_PER_BUCKET * 9).div_ceil(10)
}

/// Entries at which a segment in a page splits.
pub(super) const ENTRIES_MAX: usize = entries_max(PAGE_BUCKETS);

/// Two neighbours of together at most so many entries merge: far enough below a split not to swing.
pub(super) const ENTRIES_MERGED_MAX: usize = ENTRIES_MAX * 2 / 5;

const TYPE: usize = 0;
const COUNT: usize = 2;

type BucketLine = [u8; BUCKET_BYTES];

/// Where a segment is and how large: 8 bytes, so that it travels in a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentSpan {
    pub(super) page: PageId,
    /// Byte offset of the first bucket.
    at: u16,
    buckets: u8,
    /// Bits of a tag that lead here.
    pub(super) depth: u8,
}

const _: () = assert!(PAGE_BUCKETS <= u8::MAX as usize && PAGE_BYTES <= u16::MAX as usize);

impl SegmentSpan {
    /// The only segment of a table.
    #[inline]
    pub(super) const fn new(page: PageId, at: usize, buckets: usize) -> SegmentSpan {
        SegmentSpan { page, at: at as u16, buckets: buckets as u8, depth: 0 }
    }

    /// The segment in a page of its own.
    #[inline]
    pub(super) const fn of_page(page: PageId, depth: u8) -> SegmentSpan {
        SegmentSpan { page, at: PAGE_BUCKETS_AT as u16, buckets: PAGE_BUCKETS as u8, depth }
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
        free_slot(self.line(page, bucket)).is_some()
    }

    /// The entry of `tag` for which `is_it` is true: the byte offset of its address, and the address. Most searches end at home,
    /// so that part is inlined and the other is not.
    #[inline(always)]
    pub(super) fn find(self, page: &Page, tag: u32, mut is_it: impl FnMut(Ref) -> bool) -> Option<(usize, Ref)> {
        let home = self.home(tag);
        let line = self.line(page, home);
        match in_line(line, tag, &mut is_it) {
            Some((slot, at)) => Some((self.offset(home) + REFS_AT + 4 * slot, at)),
            None if free_slot(line).is_some() => None,
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
        mut is_it: impl FnMut(Ref) -> bool,
    ) -> Option<(usize, Ref)> {
        for _ in 0..self.buckets() {
            let line = self.line(page, bucket);
            if let Some((slot, at)) = in_line(line, tag, &mut is_it) {
                return Some((self.offset(bucket) + REFS_AT + 4 * slot, at));
            }
            if free_slot(line).is_some() {
                return None;
            }
            bucket = self.next(bucket);
        }
        None
    }

    /// The addresses that a search for `tag` looks at first: those in its home bucket with this very tag.
    #[inline]
    pub(super) fn likely(self, page: &Page, tag: u32, mut visit: impl FnMut(Ref)) {
        let line = self.line(page, self.home(tag));
        let mut same = equal(line, 0, tag);
        while same != 0 {
            visit(Ref(word(line, REFS_AT + 4 * first(same))));
            same &= !(3 << (2 * first(same)));
        }
    }

    /// Adds an entry; there is room. Counts nothing.
    #[inline]
    pub(super) fn insert(self, page: &mut Page, tag: u32, at: Ref) {
        let mut bucket = self.home(tag);
        let slot = loop {
            match free_slot(self.line(page, bucket)) {
                Some(slot) => break slot,
                None => bucket = self.next(bucket),
            }
        };
        put(page, self.offset(bucket) + REFS_AT + 4 * slot, tag, at);
    }

    /// The tag of the entry whose address stands at `ref_at`.
    pub(super) fn tag_at(page: &Page, ref_at: usize) -> u32 {
        page.u32_at(ref_at - REFS_AT)
    }

    /// Removes the entry whose address is at `ref_at` and moves later ones back, which keeps the invariant. Does not change the
    /// count.
    #[inline]
    pub(super) fn remove(self, page: &mut Page, ref_at: usize) {
        let bucket = (ref_at - self.at as usize) / BUCKET_BYTES;
        let ref_at = if self.has_room(page, bucket) { ref_at } else { self.move_back(page, ref_at, bucket) };
        put(page, ref_at, 0, Ref::NULL);
    }

    /// Moves entries that would have stood in or before the full bucket `bucket` back into the hole at `ref_at`, and so on;
    /// returns the last hole.
    #[inline(never)]
    fn move_back(self, page: &mut Page, ref_at: usize, mut bucket: usize) -> usize {
        let mut hole = (ref_at, bucket);
        for _ in 1..self.buckets() {
            bucket = self.next(bucket);
            let line = self.line(page, bucket);
            let back = (0..SLOTS_PER_BUCKET).find_map(|slot| {
                let (tag, at) = (word(line, 4 * slot), word(line, REFS_AT + 4 * slot));
                let passed = at != 0 && self.distance(self.home(tag), bucket) >= self.distance(hole.1, bucket);
                passed.then_some((slot, tag, Ref(at)))
            });
            let last = free_slot(line).is_some();
            if let Some((slot, tag, at)) = back {
                put(page, hole.0, tag, at);
                hole = (self.offset(bucket) + REFS_AT + 4 * slot, bucket);
            }
            // Behind a bucket with room, nothing has passed the hole.
            if last {
                break;
            }
        }
        hole.0
    }

    /// All entries in the order of their places.
    pub(super) fn entries(self, page: &Page) -> impl Iterator<Item = (u32, Ref)> + '_ {
        (0..self.buckets()).flat_map(move |bucket| in_bucket(self.line(page, bucket)))
    }

    /// The entry in one of the slots, which are counted from the first bucket on.
    pub(super) fn in_slot(self, page: &Page, slot: usize) -> Option<Ref> {
        let line = self.line(page, slot / SLOTS_PER_BUCKET);
        Some(Ref(word(line, REFS_AT + 4 * (slot % SLOTS_PER_BUCKET)))).filter(|at| !at.is_null())
    }

    /// Number of slots for entries.
    pub(super) const fn slots(self) -> usize {
        self.buckets() * SLOTS_PER_BUCKET
    }

    /// The entries whose home is `bucket`.
    pub(super) fn at_home(self, page: &Page, bucket: usize, mut visit: impl FnMut(u32, Ref)) {
        let mut place = bucket;
        for _ in 0..self.buckets() {
            let line = self.line(page, place);
            in_bucket(line).filter(|(tag, _)| self.home(*tag) == bucket).for_each(|(tag, at)| visit(tag, at));
            if free_slot(line).is_some() {
                return;
            }
            place = self.next(place);
        }
    }

    /// Whether a search finds every entry where it is.
    pub(super) fn is_searchable(self, page: &Page) -> bool {
        (0..self.buckets()).all(|bucket| {
            in_bucket(self.line(page, bucket)).all(|(tag, _)| {
                let home = self.home(tag);
                (0..self.distance(home, bucket)).all(|step| !self.has_room(page, (home + step) % self.buckets()))
            })
        })
    }
}

#[inline]
fn word(line: &BucketLine, at: usize) -> u32 {
    u32::from_le_bytes(*line[at..].first_chunk().expect("within a bucket"))
}

/// Two bits for each of the 8 words from `at` on: whether it equals `value`. Two, since the compiler makes vectors of that only.
#[inline]
fn equal(line: &BucketLine, at: usize, value: u32) -> u32 {
    (0..SLOTS_PER_BUCKET)
        .fold(0, |mask, slot| mask | if word(line, at + 4 * slot) == value { 3 << (2 * slot) } else { 0 })
}

/// The first slot whose bits are set; those of one are.
#[inline]
const fn first(same: u32) -> usize {
    same.trailing_zeros() as usize / 2
}

#[inline]
fn free_slot(line: &BucketLine) -> Option<usize> {
    let free = equal(line, REFS_AT, 0);
    (free != 0).then(|| first(free))
}

/// The slot of the entry of `tag` for which `is_it` is true, and its address.
#[inline(always)]
fn in_line(line: &BucketLine, tag: u32, is_it: &mut impl FnMut(Ref) -> bool) -> Option<(usize, Ref)> {
    let mut same = equal(line, 0, tag);
    while same != 0 {
        let at = Ref(word(line, REFS_AT + 4 * first(same)));
        if !at.is_null() && is_it(at) {
            return Some((first(same), at));
        }
        same &= !(3 << (2 * first(same)));
    }
    None
}

fn in_bucket(line: &BucketLine) -> impl Iterator<Item = (u32, Ref)> + '_ {
    (0..SLOTS_PER_BUCKET)
        .map(move |slot| (word(line, 4 * slot), Ref(word(line, REFS_AT + 4 * slot))))
        .filter(|(_, at)| !at.is_null())
}

fn put(page: &mut Page, ref_at: usize, tag: u32, at: Ref) {
    page.put_u32(ref_at - REFS_AT, tag);
    page.put_u32(ref_at, at.0);
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

fn fill(arena: &mut Arena, run: SegmentSpan, all: impl Iterator<Item = (u32, Ref)>) {
    let page = arena.page_mut(run.page);
    let mut entries = 0;
    for (tag, at) in all {
        run.insert(page, tag, at);
        entries += 1;
    }
    assert!(entries <= ENTRIES_MAX, "a segment is split before it is full");
    put_count(page, entries);
}

/// Moves the entries whose next bit is 1 from `low` to a new segment, which is returned.
pub(super) fn split(arena: &mut Arena, low: SegmentSpan) -> PageId {
    let all: Vec<(u32, Ref)> = low.entries(arena.page(low.page)).collect();
    let high = SegmentSpan { page: create(arena), depth: low.depth + 1, ..low };
    let low = SegmentSpan { depth: high.depth, ..low };
    reset(arena.page_mut(low.page));
    let is_high = |tag: u32| tag << (low.depth - 1) >> 31 == 1;
    fill(arena, low, all.iter().copied().filter(|(tag, _)| !is_high(*tag)));
    fill(arena, high, all.iter().copied().filter(|(tag, _)| is_high(*tag)));
    high.page
}

/// Moves the entries of `high` to `low`, its neighbour of the same depth, and gives `high` up.
pub(super) fn merge(arena: &mut Arena, low: SegmentSpan, high: SegmentSpan) {
    let all: Vec<(u32, Ref)> = [low, high].iter().flat_map(|run| run.entries(arena.page(run.page))).collect();
    reset(arena.page_mut(low.page));
    fill(arena, SegmentSpan { depth: low.depth - 1, ..low }, all.into_iter());
    arena.free(high.page);
}

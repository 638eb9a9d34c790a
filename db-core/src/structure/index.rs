//! The hash index: extendible hashing. Growth splits one segment; nothing is ever rehashed as a whole.

use crate::arena::{Arena, Pages, Ref};
use crate::ids::PageId;

use super::directory;
use super::root;
use super::segment::{self, Place};

/// An entry that was found, valid until the index changes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    segment: PageId,
    place: Place,
    /// The record.
    pub(crate) at: Ref,
}

/// The part of a key's hash that the index works with.
#[inline]
pub(crate) const fn tag_of(hash: u64) -> u32 {
    (hash >> 32) as u32
}

/// The entry of `tag` for whose record `is_it` holds.
#[inline]
pub(crate) fn find<P: Pages>(pages: &P, tag: u32, is_it: impl FnMut(Ref) -> bool) -> Option<Found> {
    let segment = directory::lookup(pages, tag);
    segment::find(pages.page(segment), tag, is_it).map(|(place, at)| Found { segment, place, at })
}

/// Asks for the memory in which a search for `tag` starts.
#[inline]
pub(crate) fn prefetch(arena: &Arena, tag: u32) {
    arena.prefetch(directory::lookup(arena, tag), segment::home_offset(tag));
}

/// Asks for the records that a search for `tag` will look at. The bucket should be there by now.
#[inline]
pub(crate) fn prefetch_records(arena: &Arena, tag: u32) {
    /// Offsets in all lines of a record of 128 bytes, wherever it starts: header, key and a value of usual length.
    const LINES: [usize; 3] = [0, 64, 127];
    segment::likely(arena.page(directory::lookup(arena, tag)), tag, |at| {
        LINES.iter().for_each(|line| arena.prefetch(at.page(), at.offset() + line));
    });
}

/// Adds an entry.
pub(crate) fn insert(arena: &mut Arena, tag: u32, at: Ref) {
    let mut id = directory::lookup(arena, tag);
    while segment::count(arena.page(id)) == segment::ENTRIES_MAX {
        split(arena, id);
        id = directory::lookup(arena, tag);
    }
    segment::insert(arena.page_mut(id), tag, at);
}

/// Points an entry at another record.
pub(crate) fn replace(arena: &mut Arena, found: &Found, at: Ref) {
    segment::replace(arena.page_mut(found.segment), found.place, at);
}

/// Takes an entry out.
pub(crate) fn remove(arena: &mut Arena, found: &Found) {
    let page = arena.page_mut(found.segment);
    segment::remove(page, found.place);
    let count = segment::count(page);
    // Looked at now and then, not at each removal.
    if count <= segment::ENTRIES_MERGED_MAX && count.is_multiple_of(32) {
        merge(arena, found.segment);
    }
}

fn split(arena: &mut Arena, low: PageId) {
    let depth = segment::depth(arena.page(low));
    if depth == root::depth(arena) {
        directory::double(arena);
    }
    let high = segment::split(arena, low);
    let prefix = segment::prefix(arena.page(high));
    directory::point(arena, prefix, depth + 1, high);
    let segments = root::segments(arena) + 1;
    root::put_segments(arena, segments);
}

/// Merges a segment with its neighbour if both are of one depth and have few entries.
fn merge(arena: &mut Arena, id: PageId) {
    let page = arena.page(id);
    let (depth, prefix, count) = (segment::depth(page), segment::prefix(page), segment::count(page));
    if depth == 0 {
        return;
    }
    let neighbour = directory::lookup(arena, (prefix ^ 1) << (32 - depth));
    let page = arena.page(neighbour);
    if segment::depth(page) != depth || segment::count(page) + count > segment::ENTRIES_MERGED_MAX {
        return;
    }
    let (low, high) = if prefix & 1 == 0 { (id, neighbour) } else { (neighbour, id) };
    segment::merge(arena, low, high);
    directory::point(arena, prefix >> 1, depth - 1, low);
    let segments = root::segments(arena) - 1;
    root::put_segments(arena, segments);
}

/// A scan's place: everything whose tag begins below `position`, and of the segment there everything whose home bucket is
/// below `bucket`, was visited. `depth` is that segment's when it was visited.
///
/// A split keeps home buckets, so its lower half goes on at `bucket` and its upper half is visited whole: some twice, none
/// not at all. A merge is noticed by the depth: the merged segment is visited whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cursor {
    position: u32,
    bucket: usize,
    depth: u32,
}

const DEPTH_BITS: u32 = 5;
const BUCKET_BITS: u32 = 8;

impl Cursor {
    /// None if no scan has answered this.
    fn decode(cursor: u64) -> Option<Cursor> {
        let depth = (cursor & ((1 << DEPTH_BITS) - 1)) as u32;
        let bucket = (cursor >> DEPTH_BITS) as usize & ((1 << BUCKET_BITS) - 1);
        let position = u32::try_from(cursor >> (DEPTH_BITS + BUCKET_BITS)).ok()?;
        (depth <= root::DEPTH_MAX && bucket < segment::BUCKETS && position < 1 << root::DEPTH_MAX).then_some(Cursor {
            position,
            bucket,
            depth,
        })
    }

    fn encode(self) -> u64 {
        u64::from(self.position) << (DEPTH_BITS + BUCKET_BITS)
            | (self.bucket as u64) << DEPTH_BITS
            | u64::from(self.depth)
    }
}

/// Visits records from `cursor` on until about `count` were visited, and answers the cursor to go on with, 0 at the end. A
/// cursor that no scan answered ends the scan.
pub(crate) fn scan<P: Pages>(pages: &P, cursor: u64, count: usize, mut visit: impl FnMut(Ref)) -> u64 {
    let Some(mut cursor) = Cursor::decode(cursor) else { return 0 };
    let mut visited = 0;
    // Ten empty buckets cost about one entry.
    for _ in 0..count.saturating_mul(10).max(64) {
        let page = pages.page(directory::lookup(pages, cursor.position << (32 - root::DEPTH_MAX)));
        let depth = segment::depth(page);
        if depth < cursor.depth {
            cursor.bucket = 0;
        }
        segment::at_home(page, cursor.bucket, |at| {
            visited += 1;
            visit(at);
        });
        cursor = Cursor { depth, bucket: cursor.bucket + 1, ..cursor };
        if cursor.bucket == segment::BUCKETS {
            let next = segment::prefix(page) + 1;
            if next == 1 << depth {
                return 0;
            }
            cursor = Cursor { position: next << (root::DEPTH_MAX - depth), bucket: 0, depth: 0 };
        }
        if visited >= count {
            break;
        }
    }
    cursor.encode()
}

/// A record chosen by `random`: a segment by its share of the hash space, then one of its entries evenly.
pub(crate) fn random<P: Pages>(pages: &P, random: u64) -> Option<Ref> {
    let mut tag = tag_of(random);
    for _ in 0..=root::segments(pages) {
        let page = pages.page(directory::lookup(pages, tag));
        let count = segment::count(page) as u64;
        if count != 0 {
            let index = ((random & u64::from(u32::MAX)) * count) >> 32;
            return segment::entries(page).nth(index as usize).map(|(_, at)| at);
        }
        // Empty: the next one, from the last on to the first.
        let next = u64::from(segment::prefix(page) + 1) << (32 - segment::depth(page));
        tag = (next & u64::from(u32::MAX)) as u32;
    }
    None
}

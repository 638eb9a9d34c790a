//! What is so of every segment, for the check of bytes that may be damaged.

use crate::arena::{GRANULE_BYTES, PAGE_BYTES, PAGES_PER_SHARD_MAX, Page};

use super::{HEAD_BYTES, SIZES, SegmentSpan, Target};

impl<T: Target> SegmentSpan<T> {
    /// Whether it may be one in a directory of `depth`. What is at that place is another question.
    pub(in super::super) fn is_valid(self, depth: u8) -> bool {
        let from = (self.at as usize).wrapping_sub(HEAD_BYTES);
        SIZES.contains(&self.buckets())
            && (1..=depth).contains(&self.depth)
            && from < PAGE_BYTES
            && from.is_multiple_of(GRANULE_BYTES)
            && self.page.0 < PAGES_PER_SHARD_MAX
    }

    /// Whether a search finds every entry where it is.
    pub(in super::super) fn is_searchable(self, page: &Page) -> bool {
        (0..self.buckets()).all(|bucket| {
            Self::in_bucket(self.line(page, bucket)).all(|(tag, _)| {
                let home = self.home(tag);
                (0..self.distance(home, bucket)).all(|step| !self.has_room(page, (home + step) % self.buckets()))
            })
        })
    }

    /// Whether all that is not an entry is zero.
    pub(in super::super) fn is_clean(self, page: &Page) -> bool {
        (0..self.buckets()).all(|bucket| {
            let line = self.line(page, bucket);
            let end = Self::TARGETS_AT + T::BYTES * Self::SLOTS_PER_BUCKET;
            let free = |slot| Self::word(line, slot) != 0 || Self::tag(line, slot) == 0;
            line[end..].iter().all(|byte| *byte == 0) && (0..Self::SLOTS_PER_BUCKET).all(free)
        })
    }

    /// Whether what is around the buckets of one under a directory is zero, but for its count.
    pub(in super::super) fn has_clean_ends(self, page: &Page) -> bool {
        let (from, end) = (self.slot().offset(), self.offset(self.buckets()));
        let behind = self.slot_bytes() - (end - from);
        let is_zero = |bytes: &[u8]| bytes.iter().all(|byte| *byte == 0);
        is_zero(page.bytes(from + 2, HEAD_BYTES - 2)) && is_zero(page.bytes(end, behind))
    }
}

//! Scans (the cursor of SCAN).
//!
//! **A cursor is a tag: everything below it was visited.** A step visits the entries whose tags are between the cursor and the
//! next cursor, whatever form the table has at the time: home buckets are in the order of tags, so the entries of neighbouring
//! home buckets are those of an interval of tags; in the first bucket those below the cursor are skipped. The steps of a scan
//! together cover all tags once. An entry's tag never changes. So an entry that is there during the entire scan is visited
//! exactly once, and no entry is visited twice unless it was removed and added again, however the table grows, shrinks, splits
//! and merges in between. This does not depend on the table's form or size, so the cursor contains neither.

use crate::arena::Pages;

use super::handle::TableAt;
use super::locate;
use super::segment::Target;

/// Empty buckets that cost about as much as an entry.
const BUCKETS_PER_ENTRY: usize = 10;
/// Buckets that a step passes at least.
const BUCKETS_MIN: usize = 64;

/// Visits entries from `cursor` on until about `count` were visited; returns the cursor to go on with, below 2^32, or 0 at the end.
/// A cursor that no scan returned goes on somewhere or ends.
pub(crate) fn scan<T: Target>(
    pages: &impl Pages,
    table: TableAt<T>,
    cursor: u64,
    count: usize,
    mut visit: impl FnMut(T),
) -> u64 {
    let Ok(mut tag) = u32::try_from(cursor) else { return 0 };
    let mut visited = 0;
    let mut left = count.saturating_mul(BUCKETS_PER_ENTRY).max(BUCKETS_MIN);
    loop {
        let Some(run) = locate(pages, table, tag) else { return 0 };
        let page = pages.page(run.page);
        let mut bucket = run.home(tag);
        while bucket < run.buckets() && visited < count && left > 0 {
            run.at_home(page, bucket, |there, at| {
                if there >= tag {
                    visited += 1;
                    visit(at);
                }
            });
            bucket += 1;
            left -= 1;
        }
        let Ok(next) = u32::try_from(run.first_tag(tag, bucket)) else { return 0 };
        tag = next;
        if visited >= count || left == 0 {
            return u64::from(tag);
        }
    }
}

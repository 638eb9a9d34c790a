//! Random selection of an entry (RANDOMKEY).
//!
//! Draw a random tag and one of the slots of its segment. If the slot has an entry, return it; if not, draw again (rejection
//! sampling). A segment of a lower depth than the directory's is drawn too often, so it is rejected with a probability that makes
//! up for that, which needs the directory only; one that has fewer buckets than others is drawn as if it had as many. So **all entries are
//! equally likely**, and the number of draws is the number of slots over that of entries, were all segments as deep and large as
//! any: two to four in a table that has only grown.
//!
//! A sparse table rejects more. Merging bounds how sparse it gets, since it continues until neighbours of one depth have enough
//! entries together; what remains is a directory made deep by a few full regions. After [`DRAWS_MAX`] draws the first segment
//! with entries from a random one on gives one of its own. Of segments without entries at most two a bit of the directory's depth
//! are neighbours, since all others merge; so this too looks at some tens of places, and not at thousands of empty buckets.

use crate::arena::Pages;
use crate::random::SplitMix64;

use super::directory;
use super::handle::{TableAt, TableHandle, form};
use super::segment::{SegmentSpan, Target};

/// Draws until equal chances are given up for a bounded time. One that is refused by the directory takes some nanoseconds.
const DRAWS_MAX: usize = 1024;

/// A part of `whole` by the 32 bits of `fraction`.
const fn share(fraction: u32, whole: usize) -> usize {
    ((fraction as u64 * whole as u64) >> 32) as usize
}

/// An entry chosen by `random`; `None` if there is none. Any two are equally likely, but for what the module's essay says.
pub(crate) fn random<T: Target>(pages: &impl Pages, table: TableAt<T>, random: u64) -> Option<T> {
    let handle = TableHandle::read(pages, table);
    if handle.entries == 0 || handle.top.form == form::DRAINING {
        return None;
    }
    let mut draws = SplitMix64(random);
    for _ in 0..DRAWS_MAX {
        let draw = draws.next();
        let (tag, fraction) = ((draw >> 32) as u32, draw as u32);
        let run = if handle.top.form == form::DIRECTORY {
            let run = directory::lookup(pages, handle.top, tag);
            let wider = handle.top.depth - run.depth;
            if wider != 0 && draws.next() >> (64 - wider) != 0 {
                continue;
            }
            run
        } else {
            handle.top.single()
        };
        let slots = if run.has_head() { SegmentSpan::<T>::SLOTS_MAX } else { run.slots() };
        let slot = share(fraction, slots);
        if slot < run.slots()
            && let Some(at) = run.in_slot(pages.page(run.page), slot)
        {
            return Some(at);
        }
    }
    nearby(pages, &handle, draws.next())
}

/// One of the entries of the first segment that has any, from that of a random tag on.
fn nearby<T: Target>(pages: &impl Pages, handle: &TableHandle, draw: u64) -> Option<T> {
    let (mut tag, fraction) = ((draw >> 32) as u32, draw as u32);
    for _ in 0..=handle.segments {
        let directory = handle.top.form == form::DIRECTORY;
        let run = if directory { directory::lookup(pages, handle.top, tag) } else { handle.top.single() };
        let page = pages.page(run.page);
        let count = if directory { run.count(page) } else { handle.entries as usize };
        if count != 0 {
            return run.entries(page).nth(share(fraction, count)).map(|(_, at)| at);
        }
        // Behind the last one comes the first.
        tag = run.first_tag(tag, run.buckets()) as u32;
    }
    None
}

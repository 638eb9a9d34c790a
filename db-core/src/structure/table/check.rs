//! Verifies that possibly damaged bytes are a valid table: every page and slot is used once, every entry is where a search finds
//! it, all counts agree.

use crate::arena::{Page, Pages, Ref};
use crate::ids::PageId;

use super::directory::{self, DEPTH_MAX, DEPTH_OF_PAGE, ENTRIES_PER_PAGE};
use super::handle::{TableAt, TableHandle, form};
use super::segment::{SegmentSpan, Target};

type Verdict = Result<(), &'static str>;

/// What a table is checked against.
pub(crate) trait Inspector<T = Ref> {
    /// Claims a page; false if it is not in use or somebody else's.
    fn page(&mut self, id: PageId) -> bool;
    /// Claims a slot of the size of `bytes` bytes.
    fn slot(&mut self, at: Ref, bytes: usize) -> Verdict;
    /// Checks what the entries of a segment lead to.
    fn entries(&mut self, entries: Vec<(u32, T)>) -> Verdict;
}

/// Checks the table whose handle stands at `table`, within a page that is in use. Never panics, whatever is there.
pub(crate) fn check<T: Target>(pages: &impl Pages, table: TableAt<T>, inspector: &mut impl Inspector<T>) -> Verdict {
    let handle = TableHandle::read(pages, table);
    if !table.is_clean(pages) {
        return Err("a table's handle is malformed");
    }
    match handle.top.form {
        form::EMPTY if handle == TableHandle::EMPTY => Ok(()),
        1..=form::LARGEST => check_single(pages, &handle, inspector),
        form::DIRECTORY | form::DRAINING => check_directory(pages, &handle, inspector),
        _ => Err("a table's handle is malformed"),
    }
}

fn check_single<T: Target>(pages: &impl Pages, handle: &TableHandle, inspector: &mut impl Inspector<T>) -> Verdict {
    if handle.segments != 1 || handle.buckets != 0 || handle.deepest != 0 || handle.top.depth != 0 {
        return Err("a table's handle is malformed");
    }
    let run = handle.top.single::<T>();
    inspector.slot(run.slot(), run.slot_bytes())?;
    let found = check_segment(pages.page(run.page), run, 0, inspector)?;
    if found == handle.entries { Ok(()) } else { Err("a table counts its entries wrong") }
}

fn check_directory<T: Target>(pages: &impl Pages, handle: &TableHandle, inspector: &mut impl Inspector<T>) -> Verdict {
    let (depth, draining) = (handle.top.depth, handle.top.form == form::DRAINING);
    if depth == 0 || depth > DEPTH_MAX {
        return Err("a directory is of no possible depth");
    }
    let end = 1usize << depth;
    let mut index = if draining { handle.deepest as usize } else { 0 };
    if index >= end {
        return Err("a directory is of no possible depth");
    }
    check_place(handle.top.at, depth, inspector)?;
    if depth > DEPTH_OF_PAGE {
        let mut first = (index / ENTRIES_PER_PAGE..directory::pages(depth)).map(|page| page * ENTRIES_PER_PAGE);
        if !first.all(|first| inspector.page(directory::page_of(pages, handle.top, first))) {
            return Err("a directory's pages are not its own");
        }
    }
    let (mut entries, mut buckets, mut segments, mut deepest) = (0, 0, 0, 0);
    while index < end {
        let there = directory::entry(pages, handle.top, index);
        let run = there.run::<T>();
        if !run.is_valid(depth) {
            return Err("a directory leads to no segment");
        }
        inspector.slot(run.slot(), run.slot_bytes())?;
        let width = 1usize << (depth - run.depth);
        let mut same = index..index + width;
        if !index.is_multiple_of(width) || !same.all(|index| directory::entry(pages, handle.top, index) == there) {
            return Err("a directory contradicts itself");
        }
        let prefix = index / width;
        entries += check_segment(pages.page(run.page), run, prefix, inspector)?;
        deepest += u32::from(run.depth == depth);
        segments += 1;
        buckets += run.buckets() as u32;
        index += width;
    }
    let counts = entries == handle.entries && segments == handle.segments && buckets == handle.buckets;
    let shape = draining || (deepest == handle.deepest && deepest > 0);
    if counts && shape { Ok(()) } else { Err("a table counts its entries wrong") }
}

/// Claims where a directory stands, but for the pages under a root page.
fn check_place<T>(at: u32, depth: u8, inspector: &mut impl Inspector<T>) -> Verdict {
    let at = Ref(at);
    match directory::bytes_in_slot(depth) {
        0 if at.offset() == 0 && inspector.page(at.page()) => Ok(()),
        0 => Err("a directory's pages are not its own"),
        bytes => inspector.slot(at, bytes),
    }
}

/// Checks a segment in itself, whose tags begin with `prefix`; returns the number of its entries.
fn check_segment<T: Target>(
    page: &Page,
    run: SegmentSpan<T>,
    prefix: usize,
    inspector: &mut impl Inspector<T>,
) -> Result<u64, &'static str> {
    let entries: Vec<(u32, T)> = run.entries(page).collect();
    if run.has_head() && (!run.has_clean_ends(page) || run.count(page) != entries.len()) {
        return Err("a segment of a table is malformed");
    }
    if entries.len() > run.entries_max() {
        return Err("a segment of a table is too full");
    }
    if entries.iter().any(|(tag, _)| directory::index_of(*tag, run.depth) != prefix) {
        return Err("an entry of a table is in a segment of another prefix");
    }
    if !run.is_clean(page) {
        return Err("bytes of a segment that are no entry's are not zero");
    }
    if !run.is_searchable(page) {
        return Err("an entry of a table is where no search finds it");
    }
    let count = entries.len() as u64;
    inspector.entries(entries)?;
    Ok(count)
}

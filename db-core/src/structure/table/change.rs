//! Insertion and removal of entries; the table grows and shrinks with them.

use crate::arena::{Arena, Pages};
use crate::structure::slab;

use super::handle::{self, TableAt, TableHandle, Top, form};
use super::segment::{self, SegmentSpan, Target, give_up};
use super::{Found, directory, locate};

/// How many removals apart a segment is compared with its neighbour, which is elsewhere in memory.
const REMOVALS_PER_LOOK: usize = 16;

/// Adds an entry.
pub(crate) fn insert<T: Target>(arena: &mut Arena, table: TableAt<T>, tag: u32, at: T) {
    loop {
        if let Some(run) = locate(arena, table, tag) {
            let alone = handle::entries(arena, table) as usize;
            let page = arena.page_mut(run.page);
            let entries = if run.has_head() { run.count(page) } else { alone };
            if entries < run.entries_max() {
                run.insert(page, tag, at);
                if run.has_head() {
                    run.put_count(page, entries + 1);
                }
                break;
            }
        }
        grow(arena, table, tag);
    }
    handle::count(arena, table, 1);
}

/// Changes what an entry leads to.
#[inline]
pub(crate) fn replace<T: Target>(arena: &mut Arena, found: &mut Found<T>, at: T) {
    found.at = at;
    SegmentSpan::<T>::put_word(arena.page_mut(found.run.page), found.place as usize, at.word());
}

/// Removes an entry.
pub(crate) fn remove<T: Target>(arena: &mut Arena, table: TableAt<T>, found: &Found<T>) {
    let (run, place) = (found.run, found.place as usize);
    let page = arena.page_mut(run.page);
    let tag = run.tag_at(page, place);
    run.remove(page, place);
    if run.has_head() {
        let count = run.count(page) - 1;
        run.put_count(page, count);
        handle::count(arena, table, -1);
        if count <= SegmentSpan::<T>::ENTRIES_MERGED_MAX && count.is_multiple_of(REMOVALS_PER_LOOK) {
            shrink(arena, table, tag);
        }
    } else {
        handle::count(arena, table, -1);
        shrink(arena, table, tag);
    }
}

/// Pages that doubling a directory may take or copy beside those of a mutation that splits one segment.
#[inline]
pub(crate) fn pages_to_double<T>(pages: &impl Pages, table: TableAt<T>) -> usize {
    let depth = Top::read(pages, table).depth;
    if depth <= directory::DEPTH_OF_PAGE { 0 } else { 2 * directory::pages(depth) }
}

/// Entries at which a table of one segment becomes one of the form below: well below the number at which that one grows.
fn entries_to_shrink<T: Target>(form: u8) -> usize {
    if form <= 1 { 0 } else { Top { form: form - 1, ..Top::EMPTY }.single::<T>().entries_max() * 3 / 5 }
}

/// Makes room where `tag` belongs; not always enough at once.
#[cold]
fn grow<T: Target>(arena: &mut Arena, table: TableAt<T>, tag: u32) {
    let mut handle = TableHandle::read(arena, table);
    match handle.top.form {
        form::DRAINING => panic!("nothing is added to a table that is drained"),
        form::DIRECTORY => widen::<T>(arena, &mut handle, tag),
        form::LARGEST => {
            let old = handle.top.single::<T>();
            let all = old.all(arena.page(old.page));
            give_up(arena, old);
            handle.top = directory::create(arena, 1);
            (handle.segments, handle.deepest) = (2, 2);
            put_two(arena, &mut handle, &all, 0);
        }
        smaller => resize::<T>(arena, &mut handle, smaller + 1),
    }
    handle.write(arena, table);
}

/// Copies the segment of `tag` to a larger one, or splits it if there is none.
fn widen<T: Target>(arena: &mut Arena, handle: &mut TableHandle, tag: u32) {
    let full: SegmentSpan<T> = directory::lookup(arena, handle.top, tag);
    if let Some(buckets) = full.wider() {
        return rebuild(arena, handle, tag, full, buckets);
    }
    let all = take(arena, handle, full);
    if full.depth == handle.top.depth {
        directory::double(arena, handle);
    }
    handle.segments += 1;
    if full.depth + 1 == handle.top.depth {
        handle.deepest += 2;
    }
    put_two(arena, handle, &all, full.depth);
}

/// Copies a segment, in which `tag` belongs, to one of so many buckets.
fn rebuild<T: Target>(arena: &mut Arena, handle: &mut TableHandle, tag: u32, old: SegmentSpan<T>, buckets: usize) {
    let all = take(arena, handle, old);
    let new = segment::create(arena, old.depth, buckets, all.into_iter());
    directory::point(arena, handle.top, tag, new);
    handle.buckets += buckets as u32;
}

/// Frees a segment under the directory and returns its entries.
fn take<T: Target>(arena: &mut Arena, handle: &mut TableHandle, run: SegmentSpan<T>) -> Vec<(u32, T)> {
    let all = run.all(arena.page(run.page));
    give_up(arena, run);
    handle.buckets -= run.buckets() as u32;
    all
}

/// Puts two segments under the directory, of entries whose tags share `depth` bits.
fn put_two<T: Target>(arena: &mut Arena, handle: &mut TableHandle, all: &[(u32, T)], depth: u8) {
    let bit = 1 << (31 - u32::from(depth));
    let inside = all[0].0 & !bit;
    for (half, tag) in segment::create_two(arena, depth, all).into_iter().zip([inside, inside | bit]) {
        directory::point(arena, handle.top, tag, half);
        handle.buckets += half.buckets() as u32;
    }
}

/// Makes the table smaller where `tag` belongs, if it has become empty enough.
fn shrink<T: Target>(arena: &mut Arena, table: TableAt<T>, tag: u32) {
    let now = Top::read(arena, table).form;
    if now < form::DIRECTORY && handle::entries(arena, table) as usize > entries_to_shrink::<T>(now) {
        return;
    }
    let before = TableHandle::read(arena, table);
    let mut handle = before;
    if now == form::DIRECTORY {
        while merge::<T>(arena, &mut handle, tag) {}
        narrow::<T>(arena, &mut handle, tag);
    }
    if handle.top.form < form::DIRECTORY {
        let mut smaller = handle.top.form;
        while smaller > form::EMPTY && handle.entries as usize <= entries_to_shrink::<T>(smaller) {
            smaller -= 1;
        }
        if smaller < handle.top.form {
            resize::<T>(arena, &mut handle, smaller);
        }
    }
    if handle != before {
        handle.write(arena, table);
    }
}

/// Merges the segment of `tag` with its neighbour, if both are of one depth and have few entries. The directory follows. Returns
/// whether it did: the merged segment may have a neighbour to merge with in turn.
fn merge<T: Target>(arena: &mut Arena, handle: &mut TableHandle, tag: u32) -> bool {
    if handle.top.form != form::DIRECTORY {
        return false;
    }
    let run: SegmentSpan<T> = directory::lookup(arena, handle.top, tag);
    let bit = 1 << (32 - u32::from(run.depth));
    let neighbour: SegmentSpan<T> = directory::lookup(arena, handle.top, tag ^ bit);
    if neighbour.depth != run.depth {
        return false;
    }
    let together = run.count(arena.page(run.page)) + neighbour.count(arena.page(neighbour.page));
    if together > SegmentSpan::<T>::ENTRIES_MERGED_MAX {
        return false;
    }
    let (low, high) = if tag & bit == 0 { (run, neighbour) } else { (neighbour, run) };
    let mut all = take(arena, handle, low);
    all.extend(take(arena, handle, high));
    handle.segments -= 1;
    if low.depth == 1 {
        collapse(arena, handle, &all);
        return true;
    }
    let buckets = SegmentSpan::<T>::buckets_for(all.len());
    let merged = segment::create(arena, low.depth - 1, buckets, all.into_iter());
    directory::point(arena, handle.top, tag, merged);
    handle.buckets += buckets as u32;
    if low.depth == handle.top.depth {
        handle.deepest -= 2;
        if handle.deepest == 0 {
            directory::halve(arena, handle);
        }
    }
    true
}

/// Makes a table of one segment out of one whose directory leads to none any more.
fn collapse<T: Target>(arena: &mut Arena, handle: &mut TableHandle, all: &[(u32, T)]) {
    directory::give_up(arena, handle.top);
    let has_room = |form: &u8| entries_to_shrink::<T>(form + 1) >= all.len();
    handle.top = place::<T>(arena, (1..form::LARGEST).find(has_room).unwrap_or(form::LARGEST));
    handle.deepest = 0;
    let run = handle.top.single::<T>();
    let page = arena.page_mut(run.page);
    all.iter().for_each(|(tag, at)| run.insert(page, *tag, *at));
}

/// Copies the segment of `tag` to a smaller one, if it has become empty enough.
fn narrow<T: Target>(arena: &mut Arena, handle: &mut TableHandle, tag: u32) {
    if handle.top.form != form::DIRECTORY {
        return;
    }
    let run: SegmentSpan<T> = directory::lookup(arena, handle.top, tag);
    let entries = run.count(arena.page(run.page));
    let buckets = SegmentSpan::<T>::buckets_for(entries);
    if entries <= SegmentSpan::<T>::ENTRIES_MERGED_MAX && buckets < run.buckets() {
        rebuild(arena, handle, tag, run, buckets);
    }
}

/// Moves a table without a directory to buckets of another form's number.
fn resize<T: Target>(arena: &mut Arena, handle: &mut TableHandle, form: u8) {
    let old = handle.top;
    handle.top = place::<T>(arena, form);
    handle.segments = u32::from(form != form::EMPTY);
    if old.form == form::EMPTY {
        return;
    }
    let from = old.single::<T>();
    if form != form::EMPTY {
        let to = handle.top.single();
        let (read, write) = arena.page_pair(from.page, to.page);
        from.entries(read).for_each(|(tag, at)| to.insert(write, tag, at));
    }
    give_up(arena, from);
}

/// Room for the one segment of a table of `form`, without entries.
fn place<T: Target>(arena: &mut Arena, form: u8) -> Top {
    if form == form::EMPTY {
        return Top::EMPTY;
    }
    let bytes = Top { form, ..Top::EMPTY }.single::<T>().slot_bytes();
    let at = slab::allocate(arena, bytes);
    arena.page_mut(at.page()).bytes_mut(at.offset(), bytes).fill(0);
    Top { at: at.0, form, depth: 0 }
}

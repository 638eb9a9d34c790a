//! Insertion and removal of entries; the table grows and shrinks with them.

use crate::arena::{Arena, Pages, Ref};
use crate::structure::slab;

use super::handle::{self, TableAt, TableHandle, Top, form};
use super::segment::{self, BUCKET_BYTES, BUCKETS, SegmentSpan, Target};
use super::{Found, directory, locate};

/// How many removals apart a segment in a page is compared with its neighbour, which is elsewhere in memory.
const REMOVALS_PER_LOOK: usize = 32;

/// Adds an entry.
pub(crate) fn insert<T: Target>(arena: &mut Arena, table: TableAt<T>, tag: u32, at: T) {
    loop {
        if let Some(run) = locate(arena, table, tag) {
            let entries = handle::entries(arena, table);
            let page = arena.page_mut(run.page);
            if !run.has_page() && (entries as usize) < run.entries_max() {
                run.insert(page, tag, at);
                break;
            }
            if run.has_page() && segment::count(page) < SegmentSpan::<T>::ENTRIES_MAX {
                run.insert(page, tag, at);
                segment::put_count(page, segment::count(page) + 1);
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
    if run.has_page() {
        let count = segment::count(page) - 1;
        segment::put_count(page, count);
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
        form::DIRECTORY => split::<T>(arena, &mut handle, tag),
        form::PAGE => {
            let page = Ref(handle.top.at).page();
            let at = directory::create(arena, page).0;
            (handle.top, handle.deepest) = (Top { at, form: form::DIRECTORY, depth: 0 }, 1);
            split::<T>(arena, &mut handle, tag);
        }
        smaller => resize::<T>(arena, &mut handle, smaller + 1),
    }
    handle.write(arena, table);
}

/// Splits the segment of `tag`.
fn split<T: Target>(arena: &mut Arena, handle: &mut TableHandle, tag: u32) {
    let low = directory::lookup::<T>(arena, handle.top, tag);
    if low.depth == handle.top.depth {
        directory::double(arena, handle);
    }
    let depth = low.depth + 1;
    let bit = 1 << (32 - u32::from(depth));
    let high = segment::split(arena, low);
    directory::point(arena, handle.top, tag & !bit, depth, low.page);
    directory::point(arena, handle.top, tag | bit, depth, high);
    handle.segments += 1;
    if depth == handle.top.depth {
        handle.deepest += 2;
    }
}

/// Makes the table smaller where `tag` belongs, if it has become empty enough.
fn shrink<T: Target>(arena: &mut Arena, table: TableAt<T>, tag: u32) {
    let now = Top::read(arena, table).form;
    if now < form::PAGE && handle::entries(arena, table) as usize > entries_to_shrink::<T>(now) {
        return;
    }
    let before = TableHandle::read(arena, table);
    let mut handle = before;
    if now == form::DIRECTORY {
        while merge::<T>(arena, &mut handle, tag) {}
        if handle.segments == 1 {
            let segment = directory::entry(arena, handle.top, 0).run::<T>();
            arena.free(directory::page_of(arena, handle.top, 0));
            (handle.top, handle.deepest) = (Top { at: segment.first().0, form: form::PAGE, depth: 0 }, 0);
        }
    }
    if handle.top.form <= form::PAGE {
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
    let run = directory::lookup::<T>(arena, handle.top, tag);
    if run.depth == 0 {
        return false;
    }
    let bit = 1 << (32 - u32::from(run.depth));
    let neighbour = directory::lookup(arena, handle.top, tag ^ bit);
    if neighbour.depth != run.depth {
        return false;
    }
    let together = segment::count(arena.page(run.page)) + segment::count(arena.page(neighbour.page));
    if together > SegmentSpan::<T>::ENTRIES_MERGED_MAX {
        return false;
    }
    let (low, high) = if tag & bit == 0 { (run, neighbour) } else { (neighbour, run) };
    segment::merge(arena, low, high);
    directory::point(arena, handle.top, tag, low.depth - 1, low.page);
    handle.segments -= 1;
    if low.depth == handle.top.depth {
        handle.deepest -= 2;
        if handle.deepest == 0 {
            directory::halve(arena, handle);
        }
    }
    true
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
        if to.has_page() {
            segment::put_count(write, handle.entries as usize);
        }
    }
    give_up(arena, from);
}

/// Room for the one segment of a table of `form`, without entries.
fn place<T: Target>(arena: &mut Arena, form: u8) -> Top {
    let first = match form {
        form::EMPTY => Ref::NULL,
        form::PAGE => SegmentSpan::<T>::of_page(segment::create(arena), 0).first(),
        _ => {
            let bytes = BUCKETS[form as usize] * BUCKET_BYTES;
            let at = slab::allocate(arena, bytes);
            arena.page_mut(at.page()).bytes_mut(at.offset(), bytes).fill(0);
            at
        }
    };
    Top { at: first.0, form, depth: 0 }
}

/// Frees the memory of a segment.
pub(super) fn give_up<T: Target>(arena: &mut Arena, run: SegmentSpan<T>) {
    if run.has_page() {
        arena.free(run.page);
    } else {
        slab::release(arena, run.first());
    }
}

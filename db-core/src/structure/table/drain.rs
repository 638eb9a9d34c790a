//! Freeing a table, at once or in steps (draining).
//!
//! A table that is being drained has no other use: its owner no longer refers to it, lookups find nothing in it, and its segments
//! are freed from the first on. This writes neither to the directory's entries nor to the remaining segments, so if there is a
//! frozen version, only the handle's page is copied. Between steps the table is part of the state, and is verified in an image:
//! it may be that of a flushed database.

use crate::arena::{Arena, Pages};

use super::directory::{self, DEPTH_OF_PAGE, ENTRIES_PER_PAGE};
use super::handle::{TableAt, TableHandle, form};
use super::segment::{Target, give_up};

/// Frees all memory of a table, which is empty then, and hands each of its entries to `visit`.
pub(crate) fn drain_all<T: Target>(arena: &mut Arena, table: TableAt<T>, mut visit: impl FnMut(T)) {
    let mut handle = TableHandle::read(arena, table);
    while handle.top.form != form::EMPTY {
        drain_segment::<T>(arena, &mut handle).into_iter().for_each(&mut visit);
    }
    TableHandle::EMPTY.write(arena, table);
}

/// Whether a table has memory of its own, be there entries or not.
pub(crate) fn has_memory<T>(pages: &impl Pages, table: TableAt<T>) -> bool {
    TableHandle::read(pages, table).top.form != form::EMPTY
}

/// Whether a table is half given up.
pub(crate) fn is_draining<T>(pages: &impl Pages, table: TableAt<T>) -> bool {
    TableHandle::read(pages, table).top.form == form::DRAINING
}

/// Frees at most `segments` segments of a table and hands each of their entries to `visit`, which may change the arena but not the
/// table. Returns whether the table is empty now. Until then it is good for nothing but to be drained and freed.
pub(crate) fn drain<T: Target>(
    arena: &mut Arena,
    table: TableAt<T>,
    segments: usize,
    mut visit: impl FnMut(&mut Arena, T),
) -> bool {
    for _ in 0..segments {
        let mut handle = TableHandle::read(arena, table);
        if handle.top.form == form::EMPTY {
            break;
        }
        let all = drain_segment(arena, &mut handle);
        handle.write(arena, table);
        all.into_iter().for_each(|at| visit(arena, at));
    }
    TableHandle::read(arena, table).top.form == form::EMPTY
}

/// Frees the first segment; returns its entries.
fn drain_segment<T: Target>(arena: &mut Arena, handle: &mut TableHandle) -> Vec<T> {
    if handle.top.form == form::DIRECTORY {
        (handle.top.form, handle.deepest) = (form::DRAINING, 0);
    }
    let draining = handle.top.form == form::DRAINING;
    let run =
        if draining { directory::entry(arena, handle.top, handle.deepest as usize).run() } else { handle.top.single() };
    let buckets = if draining { run.buckets() } else { 0 };
    let all: Vec<T> = run.entries(arena.page(run.page)).map(|(_, at)| at).collect();
    give_up(arena, run);
    handle.entries -= all.len() as u64;
    handle.segments -= 1;
    handle.buckets -= buckets as u32;
    if draining {
        let passed = handle.deepest as usize + (1 << (handle.top.depth - run.depth));
        free_directory(arena, handle, passed);
        handle.deepest = passed as u32;
    }
    if handle.segments == 0 {
        *handle = TableHandle::EMPTY;
    }
    all
}

/// Frees the directory's pages all of whose entries are among the first `passed`.
fn free_directory(arena: &mut Arena, handle: &TableHandle, passed: usize) {
    if handle.top.depth > DEPTH_OF_PAGE {
        for index in handle.deepest as usize / ENTRIES_PER_PAGE..passed / ENTRIES_PER_PAGE {
            let id = directory::page_of(arena, handle.top, index * ENTRIES_PER_PAGE);
            arena.free(id);
        }
    }
    if passed == 1 << handle.top.depth {
        directory::give_up(arena, handle.top);
    }
}

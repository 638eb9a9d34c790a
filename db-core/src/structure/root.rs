//! The superblock: page 0 of every shard.
//!
//! ```text
//!   0  page type u8 = 1, zero u8, layout version u16, magic u32
//!   8  hash seed u64
//!  16  reserved, zero
//!  32  what waits to be reclaimed: its newest item u32 (0: none), zero u32, its pages u64 (layout: `value/reclaim.rs`)
//!  48  reserved, zero
//!  64  first page with a free slot, by size class: 64 x u32 (0: none)
//! 512  settings that have a value: a bit for each u32, zero u32; in shard 0 only
//! 520  their values: 32 x u64 (0 where there is none)
//! 4096 physical number of each logical database: 16 x u8
//! 4112 of each physical database, 32 x 40 bytes:
//!       0  handle of its table of keys, 24 bytes (layout: `table/handle.rs`)
//!      24  handle of its expiry index, 16 bytes: a tree's
//! ```
//!
//! A database has two numbers. Clients use the *logical* one; key records, effects and tables use the *physical* one, which stays
//! the same when `SWAPDB` exchanges two databases. There are more physical numbers: a flushed database keeps its number until all
//! of it is reclaimed, and the logical database gets another, empty one.

use crate::arena::{Arena, Page, Pages, Ref};
use crate::ids::{DatabaseId, PageId};
use crate::level::FormatError;
use crate::limits::{DATABASE_NUMBERS, DATABASES, SETTINGS_MAX};

use super::PageType;
use super::table::{HANDLE_BYTES, TableAt};
use super::tree::{self, ByBytes, Tree};

pub(crate) const ROOT: PageId = PageId(0);

const MAGIC: u32 = u32::from_le_bytes(*b"TNSH");
const LAYOUT_VERSION: u16 = 4;

/// Size classes that the superblock has room for.
pub(crate) const CLASSES_MAX: usize = 64;

const TYPE: usize = 0;
const VERSION: usize = 2;
const MAGIC_AT: usize = 4;
const SEED: usize = 8;
const UNUSED: usize = 16;
const RECLAIM: usize = 32;
const RECLAIM_PAGES: usize = RECLAIM + 8;
const RESERVED: usize = RECLAIM + 16;
const PARTIAL: usize = 64;
const SETTINGS_PRESENT: usize = 512;
const SETTINGS: usize = 520;
const PHYSICAL: usize = 4096;
const DATABASE: usize = PHYSICAL + DATABASES;
const EXPIRY: usize = HANDLE_BYTES;
const DATABASE_BYTES: usize = EXPIRY + tree::HANDLE_BYTES;

/// Makes page 0 of an empty arena.
pub(crate) fn create(arena: &mut Arena, hash_seed: u64) {
    let page = arena.allocate();
    assert!(page == ROOT, "the superblock is the first page of a shard");
    let root = arena.page_mut(ROOT);
    root.put_u8(TYPE, PageType::Root as u8);
    root.put_u16(VERSION, LAYOUT_VERSION);
    root.put_u32(MAGIC_AT, MAGIC);
    root.put_u64(SEED, hash_seed);
    (0..DATABASES).for_each(|logical| root.put_u8(PHYSICAL + logical, logical as u8));
}

/// Checks that the pages of a shard have the layout that this program knows. Those without a superblock are left to [`check`].
pub(crate) fn check_version(pages: &Arena) -> Result<(), FormatError> {
    let root = pages.is_used(ROOT).then(|| pages.page(ROOT)).filter(|root| root.u32_at(MAGIC_AT) == MAGIC);
    root.map_or(Ok(()), |root| FormatError::check(root.u16_at(VERSION), LAYOUT_VERSION))
}

/// Checks what stands at fixed places; the counts are checked against the structures later.
pub(crate) fn check(root: &Page) -> Result<(), &'static str> {
    if root.u8_at(TYPE) != PageType::Root as u8 || root.u32_at(MAGIC_AT) != MAGIC {
        return Err("page 0 is not a superblock");
    }
    if root.u16_at(VERSION) != LAYOUT_VERSION {
        return Err("the superblock has an unknown layout version");
    }
    let reserved = [UNUSED..RECLAIM, RECLAIM + 4..RECLAIM + 8, RESERVED..PARTIAL];
    if reserved.into_iter().flatten().any(|at| root.u8_at(at) != 0) {
        return Err("reserved bytes of the superblock are not zero");
    }
    let mut physical = *root.array::<DATABASES>(PHYSICAL);
    physical.sort_unstable();
    let twice = physical.windows(2).any(|pair| pair[0] == pair[1]);
    if twice || usize::from(physical[DATABASES - 1]) >= DATABASE_NUMBERS {
        return Err("its databases have not each a number of their own");
    }
    let present = root.u32_at(SETTINGS_PRESENT);
    let absent = |number: &usize| present & (1 << number) == 0;
    if root.u32_at(SETTINGS_PRESENT + 4) != 0
        || (0..SETTINGS_MAX).filter(absent).any(|number| root.u64_at(SETTINGS + 8 * number) != 0)
    {
        return Err("a setting without a value has one");
    }
    Ok(())
}

/// The value of a setting of the cluster; `None` if it has none.
pub(crate) fn setting(pages: &impl Pages, number: usize) -> Option<u64> {
    debug_assert!(number < SETTINGS_MAX);
    let root = pages.page(ROOT);
    (root.u32_at(SETTINGS_PRESENT) & (1 << number) != 0).then(|| root.u64_at(SETTINGS + 8 * number))
}

pub(crate) fn put_setting(arena: &mut Arena, number: usize, value: Option<u64>) {
    debug_assert!(number < SETTINGS_MAX);
    let root = arena.page_mut(ROOT);
    let present = root.u32_at(SETTINGS_PRESENT) & !(1 << number);
    root.put_u32(SETTINGS_PRESENT, present | u32::from(value.is_some()) << number);
    root.put_u64(SETTINGS + 8 * number, value.unwrap_or(0));
}

/// Returns the newest item that waits to be reclaimed (null: none).
pub(crate) fn reclaim_head(pages: &impl Pages) -> Ref {
    Ref(pages.page(ROOT).u32_at(RECLAIM))
}

/// Returns the number of pages that wait to be reclaimed.
pub(crate) fn reclaim_pages(pages: &impl Pages) -> u64 {
    pages.page(ROOT).u64_at(RECLAIM_PAGES)
}

pub(crate) fn put_reclaim(arena: &mut Arena, head: Ref, pages: u64) {
    let root = arena.page_mut(ROOT);
    root.put_u32(RECLAIM, head.0);
    root.put_u64(RECLAIM_PAGES, pages);
}

pub(crate) fn hash_seed(pages: &impl Pages) -> u64 {
    pages.page(ROOT).u64_at(SEED)
}

/// First slab page of `class` with a free slot.
#[inline]
pub(crate) fn partial(pages: &impl Pages, class: usize) -> Option<PageId> {
    some_page(pages.page(ROOT).u32_at(PARTIAL + 4 * class))
}

pub(crate) fn put_partial(arena: &mut Arena, class: usize, page: Option<PageId>) {
    arena.page_mut(ROOT).put_u32(PARTIAL + 4 * class, page_or_zero(page));
}

/// Returns the physical number of a logical database.
#[inline]
pub(crate) fn physical(pages: &impl Pages, logical: u8) -> DatabaseId {
    debug_assert!(usize::from(logical) < DATABASES);
    DatabaseId(pages.page(ROOT).u8_at(PHYSICAL + usize::from(logical)))
}

/// Returns the physical numbers of the logical databases.
pub(crate) fn numbers(pages: &impl Pages) -> [u8; DATABASES] {
    *pages.page(ROOT).array(PHYSICAL)
}

pub(crate) fn put_numbers(arena: &mut Arena, numbers: &[u8; DATABASES]) {
    *arena.page_mut(ROOT).array_mut(PHYSICAL) = *numbers;
}

/// Changes the physical number of a logical database.
pub(crate) fn put_number(arena: &mut Arena, logical: u8, database: DatabaseId) {
    arena.page_mut(ROOT).put_u8(PHYSICAL + usize::from(logical), database.0);
}

/// Exchanges the physical numbers of two logical databases.
pub(crate) fn swap(arena: &mut Arena, one: u8, other: u8) {
    let (of_one, of_other) = (physical(arena, one), physical(arena, other));
    let root = arena.page_mut(ROOT);
    root.put_u8(PHYSICAL + usize::from(one), of_other.0);
    root.put_u8(PHYSICAL + usize::from(other), of_one.0);
}

/// Returns the table of the keys of a database.
#[inline]
pub(crate) const fn table_of(database: DatabaseId) -> TableAt {
    TableAt::new(ROOT, DATABASE + DATABASE_BYTES * database.0 as usize)
}

/// Returns the expiry index of a database.
#[inline]
pub(crate) const fn expiry_of(database: DatabaseId) -> Tree<ByBytes> {
    Tree::at(ROOT, DATABASE + DATABASE_BYTES * database.0 as usize + EXPIRY, ByBytes)
}

/// Returns the physical numbers that there are.
pub(crate) fn database_numbers() -> impl Iterator<Item = DatabaseId> {
    (0..DATABASE_NUMBERS as u8).map(DatabaseId)
}

/// Page numbers in pages: 0 (the superblock) means none.
#[inline]
pub(crate) const fn some_page(number: u32) -> Option<PageId> {
    if number == 0 { None } else { Some(PageId(number)) }
}

#[inline]
pub(crate) fn page_or_zero(page: Option<PageId>) -> u32 {
    page.map_or(0, |page| page.0)
}

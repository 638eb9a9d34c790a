//! The page: the unit of copying, of shipping and of addressing.

use std::fmt;

use crate::ids::PageId;

/// Size of a page in bytes. Smaller pages copy and ship fewer bytes per write during a freeze, larger ones need smaller
/// tables and fewer copies; 16 KiB measured as the middle. The one constant.
pub const PAGE_BYTES: usize = 16 * 1024;

/// Size of a granule in bytes: what a [`Ref`] can address within a page.
pub const GRANULE_BYTES: usize = 8;

/// Granules in a page.
pub const GRANULES_PER_PAGE: usize = PAGE_BYTES / GRANULE_BYTES;

const GRANULE_BITS: u32 = GRANULES_PER_PAGE.trailing_zeros();

/// Pages that one shard can address: a `Ref` has 32 bits.
pub const PAGES_PER_SHARD_MAX: u32 = 1 << (32 - GRANULE_BITS);

const _: () = assert!(PAGE_BYTES.is_power_of_two() && GRANULES_PER_PAGE <= 1 << 15);

/// Address of a granule within a shard: half a pointer, and valid wherever the pages lie. Never leaves its shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ref(pub u32);

impl Ref {
    /// No address: granule 0 of page 0 belongs to the superblock, so nothing else can be there.
    pub const NULL: Ref = Ref(0);

    /// The address of `granule` in `page`.
    #[must_use]
    pub fn new(page: PageId, granule: usize) -> Ref {
        assert!(page.0 < PAGES_PER_SHARD_MAX && granule < GRANULES_PER_PAGE, "address within a shard");
        Ref((page.0 << GRANULE_BITS) | granule as u32)
    }

    /// The page.
    #[must_use]
    pub const fn page(self) -> PageId {
        PageId(self.0 >> GRANULE_BITS)
    }

    /// Byte offset within the page.
    #[must_use]
    pub const fn offset(self) -> usize {
        (self.0 as usize & (GRANULES_PER_PAGE - 1)) * GRANULE_BYTES
    }

    /// Granule within the page.
    #[must_use]
    pub const fn granule(self) -> usize {
        self.0 as usize & (GRANULES_PER_PAGE - 1)
    }

    /// Whether this is no address.
    #[must_use]
    pub const fn is_null(self) -> bool {
        self.0 == 0
    }
}

/// The bytes of a page. Integers in it are little-endian; every access is bounds-checked.
#[repr(C, align(64))]
pub struct Page([u8; PAGE_BYTES]);

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page").finish_non_exhaustive()
    }
}

macro_rules! integer_access {
    ($($type:ty, $get:ident, $put:ident;)+) => {$(
        #[doc = concat!("The `", stringify!($type), "` at byte `offset`.")]
        #[inline]
        #[must_use]
        pub fn $get(&self, offset: usize) -> $type {
            <$type>::from_le_bytes(*self.array(offset))
        }

        #[doc = concat!("Writes a `", stringify!($type), "` at byte `offset`.")]
        #[inline]
        pub fn $put(&mut self, offset: usize, value: $type) {
            *self.array_mut(offset) = value.to_le_bytes();
        }
    )+};
}

impl Page {
    integer_access! {
        u8, u8_at, put_u8;
        u16, u16_at, put_u16;
        u32, u32_at, put_u32;
        u64, u64_at, put_u64;
    }

    /// All bytes.
    #[inline]
    #[must_use]
    pub const fn all(&self) -> &[u8; PAGE_BYTES] {
        &self.0
    }

    /// All bytes, to write.
    #[inline]
    pub const fn all_mut(&mut self) -> &mut [u8; PAGE_BYTES] {
        &mut self.0
    }

    /// `len` bytes from `offset`.
    #[inline]
    #[must_use]
    pub fn bytes(&self, offset: usize, len: usize) -> &[u8] {
        &self.0[offset..offset + len]
    }

    /// `len` bytes from `offset`, to write.
    #[inline]
    pub fn bytes_mut(&mut self, offset: usize, len: usize) -> &mut [u8] {
        &mut self.0[offset..offset + len]
    }

    /// `N` bytes from `offset`.
    #[inline]
    #[must_use]
    pub fn array<const N: usize>(&self, offset: usize) -> &[u8; N] {
        // One comparison instead of two: the rest follows from it.
        assert!(offset <= PAGE_BYTES - N, "offset within the page");
        self.0[offset..].first_chunk().expect("offset within the page")
    }

    /// `N` bytes from `offset`, to write.
    #[inline]
    pub fn array_mut<const N: usize>(&mut self, offset: usize) -> &mut [u8; N] {
        assert!(offset <= PAGE_BYTES - N, "offset within the page");
        self.0[offset..].first_chunk_mut().expect("offset within the page")
    }
}

/// Pages to read: the live shard or a frozen version of it.
pub trait Pages {
    /// The page, which must be in use (and, in a frozen version, not released).
    fn page(&self, id: PageId) -> &Page;
    /// One more than the highest page that may be in use.
    fn page_bound(&self) -> u32;
    /// Whether the page is in use.
    fn is_used(&self, id: PageId) -> bool;
}

impl<P: Pages + ?Sized> Pages for &P {
    #[inline]
    fn page(&self, id: PageId) -> &Page {
        (**self).page(id)
    }

    fn page_bound(&self) -> u32 {
        (**self).page_bound()
    }

    fn is_used(&self, id: PageId) -> bool {
        (**self).is_used(id)
    }
}

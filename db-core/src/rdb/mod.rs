//! Redis's dump format (RDB): values as `DUMP` writes and `RESTORE` reads them, and whole dump files.
//!
//! **Problem.** Redis and its relatives have written the same six types in some twenty layouts, and all of them are still on disks.
//! The bytes come from outside: a payload from any client, a file from anywhere.
//!
//! **Idea.** Reading is one pass over an [`Input`], which knows how many bytes are left: [`read_value`] takes a value apart and shows
//! its parts ([`RdbItem`]) one after the other, whatever their layout was. So a file of any size is read in the memory of its longest
//! string. Writing ([`write`](mod@write)) uses one plain layout a type, which old releases of Redis read too.
//!
//! ```text
//!   file      magic and version, entries, end, checksum        file.rs; written by writer.rs
//!   payload   type, value, version, checksum                   payload.rs
//!   value     strings and counts, by type                      value.rs
//!   stream    listpacks, and groups of consumers                stream.rs
//!   string    length and bytes, an integer, or compressed      string.rs, lzf.rs
//!   packed    several strings in one                           ziplist.rs, listpack.rs, intset.rs, zipmap.rs
//! ```
//!
//! **What is checked.** Nothing is allocated by a length before the input is known to have that many bytes; what a string is
//! uncompressed is bounded by what its compressed bytes can become, and by the limit of a value. Packed forms must be consistent in
//! every length, count and offset, and end where they say. The format has no nesting, so depth is bounded by the code. Members that
//! are there twice are found where all of them are in memory (`RESTORE`), not in a file.

mod error;
pub mod file;
mod input;
mod intset;
mod listpack;
mod lzf;
mod packed_entry;
mod payload;
mod skip;
mod stream;
mod string;
mod value;
pub mod write;
pub mod writer;
mod ziplist;
mod zipmap;

#[cfg(test)]
mod tests;

pub use error::RdbError;
pub use input::Input;
pub use payload::open;
pub use value::{ForeignLayout, Layout, RdbItem, ValueLayout, read_value};

/// Newest version of Redis's format that is read: that of Redis 7.4 and 8.0.
pub const REDIS_VERSION_MAX: u32 = 12;

/// Version of Valkey's own format: that of Valkey 9.
pub const VALKEY_VERSION: u32 = 80;

/// Whether values of this version are read.
#[must_use]
pub const fn is_known(version: u32) -> bool {
    (version >= 1 && version <= REDIS_VERSION_MAX) || version == VALKEY_VERSION
}

/// The checksum of files and payloads.
pub(crate) static CHECKSUM: crc::Crc<u64, crc::Table<16>> = crc::Crc::<u64, crc::Table<16>>::new(&crc::CRC_64_REDIS);

/// Bytes of a checksum.
const CHECKSUM_BYTES: usize = 8;

//! Names and layouts that several parts of the vault share.

use tanist_db_core::level::FormatError;
use thiserror::Error;

/// Folder of the images, in the vault's folder.
pub(super) const IMAGES_FOLDER: &str = "images";

/// Why stored bytes are not what belongs in their place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Unreadable {
    /// What is wrong with them.
    #[error("{0}")]
    Damaged(&'static str),
    /// They are sound, and of another version.
    #[error("it has {0}")]
    Version(#[from] FormatError),
}

impl From<&'static str> for Unreadable {
    fn from(what: &'static str) -> Unreadable {
        Unreadable::Damaged(what)
    }
}

// Integers out of fixed layouts. Every caller has checked the length before.

/// The bytes at `at` as a little-endian `u32`.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes were asked for"))
}

/// The bytes at `at` as a little-endian `u64`.
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes were asked for"))
}

/// The bytes at `at` as a little-endian `u128`.
pub(crate) fn u128_at(bytes: &[u8], at: usize) -> u128 {
    u128::from_le_bytes(bytes[at..at + 16].try_into().expect("sixteen bytes were asked for"))
}

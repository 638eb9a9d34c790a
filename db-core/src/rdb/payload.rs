//! What `DUMP` returns and `RESTORE` takes: one value.
//!
//! ```text
//!   type u8, value, version u16, checksum u64 of all before it
//! ```

use super::{CHECKSUM, CHECKSUM_BYTES, Input, is_known};

const VERSION_BYTES: usize = 2;

/// Version that payloads written here say: that of Redis 5. A server refuses those that are newer than its own.
pub(super) const VERSION_WRITTEN: u16 = 9;

/// Checks version and checksum of a payload; returns its bytes from the type on, and the version. `None` if either is wrong.
#[must_use]
pub fn open(payload: &[u8]) -> Option<(Input<&[u8]>, u32)> {
    let (sealed, checksum) = payload.split_last_chunk::<CHECKSUM_BYTES>()?;
    let (value, version) = sealed.split_last_chunk::<VERSION_BYTES>()?;
    let version = u16::from_le_bytes(*version).into();
    let sound = is_known(version) && CHECKSUM.checksum(sealed) == u64::from_le_bytes(*checksum);
    sound.then(|| (Input::of_slice(value), version))
}

/// Makes a payload of type and value.
pub(super) fn seal(value: &mut Vec<u8>, version: u16) {
    value.extend_from_slice(&version.to_le_bytes());
    let checksum = CHECKSUM.checksum(value);
    value.extend_from_slice(&checksum.to_le_bytes());
}

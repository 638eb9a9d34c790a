//! The envelope of a single stored value: an entry of the catalog, or an image's manifest.
//!
//! | at | bytes | field | guards against |
//! |---|---|---|---|
//! | 0 | 4 | magic `TNSV` | a foreign value |
//! | 4 | 1 | format version, 3: 1 had leases without a length, 2 without feature levels | a value of another version |
//! | 5 | 3 | reserved, 0 | use of what this version does not know |
//! | 8 | 4 | body length in bytes | a value cut short |
//! | 12 | 4 | CRC-32C of the key, the bytes before, and the body | damage, and a value under another's key |
//! | 16 | | body | |

use tanist_db_core::level::FormatError;

use super::layout::{Unreadable, u32_at};

const HEADER_BYTES: usize = 16;
const MAGIC: [u8; 4] = *b"TNSV";
const VERSION: u8 = 3;

/// Puts `body` into an envelope that opens only under `key`.
///
/// # Panics
/// If the body is longer than 4 GiB: whoever makes bodies bounds them.
#[must_use]
pub fn seal(key: &str, body: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(HEADER_BYTES + body.len());
    value.extend_from_slice(&MAGIC);
    value.extend_from_slice(&[VERSION, 0, 0, 0]);
    let length = u32::try_from(body.len()).expect("every stored value is bounded far below 4 GiB");
    value.extend_from_slice(&length.to_le_bytes());
    let crc = checksum(key, &value, body);
    value.extend_from_slice(&crc.to_le_bytes());
    value.extend_from_slice(body);
    value
}

/// The body of the envelope that was sealed under `key`.
///
/// # Errors
/// What is wrong with it.
pub fn open<'a>(key: &str, value: &'a [u8]) -> Result<&'a [u8], Unreadable> {
    let Some((header, body)) = value.split_first_chunk::<HEADER_BYTES>() else {
        return Err(Unreadable::Damaged("it is cut short"));
    };
    if header[..4] != MAGIC {
        return Err(Unreadable::Damaged("it does not start with TNSV"));
    }
    if u32_at(header, 12) != checksum(key, &header[..12], body) {
        return Err(Unreadable::Damaged("its checksum does not match"));
    }
    FormatError::check(header[4].into(), VERSION.into())?;
    if header[5..8] != [0; 3] || u32_at(header, 8) as usize != body.len() {
        return Err(Unreadable::Damaged("its header contradicts itself"));
    }
    Ok(body)
}

fn checksum(key: &str, header: &[u8], body: &[u8]) -> u32 {
    [header, body].iter().fold(crc32c::crc32c(key.as_bytes()), |crc, part| crc32c::crc32c_append(crc, part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_bytes() {
        let value = seal("lease", b"body");
        assert_eq!(value, GOLDEN);
        assert_eq!(open("lease", &value), Ok(&b"body"[..]));
        assert!(open("other", &value).is_err());
    }

    const GOLDEN: &[u8] = b"TNSV\x03\0\0\0\x04\0\0\0\x3e\x46\x9c\x26body";

    #[test]
    fn another_version_and_a_header_that_contradicts_itself_are_refused() {
        let resealed = |at: usize| {
            let mut value = seal("lease", b"body");
            value[at] += 1;
            let crc = checksum("lease", &value[..12], b"body");
            value[12..16].copy_from_slice(&crc.to_le_bytes());
            open("lease", &value).map(<[u8]>::to_vec).map_err(|why| why.to_string())
        };
        assert!(resealed(0).unwrap_err().contains("TNSV"));
        assert_eq!(
            resealed(4).unwrap_err(),
            "it has format version 4, and this program knows version 3: start the release that wrote it, or a newer one"
        );
        for at in 5..12 {
            assert!(resealed(at).unwrap_err().contains("contradicts"), "byte {at}");
        }
        assert_eq!(open("lease", &seal("lease", b"")), Ok(&b""[..]));
    }

    #[test]
    fn every_flipped_bit_and_every_truncation_is_refused() {
        let value = seal("lease", b"some body");
        for bit in 0..value.len() * 8 {
            let mut flipped = value.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(open("lease", &flipped).is_err(), "bit {bit}");
        }
        for len in 0..value.len() {
            assert!(open("lease", &value[..len]).is_err(), "cut to {len}");
        }
    }
}

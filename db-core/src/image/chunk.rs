//! The byte layout of an image's chunks. Little-endian.
//!
//! ```text
//!   0  magic u32 "TNSI"                     is this a chunk at all
//!   4  layout version u16 = 1, kind u8 (1 header, 2 pages), zero u8
//!   8  index u32                            reordered, repeated or missing chunks
//!  12  shard u16, zero u16
//!  16  first page u32, pages u32            zero in the header
//!  24  cut u64                              a chunk of another image
//!  32  body length u32                      truncation
//!  36  crc32c u32 of all other bytes        any damage
//!  40  body
//!
//!  header's body                            body of pages
//!   0  page size u32, shards u16, zero u16   page numbers u32 each, ascending
//!   8  hash seed u64                         the pages
//!  16  epoch u64
//!  24  chunks u32, this one included, zero u32
//!  32  pages u32 for each shard
//! ```

use crate::arena::PAGE_BYTES;
use crate::ids::{Epoch, Lsn, PageId, ShardId};
use crate::level::FormatError;
use crate::limits::IMAGE_CHUNK_BYTES_MAX;

use super::ImageMeta;

const MAGIC: u32 = u32::from_le_bytes(*b"TNSI");
const LAYOUT_VERSION: u16 = 1;
const KIND_HEADER: u8 = 1;
const KIND_PAGES: u8 = 2;

pub(super) const HEAD_BYTES: usize = 40;
const CRC: usize = 36;
const HEADER_BODY_BYTES: usize = 32;

/// Most pages of a chunk: 63 of 16 KiB and their numbers stay below 1 MiB.
pub(super) const PAGES_MAX: usize = (IMAGE_CHUNK_BYTES_MAX - HEAD_BYTES) / (PAGE_BYTES + 4);

const _: () = assert!(HEAD_BYTES + HEADER_BODY_BYTES + 4 * (u16::MAX as usize) <= IMAGE_CHUNK_BYTES_MAX);

/// What the header chunk says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HeaderChunk {
    pub(super) meta: ImageMeta,
    /// Chunks of the image, the header included.
    pub(super) chunks: u32,
    /// Pages in use, by shard.
    pub(super) pages: Vec<u32>,
}

/// Pages of one shard.
#[derive(Debug)]
pub(super) struct PagesChunk<'a> {
    pub(super) shard: ShardId,
    ids: &'a [u8],
    pages: &'a [u8],
}

impl<'a> PagesChunk<'a> {
    /// The pages with their numbers, in order.
    pub(super) fn pages(&self) -> impl Iterator<Item = (PageId, &'a [u8; PAGE_BYTES])> + use<'a> {
        let (ids, _) = self.ids.as_chunks::<4>();
        let (pages, _) = self.pages.as_chunks::<PAGE_BYTES>();
        ids.iter().map(|id| PageId(u32::from_le_bytes(*id))).zip(pages)
    }
}

/// A chunk that stood its checks.
#[derive(Debug)]
pub(super) enum Body<'a> {
    Header(HeaderChunk),
    Pages(PagesChunk<'a>),
}

fn head(out: &mut Vec<u8>, kind: u8, index: u32, shard: u16, first: u32, pages: u32, cut: Lsn) {
    out.clear();
    out.extend_from_slice(&MAGIC.to_le_bytes());
    out.extend_from_slice(&LAYOUT_VERSION.to_le_bytes());
    out.extend_from_slice(&[kind, 0]);
    out.extend_from_slice(&index.to_le_bytes());
    out.extend_from_slice(&shard.to_le_bytes());
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(&first.to_le_bytes());
    out.extend_from_slice(&pages.to_le_bytes());
    out.extend_from_slice(&cut.0.to_le_bytes());
    out.extend_from_slice(&[0; 8]);
}

/// Fills in length and checksum of a chunk whose body is complete.
pub(super) fn seal(out: &mut [u8]) {
    let body = (out.len() - HEAD_BYTES) as u32;
    out[32..36].copy_from_slice(&body.to_le_bytes());
    let crc = checksum(out);
    out[CRC..HEAD_BYTES].copy_from_slice(&crc.to_le_bytes());
}

fn checksum(chunk: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&chunk[..CRC]), &chunk[HEAD_BYTES..])
}

/// Replaces `out` with the header chunk.
pub(super) fn write_header(out: &mut Vec<u8>, header: &HeaderChunk) {
    head(out, KIND_HEADER, 0, 0, 0, 0, header.meta.cut);
    out.extend_from_slice(&(PAGE_BYTES as u32).to_le_bytes());
    out.extend_from_slice(&(header.pages.len() as u16).to_le_bytes());
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(&header.meta.hash_seed.to_le_bytes());
    out.extend_from_slice(&header.meta.epoch.0.to_le_bytes());
    out.extend_from_slice(&header.chunks.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    header.pages.iter().for_each(|pages| out.extend_from_slice(&pages.to_le_bytes()));
    seal(out);
}

/// Replaces `out` with a chunk of pages, at least one.
pub(super) fn write_pages<'p>(
    out: &mut Vec<u8>,
    index: u32,
    shard: ShardId,
    cut: Lsn,
    ids: &[PageId],
    page: impl Fn(PageId) -> &'p [u8; PAGE_BYTES],
) {
    let first = ids.first().map_or(0, |id| id.0);
    head(out, KIND_PAGES, index, shard.0, first, ids.len() as u32, cut);
    out.reserve(ids.len() * (PAGE_BYTES + 4));
    ids.iter().for_each(|id| out.extend_from_slice(&id.0.to_le_bytes()));
    ids.iter().for_each(|id| out.extend_from_slice(page(*id)));
    seal(out);
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(*bytes[at..].first_chunk().expect("the length was checked"))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(*bytes[at..].first_chunk().expect("the length was checked"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(*bytes[at..].first_chunk().expect("the length was checked"))
}

/// Checks that a chunk has the layout that this program knows. One that is no whole chunk is left to [`read`].
pub(super) fn check_version(chunk: &[u8]) -> Result<(), FormatError> {
    if chunk.len() < HEAD_BYTES || u32_at(chunk, 0) != MAGIC {
        return Ok(());
    }
    let checked = FormatError::check(u16_at(chunk, 4), LAYOUT_VERSION);
    if checked.is_err() && u32_at(chunk, CRC) == checksum(chunk) { checked } else { Ok(()) }
}

/// Checks a chunk in itself and as number `index` of the image with `cut` (None: not known before the header).
pub(super) fn read(chunk: &[u8], index: u32, cut: Option<Lsn>) -> Result<(Lsn, Body<'_>), &'static str> {
    if chunk.len() < HEAD_BYTES || chunk.len() > IMAGE_CHUNK_BYTES_MAX {
        return Err("it is too short or too long for a chunk");
    }
    if u32_at(chunk, 0) != MAGIC {
        return Err("it is not a chunk of an image");
    }
    let body = &chunk[HEAD_BYTES..];
    if u32_at(chunk, 32) as usize != body.len() {
        return Err("it is truncated, or longer than it says");
    }
    if u32_at(chunk, CRC) != checksum(chunk) {
        return Err("its checksum is wrong: it was damaged");
    }
    if u32_at(chunk, 8) != index {
        return Err("it is not the next chunk");
    }
    let own_cut = Lsn(u64_at(chunk, 24));
    if cut.is_some_and(|cut| cut != own_cut) {
        return Err("it belongs to another image");
    }
    if u16_at(chunk, 4) != LAYOUT_VERSION || chunk[7] != 0 || u16_at(chunk, 14) != 0 {
        return Err("its layout is another one");
    }
    let body = match (chunk[6], index) {
        (KIND_HEADER, 0) => Body::Header(read_header(body, own_cut)?),
        (KIND_PAGES, 1..) => Body::Pages(read_pages(chunk, body)?),
        _ => return Err("its kind is not one that belongs here"),
    };
    Ok((own_cut, body))
}

fn read_header(body: &[u8], cut: Lsn) -> Result<HeaderChunk, &'static str> {
    if body.len() < HEADER_BODY_BYTES || !(body.len() - HEADER_BODY_BYTES).is_multiple_of(4) {
        return Err("its header has a wrong length");
    }
    if u32_at(body, 0) as usize != PAGE_BYTES {
        return Err("its pages have another size: it was made by another build");
    }
    let shards = u16_at(body, 4) as usize;
    let pages: Vec<u32> = body[HEADER_BODY_BYTES..].as_chunks::<4>().0.iter().map(|n| u32::from_le_bytes(*n)).collect();
    if pages.len() != shards || !shards.is_power_of_two() {
        return Err("its number of shards is impossible");
    }
    if u16_at(body, 6) != 0 || u32_at(body, 28) != 0 {
        return Err("its reserved bytes are not zero");
    }
    let meta = ImageMeta { cut, epoch: Epoch(u64_at(body, 16)), hash_seed: u64_at(body, 8) };
    Ok(HeaderChunk { meta, chunks: u32_at(body, 24), pages })
}

fn read_pages<'a>(chunk: &[u8], body: &'a [u8]) -> Result<PagesChunk<'a>, &'static str> {
    let count = u32_at(chunk, 20) as usize;
    if count == 0 || count > PAGES_MAX || body.len() != count * (PAGE_BYTES + 4) {
        return Err("its number of pages and its length disagree");
    }
    let (ids, pages) = body.split_at(4 * count);
    if u32_at(ids, 0) != u32_at(chunk, 16) {
        return Err("its first page is not the one it says");
    }
    Ok(PagesChunk { shard: ShardId(u16_at(chunk, 12)), ids, pages })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta() -> ImageMeta {
        ImageMeta { cut: Lsn(0x0102), epoch: Epoch(3), hash_seed: 0x0405_0607 }
    }

    #[test]
    fn header_bytes_are_golden() {
        let header = HeaderChunk { meta: meta(), chunks: 5, pages: vec![7, 9] };
        let mut out = Vec::new();
        write_header(&mut out, &header);
        #[rustfmt::skip]
        let golden = [
            b'T', b'N', b'S', b'I', 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
            2, 1, 0, 0, 0, 0, 0, 0, 40, 0, 0, 0, 0, 0, 0, 0,
            0, 64, 0, 0, 2, 0, 0, 0, 7, 6, 5, 4, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0,
            7, 0, 0, 0, 9, 0, 0, 0,
        ];
        let crc = crc32c::crc32c_append(crc32c::crc32c(&golden[..36]), &golden[40..]).to_le_bytes();
        assert_eq!((&out[..36], &out[36..40], &out[40..]), (&golden[..36], &crc[..], &golden[40..]));
        assert!(matches!(read(&out, 0, None), Ok((Lsn(0x0102), Body::Header(read))) if read == header));
    }

    #[test]
    fn page_bytes_are_golden() {
        let page = [0xab; PAGE_BYTES];
        let mut out = Vec::new();
        write_pages(&mut out, 2, ShardId(1), Lsn(9), &[PageId(4), PageId(6)], |_| &page);
        #[rustfmt::skip]
        let golden = [
            b'T', b'N', b'S', b'I', 1, 0, 2, 0, 2, 0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 2, 0, 0, 0,
            9, 0, 0, 0, 0, 0, 0, 0, 8, 0x80, 0, 0,
        ];
        assert_eq!(out[..36], golden);
        assert_eq!(out[40..48], [4, 0, 0, 0, 6, 0, 0, 0]);
        assert_eq!(out.len(), 48 + 2 * PAGE_BYTES);
        let Ok((_, Body::Pages(chunk))) = read(&out, 2, Some(Lsn(9))) else { panic!("a chunk of pages") };
        let pages: Vec<_> = chunk.pages().collect();
        assert_eq!(pages, [(PageId(4), &page), (PageId(6), &page)]);
    }
}

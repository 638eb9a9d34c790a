//! Helpers for the vault's own tests.

use bytes::Bytes;
use tanist_db_core::redo::batch::RedoBatch;

use super::log::segment::LogFrame;
use crate::wire::frame::{Frame, FrameKind, FrameReader, seal};

/// A frame of `count` records from position `first` on, under `epoch`.
pub(crate) fn frame(epoch: u64, first: u64, count: u64) -> LogFrame {
    LogFrame::open(frame_bytes(epoch, first, count)).unwrap()
}

/// The same as bytes.
pub(crate) fn frame_bytes(epoch: u64, first: u64, count: u64) -> Bytes {
    let mut batch = RedoBatch { epoch, first_lsn: first, ends: Vec::new(), blob: Vec::new() };
    for lsn in first..first + count {
        batch.blob.extend_from_slice(format!("record {lsn} of {epoch};").as_bytes());
        batch.ends.push(u32::try_from(batch.blob.len()).unwrap());
    }
    seal(FrameKind::Batch, &batch.to_bytes())
}

/// A chunk of `len` bytes that differ with `seed`, as a frame reader gives it.
pub(crate) fn chunk(seed: u64, len: usize) -> Frame {
    let body: Vec<u8> =
        (0..len as u64).map(|i| (i.wrapping_mul(31) ^ seed.wrapping_mul(101)).to_le_bytes()[0]).collect();
    let sealed = seal(FrameKind::Chunk, &body);
    let mut reader = FrameReader::new(&sealed[..]);
    futures_util::FutureExt::now_or_never(reader.next()).unwrap().unwrap().unwrap()
}

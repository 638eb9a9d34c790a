//! The newest durable frames in memory, for followers that are close behind.

use std::collections::VecDeque;

use tanist_db_core::ids::Lsn;

use crate::vault::log::segment::LogFrame;

/// A run of frames without a gap up to the durable end, bounded by bytes.
#[derive(Debug)]
pub struct Recent {
    frames: VecDeque<LogFrame>,
    bytes: usize,
    bytes_max: usize,
}

impl Recent {
    /// An empty run of at most `bytes_max` bytes.
    #[must_use]
    pub const fn new(bytes_max: usize) -> Self {
        Self { frames: VecDeque::new(), bytes: 0, bytes_max }
    }

    /// Adds frames that became durable; the oldest give way.
    pub fn push(&mut self, frames: &[LogFrame]) {
        for frame in frames {
            debug_assert!(self.frames.back().is_none_or(|newest| newest.last.next() == frame.first));
            self.bytes += frame.bytes().len();
            self.frames.push_back(frame.clone());
        }
        while self.bytes > self.bytes_max {
            let oldest = self.frames.pop_front().expect("bytes are counted only while frames are there");
            self.bytes -= oldest.bytes().len();
        }
    }

    /// Frames that contain the records after `after`, about `bytes_max` bytes of them and at least one; `None` if the run does
    /// not reach back so far or contains nothing newer.
    #[must_use]
    pub fn after(&self, after: Lsn, bytes_max: usize) -> Option<Vec<LogFrame>> {
        let oldest = self.frames.front()?;
        if oldest.first > after.next() {
            return None;
        }
        let start = self.frames.partition_point(|frame| frame.last <= after);
        let mut bytes = 0;
        let mut out = Vec::new();
        for frame in self.frames.range(start..) {
            if !out.is_empty() && bytes + frame.bytes().len() > bytes_max {
                break;
            }
            bytes += frame.bytes().len();
            out.push(frame.clone());
        }
        (!out.is_empty()).then_some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::testing::frame;

    fn firsts(frames: Option<Vec<LogFrame>>) -> Option<Vec<u64>> {
        frames.map(|frames| frames.iter().map(|frame| frame.first.0).collect())
    }

    #[test]
    fn gives_what_follows_a_position_within_bounds() {
        let frames: Vec<_> = (0..10).map(|i| frame(1, i * 2 + 101, 2)).collect();
        let one = frames[0].bytes().len();
        let mut recent = Recent::new(4 * one);
        assert_eq!(firsts(recent.after(Lsn(100), one)), None);
        recent.push(&frames);
        assert_eq!(firsts(recent.after(Lsn(111), one)), None, "113 is the oldest record kept");
        assert_eq!(firsts(recent.after(Lsn(112), 2 * one)), Some(vec![113, 115]));
        assert_eq!(firsts(recent.after(Lsn(113), 1)), Some(vec![113]), "a frame is never split");
        assert_eq!(firsts(recent.after(Lsn(116), 9 * one)), Some(vec![117, 119]));
        assert_eq!(firsts(recent.after(Lsn(120), one)), None);
    }

    #[test]
    fn a_frame_beyond_the_bound_empties_the_run() {
        let mut recent = Recent::new(10);
        recent.push(&[frame(1, 1, 1)]);
        assert_eq!((recent.bytes, recent.frames.len()), (0, 0));
    }
}

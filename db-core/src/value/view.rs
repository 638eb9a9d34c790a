//! A value as readers see it.

use std::fmt;

use crate::arena::{PAGE_BYTES, Pages};

use super::paged::Root;

/// A string value, in one piece or in pieces of a page.
#[derive(Clone, Copy)]
pub struct ValueView<'a> {
    repr: ValueRepr<'a>,
}

#[derive(Clone, Copy)]
enum ValueRepr<'a> {
    Whole(&'a [u8]),
    Paged(Root<'a>, &'a dyn Pages),
}

impl fmt::Debug for ValueView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ValueView").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl<'a> ValueView<'a> {
    pub(crate) fn whole(bytes: &'a [u8]) -> Self {
        Self { repr: ValueRepr::Whole(bytes) }
    }

    pub(crate) fn paged(root: Root<'a>, pages: &'a dyn Pages) -> Self {
        Self { repr: ValueRepr::Paged(root, pages) }
    }

    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        match self.repr {
            ValueRepr::Whole(bytes) => bytes.len() as u64,
            ValueRepr::Paged(root, _) => root.len(),
        }
    }

    /// Whether there is no byte.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The pieces in order, each at most a page long; none is empty.
    pub fn chunks(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.pieces_from(0)
    }

    /// The value, if it lies in one piece.
    #[must_use]
    pub fn as_slice(&self) -> Option<&'a [u8]> {
        match self.repr {
            ValueRepr::Whole(bytes) => Some(bytes),
            ValueRepr::Paged(..) => None,
        }
    }

    /// Returns whether the value is these bytes.
    #[must_use]
    pub fn equals(&self, bytes: &[u8]) -> bool {
        match self.as_slice() {
            Some(value) => value == bytes,
            None => self.len() == bytes.len() as u64 && self.chunks().flatten().eq(bytes),
        }
    }

    /// Appends the bytes from `start` to before `end` (clipped to the length) to `out`. Reads the pages concerned only.
    pub fn range(&self, start: u64, end: u64, out: &mut Vec<u8>) {
        out.reserve(end.min(self.len()).saturating_sub(start) as usize);
        self.chunks_of(start, end).for_each(|piece| out.extend_from_slice(piece));
    }

    /// The pieces of the bytes from `start` to before `end` (clipped to the length). Reads the pages concerned only.
    pub fn chunks_of(&self, start: u64, end: u64) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut left = end.min(self.len()).saturating_sub(start) as usize;
        let (first, mut skip) = match self.repr {
            ValueRepr::Whole(_) => (0, start.min(self.len())),
            ValueRepr::Paged(..) => (start / PAGE_BYTES as u64, start % PAGE_BYTES as u64),
        };
        self.pieces_from(first as usize).map_while(move |piece| {
            if left == 0 {
                return None;
            }
            let piece = &piece[std::mem::take(&mut skip) as usize..];
            let taken = &piece[..piece.len().min(left)];
            left -= taken.len();
            Some(taken)
        })
    }

    fn pieces_from(&self, first: usize) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let (whole, paged) = match self.repr {
            ValueRepr::Whole(bytes) => (Some(bytes).filter(|bytes| !bytes.is_empty()), None),
            ValueRepr::Paged(root, pages) => (None, Some((root, pages))),
        };
        let paged = paged
            .into_iter()
            .flat_map(move |(root, pages)| (first..root.pieces()).map(move |index| root.piece(pages, index)));
        whole.into_iter().chain(paged)
    }
}

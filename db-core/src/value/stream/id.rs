//! Ids of entries.

/// The id of an entry: a time, and a number within it. Later entries have greater ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId {
    /// Unix milliseconds, or whatever the client has chosen.
    pub ms: u64,
    /// Among those of one millisecond.
    pub seq: u64,
}

/// Bytes of an id.
pub(crate) const ID_BYTES: usize = 16;

impl StreamId {
    /// Below that of every entry.
    pub const ZERO: StreamId = StreamId { ms: 0, seq: 0 };
    /// The last one that there can be.
    pub const MAX: StreamId = StreamId { ms: u64::MAX, seq: u64::MAX };

    /// Returns the one behind it; `None` of the last one.
    #[must_use]
    pub const fn next(self) -> Option<StreamId> {
        match (self.seq.checked_add(1), self.ms.checked_add(1)) {
            (Some(seq), _) => Some(StreamId { ms: self.ms, seq }),
            (None, Some(ms)) => Some(StreamId { ms, seq: 0 }),
            (None, None) => None,
        }
    }

    /// Returns the one before it; `None` of the first one.
    #[must_use]
    pub const fn previous(self) -> Option<StreamId> {
        match (self.seq.checked_sub(1), self.ms.checked_sub(1)) {
            (Some(seq), _) => Some(StreamId { ms: self.ms, seq }),
            (None, Some(ms)) => Some(StreamId { ms, seq: u64::MAX }),
            (None, None) => None,
        }
    }

    /// Returns its bytes, which ascend as ids do.
    #[must_use]
    pub fn to_bytes(self) -> [u8; ID_BYTES] {
        (u128::from(self.ms) << 64 | u128::from(self.seq)).to_be_bytes()
    }

    /// Reads what [`to_bytes`](Self::to_bytes) returns.
    #[must_use]
    pub const fn from_bytes(bytes: &[u8; ID_BYTES]) -> StreamId {
        let number = u128::from_be_bytes(*bytes);
        StreamId { ms: (number >> 64) as u64, seq: number as u64 }
    }
}

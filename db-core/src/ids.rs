//! Newtypes for positions and identities. No bare `u64` crosses a module boundary where one of these is meant.

use std::fmt;

/// Position of a record in the one global redo log: the first record is 1, each next one is one more.
///
/// 64 bits last for 500,000 years at a million records a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(pub u64);

impl Lsn {
    /// Before the first record. As a reply's condition it means "may leave at once".
    pub const ZERO: Lsn = Lsn(0);

    /// The position right after this one.
    #[must_use]
    pub const fn next(self) -> Lsn {
        Lsn(self.0 + 1)
    }

    /// The position `records` further on.
    #[must_use]
    pub const fn plus(self, records: u64) -> Lsn {
        Lsn(self.0 + records)
    }
}

/// Number of a term, the time in which one node is primary: at most one is accepted by the vault at any time, and it never goes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

impl Epoch {
    /// No node has ever been primary.
    pub const ZERO: Epoch = Epoch(0);

    /// The epoch that a successor claims.
    #[must_use]
    pub const fn next(self) -> Epoch {
        Epoch(self.0 + 1)
    }
}

/// Index of a shard, below the engine's shard count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(pub u16);

/// Physical number of a database, below [`DATABASES`](crate::limits::DATABASES): records, effects and tables have it, and it stays what
/// it is when databases swap their contents. Clients name logical numbers; each shard knows which is which.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DatabaseId(pub u8);

/// Logical number of a page within its shard: stable over copies on write, freezes and images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PageId(pub u32);

macro_rules! display_as_number {
    ($($name:ident),+) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    )+};
}

display_as_number!(Lsn, Epoch, ShardId, DatabaseId, PageId);

//! Sets and hashes: members by name, each with a value in a hash.

mod change;

pub(crate) use change::put_large;
pub use change::{MapChange, MapForm};

/// Sizes up to which sets and hashes are held in one piece.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Small {
    /// Fields of a hash.
    pub(crate) hash_entries: usize,
    /// Bytes of a field or a value.
    pub(crate) hash_value: usize,
    /// Members of a set of integers.
    pub(crate) set_integers: usize,
    /// Members of a set.
    pub(crate) set_entries: usize,
    /// Bytes of a member.
    pub(crate) set_value: usize,
    /// Members of a sorted set.
    pub(crate) sorted_entries: usize,
    /// Bytes of a member.
    pub(crate) sorted_value: usize,
}

impl Default for Small {
    fn default() -> Small {
        Small {
            hash_entries: 128,
            hash_value: 64,
            set_integers: 512,
            set_entries: 128,
            set_value: 64,
            sorted_entries: 128,
            sorted_value: 64,
        }
    }
}

#[cfg(test)]
mod tests;

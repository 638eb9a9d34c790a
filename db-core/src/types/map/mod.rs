//! Sets and hashes: members by name, each with a value in a hash.

mod change;

pub(crate) use change::put_large;
pub use change::{MapChange, MapForm};

#[cfg(test)]
mod tests;

//! Sorted sets: members with scores.

mod change;

#[cfg(test)]
mod tests;

pub(crate) use change::put_large;
pub use change::{SortedChange, SortedForm};

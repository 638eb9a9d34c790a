//! Lists: elements by position.

mod change;

#[cfg(test)]
mod tests;

pub use change::{Cuts, End, ListChange, ListForm};

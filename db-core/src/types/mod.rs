//! Data types: a folder for each type of value.

pub(crate) mod copy;
pub mod list;
pub mod map;
pub mod sorted_set;
pub mod stream;
pub mod string;
#[cfg(test)]
mod tests;

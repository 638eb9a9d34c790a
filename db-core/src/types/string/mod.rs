//! The string type.

mod change;
mod patches;
#[cfg(test)]
mod tests;

pub use change::StringChange;
pub(crate) use change::{make, pages_to_make, write};
pub(crate) use patches::PatchList;
pub use patches::Patches;

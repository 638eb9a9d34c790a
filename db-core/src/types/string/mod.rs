//! The string type.

mod change;

pub use change::StringChange;
pub(crate) use change::{make, pages_to_make, write};

//! Strings of bytes.

mod change;

pub(crate) use change::{StringChange, make, pages_to_make, write};

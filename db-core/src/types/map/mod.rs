//! Sets and hashes: members by name, each with a value in a hash.

mod change;
mod form;

pub use change::MapChange;
pub(crate) use change::put_large;
pub use form::MapForm;

#[cfg(test)]
mod tests;

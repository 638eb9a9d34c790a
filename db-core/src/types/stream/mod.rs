//! Streams: entries with ids, and groups of consumers.

mod build;
mod change;
mod delivery;
mod entries;
mod parts;

#[cfg(test)]
mod tests;

pub use build::{NodeLimits, StreamBuilder};
pub use change::StreamChange;
pub use delivery::Delivery;
pub use parts::StreamParts;
pub(crate) use parts::{each_part, pages_to_make, put_part};

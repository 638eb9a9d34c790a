//! The subcommands, a file each, and how servers take turns.

pub(crate) mod durable;
pub(crate) mod throughput;
mod turns;

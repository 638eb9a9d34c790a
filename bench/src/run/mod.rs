//! The subcommands, a file each, and how servers take turns.

pub(crate) mod collections;
pub(crate) mod connections;
pub(crate) mod durable;
pub(crate) mod forwarding;
pub(crate) mod image;
pub(crate) mod instructions;
pub(crate) mod load_image;
pub(crate) mod memory;
pub(crate) mod micro;
pub(crate) mod summary;
pub(crate) mod throughput;
mod turns;
mod watch;
pub(crate) mod worst;

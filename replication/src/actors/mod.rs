//! The drivers: actors that carry events to the plain state machines and their effects to the world.

pub(crate) mod follower;
pub mod join;
pub mod node;
#[cfg(feature = "next-level")]
mod rehearsal;
pub(crate) mod role_driver;
pub(crate) mod shipper;
pub(crate) mod thread;
pub(crate) mod transfer;
pub(crate) mod upkeep;
pub mod vault;

use actix::Message;

/// End at once: the process does too.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Halt;

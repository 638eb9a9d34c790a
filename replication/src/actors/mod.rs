//! The drivers: actors that feed events to the state machines and perform the effects that these return.

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

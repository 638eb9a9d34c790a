//! Deterministic simulation of entire clusters under seeded faults, in one thread and in simulated time.
//!
//! The production code of all decisions runs here: vault, role machine, serving, shipping, engine. Only their environment is
//! simulated: time, network, disk, clocks, processes, clients. Each driver here replaces an actor of a real process, and is as
//! thin. docs/testing.md explains why and how.
//!
//! ```text
//!   seed -> Scenario -> World: events by time -> vault | nodes | clients | network | faults
//!                         |          after each: oracles look
//!                         +-> calm: service must return -> last words -> histories are judged
//! ```

mod client;
mod clock;
mod env;
mod event;
mod fault;
mod net;
mod node;
mod oracle;
pub mod planted;
mod plot;
mod random;
mod release;
mod scenario;
mod trace;
mod value;
mod vault;
pub mod workload;
mod world;

pub use oracle::{Counts, Violation};
pub use random::Random;
pub use value::Value;
pub use world::{Options, Outcome, run};

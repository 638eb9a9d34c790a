//! The front: what clients meet.
//!
//! ```text
//!   TCP acceptor ──┐                       ┌── Serving: may I? is it durable?   (replication)
//!   (tcp, an actor)│                       │
//!                  ├──► session::serve ────┼── Engine: execute                  (db-core)
//!   QUIC streams ──┘    one task a client  │
//!   (client library)                       └── commands: HELLO, CONFIG, INFO, … (here)
//! ```
//!
//! Everything that sessions share is in one [`NodeContext`]; everything that one client may cost is bounded in [`limits`].
//!
//! What the front promises:
//!
//! 1. **A reply tells nothing that could be undone.** At level `durable` a write's reply, and the reply of a read of something that
//!    is not yet durable, leave when the vault has it ([`reply_gate`]). A node without its lease reads nothing, one that is
//!    fenced says nothing.
//! 2. **One reply a command, in order**, whatever happens meanwhile: a wait that takes too long becomes an error in the
//!    reply's place.
//! 3. **A command is executed once or not at all.** What may not execute now waits unexecuted, and the error that ends such
//!    a wait says `(not executed)`; that of a write which was executed and not confirmed says that it may survive.
//! 4. **No peer costs more than its share**: input, output, held replies, arguments and turns are bounded.

mod caller;
mod commands;
mod context;
mod entry;
mod health;
mod inbox;
pub mod limits;
pub mod quic;
mod redirect;
pub mod registry;
pub mod reply_gate;
mod risk;
pub mod session;
mod settings;
pub mod tcp;

pub(crate) use health::HealthSigns;
pub(crate) use redirect::NOT_EXECUTED;

pub use context::{Admin, Identity, NodeContext, StandbyState, Stats};
pub use registry::{Peer, Registration, Registry, Way};
pub use risk::{AtRisk, Risk};
pub use settings::Settings;

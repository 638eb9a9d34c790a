//! The front: accepts client connections and speaks their protocols.
//!
//! ```text
//!   TCP acceptor ──┐                       ┌── Serving: may I? is it durable?   (replication)
//!   (tcp, an actor)│                       │
//!                  ├──► session::serve ────┼── Engine: execute                  (db-core)
//!   QUIC streams ──┘    one task a client  │
//!   (client library)                       └── commands: HELLO, CONFIG, INFO, … (here)
//! ```
//!
//! Everything that sessions share is in one [`NodeContext`]; [`limits`] bounds what one client may use.
//!
//! What the front promises:
//!
//! 1. **A reply shows nothing that could be undone.** At level `durable` a write's reply, and the reply of a read of data that is
//!    not yet durable, is sent when the vault has the data ([`reply_gate`]). A node without its lease serves no reads, and one
//!    that is fenced sends nothing.
//! 2. **One reply per command, in order**, whatever happens meanwhile: a wait that takes too long ends with an error in the
//!    reply's place.
//! 3. **A command is executed once or not at all.** A command that may not execute now waits unexecuted (hold), and the error
//!    that ends such a wait says `(not executed)`. The error for a write that was executed and not confirmed says that it may
//!    survive.
//! 4. **No client uses more than its share**: input, output, delayed replies, arguments and turns (work per event-loop iteration)
//!    are bounded.

mod caller;
mod commands;
mod context;
mod entry;
mod forward;
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
mod standby_read;
pub mod tcp;
mod versions;

pub(crate) use health::HealthSigns;
pub(crate) use redirect::NOT_EXECUTED;

pub use context::{Admin, Identity, NodeContext, StandbyState, Stats};
pub use forward::{Greeting, LinkStream, Links};
pub use registry::{Peer, Registration, Registry, Way};
pub use risk::{AtRisk, Risk};
pub use settings::Settings;

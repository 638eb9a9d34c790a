//! Tanist's replication: vault (log and lease service), roles, log shipping, takeover (failover) and switchover (planned
//! failover). It moves bytes and log positions and never parses a command or a value.
//!
//! A database process calls [`join_node`], which loads its state, then [`start_node`], which makes it take part in the cluster; a
//! supervisor process watches it ([`supervisor`]). A vault process calls [`start_vault`]. Client sessions ask [`serving`] whether
//! they may execute and what is durable. Everything else is internal; the feature `test-support` opens it to the simulator and to
//! tests.
#![cfg_attr(
    not(feature = "test-support"),
    allow(unreachable_pub, reason = "what is public in internal modules is so for the simulator and for tests")
)]

pub mod repeats;
pub mod serving;
pub mod supervisor;
pub mod text_file;
pub mod transport;
pub mod wire;

// Internals.
#[cfg(not(feature = "test-support"))]
mod actors;
#[cfg(not(feature = "test-support"))]
mod lease;
#[cfg(not(feature = "test-support"))]
mod limits;
#[cfg(not(feature = "test-support"))]
mod node;
#[cfg(not(feature = "test-support"))]
mod role;
#[cfg(not(feature = "test-support"))]
mod stream;
#[cfg(not(feature = "test-support"))]
mod vault;

// The same, for the simulator and for tests.
#[cfg(feature = "test-support")]
pub mod actors;
#[cfg(feature = "test-support")]
pub mod lease;
#[cfg(feature = "test-support")]
pub mod limits;
#[cfg(feature = "test-support")]
pub mod node;
#[cfg(feature = "test-support")]
pub mod role;
#[cfg(feature = "test-support")]
pub mod stream;
#[cfg(any(test, feature = "test-support"))]
mod testing;
#[cfg(feature = "test-support")]
pub mod vault;

pub use actors::join::{Joined, join as join_node};
pub use actors::node::{NodeHandle, start as start_node};
pub use actors::vault::{VaultError, VaultHandle, VaultOptions, start as start_vault};
pub use node::{ImageFigures, ImageReport, LoadProgress, NodeError, NodeOptions, NodeStatus, VaultLink};
pub use role::{End, SwitchoverReport};
pub use vault::StorageError;

/// Target of the few tracing events that a person watching the cluster wants to see; `tanist up` shows them.
pub const EVENT: &str = "event";

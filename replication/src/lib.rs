//! Tanist's vault, lease, roles, shipping, takeover and switchover: never looks into a value.

pub mod actors;
pub mod lease;
pub mod limits;
pub mod node;
pub mod repeats;
pub mod role;
pub mod serving;
pub mod stream;
pub mod supervisor;
#[cfg(any(test, feature = "test-support"))]
pub mod testing;
pub mod text_file;
pub mod transport;
pub mod vault;
pub mod wire;

/// Target of the few tracing events that a person watching the cluster wants to see; `tanist up` shows them.
pub const EVENT: &str = "event";

//! The protocol between the client library and a node.
//!
//! A client opens one bidirectional stream of its QUIC connection (ALPN [`ALPN`]) and sends a greeting. The node answers with a
//! notice that says whether it is primary, and with another one each time this changes, until it is primary. From then on the
//! stream carries ordinary RESP3: commands one way, replies the other, in order, with push messages between replies.
//!
//! ```text
//!   client                                    node
//!     | greeting: TNSC, version                 |
//!     |---------------------------------------->|
//!     |   notice: elsewhere, epoch 4, address   |   a standby; says no more until something changes
//!     |<----------------------------------------|
//!     |   notice: primary, epoch 5              |   it has taken over
//!     |<----------------------------------------|
//!     | RESP3 commands                          |
//!     |---------------------------------------->|
//!     |   RESP3 replies                         |
//!     |<----------------------------------------|
//! ```
//!
//! The notice of a primary also says how its term began. In a switchover the primary before it refuses what it held, and a client
//! waits for that. After a takeover most likely it is dead, and no packet of a dead process says so: a client gives up what that node has
//! not answered as soon as it has been silent for a moment.
//!
//! So a client that is connected to every node learns of a takeover from the new primary itself, immediately, and its next
//! command is executed after half a round trip.
//!
//! A node that is no longer primary answers a command with the error `NOTPRIMARY <address or ?> ...` and has not executed it.
//! After the first such answer it refuses every later command on this stream that touches data in the same way, even if it
//! becomes primary again, so commands sent in order are never executed out of order. The client reads the remaining replies and
//! opens a new stream.

pub mod greeting;
pub mod reply;

/// Protocol name in the TLS handshake; has the version of the greeting's framing, not of its content.
pub const ALPN: &[u8] = b"tanist-client/1";

/// First word of the error with which a node that is not primary refuses a command.
pub const NOT_PRIMARY: &str = "NOTPRIMARY";

/// First word of the error for a command that the vault has not confirmed in time.
pub const NOT_DURABLE: &str = "NOTDURABLE";

/// Ends the error [`NOT_DURABLE`] for a command that was not executed and will not be. Without it, the command was executed.
pub const NOT_EXECUTED: &str = "(not executed)";

//! Forwarding between nodes: a standby has the commands of its clients executed by the primary.
//!
//! ```text
//!   client ── session of the standby ── link: a QUIC connection, a stream a client ── session of the primary ── engine
//!             (session::forward)        (link)                                        (an ordinary session)
//! ```
//!
//! Each thread of a standby has one connection to the primary. On it every client that needs the primary has a stream, at whose other end
//! the primary runs a session like any other. What belongs to the connection (protocol, database, transaction, name) stays with the
//! standby's session, which tells the primary's what it has to know: so a client can be carried on by another primary, or by its own node.
//! `docs/protocols/forwarding.md` says who does what when a role changes.
//!
//! * `wire`: the bytes that are not the Redis protocol.
//! * `replies`: where replies end.
//! * `under_way`: the requests that have no reply yet.
//! * `link`: connections and streams.
//! * `reach`: whether all of this would succeed.

mod link;
mod reach;
mod replies;
mod under_way;
mod wire;

pub(super) use link::attend;
pub use link::{LinkStream, Links};
pub(super) use reach::{PrimaryReach, watch};
pub(super) use replies::{Found, ReplyEnds};
pub(super) use under_way::{Request, UnderWay};
pub use wire::Greeting;
pub(super) use wire::{END, leading_position, position_mark};

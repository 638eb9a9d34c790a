//! The role of a node (standby, primary, ...) and how it changes.
//!
//! ```text
//!   Joining --caught up--> Standby --claims, or is handed the lease--> Promoting --epoch start durable--> Primary
//!                             ^                                                                             |
//!                             +---------------- the successor holds the lease ---------------- HandingOver <+
//!
//!   Promoting, Primary, HandingOver --a newer epoch while records of its own may be unsealed--> Fenced (the process ends)
//! ```
//!
//! [`Machine`] is a state machine without I/O. It receives an [`Event`] with the time, and returns [`Effect`]s in the order in
//! which they must be performed; it knows no clock, no network and no engine. `node::Driver` drives it. Complete takeovers and
//! switchovers, with the vault's side, are written down line by line in `scripts/` beside this file, and tested.
//!
//! # Takeover
//!
//! 1. The vault's notification, or the watcher's own count, says that the lease has ended: claim the epoch after the newest known
//!    one. Of several claims the vault grants one. From then on it refuses every append of older epochs; its answer says where
//!    their log ends (the sealed end).
//! 2. Follow until exactly that position is applied. Nobody else ever adds a record after it.
//! 3. Begin the epoch: append the epoch-start record, and ship it.
//! 4. When it is durable, serve.
//!
//! After a crash in any step, the process's obituary or the end of its lease lets the next claimant begin at 1, with the next
//! epoch. If the answer to the claim is lost, the vault's view shows this node, and this incarnation of it, as the holder; the
//! same claim is repeated and gets the same answer. If the connection is lost in 2 to 4, all streams are reopened and continue
//! where the vault says.
//!
//! # Switchover
//!
//! 1. Choose: ask the vault for the followers' newest reports; the successor must be a standby that is close behind.
//! 2. Hold: publish that no command may execute, and wait until none does. Clients wait. The log's end is now final for this
//!    term.
//! 3. Drain: wait until the log's end is durable and the successor has reported it as applied.
//! 4. Hand over: the vault makes the successor the holder of the next epoch, if all of this is still true.
//! 5. The vault's view shows a newer epoch: become a standby with the state as it is. Whichever node has that epoch, this node's
//!    state is a prefix of the log, since everything it had was durable and nothing has executed since.
//!
//! Until the request of step 4 is sent, any failure or delay ends the hold, and the node is primary as before. After that only
//! the vault's answer counts. If the answer is lost and the vault says that the lease has not moved, the request may still be in
//! flight on a dead connection. So one more record (a barrier) is made durable before anything executes: after it the vault must
//! refuse the request, because its position is no longer the log's end.
//!
//! # What a primary does when the vault is away
//!
//! It stays primary of its epoch. Once its own count of the lease has run out, nothing executes ([`crate::serving`] sees that
//! from the time alone) and nothing becomes durable. When a renewal under the same epoch succeeds, it continues.

mod calls;
mod event;
mod machine;
mod promotion;
mod switchover;
mod term;

#[cfg(test)]
mod exhaustive;
#[cfg(test)]
mod script_tests;
#[cfg(test)]
mod tests;

pub use event::{Ask, Effect, End, Event, Identity, Sight, SwitchoverReport, Takeover};
pub use machine::Machine;

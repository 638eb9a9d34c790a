//! The part that a node plays, and how it changes.
//!
//! ```text
//!   Joining --caught up--> Standby --claims, or is handed the lease--> Promoting --epoch start durable--> Primary
//!                             ^                                                                             |
//!                             +---------------- the successor holds the lease ---------------- HandingOver <+
//!
//!   Promoting, Primary, HandingOver --a newer epoch while records of its own may be unsealed--> Fenced (the process ends)
//! ```
//!
//! [`Machine`] is a plain value. What happened comes in as an [`Event`] with the time, what is to be done goes out as
//! [`Effect`]s in the order in which they must be done; it knows no clock, no network and no engine. `node::Driver` drives it.
//! Whole courses, with the vault's side, are written down line by line in `scripts/` beside this file, and tested.
//!
//! # Takeover
//!
//! 1. The vault's news, or the watcher's count, says that the lease has ended: claim the epoch after the newest known one. Of
//!    several claims the vault grants one; it refuses every append of older epochs from then on, and tells where their log is
//!    sealed.
//! 2. Follow until exactly that position is applied. Nothing is ever added behind it by others.
//! 3. Begin the epoch: append the epoch-start record, and ship it.
//! 4. When it is durable, serve.
//!
//! Crash in any step: the process's obituary or the lease's end lets the next claim begin at 1 with one epoch more. A lost answer
//! to the claim: the vault's view shows this node and this start of it as the holder; the claim is repeated as it was and
//! gets the same answer. A lost connection in 2 to 4: all streams are opened anew and continue where the vault says.
//!
//! # Switchover
//!
//! 1. Choose: ask the vault for the followers' newest reports; the successor must be a standby that is close behind.
//! 2. Hold: publish that nothing executes, wait until nothing does. The log's end is now final for this term.
//! 3. Drain: wait until the end is durable and the successor has reported it as applied.
//! 4. Hand over: the vault makes the successor the holder of the next epoch if all that still holds.
//! 5. The vault's view shows a newer epoch: follow on, with the state as it is. Whoever holds it, this node's state is a prefix
//!    of the log, since everything it had was durable and nothing has executed since.
//!
//! Until 4 is sent any failure or delay lifts the hold: the node is primary as before. After that only the vault's word counts. If
//! the answer is lost and the vault says that the lease has not moved, the request may still be on its way over a dead
//! connection: so one more record is made durable before anything executes, after which the vault must refuse the request,
//! because its position is no longer the log's end.
//!
//! # What a primary does when the vault is away
//!
//! It stays primary of its epoch. Nothing executes once its own count of the lease has run out ([`crate::serving`] sees that
//! from the time alone), and nothing becomes durable. When a renewal under the same epoch succeeds, it goes on.

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

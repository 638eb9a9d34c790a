//! Who may write: the [`authority`] that judges, the [`server`] with the calls that wait for it, and the [`roster`] of who is connected.

pub mod authority;
pub mod roster;
pub mod server;

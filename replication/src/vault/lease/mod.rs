//! Who may write: the [`authority`] that decides, the [`server`] with the calls that wait for it, and the [`roster`] (list) of
//! connected peers.

pub mod authority;
pub mod roster;
pub mod server;

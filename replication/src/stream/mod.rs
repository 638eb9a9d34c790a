//! Streams from a node to the vault: records ([`Shipping`] and its send [`Window`](window::Window)) and images ([`Carrying`]).

mod carrying;
mod pace;
mod shipping;
mod window;

pub use carrying::{Carrying, Heard, Load};
pub use shipping::{AppendNews, ShipStep, Shipping, sealed};
pub use window::Unsealed;

//! Records on their way: to the vault ([`Shipping`] and its [`Window`]), and from it to a follower ([`Following`]).

mod following;
mod shipping;
mod window;

pub use following::{Following, Run, Taken};
pub use shipping::{Shipping, Step, Told, sealed};
pub use window::{Unsealed, Window, WindowError};

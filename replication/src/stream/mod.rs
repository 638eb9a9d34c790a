//! What is on its way between a node and the vault: records to it ([`Shipping`] and its [`Window`]) and from it ([`Following`]), and
//! images to it ([`Carrying`]).

mod carrying;
mod following;
mod pace;
mod shipping;
mod window;

pub use carrying::{Carrying, Heard, Load};
pub use following::{Following, Taken};
pub use shipping::{Shipping, Step, Told, sealed};
pub use window::{Unsealed, Window, WindowError};

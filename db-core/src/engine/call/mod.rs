//! The engine's interface to commands: a spec with a handler ([`CommandSpec`]), looked up by name ([`CommandTable`]); a [`Call`]
//! with its arguments; and a [`Reply`] or a [`Failure`]. The commands themselves are in `command`: the engine knows none of them.

pub(crate) mod args;
pub(crate) mod failure;
pub(crate) mod lookup;
mod modules;
pub(crate) mod number;
pub(crate) mod reply;
pub(crate) mod spec;

pub(crate) use args::KeyArg;
pub use args::{Call, Options, database, is};
pub use failure::{Failure, Outcome};
pub use lookup::{CommandTable, Unfit};
pub(crate) use reply::double_text;
pub use reply::{Protocol, Reply, SendPiece};
pub use spec::{
    Argument, ArgumentKind, Begin, Category, CommandSpec, Find, Flag, Flags, FrontRun, Group, KeySpec, KeyUse,
    front_command,
};
pub(crate) use spec::{Block, Blocking, Control, Handler};

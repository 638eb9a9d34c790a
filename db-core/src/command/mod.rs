//! Commands: one declarative record each, their arguments, their replies and what they do to a keyspace.
//!
//! A command comes in as a list of byte strings. [`CommandTable::resolve`] finds its [`CommandSpec`] and checks the number of
//! arguments; the engine then locks what the record says the command touches and calls its handler with three things:
//! the locked data (`engine::data::Data`), the call (`Call`: arguments, hashes of the keys, time) and the [`Reply`].
//! A handler either writes one whole reply or returns a `Failure` and has changed nothing.
//!
//! Everything that lists commands (`COMMAND`, key positions, categories, the compatibility table of the book) is
//! derived from the tables in `table/`; nothing about a command is said twice.

pub(crate) mod args;
mod duration;
mod extended;
mod failure;
pub(crate) mod glob;
mod lookup;
mod natural;
pub(crate) mod number;
mod reply;
mod spec;
mod table;

mod debug;
mod expiry;
mod introspect;
mod key;
mod memory;
mod object;
mod scan;
mod server;
mod string;
mod string_number;

pub(crate) use args::KeyArg;
pub use args::{Call, Options, database, is};
pub use duration::takes_long;
pub use failure::{Failure, Outcome};
pub use glob::matches as glob_matches;
pub use lookup::{CommandTable, Unfit};
pub use reply::{Protocol, Reply};
pub use spec::{
    Argument, ArgumentKind, Begin, Category, CommandSpec, Find, Flag, Flags, FrontRun, Group, KeySpec, KeyUse,
    front_command,
};
pub(crate) use spec::{Block, Blocking, Control, Handler};

//! The commands on data: for each a declarative spec, and a handler that parses arguments, changes the keyspace and writes the
//! reply.
//!
//! A command comes in as a list of byte strings. [`CommandTable::resolve`] finds its [`CommandSpec`] and checks the number of
//! arguments; the engine then locks the shards that the command touches according to its spec, and calls its handler with three
//! arguments: the locked data (`engine::data::Data`), the [`Call`] (arguments, hashes of the keys) and the [`Reply`]. A handler
//! either writes one complete reply, or returns a `Failure` and has changed nothing.
//!
//! Everything that lists commands (`COMMAND`, key positions, categories, the compatibility table of the documentation) is derived
//! from the tables in `table/`; every fact about a command is declared once.

mod duration;
mod extended;
mod field_expiry;
pub(crate) mod glob;
mod natural;
mod table;
#[cfg(any(test, feature = "test-support"))]
pub mod testing;

mod bits;
mod collection;
mod compare;
mod debug;
mod dump;
mod expiry;
mod float;
mod geo;
mod hash;
mod hyperloglog;
mod increx;
mod introspect;
mod key;
mod lcs;
mod list;
mod memory;
mod object;
mod scan;
mod server;
mod set;
pub mod slot;
mod sort;
mod sorted_set;
mod stream;
mod string;
mod string_number;
mod timeout;

pub use crate::engine::call::{
    Argument, ArgumentKind, Begin, Call, Category, CommandSpec, CommandTable, Failure, Find, Flag, Flags, FrontRun,
    Group, KeySpec, KeyUse, Options, Outcome, Protocol, Reply, SendPiece, Unfit, database, front_command, is,
};
pub use duration::takes_long;
pub use glob::matches as glob_matches;

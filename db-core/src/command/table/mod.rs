//! The command tables: one spec per command, by group.

mod bitmap;
mod connection;
mod field_expiry;
mod generic;
mod geo;
mod hash;
mod hyperloglog;
mod list;
mod server;
mod set;
mod sorted_set;
mod stream;
mod string;
mod transactions;

use crate::engine::call::lookup::{CommandTable, Groups};
use crate::engine::call::spec::CommandSpec;

/// All commands, by group.
static TABLES: [&[CommandSpec]; 14] = [
    string::COMMANDS,
    list::COMMANDS,
    set::COMMANDS,
    sorted_set::COMMANDS,
    stream::COMMANDS,
    hash::COMMANDS,
    field_expiry::COMMANDS,
    bitmap::COMMANDS,
    hyperloglog::COMMANDS,
    generic::COMMANDS,
    geo::COMMANDS,
    connection::COMMANDS,
    server::COMMANDS,
    transactions::COMMANDS,
];

impl CommandTable {
    /// All commands here and those of `front`. For a `static`: it is made at compile time.
    ///
    /// # Panics
    /// If there are too many, or a name stands twice.
    #[must_use]
    pub const fn with(front: Groups) -> CommandTable {
        CommandTable::of(&TABLES, front)
    }
}

//! The tables: one record a command, by group.

mod connection;
mod generic;
mod server;
mod string;
mod transactions;

use super::spec::CommandSpec;

/// All commands, by group.
pub(super) static TABLES: [&[CommandSpec]; 5] =
    [string::COMMANDS, generic::COMMANDS, connection::COMMANDS, server::COMMANDS, transactions::COMMANDS];

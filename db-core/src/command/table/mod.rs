//! The tables: one record a command, by group.

mod connection;
mod generic;
mod server;
mod string;
mod tanist;
mod transactions;

use super::spec::CommandSpec;

/// All commands, by group.
pub(super) static TABLES: [&[CommandSpec]; 6] = [
    string::COMMANDS,
    generic::COMMANDS,
    connection::COMMANDS,
    server::COMMANDS,
    transactions::COMMANDS,
    tanist::COMMANDS,
];

#[cfg(test)]
mod tests;

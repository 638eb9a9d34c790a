//! The engine's commands without those of a front.

use super::CommandTable;
use crate::engine::Front;

/// The engine's commands alone.
pub static ENGINE_COMMANDS: CommandTable = CommandTable::with(&[]);

/// A caller that has no commands of its own.
#[derive(Debug)]
pub struct NoFront;

impl Front for NoFront {
    fn commands(&self) -> &'static CommandTable {
        &ENGINE_COMMANDS
    }
}

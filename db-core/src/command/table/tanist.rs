//! Commands that only Tanist has.

use crate::command::spec::{Argument, Category, CommandSpec, Flag, FrontCommand, Group, Handler, spec};

/// Version of Tanist that brought the commands of this table.
const SINCE: &str = "0.1.0";

pub(super) static COMMANDS: &[CommandSpec] = &[spec(
    "tanist",
    -2,
    &[Flag::Admin, Flag::NoScript, Flag::NoMulti, Flag::Loading, Flag::Stale],
    Group::Module,
    SINCE,
    Handler::Front(FrontCommand::Tanist),
)
.categories_own(&[Category::Admin, Category::Dangerous])
.doc("Administration of the pair: its subcommands are those of the program's own tools.", "Depends on subcommand.")];

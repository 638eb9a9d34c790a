//! `MODULE LIST | HELP`: there are no modules.

use tanist_db_core::command::{Call, Outcome, Reply};
use tanist_db_core::engine::Session;

use super::lines;
use crate::front::caller::Caller;

const HELP: [&str; 5] = [
    "MODULE <subcommand>. Subcommands are:",
    "LIST",
    "    The modules, of which there are none: Tanist loads no code.",
    "HELP",
    "    Print this help.",
];

pub(super) fn help(_: &mut Caller, _: &Call<'_>, _: &mut Session, reply: &mut Reply) -> Outcome {
    lines(&HELP, reply)
}

pub(super) fn list(_: &mut Caller, _: &Call<'_>, _: &mut Session, reply: &mut Reply) -> Outcome {
    reply.array(0);
    Ok(())
}

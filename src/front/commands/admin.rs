//! `TANIST STATUS | HEALTH | DIGEST | SWITCHOVER [node] | HELP`.

use tanist_db_core::command::{FrontCommand, Reply};

use super::{Outcome, SYNTAX, help, is, shown, unknown_subcommand};
use crate::front::caller::Caller;
use crate::front::health::health;

const HELP: [&str; 10] = [
    "TANIST <subcommand> [<arg> ...]. Subcommands are:",
    "STATUS",
    "    The state of node and cluster as JSON.",
    "DIGEST",
    "    Log position and hash of all pages: equal on nodes that hold the same.",
    "HEALTH",
    "    OK from the node that is primary and serves; from any other an error that says why not.",
    "SWITCHOVER [<node>]",
    "    Hand office over to <node>, or to the standby. Nothing is lost; clients wait for a moment.",
    "HELP",
];

pub(super) fn run(caller: &mut Caller, args: &[&[u8]], reply: &mut Reply) -> Outcome {
    let Some(&subcommand) = args.get(1) else { return Err(unknown_subcommand(args)) };
    if is(subcommand, "help") {
        help(&HELP, reply);
        return Ok(());
    }
    if is(subcommand, "health") {
        health(&caller.context)?;
        reply.ok();
        return Ok(());
    }
    let Some(admin) = caller.context.admin() else { return Err("LOADING this node is still starting".into()) };
    if is(subcommand, "status") {
        reply.bulk(admin.status().as_bytes());
        return Ok(());
    }
    if is(subcommand, "digest") {
        if caller.alone != Some(FrontCommand::Tanist) {
            return Err("ERR a digest is not allowed inside a transaction".into());
        }
        caller.action = Some(admin.digest());
        return Ok(());
    }
    if is(subcommand, "switchover") {
        if caller.alone != Some(FrontCommand::Tanist) {
            return Err("ERR a switchover is not allowed inside a transaction".into());
        }
        let to = match args.get(2..).unwrap_or_default() {
            [] => None,
            [node] => Some(shown(node)),
            _ => return Err(SYNTAX.into()),
        };
        // The session writes the reply when it is there, and executes nothing meanwhile.
        caller.action = Some(admin.switchover(to));
        return Ok(());
    }
    Err(unknown_subcommand(args))
}

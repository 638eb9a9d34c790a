//! `TANIST STATUS | HEALTH | DIGEST | SWITCHOVER [node] | HELP`.

use tanist_db_core::command::{Call, Failure, Outcome, Reply};
use tanist_db_core::engine::Session;

use super::{lines, shown};
use crate::front::Admin;
use crate::front::caller::Caller;

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

pub(super) fn help(_: &mut Caller, _: &Call<'_>, _: &mut Session, reply: &mut Reply) -> Outcome {
    lines(&HELP, reply)
}

pub(super) fn health(caller: &mut Caller, _: &Call<'_>, _: &mut Session, reply: &mut Reply) -> Outcome {
    crate::front::health::health(&caller.context)?;
    reply.ok();
    Ok(())
}

pub(super) fn status(caller: &mut Caller, _: &Call<'_>, _: &mut Session, reply: &mut Reply) -> Outcome {
    reply.bulk(admin(caller)?.status().as_bytes());
    Ok(())
}

pub(super) fn digest(caller: &mut Caller, _: &Call<'_>, _: &mut Session, _: &mut Reply) -> Outcome {
    if !caller.alone {
        return Err("ERR a digest is not allowed inside a transaction".into());
    }
    caller.action = Some(admin(caller)?.digest());
    Ok(())
}

/// The session writes the reply when it is there, and executes nothing meanwhile.
pub(super) fn switchover(caller: &mut Caller, call: &Call<'_>, _: &mut Session, _: &mut Reply) -> Outcome {
    if !caller.alone {
        return Err("ERR a switchover is not allowed inside a transaction".into());
    }
    let to = match call.args().get(2..).unwrap_or_default() {
        [] => None,
        [node] => Some(shown(node)),
        _ => return Err(Failure::SYNTAX),
    };
    caller.action = Some(admin(caller)?.switchover(to));
    Ok(())
}

fn admin(caller: &Caller) -> Result<&dyn Admin, Failure> {
    caller.context.admin().map(|admin| &**admin).ok_or(Failure::fixed("LOADING this node is still starting"))
}

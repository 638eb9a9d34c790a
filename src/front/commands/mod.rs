//! Commands on the connection, the node or its settings: they are declared in `table`, and the engine passes them back to the
//! front.
//!
//! Each writes exactly one reply. Inside EXEC the engine holds shard locks while they run, so they read counters only. Whether
//! the client may run the command (authentication, role) has been checked before.

mod admin;
mod client;
mod cluster;
mod config;
mod connection;
mod info;
mod known_nodes;
mod module;
mod parameters;
mod pin;
mod replication;
mod save;
mod sentinel;
mod table;

use tanist_db_core::command::{CommandSpec, Outcome, Reply};

pub(super) use replication::{host_and_port, write_no_copies};
pub(super) use table::COMMANDS;

/// Version of Redis whose behaviour clients may expect; many decide by it what to send.
pub(super) const REDIS_VERSION: &str = "7.0.15";

/// Whether the call changes what the cluster has in common: a write, though no key is among its arguments.
pub(super) fn sets_common(spec: &CommandSpec, args: &[&[u8]]) -> bool {
    spec.front().is_some() && spec.name == "config|set" && config::sets_common(args)
}

/// Whether it freezes a version, of the state of the primary.
pub(super) fn pins(spec: &CommandSpec) -> bool {
    spec.front().is_some() && spec.name == "tanist|pin"
}

/// Whether it ends what [`pins`] begins.
pub(super) fn unpins(spec: &CommandSpec) -> bool {
    spec.front().is_some() && spec.name == "tanist|unpin"
}

/// Whether it concerns what the primary has written for the connection, or its images.
pub(super) fn is_of_primary(spec: &CommandSpec) -> bool {
    let names = ["wait", "waitaof", "tanist|push", "save", "bgsave", "lastsave"];
    spec.front().is_some() && names.contains(&spec.name)
}

/// An argument as text for people, shortened.
fn shown(arg: &[u8]) -> String {
    String::from_utf8_lossy(&arg[..arg.len().min(128)]).into_owned()
}

/// A number in its one canonical form, as Redis takes it: no plus, no leading zero.
fn number<T: std::str::FromStr + ToString>(arg: &[u8]) -> Option<T> {
    let text = std::str::from_utf8(arg).ok()?;
    text.parse().ok().filter(|number: &T| number.to_string() == text)
}

/// Lines for people, as `HELP` shows them.
fn lines(lines: &[&str], reply: &mut Reply) -> Outcome {
    reply.array(lines.len());
    lines.iter().for_each(|line| reply.simple(line));
    Ok(())
}

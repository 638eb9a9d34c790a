//! Commands that concern the connection, the node or its settings: the engine hands them back to the front.
//!
//! Each writes exactly one reply. Inside EXEC the engine holds shard locks while they run, so they look at counters only.
//! What a client may say at which point (authentication, role) has been decided before.

mod admin;
mod client;
mod config;
mod connection;
mod info;
mod parameters;
mod replication;

use tanist_db_core::command::{CommandSpec, FrontCommand, Reply};
use tanist_db_core::engine::Session;

use super::caller::Caller;

/// Version of Redis whose behaviour clients may expect; many decide by it what to send.
pub(super) const REDIS_VERSION: &str = "7.0.15";

/// What a command gives: `Ok` after one whole reply, or the error to be written.
type Outcome = Result<(), String>;

/// Whether the call changes what the cluster has in common: a write, though no key is among its arguments.
pub(super) fn sets_common(spec: &CommandSpec, args: &[&[u8]]) -> bool {
    spec.front() == Some(FrontCommand::Config) && config::sets_common(args)
}

/// Runs `command` for `caller`; `args` with its name, of a number that its record allows.
pub(super) fn run(
    caller: &mut Caller,
    command: FrontCommand,
    args: &[&[u8]],
    session: &mut Session,
    reply: &mut Reply,
) {
    let mark = reply.len();
    let outcome = match command {
        FrontCommand::Hello => connection::hello(caller, args, session, reply),
        FrontCommand::Auth => connection::auth(caller, args, reply),
        FrontCommand::Select => connection::select(args, reply),
        FrontCommand::Quit => connection::quit(caller, reply),
        FrontCommand::Reset => connection::reset(caller, session, reply),
        FrontCommand::Client => client::run(caller, args, reply),
        FrontCommand::Config => config::run(caller, args, reply),
        FrontCommand::Info => info::run(caller, args, reply),
        FrontCommand::Role => replication::role(caller, reply),
        FrontCommand::Wait => replication::wait(caller, args, reply),
        FrontCommand::Tanist => admin::run(caller, args, reply),
    };
    if let Err(sentence) = outcome {
        reply.truncate(mark);
        reply.error(&sentence);
    }
}

/// Whether `arg` is `word` in any case.
fn is(arg: &[u8], word: &str) -> bool {
    arg.eq_ignore_ascii_case(word.as_bytes())
}

/// The argument at `place`. That it is there is the record's doing; should it be wrong, the client is told.
fn at<'a>(args: &[&'a [u8]], place: usize) -> Result<&'a [u8], String> {
    args.get(place).copied().ok_or_else(|| {
        let name = shown(args[0]).to_ascii_lowercase();
        format!("ERR wrong number of arguments for '{name}' command")
    })
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

const SYNTAX: &str = "ERR syntax error";
const NOT_AN_INTEGER: &str = "ERR value is not an integer or out of range";

/// Lines for people, as `HELP` gives them.
fn help(lines: &[&str], reply: &mut Reply) {
    reply.array(lines.len());
    lines.iter().for_each(|line| reply.simple(line));
}

/// The error for a subcommand that a container's record lists and nobody answers.
fn unknown_subcommand(args: &[&[u8]]) -> String {
    let container = shown(args[0]).to_ascii_uppercase();
    let name = args.get(1).map_or_else(String::new, |name| shown(name));
    format!("ERR unknown subcommand '{name}'. Try {container} HELP.")
}

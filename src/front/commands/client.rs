//! `CLIENT ...`.

use tanist_db_core::command::{Call, Failure, Outcome, Reply, is};
use tanist_db_core::engine::Session;

use super::{lines, number, shown};
use crate::front::caller::{Caller, Replies};
use crate::front::entry::{Entry, Name, Unblocked};
use crate::front::limits::NAME_BYTES_MAX;

const HELP: [&str; 24] = [
    "CLIENT <subcommand> [<arg> ...]. Subcommands are:",
    "GETNAME",
    "    The name of this connection.",
    "ID",
    "    The number of this connection.",
    "INFO",
    "    Everything about this connection.",
    "KILL <ip:port> | [ID <id>] [ADDR <ip:port>] [LADDR <ip:port>] [TYPE <type>] [USER <user>] [SKIPME (YES|NO)]",
    "    End the connections that match; all conditions given must.",
    "LIST [TYPE <type> | ID <id> [<id> ...]]",
    "    Everything about all connections, or about those named.",
    "NO-EVICT (ON|OFF)",
    "    Noted for CLIENT LIST: nothing is evicted here.",
    "NO-TOUCH (ON|OFF)",
    "    Noted for CLIENT LIST: nothing depends on the use of keys here.",
    "REPLY (ON|OFF|SKIP)",
    "    Which replies this connection gets.",
    "SETINFO (LIB-NAME|LIB-VER) <text>",
    "    Name the library of this connection, or its version.",
    "SETNAME <name>",
    "    Name this connection.",
    "UNBLOCK <id> [TIMEOUT|ERROR]",
    "    End the wait of a connection's blocked command, as if its time were over or with an error.",
    "HELP",
];

pub(super) fn help(_: &mut Caller, _: &Call<'_>, _: &mut Session, reply: &mut Reply) -> Outcome {
    lines(&HELP, reply)
}

pub(super) fn id(caller: &mut Caller, _: &Call<'_>, _: &mut Session, reply: &mut Reply) -> Outcome {
    reply.count(caller.entry().id());
    Ok(())
}

pub(super) fn getname(caller: &mut Caller, _: &Call<'_>, _: &mut Session, reply: &mut Reply) -> Outcome {
    match caller.entry().client_name() {
        name if name.is_empty() => reply.null(),
        name => reply.bulk(name.as_bytes()),
    }
    Ok(())
}

pub(super) fn setname(caller: &mut Caller, call: &Call<'_>, _: &mut Session, reply: &mut Reply) -> Outcome {
    caller.entry().set_name(Name::Client, &printable(call.arg(2), "Client names")?);
    reply.ok();
    Ok(())
}

pub(super) fn info(caller: &mut Caller, _: &Call<'_>, _: &mut Session, reply: &mut Reply) -> Outcome {
    reply.verbatim("txt", &format!("{}\n", caller.entry().describe(caller.now)));
    Ok(())
}

pub(super) fn no_evict(caller: &mut Caller, call: &Call<'_>, _: &mut Session, reply: &mut Reply) -> Outcome {
    caller.entry().set_no_evict(on_or_off(call.arg(2))?);
    reply.ok();
    Ok(())
}

pub(super) fn no_touch(caller: &mut Caller, call: &Call<'_>, _: &mut Session, reply: &mut Reply) -> Outcome {
    caller.entry().set_no_touch(on_or_off(call.arg(2))?);
    reply.ok();
    Ok(())
}

/// `value` as text that `CLIENT LIST` can show: no blanks, no line breaks, nothing invisible.
pub(super) fn printable(value: &[u8], what: &str) -> Result<String, Failure> {
    match std::str::from_utf8(value) {
        Ok(text) if value.len() <= NAME_BYTES_MAX && value.iter().all(u8::is_ascii_graphic) => Ok(text.to_owned()),
        _ if value.len() > NAME_BYTES_MAX => {
            Err(format!("ERR {what} cannot be longer than {NAME_BYTES_MAX} bytes.").into())
        }
        _ => Err(format!("ERR {what} cannot contain spaces, newlines or special characters.").into()),
    }
}

fn on_or_off(arg: &[u8]) -> Result<bool, Failure> {
    match arg {
        arg if is(arg, "on") => Ok(true),
        arg if is(arg, "off") => Ok(false),
        _ => Err(Failure::SYNTAX),
    }
}

pub(super) fn setinfo(caller: &mut Caller, call: &Call<'_>, _: &mut Session, reply: &mut Reply) -> Outcome {
    let (name, what) = match call.arg(2) {
        option if is(option, "lib-name") => (Name::Library, "lib-name"),
        option if is(option, "lib-ver") => (Name::LibraryVersion, "lib-ver"),
        option => return Err(format!("ERR Unrecognized option '{}'", shown(option)).into()),
    };
    caller.entry().set_name(name, &printable(call.arg(3), what)?);
    reply.ok();
    Ok(())
}

pub(super) fn reply(caller: &mut Caller, call: &Call<'_>, _: &mut Session, reply: &mut Reply) -> Outcome {
    let chosen = match call.arg(2) {
        option if is(option, "on") => Replies::On,
        option if is(option, "off") => Replies::Off,
        option if is(option, "skip") => Replies::SkipNext,
        _ => return Err(Failure::SYNTAX),
    };
    caller.choose_replies(chosen, reply);
    Ok(())
}

pub(super) fn list(caller: &mut Caller, call: &Call<'_>, _: &mut Session, reply: &mut Reply) -> Outcome {
    let mut wanted: Option<Vec<u64>> = None;
    let mut none = false;
    match call.args().get(2..).unwrap_or_default() {
        [] => {}
        [option, kind] if is(option, "type") => none = !is_normal(kind)?,
        [option, ids @ ..] if is(option, "id") && !ids.is_empty() => {
            let ids = ids.iter().map(|id| number(id).ok_or(Failure::fixed("ERR Invalid client ID")));
            wanted = Some(ids.collect::<Result<_, _>>()?);
        }
        _ => return Err(Failure::SYNTAX),
    }
    let entries = caller.context.registry.all();
    let chosen = entries.iter().filter(|entry| !none && wanted.as_ref().is_none_or(|ids| ids.contains(&entry.id())));
    let text: String = chosen.map(|entry| entry.describe(caller.now) + "\n").collect();
    reply.verbatim("txt", &text);
    Ok(())
}

/// Whether connections of this type exist here: all of ours are normal.
fn is_normal(kind: &[u8]) -> Result<bool, Failure> {
    const OTHERS: [&str; 4] = ["master", "replica", "slave", "pubsub"];
    match kind {
        kind if is(kind, "normal") => Ok(true),
        kind if OTHERS.iter().any(|other| is(kind, other)) => Ok(false),
        kind => Err(format!("ERR Unknown client type '{}'", shown(kind)).into()),
    }
}

pub(super) fn kill(caller: &mut Caller, call: &Call<'_>, _: &mut Session, reply: &mut Reply) -> Outcome {
    if let [_, _, address] = call.args() {
        let wanted = KillFilter { address: Some(shown(address)), skip_me: false, ..KillFilter::default() };
        return match kill_matching(caller, &wanted) {
            0 => Err("ERR No such client".into()),
            _ => {
                reply.ok();
                Ok(())
            }
        };
    }
    let wanted = KillFilter::parse(call.args().get(2..).unwrap_or_default())?;
    reply.count(kill_matching(caller, &wanted));
    Ok(())
}

pub(super) fn unblock(caller: &mut Caller, call: &Call<'_>, _: &mut Session, reply: &mut Reply) -> Outcome {
    let how = match call.args().get(3..).unwrap_or_default() {
        [] => Unblocked::TimedOut,
        [how] if is(how, "timeout") => Unblocked::TimedOut,
        [how] if is(how, "error") => Unblocked::Failed,
        [_] => return Err("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR".into()),
        _ => return Err(Failure::SYNTAX),
    };
    let id = u64::try_from(call.int(2)?).ok();
    let unblocked = id.and_then(|id| caller.context.registry.find(id)).is_some_and(|entry| entry.unblock(how));
    reply.count(unblocked.into());
    Ok(())
}

#[derive(Debug)]
struct KillFilter {
    id: Option<u64>,
    address: Option<String>,
    local: Option<String>,
    /// Of a type or user of which there are none.
    nobody: bool,
    skip_me: bool,
}

impl Default for KillFilter {
    fn default() -> Self {
        KillFilter { id: None, address: None, local: None, nobody: false, skip_me: true }
    }
}

impl KillFilter {
    fn parse(options: &[&[u8]]) -> Result<KillFilter, Failure> {
        let mut filter = KillFilter::default();
        let (pairs, []) = options.as_chunks::<2>() else { return Err(Failure::SYNTAX) };
        for &[option, value] in pairs {
            match option {
                option if is(option, "id") => {
                    let id = number(value).filter(|id| *id > 0);
                    filter.id = Some(id.ok_or(Failure::fixed("ERR client-id should be greater than 0"))?);
                }
                option if is(option, "addr") => filter.address = Some(shown(value)),
                option if is(option, "laddr") => filter.local = Some(shown(value)),
                option if is(option, "type") => filter.nobody |= !is_normal(value)?,
                option if is(option, "user") => filter.nobody |= value != b"default",
                option if is(option, "skipme") => match value {
                    value if is(value, "yes") => filter.skip_me = true,
                    value if is(value, "no") => filter.skip_me = false,
                    _ => return Err(Failure::SYNTAX),
                },
                _ => return Err(Failure::SYNTAX),
            }
        }
        Ok(filter)
    }

    fn matches(&self, entry: &Entry) -> bool {
        !self.nobody
            && self.id.is_none_or(|id| entry.id() == id)
            && self.address.as_ref().is_none_or(|address| entry.peer().address == *address)
            && self.local.as_ref().is_none_or(|local| entry.peer().local == *local)
    }
}

/// Ends the connections that match. The caller's own gets its reply first.
fn kill_matching(caller: &mut Caller, wanted: &KillFilter) -> u64 {
    let mut killed = 0;
    for entry in caller.context.registry.all() {
        let me = entry.id() == caller.entry().id();
        if !wanted.matches(&entry) || (me && wanted.skip_me) {
            continue;
        }
        killed += 1;
        if me {
            caller.closing = true;
        } else {
            entry.kill();
        }
    }
    killed
}

//! XGROUP.

use super::id::{any_id, strict_id};
use super::{check_name, no_group_of_key};
use crate::engine::Data;
use crate::engine::call::{Call, Failure, Outcome, Reply, is};
use crate::types::stream::{Delivery, StreamChange};
use crate::value::StreamId;

const NO_KEY: Failure = Failure::fixed(
    "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option to create an empty \
     stream automatically.",
);

/// What is wrong with the arguments of a subcommand.
pub(super) fn subcommand_syntax(call: &Call<'_>, container: &str) -> Failure {
    let name = String::from_utf8_lossy(call.arg(1));
    let shown: String = name.chars().take(128).collect();
    Failure::owned(format!("ERR unknown subcommand or wrong number of arguments for '{shown}'. Try {container} HELP."))
}

/// Options of CREATE and SETID: whether the stream is made, and how many entries were read.
fn options(call: &Call<'_>, creates: bool) -> Result<(bool, Option<u64>), Failure> {
    let (mut makes, mut read, mut at) = (false, None, 5);
    while at < call.args().len() {
        if creates && is(call.arg(at), "MKSTREAM") {
            makes = true;
            at += 1;
        } else if is(call.arg(at), "ENTRIESREAD") && at + 1 < call.args().len() {
            read = match call.int(at + 1)? {
                -1 => None,
                count => {
                    let count = u64::try_from(count);
                    Some(count.map_err(|_| Failure::fixed("ERR value for ENTRIESREAD must be positive or -1"))?)
                }
            };
            at += 2;
        } else {
            return Err(subcommand_syntax(call, "XGROUP"));
        }
    }
    Ok((makes, read))
}

pub(crate) fn xgroup_create(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let (makes, read) = options(call, true)?;
    let (mut at, name) = (data.locate(&call.key(0)), call.arg(3));
    let view = data.stream(&at)?;
    if view.is_none() && !makes {
        return Err(NO_KEY);
    }
    if call.args().len() > 8 {
        return Err(subcommand_syntax(call, "XGROUP"));
    }
    let last = match call.arg(4) {
        b"$" => view.as_ref().map_or(StreamId::ZERO, |view| view.last_id()),
        id => strict_id(id)?,
    };
    if view.as_ref().is_some_and(|view| view.group(name).is_some()) {
        return Err("BUSYGROUP Consumer Group name already exists".into());
    }
    check_name(name)?;
    let fresh = view.is_none();
    data.change(&mut at, StreamChange::PutGroup { fresh, name, last, read })?;
    reply.ok();
    Ok(())
}

pub(crate) fn xgroup_setid(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let (_, read) = options(call, false)?;
    let (mut at, name) = (data.locate(&call.key(0)), call.arg(3));
    let Some(view) = data.stream(&at)? else { return Err(NO_KEY) };
    if view.group(name).is_none() {
        return Err(no_group_of_key(call.arg(2), name));
    }
    if call.args().len() > 7 {
        return Err(subcommand_syntax(call, "XGROUP"));
    }
    let last = match call.arg(4) {
        b"$" => view.last_id(),
        id => any_id(id, 0)?,
    };
    data.change(&mut at, StreamChange::PutGroup { fresh: false, name, last, read })?;
    reply.ok();
    Ok(())
}

pub(crate) fn xgroup_destroy(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let (mut at, name) = (data.locate(&call.key(0)), call.arg(3));
    let Some(view) = data.stream(&at)? else { return Err(NO_KEY) };
    let is_there = view.group(name).is_some();
    if is_there {
        data.change(&mut at, StreamChange::RemoveGroup { name })?;
    }
    reply.int(is_there.into());
    Ok(())
}

pub(crate) fn xgroup_createconsumer(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let (mut at, now) = (data.locate(&call.key(0)), data.now().0);
    let (name, consumer) = (call.arg(3), call.arg(4));
    let Some(view) = data.stream(&at)? else { return Err(NO_KEY) };
    let Some(group) = view.group(name) else { return Err(no_group_of_key(call.arg(2), name)) };
    let is_new = view.consumer(&group, consumer).is_none();
    if is_new {
        check_name(consumer)?;
        data.change(&mut at, StreamChange::Deliver(Delivery::seen(name, consumer, now)))?;
    }
    reply.int(is_new.into());
    Ok(())
}

pub(crate) fn xgroup_delconsumer(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let mut at = data.locate(&call.key(0));
    let (name, consumer) = (call.arg(3), call.arg(4));
    let Some(view) = data.stream(&at)? else { return Err(NO_KEY) };
    let Some(group) = view.group(name) else { return Err(no_group_of_key(call.arg(2), name)) };
    let found = view.consumer(&group, consumer);
    let pending = found.as_ref().map_or(0, |found| view.owned_count(&group, found));
    if found.is_some() {
        data.change(&mut at, StreamChange::RemoveConsumer { group: name, consumer })?;
    }
    reply.count(pending);
    Ok(())
}

pub(crate) fn xgroup_help(_: &mut Data<'_>, _: &Call<'_>, reply: &mut Reply) -> Outcome {
    const LINES: &[&str] = &[
        "XGROUP <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "CREATE <key> <groupname> <id|$> [option]",
        "    Create a new consumer group. Options are:",
        "    * MKSTREAM",
        "      Create the empty stream if it does not exist.",
        "    * ENTRIESREAD entries_read",
        "      Set the group's entries_read counter (internal use).",
        "CREATECONSUMER <key> <groupname> <consumer>",
        "    Create a new consumer in the specified group.",
        "DELCONSUMER <key> <groupname> <consumer>",
        "    Remove the specified consumer.",
        "DESTROY <key> <groupname>",
        "    Remove the specified group.",
        "SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]",
        "    Set the current group ID and entries_read counter.",
        "HELP",
        "    Prints this help.",
    ];
    reply.array(LINES.len());
    LINES.iter().for_each(|line| reply.simple(line));
    Ok(())
}

//! COMMAND: the tables, told to clients.

use super::args::{Call, is};
use super::failure::{Failure, Outcome};
use super::glob::matches;
use super::lookup::{all, lookup, subcommand};
use super::reply::Reply;
use super::spec::CommandSpec;
use crate::engine::Data;

/// COMMAND alone: everything about every command.
pub(crate) fn every(_: &mut Data<'_>, _: &Call<'_>, reply: &mut Reply) -> Outcome {
    reply.array(all().count());
    all().for_each(|spec| write_info(spec, reply));
    Ok(())
}

pub(crate) fn count(_: &mut Data<'_>, _: &Call<'_>, reply: &mut Reply) -> Outcome {
    reply.count(all().count() as u64);
    Ok(())
}

pub(crate) fn info(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let names = &call.args()[2..];
    if names.is_empty() {
        return every(data, call, reply);
    }
    reply.array(names.len());
    for name in names {
        match find(name) {
            Some(spec) => write_info(spec, reply),
            None => reply.null(),
        }
    }
    Ok(())
}

pub(crate) fn docs(_: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let names = &call.args()[2..];
    if names.is_empty() {
        reply.map(all().count());
        all().for_each(|spec| write_named_docs(spec, reply));
        return Ok(());
    }
    let found: Vec<_> = names.iter().filter_map(|name| find(name)).collect();
    reply.map(found.len());
    found.into_iter().for_each(|spec| write_named_docs(spec, reply));
    Ok(())
}

/// COMMAND LIST, perhaps with `FILTERBY PATTERN p`, `ACLCAT c` or `MODULE m`.
pub(crate) fn list(_: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let names: Vec<&str> = match call.args()[2..] {
        [] => all().map(|spec| spec.name).collect(),
        [by, kind, value] if is(by, "FILTERBY") && is(kind, "PATTERN") => {
            every_name().filter(|name| matches(value, name.as_bytes())).collect()
        }
        [by, kind, value] if is(by, "FILTERBY") && is(kind, "ACLCAT") => {
            every_spec().filter(|spec| has_category(spec, value)).map(|spec| spec.name).collect()
        }
        [by, kind, _] if is(by, "FILTERBY") && is(kind, "MODULE") => Vec::new(),
        _ => return Err(Failure::SYNTAX),
    };
    reply.array(names.len());
    names.iter().for_each(|name| reply.bulk(name.as_bytes()));
    Ok(())
}

pub(crate) fn getkeys(_: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let args = &call.args()[2..];
    let mut spec = lookup(args[0]).ok_or(Failure::fixed("ERR Invalid command specified"))?;
    if let Some(found) = args.get(1).and_then(|name| subcommand(spec, name)) {
        spec = found;
    }
    if !spec.has_keys() {
        return Err(Failure::fixed("ERR The command has no key arguments"));
    }
    if !spec.takes(args.len()) {
        return Err(Failure::fixed("ERR Invalid number of arguments specified for command"));
    }
    let keys = spec.keys.of(args.len());
    reply.array(keys.clone().count());
    keys.for_each(|at| reply.bulk(args[at]));
    Ok(())
}

pub(crate) fn help(_: &mut Data<'_>, _: &Call<'_>, reply: &mut Reply) -> Outcome {
    const LINES: &[&str] = &[
        "COMMAND <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "(no subcommand)",
        "    Return details about all commands.",
        "COUNT",
        "    Return the total number of commands.",
        "LIST [FILTERBY (MODULE <module-name>|ACLCAT <category>|PATTERN <pattern>)]",
        "    Return a list of command names.",
        "INFO [<command-name> ...]",
        "    Return details about the given commands, or about all of them.",
        "DOCS [<command-name> ...]",
        "    Return documentation of the given commands, or of all of them.",
        "GETKEYS <full-command>",
        "    Return the keys from a full command.",
        "HELP",
        "    Print this help.",
    ];
    reply.array(LINES.len());
    LINES.iter().for_each(|line| reply.simple(line));
    Ok(())
}

fn every_spec() -> impl Iterator<Item = &'static CommandSpec> {
    all().flat_map(|spec| std::iter::once(spec).chain(spec.subcommands))
}

fn every_name() -> impl Iterator<Item = &'static str> {
    every_spec().map(|spec| spec.name)
}

fn has_category(spec: &CommandSpec, name: &[u8]) -> bool {
    spec.categories().any(|category| name.eq_ignore_ascii_case(&category.as_bytes()[1..]))
}

/// A command, or a subcommand as `container|name`.
fn find(name: &[u8]) -> Option<&'static CommandSpec> {
    match name.iter().position(|byte| *byte == b'|') {
        Some(bar) => subcommand(lookup(&name[..bar])?, &name[bar + 1..]),
        None => lookup(name),
    }
}

fn write_info(spec: &CommandSpec, reply: &mut Reply) {
    reply.array(10);
    reply.bulk(spec.name.as_bytes());
    reply.int(i64::from(spec.arity));
    write_statuses(spec.flags.names(), reply);
    reply.int(i64::from(spec.keys.first));
    reply.int(i64::from(spec.keys.last));
    reply.int(i64::from(spec.keys.step));
    write_statuses(spec.categories(), reply);
    reply.set(spec.tips.len());
    spec.tips.iter().for_each(|tip| reply.bulk(tip.as_bytes()));
    write_key_specs(spec, reply);
    match spec.subcommands {
        // An odd rule of Redis: none are an empty set, some are an array.
        [] => reply.set(0),
        subcommands => reply.array(subcommands.len()),
    }
    spec.subcommands.iter().for_each(|spec| write_info(spec, reply));
}

fn write_statuses(names: impl Iterator<Item = &'static str>, reply: &mut Reply) {
    let names: smallvec::SmallVec<[&str; 16]> = names.collect();
    reply.set(names.len());
    names.iter().for_each(|name| reply.simple(name));
}

fn write_key_specs(spec: &CommandSpec, reply: &mut Reply) {
    reply.set(spec.key_uses.len());
    for (keys, key_use) in spec.key_parts() {
        // Here the last key counts from the first one, unless it counts from the end.
        let last = if keys.last < 0 { i64::from(keys.last) } else { i64::from(keys.last) - i64::from(keys.first) };
        reply.map(3);
        reply.bulk(b"flags");
        write_statuses(key_use.flags().iter().copied(), reply);
        write_search(reply, b"begin_search", b"index", &[(b"index", i64::from(keys.first))]);
        let range: &[(&[u8], i64)] = &[(b"lastkey", last), (b"keystep", i64::from(keys.step)), (b"limit", 0)];
        write_search(reply, b"find_keys", b"range", range);
    }
}

fn write_search(reply: &mut Reply, name: &[u8], kind: &[u8], fields: &[(&[u8], i64)]) {
    reply.bulk(name);
    reply.map(2);
    reply.bulk(b"type");
    reply.bulk(kind);
    reply.bulk(b"spec");
    reply.map(fields.len());
    for (field, value) in fields {
        reply.bulk(field);
        reply.int(*value);
    }
}

fn write_named_docs(spec: &CommandSpec, reply: &mut Reply) {
    reply.bulk(spec.name.as_bytes());
    reply.map(4 + usize::from(!spec.subcommands.is_empty()));
    let fields = [
        ("summary", spec.summary),
        ("since", spec.since),
        ("group", spec.group.name()),
        ("complexity", spec.complexity),
    ];
    for (field, text) in fields {
        reply.bulk(field.as_bytes());
        reply.bulk(text.as_bytes());
    }
    if !spec.subcommands.is_empty() {
        reply.bulk(b"subcommands");
        reply.map(spec.subcommands.len());
        spec.subcommands.iter().for_each(|spec| write_named_docs(spec, reply));
    }
}

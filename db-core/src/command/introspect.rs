//! COMMAND: shows the command table to clients.

use super::glob::matches;
use crate::engine::call::lookup::subcommand;
use crate::engine::call::spec::KeyRange;
use crate::engine::call::{
    Argument, Begin, Call, CommandSpec, CommandTable, Failure, Find, KeySpec, KeyUse, Outcome, Reply, is,
};
use crate::engine::{Front, Session};

/// COMMAND alone: everything about every command.
pub(crate) fn every(front: &mut dyn Front, _: &Call<'_>, _: &mut Session, reply: &mut Reply) -> Outcome {
    let table = front.commands();
    reply.array(table.all().count());
    table.all().for_each(|spec| write_info(spec, reply));
    Ok(())
}

pub(crate) fn count(front: &mut dyn Front, _: &Call<'_>, _: &mut Session, reply: &mut Reply) -> Outcome {
    reply.count(front.commands().all().count() as u64);
    Ok(())
}

pub(crate) fn info(front: &mut dyn Front, call: &Call<'_>, session: &mut Session, reply: &mut Reply) -> Outcome {
    let names = &call.args()[2..];
    if names.is_empty() {
        return every(front, call, session, reply);
    }
    reply.array(names.len());
    for name in names {
        match front.commands().named(name) {
            Some(spec) => write_info(spec, reply),
            None => reply.null(),
        }
    }
    Ok(())
}

pub(crate) fn docs(front: &mut dyn Front, call: &Call<'_>, _: &mut Session, reply: &mut Reply) -> Outcome {
    let (table, names) = (front.commands(), &call.args()[2..]);
    let found: Vec<_> = match names {
        [] => table.all().collect(),
        names => names.iter().filter_map(|name| table.named(name)).collect(),
    };
    reply.map(found.len());
    found.into_iter().for_each(|spec| write_docs(spec, reply));
    Ok(())
}

/// COMMAND LIST, perhaps with `FILTERBY PATTERN p`, `ACLCAT c` or `MODULE m`.
pub(crate) fn list(front: &mut dyn Front, call: &Call<'_>, _: &mut Session, reply: &mut Reply) -> Outcome {
    let table = front.commands();
    let names: Vec<&str> = match call.args()[2..] {
        [] => every_spec(table).map(|spec| spec.name).collect(),
        [by, kind, value] if is(by, "FILTERBY") && is(kind, "PATTERN") => {
            every_spec(table).map(|spec| spec.name).filter(|name| matches(value, name.as_bytes())).collect()
        }
        [by, kind, value] if is(by, "FILTERBY") && is(kind, "ACLCAT") => {
            every_spec(table).filter(|spec| has_category(spec, value)).map(|spec| spec.name).collect()
        }
        [by, kind, _] if is(by, "FILTERBY") && is(kind, "MODULE") => Vec::new(),
        _ => return Err(Failure::SYNTAX),
    };
    reply.array(names.len());
    names.iter().for_each(|name| reply.bulk(name.as_bytes()));
    Ok(())
}

pub(crate) fn getkeys(front: &mut dyn Front, call: &Call<'_>, _: &mut Session, reply: &mut Reply) -> Outcome {
    let keys = keys_of(front.commands(), &call.args()[2..])?;
    reply.array(keys.len());
    keys.into_iter().for_each(|(key, _)| reply.bulk(key));
    Ok(())
}

/// COMMAND GETKEYSANDFLAGS: each key with what is done with it.
pub(crate) fn getkeysandflags(front: &mut dyn Front, call: &Call<'_>, _: &mut Session, reply: &mut Reply) -> Outcome {
    let keys = keys_of(front.commands(), &call.args()[2..])?;
    reply.array(keys.len());
    for (key, part) in keys {
        reply.array(2);
        reply.bulk(key);
        let key_use = match part.key_use {
            KeyUse::Set if call.args()[2..].iter().skip(3).any(|option| is(option, "GET")) => KeyUse::Change,
            KeyUse::Set => KeyUse::Overwrite,
            key_use => key_use,
        };
        write_statuses(key_use.flags().iter().copied(), reply);
    }
    Ok(())
}

/// The keys of a whole call, each with the specification that found it.
fn keys_of<'a>(table: &CommandTable, args: &[&'a [u8]]) -> Result<Vec<(&'a [u8], &'static KeySpec)>, Failure> {
    let mut spec = table.lookup(args[0]).ok_or(Failure::fixed("ERR Invalid command specified"))?;
    if let (Some(name), false) = (args.get(1), spec.subcommands.is_empty()) {
        spec = subcommand(spec, name).ok_or(Failure::fixed("ERR Invalid command specified"))?;
    }
    if spec.keys.is_empty() {
        return Err(Failure::fixed("ERR The command has no key arguments"));
    }
    if !spec.takes(args.len()) {
        return Err(Failure::fixed("ERR Invalid number of arguments specified for command"));
    }
    let mut keys = Vec::new();
    for part in spec.keys {
        let found = part.each(args, |at| {
            keys.push((args[at], part));
            Ok(())
        });
        found.map_err(|_| Failure::INVALID_KEYS)?;
    }
    if keys.is_empty() { Err(Failure::fixed("ERR The command has no key arguments")) } else { Ok(keys) }
}

pub(crate) fn help(_: &mut dyn Front, _: &Call<'_>, _: &mut Session, reply: &mut Reply) -> Outcome {
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
        "GETKEYSANDFLAGS <full-command>",
        "    Return the keys from a full command, each with what is done with it.",
        "HELP",
        "    Print this help.",
    ];
    reply.array(LINES.len());
    LINES.iter().for_each(|line| reply.simple(line));
    Ok(())
}

fn every_spec(table: &CommandTable) -> impl Iterator<Item = &'static CommandSpec> {
    table.all().flat_map(|spec| std::iter::once(spec).chain(spec.subcommands))
}

fn has_category(spec: &CommandSpec, name: &[u8]) -> bool {
    spec.categories().any(|category| name.eq_ignore_ascii_case(&category.as_bytes()[1..]))
}

fn write_info(spec: &CommandSpec, reply: &mut Reply) {
    reply.array(10);
    reply.bulk(spec.name.as_bytes());
    reply.int(i64::from(spec.arity));
    // A client cannot find all keys by position.
    let movable = spec.keys.iter().any(|keys| keys.fixed().is_none()).then_some("movablekeys");
    write_statuses(spec.flags.names().chain(movable), reply);
    let KeyRange { first, last, step } = KeyRange::of(spec.keys);
    [first, last, step].into_iter().for_each(|number| reply.int(number));
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
    reply.set(spec.keys.len());
    for KeySpec { begin, find, key_use } in spec.keys {
        reply.map(3);
        reply.bulk(b"flags");
        write_statuses(key_use.flags().iter().copied(), reply);
        reply.bulk(b"begin_search");
        match *begin {
            Begin::At(index) => write_search(reply, "index", &[("index", i64::from(index))]),
            Begin::After(word, from) => write_keyword(reply, word, i64::from(from)),
            Begin::AfterNamedOption(word, from, _) => write_keyword(reply, word, i64::from(from)),
            Begin::AfterOption(..) | Begin::Elsewhere => write_search(reply, "unknown", &[]),
        }
        reply.bulk(b"find_keys");
        let range = |last, step, limit| [("lastkey", last), ("keystep", step), ("limit", limit)];
        match *find {
            _ if matches!(begin, Begin::AfterOption(..) | Begin::Elsewhere) => write_search(reply, "unknown", &[]),
            Find::Range { last, step } => write_search(reply, "range", &range(i64::from(last), i64::from(step), 0)),
            Find::Part(of) => write_search(reply, "range", &range(-1, 1, i64::from(of))),
            Find::Count { first } | Find::CountOfPairs { first } => {
                let step = if matches!(find, Find::Count { .. }) { 1 } else { 2 };
                let fields = [("keynumidx", 0), ("firstkey", i64::from(first)), ("keystep", step)];
                write_search(reply, "keynum", &fields);
            }
        }
    }
}

fn write_keyword(reply: &mut Reply, word: &str, from: i64) {
    write_search_head(reply, "keyword", 2);
    reply.bulk(b"keyword");
    reply.bulk(word.as_bytes());
    write_field(reply, ("startfrom", from));
}

fn write_search(reply: &mut Reply, kind: &str, fields: &[(&str, i64)]) {
    write_search_head(reply, kind, fields.len());
    fields.iter().for_each(|field| write_field(reply, *field));
}

fn write_search_head(reply: &mut Reply, kind: &str, fields: usize) {
    reply.map(2);
    reply.bulk(b"type");
    reply.bulk(kind.as_bytes());
    reply.bulk(b"spec");
    reply.map(fields);
}

fn write_field(reply: &mut Reply, (field, value): (&str, i64)) {
    reply.bulk(field.as_bytes());
    reply.int(value);
}

fn write_docs(spec: &CommandSpec, reply: &mut Reply) {
    reply.bulk(spec.name.as_bytes());
    let history = history(spec);
    let (arguments, subcommands) = (!spec.arguments.is_empty(), !spec.subcommands.is_empty());
    reply.map(4 + usize::from(!history.is_empty()) + usize::from(arguments) + usize::from(subcommands));
    write_text(reply, "summary", spec.summary);
    write_text(reply, "since", spec.since);
    write_text(reply, "group", spec.group.name());
    write_text(reply, "complexity", spec.complexity);
    if !history.is_empty() {
        reply.bulk(b"history");
        reply.set(history.len());
        for (version, change) in history {
            reply.array(2);
            reply.bulk(version.as_bytes());
            reply.bulk(change.as_bytes());
        }
    }
    if arguments {
        reply.bulk(b"arguments");
        write_arguments(spec.arguments, reply);
    }
    if subcommands {
        reply.bulk(b"subcommands");
        reply.map(spec.subcommands.len());
        spec.subcommands.iter().for_each(|spec| write_docs(spec, reply));
    }
}

fn write_text(reply: &mut Reply, field: &str, text: &str) {
    reply.bulk(field.as_bytes());
    reply.bulk(text.as_bytes());
}

/// Which versions of Redis brought which arguments, and what else of the command, in the order of the versions.
fn history(spec: &CommandSpec) -> Vec<(&'static str, String)> {
    let mut brought: Vec<(&'static str, Vec<&'static str>)> = Vec::new();
    for argument in spec.arguments {
        argument.later(spec.since, &mut |version, name| match brought.iter_mut().find(|(at, _)| *at == version) {
            Some((_, names)) => names.push(name),
            None => brought.push((version, vec![name])),
        });
    }
    let number = |version: &str| version.split('.').map(|part| part.parse::<u32>().unwrap_or(0)).collect::<Vec<_>>();
    brought.sort_by_key(|(version, _)| number(version));
    brought.into_iter().map(|(version, names)| (version, format!("Added: {}.", names.join(", ")))).collect()
}

fn write_arguments(arguments: &[Argument], reply: &mut Reply) {
    reply.array(arguments.len());
    for argument in arguments {
        let parts = argument.kind.parts();
        let flags = argument.flags();
        let key = argument.kind.key_spec();
        let fields = [
            key.is_some(),
            !argument.token.is_empty(),
            !argument.since.is_empty(),
            !argument.deprecated_since.is_empty(),
            flags.clone().next().is_some(),
            !parts.is_empty(),
        ];
        reply.map(2 + fields.into_iter().filter(|there| *there).count());
        write_text(reply, "name", argument.name);
        write_text(reply, "type", argument.kind.name());
        if let Some(spec) = key {
            write_field(reply, ("key_spec_index", i64::from(spec)));
        }
        if !argument.token.is_empty() {
            write_text(reply, "token", argument.token);
        }
        if !argument.since.is_empty() {
            write_text(reply, "since", argument.since);
        }
        if !argument.deprecated_since.is_empty() {
            write_text(reply, "deprecated_since", argument.deprecated_since);
        }
        if flags.clone().next().is_some() {
            reply.bulk(b"flags");
            write_statuses(flags, reply);
        }
        if !parts.is_empty() {
            reply.bulk(b"arguments");
            write_arguments(parts, reply);
        }
    }
}

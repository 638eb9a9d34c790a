//! `CONFIG GET | SET | RESETSTAT`.

use std::sync::atomic::{AtomicU64, Ordering};

use tanist_db_core::command::{Reply, glob_matches};

use super::parameters::{Apply, PARAMETERS, Parameter, Scope};
use super::{Outcome, help, is, shown, unknown_subcommand};
use crate::front::caller::Caller;
use crate::front::context::Stats;

const HELP: [&str; 9] = [
    "CONFIG <subcommand> [<arg> ...]. Subcommands are:",
    "GET <pattern> [<pattern> ...]",
    "    The settings whose names match, with their values.",
    "RESETSTAT",
    "    Start the counters of INFO anew.",
    "SET <name> <value> [<name> <value> ...]",
    "    Change settings of this node until it is started again; all of them or none.",
    "    The other node keeps its own: send it the same for what the cluster has in common (docs/operations.md).",
    "HELP",
];

pub(super) fn run(caller: &mut Caller, args: &[&[u8]], reply: &mut Reply) -> Outcome {
    let Some((&subcommand, rest)) = args.get(1..).and_then(<[_]>::split_first) else {
        return Err(unknown_subcommand(args));
    };
    match subcommand {
        name if is(name, "get") => get(caller, rest, reply),
        name if is(name, "set") => return set(caller, rest, reply),
        name if is(name, "resetstat") => {
            reset(&caller.context.stats);
            reply.ok();
        }
        name if is(name, "help") => help(&HELP, reply),
        _ => return Err(unknown_subcommand(args)),
    }
    Ok(())
}

fn get(caller: &Caller, patterns: &[&[u8]], reply: &mut Reply) {
    let wanted = |parameter: &&Parameter| {
        patterns.iter().any(|pattern| glob_matches(&pattern.to_ascii_lowercase(), parameter.name.as_bytes()))
    };
    let found: Vec<_> = PARAMETERS.iter().filter(wanted).collect();
    reply.map(found.len());
    for parameter in found {
        reply.bulk(parameter.name.as_bytes());
        reply.bulk((parameter.get)(caller.context).as_bytes());
    }
}

/// All values are checked before the first is applied.
fn set(caller: &Caller, args: &[&[u8]], reply: &mut Reply) -> Outcome {
    let (pairs, rest) = args.as_chunks::<2>();
    if pairs.is_empty() || !rest.is_empty() {
        return Err("ERR wrong number of arguments for 'config|set' command".into());
    }
    let mut names = Vec::with_capacity(pairs.len());
    let mut common = Vec::new();
    let mut changes: Vec<Apply> = Vec::with_capacity(pairs.len());
    for &[name, value] in pairs {
        let name = shown(name).to_ascii_lowercase();
        let Some(parameter) = PARAMETERS.iter().find(|parameter| parameter.name == name) else {
            return Err(format!("ERR Unknown option or number of arguments for CONFIG SET - '{name}'"));
        };
        let failed = |why: &str| format!("ERR CONFIG SET failed (possibly related to argument '{name}') - {why}");
        if names.contains(&parameter.name) {
            return Err(failed("duplicate parameter"));
        }
        names.push(parameter.name);
        common.extend((parameter.scope == Scope::Cluster).then_some(parameter));
        let change = parameter.set.ok_or_else(|| failed("can't set immutable config"))?;
        let value = std::str::from_utf8(value).map_err(|_| failed("argument is not text"))?;
        changes.push(change(value).map_err(|why| failed(&why))?);
    }
    changes.into_iter().for_each(|apply| apply(caller.context));
    let common: Vec<&str> = common.iter().map(|parameter| parameter.name).collect();
    if !common.is_empty() {
        tracing::warn!("CONFIG SET {} changed this node alone: send it to the other node too", common.join(" "));
    }
    reply.ok();
    Ok(())
}

fn reset(stats: &Stats) {
    let counters: [&AtomicU64; 6] = [
        &stats.commands,
        &stats.input_bytes,
        &stats.output_bytes,
        &stats.not_durable,
        &stats.not_executed,
        &stats.protocol_errors,
    ];
    // Relaxed: counters order nothing.
    counters.into_iter().for_each(|counter| counter.store(0, Ordering::Relaxed));
}

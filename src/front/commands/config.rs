//! `CONFIG GET | SET | RESETSTAT`.

use std::sync::atomic::{AtomicU64, Ordering};

use tanist_db_core::command::{Call, Failure, Outcome, Reply, glob_matches, is};
use tanist_db_core::engine::{Executed, Session, SettingId};

use super::parameters::{Apply, PARAMETERS, Parameter, Set};
use super::{lines, shown};
use crate::front::caller::Caller;
use crate::front::redirect;

const HELP: [&str; 9] = [
    "CONFIG <subcommand> [<arg> ...]. Subcommands are:",
    "GET <pattern> [<pattern> ...]",
    "    The settings whose names match, with their values.",
    "RESETSTAT",
    "    Start the counters of INFO anew.",
    "SET <name> <value> [<name> <value> ...]",
    "    Change settings; all of them or none. What is the cluster's (docs/operations.md) is changed on all nodes, for good;",
    "    the value DEFAULT leaves it to each node's configuration again. What is the node's is changed until it starts again.",
    "HELP",
];

pub(super) fn help(_: &mut Caller, _: &Call<'_>, _: &mut Session, reply: &mut Reply) -> Outcome {
    lines(&HELP, reply)
}

pub(super) fn get(caller: &mut Caller, call: &Call<'_>, _: &mut Session, reply: &mut Reply) -> Outcome {
    let patterns = &call.args()[2..];
    let wanted = |parameter: &&Parameter| {
        patterns.iter().any(|pattern| glob_matches(&pattern.to_ascii_lowercase(), parameter.name.as_bytes()))
    };
    let found: Vec<_> = PARAMETERS.iter().filter(wanted).collect();
    reply.map(found.len());
    for parameter in found {
        reply.bulk(parameter.name.as_bytes());
        reply.bulk((parameter.get)(&caller.context).as_bytes());
    }
    Ok(())
}

/// All values are checked before the first is applied.
pub(super) fn set(
    caller: &mut Caller,
    call: &Call<'_>,
    _: &mut Session,
    reply: &mut Reply,
) -> Result<Executed, Failure> {
    let (pairs, rest) = call.args()[2..].as_chunks::<2>();
    if pairs.is_empty() || !rest.is_empty() {
        return Err("ERR wrong number of arguments for 'config|set' command".into());
    }
    let mut names = Vec::with_capacity(pairs.len());
    let mut common: Vec<(SettingId, Option<u64>)> = Vec::new();
    let mut own: Vec<Apply> = Vec::new();
    for &[name, value] in pairs {
        let name = shown(name).to_ascii_lowercase();
        let Some(parameter) = PARAMETERS.iter().find(|parameter| parameter.name == name) else {
            return Err(format!("ERR Unknown option or number of arguments for CONFIG SET - '{name}'").into());
        };
        let failed = |why: &str| {
            Failure::owned(format!("ERR CONFIG SET failed (possibly related to argument '{name}') - {why}"))
        };
        if names.contains(&parameter.name) {
            return Err(failed("duplicate parameter"));
        }
        names.push(parameter.name);
        let value = std::str::from_utf8(value).map_err(|_| failed("argument is not text"))?;
        match parameter.set.ok_or_else(|| failed("can't set immutable config"))? {
            Set::Node(check) => own.push(check(value, &caller.context).map_err(|why| failed(&why))?),
            Set::Cluster(id, _) if value.eq_ignore_ascii_case("default") => common.push((id, None)),
            Set::Cluster(id, check) => common.push((id, Some(check(value).map_err(|why| failed(&why))?))),
        }
    }
    let executed = if common.is_empty() { Executed::AT_ONCE } else { set_common(caller, &common)? };
    if executed.replied().is_some() {
        own.into_iter().for_each(|apply| apply(&caller.context));
        reply.ok();
    }
    Ok(executed)
}

/// Whether a call of CONFIG SET sets anything that the cluster has in common.
pub(super) fn sets_common(args: &[&[u8]]) -> bool {
    let common = |name: &[u8]| {
        let named = PARAMETERS.iter().find(|parameter| is(name, parameter.name));
        named.is_some_and(|parameter| matches!(parameter.set, Some(Set::Cluster(..))))
    };
    args.iter().skip(2).step_by(2).any(|name| common(name))
}

/// Changes what is state: in a record for which the reply waits. The session has asked for permission, as for any write.
fn set_common(caller: &mut Caller, changes: &[(SettingId, Option<u64>)]) -> Result<Executed, Failure> {
    if !caller.alone {
        return Err("ERR what the cluster has in common cannot be set inside a transaction".into());
    }
    let Some(engine) = caller.context.engine() else { return Err(redirect::LOADING.into()) };
    let settings = &caller.context.settings;
    let fit = || settings.check_waits(changes).map_err(|why| Failure::owned(format!("ERR CONFIG SET failed - {why}")));
    engine.change_settings(changes, fit)
}

pub(super) fn resetstat(caller: &mut Caller, _: &Call<'_>, _: &mut Session, reply: &mut Reply) -> Outcome {
    let stats = &caller.context.stats;
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
    reply.ok();
    Ok(())
}

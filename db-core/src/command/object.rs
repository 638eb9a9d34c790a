//! OBJECT: questions about the internal representation of a value, as far as they make sense here.

use crate::engine::Data;
use crate::engine::call::number::{INTEGER_TEXT_MAX, parse_i64};
use crate::engine::call::{Call, Failure, Outcome, Reply};
use crate::value::Kind;

/// Longest string that Redis keeps beside its header, in bytes.
const EMBEDDED_MAX: u64 = 44;

/// The name that Redis gives to its representation of such a value. Strings that were made by APPEND or SETRANGE are
/// `raw` in Redis whatever they contain; here the value alone decides.
pub(crate) fn encoding(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let now = data.now();
    let Some(entry) = data.find(&call.key(0)) else {
        reply.null();
        return Ok(());
    };
    if entry.kind() == Kind::List {
        reply.bulk(b"quicklist");
        return Ok(());
    }
    if entry.kind() == Kind::Stream {
        reply.bulk(b"stream");
        return Ok(());
    }
    if entry.kind() == Kind::SortedSet {
        reply.bulk(if entry.sorted().is_large() { b"skiplist" } else { b"listpack" });
        return Ok(());
    }
    if entry.kind() != Kind::String {
        let map = entry.map(now);
        let name = match (map.is_of_integers(), map.is_large()) {
            (true, _) => "intset",
            (_, false) if map.has_expiring_fields() => "listpackex",
            (_, true) => "hashtable",
            _ => "listpack",
        };
        reply.bulk(name.as_bytes());
        return Ok(());
    }
    let value = entry.value();
    let integer = value.len() <= INTEGER_TEXT_MAX as u64 && value.as_slice().is_some_and(|v| parse_i64(v).is_some());
    let name = match value.len() {
        _ if integer => "int",
        0..=EMBEDDED_MAX => "embstr",
        _ => "raw",
    };
    reply.bulk(name.as_bytes());
    Ok(())
}

pub(crate) fn refcount(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    match data.find(&call.key(0)) {
        Some(_) => reply.int(1),
        None => reply.null(),
    }
    Ok(())
}

pub(crate) fn idletime(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    if data.find(&call.key(0)).is_some() {
        return Err(Failure::fixed("ERR Idle time is not tracked: keys are never evicted."));
    }
    reply.null();
    Ok(())
}

pub(crate) fn freq(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    if data.find(&call.key(0)).is_some() {
        let text = "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching \
                    between policies at runtime LRU and LFU data will take some time to adjust.";
        return Err(Failure::fixed(text));
    }
    reply.null();
    Ok(())
}

pub(crate) fn help(_: &mut Data<'_>, _: &Call<'_>, reply: &mut Reply) -> Outcome {
    const LINES: &[&str] = &[
        "OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "ENCODING <key>",
        "    Return the name that Redis gives to its representation of the value at <key>.",
        "REFCOUNT <key>",
        "    Return 1 if <key> exists: values are never shared.",
        "IDLETIME <key>, FREQ <key>",
        "    Not tracked: keys are never evicted.",
        "HELP",
        "    Print this help.",
    ];
    reply.array(LINES.len());
    LINES.iter().for_each(|line| reply.simple(line));
    Ok(())
}

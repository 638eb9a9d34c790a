//! MEMORY: memory use of keys.

use crate::engine::Data;
use crate::engine::call::{Call, Failure, Outcome, Reply, is};

/// MEMORY USAGE: exact, whatever `SAMPLES` asks for.
pub(crate) fn usage(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let mut options = call.options(3);
    while let Some(word) = options.word() {
        if !is(word, "SAMPLES") {
            return Err(Failure::SYNTAX);
        }
        let samples = crate::engine::call::number::parse_i64(options.value()?).ok_or(Failure::NOT_AN_INTEGER)?;
        if samples < 0 {
            return Err(Failure::SYNTAX);
        }
    }
    match data.find(&call.key(0)) {
        Some(entry) => reply.count(entry.memory_bytes()),
        None => reply.null(),
    }
    Ok(())
}

pub(crate) fn help(_: &mut Data<'_>, _: &Call<'_>, reply: &mut Reply) -> Outcome {
    const LINES: &[&str] = &[
        "MEMORY <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "USAGE <key> [SAMPLES <count>]",
        "    Return the bytes that <key> and its value take in memory. All of it is counted, so SAMPLES is ignored.",
        "HELP",
        "    Print this help.",
    ];
    reply.array(LINES.len());
    LINES.iter().for_each(|line| reply.simple(line));
    Ok(())
}

//! DEBUG: commands for tests of clients and servers, which a node executes only if its settings allow it.

use std::time::Duration;

use super::timeout::{seconds, timeout};
use crate::effect::KeyChange;
use crate::engine::Data;
use crate::engine::call::{Block, Blocking, Call, Failure, Outcome, Reply};
use crate::limits::DEBUG_SLEEP_MAX;
use crate::value::Kind;

const HELP: [&str; 7] = [
    "DEBUG <subcommand> [<arg> ...]. Subcommands are:",
    "BGETDEL <key> [<key> ...] <timeout>",
    "    Name and string of the first of the keys that is there, which is deleted. Waits for one if none is.",
    "SLEEP <seconds>",
    "    Hold all data for so long, as the longest command would.",
    "HELP",
    "    This text.",
];

pub(crate) fn help(_: &mut Data<'_>, _: &Call<'_>, reply: &mut Reply) -> Outcome {
    reply.array(HELP.len());
    HELP.iter().for_each(|line| reply.simple(line));
    Ok(())
}

pub(crate) fn sleep(_: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let seconds = seconds(call.arg(2)).filter(|seconds| seconds.is_finite()).ok_or(Failure::NOT_A_FLOAT)?;
    #[expect(clippy::disallowed_methods, reason = "commands that take long have a thread of their own")]
    std::thread::sleep(Duration::from_secs_f64(seconds.clamp(0.0, DEBUG_SLEEP_MAX.as_secs_f64())));
    reply.ok();
    Ok(())
}

/// Writes a record that only a build of the next level knows; replies with the number of those so far.
#[cfg(feature = "next-level")]
pub(crate) fn rehearse(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    use crate::engine::{LEVEL, REHEARSALS};
    let (level, needed) = (data.setting(LEVEL).unwrap_or(1), crate::level::since::REHEARSAL);
    if level < u64::from(needed.0) {
        let why = format!(
            "ERR a rehearsal needs feature level {needed}, and the cluster is at level {level}: upgrade all of its processes first"
        );
        return Err(Failure::owned(why));
    }
    data.act(crate::effect::Effect::Rehearse { text: call.arg(2) })?;
    reply.count(data.setting(REHEARSALS).unwrap_or(0));
    Ok(())
}

/// GETDEL that waits, with the arguments and the reply of BLPOP.
pub(crate) static BGETDEL: Blocking = Blocking {
    kind: Kind::String,
    minds_loss: false,
    fix: None,
    block: |call| {
        let timeout = timeout(call.arg(call.args().len() - 1))?;
        Ok(Block::of_all_keys(timeout))
    },
    run: |data, call, reply| {
        for key in call.keys() {
            let mut at = data.locate(&key);
            if let Some(entry) = data.string(&at)? {
                reply.array(2);
                reply.bulk(key.bytes);
                reply.bulk_chunks(entry.value().len(), entry.value().chunks());
                data.change(&mut at, KeyChange::Del)?;
                return Ok(true);
            }
        }
        Ok(false)
    },
};

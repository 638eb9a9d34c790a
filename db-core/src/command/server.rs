//! Commands about the server as a whole, and those that need no data at all.

use super::args::{Call, is};
use super::failure::{Failure, Outcome};
use super::reply::Reply;
use crate::engine::Data;
use crate::redo::record::Effect;

pub(crate) fn ping(_: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    match call.args() {
        [_] => reply.simple("PONG"),
        [_, message] => reply.bulk(message),
        _ => return Err(Failure::arity(call.spec.name)),
    }
    Ok(())
}

pub(crate) fn echo(_: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    reply.bulk(call.arg(1));
    Ok(())
}

pub(crate) fn dbsize(data: &mut Data<'_>, _: &Call<'_>, reply: &mut Reply) -> Outcome {
    reply.count(data.key_count());
    Ok(())
}

/// FLUSHALL and FLUSHDB: there is one database. `ASYNC` and `SYNC` are accepted and mean the same.
pub(crate) fn flush(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    match call.args() {
        [_] => {}
        [_, how] if is(how, "ASYNC") || is(how, "SYNC") => {}
        _ => return Err(Failure::SYNTAX),
    }
    data.change(Effect::FlushAll)?;
    reply.ok();
    Ok(())
}

//! Commands about the server as a whole, and those that need no data at all.

use crate::effect::Effect;
use crate::engine::Data;
use crate::engine::call::{Call, Failure, Outcome, Reply, database, is};

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

pub(crate) fn flushall(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    check_flush(call)?;
    data.act(Effect::FlushAll)?;
    reply.ok();
    Ok(())
}

pub(crate) fn flushdb(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    check_flush(call)?;
    data.act(data.flush())?;
    reply.ok();
    Ok(())
}

/// `ASYNC` and `SYNC` are accepted and mean the same.
fn check_flush(call: &Call<'_>) -> Outcome {
    match call.args() {
        [_] => Ok(()),
        [_, how] if is(how, "ASYNC") || is(how, "SYNC") => Ok(()),
        _ => Err(Failure::SYNTAX),
    }
}

/// SWAPDB: in constant time, whatever is there.
pub(crate) fn swapdb(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    // Both are looked at as numbers before either is as a database.
    let index = |at, invalid| match database(call.arg(at)) {
        Err(failure) if failure != Failure::NO_SUCH_DATABASE => Err(Failure::fixed(invalid)),
        found => Ok(found),
    };
    let (one, other) = (index(1, "ERR invalid first DB index")?, index(2, "ERR invalid second DB index")?);
    let (one, other) = (one?, other?);
    if one != other {
        data.act(Effect::SwapDatabases { one, other })?;
    }
    reply.ok();
    Ok(())
}

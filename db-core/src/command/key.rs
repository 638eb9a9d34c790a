//! Commands on keys of any type.

use crate::effect::KeyChange;
use crate::engine::Data;
use crate::engine::call::{Call, Failure, Outcome, Reply, database, is};
use crate::keyspace::Key;

/// DEL and UNLINK.
pub(crate) fn del(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let mut deleted = 0;
    for key in call.keys() {
        let mut at = data.locate(&key);
        if data.exists(&at) {
            data.change(&mut at, KeyChange::Del)?;
            deleted += 1;
        }
    }
    reply.int(deleted);
    Ok(())
}

/// EXISTS and TOUCH: how many of the keys there are, a key named twice counted twice.
pub(crate) fn exists(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let mut found = 0;
    for key in call.keys() {
        found += i64::from(data.find(&key).is_some());
    }
    reply.int(found);
    Ok(())
}

pub(crate) fn kind(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    reply.simple(data.find(&call.key(0)).map_or("none", |entry| entry.kind().name()));
    Ok(())
}

pub(crate) fn rename(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let (from, to) = (call.key(0), call.key(1));
    must_exist(data, &from)?;
    if from.bytes != to.bytes {
        data.copy(from, to, true)?;
    }
    reply.ok();
    Ok(())
}

pub(crate) fn renamenx(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let (from, to) = (call.key(0), call.key(1));
    must_exist(data, &from)?;
    let free = data.find(&to).is_none();
    if free {
        data.copy(from, to, true)?;
    }
    reply.int(i64::from(free));
    Ok(())
}

fn must_exist(data: &mut Data<'_>, key: &Key<'_>) -> Outcome {
    data.find(key).map(|_| ()).ok_or(Failure::NO_SUCH_KEY)
}

pub(crate) fn copy(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let (from, to) = (call.key(0), call.key(1));
    let (mut replace, mut to) = (false, to);
    let mut options = call.options(3);
    while let Some(word) = options.word() {
        if is(word, "REPLACE") {
            replace = true;
        } else if is(word, "DB") {
            let logical = database(options.value()?)?;
            to = to.of(data.database_of(logical));
        } else {
            return Err(Failure::SYNTAX);
        }
    }
    if (from.bytes, from.database) == (to.bytes, to.database) {
        return Err(Failure::SAME_OBJECT);
    }
    let copies = data.find(&from).is_some() & (data.find(&to).is_none() | replace);
    if copies {
        data.copy(from, to, false)?;
    }
    reply.int(i64::from(copies));
    Ok(())
}

/// MOVE: to another database, unless the key is there.
pub(crate) fn move_to(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let key = call.key(0);
    let logical = database(call.arg(2))?;
    if logical == data.logical() {
        return Err(Failure::SAME_OBJECT);
    }
    let to = data.database_of(logical);
    let mut at = data.locate(&key);
    let moves = data.exists(&at) & data.find(&key.of(to)).is_none();
    if moves {
        data.change(&mut at, KeyChange::Move { to })?;
    }
    reply.int(i64::from(moves));
    Ok(())
}

pub(crate) fn randomkey(data: &mut Data<'_>, _: &Call<'_>, reply: &mut Reply) -> Outcome {
    if !data.random(&mut |entry| reply.bulk(entry.key())) {
        reply.null();
    }
    Ok(())
}

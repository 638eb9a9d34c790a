//! Keys whatever they hold.

use super::args::{Call, is};
use super::failure::{Failure, Outcome};
use super::number::parse_i64;
use super::reply::Reply;
use crate::engine::Data;
use crate::keyspace::Key;
use crate::redo::record::Effect;
use crate::value::Kind;

/// DEL and UNLINK.
pub(crate) fn del(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let mut deleted = 0;
    for key in call.keys() {
        if data.find(&key).is_some() {
            data.change(Effect::Del { key })?;
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

/// Name of a kind of value on the wire.
pub(super) fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::String => "string",
    }
}

pub(crate) fn kind(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    reply.simple(data.find(&call.key(0)).map_or("none", |entry| kind_name(entry.kind())));
    Ok(())
}

pub(crate) fn rename(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let (from, to) = (call.key(0), call.key(1));
    must_exist(data, &from)?;
    if from.bytes != to.bytes {
        data.change(Effect::Rename { from, to })?;
    }
    reply.ok();
    Ok(())
}

pub(crate) fn renamenx(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let (from, to) = (call.key(0), call.key(1));
    must_exist(data, &from)?;
    let free = data.find(&to).is_none();
    if free {
        data.change(Effect::Rename { from, to })?;
    }
    reply.int(i64::from(free));
    Ok(())
}

fn must_exist(data: &mut Data<'_>, key: &Key<'_>) -> Outcome {
    data.find(key).map(|_| ()).ok_or(Failure::NO_SUCH_KEY)
}

pub(crate) fn copy(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let (from, to) = (call.key(0), call.key(1));
    let (mut replace, mut database) = (false, 0);
    let mut options = call.options(3);
    while let Some(word) = options.word() {
        if is(word, "REPLACE") {
            replace = true;
        } else if is(word, "DB") {
            database = parse_i64(options.value()?).ok_or(Failure::NOT_AN_INTEGER)?;
        } else {
            return Err(Failure::SYNTAX);
        }
    }
    if database != 0 {
        return Err(Failure::fixed("ERR DB index is out of range"));
    }
    if from.bytes == to.bytes {
        return Err(Failure::fixed("ERR source and destination objects are the same"));
    }
    let copies = data.find(&from).is_some() & (data.find(&to).is_none() | replace);
    if copies {
        data.change(Effect::Copy { from, to })?;
    }
    reply.int(i64::from(copies));
    Ok(())
}

pub(crate) fn randomkey(data: &mut Data<'_>, _: &Call<'_>, reply: &mut Reply) -> Outcome {
    if !data.random(&mut |entry| reply.bulk(entry.key())) {
        reply.null();
    }
    Ok(())
}

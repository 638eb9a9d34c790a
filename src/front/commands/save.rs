//! `SAVE`, `BGSAVE [SCHEDULE]`, `LASTSAVE`: what Redis saves to a file is here the image that the vault publishes.

use tanist_db_core::command::{Call, Failure, Outcome, Reply, is};
use tanist_db_core::engine::{Executed, Session};

use super::admin::admin;
use crate::front::caller::Caller;

const IN_PROGRESS: Failure = Failure::fixed("ERR Background save already in progress");

/// Replies when an image that was frozen after the request is published.
pub(super) fn save(
    caller: &mut Caller,
    _: &Call<'_>,
    session: &mut Session,
    _: &mut Reply,
) -> Result<Executed, Failure> {
    let saving = admin(caller)?.save();
    let mut reply = Reply::new(session.protocol());
    Ok(Executed::later(async move {
        match saving.await {
            Ok(()) => reply.ok(),
            Err(why) => reply.error(&format!("ERR no image was stored: {why}")),
        }
        reply.take()
    }))
}

pub(super) fn bgsave(caller: &mut Caller, call: &Call<'_>, _: &mut Session, reply: &mut Reply) -> Outcome {
    match call.args().get(1..).unwrap_or_default() {
        [] => {}
        [word] if is(word, "SCHEDULE") => {}
        _ => return Err(Failure::SYNTAX),
    }
    let admin = admin(caller)?;
    if admin.images().since.is_some() {
        return Err(IN_PROGRESS);
    }
    if !caller.context.takes_writes() {
        return Err("ERR only the primary makes images".into());
    }
    if !admin.begin_save() {
        return Err("ERR this node has too much to do for now".into());
    }
    reply.simple("Background saving started");
    Ok(())
}

pub(super) fn lastsave(caller: &mut Caller, _: &Call<'_>, _: &mut Session, reply: &mut Reply) -> Outcome {
    reply.count(admin(caller)?.images().stored_unix_ms / 1000);
    Ok(())
}

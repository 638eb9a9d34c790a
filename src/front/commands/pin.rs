//! `TANIST PIN [NEW] | UNPIN`: a connection reads a frozen version.

use tanist_db_core::command::{Call, Failure, Outcome, Reply, is};
use tanist_db_core::engine::{Executed, Refused, Replied, Session};

use crate::front::caller::Caller;
use crate::front::redirect::LOADING;
use crate::front::versions::NotPinned;

const WATCHES: Failure = Failure::fixed("ERR UNWATCH first: what is watched would not be what is read");

pub(super) fn pin(
    caller: &mut Caller,
    call: &Call<'_>,
    session: &mut Session,
    reply: &mut Reply,
) -> Result<Executed, Failure> {
    let is_new = match call.args().get(2..).unwrap_or_default() {
        [] => false,
        [word] if is(word, "NEW") => true,
        _ => return Err(Failure::SYNTAX),
    };
    if session.watches() {
        return Err(WATCHES);
    }
    let engine = caller.context.engine().ok_or(Failure::fixed(LOADING))?;
    let pin = match caller.context.pin(engine, is_new) {
        Ok(pin) => pin,
        Err(NotPinned::Busy(shard)) => return Ok(Executed::Refused(Refused::Busy(shard))),
        Err(NotPinned::TooMany(max)) => {
            return Err(Failure::owned(format!(
                "ERR {max} versions are pinned already, which is pinned-versions-max: TANIST PIN without NEW takes the newest of them"
            )));
        }
    };
    let cut = pin.reader()?.cut();
    caller.pin = Some(pin);
    reply.count(cut.0);
    Ok(Executed::Replied(Replied { lsn: cut, wrote: false, wakes: false }))
}

pub(super) fn unpin(caller: &mut Caller, _: &Call<'_>, _: &mut Session, reply: &mut Reply) -> Outcome {
    caller.pin = None;
    reply.ok();
    Ok(())
}

//! `ROLE` and `WAIT`.

use std::time::Duration;

use tanist_db_core::command::{Call, Failure, Outcome, Reply};
use tanist_db_core::engine::{Blocked, Executed, Session, Until};
use tanist_db_core::ids::Lsn;
use tanist_replication::serving::Role;

use super::number;
use crate::front::HealthSigns;
use crate::front::caller::Caller;
use crate::front::health::primary_elsewhere;

/// Newest record appended or applied here.
pub(super) fn last(caller: &Caller) -> Lsn {
    caller.context.engine().map_or(Lsn::ZERO, |engine| engine.last())
}

/// Host and port of `address`, an IPv6 address without its brackets, as Redis has them.
pub(in crate::front) fn host_and_port(address: &str) -> (&str, &str) {
    let (host, port) = address.rsplit_once(':').unwrap_or((address, "0"));
    (host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host), port)
}

pub(super) fn role(caller: &mut Caller, _: &Call<'_>, _: &mut Session, reply: &mut Reply) -> Outcome {
    let serving = &caller.context.serving;
    let offset = last(caller).0;
    match serving.role() {
        _ if caller.context.takes_writes() => {
            let standbys = caller.context.admin().map(|admin| admin.standbys()).unwrap_or_default();
            reply.array(3);
            reply.bulk(b"master");
            reply.count(offset);
            reply.array(standbys.len());
            for standby in standbys {
                let (host, port) = host_and_port(&standby.resp);
                reply.array(3);
                reply.bulk(host.as_bytes());
                reply.bulk(port.as_bytes());
                reply.bulk(standby.applied.to_string().as_bytes());
            }
        }
        role => {
            let primary = primary_elsewhere(&caller.context);
            let (host, port) = primary.as_ref().map_or(("", "0"), |primary| host_and_port(&primary.resp));
            reply.array(5);
            reply.bulk(b"slave");
            reply.bulk(host.as_bytes());
            reply.int(number(port.as_bytes()).unwrap_or(0));
            let state: &[u8] = match role {
                Role::Joining => b"sync",
                _ if HealthSigns::of(&caller.context).is_linked() => b"connected",
                _ => b"connect",
            };
            reply.bulk(state);
            reply.count(offset);
        }
    }
    Ok(())
}

/// The vault stands for the replicas: its confirmation counts as one, and there is no other to wait for.
pub(super) fn wait(
    caller: &mut Caller,
    call: &Call<'_>,
    _: &mut Session,
    reply: &mut Reply,
) -> Result<Executed, Failure> {
    const ON_REPLICA: &str = "ERR WAIT cannot be used with replica instances. Please also note that since Redis 4.0 if a replica \
                              is configured to be writable (which is not the default) writes to replicas are just local and \
                              are not propagated.";
    if !matches!(caller.context.serving.role(), Role::Primary | Role::HandingOver) {
        return Err(ON_REPLICA.into());
    }
    let replicas: i64 = number(call.arg(1)).ok_or(Failure::NOT_AN_INTEGER)?;
    let millis: i64 = number(call.arg(2)).ok_or(Failure::fixed("ERR timeout is not an integer or out of range"))?;
    let millis = u64::try_from(millis).map_err(|_| Failure::fixed("ERR timeout is negative"))?;
    let durable = caller.last_write <= caller.context.serving.durable();
    if durable || replicas <= 0 {
        reply.int(i64::from(durable));
        return Ok(Executed::AT_ONCE);
    }
    Ok(Executed::Blocked(Box::new(Blocked {
        until: Until::Durable(caller.last_write, |reply| reply.int(1)),
        timeout: (millis > 0).then(|| Duration::from_millis(millis)),
        otherwise: |reply| reply.int(0),
        lsn: Lsn::ZERO,
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `ROLE` and `INFO` gave `[::1]` as a host, which no client can dial.
    #[test]
    fn a_host_is_told_without_brackets() {
        assert_eq!(host_and_port("[::1]:6380"), ("::1", "6380"));
        assert_eq!(host_and_port("db.example:6380"), ("db.example", "6380"));
    }
}

//! `ROLE`, `WAIT` and `WAITAOF`.

use std::time::Duration;

use tanist_db_core::command::{Call, Failure, Outcome, Reply};
use tanist_db_core::engine::{Blocked, Executed, Session, Until, WriteReply};
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
    executes(caller, ON_REPLICA)?;
    let replicas: i64 = number(call.arg(1)).ok_or(Failure::NOT_AN_INTEGER)?;
    let timeout = timeout(call.arg(2))?;
    Ok(when_durable(caller, replicas > 0, timeout, [|reply| reply.int(0), |reply| reply.int(1)], reply))
}

/// What is durable is in the vault's log, on its disk: the log and the replica that are asked for in one.
pub(super) fn waitaof(
    caller: &mut Caller,
    call: &Call<'_>,
    _: &mut Session,
    reply: &mut Reply,
) -> Result<Executed, Failure> {
    const ON_REPLICA: &str = "ERR WAITAOF cannot be used with replica instances. Please also note that writes to replicas are just \
                              local and are not propagated.";
    let local: i64 = number(call.arg(1)).ok_or(Failure::NOT_AN_INTEGER)?;
    if !(0..=1).contains(&local) {
        return Err("ERR value is out of range, value must between 0 and 1".into());
    }
    let replicas: i64 = number(call.arg(2)).filter(|replicas| *replicas >= 0).ok_or(NOT_POSITIVE)?;
    let timeout = timeout(call.arg(3))?;
    executes(caller, ON_REPLICA)?;
    Ok(when_durable(caller, local + replicas > 0, timeout, [write_no_copies, write_copies], reply))
}

const NOT_POSITIVE: Failure = Failure::fixed("ERR value is out of range, must be positive");

fn write_copies(reply: &mut Reply) {
    write_pair(1, reply);
}

/// What WAITAOF returns of a connection whose writes are not known to be durable.
pub(in crate::front) fn write_no_copies(reply: &mut Reply) {
    write_pair(0, reply);
}

fn write_pair(count: i64, reply: &mut Reply) {
    reply.array(2);
    reply.int(count);
    reply.int(count);
}

fn executes(caller: &Caller, otherwise: &'static str) -> Result<(), Failure> {
    let executes = matches!(caller.context.serving.role(), Role::Primary | Role::HandingOver);
    if executes { Ok(()) } else { Err(otherwise.into()) }
}

/// A timeout in milliseconds; 0 for none.
fn timeout(arg: &[u8]) -> Result<Option<Duration>, Failure> {
    let millis: i64 = number(arg).ok_or(Failure::fixed("ERR timeout is not an integer or out of range"))?;
    let millis = u64::try_from(millis).map_err(|_| Failure::fixed("ERR timeout is negative"))?;
    Ok((millis > 0).then(|| Duration::from_millis(millis)))
}

/// Replies when everything that the connection has written is durable, with the second of two replies; with the first one if it is
/// not, and nobody `waits` or the timeout has passed.
fn when_durable(
    caller: &Caller,
    waits: bool,
    timeout: Option<Duration>,
    [otherwise, durable]: [WriteReply; 2],
    reply: &mut Reply,
) -> Executed {
    let is_durable = caller.last_write <= caller.context.serving.durable();
    if is_durable || !waits {
        (if is_durable { durable } else { otherwise })(reply);
        return Executed::AT_ONCE;
    }
    let until = Until::Durable(caller.last_write, durable);
    Executed::Blocked(Box::new(Blocked { until, timeout, otherwise, lsn: Lsn::ZERO }))
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

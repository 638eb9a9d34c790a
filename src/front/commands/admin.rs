//! `TANIST STATUS | HEALTH | DIGEST | SWITCHOVER [node] | PUSH client-id message | HELP`; `pin` has the rest. `FAILOVER`.

use futures_util::future::BoxFuture;
use tanist_db_core::command::{Call, Failure, Outcome, Reply, is};
use tanist_db_core::engine::{Executed, Session};

use super::known_nodes::KnownNodes;
use super::replication::host_and_port;
use super::{lines, number, shown};
use crate::front::Admin;
use crate::front::caller::Caller;
use crate::front::inbox::Message;

const HELP: [&str; 16] = [
    "TANIST <subcommand> [<arg> ...]. Subcommands are:",
    "STATUS",
    "    The state of node and cluster as JSON.",
    "DIGEST",
    "    Log position and hash of all pages: equal on nodes that hold the same.",
    "HEALTH",
    "    OK from the node that is primary and serves; from any other an error that says why not.",
    "PIN [NEW]",
    "    Make this connection read a frozen version: the newest that is pinned, or with NEW the state of this moment.",
    "PUSH <client-id> <message>",
    "    For tests: send a connection a message, which tells of what this connection has written.",
    "SWITCHOVER [<node>]",
    "    Hand leadership over to <node>, or to the standby. Nothing is lost; clients wait for a moment.",
    "UNPIN",
    "    Make this connection read and write the present state again.",
    "HELP",
];

pub(super) fn help(_: &mut Caller, _: &Call<'_>, _: &mut Session, reply: &mut Reply) -> Outcome {
    lines(&HELP, reply)
}

pub(super) fn health(caller: &mut Caller, _: &Call<'_>, _: &mut Session, reply: &mut Reply) -> Outcome {
    crate::front::health::health(&caller.context)?;
    reply.ok();
    Ok(())
}

pub(super) fn status(caller: &mut Caller, _: &Call<'_>, _: &mut Session, reply: &mut Reply) -> Outcome {
    reply.bulk(admin(caller)?.status().as_bytes());
    Ok(())
}

pub(super) fn digest(
    caller: &mut Caller,
    _: &Call<'_>,
    session: &mut Session,
    _: &mut Reply,
) -> Result<Executed, Failure> {
    Ok(said_later(admin(caller)?.digest(), session))
}

pub(super) fn switchover(
    caller: &mut Caller,
    call: &Call<'_>,
    session: &mut Session,
    _: &mut Reply,
) -> Result<Executed, Failure> {
    let to = match call.args().get(2..).unwrap_or_default() {
        [] => None,
        [node] => Some(shown(node)),
        _ => return Err(Failure::SYNTAX),
    };
    Ok(said_later(admin(caller)?.switchover(to), session))
}

/// A reply of one sentence, which `saying` makes.
fn said_later(saying: BoxFuture<'static, Result<String, String>>, session: &Session) -> Executed {
    let mut reply = Reply::new(session.protocol());
    Executed::later(async move {
        match saying.await {
            Ok(sentence) => reply.bulk(sentence.as_bytes()),
            Err(sentence) => reply.error(&format!("ERR {sentence}")),
        }
        reply.take()
    })
}

/// Redis's FAILOVER: a switchover. It is over when the client has its reply. TIMEOUT and FORCE change nothing: a switchover has a bound
/// of its own, and loses no write to be in time.
pub(super) fn failover(
    caller: &mut Caller,
    call: &Call<'_>,
    session: &mut Session,
    _: &mut Reply,
) -> Result<Executed, Failure> {
    let (mut target, mut has_timeout, mut force) = (None, false, false);
    let mut rest = &call.args()[1..];
    if matches!(rest, [abort] if is(abort, "ABORT")) {
        return Err("ERR No failover in progress.".into());
    }
    while let Some((&word, values)) = rest.split_first() {
        rest = match values {
            [millis, tail @ ..] if is(word, "TIMEOUT") && !has_timeout => {
                if number::<i64>(millis).ok_or(Failure::NOT_AN_INTEGER)? <= 0 {
                    return Err("ERR FAILOVER timeout must be greater than 0".into());
                }
                has_timeout = true;
                tail
            }
            [host, port, tail @ ..] if is(word, "TO") && target.is_none() => {
                target = Some((*host, number::<i64>(port).ok_or(Failure::NOT_AN_INTEGER)?.to_string()));
                tail
            }
            tail if is(word, "FORCE") && !force => {
                force = true;
                tail
            }
            _ => return Err(Failure::SYNTAX),
        };
    }
    if force && !(has_timeout && target.is_some()) {
        return Err("ERR FAILOVER with force option requires both a timeout and target HOST and IP.".into());
    }
    let to = match target {
        None => None,
        Some((host, port)) => {
            let known = KnownNodes::of(caller);
            let found = known.standbys().find(|standby| {
                let (its_host, its_port) = host_and_port(&standby.resp);
                its_host.as_bytes() == host && its_port == port
            });
            let found = found.ok_or(Failure::fixed("ERR FAILOVER target HOST and PORT is not a replica."))?;
            Some(found.node.clone())
        }
    };
    fail_over(caller, to, "ERR", session)
}

/// Begins a switchover to `to`, or to the standby. The reply is OK when it is over, or begins with `code`.
pub(super) fn fail_over(
    caller: &Caller,
    to: Option<String>,
    code: &'static str,
    session: &Session,
) -> Result<Executed, Failure> {
    let switchover = admin(caller)?.switchover(to);
    let mut reply = Reply::new(session.protocol());
    Ok(Executed::later(async move {
        match switchover.await {
            Ok(_) => reply.ok(),
            Err(sentence) => reply.error(&format!("{code} {sentence}")),
        }
        reply.take()
    }))
}

pub(super) fn push(caller: &mut Caller, call: &Call<'_>, _: &mut Session, reply: &mut Reply) -> Outcome {
    let id = number(call.arg(2)).ok_or(Failure::NOT_AN_INTEGER)?;
    let text = call.arg(3);
    let message = Message::new(caller.last_write, |reply| {
        reply.push(2);
        reply.bulk(b"tanist");
        reply.bulk(text);
    });
    reply.count(caller.context.registry.send(id, message).into());
    Ok(())
}

pub(super) fn admin(caller: &Caller) -> Result<&dyn Admin, Failure> {
    caller.context.admin().map(|admin| &**admin).ok_or(Failure::fixed("LOADING this node is still starting"))
}

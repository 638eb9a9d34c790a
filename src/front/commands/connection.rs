//! `HELLO`, `AUTH`, `SELECT`, `QUIT`, `RESET`.

use tanist_db_core::command::{Call, Failure, Outcome, Protocol, Reply, database, is};
use tanist_db_core::engine::Session;

use super::{REDIS_VERSION, client, number, shown};
use crate::front::caller::{Caller, version_of};
use crate::front::registry::Name;

const WRONG_PASSWORD: &str = "WRONGPASS invalid username-password pair or user is disabled.";
const NO_PASSWORD: &str = "ERR AUTH <password> called without any password configured for the default user. Are you sure \
                           your configuration is correct?";
const HELLO_NEEDS_AUTH: &str = "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO \
                                <proto> AUTH <user> <pass> option can be used to authenticate the client and select the \
                                RESP protocol version at the same time";

/// Options take effect from left to right, as far as they are right: so does Redis.
pub(super) fn hello(caller: &mut Caller, call: &Call<'_>, session: &mut Session, reply: &mut Reply) -> Outcome {
    let protocol = match call.args().get(1) {
        None => session.protocol(),
        Some(version) => match number::<i64>(version) {
            Some(2) => Protocol::Resp2,
            Some(3) => Protocol::Resp3,
            Some(_) => return Err("NOPROTO unsupported protocol version".into()),
            None => return Err("ERR Protocol version is not an integer or out of range".into()),
        },
    };
    let mut rest = call.args().get(2..).unwrap_or_default();
    while let Some((&option, values)) = rest.split_first() {
        rest = match values {
            [user, password, tail @ ..] if is(option, "AUTH") => {
                authenticate(caller, user, password)?;
                tail
            }
            [value, tail @ ..] if is(option, "SETNAME") => {
                caller.entry().set_name(Name::Client, &client::printable(value, "Client names")?);
                tail
            }
            _ => return Err(format!("ERR Syntax error in HELLO option '{}'", shown(option)).into()),
        };
    }
    if !caller.authenticated {
        return Err(HELLO_NEEDS_AUTH.into());
    }
    caller.set_protocol(protocol, session, reply);
    greet(caller, protocol, reply);
    Ok(())
}

/// What `HELLO` answers. The server calls itself redis: clients choose by that word how to speak.
fn greet(caller: &Caller, protocol: Protocol, reply: &mut Reply) {
    reply.map(7);
    let role = if caller.context.takes_writes() { "master" } else { "replica" };
    for (key, value) in [("server", "redis"), ("version", REDIS_VERSION)] {
        reply.bulk(key.as_bytes());
        reply.bulk(value.as_bytes());
    }
    reply.bulk(b"proto");
    reply.int(version_of(protocol).into());
    reply.bulk(b"id");
    reply.count(caller.entry().id());
    let mode = if caller.context.settings.is_cluster() { "cluster" } else { "standalone" };
    for (key, value) in [("mode", mode), ("role", role)] {
        reply.bulk(key.as_bytes());
        reply.bulk(value.as_bytes());
    }
    reply.bulk(b"modules");
    reply.array(0);
}

pub(super) fn auth(caller: &mut Caller, call: &Call<'_>, _: &mut Session, reply: &mut Reply) -> Outcome {
    match call.args() {
        [_, _] if caller.context.settings.password().is_none() => return Err(NO_PASSWORD.into()),
        [_, password] => authenticate(caller, b"default", password)?,
        [_, user, password] => authenticate(caller, user, password)?,
        _ => return Err(Failure::SYNTAX),
    }
    reply.ok();
    Ok(())
}

/// There is one user, `default`. Without a password any word of its will do, as in Redis.
fn authenticate(caller: &mut Caller, user: &[u8], password: &[u8]) -> Outcome {
    let wanted = caller.context.settings.password();
    if user != b"default" || wanted.is_some_and(|wanted| !same(wanted.as_bytes(), password)) {
        return Err(WRONG_PASSWORD.into());
    }
    caller.set_authenticated(true);
    Ok(())
}

/// Compares without telling by its time how much is right; only the length shows.
fn same(wanted: &[u8], given: &[u8]) -> bool {
    let differing = wanted.iter().zip(given).fold(0, |all, (a, b)| all | (a ^ b));
    wanted.len() == given.len() && std::hint::black_box(differing) == 0
}

pub(super) fn select(caller: &mut Caller, call: &Call<'_>, session: &mut Session, reply: &mut Reply) -> Outcome {
    session.select(database(call.arg(1))?);
    caller.entry().set_database(session.database());
    reply.ok();
    Ok(())
}

pub(super) fn quit(caller: &mut Caller, _: &Call<'_>, _: &mut Session, reply: &mut Reply) -> Outcome {
    caller.closing = true;
    reply.ok();
    Ok(())
}

pub(super) fn reset(caller: &mut Caller, _: &Call<'_>, session: &mut Session, reply: &mut Reply) -> Outcome {
    session.reset();
    caller.pin = None;
    caller.reads_standby = false;
    let authenticated = caller.entry().peer().authenticated || caller.context.settings.password().is_none();
    caller.set_authenticated(authenticated);
    caller.set_protocol(Protocol::Resp2, session, reply);
    caller.reset_replies();
    caller.entry().set_database(session.database());
    caller.entry().set_name(Name::Client, "");
    caller.entry().set_no_evict(false);
    caller.entry().set_no_touch(false);
    reply.simple("RESET");
    Ok(())
}

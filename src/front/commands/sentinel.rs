//! `SENTINEL ...`: what clients ask a Sentinel, of which there is none. Every node answers.

use tanist_db_core::command::{Call, Failure, Outcome, Reply};
use tanist_db_core::engine::{Executed, Session};
use tanist_replication::serving::PrimaryAddress;

use super::known_nodes::KnownNodes;
use super::replication::host_and_port;
use super::{admin, lines};
use crate::front::HealthSigns;
use crate::front::caller::Caller;

const HELP: [&str; 21] = [
    "SENTINEL <subcommand> [<arg> ...]. Every node answers, there are no Sentinels. Subcommands are:",
    "CKQUORUM <master-name>",
    "    Whether a failover could take place: whether this node hears of the vault, which decides it.",
    "FAILOVER <master-name>",
    "    Makes the standby the primary, as TANIST SWITCHOVER does.",
    "GET-MASTER-ADDR-BY-NAME <master-name>",
    "    Host and port of the primary.",
    "MASTER <master-name>",
    "    The state of the primary.",
    "MASTERS",
    "    The same as a list; there is one primary.",
    "MYID",
    "    The id of this node.",
    "REPLICAS <master-name>",
    "    The standbys, each with its state.",
    "SENTINELS <master-name>",
    "    The other nodes, which can be asked the same.",
    "SLAVES <master-name>",
    "    Another name of REPLICAS.",
    "HELP",
    "    Prints this help.",
];

const NO_SUCH_MASTER: Failure = Failure::fixed("ERR No such master with that name");

/// Failovers are decided by the vault alone.
const QUORUM: u64 = 1;

/// Names of fields with their values, as clients of Sentinel expect them.
type Fields = Vec<(&'static str, String)>;

/// # Errors
/// If `call` asks for another name than that of the only primary there is, or none is known.
fn named<'c>(caller: &'c Caller, call: &Call<'_>) -> Result<KnownNodes<'c>, Failure> {
    let known = KnownNodes::of(caller);
    let is_known = call.arg(2) == caller.context.settings.sentinel_name().as_bytes() && known.primary.is_some();
    if is_known { Ok(known) } else { Err(NO_SUCH_MASTER) }
}

/// What is told of any node. Times since an answer are 0: nothing is told that would have to be asked first.
fn common(known: &KnownNodes<'_>, name: &str, node: &PrimaryAddress, flags: &str) -> Fields {
    let (host, port) = host_and_port(&node.resp);
    vec![
        ("name", name.to_owned()),
        ("ip", host.to_owned()),
        ("port", port.to_owned()),
        ("runid", known.node_id(node)),
        ("flags", flags.to_owned()),
        ("link-pending-commands", "0".to_owned()),
        ("link-refcount", "1".to_owned()),
        ("last-ping-sent", "0".to_owned()),
        ("last-ok-ping-reply", "0".to_owned()),
        ("last-ping-reply", "0".to_owned()),
        ("down-after-milliseconds", "0".to_owned()),
    ]
}

fn of_primary(caller: &Caller, known: &KnownNodes<'_>, primary: &PrimaryAddress) -> Fields {
    let flags = if known.is_up { "master" } else { "s_down,o_down,master,disconnected" };
    let mut fields = common(known, caller.context.settings.sentinel_name(), primary, flags);
    fields.extend([
        ("info-refresh", "0".to_owned()),
        ("role-reported", "master".to_owned()),
        ("role-reported-time", "0".to_owned()),
        ("config-epoch", caller.context.serving.epoch().to_string()),
        ("num-slaves", known.standbys().count().to_string()),
        ("num-other-sentinels", known.others().count().to_string()),
        ("quorum", QUORUM.to_string()),
        ("failover-timeout", "180000".to_owned()),
        ("parallel-syncs", "1".to_owned()),
    ]);
    fields
}

fn of_standby(known: &KnownNodes<'_>, standby: &PrimaryAddress) -> Fields {
    let is_up = known.is_up && known.follows(standby);
    let (flags, link) = if is_up { ("slave", "ok") } else { ("s_down,slave,disconnected", "err") };
    let (host, port) = known.primary.as_ref().map_or(("?", "0"), |primary| host_and_port(&primary.resp));
    let offset = known.offset(standby);
    let mut fields = common(known, &standby.resp, standby, flags);
    fields.extend([
        ("info-refresh", "0".to_owned()),
        ("role-reported", "slave".to_owned()),
        ("role-reported-time", "0".to_owned()),
        ("master-link-down-time", "0".to_owned()),
        ("master-link-status", link.to_owned()),
        ("master-host", host.to_owned()),
        ("master-port", port.to_owned()),
        ("slave-priority", "100".to_owned()),
        ("slave-repl-offset", offset.to_string()),
        ("replica-announced", "1".to_owned()),
    ]);
    fields
}

fn write(fields: &Fields, reply: &mut Reply) {
    reply.map(fields.len());
    for (field, value) in fields {
        reply.bulk(field.as_bytes());
        reply.bulk(value.as_bytes());
    }
}

pub(super) fn help(_: &mut Caller, _: &Call<'_>, _: &mut Session, reply: &mut Reply) -> Outcome {
    lines(&HELP, reply)
}

pub(super) fn address(caller: &mut Caller, call: &Call<'_>, _: &mut Session, reply: &mut Reply) -> Outcome {
    let known = named(caller, call);
    match known.as_ref().ok().and_then(KnownNodes::primary_up) {
        Some(primary) => {
            let (host, port) = host_and_port(&primary.resp);
            reply.array(2);
            reply.bulk(host.as_bytes());
            reply.bulk(port.as_bytes());
        }
        None => reply.null_array(),
    }
    Ok(())
}

pub(super) fn masters(caller: &mut Caller, _: &Call<'_>, _: &mut Session, reply: &mut Reply) -> Outcome {
    let known = KnownNodes::of(caller);
    reply.array(usize::from(known.primary.is_some()));
    if let Some(primary) = &known.primary {
        write(&of_primary(caller, &known, primary), reply);
    }
    Ok(())
}

pub(super) fn master(caller: &mut Caller, call: &Call<'_>, _: &mut Session, reply: &mut Reply) -> Outcome {
    let known = named(caller, call)?;
    if let Some(primary) = &known.primary {
        write(&of_primary(caller, &known, primary), reply);
    }
    Ok(())
}

pub(super) fn replicas(caller: &mut Caller, call: &Call<'_>, _: &mut Session, reply: &mut Reply) -> Outcome {
    let known = named(caller, call)?;
    reply.array(known.standbys().count());
    known.standbys().for_each(|standby| write(&of_standby(&known, standby), reply));
    Ok(())
}

pub(super) fn sentinels(caller: &mut Caller, call: &Call<'_>, _: &mut Session, reply: &mut Reply) -> Outcome {
    let known = named(caller, call)?;
    reply.array(known.others().count());
    for other in known.others() {
        let mut fields = common(&known, &known.node_id(other), other, "sentinel");
        fields.extend([
            ("last-hello-message", "0".to_owned()),
            ("voted-leader", "?".to_owned()),
            ("voted-leader-epoch", "0".to_owned()),
        ]);
        write(&fields, reply);
    }
    Ok(())
}

pub(super) fn ckquorum(caller: &mut Caller, call: &Call<'_>, _: &mut Session, reply: &mut Reply) -> Outcome {
    named(caller, call)?;
    let signs = HealthSigns::of(&caller.context);
    if let Some(silent) = signs.vault_silent() {
        let silent = silent.as_secs_f64();
        let sentence = format!("NOQUORUM no answer from the vault for {silent:.1} s: no failover can take place");
        return Err(Failure::owned(sentence));
    }
    let usable = caller.context.identity.members.len();
    reply.simple(&format!("OK {usable} usable Sentinels. Quorum and failover authorization can be reached"));
    Ok(())
}

pub(super) fn failover(
    caller: &mut Caller,
    call: &Call<'_>,
    session: &mut Session,
    _: &mut Reply,
) -> Result<Executed, Failure> {
    named(caller, call)?;
    admin::fail_over(caller, None, "NOGOODSLAVE", session)
}

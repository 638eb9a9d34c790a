//! `CLUSTER ...`, `READONLY`, `READWRITE`, `ASKING`: what clients ask a cluster. With the setting `cluster-mode single` the nodes are a
//! cluster of one shard, whose primary has all slots and whose replicas are the standbys. Otherwise none of these commands comes here.

use tanist_db_core::command::slot::{SLOTS, slot_of};
use tanist_db_core::command::{Call, Failure, Outcome, Reply};
use tanist_db_core::engine::Session;
use tanist_replication::serving::PrimaryAddress;

use super::known_nodes::KnownNodes;
use super::replication::host_and_port;
use super::{lines, number, shown};
use crate::front::caller::Caller;

const HELP: [&str; 25] = [
    "CLUSTER <subcommand> [<arg> ...]. The nodes are a cluster of one shard. Subcommands are:",
    "COUNTKEYSINSLOT <slot>",
    "    The number of keys in <slot>.",
    "GETKEYSINSLOT <slot> <count>",
    "    At most <count> keys of <slot>.",
    "INFO",
    "    The state of the cluster.",
    "KEYSLOT <key>",
    "    The slot of <key>.",
    "MYID",
    "    The id of this node.",
    "MYSHARDID",
    "    The id of the shard.",
    "NODES",
    "    The nodes, one a line:",
    "    <id> <ip:port@port> <flags> <primary> <pings> <pongs> <epoch> <link> <slots>",
    "REPLICAS <node-id>",
    "    The standbys of <node-id>, as NODES shows them.",
    "SHARDS",
    "    The shard: its slots and its nodes.",
    "SLOTS",
    "    The slots, with the primary and its standbys.",
    "TANIST SWITCHOVER and FAILOVER make the standby the primary.",
    "HELP",
    "    Prints this help.",
];

/// The error of a node that knows no primary. Clients ask another node, or ask again.
const DOWN: Failure = Failure::fixed("CLUSTERDOWN No primary is known, or there is no word of the vault");

const LAST_SLOT: u16 = SLOTS - 1;

pub(super) fn help(_: &mut Caller, _: &Call<'_>, _: &mut Session, reply: &mut Reply) -> Outcome {
    lines(&HELP, reply)
}

pub(super) fn keyslot(_: &mut Caller, call: &Call<'_>, _: &mut Session, reply: &mut Reply) -> Outcome {
    reply.count(slot_of(call.arg(2)).into());
    Ok(())
}

pub(super) fn myid(caller: &mut Caller, _: &Call<'_>, _: &mut Session, reply: &mut Reply) -> Outcome {
    let identity = &caller.context.identity;
    reply.bulk(identity.node_id(&identity.node).as_bytes());
    Ok(())
}

pub(super) fn myshardid(caller: &mut Caller, _: &Call<'_>, _: &mut Session, reply: &mut Reply) -> Outcome {
    // A name that no node can have.
    reply.bulk(caller.context.identity.node_id("").as_bytes());
    Ok(())
}

pub(super) fn info(caller: &mut Caller, _: &Call<'_>, _: &mut Session, reply: &mut Reply) -> Outcome {
    let is_up = KnownNodes::of(caller).is_up;
    let (identity, epoch) = (&caller.context.identity, caller.context.serving.epoch());
    let slots = if is_up { SLOTS } else { 0 };
    let text = [
        ("cluster_enabled", "1".to_owned()),
        ("cluster_state", if is_up { "ok" } else { "fail" }.to_owned()),
        ("cluster_slots_assigned", SLOTS.to_string()),
        ("cluster_slots_ok", slots.to_string()),
        ("cluster_slots_pfail", "0".to_owned()),
        ("cluster_slots_fail", (SLOTS - slots).to_string()),
        ("cluster_known_nodes", identity.members.len().to_string()),
        ("cluster_size", "1".to_owned()),
        ("cluster_current_epoch", epoch.to_string()),
        ("cluster_my_epoch", epoch.to_string()),
        ("cluster_stats_messages_sent", "0".to_owned()),
        ("cluster_stats_messages_received", "0".to_owned()),
        ("total_cluster_links_buffer_limit_exceeded", "0".to_owned()),
    ];
    let text: String = text.iter().map(|(name, value)| format!("{name}:{value}\r\n")).collect();
    reply.verbatim("txt", &text);
    Ok(())
}

pub(super) fn slots(caller: &mut Caller, _: &Call<'_>, _: &mut Session, reply: &mut Reply) -> Outcome {
    let known = KnownNodes::of(caller);
    let primary = known.primary_up().ok_or(DOWN)?;
    reply.array(1);
    // One that is not there at the moment too: a client that knew the primary alone would have nobody to ask once that is lost.
    reply.array(3 + known.standbys().count());
    reply.int(0);
    reply.int(LAST_SLOT.into());
    for node in std::iter::once(primary).chain(known.standbys()) {
        let (host, port) = host_and_port(&node.resp);
        reply.array(4);
        reply.bulk(host.as_bytes());
        reply.int(number(port.as_bytes()).unwrap_or(0));
        reply.bulk(known.node_id(node).as_bytes());
        reply.array(0);
    }
    Ok(())
}

pub(super) fn shards(caller: &mut Caller, _: &Call<'_>, _: &mut Session, reply: &mut Reply) -> Outcome {
    let known = KnownNodes::of(caller);
    let primary = known.primary_up().ok_or(DOWN)?;
    reply.array(1);
    reply.map(2);
    reply.bulk(b"slots");
    reply.array(2);
    reply.int(0);
    reply.int(LAST_SLOT.into());
    reply.bulk(b"nodes");
    reply.array(1 + known.standbys().count());
    let standbys = known.standbys().map(|standby| (standby, "replica"));
    for (node, role) in std::iter::once((primary, "master")).chain(standbys) {
        let (host, port) = host_and_port(&node.resp);
        reply.map(7);
        reply.bulk(b"id");
        reply.bulk(known.node_id(node).as_bytes());
        reply.bulk(b"port");
        reply.int(number(port.as_bytes()).unwrap_or(0));
        for (field, value) in [("ip", host), ("endpoint", host), ("role", role)] {
            reply.bulk(field.as_bytes());
            reply.bulk(value.as_bytes());
        }
        reply.bulk(b"replication-offset");
        reply.count(known.offset(node).0);
        reply.bulk(b"health");
        reply.bulk(if known.follows(node) { b"online" } else { b"fail" });
    }
    Ok(())
}

/// A line of NODES.
fn line(caller: &Caller, known: &KnownNodes<'_>, primary: &PrimaryAddress, node: &PrimaryAddress) -> String {
    let (_, bus) = host_and_port(&node.quic);
    let mut flags = if node.node == caller.context.identity.node { "myself," } else { "" }.to_owned();
    let (primary_id, slots) = if node.node == primary.node {
        flags.push_str("master");
        ("-".to_owned(), format!(" 0-{LAST_SLOT}"))
    } else {
        flags.push_str(if known.follows(node) { "slave" } else { "slave,fail" });
        (known.node_id(primary), String::new())
    };
    let (host, port) = host_and_port(&node.resp);
    let (id, epoch) = (known.node_id(node), caller.context.serving.epoch());
    let link = if known.follows(node) { "connected" } else { "disconnected" };
    format!("{id} {host}:{port}@{bus} {flags} {primary_id} 0 0 {epoch} {link}{slots}")
}

pub(super) fn nodes(caller: &mut Caller, _: &Call<'_>, _: &mut Session, reply: &mut Reply) -> Outcome {
    let known = KnownNodes::of(caller);
    let primary = known.primary_up().ok_or(DOWN)?;
    let nodes = std::iter::once(primary).chain(known.standbys());
    let text: String = nodes.map(|node| line(caller, &known, primary, node) + "\n").collect();
    reply.verbatim("txt", &text);
    Ok(())
}

pub(super) fn replicas(caller: &mut Caller, call: &Call<'_>, _: &mut Session, reply: &mut Reply) -> Outcome {
    let known = KnownNodes::of(caller);
    let primary = known.primary_up().ok_or(DOWN)?;
    let asked = call.arg(2);
    if asked != known.node_id(primary).as_bytes() {
        let is_standby = known.standbys().any(|standby| asked == known.node_id(standby).as_bytes());
        return Err(if is_standby {
            Failure::fixed("ERR The specified node is not a master")
        } else {
            Failure::owned(format!("ERR Unknown node {}", shown(asked)))
        });
    }
    reply.array(known.standbys().count());
    known.standbys().for_each(|standby| reply.bulk(line(caller, &known, primary, standby).as_bytes()));
    Ok(())
}

/// There are no slots on their way between nodes, for which a client would have to ask.
pub(super) fn asking(_: &mut Caller, _: &Call<'_>, _: &mut Session, reply: &mut Reply) -> Outcome {
    reply.ok();
    Ok(())
}

pub(super) fn readonly(caller: &mut Caller, _: &Call<'_>, _: &mut Session, reply: &mut Reply) -> Outcome {
    caller.reads_standby = true;
    reply.ok();
    Ok(())
}

pub(super) fn readwrite(caller: &mut Caller, _: &Call<'_>, _: &mut Session, reply: &mut Reply) -> Outcome {
    caller.reads_standby = false;
    reply.ok();
    Ok(())
}

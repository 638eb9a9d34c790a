//! Specs of the commands by which clients find the nodes: what they ask a Sentinel, and what they ask a cluster.

use Flag::*;
use tanist_db_core::command::slot::{COUNT_KEYS_IN_SLOT, GET_KEYS_IN_SLOT};
use tanist_db_core::command::{Argument, Category, CommandSpec, Flag, FrontRun, Group, front_command};

use super::super::{cluster, sentinel};
use crate::front::caller::Caller;

const fn of_cluster(name: &'static str, arity: i8, flags: &[Flag], since: &'static str, run: FrontRun) -> CommandSpec {
    front_command(name, arity, flags, Group::Cluster, since, run)
}

const fn of_sentinel(name: &'static str, arity: i8, since: &'static str, run: FrontRun) -> CommandSpec {
    front_command(name, arity, &[Admin, Sentinel, OnlySentinel], Group::Sentinel, since, run)
}

const NODE_ID: &[Argument] = &[Argument::string("node-id")];
const NAME: &[Argument] = &[Argument::string("master-name")];
const OF_NODES: &str = "O(N) where N is the number of nodes";

const CLUSTER: &[CommandSpec] = &[
    COUNT_KEYS_IN_SLOT,
    GET_KEYS_IN_SLOT,
    of_cluster("cluster|help", 2, &[Loading, Stale], "5.0.0", run!(cluster::help))
        .doc("Lists the subcommands.", "O(1)"),
    of_cluster("cluster|info", 2, &[Loading, Stale], "3.0.0", run!(cluster::info))
        .tips(&["nondeterministic_output"])
        .doc("Returns the state of the cluster.", "O(1)"),
    of_cluster("cluster|keyslot", 3, &[Stale], "3.0.0", run!(cluster::keyslot))
        .arguments(&[Argument::string("key")])
        .doc("Returns the slot of a key.", "O(N) where N is the number of bytes in the key"),
    of_cluster("cluster|myid", 2, &[Loading, Stale], "3.0.0", run!(cluster::myid))
        .doc("Returns the id of the node.", "O(1)"),
    of_cluster("cluster|myshardid", 2, &[Loading, Stale], "7.2.0", run!(cluster::myshardid))
        .doc("Returns the id of the shard.", "O(1)"),
    of_cluster("cluster|nodes", 2, &[Loading, Stale], "3.0.0", run!(cluster::nodes))
        .tips(&["nondeterministic_output"])
        .doc("Returns the nodes with their roles and slots.", OF_NODES),
    of_cluster("cluster|replicas", 3, &[Admin, Stale], "5.0.0", run!(cluster::replicas))
        .tips(&["nondeterministic_output"])
        .arguments(NODE_ID)
        .doc("Returns the standbys of a node.", OF_NODES),
    of_cluster("cluster|shards", 2, &[Loading, Stale], "7.0.0", run!(cluster::shards))
        .tips(&["nondeterministic_output"])
        .doc("Returns the shard, its slots and its nodes.", OF_NODES),
    of_cluster("cluster|slaves", 3, &[Admin, Stale], "3.0.0", run!(cluster::replicas))
        .tips(&["nondeterministic_output"])
        .arguments(NODE_ID)
        .doc("Returns the standbys of a node.", OF_NODES),
    of_cluster("cluster|slots", 2, &[Loading, Stale], "3.0.0", run!(cluster::slots))
        .tips(&["nondeterministic_output"])
        .doc("Returns the slots with their nodes.", OF_NODES),
];

const SENTINEL: &[CommandSpec] = &[
    of_sentinel("sentinel|ckquorum", 3, "2.8.4", run!(sentinel::ckquorum))
        .arguments(NAME)
        .doc("Returns whether a failover could take place.", "O(1)"),
    of_sentinel("sentinel|failover", 3, "2.8.4", run!(sentinel::failover))
        .arguments(NAME)
        .doc("Makes the standby the primary.", "O(1)"),
    of_sentinel("sentinel|get-master-addr-by-name", 3, "2.8.4", run!(sentinel::address))
        .arguments(NAME)
        .doc("Returns host and port of the primary.", "O(1)"),
    of_sentinel("sentinel|get-primary-addr-by-name", 3, "8.0.0", run!(sentinel::address))
        .arguments(NAME)
        .doc("Returns host and port of the primary.", "O(1)"),
    front_command(
        "sentinel|help",
        2,
        &[Loading, Stale, Sentinel, OnlySentinel],
        Group::Sentinel,
        "6.2.0",
        run!(sentinel::help),
    )
    .doc("Lists the subcommands.", "O(1)"),
    of_sentinel("sentinel|master", 3, "2.8.4", run!(sentinel::master))
        .arguments(NAME)
        .doc("Returns the state of the primary.", "O(1)"),
    of_sentinel("sentinel|masters", 2, "2.8.4", run!(sentinel::masters))
        .doc("Returns the state of the primary, as a list.", "O(1)"),
    of_sentinel("sentinel|myid", 2, "6.2.0", run!(cluster::myid)).doc("Returns the id of the node.", "O(1)"),
    of_sentinel("sentinel|primaries", 2, "8.0.0", run!(sentinel::masters))
        .doc("Returns the state of the primary, as a list.", "O(1)"),
    of_sentinel("sentinel|primary", 3, "8.0.0", run!(sentinel::master))
        .arguments(NAME)
        .doc("Returns the state of the primary.", "O(1)"),
    of_sentinel("sentinel|replicas", 3, "5.0.0", run!(sentinel::replicas))
        .arguments(NAME)
        .doc("Returns the states of the standbys.", OF_NODES),
    of_sentinel("sentinel|sentinels", 3, "2.8.4", run!(sentinel::sentinels))
        .arguments(NAME)
        .doc("Returns the other nodes, which can be asked the same.", OF_NODES),
    of_sentinel("sentinel|slaves", 3, "2.8.0", run!(sentinel::replicas))
        .arguments(NAME)
        .doc("Returns the states of the standbys.", OF_NODES),
];

pub(super) const COMMANDS: &[CommandSpec] = &[
    of_cluster("asking", 1, &[Fast], "3.0.0", run!(cluster::asking))
        .categories_own(&[Category::Connection])
        .doc("Does nothing: no slot is ever on its way to another node.", "O(1)"),
    of_cluster("cluster", -2, &[], "3.0.0", run!(cluster::help))
        .doc("What clients ask a cluster.", "Depends on subcommand.")
        .subcommands(CLUSTER),
    of_cluster("readonly", 1, &[Fast, Loading, Stale], "3.0.0", run!(cluster::readonly))
        .categories_own(&[Category::Connection])
        .doc("Lets a standby read for this connection.", "O(1)"),
    of_cluster("readwrite", 1, &[Fast, Loading, Stale], "3.0.0", run!(cluster::readwrite))
        .categories_own(&[Category::Connection])
        .doc("Ends what READONLY began.", "O(1)"),
    of_sentinel("sentinel", -2, "2.8.4", run!(sentinel::help))
        .doc("What clients ask a Sentinel.", "Depends on subcommand.")
        .subcommands(SENTINEL),
];

//! The parameters of `CONFIG GET` and `CONFIG SET`: one declaration each.
//!
//! Parameters that Redis's tools read and that have only one possible value here are constants: they show the true value and
//! cannot be set. All others are also settings of the configuration, under the same name with `_` for `-`.

use std::time::Duration;

use tanist_db_core::engine::{MEMORY_MAX, SettingId, sizes};
use tanist_db_core::limits::DATABASES;

use crate::config::limits::{MS_MAX, RELAXED_BYTES_MIN, STANDBY_READ_MS_MIN};
use crate::config::{ByteSize, Durability, Standby, check_password};
use crate::files;
use crate::front::NodeContext;
use crate::front::limits::{KEEPALIVE, LISTEN_BACKLOG};
use crate::front::settings::cluster as setting;
use crate::front::versions::PinBounds;
use crate::resp::RequestLimits;

/// One parameter.
pub(super) struct Parameter {
    pub(super) name: &'static str,
    #[cfg_attr(not(test), expect(dead_code, reason = "what the book says of a parameter is compared with it"))]
    pub(super) scope: Scope,
    pub(super) get: fn(&NodeContext) -> String,
    pub(super) set: Option<Set>,
}

/// Whose a parameter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// It describes this node or its machine: the other may well have another value.
    Node,
    /// Clients or their data would notice after a takeover that it differs. What can be set of these is state: the log, the images
    /// and the standby have it.
    Cluster,
}

/// Checks a value: nothing is applied until all values of a command are good.
#[derive(Clone, Copy)]
pub(super) enum Set {
    /// Returns what applies it to the node.
    Node(fn(&str, &NodeContext) -> Result<Apply, String>),
    /// Returns the number that the cluster's setting has from then on.
    Cluster(SettingId, fn(&str) -> Result<u64, String>),
}

/// Applies a checked value.
pub(super) type Apply = Box<dyn FnOnce(&NodeContext)>;

use Scope::{Cluster, Node};

const fn constant(name: &'static str, scope: Scope, get: fn(&NodeContext) -> String) -> Parameter {
    Parameter { name, scope, get, set: None }
}

/// One that `CONFIG SET` changes on the node that it is sent to.
const fn own(
    name: &'static str,
    get: fn(&NodeContext) -> String,
    set: fn(&str, &NodeContext) -> Result<Apply, String>,
) -> Parameter {
    Parameter { name, scope: Node, get, set: Some(Set::Node(set)) }
}

/// One that `CONFIG SET` changes for all nodes.
const fn common(
    name: &'static str,
    id: SettingId,
    get: fn(&NodeContext) -> String,
    check: fn(&str) -> Result<u64, String>,
) -> Parameter {
    Parameter { name, scope: Cluster, get, set: Some(Set::Cluster(id, check)) }
}

/// A size up to which collections are held in one piece.
macro_rules! size {
    ($name:literal, $size:ident) => {
        common(
            $name,
            sizes::$size.id,
            |node| node.settings.size(sizes::$size).to_string(),
            |value| whole(value, 0, u64::from(u32::MAX)),
        )
    };
}

/// Elements of a list in one piece. Redis's negative values are bytes: 4 KiB and more, which are the bound here anyway.
const fn list_size(name: &'static str) -> Parameter {
    common(
        name,
        sizes::LIST_ELEMENTS.id,
        |node| match node.settings.size(sizes::LIST_ELEMENTS) {
            0 => "-2".to_owned(),
            elements => elements.to_string(),
        },
        |value| {
            if matches!(value, "-1" | "-2" | "-3" | "-4" | "-5") { Ok(0) } else { whole(value, 1, u64::from(u32::MAX)) }
        },
    )
}

/// Every parameter, by name.
pub(super) static PARAMETERS: &[Parameter] = &[
    constant("appendfsync", Cluster, |node| match node.settings.durability() {
        Durability::Durable => "always".into(),
        Durability::Relaxed => "everysec".into(),
    }),
    constant("appendonly", Cluster, |_| "yes".into()),
    constant("bind", Node, |node| node.identity.bind.clone()),
    constant("cluster-enabled", Cluster, |node| if node.settings.is_cluster() { "yes" } else { "no" }.into()),
    constant("databases", Cluster, |_| DATABASES.to_string()),
    constant("dir", Node, |node| node.identity.folder.display().to_string()),
    common(
        "durability",
        setting::RELAXED,
        |node| node.settings.durability().to_string(),
        |value| Ok(u64::from(value.to_ascii_lowercase().parse::<Durability>()? == Durability::Relaxed)),
    ),
    common(
        "durable-wait-ms",
        setting::DURABLE_WAIT_MS,
        |node| node.settings.durable_wait().as_millis().to_string(),
        |value| whole(value, 1, MS_MAX),
    ),
    constant("enable-debug-command", Node, |node| node.settings.debug_command().to_string()),
    size!("hash-max-listpack-entries", HASH_ENTRIES),
    size!("hash-max-listpack-value", HASH_VALUE),
    size!("hash-max-ziplist-entries", HASH_ENTRIES),
    size!("hash-max-ziplist-value", HASH_VALUE),
    size!("hll-sparse-max-bytes", HLL_SPARSE_BYTES),
    constant("io-threads", Node, |node| node.identity.threads.to_string()),
    list_size("list-max-listpack-size"),
    list_size("list-max-ziplist-size"),
    constant("masterauth", Node, |_| String::new()),
    constant("masteruser", Node, |_| String::new()),
    own(
        "maxclients",
        |node| node.settings.connections_max().to_string(),
        |value, node| {
            let asked = whole(value, 1, u64::from(u32::MAX))? as u32;
            match files::clients_possible(asked, node.identity.threads).unwrap_or(1) {
                most if most < asked => Err(format!(
                    "The operating system is not able to handle the specified number of clients, try with {most}"
                )),
                _ => Ok(Box::new(move |node| {
                    // Fewer than asked for only if the system has a lower bound than it says.
                    let clients = files::clients_with_files(asked, node.identity.threads).unwrap_or(1);
                    node.settings.set_connections_max(clients as usize);
                })),
            }
        },
    ),
    common("maxmemory", MEMORY_MAX, |node| node.settings.memory_bytes_max().to_string(), memory),
    constant("maxmemory-policy", Cluster, |_| "noeviction".into()),
    constant("notify-keyspace-events", Cluster, |_| String::new()),
    own(
        "pinned-memory-percent",
        |node| node.settings.pin_bounds().memory_percent.to_string(),
        |value, _| set_pins(whole(value, 1, 100)?, |bounds, percent| bounds.memory_percent = percent),
    ),
    own(
        "pinned-seconds-max",
        |node| node.settings.pin_bounds().age.as_secs().to_string(),
        |value, _| set_pins(whole(value, 1, 86_400)?, |bounds, seconds| bounds.age = Duration::from_secs(seconds)),
    ),
    own(
        "pinned-versions-max",
        |node| node.settings.pin_bounds().versions.to_string(),
        |value, _| set_pins(whole(value, 0, u16::MAX.into())?, |bounds, count| bounds.versions = count as usize),
    ),
    constant("port", Node, |node| node.identity.port.to_string()),
    constant("proto-max-bulk-len", Cluster, |_| RequestLimits::TRUSTED.bulk_bytes_max.to_string()),
    common(
        "relaxed-bytes-max",
        setting::RELAXED_BYTES_MAX,
        |node| node.settings.relaxed_bytes_max().to_string(),
        |value| match memory(value)? {
            bytes if bytes < RELAXED_BYTES_MIN => Err(format!("argument must be {RELAXED_BYTES_MIN} or more")),
            bytes => Ok(bytes),
        },
    ),
    common(
        "relaxed-ms-max",
        setting::RELAXED_MS_MAX,
        |node| node.settings.relaxed_time_max().as_millis().to_string(),
        |value| whole(value, 1, MS_MAX),
    ),
    constant("replica-read-only", Cluster, |_| "yes".into()),
    // A password is the node's until users are state.
    own(
        "requirepass",
        |node| node.settings.password().map_or_else(String::new, |password| password.to_string()),
        |value, _| {
            check_password(value)?;
            let password = value.to_owned();
            Ok(Box::new(move |node| node.settings.set_password(&password)))
        },
    ),
    constant("save", Cluster, |_| String::new()),
    constant("sentinel-name", Cluster, |node| node.settings.sentinel_name().to_owned()),
    size!("set-max-intset-entries", SET_INTEGERS),
    size!("set-max-listpack-entries", SET_ENTRIES),
    size!("set-max-listpack-value", SET_VALUE),
    constant("slave-read-only", Cluster, |_| "yes".into()),
    own(
        "standby",
        |node| node.settings.standby().to_string(),
        |value, _| {
            let standby = value.to_ascii_lowercase().parse::<Standby>()?;
            Ok(Box::new(move |node| node.set_standby(standby)))
        },
    ),
    own(
        "standby-read-ms-max",
        |node| node.settings.standby_read_age_max().as_millis().to_string(),
        |value, _| {
            let max = whole(value, STANDBY_READ_MS_MIN, MS_MAX)?;
            Ok(Box::new(move |node| node.settings.set_standby_read_ms_max(max)))
        },
    ),
    common(
        "stream-node-max-bytes",
        sizes::STREAM_NODE_BYTES.id,
        |node| node.settings.size(sizes::STREAM_NODE_BYTES).to_string(),
        memory,
    ),
    size!("stream-node-max-entries", STREAM_NODE_ENTRIES),
    constant("tcp-backlog", Node, |_| LISTEN_BACKLOG.to_string()),
    constant("tcp-keepalive", Node, |_| KEEPALIVE.as_secs().to_string()),
    own(
        "timeout",
        |node| node.settings.idle_time_max().unwrap_or_default().as_secs().to_string(),
        |value, _| {
            let seconds = whole(value, 0, u64::from(u32::MAX))?;
            Ok(Box::new(move |node| node.settings.set_idle_seconds_max(seconds)))
        },
    ),
    constant("unixsocket", Node, |_| String::new()),
    size!("zset-max-listpack-entries", SORTED_ENTRIES),
    size!("zset-max-listpack-value", SORTED_VALUE),
    size!("zset-max-ziplist-entries", SORTED_ENTRIES),
    size!("zset-max-ziplist-value", SORTED_VALUE),
];

/// Applies a bound of pinned versions.
fn set_pins(value: u64, change: fn(&mut PinBounds, u64)) -> Result<Apply, String> {
    Ok(Box::new(move |node| {
        let mut bounds = node.settings.pin_bounds();
        change(&mut bounds, value);
        node.settings.set_pin_bounds(bounds);
    }))
}

fn memory(value: &str) -> Result<u64, String> {
    let bytes: ByteSize = value.parse().map_err(|_| "argument must be a memory value")?;
    Ok(bytes.0)
}

fn whole(value: &str, min: u64, max: u64) -> Result<u64, String> {
    let number: u64 = value.parse().map_err(|_| "argument couldn't be parsed into an integer")?;
    if (min..=max).contains(&number) {
        Ok(number)
    } else {
        Err(format!("argument must be between {min} and {max} inclusive"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The book says of each parameter whose it is: a password that was set on one node only let nobody in after a takeover.
    #[test]
    fn the_book_lists_every_parameter_with_its_scope() {
        let book = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operations.md");
        let book = std::fs::read_to_string(book).expect("the book is there");
        for parameter in PARAMETERS {
            let scope = if parameter.scope == Cluster { "cluster" } else { "node" };
            let set = if parameter.set.is_some() { "yes" } else { "no" };
            let row = format!("| `{}` | {scope} | {set} |", parameter.name);
            assert!(book.contains(&row), "docs/operations.md has no row {row}");
        }
    }

    #[test]
    fn parameters_stand_in_order_and_once() {
        assert!(PARAMETERS.is_sorted_by(|a, b| a.name < b.name));
    }
}

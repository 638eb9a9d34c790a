//! The parameters of `CONFIG GET` and `CONFIG SET`: one declaration each.
//!
//! Those that Redis's tools ask for and that have only one possible value here are constants: they answer truthfully and cannot be
//! set. Everything else stands in the configuration too, under the same name with `_` for `-`.

use crate::config::limits::{MS_MAX, RELAXED_BYTES_MIN};
use crate::config::{ByteSize, Durability, check_password};
use crate::front::NodeContext;
use crate::front::limits::{KEEPALIVE, LISTEN_BACKLOG};
use crate::resp::RequestLimits;

/// One parameter.
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) get: fn(&NodeContext) -> String,
    pub(super) set: Option<Set>,
}

/// Checks a value and gives what applies it: nothing is applied until all values of a command are good.
pub(super) type Set = fn(&str) -> Result<Apply, String>;

/// Applies a checked value.
pub(super) type Apply = Box<dyn FnOnce(&NodeContext)>;

const fn constant(name: &'static str, get: fn(&NodeContext) -> String) -> Parameter {
    Parameter { name, get, set: None }
}

const fn variable(name: &'static str, get: fn(&NodeContext) -> String, set: Set) -> Parameter {
    Parameter { name, get, set: Some(set) }
}

/// Every parameter, by name.
pub(super) static PARAMETERS: &[Parameter] = &[
    constant("appendfsync", |node| match node.settings.durability() {
        Durability::Durable => "always".into(),
        Durability::Relaxed => "everysec".into(),
    }),
    constant("appendonly", |_| "yes".into()),
    constant("bind", |node| node.identity.bind.clone()),
    constant("cluster-enabled", |_| "no".into()),
    constant("databases", |_| "1".into()),
    constant("dir", |node| node.identity.folder.display().to_string()),
    variable(
        "durability",
        |node| node.settings.durability().to_string(),
        |value| {
            let level: Durability = value.to_ascii_lowercase().parse()?;
            Ok(Box::new(move |node| node.settings.set_durability(level)))
        },
    ),
    variable(
        "durable-wait-ms",
        |node| node.settings.durable_wait().as_millis().to_string(),
        |value| {
            let millis = whole(value, 1, MS_MAX)?;
            Ok(Box::new(move |node| node.settings.set_durable_wait_ms(millis)))
        },
    ),
    constant("io-threads", |node| node.identity.threads.to_string()),
    constant("masterauth", |_| String::new()),
    constant("masteruser", |_| String::new()),
    variable(
        "maxclients",
        |node| node.settings.connections_max().to_string(),
        |value| {
            let count = whole(value, 1, u64::from(u32::MAX))?;
            Ok(Box::new(move |node| node.settings.set_connections_max(count as usize)))
        },
    ),
    variable(
        "maxmemory",
        |node| node.settings.memory_bytes_max().to_string(),
        |value| {
            let bytes: ByteSize = value.parse().map_err(|_| "argument must be a memory value")?;
            Ok(Box::new(move |node| node.set_memory_bytes_max(bytes.0)))
        },
    ),
    constant("maxmemory-policy", |_| "noeviction".into()),
    constant("notify-keyspace-events", |_| String::new()),
    constant("port", |node| node.identity.port.to_string()),
    constant("proto-max-bulk-len", |_| RequestLimits::TRUSTED.bulk_bytes_max.to_string()),
    variable(
        "relaxed-bytes-max",
        |node| node.settings.relaxed_bytes_max().to_string(),
        |value| {
            let bytes: ByteSize = value.parse().map_err(|_| "argument must be a memory value")?;
            if bytes.0 < RELAXED_BYTES_MIN {
                return Err(format!("argument must be {RELAXED_BYTES_MIN} or more"));
            }
            Ok(Box::new(move |node| node.settings.set_relaxed_bytes_max(bytes.0)))
        },
    ),
    variable(
        "relaxed-ms-max",
        |node| node.settings.relaxed_time_max().as_millis().to_string(),
        |value| {
            let millis = whole(value, 1, MS_MAX)?;
            Ok(Box::new(move |node| node.settings.set_relaxed_ms_max(millis)))
        },
    ),
    constant("replica-read-only", |_| "yes".into()),
    variable(
        "requirepass",
        |node| node.settings.password().map_or_else(String::new, |password| password.to_string()),
        |value| {
            check_password(value)?;
            let password = value.to_owned();
            Ok(Box::new(move |node| node.settings.set_password(&password)))
        },
    ),
    constant("save", |_| String::new()),
    constant("slave-read-only", |_| "yes".into()),
    constant("tcp-backlog", |_| LISTEN_BACKLOG.to_string()),
    constant("tcp-keepalive", |_| KEEPALIVE.as_secs().to_string()),
    variable(
        "timeout",
        |node| node.settings.idle_time_max().unwrap_or_default().as_secs().to_string(),
        |value| {
            let seconds = whole(value, 0, u64::from(u32::MAX))?;
            Ok(Box::new(move |node| node.settings.set_idle_seconds_max(seconds)))
        },
    ),
    constant("unixsocket", |_| String::new()),
];

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

    #[test]
    fn parameters_stand_in_order_and_once() {
        assert!(PARAMETERS.is_sorted_by(|a, b| a.name < b.name));
    }
}

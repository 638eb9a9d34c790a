//! A node's status: the reply to `TANIST STATUS`, written by the node and read by `tanist status`.

use serde::{Deserialize, Serialize};

/// A node's own view of itself, as one JSON object. A reader takes fields that it does not know for those of a later version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeReport {
    /// The cluster's identity, 32 hexadecimal digits.
    pub cluster: String,
    /// The node's name.
    pub name: String,
    /// Its role, in one word of `docs/glossary.md`.
    pub role: String,
    /// Id of the database process.
    pub pid: u32,
    /// Where it serves the Redis protocol.
    pub resp: String,
    /// Where it serves the client library.
    pub quic: String,
    /// The newest epoch that it knows; its own if it is primary.
    pub epoch: u64,
    /// Newest record appended or applied here.
    pub applied_lsn: u64,
    /// Newest record that this node knows to be in the vault.
    pub durable_lsn: u64,
    /// Time left of its own lease by its own count, in milliseconds; 0 if it has none.
    pub lease_left_ms: u64,
    /// What keeps it from what its role asks of it, in words; empty if nothing does.
    pub trouble: String,
    /// Last takeover or switchover in which this node became primary, in words; empty if none since it started.
    pub last_takeover: String,
    /// Longest pause of a freeze since the process started, in microseconds; 0 if there was none.
    pub freeze_pause_us_max: u64,
    /// Keys in the data set.
    pub keys: u64,
    /// Bytes of the data set's pages.
    pub memory_bytes: u64,
    /// Feature level of its state; 0 before it has one.
    pub level: u16,
    /// Newest feature level that it knows.
    pub newest_level: u16,
    /// Clients that are connected.
    pub clients: u64,
    /// Since when the vault's disk has had no room, as the vault has told this node, in milliseconds since 1970; 0: it has.
    pub vault_no_room_since_unix_ms: u64,
    /// Appends that the vault has refused since then.
    pub vault_refused_appends: u64,
    /// Images that it has refused since then.
    pub vault_refused_images: u64,
    /// What the vault says is wrong with it and what to do; empty if nothing is.
    pub vault_trouble: String,
}

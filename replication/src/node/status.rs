//! A node's status, for operators.

use serde::Serialize;

use super::{ImageReport, NodeOptions, Shared};
use crate::serving::{PrimaryAddress, Role};

/// A moment of a node. Times are in microseconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NodeStatus {
    /// Its name.
    pub node: String,
    /// Number of this start of its database process.
    pub incarnation: u64,
    /// Its database process.
    pub pid: u32,
    /// The part that it plays.
    pub role: Role,
    /// The newest epoch that it knows.
    pub epoch: u64,
    /// Who is primary; `None` before the first.
    pub primary: Option<PrimaryAddress>,
    /// Feature level of its state.
    pub level: u16,
    /// Newest feature level that it knows.
    pub newest_level: u16,
    /// Time left of its own lease by its own count; 0 if it has none.
    pub lease_left_us: u64,
    /// Newest record appended or applied.
    pub last: u64,
    /// Newest record known to be in the vault.
    pub durable: u64,
    /// Bytes of records that the shipper has not taken yet.
    pub queued_bytes: u64,
    /// Keys.
    pub keys: u64,
    /// Keys with an expiry.
    pub expiring: u64,
    /// Bytes of pages that contain data.
    pub memory_bytes: u64,
    /// Its last takeover or switchover in words; empty if there was none.
    pub last_takeover: String,
    /// Versions frozen for an image by this process.
    pub freezes: u64,
    /// Pause of the last of these freezes.
    pub freeze_pause_us_last: u64,
    /// Longest pause of these freezes.
    pub freeze_pause_us_max: u64,
    /// Images that the vault has stored.
    pub images_stored: u64,
    /// Images that it has not.
    pub images_failed: u64,
    /// The newest stored image.
    pub last_image: Option<ImageReport>,
    /// Since when the vault's disk has had no room, in milliseconds since 1970; 0: it has, or this node has no connection to it.
    pub vault_no_room_since_unix_ms: u64,
    /// Frames of records that the vault has refused since then, up to a second ago.
    pub vault_refused_appends: u64,
    /// Images that it has refused since then.
    pub vault_refused_images: u64,
    /// What it has no room for and what to do, as it says; empty if nothing is wrong.
    pub vault_trouble: String,
}

pub(crate) fn of(options: &NodeOptions, shared: &Shared) -> NodeStatus {
    let (serving, engine) = (&shared.serving, &shared.engine);
    let figures = shared.figures.lock();
    let micros = |duration: std::time::Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    NodeStatus {
        node: options.node.clone(),
        incarnation: options.incarnation,
        pid: std::process::id(),
        role: serving.role(),
        epoch: serving.epoch().0,
        primary: serving.primary().as_deref().cloned(),
        level: engine.level().0,
        newest_level: engine.levels().newest.0,
        lease_left_us: micros(serving.lease_until().since(options.clock.monotonic())),
        last: engine.last().0,
        durable: serving.durable().0,
        queued_bytes: engine.redo().queued_bytes(),
        keys: engine.keys(),
        expiring: engine.expiring(),
        memory_bytes: engine.memory_bytes(),
        last_takeover: figures.last_takeover.clone(),
        freezes: figures.freezes,
        freeze_pause_us_last: micros(figures.freeze_pause_last),
        freeze_pause_us_max: micros(figures.freeze_pause_max),
        images_stored: figures.images_stored,
        images_failed: figures.images_failed,
        last_image: figures.last_image,
        vault_no_room_since_unix_ms: figures.vault_health.no_room_since_unix_ms,
        vault_refused_appends: figures.vault_health.refused_appends,
        vault_refused_images: figures.vault_health.refused_images,
        vault_trouble: figures.vault_health.why.clone(),
    }
}

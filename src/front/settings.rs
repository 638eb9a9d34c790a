//! The settings that sessions read: initialized from the configuration, changed at run time by `CONFIG SET`.
//!
//! Some become settings of the cluster once they are set: then the engine has them as replicated state, and they override the
//! node's own.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::RwLock;
use tanist_db_core::engine::{Engine, SettingId, Size};

use super::versions::PinBounds;
use crate::config;
use crate::config::{ClusterMode, DebugCommand, Durability, Standby};
use crate::telemetry::EVENT;

/// Shared by a node's sessions. Each setting is read on its own, so relaxed loads do.
#[derive(Debug)]
pub struct Settings {
    lease_ms: u64,
    relaxed: bool,
    durable_wait_ms: u64,
    relaxed_bytes_max: u64,
    relaxed_ms_max: u64,
    password: RwLock<Option<Arc<str>>>,
    connections_max: AtomicUsize,
    idle_seconds_max: AtomicU64,
    memory_bytes_max: u64,
    pinned_versions_max: AtomicUsize,
    pinned_seconds_max: AtomicU64,
    pinned_memory_percent: AtomicU64,
    debug: DebugCommand,
    /// Its place in [`STANDBY`].
    standby: AtomicUsize,
    standby_read_ms_max: AtomicU64,
    cluster: ClusterMode,
    sentinel_name: Box<str>,
    /// Has the cluster's settings, once it is there.
    engine: OnceLock<Arc<Engine>>,
}

/// In the order of their declaration.
const STANDBY: [Standby; 3] = [Standby::Forward, Standby::Refuse, Standby::Read];

/// The cluster's settings by their numbers in the engine, beside [`MEMORY_MAX`]. A number is never given a second meaning.
pub(super) mod cluster {
    use tanist_db_core::engine::SettingId;

    /// 1: replies to writes leave at once.
    pub(crate) const RELAXED: SettingId = SettingId(1);
    pub(crate) const DURABLE_WAIT_MS: SettingId = SettingId(2);
    pub(crate) const RELAXED_BYTES_MAX: SettingId = SettingId(3);
    pub(crate) const RELAXED_MS_MAX: SettingId = SettingId(4);
}

impl Settings {
    /// Settings that begin as `config` says, in a cluster with leases of this length.
    #[must_use]
    pub fn new(config: &config::Node, lease: &config::Lease) -> Settings {
        let settings = Settings {
            lease_ms: lease.lease_ms,
            relaxed: config.durability == Durability::Relaxed,
            durable_wait_ms: config.durable_wait_ms,
            relaxed_bytes_max: config.relaxed_bytes_max.0,
            relaxed_ms_max: config.relaxed_ms_max,
            password: RwLock::default(),
            connections_max: AtomicUsize::new(config.maxclients as usize),
            idle_seconds_max: AtomicU64::new(0),
            memory_bytes_max: config.maxmemory.0,
            pinned_versions_max: AtomicUsize::new(usize::from(config.pinned_versions_max)),
            pinned_seconds_max: AtomicU64::new(config.pinned_seconds_max),
            pinned_memory_percent: AtomicU64::new(config.pinned_memory_percent.into()),
            debug: config.enable_debug_command,
            standby: AtomicUsize::new(config.standby as usize),
            standby_read_ms_max: AtomicU64::new(config.standby_read_ms_max),
            cluster: config.cluster_mode,
            sentinel_name: config.sentinel_name.as_str().into(),
            engine: OnceLock::new(),
        };
        settings.set_password(&config.requirepass.0);
        settings
    }

    /// Who may use DEBUG; fixed at the start.
    #[must_use]
    pub fn debug_command(&self) -> DebugCommand {
        self.debug
    }

    /// What this node does with commands on data while it is a standby.
    #[must_use]
    pub fn standby(&self) -> Standby {
        STANDBY[self.standby.load(Ordering::Relaxed)]
    }

    /// Sets [`standby`](Self::standby). The vault is asked for what reading takes by who calls this.
    pub(super) fn set_standby(&self, standby: Standby) {
        self.standby.store(standby as usize, Ordering::Relaxed);
    }

    /// How old the data may be that a standby reads.
    #[must_use]
    pub fn standby_read_age_max(&self) -> Duration {
        Duration::from_millis(self.standby_read_ms_max.load(Ordering::Relaxed))
    }

    /// Sets [`standby_read_age_max`](Self::standby_read_age_max), in milliseconds.
    pub fn set_standby_read_ms_max(&self, max: u64) {
        self.standby_read_ms_max.store(max, Ordering::Relaxed);
    }

    /// Whether clients find a cluster; fixed at the start.
    #[must_use]
    pub fn is_cluster(&self) -> bool {
        self.cluster == ClusterMode::Single
    }

    /// What clients that ask a Sentinel call the primary; fixed at the start.
    #[must_use]
    pub fn sentinel_name(&self) -> &str {
        &self.sentinel_name
    }

    /// From now on the cluster's settings are those of `engine`.
    pub(super) fn adopt(&self, engine: &Arc<Engine>) {
        engine.set_memory_max(self.memory_bytes_max);
        // A process has one engine for its life.
        let _ = self.engine.set(Arc::clone(engine));
        if let Err(why) = self.waits_after(&[]) {
            tracing::warn!(
                target: EVENT,
                "what CONFIG SET has set for the cluster does not fit the configuration of this node: {why}"
            );
        }
    }

    fn common(&self, id: SettingId) -> Option<u64> {
        self.engine.get().and_then(|engine| engine.setting(id))
    }

    /// A size up to which collections are held in one piece.
    #[must_use]
    pub(super) fn size(&self, size: Size) -> u64 {
        self.common(size.id).unwrap_or(size.default)
    }

    /// When a write's reply may leave.
    #[must_use]
    pub fn durability(&self) -> Durability {
        let relaxed = self.common(cluster::RELAXED).map_or(self.relaxed, |relaxed| relaxed == 1);
        if relaxed { Durability::Relaxed } else { Durability::Durable }
    }

    /// How long a write waits for the vault, and a command for permission to execute.
    #[must_use]
    pub fn durable_wait(&self) -> Duration {
        Duration::from_millis(self.common(cluster::DURABLE_WAIT_MS).unwrap_or(self.durable_wait_ms))
    }

    /// At level relaxed: most bytes of requests whose effects the vault may not have.
    #[must_use]
    pub fn relaxed_bytes_max(&self) -> u64 {
        self.common(cluster::RELAXED_BYTES_MAX).unwrap_or(self.relaxed_bytes_max)
    }

    /// At level relaxed: longest time for which the vault may not have an effect.
    #[must_use]
    pub fn relaxed_time_max(&self) -> Duration {
        Duration::from_millis(self.common(cluster::RELAXED_MS_MAX).unwrap_or(self.relaxed_ms_max))
    }

    /// Whether the times that depend on each other fit together once `changes` are made, if any of them is one; `None` is the node's
    /// own value.
    pub(super) fn check_waits(&self, changes: &[(SettingId, Option<u64>)]) -> Result<(), String> {
        let waits = [cluster::DURABLE_WAIT_MS, cluster::RELAXED_MS_MAX];
        if changes.iter().any(|(id, _)| waits.contains(id)) { self.waits_after(changes) } else { Ok(()) }
    }

    fn waits_after(&self, changes: &[(SettingId, Option<u64>)]) -> Result<(), String> {
        let then = |id, own| {
            let change = changes.iter().find(|(changed, _)| *changed == id);
            change.map_or_else(|| self.common(id), |(_, value)| *value).unwrap_or(own)
        };
        let wait = then(cluster::DURABLE_WAIT_MS, self.durable_wait_ms);
        config::check_waits(self.lease_ms, wait, then(cluster::RELAXED_MS_MAX, self.relaxed_ms_max))
    }

    /// Password that clients must give.
    #[must_use]
    pub fn password(&self) -> Option<Arc<str>> {
        self.password.read().clone()
    }

    /// Sets the password for connections to come; an empty one asks for none.
    pub fn set_password(&self, password: &str) {
        *self.password.write() = (!password.is_empty()).then(|| Arc::from(password));
    }

    /// Most connections at one time.
    #[must_use]
    pub fn connections_max(&self) -> usize {
        self.connections_max.load(Ordering::Relaxed)
    }

    /// Sets [`connections_max`](Self::connections_max) for connections to come.
    pub fn set_connections_max(&self, connections: usize) {
        self.connections_max.store(connections, Ordering::Relaxed);
    }

    /// Idle connections are cut after so long; `None`: never, as at the start.
    #[must_use]
    pub fn idle_time_max(&self) -> Option<Duration> {
        let seconds = self.idle_seconds_max.load(Ordering::Relaxed);
        (seconds > 0).then(|| Duration::from_secs(seconds))
    }

    /// Sets [`idle_time_max`](Self::idle_time_max); 0: never.
    pub fn set_idle_seconds_max(&self, seconds: u64) {
        self.idle_seconds_max.store(seconds, Ordering::Relaxed);
    }

    /// How much pinned versions may be and take.
    #[must_use]
    pub fn pin_bounds(&self) -> PinBounds {
        PinBounds {
            versions: self.pinned_versions_max.load(Ordering::Relaxed),
            age: Duration::from_secs(self.pinned_seconds_max.load(Ordering::Relaxed)),
            memory_percent: self.pinned_memory_percent.load(Ordering::Relaxed),
        }
    }

    /// Changes [`pin_bounds`](Self::pin_bounds).
    pub fn set_pin_bounds(&self, bounds: PinBounds) {
        self.pinned_versions_max.store(bounds.versions, Ordering::Relaxed);
        self.pinned_seconds_max.store(bounds.age.as_secs(), Ordering::Relaxed);
        self.pinned_memory_percent.store(bounds.memory_percent, Ordering::Relaxed);
    }

    /// Most bytes of data, 0 for no bound.
    #[must_use]
    pub fn memory_bytes_max(&self) -> u64 {
        self.engine.get().map_or(self.memory_bytes_max, |engine| engine.memory_max())
    }
}

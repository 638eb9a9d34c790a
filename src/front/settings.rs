//! The settings that sessions read: they begin as the configuration says and may change while the node runs (`CONFIG SET`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::RwLock;

use crate::config;
use crate::config::{DebugCommand, Durability};

/// Shared by a node's sessions. Each setting is read on its own, so relaxed loads do.
#[derive(Debug)]
pub struct Settings {
    relaxed: AtomicBool,
    durable_wait_ms: AtomicU64,
    relaxed_bytes_max: AtomicU64,
    relaxed_ms_max: AtomicU64,
    password: RwLock<Option<Arc<str>>>,
    connections_max: AtomicUsize,
    idle_seconds_max: AtomicU64,
    memory_bytes_max: AtomicU64,
    debug: DebugCommand,
}

impl Settings {
    /// Settings that begin as `config` says.
    #[must_use]
    pub fn new(config: &config::Node) -> Settings {
        let settings = Settings {
            relaxed: AtomicBool::new(config.durability == Durability::Relaxed),
            durable_wait_ms: AtomicU64::new(config.durable_wait_ms),
            relaxed_bytes_max: AtomicU64::new(config.relaxed_bytes_max.0),
            relaxed_ms_max: AtomicU64::new(config.relaxed_ms_max),
            password: RwLock::default(),
            connections_max: AtomicUsize::new(config.maxclients as usize),
            idle_seconds_max: AtomicU64::new(0),
            memory_bytes_max: AtomicU64::new(config.maxmemory.0),
            debug: config.enable_debug_command,
        };
        settings.set_password(&config.requirepass.0);
        settings
    }

    /// Who may use DEBUG; fixed at the start.
    #[must_use]
    pub fn debug_command(&self) -> DebugCommand {
        self.debug
    }

    /// When a write's reply may leave.
    #[must_use]
    pub fn durability(&self) -> Durability {
        if self.relaxed.load(Ordering::Relaxed) { Durability::Relaxed } else { Durability::Durable }
    }

    /// Sets [`durability`](Self::durability) for commands to come.
    pub fn set_durability(&self, level: Durability) {
        self.relaxed.store(level == Durability::Relaxed, Ordering::Relaxed);
    }

    /// How long a write waits for the vault, and a command for permission to execute.
    #[must_use]
    pub fn durable_wait(&self) -> Duration {
        Duration::from_millis(self.durable_wait_ms.load(Ordering::Relaxed))
    }

    /// Sets [`durable_wait`](Self::durable_wait) for commands to come.
    pub fn set_durable_wait_ms(&self, millis: u64) {
        self.durable_wait_ms.store(millis, Ordering::Relaxed);
    }

    /// At level relaxed: most bytes of requests whose effects the vault may not have.
    #[must_use]
    pub fn relaxed_bytes_max(&self) -> u64 {
        self.relaxed_bytes_max.load(Ordering::Relaxed)
    }

    /// Sets [`relaxed_bytes_max`](Self::relaxed_bytes_max).
    pub fn set_relaxed_bytes_max(&self, bytes: u64) {
        self.relaxed_bytes_max.store(bytes, Ordering::Relaxed);
    }

    /// At level relaxed: longest time for which the vault may not have an effect.
    #[must_use]
    pub fn relaxed_time_max(&self) -> Duration {
        Duration::from_millis(self.relaxed_ms_max.load(Ordering::Relaxed))
    }

    /// Sets [`relaxed_time_max`](Self::relaxed_time_max).
    pub fn set_relaxed_ms_max(&self, millis: u64) {
        self.relaxed_ms_max.store(millis, Ordering::Relaxed);
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

    /// Most bytes of data, 0 for no bound.
    #[must_use]
    pub fn memory_bytes_max(&self) -> u64 {
        self.memory_bytes_max.load(Ordering::Relaxed)
    }

    /// Notes the bound; [`NodeContext::set_memory_bytes_max`](super::NodeContext::set_memory_bytes_max) applies it.
    pub(super) fn note_memory_bytes_max(&self, bytes: u64) {
        self.memory_bytes_max.store(bytes, Ordering::Relaxed);
    }
}

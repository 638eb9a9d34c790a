//! State shared by all sessions of a node.

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use futures_util::future::BoxFuture;
use tanist_db_core::clock::{Clock, UnixMillis};
use tanist_db_core::engine::Engine;
use tanist_db_core::ids::Lsn;
use tanist_replication::serving::{PrimaryAddress, Serving};
use tanist_replication::{ImageFigures, LoadProgress, VaultLink};
use tokio::sync::Semaphore;

use super::forward::PrimaryReach;
use super::health::HealthSigns;
use super::limits::{LARGE_REPLIES_MAX, LONG_COMMANDS_MAX};
use super::registry::Registry;
use super::risk::Risk;
use super::settings::Settings;
use super::versions::Pins;
use crate::config::{Durability, Standby};

/// What the front asks of the machinery behind it; the node's wiring answers.
pub trait Admin: Send + Sync {
    /// The state of node and cluster as one JSON object (`TANIST STATUS`).
    fn status(&self) -> String;

    /// Hands leadership over to `to`, or to the other node if none is named. `Ok` is a sentence for people.
    ///
    /// # Errors
    /// A sentence that says why nothing changed.
    fn switchover(&self, to: Option<String>) -> BoxFuture<'static, Result<String, String>>;

    /// Position and hash of all the node's data (`TANIST DIGEST`): equal on two nodes with the same data.
    fn digest(&self) -> BoxFuture<'static, Result<String, String>>;

    /// What is wrong with the vault by its own word, for people; empty if nothing is.
    fn vault_trouble(&self) -> String {
        String::new()
    }

    /// The standbys that have told how they stand, for `ROLE` and `INFO`; empty on a standby.
    fn standbys(&self) -> Vec<StandbyState>;

    /// Whether this node hears of the vault; `None` before it takes part.
    fn vault(&self) -> Option<VaultLink>;

    /// How images stand.
    fn images(&self) -> ImageFigures;

    /// Makes an image of all that there is now; ends when the vault has published it.
    ///
    /// # Errors
    /// A sentence that says why there is none.
    fn save(&self) -> BoxFuture<'static, Result<(), String>>;

    /// Begins to make an image. Returns whether that could be asked for.
    fn begin_save(&self) -> bool;
}

/// A standby as its primary knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandbyState {
    /// Where it serves the Redis protocol, `host:port`.
    pub resp: String,
    /// Newest record that it has applied.
    pub applied: Lsn,
}

/// Who this node is, for `INFO` and `CONFIG GET`.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The node's name.
    pub node: String,
    /// The cluster's number as 32 hexadecimal digits: `master_replid`.
    pub cluster: String,
    /// Number of this start of the process.
    pub incarnation: u64,
    /// Where each node of the cluster serves when it is the primary, this one too.
    pub members: Vec<Arc<PrimaryAddress>>,
    /// Address on which the node listens.
    pub bind: String,
    /// Its port.
    pub port: u16,
    /// Its data folder.
    pub folder: PathBuf,
    /// Threads that execute commands.
    pub threads: usize,
    /// When the process was started.
    pub started: UnixMillis,
}

impl Identity {
    /// The id of the node `name` for clients of Sentinel and of Redis Cluster: 40 hexadecimal digits, the same at every node and for good.
    #[must_use]
    pub fn node_id(&self, name: &str) -> String {
        format!("{}{:08x}", self.cluster, crc32c::crc32c(name.as_bytes()))
    }

    /// Where this node serves when it is the primary.
    #[must_use]
    pub fn own(&self) -> Option<&Arc<PrimaryAddress>> {
        self.members.iter().find(|member| member.node == self.node)
    }
}

/// Counters for `INFO`. They order nothing: relaxed all of them.
#[derive(Debug, Default)]
pub struct Stats {
    /// Commands executed or answered.
    pub commands: AtomicU64,
    /// Bytes of requests received.
    pub input_bytes: AtomicU64,
    /// Bytes of replies sent.
    pub output_bytes: AtomicU64,
    /// Replies replaced because the vault did not confirm in time.
    pub not_durable: AtomicU64,
    /// Commands that were refused unexecuted because the node did not get permission in time.
    pub not_executed: AtomicU64,
    /// Reads that this node has executed while it was a standby.
    pub standby_reads: AtomicU64,
    /// Protocol errors.
    pub protocol_errors: AtomicU64,
    /// The position after the durable one when a reply was last replaced; 0: none was.
    unconfirmed_at: AtomicU64,
}

impl Stats {
    pub(super) fn add(counter: &AtomicU64, by: u64) {
        if by > 0 {
            counter.fetch_add(by, Ordering::Relaxed);
        }
    }

    /// So many replies were replaced, the vault having everything up to `durable`.
    pub(super) fn note_not_durable(&self, replies: u64, durable: Lsn) {
        Stats::add(&self.not_durable, replies);
        if replies > 0 {
            self.unconfirmed_at.store(durable.next().0, Ordering::Relaxed);
        }
    }

    /// Whether a reply was replaced and the vault, which has everything up to `durable`, has confirmed nothing since.
    pub(super) fn is_unconfirmed(&self, durable: Lsn) -> bool {
        durable.0 < self.unconfirmed_at.load(Ordering::Relaxed)
    }

    pub(super) fn read(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }
}

/// What all sessions of a node share. Made once; the engine arrives later, when an image has been loaded.
pub struct NodeContext {
    engine: OnceLock<Arc<Engine>>,
    admin: OnceLock<Arc<dyn Admin>>,
    /// The node's role, and what is durable.
    pub serving: Arc<Serving>,
    /// Both times.
    pub clock: Arc<dyn Clock>,
    /// What can be changed while the node runs.
    pub settings: Settings,
    /// Who is connected.
    pub registry: Arc<Registry>,
    /// Counters.
    pub stats: Stats,
    /// Who this node is.
    pub identity: Identity,
    /// How far the loading of the data has come.
    pub loading: LoadProgress,
    /// Whether what this node forwards reaches the primary.
    pub(super) primary_reach: PrimaryReach,
    pub(super) risk: Risk,
    pub(super) pins: Pins,
    /// Places for commands that take long, each on a thread of its own.
    pub(super) long_places: Arc<Semaphore>,
    /// The same for large replies.
    pub(super) large_places: Arc<Semaphore>,
}

impl NodeContext {
    /// A node without data: commands that need some are answered with `-LOADING`.
    #[must_use]
    pub fn new(
        serving: Arc<Serving>,
        clock: Arc<dyn Clock>,
        settings: Settings,
        identity: Identity,
    ) -> Arc<NodeContext> {
        serving.freshness().want(settings.standby() == Standby::Read);
        Arc::new(NodeContext {
            engine: OnceLock::new(),
            admin: OnceLock::new(),
            serving,
            clock,
            settings,
            registry: Arc::default(),
            stats: Stats::default(),
            identity,
            loading: LoadProgress::default(),
            primary_reach: PrimaryReach::default(),
            risk: Risk::default(),
            pins: Pins::default(),
            long_places: Arc::new(Semaphore::new(LONG_COMMANDS_MAX)),
            large_places: Arc::new(Semaphore::new(LARGE_REPLIES_MAX)),
        })
    }

    /// The engine, once there is one.
    #[must_use]
    pub fn engine(&self) -> Option<&Arc<Engine>> {
        self.engine.get()
    }

    /// The data is there: the process keeps this engine for its life.
    ///
    /// # Panics
    /// If called twice.
    pub fn install_engine(&self, engine: Arc<Engine>) {
        self.settings.adopt(&engine);
        assert!(self.engine.set(engine).is_ok(), "a process has one engine for its life");
    }

    /// Whether a client of the Redis protocol can write here: what it is told when it asks for the node's role. A standby that forwards is
    /// as good as a primary to it, and a primary that cannot serve is none.
    #[must_use]
    pub fn takes_writes(&self) -> bool {
        HealthSigns::of(self).takes_writes()
    }

    /// When replies to writes may leave. That they may leave at once counts only once the record that says so is durable: a
    /// takeover before that would make lost writes of what was promised.
    #[must_use]
    pub fn durability(&self) -> Durability {
        let settled = self.engine().is_none_or(|engine| engine.settings_changed_at() <= self.serving.durable());
        if settled { self.settings.durability() } else { Durability::Durable }
    }

    /// Names who answers `TANIST ...`.
    ///
    /// # Panics
    /// If called twice.
    pub fn install_admin(&self, admin: Arc<dyn Admin>) {
        assert!(self.admin.set(admin).is_ok(), "a process is wired once");
    }

    pub(super) fn admin(&self) -> Option<&Arc<dyn Admin>> {
        self.admin.get()
    }
}

impl fmt::Debug for NodeContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeContext")
            .field("identity", &self.identity)
            .field("engine", &self.engine)
            .finish_non_exhaustive()
    }
}

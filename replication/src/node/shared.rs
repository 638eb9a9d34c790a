//! What a node's actors share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tanist_db_core::clock::Monotonic;
use tanist_db_core::engine::Engine;
use tanist_db_core::ids::ShardId;
use tanist_db_core::image::FrozenVersion;

use super::{ImageReport, NodeOptions};
use crate::serving::Serving;
use crate::stream::Carrying;
use crate::wire::message::{FollowerView, HealthView, Hello, PROTOCOL_VERSION, Peer};

/// Everything that outlives a connection.
pub(crate) struct Shared {
    pub(crate) options: NodeOptions,
    pub(crate) engine: Arc<Engine>,
    pub(crate) serving: Arc<Serving>,
    pub(crate) figures: Mutex<Figures>,
    /// Bytes of log frames since the newest cut that this node has made or applied.
    log_bytes: AtomicU64,
}

/// Figures for people.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    /// In words; empty if there was none.
    pub(crate) last_takeover: String,
    pub(crate) freezes: u64,
    pub(crate) freeze_pause_last: Duration,
    pub(crate) freeze_pause_max: Duration,
    pub(crate) images_stored: u64,
    pub(crate) images_failed: u64,
    /// The newest attempt to store an image was one of them.
    pub(crate) image_failed: bool,
    pub(crate) last_image: Option<ImageReport>,
    /// The other nodes, as the vault last showed them; none while there is no word of it.
    pub(crate) others: Vec<FollowerView>,
    pub(crate) vault: VaultLink,
    /// What is wrong with the vault, as it last said.
    pub(crate) vault_health: HealthView,
}

/// A node's connection to the vault.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VaultLink {
    /// The vault has greeted, and answers.
    pub up: bool,
    /// Since when it is up, or down.
    pub since: Monotonic,
}

impl Figures {
    /// There is word of the vault from `now` on, or no more.
    pub(crate) fn vault_is(&mut self, up: bool, now: Monotonic) {
        self.vault = VaultLink { up, since: now };
        if !up {
            self.others.clear();
        }
    }

    pub(crate) fn froze(&mut self, pause: Duration) {
        self.freezes += 1;
        self.freeze_pause_last = pause;
        self.freeze_pause_max = self.freeze_pause_max.max(pause);
    }
}

impl Shared {
    pub(crate) fn new(options: NodeOptions, engine: Arc<Engine>, serving: Arc<Serving>) -> Shared {
        Shared { options, engine, serving, figures: Mutex::default(), log_bytes: AtomicU64::new(0) }
    }

    /// Fixes a version for an image, and notes how long commands waited for it.
    ///
    /// # Errors
    /// With a shard that a long command holds: nothing is frozen.
    pub(crate) fn try_freeze(&self) -> Result<FrozenVersion, ShardId> {
        let NodeOptions { clock, image_memory_percent, .. } = &self.options;
        let (version, pause) = Carrying::try_freeze(&self.engine, &**clock, *image_memory_percent)?;
        self.note_cut();
        self.figures.lock().froze(pause);
        tracing::info!("frozen at record {} in {} us; the image is on its way", version.cut(), pause.as_micros());
        Ok(version)
    }

    /// The first message of each connection.
    pub(crate) fn hello(&self) -> Hello {
        hello(&self.options)
    }

    pub(crate) fn note_log_bytes(&self, bytes: usize) {
        // Relaxed here and below: an estimate that decides when to freeze.
        self.log_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// A cut: what is shipped or applied from now on counts towards the next image.
    pub(crate) fn note_cut(&self) {
        self.log_bytes.store(0, Ordering::Relaxed);
    }

    pub(crate) fn log_bytes_since_cut(&self) -> u64 {
        self.log_bytes.load(Ordering::Relaxed)
    }
}

pub(crate) fn hello(options: &NodeOptions) -> Hello {
    Hello {
        version: PROTOCOL_VERSION,
        cluster: options.credentials.cluster(),
        peer: Peer::Database,
        node: options.node.clone(),
        incarnation: options.incarnation,
        pid: std::process::id(),
        resp_address: options.resp_address.clone(),
        quic_address: options.quic_address.clone(),
    }
}

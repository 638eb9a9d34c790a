//! State shared by the parts of a node, each of which may run on a thread of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tanist_db_core::clock::Monotonic;
use tanist_db_core::engine::Engine;
use tanist_db_core::level::Level;

use super::ImageReport;
use crate::serving::Serving;
use crate::wire::message::{FollowerView, HealthView, Progress};

/// Everything that outlives a connection.
#[derive(Debug)]
pub struct Shared {
    /// The process's engine.
    pub engine: Arc<Engine>,
    /// What sessions ask.
    pub serving: Arc<Serving>,
    pub(crate) figures: Mutex<Figures>,
    /// The cluster's feature level, as the vault last said; 0 before it has.
    level: AtomicU16,
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
    /// Since when an image is on its way.
    pub(crate) image_since: Option<Monotonic>,
    /// When the vault has published its newest image, as far as this node knows, in milliseconds since 1970; 0: there is none.
    pub(crate) image_stored_unix_ms: u64,
    /// The other nodes, as the vault last showed them; none while there is no word of it.
    pub(crate) others: Vec<FollowerView>,
    pub(crate) vault: VaultLink,
    /// What is wrong with the vault, as it last said.
    pub(crate) vault_health: HealthView,
}

/// How images stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImageFigures {
    /// Since when one is on its way.
    pub since: Option<Monotonic>,
    /// The newest attempt to store one has failed.
    pub failed: bool,
    /// When the vault has published its newest one, as far as this node knows, in milliseconds since 1970; 0: there is none.
    pub stored_unix_ms: u64,
    /// Those that this process has stored.
    pub stored: u64,
    /// The newest of them.
    pub last: Option<ImageReport>,
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

    /// How images stand.
    pub(crate) fn images(&self) -> ImageFigures {
        ImageFigures {
            since: self.image_since,
            failed: self.image_failed,
            stored_unix_ms: self.image_stored_unix_ms,
            stored: self.images_stored,
            last: self.last_image,
        }
    }

    pub(crate) fn froze(&mut self, pause: Duration) {
        self.freezes += 1;
        self.freeze_pause_last = pause;
        self.freeze_pause_max = self.freeze_pause_max.max(pause);
    }
}

impl Shared {
    /// What a process begins with that has loaded `engine`; nobody else writes `serving`.
    #[must_use]
    pub fn new(engine: Arc<Engine>, serving: Arc<Serving>) -> Arc<Shared> {
        let (level, log_bytes) = (AtomicU16::new(0), AtomicU64::new(0));
        Arc::new(Shared { engine, serving, figures: Mutex::default(), level, log_bytes })
    }

    /// How this node stands, for the vault.
    pub(crate) fn progress(&self) -> Progress {
        Progress {
            role: self.serving.role().word().to_owned(),
            applied: self.engine.last().0,
            durable: self.serving.durable().0,
            epoch: self.serving.epoch().0,
            last_takeover: self.figures.lock().last_takeover.clone(),
        }
    }

    /// The vault has said which feature level the cluster has. It only rises: an old word changes nothing.
    pub(crate) fn learn_level(&self, level: Level) {
        // Relaxed here and below: no more is concluded from it than that the vault has said so.
        self.level.fetch_max(level.0, Ordering::Relaxed);
    }

    /// The cluster's feature level as the vault last said.
    pub(crate) fn level(&self) -> Level {
        Level(self.level.load(Ordering::Relaxed))
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

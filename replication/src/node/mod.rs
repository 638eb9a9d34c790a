//! What a node does, and in which order: state machines without I/O, driven by the actors of a process or by the simulator.
//!
//! [`Driver`] carries out what the role machine decides, and gives orders to the others: [`Shipper`], [`Following`],
//! [`ImageUpload`] and [`Upkeep`]. [`ImageDownload`] runs before all of them. State that they share, and that other threads read
//! directly, is in [`Shared`].

mod driver;
mod following;
mod image;
mod image_download;
mod image_upload;
mod paced;
mod plan;
mod progress;
mod shared;
mod shipper;
pub(crate) mod status;
mod upkeep;

use std::sync::Arc;
use std::time::Duration;

use tanist_db_core::clock::Clock;
use tanist_db_core::engine::EngineOptions;
use tanist_db_core::level::Levels;
use thiserror::Error;

use crate::transport::address::HostPort;
use crate::transport::tls::Credentials;
use crate::wire::message::{Hello, Peer};

pub use driver::{Action, CallOutcome, Driver, DriverEvent, Note, OwnRecord, Performed, SiblingOrder, Timer};
pub use following::{Following, Taken};
pub use image::ImageLoad;
pub use image_download::{DownloadError, ImageDownload};
pub use image_upload::{ImageReport, ImageUpload, NotFrozen, Uploaded};
pub use paced::{Due, Paced};
pub use plan::ImagePlan;
pub use progress::LoadProgress;
pub use shared::{ImageFigures, Shared, VaultLink};
pub use shipper::{Shipped, Shipper};
pub use status::NodeStatus;
pub use upkeep::Upkeep;

/// What a node must know to take part.
#[derive(Clone, Debug)]
pub struct NodeOptions {
    /// Its name, as in its certificate.
    pub node: String,
    /// Number of this start of its database process, chosen by its supervisor.
    pub incarnation: u64,
    /// Its certificate, which also names the cluster.
    pub credentials: Arc<Credentials>,
    /// Where the vault is dialled.
    pub vault: HostPort,
    /// Where this node serves the Redis protocol, as clients shall dial it.
    pub resp_address: String,
    /// Where this node serves the client library, as clients shall dial it.
    pub quic_address: String,
    /// Number of shards, the same on all nodes of a cluster for its life.
    pub shards: u16,
    /// Seed of the hash of keys, the same on all nodes of a cluster for its life.
    pub hash_seed: u64,
    /// Bytes of pages above which commands that need memory fail; 0: no bound.
    pub memory_bytes_max: u64,
    /// Time between renewals of the lease.
    pub renew_every: Duration,
    /// Longest time between two images, if anything was written.
    pub image_interval: Duration,
    /// Bytes of log after which an image is taken, if they are as many as the data have.
    pub image_log_bytes: u64,
    /// Memory that pages kept for an image alone may take before writes wait, in percent of the data.
    pub image_memory_percent: u16,
    /// The process's clock: the one by which sessions ask [`Serving`](crate::serving::Serving).
    pub clock: Arc<dyn Clock>,
}

impl NodeOptions {
    /// What the process's engine starts with.
    pub(crate) fn engine(&self) -> EngineOptions {
        let NodeOptions { shards, memory_bytes_max, hash_seed, .. } = *self;
        EngineOptions { shards, memory_bytes_max, hash_seed, levels: Levels::OWN }
    }

    /// The first message of each connection to the vault.
    pub(crate) fn hello(&self) -> Hello {
        Hello {
            levels: Levels::OWN,
            cluster: self.credentials.cluster(),
            peer: Peer::Database,
            node: self.node.clone(),
            incarnation: self.incarnation,
            pid: std::process::id(),
            resp_address: self.resp_address.clone(),
            quic_address: self.quic_address.clone(),
        }
    }
}

/// Why a node could not start.
#[derive(Debug, Error)]
pub enum NodeError {
    /// The vault refuses this process: a person must change something first.
    #[error("{0}")]
    Refused(String),
    /// The newest image cannot be used; nothing of it was.
    #[error("{0}")]
    Image(String),
    /// The machine refuses a socket or a thread.
    #[error("{0}")]
    Machine(String),
}

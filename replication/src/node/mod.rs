//! A node's side of replication, from start to end.
//!
//! ```text
//!   join    reach the vault, load the newest image, make the engine          -> Joined
//!   start   role driver, shipper, follower, transfer and upkeep around that engine   -> NodeHandle
//! ```
//!
//! What they do, in which order, is plain code that the simulator drives too: [`Driver`] and what it gives orders to.
//!
//! Between the two the caller has the engine and nothing is served. After [`start`] sessions ask [`NodeHandle::serving`]; the
//! caller waits for [`NodeHandle::ended`] and ends the process as it says. Threads: `tanist-driver` (connection, role driver,
//! shipper), `tanist-follower`, `tanist-transfer`, `tanist-upkeep`.

mod driver;
mod image;
mod image_download;
mod image_upload;
mod join;
mod plan;
mod progress;
mod reports;
mod shared;
mod shipper;
mod status;
mod upkeep;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use actix::Addr;
use tanist_db_core::clock::Clock;
use tanist_db_core::engine::{Engine, EngineOptions};
use thiserror::Error;
use tokio::sync::watch;

use crate::actors::role_driver::{RoleDriver, Stop, SwitchOver};
use crate::actors::thread::on_thread;
use crate::lease::LeaseTimes;
use crate::role::{End, Identity, Machine, SwitchoverReport};
use crate::serving::Serving;
use crate::transport::address::HostPort;
use crate::transport::tls::Credentials;
use crate::wire::message::{FollowerView, Hello, PROTOCOL_VERSION, Peer};

pub use driver::{Action, Append, CallOutcome, Driver, DriverEvent, Note, Order, Timer};
pub use image::ImageLoad;
pub use image_download::{DownloadError, ImageDownload};
pub use image_upload::{ImageReport, ImageUpload, NotFrozen, Uploaded};
pub use join::{Joined, join};
pub use plan::ImagePlan;
pub use progress::LoadProgress;
pub use reports::{ReportDue, Reports};
pub use shared::{Shared, VaultLink};
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
    /// The process's clock: the one by which sessions ask [`Serving`].
    pub clock: Arc<dyn Clock>,
}

impl NodeOptions {
    /// What the process's engine starts with.
    fn engine(&self) -> EngineOptions {
        let NodeOptions { shards, memory_bytes_max, hash_seed, .. } = *self;
        EngineOptions { shards, memory_bytes_max, hash_seed }
    }

    /// The first message of each connection to the vault.
    pub(crate) fn hello(&self) -> Hello {
        Hello {
            version: PROTOCOL_VERSION,
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

/// A node that takes part; clones speak for the same.
#[derive(Clone)]
pub struct NodeHandle {
    options: Arc<NodeOptions>,
    shared: Arc<Shared>,
    role_driver: Addr<RoleDriver>,
    ended: watch::Receiver<Option<End>>,
}

/// Takes part with the state that [`join`] has loaded; sessions ask `serving`, which nobody else writes.
///
/// # Errors
/// If the machine gives no thread or socket.
pub fn start(joined: Joined, options: NodeOptions, serving: Arc<Serving>) -> Result<NodeHandle, NodeError> {
    let Joined { engine, lease } = joined;
    let me = Identity {
        node: options.node.clone(),
        incarnation: options.incarnation,
        resp_address: options.resp_address.clone(),
        quic_address: options.quic_address.clone(),
    };
    let times = LeaseTimes { length: lease, renew_every: options.renew_every.min(lease / 4) };
    let machine = Machine::new(me, times, engine.last());
    let (options, shared) = (Arc::new(options), Shared::new(engine, serving));
    let plan = ImagePlan::new(options.image_interval, options.image_log_bytes);
    let driver = Driver::new(Arc::clone(&shared), machine, plan);
    let (tell_end, ended) = watch::channel(None);
    let for_thread = (Arc::clone(&options), Arc::clone(&shared));
    let role_driver =
        on_thread("tanist-driver", move |life| Ok(RoleDriver::new(for_thread.0, for_thread.1, driver, tell_end, life)));
    Ok(NodeHandle { options, shared, role_driver: role_driver.map_err(NodeError::Machine)?, ended })
}

impl NodeHandle {
    /// The process's engine.
    #[must_use]
    pub fn engine(&self) -> &Arc<Engine> {
        &self.shared.engine
    }

    /// Hands the office to `to`, or to the best follower: a pause that clients do not notice.
    ///
    /// # Errors
    /// A sentence that says why not. If it says that the lease has not moved, nothing has changed.
    pub async fn request_switchover(&self, to: Option<String>) -> Result<SwitchoverReport, String> {
        self.role_driver.send(SwitchOver { to }).await.unwrap_or_else(|_| Err("the node is ending".to_owned()))
    }

    /// Ends in good order: a primary executes nothing more, drains, and gives its lease up. Returns when that is done or has
    /// taken too long; then replies that became durable have been released to their sessions.
    pub async fn shutdown(&self) {
        // An error means that the role driver has ended already.
        let _ = self.role_driver.send(Stop).await;
        self.ended().await;
    }

    /// Waits until the node takes part no more, and says how the process must end.
    pub async fn ended(&self) -> End {
        let mut ended = self.ended.clone();
        match ended.wait_for(Option::is_some).await.map(|end| end.clone()) {
            Ok(Some(end)) => end,
            _ => End::Failed("the role driver has ended without a word".to_owned()),
        }
    }

    /// The other nodes as they last told the vault, as long as this node hears of them.
    #[must_use]
    pub fn standbys(&self) -> Vec<FollowerView> {
        self.shared.figures.lock().others.clone()
    }

    /// Whether this node hears of the vault.
    #[must_use]
    pub fn vault(&self) -> VaultLink {
        self.shared.figures.lock().vault
    }

    /// Whether the newest attempt to store an image has failed.
    #[must_use]
    pub fn image_failed(&self) -> bool {
        self.shared.figures.lock().image_failed
    }

    /// How the node stands.
    #[must_use]
    pub fn status(&self) -> NodeStatus {
        status::of(&self.options, &self.shared)
    }
}

impl std::fmt::Debug for NodeHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NodeHandle").field("node", &self.options.node).finish_non_exhaustive()
    }
}

//! A node in its process, from start to end.
//!
//! ```text
//!   join    reach the vault, load the newest image, make the engine          -> Joined
//!   start   role driver, shipper, follower, transfer and upkeep around that engine   -> NodeHandle
//! ```
//!
//! Between the two the caller has the engine and nothing is served. After [`start`], sessions ask the given `Serving` whether
//! they may execute. The caller waits for [`NodeHandle::ended`] and ends the process with the result. Threads: `tanist-driver`
//! (connection, role driver, shipper), `tanist-follower`, `tanist-transfer`, `tanist-upkeep`.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use actix::Addr;
use tanist_db_core::engine::Engine;
use tokio::sync::watch;

use super::join::Joined;
use super::role_driver::{RoleDriver, Stop, SwitchOver, TakeImage};
use super::thread::on_thread;
use crate::lease::LeaseTimes;
use crate::node::{
    Driver, ImageFigures, ImagePlan, ImageReport, NodeError, NodeOptions, NodeStatus, Shared, VaultLink, status,
};
use crate::role::{End, Identity, Machine, SwitchoverReport};
use crate::serving::Serving;
use crate::wire::message::FollowerView;

/// A node that takes part; clones speak for the same.
#[derive(Clone)]
pub struct NodeHandle {
    options: Arc<NodeOptions>,
    shared: Arc<Shared>,
    role_driver: Addr<RoleDriver>,
    ended: watch::Receiver<Option<End>>,
}

/// Takes part with the state that [`join`](super::join::join) has loaded; sessions ask `serving`, which nobody else writes.
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

    /// Hands leadership to `to`, or to the best follower: a pause that clients do not notice.
    ///
    /// # Errors
    /// A sentence that says why not. If it says that the lease has not moved, nothing has changed.
    pub async fn request_switchover(&self, to: Option<String>) -> Result<SwitchoverReport, String> {
        self.role_driver.send(SwitchOver { to }).await.unwrap_or_else(|_| Err("the node is ending".to_owned()))
    }

    /// Ends cleanly: a primary executes nothing more, drains, and releases its lease. Returns when that is done or has
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

    /// How images stand.
    #[must_use]
    pub fn images(&self) -> ImageFigures {
        self.shared.figures.lock().images()
    }

    /// Makes an image of all that there is now; returns when the vault has published it.
    ///
    /// # Errors
    /// A sentence that says why there is none.
    pub async fn request_image(&self) -> Result<ImageReport, String> {
        self.role_driver.send(TakeImage).await.unwrap_or_else(|_| Err("the node is ending".to_owned()))
    }

    /// Begins to make an image, and waits for nothing. Returns whether it was asked for.
    #[must_use]
    pub fn begin_image(&self) -> bool {
        self.role_driver.try_send(TakeImage).is_ok()
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

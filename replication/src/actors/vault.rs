//! The vault's server.
//!
//! ```text
//!   accept loop ── connection task ── control stream: Hello, calls, news of the lease
//!        │               └─ stream tasks: append, follow, image up, image down
//!        │                        │ ask
//!        └───────────────► VaultServer (the lease authority's driver) ──► log writer thread ──► disk
//! ```
//!
//! [`VaultServer`] **receives** requests of connection and stream tasks: admit a peer, decide on a call, a frame, an image. Its
//! mailbox is bounded and each task waits for its answer, so the backlog is at most one request per task. It **ticks** every few
//! milliseconds to notice that the lease has run out. It never waits for the disk: a change of the lease is queued at the log
//! writer after all frames accepted so far, and calls that depend on it wait in a list, at most one per connection. It **fails**
//! only with the log writer: when the disk has failed, [`VaultHandle::failed`] says so, nothing is acknowledged any more, and the
//! process must end. It **drains** on [`VaultHandle::stop`]: connections are closed, what was queued is written, everything is
//! synced. It **cleans up** when a connection ends: the peer leaves the roster, its append stream is void, an unfinished upload
//! removes its files.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actix::fut::wrap_future;
use actix::prelude::{Actor, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, ResponseFuture};
use parking_lot::Mutex;
use quinn::{Endpoint, VarInt};
use tanist_db_core::clock::{Clock, Monotonic};
use tanist_db_core::ids::Lsn;
use tanist_db_core::level::Levels;
use thiserror::Error;
use tokio::sync::{oneshot, watch};

use crate::limits;
use crate::repeats::{Repeats, Times};
use crate::vault::beginning;
use crate::vault::catalog::sled::CatalogSled;
use crate::vault::catalog::{Catalog, LeaseRecord};
use crate::vault::disk::Disk;
use crate::vault::disk::fs::DiskFs;
use crate::vault::lease::roster::{Caller, ConnectionId};
use crate::vault::lease::server::{Asked, LeaseEffect, LeaseServer};
use crate::vault::lock::Lock;
use crate::vault::{LeaseAuthority, Storage, StorageError};
use crate::wire::message::{Answer, LeaseView, Peer, Request, StatusView};

mod append;
mod connection;
mod follow;
mod health;
mod images;
mod rulings;
mod writer;

use health::Health;
use writer::LogHandle;

/// How often the vault looks whether the lease has run out: adds to the time that a takeover from a lost host takes.
const TICK: Duration = Duration::from_millis(10);

/// Pause between two looks whether nodes have gone.
const OUTLAST_PAUSE: Duration = Duration::from_millis(5);

/// What a vault needs to know.
#[derive(Clone, Debug)]
pub struct VaultOptions {
    /// Folder of everything it keeps; made if it is not there.
    pub dir: PathBuf,
    /// Whose vault it is.
    pub cluster: u128,
    /// Length of a lease.
    pub lease: Duration,
    /// File whose presence permits the vault to begin with nothing, see [`vault::beginning`](crate::vault::beginning). `None`:
    /// it begins wherever there is nothing.
    pub permit: Option<PathBuf>,
    /// Names of the cluster's nodes: one that has left it counts no more for the feature level. `None`: all that come.
    pub nodes: Option<Vec<String>>,
}

/// Why a vault could not start.
#[derive(Debug, Error)]
pub enum VaultError {
    /// What it keeps could not be opened.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The machine gave no thread.
    #[error("the vault could not start its log writer: {0}")]
    Thread(std::io::Error),
}

/// Opens what is kept in `options.dir` and serves it at `endpoint`, which accepts the vault's protocol under mutual TLS.
/// Runs as actor and tasks of the current arbiter, and one thread.
///
/// # Errors
/// If the folder is another vault's or another cluster's, contains nothing and may not begin so, or anything in it is damaged.
/// Nothing is served then.
pub async fn start(
    options: VaultOptions,
    endpoint: Endpoint,
    clock: Arc<dyn Clock>,
) -> Result<VaultHandle, VaultError> {
    let open = {
        let options = options.clone();
        move || open(&options)
    };
    let opened = actix_rt::task::spawn_blocking(open).await.map_err(|error| VaultError::Thread(error.into()))?;
    let (lock, mut storage) = opened?;
    if let Some(nodes) = &options.nodes {
        storage.lease.forget_others(nodes);
    }
    let mut handle = serve(storage, options.lease, endpoint, clock)?;
    handle.lock = Some(Arc::new(lock));
    Ok(handle)
}

fn open(options: &VaultOptions) -> Result<(Lock, Storage), StorageError> {
    let disk: Arc<dyn Disk> = Arc::new(DiskFs::new(&options.dir));
    if let Some(permit) = &options.permit {
        beginning::check(&*disk, options.cluster, permit)?;
    }
    let lock = Lock::take(&options.dir)?;
    let catalog: Arc<dyn Catalog> = Arc::new(CatalogSled::open(&options.dir.join("catalog"))?);
    let storage = Storage::open(disk, catalog, options.cluster)?;
    if let Some(permit) = &options.permit {
        beginning::begun(permit)?;
    }
    Ok((lock, storage))
}

/// [`start`] over storage that is open already.
///
/// # Errors
/// If the machine gives no thread.
pub fn serve(
    storage: Storage,
    lease: Duration,
    endpoint: Endpoint,
    clock: Arc<dyn Clock>,
) -> Result<VaultHandle, VaultError> {
    let Storage { disk, cluster, log, images, records, lease: remembered } = storage;
    let end = log.extent().durable;
    let LeaseRecord { epoch, holder, .. } = &remembered;
    let level = remembered.level(Levels::OWN);
    tracing::info!(durable = end.0, epoch, holder, %level, knows = %Levels::OWN, "vault opened");
    let lease_authority = LeaseAuthority::new(clock.monotonic(), lease, remembered, end);
    let health = Health::new(Arc::clone(&clock));
    let log = LogHandle::start(log, records, Arc::clone(&health)).map_err(VaultError::Thread)?;
    let (news, heard) = watch::channel(());
    let shared =
        Arc::new(VaultShared { cluster, disk, images, log, health, clock, news: heard, often: Mutex::default() });
    let server = VaultServer {
        // A number that tells two starts apart; nothing is decided by it.
        lease: LeaseServer::new(lease_authority, rand::random()),
        shared: Arc::clone(&shared),
        news,
        connections: HashMap::new(),
    };
    let server = server.start();
    actix_rt::spawn(connection::accept(endpoint.clone(), Arc::clone(&shared), server.clone()));
    Ok(VaultHandle { server, shared, endpoint, lock: None })
}

/// A running vault.
#[derive(Debug)]
pub struct VaultHandle {
    server: Addr<VaultServer>,
    shared: Arc<VaultShared>,
    endpoint: Endpoint,
    /// Absent over storage that others have opened.
    lock: Option<Arc<Lock>>,
}

impl VaultHandle {
    /// Waits until the disk has failed or gone; returns the sentence that says how. End the process with an error: nothing that
    /// is acknowledged from then on can be relied on.
    pub async fn failed(&self) -> String {
        tokio::select! {
            why = self.log_failed() => why,
            why = self.folder_gone() => why,
        }
    }

    async fn folder_gone(&self) -> String {
        let Some(lock) = &self.lock else { return std::future::pending().await };
        loop {
            actix_rt::time::sleep(limits::FOLDER_LOOK_EVERY).await;
            let lock = Arc::clone(lock);
            // A look at a disk that hangs takes no thread but this one.
            if let Ok(Err(gone)) = actix_rt::task::spawn_blocking(move || lock.is_in_place()).await {
                return gone.to_string();
            }
        }
    }

    async fn log_failed(&self) -> String {
        let mut log = self.shared.log.watch();
        let failed = log.wait_for(|state| state.failed.is_some()).await;
        let why = failed.ok().and_then(|state| state.failed.clone());
        why.map_or_else(|| "the log writer has ended".to_owned(), |why| why.to_string())
    }

    /// Waits until no node's processes are connected any more, but not forever.
    pub async fn outlast_nodes(&self) {
        let gone = async {
            while self.server.send(CountNodes).await.is_ok_and(|connected| connected > 0) {
                actix_rt::time::sleep(OUTLAST_PAUSE).await;
            }
        };
        if tokio::time::timeout(limits::OUTLAST_WAIT, gone).await.is_err() {
            tracing::warn!("nodes are still connected; stopping anyway");
        }
    }

    /// Closes all connections, writes what was queued, syncs everything, and gives the folder back.
    pub async fn stop(self) {
        self.endpoint.close(VarInt::from_u32(0), b"the vault is stopping");
        self.shared.log.stop().await;
        let _ = self.server.send(StopVault).await;
        self.endpoint.wait_idle().await;
        // The tasks of the connections still hold the catalog for a moment.
        let released = async {
            while Arc::strong_count(&self.shared) > 1 {
                actix_rt::time::sleep(Duration::from_millis(1)).await;
            }
        };
        if tokio::time::timeout(limits::CALL_WAIT, released).await.is_err() {
            tracing::warn!("a task of the vault did not end");
        }
        drop((self.shared, self.lock));
        tracing::info!("vault stopped");
    }
}

/// What all tasks of a vault use.
#[derive(Debug)]
struct VaultShared {
    cluster: u128,
    disk: Arc<dyn Disk>,
    images: crate::vault::images::ImageStore,
    log: LogHandle,
    health: Arc<Health>,
    clock: Arc<dyn Clock>,
    /// Changes whenever the lease has changed hands or ended.
    news: watch::Receiver<()>,
    often: Mutex<[Repeats; Often::COUNT]>,
}

/// what peers and those not admitted can cause as often as they like: told once, then counted.
#[derive(Clone, Copy, Debug)]
enum Often {
    UnadmittedCrowdedOut,
    UnadmittedRefused,
    UnadmittedSilent,
    UnadmittedGone,
    PeerRefused,
    PeersTooMany,
    ImageRefused,
    ImageUnreadable,
    LogUnreadable,
}

impl Often {
    const COUNT: usize = Often::LogUnreadable as usize + 1;
}

impl VaultShared {
    /// It has happened; how often, if that is to be told now.
    fn often(&self, what: Often) -> Option<Times> {
        self.often.lock()[what as usize].happened(self.clock.monotonic(), "")
    }
}

/// The lease authority's driver; see the module.
#[derive(Debug)]
struct VaultServer {
    lease: LeaseServer<oneshot::Sender<Answer>>,
    shared: Arc<VaultShared>,
    news: watch::Sender<()>,
    connections: HashMap<ConnectionId, (Peer, quinn::Connection)>,
}

impl Actor for VaultServer {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(TICK, |server, _| {
            if let Some(lease) = server.lease.tick(server.now()) {
                tracing::warn!(epoch = lease.epoch, "the lease has run out");
                server.news.send_replace(());
            }
        });
    }
}

impl VaultServer {
    fn now(&self) -> Monotonic {
        self.shared.clock.monotonic()
    }

    fn durable(&self) -> Lsn {
        self.shared.log.state().extent.durable
    }

    fn perform(&mut self, effect: LeaseEffect<oneshot::Sender<Answer>>, ctx: &mut Context<Self>) {
        match effect {
            LeaseEffect::Close(connection) => {
                if let Some((_, old)) = self.connections.get(&connection) {
                    old.close(VarInt::from_u32(0), b"a newer connection of this node has come");
                }
            }
            LeaseEffect::Answer(way, answer) => drop(way.send(answer)),
            LeaseEffect::News(lease) => {
                let LeaseView { epoch, holder, remaining_us: left_us, level, .. } = lease;
                tracing::info!(epoch, holder, left_us, level, "lease changed");
                self.news.send_replace(());
            }
            LeaseEffect::Persist { record, seal } => {
                let Ok(done) = self.shared.log.put_lease(record, seal) else { return };
                // If the writer ends first it has failed: the change is never told, and the process must end.
                let then = wrap_future(done).map(|sealed, server: &mut Self, ctx: &mut Context<Self>| {
                    let Ok(sealed) = sealed else { return };
                    for effect in server.lease.persisted(sealed, server.now(), server.durable()) {
                        server.perform(effect, ctx);
                    }
                });
                ctx.spawn(then);
            }
        }
    }
}

/// Admits a peer; answered with `Welcome`, or `Refused` if it does not know the cluster's feature level.
#[derive(Message)]
#[rtype(result = "Option<Answer>")]
struct Enter {
    caller: Arc<Caller>,
    connection: quinn::Connection,
}

impl Handler<Enter> for VaultServer {
    type Result = ResponseFuture<Option<Answer>>;

    fn handle(&mut self, enter: Enter, ctx: &mut Context<Self>) -> Self::Result {
        let (answer, wait) = oneshot::channel();
        let Enter { caller, connection } = enter;
        self.connections.insert(caller.connection, (caller.hello.peer, connection));
        for effect in self.lease.enter(caller, answer, self.now(), self.durable()) {
            self.perform(effect, ctx);
        }
        Box::pin(async { wait.await.ok() })
    }
}

/// A connection has ended.
#[derive(Message)]
#[rtype(result = "()")]
struct Leave(ConnectionId);

impl Handler<Leave> for VaultServer {
    type Result = ();

    fn handle(&mut self, Leave(connection): Leave, _: &mut Context<Self>) {
        self.lease.leave(connection);
        self.connections.remove(&connection);
    }
}

/// How many processes of nodes are connected.
#[derive(Message)]
#[rtype(result = "usize")]
struct CountNodes;

impl Handler<CountNodes> for VaultServer {
    type Result = usize;

    fn handle(&mut self, _: CountNodes, _: &mut Context<Self>) -> usize {
        self.connections.values().filter(|(peer, _)| *peer != Peer::Tool).count()
    }
}

/// A call of a control stream.
#[derive(Message)]
#[rtype(result = "Option<Answer>")]
struct AskAuthority {
    caller: Arc<Caller>,
    request: Request,
}

impl Handler<AskAuthority> for VaultServer {
    type Result = ResponseFuture<Option<Answer>>;

    fn handle(&mut self, ask: AskAuthority, ctx: &mut Context<Self>) -> Self::Result {
        let (answer, wait) = oneshot::channel();
        if ask.request == Request::Status {
            drop(answer.send(Answer::Status(Box::new(self.status()))));
        } else {
            let asked = Asked { caller: ask.caller, request: ask.request, way: answer };
            if let Some(effect) = self.lease.call(asked, self.now(), self.durable()) {
                self.perform(effect, ctx);
            }
        }
        Box::pin(async { wait.await.ok() })
    }
}

/// Who may write now.
#[derive(Message)]
#[rtype(result = "LeaseView")]
struct AskLease;

impl Handler<AskLease> for VaultServer {
    type Result = actix::MessageResult<AskLease>;

    fn handle(&mut self, _: AskLease, _: &mut Context<Self>) -> Self::Result {
        let now = self.now();
        actix::MessageResult(self.lease.view(now))
    }
}

impl VaultServer {
    fn status(&mut self) -> StatusView {
        let now = self.now();
        let extent = self.shared.log.state().extent;
        StatusView {
            pid: std::process::id(),
            lease: self.lease.view(now),
            durable: extent.durable.0,
            oldest: extent.oldest.0,
            log_bytes: extent.bytes,
            images: self.shared.images.views(),
            health: self.shared.health.view(),
            nodes: self.lease.authority().nodes(now),
            newest_level: self.lease.authority().levels().newest.0,
        }
    }
}

/// Ends the actor.
#[derive(Message)]
#[rtype(result = "()")]
struct StopVault;

impl Handler<StopVault> for VaultServer {
    type Result = ();

    fn handle(&mut self, _: StopVault, ctx: &mut Context<Self>) {
        actix::ActorContext::stop(ctx);
    }
}

#[cfg(test)]
mod tests;

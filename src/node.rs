//! A database process: the engine, the node's side of replication and the protocol fronts, wired together.
//!
//! ```text
//!   TCP, QUIC acceptors ─► sessions ─► Engine ─► redo queue ─► shipper ─► vault
//!        │                    │           ▲                                 │
//!        └── NodeContext ─────┘           └──────── follower ◄──────────────┘
//!                 │
//!              Serving ◄──────── role driver: role, lease, durable position
//! ```
//!
//! In order: bind the addresses (so a port in use is detected first), load image and state from the vault while clients get
//! `-LOADING`, take part in the cluster, serve until asked to stop or until the role machine ends the process.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use actix::Addr;
use actix_rt::{Arbiter, ArbiterHandle};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tanist_db_core::clock::Clock;
use tanist_db_core::ids::Lsn;
use tanist_db_core::level::Levels;
use tanist_replication::End;
use tanist_replication::serving::{PrimaryAddress, Serving};
use tanist_replication::transport::principal::Principal;
use tanist_replication::transport::tls::Credentials;
use tanist_replication::wire::message::FollowerView;
use tanist_replication::{ImageFigures, NodeError, NodeHandle, NodeOptions, VaultLink, join_node, start_node};

use crate::admin::NodeReport;
use crate::cluster_file::{ClusterFile, DataFolder, NodeAddress};
use crate::config::Config;
use crate::exit::Failure;
use crate::files;
use crate::front::tcp::StopAccepting;
use crate::front::{Admin, HealthSigns, Identity, NodeContext, Settings, StandbyState, quic, tcp};
use crate::shutdown::Shutdown;
use crate::telemetry::EVENT;

/// What a database process is told when it is started.
#[derive(Clone, Debug)]
pub struct DatabaseOptions {
    /// The node's name, as in its certificate.
    pub name: String,
    /// Number of this start, drawn by the supervisor, which names it in an obituary.
    pub incarnation: u64,
    /// The cluster that the node belongs to.
    pub cluster: ClusterFile,
    /// Its data folder.
    pub folder: DataFolder,
    /// Its settings, checked.
    pub config: Config,
}

/// How long replies that became durable during the drain may take to leave their sockets before the process ends.
const LAST_REPLIES: Duration = Duration::from_millis(100);

/// Serves until `shutdown` is requested, then drains, releases the lease and returns.
///
/// # Errors
/// The node cannot start, or was fenced and must start again ([`Failure::Rejoin`]).
pub async fn run(options: DatabaseOptions, shutdown: Shutdown) -> Result<(), Failure> {
    let address = options.cluster.node(&options.name)?;
    let clock: Arc<dyn Clock> = Arc::new(crate::clock::machine());
    let principal = Principal::node(&options.name)
        .ok_or_else(|| Failure::Config(format!("'{}' is no name for a node", options.name)))?;
    let credentials = Credentials::load(&options.folder.tls(), &principal, Arc::clone(&clock))
        .map_err(|error| Failure::Config(error.to_string()))?;
    let credentials = Arc::new(credentials);

    let serving = Serving::new();
    let arbiters: Vec<Arbiter> = (0..threads(&options.config)).map(|_| Arbiter::new()).collect();
    let identity = identity(&options, address.resp.listen, arbiters.len(), &*clock);
    let settings = Settings::new(&options.config.node, &options.config.lease);
    settings.set_connections_max(clients_max(options.config.node.maxclients, arbiters.len())?);
    let context = NodeContext::new(Arc::clone(&serving), Arc::clone(&clock), settings, identity);
    let handles: Vec<ArbiterHandle> = arbiters.iter().map(Arbiter::handle).collect();
    let fronts = Fronts::open(&context, &credentials, &address, &handles)?;

    let replica_options = replica_options(&options, &address, credentials, clock);
    let node = tokio::select! {
        node = join(replica_options, address, serving, &context) => node?,
        () = shutdown.asked() => return Ok(()),
    };
    let end = tokio::select! {
        end = node.ended() => end,
        () = shutdown.asked() => {
            node.shutdown().await;
            node.ended().await
        }
    };
    fronts.close();
    if end == End::Stopped {
        tokio::time::sleep(LAST_REPLIES).await;
    }
    match end {
        End::Stopped => Ok(()),
        End::Rejoin(why) => {
            tracing::info!(target: EVENT, kind = "rejoin", "restarts and joins again: {why}");
            Err(Failure::Rejoin(why))
        }
        End::Failed(why) => Err(Failure::Runtime(why)),
    }
}

/// Loads the state, then takes part with it.
async fn join(
    options: NodeOptions,
    address: NodeAddress,
    serving: Arc<Serving>,
    context: &Arc<NodeContext>,
) -> Result<NodeHandle, Failure> {
    let failed = |error: NodeError| match error {
        NodeError::Refused(_) | NodeError::Image(_) => Failure::Config(error.to_string()),
        NodeError::Machine(_) => Failure::Runtime(error.to_string()),
    };
    let wired = Arc::new(Wired { node: OnceLock::new(), address, context: Arc::downgrade(context) });
    context.install_admin(Arc::clone(&wired) as Arc<dyn Admin>);
    let joined = join_node(&options, &context.loading).await.map_err(failed)?;
    context.install_engine(Arc::clone(&joined.engine));
    let node = start_node(joined, options, serving).map_err(failed)?;
    Ok(wired.node.get_or_init(|| node).clone())
}

/// The ways in.
struct Fronts {
    tcp: Vec<Addr<tcp::TcpAcceptor>>,
    quic: Addr<quic::QuicAcceptor>,
}

impl Fronts {
    fn open(
        context: &Arc<NodeContext>,
        credentials: &Arc<Credentials>,
        address: &NodeAddress,
        arbiters: &[ArbiterHandle],
    ) -> Result<Fronts, Failure> {
        let tcp = tcp::start(context, Some(credentials), address.resp.listen, arbiters)
            .map_err(|error| Failure::Config(error.to_string()))?;
        let quic = quic::start(context, Arc::clone(credentials), address.quic.listen, arbiters);
        let (quic, _) = quic.map_err(|error| Failure::Config(error.to_string()))?;
        Ok(Fronts { tcp, quic })
    }

    fn close(&self) {
        // A full mailbox means that the acceptor's thread is beyond help, and the process ends anyway.
        self.tcp.iter().for_each(|acceptor| drop(acceptor.try_send(StopAccepting)));
        drop(self.quic.try_send(StopAccepting));
    }
}

fn threads(config: &Config) -> usize {
    match config.node.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => usize::from(threads),
    }
}

/// As many clients as are asked for, or as the system allows.
fn clients_max(asked: u32, threads: usize) -> Result<usize, Failure> {
    let most = files::clients_with_files(asked, threads).ok_or_else(|| {
        Failure::Config(format!(
            "the system lets this process open too few files for {threads} threads: raise its limit (ulimit -n, LimitNOFILE) or \
             set threads to less"
        ))
    })?;
    if most < asked {
        tracing::warn!(
            "maxclients is {asked}, but the system lets this process open files for {most} clients only: \
             it accepts only that many; raise its limit (ulimit -n, LimitNOFILE)"
        );
    }
    Ok(most as usize)
}

fn identity(options: &DatabaseOptions, resp: SocketAddr, threads: usize, clock: &dyn Clock) -> Identity {
    let member = |(name, address): (&String, &NodeAddress)| {
        let (resp, quic) = (address.resp.advertised.to_string(), address.quic.advertised.to_string());
        Arc::new(PrimaryAddress { node: name.clone(), resp, quic })
    };
    Identity {
        node: options.name.clone(),
        cluster: options.cluster.cluster.to_string(),
        incarnation: options.incarnation,
        members: options.cluster.nodes.iter().map(member).collect(),
        bind: resp.ip().to_string(),
        port: resp.port(),
        folder: options.folder.root().to_owned(),
        threads,
        started: clock.unix(),
    }
}

fn replica_options(
    options: &DatabaseOptions,
    address: &NodeAddress,
    credentials: Arc<Credentials>,
    clock: Arc<dyn Clock>,
) -> NodeOptions {
    let Config { lease, node, .. } = &options.config;
    NodeOptions {
        node: options.name.clone(),
        incarnation: options.incarnation,
        credentials,
        vault: options.cluster.vault.quic.advertised.clone(),
        resp_address: address.resp.advertised.to_string(),
        quic_address: address.quic.advertised.to_string(),
        shards: options.cluster.shards,
        hash_seed: options.cluster.hash_seed.0,
        memory_bytes_max: node.maxmemory.0,
        renew_every: Duration::from_millis(lease.renew_ms),
        image_interval: Duration::from_millis(node.image_interval_ms),
        image_log_bytes: node.image_log_bytes.0,
        image_memory_percent: node.image_memory_percent,
        clock,
    }
}

/// Executes `TANIST ...` for the front.
struct Wired {
    /// Empty while the data is loaded.
    node: OnceLock<NodeHandle>,
    address: NodeAddress,
    /// Weak, since the context owns this.
    context: Weak<NodeContext>,
}

/// What is answered for a node that cannot do it yet.
const STARTING: &str = "this node is still starting";

impl Wired {
    /// What is known before the node takes part, too.
    fn report(&self) -> NodeReport {
        let Some(context) = self.context.upgrade() else { return NodeReport::default() };
        NodeReport {
            cluster: context.identity.cluster.clone(),
            name: context.identity.node.clone(),
            role: context.serving.role().word().to_owned(),
            pid: std::process::id(),
            resp: self.address.resp.advertised.to_string(),
            quic: self.address.quic.advertised.to_string(),
            trouble: HealthSigns::of(&context).trouble().unwrap_or_default(),
            clients: context.registry.count() as u64,
            newest_level: Levels::OWN.newest.0,
            ..NodeReport::default()
        }
    }
}

impl Admin for Wired {
    fn status(&self) -> String {
        let report = match self.node.get().map(NodeHandle::status) {
            None => self.report(),
            Some(status) => NodeReport {
                epoch: status.epoch,
                applied_lsn: status.last,
                durable_lsn: status.durable,
                lease_left_ms: status.lease_left_us / 1000,
                last_takeover: status.last_takeover,
                freeze_pause_us_max: status.freeze_pause_us_max,
                level: status.level,
                keys: status.keys,
                memory_bytes: status.memory_bytes,
                vault_no_room_since_unix_ms: status.vault_no_room_since_unix_ms,
                vault_refused_appends: status.vault_refused_appends,
                vault_refused_images: status.vault_refused_images,
                vault_trouble: status.vault_trouble,
                ..self.report()
            },
        };
        serde_json::to_string(&report).unwrap_or_default()
    }

    fn switchover(&self, to: Option<String>) -> BoxFuture<'static, Result<String, String>> {
        let node = self.node.get().cloned();
        async move {
            let node = node.ok_or(STARTING)?;
            let report = node.request_switchover(to).await.map_err(|why| match node.status() {
                // A primary that could not, and the vault may be the cause.
                status
                    if status.role == tanist_replication::serving::Role::Primary
                        && !status.vault_trouble.is_empty() =>
                {
                    format!("{why} (the vault: {})", status.vault_trouble)
                }
                _ => why,
            })?;
            let hold = Duration::from_micros(report.hold_us).as_secs_f64() * 1e3;
            Ok(format!("node {} is primary with epoch {}; clients waited {hold:.1} ms", report.successor, report.epoch))
        }
        .boxed()
    }

    fn standbys(&self) -> Vec<StandbyState> {
        let standby =
            |view: FollowerView| StandbyState { resp: view.resp_address, applied: Lsn(view.progress.applied) };
        self.node.get().map(NodeHandle::standbys).unwrap_or_default().into_iter().map(standby).collect()
    }

    fn vault_trouble(&self) -> String {
        self.node.get().map_or_else(String::new, |node| node.status().vault_trouble)
    }

    fn vault(&self) -> Option<VaultLink> {
        self.node.get().map(NodeHandle::vault)
    }

    fn images(&self) -> ImageFigures {
        self.node.get().map(NodeHandle::images).unwrap_or_default()
    }

    fn save(&self) -> BoxFuture<'static, Result<(), String>> {
        let node = self.node.get().cloned();
        async move { node.ok_or(STARTING)?.request_image().await.map(drop) }.boxed()
    }

    fn begin_save(&self) -> bool {
        self.node.get().is_some_and(NodeHandle::begin_image)
    }

    fn digest(&self) -> BoxFuture<'static, Result<String, String>> {
        let engine = self.node.get().map(|node| Arc::clone(node.engine()));
        async move {
            let engine = engine.ok_or(STARTING)?;
            // Hashing every page takes a while: not on a thread that executes commands.
            let digest = tokio::task::spawn_blocking(move || engine.content_hash_at()).await;
            let (position, hash) = digest.map_err(|error| format!("the digest was not finished: {error}"))?;
            Ok(format!("{position} {hash:032x}"))
        }
        .boxed()
    }
}

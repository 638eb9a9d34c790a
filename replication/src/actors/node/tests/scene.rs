//! A vault, nodes, a client and a relay, all on loopback.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tanist_db_core::clock::{Clock, Monotonic, SystemClock, UnixMillis};
use tanist_db_core::command::testing::NoFront;
use tanist_db_core::command::{Protocol, Reply};
use tanist_db_core::engine::{Engine, Session};
use tanist_db_core::ids::Lsn;
use tanist_db_core::level::Levels;
use tempfile::TempDir;
use tokio::net::UdpSocket;
use tokio::sync::oneshot;

use crate::actors::Halt;
use crate::actors::join::join;
use crate::actors::node::{NodeHandle, start};
use crate::actors::role_driver::RoleDriver;
use crate::actors::vault::{self, VaultOptions};
use crate::node::{LoadProgress, NodeOptions, NodeStatus};
use crate::serving::{Role, Serving, Woken};
use crate::supervisor::SupervisorOptions;
use crate::transport::certs;
use crate::transport::link::Dialer;
use crate::transport::principal::Principal;
use crate::transport::quic::{self, ALPN_VAULT};
use crate::transport::tls::Credentials;
use crate::wire::message::{Answer, Hello, Peer, Request};

const CLUSTER: u128 = 77;
/// Long enough for a busy machine, short enough for a test.
pub(super) const LEASE: Duration = Duration::from_millis(1_200);
const PATIENCE: Duration = Duration::from_secs(20);

/// Time since its start.
pub(super) struct Stopwatch(SystemClock);

impl Stopwatch {
    pub(super) fn start() -> Stopwatch {
        Stopwatch(SystemClock::new())
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.0.monotonic().since(Monotonic(0))
    }
}

/// Waits until `done`.
pub(super) async fn eventually(mut done: impl FnMut() -> bool) {
    let begun = Stopwatch::start();
    while !done() {
        assert!(begun.elapsed() < PATIENCE, "it has not happened within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

pub(super) struct Scene {
    folder: TempDir,
    clock: Arc<dyn Clock>,
    vault: SocketAddr,
    running: Option<(oneshot::Sender<()>, std::thread::JoinHandle<()>)>,
}

impl Scene {
    pub(super) async fn new() -> Scene {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let folder = tempfile::tempdir().unwrap();
        let parties = ["vault", "node-a", "node-b", "tool"].map(|name| Principal::parse(name).unwrap());
        certs::create(&folder.path().join("tls"), CLUSTER, &parties, clock.unix()).unwrap();
        let vault = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut scene = Scene { folder, clock, vault, running: None };
        scene.start_vault().await;
        scene
    }

    fn credentials(&self, name: &str) -> Arc<Credentials> {
        let principal = Principal::parse(name).unwrap();
        let tls = self.folder.path().join("tls");
        Arc::new(Credentials::load(&tls, &principal, Arc::clone(&self.clock)).unwrap())
    }

    /// Starts the vault, on the port that it had before.
    pub(super) async fn start_vault(&mut self) {
        let (credentials, address, clock) = (self.credentials("vault"), self.vault, Arc::clone(&self.clock));
        let options = VaultOptions {
            dir: self.folder.path().join("vault"),
            cluster: CLUSTER,
            lease: LEASE,
            permit: None,
            nodes: None,
        };
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            actix_rt::System::new().block_on(async move {
                let endpoint =
                    quic::listen(address, credentials.server_config(&[ALPN_VAULT]), credentials.reset_key()).unwrap();
                let address = endpoint.local_addr().unwrap();
                let handle = vault::start(options, endpoint, clock).await.unwrap();
                tell.send(address).unwrap();
                let _ = stopped.await;
                handle.stop().await;
            });
        });
        self.vault = told.await.unwrap();
        self.running = Some((stop, thread));
    }

    pub(super) async fn stop_vault(&mut self) {
        let (stop, thread) = self.running.take().unwrap();
        stop.send(()).unwrap();
        tokio::task::spawn_blocking(move || thread.join().unwrap()).await.unwrap();
    }

    pub(super) async fn node(&self, name: &'static str, incarnation: u64) -> Node {
        self.node_over(name, incarnation, self.vault).await
    }

    /// A node that reaches the vault at `vault`.
    pub(super) async fn node_over(&self, name: &'static str, incarnation: u64, vault: SocketAddr) -> Node {
        let options = NodeOptions {
            node: name.to_owned(),
            incarnation,
            credentials: self.credentials(&format!("node-{name}")),
            vault: vault.into(),
            resp_address: format!("{name}:1"),
            quic_address: format!("{name}:1"),
            shards: 4,
            hash_seed: 7,
            memory_bytes_max: 0,
            renew_every: LEASE / 8,
            image_interval: Duration::from_millis(300),
            image_log_bytes: 1 << 20,
            image_memory_percent: 25,
            clock: Arc::clone(&self.clock),
        };
        let joined = join(&options, &LoadProgress::default()).await.unwrap();
        let joined_at = joined.engine.last().0;
        let handle = start(joined, options, Serving::new()).unwrap();
        Node { name, handle, joined_at, clock: Arc::clone(&self.clock) }
    }

    /// What the supervisor of a node says when it has reaped its process.
    pub(super) async fn obituary(&self, node: &str, incarnation: u64) {
        let dialer = Dialer::new(self.credentials(&format!("node-{node}")), self.vault.into());
        let hello = Hello {
            levels: Levels::OWN,
            cluster: CLUSTER,
            peer: Peer::Supervisor,
            node: node.to_owned(),
            incarnation,
            pid: 0,
            resp_address: String::new(),
            quic_address: String::new(),
        };
        let (client, _) = dialer.until_reached(&hello, true, || |_| {}).await.unwrap();
        let request = Request::Obituary { node: node.to_owned(), incarnation };
        let answer = client.call(request, PATIENCE).await.unwrap();
        assert!(matches!(answer, Answer::Lease(_)), "{answer:?}");
    }

    pub(super) fn supervisor(&self, node: &str) -> SupervisorOptions {
        SupervisorOptions {
            node: node.to_owned(),
            credentials: self.credentials(&format!("node-{node}")),
            vault: self.vault.into(),
            clock: Arc::clone(&self.clock),
            predecessor: None,
        }
    }

    /// A file of this test's own.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) async fn relay(&self) -> Relay {
        Relay::start(self.vault).await
    }

    /// Ends everything cleanly.
    pub(super) async fn stop(mut self, nodes: &[&Node]) {
        for node in nodes {
            node.handle.shutdown().await;
        }
        self.stop_vault().await;
    }
}

pub(super) struct Node {
    pub(super) name: &'static str,
    pub(super) handle: NodeHandle,
    /// Log position of the image that it began with.
    pub(super) joined_at: u64,
    clock: Arc<dyn Clock>,
}

impl Node {
    pub(super) fn status(&self) -> NodeStatus {
        self.handle.status()
    }

    pub(super) fn last(&self) -> u64 {
        self.handle.engine().last().0
    }

    pub(super) fn content_hash(&self) -> u128 {
        self.handle.engine().content_hash()
    }

    pub(super) async fn has_role(&self, role: Role) {
        eventually(|| self.handle.shared.serving.role() == role).await;
    }

    pub(super) async fn serves(&self) {
        eventually(|| self.handle.shared.serving.enter(self.clock.monotonic()).is_ok()).await;
    }

    /// All its actors end without a word.
    pub(super) fn crash(&self) {
        self.handle.role_driver.do_send(Halt);
    }

    /// Every confirmed write is there with its value.
    pub(super) fn holds(&self, confirmed: &BTreeMap<u64, u64>) {
        assert!(!confirmed.is_empty());
        let mut client = Client::new();
        for (key, value) in confirmed {
            let (reply, _) = client.run(self.handle.engine(), &[b"GET", name(*key).as_bytes()]);
            let expected = format!("${}\r\n{value}\r\n", value.to_string().len());
            assert_eq!(String::from_utf8_lossy(&reply), expected, "key {key} on {}", self.name);
        }
    }
}

fn name(key: u64) -> String {
    format!("key:{key}")
}

/// A session without connection.
struct Client {
    session: Session,
    reply: Reply,
}

impl Client {
    fn new() -> Client {
        Client { session: Session::new(1), reply: Reply::new(Protocol::Resp2) }
    }

    fn run(&mut self, engine: &Engine, args: &[&[u8]]) -> (Vec<u8>, tanist_db_core::engine::Executed) {
        let now = UnixMillis(1_000);
        let executed = engine.execute(&mut self.session, &mut NoFront, args, now, &mut self.reply);
        (self.reply.take(), executed)
    }
}

/// Writes one key after the other to whichever node lets it, and counts a write only when it is durable. A write whose
/// outcome is unknown is written again under another key.
pub(super) struct Writer {
    shared: Arc<Written>,
    thread: std::thread::JoinHandle<()>,
}

#[derive(Default)]
struct Written {
    stop: AtomicBool,
    confirmed: Mutex<BTreeMap<u64, u64>>,
    longest_gap_us: AtomicU64,
}

impl Writer {
    pub(super) fn start(nodes: &[&Node]) -> Writer {
        let targets: Vec<Target> = nodes
            .iter()
            .map(|node| {
                (Arc::clone(&node.handle.shared.serving), Arc::clone(node.handle.engine()), Arc::clone(&node.clock))
            })
            .collect();
        let shared = Arc::new(Written::default());
        let written = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            runtime.block_on(write(&targets, &written));
        });
        Writer { shared, thread }
    }

    pub(super) fn confirmed(&self) -> usize {
        self.shared.confirmed.lock().len()
    }

    pub(super) fn longest_gap(&self) -> Duration {
        Duration::from_micros(self.shared.longest_gap_us.load(Ordering::Relaxed))
    }

    pub(super) async fn stop(self) -> BTreeMap<u64, u64> {
        self.shared.stop.store(true, Ordering::Relaxed);
        tokio::task::spawn_blocking(move || self.thread.join().unwrap()).await.unwrap();
        std::mem::take(&mut *self.shared.confirmed.lock())
    }
}

type Target = (Arc<Serving>, Arc<Engine>, Arc<dyn Clock>);

async fn write(targets: &[Target], written: &Written) {
    let mut client = Client::new();
    let mut at = 0;
    let mut last_confirmed = Stopwatch::start();
    let mut key = 0;
    while !written.stop.load(Ordering::Relaxed) {
        key += 1;
        let (serving, engine, clock) = &targets[at % targets.len()];
        let value = key * 7;
        let executed = serving.enter(clock.monotonic()).ok().map(|guard| {
            let text = value.to_string();
            let (reply, executed) = client.run(engine, &[b"SET", name(key).as_bytes(), text.as_bytes()]);
            drop(guard);
            assert!(executed.refused().is_some() || reply == b"+OK\r\n", "{}", String::from_utf8_lossy(&reply));
            executed
        });
        let Some(executed) = executed.and_then(|executed| executed.replied()) else {
            at += 1;
            tokio::time::sleep(Duration::from_micros(500)).await;
            continue;
        };
        let waited = tokio::time::timeout(LEASE / 8, durable_reached(serving, executed.lsn)).await;
        if waited != Ok(Woken::Durable) {
            at += 1;
        } else {
            written.confirmed.lock().insert(key, value);
            let gap = u64::try_from(last_confirmed.elapsed().as_micros()).unwrap();
            written.longest_gap_us.fetch_max(gap, Ordering::Relaxed);
            last_confirmed = Stopwatch::start();
        }
    }
}

/// The end of a node without a word to anyone.
impl actix::Handler<Halt> for RoleDriver {
    type Result = ();

    fn handle(&mut self, _: Halt, ctx: &mut actix::Context<Self>) {
        self.halt(ctx);
    }
}

/// Waits until `lsn` is durable, over changes of role.
async fn durable_reached(serving: &Serving, lsn: Lsn) -> Woken {
    loop {
        match serving.wait(lsn, serving.version()).await {
            Woken::Changed => {}
            woken => return woken,
        }
    }
}

/// Passes packets between a node and the vault, or nothing.
pub(super) struct Relay {
    pub(super) address: SocketAddr,
    is_cut: Arc<AtomicBool>,
}

impl Relay {
    async fn start(vault: SocketAddr) -> Relay {
        let front = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let address = front.local_addr().unwrap();
        let is_cut = Arc::new(AtomicBool::new(false));
        let cut = Arc::clone(&is_cut);
        // Each of the node's sockets has one of the relay's own towards the vault.
        actix_rt::spawn(async move {
            let mut backs: BTreeMap<SocketAddr, Arc<UdpSocket>> = BTreeMap::new();
            let mut packet = vec![0; 65_536];
            loop {
                let Ok((bytes, from)) = front.recv_from(&mut packet).await else { return };
                if cut.load(Ordering::Relaxed) {
                    continue;
                }
                if let Entry::Vacant(unknown) = backs.entry(from) {
                    let back = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
                    back.connect(vault).await.unwrap();
                    unknown.insert(Arc::clone(&back));
                    let (front, cut) = (Arc::clone(&front), Arc::clone(&cut));
                    actix_rt::spawn(async move {
                        let mut packet = vec![0; 65_536];
                        while let Ok(bytes) = back.recv(&mut packet).await {
                            if !cut.load(Ordering::Relaxed) {
                                let _ = front.send_to(&packet[..bytes], from).await;
                            }
                        }
                    });
                }
                let _ = backs[&from].send(&packet[..bytes]).await;
            }
        });
        Relay { address, is_cut }
    }

    pub(super) fn cut(&self, cut: bool) {
        self.is_cut.store(cut, Ordering::Relaxed);
    }
}

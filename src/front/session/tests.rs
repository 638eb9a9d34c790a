//! Conversations over a stream in memory, with a real engine; the test plays the role driver (role, lease) and the vault (durable).
//!
//! Time is tokio's, paused: it moves only when everything waits, so the timeouts of seconds cost nothing.

mod ahead;
mod apart;
mod blocked;
mod bounds;
mod commands;
mod ends;
mod forward;
mod gate;
mod large;
mod messages;
mod nodes;
mod permission;
mod pins;
mod random;
mod replies;
mod standby_read;

use std::future::Future;
use std::sync::Mutex;
use std::time::Duration;

use futures_util::future::BoxFuture;
use proptest::prelude::*;
use tanist_db_core::clock::{Clock, UnixMillis};
use tanist_db_core::engine::{Engine, EngineOptions};
use tanist_db_core::ids::{Epoch, Lsn};
use tanist_replication::serving::{PrimaryAddress, Standing};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::time::{Instant, sleep, timeout};

use super::*;
use crate::config;
use crate::front::limits::{AUTHENTICATION_TIME, HELD_REPLIES_MAX, OUTPUT_BYTES_MAX};
use crate::front::{Admin, Identity, Peer, Settings, StandbyState, Way};

/// What a node waits for the vault in these tests.
const WAIT: Duration = Duration::from_millis(3000);
const NOT_DURABLE: &str =
    "-NOTDURABLE the vault did not confirm this write within 3000 ms; it may or may not survive\r\n";

/// Both times as tokio counts them.
#[derive(Debug)]
struct PausedClock(Instant);

impl Clock for PausedClock {
    fn unix(&self) -> UnixMillis {
        UnixMillis(1_700_000_000_000 + u64::try_from(self.0.elapsed().as_millis()).unwrap())
    }

    fn monotonic(&self) -> Monotonic {
        Monotonic(1_000_000 + u64::try_from(self.0.elapsed().as_micros()).unwrap())
    }
}

/// A node in the test's hands.
struct Node {
    context: Arc<NodeContext>,
}

impl Node {
    /// One that is primary under epoch 1 with a lease that does not end.
    fn primary() -> Node {
        let node = Node::without_data(config::Node::default());
        node.install_engine();
        node.appoint();
        node
    }

    /// One that also executes the commands for tests.
    fn debugged() -> Node {
        let config = config::Node { enable_debug_command: "yes".parse().unwrap(), ..config::Node::default() };
        let node = Node::without_data(config);
        node.install_engine();
        node.appoint();
        node
    }

    /// One that refuses what it may not execute.
    fn without_data(config: config::Node) -> Node {
        Node::without_data_named("a", config::Node { standby: config::Standby::Refuse, ..config })
    }

    fn without_data_named(name: &str, config: config::Node) -> Node {
        let clock = Arc::new(PausedClock(Instant::now()));
        let identity = Identity {
            node: name.into(),
            cluster: "00112233445566778899aabbccddeeff".into(),
            incarnation: 0,
            members: members(),
            bind: "127.0.0.1".into(),
            port: 6379,
            folder: "data".into(),
            threads: 1,
            started: clock.unix(),
        };
        let config = config::Node { durable_wait_ms: 3000, ..config };
        Node {
            context: NodeContext::new(
                Serving::new(),
                clock,
                Settings::new(&config, &config::Lease::default()),
                identity,
            ),
        }
    }

    fn install_engine(&self) {
        self.context.install_engine(Arc::new(Engine::new(EngineOptions { shards: 4, ..EngineOptions::default() })));
    }

    /// Begins the next epoch, whose first record the vault has at once.
    fn appoint(&self) {
        let start = self.engine().begin_epoch(self.context.serving.epoch().next()).expect("a newer epoch");
        self.durable(start.0);
        let epoch = self.context.serving.epoch().next();
        self.publish(Standing { epoch, ..standing(Role::Primary, true) });
    }

    fn publish(&self, standing: Standing) {
        self.context.serving.publish(&standing, self.context.clock.monotonic());
    }

    fn play(&self, role: Role) {
        let epoch = self.context.serving.epoch();
        self.publish(Standing { epoch, ..standing(role, role == Role::Primary) });
    }

    fn engine(&self) -> &Engine {
        self.context.engine().unwrap()
    }

    /// The vault has everything up to `lsn`.
    fn durable(&self, lsn: u64) {
        self.context.serving.advance_durable(Lsn(lsn));
    }

    /// Starts a vault that confirms everything a moment after it was written.
    fn confirm_all(&self) {
        let context = Arc::clone(&self.context);
        tokio::task::spawn_local(async move {
            loop {
                sleep(Duration::from_millis(2)).await;
                context.serving.advance_durable(context.engine().unwrap().last());
            }
        });
    }

    fn client(&self) -> Client {
        self.client_by(Way::Resp, 1 << 16)
    }

    fn client_by(&self, way: Way, window: usize) -> Client {
        let peer =
            Peer { address: "127.0.0.1:50000".into(), local: "127.0.0.1:6379".into(), way, authenticated: false };
        let now = self.context.clock.monotonic();
        let registration = self.context.registry.register(peer, now, usize::MAX).unwrap();
        let (ours, theirs) = tokio::io::duplex(window);
        tokio::task::spawn_local(serve(Arc::clone(&self.context), registration, theirs, TokioThread::default()));
        Client { stream: ours }
    }
}

/// The nodes of the cluster, by name.
fn members() -> Vec<Arc<PrimaryAddress>> {
    let member = |node: &str, host: &str| {
        Arc::new(PrimaryAddress { node: node.into(), resp: format!("{host}:6380"), quic: format!("{host}:7380") })
    };
    vec![member("a", "10.0.0.1"), member("b", "10.0.0.2")]
}

fn standing(role: Role, executes: bool) -> Standing {
    let until = if executes { Monotonic(u64::MAX) } else { Monotonic(0) };
    Standing {
        role,
        epoch: Epoch(1),
        lease_until: until,
        execute_until: until,
        long_waits: false,
        took_over: false,
        primary: members().pop(),
    }
}

struct Client {
    stream: DuplexStream,
}

impl Client {
    async fn send(&mut self, bytes: &str) {
        self.stream.write_all(bytes.as_bytes()).await.expect("the session reads");
    }

    /// Expects exactly these bytes next.
    async fn expect(&mut self, expected: &str) {
        let mut got = vec![0; expected.len()];
        let read = timeout(Duration::from_secs(3600), self.stream.read_exact(&mut got)).await;
        let got = String::from_utf8_lossy(&got);
        assert!(matches!(read, Ok(Ok(_))), "{read:?} instead of {expected:?}; so far {got:?}");
        assert_eq!(got, expected);
    }

    /// Expects that nothing comes for `time`.
    async fn expect_silence(&mut self, time: Duration) {
        let mut byte = [0];
        let read = timeout(time, self.stream.read(&mut byte)).await;
        assert!(read.is_err(), "{read:?} {byte:?} came");
    }

    async fn expect_end(&mut self) {
        let mut rest = Vec::new();
        timeout(Duration::from_secs(3600), self.stream.read_to_end(&mut rest))
            .await
            .expect("the session ends")
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&rest), "");
    }

    /// The next line, without its end.
    async fn line(&mut self) -> String {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            line.push(self.stream.read_u8().await.expect("a reply comes"));
        }
        String::from_utf8_lossy(&line[..line.len() - 2]).into_owned()
    }

    /// The text that answers `request`.
    async fn bulk(&mut self, request: &str) -> String {
        self.send(request).await;
        let header = self.line().await;
        let length = header[1..].parse().expect("a bulk string's length");
        let mut text = vec![0; length];
        self.stream.read_exact(&mut text).await.expect("the reply is whole");
        self.expect("\r\n").await;
        String::from_utf8(text).expect("text")
    }

    /// The number of its connection.
    async fn id(&mut self) -> u64 {
        self.send("CLIENT ID\r\n").await;
        self.line().await[1..].parse().expect("a number")
    }

    async fn ask(&mut self, request: &str, reply: &str) {
        self.send(request).await;
        self.expect(reply).await;
    }
}

/// The request that sets the key `string`, however long `text` is.
fn set_string(text: &str) -> String {
    format!("*3\r\n$3\r\nSET\r\n$6\r\nstring\r\n${}\r\n{text}\r\n", text.len())
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, test);
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

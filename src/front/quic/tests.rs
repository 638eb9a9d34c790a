//! Nodes with a real engine behind real QUIC; the test plays the role drivers and the vault. Two nodes share one engine, as if
//! replication took no time.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_rt::Arbiter;
use redis::{AsyncCommands, Value};
use tanist_client::{Client, Error, Options};
use tanist_db_core::clock::{Clock, Monotonic, SystemClock};
use tanist_db_core::engine::{Engine, EngineOptions};
use tanist_db_core::ids::Epoch;
use tanist_replication::serving::{PrimaryAddress, Standing};
use tanist_replication::transport::certs;
use tanist_replication::transport::quic::ALPN_CLIENT;
use tempfile::TempDir;

use super::*;
use crate::config;
use crate::front::{Identity, Settings};

const NAMES: [&str; 2] = ["a", "b"];

struct Pair {
    folder: TempDir,
    engine: Arc<Engine>,
    nodes: Vec<(Arc<NodeContext>, SocketAddr, Addr<QuicAcceptor>)>,
    arbiters: Vec<Arbiter>,
    vault: Arc<AtomicBool>,
}

impl Pair {
    /// Two standbys.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tls = folder.path().join("tls");
        let principals = [node("a"), node("b"), Principal::Vault, Principal::Client];
        certs::create(&tls, 0xC1u128, &principals, SystemClock::new().unix()).unwrap();
        let engine = Arc::new(Engine::new(EngineOptions { shards: 4, ..EngineOptions::default() }));
        let arbiters = vec![Arbiter::new(), Arbiter::new()];
        let handles: Vec<_> = arbiters.iter().map(Arbiter::handle).collect();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let nodes = NAMES.iter().map(|name| {
            let context = context(name, &clock);
            context.install_engine(Arc::clone(&engine));
            let credentials = Arc::new(Credentials::load(&tls, &node(name), Arc::clone(&clock)).unwrap());
            let (acceptor, address) = start(&context, credentials, "127.0.0.1:0".parse().unwrap(), &handles).unwrap();
            (context, address, acceptor)
        });
        let nodes = nodes.collect();
        let pair = Self { folder, engine, nodes, arbiters, vault: Arc::new(AtomicBool::new(true)) };
        (0..NAMES.len()).for_each(|index| pair.publish(index, Role::Standby, 0, None));
        pair.start_vault();
        pair
    }

    /// Confirms everything a moment after it was written, while `vault` is set.
    fn start_vault(&self) {
        let (engine, vault) = (Arc::clone(&self.engine), Arc::clone(&self.vault));
        let contexts: Vec<_> = self.nodes.iter().map(|(context, ..)| Arc::clone(context)).collect();
        actix_rt::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(1)).await;
                while engine.redo().take(1 << 20).is_some() {}
                if vault.load(Ordering::SeqCst) {
                    contexts.iter().for_each(|context| context.serving.advance_durable(engine.last()));
                }
                contexts.iter().for_each(|context| context.serving.room_freed());
            }
        });
    }

    fn publish(&self, index: usize, role: Role, epoch: u64, primary: Option<usize>) {
        let context = &self.nodes[index].0;
        let until = if role == Role::Primary { Monotonic(u64::MAX) } else { Monotonic(0) };
        let primary = primary.map(|index| {
            let quic = self.nodes[index].1.to_string();
            Arc::new(PrimaryAddress { node: NAMES[index].into(), resp: quic.clone(), quic })
        });
        let standing = Standing {
            role,
            epoch: Epoch(epoch),
            lease_until: until,
            execute_until: until,
            long_waits: false,
            took_over: false,
            primary,
        };
        context.serving.publish(&standing, context.clock.monotonic());
    }

    /// `index` becomes primary under `epoch`; the other one becomes its standby.
    fn appoint(&self, index: usize, epoch: u64) {
        self.engine.begin_epoch(Epoch(epoch)).expect("a newer epoch");
        self.publish(index, Role::Primary, epoch, Some(index));
        self.publish(1 - index, Role::Standby, epoch, Some(index));
    }

    /// As a planned switchover does it: hold, drain, hand over.
    async fn hand_over(&self, to: usize, epoch: u64) {
        let from = 1 - to;
        self.publish(from, Role::HandingOver, epoch - 1, Some(from));
        while self.nodes[from].0.serving.executing() > 0 {
            tokio::task::yield_now().await;
        }
        let last = self.engine.end_epoch(Epoch(u64::MAX));
        while self.nodes[from].0.serving.durable() < last {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        self.publish(from, Role::Standby, epoch, Some(to));
        self.appoint(to, epoch);
    }

    fn tls(&self) -> PathBuf {
        self.folder.path().join("tls")
    }

    fn options(&self) -> Options {
        Options::new(self.nodes.iter().map(|(_, address, _)| (*address).into()).collect(), self.tls())
    }

    fn credentials(&self, principal: &Principal) -> Credentials {
        Credentials::load(&self.tls(), principal, Arc::new(SystemClock::new())).unwrap()
    }

    /// A connection of `principal` to the first node, without the library.
    async fn raw(&self, principal: &Principal) -> Connection {
        let address = self.nodes[0].1;
        let endpoint = quic::dialer(address).unwrap();
        quic::connect(&endpoint, &self.credentials(principal), ALPN_CLIENT, &node("a"), address).await.unwrap()
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        self.arbiters.iter().for_each(|arbiter| assert!(arbiter.stop()));
    }
}

fn node(name: &str) -> Principal {
    Principal::node(name).unwrap()
}

fn context(name: &str, clock: &Arc<dyn Clock>) -> Arc<NodeContext> {
    let identity = Identity {
        node: name.into(),
        cluster: format!("{:032x}", 0xC1u128),
        incarnation: 0,
        members: Vec::new(),
        bind: "127.0.0.1".into(),
        port: 6379,
        folder: "data".into(),
        threads: 2,
        started: clock.unix(),
    };
    NodeContext::new(
        Serving::new(),
        Arc::clone(clock),
        Settings::new(&config::Node::default(), &config::Lease::default()),
        identity,
    )
}

#[actix_rt::test]
async fn the_library_speaks_to_a_node_in_its_own_protocol_and_needs_no_password() {
    let pair = Pair::new();
    pair.nodes.iter().for_each(|(context, ..)| context.settings.set_password("secret"));
    pair.appoint(0, 1);
    let mut client = Client::connect(pair.options()).await.unwrap();
    let _: () = client.set("king", "Brian").await.unwrap();
    assert_eq!(client.get::<_, Option<String>>("king").await.unwrap().as_deref(), Some("Brian"));
    assert_eq!(client.command(&["CONFIG", "GET", "port"]).await.unwrap(), {
        let word = |text: &str| Value::BulkString(text.into());
        Value::Map(vec![(word("port"), word("6379"))])
    });
    let mut transaction = redis::pipe();
    transaction.atomic().incr("n", 2).get("king").del("king");
    let done: (i64, String, i64) = transaction.query_async(&mut client).await.unwrap();
    assert_eq!(done, (2, "Brian".to_owned(), 1));
    let large = vec![7_u8; 3 << 20];
    let _: () = client.set("large", &large).await.unwrap();
    assert!(client.get::<_, Vec<u8>>("large").await.unwrap() == large);
    let list = String::from_utf8(match client.command(&["CLIENT", "LIST"]).await.unwrap() {
        Value::BulkString(list) => list,
        Value::VerbatimString { text, .. } => text.into_bytes(),
        other => panic!("{other:?}"),
    });
    assert!(list.unwrap().contains("resp=3"));
}

#[actix_rt::test]
async fn a_switchover_under_load_fails_nothing_and_doubles_nothing() {
    let pair = Pair::new();
    pair.appoint(0, 1);
    let client = Client::connect(pair.options()).await.unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let tasks: Vec<_> = (0..16)
        .map(|task| {
            let (client, stop) = (client.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut count = 0;
                while !stop.load(Ordering::SeqCst) {
                    count += 1;
                    let reply = client.command(&["INCR", &format!("task {task}")]).await.unwrap();
                    assert_eq!(reply, Value::Int(count), "task {task}");
                }
                count
            })
        })
        .collect();
    for epoch in 2..=21 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        pair.hand_over(usize::from(epoch % 2 == 0), epoch).await;
    }
    stop.store(true, Ordering::SeqCst);
    for task in tasks {
        assert!(task.await.unwrap() > 20);
    }
}

#[actix_rt::test]
async fn a_standby_tells_when_it_has_taken_over() {
    let pair = Pair::new();
    pair.appoint(0, 1);
    let only_b = Options { nodes: vec![pair.nodes[1].1.into()], ..pair.options() };
    let client = Client::connect(only_b).await.unwrap();
    assert_eq!(client.primary().unwrap().address, pair.nodes[0].1.into(), "the standby has named the primary");
    client.command(&["SET", "k", "1"]).await.unwrap();

    // The first node falls silent as primary; the second one takes over.
    pair.publish(0, Role::Promoting, 1, None);
    pair.engine.end_epoch(Epoch(u64::MAX));
    pair.engine.begin_epoch(Epoch(2)).expect("a newer epoch");
    pair.publish(1, Role::Primary, 2, Some(1));
    let mut follow = client.follow();
    let b = follow.wait_for(|primary| primary.as_ref().is_some_and(|primary| primary.epoch == 2));
    let b =
        tokio::time::timeout(Duration::from_millis(200), b).await.expect("the standby says so itself").unwrap().clone();
    assert_eq!(b.unwrap().address, pair.nodes[1].1.into());
    assert_eq!(client.command(&["APPEND", "k", "2"]).await.unwrap(), Value::Int(2));
}

#[actix_rt::test]
async fn what_a_node_out_of_touch_held_is_brought_to_its_successor() {
    let pair = Pair::new();
    pair.appoint(0, 1);
    let client = Client::connect(pair.options()).await.unwrap();
    pair.publish(0, Role::HandingOver, 1, None);
    let (reply, ()) = tokio::join!(client.command(&["INCR", "n"]), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        pair.engine.end_epoch(Epoch(u64::MAX));
        pair.engine.begin_epoch(Epoch(2)).expect("a newer epoch");
        pair.publish(1, Role::Primary, 2, Some(1));
        tokio::time::sleep(Duration::from_millis(2_500)).await;
        assert_eq!(client.command(&["INCR", "m"]).await.unwrap(), Value::Int(1), "others do not wait for it");
        pair.publish(0, Role::Standby, 2, Some(1));
    });
    assert_eq!(reply.unwrap(), Value::Int(1));
}

#[actix_rt::test]
async fn without_the_vault_nothing_is_acknowledged() {
    let pair = Pair::new();
    pair.appoint(0, 1);
    let client = Client::connect(Options { deadline: Duration::from_millis(300), ..pair.options() }).await.unwrap();
    client.command(&["SET", "k", "1"]).await.unwrap();
    pair.vault.store(false, Ordering::SeqCst);
    let error = client.command(&["SET", "k", "2"]).await.unwrap_err();
    assert!(matches!(error, Error::Unknown(_)), "{error}");
    pair.vault.store(true, Ordering::SeqCst);
    assert_eq!(client.command(&["GET", "k"]).await.unwrap(), Value::BulkString(b"2".to_vec()));
}

#[actix_rt::test]
async fn a_fenced_node_ends_its_conversations_in_silence() {
    let pair = Pair::new();
    pair.appoint(0, 1);
    let client = Client::connect(Options { deadline: Duration::from_millis(500), ..pair.options() }).await.unwrap();
    pair.vault.store(false, Ordering::SeqCst);
    let (held, ()) = tokio::join!(client.command(&["SET", "k", "1"]), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        pair.publish(0, Role::Fenced, 2, None);
    });
    assert!(matches!(held, Err(Error::Unknown(_))), "{held:?}");
}

#[actix_rt::test]
async fn clients_beyond_the_bound_are_told_so() {
    let pair = Pair::new();
    pair.appoint(0, 1);
    pair.nodes.iter().for_each(|(context, ..)| context.settings.set_connections_max(0));
    let options = Options { deadline: Duration::from_millis(500), ..pair.options() };
    let error = Client::connect(options).await.unwrap_err().to_string();
    assert!(error.contains("max number of clients reached"), "{error}");
}

#[actix_rt::test]
async fn unadmitted_peers_and_foreign_versions_are_told_why() {
    let pair = Pair::new();
    pair.appoint(0, 1);
    let told = told_why(&pair, &Principal::Vault, b"").await;
    assert!(told.contains("vault is no client"), "{told}");

    let told = told_why(&pair, &Principal::Client, b"GET / HTTP/1.1\r\n\r\n").await;
    assert!(told.contains("a greeting starts with TNSC"), "{told}");

    let connection = pair.raw(&Principal::Client).await;
    let (mut send, mut receive) = connection.open_bi().await.unwrap();
    send.write_all(b"TNSC\x09\0\0\0").await.unwrap();
    let notice = Notice::read(&mut receive).await.unwrap();
    assert!(matches!(&notice, Notice::Refused { why } if why.contains("version 9")), "{notice:?}");
}

/// Why a node closes the connection of a peer that sends these bytes.
async fn told_why(pair: &Pair, who: &Principal, bytes: &[u8]) -> String {
    for _ in 0..20 {
        let connection = pair.raw(who).await;
        let stream = connection.open_bi().await.ok();
        if let Some((mut send, _receive)) = stream {
            let _ = send.write_all(bytes).await;
        }
        // A node forgets a connection some round trips after it has closed it: a peer that did not run meanwhile hears no reason.
        match quic::explain(&connection.closed().await) {
            reset if reset == "the peer has restarted" => {}
            told => return told,
        }
    }
    panic!("no reason is given");
}

#[actix_rt::test]
async fn a_node_that_stops_accepting_keeps_its_clients() {
    let pair = Pair::new();
    pair.appoint(0, 1);
    let client = Client::connect(pair.options()).await.unwrap();
    for (_, _, acceptor) in &pair.nodes {
        acceptor.send(StopAccepting).await.unwrap();
    }
    assert_eq!(client.command(&["INCR", "n"]).await.unwrap(), Value::Int(1));
    let options = Options { deadline: Duration::from_millis(700), ..pair.options() };
    assert!(matches!(Client::connect(options).await, Err(Error::NotExecuted { .. })));
    assert_eq!(client.command(&["INCR", "n"]).await.unwrap(), Value::Int(2));
}

/// Whoever has a certificate and says nothing takes no place from others for longer than it has to.
#[actix_rt::test]
async fn the_silent_are_bounded_in_number_and_cut_in_time() {
    let pair = Pair::new();
    pair.appoint(0, 1);
    let mut silent = Vec::new();
    for _ in 0..UNADMITTED_MAX {
        silent.push(pair.raw(&Principal::Client).await);
    }
    let credentials = pair.credentials(&Principal::Client);
    let address = pair.nodes[0].1;
    let dialer = quic::dialer(address).unwrap();
    let refused = quic::connect(&dialer, &credentials, ALPN_CLIENT, &node("a"), address).await;
    assert!(refused.is_err(), "one more is refused");
    for connection in &silent {
        let told = quic::explain(&connection.closed().await);
        assert!(told.contains("it has not greeted in time"), "{told}");
    }
    let client = Client::connect(pair.options()).await.unwrap();
    assert_eq!(client.command(&["INCR", "n"]).await.unwrap(), Value::Int(1));
}

//! A cluster for tests: nodes that speak the client protocol over real QUIC, share one map, and become primary when told.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::BytesMut;
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Connection, Endpoint, IdleTimeout, RecvStream, SendStream, TransportConfig};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ED25519};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tanist_client::wire::ALPN;
use tanist_client::wire::greeting::{GREETING_BYTES, Notice, check_greeting};
use tanist_client::{Client, Error, Options};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

/// The cluster's number in names.
pub(crate) const CLUSTER: &str = "0123456789abcdef0123456789abcdef";

/// Who is primary, as all nodes know it at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Primary {
    pub(crate) holder: Option<usize>,
    pub(crate) epoch: u64,
    pub(crate) took_over: bool,
}

/// What a node does with commands while it is primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Executes and replies.
    Serve,
    /// Neither executes nor replies until it has ceased to be primary: then refuses what it held.
    Hold,
    /// Neither executes nor replies, whoever is primary; its connections show signs of life.
    Hang,
    /// Executes the next command, and ends the connection instead of replying.
    LoseReply,
    /// Ends the connection instead of executing the next command.
    LoseRequest,
    /// Replies with bytes that are no reply.
    Babble,
}

/// What all nodes share.
pub(crate) struct World {
    pub(crate) primary: watch::Sender<Primary>,
    pub(crate) manner: watch::Sender<Manner>,
    pub(crate) data: Mutex<HashMap<Vec<u8>, Vec<u8>>>,
    /// Executed commands in order: node, words.
    pub(crate) executed: Mutex<Vec<(usize, Vec<String>)>>,
    /// Commands that nodes hold at present, and the most there ever were.
    pub(crate) held: Mutex<(usize, usize)>,
    /// Keys that somebody blocks for.
    pub(crate) awaited: Mutex<Vec<Vec<u8>>>,
    addresses: Mutex<BTreeMap<usize, SocketAddr>>,
    pub(crate) greetings: AtomicU64,
}

pub(crate) struct Cluster {
    pub(crate) authority: Authority,
    pub(crate) world: Arc<World>,
    nodes: Vec<Option<Node>>,
}

struct Node {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Cluster {
    /// Two nodes, of which the first is primary under epoch 1.
    pub(crate) fn new() -> Self {
        let mut cluster = Self::idle();
        cluster.start(0, "node-a");
        cluster.start(1, "node-b");
        cluster.elect(0);
        cluster
    }

    /// No node yet.
    pub(crate) fn idle() -> Self {
        let world = World {
            primary: watch::channel(Primary { holder: None, epoch: 0, took_over: false }).0,
            manner: watch::channel(Manner::Serve).0,
            data: Mutex::default(),
            executed: Mutex::default(),
            held: Mutex::default(),
            awaited: Mutex::default(),
            addresses: Mutex::default(),
            greetings: AtomicU64::new(0),
        };
        Self { authority: Authority::new(), world: Arc::new(world), nodes: Vec::new() }
    }

    /// Starts a node with a certificate for `name`, on a thread and a runtime of its own.
    pub(crate) fn start(&mut self, index: usize, name: &str) {
        let config = self.authority.server_config(name);
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        let (stop, stopped) = oneshot::channel();
        let world = self.world.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let endpoint = runtime.block_on(async {
                let endpoint = Endpoint::server(config, "127.0.0.1:0".parse().unwrap()).unwrap();
                tell.send(endpoint.local_addr().unwrap()).unwrap();
                tokio::spawn(accept(index, endpoint.clone(), world));
                let _ = stopped.await;
                endpoint
            });
            // The runtime first: nobody is told, as when a process is killed.
            drop(runtime);
            drop(endpoint);
        });
        let address = told.recv().unwrap();
        self.world.addresses.lock().unwrap().insert(index, address);
        self.nodes.resize_with(self.nodes.len().max(index + 1), || None);
        self.nodes[index] = Some(Node { address, stop: Some(stop), thread: Some(thread) });
    }

    pub(crate) fn address(&self, index: usize) -> SocketAddr {
        self.nodes[index].as_ref().unwrap().address
    }

    /// Makes a node primary by a switchover, under a new epoch.
    pub(crate) fn elect(&self, index: usize) -> u64 {
        self.begin_term(index, false)
    }

    /// Makes a node primary, by a takeover or a switchover, under a new epoch.
    pub(crate) fn begin_term(&self, index: usize, took_over: bool) -> u64 {
        let begin = |primary: &mut Primary| {
            *primary = Primary { holder: Some(index), epoch: primary.epoch + 1, took_over };
        };
        self.world.primary.send_modify(begin);
        self.world.primary.borrow().epoch
    }

    /// Nobody is primary.
    pub(crate) fn depose(&self) {
        self.world.primary.send_modify(|primary| primary.holder = None);
    }

    pub(crate) fn behave(&self, manner: Manner) {
        self.world.manner.send_replace(manner);
    }

    /// The node is gone without a word.
    pub(crate) fn vanish(&mut self, index: usize) {
        if let Some(mut node) = self.nodes[index].take() {
            drop(node.stop.take());
            node.thread.take().unwrap().join().unwrap();
        }
    }

    pub(crate) fn options(&self) -> Options {
        let nodes = self.nodes.iter().flatten().map(|node| node.address.into()).collect();
        Options::new(nodes, self.authority.tls())
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(self.options()).await.unwrap()
    }

    pub(crate) fn executed(&self, name: &str) -> usize {
        self.world.executed.lock().unwrap().iter().filter(|(_, words)| words[0] == name).count()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        (0..self.nodes.len()).for_each(|index| self.vanish(index));
    }
}

/// Waits for something that other threads bring about.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    for _ in 0..1_000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("in vain: {what}");
}

pub(crate) fn is_unknown<T>(result: &Result<T, Error>) -> bool {
    matches!(result, Err(Error::Unknown(_)))
}

/// A cluster's authority and its folder of certificates.
pub(crate) struct Authority {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
    ca: CertificateDer<'static>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, format!("authority in {}", folder.path().display()));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let ca = params.self_signed(&key).unwrap();
        std::fs::create_dir(folder.path().join("tls")).unwrap();
        std::fs::write(folder.path().join("tls/ca.pem"), ca.pem()).unwrap();
        let authority = Self { folder, ca: ca.der().clone(), issuer: Issuer::new(params, key) };
        authority.write_client("client", 1975, 4096);
        authority
    }

    pub(crate) fn tls(&self) -> PathBuf {
        self.folder.path().join("tls")
    }

    /// Writes the client's files, for a certificate that names `who` and is valid in these years.
    pub(crate) fn write_client(&self, who: &str, from: i32, to: i32) {
        let (certificate, key) = self.issue(who, from, to);
        std::fs::write(self.tls().join("client.pem"), certificate.pem()).unwrap();
        std::fs::write(self.tls().join("client.key"), key.serialize_pem()).unwrap();
    }

    fn issue(&self, who: &str, from: i32, to: i32) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        let mut params = CertificateParams::new([format!("{who}.{CLUSTER}.tanist")]).unwrap();
        params.not_before = rcgen::date_time_ymd(from, 1, 1);
        params.not_after = rcgen::date_time_ymd(to, 1, 1);
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    fn server_config(&self, name: &str) -> quinn::ServerConfig {
        let (certificate, key) = self.issue(name, 1975, 4096);
        let mut roots = RootCertStore::empty();
        roots.add(self.ca.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().unwrap();
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
            .unwrap();
        config.alpn_protocols = vec![ALPN.to_vec()];
        let mut config = quinn::ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(config).unwrap()));
        let mut transport = TransportConfig::default();
        transport.max_idle_timeout(Some(IdleTimeout::try_from(Duration::from_secs(10)).unwrap()));
        config.transport_config(Arc::new(transport));
        config
    }
}

async fn accept(index: usize, endpoint: Endpoint, world: Arc<World>) {
    while let Some(incoming) = endpoint.accept().await {
        let world = world.clone();
        tokio::spawn(async move {
            if let Ok(connection) = incoming.await {
                let _ = serve(index, connection, world).await;
            }
        });
    }
}

async fn serve(index: usize, connection: Connection, world: Arc<World>) -> Result<(), Box<dyn std::error::Error>> {
    let (mut send, mut receive) = connection.accept_bi().await?;
    let mut greeting = [0; GREETING_BYTES];
    receive.read_exact(&mut greeting).await?;
    check_greeting(greeting)?;
    world.greetings.fetch_add(1, Ordering::SeqCst);
    let mut primary = world.primary.subscribe();
    loop {
        let Primary { holder, epoch, took_over } = *primary.borrow_and_update();
        if holder == Some(index) {
            send.write_all(&Notice::Primary { epoch, took_over }.to_bytes()).await?;
            break;
        }
        let address = holder.map(|holder| world.addresses.lock().unwrap()[&holder].to_string());
        send.write_all(&Notice::Elsewhere { epoch, address }.to_bytes()).await?;
        tokio::select! {
            changed = primary.changed() => changed?,
            reason = connection.closed() => return Err(reason.into()),
        }
    }
    let session = Session { index, world, send, refused: false, queue: None };
    session.run(connection, receive).await
}

struct Session {
    index: usize,
    world: Arc<World>,
    send: SendStream,
    /// Once a command has been refused, all that follow are.
    refused: bool,
    queue: Option<Vec<Vec<Vec<u8>>>>,
}

impl Session {
    async fn run(mut self, connection: Connection, mut receive: RecvStream) -> Result<(), Box<dyn std::error::Error>> {
        let mut input = BytesMut::new();
        loop {
            while let Some(words) = take_command(&mut input) {
                let reply = tokio::select! {
                    reply = self.answer(&words) => reply,
                    _ = connection.closed() => return Ok(()),
                };
                let Some(reply) = reply else {
                    connection.close(0_u32.into(), b"lost on purpose");
                    return Ok(());
                };
                self.send.write_all(&reply).await?;
            }
            if receive.read_buf(&mut input).await? == 0 {
                return Ok(());
            }
        }
    }

    /// `None`: end the connection instead.
    async fn answer(&mut self, words: &[Vec<u8>]) -> Option<Vec<u8>> {
        let mut manner = self.world.manner.subscribe();
        let mut primary = self.world.primary.subscribe();
        let now = *manner.borrow_and_update();
        if now == Manner::Hold && primary.borrow().holder == Some(self.index) {
            self.hold(1);
            let index = self.index;
            tokio::select! {
                _ = primary.wait_for(|primary| primary.holder != Some(index)) => {}
                _ = manner.wait_for(|manner| *manner != Manner::Hold) => {}
            }
            self.hold(-1);
        }
        if now == Manner::Hang {
            self.hold(1);
            std::future::pending::<()>().await;
        }
        let popped = if words[0] == b"BLPOP" { Some(self.block(words).await) } else { None };
        let holder = self.world.primary.borrow().holder;
        self.refused |= holder != Some(self.index);
        if self.refused {
            let address =
                holder.map_or("?".to_owned(), |holder| self.world.addresses.lock().unwrap()[&holder].to_string());
            return Some(format!("-NOTPRIMARY {address} this node is a standby\r\n").into_bytes());
        }
        match now {
            Manner::LoseRequest => {
                self.world.manner.send_replace(Manner::Serve);
                None
            }
            Manner::LoseReply => {
                self.world.manner.send_replace(Manner::Serve);
                if popped.is_none() {
                    self.execute(words);
                }
                None
            }
            Manner::Babble => Some(b"?what\r\n".to_vec()),
            _ if popped.is_some() => popped,
            Manner::Serve | Manner::Hold | Manner::Hang => Some(self.execute(words)),
        }
    }

    /// Takes the value of a key, as if it were a list's one element: waits for it until the timeout, or until this node is not primary.
    async fn block(&self, words: &[Vec<u8>]) -> Vec<u8> {
        let _awaited = Awaited::new(&self.world, &words[1]);
        self.note(words);
        let seconds: f64 = String::from_utf8_lossy(words.last().unwrap()).parse().unwrap();
        let end = Instant::now() + Duration::from_secs_f64(if seconds == 0.0 { 1e6 } else { seconds });
        while self.world.primary.borrow().holder == Some(self.index) && Instant::now() < end {
            if let Some(value) = self.world.data.lock().unwrap().remove(&words[1]) {
                let bulk = |bytes: &[u8]| [format!("${}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
                return [b"*2\r\n".to_vec(), bulk(&words[1]), bulk(&value)].concat();
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        b"_\r\n".to_vec()
    }

    fn hold(&self, by: isize) {
        let mut held = self.world.held.lock().unwrap();
        held.0 = held.0.checked_add_signed(by).unwrap();
        held.1 = held.1.max(held.0);
    }

    fn execute(&mut self, words: &[Vec<u8>]) -> Vec<u8> {
        let name = String::from_utf8_lossy(&words[0]).to_ascii_uppercase();
        match (name.as_str(), &mut self.queue) {
            ("MULTI", queue) => {
                *queue = Some(Vec::new());
                b"+OK\r\n".to_vec()
            }
            ("EXEC", queue) => {
                let commands = queue.take().expect("tests send MULTI first");
                let mut reply = format!("*{}\r\n", commands.len()).into_bytes();
                commands.iter().for_each(|words| reply.extend(self.apply(words)));
                reply
            }
            (_, Some(queue)) => {
                queue.push(words.to_vec());
                b"+QUEUED\r\n".to_vec()
            }
            (_, None) => self.apply(words),
        }
    }

    fn note(&self, words: &[Vec<u8>]) {
        let mut shown: Vec<String> = words.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
        shown[0].make_ascii_uppercase();
        shown.iter_mut().for_each(|word| *word = word.chars().take(40).collect());
        self.world.executed.lock().unwrap().push((self.index, shown));
    }

    fn apply(&self, words: &[Vec<u8>]) -> Vec<u8> {
        self.note(words);
        let name = String::from_utf8_lossy(&words[0]).to_ascii_uppercase();
        let mut data = self.world.data.lock().unwrap();
        match name.as_str() {
            "SET" => {
                data.insert(words[1].clone(), words[2].clone());
                b"+OK\r\n".to_vec()
            }
            "GET" => match data.get(&words[1]) {
                Some(value) => [format!("${}\r\n", value.len()).as_bytes(), value, b"\r\n"].concat(),
                None => b"_\r\n".to_vec(),
            },
            "INCR" => {
                let value = data.entry(words[1].clone()).or_insert_with(|| b"0".to_vec());
                let number: i64 = String::from_utf8_lossy(value).parse().unwrap();
                *value = (number + 1).to_string().into_bytes();
                format!(":{}\r\n", number + 1).into_bytes()
            }
            "APPEND" => {
                let value = data.entry(words[1].clone()).or_default();
                value.extend_from_slice(&words[2]);
                format!(":{}\r\n", value.len()).into_bytes()
            }
            "WATCH" | "UNWATCH" => b"+OK\r\n".to_vec(),
            "PING" => b">2\r\n+news\r\n:1\r\n+PONG\r\n".to_vec(),
            _ => b"-ERR unknown command\r\n".to_vec(),
        }
    }
}

/// A key among those that are awaited, as long as this lives.
struct Awaited<'a>(&'a World, &'a [u8]);

impl<'a> Awaited<'a> {
    fn new(world: &'a World, key: &'a [u8]) -> Self {
        world.awaited.lock().unwrap().push(key.to_vec());
        Self(world, key)
    }
}

impl Drop for Awaited<'_> {
    fn drop(&mut self) {
        let mut awaited = self.0.awaited.lock().unwrap();
        let at = awaited.iter().position(|key| key == self.1).unwrap();
        awaited.remove(at);
    }
}

/// The next command in the buffer: an array of strings.
fn take_command(input: &mut BytesMut) -> Option<Vec<Vec<u8>>> {
    let mut at = 0;
    let line = |at: &mut usize| {
        let end = *at + input[*at..].iter().position(|b| *b == b'\n')?;
        let number: usize = std::str::from_utf8(&input[*at + 1..end - 1]).unwrap().parse().unwrap();
        *at = end + 1;
        Some(number)
    };
    let count = line(&mut at)?;
    let mut words = Vec::with_capacity(count);
    for _ in 0..count {
        let length = line(&mut at)?;
        words.push(input.get(at..at + length)?.to_vec());
        at += length + 2;
        if input.len() < at {
            return None;
        }
    }
    let _ = input.split_to(at);
    Some(words)
}

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::mpsc;

use bytes::Bytes;
use tanist_db_core::clock::SystemClock;
use tanist_db_core::level::Levels;
use tempfile::TempDir;

use super::*;
use crate::transport::certs;
use crate::transport::principal::Principal;
use crate::transport::quic::{self, ALPN_VAULT};
use crate::transport::rpc::{Channel, ControlClient, Priority, RpcError, Welcome};
use crate::transport::tls::Credentials;
use crate::vault::catalog::CatalogMemory;
use crate::vault::disk::sim::DiskSim;
use crate::vault::log::segment::LogFrame;
use crate::vault::testing::{chunk, frame, frame_bytes};
use crate::wire::frame::FrameKind;
use crate::wire::message::{HealthView, Hello, Peer, Progress};

const CLUSTER: u128 = 77;
const LEASE: Duration = Duration::from_millis(600);
const WAIT: Duration = Duration::from_secs(5);

/// A cluster's certificates and a vault's folder.
struct Scene {
    folder: TempDir,
    clock: Arc<dyn Clock>,
}

/// A process that talks to the vault.
struct Party {
    client: ControlClient,
    welcome: Welcome,
    news: mpsc::Receiver<Answer>,
}

impl Scene {
    fn new() -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let folder = tempfile::tempdir().unwrap();
        let parties = ["vault", "node-a", "node-b", "tool", "client"].map(|name| Principal::parse(name).unwrap());
        certs::create(&folder.path().join("tls"), CLUSTER, &parties, clock.unix()).unwrap();
        Self { folder, clock }
    }

    fn credentials(&self, principal: &Principal) -> Credentials {
        Credentials::load(&self.folder.path().join("tls"), principal, Arc::clone(&self.clock)).unwrap()
    }

    fn endpoint(&self) -> Endpoint {
        let credentials = self.credentials(&Principal::Vault);
        let (config, reset) = (credentials.server_config(&[ALPN_VAULT]), credentials.reset_key());
        quic::listen(SocketAddr::from(([127, 0, 0, 1], 0)), config, reset).unwrap()
    }

    fn dir(&self) -> std::path::PathBuf {
        self.folder.path().join("vault")
    }

    async fn try_start(&self, dir: &Path, cluster: u128) -> Result<(VaultHandle, SocketAddr), VaultError> {
        let endpoint = self.endpoint();
        let address = endpoint.local_addr().unwrap();
        let options = VaultOptions { dir: dir.to_owned(), cluster, lease: LEASE, permit: None, nodes: None };
        Ok((start(options, endpoint, Arc::clone(&self.clock)).await?, address))
    }

    async fn start(&self) -> (VaultHandle, SocketAddr) {
        self.try_start(&self.dir(), CLUSTER).await.unwrap()
    }

    /// A vault on a simulated disk.
    fn start_sim(&self, disk: &DiskSim) -> (VaultHandle, SocketAddr) {
        let endpoint = self.endpoint();
        let address = endpoint.local_addr().unwrap();
        let catalog = Arc::new(CatalogMemory::default());
        let storage = Storage::open(Arc::new(disk.clone()), catalog, CLUSTER).unwrap();
        (serve(storage, LEASE, endpoint, Arc::clone(&self.clock)).unwrap(), address)
    }

    /// A connection on which nothing has been said.
    async fn silent(&self, address: SocketAddr, certified: &str) -> quinn::Connection {
        let credentials = self.credentials(&Principal::parse(certified).unwrap());
        let dialer = quic::dialer(address).unwrap();
        quic::connect(&dialer, &credentials, ALPN_VAULT, &Principal::Vault, address).await.unwrap()
    }

    async fn try_connect(&self, address: SocketAddr, certified: &str, hello: Hello) -> Result<Party, RpcError> {
        let connection = self.silent(address, certified).await;
        let (tell, news) = mpsc::sync_channel(100);
        let (client, welcome) = ControlClient::open(connection, &hello, move |answer| {
            let _ = tell.try_send(answer);
        })
        .await?;
        Ok(Party { client, welcome, news })
    }

    async fn connect(&self, address: SocketAddr, peer: Peer, node: &str, incarnation: u64) -> Party {
        let certified = if peer == Peer::Tool { "tool".to_owned() } else { format!("node-{node}") };
        self.try_connect(address, &certified, hello(peer, node, incarnation)).await.unwrap()
    }

    async fn database(&self, address: SocketAddr, node: &str, incarnation: u64) -> Party {
        self.connect(address, Peer::Database, node, incarnation).await
    }
}

fn hello(peer: Peer, node: &str, incarnation: u64) -> Hello {
    Hello {
        levels: Levels::OWN,
        cluster: CLUSTER,
        peer,
        node: node.to_owned(),
        incarnation,
        pid: 1,
        resp_address: "127.0.0.1:1".to_owned(),
        quic_address: "127.0.0.1:2".to_owned(),
    }
}

impl Party {
    async fn call(&self, request: Request) -> Answer {
        self.client.call(request, WAIT).await.unwrap()
    }

    async fn claim(&self, seen: u64) -> (u64, u64) {
        match self.call(Request::Claim { seen }).await {
            Answer::Claimed { epoch, sealed } => (epoch, sealed),
            other => panic!("expected a grant, got {other:?}"),
        }
    }

    async fn open(&self, request: Request) -> Channel {
        self.client.open_channel(request, Priority::Log).await.unwrap()
    }

    async fn append(&self, epoch: u64, durable: u64) -> Channel {
        let mut channel = self.open(Request::Append { epoch }).await;
        assert_eq!(channel.answer().await.unwrap(), Answer::AppendReady { durable });
        channel
    }

    async fn status(&self) -> StatusView {
        match self.call(Request::Status).await {
            Answer::Status(status) => *status,
            other => panic!("expected a status, got {other:?}"),
        }
    }

    /// The next news of how the vault is.
    async fn health(&self) -> HealthView {
        for _ in 0..2000 {
            if let Ok(Answer::Health(view)) = self.news.try_recv() {
                return view;
            }
            actix_rt::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("no news came");
    }

    /// The next news of the lease: epoch, holder, whether it lasts.
    async fn news(&self) -> (u64, String, bool) {
        for _ in 0..2000 {
            if let Ok(Answer::Lease(view)) = self.news.try_recv() {
                return (view.epoch, view.holder, view.remaining_us > 0);
            }
            actix_rt::time::sleep(Duration::from_millis(2)).await;
        }
        panic!("no news came");
    }
}

/// Reads acknowledgements until `lsn` is durable.
async fn durable(channel: &mut Channel, lsn: u64) {
    loop {
        match channel.answer().await.unwrap() {
            Answer::Durable { lsn: durable } if durable == lsn => return,
            Answer::Durable { lsn: durable } => assert!(durable < lsn, "{durable} is beyond what was sent"),
            other => panic!("expected an acknowledgement, got {other:?}"),
        }
    }
}

/// Reads frames of a follow stream until record `last`.
async fn follow(channel: &mut Channel, last: u64) -> Vec<LogFrame> {
    let mut frames: Vec<LogFrame> = Vec::new();
    while frames.last().is_none_or(|frame| frame.last.0 < last) {
        let next = channel.receive.next().await.unwrap().expect("the stream goes on");
        if next.kind() == FrameKind::Batch {
            frames.push(LogFrame::of(next).unwrap());
        }
    }
    frames
}

#[actix_rt::test]
async fn what_is_appended_is_acknowledged_and_reaches_followers() {
    let scene = Scene::new();
    let (vault, address) = scene.start().await;
    let (a, b) = (scene.database(address, "a", 10).await, scene.database(address, "b", 20).await);
    assert_eq!((a.welcome.lease, a.welcome.durable, a.welcome.view.epoch), (LEASE, 0, 0));
    assert_eq!(a.claim(0).await, (1, 0));
    assert_eq!(b.news().await, (1, "a".to_owned(), true));
    let mut append = a.append(1, 0).await;
    let mut live = b.open(Request::Follow { after: 0 }).await;
    assert_eq!(live.answer().await.unwrap(), Answer::Following { durable: 0 });
    for first in 1..=20 {
        append.write(frame_bytes(1, first, 1)).await.unwrap();
    }
    durable(&mut append, 20).await;
    let wanted: Vec<_> = (1..=20).map(|first| frame(1, first, 1)).collect();
    assert_eq!(follow(&mut live, 20).await, wanted);
    let mut late = b.open(Request::Follow { after: 7 }).await;
    assert_eq!(late.answer().await.unwrap(), Answer::Following { durable: 20 });
    assert_eq!(follow(&mut late, 20).await, wanted[7..]);
    let mut beyond = b.open(Request::Follow { after: 21 }).await;
    assert!(matches!(beyond.answer().await, Err(RpcError::Refused(why)) if why.contains("ends at 20")));

    // The same again on a new stream: what is there is known, what follows is written.
    let mut again = a.append(1, 20).await;
    for first in 19..=21 {
        again.write(frame_bytes(1, first, 1)).await.unwrap();
    }
    durable(&mut again, 21).await;
    assert_eq!(follow(&mut live, 21).await, [frame(1, 21, 1)]);
    let replaced = append.write(frame_bytes(1, 22, 1)).await;
    assert!(
        replaced.is_ok() && matches!(append.answer().await, Err(RpcError::Refused(why)) if why.contains("replaced"))
    );

    a.call(Request::Report(Progress { applied: 21, ..Progress::default() })).await;
    let status = scene.connect(address, Peer::Tool, "", 0).await.status().await;
    assert_eq!((status.durable, status.oldest, status.lease.holder.as_str()), (21, 1, "a"));
    assert_eq!((status.nodes.len(), status.nodes[0].progress.applied), (2, 21));
    vault.stop().await;

    let (vault, address) = scene.start().await;
    let b = scene.database(address, "b", 20).await;
    assert_eq!((b.welcome.durable, b.welcome.view.epoch, b.welcome.view.holder.as_str()), (21, 1, "a"));
    let mut all = b.open(Request::Follow { after: 0 }).await;
    assert_eq!(follow_after_ready(&mut all, 21).await.len(), 21);
    vault.stop().await;
}

/// Lost once: the log writer was done with a frame before the stream knew that it had been accepted, nothing woke the
/// acknowledging side again, and the sender of a lone frame waited forever.
#[actix_rt::test]
async fn every_lone_frame_is_acknowledged() {
    let scene = Scene::new();
    let (vault, address) = scene.start_sim(&DiskSim::new(1));
    let a = scene.database(address, "a", 10).await;
    a.claim(0).await;
    let mut append = a.append(1, 0).await;
    for lsn in 1..=500 {
        append.write(frame_bytes(1, lsn, 1)).await.unwrap();
        tokio::time::timeout(WAIT, durable(&mut append, lsn)).await.expect("it is acknowledged though nothing follows");
    }
    vault.stop().await;
}

async fn follow_after_ready(channel: &mut Channel, last: u64) -> Vec<LogFrame> {
    assert!(matches!(channel.answer().await.unwrap(), Answer::Following { .. }));
    follow(channel, last).await
}

#[actix_rt::test]
async fn an_obituary_frees_the_lease_and_the_old_epoch_is_fenced() {
    let scene = Scene::new();
    let (vault, address) = scene.start().await;
    let (a, b) = (scene.database(address, "a", 10).await, scene.database(address, "b", 20).await);
    a.claim(0).await;
    let mut old = a.append(1, 0).await;
    old.write(frame_bytes(1, 1, 3)).await.unwrap();
    durable(&mut old, 3).await;
    assert_eq!(b.news().await, (1, "a".to_owned(), true));
    assert!(matches!(b.call(Request::Claim { seen: 1 }).await, Answer::Lease(view) if view.holder == "a"));

    let supervisor = scene.connect(address, Peer::Supervisor, "a", 10).await;
    let foreign = scene.connect(address, Peer::Supervisor, "b", 20).await;
    let death = |incarnation| Request::Obituary { node: "a".to_owned(), incarnation };
    assert!(matches!(foreign.call(death(10)).await, Answer::Refused { .. }));
    assert!(matches!(supervisor.call(death(9)).await, Answer::Lease(view) if view.remaining_us > 0));
    assert!(matches!(supervisor.call(death(10)).await, Answer::Lease(view) if view.remaining_us == 0));
    assert_eq!(b.news().await, (1, "a".to_owned(), false));
    assert_eq!(b.claim(1).await, (2, 3));
    assert_eq!(a.news().await.0, 1, "of its own claim");

    // The old stream hears of it without sending anything, and a new one is not opened.
    assert!(matches!(old.answer().await.unwrap(), Answer::Fenced { .. }));
    let mut retry = a.open(Request::Append { epoch: 1 }).await;
    assert_eq!(retry.answer().await.unwrap(), Answer::Fenced { epoch: 2 });
    let mut image = a.open(Request::ImagePut { epoch: 1, cut: 3 }).await;
    assert_eq!(image.answer().await.unwrap(), Answer::Fenced { epoch: 2 });
    let mut new = b.append(2, 3).await;
    new.write(frame_bytes(2, 4, 1)).await.unwrap();
    durable(&mut new, 4).await;
    vault.stop().await;
}

#[actix_rt::test]
async fn a_lease_that_runs_out_is_news_and_may_be_claimed() {
    let scene = Scene::new();
    let (vault, address) = scene.start().await;
    let (a, b) = (scene.database(address, "a", 10).await, scene.database(address, "b", 20).await);
    a.claim(0).await;
    assert_eq!(b.news().await, (1, "a".to_owned(), true));
    assert_eq!(b.news().await, (1, "a".to_owned(), false));
    assert_eq!(b.claim(1).await, (2, 0));
    assert!(matches!(a.call(Request::Renew { epoch: 1 }).await, Answer::Lease(view) if view.epoch == 2));
    vault.stop().await;

    // After a restart the lease lasts its full length again.
    let (vault, address) = scene.start().await;
    let a = scene.database(address, "a", 11).await;
    assert!(a.welcome.view.remaining_us > 0 && a.welcome.view.holder == "b");
    assert!(matches!(a.call(Request::Claim { seen: 2 }).await, Answer::Lease(view) if view.epoch == 2));
    assert_eq!(a.news().await, (2, "b".to_owned(), false));
    assert_eq!(a.claim(2).await, (3, 0));
    vault.stop().await;
}

#[actix_rt::test]
async fn the_lease_is_handed_over_to_a_successor_that_has_everything() {
    let scene = Scene::new();
    let (vault, address) = scene.start().await;
    let (a, b) = (scene.database(address, "a", 10).await, scene.database(address, "b", 20).await);
    a.claim(0).await;
    let mut append = a.append(1, 0).await;
    append.write(frame_bytes(1, 1, 5)).await.unwrap();
    durable(&mut append, 5).await;
    let ask = Request::HandOver { epoch: 1, successor: "b".to_owned(), at: 5 };
    assert!(matches!(a.call(ask.clone()).await, Answer::Refused { .. }));
    b.call(Request::Report(Progress { applied: 5, ..Progress::default() })).await;
    assert!(matches!(a.call(ask).await, Answer::Lease(view) if view.epoch == 2 && view.holder == "b"));
    assert_eq!(b.news().await.0, 1);
    assert_eq!(b.news().await, (2, "b".to_owned(), true));
    let mut append = b.append(2, 5).await;
    append.write(frame_bytes(2, 6, 1)).await.unwrap();
    durable(&mut append, 6).await;
    assert!(matches!(b.call(Request::Release { epoch: 2 }).await, Answer::Lease(view) if view.remaining_us == 0));
    vault.stop().await;
}

async fn put_image(party: &Party, epoch: u64, cut: u64, chunks: u64, len: usize) -> Answer {
    let mut channel = party.open(Request::ImagePut { epoch, cut }).await;
    match channel.answer().await.unwrap() {
        Answer::ImageReady => {}
        other => return other,
    }
    for i in 0..chunks {
        channel.write(chunk(i + cut, len).into_bytes()).await.unwrap();
    }
    let end = Request::ImageEnd { chunks: u32::try_from(chunks).unwrap(), bytes: chunks * len as u64 };
    channel.request(end).await.unwrap();
    channel.answer().await.unwrap()
}

/// Downloads the newest image: its cut and its chunks.
async fn get_image(party: &Party) -> Result<Option<(u64, Vec<Bytes>)>, RpcError> {
    let mut channel = party.open(Request::ImageGet).await;
    let view = match channel.answer().await? {
        Answer::Image(view) => view,
        Answer::NoImage => return Ok(None),
        other => panic!("{other:?}"),
    };
    let mut chunks = Vec::new();
    for _ in 0..view.chunks {
        let next = channel.receive.next().await?.expect("as many chunks as were announced");
        if next.kind() != FrameKind::Chunk {
            let refused: crate::wire::message::Reply = next.message()?;
            return Err(RpcError::Refused(format!("{:?}", refused.answer)));
        }
        chunks.push(next.into_bytes());
    }
    assert!(channel.receive.next().await?.is_none());
    Ok(Some((view.cut, chunks)))
}

#[actix_rt::test]
async fn images_are_stored_loaded_and_let_the_log_be_trimmed() {
    let scene = Scene::new();
    let (vault, address) = scene.start().await;
    let (a, b) = (scene.database(address, "a", 10).await, scene.database(address, "b", 20).await);
    a.claim(0).await;
    let mut append = a.append(1, 0).await;
    append.write(frame_bytes(1, 1, 9)).await.unwrap();
    durable(&mut append, 9).await;
    assert_eq!(get_image(&b).await.unwrap(), None);
    assert_eq!(put_image(&a, 1, 4, 3, 100).await, Answer::ImageStored);
    assert_eq!(put_image(&a, 1, 9, 20, 1 << 20).await, Answer::ImageStored);
    let wanted: Vec<_> = (0..20).map(|i| chunk(i + 9, 1 << 20).into_bytes()).collect();
    assert_eq!(get_image(&b).await.unwrap(), Some((9, wanted)));
    let status = b.status().await;
    assert_eq!(status.images.iter().map(|image| (image.cut, image.chunks)).collect::<Vec<_>>(), [(9, 20), (4, 3)]);

    // An image may come before the records of its cut.
    let early = put_image(&a, 1, 10, 1, 10);
    let record = async { append.write(frame_bytes(1, 10, 1)).await.unwrap() };
    assert_eq!(tokio::join!(early, record).0, Answer::ImageStored);
    vault.stop().await;

    let damaged = scene.dir().join("images/00000000000000000010-1/chunks-000000");
    let mut bytes = std::fs::read(&damaged).unwrap();
    bytes[30] ^= 4;
    std::fs::write(&damaged, bytes).unwrap();
    let (vault, address) = scene.start().await;
    let b = scene.database(address, "b", 20).await;
    let error = get_image(&b).await.unwrap_err().to_string();
    assert!(error.contains(&damaged.display().to_string()), "{error}");
    vault.stop().await;
}

#[actix_rt::test]
async fn a_follower_that_does_not_read_is_served_from_the_files_later() {
    let scene = Scene::new();
    let (vault, address) = scene.start().await;
    let (a, b) = (scene.database(address, "a", 10).await, scene.database(address, "b", 20).await);
    a.claim(0).await;
    let mut slow = b.open(Request::Follow { after: 0 }).await;
    let mut append = a.append(1, 0).await;
    let count = 40_000;
    let one = frame_bytes(1, 1, count).len();
    let frames = u64::try_from(4 * limits::RECENT_BYTES / one).unwrap();
    for i in 0..frames {
        append.write(frame_bytes(1, i * count + 1, count)).await.unwrap();
    }
    durable(&mut append, frames * count).await;
    let got = follow_after_ready(&mut slow, frames * count).await;
    assert!(got.iter().enumerate().all(|(i, frame)| frame.first.0 == i as u64 * count + 1), "in order, without a gap");
    assert_eq!(got.len() as u64, frames);
    vault.stop().await;
}

#[actix_rt::test]
async fn a_folder_in_use_or_of_another_cluster_or_damaged_is_refused_in_a_sentence() {
    let scene = Scene::new();
    let (vault, address) = scene.start().await;
    let a = scene.database(address, "a", 10).await;
    a.claim(0).await;
    let mut append = a.append(1, 0).await;
    append.write(frame_bytes(1, 1, 3)).await.unwrap();
    durable(&mut append, 3).await;
    let refused = |outcome: Result<(VaultHandle, SocketAddr), VaultError>| outcome.unwrap_err().to_string();
    let why = refused(scene.try_start(&scene.dir(), CLUSTER).await);
    assert!(why.contains("another vault is using"), "{why}");
    vault.stop().await;
    let why = refused(scene.try_start(&scene.dir(), CLUSTER + 1).await);
    assert!(why.contains("belongs to cluster"), "{why}");
    let segment = scene.dir().join("log/00000000000000000001.seg");
    let sound = std::fs::read(&segment).unwrap();
    let mut bytes = sound.clone();
    bytes[60] ^= 1;
    std::fs::write(&segment, &bytes).unwrap();
    let why = refused(scene.try_start(&scene.dir(), CLUSTER).await);
    assert!(why.contains(&segment.display().to_string()), "{why}");
    assert_eq!(std::fs::read(&segment).unwrap(), bytes);
    std::fs::write(&segment, sound).unwrap();
    scene.start().await.0.stop().await;
}

#[actix_rt::test]
async fn peers_are_held_to_their_certificates_and_parts() {
    let scene = Scene::new();
    let (vault, address) = scene.start().await;
    let refused = |outcome: Result<Party, RpcError>| match outcome {
        Err(RpcError::Refused(why)) => why,
        Err(other) => panic!("expected a refusal, got {other}"),
        Ok(_) => panic!("expected a refusal"),
    };
    for (certified, peer, node) in [
        ("node-a", Peer::Database, "b"),
        ("client", Peer::Tool, ""),
        ("tool", Peer::Database, "a"),
        ("node-a", Peer::Tool, ""),
    ] {
        let why = refused(scene.try_connect(address, certified, hello(peer, node, 1)).await);
        assert!(why.contains("certificate"), "{why}");
    }
    let foreign = Hello { cluster: 1, ..hello(Peer::Tool, "", 0) };
    assert!(refused(scene.try_connect(address, "tool", foreign).await).contains("cluster"));
    let tool = scene.connect(address, Peer::Tool, "", 0).await;
    assert!(matches!(tool.call(Request::Claim { seen: 0 }).await, Answer::Refused { .. }));
    assert!(matches!(tool.open(Request::Follow { after: 0 }).await.answer().await, Err(RpcError::Refused(_))));
    let old = scene.database(address, "a", 1).await;
    let new = scene.database(address, "a", 2).await;
    assert!(old.client.closed().await.contains("newer connection"));
    assert_eq!(new.status().await.nodes[0].incarnation, 2);
    vault.stop().await;
}

/// Whoever has recorded frames, be it the new holder itself, cannot bring them in again under a newer epoch.
#[actix_rt::test]
async fn recorded_frames_of_an_old_epoch_are_refused() {
    let scene = Scene::new();
    let (vault, address) = scene.start().await;
    let a = scene.database(address, "a", 10).await;
    a.claim(0).await;
    let recorded = [frame_bytes(1, 1, 3), frame_bytes(1, 4, 2)];
    let mut stream = a.append(1, 0).await;
    stream.write(recorded[0].clone()).await.unwrap();
    durable(&mut stream, 3).await;
    let supervisor = scene.connect(address, Peer::Supervisor, "a", 10).await;
    supervisor.call(Request::Obituary { node: "a".to_owned(), incarnation: 10 }).await;
    let b = scene.database(address, "b", 20).await;
    b.claim(1).await;
    for frame in &recorded {
        let mut replay = b.append(2, 3).await;
        replay.write(frame.clone()).await.unwrap();
        let why = replay.answer().await;
        assert!(
            matches!(&why, Err(RpcError::Refused(why)) if why.contains("epoch 1 on a stream of epoch 2")),
            "{why:?}"
        );
    }
    let again = scene.database(address, "a", 10).await;
    let mut replay = again.open(Request::Append { epoch: 1 }).await;
    assert_eq!(replay.answer().await.unwrap(), Answer::Fenced { epoch: 2 });
    assert_eq!(b.status().await.durable, 3);
    vault.stop().await;
}

/// Names from peers are letters, digits and hyphens, or they are refused before anything else is looked at.
#[actix_rt::test]
async fn a_name_that_could_be_a_path_is_refused() {
    let scene = Scene::new();
    let (vault, address) = scene.start().await;
    let listed = || std::fs::read_dir(scene.dir()).unwrap().count();
    let before = listed();
    for name in ["../../x", "..", "/etc/x", "a/b", "a\0b", "ca", "A", ""] {
        for peer in [Peer::Database, Peer::Supervisor] {
            let outcome = scene.try_connect(address, "node-a", hello(peer, name, 1)).await;
            let Err(RpcError::Refused(why)) = outcome else { panic!("{name:?} was not refused") };
            assert!(why.contains("a node without a proper name"), "{why}");
        }
    }
    assert_eq!(listed(), before);
    vault.stop().await;
}

#[actix_rt::test]
async fn a_full_disk_refuses_and_service_resumes() {
    let scene = Scene::new();
    let disk = DiskSim::new(1);
    // Too little to reserve any.
    disk.set_room(100_000);
    let (vault, address) = scene.start_sim(&disk);
    let a = scene.database(address, "a", 10).await;
    a.claim(0).await;
    let mut append = a.append(1, 0).await;
    append.write(frame_bytes(1, 1, 3)).await.unwrap();
    durable(&mut append, 3).await;
    let b = scene.database(address, "b", 20).await;
    assert_eq!(b.status().await.health, HealthView::default());
    disk.set_room(10);
    append.write(frame_bytes(1, 4, 3)).await.unwrap();
    append.write(frame_bytes(1, 7, 3)).await.unwrap();
    assert!(matches!(append.answer().await, Err(RpcError::Refused(why)) if why.contains("no room left")));
    let late = scene.database(address, "a", 11).await;
    for told in [b.health().await, late.health().await, b.status().await.health] {
        assert!(told.no_room_since_unix_ms > 0 && (1..=2).contains(&told.refused_appends), "{told:?}");
        assert!(told.why.contains("no room left"), "{told:?}");
    }
    disk.set_room(u64::MAX);
    let a = scene.database(address, "a", 10).await;
    let mut append = a.append(1, 3).await;
    append.write(frame_bytes(1, 4, 3)).await.unwrap();
    durable(&mut append, 6).await;
    assert_eq!((b.health().await, b.status().await.health), (HealthView::default(), HealthView::default()));
    vault.stop().await;
}

#[actix_rt::test]
async fn nothing_is_acknowledged_after_a_failed_sync() {
    let scene = Scene::new();
    let disk = DiskSim::new(1);
    let (vault, address) = scene.start_sim(&disk);
    let a = scene.database(address, "a", 10).await;
    a.claim(0).await;
    let mut append = a.append(1, 0).await;
    // Reserve, write zeros ahead, write, sync.
    disk.fail_sync_at(disk.operations() + 3);
    append.write(frame_bytes(1, 1, 3)).await.unwrap();
    assert!(matches!(append.answer().await, Err(RpcError::Refused(why)) if why.contains("stopped")));
    assert!(vault.failed().await.contains("failed to sync"));
    let mut again = a.open(Request::Append { epoch: 1 }).await;
    assert!(again.answer().await.is_err());
    let call = a.client.call(Request::Release { epoch: 1 }, Duration::from_millis(200)).await;
    assert!(call.is_err(), "a change of the lease that is not durable is not told: {call:?}");
}

/// Lost once: unauthenticated clients and peers had the same places, and whoever reached the port could keep a node from coming back.
#[actix_rt::test]
async fn unadmitted_peers_that_take_all_places_keep_no_peer_away() {
    let scene = Scene::new();
    let (vault, address) = scene.start_sim(&DiskSim::new(1));
    let mut silent = Vec::new();
    for _ in 0..=limits::VAULT_UNADMITTED_MAX {
        silent.push(scene.silent(address, "client").await);
    }
    silent.remove(0).closed().await;
    let (a, b) = (scene.database(address, "a", 10).await, scene.database(address, "b", 20).await);
    for _ in 0..=limits::VAULT_UNADMITTED_MAX {
        silent.push(scene.silent(address, "client").await);
    }
    assert_eq!(a.claim(0).await, (1, 0));
    assert_eq!(b.news().await, (1, "a".to_owned(), true), "peers that were admitted stay");
    vault.stop().await;
}

/// Beginnings of handshakes from a sender that answers nothing, as from invented addresses.
#[actix_rt::test]
async fn many_who_do_not_prove_their_address_keep_no_peer_away() {
    let scene = Scene::new();
    let (vault, address) = scene.start_sim(&DiskSim::new(1));
    let post = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let (dialer, credentials) = (quic::dialer(address).unwrap(), scene.credentials(&Principal::Client));
    let (mut attempts, mut seen, mut proofs, mut packet) = (Vec::new(), HashSet::new(), 0, [0; 2048]);
    while attempts.len() < 2 * limits::VAULT_UNADMITTED_MAX {
        let (config, name) = (credentials.client_config(ALPN_VAULT), Principal::Vault.server_name(CLUSTER));
        attempts.push(dialer.connect_with(config, post.local_addr().unwrap(), &name).unwrap());
        while seen.len() < attempts.len() {
            let (len, from) = post.recv_from(&mut packet).await.unwrap();
            if from == address {
                // A packet of the type Retry (RFC 9000, 17.2.5).
                proofs += u32::from(packet[0] & 0xF0 == 0xF0);
            } else if seen.insert(packet[6..][..usize::from(packet[5])].to_vec()) {
                post.send_to(&packet[..len], address).await.unwrap();
            }
        }
    }
    let a = scene.database(address, "a", 10).await;
    assert_eq!(a.claim(0).await, (1, 0));
    assert!(proofs > 0, "nobody was asked to prove its address");
    vault.stop().await;
}

#[actix_rt::test]
async fn peers_beyond_the_bound_are_turned_away_until_one_leaves() {
    let scene = Scene::new();
    let (vault, address) = scene.start_sim(&DiskSim::new(1));
    let mut tools = Vec::new();
    for _ in 0..limits::VAULT_CONNECTIONS_MAX {
        tools.push(scene.connect(address, Peer::Tool, "", 0).await);
    }
    let turned_away = scene.try_connect(address, "node-a", hello(Peer::Database, "a", 10)).await.err();
    assert!(matches!(turned_away, Some(RpcError::Lost(_))), "not for good: {turned_away:?}");
    tools.pop();
    tokio::time::timeout(WAIT, async {
        while scene.try_connect(address, "node-a", hello(Peer::Database, "a", 10)).await.is_err() {}
    })
    .await
    .unwrap();
    vault.stop().await;
}

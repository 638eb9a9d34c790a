use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use quinn::crypto::rustls::{HandshakeData, QuicClientConfig};
use quinn::{Connection, Endpoint};
use tanist_db_core::clock::{Clock, Monotonic, SystemClock, UnixMillis};
use tanist_db_core::level::{Level, Levels};
use tempfile::TempDir;

use super::certs;
use super::principal::Principal;
use super::quic::{self, ALPN_CLIENT, ALPN_VAULT, ListenError, Unreachable};
use super::rpc::{Channel, ControlClient, Priority, RpcError, accept_control};
use super::tls::{Credentials, TlsError, provider};
use crate::limits;
use crate::wire::frame::{FrameKind, HEADER_BYTES, seal, seal_message};
use crate::wire::message::{Answer, Call, Hello, LeaseView, Peer, Progress, Reply, Request};

const CLUSTER: u128 = 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef;
const DAY_MS: u64 = 86_400_000;

/// The machine's time, moved by whole days.
#[derive(Debug)]
struct MovedClock(i64);

impl Clock for MovedClock {
    fn unix(&self) -> UnixMillis {
        UnixMillis(SystemClock::new().unix().0.checked_add_signed(self.0 * DAY_MS as i64).unwrap())
    }

    fn monotonic(&self) -> Monotonic {
        Monotonic(0)
    }
}

fn days(days: i64) -> Arc<dyn Clock> {
    Arc::new(MovedClock(days))
}

fn node(name: &str) -> Principal {
    Principal::node(name).unwrap()
}

impl Credentials {
    /// An impostor: these certificates, the other's trust.
    fn with_roots_of(mut self, other: &Credentials) -> Credentials {
        (self.roots, self.cluster) = (other.roots.clone(), other.cluster);
        self
    }

    /// A client that shows no certificate.
    fn anonymous_client_config(&self, alpn: &[u8]) -> quinn::ClientConfig {
        let mut config = rustls::ClientConfig::builder_with_details(provider(), self.time())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(self.roots.clone())
            .with_no_client_auth();
        config.alpn_protocols = vec![alpn.to_vec()];
        quic::client_config(Arc::new(QuicClientConfig::try_from(config).unwrap()), quic::transport())
    }
}

/// The protocol that both ends agreed on.
fn protocol(connection: &Connection) -> Option<Vec<u8>> {
    connection.handshake_data()?.downcast::<HandshakeData>().ok()?.protocol
}

/// A cluster's certificates in a folder of their own.
struct Cluster {
    folder: TempDir,
}

impl Cluster {
    fn new() -> Self {
        Self::of(CLUSTER, 0)
    }

    fn of(cluster: u128, age_days: i64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let principals = [Principal::Vault, node("a"), node("b"), Principal::Tool, Principal::Client];
        certs::create(&folder.path().join("tls"), cluster, &principals, days(-age_days).unix()).unwrap();
        Self { folder }
    }

    fn tls(&self) -> PathBuf {
        self.folder.path().join("tls")
    }

    fn load(&self, principal: &Principal) -> Credentials {
        self.load_at(principal, 0).unwrap()
    }

    fn load_at(&self, principal: &Principal, day: i64) -> Result<Credentials, TlsError> {
        Credentials::load(&self.tls(), principal, days(day))
    }

    /// A vault's endpoint that accepts whoever TLS lets in, and keeps the connections open.
    fn vault(&self) -> SocketAddr {
        let endpoint = listener(&self.load(&Principal::Vault));
        let address = endpoint.local_addr().unwrap();
        tokio::spawn(async move {
            let mut open = Vec::new();
            while let Some(incoming) = endpoint.accept().await {
                open.push(tokio::spawn(async { Ok::<_, quinn::ConnectionError>(incoming.await?.closed().await) }));
            }
        });
        address
    }
}

fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

fn listener(credentials: &Credentials) -> Endpoint {
    quic::listen(loopback(), credentials.server_config(&[ALPN_VAULT]), credentials.reset_key()).unwrap()
}

async fn dial(credentials: &Credentials, alpn: &[u8], address: SocketAddr) -> Result<Connection, Unreachable> {
    let endpoint = quic::dialer(address).unwrap();
    quic::connect(&endpoint, credentials, alpn, &Principal::Vault, address).await
}

/// Both ends of one connection of node a to the vault.
async fn pair(cluster: &Cluster) -> (Connection, Connection) {
    let vault = cluster.load(&Principal::Vault);
    let endpoint = listener(&vault);
    let address = endpoint.local_addr().unwrap();
    let credentials = cluster.load(&node("a"));
    let (near, far) = tokio::join!(dial(&credentials, ALPN_VAULT, address), async {
        endpoint.accept().await.unwrap().await.unwrap()
    });
    assert_eq!(vault.peer(&far), Some(node("a")));
    (near.unwrap(), far)
}

fn hello() -> Hello {
    Hello {
        levels: Levels::OWN,
        cluster: CLUSTER,
        peer: Peer::Database,
        node: "a".into(),
        incarnation: 1,
        pid: 1,
        resp_address: String::new(),
        quic_address: String::new(),
    }
}

fn welcome() -> Answer {
    let level = Levels::OWN.newest.0;
    Answer::Welcome { incarnation: 7, lease_us: 2_000_000, durable: 5, lease: Box::default(), level }
}

/// The vault's end of the beginning.
async fn accept(connection: &Connection) -> Result<(Hello, Channel), RpcError> {
    accept_control(connection, Levels::OWN).await
}

mod files {
    use super::*;

    fn sentence(error: TlsError, file: &str) -> String {
        let text = error.to_string();
        assert!(text.contains(file), "{text}");
        assert!(!text.contains('\n') && text.len() < 400, "{text}");
        text
    }

    #[test]
    fn a_new_folder_is_complete_private_and_good() {
        let cluster = Cluster::new();
        let mut names: Vec<_> =
            fs::read_dir(cluster.tls()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        assert_eq!(names.join(" "), {
            "a.key a.pem b.key b.pem ca.key ca.pem client.key client.pem tool.key tool.pem vault.key vault.pem"
        });
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&cluster.tls()), 0o700);
        for name in names.iter().filter(|name| name.ends_with(".key")) {
            assert_eq!(mode(&cluster.tls().join(name)), 0o600, "{name}");
        }
        for principal in [Principal::Vault, node("a"), Principal::Tool, Principal::Client] {
            let credentials = cluster.load(&principal);
            assert_eq!(credentials.cluster(), CLUSTER);
        }
    }

    #[test]
    fn what_is_there_is_not_overwritten_and_a_torn_attempt_is() {
        let cluster = Cluster::new();
        let again = certs::create(&cluster.tls(), CLUSTER, &[], days(0).unix()).unwrap_err();
        assert!(sentence(again, "tls").contains("already there"));
        cluster.load(&node("a"));

        let other = tempfile::tempdir().unwrap();
        fs::create_dir(other.path().join("tls.new")).unwrap();
        fs::write(other.path().join("tls.new/ca.key"), "half a k").unwrap();
        certs::create(&other.path().join("tls"), CLUSTER, &[Principal::Vault], days(0).unix()).unwrap();
        Credentials::load(&other.path().join("tls"), &Principal::Vault, days(0)).unwrap();
    }

    #[test]
    fn each_fault_is_told_by_file_and_remedy() {
        let cluster = Cluster::new();
        let data = cluster.folder.path().display().to_string();
        let renew = format!("`tanist certs renew --data {data}`");
        for file in ["a.pem", "a.key", "ca.pem"] {
            let path = cluster.tls().join(file);
            let good = fs::read(&path).unwrap();
            let told = || sentence(cluster.load_at(&node("a"), 0).unwrap_err(), path.to_str().unwrap());

            fs::remove_file(&path).unwrap();
            assert!(told().contains("is missing") && told().contains(&renew), "{}", told());
            for bad in [&b""[..], b"no certificate", b"\xFF\xFE", &good[..good.len() / 2], &vec![b'A'; 1 << 20]] {
                fs::write(&path, bad).unwrap();
                assert!(told().contains("is damaged"), "{}", told());
            }
            let mut changed = String::from_utf8(good.clone()).unwrap();
            let middle = changed.len() / 2;
            let letter = if &changed[middle..=middle] == "A" { "B" } else { "A" };
            changed.replace_range(middle..=middle, letter);
            fs::write(&path, changed).unwrap();
            assert!(cluster.load_at(&node("a"), 0).is_err(), "a changed letter of {file}");
            fs::write(&path, good).unwrap();
        }
        cluster.load(&node("a"));
    }

    #[test]
    fn time_is_checked_at_both_ends() {
        let cluster = Cluster::new();
        assert!(cluster.load_at(&node("a"), 364).is_ok());
        let expired = cluster.load_at(&node("a"), 366).unwrap_err();
        assert!(matches!(expired, TlsError::Expired { .. }));
        assert!(sentence(expired, "a.pem").contains("expired on 20"));
        let early = cluster.load_at(&node("a"), -2).unwrap_err();
        assert!(matches!(early, TlsError::NotYet { .. }));
        assert!(sentence(early, "ca.pem").contains("clock"));
        let ca = cluster.load_at(&node("a"), 3_651).unwrap_err();
        assert!(sentence(ca, "ca.pem").contains("expired"));
    }

    #[test]
    fn foreign_and_mixed_up_files_are_refused() {
        let (ours, theirs) = (Cluster::new(), Cluster::new());
        let copy = |from: &Path, to: &Path| assert!(fs::copy(from, to).unwrap() > 0);

        copy(&theirs.tls().join("ca.pem"), &ours.tls().join("ca.pem"));
        let foreign = ours.load_at(&node("a"), 0).unwrap_err();
        assert!(matches!(foreign, TlsError::WrongAuthority { .. }), "{foreign}");
        assert!(sentence(foreign, "a.pem").contains("not issued by"));
        let unfit = certs::issue(&ours.tls(), &node("a"), days(0).unix()).unwrap_err();
        assert!(matches!(unfit, TlsError::KeyMismatch { .. }), "{unfit}");

        let ours = Cluster::new();
        copy(&ours.tls().join("b.pem"), &ours.tls().join("a.pem"));
        let name = ours.load_at(&node("a"), 0).unwrap_err();
        assert!(matches!(name, TlsError::WrongName { .. }), "{name}");
        copy(&ours.tls().join("b.key"), &ours.tls().join("vault.key"));
        let key = ours.load_at(&Principal::Vault, 0).unwrap_err();
        assert!(matches!(key, TlsError::KeyMismatch { .. }), "{key}");
    }

    #[test]
    fn renewing_mends_and_keeps_keys() {
        let cluster = Cluster::of(CLUSTER, 400);
        assert!(matches!(cluster.load_at(&node("a"), 0), Err(TlsError::Expired { .. })));
        let key = fs::read(cluster.tls().join("a.key")).unwrap();
        fs::write(cluster.tls().join("b.key"), "damaged").unwrap();
        let renewed = certs::renew(&cluster.tls(), days(0).unix()).unwrap();
        assert_eq!(renewed, [Principal::Vault, node("a"), node("b"), Principal::Tool, Principal::Client]);
        for principal in &renewed {
            cluster.load(principal);
        }
        assert_eq!(fs::read(cluster.tls().join("a.key")).unwrap(), key);
        assert_eq!(fs::metadata(cluster.tls().join("b.key")).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn an_ageing_authority_is_renewed_under_its_key() {
        let cluster = Cluster::of(CLUSTER, 0);
        let old = fs::read(cluster.tls().join("ca.pem")).unwrap();
        certs::renew(&cluster.tls(), days(3_000).unix()).unwrap();
        assert_eq!(fs::read(cluster.tls().join("ca.pem")).unwrap(), old, "years are left");
        let leaf = fs::read(cluster.tls().join("b.pem")).unwrap();
        certs::renew(&cluster.tls(), days(3_300).unix()).unwrap();
        assert_ne!(fs::read(cluster.tls().join("ca.pem")).unwrap(), old);
        assert!(cluster.load_at(&node("a"), 3_660).is_ok());
        fs::write(cluster.tls().join("b.pem"), leaf).unwrap();
        assert!(cluster.load_at(&node("b"), 3_301).is_ok(), "certificates of before the renewal still serve");
    }
}

mod handshakes {
    use super::*;

    /// The server's verdict on a client shows on first use.
    async fn first_use(connection: Result<Connection, Unreachable>) -> String {
        match connection {
            Err(error) => {
                assert!(error.refused, "{error}");
                error.to_string()
            }
            Ok(connection) => {
                let error = connection.closed().await;
                assert!(quic::refused(&error), "{error}");
                quic::explain(&error)
            }
        }
    }

    #[tokio::test]
    async fn members_know_each_other_by_name() {
        let cluster = Cluster::new();
        let (near, far) = pair(&cluster).await;
        let a = cluster.load(&node("a"));
        assert_eq!(a.peer(&near), Some(Principal::Vault));
        assert_eq!(protocol(&near).as_deref(), Some(ALPN_VAULT));
        assert_eq!(protocol(&far).as_deref(), Some(ALPN_VAULT));
    }

    #[tokio::test]
    async fn another_authority_is_refused_from_both_sides() {
        let (ours, theirs) = (Cluster::new(), Cluster::of(CLUSTER + 1, 0));
        let told = first_use(dial(&theirs.load(&node("a")), ALPN_VAULT, ours.vault()).await).await;
        assert!(told.contains("issued by another authority"), "{told}");

        // A client that trusts our authority, but shows a certificate of its own.
        let impostor = theirs.load(&node("a")).with_roots_of(&ours.load(&node("a")));
        let told = first_use(dial(&impostor, ALPN_VAULT, ours.vault()).await).await;
        assert!(told.contains("our certificate was issued by another authority"), "{told}");
    }

    #[tokio::test]
    async fn expired_certificates_are_refused_from_both_sides() {
        let cluster = Cluster::of(CLUSTER, 400);
        let late = cluster.load_at(&node("a"), -100).unwrap();
        // The vault's clock is right, and its certificate fresh; node a lives in the past with an old one.
        certs::issue(&cluster.tls(), &Principal::Vault, days(-200).unix()).unwrap();
        let vault = cluster.load(&Principal::Vault);
        let endpoint = listener(&vault);
        let address = endpoint.local_addr().unwrap();
        let accept = tokio::spawn(async move { endpoint.accept().await.unwrap().await.err() });
        let told = first_use(dial(&late, ALPN_VAULT, address).await).await;
        assert!(told.contains("our certificate has expired"), "{told}");
        assert!(quic::explain(&accept.await.unwrap().unwrap()).contains("the peer's certificate has expired"));

        // A vault that lives in the past.
        let old = listener(&cluster.load_at(&Principal::Vault, 100).unwrap());
        let address = old.local_addr().unwrap();
        tokio::spawn(async move { old.accept().await.unwrap().await.err() });
        certs::issue(&cluster.tls(), &node("b"), days(100).unix()).unwrap();
        let future = cluster.load_at(&node("b"), 200).unwrap();
        let told = first_use(dial(&future, ALPN_VAULT, address).await).await;
        assert!(told.contains("the peer's certificate has expired"), "{told}");
    }

    #[tokio::test]
    async fn a_member_under_another_name_is_refused() {
        let cluster = Cluster::new();
        let endpoint = listener(&cluster.load(&node("b")));
        let address = endpoint.local_addr().unwrap();
        tokio::spawn(async move { endpoint.accept().await.unwrap().await.err() });
        let told = first_use(dial(&cluster.load(&node("a")), ALPN_VAULT, address).await).await;
        assert!(told.contains("no connection to vault") && told.contains("certificate was refused"), "{told}");
    }

    #[tokio::test]
    async fn nobody_comes_in_without_a_certificate() {
        let cluster = Cluster::new();
        let anonymous = cluster.load(&node("a")).anonymous_client_config(ALPN_VAULT);
        let address = cluster.vault();
        let endpoint = quic::dialer(address).unwrap();
        let name = Principal::Vault.server_name(CLUSTER);
        let error = match endpoint.connect_with(anonymous, address, &name).unwrap().await {
            Ok(connection) => connection.closed().await,
            Err(error) => error,
        };
        assert!(quic::explain(&error).contains("our certificate is missing"), "{}", quic::explain(&error));
    }

    #[tokio::test]
    async fn another_protocol_is_refused() {
        let cluster = Cluster::new();
        let told = first_use(dial(&cluster.load(&node("a")), ALPN_CLIENT, cluster.vault()).await).await;
        assert!(told.contains("different protocols"), "{told}");
    }

    #[tokio::test]
    async fn a_dead_port_is_told_fast() {
        let cluster = Cluster::new();
        let silent = UdpSocket::bind(loopback()).unwrap();
        let credentials = cluster.load(&node("a"));
        let connecting = dial(&credentials, ALPN_VAULT, silent.local_addr().unwrap());
        let told = tokio::time::timeout(Duration::from_secs(2), connecting).await.expect("within two seconds");
        let error = told.unwrap_err();
        assert!(!error.refused && error.why.contains("nobody answer"), "{error}");
    }

    #[tokio::test]
    async fn a_taken_port_is_told() {
        let cluster = Cluster::new();
        let address = cluster.vault();
        let vault = cluster.load(&Principal::Vault);
        let error = quic::listen(address, vault.server_config(&[ALPN_VAULT]), vault.reset_key()).unwrap_err();
        assert!(matches!(error, ListenError::InUse(_)) && error.to_string().contains("in use"), "{error}");
    }
}

mod conversations {
    use super::*;

    async fn control(
        cluster: &Cluster,
        news: impl FnMut(Answer) + Send + 'static,
    ) -> (ControlClient, Connection, Channel) {
        let (near, far) = pair(cluster).await;
        let (hello, said) = (hello(), hello());
        let (client, control) = tokio::join!(ControlClient::open(near, &hello, news), async {
            let (hello, mut channel) = accept(&far).await.unwrap();
            assert_eq!(hello, said);
            channel.reply(welcome()).await.unwrap();
            channel
        });
        let (client, welcome) = client.unwrap();
        assert_eq!((welcome.incarnation, welcome.lease, welcome.durable), (7, Duration::from_secs(2), 5));
        (client, far, control)
    }

    #[tokio::test]
    async fn answers_find_their_callers_in_any_order() {
        let heard = Arc::new(AtomicU64::new(0));
        let counter = heard.clone();
        let cluster = Cluster::new();
        let (client, _far, mut control) = control(&cluster, move |answer| {
            let Answer::Lease(view) = answer else { panic!("{answer:?}") };
            counter.store(view.epoch, Ordering::SeqCst);
        })
        .await;
        tokio::spawn(async move {
            let mut calls = Vec::new();
            for _ in 0..10 {
                calls.push(control.receive.message::<Call>().await.unwrap());
            }
            let news = LeaseView { epoch: 9, ..LeaseView::default() };
            control.write(seal_message(&Reply { seq: 0, answer: Answer::Lease(news) })).await.unwrap();
            for Call { seq, request } in calls.into_iter().rev() {
                let Request::Renew { epoch } = request else { panic!("{request:?}") };
                let answer = Answer::Durable { lsn: epoch * 2 };
                control.write(seal_message(&Reply { seq, answer })).await.unwrap();
            }
            control.receive.next().await
        });
        let calls = (0..10).map(|epoch| client.call(Request::Renew { epoch }, Duration::from_secs(5)));
        for (epoch, answer) in futures_util::future::join_all(calls).await.into_iter().enumerate() {
            assert_eq!(answer.unwrap(), Answer::Durable { lsn: epoch as u64 * 2 });
        }
        assert_eq!(heard.load(Ordering::SeqCst), 9);
    }

    #[tokio::test]
    async fn a_late_answer_reaches_nobody_and_harms_nobody() {
        let cluster = Cluster::new();
        let (client, _far, mut control) = control(&cluster, |_| {}).await;
        let late = client.call(Request::Status, Duration::from_millis(20)).await;
        assert!(matches!(late, Err(RpcError::Late(_))), "{late:?}");
        let first = control.receive.message::<Call>().await.unwrap();
        control.write(seal_message(&Reply { seq: first.seq, answer: Answer::NoImage })).await.unwrap();
        let (answer, ()) = tokio::join!(client.call(Request::Renew { epoch: 1 }, Duration::from_secs(5)), async {
            let call = control.receive.message::<Call>().await.unwrap();
            control.write(seal_message(&Reply { seq: call.seq, answer: Answer::ImageReady })).await.unwrap();
        });
        assert_eq!(answer.unwrap(), Answer::ImageReady);
    }

    #[tokio::test]
    async fn calls_are_bounded_and_end_with_the_connection() {
        let cluster = Cluster::new();
        let (client, far, mut control) = control(&cluster, |_| {}).await;
        let waiting: Vec<_> = (0..limits::CALLS_MAX)
            .map(|_| {
                let client = client.clone();
                tokio::spawn(async move { client.call(Request::Status, Duration::from_secs(60)).await })
            })
            .collect();
        for _ in 0..limits::CALLS_MAX {
            control.receive.message::<Call>().await.unwrap();
        }
        let one_more = client.call(Request::Status, Duration::from_secs(60)).await;
        assert!(matches!(one_more, Err(RpcError::Busy)), "{one_more:?}");
        far.close(3_u32.into(), b"going down for a test");
        for call in waiting {
            let error = call.await.unwrap().unwrap_err();
            assert!(matches!(&error, RpcError::Lost(why) if why.contains("going down for a test")), "{error}");
        }
        assert!(client.closed().await.contains("going down"));
        let after = client.call(Request::Status, Duration::from_secs(60)).await;
        assert!(matches!(after, Err(RpcError::Lost(_))), "{after:?}");
    }

    #[tokio::test]
    async fn a_peer_that_vanishes_is_noticed() {
        let cluster = Cluster::new();
        let vault = cluster.load(&Principal::Vault);
        // The vault lives on a runtime of its own, which is stopped in the middle: nobody says goodbye.
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        let (stop, stopped) = std::sync::mpsc::sync_channel::<()>(1);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let endpoint = runtime.block_on(async {
                let endpoint = listener(&vault);
                tell.send(endpoint.local_addr().unwrap()).unwrap();
                let connection = endpoint.accept().await.unwrap().await.unwrap();
                let (_, mut control) = accept(&connection).await.unwrap();
                control.reply(welcome()).await.unwrap();
                tokio::time::sleep(Duration::from_millis(50)).await;
                (endpoint, connection, control)
            });
            stopped.recv().unwrap();
            drop(runtime);
            std::mem::forget(endpoint);
        });
        let address = told.recv().unwrap();
        let connection = dial(&cluster.load(&node("a")), ALPN_VAULT, address).await.unwrap();
        let (client, _) = ControlClient::open(connection, &hello(), |_| {}).await.unwrap();
        let end = tokio::time::timeout(Duration::from_secs(5), client.closed()).await.expect("noticed");
        assert!(end.contains("nobody answers"), "{end}");
        stop.send(()).unwrap();
        thread.join().unwrap();
    }

    /// There is room for a few at first: room for all of them at once cost more than all else of a takeover.
    #[tokio::test]
    async fn a_connection_between_nodes_has_room_for_one_stream_more() {
        let cluster = Cluster::new();
        let (near, far) = pair(&cluster).await;
        let mut streams = quic::LinkStreams::new(&far);
        let mut open = Vec::new();
        for number in 0..limits::LINK_STREAMS_MIN * 5 {
            let opened = tokio::time::timeout(Duration::from_secs(10), near.open_bi()).await;
            let (mut send, receive) = opened.unwrap_or_else(|_| panic!("stream {number} does not open")).unwrap();
            send.write_all(b"x").await.unwrap();
            open.push((send, receive, streams.accept().await.unwrap()));
        }
    }

    #[tokio::test]
    async fn bulk_does_not_starve_control() {
        let cluster = Cluster::new();
        let (client, far, mut control) = control(&cluster, |_| {}).await;
        // As many bulk streams as the peer grants, filled until they take no more, and read by nobody.
        let mut fillers = Vec::new();
        for _ in 1..limits::STREAMS_MAX {
            let mut channel = client.open_channel(Request::ImageGet, Priority::Bulk).await.unwrap();
            fillers.push(tokio::spawn(async move {
                let chunk = seal(FrameKind::Chunk, &vec![1; 1 << 20]);
                while tokio::time::timeout(Duration::from_millis(200), channel.write(chunk.clone())).await.is_ok() {}
                channel
            }));
        }
        let full: Vec<_> = futures_util::future::join_all(fillers).await;
        let (answer, ()) = tokio::join!(client.call(Request::Renew { epoch: 1 }, Duration::from_secs(2)), async {
            let call = control.receive.message::<Call>().await.unwrap();
            control.write(seal_message(&Reply { seq: call.seq, answer: Answer::ImageReady })).await.unwrap();
        });
        assert_eq!(answer.unwrap(), Answer::ImageReady);
        drop((full, far));
    }

    #[tokio::test]
    async fn large_frames_cross_a_channel_both_ways() {
        let cluster = Cluster::new();
        let (client, far, _control) = control(&cluster, |_| {}).await;
        let large: Vec<u8> = (0..48 << 20).map(|i: u32| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let frame = seal(FrameKind::Batch, &large);
        let echo = tokio::spawn(async move {
            let mut channel = Channel::accept(&far).await.unwrap();
            let first = channel.receive.message::<Call>().await.unwrap();
            assert_eq!(first, Call { seq: Channel::SEQ, request: Request::Append { epoch: 4 } });
            channel.reply(Answer::AppendReady { durable: 1 }).await.unwrap();
            while let Some(frame) = channel.frame(FrameKind::Batch).await.unwrap() {
                channel.write(frame).await.unwrap();
            }
            channel.send.finish().unwrap();
            far
        });
        let mut channel = client.open_channel(Request::Append { epoch: 4 }, Priority::Log).await.unwrap();
        assert_eq!(channel.answer().await.unwrap(), Answer::AppendReady { durable: 1 });
        for body in [frame.clone(), seal(FrameKind::Batch, b"small"), frame.clone()] {
            channel.write(body.clone()).await.unwrap();
            let back = channel.frame(FrameKind::Batch).await.unwrap().unwrap();
            assert_eq!(back.len(), body.len());
            assert!(back == body && back.len() >= HEADER_BYTES);
        }
        channel.send.finish().unwrap();
        assert_eq!(channel.frame(FrameKind::Batch).await.unwrap(), None);
        drop(echo.await.unwrap());
    }

    #[tokio::test]
    async fn refusals_and_foreign_versions_are_told_in_words() {
        let cluster = Cluster::new();
        let (near, far) = pair(&cluster).await;
        let strange = Hello { levels: Levels { oldest: Level(98), newest: Level(99) }, ..hello() };
        let (client, server) = tokio::join!(ControlClient::open(near, &strange, |_| {}), accept(&far));
        let refused = client.unwrap_err();
        let told = refused.to_string();
        assert!(matches!(refused, RpcError::Refused(_)), "{told}");
        assert!(told.contains(&Levels::OWN.to_string()) && told.contains("levels 98 to 99"), "{told}");
        assert!(matches!(server, Err(RpcError::Protocol(_))));

        let (client, far, _control) = control(&cluster, |_| {}).await;
        let refuse = tokio::spawn(async move {
            let mut channel = Channel::accept(&far).await.unwrap();
            channel.receive.message::<Call>().await.unwrap();
            channel.reply(Answer::Refused { why: "the disk is full".into() }).await.unwrap();
            far
        });
        let mut channel = client.open_channel(Request::ImageGet, Priority::Bulk).await.unwrap();
        let told = channel.answer().await.unwrap_err();
        assert!(matches!(&told, RpcError::Refused(why) if why == "the disk is full"), "{told}");
        drop(refuse.await.unwrap());
    }

    #[tokio::test]
    async fn a_damaged_control_stream_ends_the_connection() {
        let cluster = Cluster::new();
        let (client, far, mut control) = control(&cluster, |_| {}).await;
        let mut frame = seal_message(&Reply { seq: 1, answer: Answer::NoImage }).to_vec();
        *frame.last_mut().unwrap() ^= 1;
        control.write(frame.into()).await.unwrap();
        let call = client.call(Request::Report(Progress::default()), Duration::from_secs(5)).await;
        assert!(matches!(&call, Err(RpcError::Lost(why)) if why.contains("damaged")), "{call:?}");
        assert!(quic::explain(&far.closed().await).contains("damaged"));
    }
}

mod predecessors {
    use super::*;

    /// How a connection to the vault ends whose process is killed, and followed on its port by one of `successor`.
    async fn end_of_connection(successor: &Principal) -> quinn::ConnectionError {
        let cluster = Cluster::new();
        let (vault, successor) = (cluster.load(&Principal::Vault), cluster.load(successor));
        let (tell, told) = tokio::sync::oneshot::channel();
        let (kill, killed) = tokio::sync::oneshot::channel::<()>();
        let process = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let open = runtime.block_on(async {
                let endpoint = listener(&vault);
                tell.send(endpoint.local_addr().unwrap()).unwrap();
                let connection = endpoint.accept().await.unwrap().await.unwrap();
                let _ = killed.await;
                (endpoint, connection)
            });
            // Its runtime ends first, as a killed process does: without a word.
            drop(runtime);
            drop(open);
        });
        let address = told.await.unwrap();
        let connection = dial(&cluster.load(&node("a")), ALPN_VAULT, address).await.unwrap();
        kill.send(()).unwrap();
        process.join().unwrap();
        let config = successor.server_config(&[ALPN_VAULT]);
        let _after = quic::listen(address, config, successor.reset_key()).unwrap();
        connection.closed().await
    }

    #[tokio::test]
    async fn the_next_process_of_the_same_party_ends_their_connections() {
        let end = end_of_connection(&Principal::Vault).await;
        assert_eq!(end, quinn::ConnectionError::Reset);
    }

    #[tokio::test]
    async fn another_party_on_the_same_port_cannot() {
        let end = end_of_connection(&node("b")).await;
        assert_eq!(end, quinn::ConnectionError::TimedOut);
    }
}

//! Dialling by host name. The name is resolved each time, since it may lead to another machine by now. All of its addresses are
//! tried, each a moment after the one before it, and the first that answers is used (as Happy Eyeballs does, RFC 8305).

use std::net::SocketAddr;
use std::sync::OnceLock;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use quinn::{Connection, Endpoint};
use tokio::task::{JoinError, JoinHandle};

use super::address::HostPort;
use super::principal::Principal;
use super::quic::{self, ListenError, Unreachable};
use super::tls::Credentials;
use crate::limits::{DIAL_ADDRESSES_MAX, DIAL_STAGGER, RESOLVE_WAIT, RESOLVE_WAIT_KNOWN};

/// Sockets to dial from, one for each family of addresses, made when first needed by the arbiter that then drives them.
#[derive(Debug, Default)]
pub struct Endpoints {
    v4: OnceLock<Endpoint>,
    v6: OnceLock<Endpoint>,
}

impl Endpoints {
    fn towards(&self, address: SocketAddr) -> Result<&Endpoint, ListenError> {
        let place = if address.is_ipv4() { &self.v4 } else { &self.v6 };
        match place.get() {
            Some(endpoint) => Ok(endpoint),
            None => quic::dialer(address).map(|made| place.get_or_init(|| made)),
        }
    }

    /// Returns when no connection is open any more, and the ends of all have been sent.
    pub(crate) async fn wait_idle(&self) {
        for endpoint in [&self.v4, &self.v6].into_iter().filter_map(OnceLock::get) {
            endpoint.wait_idle().await;
        }
    }
}

/// The addresses that `at` stands for now, at least one and at most [`DIAL_ADDRESSES_MAX`]. Takes at most [`RESOLVE_WAIT`].
///
/// # Errors
/// A sentence: the name is not known, or nobody says so.
pub async fn resolve(at: &HostPort) -> Result<Vec<SocketAddr>, String> {
    let host = at.host();
    let found = tokio::time::timeout(RESOLVE_WAIT, tokio::net::lookup_host((host, at.port()))).await;
    let found = found.map_err(|_| format!("the name '{host}' could not be resolved in time"))?;
    let found = found.map_err(|error| format!("the name '{host}' cannot be resolved: {error}"))?;
    let mut addresses = Vec::new();
    for address in found {
        if addresses.len() < DIAL_ADDRESSES_MAX && !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() { Err(format!("the name '{host}' has no address")) } else { Ok(addresses) }
}

/// The addresses of one name over time. Once they have been known, nobody waits for a resolver that is slow, or fails because
/// it is down: the last ones do until it has answered.
#[derive(Debug, Default)]
pub(crate) struct Resolved {
    last: Vec<SocketAddr>,
    /// Why the last lookup failed that has ended; empty if it did not.
    trouble: String,
    lookup: Option<JoinHandle<Result<Vec<SocketAddr>, String>>>,
}

impl Resolved {
    /// Returns the addresses to dial now; begins a lookup by `resolve` if none is under way.
    ///
    /// # Errors
    /// If none have ever been known: why not.
    pub(crate) async fn addresses<F>(&mut self, resolve: impl FnOnce() -> F) -> Result<Vec<SocketAddr>, String>
    where
        F: Future<Output = Result<Vec<SocketAddr>, String>> + Send + 'static,
    {
        if self.lookup.as_ref().is_some_and(JoinHandle::is_finished) {
            // However long ago that was: good enough until the next one has ended.
            if let Some(found) = self.lookup.take() {
                self.ended(found.await);
            }
        }
        let lookup = self.lookup.get_or_insert_with(|| tokio::spawn(resolve()));
        let found = if self.last.is_empty() {
            lookup.await
        } else {
            match tokio::time::timeout(RESOLVE_WAIT_KNOWN, lookup).await {
                Ok(found) => found,
                Err(_) => return Ok(self.last.clone()),
            }
        };
        self.lookup = None;
        self.ended(found);
        if self.last.is_empty() { Err(self.trouble.clone()) } else { Ok(self.last.clone()) }
    }

    fn ended(&mut self, found: Result<Result<Vec<SocketAddr>, String>, JoinError>) {
        match found.map_err(|error| error.to_string()).flatten() {
            Ok(addresses) => (self.last, self.trouble) = (addresses, String::new()),
            Err(why) => self.trouble = why,
        }
    }

    /// Returns what is wrong with the name, for whoever could not reach what was behind it: empty, or a part of a sentence.
    pub(crate) fn remark(&self) -> String {
        match &self.trouble {
            trouble if trouble.is_empty() || self.last.is_empty() => String::new(),
            trouble => format!(" (dialled as last known: {trouble})"),
        }
    }
}

/// Connects to `name` at one of `addresses`, under the protocol `alpn`: the first that answers.
///
/// # Errors
/// If none does: what is wrong with each.
pub async fn connect(
    endpoints: &Endpoints,
    credentials: &Credentials,
    alpn: &[u8],
    name: &Principal,
    addresses: &[SocketAddr],
) -> Result<Connection, Unreachable> {
    let attempt = |(turn, address): (u32, &SocketAddr)| {
        let address = *address;
        async move {
            tokio::time::sleep(DIAL_STAGGER * turn).await;
            let endpoint = endpoints.towards(address).map_err(|error| Unreachable {
                name: name.clone(),
                address,
                why: error.to_string(),
                refused: false,
            })?;
            quic::connect(endpoint, credentials, alpn, name, address).await
        }
    };
    let mut attempts: FuturesUnordered<_> = (0..).zip(addresses).map(attempt).collect();
    let mut failed: Option<Unreachable> = None;
    while let Some(outcome) = attempts.next().await {
        let error = match outcome {
            Ok(connection) => return Ok(connection),
            Err(error) => error,
        };
        failed = Some(match failed {
            None => error,
            // Only if every address refuses is there no use in trying again.
            Some(first) => Unreachable {
                why: format!("{}; at {}: {}", first.why, error.address, error.why),
                refused: first.refused && error.refused,
                ..first
            },
        });
    }
    Err(failed.expect("a name without an address is refused when it is resolved"))
}

/// Resolves `at` and connects.
///
/// # Errors
/// A sentence, as of [`resolve`] and [`connect`].
pub async fn dial(
    endpoints: &Endpoints,
    credentials: &Credentials,
    alpn: &[u8],
    name: &Principal,
    at: &HostPort,
) -> Result<Connection, String> {
    let addresses = resolve(at).await?;
    connect(endpoints, credentials, alpn, name, &addresses).await.map_err(|error| error.why)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tanist_db_core::clock::{Clock, SystemClock};

    use super::*;
    use crate::transport::certs;
    use crate::transport::quic::ALPN_VAULT;

    /// A cluster's certificates, a vault that listens on loopback, and what a node dials with.
    struct Scene {
        _folder: tempfile::TempDir,
        node: Credentials,
        vault: Endpoint,
    }

    impl Scene {
        fn new(answers: &Principal) -> Scene {
            let folder = tempfile::tempdir().unwrap();
            let (clock, tls): (Arc<dyn Clock>, _) = (Arc::new(SystemClock::new()), folder.path().join("tls"));
            let node = Principal::node("a").unwrap();
            certs::create(&tls, 5, &[Principal::Vault, Principal::Tool, node.clone()], clock.unix()).unwrap();
            let load = |who: &Principal| Credentials::load(&tls, who, Arc::clone(&clock)).unwrap();
            let (vault, node) = (load(answers), load(&node));
            let at = SocketAddr::from(([127, 0, 0, 1], 0));
            let endpoint = quic::listen(at, vault.server_config(&[ALPN_VAULT]), vault.reset_key()).unwrap();
            let accepting = endpoint.clone();
            tokio::spawn(async move {
                while let Some(incoming) = accepting.accept().await {
                    tokio::spawn(async { Ok::<_, quinn::ConnectionError>(incoming.await?.closed().await) });
                }
            });
            Scene { _folder: folder, node, vault: endpoint }
        }

        fn port(&self) -> u16 {
            self.vault.local_addr().unwrap().port()
        }

        async fn dial(&self, host: &str) -> Result<Connection, String> {
            let at = HostPort::new(host, self.port()).unwrap();
            dial(&Endpoints::default(), &self.node, ALPN_VAULT, &Principal::Vault, &at).await
        }
    }

    #[tokio::test]
    async fn a_name_is_resolved_and_dialled() {
        let scene = Scene::new(&Principal::Vault);
        let connection = scene.dial("localhost").await.unwrap();
        assert_eq!(connection.remote_address().port(), scene.port());
        let why = scene.dial("nobody.invalid").await.unwrap_err();
        assert!(why.contains("'nobody.invalid'"), "{why}");
    }

    /// A resolver that was down for a moment in which the connection broke cost the lease.
    #[tokio::test(start_paused = true)]
    async fn addresses_that_were_known_do_while_nobody_resolves() {
        let (old, new): (SocketAddr, SocketAddr) = ("10.0.0.1:7".parse().unwrap(), "10.0.0.2:7".parse().unwrap());
        let mut resolved = Resolved::default();
        let down = || async { Err("down".to_owned()) };
        let slow = move || async move {
            tokio::time::sleep(RESOLVE_WAIT_KNOWN * 3).await;
            Ok(vec![new])
        };
        assert_eq!(resolved.addresses(down).await, Err("down".to_owned()));
        assert_eq!(resolved.addresses(move || async move { Ok(vec![old]) }).await, Ok(vec![old]));
        assert_eq!(resolved.addresses(down).await, Ok(vec![old]));
        let begun = tokio::time::Instant::now();
        assert_eq!(resolved.addresses(slow).await, Ok(vec![old]));
        assert_eq!(begun.elapsed(), RESOLVE_WAIT_KNOWN);
        assert_eq!(resolved.addresses(down).await, Ok(vec![old]), "one lookup at a time");
        assert_eq!(resolved.remark(), " (dialled as last known: down)");
        tokio::time::sleep(RESOLVE_WAIT_KNOWN).await;
        assert_eq!(resolved.addresses(down).await, Ok(vec![new]), "the slow answer counts in the end");
        let newest = || async { Ok(vec!["10.0.0.3:7".parse().unwrap()]) };
        assert_eq!(resolved.addresses(newest).await.unwrap()[0].to_string(), "10.0.0.3:7", "and is no news later");
    }

    #[tokio::test]
    async fn every_address_is_tried() {
        let scene = Scene::new(&Principal::Vault);
        // Nobody listens at the first two.
        let dead = ["127.0.0.1:9", "127.0.0.2:9"].map(|at| at.parse::<SocketAddr>().unwrap());
        let alive = scene.vault.local_addr().unwrap();
        let endpoints = Endpoints::default();
        let name = Principal::Vault;
        let found = connect(&endpoints, &scene.node, ALPN_VAULT, &name, &[dead[0], dead[1], alive]).await.unwrap();
        assert_eq!(found.remote_address(), alive);
        let none = connect(&endpoints, &scene.node, ALPN_VAULT, &name, &dead).await.unwrap_err();
        assert!(!none.refused && none.to_string().contains("at 127.0.0.2:9"), "{none}");
    }

    #[tokio::test]
    async fn who_answers_under_a_host_name_must_still_be_who_was_meant() {
        let scene = Scene::new(&Principal::node("a").unwrap());
        let why = scene.dial("localhost").await.unwrap_err();
        assert!(why.contains("certificate"), "{why}");
    }
}

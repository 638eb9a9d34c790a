//! Connecting to the vault: one attempt, or attempts until it answers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::Mutex;

use crate::limits::{AWAY_LOG_EVERY, CONNECT_PAUSE, CONNECT_TRY};
use crate::transport::address::HostPort;
use crate::transport::dial::{self, Endpoints, Resolved};
use crate::transport::principal::Principal;
use crate::transport::quic;
use crate::transport::rpc::{ControlClient, RpcError, Welcome};
use crate::transport::tls::Credentials;
use crate::wire::message::{Answer, Hello};

/// How a process reaches the vault.
#[derive(Clone, Debug)]
pub(crate) struct Dialer {
    endpoints: Arc<Endpoints>,
    pub(crate) credentials: Arc<Credentials>,
    vault: HostPort,
    resolved: Arc<Mutex<Resolved>>,
}

/// Why the vault was not reached.
#[derive(Debug, Error)]
#[error("{why}")]
pub(crate) struct NotReached {
    pub(crate) why: String,
    /// Trying again is of no use before a person has changed something.
    pub(crate) refused: bool,
}

impl Dialer {
    /// The arbiter of the first attempt then drives the connections.
    pub(crate) fn new(credentials: Arc<Credentials>, vault: HostPort) -> Dialer {
        Dialer { endpoints: Arc::default(), credentials, vault, resolved: Arc::default() }
    }

    /// Returns when the ends of all connections have been sent.
    pub(crate) async fn wait_idle(&self) {
        self.endpoints.wait_idle().await;
    }

    /// One attempt, which takes at most [`CONNECT_TRY`] after the vault's name has been resolved.
    pub(crate) async fn attempt(
        &self,
        hello: &Hello,
        news: impl FnMut(Answer) + Send + 'static,
    ) -> Result<(ControlClient, Welcome), NotReached> {
        let failed = |why| NotReached { why: format!("the vault at {}: {why}", self.vault), refused: false };
        let vault = self.vault.clone();
        let resolve = || async move { dial::resolve(&vault).await };
        let (addresses, remark) = {
            let mut resolved = self.resolved.lock().await;
            (resolved.addresses(resolve).await.map_err(failed)?, resolved.remark())
        };
        let reached = tokio::time::timeout(CONNECT_TRY, self.reach(&addresses, hello, news)).await;
        let reached = reached.map_err(|_| failed("it does not answer".into())).flatten();
        reached.map_err(|failure| NotReached { why: failure.why + &remark, ..failure })
    }

    async fn reach(
        &self,
        addresses: &[SocketAddr],
        hello: &Hello,
        news: impl FnMut(Answer) + Send + 'static,
    ) -> Result<(ControlClient, Welcome), NotReached> {
        let (name, alpn) = (Principal::Vault, quic::ALPN_VAULT);
        let connected = dial::connect(&self.endpoints, &self.credentials, alpn, &name, addresses).await;
        let connection = connected.map_err(|error| NotReached { refused: error.refused, why: error.to_string() })?;
        let closed = connection.clone();
        ControlClient::open(connection, hello, news).await.map_err(|error| NotReached {
            refused: matches!(error, RpcError::Refused(_)) || closed.close_reason().is_some_and(|r| quic::refused(&r)),
            why: format!("the vault at {}: {error}", self.vault),
        })
    }

    /// Attempts until one succeeds, and mentions now and then that none does. `news` makes the receiver of the vault's news
    /// for each attempt. With `give_up_if_refused` a refusal ends it.
    pub(crate) async fn until_reached<N: FnMut(Answer) + Send + 'static>(
        &self,
        hello: &Hello,
        give_up_if_refused: bool,
        mut news: impl FnMut() -> N,
    ) -> Result<(ControlClient, Welcome), NotReached> {
        let mut since_said = AWAY_LOG_EVERY;
        loop {
            match self.attempt(hello, news()).await {
                Ok(reached) => return Ok(reached),
                Err(refusal) if refusal.refused && give_up_if_refused => return Err(refusal),
                Err(failure) => {
                    if since_said >= AWAY_LOG_EVERY {
                        tracing::warn!("{failure}; trying again");
                        since_said = Duration::ZERO;
                    }
                    tokio::time::sleep(CONNECT_PAUSE).await;
                    since_said += CONNECT_PAUSE + CONNECT_TRY;
                }
            }
        }
    }
}

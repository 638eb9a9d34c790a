//! Connections between nodes, and the streams of forwarded sessions on them.
//!
//! The standby's end: [`Links`], one for each thread, keeps a connection to the primary while sessions need it. The primary's end:
//! [`attend`] runs a session for each stream of an accepted connection.

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{LocalBoxFuture, Shared};
use quinn::{Connection, RecvStream, SendStream};
use tanist_replication::serving::PrimaryAddress;
use tanist_replication::transport::dial::{Endpoints, dial};
use tanist_replication::transport::principal::Principal;
use tanist_replication::transport::quic;
use tanist_replication::transport::tls::Credentials;
use tokio::io::AsyncWriteExt as _;
use tracing::debug;

use super::reach;
use super::wire::{Greeting, NODE_ITSELF};
use crate::front::limits::AUTHENTICATION_TIME;
use crate::front::registry::{Peer, Way};
use crate::front::{NodeContext, session};

/// A stream to the primary that has been greeted.
pub type LinkStream = tokio::io::Join<RecvStream, SendStream>;

type Connecting = Shared<LocalBoxFuture<'static, Result<Connection, Arc<str>>>>;

/// A thread's connection to the primary.
pub struct Links {
    credentials: Arc<Credentials>,
    endpoints: Arc<Endpoints>,
    newest: RefCell<Option<(PrimaryAddress, Connecting)>>,
}

impl Links {
    /// None yet; the node says who it is by `credentials`.
    #[must_use]
    pub fn new(credentials: Arc<Credentials>) -> Links {
        Links { credentials, endpoints: Arc::default(), newest: RefCell::default() }
    }

    /// Opens a stream to `primary`, over the present connection if it leads there and stands.
    ///
    /// # Errors
    /// In words: nobody is reached there.
    pub async fn open(&self, primary: &PrimaryAddress, greeting: &Greeting) -> io::Result<LinkStream> {
        let connection = self.connection(primary).await.map_err(|why| io::Error::other(&*why))?;
        let (mut send, receive) =
            connection.open_bi().await.map_err(|error| io::Error::other(quic::explain(&error)))?;
        send.write_all(&greeting.to_bytes()).await?;
        Ok(tokio::io::join(receive, send))
    }

    fn connection(&self, primary: &PrimaryAddress) -> Connecting {
        let mut newest = self.newest.borrow_mut();
        if let Some((address, connecting)) = &*newest
            && address == primary
            && connecting.peek().is_none_or(|made| made.as_ref().is_ok_and(|made| made.close_reason().is_none()))
        {
            return connecting.clone();
        }
        let (credentials, endpoints) = (Arc::clone(&self.credentials), Arc::clone(&self.endpoints));
        let PrimaryAddress { node, quic: address, .. } = primary.clone();
        let connecting = async move {
            let principal = Principal::node(&node).ok_or_else(|| format!("'{node}' is no name for a node"))?;
            let connection = dial(&endpoints, &credentials, quic::ALPN_LINK, &principal, &address.parse()?).await;
            if let Err(why) = &connection {
                debug!(node, address, why, "the primary is not reached");
            }
            Ok(connection?)
        };
        let connecting = connecting.boxed_local().shared();
        *newest = Some((primary.clone(), connecting.clone()));
        connecting
    }
}

impl fmt::Debug for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let newest = self.newest.borrow();
        f.debug_struct("Links").field("primary", &newest.as_ref().map(|(primary, _)| primary)).finish_non_exhaustive()
    }
}

/// Runs a session for each stream of `connection`, which another node has opened, until it ends.
pub(in crate::front) async fn attend(context: &Arc<NodeContext>, connection: &Connection) {
    let mut streams = quic::LinkStreams::new(connection);
    while let Ok((send, receive, open)) = streams.accept().await {
        let serve = serve(Arc::clone(context), send, receive);
        actix_rt::spawn(async move {
            serve.await;
            drop(open);
        });
    }
}

async fn serve(context: Arc<NodeContext>, mut send: SendStream, mut receive: RecvStream) {
    let greeting = match tokio::time::timeout(AUTHENTICATION_TIME, Greeting::read(&mut receive)).await {
        Ok(Ok(greeting)) => greeting,
        Ok(Err(error)) => {
            debug!(%error, "a forwarded session");
            // Without a mark: the other node is not to take it for a promise.
            let _ = send.reset(1_u32.into());
            return;
        }
        Err(_) => return,
    };
    if greeting.client == NODE_ITSELF {
        let answer = reach::answer(&context, greeting.epoch);
        let _ = send.write_all(answer.as_bytes()).await;
        let _ = send.finish();
        return;
    }
    let peer = Peer {
        address: greeting.address,
        local: format!("{}:{}", context.identity.bind, context.identity.port),
        way: Way::Forwarded { epoch: greeting.epoch },
        authenticated: true,
    };
    // The node that forwards has counted its client.
    let registration = context.registry.register(peer, context.clock.monotonic(), usize::MAX);
    let Some(registration) = registration else { return };
    let mut stream = tokio::io::join(receive, send);
    session::serve(context, registration, &mut stream, session::TokioThread::default()).await;
    let _ = stream.shutdown().await;
}

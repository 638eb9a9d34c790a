//! Connections of the client library: sessions over QUIC streams.
//!
//! A node has one UDP socket, so one arbiter (event-loop thread) drives the endpoint and receives the first packets of
//! handshakes; each connection is then handed to one of the arbiters that execute commands. A client is authenticated by its
//! certificate, so no password is needed.
//!
//! A connection has one stream (see `tanist_client::wire`). Until this node is primary the client only gets notices, one at every
//! change of role: so it learns of a takeover from the new primary itself. Then the stream becomes a session.

use std::fmt;
use std::future::poll_fn;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

use actix::{Actor, ActorContext, ActorFutureExt, Addr, AsyncContext, Context, Handler, WrapFuture};
use actix_rt::ArbiterHandle;
use quinn::{Connection, Endpoint, Incoming, RecvStream, SendStream};
use tanist_client::wire::greeting::{GREETING_BYTES, GreetingError, Notice, check_greeting};
use tanist_replication::serving::{Role, Serving, Woken};
use tanist_replication::transport::principal::Principal;
use tanist_replication::transport::quic::{self, ListenError};
use tanist_replication::transport::tls::Credentials;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::debug;

use super::limits::{AUTHENTICATION_TIME, CLOSING_TIME, UNADMITTED_MAX};
use super::registry::{Peer, Registration, Way};
use super::tcp::StopAccepting;
use super::{NodeContext, forward, session};

/// Accepts the client library's connections and spreads them over arbiters. Stops when told ([`StopAccepting`]).
pub struct QuicAcceptor {
    node: Node,
    socket: Option<UdpSocket>,
    endpoint: Option<Endpoint>,
    arbiters: Vec<ArbiterHandle>,
}

/// What a connection needs to know of its node.
#[derive(Clone)]
struct Node {
    context: Arc<NodeContext>,
    credentials: Arc<Credentials>,
}

/// Starts to accept at `address`, driven by the first of `arbiters`; connections live on all of them. Returns the address that
/// the system chose if the port was 0.
///
/// # Errors
/// If the address cannot be had.
///
/// # Panics
/// If there is no arbiter.
pub fn start(
    context: &Arc<NodeContext>,
    credentials: Arc<Credentials>,
    address: SocketAddr,
    arbiters: &[ArbiterHandle],
) -> Result<(Addr<QuicAcceptor>, SocketAddr), ListenError> {
    let socket = quic::bind(address)?;
    let address = socket.local_addr().map_err(|source| ListenError::Socket { address, source })?;
    let first = arbiters.first().expect("a node executes commands on at least one arbiter");
    let node = Node { context: Arc::clone(context), credentials };
    let acceptor = QuicAcceptor { node, socket: Some(socket), endpoint: None, arbiters: arbiters.to_vec() };
    Ok((QuicAcceptor::start_in_arbiter(first, move |_| acceptor), address))
}

impl Actor for QuicAcceptor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let Some(socket) = self.socket.take() else { return };
        let credentials = &self.node.credentials;
        match quic::accept_on(socket, credentials.config_for_clients(), credentials.reset_key()) {
            Ok(endpoint) => {
                self.endpoint = Some(endpoint.clone());
                let accepting = accept(self.node.clone(), endpoint, self.arbiters.clone());
                ctx.spawn(accepting.into_actor(self).map(|(), _, ctx| ctx.stop()));
            }
            Err(error) => {
                tracing::error!(%error, "the UDP socket cannot be used: this node serves no client library");
                ctx.stop();
            }
        }
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        // Connections live on; new ones are refused at once instead of being left to time out.
        if let Some(endpoint) = &self.endpoint {
            endpoint.set_server_config(None);
        }
    }
}

impl Handler<StopAccepting> for QuicAcceptor {
    type Result = ();

    fn handle(&mut self, _: StopAccepting, ctx: &mut Self::Context) {
        ctx.stop();
    }
}

impl fmt::Debug for QuicAcceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuicAcceptor").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

async fn accept(node: Node, endpoint: Endpoint, arbiters: Vec<ArbiterHandle>) {
    let mut turns = arbiters.iter().cycle();
    let unadmitted = Arc::new(Semaphore::new(UNADMITTED_MAX));
    while let (Some(incoming), Some(arbiter)) = (endpoint.accept().await, turns.next()) {
        let Ok(place) = Arc::clone(&unadmitted).try_acquire_owned() else {
            debug!(address = %incoming.remote_address(), "too many have come that have not greeted: refused");
            incoming.refuse();
            continue;
        };
        let node = node.clone();
        // An arbiter that has stopped belongs to a node that is stopping.
        arbiter.spawn_fn(move || drop(actix_rt::spawn(serve(node, incoming, place))));
    }
}

/// One connection, from its handshake to its end. It gives back its `place` among the unauthenticated clients when it has greeted.
async fn serve(node: Node, incoming: Incoming, place: OwnedSemaphorePermit) {
    let address = incoming.remote_address();
    let connection = match tokio::time::timeout(AUTHENTICATION_TIME, incoming).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => {
            debug!(%address, why = quic::explain(&error), "handshake of the client library");
            return;
        }
        Err(_) => {
            debug!(%address, "the handshake of a client library has taken too long");
            return;
        }
    };
    if let Err(why) = converse(&node, &connection, place).await {
        debug!(%address, why, "client library");
        connection.close(1_u32.into(), why.as_bytes());
    }
    // The client closes when it has read the last reply; closing here could overtake that.
    let _ = tokio::time::timeout(CLOSING_TIME, connection.closed()).await;
}

async fn converse(node: &Node, connection: &Connection, place: OwnedSemaphorePermit) -> Result<(), String> {
    if quic::protocol(connection) == quic::ALPN_LINK {
        let Some(Principal::Node(name)) = node.credentials.peer(connection) else {
            return Err("only a node of this cluster forwards commands".to_owned());
        };
        drop(place);
        debug!(%name, "a node forwards commands");
        forward::attend(&node.context, connection).await;
        return Ok(());
    }
    match node.credentials.peer(connection) {
        Some(Principal::Client | Principal::Tool | Principal::Node(_)) => {}
        Some(other) => return Err(format!("{other} is no client")),
        None => return Err("its certificate names nobody of this cluster".to_owned()),
    }
    let greeted = tokio::time::timeout(AUTHENTICATION_TIME, greeting(connection)).await;
    let Some((mut send, receive)) = greeted.map_err(|_| "it has not greeted in time".to_owned())?? else {
        return Ok(());
    };
    drop(place);
    let context = &node.context;
    let peer = Peer {
        address: connection.remote_address().to_string(),
        local: format!("{}:{}", context.identity.bind, context.identity.port),
        way: Way::Library,
        authenticated: true,
    };
    let now = context.clock.monotonic();
    let Some(registration) = context.registry.register(peer, now, context.settings.connections_max()) else {
        let refused = Notice::Refused { why: "max number of clients reached".to_owned() };
        return send.write_all(&refused.to_bytes()).await.map_err(|error| error.to_string());
    };
    if attend(node, connection, &registration, &mut send).await? {
        let stream = tokio::io::join(receive, send);
        session::serve(Arc::clone(context), registration, stream, session::TokioThread::default()).await;
    }
    Ok(())
}

/// The client's stream, after its greeting; `None` if the client was told why it cannot be served.
async fn greeting(connection: &Connection) -> Result<Option<(SendStream, RecvStream)>, String> {
    let (mut send, mut receive) = connection.accept_bi().await.map_err(|error| quic::explain(&error))?;
    let mut bytes = [0; GREETING_BYTES];
    receive.read_exact(&mut bytes).await.map_err(|error| error.to_string())?;
    match check_greeting(bytes) {
        Ok(()) => Ok(Some((send, receive))),
        Err(GreetingError::Version(version)) => {
            let refused = Notice::Refused { why: GreetingError::Version(version).to_string() };
            send.write_all(&refused.to_bytes()).await.map_err(|error| error.to_string())?;
            Ok(None)
        }
        Err(error) => Err(error.to_string()),
    }
}

/// Sends the client a notice whenever the role changes, until this node is primary (`true`) or the client is gone.
async fn attend(
    node: &Node,
    connection: &Connection,
    registration: &Registration,
    send: &mut SendStream,
) -> Result<bool, String> {
    let serving = &*node.context.serving;
    let mut told = None;
    loop {
        let seen = serving.version();
        if serving.role() == Role::Fenced {
            return Ok(false);
        }
        let notice = notice(serving, &node.context.identity.node);
        if told.as_ref() != Some(&notice) {
            send.write_all(&notice.to_bytes()).await.map_err(|error| error.to_string())?;
        }
        if matches!(notice, Notice::Primary { .. }) {
            return Ok(true);
        }
        told = Some(notice);
        tokio::select! {
            woken = serving.changed(seen) => match woken {
                Woken::Durable | Woken::Changed => {}
                Woken::Stopped | Woken::Crowded => return Ok(false),
            },
            _ = connection.closed() => return Ok(false),
            () = poll_fn(|cx| registration.entry().poll_killed(cx)) => return Ok(false),
        }
    }
}

/// The notice for a client. A node that hands over says that it is not primary: it would hold commands and then refuse them.
fn notice(serving: &Serving, own: &str) -> Notice {
    let epoch = serving.epoch().0;
    if serving.role() == Role::Primary {
        return Notice::Primary { epoch, took_over: serving.took_over() };
    }
    let primary = serving.primary().filter(|primary| primary.node != own);
    Notice::Elsewhere { epoch, address: primary.map(|primary| primary.quic.clone()) }
}

#[cfg(test)]
mod tests;

//! The Redis protocol over TCP: one acceptor per arbiter (event-loop thread).
//!
//! Every arbiter has a listening socket of its own on the one port (`SO_REUSEPORT`), so the system spreads connections over the
//! threads and a connection stays on the thread that accepted it. Because that option would also let a second process share the
//! port unnoticed, [`bind`] first checks whether the port is free.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::rc::Rc;
use std::sync::Arc;

use actix::{Actor, ActorContext, Addr, AsyncContext, Context, Handler, Message, WrapFuture};
use actix_rt::ArbiterHandle;
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tanist_replication::repeats::Repeats;
use tanist_replication::transport::tls::Credentials;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tracing::{debug, warn};

use super::forward::Links;
use super::limits::{
    ACCEPT_PAUSE, AUTHENTICATION_TIME, FAREWELL_REQUEST_WAIT, FAREWELL_TIME, FAREWELLS_MAX, KEEPALIVE, LISTEN_BACKLOG,
    PINS_END_EVERY, SWEEP_INTERVAL,
};
use super::redirect::NO_PLACE;
use super::registry::{Peer, Way};
use super::session::TokioThread;
use super::{NodeContext, forward, session};

/// Why a node cannot listen.
#[derive(Debug, thiserror::Error)]
pub struct BindError {
    address: SocketAddr,
    source: io::Error,
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.address;
        match self.source.kind() {
            io::ErrorKind::AddrInUse => {
                write!(
                    f,
                    "cannot listen on {address}: the port is in use; stop the program that uses it or choose another port"
                )
            }
            io::ErrorKind::AddrNotAvailable => {
                write!(f, "cannot listen on {address}: this machine does not have that address")
            }
            io::ErrorKind::PermissionDenied => {
                write!(f, "cannot listen on {address}: not permitted; ports below 1024 need the right to use them")
            }
            _ => write!(f, "cannot listen on {address}: {}", self.source),
        }
    }
}

/// `count` listening sockets on one address. With port 0 the system chooses one port for all of them.
///
/// # Errors
/// If the address cannot be had, above all when another process listens there.
pub fn bind(address: SocketAddr, count: usize) -> Result<Vec<StdListener>, BindError> {
    let failed = |source| BindError { address, source };
    // Without sharing: fails if anyone listens here, even one who would share.
    let probe = socket(address, false).map_err(failed)?;
    let address = probe.local_addr().map_err(failed)?.as_socket().unwrap_or(address);
    drop(probe);
    let listen = |_| -> io::Result<StdListener> {
        let socket = socket(address, true)?;
        socket.listen(LISTEN_BACKLOG)?;
        Ok(socket.into())
    };
    (0..count).map(listen).collect::<Result<_, _>>().map_err(failed)
}

fn socket(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A node that is started again must not wait for the connections of its predecessor to time out.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Accepts connections on one socket and starts a session for each on its own arbiter. Stops when told ([`StopAccepting`]).
pub struct TcpAcceptor {
    context: Arc<NodeContext>,
    listener: Option<StdListener>,
    credentials: Option<Arc<Credentials>>,
    /// One of a node's acceptors looks after idle connections, and whether the primary can be reached.
    sweeps: bool,
}

/// No more connections; the present ones stay.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct StopAccepting;

/// Starts one acceptor on each of `arbiters`. With `credentials` a standby can forward commands to the primary.
///
/// # Errors
/// If the address cannot be had.
pub fn start(
    context: &Arc<NodeContext>,
    credentials: Option<&Arc<Credentials>>,
    address: SocketAddr,
    arbiters: &[ArbiterHandle],
) -> Result<Vec<Addr<TcpAcceptor>>, BindError> {
    let listeners = bind(address, arbiters.len())?;
    let start = |(i, (listener, arbiter)): (usize, (StdListener, &ArbiterHandle))| {
        let acceptor = TcpAcceptor {
            context: Arc::clone(context),
            listener: Some(listener),
            credentials: credentials.map(Arc::clone),
            sweeps: i == 0,
        };
        TcpAcceptor::start_in_arbiter(arbiter, move |_| acceptor)
    };
    Ok(listeners.into_iter().zip(arbiters).enumerate().map(start).collect())
}

impl Actor for TcpAcceptor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let Some(listener) = self.listener.take() else { return };
        match TcpListener::from_std(listener) {
            Ok(listener) => {
                let context = Arc::clone(&self.context);
                let links = self.credentials.take().map(|credentials| Rc::new(Links::new(credentials)));
                if let Some(links) = links.as_ref().filter(|_| self.sweeps) {
                    ctx.spawn(forward::watch(Arc::clone(&context), Rc::clone(links)).into_actor(self));
                }
                ctx.spawn(accept(context, listener, links).into_actor(self));
            }
            Err(error) => {
                tracing::error!(%error, "the listening socket cannot be used: this thread accepts no connections");
                ctx.stop();
            }
        }
        if self.sweeps {
            ctx.run_interval(SWEEP_INTERVAL, |acceptor, _| {
                let context = &acceptor.context;
                let idle = context.settings.idle_time_max();
                let now = context.clock.monotonic();
                context.registry.sweep(now, idle, AUTHENTICATION_TIME);
                context.end_old_pins(now);
            });
            // A primary looks at each write; a standby's writes come from the log.
            ctx.run_interval(PINS_END_EVERY, |acceptor, _| {
                let context = &acceptor.context;
                context.engine().inspect(|engine| context.bound_pins(engine, context.clock.monotonic()));
            });
        }
    }
}

impl Handler<StopAccepting> for TcpAcceptor {
    type Result = ();

    fn handle(&mut self, _: StopAccepting, ctx: &mut Self::Context) {
        ctx.stop();
    }
}

impl fmt::Debug for TcpAcceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpAcceptor").field("sweeps", &self.sweeps).finish_non_exhaustive()
    }
}

async fn accept(context: Arc<NodeContext>, listener: TcpListener, links: Option<Rc<Links>>) {
    let farewells = Arc::new(Semaphore::new(FAREWELLS_MAX));
    let mut lines = Repeats::default();
    loop {
        match listener.accept().await {
            Ok((stream, address)) => {
                admit(&context, stream, address, &farewells, links.as_ref());
            }
            // One peer's trouble is not the listener's.
            Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) => {
            }
            Err(error) => {
                if let Some(times) = lines.happened(context.clock.monotonic(), &error.to_string()) {
                    warn!(%error, "cannot accept connections; trying again until it works{times}");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn admit(
    context: &Arc<NodeContext>,
    stream: TcpStream,
    address: SocketAddr,
    farewells: &Arc<Semaphore>,
    links: Option<&Rc<Links>>,
) {
    let local = stream.local_addr().map_or_else(|_| String::new(), |local| local.to_string());
    let peer = Peer { address: address.to_string(), local, way: Way::Resp, authenticated: false };
    let now = context.clock.monotonic();
    let Some(registration) = context.registry.register(peer, now, context.settings.connections_max()) else {
        match Arc::clone(farewells).try_acquire_owned() {
            Ok(place) => drop(actix_rt::spawn(turn_away(stream, place))),
            // As much as fits: a peer that does not even take this gets nothing.
            Err(_) => drop(stream.try_write(format!("-{NO_PLACE}\r\n").as_bytes())),
        }
        return;
    };
    let tuned = stream
        .set_nodelay(true)
        .and_then(|()| SockRef::from(&stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE)));
    if let Err(error) = tuned {
        debug!(%error, %address, "a connection keeps the system's options");
    }
    let runtime = links.map_or_else(TokioThread::default, |links| TokioThread::with_links(Rc::clone(links)));
    actix_rt::spawn(session::serve(Arc::clone(context), registration, stream, runtime));
}

/// Sends a client the error that `maxclients` is reached, as the reply to its first request if that comes at once: many clients
/// drop what comes unasked. Then its end is waited for, since closing a connection with unread bytes resets it, and takes the
/// reply away.
async fn turn_away(mut stream: TcpStream, _place: OwnedSemaphorePermit) {
    let mut unread = [0; 4096];
    let _first_request = timeout(FAREWELL_REQUEST_WAIT, stream.read(&mut unread)).await;
    let farewell = async {
        stream.write_all(format!("-{NO_PLACE}\r\n").as_bytes()).await?;
        stream.shutdown().await?;
        while stream.read(&mut unread).await? > 0 {}
        io::Result::Ok(())
    };
    // Whoever does not listen is cut.
    let _told = timeout(FAREWELL_TIME, farewell).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_shared_among_threads_and_with_nobody_else() {
        let listeners = bind("127.0.0.1:0".parse().unwrap(), 3).unwrap();
        let address = listeners[0].local_addr().unwrap();
        assert!(listeners.iter().all(|listener| listener.local_addr().unwrap() == address));
        let refused = bind(address, 1).unwrap_err().to_string();
        assert_eq!(
            refused,
            format!(
                "cannot listen on {address}: the port is in use; stop the program that uses it or choose another port"
            )
        );
        drop(listeners);
        bind(address, 2).unwrap();
    }

    #[test]
    fn an_address_of_another_machine_is_refused_with_a_sentence() {
        let refused = bind("192.0.2.1:7777".parse().unwrap(), 1).unwrap_err().to_string();
        assert!(refused.contains("does not have that address"), "{refused}");
    }
}

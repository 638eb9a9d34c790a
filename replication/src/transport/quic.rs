//! Endpoints, their settings, and connecting.
//!
//! The settings come from measurements on loopback (MiB/s of one stream): QUIC's defaults 533; with sparser acknowledgements and
//! larger windows 615; with packets of up to 6500 bytes in addition 1,047. Packets of 8,900 bytes collapse, so discovery stops at
//! 6500. Without `initial_rtt` a connect to a dead port takes three seconds.

use std::cell::Cell;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::rc::Rc;
use std::sync::Arc;

use quinn::crypto::rustls::{HandshakeData, QuicClientConfig, QuicServerConfig};
use quinn::{
    AckFrequencyConfig, ConnectError, Connection, ConnectionError, Endpoint, EndpointConfig, IdleTimeout,
    MtuDiscoveryConfig, RecvStream, SendStream, TransportConfig, VarInt,
};
use rustix::net::sockopt;
use thiserror::Error;

use super::principal::Principal;
use super::reset::ResetKey;
use super::tls::Credentials;
use crate::limits;

/// Protocol between nodes, supervisors and tools on one side and the vault on the other (`wire::message`).
pub const ALPN_VAULT: &[u8] = b"tanist-vault/1";
/// Protocol of the client library towards a node.
pub const ALPN_CLIENT: &[u8] = b"tanist-client/1";
/// Protocol between nodes (forwarding).
pub const ALPN_LINK: &[u8] = b"tanist-link/1";

/// Why an endpoint could not be made.
#[derive(Debug, Error)]
pub enum ListenError {
    /// Somebody else has the port.
    #[error("UDP {0} is in use: stop the process that has it, or choose another port")]
    InUse(SocketAddr),
    /// Anything else.
    #[error("UDP {address} cannot be opened: {source}")]
    Socket {
        /// The address asked for.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

/// Why there is no connection.
#[derive(Debug, Error)]
#[error("no connection to {name} at {address}: {why}")]
pub struct Unreachable {
    /// Who was to be reached.
    pub name: Principal,
    /// Where.
    pub address: SocketAddr,
    /// In words.
    pub why: String,
    /// Whether trying again without a change of settings is pointless: a certificate was refused.
    pub refused: bool,
}

/// An endpoint that accepts connections at `address`, and may also connect. With `reset` it ends those of its predecessor there.
///
/// # Errors
/// If the port is taken or the address is not of this machine.
pub fn listen(address: SocketAddr, config: quinn::ServerConfig, reset: ResetKey) -> Result<Endpoint, ListenError> {
    let socket = bind(address)?;
    endpoint(socket, Some((config, reset))).map_err(|source| ListenError::Socket { address, source })
}

/// A socket for [`accept_on`]: binding may fail where it can be told, before the arbiter that drives the endpoint runs.
///
/// # Errors
/// As [`listen`].
pub fn bind(address: SocketAddr) -> Result<UdpSocket, ListenError> {
    UdpSocket::bind(address).map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => ListenError::InUse(address),
        _ => ListenError::Socket { address, source },
    })
}

/// An endpoint on a bound socket, driven by the current arbiter.
///
/// # Errors
/// If the socket cannot be used.
pub fn accept_on(socket: UdpSocket, config: quinn::ServerConfig, reset: ResetKey) -> io::Result<Endpoint> {
    endpoint(socket, Some((config, reset)))
}

/// An endpoint that only connects, to peers of the same address family as `peer`.
///
/// # Errors
/// If the system has no port left.
pub fn dialer(peer: SocketAddr) -> Result<Endpoint, ListenError> {
    let address = match peer {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let socket = bind(address)?;
    endpoint(socket, None).map_err(|source| ListenError::Socket { address, source })
}

fn endpoint(socket: UdpSocket, server: Option<(quinn::ServerConfig, ResetKey)>) -> io::Result<Endpoint> {
    // As much as the system grants; the default loses packets in a burst of one window.
    let _ = sockopt::set_socket_recv_buffer_size(&socket, limits::SOCKET_BUFFER_BYTES);
    let _ = sockopt::set_socket_send_buffer_size(&socket, limits::SOCKET_BUFFER_BYTES);
    let mut config = EndpointConfig::default();
    config.max_udp_payload_size(limits::PACKET_BYTES_MAX).expect("the limit is within QUIC's");
    let server = server.map(|(server, reset)| {
        reset.apply(&mut config);
        server
    });
    let runtime = quinn::default_runtime().ok_or_else(|| io::Error::other("endpoints are made within a runtime"))?;
    Endpoint::new(config, server, socket, runtime)
}

/// Connects to `name` at `address` under the protocol `alpn`. Takes at most [`limits::CONNECT_WAIT`].
///
/// That this end's own certificate was refused may show only with the first use of the connection (see [`explain`]).
///
/// # Errors
/// If nobody answers, or who answers is not `name` of this cluster.
pub async fn connect(
    endpoint: &Endpoint,
    credentials: &Credentials,
    alpn: &[u8],
    name: &Principal,
    address: SocketAddr,
) -> Result<Connection, Unreachable> {
    let unreachable = |why: String, refused| Unreachable { name: name.clone(), address, why, refused };
    let server_name = name.server_name(credentials.cluster());
    let connecting = endpoint
        .connect_with(credentials.client_config(alpn), address, &server_name)
        .map_err(|error| unreachable(explain_connect(&error), false))?;
    match tokio::time::timeout(limits::CONNECT_WAIT, connecting).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(error)) => Err(unreachable(explain(&error), refused(&error))),
        Err(_) => Err(unreachable("nobody answered in time".to_owned(), false)),
    }
}

fn explain_connect(error: &ConnectError) -> String {
    match error {
        ConnectError::EndpointStopping => "this process is shutting down".to_owned(),
        ConnectError::InvalidRemoteAddress(_) => "the address cannot be connected to".to_owned(),
        other => other.to_string(),
    }
}

/// The protocol that both ends of `connection` have agreed on; empty before its handshake.
#[must_use]
pub fn protocol(connection: &Connection) -> Vec<u8> {
    let data = connection.handshake_data().and_then(|data| data.downcast::<HandshakeData>().ok());
    data.and_then(|data| data.protocol).unwrap_or_default()
}

/// The streams that the other end of a connection between nodes opens. One that is not read does not hold up the others, and there may
/// always be more of them.
#[derive(Debug)]
pub struct LinkStreams<'c> {
    connection: &'c Connection,
    allowed: u32,
    open: Rc<Cell<u32>>,
}

/// A stream is open until this is dropped.
#[derive(Debug)]
pub struct OpenStream(Rc<Cell<u32>>);

impl<'c> LinkStreams<'c> {
    /// None yet.
    #[must_use]
    pub fn new(connection: &'c Connection) -> LinkStreams<'c> {
        connection.set_max_concurrent_bi_streams(limits::LINK_STREAMS_MIN.into());
        connection.set_receive_window(VarInt::MAX);
        LinkStreams { connection, allowed: limits::LINK_STREAMS_MIN, open: Rc::default() }
    }

    /// Waits for the next.
    ///
    /// # Errors
    /// The connection is over.
    pub async fn accept(&mut self) -> Result<(SendStream, RecvStream, OpenStream), ConnectionError> {
        let (send, receive) = self.connection.accept_bi().await?;
        self.open.set(self.open.get() + 1);
        if self.open.get() > self.allowed / 2 && self.allowed < limits::LINK_STREAMS_MAX {
            self.allowed *= 2;
            self.connection.set_max_concurrent_bi_streams(self.allowed.into());
        }
        Ok((send, receive, OpenStream(Rc::clone(&self.open))))
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// The end of a connection in words.
#[must_use]
pub fn explain(error: &ConnectionError) -> String {
    match error {
        ConnectionError::TimedOut => "nobody answers there".to_owned(),
        ConnectionError::Reset => "the peer has restarted".to_owned(),
        ConnectionError::LocallyClosed => "closed by this process".to_owned(),
        ConnectionError::ApplicationClosed(close) if close.reason.is_empty() => "closed by the peer".to_owned(),
        ConnectionError::ApplicationClosed(close) => {
            format!("closed by the peer: {}", String::from_utf8_lossy(&close.reason))
        }
        ConnectionError::TransportError(e) => explain_tls(e.code, "the peer's", &e.reason),
        ConnectionError::ConnectionClosed(e) => explain_tls(e.error_code, "our", &String::from_utf8_lossy(&e.reason)),
        other => other.to_string(),
    }
}

/// Whether a certificate or the protocol was refused, which no second attempt will change.
#[must_use]
pub fn refused(error: &ConnectionError) -> bool {
    let code = match error {
        ConnectionError::TransportError(e) => e.code,
        ConnectionError::ConnectionClosed(e) => e.error_code,
        _ => return false,
    };
    alert(code).is_some()
}

/// The TLS alert in a QUIC error code (RFC 9001, 4.8).
fn alert(code: quinn::TransportErrorCode) -> Option<u8> {
    let code = u64::from(code);
    (code >> 8 == 1).then_some((code & 0xFF) as u8)
}

fn explain_tls(code: quinn::TransportErrorCode, whose: &str, detail: &str) -> String {
    let what = match alert(code) {
        Some(45) => "certificate has expired or is not valid yet".to_owned(),
        Some(48) => "certificate was issued by another authority (is it of another cluster?)".to_owned(),
        Some(42 | 43 | 46 | 51) => format!("certificate was refused ({detail})"),
        Some(116) => "certificate is missing".to_owned(),
        Some(120) => return "the two ends speak different protocols or versions".to_owned(),
        Some(other) => return format!("TLS alert {other} ({detail})"),
        None => return format!("{code} ({detail})"),
    };
    format!("{whose} {what}")
}

pub(super) fn server_config(crypto: Arc<QuicServerConfig>, transport: TransportConfig) -> quinn::ServerConfig {
    let mut config = quinn::ServerConfig::with_crypto(crypto);
    // A peer's address is no part of who it is, and nobody here roams.
    config.migration(false);
    config.max_incoming(limits::HANDSHAKES_MAX);
    config.transport_config(Arc::new(transport));
    config
}

pub(super) fn client_config(crypto: Arc<QuicClientConfig>, mut transport: TransportConfig) -> quinn::ClientConfig {
    let mut config = quinn::ClientConfig::new(crypto);
    // One end's pings keep both ends informed.
    transport.keep_alive_interval(Some(limits::KEEP_ALIVE));
    config.transport_config(Arc::new(transport));
    config
}

/// How a node serves its clients: there may be thousands, each may cost less than a peer.
pub(super) fn transport_to_clients() -> TransportConfig {
    let idle = IdleTimeout::try_from(limits::CLIENT_IDLE_MAX).expect("the limit is within QUIC's");
    let mut transport = transport();
    transport
        .max_idle_timeout(Some(idle))
        .stream_receive_window(limits::CLIENT_WINDOW_BYTES.into())
        .receive_window(limits::CLIENT_WINDOW_BYTES.into())
        .send_window(u64::from(limits::CLIENT_WINDOW_BYTES))
        .max_concurrent_bidi_streams(1_u32.into());
    transport
}

/// How a node connects to another one.
pub(super) fn transport_between_nodes() -> TransportConfig {
    let idle = IdleTimeout::try_from(limits::LINK_IDLE_MAX).expect("the limit is within QUIC's");
    let mut transport = transport();
    transport
        .max_idle_timeout(Some(idle))
        .stream_receive_window(limits::LINK_WINDOW_BYTES.into())
        .receive_window(VarInt::MAX)
        .max_concurrent_bidi_streams(0_u32.into());
    transport
}

pub(super) fn transport() -> TransportConfig {
    let mut discovery = MtuDiscoveryConfig::default();
    discovery.upper_bound(limits::PACKET_BYTES_MAX);
    let mut acknowledge = AckFrequencyConfig::default();
    acknowledge.ack_eliciting_threshold(limits::ACK_PACKETS.into()).max_ack_delay(Some(limits::ACK_DELAY_MAX));
    let idle = IdleTimeout::try_from(limits::IDLE_MAX).expect("the limit is within QUIC's");
    let mut transport = TransportConfig::default();
    transport
        .mtu_discovery_config(Some(discovery))
        .ack_frequency_config(Some(acknowledge))
        .initial_rtt(limits::INITIAL_RTT)
        .max_idle_timeout(Some(idle))
        .stream_receive_window(limits::STREAM_WINDOW_BYTES.into())
        .receive_window(VarInt::from_u32(limits::CONNECTION_WINDOW_BYTES))
        .send_window(u64::from(limits::CONNECTION_WINDOW_BYTES))
        .max_concurrent_bidi_streams(limits::STREAMS_MAX.into())
        .max_concurrent_uni_streams(0_u32.into())
        .datagram_receive_buffer_size(None);
    transport
}

//! Connects to nodes, and reports why a connection could not be made.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{
    AckFrequencyConfig, Connection, ConnectionError, Endpoint, EndpointConfig, IdleTimeout, MtuDiscoveryConfig,
    TransportConfig,
};

use tokio::time::{Interval, MissedTickBehavior};

use crate::address::NodeAddress;
use crate::limits;

/// Makes connections; all of a client's share a socket per address family.
#[derive(Debug)]
pub(crate) struct Dialer {
    config: quinn::ClientConfig,
    server_name: String,
    v4: OnceLock<Endpoint>,
    v6: OnceLock<Endpoint>,
}

impl Dialer {
    pub(crate) fn new(crypto: QuicClientConfig, server_name: String) -> Self {
        let mut config = quinn::ClientConfig::new(Arc::new(crypto));
        config.transport_config(Arc::new(transport()));
        Self { config, server_name, v4: OnceLock::new(), v6: OnceLock::new() }
    }

    /// Connects to the first of a node's addresses that answers, or tells in words why none does. Its name is resolved each time:
    /// behind it may be another machine by now. Each address is tried a moment after the one before it.
    pub(crate) async fn connect(&self, node: &NodeAddress) -> Result<Connection, String> {
        let addresses = node.resolve().await?;
        let attempt = |(turn, address): (u32, &SocketAddr)| {
            let address = *address;
            async move {
                tokio::time::sleep(limits::DIAL_STAGGER * turn).await;
                self.attempt(address).await.map_err(|why| (address, why))
            }
        };
        let mut attempts: FuturesUnordered<_> = (0..).zip(&addresses).map(attempt).collect();
        let mut failed = Vec::new();
        while let Some(outcome) = attempts.next().await {
            match outcome {
                Ok(connection) => return Ok(connection),
                Err((_, why)) if addresses.len() == 1 => return Err(why),
                Err((address, why)) => failed.push(format!("at {address}: {why}")),
            }
        }
        Err(failed.join("; "))
    }

    async fn attempt(&self, address: SocketAddr) -> Result<Connection, String> {
        let endpoint = self.endpoint(address).map_err(|error| format!("no socket: {error}"))?;
        let connecting = endpoint.connect_with(self.config.clone(), address, &self.server_name);
        let connecting = connecting.map_err(|error| error.to_string())?;
        match tokio::time::timeout(limits::CONNECT_WAIT, connecting).await {
            Ok(connected) => connected.map_err(|error| explain(&error)),
            Err(_) => Err(SILENT.to_owned()),
        }
    }

    fn endpoint(&self, address: SocketAddr) -> io::Result<&Endpoint> {
        let (place, any) = match address {
            SocketAddr::V4(_) => (&self.v4, SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))),
            SocketAddr::V6(_) => (&self.v6, SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))),
        };
        if let Some(endpoint) = place.get() {
            return Ok(endpoint);
        }
        let socket = std::net::UdpSocket::bind(any)?;
        let mut config = EndpointConfig::default();
        config.max_udp_payload_size(limits::PACKET_BYTES_MAX).expect("the limit is within QUIC's");
        let runtime = quinn::default_runtime().ok_or_else(|| io::Error::other("a client is made within a runtime"))?;
        let endpoint = Endpoint::new(config, None, socket, runtime)?;
        Ok(place.get_or_init(|| endpoint))
    }
}

fn transport() -> TransportConfig {
    let mut discovery = MtuDiscoveryConfig::default();
    discovery.upper_bound(limits::PACKET_BYTES_MAX);
    let mut acknowledge = AckFrequencyConfig::default();
    acknowledge.ack_eliciting_threshold(10_u32.into()).max_ack_delay(Some(limits::ACK_DELAY_MAX));
    let idle = IdleTimeout::try_from(limits::IDLE_MAX).expect("the limit is within QUIC's");
    let mut transport = TransportConfig::default();
    transport
        .mtu_discovery_config(Some(discovery))
        .ack_frequency_config(Some(acknowledge))
        .initial_rtt(limits::INITIAL_RTT)
        .max_idle_timeout(Some(idle))
        .keep_alive_interval(Some(limits::KEEP_ALIVE))
        .stream_receive_window(limits::WINDOW_BYTES.into())
        .receive_window(limits::WINDOW_BYTES.into())
        .send_window(u64::from(limits::WINDOW_BYTES))
        // A node opens no streams.
        .max_concurrent_bidi_streams(0_u32.into())
        .max_concurrent_uni_streams(0_u32.into())
        .datagram_receive_buffer_size(None);
    transport
}

/// Whether a node still shows signs of life. Every ping of ours is acknowledged, so a connection is never silent for longer
/// than that takes, unless its node is gone, cut off, or very busy.
#[derive(Debug)]
pub(crate) struct Pulse {
    datagrams: u64,
    silent: u32,
}

impl Pulse {
    pub(crate) fn of(connection: &Connection) -> Self {
        Self { datagrams: connection.stats().udp_rx.datagrams, silent: 0 }
    }

    /// To be called at the same pace all the time, usually every [`limits::PULSE`]: how many looks in a row have found nothing new.
    pub(crate) fn feel(&mut self, connection: &Connection) -> u32 {
        let datagrams = connection.stats().udp_rx.datagrams;
        self.silent = if datagrams == self.datagrams { self.silent + 1 } else { 0 };
        self.datagrams = datagrams;
        self.silent
    }
}

/// The timer for [`Pulse::feel`].
pub(crate) fn pulse_timer() -> Interval {
    timer(limits::PULSE)
}

/// A timer that is late rather than ticks twice in a row: after a stall of this process what has arrived is read first.
pub(crate) fn timer(pace: Duration) -> Interval {
    let mut timer = tokio::time::interval(pace);
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    timer
}

/// Said of a node whose connection has no pulse.
pub(crate) const SILENT: &str = "nobody answers there";

/// The end of a connection in words.
pub(crate) fn explain(error: &ConnectionError) -> String {
    let (code, detail, whose) = match error {
        ConnectionError::TimedOut => return SILENT.to_owned(),
        ConnectionError::Reset => return "the node has restarted".to_owned(),
        ConnectionError::LocallyClosed => return "closed by this client".to_owned(),
        ConnectionError::ApplicationClosed(close) => {
            return format!("closed by the node: {}", String::from_utf8_lossy(&close.reason));
        }
        ConnectionError::TransportError(e) => (u64::from(e.code), e.reason.clone(), "the node's"),
        ConnectionError::ConnectionClosed(e) => {
            (u64::from(e.error_code), String::from_utf8_lossy(&e.reason).into_owned(), "this client's")
        }
        other => return other.to_string(),
    };
    // 0x100 and the TLS alert: RFC 9001, 4.8.
    match code {
        0x12D => format!("{whose} certificate has expired or is not valid yet"),
        0x130 => format!("{whose} certificate is of another cluster"),
        0x12A | 0x12B | 0x12E | 0x133 => format!("{whose} certificate was refused ({detail})"),
        0x174 => format!("{whose} certificate is missing"),
        0x178 => "it does not serve this protocol".to_owned(),
        code => format!("{detail} (error {code:#x})"),
    }
}

/// Why a stream failed, in the words of its connection.
pub(crate) fn explain_io(connection: &Connection, error: &io::Error) -> String {
    connection.close_reason().map_or_else(|| error.to_string(), |reason| explain(&reason))
}

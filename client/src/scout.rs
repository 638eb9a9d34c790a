//! A task per node that keeps a connection to it, and hands the stream over when the node becomes primary.
//!
//! The client connects to every node of the cluster, not only to the primary. That makes a failover fast: the new primary
//! announces itself on a connection that already exists.

use std::sync::Arc;

use quinn::{Connection, RecvStream, SendStream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::address::NodeAddress;
use crate::dial::{Dialer, Pulse, SILENT, explain_io, pulse_timer};
use crate::limits;
use crate::wire::greeting::{GreetingError, Notice, greeting};

/// What a scout reports.
#[derive(Debug)]
pub(crate) enum Report {
    /// This node is primary.
    Primary(Ready),
    /// Another node, here named, is said to be primary.
    Named(NodeAddress),
    /// The node cannot be reached, or serves nobody.
    Trouble(NodeAddress, String),
    /// The node is well, but not primary.
    Standby(NodeAddress),
}

/// A stream to the primary on which commands may be sent. The scout rests until it is dropped.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) address: NodeAddress,
    pub(crate) epoch: u64,
    /// Whether it is so by a takeover.
    pub(crate) took_over: bool,
    pub(crate) connection: Connection,
    pub(crate) send: SendStream,
    pub(crate) receive: RecvStream,
    pub(crate) held: oneshot::Sender<()>,
}

/// Runs until the client is gone.
pub(crate) async fn scout(address: NodeAddress, dialer: Arc<Dialer>, reports: mpsc::Sender<Report>) {
    let mut pause = limits::RETRY_PAUSE;
    loop {
        let started = Instant::now();
        let mut heard = false;
        let end = visit(&address, &dialer, &reports, &mut heard).await;
        // A node that is well but turns us away again and again must not be stormed either.
        let calm = heard && started.elapsed() >= limits::RETRY_PAUSE_MAX;
        pause = if calm { limits::RETRY_PAUSE } else { (pause * 2).min(limits::RETRY_PAUSE_MAX) };
        if let Err(why) = end
            && reports.send(Report::Trouble(address.clone(), why)).await.is_err()
        {
            return;
        }
        if reports.is_closed() {
            return;
        }
        tokio::time::sleep(pause).await;
    }
}

/// One connection, from its making until its stream has been used up. `heard` tells that the node spoke to us.
async fn visit(
    address: &NodeAddress,
    dialer: &Dialer,
    reports: &mpsc::Sender<Report>,
    heard: &mut bool,
) -> Result<(), String> {
    let connection = dialer.connect(address).await?;
    let io = |error: &std::io::Error| explain_io(&connection, error);
    let (mut send, mut receive) = connection.open_bi().await.map_err(|error| crate::dial::explain(&error))?;
    send.write_all(&greeting()).await.map_err(|error| io(&error.into()))?;
    loop {
        let read = Notice::read(&mut receive);
        // After its first notice it speaks when something changes.
        let notice = if *heard {
            while_alive(&connection, read).await.ok_or(SILENT)?
        } else {
            let first = tokio::time::timeout(limits::CONNECT_WAIT, read).await;
            first.map_err(|_| "it accepts connections but says nothing")?
        };
        let notice = notice.map_err(|error| match error {
            GreetingError::Io(error) => io(&error),
            other => other.to_string(),
        })?;
        match notice {
            Notice::Refused { why } => return Err(format!("refused by the node: {why}")),
            Notice::Elsewhere { address: named, .. } => {
                *heard = true;
                let _ = reports.send(Report::Standby(address.clone())).await;
                if let Some(named) = named.and_then(|named| named.parse().ok()) {
                    let _ = reports.send(Report::Named(named)).await;
                }
            }
            Notice::Primary { epoch, took_over } => {
                *heard = true;
                let (held, released) = oneshot::channel();
                let ready = Ready { address: address.clone(), epoch, took_over, connection, send, receive, held };
                if reports.send(Report::Primary(ready)).await.is_ok() {
                    let _ = released.await;
                }
                return Ok(());
            }
        }
    }
}

/// What `work` gives, or `None` if the node falls silent before.
async fn while_alive<T>(connection: &Connection, work: impl Future<Output = T>) -> Option<T> {
    let mut work = std::pin::pin!(work);
    let (mut pulse, mut timer) = (Pulse::of(connection), pulse_timer());
    loop {
        tokio::select! {
            done = &mut work => return Some(done),
            _ = timer.tick() => {
                if pulse.feel(connection) >= limits::SILENT_PULSES_SUSPECT {
                    return None;
                }
            }
        }
    }
}

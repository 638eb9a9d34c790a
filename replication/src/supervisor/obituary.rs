//! Reports the death of a process to the vault: within milliseconds, repeated until the vault has confirmed it.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::SupervisorOptions;
use crate::limits::{CALL_WAIT, LAST_PACKET_WAIT, OBITUARIES_MAX, OBITUARY_WAIT};
use crate::transport::link::Dialer;
use crate::transport::rpc::ControlClient;
use crate::wire::message::{Answer, Hello, Peer, Request};
use tanist_db_core::level::Levels;

/// A task that keeps a connection to the vault, so that an obituary is one message on it.
#[derive(Debug)]
pub(super) struct Obituaries {
    dead: mpsc::Sender<u64>,
    teller: JoinHandle<()>,
    /// How many the vault has heard of, and how many it was to hear of.
    heard: watch::Receiver<u64>,
    told: std::cell::Cell<u64>,
}

impl Obituaries {
    pub(super) fn start(options: &SupervisorOptions) -> Obituaries {
        let dialer = Dialer::new(Arc::clone(&options.credentials), options.vault.clone());
        let (dead, to_tell) = mpsc::channel(OBITUARIES_MAX);
        let (hear, heard) = watch::channel(0);
        let teller = Teller { dialer, node: options.node.clone(), dead: to_tell, heard: hear };
        let teller = tokio::spawn(teller.run());
        Obituaries { dead, teller, heard, told: std::cell::Cell::new(0) }
    }

    /// Incarnation `incarnation` has been reaped.
    pub(super) fn tell(&self, incarnation: u64) {
        if self.dead.try_send(incarnation).is_ok() {
            self.told.set(self.told.get() + 1);
        } else {
            // So many deaths while the vault is away: none of the later ones can have held a lease.
            tracing::debug!("the vault is unreachable; an obituary is skipped");
        }
    }

    /// Waits, but not forever, until the vault has heard all, and leaves it.
    pub(super) async fn finish(self) {
        let Obituaries { dead, teller, mut heard, told } = self;
        let _ = tokio::time::timeout(CALL_WAIT, heard.wait_for(|heard| *heard >= told.get())).await;
        drop(dead);
        let _ = tokio::time::timeout(LAST_PACKET_WAIT, teller).await;
    }
}

struct Teller {
    dialer: Dialer,
    node: String,
    dead: mpsc::Receiver<u64>,
    heard: watch::Sender<u64>,
}

impl Teller {
    /// Ends with the supervisor.
    async fn run(mut self) {
        let mut untold = None;
        loop {
            let Ok((client, _)) = self.dialer.until_reached(&self.hello(), false, || |_| {}).await else { continue };
            let closed = client.clone();
            let mut closed = std::pin::pin!(closed.closed());
            loop {
                let incarnation = match untold {
                    Some(incarnation) => incarnation,
                    None => tokio::select! {
                        next = self.dead.recv() => match next {
                            Some(incarnation) => incarnation,
                            None => {
                                // A vault that stops with its nodes waits for this.
                                client.close("the supervisor ends");
                                return self.dialer.wait_idle().await;
                            }
                        },
                        _ = &mut closed => break,
                    },
                };
                if !self.tell(&client, incarnation).await {
                    untold = Some(incarnation);
                    client.close("a fresh connection follows");
                    break;
                }
                untold = None;
                self.heard.send_modify(|heard| *heard += 1);
            }
        }
    }

    /// Whether the vault has heard.
    async fn tell(&self, client: &ControlClient, incarnation: u64) -> bool {
        let request = Request::Obituary { node: self.node.clone(), incarnation };
        match client.call(request, OBITUARY_WAIT).await {
            Ok(Answer::Lease(_)) => true,
            Ok(other) => {
                // It will never accept it: the lease has to run out.
                tracing::warn!("node {}: the vault answers the obituary with {other:?}", self.node);
                true
            }
            Err(error) => {
                tracing::debug!("obituary: {error}; trying again");
                false
            }
        }
    }

    fn hello(&self) -> Hello {
        Hello {
            levels: Levels::OWN,
            cluster: self.dialer.credentials.cluster(),
            peer: Peer::Supervisor,
            node: self.node.clone(),
            incarnation: 0,
            pid: std::process::id(),
            resp_address: String::new(),
            quic_address: String::new(),
        }
    }
}

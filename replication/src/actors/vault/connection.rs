//! A connection of a peer: its identity, its calls, the notifications for it, and the streams it opens.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use actix::Addr;
use quinn::{Connection, Endpoint, Incoming, VarInt};
use tokio::sync::{Semaphore, oneshot, watch};

use super::{AskAuthority, AskLease, Enter, Leave, Often, VaultServer, VaultShared, append, follow, images};
use tanist_db_core::level::Levels;

use crate::limits;
use crate::transport::rpc::{Channel, RpcError, accept_control};
use crate::transport::{quic, tls};
use crate::vault::lease::roster::{Caller, ConnectionId};
use crate::wire::frame::{FrameError, seal_message, send_message};
use crate::wire::hello::Refusal;
use crate::wire::message::{Answer, Call, HealthView, Hello, Peer, Reply, Request};

/// Accepts connections until the endpoint is closed.
pub(super) async fn accept(endpoint: Endpoint, shared: Arc<VaultShared>, server: Addr<VaultServer>) {
    let mut unadmitted = Unadmitted::default();
    let peers = Arc::new(Semaphore::new(limits::VAULT_CONNECTIONS_MAX));
    let mut number = 0;
    while let Some(incoming) = endpoint.accept().await {
        if unadmitted.count() >= limits::VAULT_UNADMITTED_CALM && !incoming.remote_address_validated() {
            // It comes again with a proof, if it is there at all.
            let _ = incoming.retry();
            continue;
        }
        number += 1;
        let (shared, server, id) = (Arc::clone(&shared), server.clone(), ConnectionId(number));
        let (place, peers) = (unadmitted.enter(), Arc::clone(&peers));
        actix_rt::spawn(async move {
            if let Some((connection, control, caller)) = greet(incoming, id, place, &shared).await {
                serve(&connection, control, caller, &peers, &shared, &server).await;
            }
        });
    }
}

/// The places of those that have come and are not admitted yet, oldest first. One that is dropped is lost to its holder.
#[derive(Default)]
struct Unadmitted(VecDeque<oneshot::Sender<Infallible>>);

impl Unadmitted {
    fn count(&mut self) -> usize {
        self.0.retain(|place| !place.is_closed());
        self.0.len()
    }

    /// A place for one more. If there is none, the oldest loses its own: nobody can keep all of them by standing still.
    fn enter(&mut self) -> oneshot::Receiver<Infallible> {
        if self.count() >= limits::VAULT_UNADMITTED_MAX {
            self.0.pop_front();
        }
        let (given, place) = oneshot::channel();
        self.0.push_back(given);
        place
    }
}

/// Finds out who has come, while it has its place among those not admitted.
async fn greet(
    incoming: Incoming,
    id: ConnectionId,
    place: oneshot::Receiver<Infallible>,
    shared: &VaultShared,
) -> Option<(Connection, Channel, Caller)> {
    let from = incoming.remote_address();
    tokio::select! {
        known = recognize(incoming, id, shared) => known,
        _ = place => {
            if let Some(times) = shared.often(Often::UnadmittedCrowdedOut) {
                tracing::warn!(%from, "connection dropped: too many others are not admitted yet either{times}");
            }
            None
        }
    }
}

async fn recognize(
    incoming: Incoming,
    id: ConnectionId,
    shared: &VaultShared,
) -> Option<(Connection, Channel, Caller)> {
    let from = incoming.remote_address();
    let connection = match tokio::time::timeout(limits::CALL_WAIT, incoming).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => {
            if let Some(times) = shared.often(Often::UnadmittedRefused) {
                tracing::warn!(%from, why = quic::explain(&error), "connection refused{times}");
            }
            return None;
        }
        Err(_) => {
            if let Some(times) = shared.often(Often::UnadmittedSilent) {
                tracing::warn!(%from, "connection dropped: it sent nothing{times}");
            }
            return None;
        }
    };
    let (hello, control) = match accept_control(&connection, Levels::OWN).await {
        Ok(begun) => begun,
        Err(error) => {
            if let Some(times) = shared.often(Often::UnadmittedGone) {
                tracing::warn!(%from, %error, "connection dropped{times}");
            }
            return None;
        }
    };
    let party = tls::peer_of(&connection, shared.cluster);
    let admitted = party
        .ok_or_else(|| "your certificate names nobody of this cluster".to_owned())
        .and_then(|party| Caller::admit(id, hello, shared.cluster, &party));
    match admitted {
        Ok(caller) => Some((connection, control, caller)),
        Err(why) => {
            turn_away(from, control, why, shared).await;
            None
        }
    }
}

/// A peer, from its admission to its end.
async fn serve(
    connection: &Connection,
    mut control: Channel,
    caller: Caller,
    peers: &Semaphore,
    shared: &Arc<VaultShared>,
    server: &Addr<VaultServer>,
) {
    let (caller, from) = (Arc::new(caller), connection.remote_address());
    let Ok(_place) = peers.try_acquire() else {
        // No answer: a refusal would say that coming again is of no use.
        if let Some(times) = shared.often(Often::PeersTooMany) {
            let Hello { peer, node, .. } = &caller.hello;
            tracing::warn!(%from, ?peer, node, "too many connections; this one is closed{times}");
        }
        return connection.close(VarInt::from_u32(0), b"the vault serves as many connections as it can");
    };
    tracing::debug!(%from, peer = ?caller.hello.peer, node = caller.hello.node, "peer connected");
    let enter = Enter { caller: Arc::clone(&caller), connection: connection.clone() };
    let why = match server.send(enter).await.ok().flatten() {
        None => "the vault is stopping".to_owned(),
        Some(Answer::Refused { why }) => {
            turn_away(from, control, why.clone(), shared).await;
            why
        }
        Some(welcome) => {
            let served = converse(connection, &mut control, welcome, &caller, shared, server).await;
            served.err().map_or_else(|| "it left".to_owned(), |error| error.to_string())
        }
    };
    tracing::debug!(%from, peer = ?caller.hello.peer, node = caller.hello.node, why, "peer gone");
    connection.close(VarInt::from_u32(0), why.as_bytes());
    let _ = server.send(Leave(caller.connection)).await;
}

/// Sends the reason for the refusal, and waits until it has arrived.
async fn turn_away(from: SocketAddr, mut control: Channel, why: String, shared: &VaultShared) {
    if let Some(times) = shared.often(Often::PeerRefused) {
        tracing::warn!(%from, why, "peer refused{times}");
    }
    let refusal = seal_message(&Refusal { why });
    if control.write(refusal).await.is_ok() && control.send.finish().is_ok() {
        let _ = tokio::time::timeout(limits::CALL_WAIT, control.send.stopped()).await;
    }
}

/// Serves a peer until its connection or control stream ends.
async fn converse(
    connection: &Connection,
    control: &mut Channel,
    welcome: Answer,
    caller: &Arc<Caller>,
    shared: &Arc<VaultShared>,
    server: &Addr<VaultServer>,
) -> Result<(), RpcError> {
    let mut news = LeaseNews { lease: shared.news.clone(), health: shared.health.watch() };
    news.lease.mark_unchanged();
    if *news.health.borrow_and_update() != HealthView::default() {
        news.health.mark_changed();
    }
    control.reply(welcome).await?;
    let streams = async {
        loop {
            match Channel::accept(connection).await {
                Ok(channel) => {
                    let task = serve_stream(channel, Arc::clone(caller), Arc::clone(shared), server.clone());
                    actix_rt::spawn(task);
                }
                Err(error) => break Err(error),
            }
        }
    };
    tokio::select! {
        ended = streams => ended,
        ended = talk(control, &mut news, caller, server) => ended,
    }
}

/// What a database is told unasked.
struct LeaseNews {
    lease: watch::Receiver<()>,
    health: watch::Receiver<HealthView>,
}

/// Replies to calls and forwards notifications, one at a time, so that a caller gets its answer before the notification of the
/// same change.
async fn talk(
    control: &mut Channel,
    news: &mut LeaseNews,
    caller: &Arc<Caller>,
    server: &Addr<VaultServer>,
) -> Result<(), RpcError> {
    let wants_news = caller.hello.peer == Peer::Database;
    let ended = || RpcError::Lost("the vault is stopping".to_owned());
    loop {
        tokio::select! {
            biased;
            call = control.receive.message::<Call>() => match call {
                Ok(Call { seq: 0, .. }) => return Err(RpcError::Protocol("a call must have a number".to_owned())),
                Ok(Call { seq, request }) => {
                    let ask = AskAuthority { caller: Arc::clone(caller), request };
                    let answer = server.send(ask).await.ok().flatten().ok_or_else(ended)?;
                    send_message(&mut control.send, &Reply { seq, answer }).await?;
                }
                Err(FrameError::Ended(_)) => return Ok(()),
                Err(error) => return Err(error.into()),
            },
            changed = news.lease.changed() => {
                changed.map_err(|_| ended())?;
                if wants_news {
                    let lease = server.send(AskLease).await.map_err(|_| ended())?;
                    send_message(&mut control.send, &Reply { seq: 0, answer: Answer::Lease(lease) }).await?;
                }
            }
            changed = news.health.changed() => {
                changed.map_err(|_| ended())?;
                let health = news.health.borrow_and_update().clone();
                if wants_news {
                    send_message(&mut control.send, &Reply { seq: 0, answer: Answer::Health(health) }).await?;
                }
            }
        }
    }
}

/// Serves a stream other than the control stream, by its first message.
async fn serve_stream(mut channel: Channel, caller: Arc<Caller>, shared: Arc<VaultShared>, server: Addr<VaultServer>) {
    let first = tokio::time::timeout(limits::CALL_WAIT, channel.receive.message::<Call>()).await;
    let Ok(Ok(Call { request, .. })) = first else { return };
    let kind = format!("{request:?}");
    let served = match caller.may_ask(&request) {
        Err(why) => channel.reply(Answer::Refused { why }).await,
        Ok(()) => match request {
            Request::Append { epoch } => append::serve(&mut channel, &caller, &shared, &server, epoch).await,
            Request::Follow { after } => follow::serve(&mut channel, &shared, after).await,
            Request::ImagePut { epoch, cut } => images::put(&mut channel, &caller, &shared, &server, epoch, cut).await,
            Request::ImageGet => images::get(&mut channel, &shared).await,
            _ => channel.reply(Answer::Refused { why: "this request belongs on the control stream".to_owned() }).await,
        },
    };
    if let Err(error) = served {
        tracing::debug!(node = caller.hello.node, kind, %error, "stream ended");
    }
    // Whether the peer hears the end is its business.
    let _ = channel.send.finish();
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot::error::TryRecvError;

    use super::*;

    #[test]
    fn one_unadmitted_peer_too_many_takes_the_place_of_the_oldest_that_is_still_there() {
        let mut unadmitted = Unadmitted::default();
        let mut places: VecDeque<_> = (0..limits::VAULT_UNADMITTED_MAX).map(|_| unadmitted.enter()).collect();
        assert_eq!(unadmitted.count(), limits::VAULT_UNADMITTED_MAX);
        drop(places.pop_front());
        assert_eq!(unadmitted.count(), limits::VAULT_UNADMITTED_MAX - 1, "who was admitted or left is none of them");
        places.push_back(unadmitted.enter());
        assert!(places.iter_mut().all(|place| place.try_recv() == Err(TryRecvError::Empty)));
        places.push_back(unadmitted.enter());
        assert_eq!(places.pop_front().unwrap().try_recv(), Err(TryRecvError::Closed));
        assert!(places.iter_mut().all(|place| place.try_recv() == Err(TryRecvError::Empty)));
        assert_eq!(unadmitted.count(), limits::VAULT_UNADMITTED_MAX);
    }
}

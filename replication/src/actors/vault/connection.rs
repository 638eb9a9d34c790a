//! A connection: who it is, its calls, the news for it, and the streams it opens.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use actix::Addr;
use quinn::{Connection, Endpoint, Incoming, VarInt};

use super::{Ask, AskLease, Enter, Leave, Shared, VaultServer, append, follow, images};
use crate::limits;
use crate::transport::rpc::{Channel, RpcError, accept_control};
use crate::transport::{quic, tls};
use crate::vault::roster::{Caller, ConnectionId};
use crate::wire::frame::{FrameError, send_message};
use crate::wire::message::{Answer, Call, Peer, Reply, Request};

/// Accepts connections until the endpoint is closed.
pub(super) async fn accept(endpoint: Endpoint, shared: Arc<Shared>, server: Addr<VaultServer>) {
    let open = Rc::new(Cell::new(0));
    let mut number = 0;
    while let Some(incoming) = endpoint.accept().await {
        if open.get() >= limits::VAULT_CONNECTIONS_MAX {
            tracing::warn!(from = %incoming.remote_address(), "too many connections; this one is refused");
            incoming.refuse();
            continue;
        }
        number += 1;
        let (shared, server, id) = (Arc::clone(&shared), server.clone(), ConnectionId(number));
        let place = Place::take(&open);
        actix_rt::spawn(async move {
            greet(incoming, id, shared, server).await;
            drop(place);
        });
    }
}

/// One of the connections that may be open.
struct Place(Rc<Cell<usize>>);

impl Place {
    fn take(open: &Rc<Cell<usize>>) -> Self {
        open.set(open.get() + 1);
        Self(Rc::clone(open))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

async fn greet(incoming: Incoming, id: ConnectionId, shared: Arc<Shared>, server: Addr<VaultServer>) {
    let from = incoming.remote_address();
    let connection = match tokio::time::timeout(limits::CALL_WAIT, incoming).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return tracing::warn!(%from, why = quic::explain(&error), "connection refused"),
        Err(_) => return tracing::warn!(%from, "connection given up: it said nothing"),
    };
    let (hello, mut control) = match accept_control(&connection).await {
        Ok(begun) => begun,
        Err(error) => return tracing::warn!(%from, %error, "connection given up"),
    };
    let party = tls::peer_of(&connection, shared.cluster);
    let admitted = party
        .ok_or_else(|| "your certificate names nobody of this cluster".to_owned())
        .and_then(|party| Caller::admit(id, hello, shared.cluster, &party));
    match admitted {
        Err(why) => {
            tracing::warn!(%from, why, "peer refused");
            refuse(control, why).await;
        }
        Ok(caller) => {
            let caller = Arc::new(caller);
            tracing::debug!(%from, peer = ?caller.hello.peer, node = caller.hello.node, "peer connected");
            let enter = Enter { caller: Arc::clone(&caller), connection: connection.clone() };
            let Ok(welcome) = server.send(enter).await else { return };
            let served = converse(&connection, &mut control, welcome, &caller, &shared, &server).await;
            let why = served.err().map_or_else(|| "it left".to_owned(), |error| error.to_string());
            tracing::debug!(%from, peer = ?caller.hello.peer, node = caller.hello.node, why, "peer gone");
            connection.close(VarInt::from_u32(0), why.as_bytes());
            let _ = server.send(Leave(id)).await;
        }
    }
}

/// Says why not, and waits until that has arrived.
async fn refuse(mut control: Channel, why: String) {
    if control.reply(Answer::Refused { why }).await.is_ok() && control.send.finish().is_ok() {
        let _ = tokio::time::timeout(limits::CALL_WAIT, control.send.stopped()).await;
    }
}

/// Serves a peer until its connection or control stream ends.
async fn converse(
    connection: &Connection,
    control: &mut Channel,
    welcome: Answer,
    caller: &Arc<Caller>,
    shared: &Arc<Shared>,
    server: &Addr<VaultServer>,
) -> Result<(), RpcError> {
    let mut news = shared.news.clone();
    news.mark_unchanged();
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

/// Answers calls and passes on news, one at a time, so that an asker hears its answer before the news of it.
async fn talk(
    control: &mut Channel,
    news: &mut tokio::sync::watch::Receiver<()>,
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
                    let ask = Ask { caller: Arc::clone(caller), request };
                    let answer = server.send(ask).await.ok().flatten().ok_or_else(ended)?;
                    send_message(&mut control.send, &Reply { seq, answer }).await?;
                }
                Err(FrameError::Ended(_)) => return Ok(()),
                Err(error) => return Err(error.into()),
            },
            changed = news.changed() => {
                changed.map_err(|_| ended())?;
                if wants_news {
                    let lease = server.send(AskLease).await.map_err(|_| ended())?;
                    send_message(&mut control.send, &Reply { seq: 0, answer: Answer::Lease(lease) }).await?;
                }
            }
        }
    }
}

/// Serves a stream other than the control stream, by its first message.
async fn serve_stream(mut channel: Channel, caller: Arc<Caller>, shared: Arc<Shared>, server: Addr<VaultServer>) {
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

//! An append stream: frames in, durable positions out.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use actix::Addr;
use tanist_db_core::ids::Epoch;
use tokio::sync::Notify;

use super::rulings::{AppendFrame, BeginAppend, MayWrite, OpenAppend};
use super::{VaultServer, VaultShared};
use crate::transport::rpc::{Channel, Priority, RpcError};
use crate::vault::lease::authority::StreamId;
use crate::vault::lease::roster::Caller;
use crate::vault::log::acknowledge::{Acknowledger, stopped};
use crate::vault::log::segment::LogFrame;
use crate::vault::log::writer::LogState;
use crate::wire::frame::{FrameReader, send_message};
use crate::wire::message::{Answer, Reply};

/// Serves the stream until it is fenced, refused or ended.
pub(super) async fn serve(
    channel: &mut Channel,
    caller: &Arc<Caller>,
    shared: &Arc<VaultShared>,
    server: &Addr<VaultServer>,
    epoch: u64,
) -> Result<(), RpcError> {
    let _ = channel.send.set_priority(Priority::Control as i32);
    let (stream, start) = match open(caller, shared, server, Epoch(epoch)).await {
        Ok(begun) => begun,
        Err(answer) => return channel.reply(answer).await,
    };
    channel.reply(Answer::AppendReady { durable: start.extent.durable.0 }).await?;
    let appender = AppendTask {
        caller,
        shared,
        server,
        stream,
        epoch: Epoch(epoch),
        acknowledger: RefCell::new(Acknowledger::new(&start)),
        ended: Cell::new(false),
        moved: Notify::new(),
    };
    let Channel { send, receive } = channel;
    // Only what takes may be cut off in the middle: what writes has to leave whole frames behind.
    let taken = Cell::new(None);
    let last = tokio::select! {
        last = appender.acknowledge(send) => last?,
        never = async {
            taken.set(Some(appender.take(receive).await));
            appender.ended.set(true);
            appender.moved.notify_one();
            std::future::pending::<Option<Answer>>().await
        } => never,
    };
    match (last, taken.take()) {
        (Some(answer), _) | (None, Some(Ok(Some(answer)))) => channel.reply(answer).await,
        (None, Some(Err(error))) => Err(error),
        (None, _) => appender.acknowledge_rest(channel).await,
    }
}

/// Makes the stream the one that counts, and waits until nothing of older ones is on its way to the disk.
async fn open(
    caller: &Arc<Caller>,
    shared: &VaultShared,
    server: &Addr<VaultServer>,
    epoch: Epoch,
) -> Result<(StreamId, LogState), Answer> {
    let open = OpenAppend { caller: Arc::clone(caller), epoch };
    let stream = server.send(open).await.map_err(|_| stopped())??;
    let start = shared.log.barrier().await.map_err(|_| stopped())?;
    let begin = BeginAppend { caller: Arc::clone(caller), stream, durable: start.extent.durable };
    server.send(begin).await.map_err(|_| stopped())??;
    Ok((stream, start))
}

struct AppendTask<'a> {
    caller: &'a Arc<Caller>,
    shared: &'a VaultShared,
    server: &'a Addr<VaultServer>,
    stream: StreamId,
    epoch: Epoch,
    acknowledger: RefCell<Acknowledger>,
    /// Nothing more is taken.
    ended: Cell<bool>,
    /// One of the two has changed. A frame may be durable before it is known here that it was accepted.
    moved: Notify,
}

impl AppendTask<'_> {
    /// Takes frames until the stream ends (`None`) or must be ended with an answer.
    async fn take<R: tokio::io::AsyncRead + Unpin>(
        &self,
        receive: &mut FrameReader<R>,
    ) -> Result<Option<Answer>, RpcError> {
        while let Some(frame) = receive.next().await? {
            let frame = match LogFrame::of(frame) {
                Ok(frame) => frame,
                Err(error) => return Ok(Some(Answer::Refused { why: error.to_string() })),
            };
            let last = frame.last;
            let Ok(room) = self.shared.log.room(frame.bytes().len()).await else { return Ok(Some(stopped())) };
            let append = AppendFrame { caller: Arc::clone(self.caller), stream: self.stream, frame, room };
            match self.server.send(append).await {
                Ok(Ok(())) => {
                    self.acknowledger.borrow_mut().accepted(last);
                    self.moved.notify_one();
                }
                Ok(Err(answer)) => return Ok(Some(answer)),
                Err(_) => return Ok(Some(stopped())),
            }
        }
        Ok(None)
    }

    /// Sends the durable position whenever it rises, until nothing more is taken (`None`) or the stream must be ended with an
    /// answer.
    async fn acknowledge(&self, send: &mut quinn::SendStream) -> Result<Option<Answer>, RpcError> {
        let mut log = self.shared.log.watch();
        let mut news = self.shared.news.clone();
        loop {
            let told = self.acknowledger.borrow_mut().news(&log.borrow_and_update());
            match told {
                Err(answer) => return Ok(Some(answer)),
                Ok(Some(answer)) => send_message(send, &Reply { seq: Channel::SEQ, answer }).await?,
                Ok(None) => {}
            }
            if self.ended.get() {
                return Ok(None);
            }
            tokio::select! {
                () = self.moved.notified() => {}
                changed = log.changed() => if changed.is_err() { return Ok(Some(stopped())) },
                changed = news.changed() => {
                    let ask = MayWrite { caller: Arc::clone(self.caller), epoch: self.epoch, cut: None };
                    match self.server.send(ask).await {
                        Ok(Ok(())) if changed.is_ok() => {}
                        Ok(Err(answer)) => return Ok(Some(answer)),
                        _ => return Ok(Some(stopped())),
                    }
                }
            }
        }
    }

    /// The sender has said all: one last word when all of it is on disk or refused.
    async fn acknowledge_rest(&self, channel: &mut Channel) -> Result<(), RpcError> {
        let barrier = self.shared.log.barrier().await;
        let answer = barrier.map_or_else(|_| stopped(), |state| self.acknowledger.borrow().last_word(&state));
        channel.reply(answer).await
    }
}

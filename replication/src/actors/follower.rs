//! Applies the durable log to this node's engine while another node is primary.
//!
//! - *Receives* from the sentry: [`Follow`] (a fresh connection, or a role that follows: open the follow stream after what is
//!   applied) and [`StopFollowing`].
//! - *Ticks*: never; it waits for the stream. It tells the sentry how far it is after each run of frames that were there
//!   together, and waits until that has been taken in, so that telling cannot pile up.
//! - *Fails* by telling the sentry: the stream has failed (a fresh connection), the log no longer reaches back so far (the process
//!   starts again and loads an image), a record cannot be applied (likewise, with the sentence that says which).
//! - *Drains* nothing: what was not applied is asked for again.
//! - *Cleans up*: a stopped task drops its stream between two frames, never within one.

use std::sync::Arc;

use actix::{
    Actor, ActorContext, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, SpawnHandle, WrapFuture,
};
use tanist_db_core::ids::Lsn;
use tanist_db_core::redo::ReplayError;
use tanist_db_core::redo::batch::RedoBatch;

use super::sentry::{Happened, Sentry, StreamLost};
use super::thread::Life;
use crate::limits::FOLLOW_BYTES;
use crate::node::Shared;
use crate::role::{End, Event};
use crate::transport::rpc::{Channel, ControlClient, Priority, RpcError};
use crate::wire::frame::{Frame, FrameKind};
use crate::wire::message::{Answer, Reply, Request};

/// Follow on this connection, after what is applied.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Follow {
    pub(crate) client: ControlClient,
    /// Number of the connection, for the sentry.
    pub(crate) generation: u64,
}

/// Follow no more.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct StopFollowing;

/// The actor; lives on a thread of its own, because applying takes time that no renewal may wait for.
pub(crate) struct Follower {
    shared: Arc<Shared>,
    sentry: Addr<Sentry>,
    task: Option<SpawnHandle>,
    _life: Life,
}

impl Follower {
    pub(crate) fn new(shared: Arc<Shared>, sentry: Addr<Sentry>, life: Life) -> Follower {
        Follower { shared, sentry, task: None, _life: life }
    }

    fn stop_task(&mut self, ctx: &mut Context<Self>) {
        if let Some(task) = self.task.take() {
            ctx.cancel_future(task);
        }
    }
}

impl Actor for Follower {
    type Context = Context<Self>;
}

impl Handler<Follow> for Follower {
    type Result = ();

    fn handle(&mut self, order: Follow, ctx: &mut Context<Self>) {
        self.stop_task(ctx);
        let task = Task { shared: Arc::clone(&self.shared), sentry: self.sentry.clone() };
        let generation = order.generation;
        let run = async move { task.follow(&order.client).await }.into_actor(self).map(move |ended, actor, _| {
            actor.task = None;
            let why = ended.err().map(|error| format!("follow stream: {error}"));
            // A full mailbox means that the sentry is busy with exactly this connection's end.
            let _ = actor.sentry.try_send(StreamLost { generation, why });
        });
        self.task = Some(ctx.spawn(run));
    }
}

impl Handler<StopFollowing> for Follower {
    type Result = ();

    fn handle(&mut self, _: StopFollowing, ctx: &mut Context<Self>) {
        self.stop_task(ctx);
    }
}

impl Handler<super::Halt> for Follower {
    type Result = ();

    fn handle(&mut self, _: super::Halt, ctx: &mut Context<Self>) {
        ctx.stop();
    }
}

struct Task {
    shared: Arc<Shared>,
    sentry: Addr<Sentry>,
}

impl Task {
    async fn follow(&self, client: &ControlClient) -> Result<(), RpcError> {
        let after = self.shared.engine.last().0;
        let mut channel = client.open_channel(Request::Follow { after }, Priority::Log).await?;
        match channel.answer().await? {
            Answer::Following { durable } => self.tell(Event::Following { durable: Lsn(durable) }).await,
            Answer::Trimmed { oldest } => {
                let why =
                    format!("the log begins at record {oldest}, this node has only {after}: it must load an image");
                self.tell(Event::Broken(End::Rejoin(why))).await;
                return Ok(());
            }
            other => return Err(RpcError::Protocol(format!("{other:?} in answer to a follow"))),
        }
        // Not the engine's own end, which will be that of records not yet durable once this node has taken office.
        let mut applied = Lsn(after);
        while let Some(frame) = channel.receive.next().await? {
            let went_on = self.take_run(frame, &mut channel, &mut applied).await?;
            if !went_on {
                return Ok(());
            }
        }
        Err(RpcError::Lost("the vault has ended it".to_owned()))
    }

    /// Takes in `frame` and those that are here behind it, then tells how far that was. False if nothing more may be taken.
    async fn take_run(&self, frame: Frame, channel: &mut Channel, last: &mut Lsn) -> Result<bool, RpcError> {
        let (before, mut durable, mut bytes) = (*last, Lsn::ZERO, 0);
        let mut next = Some(frame);
        while let Some(frame) = next.take() {
            bytes += frame.bytes().len();
            if frame.kind() == FrameKind::Batch {
                match self.apply(&frame) {
                    Ok(applied) => *last = applied.max(*last),
                    // This node has taken office, and the order to stop following is on its way: an echo of its own records.
                    Err(Unapplied::Writing) => return Ok(false),
                    Err(Unapplied::Broken(why)) => {
                        self.tell(Event::Broken(End::Rejoin(why))).await;
                        return Ok(false);
                    }
                }
            } else {
                durable = durable.max(durable_of(&frame)?);
            }
            if bytes < FOLLOW_BYTES {
                next = channel.receive.buffered()?;
            }
        }
        let last = *last;
        self.shared.serving.advance_durable(durable.max(last));
        if durable > last {
            self.tell(Event::Durable { lsn: durable }).await;
        }
        if last > before {
            self.tell(Event::Applied { last }).await;
        }
        Ok(true)
    }

    /// Applies a batch; answers the newest record that this has brought.
    fn apply(&self, frame: &Frame) -> Result<Lsn, Unapplied> {
        let batch = RedoBatch::open(frame.body()).map_err(|error| Unapplied::Broken(error.to_string()))?;
        let applied = self.shared.engine.apply(&batch).map_err(|error| match error {
            ReplayError::Writing => Unapplied::Writing,
            error => Unapplied::Broken(error.to_string()),
        })?;
        self.shared.note_log_bytes(frame.bytes().len());
        if !applied.cuts.is_empty() {
            self.shared.note_cut();
        }
        Ok(applied.last)
    }

    async fn tell(&self, event: Event) {
        // Fails only when the sentry is gone, and with it the process.
        let _ = self.sentry.send(Happened(event)).await;
    }
}

/// Why a batch was not applied.
enum Unapplied {
    /// The engine appends records of its own.
    Writing,
    /// State and log do not fit together.
    Broken(String),
}

fn durable_of(frame: &Frame) -> Result<Lsn, RpcError> {
    match frame.message::<Reply>()?.answer {
        Answer::Durable { lsn } => Ok(Lsn(lsn)),
        Answer::Refused { why } => Err(RpcError::Refused(why)),
        other => Err(RpcError::Protocol(format!("{other:?} on a follow stream"))),
    }
}

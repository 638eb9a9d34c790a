//! Applies the durable log to this node's engine while another node is primary.
//!
//! - *Receives* from the role driver: [`Follow`] (a fresh connection, or a role that follows: open the follow stream after what is
//!   applied) and [`StopFollowing`].
//! - *Ticks*: never; it waits for the stream. After each run of frames that were available together it reports its position to
//!   the role driver, and waits until the report was processed, so reports cannot pile up.
//! - *Fails* by telling the role driver: the stream has failed (reconnect); the log was trimmed beyond this position (the process
//!   restarts and loads an image); a record cannot be applied (the same, with an error that names the record).
//! - *Drains* nothing: what was not applied is requested again.
//! - *Cleans up*: a stopped task drops its stream between two frames, never within one.

use std::sync::Arc;

use actix::{
    Actor, ActorContext, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, SpawnHandle, WrapFuture,
};

use tanist_db_core::ids::Epoch;

use super::role_driver::{Happened, RoleDriver, StreamLost};
use super::thread::Life;
use crate::node::Shared;
use crate::node::{Following, Taken};
use crate::role::Event;
use crate::transport::rpc::{Channel, ControlClient, Priority, RpcError};
use crate::wire::frame::{Frame, FrameKind};
use crate::wire::message::Reply;

/// Follow on this connection, after what is applied.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Follow {
    pub(crate) client: ControlClient,
    /// Number of the connection, for the role driver.
    pub(crate) generation: u64,
    /// The newest epoch that the role driver has heard of: one of this node's own before it is over.
    pub(crate) epoch: Epoch,
}

/// Follow no more.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct StopFollowing;

/// The actor; lives on a thread of its own, because applying takes time that no renewal may wait for.
pub(crate) struct Follower {
    shared: Arc<Shared>,
    role_driver: Addr<RoleDriver>,
    task: Option<SpawnHandle>,
    _life: Life,
}

impl Follower {
    pub(crate) fn new(shared: Arc<Shared>, role_driver: Addr<RoleDriver>, life: Life) -> Follower {
        Follower { shared, role_driver, task: None, _life: life }
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
        let following = Following::begin(Arc::clone(&self.shared), order.epoch);
        let task = FollowTask { following, role_driver: self.role_driver.clone() };
        let generation = order.generation;
        let run = task.follow(order.client).into_actor(self).map(move |ended, actor, _| {
            actor.task = None;
            let why = ended.err();
            // A full mailbox means that the role driver is busy with exactly this connection's end.
            let _ = actor.role_driver.try_send(StreamLost { generation, why });
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

/// One follow stream's life.
struct FollowTask {
    following: Following,
    role_driver: Addr<RoleDriver>,
}

impl FollowTask {
    /// Follows until the stream ends.
    ///
    /// # Errors
    /// In words, why, unless the role driver has been told otherwise.
    async fn follow(mut self, client: ControlClient) -> Result<(), String> {
        let mut channel = client.open_channel(self.following.request(), Priority::Log).await.map_err(words)?;
        let answer = channel.answer().await.map_err(words)?;
        match self.following.message(answer) {
            Taken::Begun(event) => self.tell(event).await,
            end => return self.end(end).await,
        }
        while let Some(frame) = channel.receive.next().await.map_err(words)? {
            match self.take_run(frame, &mut channel).map_err(words)? {
                Taken::On => {
                    for event in self.following.end_run() {
                        self.tell(event).await;
                    }
                }
                end => return self.end(end).await,
            }
        }
        Err(words("the vault has ended it"))
    }

    /// Takes in `frame` and those that are here behind it.
    fn take_run(&mut self, frame: Frame, channel: &mut Channel) -> Result<Taken, RpcError> {
        let mut next = Some(frame);
        while let Some(frame) = next {
            let taken = match frame.kind() {
                FrameKind::Batch => self.following.batch(&frame, &mut |_| {}),
                _ => self.following.message(frame.message::<Reply>()?.answer),
            };
            if taken != Taken::On {
                return Ok(taken);
            }
            next = if self.following.is_long() { None } else { channel.receive.buffered()? };
        }
        Ok(Taken::On)
    }

    async fn end(&self, end: Taken) -> Result<(), String> {
        match end {
            Taken::Ended(event) => self.tell(event).await,
            Taken::Lost(why) => return Err(why),
            Taken::On | Taken::Begun(_) | Taken::Echo => {}
        }
        Ok(())
    }

    async fn tell(&self, event: Event) {
        // Fails only when the role driver is gone, and with it the process.
        let _ = self.role_driver.send(Happened(event)).await;
    }
}

fn words(error: impl std::fmt::Display) -> String {
    format!("follow stream: {error}")
}

//! Takes snapshots (freezes versions) and uploads them to the vault. It runs on a thread of its own, separate from everything
//! that executes commands.
//!
//! - *Receives* from the role driver, which decides when: [`Carry`] (upload), one at a time, and [`StopCarrying`] when the term
//!   ends in which the snapshot was taken.
//! - *Ticks*: it pauses between chunks as [`ImageUpload`] says, and goes as fast as the stream takes them when pages pile up.
//! - *Fails* by telling the role driver why; the next attempt starts with a new snapshot. A failed upload is never visible in the
//!   vault.
//! - *Drains* nothing: a node that ends aborts the upload.
//! - *Cleans up*: pages are released as the walk passes them, the rest when the walk is dropped.

use std::sync::Arc;

use actix::{
    Actor, ActorContext, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, SpawnHandle, WrapFuture,
};
use tanist_db_core::engine::Rank;
use tanist_db_core::ids::Epoch;
use tanist_db_core::image::FrozenVersion;

use super::role_driver::{Carried, RoleDriver};
use super::thread::Life;
use crate::node::{ImageReport, ImageUpload, NodeOptions, NotFrozen, Shared, Uploaded};
use crate::stream::Load;
use crate::transport::rpc::{ControlClient, Priority};
use crate::wire::message::Reply;

/// Freeze, and carry the version to the vault. A freeze waits for a long command that holds a shard.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Carry {
    pub(crate) client: ControlClient,
    pub(crate) epoch: Epoch,
}

/// Give up the upload under way: it belongs to a term that is over, and what the vault would say of it concerns no other.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct StopCarrying;

/// The actor.
pub(crate) struct Transfer {
    options: Arc<NodeOptions>,
    shared: Arc<Shared>,
    role_driver: Addr<RoleDriver>,
    upload: Option<SpawnHandle>,
    _life: Life,
}

impl Transfer {
    pub(crate) fn new(
        options: Arc<NodeOptions>,
        shared: Arc<Shared>,
        role_driver: Addr<RoleDriver>,
        life: Life,
    ) -> Transfer {
        Transfer { options, shared, role_driver, upload: None, _life: life }
    }
}

impl Actor for Transfer {
    type Context = Context<Self>;
}

impl Handler<Carry> for Transfer {
    type Result = ();

    fn handle(&mut self, order: Carry, ctx: &mut Context<Self>) {
        if let Some(older) = self.upload.take() {
            ctx.cancel_future(older);
        }
        let carried = carry(order, Arc::clone(&self.options), Arc::clone(&self.shared));
        self.upload = Some(ctx.spawn(carried.into_actor(self).map(|result, actor, _| {
            actor.upload = None;
            // The role driver has asked for one image and waits for this; if it is gone, so is the process.
            let _ = actor.role_driver.try_send(Carried(result));
        })));
    }
}

impl Handler<StopCarrying> for Transfer {
    type Result = ();

    fn handle(&mut self, _: StopCarrying, ctx: &mut Context<Self>) {
        if let Some(upload) = self.upload.take() {
            ctx.cancel_future(upload);
            let _ = self.role_driver.try_send(Carried(ImageUpload::stopped()));
        }
    }
}

impl Handler<super::Halt> for Transfer {
    type Result = ();

    fn handle(&mut self, _: super::Halt, ctx: &mut Context<Self>) {
        ctx.stop();
    }
}

async fn carry(order: Carry, options: Arc<NodeOptions>, shared: Arc<Shared>) -> Result<ImageReport, String> {
    let clock = &*options.clock;
    let mut upload = ImageUpload::new(Arc::clone(&shared), order.epoch);
    let version = freeze(&upload, &options, &shared).await?;
    let opening = upload.carry(version, clock.monotonic());
    let mut channel = order.client.open_channel(opening, Priority::Bulk).await.map_err(words)?;
    upload.told(channel.answer().await.map_err(words)?, clock.monotonic())?;
    while let Some(load) = upload.next_load() {
        let chunk = match load {
            Load::Chunk(chunk) => chunk,
            Load::End(end) => {
                channel.request(end).await.map_err(words)?;
                break;
            }
        };
        tokio::select! {
            biased;
            // Fenced, or refused, before all of it is sent.
            early = channel.receive.message::<Reply>() => {
                upload.told(early.map_err(words)?.answer, clock.monotonic())?;
            }
            written = channel.send.write_chunk(chunk) => written.map_err(words)?,
        }
        match upload.pause(clock.monotonic()) {
            Some(pause) => tokio::time::sleep(pause).await,
            None => tokio::task::yield_now().await,
        }
    }
    match upload.told(channel.answer().await.map_err(words)?, clock.monotonic())? {
        Uploaded::Stored(report) => Ok(report),
        Uploaded::Ready => Err("the vault is ready for an image that it was sent".to_owned()),
    }
}

/// Freezes as soon as no long command holds a shard.
async fn freeze(upload: &ImageUpload, options: &NodeOptions, shared: &Shared) -> Result<FrozenVersion, String> {
    let mut free = None;
    loop {
        match upload.try_freeze(&*options.clock, options.image_memory_percent) {
            Ok(version) => return Ok(version),
            // Kept over the next attempt: its claim is what makes that one succeed.
            Err(NotFrozen::Busy(shard)) => free.insert(shared.engine.shard_free(shard, Rank::First)).await,
            Err(NotFrozen::Over(why)) => return Err(why),
        }
    }
}

fn words(error: impl std::fmt::Display) -> String {
    error.to_string()
}

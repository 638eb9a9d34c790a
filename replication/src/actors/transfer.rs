//! Freezes versions and carries them to the vault: the transfer processor, apart from everything that executes commands.
//!
//! - *Receives* from the role driver, which decides when: [`Carry`], one at a time, and [`StopCarrying`] when the office ends under which it was frozen.
//! - *Ticks*: it pauses between chunks as [`Carrying`] says, and goes as fast as the stream takes them when pages pile up.
//! - *Fails* by telling the role driver why; the next image is a new one. Nothing of a failed upload is ever visible in the vault.
//! - *Drains* nothing: a node that ends gives the upload up.
//! - *Cleans up*: pages go back as the walk passes them, the rest with the walk.

use std::sync::Arc;
use std::time::Duration;

use actix::{
    Actor, ActorContext, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, SpawnHandle, WrapFuture,
};
use serde::Serialize;
use tanist_db_core::engine::Rank;
use tanist_db_core::ids::Epoch;
use tanist_db_core::image::FrozenVersion;

use super::role_driver::RoleDriver;
use super::thread::Life;
use crate::node::Shared;
use crate::stream::{Carrying, Load};
use crate::transport::rpc::{ControlClient, Priority};
use crate::wire::message::Reply;

/// Freeze, and carry the version to the vault. A freeze waits for a long command that holds a shard.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Carry {
    pub(crate) client: ControlClient,
    pub(crate) epoch: Epoch,
}

/// What became of it, for the role driver.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Carried(pub(crate) Result<ImageReport, String>);

/// Give up the upload under way: it belongs to an office that is over, and what the vault would say of it concerns no other.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct StopCarrying;

/// An image that was stored.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ImageReport {
    /// Log position that it contains exactly.
    pub cut: u64,
    /// Its bytes.
    pub bytes: u64,
    /// From the first chunk to the vault's confirmation, in microseconds.
    pub took_us: u64,
}

/// The actor.
pub(crate) struct Transfer {
    shared: Arc<Shared>,
    role_driver: Addr<RoleDriver>,
    upload: Option<SpawnHandle>,
    _life: Life,
}

impl Transfer {
    pub(crate) fn new(shared: Arc<Shared>, role_driver: Addr<RoleDriver>, life: Life) -> Transfer {
        Transfer { shared, role_driver, upload: None, _life: life }
    }
}

impl Actor for Transfer {
    type Context = Context<Self>;
}

impl Handler<Carry> for Transfer {
    type Result = ();

    fn handle(&mut self, order: Carry, ctx: &mut Context<Self>) {
        let shared = Arc::clone(&self.shared);
        if let Some(older) = self.upload.take() {
            ctx.cancel_future(older);
        }
        self.upload = Some(ctx.spawn(carry(order, shared).into_actor(self).map(|result, actor, _| {
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
            let _ = self.role_driver.try_send(Carried(Err("given up with the office that froze it".to_owned())));
        }
    }
}

impl Handler<super::Halt> for Transfer {
    type Result = ();

    fn handle(&mut self, _: super::Halt, ctx: &mut Context<Self>) {
        ctx.stop();
    }
}

async fn carry(order: Carry, shared: Arc<Shared>) -> Result<ImageReport, String> {
    let Carry { client, epoch } = order;
    let clock = &shared.options.clock;
    let version = freeze(&shared).await?;
    let begun = clock.monotonic();
    let mut carrying = Carrying::new(version, epoch, shared.engine.memory_bytes(), begun);
    let mut channel = client.open_channel(carrying.opening(), Priority::Bulk).await.map_err(words)?;
    carrying.told(channel.answer().await.map_err(words)?)?;
    while let Some(load) = carrying.next_load() {
        let chunk = match load {
            Load::Chunk(chunk) => chunk,
            Load::End(end) => {
                channel.request(end).await.map_err(words)?;
                break;
            }
        };
        shared.serving.room_freed();
        tokio::select! {
            biased;
            // Fenced, or refused, before all of it is sent.
            early = channel.receive.message::<Reply>() => {
                carrying.told(early.map_err(words)?.answer)?;
            }
            written = channel.send.write_chunk(chunk) => written.map_err(words)?,
        }
        match carrying.pause(&shared.engine, clock.monotonic()) {
            Some(pause) => tokio::time::sleep(pause).await,
            None => tokio::task::yield_now().await,
        }
    }
    carrying.told(channel.answer().await.map_err(words)?)?;
    let took = clock.monotonic().since(begun);
    Ok(ImageReport { cut: carrying.cut().0, bytes: carrying.bytes(), took_us: micros(took) })
}

/// Freezes as soon as no long command holds a shard. A freeze appends a record, so it counts as executing.
async fn freeze(shared: &Shared) -> Result<FrozenVersion, String> {
    let mut free = None;
    loop {
        let frozen = match shared.serving.enter(shared.options.clock.monotonic()) {
            Ok(_executing) => shared.try_freeze(),
            Err(_) => return Err("this node must not execute for now".to_owned()),
        };
        match frozen {
            Ok(version) => return Ok(version),
            // Kept over the next attempt: its claim is what makes that one succeed.
            Err(busy) => free.insert(shared.engine.shard_free(busy, Rank::First)).await,
        }
    }
}

fn words(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

//! Ships the engine's records to the vault while this node is primary.
//!
//! The frame of a long record is checksummed on another thread and keeps its place in the send window meanwhile, since this
//! arbiter (event-loop thread) also renews the lease. What to send when, and what the vault's answers mean, is decided in
//! [`Shipper`].
//!
//! - *Receives* from the role driver: [`Ship`] (a fresh connection, or a new epoch: open the append stream and go on after what
//!   the vault has) and [`StopShipping`]. From engine and sessions: a wake-up when a record is appended to an empty queue, or
//!   when a session begins to wait for a record.
//! - *Ticks*: never; it waits for records, for room in the stream, and for the vault's confirmations. After records were refused
//!   (the vault's disk is full) it reopens the stream a little later.
//! - *Fails* by telling the role driver: fenced, or the stream has failed (the role driver then reconnects), or the vault
//!   contradicts itself (the process ends).
//! - *Drains*: during a hold nothing is added to the queue, and its content is shipped as usual; the role machine compares the
//!   durable position with the log's end.
//! - *Cleans up*: a stopped task drops its stream. Its state outlives the task, since it contains what the vault has not
//!   confirmed; it is dropped when another epoch begins.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use actix::{
    Actor, ActorContext, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, SpawnHandle, WrapFuture,
};
use quinn::{RecvStream, SendStream};
use tanist_db_core::clock::Clock;
use tanist_db_core::ids::Epoch;
use tanist_db_core::redo::batch::RedoBatch;
use tokio::sync::Notify;

use super::role_driver::{Happened, RoleDriver, StreamLost};
use crate::limits::{REFUSED_PAUSE, SHIP_GATHER};
use crate::node::{NodeOptions, Shared, Shipped, Shipper};
use crate::role::Event;
use crate::stream::{ShipStep, Unsealed, sealed};
use crate::transport::rpc::{Channel, ControlClient, Priority, RpcError};
use crate::wire::frame::FrameReader;
use crate::wire::message::{Answer, Reply};

/// Open the append stream of `epoch` on this connection.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Ship {
    pub(crate) client: ControlClient,
    /// Number of the connection, for the role driver.
    pub(crate) generation: u64,
    pub(crate) epoch: Epoch,
}

/// Ship no more, and forget what was not confirmed.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct StopShipping;

/// The actor; lives on the role driver's arbiter.
pub(crate) struct ShipperActor {
    clock: Arc<dyn Clock>,
    shipper: Rc<RefCell<Shipper>>,
    role_driver: Addr<RoleDriver>,
    wake: Arc<Notify>,
    task: Option<SpawnHandle>,
}

impl ShipperActor {
    pub(crate) fn new(options: &NodeOptions, shared: Arc<Shared>, role_driver: Addr<RoleDriver>) -> ShipperActor {
        let wake = Arc::new(Notify::new());
        let waker = Arc::clone(&wake);
        shared.engine.redo().on_append(Box::new(move || waker.notify_one()));
        let waker = Arc::clone(&wake);
        shared.serving.on_demand(Box::new(move || waker.notify_one()));
        let (clock, shipper) = (Arc::clone(&options.clock), Rc::new(RefCell::new(Shipper::new(shared))));
        ShipperActor { clock, shipper, role_driver, wake, task: None }
    }

    fn stop_task(&mut self, ctx: &mut Context<Self>) {
        if let Some(task) = self.task.take() {
            ctx.cancel_future(task);
        }
    }
}

impl Actor for ShipperActor {
    type Context = Context<Self>;
}

impl Handler<Ship> for ShipperActor {
    type Result = ();

    fn handle(&mut self, order: Ship, ctx: &mut Context<Self>) {
        self.stop_task(ctx);
        let task = ShipTask {
            clock: Arc::clone(&self.clock),
            shipper: Rc::clone(&self.shipper),
            role_driver: self.role_driver.clone(),
            wake: Arc::clone(&self.wake),
        };
        let generation = order.generation;
        let run = task.run(order).into_actor(self).map(move |why, actor, _| {
            actor.task = None;
            // A full mailbox means that the role driver is busy with exactly this connection's end.
            let _ = actor.role_driver.try_send(StreamLost { generation, why });
        });
        self.task = Some(ctx.spawn(run));
    }
}

impl Handler<StopShipping> for ShipperActor {
    type Result = ();

    fn handle(&mut self, _: StopShipping, ctx: &mut Context<Self>) {
        self.stop_task(ctx);
        self.shipper.borrow_mut().stop();
    }
}

impl Handler<super::Halt> for ShipperActor {
    type Result = ();

    fn handle(&mut self, _: super::Halt, ctx: &mut Context<Self>) {
        ctx.stop();
    }
}

/// The append streams that one order leads to.
struct ShipTask {
    clock: Arc<dyn Clock>,
    shipper: Rc<RefCell<Shipper>>,
    role_driver: Addr<RoleDriver>,
    wake: Arc<Notify>,
}

impl ShipTask {
    /// Runs until a stream ends for good; says why, or nothing if the role driver has been told otherwise.
    async fn run(self, order: Ship) -> Option<String> {
        loop {
            match self.ship(&order).await {
                Ok(Shipped::Again) => tokio::time::sleep(REFUSED_PAUSE).await,
                Ok(Shipped::Lost(why)) => return Some(why),
                Ok(Shipped::On(_) | Shipped::Over(_)) => return None,
                Err(error) => return Some(format!("append stream: {error}")),
            }
        }
    }

    /// One stream's life; returns how it ended.
    async fn ship(&self, order: &Ship) -> Result<Shipped, RpcError> {
        let request = self.shipper.borrow_mut().begin(order.epoch);
        let mut channel = order.client.open_channel(request, Priority::Log).await?;
        let reply: Reply = channel.receive.message().await?;
        if let Some(end) = self.told([reply.answer]).await {
            return Ok(end);
        }
        let Channel { send, receive } = channel;
        tokio::select! {
            // What the vault says of a stream that it ends tells more than that it is at its end.
            biased;
            ended = self.read(receive) => ended,
            ended = self.write(send) => ended,
        }
    }

    async fn write(&self, mut send: SendStream) -> Result<Shipped, RpcError> {
        loop {
            let step = self.shipper.borrow_mut().next(self.clock.monotonic());
            match step {
                // The permit of a wake-up that comes before this waits for it.
                ShipStep::Wait => self.wake.notified().await,
                ShipStep::Gather => drop(tokio::time::timeout(SHIP_GATHER, self.wake.notified()).await),
                ShipStep::Aside(batch, unsealed) => self.seal_aside(batch, unsealed),
                ShipStep::Again(frame) | ShipStep::Fresh(frame, _) => {
                    send.write_chunk(frame).await.map_err(|error| RpcError::Lost(error.to_string()))?;
                }
            }
        }
    }

    fn seal_aside(&self, batch: RedoBatch, unsealed: Unsealed) {
        let wake = Arc::clone(&self.wake);
        actix_rt::task::spawn_blocking(move || {
            unsealed.fill(sealed(&batch));
            drop(batch);
            wake.notify_one();
        });
    }

    async fn read(&self, mut receive: FrameReader<RecvStream>) -> Result<Shipped, RpcError> {
        loop {
            let mut answers = vec![receive.message::<Reply>().await?.answer];
            while let Some(frame) = receive.buffered()? {
                answers.push(frame.message::<Reply>()?.answer);
            }
            if let Some(end) = self.told(answers).await {
                return Ok(end);
            }
            // There may be room again.
            self.wake.notify_one();
        }
    }

    /// Takes in what the vault has said, all that is here at once. Returns how the stream ends, if it does.
    async fn told(&self, answers: impl IntoIterator<Item = Answer>) -> Option<Shipped> {
        let shipped = self.shipper.borrow_mut().told(answers, self.clock.monotonic());
        if let Shipped::On(Some(event)) | Shipped::Over(event) = &shipped {
            self.tell(event.clone()).await;
        }
        if matches!(shipped, Shipped::On(_)) { None } else { Some(shipped) }
    }

    async fn tell(&self, event: Event) {
        // Fails only when the role driver is gone, and with it the process.
        let _ = self.role_driver.send(Happened(event)).await;
    }
}

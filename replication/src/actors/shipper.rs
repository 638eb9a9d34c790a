//! Ships the engine's records to the vault while this node holds office.
//!
//! A long record's frame is sealed by a thread of its own, and keeps its turn in the window meanwhile: this arbiter also renews
//! the lease.
//! What leaves when, and what the vault's answers mean, is decided in `stream::shipping`.
//!
//! - *Receives* from the role driver: [`Ship`] (a fresh connection, or a new epoch: open the append stream and go on after what the
//!   vault has) and [`StopShipping`]. From engine and sessions: a wake-up when a record is appended to an empty queue, or
//!   when somebody begins to wait for one.
//! - *Ticks*: never; it waits for records, for room in the stream, and for the vault's confirmations. After records were refused (the
//!   vault's disk is full) it opens the stream again, a little later.
//! - *Fails* by telling the role driver: fenced, or the stream has failed (the role driver then takes a fresh connection), or the vault
//!   contradicts itself (the process ends).
//! - *Drains*: a hold fills the queue no further, and what is in it is shipped like any other; the machine compares the
//!   durable position with the log's end.
//! - *Cleans up*: a stopped task drops its stream. Its state survives it, since that holds what the vault has not confirmed; it
//!   is dropped when another epoch begins.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use actix::{
    Actor, ActorContext, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, SpawnHandle, WrapFuture,
};
use quinn::{RecvStream, SendStream};
use tanist_db_core::ids::Epoch;
use tanist_db_core::redo::batch::RedoBatch;
use tokio::sync::Notify;

use super::role_driver::{Happened, RoleDriver, StreamLost};
use crate::EVENT;
use crate::limits::{REFUSED_PAUSE, SHIP_GATHER};
use crate::node::Shared;
use crate::repeats::Repeats;
use crate::role::Event;
use crate::stream::{Shipping, Step, Told, Unsealed, sealed};
use crate::transport::rpc::{Channel, ControlClient, Priority, RpcError};
use crate::wire::frame::FrameReader;
use crate::wire::message::{Answer, Reply, Request};

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
pub(crate) struct Shipper {
    shared: Arc<Shared>,
    role_driver: Addr<RoleDriver>,
    wake: Arc<Notify>,
    office: Option<(Epoch, Rc<RefCell<Shipping>>)>,
    task: Option<SpawnHandle>,
}

impl Shipper {
    pub(crate) fn new(shared: Arc<Shared>, role_driver: Addr<RoleDriver>) -> Shipper {
        let wake = Arc::new(Notify::new());
        let waker = Arc::clone(&wake);
        shared.engine.redo().on_append(Box::new(move || waker.notify_one()));
        let waker = Arc::clone(&wake);
        shared.serving.on_demand(Box::new(move || waker.notify_one()));
        Shipper { shared, role_driver, wake, office: None, task: None }
    }

    fn stop_task(&mut self, ctx: &mut Context<Self>) {
        if let Some(task) = self.task.take() {
            ctx.cancel_future(task);
        }
    }
}

impl Actor for Shipper {
    type Context = Context<Self>;
}

impl Handler<Ship> for Shipper {
    type Result = ();

    fn handle(&mut self, order: Ship, ctx: &mut Context<Self>) {
        self.stop_task(ctx);
        let shipping = match &self.office {
            Some((epoch, shipping)) if *epoch == order.epoch => Rc::clone(shipping),
            _ => Rc::default(),
        };
        self.office = Some((order.epoch, Rc::clone(&shipping)));
        let task = Task {
            shared: Arc::clone(&self.shared),
            role_driver: self.role_driver.clone(),
            wake: Arc::clone(&self.wake),
            shipping,
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

impl Handler<StopShipping> for Shipper {
    type Result = ();

    fn handle(&mut self, _: StopShipping, ctx: &mut Context<Self>) {
        self.stop_task(ctx);
        self.office = None;
    }
}

impl Handler<super::Halt> for Shipper {
    type Result = ();

    fn handle(&mut self, _: super::Halt, ctx: &mut Context<Self>) {
        ctx.stop();
    }
}

/// One append stream's life.
struct Task {
    shared: Arc<Shared>,
    role_driver: Addr<RoleDriver>,
    wake: Arc<Notify>,
    shipping: Rc<RefCell<Shipping>>,
}

impl Task {
    /// Runs until the stream ends; says why, or nothing if the role driver has been told otherwise.
    async fn run(self, order: Ship) -> Option<String> {
        let mut lines = Repeats::default();
        loop {
            match self.ship(&order).await {
                Ok(()) => return None,
                // Nothing is wrong with the connection: what was refused is sent again on it.
                Err(RpcError::Refused(why)) => {
                    let now = self.shared.options.clock.monotonic();
                    if let Some(times) = lines.happened(now, "") {
                        tracing::warn!(target: EVENT, "the vault takes no records: {why}{times}");
                    }
                    tokio::time::sleep(REFUSED_PAUSE).await;
                }
                Err(error) => return Some(format!("append stream: {error}")),
            }
        }
    }

    async fn ship(&self, order: &Ship) -> Result<(), RpcError> {
        let epoch = order.epoch.0;
        let mut channel = order.client.open_channel(Request::Append { epoch }, Priority::Log).await?;
        let ready = channel.answer().await?;
        if !self.told([ready]).await? {
            return Ok(());
        }
        let Channel { send, receive } = channel;
        tokio::select! {
            // What the vault says of a stream that it ends tells more than that it is at its end.
            biased;
            ended = self.read(receive) => ended,
            ended = self.write(send) => ended,
        }
    }

    async fn write(&self, mut send: SendStream) -> Result<(), RpcError> {
        loop {
            match self.next() {
                // The permit of a wake-up that comes before this waits for it.
                Step::Wait => self.wake.notified().await,
                Step::Gather => drop(tokio::time::timeout(SHIP_GATHER, self.wake.notified()).await),
                Step::Aside(batch, unsealed) => self.seal_aside(batch, unsealed),
                Step::Again(frame) | Step::Fresh(frame, _) => {
                    send.write_chunk(frame).await.map_err(|error| RpcError::Lost(error.to_string()))?;
                }
            }
        }
    }

    fn next(&self) -> Step {
        let (engine, serving) = (&self.shared.engine, &self.shared.serving);
        let now = self.shared.options.clock.monotonic();
        let step = self.shipping.borrow_mut().next(engine.redo(), serving.is_awaited(), now);
        let taken = match &step {
            Step::Fresh(_, bytes) => *bytes,
            Step::Aside(batch, _) => batch.blob.len(),
            Step::Again(_) | Step::Wait | Step::Gather => return step,
        };
        serving.room_freed();
        self.shared.note_log_bytes(taken);
        step
    }

    fn seal_aside(&self, batch: RedoBatch, unsealed: Unsealed) {
        let wake = Arc::clone(&self.wake);
        actix_rt::task::spawn_blocking(move || {
            unsealed.fill(sealed(&batch));
            drop(batch);
            wake.notify_one();
        });
    }

    async fn read(&self, mut receive: FrameReader<RecvStream>) -> Result<(), RpcError> {
        loop {
            let mut answers = vec![receive.message::<Reply>().await?.answer];
            while let Some(frame) = receive.buffered()? {
                answers.push(frame.message::<Reply>()?.answer);
            }
            if !self.told(answers).await? {
                return Ok(());
            }
            // There may be room again.
            self.wake.notify_one();
        }
    }

    /// Takes in what the vault has said, all that is here at once. False if the stream is over and the role driver knows why.
    async fn told(&self, answers: impl IntoIterator<Item = Answer>) -> Result<bool, RpcError> {
        let mut newest = None;
        for answer in answers {
            if let Answer::Refused { why } = answer {
                return Err(RpcError::Refused(why));
            }
            let told = self.shipping.borrow_mut().told(answer);
            match told {
                Told::Durable(lsn) => newest = newest.max(Some(lsn)),
                Told::Ended(event) => {
                    self.tell(event).await;
                    return Ok(false);
                }
                Told::Lost(why) => return Err(RpcError::Lost(why)),
            }
        }
        if let Some(lsn) = newest {
            self.shared.serving.advance_durable(lsn);
            self.tell(Event::Durable { lsn }).await;
        }
        Ok(true)
    }

    async fn tell(&self, event: Event) {
        // Fails only when the role driver is gone, and with it the process.
        let _ = self.role_driver.send(Happened(event)).await;
    }
}

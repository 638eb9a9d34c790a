//! Ships the engine's records to the vault while this node holds office.
//!
//! A long record's frame is sealed by a thread of its own, and keeps its turn in the window meanwhile: this arbiter also renews
//! the lease.
//!
//! Records leave as soon as somebody waits for one of them to become durable; those that nobody waits for (level `relaxed`) may
//! gather for a moment. While a frame is under way the next one forms, so frames are as full as the load makes them.
//!
//! - *Receives* from the sentry: [`Ship`] (a fresh connection, or a new epoch: open the append stream and go on after what the
//!   vault has) and [`StopShipping`]. From engine and sessions: a wake-up when a record is appended to an empty queue, or
//!   when somebody begins to wait for one.
//! - *Ticks*: never; it waits for records, for room in the stream, and for the vault's confirmations.
//! - *Fails* by telling the sentry: fenced, or the stream has failed (the sentry then takes a fresh connection), or the vault
//!   contradicts itself (the process ends).
//! - *Drains*: a hold fills the queue no further, and what is in it is shipped like any other; the machine compares the
//!   durable position with the log's end.
//! - *Cleans up*: a stopped task drops its stream. The window survives it, since it holds what the vault has not confirmed; it
//!   is dropped when another epoch begins.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use actix::{
    Actor, ActorContext, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, SpawnHandle, WrapFuture,
};
use quinn::{RecvStream, SendStream};
use tanist_db_core::clock::Monotonic;
use tanist_db_core::ids::{Epoch, Lsn};
use tanist_db_core::redo::batch::RedoBatch;
use tokio::sync::Notify;

use super::sentry::{Happened, Sentry, StreamLost};
use crate::limits::{
    SHIP_ASIDE_BYTES, SHIP_FRAME_BYTES, SHIP_FRAMES_MAX, SHIP_GATHER, SHIP_SMALL_BYTES, SHIP_WINDOW_BYTES,
};
use crate::node::Shared;
use crate::role::{End, Event};
use crate::stream::Window;
use crate::transport::rpc::{Channel, ControlClient, Priority, RpcError};
use crate::wire::frame::{FrameKind, FrameReader, HEADER_BYTES, seal_in_place};
use crate::wire::message::{Answer, Reply, Request};

/// Open the append stream of `epoch` on this connection.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Ship {
    pub(crate) client: ControlClient,
    /// Number of the connection, for the sentry.
    pub(crate) generation: u64,
    pub(crate) epoch: Epoch,
}

/// Ship no more, and forget what was not confirmed.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct StopShipping;

/// The actor; lives on the sentry's arbiter.
pub(crate) struct Shipper {
    shared: Arc<Shared>,
    sentry: Addr<Sentry>,
    wake: Arc<Notify>,
    office: Option<(Epoch, Rc<RefCell<Option<Window>>>)>,
    task: Option<SpawnHandle>,
}

impl Shipper {
    pub(crate) fn new(shared: Arc<Shared>, sentry: Addr<Sentry>) -> Shipper {
        let wake = Arc::new(Notify::new());
        let waker = Arc::clone(&wake);
        shared.engine.redo().on_append(Box::new(move || waker.notify_one()));
        let waker = Arc::clone(&wake);
        shared.serving.on_demand(Box::new(move || waker.notify_one()));
        Shipper { shared, sentry, wake, office: None, task: None }
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
        let window = match &self.office {
            Some((epoch, window)) if *epoch == order.epoch => Rc::clone(window),
            _ => Rc::default(),
        };
        self.office = Some((order.epoch, Rc::clone(&window)));
        let task = Task {
            shared: Arc::clone(&self.shared),
            sentry: self.sentry.clone(),
            wake: Arc::clone(&self.wake),
            window,
        };
        let generation = order.generation;
        let run = task.run(order).into_actor(self).map(move |why, actor, _| {
            actor.task = None;
            // A full mailbox means that the sentry is busy with exactly this connection's end.
            let _ = actor.sentry.try_send(StreamLost { generation, why });
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
    sentry: Addr<Sentry>,
    wake: Arc<Notify>,
    window: Rc<RefCell<Option<Window>>>,
}

impl Task {
    /// Runs until the stream ends; says why, or nothing if the sentry has been told otherwise.
    async fn run(self, order: Ship) -> Option<String> {
        match self.ship(&order).await {
            Ok(()) => None,
            Err(error) => Some(format!("append stream: {error}")),
        }
    }

    async fn ship(&self, order: &Ship) -> Result<(), RpcError> {
        let epoch = order.epoch.0;
        let mut channel = order.client.open_channel(Request::Append { epoch }, Priority::Log).await?;
        match channel.answer().await? {
            Answer::AppendReady { durable } => {
                if !self.begin(Lsn(durable)).await {
                    return Ok(());
                }
            }
            Answer::Fenced { epoch } => {
                self.tell(Event::Fenced { epoch: Epoch(epoch) }).await;
                return Ok(());
            }
            other => return Err(RpcError::Protocol(format!("{other:?} in answer to an append"))),
        }
        let Channel { send, receive } = channel;
        tokio::select! {
            ended = self.write(send) => ended,
            ended = self.read(receive) => ended,
        }
    }

    /// The stream goes on after `durable`. False if it cannot.
    async fn begin(&self, durable: Lsn) -> bool {
        let begun = match &mut *self.window.borrow_mut() {
            Some(window) => window.restart(durable),
            fresh => {
                *fresh = Some(Window::new(durable, SHIP_WINDOW_BYTES));
                Ok(())
            }
        };
        match begun {
            Ok(()) => {
                self.confirmed(durable).await;
                true
            }
            Err(error) => {
                self.tell(Event::Broken(End::Rejoin(error.to_string()))).await;
                false
            }
        }
    }

    async fn write(&self, mut send: SendStream) -> Result<(), RpcError> {
        let mut gathered_since = None;
        loop {
            if let Some(frame) = self.next_frame(&mut gathered_since) {
                gathered_since = None;
                send.write_chunk(frame).await.map_err(|error| RpcError::Lost(error.to_string()))?;
                continue;
            }
            // The permit of a wake-up that comes before this waits for it.
            match gathered_since {
                None => self.wake.notified().await,
                Some(_) => drop(tokio::time::timeout(SHIP_GATHER, self.wake.notified()).await),
            }
        }
    }

    /// The next frame to send: what a fresh stream must repeat, or what the engine has appended since. If there is something
    /// that may gather first, notes since when it does.
    fn next_frame(&self, gathered_since: &mut Option<Monotonic>) -> Option<bytes::Bytes> {
        let mut window = self.window.borrow_mut();
        let window = window.as_mut()?;
        if let Some(frame) = window.take_unsent() {
            return Some(frame);
        }
        if window.has_unsent() {
            return None;
        }
        let redo = self.shared.engine.redo();
        let queued = redo.queued_bytes();
        let gather = window.frames() >= SHIP_FRAMES_MAX && queued < SHIP_SMALL_BYTES as u64;
        if gather || !window.has_room() {
            return None;
        }
        if queued > 0 && queued < SHIP_FRAME_BYTES as u64 && !self.shared.serving.is_awaited() {
            let now = self.shared.options.clock.monotonic();
            if now.since(*gathered_since.get_or_insert(now)) < SHIP_GATHER {
                return None;
            }
        }
        let batch = redo.take(SHIP_FRAME_BYTES)?;
        self.shared.serving.room_freed();
        let (first, last) = (Lsn(batch.first_lsn), Lsn(batch.first_lsn + batch.ends.len() as u64 - 1));
        self.shared.note_log_bytes(batch.blob.len());
        if batch.blob.len() >= SHIP_ASIDE_BYTES {
            let unsealed = window.push_unsealed(first, last, batch.blob.len());
            let wake = Arc::clone(&self.wake);
            actix_rt::task::spawn_blocking(move || {
                unsealed.fill(sealed(&batch));
                drop(batch);
                wake.notify_one();
            });
            return None;
        }
        window.push(first, last, sealed(&batch));
        window.take_unsent()
    }

    async fn read(&self, mut receive: FrameReader<RecvStream>) -> Result<(), RpcError> {
        loop {
            let mut durable = Lsn::ZERO;
            let mut next = Some(receive.message::<Reply>().await?);
            while let Some(reply) = next {
                match reply.answer {
                    Answer::Durable { lsn } => durable = durable.max(Lsn(lsn)),
                    Answer::Fenced { epoch } => {
                        self.tell(Event::Fenced { epoch: Epoch(epoch) }).await;
                        return Ok(());
                    }
                    Answer::Refused { why } => return Err(RpcError::Refused(why)),
                    other => return Err(RpcError::Protocol(format!("{other:?} on an append stream"))),
                }
                next = receive.buffered()?.map(|frame| frame.message()).transpose()?;
            }
            let confirmed = self.window.borrow_mut().as_mut().map_or(Ok(()), |window| window.confirm(durable));
            if let Err(error) = confirmed {
                self.tell(Event::Broken(End::Rejoin(error.to_string()))).await;
                return Ok(());
            }
            self.confirmed(durable).await;
            // There may be room again.
            self.wake.notify_one();
        }
    }

    async fn confirmed(&self, durable: Lsn) {
        self.shared.serving.advance_durable(durable);
        self.tell(Event::Durable { lsn: durable }).await;
    }

    async fn tell(&self, event: Event) {
        // Fails only when the sentry is gone, and with it the process.
        let _ = self.sentry.send(Happened(event)).await;
    }
}

fn sealed(batch: &RedoBatch) -> bytes::Bytes {
    seal_in_place(FrameKind::Batch, batch.to_bytes_behind(HEADER_BYTES))
}

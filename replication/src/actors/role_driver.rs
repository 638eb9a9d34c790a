//! The actor that manages a node's role: feeds events to the [`Driver`] and performs the actions that it returns. All decisions
//! are made there.
//!
//! **It never waits for a shard lock**, however long a command holds one: the lease would not be renewed in that time, and the
//! standby would take over without need. Work that needs shards is sent to sibling actors with threads of their own; the result
//! comes back as an event.
//!
//! - *Receives* events from its sibling actors ([`Happened`], [`StreamLost`], [`Carried`]), from the vault (answers to its own
//!   calls, notifications), and from operators: [`SwitchOver`], [`Stop`].
//! - *Ticks*: the driver's own timers (renewals, claims, polls during a hold, reports), and a periodic tick.
//! - *Fails* never by itself. If a sibling does not accept an order, it hangs. A fresh connection repeats all orders except an
//!   append; without that one the process must end.
//! - *Drains* when the role machine says so: stop executing, wait until the log's end is durable, release the lease.
//! - *Cleans up* at the end: logs the reason, stops its siblings, closes the connection. The process ends soon after.

use std::sync::Arc;

use actix::{
    Actor, ActorContext, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, ResponseFuture, SpawnHandle,
    StreamHandler, WrapFuture,
};
use futures_util::stream;
use tanist_db_core::clock::Monotonic;
use tokio::sync::{mpsc, oneshot, watch};

use super::Halt;
use super::follower::{Follow, Follower, StopFollowing};
use super::shipper::{Ship, ShipperActor, StopShipping};
use super::thread::{Life, on_thread};
use super::transfer::{Carry, StopCarrying, Transfer};
use super::upkeep::{AppendRecord, UpkeepActor};
use crate::limits::{BEAT_EVERY, CALL_WAIT, MAILBOX_MAX, NEWS_QUEUE_MAX};
use crate::node::{
    Action, CallOutcome, Driver, DriverEvent, ImageReport, NodeOptions, Note, Performed, Shared, SiblingOrder, Timer,
};
use crate::role::{End, Event, SwitchoverReport};
use crate::transport::link::Dialer;
use crate::transport::rpc::{ControlClient, RpcError};
use crate::wire::message::{Answer, Request};

/// Something for the machine.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Happened(pub(crate) Event);

/// A stream of the connection `generation` has ended; `why` is absent if the machine has been told what it means.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct StreamLost {
    pub(crate) generation: u64,
    pub(crate) why: Option<String>,
}

/// What became of an image.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Carried(pub(crate) Result<ImageReport, String>);

/// Hand leadership to a successor.
#[derive(Debug, Message)]
#[rtype(result = "Result<SwitchoverReport, String>")]
pub(crate) struct SwitchOver {
    pub(crate) to: Option<String>,
}

/// Make an image of all that there is now.
#[derive(Debug, Message)]
#[rtype(result = "Result<ImageReport, String>")]
pub(crate) struct TakeImage;

/// End cleanly.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Stop;

/// What is said to whoever gets no outcome.
const ENDS: &str = "the process ends";

/// The way back to whoever asks for a switchover or an image, and may have given up waiting.
type Asker = oneshot::Sender<Result<Performed, String>>;

/// The actor; its arbiter also drives the connection to the vault and the shipper.
pub(crate) struct RoleDriver {
    options: Arc<NodeOptions>,
    shared: Arc<Shared>,
    driver: Driver<Asker>,
    dialer: Dialer,
    /// The present connection, and its number.
    link: Option<(u64, ControlClient)>,
    siblings: Option<Siblings>,
    wake: Option<SpawnHandle>,
    ended: watch::Sender<Option<End>>,
    halted: bool,
    _life: Life,
}

/// The actors that do as the role driver says.
struct Siblings {
    shipper: Addr<ShipperActor>,
    follower: Addr<Follower>,
    transfer: Addr<Transfer>,
    upkeep: Addr<UpkeepActor>,
}

impl RoleDriver {
    pub(crate) fn new(
        options: Arc<NodeOptions>,
        shared: Arc<Shared>,
        driver: Driver<Asker>,
        ended: watch::Sender<Option<End>>,
        life: Life,
    ) -> RoleDriver {
        let dialer = Dialer::new(Arc::clone(&options.credentials), options.vault.clone());
        let (link, siblings, wake) = (None, None, None);
        RoleDriver { options, shared, driver, dialer, link, siblings, wake, ended, halted: false, _life: life }
    }

    fn now(&self) -> Monotonic {
        self.options.clock.monotonic()
    }

    fn on(&mut self, event: DriverEvent<Asker>, ctx: &mut Context<Self>) {
        if self.halted {
            return;
        }
        for action in self.driver.handle(event, self.now()) {
            self.perform(action, ctx);
        }
    }

    fn perform(&mut self, action: Action<Asker>, ctx: &mut Context<Self>) {
        match action {
            Action::Connect { generation } => self.connect(generation, ctx),
            Action::Close { why } => {
                if let Some((_, client)) = self.link.take() {
                    client.close(why);
                }
            }
            Action::Call { call, request, wait } => {
                let Some((_, client)) = self.link.clone() else { return };
                let called = async move { client.call(request, wait).await };
                ctx.spawn(called.into_actor(self).map(move |result, role_driver, ctx| {
                    let outcome = match result {
                        Ok(answer) => CallOutcome::Answer(answer),
                        Err(RpcError::Late(_)) => CallOutcome::Late,
                        Err(_) => CallOutcome::Nothing,
                    };
                    role_driver.on(DriverEvent::Answered { call, outcome }, ctx);
                }));
            }
            Action::Order(order) => self.order(order, ctx),
            Action::Later(at, timer) => self.later(at, timer, ctx),
            // Whoever asked may have given up waiting.
            Action::Reply(asker, outcome) => drop(asker.send(outcome)),
            Action::Note(note) => {
                note.log();
                if matches!(note, Note::Connected { .. } | Note::TookOver(_) | Note::ImageStored(_)) {
                    self.ask_for_images(ctx);
                }
            }
            Action::End(end) => self.end(end, ctx),
        }
    }

    fn connect(&mut self, generation: u64, ctx: &mut Context<Self>) {
        let (dialer, hello) = (self.dialer.clone(), self.options.hello());
        let (tell, told) = mpsc::channel(NEWS_QUEUE_MAX);
        let news = stream::unfold(told, move |mut told| async move {
            told.recv().await.map(|answer| (VaultNews { generation, answer }, told))
        });
        ctx.add_stream(news);
        let reach = async move {
            dialer
                .until_reached(&hello, false, || {
                    let tell = tell.clone();
                    // A full queue loses news; the role driver's own calls then tell it the same, a little later.
                    move |answer| drop(tell.try_send(answer))
                })
                .await
        };
        ctx.spawn(reach.into_actor(self).map(move |reached, role_driver, ctx| {
            let Ok((client, welcome)) = reached else { return };
            let closed = client.clone();
            // Drops its clone when it ends, as it must: the last clone closes the connection.
            ctx.spawn(async move { closed.closed().await }.into_actor(role_driver).map(
                move |why, role_driver, ctx| {
                    role_driver.on(DriverEvent::ConnectionLost { generation, why }, ctx);
                },
            ));
            #[cfg(feature = "next-level")]
            actix_rt::spawn(super::rehearsal::rehearse(client.clone(), welcome.level));
            role_driver.link = Some((generation, client));
            role_driver.on(DriverEvent::Connected { generation, welcome }, ctx);
        }));
    }

    /// Asks the vault for its newest image, which another node may have stored.
    fn ask_for_images(&self, ctx: &mut Context<Self>) {
        let Some((_, client)) = self.link.clone() else { return };
        let asked = async move { client.call(Request::Status, CALL_WAIT).await };
        ctx.spawn(asked.into_actor(self).map(|answer, role_driver, _| {
            if let Ok(Answer::Status(view)) = answer
                && let Some(newest) = view.images.first()
            {
                role_driver.shared.figures.lock().image_stored_unix_ms = newest.stored_unix_ms;
            }
        }));
    }

    fn later(&mut self, at: Monotonic, timer: Timer, ctx: &mut Context<Self>) {
        let handle = ctx.run_later(at.since(self.now()), move |role_driver, ctx| {
            role_driver.on(DriverEvent::Timer(timer), ctx);
        });
        if matches!(timer, Timer::Wake(_))
            && let Some(older) = self.wake.replace(handle)
        {
            ctx.cancel_future(older);
        }
    }

    /// Hands an order to the sibling that it concerns.
    fn order(&mut self, order: SiblingOrder, ctx: &mut Context<Self>) {
        let Some(siblings) = &self.siblings else { return };
        let link = self.link.clone();
        let taken = match (order, link) {
            (SiblingOrder::Ship(epoch), Some((generation, client))) => {
                siblings.shipper.try_send(Ship { client, generation, epoch }).is_ok()
            }
            (SiblingOrder::Follow(epoch), Some((generation, client))) => {
                siblings.follower.try_send(Follow { client, generation, epoch }).is_ok()
            }
            (SiblingOrder::Carry(epoch), Some((_, client))) => {
                siblings.transfer.try_send(Carry { client, epoch }).is_ok()
            }
            (SiblingOrder::Ship(_) | SiblingOrder::Follow(_) | SiblingOrder::Carry(_), None) => true,
            (SiblingOrder::StopShipping, _) => siblings.shipper.try_send(StopShipping).is_ok(),
            (SiblingOrder::StopFollowing, _) => siblings.follower.try_send(StopFollowing).is_ok(),
            (SiblingOrder::StopCarrying, _) => siblings.transfer.try_send(StopCarrying).is_ok(),
            (SiblingOrder::Append(append), _) => siblings.upkeep.try_send(AppendRecord(append)).is_ok(),
        };
        if !taken {
            self.not_taken(order, ctx);
        }
    }

    fn not_taken(&self, order: SiblingOrder, ctx: &mut Context<Self>) {
        match order {
            // No connection repeats this order.
            SiblingOrder::Append(_) => {
                let end = End::Failed("the thread for upkeep takes no orders".to_owned());
                ctx.notify(Happened(Event::Broken(end)));
            }
            SiblingOrder::Carry(_) => ctx.notify(Carried(Err("the transfer takes no orders".to_owned()))),
            _ => {
                let generation = self.link.as_ref().map_or(0, |(generation, _)| *generation);
                ctx.notify(StreamLost { generation, why: Some("an actor takes no orders".to_owned()) });
            }
        }
    }

    fn start_siblings(&mut self, ctx: &mut Context<Self>) -> Result<(), String> {
        let context = (Arc::clone(&self.options), Arc::clone(&self.shared), ctx.address());
        let (options, shared, address) = context.clone();
        let shipper = ShipperActor::new(&options, shared, address).start();
        let (_, shared, address) = context.clone();
        let follower = on_thread("tanist-follower", move |life| Ok(Follower::new(shared, address, life)))?;
        let (options, shared, address) = context.clone();
        let transfer = on_thread("tanist-transfer", move |life| Ok(Transfer::new(options, shared, address, life)))?;
        let (options, shared, address) = context;
        let upkeep = on_thread("tanist-upkeep", move |life| Ok(UpkeepActor::new(&options, shared, address, life)))?;
        self.siblings = Some(Siblings { shipper, follower, transfer, upkeep });
        Ok(())
    }

    fn end(&mut self, end: End, ctx: &mut Context<Self>) {
        match &end {
            End::Stopped => tracing::info!("stopped"),
            End::Rejoin(why) => tracing::warn!("starting again to rejoin: {why}"),
            End::Failed(why) => tracing::error!("{why}"),
        }
        self.ended.send_replace(Some(end));
        self.halt(ctx);
    }

    pub(crate) fn halt(&mut self, ctx: &mut Context<Self>) {
        self.halted = true;
        if let Some(siblings) = self.siblings.take() {
            siblings.shipper.do_send(Halt);
            siblings.follower.do_send(Halt);
            siblings.transfer.do_send(Halt);
            siblings.upkeep.do_send(Halt);
        }
        if let Some((_, client)) = self.link.take() {
            client.close("the process ends");
        }
        ctx.stop();
    }
}

impl Actor for RoleDriver {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.set_mailbox_capacity(MAILBOX_MAX);
        if let Err(error) = self.start_siblings(ctx) {
            return self.on(DriverEvent::Happened(Event::Broken(End::Failed(error))), ctx);
        }
        ctx.run_interval(BEAT_EVERY, |role_driver, ctx| {
            let data_bytes = role_driver.shared.engine.memory_bytes();
            role_driver.on(DriverEvent::Beat { data_bytes }, ctx);
        });
        self.on(DriverEvent::Begin, ctx);
    }
}

/// What the vault said unasked on the connection `generation`.
struct VaultNews {
    generation: u64,
    answer: Answer,
}

impl StreamHandler<VaultNews> for RoleDriver {
    fn handle(&mut self, VaultNews { generation, answer }: VaultNews, ctx: &mut Context<Self>) {
        self.on(DriverEvent::News { generation, answer }, ctx);
    }

    /// A connection's news end with it; that is not the end of the role driver.
    fn finished(&mut self, _: &mut Context<Self>) {}
}

impl Handler<Happened> for RoleDriver {
    type Result = ();

    fn handle(&mut self, Happened(event): Happened, ctx: &mut Context<Self>) {
        self.on(DriverEvent::Happened(event), ctx);
    }
}

impl Handler<StreamLost> for RoleDriver {
    type Result = ();

    fn handle(&mut self, StreamLost { generation, why }: StreamLost, ctx: &mut Context<Self>) {
        if let Some(why) = why {
            self.on(DriverEvent::ConnectionLost { generation, why }, ctx);
        }
    }
}

impl Handler<Carried> for RoleDriver {
    type Result = ();

    fn handle(&mut self, Carried(result): Carried, ctx: &mut Context<Self>) {
        if result.is_ok() {
            // By this node's clock, until the vault has said it by its own.
            self.shared.figures.lock().image_stored_unix_ms = self.options.clock.unix().0;
        }
        self.on(DriverEvent::Carried(result), ctx);
    }
}

impl Handler<SwitchOver> for RoleDriver {
    type Result = ResponseFuture<Result<SwitchoverReport, String>>;

    fn handle(&mut self, order: SwitchOver, ctx: &mut Context<Self>) -> Self::Result {
        let (way, told) = oneshot::channel();
        self.on(DriverEvent::SwitchoverAsked { to: order.to, way }, ctx);
        Box::pin(async {
            match told.await {
                Ok(Ok(Performed::Switchover(report))) => Ok(report),
                Ok(Err(why)) => Err(why),
                _ => Err(ENDS.to_owned()),
            }
        })
    }
}

impl Handler<TakeImage> for RoleDriver {
    type Result = ResponseFuture<Result<ImageReport, String>>;

    fn handle(&mut self, _: TakeImage, ctx: &mut Context<Self>) -> Self::Result {
        let (way, told) = oneshot::channel();
        self.on(DriverEvent::ImageAsked { way }, ctx);
        Box::pin(async {
            match told.await {
                Ok(Ok(Performed::Image(report))) => Ok(report),
                Ok(Err(why)) => Err(why),
                _ => Err(ENDS.to_owned()),
            }
        })
    }
}

impl Handler<Stop> for RoleDriver {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Context<Self>) {
        self.on(DriverEvent::Happened(Event::Shutdown), ctx);
    }
}

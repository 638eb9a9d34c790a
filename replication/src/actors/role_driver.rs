//! Watches over a node's role: drives the role machine, keeps the connection to the vault, and decides when to freeze.
//!
//! **It waits for no shard**, however long a command holds one: a lease that is not renewed meanwhile would be a takeover
//! without need. What needs shards is ordered from its siblings, who have threads of their own, and comes back as an event.
//!
//! - *Receives* what its sibling actors have to tell ([`Happened`], [`StreamLost`], `Carried`), what the vault says (answers to
//!   its own calls, news), and what people ask: [`SwitchOver`], [`Stop`].
//! - *Ticks*: the machine's own wake-ups (renewals, claims, looks during a hold), and a beat for reports and images.
//! - *Fails* never by itself. A silent or lost connection is replaced by a fresh one: after a cut QUIC keeps an old one
//!   silent beyond the heal. What an old connection still brings is dropped by its number.
//! - *Drains* as the machine says: hold, wait for the log's end to be durable, release.
//! - *Cleans up* at the end: says why, halts its siblings, closes the connection. The process ends soon after.

use std::sync::Arc;
use std::time::Duration;

use actix::{
    Actor, ActorContext, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, ResponseFuture, SpawnHandle,
    StreamHandler, WrapFuture,
};
use futures_util::stream;
use tanist_db_core::clock::Monotonic;
use tokio::sync::{mpsc, oneshot, watch};

use super::follower::{Follow, Follower, StopFollowing};
use super::link::Dialer;
use super::shipper::{Ship, Shipper, StopShipping};
use super::thread::{Life, on_thread};
use super::transfer::{Carried, Carry, StopCarrying, Transfer};
use super::upkeep::{Append, Upkeep};
use crate::EVENT;
use crate::limits::{BEAT_EVERY, MAILBOX_MAX, NEWS_QUEUE_MAX, SWITCHOVER_ASKERS_MAX};
use crate::node::{ImagePlan, ReportDue, Reports, Shared};
use crate::repeats::Repeats;
use crate::role::{Ask, Effect, End, Event, Machine, Sight, SwitchoverReport};
use crate::serving::{Permit, Role, Standing};
use crate::transport::rpc::{ControlClient, RpcError, Welcome};
use crate::wire::message::{Answer, HealthView, Progress, Request};

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

/// Hand the office to a successor.
#[derive(Debug, Message)]
#[rtype(result = "Result<SwitchoverReport, String>")]
pub(crate) struct SwitchOver {
    pub(crate) to: Option<String>,
}

/// End in good order.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Stop;

/// The actor; its arbiter also drives the connection to the vault and the shipper.
pub(crate) struct RoleDriver {
    shared: Arc<Shared>,
    machine: Machine,
    dialer: Dialer,
    link: Option<ControlClient>,
    /// Number of the newest connection or attempt.
    generation: u64,
    siblings: Option<Siblings>,
    wake: Option<(Monotonic, SpawnHandle)>,
    reports: Reports,
    lines: Lines,
    /// The switchover that is under way.
    switchover: Option<Switchover>,
    plan: ImagePlan,
    ended: watch::Sender<Option<End>>,
    _life: Life,
}

/// A switchover that is under way: who wants to know how it ends.
struct Switchover {
    askers: Vec<SwitchoverAsker>,
}

/// Who wants a switchover to a certain node, or to any.
struct SwitchoverAsker {
    to: Option<String>,
    tell: oneshot::Sender<Result<SwitchoverReport, String>>,
}

impl SwitchoverAsker {
    /// Whoever asked may have given up waiting.
    fn answer(self, outcome: Result<SwitchoverReport, String>) {
        let outcome = outcome.and_then(|report| match self.to {
            Some(to) if to != report.successor => {
                Err(format!("a switchover to {} was under way; {to} can be asked for now", report.successor))
            }
            _ => Ok(report),
        });
        let _ = self.tell.send(outcome);
    }
}

/// What may happen again and again: told once, then counted.
#[derive(Default)]
struct Lines {
    link_lost: Repeats,
    /// The loss was not told, so its end is not either.
    quiet: bool,
    image: Repeats,
}

/// The actors that do as the role driver says.
struct Siblings {
    shipper: Addr<Shipper>,
    follower: Addr<Follower>,
    transfer: Addr<Transfer>,
    upkeep: Addr<Upkeep>,
}

impl RoleDriver {
    pub(crate) fn new(
        shared: Arc<Shared>,
        machine: Machine,
        dialer: Dialer,
        ended: watch::Sender<Option<End>>,
        life: Life,
    ) -> RoleDriver {
        let plan = ImagePlan::new(shared.options.image_interval, shared.options.image_log_bytes);
        RoleDriver {
            shared,
            machine,
            dialer,
            link: None,
            generation: 0,
            siblings: None,
            wake: None,
            reports: Reports::default(),
            lines: Lines::default(),
            switchover: None,
            plan,
            ended,
            _life: life,
        }
    }

    fn now(&self) -> Monotonic {
        self.shared.options.clock.monotonic()
    }

    /// Tells the machine, and does what it wants done.
    fn on(&mut self, event: Event, ctx: &mut Context<Self>) {
        let mut effects = Vec::new();
        self.machine.handle(event, self.now(), &mut effects);
        for effect in effects {
            self.act(effect, ctx);
        }
        self.set_wake(ctx);
    }

    fn act(&mut self, effect: Effect, ctx: &mut Context<Self>) {
        match effect {
            Effect::Publish(standing) => self.publish(&standing),
            Effect::Ask(ask) => self.ask(ask, ctx),
            Effect::OpenAppend(epoch) => {
                if let (Some(client), Some(siblings)) = (&self.link, &self.siblings) {
                    let order = Ship { client: client.clone(), generation: self.generation, epoch };
                    self.order(siblings.shipper.try_send(order).is_ok(), ctx);
                }
            }
            Effect::CloseAppend => {
                let sent = self.siblings.as_ref().is_none_or(|siblings| {
                    siblings.shipper.try_send(StopShipping).is_ok() & siblings.transfer.try_send(StopCarrying).is_ok()
                });
                self.order(sent, ctx);
            }
            Effect::StartFollow => {
                if let (Some(client), Some(siblings)) = (&self.link, &self.siblings) {
                    let (generation, epoch) = (self.generation, self.machine.epoch());
                    let order = Follow { client: client.clone(), generation, epoch };
                    self.order(siblings.follower.try_send(order).is_ok(), ctx);
                }
            }
            Effect::StopFollow => {
                let sent =
                    self.siblings.as_ref().is_none_or(|siblings| siblings.follower.try_send(StopFollowing).is_ok());
                self.order(sent, ctx);
            }
            Effect::BeginEpoch(epoch) => self.append(Append::EpochStart(epoch), ctx),
            Effect::Mark => self.append(Append::Mark, ctx),
            Effect::SwitchoverUnsettled(why) => {
                tracing::warn!(target: EVENT, "switchover: {why}");
                self.answer_switchover(Err(why));
            }
            Effect::SwitchoverEnded(outcome) => self.switchover_ended(outcome),
            Effect::TookOver(takeover) => {
                tracing::info!(target: EVENT, "{}", takeover.words());
                self.shared.figures.lock().last_takeover = takeover.words();
                self.plan.took_office(self.now(), self.shared.engine.last());
            }
            Effect::End(end) => self.end(end, ctx),
        }
    }

    fn append(&mut self, order: Append, ctx: &mut Context<Self>) {
        let sent = self.siblings.as_ref().is_none_or(|siblings| siblings.upkeep.try_send(order).is_ok());
        if !sent {
            // No connection repeats this order.
            self.on(Event::Broken(End::Failed("the thread for upkeep takes no orders".to_owned())), ctx);
        }
    }

    /// An order that a sibling could not take means that it hangs: a fresh connection repeats all orders.
    fn order(&mut self, sent: bool, ctx: &mut Context<Self>) {
        if !sent {
            ctx.notify(StreamLost { generation: self.generation, why: Some("an actor takes no orders".to_owned()) });
        }
    }

    fn publish(&mut self, standing: &Standing) {
        let before = self.shared.serving.role();
        self.shared.serving.publish(standing, self.now());
        if standing.role != before {
            let primary = standing.primary.as_ref().map_or("nobody", |primary| primary.node.as_str());
            let (was, is, epoch) = (before.word(), standing.role.word(), standing.epoch);
            tracing::info!("{was} -> {is} (epoch {epoch}, lease with {primary})");
            if (before, standing.role) == (Role::Joining, Role::Standby) {
                tracing::info!(target: EVENT, "standby, primary is {primary}");
            }
        }
    }

    fn set_wake(&mut self, ctx: &mut Context<Self>) {
        let at = self.machine.wake_at();
        if self.wake.as_ref().map(|(at, _)| *at) == at {
            return;
        }
        if let Some((_, handle)) = self.wake.take() {
            ctx.cancel_future(handle);
        }
        self.wake = at.map(|at| {
            let handle = ctx.run_later(at.since(self.now()), |role_driver, ctx| {
                role_driver.wake = None;
                let sight = Sight::of(&role_driver.shared.serving, &role_driver.shared.engine);
                role_driver.on(Event::Tick(sight), ctx);
            });
            (at, handle)
        });
    }

    // --- The connection

    fn connect(&mut self, ctx: &mut Context<Self>) {
        self.generation += 1;
        let generation = self.generation;
        let (dialer, hello) = (self.dialer.clone(), self.shared.hello());
        let (tell, told) = mpsc::channel(NEWS_QUEUE_MAX);
        let news = stream::unfold(told, move |mut told| async move {
            told.recv().await.map(|answer| (News { generation, answer }, told))
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
            if let (Ok((client, welcome)), true) = (reached, role_driver.generation == generation) {
                role_driver.connected(client, welcome, ctx);
            }
        }));
    }

    fn connected(&mut self, client: ControlClient, welcome: Welcome, ctx: &mut Context<Self>) {
        if !self.lines.quiet {
            tracing::info!(target: EVENT, "connected to the vault (its log is durable to record {})", welcome.durable);
        }
        // It says so next if anything is wrong.
        self.shared.figures.lock().vault_health = HealthView::default();
        let (generation, closed) = (self.generation, client.clone());
        // Drops its clone when it ends, as it must: the last clone closes the connection.
        ctx.spawn(async move { closed.closed().await }.into_actor(self).map(move |why, role_driver, ctx| {
            role_driver.lose_link(generation, &why, ctx);
        }));
        self.link = Some(client);
        self.note_vault(true);
        self.reports.reset();
        self.on(Event::Connected { view: welcome.view, length: welcome.lease }, ctx);
        self.report(ctx);
    }

    fn note_vault(&self, up: bool) {
        self.shared.figures.lock().vault_is(up, self.now());
    }

    fn lose_link(&mut self, generation: u64, why: &str, ctx: &mut Context<Self>) {
        if generation != self.generation {
            return;
        }
        let Some(client) = self.link.take() else { return };
        self.note_vault(false);
        let times = self.lines.link_lost.happened(self.now(), why);
        self.lines.quiet = times.is_none();
        if let Some(times) = times {
            tracing::warn!(target: EVENT, "connection to the vault lost: {why}{times}");
        }
        client.close("a fresh connection follows");
        self.connect(ctx);
        self.on(Event::Disconnected, ctx);
    }

    /// Calls the vault. A silent one is taken for lost.
    fn call(
        &mut self,
        request: Request,
        ctx: &mut Context<Self>,
        then: impl FnOnce(&mut Self, Monotonic, Option<Answer>, &mut Context<Self>) + 'static,
    ) {
        let (generation, sent) = (self.generation, self.now());
        let Some(client) = self.link.clone() else { return then(self, sent, None, ctx) };
        let wait = self.machine.times().silence();
        let call = async move { client.call(request, wait).await };
        ctx.spawn(call.into_actor(self).map(move |result, role_driver, ctx| {
            if generation != role_driver.generation {
                return;
            }
            if matches!(result, Err(RpcError::Late(_))) {
                role_driver.lose_link(generation, "it is silent", ctx);
            }
            then(role_driver, sent, result.ok(), ctx);
        }));
    }

    fn ask(&mut self, ask: Ask, ctx: &mut Context<Self>) {
        let request = ask.request(|| self.progress());
        self.call(request, ctx, move |role_driver, sent, answer, ctx| {
            let event = Event::answered(ask, sent, answer);
            let unsettled = event.needs_fresh_connection();
            role_driver.on(event, ctx);
            if unsettled {
                role_driver.lose_link(role_driver.generation, "a hand-over was not answered", ctx);
            }
        });
    }

    // --- The beat

    fn progress(&self) -> Progress {
        let shared = &self.shared;
        Progress {
            role: shared.serving.role().word().to_owned(),
            applied: shared.engine.last().0,
            durable: shared.serving.durable().0,
            epoch: shared.serving.epoch().0,
            last_takeover: shared.figures.lock().last_takeover.clone(),
        }
    }

    /// There is something to tell the vault of how this node stands.
    fn report(&mut self, ctx: &mut Context<Self>) {
        if self.link.is_some() {
            let due = self.reports.want(self.now());
            self.report_if(due, ctx);
        }
    }

    fn report_if(&mut self, due: ReportDue, ctx: &mut Context<Self>) {
        match due {
            ReportDue::No => {}
            ReportDue::At(at) => {
                ctx.run_later(at.since(self.now()), |role_driver, ctx| {
                    let due = role_driver.reports.late(role_driver.now());
                    role_driver.report_if(due, ctx);
                });
            }
            ReportDue::Now => self.call(Request::Report(self.progress()), ctx, |role_driver, sent, answer, ctx| {
                if let Some(Answer::Followers(nodes)) = answer {
                    role_driver.shared.figures.lock().others.clone_from(&nodes);
                    role_driver.on(Event::Followers { sent, nodes }, ctx);
                }
                let due = role_driver.reports.answered(role_driver.now());
                role_driver.report_if(due, ctx);
            }),
        }
    }

    fn beat(&mut self, ctx: &mut Context<Self>) {
        self.report(ctx);
        // Nothing waits longer than this, should whoever appended a record, or gave room back, not have come to say so.
        self.shared.engine.redo().wake();
        self.shared.serving.room_freed();
        if self.shared.serving.may_execute(self.now()) == Permit::Yes {
            self.freeze_if_due(ctx);
        }
    }

    fn freeze_if_due(&mut self, ctx: &mut Context<Self>) {
        let now = self.now();
        let log_bytes = self.shared.log_bytes_since_cut();
        let (Some(client), Some(siblings)) = (self.link.clone(), &self.siblings) else { return };
        let data_bytes = self.shared.engine.memory_bytes();
        if !self.plan.take_due(now, self.shared.engine.last(), log_bytes, data_bytes) {
            return;
        }
        if siblings.transfer.try_send(Carry { client, epoch: self.machine.epoch() }).is_err() {
            self.image_failed("the transfer takes no orders", ctx);
        }
    }

    fn image_failed(&mut self, why: &str, _: &mut Context<Self>) {
        if let Some(times) = self.lines.image.happened(self.now(), "") {
            tracing::warn!(target: EVENT, "image not stored: {why}{times}");
        }
        let mut figures = self.shared.figures.lock();
        figures.images_failed += 1;
        figures.image_failed = true;
        drop(figures);
        self.plan.failed(self.now());
    }

    // --- Ends

    fn switchover_ended(&mut self, outcome: Result<SwitchoverReport, String>) {
        match &outcome {
            Ok(report) => {
                let words = format!(
                    "handed over to {} with epoch {} after holding for {:.1} ms",
                    report.successor,
                    report.epoch,
                    Duration::from_micros(report.hold_us).as_secs_f64() * 1e3
                );
                tracing::info!(target: EVENT, "{words}");
                self.shared.figures.lock().last_takeover = words;
            }
            Err(why) => tracing::warn!(target: EVENT, "no switchover: {why}"),
        }
        self.answer_switchover(outcome);
    }

    fn answer_switchover(&mut self, outcome: Result<SwitchoverReport, String>) {
        for asker in self.switchover.take().into_iter().flat_map(|switchover| switchover.askers) {
            asker.answer(outcome.clone());
        }
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

    fn halt(&mut self, ctx: &mut Context<Self>) {
        if let Some(siblings) = self.siblings.take() {
            siblings.shipper.do_send(super::Halt);
            siblings.follower.do_send(super::Halt);
            siblings.transfer.do_send(super::Halt);
            siblings.upkeep.do_send(super::Halt);
        }
        if let Some(client) = self.link.take() {
            client.close("the process ends");
        }
        self.generation += 1;
        ctx.stop();
    }
}

impl Actor for RoleDriver {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.set_mailbox_capacity(MAILBOX_MAX);
        let (shared, address) = (Arc::clone(&self.shared), ctx.address());
        let shipper = Shipper::new(Arc::clone(&shared), address.clone()).start();
        let following = (Arc::clone(&shared), address.clone());
        let follower = on_thread("tanist-follower", move |life| Ok(Follower::new(following.0, following.1, life)));
        let transferring = (Arc::clone(&shared), address.clone());
        let transfer =
            on_thread("tanist-transfer", move |life| Ok(Transfer::new(transferring.0, transferring.1, life)));
        let upkeep = on_thread("tanist-upkeep", move |life| Ok(Upkeep::new(shared, address, life)));
        match (follower, transfer, upkeep) {
            (Ok(follower), Ok(transfer), Ok(upkeep)) => {
                self.siblings = Some(Siblings { shipper, follower, transfer, upkeep });
            }
            (Err(error), ..) | (_, Err(error), _) | (.., Err(error)) => {
                return self.on(Event::Broken(End::Failed(error)), ctx);
            }
        }
        ctx.run_interval(BEAT_EVERY, Self::beat);
        self.note_vault(false);
        self.connect(ctx);
    }
}

impl Handler<Happened> for RoleDriver {
    type Result = ();

    fn handle(&mut self, Happened(event): Happened, ctx: &mut Context<Self>) {
        let progress = matches!(event, Event::Applied { .. } | Event::Following { .. });
        self.on(event, ctx);
        if progress {
            self.report(ctx);
        }
    }
}

impl Handler<StreamLost> for RoleDriver {
    type Result = ();

    fn handle(&mut self, lost: StreamLost, ctx: &mut Context<Self>) {
        if let Some(why) = lost.why {
            self.lose_link(lost.generation, &why, ctx);
        }
    }
}

impl Handler<Carried> for RoleDriver {
    type Result = ();

    fn handle(&mut self, Carried(result): Carried, ctx: &mut Context<Self>) {
        match result {
            Ok(report) => {
                self.plan.stored();
                tracing::info!(
                    "image at record {} stored: {:.1} MB, {:.0} MB/s",
                    report.cut,
                    report.bytes as f64 / 1e6,
                    report.bytes as f64 / report.took_us.max(1) as f64
                );
                let mut figures = self.shared.figures.lock();
                figures.images_stored += 1;
                figures.image_failed = false;
                figures.last_image = Some(report);
            }
            // Not even a newer epoch is news here: the append stream and the lease tell it, and of the right office.
            Err(why) => self.image_failed(&why, ctx),
        }
    }
}

impl Handler<SwitchOver> for RoleDriver {
    type Result = ResponseFuture<Result<SwitchoverReport, String>>;

    fn handle(&mut self, order: SwitchOver, ctx: &mut Context<Self>) -> Self::Result {
        let (tell, told) = oneshot::channel();
        let asker = SwitchoverAsker { to: order.to.clone(), tell };
        match &mut self.switchover {
            Some(under_way) if under_way.askers.len() >= SWITCHOVER_ASKERS_MAX => {
                return Box::pin(async { Err("too many wait for a switchover already".to_owned()) });
            }
            // Who asks for what is being done gets its outcome, and nothing is done twice.
            Some(under_way) => under_way.askers.push(asker),
            None => {
                self.switchover = Some(Switchover { askers: vec![asker] });
                self.on(Event::SwitchoverAsked { to: order.to }, ctx);
            }
        }
        Box::pin(async { told.await.unwrap_or_else(|_| Err("the process ends".to_owned())) })
    }
}

impl Handler<Stop> for RoleDriver {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Context<Self>) {
        self.on(Event::Shutdown, ctx);
    }
}

/// The end that a test makes of a node without a word to anyone.
#[cfg(test)]
impl Handler<super::Halt> for RoleDriver {
    type Result = ();

    fn handle(&mut self, _: super::Halt, ctx: &mut Context<Self>) {
        self.halt(ctx);
    }
}

/// What the vault said unasked on the connection `generation`.
struct News {
    generation: u64,
    answer: Answer,
}

impl StreamHandler<News> for RoleDriver {
    fn handle(&mut self, news: News, ctx: &mut Context<Self>) {
        if news.generation != self.generation {
            return;
        }
        match news.answer {
            Answer::Lease(view) => self.on(Event::News(view), ctx),
            Answer::Health(health) => self.shared.figures.lock().vault_health = health,
            _ => {}
        }
    }

    /// A connection's news end with it; that is not the end of the role driver.
    fn finished(&mut self, _: &mut Context<Self>) {}
}

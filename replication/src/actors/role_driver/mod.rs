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

mod connection;
mod images;
mod switchover;

use std::sync::Arc;

use actix::{Actor, ActorContext, Addr, AsyncContext, Context, Handler, Message, SpawnHandle};
use tanist_db_core::clock::Monotonic;
use tokio::sync::watch;

pub(crate) use self::switchover::SwitchOver;
use self::switchover::Switchover;

use crate::EVENT;
use crate::actors::follower::{Follow, Follower, StopFollowing};
use crate::actors::link::Dialer;
use crate::actors::shipper::{Ship, Shipper, StopShipping};
use crate::actors::thread::{Life, on_thread};
use crate::actors::transfer::{StopCarrying, Transfer};
use crate::actors::upkeep::{Append, Upkeep};
use crate::limits::{BEAT_EVERY, MAILBOX_MAX};
use crate::node::{ImagePlan, ReportDue, Reports, Shared};
use crate::repeats::Repeats;
use crate::role::{Effect, End, Event, Machine, Sight};
use crate::serving::{Permit, Role, Standing};
use crate::transport::rpc::ControlClient;
use crate::wire::message::{Answer, Progress, Request};

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
            self.freeze_if_due();
        }
    }

    // --- Ends

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
            siblings.shipper.do_send(crate::actors::Halt);
            siblings.follower.do_send(crate::actors::Halt);
            siblings.transfer.do_send(crate::actors::Halt);
            siblings.upkeep.do_send(crate::actors::Halt);
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

impl Handler<Stop> for RoleDriver {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Context<Self>) {
        self.on(Event::Shutdown, ctx);
    }
}

/// The end that a test makes of a node without a word to anyone.
#[cfg(test)]
impl Handler<crate::actors::Halt> for RoleDriver {
    type Result = ();

    fn handle(&mut self, _: crate::actors::Halt, ctx: &mut Context<Self>) {
        self.halt(ctx);
    }
}

//! A database process after joining: its drivers and their shared state.

use std::sync::Arc;
use std::time::Duration;

use tanist::front::NodeContext;
use tanist_db_core::clock::{Clock, Monotonic};
use tanist_db_core::engine::Engine;
use tanist_db_core::limits::REDO_QUEUE_BYTES_MAX;
use tanist_replication::lease::LeaseTimes;
use tanist_replication::limits::{BEAT_EVERY, SHIP_FRAME_BYTES, SHIP_WINDOW_BYTES};
use tanist_replication::node::{Driver, DriverEvent, ImagePlan, Shared, SiblingOrder, Upkeep};
use tanist_replication::role::{End, Identity, Machine};
use tanist_replication::serving::Serving;

use super::NodeEvent;
use super::join::Joined;
use super::role_driver::VaultLink;
use super::session::{self, Sessions};
use super::streams::{Follow, Ship};
use super::transfer::Carry;
use super::upkeep::Hold;
use crate::clock::MachineClock;
use crate::env::Env;
use crate::event::Event;
use crate::net::{ConnId, Payload, Stream, Way};

/// The process.
#[derive(Debug)]
pub(crate) struct Process {
    pub(super) node: usize,
    pub(super) life: u64,
    pub(super) clock: Arc<MachineClock>,
    pub(crate) engine: Arc<Engine>,
    pub(crate) serving: Arc<Serving>,
    pub(super) context: Arc<NodeContext>,
    pub(super) shared: Arc<Shared>,
    pub(crate) driver: Driver<()>,
    pub(super) link: VaultLink,
    pub(super) ship: Ship,
    pub(super) upkeep: Upkeep,
    pub(super) follow: Option<Follow>,
    pub(super) carry: Option<Carry>,
    /// A command that holds all shards.
    pub(super) hold: Option<Hold>,
    pub(super) sessions: Sessions,
    pub(super) streams: u64,
    /// When the newest order or message between actors arrives: they keep their order.
    pub(super) mail_at: crate::clock::Time,
    pub(super) ended: Option<End>,
    /// The role driver has ended, and with it its siblings.
    exiting: bool,
}

impl Process {
    pub(super) fn start(node: usize, life: u64, clock: Arc<MachineClock>, joined: Joined, env: &mut Env) -> Process {
        let Joined { engine, lease } = joined;
        let name = env.scenario.name(node);
        let me = Identity { node: name.clone(), incarnation: life, resp_address: name.clone(), quic_address: name };
        let (engine, serving) = (Arc::new(engine), Serving::new());
        let context = session::context(&me.node, &engine, &serving, &clock, env);
        let machine = Machine::new(me, LeaseTimes::of(lease), engine.last());
        let plan = ImagePlan::new(env.scenario.image_interval, env.scenario.image_log_bytes);
        let shared = Shared::new(Arc::clone(&engine), Arc::clone(&serving));
        let driver = Driver::new(Arc::clone(&shared), machine, plan);
        let (ship, upkeep) = (Ship::new(&shared), Upkeep::new(Arc::clone(&shared)));
        let mut process = Process {
            node,
            life,
            clock,
            engine,
            serving,
            context,
            shared,
            driver,
            link: VaultLink::default(),
            ship,
            upkeep,
            follow: None,
            carry: None,
            hold: None,
            sessions: Sessions::default(),
            streams: 0,
            mail_at: env.now,
            ended: None,
            exiting: false,
        };
        process.tell(DriverEvent::Begin, env);
        process.later(BEAT_EVERY, NodeEvent::Beat, env);
        process.later(BEAT_EVERY, NodeEvent::Expire, env);
        process
    }

    pub(super) fn now(&self) -> Monotonic {
        self.clock.monotonic()
    }

    pub(super) fn name(&self, env: &Env) -> String {
        env.scenario.name(self.node)
    }

    pub(super) fn later(&self, wait: Duration, event: NodeEvent, env: &mut Env) {
        env.after(wait, Event::Node { node: self.node, life: self.life, event });
    }

    /// Between actors: soon, and in the order of sending.
    pub(super) fn mail(&mut self, event: NodeEvent, env: &mut Env) {
        let at = env.now.after(env.random.micros(1, 40));
        self.mail_at = at.max(crate::clock::Time(self.mail_at.0 + 1));
        env.at(self.mail_at, Event::Node { node: self.node, life: self.life, event });
    }

    /// A new stream's number.
    pub(super) fn stream(&mut self) -> u64 {
        self.streams += 1;
        self.streams
    }

    pub(super) fn send(&self, conn: ConnId, stream: Stream, payload: Payload, env: &mut Env) {
        env.send(conn, Way::Up, stream, payload);
    }

    /// How the process ends, once.
    pub(super) fn take_end(&mut self) -> Option<End> {
        let end = self.ended.clone().filter(|_| !self.exiting);
        self.exiting |= end.is_some();
        end
    }

    pub(super) fn on(&mut self, event: NodeEvent, env: &mut Env) {
        if self.exiting
            && !matches!(
                event,
                NodeEvent::Session(..)
                    | NodeEvent::Link { .. }
                    | NodeEvent::Poll(_)
                    | NodeEvent::Apart(_)
                    | NodeEvent::HoldEnds
            )
        {
            return;
        }
        match event {
            NodeEvent::Arrived { conn, stream, payload } => self.arrived(conn, stream, payload, env),
            NodeEvent::LinkLost { conn } => self.link_lost(conn, env),
            NodeEvent::ConnectLate { attempt } => self.connect_late(attempt, env),
            NodeEvent::Connect => self.connect(env),
            NodeEvent::CallLate { call } => self.call_late(call, env),
            NodeEvent::Timer(timer) => self.timer(timer, env),
            NodeEvent::Beat => self.beat(env),
            NodeEvent::Expire => self.expire_beat(env),
            NodeEvent::ExpireMore => self.expire(env),
            NodeEvent::HoldEnds => self.end_hold(),
            NodeEvent::Apart(session) => self.run_apart(session, env),
            NodeEvent::Freeze => self.freeze(env),
            NodeEvent::Order(order, conn) => self.obey(order, conn, env),
            NodeEvent::Happened(event) => self.happened(event, env),
            NodeEvent::StreamLost { conn, why } => self.stream_lost(conn, why, env),
            NodeEvent::Carried(carried) => self.tell(DriverEvent::Carried(carried), env),
            NodeEvent::Ship(turn) => self.ship_on(turn, env),
            NodeEvent::ShipAgain(stream) => self.ship_again(stream, env),
            NodeEvent::RunEnds => self.end_run(env),
            NodeEvent::NextChunk => self.next_chunk(env),
            NodeEvent::Session(session, request) => self.session(session, request, env),
            NodeEvent::Poll(session) => self.poll(session, env),
            NodeEvent::Link { from, link, piece } => self.link(from, link, piece, env),
        }
        self.wake_up(env);
        self.look_at_bounds(env);
    }

    /// Whatever was woken by what has just happened runs soon.
    fn wake_up(&mut self, env: &mut Env) {
        if self.ship.take_wake() && !self.exiting {
            let wait = env.random.micros(1, 30);
            self.later(wait, NodeEvent::Ship(0), env);
        }
        for session in self.sessions.woken() {
            let wait = env.random.micros(1, 30);
            self.later(wait, NodeEvent::Poll(session), env);
        }
    }

    /// A sibling takes an order of the role driver, given when it had the connection `conn`.
    fn obey(&mut self, order: SiblingOrder, conn: Option<ConnId>, env: &mut Env) {
        match (order, conn) {
            (SiblingOrder::Ship(epoch), Some(conn)) => self.begin_ship(conn, epoch, env),
            (SiblingOrder::Follow(epoch), Some(conn)) => self.begin_follow(conn, epoch, env),
            (SiblingOrder::Carry(epoch), Some(conn)) => self.begin_carry(conn, epoch, env),
            (SiblingOrder::Ship(_) | SiblingOrder::Follow(_) | SiblingOrder::Carry(_), None) => {}
            (SiblingOrder::StopShipping, _) => self.stop_ship(env),
            (SiblingOrder::StopFollowing, _) => self.stop_follow(env),
            (SiblingOrder::StopCarrying, _) => self.stop_carry(env),
            (SiblingOrder::Append(append), _) => self.append(append, env),
        }
    }

    fn arrived(&mut self, conn: ConnId, stream: Stream, payload: Payload, env: &mut Env) {
        if !env.net.is_open(conn, Way::Down) {
            return;
        }
        match (stream, payload) {
            (Stream::Control, Payload::Answer(seq, answer)) => self.answered(conn, seq, answer, env),
            (Stream::Append(_), Payload::Answer(_, answer)) => self.ship_told(conn, stream, answer, env),
            (Stream::Follow(_), payload) => self.follow_brings(conn, stream, payload, env),
            (Stream::Put(_), Payload::Answer(_, answer)) => self.carry_told(conn, stream, answer, env),
            (stream, payload) => env.oracle.fail("harness", format!("{payload:?} on {stream:?} at a node")),
        }
    }

    fn look_at_bounds(&self, env: &mut Env) {
        let window = self.ship.bytes();
        env.oracle.bounded("bytes that the vault has not confirmed", window, SHIP_WINDOW_BYTES + SHIP_FRAME_BYTES);
        let queued = self.engine.redo().queued_bytes() as usize;
        env.oracle.bounded("bytes of records in the queue", queued, REDO_QUEUE_BYTES_MAX as usize + SHIP_FRAME_BYTES);
        env.oracle.bounded("calls under way", self.driver.calls_under_way(), tanist_replication::limits::CALLS_MAX);
    }
}

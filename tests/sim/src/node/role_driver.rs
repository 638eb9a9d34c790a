//! Simulates the role driver's actor: feeds events to the driver, and performs its actions on the network, the clock and the
//! siblings.

use std::collections::BTreeSet;
use std::time::Duration;

use tanist_db_core::level::Level;
use tanist_replication::limits::{BEAT_EVERY, CONNECT_PAUSE, CONNECT_TRY};
use tanist_replication::node::{Action, CallOutcome, DriverEvent, Note, Timer};
use tanist_replication::role::Event as RoleEvent;
use tanist_replication::serving::{Permit, Role};
use tanist_replication::transport::rpc::Welcome;
use tanist_replication::wire::message::{Answer, Request};

use super::NodeEvent;
use super::join::hello;
use super::process::Process;
use crate::env::Env;
use crate::event::Event;
use crate::fault::Moment;
use crate::net::{ConnId, Payload, Stream, Way};

/// The connection to the vault.
#[derive(Debug, Default)]
pub(super) struct VaultLink {
    /// Number of the newest connection, as the driver counts.
    generation: u64,
    /// It, once the vault has welcomed this process.
    conn: Option<ConnId>,
    /// It, while it is being made.
    connecting: Option<ConnId>,
    attempt: u64,
    /// Calls on it that renew the lease.
    renewals: BTreeSet<u64>,
}

impl Process {
    /// Hands the event to the driver, and does what it wants done.
    pub(crate) fn tell(&mut self, event: DriverEvent<()>, env: &mut Env) {
        for action in self.driver.handle(event, self.now()) {
            self.perform(action, env);
        }
    }

    fn perform(&mut self, action: Action<()>, env: &mut Env) {
        match action {
            Action::Connect { generation } => {
                self.link.generation = generation;
                self.connect(env);
            }
            Action::Close { .. } => {
                self.link.renewals.clear();
                if let Some(conn) = self.link.conn.take() {
                    self.carry_lost(conn, env);
                    self.close(conn, env);
                }
            }
            Action::Call { call, request, wait } => self.call(call, request, wait, env),
            Action::Order(order) => {
                let order = NodeEvent::Order(order, self.link.conn);
                self.mail(order, env);
            }
            Action::Later(at, timer) => {
                let event = NodeEvent::Timer(timer);
                env.at(self.clock.when(at), Event::Node { node: self.node, life: self.life, event });
            }
            Action::Reply((), _) => {}
            Action::Note(note) => self.note(&note, env),
            Action::End(end) => self.ended = Some(end),
        }
    }

    fn note(&self, note: &Note, env: &mut Env) {
        let name = self.name(env);
        match note {
            Note::Connected { .. } => {}
            Note::ConnectionLost { why, .. } => {
                env.say(format_args!("{name}: connection to the vault lost: {why}"));
            }
            Note::Role { was, standing } => {
                let (is, epoch) = (standing.role, standing.epoch);
                env.say(format_args!("{name}: {} -> {} (epoch {epoch})", was.word(), is.word()));
                env.moment(Moment::Becomes(is), self.node);
            }
            Note::TookOver(takeover) => {
                env.say(format_args!("{name}: {}", takeover.words()));
                env.oracle.took_over();
            }
            Note::SwitchoverUnsettled(why) => env.say(format_args!("{name}: switchover: {why}")),
            Note::SwitchoverEnded(outcome) => {
                env.say(format_args!("{name}: switchover: {outcome:?}"));
                env.oracle.switchover_ended(outcome.is_ok());
            }
            Note::ImageStored(report) => env.trace.step(env.now, &[report.cut]),
            Note::ImageFailed { why, .. } => env.say(format_args!("{name}: image not stored: {why}")),
        }
    }

    // --- The connection

    /// An attempt at the newest connection.
    pub(super) fn connect(&mut self, env: &mut Env) {
        self.link.attempt += 1;
        let conn = env.net.open(self.node, self.life);
        self.link.connecting = Some(conn);
        let hello = hello(self.node, self.life, env);
        self.send(conn, Stream::Control, Payload::Hello(hello), env);
        self.later(CONNECT_TRY, NodeEvent::ConnectLate { attempt: self.link.attempt }, env);
    }

    pub(super) fn connect_late(&mut self, attempt: u64, env: &mut Env) {
        if attempt == self.link.attempt
            && let Some(conn) = self.link.connecting.take()
        {
            self.close(conn, env);
            self.later(CONNECT_PAUSE, NodeEvent::Connect, env);
        }
    }

    fn close(&self, conn: ConnId, env: &mut Env) {
        env.net.close(env.now, conn, Way::Up, true, &mut env.random, &mut env.queue);
    }

    pub(super) fn link_lost(&mut self, conn: ConnId, env: &mut Env) {
        if self.link.connecting == Some(conn) {
            self.link.connecting = None;
            self.later(CONNECT_PAUSE, NodeEvent::Connect, env);
        }
        self.lose_link(conn, "it has ended".to_owned(), env);
    }

    fn lose_link(&mut self, conn: ConnId, why: String, env: &mut Env) {
        if self.link.conn == Some(conn) {
            self.tell(DriverEvent::ConnectionLost { generation: self.link.generation, why }, env);
        }
    }

    pub(super) fn stream_lost(&mut self, conn: ConnId, why: Option<String>, env: &mut Env) {
        if let Some(why) = why {
            self.lose_link(conn, why, env);
        }
    }

    pub(super) fn is_connected(&self, conn: ConnId) -> bool {
        self.link.conn == Some(conn)
    }

    // --- Calls

    fn call(&mut self, call: u64, request: Request, wait: Duration, env: &mut Env) {
        let Some(conn) = self.link.conn else { return };
        match request {
            Request::Renew { .. } => {
                self.link.renewals.insert(call);
            }
            Request::HandOver { .. } => {
                env.moment(Moment::HandOverSent, self.node);
                if self.serving.executing() > 0 {
                    let name = self.name(env);
                    env.oracle.fail("hold", format!("{name} hands over while a command that began before executes"));
                }
            }
            _ => {}
        }
        self.send(conn, Stream::Control, Payload::Request(call, request), env);
        self.later(wait, NodeEvent::CallLate { call }, env);
    }

    /// The vault has said something on the control stream.
    pub(super) fn answered(&mut self, conn: ConnId, seq: u64, answer: Answer, env: &mut Env) {
        let generation = self.link.generation;
        match answer {
            Answer::Welcome { incarnation, lease_us, durable, lease: view, level }
                if self.link.connecting == Some(conn) =>
            {
                self.link.conn = self.link.connecting.take();
                let (lease, level) = (Duration::from_micros(lease_us), Level(level));
                let welcome = Welcome { incarnation, lease, durable, view: *view, level };
                self.tell(DriverEvent::Connected { generation, welcome }, env);
            }
            answer if seq > 0 => {
                if self.link.renewals.remove(&seq) && matches!(answer, Answer::Lease(_)) {
                    env.moment(Moment::Renewed, self.node);
                }
                self.tell(DriverEvent::Answered { call: seq, outcome: CallOutcome::Answer(answer) }, env);
            }
            answer if self.link.conn == Some(conn) => self.tell(DriverEvent::News { generation, answer }, env),
            _ => {}
        }
    }

    pub(super) fn call_late(&mut self, call: u64, env: &mut Env) {
        self.tell(DriverEvent::Answered { call, outcome: CallOutcome::Late }, env);
    }

    // --- The rest

    pub(super) fn timer(&mut self, timer: Timer, env: &mut Env) {
        self.tell(DriverEvent::Timer(timer), env);
    }

    pub(super) fn happened(&mut self, event: RoleEvent, env: &mut Env) {
        match event {
            RoleEvent::SwitchoverAsked { to } => self.tell(DriverEvent::SwitchoverAsked { to, way: () }, env),
            event => self.tell(DriverEvent::Happened(event), env),
        }
    }

    pub(super) fn beat(&mut self, env: &mut Env) {
        self.later(BEAT_EVERY, NodeEvent::Beat, env);
        // A small image is due early here, so that a run sees several.
        let data_bytes = self.engine.memory_bytes().min(env.scenario.image_log_bytes);
        self.tell(DriverEvent::Beat { data_bytes }, env);
    }

    /// Whether this process may execute by its own count.
    pub(crate) fn executes(&self) -> bool {
        self.serving.may_execute(self.now()) == Permit::Yes
    }

    /// Whether it is primary.
    pub(crate) fn is_primary(&self) -> bool {
        self.serving.role() == Role::Primary
    }
}

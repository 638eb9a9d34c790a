//! The role driver's part: the machine's events and effects, the connection, calls, reports, the beat.

use tanist_db_core::clock::Monotonic;
use tanist_replication::limits::{BEAT_EVERY, CONNECT_PAUSE, CONNECT_TRY};
use tanist_replication::node::ReportDue;
use tanist_replication::role::{Ask, Effect, Event as RoleEvent, Sight};
use tanist_replication::serving::{Permit, Role, Standing};
use tanist_replication::wire::message::{Answer, Progress, Request};

use super::join::hello;
use super::process::{Called, Order, Process};
use super::{Carried, NodeEvent};
use crate::env::Env;
use crate::event::Event;
use crate::fault::Moment;
use crate::net::{ConnId, Payload, Stream, Way};

impl Process {
    /// Tells the machine, and does what it wants done.
    pub(crate) fn tell(&mut self, event: RoleEvent, env: &mut Env) {
        if self.ended.is_some() {
            return;
        }
        let mut effects = Vec::new();
        self.machine.handle(event, self.now(), &mut effects);
        for effect in effects {
            self.act(effect, env);
        }
        self.set_wake(env);
    }

    fn act(&mut self, effect: Effect, env: &mut Env) {
        match effect {
            Effect::Publish(standing) => self.publish(&standing, env),
            Effect::Ask(ask) => {
                if matches!(ask, Ask::HandOver { .. }) {
                    env.moment(Moment::HandOverSent, self.node);
                    if self.serving.executing() > 0 {
                        let name = self.name(env);
                        env.oracle
                            .fail("hold", format!("{name} hands over while a command that began before executes"));
                    }
                }
                let request = ask.request(|| self.progress());
                self.call(request, Called::Machine(ask), env);
            }
            Effect::OpenAppend(epoch) => self.order(env, |conn| Order::Ship(conn, epoch)),
            Effect::CloseAppend => {
                self.mail(NodeEvent::Order(Order::StopShipping), env);
                self.mail(NodeEvent::Order(Order::StopCarrying), env);
            }
            Effect::StartFollow => {
                let epoch = self.machine.epoch();
                self.order(env, |conn| Order::Follow(conn, epoch));
            }
            Effect::StopFollow => self.mail(NodeEvent::Order(Order::StopFollow), env),
            Effect::BeginEpoch(epoch) => self.mail(NodeEvent::Order(Order::BeginEpoch(epoch)), env),
            Effect::Mark => self.mail(NodeEvent::Order(Order::Mark), env),
            Effect::SwitchoverUnsettled(why) => {
                env.say(format_args!("{}: switchover: {why}", self.name(env)));
                self.switching = false;
            }
            Effect::SwitchoverEnded(outcome) => {
                env.say(format_args!("{}: switchover: {outcome:?}", self.name(env)));
                self.switching = false;
                env.oracle.switchover_ended(outcome.is_ok());
            }
            Effect::TookOver(takeover) => {
                env.say(format_args!("{}: {}", self.name(env), takeover.words()));
                env.oracle.took_over();
                self.plan.took_office(self.now(), self.engine.last());
            }
            Effect::End(end) => self.ended = Some(end),
        }
    }

    fn order(&mut self, env: &mut Env, order: impl FnOnce(ConnId) -> Order) {
        if let Some(conn) = self.link {
            self.mail(NodeEvent::Order(order(conn)), env);
        }
    }

    fn publish(&mut self, standing: &Standing, env: &mut Env) {
        let before = self.serving.role();
        self.serving.publish(standing, self.now());
        if standing.role != before {
            env.say(format_args!(
                "{}: {} -> {} (epoch {})",
                self.name(env),
                before.word(),
                standing.role.word(),
                standing.epoch
            ));
            env.moment(Moment::Becomes(standing.role), self.node);
        }
    }

    fn set_wake(&mut self, env: &mut Env) {
        let at = self.machine.wake_at();
        if self.wake != at {
            self.wake = at;
            if let Some(at) = at {
                let event = NodeEvent::Wake(at);
                env.at(self.clock.when(at), Event::Node { node: self.node, life: self.life, event });
            }
        }
    }

    pub(super) fn woken(&mut self, at: Monotonic, env: &mut Env) {
        if self.wake == Some(at) {
            self.wake = None;
            let sight = Sight::of(&self.serving, &self.engine);
            self.tell(RoleEvent::Tick(sight), env);
        }
    }

    // --- The connection

    pub(super) fn connect(&mut self, env: &mut Env) {
        self.attempt += 1;
        let conn = env.net.open(self.node, self.life);
        self.connecting = Some(conn);
        let hello = hello(self.node, self.life, env);
        self.send(conn, Stream::Control, Payload::Hello(hello), env);
        self.later(CONNECT_TRY, NodeEvent::ConnectLate { attempt: self.attempt }, env);
    }

    pub(super) fn connect_late(&mut self, attempt: u64, env: &mut Env) {
        if attempt == self.attempt
            && let Some(conn) = self.connecting.take()
        {
            self.close(conn, env);
            self.later(CONNECT_PAUSE, NodeEvent::Connect, env);
        }
    }

    fn close(&self, conn: ConnId, env: &mut Env) {
        env.net.close(env.now, conn, Way::Up, true, &mut env.random, &mut env.queue);
    }

    pub(super) fn link_lost(&mut self, conn: ConnId, env: &mut Env) {
        if self.connecting == Some(conn) {
            self.connecting = None;
            self.later(CONNECT_PAUSE, NodeEvent::Connect, env);
        }
        self.lose_link(conn, "it has ended", env);
    }

    pub(super) fn lose_link(&mut self, conn: ConnId, why: &str, env: &mut Env) {
        if self.link != Some(conn) {
            return;
        }
        env.say(format_args!("{}: connection to the vault lost: {why}", self.name(env)));
        self.link = None;
        self.calls.clear();
        self.carry_lost(conn, env);
        self.close(conn, env);
        self.connect(env);
        self.tell(RoleEvent::Disconnected, env);
    }

    pub(super) fn stream_lost(&mut self, conn: ConnId, why: Option<String>, env: &mut Env) {
        if let Some(why) = why {
            self.lose_link(conn, &why, env);
        }
    }

    // --- Calls

    fn call(&mut self, request: Request, about: Called, env: &mut Env) {
        let sent = self.now();
        let Some(conn) = self.link else { return self.told(about, sent, None, env) };
        self.seq += 1;
        let seq = self.seq;
        self.calls.insert(seq, (conn, sent, about));
        self.send(conn, Stream::Control, Payload::Request(seq, request), env);
        self.later(self.machine.times().silence(), NodeEvent::CallLate { seq }, env);
    }

    pub(super) fn call_late(&mut self, seq: u64, env: &mut Env) {
        if let Some((conn, sent, about)) = self.calls.remove(&seq) {
            self.lose_link(conn, "it is silent", env);
            self.told(about, sent, None, env);
        }
    }

    pub(super) fn answered(&mut self, conn: ConnId, seq: u64, answer: Answer, env: &mut Env) {
        match answer {
            Answer::Welcome { lease_us, lease, .. } if self.connecting == Some(conn) => {
                self.connecting = None;
                self.link = Some(conn);
                self.reports.reset();
                let length = std::time::Duration::from_micros(lease_us);
                self.tell(RoleEvent::Connected { view: lease, length }, env);
                self.report(env);
            }
            Answer::Lease(view) if seq == 0 && self.link == Some(conn) => self.tell(RoleEvent::News(view), env),
            answer => {
                if let Some((_, sent, about)) = self.calls.remove(&seq) {
                    self.told(about, sent, Some(answer), env);
                }
            }
        }
    }

    fn told(&mut self, about: Called, sent: Monotonic, answer: Option<Answer>, env: &mut Env) {
        match about {
            Called::Machine(ask) => {
                if matches!((&ask, &answer), (Ask::Renew { .. }, Some(Answer::Lease(_)))) {
                    env.moment(Moment::Renewed, self.node);
                }
                let event = RoleEvent::answered(ask, sent, answer);
                let unsettled = event.needs_fresh_connection();
                self.tell(event, env);
                if let (true, Some(conn)) = (unsettled, self.link) {
                    self.lose_link(conn, "a hand-over was not answered", env);
                }
            }
            Called::Report => {
                if let Some(Answer::Followers(nodes)) = answer {
                    self.tell(RoleEvent::Followers { sent, nodes }, env);
                }
                let due = self.reports.answered(self.now());
                self.report_if(due, env);
            }
        }
    }

    fn progress(&self) -> Progress {
        Progress {
            role: self.serving.role().word().to_owned(),
            applied: self.engine.last().0,
            durable: self.serving.durable().0,
            epoch: self.serving.epoch().0,
            last_takeover: String::new(),
        }
    }

    // --- Reports and the beat

    pub(super) fn happened(&mut self, event: RoleEvent, env: &mut Env) {
        if matches!(event, RoleEvent::SwitchoverAsked { .. }) && std::mem::replace(&mut self.switching, true) {
            // One is under way already: whoever asks is told so.
            return;
        }
        let progress = matches!(event, RoleEvent::Applied { .. } | RoleEvent::Following { .. });
        self.tell(event, env);
        if progress {
            self.report(env);
        }
    }

    fn report(&mut self, env: &mut Env) {
        if self.link.is_some() {
            let due = self.reports.want(self.now());
            self.report_if(due, env);
        }
    }

    pub(super) fn report_late(&mut self, env: &mut Env) {
        let due = self.reports.late(self.now());
        self.report_if(due, env);
    }

    fn report_if(&mut self, due: ReportDue, env: &mut Env) {
        match due {
            ReportDue::No => {}
            ReportDue::At(at) => {
                let (node, life) = (self.node, self.life);
                env.at(self.clock.when(at), Event::Node { node, life, event: NodeEvent::ReportLate });
            }
            ReportDue::Now => self.call(Request::Report(self.progress()), Called::Report, env),
        }
    }

    pub(super) fn beat(&mut self, env: &mut Env) {
        self.later(BEAT_EVERY, NodeEvent::Beat, env);
        self.report(env);
        self.engine.redo().wake();
        self.serving.room_freed();
        if self.executes() {
            self.freeze_if_due(env);
        }
    }

    fn freeze_if_due(&mut self, env: &mut Env) {
        let (now, data_bytes) = (self.now(), self.engine.memory_bytes());
        let Some(conn) = self.link else { return };
        // A small image is due early here, so that a run sees several.
        let data_bytes = data_bytes.min(env.scenario.image_log_bytes);
        if self.plan.take_due(now, self.engine.last(), self.log_bytes, data_bytes) {
            let epoch = self.machine.epoch();
            self.mail(NodeEvent::Order(Order::Carry(conn, epoch)), env);
        }
    }

    pub(super) fn carried(&mut self, carried: Carried, env: &mut Env) {
        match carried.0 {
            Ok(cut) => {
                env.trace.step(env.now, &[cut.0]);
                self.plan.stored();
            }
            Err(why) => {
                env.say(format_args!("{}: image not stored: {why}", self.name(env)));
                self.plan.failed(self.now());
            }
        }
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

//! Connections of peers: identity, calls one at a time, and notifications.

use std::collections::VecDeque;
use std::sync::Arc;

use tanist_db_core::ids::Lsn;
use tanist_db_core::level::Levels;
use tanist_replication::transport::principal::Principal;
use tanist_replication::vault::lease::roster::{Caller, ConnectionId};
use tanist_replication::vault::lease::server::{Asked, LeaseEffect};
use tanist_replication::wire::hello;
use tanist_replication::wire::message::{Answer, Hello, Peer, Request};

use super::{CLUSTER, Reply, Vault};
use crate::env::Env;
use crate::event::Event;
use crate::net::{ConnId, Payload, Stream, Way};
use crate::node::HostEvent;

/// A connection that was admitted.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) caller: Arc<Caller>,
    /// A call of it is being ruled on.
    busy: bool,
    calls: VecDeque<(u64, Request)>,
    news: bool,
}

impl Vault {
    pub(super) fn enter(&mut self, conn: ConnId, hello: Hello, env: &mut Env) {
        if let Err(why) = hello::agree(self.lease.authority().levels(), hello.levels) {
            return self.answer(conn, Stream::Control, Answer::Refused { why }, env);
        }
        let certified = Principal::node(&hello.node).expect("nodes have proper names");
        let caller = match Caller::admit(ConnectionId(conn.0), hello, CLUSTER, &certified) {
            Ok(caller) => Arc::new(caller),
            Err(why) => return env.oracle.fail("harness", format!("not admitted: {why}")),
        };
        let member = Member { caller: Arc::clone(&caller), busy: true, calls: VecDeque::new(), news: false };
        self.members.insert(conn, member);
        for effect in self.lease.enter(caller, Reply::Welcome(conn), self.now(), self.durable()) {
            self.perform(effect, env);
        }
    }

    /// Closes a connection that a newer one of the same node has replaced; its tasks end a little later.
    fn close(&mut self, conn: ConnId, env: &mut Env) {
        let (now, random, queue) = (env.now, &mut env.random, &mut env.queue);
        env.net.lose(now, conn, Way::Down, random, queue);
    }

    pub(super) fn called(&mut self, conn: ConnId, seq: u64, request: Request, env: &mut Env) {
        let Some(member) = self.members.get_mut(&conn) else { return };
        member.calls.push_back((seq, request));
        self.talk(conn, env);
    }

    /// Replies to calls and forwards notifications, one at a time, so that a caller gets its answer before the notification of
    /// the same change.
    fn talk(&mut self, conn: ConnId, env: &mut Env) {
        loop {
            let Some(member) = self.members.get_mut(&conn).filter(|member| !member.busy) else { return };
            if let Some((seq, request)) = member.calls.pop_front() {
                member.busy = true;
                let caller = Arc::clone(&member.caller);
                self.rule(Asked { caller, request, way: Reply::Control(conn, seq) }, env);
            } else if std::mem::take(&mut member.news) {
                let now = self.now();
                let view = self.lease.view(now);
                self.answer(conn, Stream::Control, Answer::Lease(view), env);
            } else {
                return;
            }
        }
    }

    pub(super) fn obituary(&mut self, node: usize, incarnation: u64, env: &mut Env) {
        let name = env.scenario.name(node);
        let hello = Hello {
            levels: Levels::OWN,
            cluster: CLUSTER,
            peer: Peer::Supervisor,
            node: name.clone(),
            incarnation: 0,
            pid: 0,
            resp_address: String::new(),
            quic_address: String::new(),
        };
        // A connection of its own, which no database process has.
        let caller = Arc::new(Caller { connection: ConnectionId(u64::MAX - node as u64), hello });
        let request = Request::Obituary { node: name, incarnation };
        // A supervisor that has waited too long asks again on a fresh connection.
        self.lease.forget(caller.connection);
        self.rule(Asked { caller, request, way: Reply::Supervisor { node, incarnation } }, env);
    }

    fn rule(&mut self, asked: Asked<Reply>, env: &mut Env) {
        if let Some(effect) = self.lease.call(asked, self.now(), self.durable()) {
            self.perform(effect, env);
        }
    }

    fn perform(&mut self, effect: LeaseEffect<Reply>, env: &mut Env) {
        match effect {
            LeaseEffect::Close(ConnectionId(old)) => self.close(ConnId(old), env),
            LeaseEffect::Answer(way, answer) => self.reply(way, answer, env),
            LeaseEffect::Persist { record, seal } => {
                env.moment(crate::fault::Moment::LeaseChanging, 0);
                self.writing.put_lease(record, seal);
            }
            LeaseEffect::News(_) => self.spread_news(env),
        }
    }

    /// A change of the lease is durable, with the log's end at `sealed`.
    pub(super) fn persisted(&mut self, sealed: Lsn, env: &mut Env) {
        let effects = self.lease.persisted(sealed, self.now(), self.durable());
        let changed = effects.iter().find_map(|effect| match effect {
            LeaseEffect::News(lease) => Some(lease),
            _ => None,
        });
        if let Some(lease) = changed {
            env.say(format_args!(
                "vault: epoch {} of {} from {sealed}, left {} us, feature level {}",
                lease.epoch, lease.holder, lease.remaining_us, lease.level
            ));
            env.oracle.granted(lease.epoch, sealed);
            env.oracle.level_told(lease.level);
        }
        effects.into_iter().for_each(|effect| self.perform(effect, env));
    }

    fn reply(&mut self, way: Reply, answer: Answer, env: &mut Env) {
        match way {
            Reply::Welcome(conn) => {
                let welcomed = !matches!(answer, Answer::Refused { .. });
                self.answer(conn, Stream::Control, answer, env);
                if !welcomed {
                    self.leave(conn, env);
                } else if let Some(member) = self.members.get_mut(&conn) {
                    member.busy = false;
                }
                self.talk(conn, env);
            }
            Reply::Control(conn, seq) => {
                env.send(conn, Way::Down, Stream::Control, Payload::Answer(seq, answer));
                if let Some(member) = self.members.get_mut(&conn) {
                    member.busy = false;
                }
                self.talk(conn, env);
            }
            Reply::Supervisor { node, incarnation } => {
                let delay = env.net.delay(&mut env.random);
                env.after(delay, Event::Host(node, HostEvent::ObituaryHeard { incarnation }));
            }
        }
    }

    /// The lease has changed: everyone is told, and whoever appends may have to stop.
    pub(super) fn spread_news(&mut self, env: &mut Env) {
        let conns: Vec<_> = self.members.keys().copied().collect();
        for conn in conns {
            if let Some(member) = self.members.get_mut(&conn) {
                member.news = true;
            }
            self.talk(conn, env);
        }
        self.fence_appends(env);
    }
}

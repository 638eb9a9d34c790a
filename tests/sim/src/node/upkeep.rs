//! Simulates the upkeep actor, and commands that lock all shards for a long time.

use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{JoinHandle, spawn};
use std::time::Duration;

use tanist_db_core::clock::Clock;
use tanist_db_core::planted::planted;
use tanist_replication::limits::BEAT_EVERY;
use tanist_replication::node::{OwnRecord, SiblingOrder};
use tanist_replication::serving::{ExecutingLong, Permit};

use super::process::Process;
use super::{NodeEvent, SessionId};
use crate::clock::Time;
use crate::env::Env;
use crate::event::Event;

/// The bug that the role driver's own thread deletes what has expired, and waits for shards.
pub(super) fn role_driver_expires() -> bool {
    planted("the lease's thread waits for a shard")
}

/// A command that executes under the locks of all shards. They are held by a thread of its own, which does nothing else.
#[derive(Debug)]
pub(crate) struct Hold {
    until: Time,
    /// Dropped to let go of the shards.
    resume: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
    _executing: ExecutingLong,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.resume = None;
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl Process {
    /// A command takes all shards, if one may execute, and holds them for so long.
    pub(crate) fn hold_shards(&mut self, lasts: Duration, env: &mut Env) {
        if self.hold.is_some() {
            return;
        }
        let Ok(executing) = self.serving.enter_long(self.now()) else { return };
        env.oracle.entered(self.node);
        env.oracle.held();
        let engine = Arc::clone(&self.engine);
        let (hold, held) = sync_channel::<()>(0);
        let (resume, resumed) = sync_channel::<()>(0);
        let thread = spawn(move || {
            engine.while_held(|| {
                // Whoever listens goes on once all shards are locked, and ends the wait by going away.
                let _ = hold.send(());
                let _ = resumed.recv();
            });
        });
        let _ = held.recv();
        let until = env.now.after(lasts);
        env.say(format_args!("{}: a command holds all shards until {until:?}", self.name(env)));
        self.hold = Some(Hold { until, resume: Some(resume), thread: Some(thread), _executing: executing });
        env.at(until, Event::Node { node: self.node, life: self.life, event: NodeEvent::HoldEnds });
    }

    pub(crate) fn end_hold(&mut self) {
        self.hold = None;
    }

    /// Until when `event` would keep its thread waiting, if that thread waits for shards.
    pub(super) fn waits_until(&self, event: &NodeEvent) -> Option<Time> {
        let waits = matches!(event, NodeEvent::Expire) && role_driver_expires() && self.executes();
        self.hold.as_ref().filter(|_| waits).map(|hold| hold.until)
    }

    /// Runs the command that a session has sent apart, unless its client is gone.
    pub(super) fn run_apart(&mut self, id: SessionId, env: &mut Env) {
        if self.serving.may_execute(self.now()) == Permit::Yes {
            env.oracle.entered(self.node);
        }
        if let Some((job, done)) = self.sessions.take_job(id) {
            job();
            // A session that is gone hears of nothing.
            let _ = done.send(());
        }
    }

    pub(super) fn expire_beat(&mut self, env: &mut Env) {
        let more = self.upkeep.beat(self.now(), self.clock.unix());
        self.expire_after(more, env);
        self.later(BEAT_EVERY, NodeEvent::Expire, env);
    }

    pub(super) fn expire(&mut self, env: &mut Env) {
        let more = self.upkeep.expire(self.now(), self.clock.unix());
        self.expire_after(more, env);
    }

    fn expire_after(&self, more: Option<Duration>, env: &mut Env) {
        if let Some(pause) = more {
            self.later(pause, NodeEvent::ExpireMore, env);
        }
    }

    pub(super) fn append(&mut self, append: OwnRecord, env: &mut Env) {
        if let Some(until) = self.hold.as_ref().map(|hold| hold.until) {
            return self.put_off(until, SiblingOrder::Append(append), env);
        }
        let event = self.upkeep.append(append);
        if append == OwnRecord::Barrier {
            env.oracle.digest(self.engine.epoch(), self.engine.content_hash_at(), "a barrier");
        }
        self.mail(NodeEvent::Happened(event), env);
    }

    /// The thread waits for the shards.
    fn put_off(&self, until: Time, order: SiblingOrder, env: &mut Env) {
        let event = NodeEvent::Order(order, None);
        env.at(Time(until.0 + 1), Event::Node { node: self.node, life: self.life, event });
    }
}

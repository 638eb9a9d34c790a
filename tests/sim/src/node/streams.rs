//! The shipper's and the follower's part.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tanist_db_core::clock::Clock;
use tanist_db_core::engine::Engine;
use tanist_db_core::ids::Epoch;
use tanist_db_core::redo::batch::RedoBatch;
use tanist_replication::limits::SHIP_GATHER;
use tanist_replication::role::Event as RoleEvent;
use tanist_replication::serving::Serving;
use tanist_replication::stream::{Following, Shipping, Step, Taken, Told};
use tanist_replication::wire::frame::Frame;
use tanist_replication::wire::message::{Answer, Request};

use super::NodeEvent;
use super::process::Process;
use crate::env::Env;
use crate::net::{ConnId, Payload, Stream, Way};

/// The shipper's state.
#[derive(Debug)]
pub(super) struct Ship {
    wake: Arc<AtomicBool>,
    office: Option<(Epoch, Shipping)>,
    /// The append stream.
    place: Option<(ConnId, Stream)>,
    /// The vault has said where it goes on.
    ready: bool,
    /// Number of the newest turn: only its timer counts.
    turn: u64,
}

impl Ship {
    pub(super) fn new(engine: &Engine, serving: &Serving) -> Ship {
        let wake = Arc::new(AtomicBool::new(false));
        let waker = Arc::clone(&wake);
        engine.redo().on_append(Box::new(move || waker.store(true, Ordering::Relaxed)));
        let waker = Arc::clone(&wake);
        serving.on_demand(Box::new(move || waker.store(true, Ordering::Relaxed)));
        Ship { wake, office: None, place: None, ready: false, turn: 0 }
    }

    /// Whether anyone has woken the shipper.
    pub(super) fn take_wake(&self) -> bool {
        self.wake.swap(false, Ordering::Relaxed)
    }

    pub(super) fn bytes(&self) -> usize {
        self.office.as_ref().map_or(0, |(_, shipping)| shipping.bytes())
    }
}

/// A follow stream.
#[derive(Debug)]
pub(super) struct Follow {
    conn: ConnId,
    stream: Stream,
    following: Following,
    open: bool,
    /// The end of the run is on its way.
    ending: bool,
}

impl Process {
    pub(super) fn begin_ship(&mut self, conn: ConnId, epoch: Epoch, env: &mut Env) {
        self.drop_ship_stream(env);
        if self.ship.office.as_ref().is_none_or(|(own, _)| *own != epoch) {
            self.ship.office = Some((epoch, Shipping::default()));
        }
        let stream = Stream::Append(self.stream());
        (self.ship.place, self.ship.ready) = (Some((conn, stream)), false);
        self.send(conn, stream, Payload::Request(0, Request::Append { epoch: epoch.0 }), env);
    }

    fn drop_ship_stream(&mut self, env: &mut Env) {
        if let Some((conn, stream)) = self.ship.place.take() {
            self.send(conn, stream, Payload::Reset, env);
        }
    }

    pub(super) fn stop_ship(&mut self, env: &mut Env) {
        self.drop_ship_stream(env);
        self.ship.office = None;
    }

    /// What the vault says on the append stream.
    pub(super) fn ship_told(&mut self, conn: ConnId, stream: Stream, answer: Answer, env: &mut Env) {
        if self.ship.place != Some((conn, stream)) {
            return;
        }
        let Some((_, shipping)) = &mut self.ship.office else { return };
        match shipping.told(answer) {
            Told::Durable(lsn) => {
                self.ship.ready = true;
                self.serving.advance_durable(lsn);
                self.mail(NodeEvent::Happened(RoleEvent::Durable { lsn }), env);
                self.ship.wake.store(true, Ordering::Relaxed);
            }
            Told::Ended(event) => {
                self.ship.place = None;
                self.mail(NodeEvent::Happened(event), env);
            }
            Told::Lost(why) => {
                self.ship.place = None;
                self.mail(NodeEvent::StreamLost { conn, why: Some(format!("append stream: {why}")) }, env);
            }
        }
    }

    /// Ships what there is.
    pub(super) fn ship_on(&mut self, turn: u64, env: &mut Env) {
        if !self.ship.ready || (turn != 0 && turn != self.ship.turn) {
            return;
        }
        self.ship.turn += 1;
        let Some((conn, stream)) = self.ship.place else { return };
        loop {
            let now = self.clock.monotonic();
            let awaited = self.serving.is_awaited();
            let Some((_, shipping)) = &mut self.ship.office else { return };
            let (frame, taken) = match shipping.next(self.engine.redo(), awaited, now) {
                Step::Wait => return,
                Step::Gather => return self.later(SHIP_GATHER, NodeEvent::Ship(self.ship.turn), env),
                Step::Again(frame) => (frame, None),
                Step::Fresh(frame, bytes) => (frame, Some(bytes)),
                Step::Aside(batch, unsealed) => {
                    let bytes = batch.blob.len();
                    unsealed.fill(tanist_replication::stream::sealed(&batch));
                    self.taken(bytes);
                    continue;
                }
            };
            if let Some(bytes) = taken {
                self.taken(bytes);
            }
            self.send(conn, stream, Payload::Frame(frame), env);
        }
    }

    fn taken(&mut self, bytes: usize) {
        self.serving.room_freed();
        self.log_bytes += bytes as u64;
    }

    // --- The follower

    pub(super) fn begin_follow(&mut self, conn: ConnId, epoch: Epoch, env: &mut Env) {
        self.stop_follow(env);
        self.engine.end_epoch_before(epoch);
        let following = Following::after(self.engine.last());
        let stream = Stream::Follow(self.stream());
        self.send(conn, stream, Payload::Request(0, following.request()), env);
        self.follow = Some(Follow { conn, stream, following, open: false, ending: false });
    }

    pub(super) fn stop_follow(&mut self, env: &mut Env) {
        if let Some(follow) = self.follow.take() {
            env.send(follow.conn, Way::Up, follow.stream, Payload::Reset);
        }
    }

    pub(super) fn follow_brings(&mut self, conn: ConnId, stream: Stream, payload: Payload, env: &mut Env) {
        let Some(follow) = self.follow.as_mut().filter(|follow| (follow.conn, follow.stream) == (conn, stream)) else {
            return;
        };
        let taken = match payload {
            Payload::Answer(_, answer) if !follow.open => {
                follow.open = true;
                follow.following.opened(answer)
            }
            Payload::Answer(_, answer) => follow.following.message(answer),
            Payload::Frame(bytes) => match Frame::open(bytes) {
                Ok(frame) => self.apply(&frame, env),
                Err(error) => Taken::Lost(error.to_string()),
            },
            _ => Taken::On,
        };
        match taken {
            Taken::On => self.run_goes_on(env),
            Taken::Begun(event) => self.mail(NodeEvent::Happened(event), env),
            Taken::Echo => self.follow = None,
            Taken::Ended(event) => {
                self.follow = None;
                self.mail(NodeEvent::Happened(event), env);
            }
            Taken::Lost(why) => {
                self.follow = None;
                self.mail(NodeEvent::StreamLost { conn, why: Some(format!("follow stream: {why}")) }, env);
            }
        }
    }

    fn apply(&mut self, frame: &Frame, env: &mut Env) -> Taken {
        let Some(follow) = &mut self.follow else { return Taken::On };
        self.log_bytes += frame.bytes().len() as u64;
        let (engine, log_bytes) = (&self.engine, &mut self.log_bytes);
        let taken = follow.following.batch(frame, engine, &mut |cut| {
            *log_bytes = 0;
            let (at, hash) = engine.content_hash_at();
            if at == cut {
                env.oracle.digest(engine.epoch(), (at, hash), "a follower at a cut");
            }
        });
        if let (Taken::On, Ok(batch)) = (&taken, RedoBatch::open(frame.body())) {
            env.oracle.applied(&batch);
        }
        taken
    }

    fn run_goes_on(&mut self, env: &mut Env) {
        if let Some(follow) = self.follow.as_mut().filter(|follow| !follow.ending) {
            follow.ending = true;
            let wait = env.random.micros(5, 120);
            self.later(wait, NodeEvent::RunEnds, env);
        }
    }

    pub(super) fn end_run(&mut self, env: &mut Env) {
        let Some(follow) = self.follow.as_mut().filter(|follow| follow.ending) else { return };
        follow.ending = false;
        let run = follow.following.end_run();
        self.serving.advance_durable(run.durable);
        for event in run.events {
            self.mail(NodeEvent::Happened(event), env);
        }
    }
}

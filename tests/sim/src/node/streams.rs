//! Simulates the actors of shipper and follower: connects their inputs and outputs to the network.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tanist_db_core::clock::Clock;
use tanist_db_core::ids::Epoch;
use tanist_db_core::redo::batch::RedoBatch;
use tanist_replication::limits::{REFUSED_PAUSE, SHIP_GATHER};
use tanist_replication::node::{Following, Taken};
use tanist_replication::node::{Shared, Shipped, Shipper};
use tanist_replication::stream::{ShipStep, sealed};
use tanist_replication::wire::frame::Frame;
use tanist_replication::wire::message::Answer;

use super::NodeEvent;
use super::process::Process;
use crate::env::Env;
use crate::net::{ConnId, Payload, Stream, Way};

/// The shipper and its append stream.
#[derive(Debug)]
pub(super) struct Ship {
    wake: Arc<AtomicBool>,
    shipper: Shipper,
    /// What the order was about.
    order: Option<(ConnId, Epoch)>,
    /// The append stream.
    stream: Option<Stream>,
    /// The one whose records were refused, while another waits to be opened.
    refused: Option<Stream>,
    /// The vault has said where it goes on.
    ready: bool,
    /// Number of the newest turn: only its timer counts.
    turn: u64,
}

impl Ship {
    pub(super) fn new(shared: &Arc<Shared>) -> Ship {
        let wake = Arc::new(AtomicBool::new(false));
        let waker = Arc::clone(&wake);
        shared.engine.redo().on_append(Box::new(move || waker.store(true, Ordering::Relaxed)));
        let waker = Arc::clone(&wake);
        shared.serving.on_demand(Box::new(move || waker.store(true, Ordering::Relaxed)));
        let shipper = Shipper::new(Arc::clone(shared));
        Ship { wake, shipper, order: None, stream: None, refused: None, ready: false, turn: 0 }
    }

    /// Whether anyone has woken the shipper.
    pub(super) fn take_wake(&self) -> bool {
        self.wake.swap(false, Ordering::Relaxed)
    }

    pub(super) fn bytes(&self) -> usize {
        self.shipper.bytes()
    }
}

/// A follow stream.
#[derive(Debug)]
pub(super) struct Follow {
    conn: ConnId,
    stream: Stream,
    following: Following,
    /// The end of the run is on its way.
    ending: bool,
}

impl Process {
    pub(super) fn begin_ship(&mut self, conn: ConnId, epoch: Epoch, env: &mut Env) {
        self.drop_ship_stream(env);
        let request = self.ship.shipper.begin(epoch);
        let stream = Stream::Append(self.stream());
        self.ship.order = Some((conn, epoch));
        (self.ship.stream, self.ship.ready) = (Some(stream), false);
        self.send(conn, stream, Payload::Request(0, request), env);
    }

    fn drop_ship_stream(&mut self, env: &mut Env) {
        self.ship.refused = None;
        if let (Some((conn, _)), Some(stream)) = (self.ship.order.take(), self.ship.stream.take()) {
            self.send(conn, stream, Payload::Reset, env);
        }
    }

    pub(super) fn stop_ship(&mut self, env: &mut Env) {
        self.drop_ship_stream(env);
        self.ship.shipper.stop();
    }

    /// What the vault says on the append stream.
    pub(super) fn ship_told(&mut self, conn: ConnId, stream: Stream, answer: Answer, env: &mut Env) {
        if self.ship.stream != Some(stream) {
            return;
        }
        let shipped = self.ship.shipper.told([answer], self.now());
        if !matches!(shipped, Shipped::On(_)) {
            self.ship.stream = None;
        }
        match shipped {
            Shipped::On(event) => {
                self.ship.ready = true;
                event.into_iter().for_each(|event| self.mail(NodeEvent::Happened(event), env));
                self.ship.wake.store(true, Ordering::Relaxed);
            }
            Shipped::Over(event) => self.mail(NodeEvent::Happened(event), env),
            Shipped::Again => {
                self.ship.refused = Some(stream);
                self.later(REFUSED_PAUSE, NodeEvent::ShipAgain(stream), env);
            }
            Shipped::Lost(why) => self.mail(NodeEvent::StreamLost { conn, why: Some(why) }, env),
        }
    }

    /// The pause after a refusal on `stream` is over.
    pub(super) fn ship_again(&mut self, stream: Stream, env: &mut Env) {
        if let Some((conn, epoch)) = self.ship.order
            && self.ship.refused == Some(stream)
            && self.is_connected(conn)
        {
            self.begin_ship(conn, epoch, env);
        }
    }

    /// Ships what there is.
    pub(super) fn ship_on(&mut self, turn: u64, env: &mut Env) {
        if !self.ship.ready || (turn != 0 && turn != self.ship.turn) {
            return;
        }
        self.ship.turn += 1;
        let (Some((conn, _)), Some(stream)) = (self.ship.order, self.ship.stream) else { return };
        loop {
            match self.ship.shipper.next(self.clock.monotonic()) {
                ShipStep::Wait => return,
                ShipStep::Gather => return self.later(SHIP_GATHER, NodeEvent::Ship(self.ship.turn), env),
                ShipStep::Again(frame) | ShipStep::Fresh(frame, _) => {
                    self.send(conn, stream, Payload::Frame(frame), env)
                }
                ShipStep::Aside(batch, unsealed) => unsealed.fill(sealed(&batch)),
            }
        }
    }

    // --- The follower

    pub(super) fn begin_follow(&mut self, conn: ConnId, epoch: Epoch, env: &mut Env) {
        self.stop_follow(env);
        let following = Following::begin(Arc::clone(&self.shared), epoch);
        let stream = Stream::Follow(self.stream());
        self.send(conn, stream, Payload::Request(0, following.request()), env);
        self.follow = Some(Follow { conn, stream, following, ending: false });
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
            Payload::Answer(_, answer) => follow.following.message(answer),
            Payload::Frame(bytes) => match Frame::open(bytes) {
                Ok(frame) => self.apply(&frame, env),
                Err(error) => Taken::Lost(error.to_string()),
            },
            _ => Taken::On,
        };
        if matches!(taken, Taken::Echo | Taken::Ended(_) | Taken::Lost(_)) {
            self.follow = None;
        }
        match taken {
            Taken::On => self.run_goes_on(env),
            Taken::Begun(event) | Taken::Ended(event) => self.mail(NodeEvent::Happened(event), env),
            Taken::Echo => {}
            Taken::Lost(why) => self.mail(NodeEvent::StreamLost { conn, why: Some(why) }, env),
        }
    }

    fn apply(&mut self, frame: &Frame, env: &mut Env) -> Taken {
        let Some(follow) = &mut self.follow else { return Taken::On };
        let engine = &self.engine;
        let taken = follow.following.batch(frame, &mut |cut| {
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
        for event in follow.following.end_run() {
            self.mail(NodeEvent::Happened(event), env);
        }
    }
}

//! The environment that all parts of a run share: time, random numbers, the network, the oracles.

use std::fmt;
use std::time::Duration;

use crate::clock::{Time, TrueTime};
use crate::event::{Event, Queue};
use crate::fault::Moment;
use crate::net::{ConnId, Net, Payload, Stream, Way};
use crate::oracle::Oracle;
use crate::random::Random;
use crate::release::Releases;
use crate::scenario::Scenario;
use crate::trace::Trace;

/// The run's runtime.
#[derive(Debug)]
pub(crate) struct Env {
    pub(crate) now: Time,
    pub(crate) time: TrueTime,
    pub(crate) random: Random,
    pub(crate) scenario: Scenario,
    pub(crate) net: Net,
    pub(crate) oracle: Oracle,
    pub(crate) trace: Trace,
    pub(crate) queue: Queue,
    /// Moments that have come since the last event, for faults that wait for one.
    pub(crate) moments: Vec<(Moment, usize)>,
    /// Nodes that no client reaches.
    pub(crate) clients_cut: Vec<bool>,
    /// Nodes that no other node reaches.
    pub(crate) links_cut: Vec<bool>,
    /// Streams between nodes so far.
    pub(crate) links: u64,
    /// Which start of its process each node has had last.
    pub(crate) lives: Vec<u64>,
    /// What is installed where.
    pub(crate) releases: Releases,
    /// All faults are over.
    pub(crate) calm: bool,
}

impl Env {
    /// Something happens after `wait`.
    pub(crate) fn after(&mut self, wait: Duration, event: Event) {
        self.queue.put(self.now.after(wait), event);
    }

    /// Something happens at `at`, or now if that is past.
    pub(crate) fn at(&mut self, at: Time, event: Event) {
        self.queue.put(at.max(self.now), event);
    }

    pub(crate) fn say(&mut self, line: fmt::Arguments<'_>) {
        self.trace.say(self.now, line);
    }

    /// A node is at a point at which a fault of the plan may wait for it.
    pub(crate) fn moment(&mut self, moment: Moment, node: usize) {
        self.moments.push((moment, node));
    }

    /// Sends on a stream of a connection.
    pub(crate) fn send(&mut self, conn: ConnId, way: Way, stream: Stream, payload: Payload) {
        self.net.send(self.now, conn, way, stream, payload, &mut self.random, &mut self.queue);
    }

    /// A number that no other start of a process has.
    pub(crate) fn incarnation(&mut self) -> u64 {
        self.random.draw() >> 1 | 1
    }
}

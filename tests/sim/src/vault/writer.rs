//! The log writer's queue: each turn (group commit) takes a disk's time, while the next one forms.

use std::collections::VecDeque;
use std::time::Duration;

use tanist_db_core::ids::Lsn;
use tanist_replication::vault::catalog::LeaseRecord;
use tanist_replication::vault::log::segment::LogFrame;
use tanist_replication::vault::log::turn::{Done, LogOrder, Turn};
use tanist_replication::vault::log::writer::{LogState, LogWriter};

use super::{IDLE, Own, Vault};
use crate::env::Env;
use crate::net::{ConnId, Stream};

/// What waits for the writer.
#[derive(Debug)]
enum Item {
    Frame(LogFrame),
    Order(LogOrder<AppendStream, ()>),
}

/// An append stream.
type AppendStream = (ConnId, Stream);

/// The writer with what it has before it.
#[derive(Debug)]
pub(super) struct Writing {
    log: LogWriter,
    queue: VecDeque<Item>,
    /// What is being written.
    turn: Option<Turn<AppendStream, ()>>,
    turns: u64,
}

impl Writing {
    pub(super) fn new(log: LogWriter) -> Writing {
        Writing { log, queue: VecDeque::new(), turn: None, turns: 0 }
    }

    pub(super) fn state(&self) -> &LogState {
        self.log.state()
    }

    pub(super) fn log(&self) -> &LogWriter {
        &self.log
    }

    pub(super) fn failed(&self) -> Option<&str> {
        self.log.state().failed.as_deref()
    }

    pub(super) fn queued(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn frame(&mut self, frame: LogFrame) {
        self.queue.push_back(Item::Frame(frame));
    }

    pub(super) fn barrier(&mut self, conn: ConnId, stream: Stream) {
        self.queue.push_back(Item::Order(LogOrder::Barrier((conn, stream))));
    }

    pub(super) fn put_lease(&mut self, record: LeaseRecord, seal: bool) {
        self.queue.push_back(Item::Order(LogOrder::Lease { record, seal, way: () }));
    }

    pub(super) fn trim(&mut self, through: Lsn) {
        self.queue.push_back(Item::Order(LogOrder::Trim(through)));
    }

    pub(super) fn idle(&mut self, turn: u64) {
        if turn == self.turns && self.turn.is_none() {
            // What has failed stands in the state.
            let _ = self.log.settle();
        }
    }

    /// Takes the next group and the order behind it; false if there is nothing, or a turn is under way.
    fn begin(&mut self) -> bool {
        if self.turn.is_some() || self.queue.is_empty() || self.failed().is_some() {
            return false;
        }
        let mut turn = Turn::default();
        while !turn.is_full()
            && let Some(item) = self.queue.pop_front()
        {
            match item {
                Item::Frame(frame) => turn.frame(frame),
                Item::Order(order) => turn.order(order),
            }
        }
        self.turns += 1;
        self.turn = Some(turn);
        true
    }

    /// Does what the turn is about.
    fn end(&mut self) -> (Vec<LogFrame>, Option<Done<AppendStream, ()>>) {
        let Some(turn) = self.turn.take() else { return (Vec::new(), None) };
        let (group, order) = turn.into_parts();
        if self.log.commit(group.clone()).is_err() {
            return (group, None);
        }
        // What has failed stands in the state.
        let done = order.and_then(|order| self.log.obey(order).ok());
        (group, done)
    }
}

impl Vault {
    /// Begins the writer's next turn if it has something to do.
    pub(super) fn write(&mut self, slow: u64, env: &mut Env) {
        if self.writing.begin() {
            let usual = env.random.micros(40, 200);
            let long = if slow > 1 { env.random.micros(0, 4_000 * slow) } else { Duration::ZERO };
            self.later(usual + long, Own::Written, env);
        }
    }

    pub(super) fn written(&mut self, env: &mut Env) {
        let before = self.durable();
        let (group, done) = self.writing.end();
        let durable = self.durable();
        if self.writing.failed().is_some() {
            return;
        }
        if durable > before {
            env.trace.step(env.now, &[durable.0]);
            env.oracle.committed(group.iter().filter(|frame| frame.first > before && frame.last <= durable));
        }
        match done {
            Some(Done::Barrier((conn, stream), state)) => self.begin_append(conn, stream, &state, env),
            Some(Done::Lease((), sealed)) => self.persisted(sealed, env),
            Some(Done::Trimmed) | None => {}
        }
        self.acknowledge_all(env);
        self.push_all(env);
        self.publish_reached(env);
        self.later(IDLE, Own::Idle(self.writing.turns), env);
    }
}

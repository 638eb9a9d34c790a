//! The nodes in the model: real role machines around engines that are lists, and the messages in flight between them and the
//! vault.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tanist_db_core::clock::Monotonic;
use tanist_db_core::ids::{Epoch, Lsn};

pub(super) use super::super::event::Event;
use super::super::{Ask, Effect, End, Identity, Machine, Sight};
use super::vault::{Sent, Vault, caller, name};
use super::{Budget, Planted};
use crate::lease::LeaseTimes;
use crate::serving::Standing;
use crate::vault::lease::authority::StreamId;
use crate::wire::message::Peer;

pub(super) const LEASE: Duration = Duration::from_millis(400);
pub(super) const TICK: Duration = Duration::from_millis(200);

/// The epoch that decided it, and a number that no other record has.
pub(super) type Record = (u64, u8);

/// On its way to the vault.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Up {
    Ask { ask: Ask, sent: Monotonic },
    OpenAppend(Epoch),
    Append { stream: StreamId, epoch: Epoch, first: usize, records: Vec<Record> },
    Follow { after: usize },
}

/// On its way to a node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Down {
    /// On the control stream.
    Answer(Event),
    /// On an append or follow stream, as the following.
    Event(Event),
    Ready {
        stream: StreamId,
        durable: Lsn,
    },
    Records {
        first: usize,
        records: Vec<Record>,
    },
}

/// Streams of a connection: what is sent on one arrives in order, and the two are independent of each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum StreamKind {
    Control,
    Data,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct ModelNode {
    pub(super) machine: Machine,
    pub(super) standing: Standing,
    /// Its state: what it has applied or executed.
    pub(super) applied: Vec<Record>,
    pub(super) following: bool,
    /// The open append stream, and how much has gone into it.
    stream: Option<(StreamId, Epoch, usize)>,
    /// How far its clients have been answered.
    answered: usize,
    /// A session is paused between its permission and its execution.
    pub(super) entered: bool,
    pub(super) incarnation: u64,
    pub(super) alive: bool,
    /// Its supervisor has not told of its death yet.
    pub(super) unburied: bool,
    pub(super) connection: Option<u64>,
    /// What it has sent, by connection: an old one may still deliver.
    pub(super) up: BTreeMap<(u64, StreamKind), VecDeque<Up>>,
    pub(super) down: BTreeMap<StreamKind, VecDeque<Down>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct World {
    /// By the vault's clock.
    pub(super) now: Monotonic,
    pub(super) vault: Vault,
    pub(super) nodes: Vec<ModelNode>,
    /// What clients have been told to be done: position and record.
    pub(super) promised: Vec<(usize, Record)>,
    /// A node has given up for good: never expected.
    pub(super) failed: bool,
    pub(super) left: Budget,
    records: u8,
    /// Of each connection so far, the start of the process that has made it.
    connections: Vec<u64>,
}

impl ModelNode {
    fn new(node: usize, incarnation: u64) -> ModelNode {
        let me = Identity {
            node: name(node).to_owned(),
            incarnation,
            resp_address: String::new(),
            quic_address: String::new(),
        };
        ModelNode {
            machine: Machine::new(me, LeaseTimes::of(LEASE), Lsn::ZERO),
            standing: Standing::joining(),
            applied: Vec::new(),
            following: false,
            stream: None,
            answered: 0,
            entered: false,
            incarnation,
            alive: true,
            unburied: false,
            connection: None,
            up: BTreeMap::new(),
            down: BTreeMap::new(),
        }
    }

    fn send(&mut self, lane: StreamKind, up: Up) {
        if let Some(connection) = self.connection {
            self.up.entry((connection, lane)).or_default().push_back(up);
        }
    }

    /// Everything that the open stream has not carried goes into it.
    fn ship(&mut self) {
        let end = self.applied.len();
        if let Some((stream, epoch, sent)) = self.stream
            && sent < end
        {
            let records = self.applied[sent..].to_vec();
            self.send(StreamKind::Data, Up::Append { stream, epoch, first: sent, records });
            self.stream = Some((stream, epoch, end));
        }
    }

    fn disconnect(&mut self) {
        self.connection = None;
        self.stream = None;
        self.following = false;
        self.down.clear();
    }
}

impl World {
    pub(super) fn new(left: Budget) -> World {
        let now = Monotonic(1_000_000);
        World {
            now,
            vault: Vault::new(now),
            nodes: vec![ModelNode::new(0, 1), ModelNode::new(1, 1)],
            promised: Vec::new(),
            failed: false,
            left,
            records: 0,
            connections: Vec::new(),
        }
    }

    /// A node's own clock.
    pub(super) fn local(&self, node: usize, planted: Planted) -> Monotonic {
        let slow = if node == 0 { planted.slow_percent } else { 0 };
        Monotonic(self.now.0 * (100 - slow) / 100)
    }

    pub(super) fn may_execute(&self, node: usize, planted: Planted) -> bool {
        let at = &self.nodes[node];
        at.alive && self.local(node, planted) < at.standing.execute_until
    }

    /// Whether all that clients were told to be done is in `records`.
    pub(super) fn has_promised(&self, records: &[Record]) -> bool {
        self.promised.iter().all(|(position, record)| records.get(*position) == Some(record))
    }

    pub(super) fn tick(&mut self) {
        self.now = self.now.after(TICK);
        let news = self.vault.tick(self.now);
        self.deliver_later(news);
    }

    pub(super) fn connect(&mut self, node: usize, planted: Planted) {
        let incarnation = self.nodes[node].incarnation;
        self.connections.push(incarnation);
        let connection = self.connections.len() as u64;
        self.nodes[node].connection = Some(connection);
        let event = self.vault.connect(self.now, node, incarnation, connection);
        self.handle(node, event, planted);
    }

    pub(super) fn cut(&mut self, node: usize, planted: Planted) {
        self.nodes[node].disconnect();
        self.handle(node, Event::Disconnected, planted);
    }

    /// The process dies; what it has sent may still arrive.
    pub(super) fn kill(&mut self, node: usize) {
        let old = &mut self.nodes[node];
        old.disconnect();
        (old.alive, old.unburied, old.entered) = (false, true, false);
        old.standing = Standing::joining();
    }

    pub(super) fn obituary(&mut self, node: usize) {
        self.nodes[node].unburied = false;
        self.vault.obituary(self.now, node, self.nodes[node].incarnation);
    }

    pub(super) fn restart(&mut self, node: usize) {
        let up = std::mem::take(&mut self.nodes[node].up);
        let incarnation = self.nodes[node].incarnation + 1;
        self.nodes[node] = ModelNode { up, ..ModelNode::new(node, incarnation) };
    }

    pub(super) fn restart_vault(&mut self, planted: Planted) {
        self.vault.restart(self.now);
        for node in 0..self.nodes.len() {
            self.nodes[node].up.clear();
            if self.nodes[node].connection.is_some() {
                self.cut(node, planted);
            }
        }
    }

    pub(super) fn persist(&mut self) {
        let sent = self.vault.persist(self.now);
        self.deliver_later(sent);
    }

    /// The machine's alarm has rung, some time ago perhaps.
    pub(super) fn look(&mut self, node: usize, planted: Planted) {
        let at = &self.nodes[node];
        let last = Lsn(at.applied.len() as u64);
        let sight = Sight { executing: u32::from(at.entered), last, ..Sight::default() };
        self.handle(node, Event::Tick(sight), planted);
    }

    pub(super) fn report(&mut self, node: usize) {
        let at = &self.nodes[node];
        let Some(connection) = at.connection else { return };
        let caller = caller(node, at.incarnation, connection, Peer::Database);
        self.vault.report(self.now, &caller, at.machine.role().word(), at.applied.len() as u64);
    }

    /// A session that was allowed to executes a write.
    pub(super) fn execute(&mut self, node: usize) {
        self.nodes[node].entered = false;
        let epoch = self.nodes[node].standing.epoch.0;
        self.append(node, epoch);
    }

    fn append(&mut self, node: usize, epoch: u64) {
        self.records += 1;
        let record = (epoch, self.records);
        self.nodes[node].applied.push(record);
        self.nodes[node].ship();
    }

    pub(super) fn arrive_at_vault(&mut self, node: usize, connection: u64, lane: StreamKind, planted: Planted) {
        let incarnation = self.connections[connection as usize - 1];
        let Some(queue) = self.nodes[node].up.get_mut(&(connection, lane)) else { return };
        let Some(up) = queue.pop_front() else { return };
        if queue.is_empty() {
            self.nodes[node].up.remove(&(connection, lane));
        }
        let caller = caller(node, incarnation, connection, Peer::Database);
        let sent = self.vault.receive(self.now, node, &caller, up, !planted.no_epoch_check);
        self.deliver_later(sent);
    }

    fn deliver_later(&mut self, sent: Vec<Sent>) {
        for (node, connection, down) in sent {
            let lane = if matches!(down, Down::Answer(_)) { StreamKind::Control } else { StreamKind::Data };
            let node = &mut self.nodes[node];
            if node.connection == Some(connection) {
                node.down.entry(lane).or_default().push_back(down);
            }
        }
    }

    pub(super) fn arrive_at_node(&mut self, node: usize, lane: StreamKind, planted: Planted) {
        let Some(queue) = self.nodes[node].down.get_mut(&lane) else { return };
        let Some(down) = queue.pop_front() else { return };
        if queue.is_empty() {
            self.nodes[node].down.remove(&lane);
        }
        match down {
            Down::Answer(event) => self.handle(node, event, planted),
            Down::Event(event) => {
                if let Event::Durable { lsn } = event {
                    self.answer(node, lsn);
                }
                self.handle(node, event, planted);
            }
            Down::Ready { stream, durable } => {
                let at = &mut self.nodes[node];
                at.stream = Some((stream, at.standing.epoch, durable.0 as usize));
                at.ship();
                self.answer(node, durable);
                self.handle(node, Event::Durable { lsn: durable }, planted);
            }
            Down::Records { first, records } => {
                let at = &mut self.nodes[node];
                let has = at.applied.len();
                if at.following && first <= has {
                    at.applied.extend(records.into_iter().skip(has - first));
                    at.answered = at.answered.max(at.applied.len());
                    let last = Lsn(at.applied.len() as u64);
                    self.handle(node, Event::Applied { last }, planted);
                }
            }
        }
    }

    /// Replies leave up to `durable`.
    fn answer(&mut self, node: usize, durable: Lsn) {
        let at = &mut self.nodes[node];
        let until = (durable.0 as usize).min(at.applied.len());
        for position in at.answered..until {
            self.promised.push((position, at.applied[position]));
        }
        at.answered = at.answered.max(until);
    }

    pub(super) fn handle(&mut self, node: usize, mut event: Event, planted: Planted) {
        let now = self.local(node, planted);
        if planted.counts_from_answer
            && let Event::Claimed { sent, .. } | Event::Lease { sent, .. } = &mut event
        {
            *sent = now;
        }
        let mut effects = Vec::new();
        self.nodes[node].machine.handle(event, now, &mut effects);
        for effect in effects {
            self.act(node, effect, planted);
        }
    }

    fn act(&mut self, node: usize, effect: Effect, planted: Planted) {
        let sent = self.local(node, planted);
        let at = &mut self.nodes[node];
        match effect {
            Effect::Publish(standing) => at.standing = standing,
            Effect::Ask(ask) => at.send(StreamKind::Control, Up::Ask { ask, sent }),
            Effect::OpenAppend(epoch) => at.send(StreamKind::Data, Up::OpenAppend(epoch)),
            Effect::CloseAppend => at.stream = None,
            Effect::StartFollow => {
                at.following = true;
                let after = at.applied.len();
                at.send(StreamKind::Data, Up::Follow { after });
            }
            Effect::StopFollow => at.following = false,
            Effect::BeginEpoch(epoch) => {
                self.append(node, epoch.0);
                self.append_own(node, planted);
            }
            Effect::Barrier => {
                let epoch = at.standing.epoch.0;
                self.append(node, epoch);
                self.append_own(node, planted);
            }
            Effect::TookOver(_) | Effect::SwitchoverUnsettled(_) | Effect::SwitchoverEnded(_) => {}
            Effect::End(end) => {
                self.failed |= matches!(end, End::Failed(_));
                self.kill(node);
            }
        }
    }

    fn append_own(&mut self, node: usize, planted: Planted) {
        let lsn = Lsn(self.nodes[node].applied.len() as u64);
        self.handle(node, Event::OwnRecordAppended { lsn }, planted);
    }
}

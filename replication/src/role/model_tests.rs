//! Two machines and a model of the vault on one clock, driven by seeded chance: messages are delayed, connections cut, processes
//! killed and started again, switchovers asked for. At every moment at most one node may execute by its own count; every record
//! that was confirmed is in the log at the end, and it ends with somebody serving.
//!
//! The engine is a list of record numbers; only the order of records, positions and epochs matter here.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tanist_db_core::clock::Monotonic;
use tanist_db_core::ids::{Epoch, Lsn};

use super::*;
use crate::lease::LeaseTimes;
use crate::serving::{Role, Standing};
use crate::wire::message::{FollowerView, LeaseView, Progress};

const LEASE: Duration = Duration::from_millis(400);
const STEP: Duration = Duration::from_micros(500);

/// A record: which epoch wrote it, and its unique content.
type Record = (u64, u64);

struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

#[derive(Default)]
struct Vault {
    log: Vec<Record>,
    view: LeaseView,
    ended: bool,
    expiry: Monotonic,
    sealed: u64,
    /// Newest report of each node with its start.
    reports: BTreeMap<&'static str, (u64, Progress)>,
}

enum ToVault {
    Ask(Ask),
    Append { epoch: u64, first: u64, records: Vec<Record> },
}

enum ToNode {
    Event(Event),
    Records { first: u64, records: Vec<Record> },
}

struct Node {
    name: &'static str,
    incarnation: u64,
    machine: Machine,
    standing: Standing,
    /// State: what this node has applied or executed.
    applied: Vec<Record>,
    following: bool,
    append: Option<u64>,
    shipped: u64,
    durable: u64,
    connected: bool,
    connection: u64,
    /// Cut off until then.
    away_until: Monotonic,
    stopped: bool,
    alive: bool,
}

/// A message under way: when it arrives, on which connection of which node, when it was sent.
struct Flight<T> {
    at: Monotonic,
    node: usize,
    connection: u64,
    sent: Monotonic,
    message: T,
}

struct World {
    seed: u64,
    random: Random,
    now: Monotonic,
    vault: Vault,
    nodes: Vec<Node>,
    up: VecDeque<Flight<ToVault>>,
    down: VecDeque<Flight<ToNode>>,
    confirmed: Vec<(u64, Record)>,
    content: u64,
    takeovers: u32,
    switchovers: u32,
}

fn machine(name: &'static str, incarnation: u64, applied: usize) -> Machine {
    let me =
        Identity { node: name.to_owned(), incarnation, resp_address: name.to_owned(), quic_address: name.to_owned() };
    Machine::new(me, LeaseTimes::of(LEASE), Lsn(applied as u64))
}

impl Vault {
    fn live(&self, now: Monotonic) -> bool {
        self.view.epoch > 0 && !self.ended && now < self.expiry
    }

    fn show(&self, now: Monotonic) -> LeaseView {
        let left = if self.live(now) { self.expiry.since(now) } else { Duration::ZERO };
        LeaseView { remaining_us: left.as_micros() as u64, ..self.view.clone() }
    }

    fn holds(&self, node: &Node, epoch: u64) -> bool {
        let same = self.view.holder == node.name && self.view.incarnation == node.incarnation;
        same && epoch == self.view.epoch && !self.ended && epoch > 0
    }

    fn grant(&mut self, now: Monotonic, name: &str, incarnation: u64) {
        let epoch = self.view.epoch + 1;
        self.view = LeaseView { epoch, holder: name.to_owned(), incarnation, ..LeaseView::default() };
        (self.ended, self.expiry, self.sealed) = (false, now.after(LEASE), self.log.len() as u64);
    }

    /// The answer, and whether the lease has changed for everyone to know.
    fn ask(&mut self, now: Monotonic, sent: Monotonic, node: &Node, ask: Ask) -> (Event, bool) {
        let mut changed = false;
        match &ask {
            Ask::Renew { epoch } if self.holds(node, epoch.0) => self.expiry = now.after(LEASE),
            Ask::Claim { seen } => {
                let repeated = self.holds(node, seen.0 + 1);
                if repeated {
                    self.expiry = now.after(LEASE);
                } else if seen.0 == self.view.epoch && !self.live(now) {
                    self.grant(now, node.name, node.incarnation);
                    changed = true;
                }
                if repeated || changed {
                    let (epoch, sealed) = (Epoch(self.view.epoch), Lsn(self.sealed));
                    return (Event::Claimed { epoch, sealed, sent }, changed);
                }
            }
            Ask::HandOver { epoch, successor, at } if self.holds(node, epoch.0) => {
                let end = at.0 == self.log.len() as u64;
                match self.reports.get(successor.as_str()).cloned() {
                    Some((incarnation, report)) if end && report.applied == at.0 => {
                        self.grant(now, successor, incarnation);
                        changed = true;
                    }
                    _ => return (Event::Refused { ask, why: "not so".to_owned() }, false),
                }
            }
            Ask::Release { epoch } if self.holds(node, epoch.0) => (self.ended, changed) = (true, true),
            Ask::Followers => {
                let others = self.reports.iter().filter(|(name, _)| **name != node.name);
                let nodes = others.map(|(name, (incarnation, progress))| FollowerView {
                    node: (*name).to_owned(),
                    incarnation: *incarnation,
                    progress: progress.clone(),
                    ..FollowerView::default()
                });
                return (Event::Followers { sent, nodes: nodes.collect() }, false);
            }
            _ => {}
        }
        (Event::Lease { ask, sent, view: self.show(now) }, changed)
    }
}

impl World {
    fn new(seed: u64) -> World {
        let node = |name| Node {
            name,
            incarnation: 0,
            machine: machine(name, 0, 0),
            standing: Standing::joining(),
            applied: Vec::new(),
            following: false,
            append: None,
            shipped: 0,
            durable: 0,
            connected: false,
            connection: 0,
            away_until: Monotonic(0),
            stopped: true,
            alive: false,
        };
        World {
            seed,
            random: Random(seed),
            now: Monotonic(1_000_000),
            vault: Vault::default(),
            nodes: vec![node("a"), node("b")],
            up: VecDeque::new(),
            down: VecDeque::new(),
            confirmed: Vec::new(),
            content: 0,
            takeovers: 0,
            switchovers: 0,
        }
    }

    fn delay(&mut self) -> Monotonic {
        let slow = if self.random.below(200) == 0 { 300_000 } else { 3_000 };
        self.now.after(Duration::from_micros(50 + self.random.below(slow)))
    }

    fn tell_vault(&mut self, node: usize, message: ToVault) {
        let (at, connection, sent) = (self.delay(), self.nodes[node].connection, self.now);
        // One ordered stream a connection: nothing overtakes.
        let at =
            self.up.iter().filter(|f| f.node == node && f.connection == connection).map(|f| f.at).fold(at, Ord::max);
        self.up.push_back(Flight { at, node, connection, sent, message });
    }

    fn tell_node(&mut self, node: usize, connection: u64, message: ToNode) {
        let at = self.delay();
        let at =
            self.down.iter().filter(|f| f.node == node && f.connection == connection).map(|f| f.at).fold(at, Ord::max);
        self.down.push_back(Flight { at, node, connection, sent: self.now, message });
    }

    fn start(&mut self, i: usize) {
        // The newest image is the empty one: a joining node reads the whole log.
        let node = &mut self.nodes[i];
        node.incarnation += 1;
        node.machine = machine(node.name, node.incarnation, 0);
        node.standing = Standing::joining();
        node.applied.clear();
        (node.following, node.append, node.shipped, node.durable) = (false, None, 0, 0);
        (node.alive, node.connected, node.stopped) = (true, false, false);
    }

    /// The process ends; its supervisor may tell the vault.
    fn kill(&mut self, i: usize, obituary: bool) {
        let node = &mut self.nodes[i];
        (node.alive, node.connected) = (false, false);
        let (name, incarnation) = (node.name, node.incarnation);
        let holder = self.vault.view.holder == name && self.vault.view.incarnation == incarnation;
        if obituary {
            self.vault.reports.retain(|_, (start, _)| *start != incarnation || name.is_empty());
            if holder && !self.vault.ended {
                self.vault.ended = true;
                self.news();
            }
        }
    }

    fn news(&mut self) {
        for i in 0..self.nodes.len() {
            let view = self.vault.show(self.now);
            let connection = self.nodes[i].connection;
            self.tell_node(i, connection, ToNode::Event(Event::News(view)));
        }
    }

    fn handle(&mut self, i: usize, event: Event) {
        let mut effects = Vec::new();
        self.nodes[i].machine.handle(event, self.now, &mut effects);
        for effect in effects {
            self.act(i, effect);
        }
        self.check_one_executes();
    }

    fn act(&mut self, i: usize, effect: Effect) {
        let node = &mut self.nodes[i];
        match effect {
            Effect::Publish(standing) => node.standing = standing,
            // Now and then the request is slow and the connection is lost right behind it: it arrives after the fresh one.
            Effect::Ask(ask @ Ask::HandOver { .. }) if node.connected && self.random.below(4) == 0 => {
                self.tell_vault(i, ToVault::Ask(ask));
                if let Some(flight) = self.up.back_mut() {
                    flight.at = flight.at.after(Duration::from_millis(30));
                }
                self.cut(i);
            }
            Effect::Ask(ask) if node.connected => self.tell_vault(i, ToVault::Ask(ask)),
            Effect::Ask(_) => {}
            Effect::OpenAppend(epoch) => {
                // Answered at once: whatever older streams sent has been judged by then.
                node.append = Some(epoch.0);
                if self.vault.holds(&self.nodes[i], epoch.0) {
                    let (connection, durable) = (self.nodes[i].connection, self.vault.log.len() as u64);
                    self.nodes[i].shipped = durable;
                    self.tell_node(i, connection, ToNode::Event(Event::Durable { lsn: Lsn(durable) }));
                }
            }
            Effect::CloseAppend => node.append = None,
            Effect::StartFollow => {
                node.following = true;
                let (connection, after) = (node.connection, node.applied.len());
                let durable = Lsn(self.vault.log.len() as u64);
                self.tell_node(i, connection, ToNode::Event(Event::Following { durable }));
                let records = self.vault.log.get(after..).unwrap_or_default().to_vec();
                self.tell_node(i, connection, ToNode::Records { first: after as u64, records });
            }
            Effect::StopFollow => node.following = false,
            Effect::BeginEpoch(epoch) => {
                node.following = false;
                self.append(i, epoch.0);
                let lsn = Lsn(self.nodes[i].applied.len() as u64);
                self.handle(i, Event::Marked { lsn });
            }
            Effect::Mark => {
                let epoch = self.nodes[i].standing.epoch.0;
                self.append(i, epoch);
                let lsn = Lsn(self.nodes[i].applied.len() as u64);
                self.handle(i, Event::Marked { lsn });
            }
            Effect::TookOver(_) => self.takeovers += 1,
            Effect::SwitchoverUnsettled(_) => {}
            Effect::SwitchoverEnded(outcome) => self.switchovers += u32::from(outcome.is_ok()),
            Effect::End(End::Failed(why)) => panic!("seed {}: {why}", self.seed),
            Effect::End(end) => {
                self.nodes[i].stopped = end == End::Stopped;
                self.kill(i, true);
            }
        }
    }

    fn append(&mut self, i: usize, epoch: u64) {
        self.content += 1;
        self.nodes[i].applied.push((epoch, self.content));
    }

    fn check_one_executes(&self) {
        let executing: Vec<_> = self.nodes.iter().filter(|n| n.alive && self.now < n.standing.execute_until).collect();
        assert!(executing.len() <= 1, "seed {}: two nodes execute at {:?}", self.seed, self.now);
    }

    fn deliver_up(&mut self, flight: Flight<ToVault>) {
        let Flight { node: i, connection, sent, message, .. } = flight;
        match message {
            ToVault::Ask(ask) => {
                let (answer, changed) = self.vault.ask(self.now, sent, &self.nodes[i], ask);
                self.tell_node(i, connection, ToNode::Event(answer));
                if changed {
                    self.news();
                }
            }
            ToVault::Append { epoch, first, records } => {
                if !self.vault.holds(&self.nodes[i], epoch) {
                    let epoch = Epoch(self.vault.view.epoch);
                    return self.tell_node(i, connection, ToNode::Event(Event::Fenced { epoch }));
                }
                let known = (self.vault.log.len() as u64).saturating_sub(first) as usize;
                if first > self.vault.log.len() as u64 || connection != self.nodes[i].connection {
                    return;
                }
                let fresh: Vec<_> = records.into_iter().skip(known).collect();
                let begin = self.vault.log.len() as u64;
                self.vault.log.extend(&fresh);
                let durable = Lsn(self.vault.log.len() as u64);
                self.tell_node(i, connection, ToNode::Event(Event::Durable { lsn: durable }));
                for other in 0..self.nodes.len() {
                    if other != i && self.nodes[other].following {
                        let connection = self.nodes[other].connection;
                        self.tell_node(other, connection, ToNode::Records { first: begin, records: fresh.clone() });
                    }
                }
            }
        }
    }

    fn deliver_down(&mut self, flight: Flight<ToNode>) {
        let Flight { node: i, connection, message, .. } = flight;
        let node = &mut self.nodes[i];
        if !node.alive || !node.connected || node.connection != connection {
            return;
        }
        match message {
            ToNode::Event(event) => {
                if let Event::Durable { lsn } = event {
                    for at in node.durable..lsn.0 {
                        if let Some(record) = node.applied.get(at as usize) {
                            self.confirmed.push((at, *record));
                        }
                    }
                    node.durable = node.durable.max(lsn.0);
                }
                self.handle(i, event);
            }
            ToNode::Records { first, records } => {
                let has = node.applied.len() as u64;
                if !node.following || first > has {
                    return;
                }
                node.applied.extend(records.into_iter().skip((has - first) as usize));
                let last = Lsn(node.applied.len() as u64);
                node.durable = node.durable.max(last.0);
                self.handle(i, Event::Applied { last });
            }
        }
    }

    fn connect(&mut self, i: usize) {
        let node = &mut self.nodes[i];
        node.connection += 1;
        node.connected = true;
        let view = self.vault.show(self.now);
        self.handle(i, Event::Connected { view, length: LEASE });
    }

    fn cut(&mut self, i: usize) {
        let away = if self.random.below(4) == 0 { LEASE * 3 } else { Duration::ZERO };
        self.nodes[i].connected = false;
        self.nodes[i].away_until = self.now.after(away);
        self.handle(i, Event::Disconnected);
    }

    /// What a node does by itself: execute, ship, report, look.
    fn live(&mut self, i: usize) {
        if !self.nodes[i].alive {
            return;
        }
        let node = &self.nodes[i];
        // Clients come and go: at times nobody writes for a quarter of a second.
        let busy = self.now.0 % 500_000 < 250_000;
        if self.now < node.standing.execute_until && busy && self.random.below(3) == 0 {
            let epoch = node.standing.epoch.0;
            self.append(i, epoch);
        }
        let node = &mut self.nodes[i];
        let end = node.applied.len() as u64;
        if let (Some(epoch), true) = (node.append, node.connected && node.shipped < end && !node.following) {
            let (first, records) = (node.shipped, node.applied[node.shipped as usize..].to_vec());
            node.shipped = end;
            self.tell_vault(i, ToVault::Append { epoch, first, records });
        }
        let node = &self.nodes[i];
        if node.connected && self.random.below(4) == 0 {
            let role = node.machine.role().word().to_owned();
            let progress = Progress { role, applied: end, ..Progress::default() };
            self.vault.reports.insert(node.name, (node.incarnation, progress));
        }
        if self.nodes[i].machine.wake_at().is_some_and(|at| at <= self.now) {
            let last = Lsn(self.nodes[i].applied.len() as u64);
            let sight = Sight { last, ..Sight::default() };
            self.handle(i, Event::Tick(sight));
        }
    }

    fn step(&mut self, faults: bool) {
        self.now = self.now.after(STEP);
        self.check_one_executes();
        while let Some(k) = self.up.iter().position(|flight| flight.at <= self.now) {
            let flight = self.up.remove(k).unwrap();
            self.deliver_up(flight);
        }
        while let Some(k) = self.down.iter().position(|flight| flight.at <= self.now) {
            let flight = self.down.remove(k).unwrap();
            self.deliver_down(flight);
        }
        for i in 0..self.nodes.len() {
            self.live(i);
            let node = &self.nodes[i];
            match (node.alive, node.connected) {
                (false, _) if self.random.below(200) == 0 => self.start(i),
                (true, false) if self.now >= node.away_until && self.random.below(20) == 0 => self.connect(i),
                (true, true) if faults && self.random.below(1_500) == 0 => self.cut(i),
                (true, _) if faults && self.random.below(6_000) == 0 => {
                    let obituary = self.random.below(2) == 0;
                    self.kill(i, obituary);
                }
                (true, _) if faults && self.random.below(8_000) == 0 => self.handle(i, Event::Shutdown),
                (true, true) if self.random.below(400) == 0 => self.handle(i, Event::SwitchoverAsked { to: None }),
                _ => {}
            }
        }
    }

    fn check_log(&self) {
        for (at, record) in &self.confirmed {
            assert_eq!(self.vault.log.get(*at as usize), Some(record), "seed {}: confirmed and gone", self.seed);
        }
        let epochs: Vec<u64> = self.vault.log.iter().map(|record| record.0).collect();
        assert!(epochs.is_sorted(), "seed {}: an epoch went back", self.seed);
        for node in self.nodes.iter().filter(|node| node.alive && node.following) {
            assert!(self.vault.log.starts_with(&node.applied), "seed {}: {} has parted", self.seed, node.name);
        }
    }
}

#[test]
fn never_two_serve_and_nothing_confirmed_is_lost() {
    let (mut takeovers, mut switchovers, mut confirmed) = (0, 0, 0);
    for seed in 0..150 {
        let mut world = World::new(seed);
        for step in 0..12_000 {
            world.step(true);
            if step % 500 == 0 {
                world.check_log();
            }
        }
        let (before, writes) = (world.confirmed.len(), world.content);
        for _ in 0..4_000 {
            world.step(false);
        }
        world.check_log();
        assert!(world.confirmed.len() > before + 100, "seed {seed}: no service after the faults ({writes} writes)");
        let serving = world.nodes.iter().filter(|node| node.standing.role == Role::Primary).count();
        assert!(serving <= 1 || world.nodes.iter().any(|node| !node.alive), "seed {seed}");
        takeovers += world.takeovers;
        switchovers += world.switchovers;
        confirmed += world.confirmed.len();
    }
    assert!(takeovers > 200 && switchovers > 100, "{takeovers} takeovers, {switchovers} switchovers: too tame");
    println!("{takeovers} takeovers, {switchovers} switchovers, {confirmed} confirmed records");
}

//! The main loop of a run: processes one event after the other.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use tanist_db_core::clock::Clock;
use tanist_replication::limits::IDLE_MAX;
use tanist_replication::role::Event as RoleEvent;

use crate::client::{Client, ClientEvent};
use crate::clock::{MachineClock, Time, TrueTime};
use crate::env::Env;
use crate::event::{Event, Queue};
use crate::fault::{Fault, Moment, Target};
use crate::net::{Net, NetEvent, Way};
use crate::node::{HostEvent, LinkId, NodeEvent, NodeHost, Piece, ProcessId, Request, SessionId};
use crate::oracle::{Counts, Oracle, Violation};
use crate::random::Random;
use crate::release::NEWEST;
use crate::scenario::Scenario;
use crate::trace::Trace;
use crate::vault::{VaultEvent, VaultHost};
use crate::workload::{self, Judgement, Workload};

/// Once faults are over, every client must have written after at most two leases and this: one lease until the last word of a
/// dead holder has run out, and time for processes to start again and clients to find out.
const SERVICE_WITHIN: Duration = Duration::from_millis(1_000);
/// So long service goes on, without a change of roles, before the last words.
const STEADY: Duration = Duration::from_millis(700);
/// The last words are said within this.
const LAST_WORDS_WITHIN: Duration = Duration::from_millis(3_000);
/// Events of a run; a usual one has ten thousand.
const EVENTS_MAX: u64 = 400_000;
/// Things that may be about to happen.
const QUEUE_MAX: usize = 20_000;

/// How to run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Print what happens.
    pub print: bool,
    /// The planted bug to make.
    pub bug: Option<&'static str>,
}

/// How a run has ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Its seed.
    pub seed: u64,
    /// The first broken promise.
    pub violation: Option<Violation>,
    /// Equal for equal runs.
    pub digest: u64,
    /// Events.
    pub events: u64,
    /// What has happened.
    pub counts: Counts,
    /// The newest lines of the trace.
    pub last_lines: Vec<String>,
}

/// Runs the seed to its end.
#[must_use]
pub fn run(seed: u64, options: Options) -> Outcome {
    #[cfg(feature = "planted-bugs")]
    tanist_db_core::planted::plant(options.bug);
    let mut world = World::new(seed, options);
    // A broken invariant of the code's own ends the run like an oracle's finding.
    let ended = catch_unwind(AssertUnwindSafe(|| world.run()));
    if let Err(panic) = ended {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        world.env.oracle.fail("assertion", text.unwrap_or_default());
    }
    let outcome = Outcome {
        seed,
        violation: world.env.oracle.violation.clone(),
        digest: world.env.trace.digest(),
        events: world.events,
        counts: world.env.oracle.counts,
        last_lines: world.env.trace.last().map(str::to_owned).collect(),
    };
    if outcome.violation.is_some() {
        // What the mistake has left behind may break more promises while it is taken down.
        world.abandon();
    }
    #[cfg(feature = "planted-bugs")]
    tanist_db_core::planted::plant(None);
    outcome
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Faults strike.
    Storm,
    /// They are over; service must come back by then.
    Calm(Time),
    /// It has, at this time and in this epoch.
    Steady(Time, u64),
    /// What is there is read; by then.
    LastWords(Time),
    Over,
}

#[derive(Debug)]
struct World {
    env: Env,
    vault: VaultHost,
    nodes: Vec<NodeHost>,
    clients: Vec<Client>,
    workloads: Vec<Box<dyn Workload>>,
    /// The node and process that a session was opened with.
    sessions: std::collections::BTreeMap<SessionId, (usize, u64)>,
    phase: Phase,
    /// The cut that never heals is on this node.
    cut_for_ever: Option<usize>,
    events: u64,
}

impl World {
    fn new(seed: u64, options: Options) -> World {
        let mut random = Random::new(seed);
        let scenario = Scenario::draw(&mut random.split());
        let time = TrueTime::default();
        let clocks: Vec<_> = scenario
            .clocks_ppm
            .iter()
            .map(|ppm| MachineClock::new(time.clone(), random.between(1, 1 << 40), *ppm))
            .collect();
        let disk_seed = random.draw();
        let client_seeds: Vec<_> = (0..scenario.clients).map(|_| random.split()).collect();
        let mut env = Env {
            now: Time(0),
            time,
            random,
            net: Net::new(scenario.nodes),
            clients_cut: vec![false; scenario.nodes],
            links_cut: vec![false; scenario.nodes],
            links: 0,
            lives: vec![0; scenario.nodes],
            releases: scenario.releases.clone(),
            scenario,
            oracle: Oracle::default(),
            trace: Trace::new(options.print),
            queue: Queue::default(),
            moments: Vec::new(),
            calm: false,
        };
        let (vault_clock, node_clocks) = clocks.split_last().expect("a vault has a clock");
        let nodes = node_clocks.iter().enumerate().map(|(node, clock)| NodeHost::new(node, clock.clone())).collect();
        let clients = client_seeds.into_iter().enumerate().map(|(id, seed)| Client::new(id, seed, &mut env)).collect();
        World {
            vault: VaultHost::new(vault_clock.clone(), disk_seed),
            nodes,
            clients,
            workloads: workload::all(),
            sessions: std::collections::BTreeMap::new(),
            phase: Phase::Storm,
            cut_for_ever: None,
            events: 0,
            env,
        }
    }

    fn run(&mut self) {
        self.env.queue.put(Time(0), Event::Vault(VaultEvent::Start));
        for node in 0..self.nodes.len() {
            let at = Time(self.env.random.between(1_000, 20_000));
            self.env.queue.put(at, Event::Host(node, HostEvent::Start));
        }
        for (at, fault) in self.env.scenario.faults.clone() {
            self.env.queue.put(at, Event::Fault(fault));
        }
        self.env.queue.put(self.env.scenario.calm_at, Event::Calm);
        while self.phase != Phase::Over && self.env.oracle.violation.is_none() {
            let Some((at, number, event)) = self.env.queue.next() else { break };
            self.events += 1;
            self.env.now = at;
            self.env.time.set(at);
            self.env.trace.step(at, &[number]);
            self.happens(event);
            self.look();
        }
        if self.env.oracle.violation.is_none() {
            self.judge();
        }
    }

    fn happens(&mut self, event: Event) {
        let env = &mut self.env;
        match event {
            Event::Vault(event) => self.vault.on(event, env),
            Event::Node { node, life, event } => self.nodes[node].on(life, event, env),
            Event::Host(node, event) => self.nodes[node].on_host(event, env),
            Event::Session(node, session, request) => self.session(node, session, request),
            Event::Client(client, event) => self.clients[client].on(event, &mut self.workloads, env),
            Event::Link { from, to, link, piece } => self.link(from, to, link, piece),
            Event::Net(event) => env.net.on(env.now, event, &mut env.random, &mut env.queue),
            Event::Fault(fault) => self.strike(fault),
            Event::Calm => self.calm(),
        }
    }

    /// A client reaches the process that it has opened its session with, or finds that it is gone.
    fn session(&mut self, node: usize, session: SessionId, request: Request) {
        let env = &mut self.env;
        if env.clients_cut[node] {
            // What is lost of a connection's bytes ends the connection.
            self.sessions.insert(session, (usize::MAX, 0));
            return;
        }
        let host = &mut self.nodes[node];
        let (opened, life) = *self.sessions.entry(session).or_insert((node, host.life));
        if matches!(request, Request::Close) {
            // What was sent before and comes later finds a connection that is closed.
            self.sessions.insert(session, (usize::MAX, 0));
        }
        if host.is_running() && (opened, life) == (node, host.life) {
            host.on(life, NodeEvent::Session(session, request), env);
        } else if let Request::Commands(..) = request {
            let delay = env.net.delay(&mut env.random);
            env.after(delay, Event::Client(session.client, ClientEvent::Closed { number: session.number }));
        }
    }

    /// A node reaches the process of another one, or finds that it is gone.
    fn link(&mut self, from: ProcessId, to: ProcessId, link: LinkId, piece: Piece) {
        let env = &mut self.env;
        let host = &mut self.nodes[to.0];
        if host.life == to.1 && host.process().is_some() {
            host.on(to.1, NodeEvent::Link { from, link, piece }, env);
        } else if !matches!(piece, Piece::Shut) {
            // A process that has started again says so at once; a machine without one is silent.
            let wait = if host.is_running() { env.net.delay(&mut env.random) } else { IDLE_MAX };
            env.after(wait, Event::Link { from: to, to: from, link, piece: Piece::Shut });
        }
    }

    // --- What is looked at after each event

    fn look(&mut self) {
        let entered = std::mem::take(&mut self.env.oracle.entered);
        let may = self.nodes.iter().filter(|node| self.may_execute(node)).map(|node| node.node);
        for node in entered.into_iter().chain(may.take(1).collect::<Vec<_>>()) {
            self.look_for_two_holders(node);
        }
        for (moment, node) in std::mem::take(&mut self.env.moments) {
            self.ambush(moment, node);
        }
        let unix = self.nodes.iter().map(|node| node.clock.unix()).max().unwrap_or_default();
        self.env.oracle.wall(self.env.now, unix);
        self.env.oracle.bounded("events", self.events as usize, EVENTS_MAX as usize);
        let waiting = self.env.queue.len() + self.env.net.held();
        self.env.oracle.bounded("things about to happen", waiting, QUEUE_MAX);
        self.look_at_phase();
    }

    /// Whoever executes, or may, is the only one that may, by the count of each.
    fn look_for_two_holders(&mut self, node: usize) {
        let other = self.nodes.iter().find(|other| other.node != node && self.may_execute(other));
        if let Some(other) = other {
            let (one, two) = (self.env.scenario.name(node), self.env.scenario.name(other.node));
            self.env.oracle.fail("two holders", format!("{one} executes, or may, while {two} may"));
        }
    }

    fn may_execute(&self, node: &NodeHost) -> bool {
        node.paused_until <= self.env.now && node.process().is_some_and(|process| process.executes())
    }

    fn ambush(&mut self, moment: Moment, node: usize) {
        if self.env.calm {
            return;
        }
        let ambushes = &mut self.env.scenario.ambushes;
        let waiting = ambushes.iter_mut().position(|ambush| ambush.moment == moment && ambush.is_due());
        if let Some(at) = waiting {
            let fault = ambushes.remove(at).fault.at_hand(node);
            let wait = if self.env.random.percent(50) { Duration::ZERO } else { self.env.random.micros(0, 2_500) };
            self.env.after(wait, Event::Fault(fault));
        }
    }

    fn look_at_phase(&mut self) {
        let env = &mut self.env;
        let now = env.now;
        match self.phase {
            Phase::Storm | Phase::Over => {}
            Phase::Calm(by) => {
                if self.clients.iter().all(|client| client.wrote >= Some(env.scenario.calm_at)) {
                    env.say(format_args!("service is back"));
                    let settled = now.after(env.scenario.lease_max() * 2);
                    self.phase = Phase::Steady(settled, 0);
                } else if now > by {
                    self.no_service();
                }
            }
            Phase::Steady(since, 0) => {
                // A switchover that was asked for in the storm may still wait for its successor.
                let reached = |node: &&NodeHost| self.cut_for_ever != Some(node.node);
                let switching = self
                    .nodes
                    .iter()
                    .filter(reached)
                    .filter_map(NodeHost::process)
                    .any(|process| process.driver.is_switching());
                if now >= since && !switching {
                    self.phase = Phase::Steady(now, env.oracle.epoch);
                }
            }
            Phase::Steady(since, epoch) => {
                if env.oracle.epoch != epoch {
                    let newest = env.oracle.epoch;
                    env.oracle.fail("flapping", format!("epoch {newest} follows {epoch} though nothing is wrong"));
                } else if now >= since.after(STEADY) {
                    if self.clients.iter().all(|client| client.wrote >= Some(since)) {
                        self.conclude();
                    } else {
                        self.no_service();
                    }
                }
            }
            Phase::LastWords(by) => {
                if self.clients.iter().all(Client::is_done) {
                    self.phase = Phase::Over;
                } else if now > by {
                    self.no_service();
                }
            }
        }
    }

    fn no_service(&mut self) {
        let env = &mut self.env;
        let roles: Vec<_> = self
            .nodes
            .iter()
            .map(|node| match node.process() {
                Some(process) => {
                    format!("{} is {}", env.scenario.name(node.node), process.driver.machine().role().word())
                }
                None => format!("{} is down or joining", env.scenario.name(node.node)),
            })
            .collect();
        let vault = if self.vault.process.is_some() { "up" } else { "down" };
        env.oracle.fail(
            "liveness",
            format!("no service although nothing is wrong any more: {}, the vault is {vault}", roles.join(", ")),
        );
    }

    /// The storm is over; what never heals stays.
    fn calm(&mut self) {
        let env = &mut self.env;
        env.say(format_args!("all faults end"));
        env.calm = true;
        let now = env.now;
        env.at(now, Event::Vault(VaultEvent::Resume));
        for node in &mut self.nodes {
            (node.paused_until, node.stalled, node.lost_until) = (now, None, now);
            if let Some(process) = node.process_mut() {
                process.end_hold();
            }
            env.at(now, Event::Host(node.node, HostEvent::Resume));
            env.clients_cut[node.node] = false;
            env.links_cut[node.node] = false;
            [Way::Up, Way::Down].into_iter().for_each(|way| env.net.slow_down(node.node, way, 1));
            if self.cut_for_ever != Some(node.node) {
                for way in [Way::Up, Way::Down] {
                    env.net.heal(now, node.node, way, &mut env.random, &mut env.queue);
                }
            }
        }
        // Where the old release is refused by now, a person has installed the new one.
        if self.vault.level() > 1 {
            self.nodes.iter_mut().for_each(|node| node.install(NEWEST, env));
            self.vault.install(NEWEST, env);
        }
        let vault = &mut self.vault;
        (vault.paused_until, vault.slow, vault.full, vault.cut_recovery_after) = (now, 1, false, None);
        vault.disk.set_room(u64::MAX);
        vault.disk.disarm();
        self.phase = Phase::Calm(now.after(env.scenario.lease_max() * 2 + SERVICE_WITHIN));
    }

    /// Clients do nothing new any more, and one reads everything.
    fn conclude(&mut self) {
        let mut scripts = Vec::new();
        for workload in &mut self.workloads {
            scripts.extend(workload.last_words());
        }
        for client in self.clients.iter_mut().skip(1) {
            client.conclude(Vec::new());
        }
        self.clients[0].conclude(scripts);
        self.phase = Phase::LastWords(self.env.now.after(LAST_WORDS_WITHIN));
    }

    fn judge(&mut self) {
        // Not a fault that ends a lease: only a switchover may make another primary than the first.
        let (epoch, switchovers) = (self.env.oracle.epoch, self.env.oracle.counts.switchovers);
        if self.env.scenario.only_long_commands && epoch > 1 + switchovers {
            let why = format!("epoch {epoch} after {switchovers} switchovers, though commands only took long");
            self.env.oracle.fail("needless takeover", why);
        }
        for workload in &self.workloads {
            match workload.judge(&self.env.oracle.known) {
                Judgement::Possible => {}
                Judgement::Undecided => self.env.oracle.counts.undecided += 1,
                Judgement::Impossible(report) => self.env.oracle.fail("linearizability", report),
            }
        }
        self.compare_engines();
    }

    /// Nodes that stand at the same record have the same bytes.
    fn compare_engines(&mut self) {
        let env = &mut self.env;
        for node in &self.nodes {
            if let Some(process) = node.process() {
                env.oracle.digest(process.engine.epoch(), process.engine.content_hash_at(), "a node at the end");
            }
        }
    }

    // --- Faults

    fn node_of(&mut self, target: Target) -> usize {
        let primary = self.nodes.iter().position(|node| node.process().is_some_and(|process| process.is_primary()));
        match target {
            Target::Node(node) => node,
            Target::Primary => primary.unwrap_or(0),
            Target::Other => {
                let others: Vec<_> = (0..self.nodes.len()).filter(|node| Some(*node) != primary).collect();
                *self.env.random.pick(&others)
            }
        }
    }

    fn strike(&mut self, fault: Fault) {
        if self.env.calm {
            return;
        }
        self.env.oracle.counts.faults += 1;
        self.env.say(format_args!("fault: {fault:?}"));
        let now = self.env.now;
        match fault {
            Fault::Kill(target) => self.with(target, |node, env| node.kill(None, env)),
            Fault::LoseHost(target, away) => self.with(target, |node, env| node.kill(Some(away), env)),
            Fault::Pause(target, lasts) => self.with(target, |node, _| node.paused_until = now.after(lasts)),
            Fault::Stall(target, thread, lasts) => {
                self.with(target, |node, _| node.stalled = Some((thread, now.after(lasts))));
            }
            Fault::LongCommand(target, lasts) => self.with(target, |node, env| {
                if let Some(process) = node.process_mut() {
                    process.hold_shards(lasts, env);
                }
            }),
            Fault::Stop(target) => self.machine(target, RoleEvent::Shutdown),
            Fault::SwitchOver => self.machine(Target::Primary, RoleEvent::SwitchoverAsked { to: None }),
            Fault::Cut(target, ways, lasts) => self.cut(target, &ways, lasts),
            Fault::CutClients(target, lasts) => self.cut_clients(target, lasts),
            Fault::CutLinks(target, lasts) => {
                let node = self.node_of(target);
                self.env.links_cut[node] = !lasts.is_zero();
                self.ends(lasts, Fault::CutLinks(Target::Node(node), Duration::ZERO));
            }
            Fault::Break(target) => self.with(target, |node, env| {
                for conn in env.net.of_node(node.node) {
                    for end in [Way::Up, Way::Down] {
                        env.net.lose(now, conn, end, &mut env.random, &mut env.queue);
                    }
                }
            }),
            Fault::Slow(target, way, times, lasts) => {
                let node = self.node_of(target);
                self.env.net.slow_down(node, way, times);
                self.ends(lasts, Fault::Slow(Target::Node(node), way, 1, Duration::ZERO));
            }
            Fault::Jump(target, by_ms) => self.with(target, |node, _| node.clock.jump(by_ms)),
            Fault::KillVault => self.kill_vault(false),
            Fault::PowerCut(0) => self.kill_vault(true),
            Fault::PowerCut(operations) => self.vault.disk.cut_power_at(self.vault.disk.operations() + operations),
            Fault::PowerCutTwice(operations) => {
                self.vault.cut_recovery_after = Some(operations);
                self.kill_vault(true);
            }
            Fault::PauseVault(lasts) => self.vault.paused_until = now.after(lasts),
            Fault::SyncFails(operations) => self.vault.disk.fail_sync_at(self.vault.disk.operations() + operations),
            Fault::DiskFull(lasts) => self.fill_disk(lasts),
            Fault::DiskSlow(times, lasts) => {
                self.vault.slow = times;
                self.ends(lasts, Fault::DiskSlow(1, Duration::ZERO));
            }
            Fault::Install(target, release) => self.with(target, |node, env| node.install(release, env)),
            Fault::InstallVault(release) => self.vault.install(release, &mut self.env),
            // Not together with a power failure: what was synced and is beyond the durable mark is then as good as torn.
            Fault::Rot(rot) => {
                if self.vault.process.is_some() {
                    self.kill_vault(false);
                    self.vault.rot = Some(rot);
                }
            }
        }
    }

    fn with(&mut self, target: Target, act: impl FnOnce(&mut NodeHost, &mut Env)) {
        let node = self.node_of(target);
        act(&mut self.nodes[node], &mut self.env);
    }

    /// Somebody asks the node's role driver for something.
    fn machine(&mut self, target: Target, event: RoleEvent) {
        self.with(target, |node, env| {
            let life = node.life;
            node.on(life, NodeEvent::Happened(event), env);
        });
    }

    /// A fault that lasts has its end; an end that lasts no time is final.
    fn ends(&mut self, lasts: Duration, end: Fault) {
        if !lasts.is_zero() {
            self.env.after(lasts, Event::Fault(end));
        }
    }

    fn cut(&mut self, target: Target, ways: &[Way], lasts: Option<Duration>) {
        let node = self.node_of(target);
        if lasts.is_none() && self.cut_for_ever.is_some() {
            return;
        }
        let env = &mut self.env;
        for way in ways.iter().copied() {
            let cut = env.net.cut(env.now, node, way, &mut env.queue);
            match lasts {
                Some(lasts) => env.after(lasts, Event::Net(NetEvent::Heal { node, way, cut })),
                None => self.cut_for_ever = Some(node),
            }
        }
    }

    fn cut_clients(&mut self, target: Target, lasts: Duration) {
        let node = self.node_of(target);
        if !lasts.is_zero() {
            self.env.clients_cut[node] = true;
            self.ends(lasts, Fault::CutClients(Target::Node(node), Duration::ZERO));
        } else {
            self.env.clients_cut[node] = false;
        }
    }

    fn kill_vault(&mut self, power: bool) {
        if self.vault.process.is_some() {
            self.vault.die(power, &mut self.env);
        }
    }

    fn fill_disk(&mut self, lasts: Duration) {
        self.vault.full = !lasts.is_zero();
        self.vault.disk.set_room(if self.vault.full { self.env.random.below(2_000) } else { u64::MAX });
        self.ends(lasts, Fault::DiskFull(Duration::ZERO));
    }

    /// Drops a world that a mistake has left in a state in which it cannot be shut down cleanly; panics meanwhile are ignored.
    fn abandon(self) {
        let World { vault, nodes, .. } = self;
        vault.disk.stop();
        drop(catch_unwind(AssertUnwindSafe(move || drop((vault, nodes)))));
    }
}

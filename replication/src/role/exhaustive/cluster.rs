//! The model's transitions, and the properties that must be true in every state.

use std::fmt::Write;

use stateright::{Model, Property};

use super::vault::name;
use super::world::{Down, Event, StreamKind, Up, World};
use super::{Budget, Planted};
use crate::serving::Role;

/// Two nodes and a vault, explored from the moment at which one node is primary and the other standby.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cluster {
    pub(super) planted: Planted,
    pub(super) budget: Budget,
    /// What is checked in every state, of [`Cluster::CLAIMS`].
    pub(super) claims: &'static [&'static str],
    /// What must be so in some state: else the budget is too small for what it is about.
    pub(super) reached: &'static [&'static str],
}

/// One event. Numbers are those of nodes and connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum ModelStep {
    /// Half a lease passes.
    Tick,
    /// The machine's alarm rings.
    Look(usize),
    /// The oldest of what a node has sent arrives at the vault.
    Up(usize, u64, StreamKind),
    /// The oldest of what the vault has sent arrives at a node.
    Down(usize, StreamKind),
    /// A session is allowed to execute.
    Enter(usize),
    /// It does.
    Execute(usize),
    /// The vault has made a change of the lease durable.
    Persist,
    Cut(usize),
    Connect(usize),
    Kill(usize),
    Obituary(usize),
    Restart(usize),
    RestartVault,
    Report(usize),
    AskSwitchover(usize),
}

impl Cluster {
    pub(super) const ONE_WRITER: &'static str = "no record of an epoch is accepted behind a newer one's beginning";
    pub(super) const NOTHING_LOST: &'static str = "what clients were told is in the log";
    pub(super) const FRESH: &'static str = "whoever may execute has all that clients were told";
    pub(super) const ONE_HOLDER: &'static str = "at most one node may execute";
    pub(super) const FOLLOWS: &'static str = "who follows has a beginning of the log, and no node fails";

    pub(super) const SECOND_SERVES: &'static str = "the second node may execute under a newer epoch";
    pub(super) const SECOND_WRITES: &'static str = "a client was told that a write under a newer epoch is done";
    pub(super) const HANDED_OVER: &'static str =
        "the first node follows as the process that it was, and the second may execute";

    pub(super) const CLAIMS: [&'static str; 5] =
        [Self::ONE_WRITER, Self::NOTHING_LOST, Self::FRESH, Self::ONE_HOLDER, Self::FOLLOWS];

    /// What a step makes of a state in which it is possible.
    fn apply(&self, world: &mut World, step: ModelStep) {
        let planted = self.planted;
        match step {
            ModelStep::Tick => {
                world.left.ticks -= 1;
                world.tick();
            }
            ModelStep::Look(node) => {
                world.left.looks -= 1;
                world.look(node, planted);
            }
            ModelStep::Up(node, connection, lane) => world.arrive_at_vault(node, connection, lane, planted),
            ModelStep::Down(node, lane) => world.arrive_at_node(node, lane, planted),
            ModelStep::Enter(node) => {
                world.left.pauses -= 1;
                world.nodes[node].entered = true;
            }
            ModelStep::Execute(node) => {
                world.left.writes -= 1;
                world.execute(node);
            }
            ModelStep::Persist => world.persist(),
            ModelStep::Cut(node) => {
                world.left.cuts -= 1;
                world.cut(node, planted);
            }
            ModelStep::Connect(node) => world.connect(node, planted),
            ModelStep::Kill(node) => {
                world.left.kills -= 1;
                world.kill(node);
            }
            ModelStep::Obituary(node) => world.obituary(node),
            ModelStep::Restart(node) => world.restart(node),
            ModelStep::RestartVault => {
                world.left.vault_kills -= 1;
                world.restart_vault(planted);
            }
            ModelStep::Report(node) => world.report(node),
            ModelStep::AskSwitchover(node) => {
                world.left.switchovers -= 1;
                world.handle(node, Event::SwitchoverAsked { to: None }, planted);
            }
        }
    }

    fn second_serves(&self, world: &World) -> bool {
        world.nodes[1].standing.epoch.0 > 1 && world.may_execute(1, self.planted)
    }

    /// The first node as primary with one record, the second caught up, and nothing under way.
    fn established(&self) -> World {
        let mut world = World::new(Budget { looks: 1, writes: 1, ..Budget::default() });
        for node in 0..2 {
            self.apply(&mut world, ModelStep::Connect(node));
            self.settle(&mut world);
        }
        self.apply(&mut world, ModelStep::Execute(0));
        self.settle(&mut world);
        world.left = self.budget;
        world
    }

    /// Whatever is under way arrives; nobody else does anything.
    fn settle(&self, world: &mut World) {
        loop {
            let mut steps = Vec::new();
            self.actions(world, &mut steps);
            let next = steps.into_iter().find(|step| match step {
                ModelStep::Up(..) | ModelStep::Down(..) | ModelStep::Persist => true,
                // The second node leaves the first claim to the first.
                ModelStep::Look(node) => *node == 0 && world.vault.log.is_empty(),
                _ => false,
            });
            let Some(step) = next else { return };
            self.apply(world, step);
        }
    }

    fn node_steps(&self, world: &World, node: usize, steps: &mut Vec<ModelStep>) {
        let (at, left) = (&world.nodes[node], &world.left);
        for ((connection, lane), queue) in &at.up {
            if queue.front().is_some_and(|up| world.vault.takes(up)) {
                steps.push(ModelStep::Up(node, *connection, *lane));
            }
        }
        if !at.alive {
            if at.unburied && world.vault.change.is_none() {
                steps.push(ModelStep::Obituary(node));
            }
            steps.push(ModelStep::Restart(node));
            return;
        }
        steps.extend(at.down.keys().map(|lane| ModelStep::Down(node, *lane)));
        if left.looks > 0 && at.machine.wake_at().is_some_and(|wake| wake <= world.local(node, self.planted)) {
            steps.push(ModelStep::Look(node));
        }
        let may = world.may_execute(node, self.planted);
        if left.writes > 0 && (may || at.entered) {
            steps.push(ModelStep::Execute(node));
        }
        if left.pauses > 0 && may && !at.entered {
            steps.push(ModelStep::Enter(node));
        }
        match at.connection {
            None => steps.push(ModelStep::Connect(node)),
            Some(_) if left.cuts > 0 => steps.push(ModelStep::Cut(node)),
            Some(_) => {}
        }
        if left.kills > 0 {
            steps.push(ModelStep::Kill(node));
        }
        if self.budget.switchovers > 0 && at.connection.is_some() {
            steps.push(ModelStep::Report(node));
        }
        if left.switchovers > 0 && may {
            steps.push(ModelStep::AskSwitchover(node));
        }
    }
}

impl Model for Cluster {
    type State = World;
    type Action = ModelStep;

    fn init_states(&self) -> Vec<World> {
        vec![self.established()]
    }

    fn actions(&self, world: &World, steps: &mut Vec<ModelStep>) {
        if world.vault.change.is_some() {
            steps.push(ModelStep::Persist);
        }
        for node in 0..world.nodes.len() {
            self.node_steps(world, node, steps);
        }
        if world.left.vault_kills > 0 {
            steps.push(ModelStep::RestartVault);
        }
        if world.left.ticks > 0 {
            steps.push(ModelStep::Tick);
        }
    }

    fn next_state(&self, world: &World, step: ModelStep) -> Option<World> {
        let mut next = world.clone();
        self.apply(&mut next, step);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let all = [
            Property::always(Self::ONE_WRITER, |_, world: &World| {
                let newest = |at: usize| world.vault.seals.iter().rfind(|(_, seal)| **seal <= at as u64);
                let fits = |(at, record): (usize, &(u64, u8))| newest(at).is_none_or(|(epoch, _)| record.0 >= *epoch);
                world.vault.log.iter().enumerate().all(fits)
            }),
            Property::always(Self::NOTHING_LOST, |_, world: &World| world.has_promised(&world.vault.log)),
            Property::always(Self::FRESH, |cluster: &Cluster, world: &World| {
                let serving = (0..2).filter(|node| world.may_execute(*node, cluster.planted));
                serving.map(|node| &world.nodes[node].applied).all(|applied| world.has_promised(applied))
            }),
            Property::always(Self::ONE_HOLDER, |cluster: &Cluster, world: &World| {
                (0..2).filter(|node| world.may_execute(*node, cluster.planted)).count() <= 1
            }),
            Property::always(Self::FOLLOWS, |_, world: &World| {
                let sound = |applied: &Vec<_>| world.vault.log.starts_with(applied);
                let follow = world.nodes.iter().filter(|node| node.alive && node.following);
                !world.failed && follow.map(|node| &node.applied).all(sound)
            }),
            Property::sometimes(Self::SECOND_SERVES, |cluster: &Cluster, world: &World| cluster.second_serves(world)),
            Property::sometimes(Self::SECOND_WRITES, |_, world: &World| {
                // The first record of an epoch is its beginning, and nobody's write.
                let seals = &world.vault.seals;
                let is_write = |position, epoch| seals.get(&epoch).is_some_and(|seal| position as u64 > *seal);
                world.promised.iter().any(|(position, (epoch, _))| *epoch > 1 && is_write(*position, *epoch))
            }),
            Property::sometimes(Self::HANDED_OVER, |cluster: &Cluster, world: &World| {
                let first = &world.nodes[0];
                let follows = first.alive && first.incarnation == 1 && first.machine.role() == Role::Standby;
                follows && cluster.second_serves(world)
            }),
        ];
        let wanted = [self.claims, self.reached].concat();
        all.into_iter().filter(|property| wanted.contains(&property.name)).collect()
    }
}

impl ModelStep {
    /// The step in a sentence, taken in `world`.
    pub(super) fn words(self, world: &World) -> String {
        let mut words = match self {
            ModelStep::Tick => "half a lease passes".to_owned(),
            ModelStep::Look(node) => format!("{} looks at its clock", name(node)),
            ModelStep::Up(node, connection, lane) => {
                let up = world.nodes[node].up.get(&(connection, lane)).and_then(|queue| queue.front());
                format!("the vault gets from {}: {}", name(node), up.map_or_else(String::new, Up::words))
            }
            ModelStep::Down(node, lane) => {
                let down = world.nodes[node].down.get(&lane).and_then(|queue| queue.front());
                format!("{} gets from the vault: {}", name(node), down.map_or_else(String::new, Down::words))
            }
            ModelStep::Enter(node) => format!("a session on {} is allowed to execute, and is paused", name(node)),
            ModelStep::Execute(node) => format!("{} executes a write", name(node)),
            ModelStep::Persist => "the vault has made the change of the lease durable".to_owned(),
            ModelStep::Cut(node) => format!("{} loses its connection", name(node)),
            ModelStep::Connect(node) => format!("{} connects", name(node)),
            ModelStep::Kill(node) => format!("{} dies", name(node)),
            ModelStep::Obituary(node) => format!("{}'s supervisor tells of its death", name(node)),
            ModelStep::Restart(node) => format!("{} starts again", name(node)),
            ModelStep::RestartVault => "the vault dies and starts again".to_owned(),
            ModelStep::Report(node) => format!("{} reports", name(node)),
            ModelStep::AskSwitchover(node) => format!("{} is asked for a switchover", name(node)),
        };
        if let ModelStep::Tick = self {
            let _ = write!(words, " ({} ms by the vault's clock)", world.now.0 / 1000 + 200);
        }
        words
    }
}

impl Up {
    fn words(&self) -> String {
        match self {
            Up::Ask { ask, sent } => format!("{ask:?}, sent at {} ms", sent.0 / 1000),
            Up::OpenAppend(epoch) => format!("to open an append stream of epoch {epoch}"),
            Up::Append { epoch, first, records, .. } => {
                format!("{} record(s) of epoch {epoch} behind record {first}", records.len())
            }
            Up::Follow { after } => format!("to follow behind record {after}"),
        }
    }
}

impl Down {
    fn words(&self) -> String {
        match self {
            Down::Answer(Event::Lease { ask, view, .. }) => {
                format!("to {ask:?}: epoch {} is {}'s, {} ms left", view.epoch, view.holder, view.remaining_us / 1000)
            }
            Down::Answer(Event::News(view)) => {
                format!("news: epoch {} is {}'s, {} ms left", view.epoch, view.holder, view.remaining_us / 1000)
            }
            Down::Answer(event) | Down::Event(event) => format!("{event:?}"),
            Down::Ready { durable, .. } => format!("append behind record {durable}"),
            Down::Records { first, records } => format!("{} record(s) behind record {first}", records.len()),
        }
    }
}

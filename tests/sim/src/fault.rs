//! The faults that can be injected.

use std::time::Duration;

use tanist_replication::serving::Role;
use tanist_replication::vault::catalog::{Catalog, CatalogMemory};
use tanist_replication::vault::disk::Disk;
use tanist_replication::vault::disk::sim::DiskSim;

use crate::net::Way;
use crate::node::Thread;
use crate::random::Random;
use crate::release::{NEWEST, Release};

/// Whom a fault concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Whoever is primary, or else the first node.
    Primary,
    /// A node that is not.
    Other,
    /// A certain node; the one at hand if a moment has brought the fault.
    Node(usize),
}

/// A fault.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// The process is killed; its supervisor reports it.
    Kill(Target),
    /// The machine is gone for so long, and nobody reports it.
    LoseHost(Target, Duration),
    /// The process stands still.
    Pause(Target, Duration),
    /// One of its threads does.
    Stall(Target, Thread, Duration),
    /// A command holds all shards for so long.
    LongCommand(Target, Duration),
    /// The process is asked to stop cleanly.
    Stop(Target),
    /// A switchover is asked for.
    SwitchOver,
    /// A network partition: messages to and from the vault do not pass, one way or both, for so long or forever.
    Cut(Target, Vec<Way>, Option<Duration>),
    /// No client reaches the node.
    CutClients(Target, Duration),
    /// No other node reaches the node.
    CutLinks(Target, Duration),
    /// Connections to the vault break, each end hearing of it at its own time.
    Break(Target),
    /// Messages to or from the vault take up to so many times their usual time.
    Slow(Target, Way, u64, Duration),
    /// The wall clock jumps.
    Jump(Target, i64),
    /// The vault's process is killed.
    KillVault,
    /// The vault's machine loses power, in the middle of the disk operation that so many are before.
    PowerCut(u64),
    /// The same, and once more while it recovers.
    PowerCutTwice(u64),
    /// The vault stands still.
    PauseVault(Duration),
    /// A sync of the vault's disk fails: the one that so many operations are before, if that is one.
    SyncFails(u64),
    /// The vault's disk is full.
    DiskFull(Duration),
    /// Its syncs take long.
    DiskSlow(u64, Duration),
    /// Bits of what is stored flip while the vault is down.
    Rot(Rot),
    /// A node's process is replaced by that of another release.
    Install(Target, Release),
    /// The vault's process is.
    InstallVault(Release),
}

impl Fault {
    /// The same, but it concerns `node` if it concerns a certain one.
    #[must_use]
    pub(crate) fn at_hand(mut self, node: usize) -> Fault {
        use Fault::{
            Break, Cut, CutClients, CutLinks, Install, Jump, Kill, LongCommand, LoseHost, Pause, Slow, Stall, Stop,
        };
        match &mut self {
            Kill(target)
            | LoseHost(target, _)
            | Pause(target, _)
            | Stall(target, ..)
            | LongCommand(target, _)
            | Stop(target)
            | Cut(target, ..)
            | CutClients(target, _)
            | CutLinks(target, _)
            | Break(target)
            | Slow(target, ..)
            | Install(target, _)
            | Jump(target, _)
                if matches!(target, Target::Node(_)) =>
            {
                *target = Target::Node(node);
            }
            _ => {}
        }
        self
    }
}

/// A point of a node's or the vault's way at which a fault may wait for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// The node plays this part from now on.
    Becomes(Role),
    /// The node has taken in that its lease is renewed.
    Renewed,
    /// The request to hand over is on its way.
    HandOverSent,
    /// A version is frozen and its image about to be carried.
    Frozen,
    /// The vault is about to make a change of the lease durable.
    LeaseChanging,
    /// An image's chunks are all there.
    ImageStoring,
}

/// A bit that flips.
#[derive(Clone, Debug)]
pub(crate) struct Rot {
    /// Which file or entry, counted over all.
    pub place: u64,
    /// Which of its bits.
    pub bit: u64,
    /// What was there: for the undoing.
    was: Option<(String, Vec<u8>)>,
}

const FOLDERS: [&str; 2] = ["log", "images"];

impl Rot {
    /// Flips the bit, once; returns whether it is flipped.
    pub(crate) fn strike(&mut self, disk: &DiskSim, catalog: &CatalogMemory) -> bool {
        if self.was.is_some() {
            return true;
        }
        let Some((place, content)) = self.choose(disk, catalog) else { return false };
        write(disk, catalog, &place, self.flipped(&content));
        self.was = Some((place, content));
        true
    }

    /// Flips it back, if the file that contains it is still there unchanged.
    pub(crate) fn undo(&self, disk: &DiskSim, catalog: &CatalogMemory) {
        let Some((place, was)) = &self.was else { return };
        if read(disk, catalog, place).is_some_and(|content| content == self.flipped(was)) {
            write(disk, catalog, place, was.clone());
        }
    }

    fn flipped(&self, content: &[u8]) -> Vec<u8> {
        let bit = (self.bit % (content.len() as u64 * 8)) as usize;
        let mut flipped = content.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        flipped
    }

    fn choose(&self, disk: &DiskSim, catalog: &CatalogMemory) -> Option<(String, Vec<u8>)> {
        let mut places: Vec<String> = Vec::new();
        for folder in FOLDERS {
            for name in disk.list(folder).unwrap_or_default() {
                let path = format!("{folder}/{name}");
                match disk.list(&path) {
                    Ok(files) => places.extend(files.iter().map(|file| format!("{path}/{file}"))),
                    Err(_) => places.push(path),
                }
            }
        }
        places.extend(catalog.keys("").unwrap_or_default().iter().map(|key| format!("catalog:{key}")));
        places.retain(|place| read(disk, catalog, place).is_some_and(|content| !content.is_empty()));
        let place = places.get(self.place as usize % places.len().max(1))?.clone();
        let content = read(disk, catalog, &place)?;
        Some((place, content))
    }
}

fn read(disk: &DiskSim, catalog: &CatalogMemory, place: &str) -> Option<Vec<u8>> {
    match place.strip_prefix("catalog:") {
        Some(key) => catalog.get(key).ok().flatten(),
        None => disk.open(place).is_ok().then(|| disk.content(place)),
    }
}

fn write(disk: &DiskSim, catalog: &CatalogMemory, place: &str, content: Vec<u8>) {
    match place.strip_prefix("catalog:") {
        Some(key) => catalog.tamper(key, |value| *value = content),
        None => disk.tamper(place, &content),
    }
}

fn draw_target(random: &mut Random, nodes: usize) -> Target {
    match random.below(10) {
        0..5 => Target::Primary,
        5..8 => Target::Other,
        _ => Target::Node(random.index(nodes)),
    }
}

fn draw_ways(random: &mut Random) -> Vec<Way> {
    match random.below(3) {
        0 => vec![Way::Up],
        1 => vec![Way::Down],
        _ => vec![Way::Up, Way::Down],
    }
}

/// Kinds of faults, of which each run draws a few.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Kill,
    LoseHost,
    Pause,
    Stall,
    LongCommand,
    Stop,
    SwitchOver,
    Cut,
    CutClients,
    CutLinks,
    Break,
    Slow,
    Jump,
    KillVault,
    PowerCut,
    PauseVault,
    SyncFails,
    DiskFull,
    DiskSlow,
    Rot,
    Install,
    InstallVault,
}

impl Kind {
    /// Those that find most are there more than once.
    pub(crate) const ALL: [Kind; 31] = [
        Kind::Kill,
        Kind::Kill,
        Kind::LoseHost,
        Kind::Pause,
        Kind::Pause,
        Kind::Stall,
        Kind::LongCommand,
        Kind::LongCommand,
        Kind::Stop,
        Kind::SwitchOver,
        Kind::SwitchOver,
        Kind::SwitchOver,
        Kind::Cut,
        Kind::Cut,
        Kind::CutClients,
        Kind::CutLinks,
        Kind::Break,
        Kind::Break,
        Kind::Slow,
        Kind::Slow,
        Kind::Jump,
        Kind::KillVault,
        Kind::PowerCut,
        Kind::PowerCut,
        Kind::PauseVault,
        Kind::SyncFails,
        Kind::DiskFull,
        Kind::DiskSlow,
        Kind::Rot,
        Kind::Install,
        Kind::InstallVault,
    ];

    /// A fault of this kind.
    pub(crate) fn draw(self, random: &mut Random, nodes: usize) -> Fault {
        let target = draw_target(random, nodes);
        match self {
            Kind::Kill => Fault::Kill(target),
            Kind::LoseHost => Fault::LoseHost(target, random.millis(300, 1_200)),
            Kind::Pause => Fault::Pause(target, random.millis(5, 1_000)),
            Kind::Stall => {
                let threads = [
                    Thread::RoleDriver,
                    Thread::Follower,
                    Thread::Transfer,
                    Thread::Upkeep,
                    Thread::Long,
                    Thread::Sessions,
                ];
                Fault::Stall(target, *random.pick(&threads), random.millis(2, 700))
            }
            Kind::LongCommand => Fault::LongCommand(Target::Primary, random.millis(5, 1_000)),
            Kind::Stop => Fault::Stop(target),
            Kind::SwitchOver => Fault::SwitchOver,
            Kind::Cut => {
                let ways = draw_ways(random);
                let lasts = if random.percent(15) { None } else { Some(random.millis(10, 1_000)) };
                Fault::Cut(target, ways, lasts)
            }
            Kind::CutClients => Fault::CutClients(target, random.millis(50, 900)),
            Kind::CutLinks => Fault::CutLinks(target, random.millis(50, 900)),
            Kind::Break => Fault::Break(target),
            Kind::Slow => {
                let way = *random.pick(&[Way::Up, Way::Down]);
                Fault::Slow(target, way, random.between(5, 600), random.millis(50, 900))
            }
            Kind::Jump => Fault::Jump(target, random.between(0, 4_000) as i64 - 2_000),
            Kind::KillVault => Fault::KillVault,
            Kind::PowerCut if random.percent(25) => Fault::PowerCutTwice(random.below(12)),
            Kind::PowerCut => Fault::PowerCut(random.below(12)),
            Kind::PauseVault => Fault::PauseVault(random.millis(5, 900)),
            Kind::SyncFails => Fault::SyncFails(random.below(8)),
            Kind::DiskFull => Fault::DiskFull(random.millis(20, 500)),
            Kind::DiskSlow => Fault::DiskSlow(random.between(2, 40), random.millis(50, 700)),
            Kind::Install => Fault::Install(target, random.between(1, u64::from(NEWEST) + 1) as Release),
            Kind::InstallVault => Fault::InstallVault(random.between(1, u64::from(NEWEST) + 1) as Release),
            Kind::Rot => Fault::Rot(Rot { place: random.draw(), bit: random.draw(), was: None }),
        }
    }
}

/// A moment of any kind.
pub(crate) fn draw_moment(random: &mut Random) -> Moment {
    match random.below(15) {
        12.. => Moment::Renewed,
        0..2 => Moment::Becomes(Role::Promoting),
        2 => Moment::Becomes(Role::Primary),
        3..5 => Moment::Becomes(Role::HandingOver),
        5..8 => Moment::HandOverSent,
        8 => Moment::Frozen,
        9 => Moment::ImageStoring,
        _ => Moment::LeaseChanging,
    }
}

//! What a seed decides before the run begins: the cluster, and the faults.

use std::time::Duration;

use tanist::config::Standby;

use crate::clock::Time;
use crate::fault::{Fault, Kind, Moment, draw_moment};
use crate::plot;
use crate::random::Random;
use crate::release::Releases;

/// The first fault does not come before this: somebody has become primary then.
const FAULTS_FROM_MS: u64 = 150;

/// A fault that waits for its moment.
#[derive(Clone, Debug)]
pub(crate) struct Ambush {
    /// Which moment.
    pub moment: Moment,
    /// How many such moments it lets pass.
    pub skips: u64,
    /// What strikes then.
    pub fault: Fault,
}

impl Ambush {
    /// Whether it strikes at this moment, which is of its kind.
    pub(crate) fn is_due(&mut self) -> bool {
        let due = self.skips == 0;
        self.skips = self.skips.saturating_sub(1);
        due
    }
}

/// A run's plan.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    /// Database nodes.
    pub nodes: usize,
    /// Clients.
    pub clients: usize,
    /// Length of a lease.
    pub lease: Duration,
    /// Its length from the vault's second start on, if a person changes it.
    pub lease_later: Option<Duration>,
    /// Shards of each engine.
    pub shards: u16,
    /// Seed of the hash of keys.
    pub hash_seed: u64,
    /// Bytes of a log segment.
    pub segment_bytes: u64,
    /// Longest time between images.
    pub image_interval: Duration,
    /// Bytes of log after which an image is due.
    pub image_log_bytes: u64,
    /// By how many millionths each machine's clock runs fast; the vault's is the last.
    pub clocks_ppm: Vec<i64>,
    /// What is installed at the beginning.
    pub releases: Releases,
    /// What strikes at which time.
    pub faults: Vec<(Time, Fault)>,
    /// What strikes when a node is at a certain point.
    pub ambushes: Vec<Ambush>,
    /// All faults end here, those that never heal aside.
    pub calm_at: Time,
    /// How long a session waits for permission to execute, and a reply for the vault.
    pub durable_wait: Duration,
    /// Share of what clients send at which a thread stands still between permission and execution.
    pub slow_percent: u64,
    /// For how long at most.
    pub slow: Duration,
    /// Share of the long commands that lock all shards for a long time.
    pub long_percent: u64,
    /// For how long at most.
    pub long: Duration,
    /// How long a client thinks about a reply at most, before it goes on with its operation.
    pub think: Duration,
    /// What standbys do with commands on data.
    pub standby: Standby,
    /// How old the data may be that they read.
    pub read_age_max: Duration,
    /// Nothing is wrong but that commands take long.
    pub only_long_commands: bool,
}

impl Scenario {
    /// What `random` decides.
    #[must_use]
    pub(crate) fn draw(random: &mut Random) -> Scenario {
        let nodes = if random.percent(70) { 2 } else { 3 };
        let calm_ms = random.between(1_200, 2_600);
        let mut faults = Vec::new();
        // A few kinds of faults and more of each find more than a little of everything.
        let kinds: Vec<Kind> = (0..random.between(1, 7)).map(|_| *random.pick(&Kind::ALL)).collect();
        for _ in 0..random.between(1, 10) {
            let at = Time(random.between(FAULTS_FROM_MS, calm_ms) * 1_000);
            faults.push((at, random.pick(&kinds).draw(random, nodes)));
        }
        let mut ambushes = Vec::new();
        for _ in 0..random.below(5) {
            let moment = draw_moment(random);
            let skips = random.below(if moment == Moment::Renewed { 24 } else { 3 });
            ambushes.push(Ambush { moment, skips, fault: random.pick(&Kind::ALL).draw(random, nodes) });
        }
        let mut scenario = Scenario {
            nodes,
            clients: random.between(3, 6) as usize,
            lease: random.millis(200, 480),
            lease_later: None,
            shards: *random.pick(&[1, 2, 4]),
            hash_seed: random.draw(),
            segment_bytes: if random.percent(50) {
                random.between(512, 4 << 10)
            } else {
                random.between(4 << 10, 24 << 10)
            },
            image_interval: random.millis(150, 900),
            image_log_bytes: random.between(1 << 10, 32 << 10),
            clocks_ppm: (0..=nodes).map(|_| random.between(0, 40_001) as i64 - 20_000).collect(),
            releases: Releases::draw(random, nodes),
            faults,
            ambushes,
            calm_at: Time(calm_ms * 1_000),
            durable_wait: random.millis(200, 1_500),
            slow_percent: *random.pick(&[0, 1, 4]),
            slow: Duration::from_millis(40),
            long_percent: *random.pick(&[0, 2, 20]),
            long: random.millis(20, 1_000),
            standby: match random.below(10) {
                0..5 => Standby::Forward,
                5..8 => Standby::Read,
                _ => Standby::Refuse,
            },
            read_age_max: random.millis(100, 400),
            think: Duration::ZERO,
            only_long_commands: false,
        };
        plot::add(&mut scenario, random, FAULTS_FROM_MS, calm_ms);
        if random.percent(20) && !scenario.only_long_commands {
            scenario.lease_later.get_or_insert(random.millis(150, 480));
        }
        scenario
    }

    /// How old the data may be that a client is told, by true time: clocks may run slow.
    #[must_use]
    pub(crate) fn stale_max(&self) -> Duration {
        let most = self.read_age_max + self.read_age_max / 20;
        if self.standby == Standby::Read { most } else { Duration::ZERO }
    }

    /// Length of a lease as the vault grants it after so many starts.
    #[must_use]
    pub(crate) fn lease_after(&self, vault_starts: u64) -> Duration {
        self.lease_later.filter(|_| vault_starts > 1).unwrap_or(self.lease)
    }

    /// The longest lease of the run.
    #[must_use]
    pub(crate) fn lease_max(&self) -> Duration {
        self.lease.max(self.lease_later.unwrap_or_default())
    }

    /// A node's name.
    #[must_use]
    pub(crate) fn name(&self, node: usize) -> String {
        ["a", "b", "c"][node].to_owned()
    }

    /// The node of that name.
    #[must_use]
    pub(crate) fn node(&self, name: &str) -> Option<usize> {
        ["a", "b", "c"].iter().position(|other| *other == name)
    }
}

//! How long a takeover takes, by fault, as clients see it: the longest time in which one of them had no write confirmed.
//!
//! A short run is part of the tests. `just takeovers` makes many and writes `docs/takeover-times.md`.

mod book;
mod plot;

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tanist_test_support::{from_environment, print_times, rounds, seed};

use crate::cluster::Cluster;
use crate::load::{Kind, Load};
use crate::network::{Host, links};

/// The lease that a cluster has unless it is told otherwise.
pub(crate) const LEASE: Duration = Duration::from_millis(2_000);

/// After so many takeovers the load is begun anew, and the history so far is judged: it has to fit into memory.
const ROUNDS_TOGETHER: usize = 25;

/// What happens to the primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Its database process is killed; its supervisor says so.
    Crash,
    /// All its processes are killed at one moment: nobody says so.
    LostHost,
    /// It is cut off from everybody.
    Cut,
    /// None: somebody asks for a switchover.
    Switchover,
}

impl Fault {
    const ALL: [Fault; 4] = [Fault::Crash, Fault::LostHost, Fault::Cut, Fault::Switchover];

    /// As in `TANIST_FAULT` and in the names of files.
    fn name(self) -> &'static str {
        match self {
            Fault::Crash => "crash",
            Fault::LostHost => "lost-host",
            Fault::Cut => "cut",
            Fault::Switchover => "switchover",
        }
    }

    fn words(self) -> &'static str {
        match self {
            Fault::Crash => "database process killed",
            Fault::LostHost => "host lost: supervisor and database process killed together",
            Fault::Cut => "node cut off from everybody",
            Fault::Switchover => "planned switchover",
        }
    }

    /// What 99 of 100 are to keep.
    fn aim(self) -> Duration {
        match self {
            Fault::Crash => Duration::from_secs(1),
            Fault::LostHost | Fault::Cut => LEASE + Duration::from_secs(1),
            Fault::Switchover => Duration::from_millis(100),
        }
    }
}

/// One takeover.
#[derive(Clone, Copy, Debug)]
struct Sample {
    /// The longest gap of a client that speaks the Redis protocol.
    resp: Duration,
    /// The same of one that uses the library.
    library: Duration,
    /// What the node says that it took: from its claim to its serving, or how long a switchover held the clients.
    own: Duration,
}

#[test]
fn takeovers_by_fault() {
    let seed = seed();
    let wanted: Option<String> = from_environment("TANIST_FAULT");
    let faults = Fault::ALL.into_iter().filter(|fault| wanted.as_deref().is_none_or(|wanted| wanted == fault.name()));
    for fault in faults {
        let samples = measure(fault, rounds(2), seed);
        for (who, times) in columns(&samples) {
            print_times(&format!("{}, {who}", fault.words()), &mut times.clone());
        }
        if let Some(folder) = from_environment::<String>("TANIST_TAKEOVERS_BOOK") {
            book::add(fault, &samples, folder.as_ref());
        }
    }
}

fn measure(fault: Fault, rounds: usize, seed: u64) -> Vec<Sample> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut cluster = Cluster::start(LEASE, &[]);
    if fault == Fault::Cut && !cluster.network.can_cut(fault.words()) {
        return Vec::new();
    }
    let mut samples = Vec::new();
    while samples.len() < rounds {
        let load = Load::start(&cluster, rng.random());
        let together = ROUNDS_TOGETHER.min(rounds - samples.len());
        let windows: Vec<_> = (0..together).map(|_| take_over(fault, &mut cluster, &load, &mut rng)).collect();
        let told = load.finish();
        told.check();
        samples.extend(windows.into_iter().map(|(from, until, own)| Sample {
            resp: told.longest_gap(Kind::Resp, from, until),
            library: told.longest_gap(Kind::Library, from, until),
            own,
        }));
    }
    samples
}

/// One takeover, at any phase of the lease: from before the fault until every client is served, and what the node says that it took.
fn take_over(fault: Fault, cluster: &mut Cluster, load: &Load, rng: &mut StdRng) -> (Instant, Instant, Duration) {
    let primary = cluster.wait_for_primary();
    load.go_on(Duration::from_millis(rng.random_range(200..600)));
    let cut = links(&[primary], &Host::ALL);
    let from = Instant::now();
    match fault {
        Fault::Crash => cluster.kill_database(primary),
        Fault::LostHost => cluster.kill_host(primary),
        Fault::Cut => cluster.network.block(&cut),
        Fault::Switchover => {
            let output = cluster.tool(&["switchover"]);
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
    }
    load.wait_until_served();
    let until = Instant::now();
    let teller = if fault == Fault::Switchover { primary } else { primary.other() };
    let report = cluster.report(teller).expect("it serves");
    match fault {
        // A supervisor starts a process that dies often ever more slowly; each of these is to be the first.
        Fault::Crash => {
            cluster.kill_host(primary);
            cluster.start_part(primary);
        }
        Fault::LostHost => cluster.start_part(primary),
        Fault::Cut => cluster.network.restore(&cut),
        Fault::Switchover => {}
    }
    (from, until, own_time(&report.last_takeover))
}

/// The first time in milliseconds in a node's words about a takeover: all of it.
fn own_time(words: &str) -> Duration {
    let (before, _) = words.split_once(" ms").unwrap_or_else(|| panic!("a takeover's time in '{words}'"));
    let number = before.rsplit(' ').next().and_then(|number| number.parse::<f64>().ok());
    Duration::from_secs_f64(number.unwrap_or_else(|| panic!("a takeover's time in '{words}'")) / 1e3)
}

/// Whose times, and these, shortest first.
fn columns(samples: &[Sample]) -> [(&'static str, Vec<Duration>); 3] {
    let sorted = |of: fn(&Sample) -> Duration| {
        let mut times: Vec<_> = samples.iter().map(of).collect();
        times.sort_unstable();
        times
    };
    [
        ("clients of the Redis protocol", sorted(|sample| sample.resp)),
        ("clients of the library", sorted(|sample| sample.library)),
        ("the node's own report", sorted(|sample| sample.own)),
    ]
}

#[test]
fn a_nodes_words_about_a_takeover_are_understood() {
    let took = "took over from b with epoch 7 in 10.5 ms: claim 3.0, catching up 5.0, epoch start durable 2.5";
    assert_eq!(own_time(took), Duration::from_micros(10_500));
    assert_eq!(own_time("handed over to b with epoch 8 after holding for 3.2 ms"), Duration::from_micros(3_200));
}

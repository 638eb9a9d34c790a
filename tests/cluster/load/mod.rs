//! Clients that ask without a pause worth mentioning, and record what they asked, when, and what they were told.
//!
//! Registers (also compared and set), counters, texts, and a few accounts between which amounts are moved in transactions are judged as
//! histories. Every few seconds the clients go on to other keys, so that no text grows long and no operation of unknown fate
//! explains much; at the end all keys of all times are read once more.

mod fate;
mod library;
mod planted;
mod record;
mod resp;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tanist_test_support::{PATIENCE, wait_until};

use crate::cluster::Cluster;
use fate::Asker;
use record::Record;

/// Clients that speak the Redis protocol, and clients that use the library.
const RESP_CLIENTS: u32 = 3;
const LIBRARY_CLIENTS: u32 = 2;

/// Between two operations of a client: enough that a history of a minute can be judged in seconds.
const PAUSE: Duration = Duration::from_micros(700);

/// What has taken a client off the air is over when its writes have been confirmed so often.
const BACK: u32 = 3;

/// Clients at work.
pub(crate) struct Load {
    seed: u64,
    cluster: Way,
    origin: Instant,
    stop: Arc<AtomicBool>,
    clients: Vec<Client>,
}

/// Where the clients find the cluster.
#[derive(Clone)]
struct Way {
    nodes: Vec<SocketAddr>,
    tls: PathBuf,
}

struct Client {
    kind: Kind,
    /// Writes that were confirmed.
    confirmed: Arc<AtomicU32>,
    thread: JoinHandle<Record>,
}

/// How a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Resp,
    Library,
}

/// What was recorded of a stretch of time.
pub(crate) struct Told {
    origin: Instant,
    records: Vec<(Kind, Record)>,
}

impl Load {
    /// Starts the clients, and waits until each had a write confirmed.
    pub(crate) fn start(cluster: &Cluster, seed: u64) -> Load {
        let way = Way { nodes: cluster.nodes(), tls: cluster.data().join("tls") };
        let (stop, origin) = (Arc::new(AtomicBool::new(false)), Instant::now());
        let clients = (0..RESP_CLIENTS + LIBRARY_CLIENTS).map(|number| {
            let kind = if number < RESP_CLIENTS { Kind::Resp } else { Kind::Library };
            let (stop, way) = (Arc::clone(&stop), way.clone());
            let confirmed = Arc::new(AtomicU32::new(0));
            let count = Arc::clone(&confirmed);
            let rng = StdRng::seed_from_u64(seed.wrapping_add(u64::from(number)));
            let thread = std::thread::spawn(move || {
                let mut record = Record::new(seed, number, origin, count);
                work(asker(kind, &way).as_mut(), &mut record, rng, &stop);
                record
            });
            Client { kind, confirmed, thread }
        });
        let clients = clients.collect();
        let load = Load { seed, cluster: way, origin, stop, clients };
        load.wait_until_served();
        load
    }

    /// Waits until every client has again had some writes confirmed; returns the time that the last of them took.
    pub(crate) fn wait_until_served(&self) -> Duration {
        let start = Instant::now();
        let before: Vec<u32> = self.confirmed().collect();
        wait_until("every client is served", || {
            let mut counts = self.confirmed().zip(&before);
            counts.all(|(now, before)| now >= before + BACK).then_some(())
        });
        start.elapsed()
    }

    fn confirmed(&self) -> impl Iterator<Item = u32> {
        self.clients.iter().map(|client| client.confirmed.load(Ordering::Relaxed))
    }

    /// Lets the load be for `time`.
    pub(crate) fn go_on(&self, time: Duration) {
        sleep(time);
    }

    /// Stops the clients, reads every key once more, and gives all that was recorded.
    pub(crate) fn finish(self) -> Told {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.clients.into_iter().map(|client| {
            let record = client.thread.join().expect("what a client was told made sense");
            (client.kind, record)
        });
        let mut records: Vec<_> = ended.collect();
        let mut last = Record::new(self.seed, records.len() as u32, self.origin, Arc::default());
        let keys = records.iter().flat_map(|(_, record)| record.keys()).collect();
        let mut asker = asker(Kind::Resp, &self.cluster);
        record::read_all(asker.as_mut(), &mut last, keys, PATIENCE);
        records.push((Kind::Resp, last));
        Told { origin: self.origin, records }
    }
}

fn asker(kind: Kind, way: &Way) -> Box<dyn Asker> {
    match kind {
        Kind::Resp => Box::new(resp::Resp::new(&way.nodes)),
        Kind::Library => Box::new(library::Library::new(&way.nodes, &way.tls)),
    }
}

fn work(asker: &mut dyn Asker, record: &mut Record, mut rng: StdRng, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        match rng.random_range(0..100) {
            0..50 => record.register(asker, &mut rng),
            50..75 => record.counter(asker, &mut rng),
            75..90 => record.text(asker, &mut rng),
            _ => record.accounts(asker, &mut rng),
        }
        sleep(PAUSE);
    }
}

impl Told {
    /// One copy of the data could have answered all of this.
    pub(crate) fn check(&self) {
        let records: Vec<&Record> = self.records.iter().map(|(_, record)| record).collect();
        record::check(&records);
    }

    /// Operations of a kind of client that were refused or are of unknown fate.
    pub(crate) fn failed(&self, kind: Kind) -> usize {
        self.records.iter().filter(|(of, _)| *of == kind).map(|(_, record)| record.failed()).sum()
    }

    /// The time from `moment` until each client has had a write confirmed.
    pub(crate) fn served_after(&self, moment: Instant) -> Duration {
        let moment = moment - self.origin;
        let first = |record: &Record| {
            let after =
                record.confirmed.iter().find(|time| **time >= moment).expect("the load went on until all were served");
            *after - moment
        };
        self.writers().map(|(_, record)| first(record)).max().expect("there are clients")
    }

    /// All but the last record, which only reads.
    fn writers(&self) -> impl Iterator<Item = &(Kind, Record)> {
        self.records.iter().filter(|(_, record)| !record.confirmed.is_empty())
    }

    /// For a kind of client the longest time, between `from` and `until`, in which one of them had no write confirmed.
    pub(crate) fn longest_gap(&self, kind: Kind, from: Instant, until: Instant) -> Duration {
        let (from, until) = (from - self.origin, until - self.origin);
        let gap = |record: &Record| {
            let within = record.confirmed.iter().copied().filter(|time| (from..until).contains(time));
            let mut times: Vec<_> = [from].into_iter().chain(within).chain([until]).collect();
            times.dedup();
            times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
        };
        let of_kind = self.writers().filter(|(of, _)| *of == kind);
        of_kind.map(|(_, record)| gap(record)).max().expect("there are clients of this kind")
    }
}

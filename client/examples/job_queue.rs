//! A job queue: each job is done at least once, also if a worker dies with it in hand, or the primary with all of them.
//!
//!     cargo run --release -- up                                          # in one terminal
//!     cargo run --release -p tanist-client --example job_queue           # in another
//!
//! While it runs, kill the primary: `kill -9` and the number that `up` has shown. The work goes on with the standby. Takes a folder of
//! certificates, addresses and a number of seconds (20) as arguments. Exits with 1 if a job is lost.
//!
//! - A producer adds jobs to the list `waiting`. If the outcome of one is unknown it adds it again.
//! - A worker moves a job to a list of its own (`BLMOVE`), does it, and takes it off that list (`LREM`). Whatever it does not know the
//!   outcome of, it looks at its list: what is there is still to be done.
//! - A worker shows that it lives. The jobs of one that has not for some time go back to `waiting`. Here workers die on purpose.

#![expect(clippy::print_stdout, reason = "a program for people")]

mod arguments;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tanist_client::commands::*;
use tanist_client::{Client, Error, Outcome};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{Instant, sleep};

const PRODUCERS: u32 = 2;
const WORKERS: u32 = 4;
/// Between two jobs of a producer.
const PRODUCE_PAUSE: Duration = Duration::from_millis(8);
/// How long a job takes.
const WORK: Duration = Duration::from_millis(10);
/// A worker dies in the middle of each job of so many.
const DEADLY: u64 = 150;
/// Longest wait for a job; after it a worker shows that it lives.
const POLL: Duration = Duration::from_millis(500);
/// A worker that has shown no life for so long is taken for dead: longer than a takeover after a lost host.
const DEAD_AFTER: Duration = Duration::from_secs(4);
/// Jobs that are still not done so long after the last was produced are lost.
const PATIENCE: Duration = Duration::from_secs(60);

/// What has happened, as the program has seen it.
#[derive(Default)]
struct Ledger {
    /// Jobs that were produced, and how often each was done.
    jobs: BTreeMap<String, u64>,
    unknown: u64,
    dead_workers: u64,
    rescued: u64,
    next_worker: u32,
    /// No more jobs are produced.
    closed: bool,
}

impl Ledger {
    fn done(&self) -> usize {
        self.jobs.values().filter(|times| **times > 0).count()
    }

    fn repeats(&self) -> u64 {
        self.jobs.values().map(|times| times.saturating_sub(1)).sum()
    }
}

#[derive(Clone)]
struct Queue {
    client: Client,
    name: String,
    ledger: Rc<RefCell<Ledger>>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match LocalSet::new().run_until(run()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("job_queue: {why}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<bool, String> {
    let (options, time) = arguments::read("job_queue")?;
    let client = Client::connect(options).await.map_err(|error| error.to_string())?;
    let queue = Queue { client, name: format!("jobs:{}", std::process::id()), ledger: Rc::default() };
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for producer in 0..PRODUCERS {
        tasks.spawn_local(queue.clone().produce(producer, start + time));
    }
    for _ in 0..WORKERS {
        tasks.spawn_local(queue.clone().work());
    }
    tasks.spawn_local(queue.clone().rescue());
    let end = start + time;
    while Instant::now() < end + PATIENCE && !(Instant::now() > end && queue.is_done()) {
        queue.show(start).await;
        tokio::select! {
            () = sleep(Duration::from_secs(1)) => {}
            Some(ended) = tasks.join_next() => ended.map_err(|e| e.to_string())?.map_err(|e| e.to_string())?,
        }
        queue.ledger.borrow_mut().closed = Instant::now() > end;
    }
    tasks.shutdown().await;
    queue.clear().await.map_err(|error| error.to_string())?;
    Ok(queue.settle())
}

impl Queue {
    fn waiting(&self) -> String {
        format!("{}:waiting", self.name)
    }

    fn alive(&self) -> String {
        format!("{}:alive", self.name)
    }

    fn list_of(&self, worker: &str) -> String {
        format!("{}:{worker}", self.name)
    }

    /// Whether all that was produced is done.
    fn is_done(&self) -> bool {
        let ledger = self.ledger.borrow();
        ledger.closed && ledger.done() == ledger.jobs.len()
    }

    /// The result, or `None` if it is unknown or there was none; other errors end the program.
    fn known<T>(&self, result: Result<T, Error>) -> Result<Option<T>, Error> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error) => match error.outcome() {
                Outcome::Unknown => {
                    self.ledger.borrow_mut().unknown += 1;
                    Ok(None)
                }
                Outcome::NotExecuted => Ok(None),
                _ => Err(error),
            },
        }
    }

    async fn produce(self, producer: u32, end: Instant) -> Result<(), Error> {
        for number in 0_u64.. {
            if Instant::now() > end {
                break;
            }
            let job = format!("{producer}-{number}");
            self.ledger.borrow_mut().jobs.insert(job.clone(), 0);
            // Twice in the list is a job done twice; not at all is a job lost.
            while self.known(self.client.rpush(self.waiting(), &job).await)?.is_none() {}
            sleep(PRODUCE_PAUSE).await;
        }
        Ok(())
    }

    /// A worker after the other: the next begins when one has died.
    async fn work(self) -> Result<(), Error> {
        let mut worker = self.hire();
        while !self.is_done() {
            self.known(self.client.zadd(self.alive(), (now(), &worker)).await)?;
            let Some(job) = self.next_job(&worker).await? else { continue };
            sleep(WORK).await;
            let times = {
                let mut ledger = self.ledger.borrow_mut();
                let times = ledger.jobs.entry(job.clone()).or_default();
                *times += 1;
                *times
            };
            if times == 1 && number_of(&job) % DEADLY == DEADLY - 1 {
                // The job is done, and nobody was told.
                self.ledger.borrow_mut().dead_workers += 1;
                worker = self.hire();
                continue;
            }
            self.known(self.client.lrem(self.list_of(&worker), 1, &job).await)?;
        }
        Ok(())
    }

    fn hire(&self) -> String {
        let mut ledger = self.ledger.borrow_mut();
        ledger.next_worker += 1;
        format!("worker-{}", ledger.next_worker)
    }

    /// A job in the worker's list: one that is there already, or the next that waits.
    async fn next_job(&self, worker: &str) -> Result<Option<String>, Error> {
        let own = self.list_of(worker);
        if let Some(Some(job)) = self.known(self.client.lindex(&own, 0).await)? {
            return Ok(Some(job));
        }
        let moved = self.client.blmove(self.waiting(), &own, End::Left, End::Right, Some(POLL)).await;
        Ok(self.known(moved)?.flatten())
    }

    /// Puts the jobs of dead workers back to those that wait.
    async fn rescue(self) -> Result<(), Error> {
        while !self.is_done() {
            sleep(POLL).await;
            let long_ago = (Bound::Unbounded, Bound::Excluded(now() - DEAD_AFTER.as_secs_f64()));
            let dead = self.client.zrange::<String>(self.alive(), ZRange::scores(long_ago)).await;
            for worker in self.known(dead)?.unwrap_or_default() {
                let own = self.list_of(&worker);
                // Until the list is known to be empty: a job whose move has an unknown outcome is in one of the two.
                loop {
                    let moved = self.client.lmove::<String>(&own, self.waiting(), End::Right, End::Left).await;
                    match self.known(moved)? {
                        Some(Some(_)) => self.ledger.borrow_mut().rescued += 1,
                        Some(None) => break,
                        None => {}
                    }
                }
                self.known(self.client.zrem(self.alive(), &worker).await)?;
            }
        }
        Ok(())
    }

    /// Removes all lists.
    async fn clear(&self) -> Result<(), Error> {
        for key in self.client.scan::<String>().matching(format!("{}:*", self.name)).count(1000).all().await? {
            self.client.del(key).await?;
        }
        Ok(())
    }

    async fn show(&self, start: Instant) {
        let waiting = self.client.llen(self.waiting()).await.map_or("?".to_owned(), |length| length.to_string());
        let primary =
            self.client.primary().map_or("no primary".to_owned(), |p| format!("{} in epoch {}", p.address, p.epoch));
        let ledger = self.ledger.borrow();
        println!(
            "{:5.1} s   primary {primary}   produced {:5}   waiting {waiting:>3}   done {:5}   repeats {:3}   dead workers {:2}",
            start.elapsed().as_secs_f64(),
            ledger.jobs.len(),
            ledger.done(),
            ledger.repeats(),
            ledger.dead_workers
        );
    }

    /// Shows what has become of the jobs, and returns whether all are done.
    fn settle(&self) -> bool {
        let ledger = self.ledger.borrow();
        let lost: Vec<_> = ledger.jobs.iter().filter(|(_, times)| **times == 0).map(|(job, _)| job).collect();
        println!("\nproduced {} jobs, done {}, lost {}", ledger.jobs.len(), ledger.done(), lost.len());
        println!("{} jobs were done more than once: at least once is what this queue promises", ledger.repeats());
        println!("{} workers died with a job in hand, {} jobs went back", ledger.dead_workers, ledger.rescued);
        println!("{} commands had an unknown outcome", ledger.unknown);
        if lost.is_empty() {
            println!("every job is done");
        } else {
            println!("LOST: {lost:?}");
        }
        lost.is_empty()
    }
}

/// The job's number among those of its producer.
fn number_of(job: &str) -> u64 {
    job.split('-').next_back().and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// Seconds since 1970, as scores of workers.
#[expect(clippy::disallowed_methods, reason = "a program of its own, which has no clock to be given")]
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

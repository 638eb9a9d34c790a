//! The background task of a client: routes requests to the current primary.
//!
//! ```text
//!   callers --jobs--> waiting --> link to the primary --replies--> callers
//!                        ^            | deposed: drained aside
//!                        +------------+ refused, or never sent
//!   scouts --reports--> which node is primary
//! ```

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::address::NodeAddress;
use crate::class::Class;
use crate::client::{Primary, Troubles};
use crate::dial::{Dialer, SILENT, pulse_timer};
use crate::error::Error;
use crate::limits;
use crate::link::{Job, Link, Replaced, Waiting};
use crate::request::Unit;
use crate::scout::{Ready, Report, scout};

pub(crate) struct Driver {
    jobs: mpsc::Receiver<Job>,
    reports: mpsc::Receiver<Report>,
    report: mpsc::Sender<Report>,
    /// From links that are drained. Its bound is the client's bound of commands, so a sender waits for this task at most.
    again: mpsc::Receiver<Job>,
    give_back: mpsc::Sender<Job>,
    dialer: Arc<Dialer>,
    nodes: BTreeSet<NodeAddress>,
    /// Scouts and drained links; they end with this task.
    tasks: JoinSet<()>,
    link: Option<Link>,
    /// Counts links: names the one on which keys were watched.
    links: u64,
    /// The newest epoch that a primary has claimed: who claims an older one has not yet noticed that its term is over.
    epoch: u64,
    watching: Option<u64>,
    waiting: Waiting,
    primary: watch::Sender<Option<Primary>>,
    troubles: Troubles,
}

impl Driver {
    pub(crate) fn new(
        jobs: mpsc::Receiver<Job>,
        commands_max: usize,
        dialer: Arc<Dialer>,
        primary: watch::Sender<Option<Primary>>,
        troubles: Troubles,
    ) -> Self {
        let (report, reports) = mpsc::channel(limits::NODES_MAX);
        let (give_back, again) = mpsc::channel(commands_max);
        Self {
            jobs,
            reports,
            report,
            again,
            give_back,
            dialer,
            nodes: BTreeSet::new(),
            tasks: JoinSet::new(),
            link: None,
            links: 0,
            epoch: 0,
            watching: None,
            waiting: Waiting::new(),
            primary,
            troubles,
        }
    }

    /// Runs until the last handle of the client is gone.
    pub(crate) async fn run(mut self, nodes: Vec<NodeAddress>) {
        nodes.into_iter().for_each(|node| self.send_scout(node));
        let mut timer = pulse_timer();
        loop {
            tokio::select! {
                job = self.jobs.recv() => match job {
                    Some(job) => self.admit(job),
                    None => return,
                },
                Some(job) = self.again.recv() => self.wait(job),
                Some(report) = self.reports.recv() => self.hear(report),
                step = step(self.link.as_mut()) => self.stepped(step),
                Some(_) = self.tasks.join_next() => {}
                _ = timer.tick() => self.look(),
            }
            self.dispatch();
        }
    }

    fn send_scout(&mut self, node: NodeAddress) {
        if self.nodes.len() < limits::NODES_MAX && self.nodes.insert(node.clone()) {
            self.tasks.spawn(scout(node, self.dialer.clone(), self.report.clone()));
        }
    }

    /// Takes a job and all others that are queued already, so that they are sent together.
    fn admit(&mut self, job: Job) {
        self.wait(job);
        while let Ok(job) = self.jobs.try_recv() {
            self.wait(job);
        }
    }

    fn wait(&mut self, mut job: Job) {
        job.begin_waiting();
        self.waiting.insert(job.id, job);
    }

    fn hear(&mut self, report: Report) {
        match report {
            Report::Primary(ready) => self.follow(ready),
            Report::Named(node) => self.send_scout(node),
            Report::Standby(node) => self.troubles.clear(&node),
            Report::Trouble(node, why) => {
                tracing::debug!(%node, why, "node cannot be used");
                self.troubles.note(node, why);
            }
        }
    }

    /// A node says that it is primary. Of two, the one with the newer epoch is.
    fn follow(&mut self, ready: Ready) {
        self.troubles.clear(&ready.address);
        match &mut self.link {
            // The same node under another of its names: its prober rests with the one that is used.
            Some(link) if link.epoch == ready.epoch => return link.rest_with(ready.held),
            Some(link) if link.epoch > ready.epoch => return,
            _ if ready.epoch < self.epoch => return,
            _ => {}
        }
        // Of a term between the two nobody has said how it began.
        let follows = self.link.as_ref().is_some_and(|link| link.epoch + 1 == ready.epoch);
        let replaced = if ready.took_over && follows { Replaced::TakenOver } else { Replaced::Planned };
        self.epoch = ready.epoch;
        tracing::debug!(node = %ready.address, epoch = ready.epoch, "primary found");
        self.retire(replaced);
        self.links += 1;
        let now = Primary { address: ready.address.clone(), epoch: ready.epoch };
        self.link = Some(Link::new(ready));
        self.primary.send_replace(Some(now));
    }

    fn stepped(&mut self, step: Result<Vec<Job>, String>) {
        match step {
            Ok(again) => {
                again.into_iter().for_each(|job| self.wait(job));
                if self.link.as_ref().is_some_and(|link| link.deposed) {
                    self.retire(Replaced::Planned);
                }
            }
            Err(why) => {
                if let Some(link) = self.link.take() {
                    tracing::debug!(node = %link.address, why, "primary lost");
                    self.troubles.note(link.address.clone(), why.clone());
                    link.lose(&why).into_iter().for_each(|job| self.wait(job));
                }
                self.primary.send_replace(None);
            }
        }
    }

    /// Nothing more goes to the present primary; what is under way there may still be answered.
    fn retire(&mut self, replaced: Replaced) {
        if let Some(mut link) = self.link.take() {
            link.take_unsent().into_iter().for_each(|job| self.wait(job));
            self.tasks.spawn(link.drain(replaced, self.give_back.clone()));
            self.primary.send_replace(None);
        }
    }

    fn dispatch(&mut self) {
        let Some(link) = &mut self.link else { return };
        while let Some((_, mut job)) = self.waiting.pop_first() {
            if job.is_abandoned() {
                continue;
            }
            match note_watch(&mut self.watching, self.links, &mut job) {
                Ok(()) => link.push(job),
                Err(error) => job.finish(Err(error)),
            }
        }
    }

    /// Checks for signs of life and for deadlines.
    fn look(&mut self) {
        let silent = self.link.as_mut().map_or(0, Link::silent_pulses);
        if silent >= limits::SILENT_PULSES_LOST {
            self.stepped(Err(SILENT.to_owned()));
        }
        self.expire(Instant::now());
    }

    fn expire(&mut self, now: Instant) {
        if let Some(link) = &mut self.link {
            link.expire(now);
        }
        let over = |job: &Job| job.deadline <= now || job.is_abandoned();
        let ids: Vec<u64> = self.waiting.values().filter(|job| over(job)).map(|job| job.id).collect();
        for mut job in ids.into_iter().filter_map(|id| self.waiting.remove(&id)) {
            let obstacle = std::mem::take(&mut job.obstacle);
            let why = if obstacle.is_empty() { self.troubles.sentence() } else { obstacle };
            let (waited, done) = (now - job.asked, job.attempt.done());
            job.finish(Err(Error::NotExecuted { waited, done, why }));
        }
    }
}

/// Keys are watched on one connection. A transaction that depends on them must not run on another.
fn note_watch(watching: &mut Option<u64>, link: u64, job: &mut Job) -> Result<(), Error> {
    if job.attempt.unit() == Unit::Transaction {
        let lost = job.attempt.watched || watching.is_some_and(|on| on != link);
        job.attempt.watched = watching.take().is_some();
        return if lost { Err(Error::WatchLost) } else { Ok(()) };
    }
    for command in job.attempt.pending() {
        match command.class {
            Class::Watch => *watching = watching.or(Some(link)),
            Class::Unwatch => *watching = None,
            Class::Read | Class::Write => {}
        }
    }
    Ok(())
}

async fn step(link: Option<&mut Link>) -> Result<Vec<Job>, String> {
    match link {
        Some(link) => link.step().await,
        None => std::future::pending().await,
    }
}

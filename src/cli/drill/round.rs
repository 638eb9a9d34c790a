//! One round: clients write, the primary is taken away, another node takes over, the pair becomes healthy again, and the replies
//! that clients got are compared with the data.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join;
use tanist_db_core::clock::{Clock, Monotonic};
use tokio::time::{sleep, timeout};

use super::Fault;
use super::kind::Kind;
use super::ledger::Account;
use super::load::{self, Access, Load, Weight};
use super::pair::{self, Pair, Successor};
use super::target::{Paused, Target};
use super::timeline::Course;
use super::witness::Witness;
use crate::cli::status::Asker;
use crate::cluster_file::DataFolder;
use crate::exit::Failure;
use crate::shutdown::Shutdown;

/// Longest wait for a pair that is not healthy before a round: what was started a moment ago gets time to join.
const HEALTHY_WAIT: Duration = Duration::from_secs(10);
/// Longest wait for a successor: many times a lease.
const TAKEOVER_WAIT: Duration = Duration::from_secs(60);
/// Longest wait for the pair to be whole again: a node may have to load an image of many gigabytes.
const WHOLE_WAIT: Duration = Duration::from_secs(600);

/// What all rounds have in common.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) fault: Fault,
    pub(super) weight: Weight,
    /// How long clients are watched before the fault and after the recovery.
    pub(super) watch: Duration,
    /// What all keys of this drill begin with.
    pub(super) prefix: String,
    pub(super) asker: Asker,
    pub(super) access: Access,
    pub(super) folder: DataFolder,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) shutdown: Shutdown,
}

/// Who is primary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Leader {
    pub(super) node: String,
    pub(super) epoch: u64,
}

/// What came out of a round.
#[derive(Debug)]
pub(super) struct Round {
    pub(super) before: Leader,
    pub(super) after: Leader,
    /// The node beside the primary when the round began.
    pub(super) standby: String,
    /// The successor's own words.
    pub(super) takeover: String,
    pub(super) course: Course,
    pub(super) clients: Vec<Clients>,
}

/// What came out of a round for clients of one kind.
#[derive(Debug)]
pub(super) struct Clients {
    pub(super) kind: Kind,
    pub(super) witness: Witness,
    pub(super) account: Account,
}

impl Round {
    /// How the data differ from what clients were told.
    pub(super) fn account(&self) -> Account {
        sum(self.clients.iter().map(|clients| clients.account))
    }

    /// The longest time in which clients of some kind had no write confirmed.
    pub(super) fn longest_gap(&self) -> Duration {
        self.clients.iter().map(|clients| clients.witness.longest_gap().length()).max().unwrap_or_default()
    }
}

fn sum(accounts: impl IntoIterator<Item = Account>) -> Account {
    accounts.into_iter().fold(Account::default(), |sum, account| sum + account)
}

impl Plan {
    /// The pair, if it is fit for a drill.
    pub(super) async fn healthy(&self) -> Result<Pair, Failure> {
        pair::healthy(&self.asker, &*self.clock, HEALTHY_WAIT)
            .await
            .map_err(|why| Failure::Runtime(format!("the pair is not healthy: {why}; nothing was done")))
    }

    /// The process that the fault needs, if it needs one.
    pub(super) fn target(&self, pair: &Pair) -> Result<Option<Target>, Failure> {
        match self.fault {
            Fault::Switchover => Ok(None),
            Fault::Kill | Fault::Pause => Target::find(&self.folder, &pair.primary).map(Some),
        }
    }

    /// Runs round `number`, from a healthy pair to a healthy pair.
    ///
    /// # Errors
    /// Nobody took over, the pair did not become whole, or the drill was interrupted. The drill's keys are removed as far as that
    /// is possible, and a paused process goes on.
    pub(super) async fn round(&self, number: u32, kinds: &[Kind]) -> Result<Round, Failure> {
        let pair = self.healthy().await?;
        let target = self.target(&pair)?;
        let prefix = format!("{}:{number}", self.prefix);
        let access = self.access.clone().of(&pair, &self.asker).await?;
        let load = Load::start(&access, kinds, self.weight, &prefix).await?;
        let happened = tokio::select! {
            happened = self.happen(&load, &pair, target) => happened,
            () = self.shutdown.asked() => Err(Failure::Runtime("interrupted: `tanist status` shows how the pair is".into())),
        };
        let seen = load.finish().await?;
        let accounts = load::compare(&access, &seen).await;
        let removed = load::remove(&access, &prefix, &seen).await;
        let (course, successor) = match (happened, &accounts) {
            (Err(failure), Ok(accounts)) if !sum(accounts.iter().copied()).is_clean() => {
                return Err(Failure::Data(format!("{}; and {failure}", sum(accounts.iter().copied()).words())));
            }
            (happened, _) => happened?,
        };
        let accounts = accounts?;
        removed?;
        let clients = seen.into_iter().zip(accounts);
        let clients = clients.map(|(seen, account)| Clients { kind: seen.kind, witness: seen.witness, account });
        Ok(Round {
            before: Leader { node: pair.primary.name, epoch: pair.primary.epoch },
            after: Leader { node: successor.report.name, epoch: successor.report.epoch },
            standby: pair.standby.name,
            takeover: successor.report.last_takeover,
            course,
            clients: clients.collect(),
        })
    }

    /// The fault and what follows it, under the clients' eyes.
    async fn happen(&self, load: &Load, pair: &Pair, target: Option<Target>) -> Result<(Course, Successor), Failure> {
        sleep(self.watch).await;
        if let Some((kind, errors)) = load.silent() {
            let (name, ms) = (kind.name(), self.watch.as_millis());
            let errors = if errors.is_empty() { "no error".into() } else { errors };
            return Err(Failure::Runtime(format!(
                "no client ({name}) had a write confirmed within {ms} ms ({errors}): the drill ends before the fault"
            )));
        }
        let (fault, mut successor, paused) = self.strike(pair, target).await?;
        drop(paused);
        let (now, whole) = self.whole().await?;
        // Serving comes first: when it was seen to be primary it may not have had words for it yet.
        successor.report.last_takeover = now.primary.last_takeover;
        sleep(self.watch).await;
        let course = Course {
            fault: load.since_begun(fault),
            takeover: load.since_begun(successor.at),
            whole: load.since_begun(whole),
            end: load.elapsed(),
        };
        Ok((course, successor))
    }

    /// Injects the fault, and waits for the successor. Returns the moment of the fault, and the guard that keeps a paused process
    /// paused.
    async fn strike(
        &self,
        pair: &Pair,
        target: Option<Target>,
    ) -> Result<(Monotonic, Successor, Option<Paused>), Failure> {
        let begun = self.clock.monotonic();
        match (self.fault, target) {
            (Fault::Pause, Some(target)) => {
                let paused = target.pause()?;
                paused.stopped().await;
                let stopped = self.clock.monotonic();
                Ok((stopped, self.successor(pair).await?, Some(paused)))
            }
            (Fault::Kill, Some(target)) => {
                target.kill()?;
                Ok((begun, self.successor(pair).await?, None))
            }
            _ => {
                let ((), successor) = try_join(self.hand_over(pair), self.successor(pair)).await?;
                Ok((begun, successor, None))
            }
        }
    }

    async fn hand_over(&self, pair: &Pair) -> Result<(), Failure> {
        let words = ["TANIST", "SWITCHOVER", &pair.standby.name];
        let said = self.asker.tell(&pair.primary.resp, &words, TAKEOVER_WAIT).await;
        said.map(drop)
            .map_err(|why| Failure::Runtime(format!("node {}, asked to hand over, says: {why}", pair.primary.name)))
    }

    /// The node that takes over: the standby, or the old primary itself if it is back before.
    async fn successor(&self, pair: &Pair) -> Result<Successor, Failure> {
        let watch = |address| pair::successor(&self.asker, &*self.clock, address, pair.primary.epoch);
        let either = async {
            tokio::select! {
                successor = watch(&pair.standby.resp) => successor,
                successor = watch(&pair.primary.resp) => successor,
            }
        };
        timeout(TAKEOVER_WAIT, either).await.map_err(|_| {
            Failure::Runtime(format!("nobody took over within {} s: see `tanist status`", TAKEOVER_WAIT.as_secs()))
        })
    }

    /// Waits for a healthy pair; returns it, and since when it is healthy.
    async fn whole(&self) -> Result<(Pair, Monotonic), Failure> {
        match pair::healthy(&self.asker, &*self.clock, WHOLE_WAIT).await {
            Ok(pair) => Ok((pair, self.clock.monotonic())),
            Err(why) => Err(Failure::Runtime(format!(
                "the pair did not become whole within {} s: {why}; see `tanist status`",
                WHOLE_WAIT.as_secs()
            ))),
        }
    }
}

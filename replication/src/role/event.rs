//! Events that the role machine receives, and effects that it returns.

use std::time::Duration;

use serde::Serialize;
use tanist_db_core::clock::Monotonic;
use tanist_db_core::engine::Engine;
use tanist_db_core::ids::{Epoch, Lsn};

use crate::serving::{Serving, Standing};
use crate::wire::message::{FollowerView, LeaseView};

/// Which process this is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The node's name.
    pub node: String,
    /// Which start of its database process.
    pub incarnation: u64,
    /// Where it serves the Redis protocol.
    pub resp_address: String,
    /// Where it serves the client library.
    pub quic_address: String,
}

/// What the driver sees in its own process, `executing` looked at before `last`: then an end that is read when nothing executes
/// is final as long as the hold lasts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Sight {
    /// Batches of commands that execute now (`Serving::executing`).
    pub executing: u32,
    /// One of them is known to take long (`Serving::long_executing`).
    pub long: bool,
    /// Newest record appended or applied (`Engine::last`).
    pub last: Lsn,
}

impl Sight {
    /// What is to be seen now.
    #[must_use]
    pub fn of(serving: &Serving, engine: &Engine) -> Sight {
        let (executing, long) = (serving.executing(), serving.long_executing() > 0);
        Sight { executing, long, last: engine.last() }
    }
}

/// A call to the vault whose answer the machine needs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Ask {
    /// Keep the lease.
    Renew {
        /// The own epoch.
        epoch: Epoch,
    },
    /// Become primary.
    Claim {
        /// The newest epoch known.
        seen: Epoch,
    },
    /// Give the lease to a successor.
    HandOver {
        /// The own epoch.
        epoch: Epoch,
        /// Who takes over.
        successor: String,
        /// The log's end.
        at: Lsn,
    },
    /// Give the lease up.
    Release {
        /// The own epoch.
        epoch: Epoch,
    },
    /// How the other nodes stand.
    Followers,
}

/// Something has happened.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// A fresh connection to the vault, which shows the lease so. Answers to earlier calls will not come any more.
    Connected {
        /// Who may write.
        view: LeaseView,
        /// Length of a lease, as this vault grants it.
        length: Duration,
    },
    /// The connection is gone, or the vault is silent.
    Disconnected,
    /// News of the lease that nobody asked for.
    News(LeaseView),
    /// An answer: who may write.
    Lease {
        /// To what.
        ask: Ask,
        /// When that was sent.
        sent: Monotonic,
        /// The answer.
        view: LeaseView,
    },
    /// The claim sent at `sent` was granted.
    Claimed {
        /// The own epoch.
        epoch: Epoch,
        /// End of all older epochs' log.
        sealed: Lsn,
        /// When the claim was sent.
        sent: Monotonic,
    },
    /// The vault has refused, and nothing has changed.
    Refused {
        /// What.
        ask: Ask,
        /// Its sentence.
        why: String,
    },
    /// No answer has come: whether the vault has acted is unknown.
    Unanswered {
        /// To what.
        ask: Ask,
    },
    /// The newest reports of the other nodes, asked for at `sent`.
    Followers {
        /// When that was sent.
        sent: Monotonic,
        /// The reports.
        nodes: Vec<FollowerView>,
    },
    /// The follow stream has begun; the log is durable to here.
    Following {
        /// Newest durable record.
        durable: Lsn,
    },
    /// Records up to here are applied to this node's state.
    Applied {
        /// Newest of them.
        last: Lsn,
    },
    /// Records up to here are in the vault.
    Durable {
        /// Newest of them.
        lsn: Lsn,
    },
    /// The record that [`Effect::BeginEpoch`] or [`Effect::Barrier`] requested was appended.
    OwnRecordAppended {
        /// Its position.
        lsn: Lsn,
    },
    /// The epoch that [`Effect::BeginEpoch`] asked for was not begun, since the follower has already applied a newer one: this
    /// process stood still for longer than its lease, and its follower did not.
    Overtaken,
    /// An append or image was refused for good.
    Fenced {
        /// The newest epoch.
        epoch: Epoch,
    },
    /// This process cannot go on: its state differs from the log, or the log is not what the vault had confirmed.
    Broken(End),
    /// A person asks for a switchover.
    SwitchoverAsked {
        /// Successor; `None`: the best follower.
        to: Option<String>,
    },
    /// The process is to end cleanly.
    Shutdown,
    /// [`Machine::wake_at`](super::Machine::wake_at) is reached.
    Tick(Sight),
}

impl Event {
    /// The vault's word on who may write, if it is one.
    #[must_use]
    pub fn view(&self) -> Option<&LeaseView> {
        match self {
            Event::Connected { view, .. } | Event::News(view) | Event::Lease { view, .. } => Some(view),
            _ => None,
        }
    }
}

/// Something is to be done.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Show this to the sessions. Always before all other effects of the same event.
    Publish(Standing),
    /// Call the vault; the answer comes back with the time at which this was sent.
    Ask(Ask),
    /// Open the append stream under this epoch and ship what the engine appends.
    OpenAppend(Epoch),
    /// Stop shipping.
    CloseAppend,
    /// Follow the log after what is applied.
    StartFollow,
    /// Stop following; nothing more will come.
    StopFollow,
    /// Append an epoch-start record to the engine, and report its position.
    BeginEpoch(Epoch),
    /// Append a barrier record (one without effect on the data) under the engine's epoch, and report its position.
    Barrier,
    /// Nobody knows for now how the switchover that was asked for will end: whoever asked waits no longer.
    SwitchoverUnsettled(String),
    /// The switchover that was asked for has ended.
    SwitchoverEnded(Result<SwitchoverReport, String>),
    /// This node has become primary.
    TookOver(Takeover),
    /// End the process.
    End(End),
}

/// How a database process ends.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// As asked, cleanly.
    Stopped,
    /// It must start again as a joining node; the sentence says why.
    Rejoin(String),
    /// It cannot go on, and a person must look; the sentence says why.
    Failed(String),
}

/// A switchover as it went.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct SwitchoverReport {
    /// Who holds the lease now.
    pub successor: String,
    /// Its epoch.
    pub epoch: u64,
    /// How long this node has executed nothing until it knew of the successor, in microseconds.
    pub hold_us: u64,
}

impl SwitchoverReport {
    /// For people.
    #[must_use]
    pub fn words(&self) -> String {
        format!(
            "handed over to {} with epoch {} after holding for {:.1} ms",
            self.successor,
            self.epoch,
            Duration::from_micros(self.hold_us).as_secs_f64() * 1e3
        )
    }
}

/// A takeover as it went, on the node that took over.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Takeover {
    /// Whom it has replaced; empty for the first.
    pub from: String,
    /// The new epoch.
    pub epoch: Epoch,
    /// From the claim's sending to its grant.
    pub claim: Duration,
    /// From there to the sealed end applied.
    pub catch_up: Duration,
    /// From there to the epoch-start record durable.
    pub begin: Duration,
}

impl Takeover {
    /// All of it.
    #[must_use]
    pub fn total(&self) -> Duration {
        self.claim + self.catch_up + self.begin
    }

    /// For people.
    #[must_use]
    pub fn words(&self) -> String {
        let from = if self.from.is_empty() { "nobody" } else { &self.from };
        let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
        format!(
            "took over from {from} with epoch {} in {:.1} ms: claim {:.1}, catching up {:.1}, epoch start durable {:.1}",
            self.epoch,
            ms(self.total()),
            ms(self.claim),
            ms(self.catch_up),
            ms(self.begin)
        )
    }
}

//! Workloads: what clients do, and whether the replies that they got are consistent.
//!
//! A data type needs a few lines: a [`DataType`] that generates requests, encodes them as commands and decodes the replies, and a
//! model in `tanist_history` that defines correct behaviour. A workload over several keys, or one that needs more than the
//! replies for its check, implements [`Workload`] itself.

mod append;
mod compare;
mod counter;
mod expiry;
mod groups;
mod keyed;
mod large;
mod members;
mod messages;
mod places;
mod queues;
mod register;
mod settings;
mod takes;
mod transfer;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::time::Duration;

use tanist_db_core::clock::UnixMillis;
use tanist_history::{Model, Verdict};

use crate::clock::Time;
use crate::random::Random;
use crate::value::Value;

pub(crate) use expiry::note_latest;
pub use keyed::{DataType, Keyed};

/// The words of a command.
pub type Command = Vec<Vec<u8>>;

/// A command of words.
pub fn command(words: &[&str]) -> Command {
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}

/// How an operation has ended for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// All replies have come.
    Done,
    /// It was refused: it has no effect.
    Refused,
    /// Nobody knows.
    Unknown,
}

/// When an operation was asked for and ended, and how.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// When its first command left.
    pub invoked: Time,
    /// When the client knew.
    pub returned: Time,
    /// How.
    pub fate: Fate,
    /// Its connection, and its place among the operations there.
    pub order: (u64, u64),
    /// How old the data may be that it was told, if it only reads.
    pub stale: Duration,
}

impl Ended {
    /// The earliest moment of which it can tell, or at which it can have taken effect.
    #[must_use]
    pub fn not_before(&self, writes: bool) -> Time {
        let stale = if writes { Duration::ZERO } else { self.stale };
        Time(self.invoked.0.saturating_sub(stale.as_micros() as u64))
    }
}

/// One operation of a client: a few commands, each after the reply to the one before.
pub trait Script: Debug {
    /// The next command, which has this number, given all replies so far; `None`: that was all.
    fn next(&mut self, number: u64, replies: &[Value]) -> Option<Command>;

    /// Whether its commands are the same whatever the replies: they can be sent at once.
    fn is_blind(&self) -> bool {
        true
    }

    /// Whether it writes: its end then shows that writes are served.
    fn writes(&self) -> bool;

    /// It has ended.
    fn ended(&mut self, ended: Ended, replies: &[Value]);
}

/// What is known of the run beside what clients were told.
#[derive(Debug, Default)]
pub struct Known {
    /// The wall time at which commands were executed, by number.
    pub executed: BTreeMap<u64, UnixMillis>,
    /// Commands that a standby has read for.
    pub read_here: BTreeSet<u64>,
    /// The latest wall time that any node's clock has shown, at true times.
    pub latest: BTreeMap<Time, UnixMillis>,
    /// When a message of that text first reached a client.
    pub heard: BTreeMap<String, Time>,
}

/// What a group of clients does.
pub trait Workload: Debug {
    /// Begins an operation of `client`.
    fn begin(&mut self, client: usize, random: &mut Random) -> Box<dyn Script>;

    /// Reads of everything, for the end.
    fn last_words(&mut self) -> Vec<Box<dyn Script>>;

    /// Whether all that clients were told can be true.
    fn judge(&self, known: &Known) -> Judgement;
}

/// What is to be said of all that clients were told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// It can be true.
    Possible,
    /// Too much happened at once to say so in as many steps.
    Undecided,
    /// It cannot be true: a report for a person.
    Impossible(String),
}

impl<M: Model> From<Verdict<M>> for Judgement {
    fn from(verdict: Verdict<M>) -> Judgement {
        match verdict {
            Verdict::Linearizable => Judgement::Possible,
            Verdict::Undecided(_) => Judgement::Undecided,
            Verdict::Violation(violation) => Judgement::Impossible(violation.to_string()),
        }
    }
}

/// All there are.
#[must_use]
pub fn all() -> Vec<Box<dyn Workload>> {
    vec![
        Box::new(Keyed::<register::Registers>::new()),
        Box::new(Keyed::<counter::Counters>::new()),
        Box::new(Keyed::<append::Appends>::new()),
        Box::new(Keyed::<compare::CompareAndSet>::new()),
        Box::new(Keyed::<transfer::Transfers>::new()),
        Box::new(Keyed::<places::Places>::new()),
        Box::new(Keyed::<large::Large>::new()),
        Box::new(Keyed::<takes::Takes>::new()),
        Box::new(Keyed::<queues::Queues>::new()),
        Box::new(Keyed::<members::MemberSets>::new()),
        Box::new(Keyed::<groups::Groups>::new()),
        Box::new(messages::Messages::default()),
        Box::new(expiry::Expiry::new()),
        Box::new(settings::Settings),
    ]
}

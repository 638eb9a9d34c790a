//! The verdict on a whole history.

use std::collections::BTreeMap;

use crate::explain::explain;
use crate::order::{Found, Orderer};
use crate::{Model, Operation, Violation};

/// Points that the search of one key visits at most: some seconds and some hundred MB at the worst. A history of ten clients takes
/// about as many as it has operations.
pub const STEPS_MAX: usize = 1_000_000;

/// What can be said of a history.
#[derive(Debug)]
pub enum Verdict<M: Model> {
    /// There is an order that explains every answer.
    Linearizable,
    /// There is none for one key at least; the first such key's case.
    Violation(Box<Violation<M>>),
    /// No violation was found, but the search was given up for these keys.
    Undecided(Vec<String>),
}

impl<M: Model> Verdict<M> {
    /// Ends a test, with the report, unless the history is linearizable.
    ///
    /// # Panics
    /// It is not, or nobody knows.
    pub fn expect_linearizable(self) {
        match self {
            Verdict::Linearizable => {}
            Verdict::Violation(violation) => panic!("{violation}"),
            Verdict::Undecided(keys) => panic!("too many possibilities to decide about the keys {}", keys.join(", ")),
        }
    }
}

/// Judges `history`, whose operations may stand in any order.
#[must_use]
pub fn check<M: Model>(history: &[Operation<M>]) -> Verdict<M> {
    check_within(history, STEPS_MAX)
}

/// The same with another bound than [`STEPS_MAX`].
#[must_use]
pub fn check_within<M: Model>(history: &[Operation<M>], steps_max: usize) -> Verdict<M> {
    let mut keys: BTreeMap<&str, Vec<&Operation<M>>> = BTreeMap::new();
    for operation in history {
        keys.entry(&operation.key).or_default().push(operation);
    }
    let mut undecided = Vec::new();
    for (key, operations) in keys {
        match Orderer::new(operations.iter().copied()).search(steps_max) {
            Found::Order => {}
            Found::Nothing => return Verdict::Violation(Box::new(explain(key, &operations, steps_max))),
            Found::Tired => undecided.push(key.to_owned()),
        }
    }
    if undecided.is_empty() { Verdict::Linearizable } else { Verdict::Undecided(undecided) }
}

//! What a person needs to see of a history that has no order: the first answer that cannot be explained, what happened around it,
//! and which single fault would explain it.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::ControlFlow;

use crate::order::{Found, Orderer};
use crate::{Model, Operation, Outcome};

/// States that are shown at most: more would help nobody.
const STATES_MAX: usize = 5;
/// So many operations before the unexplained answer are suspected one by one; a fault shows soon or in no such way.
const SUSPECTS_MAX: usize = 200;
/// Steps for a suspicion: a fault that explains is found at once.
const SUSPICION_STEPS: usize = 20_000;
/// Lines of a report for operations that do not belong to the window.
const OTHERS_MAX: usize = 10;

/// A key whose answers no order explains.
#[derive(Debug)]
pub struct Violation<M: Model> {
    /// The key.
    pub key: String,
    /// The first answer, by time of return, that cannot be explained together with those before it.
    pub unexplained: Operation<M>,
    /// The operations that are concurrent with it, directly or through each other, by time of invocation; it is one of them.
    pub window: Vec<Operation<M>>,
    /// States that the key may have had before the window; empty if there are more than a person would read.
    pub before: Vec<M::State>,
    /// Refused operations and those of unknown fate that were asked last before the end of the window.
    pub others: Vec<Operation<M>>,
    /// Faults of which each alone would explain all answers so far.
    pub explanations: Vec<Explanation<M>>,
}

/// One fault that would explain the answers.
#[derive(Clone, Debug)]
pub enum Explanation<M: Model> {
    /// The unexplained answer is of a time before it was asked for.
    Stale,
    /// This was refused, and executed nevertheless.
    Refused(Operation<M>),
    /// This was confirmed, and lost.
    Lost(Operation<M>),
    /// This was executed twice.
    Twice(Operation<M>),
}

/// Finds the smallest case within `operations` of `key`, which have no order.
pub(crate) fn explain<M: Model>(key: &str, operations: &[&Operation<M>], steps_max: usize) -> Violation<M> {
    let prefix = first_bad_prefix(operations, steps_max);
    let confirmed = || prefix.iter().filter(|operation| operation.output().is_some());
    let unexplained = confirmed().max_by_key(|operation| operation.done_by()).expect("an answer is wrong").clone();
    let from = quiet_before(&prefix, unexplained.invoked);
    let mut window: Vec<_> = confirmed().filter(|operation| operation.invoked >= from).cloned().collect();
    window.sort_by_key(|operation| operation.invoked);
    let mut others: Vec<_> = prefix.iter().filter(|operation| operation.output().is_none()).cloned().collect();
    others.sort_by_key(|operation| operation.invoked);
    others.drain(..others.len().saturating_sub(OTHERS_MAX));
    Violation {
        key: key.to_owned(),
        before: states_at(&prefix, from),
        explanations: explanations(&prefix, &unexplained),
        unexplained,
        window,
        others,
    }
}

/// What clients knew at `time`: who was told later has an operation of unknown fate.
fn prefix_at<M: Model>(operations: &[&Operation<M>], time: u64) -> Vec<Operation<M>> {
    let asked = operations.iter().filter(|operation| operation.invoked <= time);
    let known = asked.map(|operation| {
        let mut operation = (*operation).clone();
        if operation.output().is_some() && operation.done_by() > time {
            (operation.outcome, operation.returned) = (Outcome::Unknown, None);
        }
        operation
    });
    known.collect()
}

/// The shortest beginning of the history without an order: if a beginning has none, no longer one has.
fn first_bad_prefix<M: Model>(operations: &[&Operation<M>], steps_max: usize) -> Vec<Operation<M>> {
    let confirmed = operations.iter().filter(|operation| operation.output().is_some());
    let times: Vec<u64> = confirmed.map(|operation| operation.done_by()).collect::<BTreeSet<_>>().into_iter().collect();
    let good = |time: &u64| Orderer::new(&prefix_at(operations, *time)).search(steps_max) != Found::Nothing;
    let first_bad = times.partition_point(good);
    prefix_at(operations, times.get(first_bad).copied().unwrap_or(u64::MAX))
}

/// The newest time, `at` or before it, from which on everything was asked when everything asked before had been answered.
fn quiet_before<M: Model>(prefix: &[Operation<M>], at: u64) -> u64 {
    let mut confirmed: Vec<_> = prefix.iter().filter(|operation| operation.output().is_some()).collect();
    confirmed.sort_by_key(|operation| operation.invoked);
    let (mut from, mut answered) = (0, 0);
    for operation in confirmed.into_iter().take_while(|operation| operation.invoked <= at) {
        if operation.invoked > answered {
            from = operation.invoked;
        }
        answered = answered.max(operation.done_by());
    }
    from
}

/// The states that the key may have had when the first operation at or after `from` was asked.
fn states_at<M: Model>(prefix: &[Operation<M>], from: u64) -> Vec<M::State> {
    let mut states: Vec<M::State> = Vec::new();
    let before = prefix.iter().filter(|operation| operation.invoked < from);
    let found = Orderer::new(before).explore(SUSPICION_STEPS, |state| {
        if !states.contains(state) {
            states.push(state.clone());
        }
        if states.len() > STATES_MAX { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    if found == Found::Tired || states.len() > STATES_MAX { Vec::new() } else { states }
}

/// For each kind of fault the newest case that would explain everything.
fn explanations<M: Model>(prefix: &[Operation<M>], unexplained: &Operation<M>) -> Vec<Explanation<M>> {
    let has_order = |changed: &[Operation<M>]| Orderer::new(changed).search(SUSPICION_STEPS) == Found::Order;
    let mut suspects: Vec<usize> = (0..prefix.len()).collect();
    suspects.sort_by_key(|number| std::cmp::Reverse(prefix[*number].invoked));
    suspects.truncate(SUSPECTS_MAX);
    let is_it =
        |operation: &Operation<M>| operation.client == unexplained.client && operation.invoked == unexplained.invoked;
    let newest = |fault: &dyn Fn(&mut Vec<Operation<M>>, usize) -> bool| {
        suspects.iter().copied().find(|number| {
            let mut changed = prefix.to_vec();
            fault(&mut changed, *number) && has_order(&changed)
        })
    };
    let stale = newest(&|changed, number| {
        changed[number].invoked = 0;
        is_it(&prefix[number]) && !M::changes(&unexplained.input, unexplained.output())
    });
    let refused = newest(&|changed, number| {
        let was = std::mem::replace(&mut changed[number].outcome, Outcome::Unknown);
        matches!(was, Outcome::NotExecuted)
    });
    let lost = newest(&|changed, number| {
        let gone = changed.remove(number);
        gone.output().is_some_and(|output| M::changes(&gone.input, Some(output))) && !is_it(&gone)
    });
    let twice = newest(&|changed, number| {
        let mut again = changed[number].clone();
        again.outcome = Outcome::Unknown;
        changed.push(again);
        M::changes(&prefix[number].input, prefix[number].output()) && prefix[number].output().is_some()
    });
    let named = |number: Option<usize>, kind: fn(Operation<M>) -> Explanation<M>| {
        number.map(|number| kind(prefix[number].clone()))
    };
    let refused = named(refused, Explanation::Refused);
    let (lost, twice) = (named(lost, Explanation::Lost), named(twice, Explanation::Twice));
    stale.map(|_| Explanation::Stale).into_iter().chain(refused).chain(lost).chain(twice).collect()
}

impl<M: Model> fmt::Display for Violation<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "key {}: no order explains this answer:\n  {}", self.key, self.unexplained)?;
        let before: Vec<String> = self.before.iter().map(|state| format!("{state:?}")).collect();
        let before = if before.is_empty() { "one of many states".to_owned() } else { before.join(" or ") };
        writeln!(f, "before its window the key held {before}; then")?;
        self.window.iter().try_for_each(|operation| writeln!(f, "  {operation}"))?;
        if !self.others.is_empty() {
            writeln!(f, "refused, or of unknown fate, and asked no later:")?;
            self.others.iter().try_for_each(|operation| writeln!(f, "  {operation}"))?;
        }
        match &self.explanations[..] {
            [] => f.write_str("no single lost, repeated, refused or stale operation explains it"),
            several => {
                f.write_str("it would be explained by")?;
                several.iter().try_for_each(|explanation| write!(f, "\n  {explanation}"))
            }
        }
    }
}

impl<M: Model> fmt::Display for Explanation<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Explanation::Stale => f.write_str("an answer from a state before the question"),
            Explanation::Refused(operation) => write!(f, "execution of what was refused:   {operation}"),
            Explanation::Lost(operation) => write!(f, "loss of what was confirmed:      {operation}"),
            Explanation::Twice(operation) => write!(f, "execution twice of               {operation}"),
        }
    }
}

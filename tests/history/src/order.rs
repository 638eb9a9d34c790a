//! The search for an order of one key's operations.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::rc::Rc;

use crate::set::Set;
use crate::{Model, Operation, Outcome};

/// How a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// There is an order.
    Order,
    /// There is none.
    Nothing,
    /// The bound on steps was reached before either was certain.
    Tired,
}

/// The operations of one key, as the search needs them.
pub(crate) struct Orderer<'a, M: Model> {
    /// By time of invocation.
    confirmed: Vec<&'a Operation<M>>,
    /// For each of `confirmed` the one before it on its connection.
    before: Vec<Option<usize>>,
    /// By time of invocation. Those that cannot change anything are left out.
    unknown: Vec<&'a Operation<M>>,
    /// For each of `unknown` the one before it that asks the same. That one was asked earlier and can do all that this one can: it
    /// is used first.
    twin: Vec<Option<usize>>,
}

/// A point of the search: what was ordered so far, and what it led to.
struct Point<M: Model> {
    state: Rc<M::State>,
    done: Set,
    used: Set,
    /// What may be next and was not tried yet, the best last.
    next: Vec<Next>,
}

#[derive(Clone, Copy)]
enum Next {
    Confirmed(usize),
    Unknown(usize),
}

/// Where the search has been: confirmed operations and state, and the smallest sets of unknown operations used on the way.
type Seen<S> = HashMap<(Set, Rc<S>), Vec<Set>>;

impl<'a, M: Model> Orderer<'a, M> {
    pub(crate) fn new(operations: impl IntoIterator<Item = &'a Operation<M>>) -> Self {
        let (mut confirmed, mut unknown) = (Vec::new(), Vec::new());
        for operation in operations {
            match operation.outcome {
                Outcome::Confirmed(_) => confirmed.push(operation),
                Outcome::Unknown if M::changes(&operation.input, None) => unknown.push(operation),
                Outcome::Unknown | Outcome::NotExecuted => {}
            }
        }
        confirmed.sort_by_key(|operation| operation.invoked);
        unknown.sort_by_key(|operation| operation.invoked);
        let before = befores(&confirmed);
        let mut newest = HashMap::new();
        let twin = unknown.iter().enumerate().map(|(number, operation)| newest.insert(&operation.input, number));
        let twin = twin.collect();
        Self { confirmed, before, unknown, twin }
    }

    /// Is there an order?
    pub(crate) fn search(&self, steps_max: usize) -> Found {
        self.explore(steps_max, |_| ControlFlow::Break(()))
    }

    /// Calls `reached` with each state that all confirmed operations may have led to, some more than once, until it has enough.
    pub(crate) fn explore(&self, steps_max: usize, mut reached: impl FnMut(&M::State) -> ControlFlow<()>) -> Found {
        let mut seen = Seen::new();
        let mut path = Vec::new();
        let mut arriving = Some(self.point(Rc::new(M::initial()), Set::default(), Set::default()));
        let mut found = Found::Nothing;
        for _ in 0..steps_max {
            if let Some(point) = arriving.take().filter(|point| is_new(&mut seen, point)) {
                if point.done.first_missing() == self.confirmed.len() {
                    found = Found::Order;
                    if reached(&point.state).is_break() {
                        return found;
                    }
                }
                path.push(point);
            }
            let Some(last) = path.last_mut() else { return found };
            match last.next.pop() {
                Some(next) => arriving = Some(self.after(last, next)),
                None => drop(path.pop()),
            }
        }
        Found::Tired
    }

    /// The point behind `next`.
    fn after(&self, from: &Point<M>, next: Next) -> Point<M> {
        let (mut done, mut used) = (from.done.clone(), from.used.clone());
        let (operation, set, number) = match next {
            Next::Confirmed(number) => (self.confirmed[number], &mut done, number),
            Next::Unknown(number) => (self.unknown[number], &mut used, number),
        };
        set.insert(number);
        let state = M::step(&from.state, &operation.input, operation.output()).expect("only what fits is tried");
        self.point(Rc::new(state), done, used)
    }

    /// Orders what changes nothing and fits now: later it could not fit better, and it stands in nobody's way. Then looks what may
    /// be next.
    fn point(&self, state: Rc<M::State>, mut done: Set, used: Set) -> Point<M> {
        let (candidates, horizon) = loop {
            let (candidates, horizon) = self.candidates(&done);
            let idle = |number: &&usize| {
                let operation = self.confirmed[**number];
                !M::changes(&operation.input, operation.output()) && self.fits(&state, operation)
            };
            let idle: Vec<usize> = candidates.iter().filter(idle).copied().collect();
            if idle.is_empty() {
                break (candidates, horizon);
            }
            idle.into_iter().for_each(|number| done.insert(number));
        };
        let mut next: Vec<Next> = self.usable(&state, &used, horizon).map(Next::Unknown).collect();
        let mut fitting: Vec<usize> =
            candidates.into_iter().filter(|number| self.fits(&state, self.confirmed[*number])).collect();
        fitting.sort_by_key(|number| std::cmp::Reverse(self.confirmed[*number].done_by()));
        next.extend(fitting.into_iter().map(Next::Confirmed));
        Point { state, done, used, next }
    }

    /// The missing confirmed operations of which each may be the next, and the time by which one of them has happened.
    fn candidates(&self, done: &Set) -> (Vec<usize>, u64) {
        let mut horizon = u64::MAX;
        let mut candidates = Vec::new();
        for number in (done.first_missing()..self.confirmed.len()).filter(|number| !done.contains(*number)) {
            let operation = self.confirmed[number];
            if operation.invoked > horizon {
                break;
            }
            horizon = horizon.min(operation.done_by());
            candidates.push(number);
        }
        let is_its_turn = |number: usize| self.before[number].is_none_or(|before| done.contains(before));
        candidates.retain(|number| self.confirmed[*number].invoked <= horizon && is_its_turn(*number));
        (candidates, horizon)
    }

    /// Unknown operations that may be next and make a difference; those that were asked last come last.
    fn usable(&self, state: &M::State, used: &Set, horizon: u64) -> impl Iterator<Item = usize> {
        let asked = self.unknown.iter().take_while(move |operation| operation.invoked <= horizon);
        asked.enumerate().filter_map(move |(number, operation)| {
            let free = !used.contains(number) && self.twin[number].is_none_or(|twin| used.contains(twin));
            let after = if free { M::step(state, &operation.input, None) } else { None };
            after.is_some_and(|after| after != *state).then_some(number)
        })
    }

    fn fits(&self, state: &M::State, operation: &Operation<M>) -> bool {
        M::step(state, &operation.input, operation.output()).is_some()
    }
}

/// For each of `confirmed` the one before it on its connection.
fn befores<M: Model>(confirmed: &[&Operation<M>]) -> Vec<Option<usize>> {
    let ordered = confirmed.iter().enumerate().filter_map(|(number, operation)| Some((operation.order?, number)));
    let numbers: BTreeMap<(u64, u64), usize> = ordered.collect();
    let before = |operation: &&Operation<M>| {
        let (connection, place) = operation.order?;
        numbers.range((connection, 0)..(connection, place)).next_back().map(|(_, number)| *number)
    };
    confirmed.iter().map(before).collect()
}

/// False if the search has been at a point from which everything can be reached that can be reached from `point`; notes it
/// otherwise.
fn is_new<M: Model>(seen: &mut Seen<M::State>, point: &Point<M>) -> bool {
    let used = seen.entry((point.done.clone(), Rc::clone(&point.state))).or_default();
    if used.iter().any(|fewer| fewer.is_subset(&point.used)) {
        return false;
    }
    used.retain(|more| !point.used.is_subset(more));
    used.push(point.used.clone());
    true
}

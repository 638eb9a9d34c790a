//! On small histories the checker says what a trial of all orders says.

use std::cell::Cell;

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any};
use proptest::test_runner::{Config, TestRunner};

use crate::models::{Accounts, AccountsInput, AccountsOutput};
use crate::models::{Append, AppendInput, AppendOutput, Counter, CounterInput, CounterOutput};
use crate::models::{Register, RegisterInput, RegisterOutput};
use crate::{Model, Operation, Outcome, Verdict, check};

/// Is there an order? Tries each operation next that nothing missing precedes, in each state, remembering nothing.
fn any_order<M: Model>(state: &M::State, missing: &[&Operation<M>]) -> bool {
    if missing.iter().all(|operation| operation.outcome == Outcome::Unknown) {
        return true;
    }
    (0..missing.len()).any(|next| {
        let operation = missing[next];
        let preceded =
            missing.iter().any(|other| other.done_by() < operation.invoked || comes_before(other, operation));
        let mut rest = missing.to_vec();
        rest.remove(next);
        !preceded && M::step(state, &operation.input, operation.output()).is_some_and(|after| any_order(&after, &rest))
    })
}

/// Whether `operation` cannot take effect before `other`, which was confirmed on the same connection.
fn comes_before<M: Model>(other: &Operation<M>, operation: &Operation<M>) -> bool {
    let both_confirmed = other.output().is_some() && operation.output().is_some();
    let ordered = |((connection, place), (same, later)): ((u64, u64), (u64, u64))| connection == same && place < later;
    both_confirmed && other.order.zip(operation.order).is_some_and(ordered)
}

fn register() -> impl Strategy<Value = (RegisterInput, RegisterOutput)> {
    let value = || proptest::option::of(proptest::sample::select(vec!["x", "y"])).prop_map(|v| v.map(str::to_owned));
    let present = || proptest::sample::select(vec!["x", "y"]).prop_map(str::to_owned);
    proptest::prop_oneof![
        3 => present().prop_map(|value| (RegisterInput::Set(value), RegisterOutput::Done)),
        4 => value().prop_map(|value| (RegisterInput::Get, RegisterOutput::Value(value))),
        1 => any::<bool>().prop_map(|was| (RegisterInput::Delete, RegisterOutput::Deleted(was))),
        2 => (value(), present(), any::<bool>()).prop_map(|(expected, new, was)| {
            (RegisterInput::CompareAndSet { expected, new }, RegisterOutput::Swapped(was))
        }),
    ]
}

fn counter() -> impl Strategy<Value = (CounterInput, CounterOutput)> {
    let input = proptest::prop_oneof![(1i64..3).prop_map(CounterInput::Add), Just(CounterInput::Get)];
    (input, (0i64..6).prop_map(CounterOutput))
}

fn append() -> impl Strategy<Value = (AppendInput, AppendOutput)> {
    proptest::prop_oneof![
        ("[ab]", 1usize..4).prop_map(|(end, length)| (AppendInput::Append(end), AppendOutput::Length(length))),
        "[ab]{0,3}".prop_map(|text| (AppendInput::Get, AppendOutput::Text(text))),
    ]
}

/// One unit at a time, and always the same way: otherwise no answer that is drawn would be right.
fn accounts() -> impl Strategy<Value = (AccountsInput, AccountsOutput)> {
    proptest::prop_oneof![
        (0i64..6).prop_map(|n| {
            (AccountsInput::Move { from: 2, to: 0, amount: 1 }, AccountsOutput::Moved { from: -n, to: n })
        }),
        (0i64..6).prop_map(|n| (AccountsInput::Read, AccountsOutput::Balances([n, 0, -n, 0]))),
    ]
}

fn agrees<M: Model>(operation: impl Strategy<Value = (M::Input, M::Output)>) {
    let connection = proptest::option::of(0u64..2);
    let drawn = (operation, 0u64..20, 0u64..10, 0u8..10, connection);
    let operation = drawn.prop_map(|((input, output), invoked, takes, fate, connection)| {
        let outcome = match fate {
            0 => Outcome::NotExecuted,
            1 | 2 => Outcome::Unknown,
            _ => Outcome::Confirmed(output),
        };
        let (key, returned) = ("k".to_owned(), Some(invoked + takes));
        let order = connection.map(|connection| (connection, 0));
        Operation::<M> { client: 0, key, invoked, returned, order, input, outcome }
    });
    let (good, bad) = (Cell::new(0), Cell::new(0));
    let config = Config { cases: 3000, failure_persistence: None, ..Config::default() };
    let tried = TestRunner::new(config).run(&vec(operation, 1..7), |mut history| {
        for (place, operation) in history.iter_mut().enumerate() {
            operation.order = operation.order.map(|(connection, _)| (connection, place as u64));
        }
        let executed: Vec<_> = history.iter().filter(|operation| operation.outcome != Outcome::NotExecuted).collect();
        let expected = any_order(&M::initial(), &executed);
        match check(&history) {
            Verdict::Linearizable => assert!(expected, "accepted, but there is no order"),
            Verdict::Violation(violation) => assert!(!expected, "there is an order, but: {violation}"),
            Verdict::Undecided(_) => panic!("six operations are not many"),
        }
        let count = if expected { &good } else { &bad };
        count.set(count.get() + 1);
        Ok(())
    });
    tried.unwrap_or_else(|failure| panic!("{failure}"));
    assert!(good.get() > 100 && bad.get() > 100, "{} good and {} bad histories", good.get(), bad.get());
}

#[test]
fn on_registers() {
    agrees::<Register>(register());
}

#[test]
fn on_counters() {
    agrees::<Counter>(counter());
}

#[test]
fn on_appends() {
    agrees::<Append>(append());
}

#[test]
fn on_accounts() {
    agrees::<Accounts>(accounts());
}

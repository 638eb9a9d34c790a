//! Each kind of fault, put into a right history, is found and named, and the report shows little beside it.

use crate::models::{ACCOUNTS, Accounts, AccountsInput, AccountsOutput};
use crate::models::{Counter, CounterInput, CounterOutput, Register, RegisterInput, RegisterOutput};
use crate::tests::played::{Game, Playable, play};
use crate::{Explanation, Model, Operation, Outcome, Verdict, Violation, check};

/// A right history of five clients on one key, with what is said in `planted` after it: one after the other, by a sixth client.
fn found<M: Playable>(planted: &[(M::Input, Outcome<M::Output>)]) -> Violation<M> {
    let game = Game { clients: 5, keys: 1, operations: 300, lost_percent: 0, seed: 11 };
    let mut history: Vec<Operation<M>> = play(&game);
    check(&history).expect_linearizable();
    let end = history.iter().filter_map(|operation| operation.returned).max().expect("300 operations");
    for ((input, outcome), time) in planted.iter().zip((end + 10..).step_by(10)) {
        let (key, input, outcome) = (history[0].key.clone(), input.clone(), outcome.clone());
        let (invoked, returned) = (time, Some(time + 5));
        history.push(Operation { client: 6, key, invoked, returned, order: None, input, outcome });
    }
    // What comes later hides nothing.
    let later = play::<M>(&Game { seed: 12, ..game }).into_iter().map(|mut operation| {
        operation.invoked += end + 1000;
        operation.returned = operation.returned.map(|returned| returned + end + 1000);
        operation.outcome = Outcome::Unknown;
        operation
    });
    history.extend(later);
    let Verdict::Violation(violation) = check(&history) else { panic!("not found") };
    println!("{violation}\n");
    assert!(violation.window.len() <= 2, "the window is as small as it can be");
    *violation
}

fn set(value: &str) -> (RegisterInput, Outcome<RegisterOutput>) {
    (RegisterInput::Set(value.into()), Outcome::Confirmed(RegisterOutput::Done))
}

fn get(value: &str) -> (RegisterInput, Outcome<RegisterOutput>) {
    (RegisterInput::Get, Outcome::Confirmed(RegisterOutput::Value(Some(value.into()))))
}

fn add(told: i64) -> (CounterInput, Outcome<CounterOutput>) {
    (CounterInput::Add(1), Outcome::Confirmed(CounterOutput(told)))
}

/// The counter's value at the end of the right history.
fn counted() -> i64 {
    let history = play::<Counter>(&Game { clients: 5, keys: 1, operations: 300, lost_percent: 0, seed: 11 });
    history.iter().filter(|operation| operation.input == CounterInput::Add(1)).count() as i64
}

/// The operation that is named by the explanation `pick` picks.
fn named<M: Model>(violation: &Violation<M>, pick: fn(&Explanation<M>) -> Option<&Operation<M>>) -> &Operation<M> {
    violation.explanations.iter().find_map(pick).expect("the planted fault is among the explanations")
}

#[test]
fn a_stale_read_or_a_lost_write() {
    let violation = found::<Register>(&[set("old"), set("new"), get("old")]);
    assert_eq!(violation.unexplained.input, RegisterInput::Get);
    assert_eq!(violation.before, [Some("new".to_owned())]);
    assert!(matches!(violation.explanations[0], Explanation::Stale));
    let lost = named(&violation, |e| if let Explanation::Lost(operation) = e { Some(operation) } else { None });
    assert_eq!(lost.input, RegisterInput::Set("new".into()));
}

#[test]
fn a_lost_increment() {
    let count = counted();
    let violation = found::<Counter>(&[add(count + 1), add(count + 1)]);
    assert!(matches!(&violation.explanations[..], [Explanation::Lost(_)]), "{violation}");
}

#[test]
fn a_doubled_increment() {
    let count = counted();
    let violation = found::<Counter>(&[add(count + 1), add(count + 3)]);
    let twice = named(&violation, |e| if let Explanation::Twice(operation) = e { Some(operation) } else { None });
    assert_eq!(twice.input, CounterInput::Add(1));
    assert_eq!(violation.explanations.len(), 1, "nothing else explains it");
}

#[test]
fn a_refused_write_that_was_applied() {
    let refused = (RegisterInput::Set("refused".into()), Outcome::NotExecuted);
    let violation = found::<Register>(&[set("old"), refused.clone(), get("refused")]);
    let executed = named(&violation, |e| if let Explanation::Refused(operation) = e { Some(operation) } else { None });
    assert_eq!(executed.input, refused.0);
    assert_eq!(violation.explanations.len(), 1, "nothing else explains it");
}

#[test]
fn a_value_that_nobody_wrote() {
    let violation = found::<Register>(&[set("old"), get("nobody's")]);
    assert!(violation.explanations.is_empty());
}

#[test]
fn a_write_of_unknown_fate_explains_what_is_read_later_but_only_once() {
    let unknown = (RegisterInput::Set("perhaps".into()), Outcome::Unknown);
    let violation = found::<Register>(&[unknown, set("old"), get("old"), get("perhaps"), set("new"), get("perhaps")]);
    assert_eq!(violation.before, [Some("new".to_owned())], "the first reading of it is explained");
}

/// A confirmed transfer after the right history, and what the accounts have after it if it changes them by `seen`.
fn transfer(seen: [i64; ACCOUNTS]) -> Violation<Accounts> {
    let history = play::<Accounts>(&Game { clients: 5, keys: 1, operations: 300, lost_percent: 0, seed: 11 });
    let step = |state, operation: &Operation<Accounts>| Accounts::step(&state, &operation.input, None).expect("any");
    let before = history.iter().fold(Accounts::initial(), step);
    let moved = AccountsOutput::Moved { from: before[0] - 10, to: before[1] + 10 };
    let after = std::array::from_fn(|account| before[account] + seen[account]);
    found::<Accounts>(&[
        (AccountsInput::Move { from: 0, to: 1, amount: 10 }, Outcome::Confirmed(moved)),
        (AccountsInput::Read, Outcome::Confirmed(AccountsOutput::Balances(after))),
    ])
}

#[test]
fn a_lost_transfer() {
    let violation = transfer([0; ACCOUNTS]);
    let lost = named(&violation, |e| if let Explanation::Lost(operation) = e { Some(operation) } else { None });
    assert_eq!(lost.input, AccountsInput::Move { from: 0, to: 1, amount: 10 });
}

#[test]
fn a_doubled_transfer() {
    let violation = transfer([-20, 20, 0, 0]);
    let twice = named(&violation, |e| if let Explanation::Twice(operation) = e { Some(operation) } else { None });
    assert_eq!(twice.input, AccountsInput::Move { from: 0, to: 1, amount: 10 });
    assert_eq!(violation.explanations.len(), 1, "nothing else explains it");
}

#[test]
fn half_a_transfer() {
    assert!(transfer([-10, 0, 0, 0]).explanations.is_empty(), "no fault of a whole one explains it");
}

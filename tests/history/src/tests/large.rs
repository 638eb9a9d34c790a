//! Much to do is done, and too much is said to be too much.

use crate::models::{Accounts, Append, AppendInput, AppendOutput, Counter, Register};
use crate::tests::played::{Game, play};
use crate::{Operation, Outcome, Verdict, check, check_within};

fn game(operations: usize, lost_percent: u32) -> Game {
    Game { clients: 10, keys: 50, operations, lost_percent, seed: 7 }
}

#[test]
fn a_hundred_thousand_operations_of_ten_clients_are_decided() {
    check(&play::<Register>(&game(100_000, 0))).expect_linearizable();
    check(&play::<Counter>(&game(100_000, 0))).expect_linearizable();
    check(&play::<Append>(&game(20_000, 0))).expect_linearizable();
}

/// As after a hundred takeovers, each of which leaves every client with one operation of unknown fate.
#[test]
fn many_operations_of_unknown_fate_are_decided() {
    check(&play::<Register>(&game(100_000, 1))).expect_linearizable();
    check(&play::<Counter>(&game(100_000, 1))).expect_linearizable();
    check(&play::<Append>(&game(20_000, 1))).expect_linearizable();
    check(&play::<Accounts>(&game(20_000, 1))).expect_linearizable();
}

/// Twenty texts may have been appended in any order, or not, and the answer that is true of none comes after all of them.
#[test]
fn what_has_too_many_possibilities_is_undecided() {
    let operation = |client, input, outcome| Operation::<Append> {
        client,
        key: "k".into(),
        invoked: u64::from(client),
        returned: Some(u64::from(client)),
        order: None,
        input,
        outcome,
    };
    let appended = |client| operation(client, AppendInput::Append(format!("{client},")), Outcome::Unknown);
    let mut history: Vec<_> = (0..20).map(appended).collect();
    history.push(operation(20, AppendInput::Get, Outcome::Confirmed(AppendOutput::Text("another".into()))));
    let Verdict::Undecided(keys) = check_within(&history, 10_000) else { panic!("decided") };
    assert_eq!(keys, ["k"]);
}

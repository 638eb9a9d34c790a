//! Histories as clients of a right server would record them.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::models::{ACCOUNTS, Accounts, AccountsInput, AccountsOutput};
use crate::models::{Append, AppendInput, AppendOutput, Counter, CounterInput, CounterOutput};
use crate::models::{Register, RegisterInput, RegisterOutput};
use crate::{Model, Operation, Outcome};

/// A model with clients that know what to ask of it, and a server that answers.
pub(super) trait Playable: Model {
    /// The question number `number`, which nobody else asks if it writes.
    fn question(rng: &mut StdRng, number: usize) -> Self::Input;
    fn answer(state: &Self::State, input: &Self::Input) -> Self::Output;
}

/// How clients are to play.
pub(super) struct Game {
    pub(super) clients: u32,
    pub(super) keys: usize,
    pub(super) operations: usize,
    /// Of a hundred operations so many are of unknown fate, half of them executed, and as many refused.
    pub(super) lost_percent: u32,
    pub(super) seed: u64,
}

/// `operations` operations in the order of their invocation.
pub(super) fn play<M: Playable>(game: &Game) -> Vec<Operation<M>> {
    let mut rng = StdRng::seed_from_u64(game.seed);
    let mut free = vec![0u64; game.clients as usize];
    let mut planned = Vec::new();
    for number in 0..game.operations {
        let client = number % free.len();
        let invoked = free[client] + rng.random_range(1..50);
        let happens = invoked + rng.random_range(0..100);
        let returned = happens + rng.random_range(0..100);
        free[client] = returned;
        let key = format!("key:{}", rng.random_range(0..game.keys));
        planned.push((happens, client as u32, key, invoked, returned, M::question(&mut rng, number)));
    }
    planned.sort_by_key(|plan| plan.0);
    let mut states = std::collections::HashMap::new();
    let happened = planned.into_iter().map(|(_, client, key, invoked, returned, input)| {
        let state = states.entry(key.clone()).or_insert_with(M::initial);
        let output = M::answer(state, &input);
        let fate = rng.random_range(0..100);
        let executed = fate >= game.lost_percent * 3 / 2;
        if executed {
            *state = M::step(state, &input, Some(&output)).expect("the answer is right");
        }
        let outcome = match fate {
            fate if fate < game.lost_percent => Outcome::NotExecuted,
            fate if fate < game.lost_percent * 2 => Outcome::Unknown,
            _ => Outcome::Confirmed(output),
        };
        Operation { client, key, invoked, returned: Some(returned), order: None, input, outcome }
    });
    let mut history: Vec<_> = happened.collect();
    history.sort_by_key(|operation| operation.invoked);
    history
}

impl Playable for Register {
    fn question(rng: &mut StdRng, number: usize) -> RegisterInput {
        match rng.random_range(0..10) {
            0..4 => RegisterInput::Get,
            4..8 => RegisterInput::Set(number.to_string()),
            8 => RegisterInput::Delete,
            _ => RegisterInput::CompareAndSet { expected: None, new: number.to_string() },
        }
    }

    fn answer(state: &Option<String>, input: &RegisterInput) -> RegisterOutput {
        match input {
            RegisterInput::Get => RegisterOutput::Value(state.clone()),
            RegisterInput::Set(_) => RegisterOutput::Done,
            RegisterInput::Delete => RegisterOutput::Deleted(state.is_some()),
            RegisterInput::CompareAndSet { expected, .. } => RegisterOutput::Swapped(state == expected),
        }
    }
}

impl Playable for Counter {
    fn question(rng: &mut StdRng, _: usize) -> CounterInput {
        if rng.random() { CounterInput::Get } else { CounterInput::Add(1) }
    }

    fn answer(state: &i64, input: &CounterInput) -> CounterOutput {
        CounterOutput(match input {
            CounterInput::Get => *state,
            CounterInput::Add(amount) => state + amount,
        })
    }
}

impl Playable for Append {
    fn question(rng: &mut StdRng, number: usize) -> AppendInput {
        if rng.random_ratio(1, 4) { AppendInput::Get } else { AppendInput::Append(format!("{number},")) }
    }

    fn answer(state: &String, input: &AppendInput) -> AppendOutput {
        match input {
            AppendInput::Get => AppendOutput::Text(state.clone()),
            AppendInput::Append(end) => AppendOutput::Length(state.len() + end.len()),
        }
    }
}

impl Playable for Accounts {
    fn question(rng: &mut StdRng, _: usize) -> AccountsInput {
        if rng.random() {
            return AccountsInput::Read;
        }
        let from = rng.random_range(0..ACCOUNTS);
        let to = (from + rng.random_range(1..ACCOUNTS)) % ACCOUNTS;
        AccountsInput::Move { from, to, amount: rng.random_range(1..100) }
    }

    fn answer(state: &[i64; ACCOUNTS], input: &AccountsInput) -> AccountsOutput {
        match *input {
            AccountsInput::Move { from, to, amount } => {
                AccountsOutput::Moved { from: state[from] - amount, to: state[to] + amount }
            }
            AccountsInput::Read => AccountsOutput::Balances(*state),
        }
    }
}

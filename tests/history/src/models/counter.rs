//! A number that is added to.

use std::fmt;

use crate::Model;

/// INCRBY and GET of one key; an absent key is 0.
#[derive(Clone, Copy, Debug)]
pub struct Counter;

/// What is asked of a [`Counter`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CounterInput {
    /// INCRBY; INCR adds 1.
    Add(i64),
    /// GET.
    Get,
}

/// The counter's value, after the addition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CounterOutput(pub i64);

impl Model for Counter {
    type State = i64;
    type Input = CounterInput;
    type Output = CounterOutput;

    fn initial() -> i64 {
        0
    }

    fn step(state: &i64, input: &CounterInput, output: Option<&CounterOutput>) -> Option<i64> {
        let after = match input {
            CounterInput::Add(amount) => state + amount,
            CounterInput::Get => *state,
        };
        output.is_none_or(|CounterOutput(told)| *told == after).then_some(after)
    }

    fn changes(input: &CounterInput, _: Option<&CounterOutput>) -> bool {
        *input != CounterInput::Get
    }
}

impl fmt::Display for CounterInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CounterInput::Add(amount) => write!(f, "add {amount}"),
            CounterInput::Get => f.write_str("get"),
        }
    }
}

impl fmt::Display for CounterOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

//! Values that are put, and taken by blocking clients: each value is taken exactly once.

use std::fmt;

use tanist_history::Model;

use super::{Command, DataType, command};
use crate::random::Random;
use crate::value::Value;

#[derive(Debug)]
pub(super) struct Takes;

impl DataType for Takes {
    type Model = Place;
    const NAME: &'static str = "take";
    const KEYS: u64 = 2;

    fn draw(random: &mut Random, unique: &str, _: Option<&Output>) -> Input {
        match random.below(10) {
            0 => Input::Look,
            1..5 => Input::Put(unique.to_owned()),
            _ => Input::Take { wait_ms: random.between(1, 40) },
        }
    }

    fn read() -> Input {
        Input::Look
    }

    fn next(key: &str, input: &Input, replies: &[Value]) -> Option<Command> {
        let words = match input {
            Input::Put(value) => command(&["SET", key, value]),
            Input::Take { wait_ms } => command(&["DEBUG", "BGETDEL", key, &format!("{}", *wait_ms as f64 / 1e3)]),
            Input::Look => command(&["GET", key]),
        };
        replies.is_empty().then_some(words)
    }

    fn told(_: &Input, replies: &[Value]) -> Option<Output> {
        match replies.first()? {
            Value::Simple(_) => Some(Output::Done),
            Value::Bulk(value) => Some(Output::Value(value.clone())),
            Value::Array(None) => Some(Output::Value(None)),
            Value::Array(Some(pair)) => match &pair[..] {
                [_, Value::Bulk(value)] => Some(Output::Value(value.clone())),
                _ => None,
            },
            _ => None,
        }
    }
}

/// A place for one value.
#[derive(Debug)]
pub(super) struct Place;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Input {
    Put(String),
    Take { wait_ms: u64 },
    Look,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Output {
    Done,
    Value(Option<String>),
}

impl Model for Place {
    type State = Option<String>;
    type Input = Input;
    type Output = Output;

    fn initial() -> Self::State {
        None
    }

    fn step(state: &Self::State, input: &Input, output: Option<&Output>) -> Option<Self::State> {
        let fits = match (input, output) {
            (Input::Put(_), _) | (_, None) => true,
            // A client whose wait timed out has seen at some moment that nothing was there.
            (_, Some(Output::Value(told))) => told == state,
            (_, Some(Output::Done)) => false,
        };
        fits.then(|| match input {
            Input::Put(value) => Some(value.clone()),
            Input::Take { .. } => None,
            Input::Look => state.clone(),
        })
    }

    fn changes(input: &Input, output: Option<&Output>) -> bool {
        match input {
            Input::Put(_) => true,
            Input::Take { .. } => output != Some(&Output::Value(None)),
            Input::Look => false,
        }
    }
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Input::Put(value) => write!(f, "put {value}"),
            Input::Take { wait_ms } => write!(f, "take within {wait_ms} ms"),
            Input::Look => f.write_str("look"),
        }
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Output::Done => f.write_str("done"),
            Output::Value(value) => f.write_str(value.as_deref().unwrap_or("nothing")),
        }
    }
}

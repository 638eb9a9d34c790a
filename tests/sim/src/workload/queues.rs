//! Lists as queues: each element is popped exactly once, in the order in which they were pushed.

use std::collections::VecDeque;
use std::fmt;

use tanist_history::Model;

use super::{Command, DataType, command};
use crate::random::Random;
use crate::value::Value;

#[derive(Debug)]
pub(super) struct Queues;

impl DataType for Queues {
    type Model = QueueModel;
    const NAME: &'static str = "queue";
    const KEYS: u64 = 2;

    fn draw(random: &mut Random, unique: &str, _: Option<&Output>) -> Input {
        match random.below(10) {
            0 => Input::Look,
            // Two long ones do not fit into one piece.
            1..3 => Input::Push(format!("{unique}{}", ".".repeat(3_000))),
            3..6 => Input::Push(unique.to_owned()),
            6..8 => Input::Pop { wait_ms: None },
            _ => Input::Pop { wait_ms: Some(random.between(1, 40)) },
        }
    }

    fn read() -> Input {
        Input::Look
    }

    fn next(key: &str, input: &Input, replies: &[Value]) -> Option<Command> {
        let words = match input {
            Input::Push(element) => command(&["RPUSH", key, element]),
            Input::Pop { wait_ms: None } => command(&["LPOP", key]),
            Input::Pop { wait_ms: Some(wait) } => command(&["BLPOP", key, &format!("{}", *wait as f64 / 1e3)]),
            Input::Look => command(&["LRANGE", key, "0", "-1"]),
        };
        replies.is_empty().then_some(words)
    }

    fn told(input: &Input, replies: &[Value]) -> Option<Output> {
        match replies.first()? {
            // A client whose wait timed out has seen at some moment that nothing was there.
            Value::Array(None) => Some(Output::Popped(None)),
            Value::Array(Some(pair)) if matches!(input, Input::Pop { .. }) => match &pair[..] {
                [_, Value::Bulk(element)] => Some(Output::Popped(element.clone())),
                _ => None,
            },
            Value::Int(length) => Some(Output::Length(*length as usize)),
            Value::Bulk(element) => Some(Output::Popped(element.clone())),
            Value::Array(Some(all)) => {
                let element = |value: &Value| match value {
                    Value::Bulk(element) => element.clone(),
                    _ => None,
                };
                all.iter().map(element).collect::<Option<_>>().map(Output::All)
            }
            _ => None,
        }
    }
}

/// Elements in order.
#[derive(Debug)]
pub(super) struct QueueModel;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Input {
    Push(String),
    /// Waits for so long at most, or not at all.
    Pop {
        wait_ms: Option<u64>,
    },
    Look,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Output {
    Length(usize),
    Popped(Option<String>),
    All(VecDeque<String>),
}

impl Model for QueueModel {
    type State = VecDeque<String>;
    type Input = Input;
    type Output = Output;

    fn initial() -> Self::State {
        VecDeque::new()
    }

    fn step(state: &Self::State, input: &Input, output: Option<&Output>) -> Option<Self::State> {
        let fits = match (input, output) {
            (_, None) => true,
            (Input::Push(_), Some(Output::Length(length))) => *length == state.len() + 1,
            (Input::Pop { .. }, Some(Output::Popped(element))) => element.as_ref() == state.front(),
            (Input::Look, Some(Output::All(all))) => all == state,
            _ => false,
        };
        fits.then(|| {
            let mut state = state.clone();
            match input {
                Input::Push(element) => state.push_back(element.clone()),
                Input::Pop { .. } => drop(state.pop_front()),
                Input::Look => {}
            }
            state
        })
    }

    fn changes(input: &Input, output: Option<&Output>) -> bool {
        match input {
            Input::Push(_) => true,
            Input::Pop { .. } => output != Some(&Output::Popped(None)),
            Input::Look => false,
        }
    }
}

fn short(element: &str) -> &str {
    element.trim_end_matches('.')
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Input::Push(element) => write!(f, "push {}", short(element)),
            Input::Pop { wait_ms: None } => f.write_str("pop"),
            Input::Pop { wait_ms: Some(wait) } => write!(f, "pop within {wait} ms"),
            Input::Look => f.write_str("look"),
        }
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Output::Length(length) => write!(f, "{length} elements"),
            Output::Popped(element) => f.write_str(element.as_deref().map_or("nothing", short)),
            Output::All(all) => {
                let all: Vec<&str> = all.iter().map(|element| short(element)).collect();
                write!(f, "[{}]", all.join(" "))
            }
        }
    }
}

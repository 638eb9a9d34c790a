//! A value that is set, read, deleted, and compared and set.

use std::fmt;

use crate::Model;

/// SET, GET, DEL of one key, and compare-and-set (a transaction with WATCH, or SET NX for an absent value).
#[derive(Clone, Copy, Debug)]
pub struct Register;

/// What is asked of a [`Register`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RegisterInput {
    /// SET.
    Set(String),
    /// GET.
    Get,
    /// DEL.
    Delete,
    /// The new value is set if the expected one is there.
    CompareAndSet {
        /// `None`: no value.
        expected: Option<String>,
        /// The value afterwards.
        new: String,
    },
}

/// What a [`Register`] answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegisterOutput {
    /// To SET.
    Done,
    /// To GET; `None`: no value.
    Value(Option<String>),
    /// To DEL: there was a value.
    Deleted(bool),
    /// To a compare-and-set: the expected value was there.
    Swapped(bool),
}

impl Model for Register {
    type State = Option<String>;
    type Input = RegisterInput;
    type Output = RegisterOutput;

    fn initial() -> Self::State {
        None
    }

    fn step(state: &Self::State, input: &RegisterInput, output: Option<&RegisterOutput>) -> Option<Self::State> {
        let (answer, after) = match input {
            RegisterInput::Set(value) => (RegisterOutput::Done, Some(value.clone())),
            RegisterInput::Get => (RegisterOutput::Value(state.clone()), state.clone()),
            RegisterInput::Delete => (RegisterOutput::Deleted(state.is_some()), None),
            RegisterInput::CompareAndSet { expected, new } if state == expected => {
                (RegisterOutput::Swapped(true), Some(new.clone()))
            }
            RegisterInput::CompareAndSet { .. } => (RegisterOutput::Swapped(false), state.clone()),
        };
        output.is_none_or(|output| *output == answer).then_some(after)
    }

    fn changes(input: &RegisterInput, output: Option<&RegisterOutput>) -> bool {
        let idle = [RegisterOutput::Deleted(false), RegisterOutput::Swapped(false)];
        *input != RegisterInput::Get && !output.is_some_and(|output| idle.contains(output))
    }
}

impl fmt::Display for RegisterInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RegisterInput::Set(value) => write!(f, "set {value}"),
            RegisterInput::Get => f.write_str("get"),
            RegisterInput::Delete => f.write_str("delete"),
            RegisterInput::CompareAndSet { expected, new } => {
                write!(f, "set {new} if it is {}", expected.as_deref().unwrap_or("absent"))
            }
        }
    }
}

impl fmt::Display for RegisterOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RegisterOutput::Done => f.write_str("done"),
            RegisterOutput::Value(value) => f.write_str(value.as_deref().unwrap_or("no value")),
            RegisterOutput::Deleted(true) => f.write_str("deleted"),
            RegisterOutput::Deleted(false) => f.write_str("there was none"),
            RegisterOutput::Swapped(true) => f.write_str("it was, and is set"),
            RegisterOutput::Swapped(false) => f.write_str("it was not"),
        }
    }
}

//! Compare-and-set by WATCH, GET, MULTI, SET, EXEC.

use tanist_history::models::{Register, RegisterInput, RegisterOutput};

use super::{Command, DataType, command};
use crate::random::Random;
use crate::value::Value;

#[derive(Debug)]
pub(super) struct CompareAndSet;

impl DataType for CompareAndSet {
    type Model = Register;
    const NAME: &'static str = "compare";
    const KEYS: u64 = 2;
    const BLIND: bool = false;

    fn draw(random: &mut Random, unique: &str, last: Option<&RegisterOutput>) -> RegisterInput {
        let expected = match last {
            Some(RegisterOutput::Value(value)) => value.clone(),
            _ => None,
        };
        if random.percent(40) {
            return RegisterInput::Get;
        }
        RegisterInput::CompareAndSet { expected, new: unique.to_owned() }
    }

    fn read() -> RegisterInput {
        RegisterInput::Get
    }

    fn next(key: &str, input: &RegisterInput, replies: &[Value]) -> Option<Command> {
        let RegisterInput::CompareAndSet { expected, new } = input else {
            return replies.is_empty().then(|| command(&["GET", key]));
        };
        let as_expected = replies.get(1).is_none_or(|value| *value == Value::Bulk(expected.clone()));
        Some(match replies.len() {
            0 => command(&["WATCH", key]),
            1 => command(&["GET", key]),
            2 if !as_expected => command(&["UNWATCH"]),
            2 => command(&["MULTI"]),
            3 if as_expected => command(&["SET", key, new]),
            4 => command(&["EXEC"]),
            _ => return None,
        })
    }

    /// Somebody has changed the value since, or the primary has changed, which a watch does not survive.
    fn has_failed(replies: &[Value]) -> bool {
        matches!(replies, [_, _, _, _, Value::Array(None) | Value::Bulk(None)])
    }

    fn told(input: &RegisterInput, replies: &[Value]) -> Option<RegisterOutput> {
        match (input, replies) {
            (RegisterInput::Get, [Value::Bulk(value)]) => Some(RegisterOutput::Value(value.clone())),
            // The value was another one.
            (_, [_, _, _]) => Some(RegisterOutput::Swapped(false)),
            (_, [_, _, _, _, Value::Array(Some(_))]) => Some(RegisterOutput::Swapped(true)),
            _ => None,
        }
    }
}

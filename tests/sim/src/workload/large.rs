//! A register at the end of a value of more than a megabyte: what is deleted of it is freed later, in steps.

use tanist_history::models::{Register, RegisterInput, RegisterOutput};

use super::{Command, DataType, command};
use crate::random::Random;
use crate::value::Value;

/// Bytes before the register: more than are freed at once.
const OFFSET: &str = "1100000";

#[derive(Debug)]
pub(super) struct Large;

impl DataType for Large {
    type Model = Register;
    const NAME: &'static str = "large";
    const KEYS: u64 = 1;

    fn draw(random: &mut Random, unique: &str, _: Option<&RegisterOutput>) -> RegisterInput {
        match random.below(10) {
            0..6 => RegisterInput::Get,
            6..8 => RegisterInput::Delete,
            // All are of one length, so that one overwrites another.
            _ => RegisterInput::Set(format!("{unique:x<24}")),
        }
    }

    fn read() -> RegisterInput {
        RegisterInput::Get
    }

    fn next(key: &str, input: &RegisterInput, replies: &[Value]) -> Option<Command> {
        let words = match input {
            RegisterInput::Set(value) => vec!["SETRANGE", key, OFFSET, value],
            RegisterInput::Get => vec!["GETRANGE", key, OFFSET, "-1"],
            RegisterInput::Delete => vec!["UNLINK", key],
            RegisterInput::CompareAndSet { .. } => return None,
        };
        replies.is_empty().then(|| command(&words))
    }

    fn told(input: &RegisterInput, replies: &[Value]) -> Option<RegisterOutput> {
        match (input, replies.first()?) {
            (RegisterInput::Set(_), Value::Int(_)) => Some(RegisterOutput::Done),
            (RegisterInput::Delete, Value::Int(deleted)) => Some(RegisterOutput::Deleted(*deleted == 1)),
            (_, Value::Bulk(value)) => Some(RegisterOutput::Value(value.clone().filter(|value| !value.is_empty()))),
            _ => None,
        }
    }
}

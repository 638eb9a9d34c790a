//! SET, GET and DEL of values, short and long.

use tanist_history::models::{Register, RegisterInput, RegisterOutput};

use super::{Command, DataType, command};
use crate::random::Random;
use crate::value::Value;

#[derive(Debug)]
pub(super) struct Registers;

impl DataType for Registers {
    type Model = Register;
    const NAME: &'static str = "register";
    const KEYS: u64 = 3;

    fn draw(random: &mut Random, unique: &str, _: Option<&RegisterOutput>) -> RegisterInput {
        match random.below(20) {
            0..9 => RegisterInput::Get,
            9 => RegisterInput::Delete,
            // Longer than a sector, so that a torn write tears it.
            10..13 => RegisterInput::Set(format!("{unique:x<width$}", width = random.between(600, 3_000) as usize)),
            _ => RegisterInput::Set(unique.to_owned()),
        }
    }

    fn read() -> RegisterInput {
        RegisterInput::Get
    }

    fn next(key: &str, input: &RegisterInput, replies: &[Value]) -> Option<Command> {
        let words = match input {
            RegisterInput::Set(value) => vec!["SET", key, value],
            RegisterInput::Get => vec!["GET", key],
            RegisterInput::Delete => vec!["DEL", key],
            RegisterInput::CompareAndSet { .. } => return None,
        };
        replies.is_empty().then(|| command(&words))
    }

    fn told(_: &RegisterInput, replies: &[Value]) -> Option<RegisterOutput> {
        match replies.first()? {
            Value::Simple(_) => Some(RegisterOutput::Done),
            Value::Bulk(value) => Some(RegisterOutput::Value(value.clone())),
            Value::Int(deleted) => Some(RegisterOutput::Deleted(*deleted == 1)),
            _ => None,
        }
    }
}

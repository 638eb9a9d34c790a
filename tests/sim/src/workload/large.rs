//! A register at the end of a value of more than a megabyte: what is deleted of it is freed later, in steps.

use tanist_history::models::{Register, RegisterInput, RegisterOutput};

use super::{Command, DataType, command};
use crate::random::Random;
use crate::value::Value;

/// Bytes before the register: more than are freed at once.
const OFFSET: usize = 1_100_000;

/// Bytes of a page: a string has no page where nothing was written.
const PAGE_BYTES: usize = 16 * 1024;

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
        let offset = OFFSET.to_string();
        let words = match input {
            RegisterInput::Set(value) => return replies.is_empty().then(|| set(key, value)),
            RegisterInput::Get => vec!["GETRANGE", key, &offset, "-1"],
            RegisterInput::Delete => vec!["UNLINK", key],
            RegisterInput::CompareAndSet { .. } => return None,
        };
        replies.is_empty().then(|| command(&words))
    }

    fn told(input: &RegisterInput, replies: &[Value]) -> Option<RegisterOutput> {
        match (input, replies.first()?) {
            (RegisterInput::Set(_), Value::Array(_)) => Some(RegisterOutput::Done),
            (RegisterInput::Delete, Value::Int(deleted)) => Some(RegisterOutput::Deleted(*deleted == 1)),
            (_, Value::Bulk(value)) => Some(RegisterOutput::Value(value.clone().filter(|value| !value.is_empty()))),
            _ => None,
        }
    }
}

/// Writes the register byte by byte, and into each page before it.
fn set(key: &str, value: &str) -> Command {
    let pages = (0..OFFSET).step_by(PAGE_BYTES).map(|at| (at, 1));
    let bytes = (OFFSET..).zip(value.bytes());
    let mut words = vec!["BITFIELD".to_owned(), key.to_owned()];
    for (at, byte) in pages.chain(bytes) {
        words.extend(["SET".to_owned(), "u8".to_owned(), format!("#{at}"), byte.to_string()]);
    }
    words.into_iter().map(String::into_bytes).collect()
}

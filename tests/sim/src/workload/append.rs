//! APPEND: the value shows the order of all that was written to it.

use tanist_history::models::{Append, AppendInput, AppendOutput};

use super::{Command, DataType, command};
use crate::random::Random;
use crate::value::Value;

#[derive(Debug)]
pub(super) struct Appends;

impl DataType for Appends {
    type Model = Append;
    const NAME: &'static str = "append";
    const KEYS: u64 = 4;

    fn draw(random: &mut Random, unique: &str, _: Option<&AppendOutput>) -> AppendInput {
        if random.percent(45) { AppendInput::Get } else { AppendInput::Append(format!("{unique},")) }
    }

    fn read() -> AppendInput {
        AppendInput::Get
    }

    fn next(key: &str, input: &AppendInput, replies: &[Value]) -> Option<Command> {
        let words = match input {
            AppendInput::Append(end) => command(&["APPEND", key, end]),
            AppendInput::Get => command(&["GET", key]),
        };
        replies.is_empty().then_some(words)
    }

    fn told(_: &AppendInput, replies: &[Value]) -> Option<AppendOutput> {
        match replies.first()? {
            Value::Int(length) => Some(AppendOutput::Length(*length as usize)),
            Value::Bulk(text) => Some(AppendOutput::Text(text.clone().unwrap_or_default())),
            _ => None,
        }
    }
}

//! INCRBY: an increment that is lost or applied twice shows in every later reply.

use tanist_history::models::{Counter, CounterInput, CounterOutput};

use super::{Command, DataType, command};
use crate::random::Random;
use crate::value::Value;

#[derive(Debug)]
pub(super) struct Counters;

impl DataType for Counters {
    type Model = Counter;
    const NAME: &'static str = "counter";
    const KEYS: u64 = 2;

    fn draw(random: &mut Random, _: &str, _: Option<&CounterOutput>) -> CounterInput {
        if random.percent(30) { CounterInput::Get } else { CounterInput::Add(random.between(1, 5) as i64) }
    }

    fn read() -> CounterInput {
        CounterInput::Get
    }

    fn next(key: &str, input: &CounterInput, replies: &[Value]) -> Option<Command> {
        let words = match input {
            CounterInput::Add(amount) => command(&["INCRBY", key, &amount.to_string()]),
            CounterInput::Get => command(&["GET", key]),
        };
        replies.is_empty().then_some(words)
    }

    fn told(_: &CounterInput, replies: &[Value]) -> Option<CounterOutput> {
        replies.first()?.number().map(CounterOutput)
    }
}

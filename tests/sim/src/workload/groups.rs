//! Streams that consumers share: each entry is delivered once, in order, and is pending until it is acknowledged, once.

use std::fmt;

use tanist_history::Model;

use super::{Command, DataType, command};
use crate::random::Random;
use crate::value::Value;

#[derive(Debug)]
pub(super) struct Groups;

const GROUP: &str = "group";
const CONSUMER: &str = "consumer";

impl DataType for Groups {
    type Model = SharedStream;
    const NAME: &'static str = "stream";
    const KEYS: u64 = 2;

    fn draw(random: &mut Random, unique: &str, last: Option<&Output>) -> Input {
        let told = match last {
            Some(Output::Entries(entries)) => entries.first().map(|(id, _)| id.clone()),
            _ => None,
        };
        match (random.below(12), told) {
            (0, _) => Input::Look,
            (1, _) => Input::Pending,
            // Two long ones do not fit into one node.
            (2, _) => Input::Add(format!("{unique}{}", ".".repeat(3_000))),
            (3..6, _) => Input::Add(unique.to_owned()),
            (6..9, Some(id)) => Input::Acknowledge(id),
            (6..9, None) => Input::Read { wait_ms: None },
            _ => Input::Read { wait_ms: Some(random.between(1, 40)) },
        }
    }

    fn read() -> Input {
        Input::Pending
    }

    fn next(key: &str, input: &Input, replies: &[Value]) -> Option<Command> {
        let of_group = matches!(input, Input::Read { .. } | Input::Pending);
        // The group may be there already.
        let number = match (of_group, replies.len()) {
            (true, 0) => return Some(command(&["XGROUP", "CREATE", key, GROUP, "0", "MKSTREAM"])),
            (true, number) => number - 1,
            (false, number) => number,
        };
        let words = match input {
            Input::Add(value) => command(&["XADD", key, "*", "value", value]),
            Input::Read { wait_ms: None } => {
                command(&["XREADGROUP", "GROUP", GROUP, CONSUMER, "COUNT", "1", "STREAMS", key, ">"])
            }
            Input::Read { wait_ms: Some(wait) } => {
                let wait = wait.to_string();
                let options = ["COUNT", "1", "BLOCK", &wait, "STREAMS", key, ">"];
                command(&[&["XREADGROUP", "GROUP", GROUP, CONSUMER][..], &options].concat())
            }
            Input::Pending => command(&["XREADGROUP", "GROUP", GROUP, CONSUMER, "STREAMS", key, "0"]),
            Input::Acknowledge(id) => command(&["XACK", key, GROUP, id]),
            Input::Look => command(&["XRANGE", key, "-", "+"]),
        };
        (number == 0).then_some(words)
    }

    fn told(input: &Input, replies: &[Value]) -> Option<Output> {
        match (input, replies.last()?) {
            (Input::Add(_), Value::Bulk(Some(id))) => Some(Output::Added(id.clone())),
            (Input::Acknowledge(_), Value::Int(count)) => Some(Output::Count(*count)),
            // Without an entry the newer protocol has no array.
            (_, Value::Array(None) | Value::Bulk(None)) => Some(Output::Entries(Vec::new())),
            (_, Value::Array(Some(all))) => {
                let mut entries = Vec::new();
                all.iter().for_each(|value| collect(value, &mut entries));
                Some(Output::Entries(entries))
            }
            _ => None,
        }
    }
}

/// Adds the entries in a reply, which stand by their streams or alone.
fn collect(value: &Value, entries: &mut Vec<(String, String)>) {
    let Value::Array(Some(parts)) = value else { return };
    match &parts[..] {
        [Value::Bulk(Some(id)), Value::Array(Some(fields))] if id.contains('-') => {
            if let [_, Value::Bulk(Some(value))] = &fields[..] {
                entries.push((id.clone(), value.clone()));
            }
        }
        parts => parts.iter().for_each(|part| collect(part, entries)),
    }
}

/// A stream with a group of consumers.
#[derive(Debug)]
pub(super) struct SharedStream;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Input {
    Add(String),
    /// Waits for so long at most, or not at all.
    Read {
        wait_ms: Option<u64>,
    },
    Acknowledge(String),
    /// At what was delivered and not acknowledged.
    Pending,
    /// At all entries.
    Look,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Output {
    Added(String),
    /// Ids and values.
    Entries(Vec<(String, String)>),
    Count(i64),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct SharedEntry {
    /// If a client has seen it.
    id: Option<String>,
    value: String,
    is_pending: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct StreamState {
    entries: Vec<SharedEntry>,
    delivered: usize,
}

impl StreamState {
    /// Whether these are the entries that `which` says, in order; their ids are known then.
    fn shows(&mut self, told: &[(String, String)], which: impl Fn(usize, &SharedEntry) -> bool) -> bool {
        let mut told = told.iter();
        let all = self.entries.iter_mut().enumerate().filter(|(at, entry)| which(*at, entry)).all(|(_, entry)| {
            told.next()
                .is_some_and(|(id, value)| *value == entry.value && entry.id.get_or_insert_with(|| id.clone()) == id)
        });
        all && told.next().is_none()
    }
}

impl Model for SharedStream {
    type State = StreamState;
    type Input = Input;
    type Output = Output;

    fn initial() -> StreamState {
        StreamState::default()
    }

    fn step(state: &StreamState, input: &Input, output: Option<&Output>) -> Option<StreamState> {
        let mut state = state.clone();
        let next = state.delivered;
        let fits = match (input, output) {
            (Input::Add(value), output) => {
                let id = match output {
                    Some(Output::Added(id)) => Some(id.clone()),
                    _ => None,
                };
                let is_told = output.is_none() || id.is_some();
                state.entries.push(SharedEntry { id, value: value.clone(), is_pending: false });
                is_told
            }
            (Input::Read { .. }, Some(Output::Entries(told))) => state.shows(told, |at, _| at == next),
            (Input::Pending, Some(Output::Entries(told))) => state.shows(told, |_, entry| entry.is_pending),
            (Input::Look, Some(Output::Entries(told))) => state.shows(told, |_, _| true),
            (Input::Acknowledge(id), output) => {
                let found = state.entries.iter_mut().find(|entry| entry.id.as_ref() == Some(id) && entry.is_pending);
                let count = i64::from(found.is_some());
                found.into_iter().for_each(|entry| entry.is_pending = false);
                output.is_none_or(|output| *output == Output::Count(count))
            }
            (_, None) => true,
            _ => false,
        };
        if matches!(input, Input::Read { .. })
            && let Some(entry) = state.entries.get_mut(next)
        {
            entry.is_pending = true;
            state.delivered += 1;
        }
        fits.then_some(state)
    }

    fn changes(input: &Input, output: Option<&Output>) -> bool {
        match input {
            Input::Add(_) => true,
            Input::Read { .. } => output != Some(&Output::Entries(Vec::new())),
            Input::Acknowledge(_) => output != Some(&Output::Count(0)),
            // Where the adder was not told the id, this is how it becomes known.
            Input::Pending | Input::Look => output.is_some_and(|output| *output != Output::Entries(Vec::new())),
        }
    }
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Input::Add(value) => write!(f, "add {}", value.trim_end_matches('.')),
            Input::Read { wait_ms: None } => f.write_str("read"),
            Input::Read { wait_ms: Some(wait) } => write!(f, "read within {wait} ms"),
            Input::Acknowledge(id) => write!(f, "acknowledge {id}"),
            Input::Pending => f.write_str("what is pending"),
            Input::Look => f.write_str("look"),
        }
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Output::Added(id) => f.write_str(id),
            Output::Count(count) => write!(f, "{count}"),
            Output::Entries(entries) => {
                let all: Vec<String> =
                    entries.iter().map(|(id, value)| format!("{id} {}", value.trim_end_matches('.'))).collect();
                write!(f, "[{}]", all.join(", "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether these operations can have happened one after the other.
    fn possible(steps: &[(Input, Option<Output>)]) -> bool {
        let state = steps.iter().try_fold(StreamState::default(), |state, (input, output)| {
            SharedStream::step(&state, input, output.as_ref())
        });
        state.is_some()
    }

    fn add(value: &str, id: &str) -> (Input, Option<Output>) {
        (Input::Add(value.into()), Some(Output::Added(id.into())))
    }

    fn told(input: Input, entries: &[(&str, &str)]) -> (Input, Option<Output>) {
        let entries = entries.iter().map(|(id, value)| ((*id).to_owned(), (*value).to_owned())).collect();
        (input, Some(Output::Entries(entries)))
    }

    fn read(entries: &[(&str, &str)]) -> (Input, Option<Output>) {
        told(Input::Read { wait_ms: None }, entries)
    }

    fn acknowledge(count: i64) -> (Input, Option<Output>) {
        (Input::Acknowledge("1-0".into()), Some(Output::Count(count)))
    }

    #[test]
    fn an_entry_is_delivered_once_and_pending_until_it_is_acknowledged() {
        let both = [add("a", "1-0"), add("b", "2-0")];
        let then = |steps: &[(Input, Option<Output>)]| possible(&[&both[..], steps].concat());
        let (a, b) = (("1-0", "a"), ("2-0", "b"));
        assert!(then(&[read(&[a]), told(Input::Pending, &[a]), read(&[b]), read(&[]), told(Input::Look, &[a, b])]));
        assert!(!then(&[read(&[a]), read(&[a])]), "twice");
        assert!(!then(&[read(&[b])]), "out of order");
        assert!(!then(&[read(&[])]), "lost");
        assert!(then(&[read(&[a]), acknowledge(1), told(Input::Pending, &[]), acknowledge(0)]));
        assert!(!then(&[acknowledge(1)]), "before it was delivered");
        assert!(!then(&[read(&[a]), acknowledge(1), told(Input::Pending, &[a])]), "still there");
        // Nobody knows what became of a read: it has delivered, or not.
        let lost = (Input::Read { wait_ms: None }, None);
        assert!(then(&[lost.clone(), read(&[b]), told(Input::Pending, &[a, b])]) && !then(&[lost, read(&[a])]));
    }
}

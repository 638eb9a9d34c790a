//! Members with values: sorted sets, hashes and sets, small and large ones.

use std::collections::BTreeMap;
use std::fmt;

use tanist_history::Model;

use super::{Command, DataType, command};
use crate::random::Random;
use crate::value::Value;

#[derive(Debug)]
pub(super) struct MemberSets;

/// Names that members have.
const NAMES: u64 = 5;

/// Names that copies have.
const COPIES: u64 = 3;

/// What a key holds, by its number.
fn kind(key: &str) -> (&'static str, &'static str) {
    let number = key.bytes().last().map_or(0, |last| last % 6);
    let kind = ["zset", "hash", "set"][usize::from(number % 3)];
    (kind, if number < 3 { "small" } else { "large" })
}

/// The member's name in the key: one of more than 64 bytes makes a collection large.
fn name(key: &str, number: u64) -> String {
    if kind(key).1 == "large" { format!("member:{number}{}", ".".repeat(80)) } else { format!("member:{number}") }
}

impl DataType for MemberSets {
    type Model = Members;
    const NAME: &'static str = "members";
    const KEYS: u64 = 6;

    fn draw(random: &mut Random, _: &str, _: Option<&Output>) -> Input {
        match random.below(10) {
            0 => Input::Look,
            1 => Input::LookAtCopy(random.below(COPIES)),
            2..7 => Input::Put { member: random.below(NAMES), value: random.below(1000) },
            _ => Input::Remove(random.below(NAMES)),
        }
    }

    fn read() -> Input {
        Input::Look
    }

    fn next(key: &str, input: &Input, replies: &[Value]) -> Option<Command> {
        if let Input::LookAtCopy(number) = input {
            let copy = format!("copy:{number}:{key}");
            return match replies.len() {
                0 => Some(command(&["COPY", key, &copy, "REPLACE"])),
                1 => Some(look(kind(key).0, &copy)),
                _ => None,
            };
        }
        let words = match (kind(key).0, input) {
            ("zset", Input::Put { member, value }) => command(&["ZADD", key, &value.to_string(), &name(key, *member)]),
            ("hash", Input::Put { member, value }) => command(&["HSET", key, &name(key, *member), &value.to_string()]),
            // What a member of a set is worth is its name.
            (_, Input::Put { member, .. }) => command(&["SADD", key, &name(key, *member)]),
            ("zset", Input::Remove(member)) => command(&["ZREM", key, &name(key, *member)]),
            ("hash", Input::Remove(member)) => command(&["HDEL", key, &name(key, *member)]),
            (_, Input::Remove(member)) => command(&["SREM", key, &name(key, *member)]),
            (kind, Input::Look | Input::LookAtCopy(_)) => look(kind, key),
        };
        replies.is_empty().then_some(words)
    }

    fn told(input: &Input, replies: &[Value]) -> Option<Output> {
        if let (Input::LookAtCopy(_), Value::Int(0)) = (input, replies.first()?) {
            // Nothing was there to be copied: an earlier copy stays.
            return Some(Output::All(Vec::new()));
        }
        match replies.last()? {
            Value::Int(count) => Some(Output::Count(*count)),
            Value::Array(Some(all)) => {
                let mut texts = Vec::new();
                all.iter().all(|value| collect(value, &mut texts)).then_some(Output::All(texts))
            }
            _ => None,
        }
    }
}

fn look(kind: &str, key: &str) -> Command {
    match kind {
        "zset" => command(&["ZRANGE", key, "0", "-1", "WITHSCORES"]),
        "hash" => command(&["HGETALL", key]),
        _ => command(&["SMEMBERS", key]),
    }
}

/// Adds the texts of a reply, in which members may stand in pairs with their scores; false if there is something else.
fn collect(value: &Value, texts: &mut Vec<String>) -> bool {
    match value {
        Value::Bulk(Some(text)) => {
            texts.push(text.clone());
            true
        }
        Value::Array(Some(pair)) => pair.iter().all(|value| collect(value, texts)),
        _ => false,
    }
}

/// Members, each with a value.
#[derive(Debug)]
pub(super) struct Members;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Input {
    Put {
        member: u64,
        value: u64,
    },
    Remove(u64),
    Look,
    /// At a copy of this number, which is made for it. Another client may make it again meanwhile: of a later moment, which is as good.
    LookAtCopy(u64),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Output {
    Count(i64),
    All(Vec<String>),
}

/// The number of a member by its name.
fn number(name: &str) -> Option<u64> {
    name.trim_end_matches('.').strip_prefix("member:")?.parse().ok()
}

/// Whether a reply shows these members: in any order, with values or without.
fn shows(all: &[String], state: &BTreeMap<u64, u64>) -> bool {
    let with_values = all.get(1).is_some_and(|second| number(second).is_none());
    let stride = if with_values { 2 } else { 1 };
    let told: Option<BTreeMap<u64, Option<u64>>> = all
        .chunks(stride)
        .map(|pair| Some((number(&pair[0])?, pair.get(1).and_then(|value| value.parse().ok()))))
        .collect();
    told.is_some_and(|told| {
        all.len() == stride * state.len()
            && told.len() == state.len()
            && told
                .iter()
                .all(|(member, value)| state.get(member).is_some_and(|there| value.is_none_or(|value| value == *there)))
    })
}

impl Model for Members {
    type State = BTreeMap<u64, u64>;
    type Input = Input;
    type Output = Output;

    fn initial() -> Self::State {
        BTreeMap::new()
    }

    fn step(state: &Self::State, input: &Input, output: Option<&Output>) -> Option<Self::State> {
        let fits = match (input, output) {
            (_, None) => true,
            (Input::Put { member, .. }, Some(Output::Count(added))) => *added == i64::from(!state.contains_key(member)),
            (Input::Remove(member), Some(Output::Count(removed))) => *removed == i64::from(state.contains_key(member)),
            (Input::Look | Input::LookAtCopy(_), Some(Output::All(all))) => shows(all, state),
            _ => false,
        };
        fits.then(|| {
            let mut state = state.clone();
            match input {
                Input::Put { member, value } => drop(state.insert(*member, *value)),
                Input::Remove(member) => drop(state.remove(member)),
                Input::Look | Input::LookAtCopy(_) => {}
            }
            state
        })
    }

    fn changes(input: &Input, output: Option<&Output>) -> bool {
        match input {
            Input::Put { .. } => true,
            Input::Remove(_) => output != Some(&Output::Count(0)),
            Input::Look | Input::LookAtCopy(_) => false,
        }
    }
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Input::Put { member, value } => write!(f, "put {member}: {value}"),
            Input::Remove(member) => write!(f, "remove {member}"),
            Input::Look => f.write_str("look"),
            Input::LookAtCopy(number) => write!(f, "look at copy {number}"),
        }
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Output::Count(count) => write!(f, "{count}"),
            Output::All(all) => {
                let all: Vec<&str> = all.iter().map(|text| text.trim_end_matches('.')).collect();
                write!(f, "[{}]", all.join(" "))
            }
        }
    }
}

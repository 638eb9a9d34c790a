//! A key that is in one of three databases, and moves between them: MOVE is a compare-and-set of the place. Meanwhile two
//! databases are swapped and flushed; one of them has more keys than are freed at once.

use tanist_history::models::{Register, RegisterInput, RegisterOutput};

use super::{Command, DataType, command};
use crate::random::Random;
use crate::value::Value;

/// Where the key may be.
const DATABASES: [&str; 3] = ["1", "2", "3"];

/// Keys beside it in a database that is emptied: more than are freed at once.
const OTHERS: usize = 300;

#[derive(Debug)]
pub(super) struct Places;

impl DataType for Places {
    type Model = Register;
    const NAME: &'static str = "place";
    const KEYS: u64 = 2;

    fn draw(random: &mut Random, _: &str, last: Option<&RegisterOutput>) -> RegisterInput {
        let database = |random: &mut Random| (*random.pick(&DATABASES)).to_owned();
        match (random.below(10), last) {
            (0..=3, _) => RegisterInput::Get,
            (4..=7, Some(RegisterOutput::Value(Some(place)))) => {
                let new = DATABASES.iter().find(|database| *database != place).expect("another one");
                RegisterInput::CompareAndSet { expected: Some(place.clone()), new: (*new).to_owned() }
            }
            (8, _) => {
                let from = random.index(DATABASES.len());
                let to = (from + random.between(1, 2) as usize) % DATABASES.len();
                RegisterInput::CompareAndSet { expected: Some(DATABASES[from].into()), new: DATABASES[to].into() }
            }
            _ => RegisterInput::Set(database(random)),
        }
    }

    fn read() -> RegisterInput {
        RegisterInput::Get
    }

    fn next(key: &str, input: &RegisterInput, replies: &[Value]) -> Option<Command> {
        let mut transaction = vec![command(&["MULTI"])];
        match input {
            RegisterInput::Get => {
                for database in DATABASES {
                    transaction.extend([command(&["SELECT", database]), command(&["EXISTS", key])]);
                }
            }
            RegisterInput::CompareAndSet { expected: Some(from), new } => {
                transaction.extend([command(&["SELECT", from]), command(&["MOVE", key, new])]);
            }
            RegisterInput::CompareAndSet { expected: None, .. } | RegisterInput::Delete => return None,
            RegisterInput::Set(place) => {
                let names: Vec<String> = (0..OTHERS).map(|number| format!("{key}:{number}")).collect();
                let others = names.iter().flat_map(|name| [name.as_str(), "v"]);
                transaction.extend([
                    command(&["SELECT", "8"]),
                    command(&["MSET"].into_iter().chain(others).collect::<Vec<_>>()),
                    command(&["SWAPDB", "8", "9"]),
                    command(&["FLUSHDB"]),
                ]);
                for database in DATABASES {
                    transaction.extend([command(&["SELECT", database]), command(&["DEL", key])]);
                }
                transaction.extend([command(&["SELECT", place]), command(&["SET", key, place])]);
            }
        }
        transaction.extend([command(&["SELECT", "0"]), command(&["EXEC"])]);
        transaction.into_iter().nth(replies.len())
    }

    fn told(input: &RegisterInput, replies: &[Value]) -> Option<RegisterOutput> {
        let Value::Array(Some(values)) = replies.last()? else { return None };
        match input {
            RegisterInput::Get => {
                let there = |at: usize| values.get(2 * at + 1).and_then(Value::number);
                let places: Vec<&str> =
                    (0..DATABASES.len()).filter(|at| there(*at) == Some(1)).map(|at| DATABASES[at]).collect();
                match places[..] {
                    [] => Some(RegisterOutput::Value(None)),
                    [place] => Some(RegisterOutput::Value(Some(place.to_owned()))),
                    // In two databases at once.
                    _ => None,
                }
            }
            RegisterInput::CompareAndSet { .. } => {
                Some(RegisterOutput::Swapped(values.get(1).and_then(Value::number)? == 1))
            }
            RegisterInput::Delete => None,
            RegisterInput::Set(_) => {
                (values.last() == Some(&Value::Simple("OK".into()))).then_some(RegisterOutput::Done)
            }
        }
    }
}

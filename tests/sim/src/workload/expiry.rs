//! Values that expire, of keys and of fields of small and large hashes, on nodes whose wall clocks jump: a value exists before its deadline
//! and not after it.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use tanist_db_core::clock::UnixMillis;
use tanist_history::{Model, Operation, Outcome, check};

use super::{Command, Ended, Fate, Judgement, Known, Script, Workload, command};
use crate::clock::Time;
use crate::random::Random;
use crate::value::Value;

/// Values that are set and read, each by itself: two of keys, two of the fields of a small hash, two of a large one.
const PLACES: u64 = 6;

/// The key of a value, and its field if that is a hash.
fn place(number: u64) -> (&'static str, Option<String>) {
    let field = number % 2;
    match number {
        0 => ("expiry:0", None),
        1 => ("expiry:1", None),
        2 | 3 => ("expiry:small", Some(format!("field:{field}"))),
        // A name of more than 64 bytes makes a hash large.
        _ => ("expiry:large", Some(format!("field:{field}{}", ".".repeat(80)))),
    }
}

#[derive(Debug)]
pub(super) struct Expiry {
    asked: Rc<RefCell<Vec<ExpiryCall>>>,
    count: u64,
}

/// An operation as the client saw it.
#[derive(Clone, Debug)]
struct ExpiryCall {
    client: usize,
    place: u64,
    request: ExpiryRequest,
    /// Number of its command.
    command: u64,
    ended: Ended,
    reply: Option<Value>,
}

#[derive(Clone, Debug)]
enum ExpiryRequest {
    Set { value: String, ttl_ms: u64 },
    Get,
}

impl Expiry {
    pub(super) fn new() -> Expiry {
        Expiry { asked: Rc::default(), count: 0 }
    }

    fn script(&self, client: usize, place: u64, request: ExpiryRequest) -> Box<dyn Script> {
        Box::new(ExpiryOp { client, place, request, command: 0, asked: Rc::clone(&self.asked) })
    }
}

impl Workload for Expiry {
    fn begin(&mut self, client: usize, random: &mut Random) -> Box<dyn Script> {
        self.count += 1;
        let request = if random.percent(60) {
            ExpiryRequest::Get
        } else {
            ExpiryRequest::Set { value: self.count.to_string(), ttl_ms: random.between(20, 900) }
        };
        self.script(client, random.below(PLACES), request)
    }

    fn last_words(&mut self) -> Vec<Box<dyn Script>> {
        (0..PLACES).map(|place| self.script(0, place, ExpiryRequest::Get)).collect()
    }

    fn judge(&self, known: &Known) -> Judgement {
        let history: Vec<_> = self.asked.borrow().iter().filter_map(|asked| asked.operation(known)).collect();
        check(&history).into()
    }
}

impl ExpiryCall {
    /// What it is to the model, which must know when it was executed; nothing if it never was.
    fn operation(&self, known: &Known) -> Option<Operation<Expiring>> {
        let executed = known.executed.get(&self.command).copied()?;
        let latest = known.latest.range(..=self.ended.returned).next_back().map_or(executed, |(_, unix)| *unix);
        let input = match &self.request {
            ExpiryRequest::Set { value, ttl_ms } => Input::Set(value.clone(), UnixMillis(executed.0 + ttl_ms)),
            ExpiryRequest::Get => Input::Get { executed, latest: latest.max(executed) },
        };
        let outcome = match (self.ended.fate, &self.reply) {
            (Fate::Done, Some(Value::Bulk(value))) => Outcome::Confirmed(Output(value.clone())),
            (Fate::Done, Some(Value::Simple(_) | Value::Int(1))) => Outcome::Confirmed(Output(None)),
            (Fate::Done, reply) => panic!("{:?} of {} was answered with {reply:?}", self.request, self.place),
            (Fate::Refused, _) => Outcome::NotExecuted,
            (Fate::Unknown, _) => Outcome::Unknown,
        };
        let writes = matches!(self.request, ExpiryRequest::Set { .. });
        let (invoked, returned) = (self.ended.not_before(writes).0, Some(self.ended.returned.0));
        Some(Operation {
            client: self.client as u32,
            key: format!("expiry:{}", self.place),
            invoked,
            returned,
            order: Some(self.ended.order),
            input,
            outcome,
        })
    }
}

#[derive(Debug)]
struct ExpiryOp {
    client: usize,
    place: u64,
    request: ExpiryRequest,
    command: u64,
    asked: Rc<RefCell<Vec<ExpiryCall>>>,
}

impl Script for ExpiryOp {
    fn next(&mut self, number: u64, replies: &[Value]) -> Option<Command> {
        if !replies.is_empty() {
            return None;
        }
        self.command = number;
        let (key, field) = place(self.place);
        Some(match (&self.request, &field) {
            (ExpiryRequest::Set { value, ttl_ms }, None) => command(&["SET", key, value, "PX", &ttl_ms.to_string()]),
            (ExpiryRequest::Set { value, ttl_ms }, Some(field)) => {
                command(&["HSETEX", key, "PX", &ttl_ms.to_string(), "FIELDS", "1", field, value])
            }
            (ExpiryRequest::Get, None) => command(&["GET", key]),
            (ExpiryRequest::Get, Some(field)) => command(&["HGET", key, field]),
        })
    }

    fn writes(&self) -> bool {
        matches!(self.request, ExpiryRequest::Set { .. })
    }

    fn ended(&mut self, ended: Ended, replies: &[Value]) {
        let (client, place, request) = (self.client, self.place, self.request.clone());
        let (command, reply) = (self.command, replies.first().cloned());
        self.asked.borrow_mut().push(ExpiryCall { client, place, request, command, ended, reply });
    }
}

/// A value that is there until its time has come. A clock that was ahead may have ended it early for good, so from the moment that
/// any clock has shown its time on, a reader may find nothing.
#[derive(Debug)]
struct Expiring;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Input {
    Set(String, UnixMillis),
    Get { executed: UnixMillis, latest: UnixMillis },
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Output(Option<String>);

impl Model for Expiring {
    type State = Option<(String, UnixMillis)>;
    type Input = Input;
    type Output = Output;

    fn initial() -> Self::State {
        None
    }

    fn step(state: &Self::State, input: &Input, output: Option<&Output>) -> Option<Self::State> {
        match (input, output) {
            (Input::Set(value, until), _) => Some(Some((value.clone(), *until))),
            (Input::Get { .. }, None) => Some(state.clone()),
            (Input::Get { executed, latest }, Some(Output(told))) => {
                let fits = match (state, told) {
                    (None, told) => told.is_none(),
                    (Some((value, until)), Some(told)) => value == told && executed < until,
                    (Some((_, until)), None) => latest >= until,
                };
                fits.then(|| state.clone())
            }
        }
    }

    fn changes(input: &Input, _: Option<&Output>) -> bool {
        matches!(input, Input::Set(..))
    }
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Input::Set(value, UnixMillis(until)) => write!(f, "set {value} until {until}"),
            Input::Get { executed, latest } => write!(f, "get at {}, latest {}", executed.0, latest.0),
        }
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_deref().unwrap_or("nothing"))
    }
}

/// The wall time that has been shown, for [`Known::latest`].
pub(crate) fn note_latest(known: &mut Known, now: Time, unix: UnixMillis) {
    if known.latest.last_key_value().is_none_or(|(_, latest)| unix > *latest) {
        known.latest.insert(now, unix);
    }
}

//! Values that expire, on nodes whose wall clocks jump: a value exists before its deadline and not after it.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use tanist_db_core::clock::UnixMillis;
use tanist_history::{Model, Operation, Outcome, check};

use super::{Command, Ended, Fate, Judgement, Known, Script, Workload, command};
use crate::clock::Time;
use crate::random::Random;
use crate::value::Value;

const KEYS: u64 = 2;

#[derive(Debug)]
pub(super) struct Expiry {
    asked: Rc<RefCell<Vec<ExpiryCall>>>,
    count: u64,
}

/// An operation as the client saw it.
#[derive(Clone, Debug)]
struct ExpiryCall {
    client: usize,
    key: String,
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

    fn script(&self, client: usize, key: u64, request: ExpiryRequest) -> Box<dyn Script> {
        Box::new(ExpiryOp { client, key: format!("expiry:{key}"), request, command: 0, asked: Rc::clone(&self.asked) })
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
        self.script(client, random.below(KEYS), request)
    }

    fn last_words(&mut self) -> Vec<Box<dyn Script>> {
        (0..KEYS).map(|key| self.script(0, key, ExpiryRequest::Get)).collect()
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
            (Fate::Done, Some(Value::Simple(_))) => Outcome::Confirmed(Output(None)),
            (Fate::Done, reply) => panic!("{:?} of {} was answered with {reply:?}", self.request, self.key),
            (Fate::Refused, _) => Outcome::NotExecuted,
            (Fate::Unknown, _) => Outcome::Unknown,
        };
        let (invoked, returned) = (self.ended.invoked.0, Some(self.ended.returned.0));
        Some(Operation { client: self.client as u32, key: self.key.clone(), invoked, returned, input, outcome })
    }
}

#[derive(Debug)]
struct ExpiryOp {
    client: usize,
    key: String,
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
        Some(match &self.request {
            ExpiryRequest::Set { value, ttl_ms } => command(&["SET", &self.key, value, "PX", &ttl_ms.to_string()]),
            ExpiryRequest::Get => command(&["GET", &self.key]),
        })
    }

    fn writes(&self) -> bool {
        matches!(self.request, ExpiryRequest::Set { .. })
    }

    fn ended(&mut self, ended: Ended, replies: &[Value]) {
        let (client, key, request) = (self.client, self.key.clone(), self.request.clone());
        let (command, reply) = (self.command, replies.first().cloned());
        self.asked.borrow_mut().push(ExpiryCall { client, key, request, command, ended, reply });
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

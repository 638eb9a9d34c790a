//! What one client did: its operations by kind of key, and the check of all clients' operations together.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rand::RngExt;
use rand::rngs::StdRng;
use redis::{FromRedisValue, Value};
use tanist_history::models::{
    Append, AppendInput, AppendOutput, Counter, CounterInput, CounterOutput, Register, RegisterInput, RegisterOutput,
};
use tanist_history::totals::{Reading, unbalanced};
use tanist_history::{Model, Operation, Outcome, check as linearizable};

use super::fate::{Asker, Fate};

/// Keys of each kind that are in use at a time: few, so that clients meet.
const KEYS: u32 = 6;
/// After so long other keys are used.
const ERA: Duration = Duration::from_secs(3);
/// Between these amounts are moved; they begin with nothing, and may owe.
const ACCOUNTS: [&str; 4] = ["account:0", "account:1", "account:2", "account:3"];

/// All of one client.
pub(super) struct Record {
    /// The load that this client is a part of: none finds keys of an earlier one.
    load: u64,
    client: u32,
    origin: Instant,
    /// When a write was confirmed, from the origin.
    pub(super) confirmed: Vec<Duration>,
    count: Arc<AtomicU32>,
    /// Makes each value that is written unlike all others.
    written: u64,
    registers: Vec<Operation<Register>>,
    counters: Vec<Operation<Counter>>,
    texts: Vec<Operation<Append>>,
    readings: Vec<Reading>,
}

impl Record {
    pub(super) fn new(load: u64, client: u32, origin: Instant, count: Arc<AtomicU32>) -> Record {
        Record {
            load,
            client,
            origin,
            confirmed: Vec::new(),
            count,
            written: 0,
            registers: Vec::new(),
            counters: Vec::new(),
            texts: Vec::new(),
            readings: Vec::new(),
        }
    }

    /// Every key that was asked for.
    pub(super) fn keys(&self) -> BTreeSet<String> {
        let registers = self.registers.iter().map(|operation| &operation.key);
        let counters = self.counters.iter().map(|operation| &operation.key);
        let texts = self.texts.iter().map(|operation| &operation.key);
        registers.chain(counters).chain(texts).cloned().collect()
    }

    /// Operations that were not confirmed.
    pub(super) fn failed(&self) -> usize {
        failed(&self.registers) + failed(&self.counters) + failed(&self.texts)
    }

    fn now(&self) -> u64 {
        self.origin.elapsed().as_nanos() as u64
    }

    fn key(&self, kind: &str, rng: &mut StdRng) -> String {
        let era = self.origin.elapsed().as_millis() / ERA.as_millis();
        format!("{kind}:{:x}:{era}:{}", self.load, rng.random_range(0..KEYS))
    }

    fn value(&mut self) -> String {
        self.written += 1;
        format!("{}.{}", self.client, self.written)
    }

    fn confirm(&mut self) {
        self.confirmed.push(self.origin.elapsed());
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn register(&mut self, asker: &mut dyn Asker, rng: &mut StdRng) {
        let key = self.key("register", rng);
        match rng.random_range(0..10) {
            0..4 => self.get_register(asker, key),
            4 => self.ask_register(asker, key.clone(), RegisterInput::Delete, &["DEL", &key]),
            5 if asker.transacts() => self.set_if_unchanged(asker, key),
            6 => {
                let new = self.value();
                let input = RegisterInput::CompareAndSet { expected: None, new: new.clone() };
                self.ask_register(asker, key.clone(), input, &["SET", &key, &new, "NX"]);
            }
            _ => {
                let value = self.value();
                self.ask_register(asker, key.clone(), RegisterInput::Set(value.clone()), &["SET", &key, &value]);
            }
        }
    }

    fn get_register(&mut self, asker: &mut dyn Asker, key: String) {
        self.ask_register(asker, key.clone(), RegisterInput::Get, &["GET", &key]);
    }

    fn ask_register(&mut self, asker: &mut dyn Asker, key: String, input: RegisterInput, words: &[&str]) {
        let answer = |input: &RegisterInput, value| match input {
            RegisterInput::Get => RegisterOutput::Value(read(value)),
            RegisterInput::Set(_) => RegisterOutput::Done,
            RegisterInput::Delete => RegisterOutput::Deleted(read::<i64>(value) == 1),
            RegisterInput::CompareAndSet { .. } => RegisterOutput::Swapped(value != Value::Nil),
        };
        let operation = self.ask::<Register>(asker, key, input, words, answer);
        self.registers.extend(operation);
    }

    /// WATCH, look, and set in a transaction. That nothing came of it does not say what the value was then.
    fn set_if_unchanged(&mut self, asker: &mut dyn Asker, key: String) {
        if !asker.ready() {
            return;
        }
        let Fate::Told(_) = asker.ask(&["WATCH", &key]) else { return };
        let Fate::Told(found) = asker.ask(&["GET", &key]) else { return };
        let new = self.value();
        let input = RegisterInput::CompareAndSet { expected: read(found), new: new.clone() };
        let invoked = self.now();
        let outcome = match asker.transaction(&[&["SET", &key, &new]]) {
            Fate::Told(Value::Nil) | Fate::Refused => Outcome::NotExecuted,
            Fate::Told(_) => Outcome::Confirmed(RegisterOutput::Swapped(true)),
            Fate::Unknown => Outcome::Unknown,
        };
        if matches!(outcome, Outcome::Confirmed(_)) {
            self.confirm();
        }
        let returned = Some(self.now());
        self.registers.push(Operation { client: self.client, key, invoked, returned, input, outcome });
    }

    pub(super) fn counter(&mut self, asker: &mut dyn Asker, rng: &mut StdRng) {
        let key = self.key("counter", rng);
        if rng.random_ratio(1, 4) {
            return self.get_counter(asker, key);
        }
        let answer = |_: &CounterInput, value| CounterOutput(read(value));
        let operation = self.ask::<Counter>(asker, key.clone(), CounterInput::Add(1), &["INCR", &key], answer);
        self.counters.extend(operation);
    }

    fn get_counter(&mut self, asker: &mut dyn Asker, key: String) {
        let answer = |_: &CounterInput, value| CounterOutput(read::<Option<i64>>(value).unwrap_or_default());
        let operation = self.ask::<Counter>(asker, key.clone(), CounterInput::Get, &["GET", &key], answer);
        self.counters.extend(operation);
    }

    pub(super) fn text(&mut self, asker: &mut dyn Asker, rng: &mut StdRng) {
        let key = self.key("text", rng);
        if rng.random_ratio(1, 4) {
            return self.get_text(asker, key);
        }
        let end = format!("{},", self.value());
        let answer = |_: &AppendInput, value| AppendOutput::Length(read(value));
        let input = AppendInput::Append(end.clone());
        let operation = self.ask::<Append>(asker, key.clone(), input, &["APPEND", &key, &end], answer);
        self.texts.extend(operation);
    }

    fn get_text(&mut self, asker: &mut dyn Asker, key: String) {
        let answer = |_: &AppendInput, value| AppendOutput::Text(read::<Option<String>>(value).unwrap_or_default());
        let operation = self.ask::<Append>(asker, key.clone(), AppendInput::Get, &["GET", &key], answer);
        self.texts.extend(operation);
    }

    fn ask<M: Model>(
        &mut self,
        asker: &mut dyn Asker,
        key: String,
        input: M::Input,
        words: &[&str],
        answer: impl Fn(&M::Input, Value) -> M::Output,
    ) -> Option<Operation<M>> {
        if !asker.ready() {
            return None;
        }
        let invoked = self.now();
        let fate = asker.ask(words);
        let returned = Some(self.now());
        let outcome = match fate {
            Fate::Told(value) => Outcome::Confirmed(answer(&input, value)),
            Fate::Refused => Outcome::NotExecuted,
            Fate::Unknown => Outcome::Unknown,
        };
        if matches!(outcome, Outcome::Confirmed(_)) && words[0] != "GET" {
            self.confirm();
        }
        Some(Operation { client: self.client, key, invoked, returned, input, outcome })
    }

    /// Moves an amount from one account to another, or reads them all at once.
    pub(super) fn accounts(&mut self, asker: &mut dyn Asker, rng: &mut StdRng) {
        if !asker.ready() {
            return;
        }
        if rng.random() || !asker.transacts() {
            let words: Vec<&str> = ["MGET"].into_iter().chain(ACCOUNTS).collect();
            if let Fate::Told(value) = asker.ask(&words) {
                let amounts: Vec<Option<i64>> = read(value);
                let amounts = amounts.into_iter().map(Option::unwrap_or_default).collect();
                self.readings.push(Reading { client: self.client, returned: self.now(), amounts });
            }
        } else {
            let from = rng.random_range(0..ACCOUNTS.len());
            let to = (from + rng.random_range(1..ACCOUNTS.len())) % ACCOUNTS.len();
            let amount = rng.random_range(1..100).to_string();
            let moved = [&["DECRBY", ACCOUNTS[from], &amount][..], &["INCRBY", ACCOUNTS[to], &amount][..]];
            if let Fate::Told(_) = asker.transaction(&moved) {
                self.confirm();
            }
        }
    }
}

fn read<T: FromRedisValue>(value: Value) -> T {
    redis::from_redis_value(value).unwrap_or_else(|error| panic!("an answer of another kind: {error}"))
}

/// Reads all `keys` and the accounts once, each until it is answered.
pub(super) fn read_all(asker: &mut dyn Asker, record: &mut Record, keys: BTreeSet<String>, patience: Duration) {
    let start = Instant::now();
    let mut left = keys;
    while let Some(key) = left.pop_first() {
        assert!(start.elapsed() < patience, "the keys could not be read within {patience:?}");
        let again = key.clone();
        let answered = match key.split(':').next() {
            Some("register") => {
                record.get_register(asker, key);
                record.registers.last().is_some_and(|operation| is_told(operation, &again))
            }
            Some("counter") => {
                record.get_counter(asker, key);
                record.counters.last().is_some_and(|operation| is_told(operation, &again))
            }
            _ => {
                record.get_text(asker, key);
                record.texts.last().is_some_and(|operation| is_told(operation, &again))
            }
        };
        if !answered {
            left.insert(again);
        }
    }
}

fn is_told<M: Model>(operation: &Operation<M>, key: &str) -> bool {
    operation.key == key && matches!(operation.outcome, Outcome::Confirmed(_))
}

/// One copy of the data could have answered all of these.
pub(super) fn check(records: &[&Record]) {
    let registers: Vec<_> = records.iter().flat_map(|record| record.registers.iter().cloned()).collect();
    let counters: Vec<_> = records.iter().flat_map(|record| record.counters.iter().cloned()).collect();
    let texts: Vec<_> = records.iter().flat_map(|record| record.texts.iter().cloned()).collect();
    let readings: Vec<_> = records.iter().flat_map(|record| record.readings.iter().cloned()).collect();
    println!(
        "recorded: registers {}, counters {}, texts {}, readings of all accounts {}",
        counts(&registers),
        counts(&counters),
        counts(&texts),
        readings.len()
    );
    linearizable(&registers).expect_linearizable();
    linearizable(&counters).expect_linearizable();
    linearizable(&texts).expect_linearizable();
    assert_eq!(unbalanced(&readings, 0), None);
}

fn failed<M: Model>(operations: &[Operation<M>]) -> usize {
    operations.iter().filter(|operation| !matches!(operation.outcome, Outcome::Confirmed(_))).count()
}

fn counts<M: Model>(operations: &[Operation<M>]) -> String {
    let unknown = operations.iter().filter(|operation| operation.outcome == Outcome::Unknown).count();
    let refused = operations.iter().filter(|operation| operation.outcome == Outcome::NotExecuted).count();
    format!("{} ({unknown} of unknown fate, {refused} refused)", operations.len())
}

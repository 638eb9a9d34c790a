//! What one client did: its operations by kind of key, and the check of all clients' operations together.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rand::RngExt;
use rand::rngs::StdRng;
use redis::{FromRedisValue, Value};
use tanist_history::models::{
    ACCOUNTS, Accounts, AccountsInput, AccountsOutput, Append, AppendInput, AppendOutput, Counter, CounterInput,
    CounterOutput, Register, RegisterInput, RegisterOutput,
};
use tanist_history::{Model, Operation, Outcome, check as linearizable};

use super::fate::{Asker, Fate};

/// Keys of each kind that are in use at a time: few, so that clients meet.
const KEYS: u32 = 6;
/// After so long other keys are used.
const ERA: Duration = Duration::from_secs(3);

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
    accounts: Vec<Operation<Accounts>>,
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
            accounts: Vec::new(),
        }
    }

    /// Every key that was asked for.
    pub(super) fn keys(&self) -> BTreeSet<String> {
        let registers = self.registers.iter().map(|operation| &operation.key);
        let counters = self.counters.iter().map(|operation| &operation.key);
        let texts = self.texts.iter().map(|operation| &operation.key);
        let accounts = self.accounts.iter().map(|operation| &operation.key);
        registers.chain(counters).chain(texts).chain(accounts).cloned().collect()
    }

    /// Operations that were not confirmed.
    pub(super) fn failed(&self) -> usize {
        failed(&self.registers) + failed(&self.counters) + failed(&self.texts) + failed(&self.accounts)
    }

    fn now(&self) -> u64 {
        self.origin.elapsed().as_nanos() as u64
    }

    fn key(&self, kind: &str, rng: &mut StdRng) -> String {
        format!("{}:{}", self.key_of_now(kind), rng.random_range(0..KEYS))
    }

    fn key_of_now(&self, kind: &str) -> String {
        format!("{kind}:{:x}:{}", self.load, self.origin.elapsed().as_millis() / ERA.as_millis())
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
        let command = ["SET", &key, &new];
        let ask = || match asker.transaction(&[&command]) {
            Fate::Told(Value::Nil) => Fate::Refused,
            fate => fate,
        };
        let operation = self.note(key.clone(), input, true, ask, |_, _| RegisterOutput::Swapped(true));
        self.registers.push(operation);
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
        let writes = !["GET", "MGET"].contains(&words[0]);
        asker.ready().then(|| self.note(key, input, writes, || asker.ask(words), answer))
    }

    /// Sends a command, and returns the operation as the client has seen it.
    fn note<M: Model>(
        &mut self,
        key: String,
        input: M::Input,
        writes: bool,
        ask: impl FnOnce() -> Fate,
        answer: impl Fn(&M::Input, Value) -> M::Output,
    ) -> Operation<M> {
        let invoked = self.now();
        let fate = ask();
        let returned = Some(self.now());
        let outcome = match fate {
            Fate::Told(value) => Outcome::Confirmed(answer(&input, value)),
            Fate::Refused => Outcome::NotExecuted,
            Fate::Unknown => Outcome::Unknown,
        };
        if writes && matches!(outcome, Outcome::Confirmed(_)) {
            self.confirm();
        }
        Operation { client: self.client, key, invoked, returned, order: None, input, outcome }
    }

    /// Moves an amount from one account to another, or reads them all at once.
    pub(super) fn accounts(&mut self, asker: &mut dyn Asker, rng: &mut StdRng) {
        let key = self.key_of_now("accounts");
        if rng.random() || !asker.transacts() {
            return self.read_accounts(asker, key);
        }
        if !asker.ready() {
            return;
        }
        let from = rng.random_range(0..ACCOUNTS);
        let to = (from + rng.random_range(1..ACCOUNTS)) % ACCOUNTS;
        let amount = rng.random_range(1..100);
        let (names, number) = (account_keys(&key), amount.to_string());
        let commands = [["DECRBY", &names[from], &number], ["INCRBY", &names[to], &number]];
        let answer = |_: &AccountsInput, value| {
            let [from, to] = read(value);
            AccountsOutput::Moved { from, to }
        };
        let ask = || asker.transaction(&[&commands[0], &commands[1]]);
        let operation = self.note(key, AccountsInput::Move { from, to, amount }, true, ask, answer);
        self.accounts.push(operation);
    }

    fn read_accounts(&mut self, asker: &mut dyn Asker, key: String) {
        let names = account_keys(&key);
        let words: Vec<&str> = ["MGET"].into_iter().chain(names.iter().map(String::as_str)).collect();
        let answer = |_: &AccountsInput, value| {
            let balances: [Option<i64>; ACCOUNTS] = read(value);
            AccountsOutput::Balances(balances.map(Option::unwrap_or_default))
        };
        let operation = self.ask::<Accounts>(asker, key, AccountsInput::Read, &words, answer);
        self.accounts.extend(operation);
    }
}

/// The accounts that are judged together as `key`.
fn account_keys(key: &str) -> [String; ACCOUNTS] {
    std::array::from_fn(|number| format!("{key}:{number}"))
}

fn read<T: FromRedisValue>(value: Value) -> T {
    redis::from_redis_value(value).unwrap_or_else(|error| panic!("an answer of another kind: {error}"))
}

/// Reads all `keys` once, each until it is answered.
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
            Some("accounts") => {
                record.read_accounts(asker, key);
                record.accounts.last().is_some_and(|operation| is_told(operation, &again))
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
    let accounts: Vec<_> = records.iter().flat_map(|record| record.accounts.iter().cloned()).collect();
    println!(
        "recorded: registers {}, counters {}, texts {}, accounts {}",
        counts(&registers),
        counts(&counters),
        counts(&texts),
        counts(&accounts)
    );
    linearizable(&registers).expect_linearizable();
    linearizable(&counters).expect_linearizable();
    linearizable(&texts).expect_linearizable();
    linearizable(&accounts).expect_linearizable();
}

fn failed<M: Model>(operations: &[Operation<M>]) -> usize {
    operations.iter().filter(|operation| !matches!(operation.outcome, Outcome::Confirmed(_))).count()
}

fn counts<M: Model>(operations: &[Operation<M>]) -> String {
    let unknown = operations.iter().filter(|operation| operation.outcome == Outcome::Unknown).count();
    let refused = operations.iter().filter(|operation| operation.outcome == Outcome::NotExecuted).count();
    format!("{} ({unknown} of unknown fate, {refused} refused)", operations.len())
}

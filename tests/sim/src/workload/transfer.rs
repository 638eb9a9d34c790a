//! Transfers between accounts in MULTI: the sum is always the same.

use std::cell::RefCell;
use std::rc::Rc;

use tanist_history::totals::{Reading, unbalanced};

use super::{Command, Ended, Fate, Known, Script, Workload, command};
use crate::random::Random;
use crate::value::Value;

const ACCOUNTS: u64 = 4;

type Readings = Rc<RefCell<Vec<Reading>>>;

#[derive(Debug)]
pub(super) struct Transfers {
    readings: Readings,
}

impl Transfers {
    pub(super) fn new() -> Transfers {
        Transfers { readings: Rc::default() }
    }

    fn reading(&self, client: usize) -> Box<dyn Script> {
        Box::new(Read { client, readings: Rc::clone(&self.readings) })
    }
}

fn account(number: u64) -> String {
    format!("account:{number}")
}

impl Workload for Transfers {
    fn begin(&mut self, client: usize, random: &mut Random) -> Box<dyn Script> {
        if random.percent(40) {
            return self.reading(client);
        }
        let from = random.below(ACCOUNTS);
        let to = (from + random.between(1, ACCOUNTS)) % ACCOUNTS;
        Box::new(Move { from: account(from), to: account(to), amount: random.between(1, 100).to_string() })
    }

    fn last_words(&mut self) -> Vec<Box<dyn Script>> {
        vec![self.reading(0)]
    }

    fn judge(&self, _: &Known) -> Result<(), String> {
        unbalanced(&self.readings.borrow(), 0).map_or(Ok(()), Err)
    }
}

#[derive(Debug)]
struct Move {
    from: String,
    to: String,
    amount: String,
}

impl Script for Move {
    fn next(&mut self, _: u64, replies: &[Value]) -> Option<Command> {
        Some(match replies.len() {
            0 => command(&["MULTI"]),
            1 => command(&["DECRBY", &self.from, &self.amount]),
            2 => command(&["INCRBY", &self.to, &self.amount]),
            3 => command(&["EXEC"]),
            _ => return None,
        })
    }

    fn writes(&self) -> bool {
        true
    }

    fn ended(&mut self, _: Ended, _: &[Value]) {}
}

#[derive(Debug)]
struct Read {
    client: usize,
    readings: Readings,
}

impl Script for Read {
    fn next(&mut self, _: u64, replies: &[Value]) -> Option<Command> {
        let keys: Vec<String> = (0..ACCOUNTS).map(account).collect();
        let words: Vec<&str> = std::iter::once("MGET").chain(keys.iter().map(String::as_str)).collect();
        replies.is_empty().then(|| command(&words))
    }

    fn writes(&self) -> bool {
        false
    }

    fn ended(&mut self, ended: Ended, replies: &[Value]) {
        if let (Fate::Done, [Value::Array(Some(values))]) = (ended.fate, replies) {
            let amounts = values.iter().map(|value| value.number().expect("an account holds a number")).collect();
            let reading = Reading { client: self.client as u32, returned: ended.returned.0, amounts };
            self.readings.borrow_mut().push(reading);
        }
    }
}

//! The judge, on planted violations: a store that loses or doubles one confirmed transaction is found out by its clients' records.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use rand::SeedableRng;
use rand::rngs::StdRng;
use redis::Value;

use super::fate::{Asker, Fate};
use super::record::{self, Record};

/// Which transaction is treated badly.
const BAD: usize = 40;

/// Accounts in memory.
#[derive(Default)]
struct Store {
    balances: HashMap<String, i64>,
    transactions: usize,
    /// How often the transaction number [`BAD`] is applied, whatever is answered.
    applied: usize,
}

impl Asker for Store {
    fn ready(&mut self) -> bool {
        true
    }

    fn ask(&mut self, words: &[&str]) -> Fate {
        assert_eq!(words[0], "MGET", "the only single command about accounts");
        let balance = |key: &&str| self.balances.get(*key).map_or(Value::Nil, |balance| Value::Int(*balance));
        Fate::Told(Value::Array(words[1..].iter().map(balance).collect()))
    }

    fn transacts(&self) -> bool {
        true
    }

    fn transaction(&mut self, commands: &[&[&str]]) -> Fate {
        self.transactions += 1;
        let times = if self.transactions == BAD { self.applied as i64 } else { 1 };
        let answers = commands.iter().map(|words| {
            let amount: i64 = words[2].parse().expect("an amount");
            let amount = if words[0] == "DECRBY" { -amount } else { amount };
            let balance = self.balances.entry(words[1].to_owned()).or_default();
            let answer = *balance + amount;
            *balance += amount * times;
            Value::Int(answer)
        });
        Fate::Told(Value::Array(answers.collect()))
    }
}

fn is_right(applied: usize) -> bool {
    let mut store = Store { applied, ..Store::default() };
    let mut client = Record::new(0, 0, Instant::now(), Arc::default());
    let mut rng = StdRng::seed_from_u64(1);
    (0..200).for_each(|_| client.accounts(&mut store, &mut rng));
    assert!(store.transactions > BAD);
    std::panic::catch_unwind(|| record::check(&[&client])).is_ok()
}

#[test]
fn a_transfer_that_is_lost_or_doubled_is_found() {
    assert_eq!([0, 1, 2].map(is_right), [false, true, false]);
}

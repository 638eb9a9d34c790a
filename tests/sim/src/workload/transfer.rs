//! Transfers between accounts in MULTI: a partial, lost or doubled transfer shows in the balances.

use tanist_history::models::{ACCOUNTS, Accounts, AccountsInput, AccountsOutput};

use super::{Command, DataType, command};
use crate::random::Random;
use crate::value::Value;

#[derive(Debug)]
pub(super) struct Transfers;

impl DataType for Transfers {
    type Model = Accounts;
    const NAME: &'static str = "account";
    // Several sets: each move of unknown fate doubles the search in its own.
    const KEYS: u64 = 3;

    fn draw(random: &mut Random, _: &str, _: Option<&AccountsOutput>) -> AccountsInput {
        if random.percent(30) {
            return AccountsInput::Read;
        }
        let from = random.index(ACCOUNTS);
        let to = (from + random.between(1, ACCOUNTS as u64) as usize) % ACCOUNTS;
        AccountsInput::Move { from, to, amount: random.between(1, 100) as i64 }
    }

    fn read() -> AccountsInput {
        AccountsInput::Read
    }

    fn next(key: &str, input: &AccountsInput, replies: &[Value]) -> Option<Command> {
        let account = |number: usize| format!("{key}:{number}");
        Some(match (input, replies.len()) {
            (AccountsInput::Read, 0) => {
                let keys: Vec<String> = (0..ACCOUNTS).map(account).collect();
                let words: Vec<&str> = std::iter::once("MGET").chain(keys.iter().map(String::as_str)).collect();
                command(&words)
            }
            (AccountsInput::Move { .. }, 0) => command(&["MULTI"]),
            (AccountsInput::Move { from, amount, .. }, 1) => command(&["DECRBY", &account(*from), &amount.to_string()]),
            (AccountsInput::Move { to, amount, .. }, 2) => command(&["INCRBY", &account(*to), &amount.to_string()]),
            // Needs all shards, and so a thread apart.
            (AccountsInput::Move { .. }, 3) if key.ends_with('0') => command(&["DBSIZE"]),
            (AccountsInput::Move { .. }, at) if at == if key.ends_with('0') { 4 } else { 3 } => command(&["EXEC"]),
            _ => return None,
        })
    }

    fn told(input: &AccountsInput, replies: &[Value]) -> Option<AccountsOutput> {
        let Value::Array(Some(values)) = replies.last()? else { return None };
        let amounts: Vec<i64> = values.iter().map(Value::number).collect::<Option<_>>()?;
        match (input, &amounts[..]) {
            (AccountsInput::Move { .. }, &[from, to] | &[from, to, _]) => Some(AccountsOutput::Moved { from, to }),
            (AccountsInput::Read, amounts) => amounts.try_into().ok().map(AccountsOutput::Balances),
            _ => None,
        }
    }
}

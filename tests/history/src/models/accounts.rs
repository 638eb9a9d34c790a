//! Accounts between which amounts are moved in transactions: several keys, judged as one.

use std::fmt;

use crate::Model;

/// How many accounts belong together.
pub const ACCOUNTS: usize = 4;

/// MULTI with DECRBY and INCRBY, and MGET, of [`ACCOUNTS`] keys; they begin with nothing, and may owe.
#[derive(Clone, Copy, Debug)]
pub struct Accounts;

/// What is asked of [`Accounts`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AccountsInput {
    /// The transaction.
    Move {
        /// The account that has less afterwards.
        from: usize,
        /// The account that has more; another one.
        to: usize,
        /// How much.
        amount: i64,
    },
    /// MGET of all.
    Read,
}

/// What [`Accounts`] answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountsOutput {
    /// To the transaction: what the two accounts have afterwards.
    Moved {
        /// The account that has less.
        from: i64,
        /// The account that has more.
        to: i64,
    },
    /// To MGET.
    Balances([i64; ACCOUNTS]),
}

impl Model for Accounts {
    type State = [i64; ACCOUNTS];
    type Input = AccountsInput;
    type Output = AccountsOutput;

    fn initial() -> Self::State {
        [0; ACCOUNTS]
    }

    fn step(state: &Self::State, input: &AccountsInput, output: Option<&AccountsOutput>) -> Option<Self::State> {
        let mut after = *state;
        let answer = match *input {
            AccountsInput::Move { from, to, amount } => {
                after[from] -= amount;
                after[to] += amount;
                AccountsOutput::Moved { from: after[from], to: after[to] }
            }
            AccountsInput::Read => AccountsOutput::Balances(after),
        };
        output.is_none_or(|output| *output == answer).then_some(after)
    }

    fn changes(input: &AccountsInput, _: Option<&AccountsOutput>) -> bool {
        *input != AccountsInput::Read
    }
}

impl fmt::Display for AccountsInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AccountsInput::Move { from, to, amount } => write!(f, "move {amount} from {from} to {to}"),
            AccountsInput::Read => f.write_str("read all"),
        }
    }
}

impl fmt::Display for AccountsOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AccountsOutput::Moved { from, to } => write!(f, "now {from} and {to}"),
            AccountsOutput::Balances(balances) => write!(f, "{balances:?}"),
        }
    }
}

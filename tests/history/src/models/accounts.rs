//! Accounts between which amounts are moved, in transactions over several keys.

use std::fmt;

use crate::Model;

/// How many accounts there are.
pub const ACCOUNTS: usize = 4;

/// MULTI with DECRBY of one key and INCRBY of another, and MGET of all; an absent key is 0.
#[derive(Clone, Copy, Debug)]
pub struct Accounts;

/// What is asked of [`Accounts`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AccountsInput {
    /// Moves an amount.
    Move {
        /// From this account
        from: usize,
        /// to this one, which is another.
        to: usize,
        /// So much.
        amount: i64,
    },
    /// Reads all.
    Read,
}

/// What they tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountsOutput {
    /// What both accounts of a move hold after it.
    Moved(i64, i64),
    /// What all hold.
    Amounts(Vec<i64>),
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
        if let AccountsInput::Move { from, to, amount } = *input {
            after[from] -= amount;
            after[to] += amount;
        }
        let fits = match (input, output) {
            (_, None) => true,
            (AccountsInput::Move { from, to, .. }, Some(AccountsOutput::Moved(one, other))) => {
                (after[*from], after[*to]) == (*one, *other)
            }
            (AccountsInput::Read, Some(AccountsOutput::Amounts(amounts))) => after[..] == amounts[..],
            _ => false,
        };
        fits.then_some(after)
    }

    fn changes(input: &AccountsInput, _: Option<&AccountsOutput>) -> bool {
        *input != AccountsInput::Read
    }
}

impl fmt::Display for AccountsInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AccountsInput::Move { from, to, amount } => write!(f, "move {amount} from {from} to {to}"),
            AccountsInput::Read => f.write_str("read"),
        }
    }
}

impl fmt::Display for AccountsOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AccountsOutput::Moved(from, to) => write!(f, "{from} and {to}"),
            AccountsOutput::Amounts(amounts) => write!(f, "{amounts:?}"),
        }
    }
}

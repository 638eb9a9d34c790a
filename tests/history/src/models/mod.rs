//! Data types that the tests of Tanist use.

mod accounts;
mod append;
mod counter;
mod register;

pub use accounts::{ACCOUNTS, Accounts, AccountsInput, AccountsOutput};
pub use append::{Append, AppendInput, AppendOutput};
pub use counter::{Counter, CounterInput, CounterOutput};
pub use register::{Register, RegisterInput, RegisterOutput};

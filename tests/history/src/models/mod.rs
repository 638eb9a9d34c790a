//! Data types that the tests of Tanist use.

mod append;
mod counter;
mod register;

pub use append::{Append, AppendInput, AppendOutput};
pub use counter::{Counter, CounterInput, CounterOutput};
pub use register::{Register, RegisterInput, RegisterOutput};

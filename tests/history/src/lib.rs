//! Did the cluster answer as a single copy of the data would have? Clients record what they asked, when, and what they were
//! told; [`check`] says whether there is an order of all operations that explains every answer and contradicts no clock:
//! linearizability (Herlihy and Wing 1990), key by key, since a history is linearizable if each key's part is.
//!
//! The search is that of Wing and Gong (1993) with Lowe's memory of what was tried (2017): from the states reached so far, any
//! operation may be next that was asked before every operation still missing was answered. Three things are special here:
//!
//! - An operation whose fate the client does not know ([`Outcome::Unknown`]) may take effect at any time after it was asked, or
//!   never. If the same operations were confirmed and the state is the same, having used fewer of the unknown ones is never
//!   worse, so only the smallest such sets are followed.
//! - Confirmed operations of one connection may be asked to take effect in their order ([`Operation::order`]), which times do not say if
//!   they overlap: those of a pipeline, or reads that may be of older data.
//! - An operation that was refused ([`Outcome::NotExecuted`]) must have no effect at all: it is no part of the order.
//!
//! The search is bounded: a history that would take too long is [`Verdict::Undecided`], never waited for.
//!
//! ```
//! use tanist_history::models::{Register, RegisterInput, RegisterOutput};
//! use tanist_history::{Operation, Outcome, Verdict, check};
//!
//! let mut history = Vec::new();
//! let mut record = |client, invoked, returned, input, output| {
//!     let outcome = Outcome::Confirmed(output);
//!     let (key, returned, order) = ("k".into(), Some(returned), None);
//!     history.push(Operation::<Register> { client, key, invoked, returned, order, input, outcome });
//! };
//! record(1, 10, 20, RegisterInput::Set("new".into()), RegisterOutput::Done);
//! record(2, 30, 40, RegisterInput::Get, RegisterOutput::Value(None));
//! let Verdict::Violation(violation) = check(&history) else { panic!("a stale read") };
//! println!("{violation}");
//! ```
//!
//! What is absent: the pairing of keys. Keys that transactions join are judged as one ([`models::Accounts`]).

mod explain;
mod model;
pub mod models;
mod operation;
mod order;
mod set;
mod verdict;

#[cfg(test)]
mod tests;

pub use explain::{Explanation, Violation};
pub use model::Model;
pub use operation::{Operation, Outcome};
pub use verdict::{STEPS_MAX, Verdict, check, check_within};

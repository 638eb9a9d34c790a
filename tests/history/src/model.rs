//! What a data type does: the sequential specification that a history is compared with.

use std::fmt::{Debug, Display};
use std::hash::Hash;

/// A data type under one key.
pub trait Model: Debug + Sized {
    /// What is stored under a key.
    type State: Clone + Eq + Hash + Debug;
    /// What a client asks.
    type Input: Clone + Eq + Hash + Debug + Display;
    /// What it is told.
    type Output: Clone + Eq + Debug + Display;

    /// The state of a key that nobody has touched.
    fn initial() -> Self::State;

    /// The state after `input`, or `None` if it could not have been answered with `output` in this state. Without an output every
    /// answer will do: the client has heard none.
    fn step(state: &Self::State, input: &Self::Input, output: Option<&Self::Output>) -> Option<Self::State>;

    /// False only if `input`, answered with `output`, leaves every state as it is that it can be answered so in. Such operations
    /// are ordered without a search.
    fn changes(input: &Self::Input, output: Option<&Self::Output>) -> bool;
}

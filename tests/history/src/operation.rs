//! One operation of a client as it saw it.

use std::fmt;

use crate::Model;

/// One operation of a client on one key. Times are of one clock that all clients share, in any unit; two operations at the same
/// time count as concurrent.
#[derive(Debug)]
pub struct Operation<M: Model> {
    /// Who asked.
    pub client: u32,
    /// What it was about.
    pub key: String,
    /// When it was asked: not later than the first byte left.
    pub invoked: u64,
    /// When the client was told, or gave up; not before the last byte came. A confirmed operation has one.
    pub returned: Option<u64>,
    /// The connection on which it was asked, and its place among all that was asked there: confirmed operations of one connection take
    /// effect in this order. `None`: the times alone count.
    pub order: Option<(u64, u64)>,
    /// What was asked.
    pub input: M::Input,
    /// What came of it.
    pub outcome: Outcome<M::Output>,
}

/// What a client knows of an operation's fate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<O> {
    /// It was executed once, between its two times, and answered so.
    Confirmed(O),
    /// It was refused: no trace of it may be seen, ever.
    NotExecuted,
    /// It may be executed at any time after it was asked, also after the client gave up; at most once.
    Unknown,
}

impl<M: Model> Operation<M> {
    /// The answer, if there is one.
    pub(crate) fn output(&self) -> Option<&M::Output> {
        match &self.outcome {
            Outcome::Confirmed(output) => Some(output),
            Outcome::NotExecuted | Outcome::Unknown => None,
        }
    }

    /// When it has certainly happened.
    ///
    /// # Panics
    /// A confirmed operation without a time of return: the recorder is wrong, and no verdict would mean anything.
    pub(crate) fn done_by(&self) -> u64 {
        match self.outcome {
            Outcome::Confirmed(_) => self.returned.expect("a confirmed operation has the time of its return"),
            Outcome::NotExecuted | Outcome::Unknown => u64::MAX,
        }
    }
}

impl<M: Model> Clone for Operation<M> {
    fn clone(&self) -> Self {
        Self {
            client: self.client,
            key: self.key.clone(),
            invoked: self.invoked,
            returned: self.returned,
            order: self.order,
            input: self.input.clone(),
            outcome: self.outcome.clone(),
        }
    }
}

impl<M: Model> fmt::Display for Operation<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let returned = self.returned.map_or("never".to_owned(), |time| time.to_string());
        write!(f, "client {:>3}  {:>12} .. {returned:>12}  {} -> ", self.client, self.invoked, self.input)?;
        match &self.outcome {
            Outcome::Confirmed(output) => write!(f, "{output}"),
            Outcome::NotExecuted => f.write_str("refused"),
            Outcome::Unknown => f.write_str("fate unknown"),
        }
    }
}

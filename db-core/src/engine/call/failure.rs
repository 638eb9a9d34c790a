//! The errors of commands, with Redis's error messages.

use std::borrow::Cow;

use crate::arena::OutOfMemory;

/// An error reply: code and sentence in one, as they stand on the wire after `-`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure(Cow<'static, str>);

/// What a handler returns: `Ok` after writing exactly one reply.
pub type Outcome = Result<(), Failure>;

impl Failure {
    /// Options that make no sense.
    pub const SYNTAX: Failure = Failure::fixed("ERR syntax error");
    /// An argument that is to be a whole number and is none, or too large.
    pub const NOT_AN_INTEGER: Failure = Failure::fixed("ERR value is not an integer or out of range");
    /// A number of a database beyond those that there are.
    pub const NO_SUCH_DATABASE: Failure = Failure::fixed("ERR DB index is out of range");
    pub(crate) const SAME_OBJECT: Failure = Failure::fixed("ERR source and destination objects are the same");
    pub(crate) const INVALID_KEYS: Failure = Failure::fixed("ERR Invalid arguments specified for command");
    pub(crate) const NOT_A_FLOAT: Failure = Failure::fixed("ERR value is not a valid float");
    pub(crate) const NO_SUCH_KEY: Failure = Failure::fixed("ERR no such key");
    pub(crate) const WRONG_TYPE: Failure =
        Failure::fixed("WRONGTYPE Operation against a key holding the wrong kind of value");
    pub(crate) const OVERFLOW: Failure = Failure::fixed("ERR increment or decrement would overflow");
    pub(crate) const NAN_OR_INFINITY: Failure = Failure::fixed("ERR increment would produce NaN or Infinity");
    pub(crate) const STRING_TOO_LONG: Failure =
        Failure::fixed("ERR string exceeds maximum allowed size (proto-max-bulk-len)");
    pub(crate) const RECORD_TOO_LONG: Failure =
        Failure::fixed("ERR the command's changes exceed the maximum length of a log record");
    pub(crate) const KEY_TOO_LONG: Failure = Failure::fixed("ERR key exceeds the maximum length of 8192 bytes");
    pub(crate) const OUT_OF_MEMORY: Failure = Failure::fixed("OOM command not allowed when used memory > 'maxmemory'.");
    pub(crate) const SHARD_FULL: Failure = Failure::fixed("OOM a shard has reached the end of its address space.");
    pub(crate) const EXEC_ABORTED: Failure =
        Failure::fixed("EXECABORT Transaction discarded because of previous errors.");
    /// The command cannot be executed between MULTI and EXEC.
    pub const NOT_IN_TRANSACTION: Failure = Failure::fixed("ERR Command not allowed inside a transaction");
    /// Never seen by a client: the engine refuses the command instead.
    pub(crate) const BUSY: Failure = Failure::fixed("BUSY another command holds the data");
    /// Never seen by a client, as [`Failure::BUSY`].
    pub(crate) const LARGE: Failure = Failure::fixed("ERR the reply is large");
    /// An EXEC that is refused ends its transaction, and says so.
    pub(crate) const EXEC_ARITY: Failure =
        Failure::fixed("EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command");

    /// A failure whose text is known at compile time.
    #[must_use]
    pub const fn fixed(text: &'static str) -> Failure {
        Failure(Cow::Borrowed(text))
    }

    /// A failure with something of the request in it.
    #[must_use]
    pub fn owned(text: String) -> Failure {
        Failure(Cow::Owned(text))
    }

    /// Too few or too many arguments for `command`.
    pub(crate) fn arity(command: &str) -> Failure {
        Failure::owned(format!("ERR wrong number of arguments for '{command}' command"))
    }

    /// A time to live that is not positive or does not fit.
    pub(crate) fn expire_time(command: &str) -> Failure {
        Failure::owned(format!("ERR invalid expire time in '{command}' command"))
    }

    /// Code and sentence.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl From<&'static str> for Failure {
    fn from(text: &'static str) -> Failure {
        Failure::fixed(text)
    }
}

impl From<String> for Failure {
    fn from(text: String) -> Failure {
        Failure::owned(text)
    }
}

impl From<OutOfMemory> for Failure {
    fn from(_: OutOfMemory) -> Failure {
        Failure::SHARD_FULL
    }
}

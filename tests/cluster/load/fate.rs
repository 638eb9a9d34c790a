//! What becomes of a command, in the words of a history.

use redis::{ErrorKind, RedisError, Value};
use tanist_test_support::refused;

/// A client's knowledge of a command that it has sent.
#[derive(Debug)]
pub(super) enum Fate {
    /// It was executed, and answered so.
    Told(Value),
    /// It was not and will not be executed.
    Refused,
    /// Nobody knows.
    Unknown,
}

/// Somebody who asks one thing at a time.
pub(super) trait Asker {
    /// Waits until there is a connection to ask on; `false` if there is none for the moment.
    fn ready(&mut self) -> bool;

    /// Sends one command, given as words.
    fn ask(&mut self, words: &[&str]) -> Fate;

    /// Whether this client can do the following.
    fn transacts(&self) -> bool;

    /// Sends several commands as one transaction. Reply: the array of their replies, or nil if a watched key has changed.
    fn transaction(&mut self, commands: &[&[&str]]) -> Fate;
}

/// What an error says about the fate of the command that it answers.
pub(super) fn of_error(error: &RedisError) -> Fate {
    match error.code() {
        code if refused(code, &error.to_string()) => Fate::Refused,
        Some("NOTDURABLE" | "UNKNOWN") => Fate::Unknown,
        // A reply of which only a part has come.
        _ if error.kind() == ErrorKind::Parse || error.is_io_error() => Fate::Unknown,
        _ => panic!("an answer that no client should get: {error}"),
    }
}

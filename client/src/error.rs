//! Errors, grouped by what a caller does next.

use std::path::PathBuf;
use std::time::Duration;

use redis::{ErrorKind, RedisError, ServerError, ServerErrorKind};
use thiserror::Error;

use crate::wire::{self, NOT_DURABLE, NOT_PRIMARY};

/// Why a command, or a client, failed.
#[derive(Clone, Debug, Error)]
pub enum Error {
    /// The node executed the command, or looked at it, and answered with an error.
    #[error("{0}")]
    Server(ServerError),
    /// **Nobody knows whether the command was executed**: the connection broke, or the deadline passed, between sending
    /// and the reply. Look at the data before repeating a command that is not the same when done twice.
    #[error("outcome unknown: {0}")]
    Unknown(String),
    /// Not executed: nothing has changed, and the command may be repeated. Of a pipeline that is no transaction, the first
    /// `done` commands were executed.
    #[error("not executed within {} ms ({done} commands before it were): {why}", waited.as_millis())]
    NotExecuted {
        /// How long it was tried.
        waited: Duration,
        /// Commands of the same pipeline that were executed.
        done: usize,
        /// The last obstacle.
        why: String,
    },
    /// The transaction was not executed, because the connection on which its keys were watched is gone.
    #[error("not executed: the watched keys were forgotten with the connection")]
    WatchLost,
    /// The command cannot be sent through this client.
    #[error("{command} cannot be sent through this client: {why}")]
    Unsuitable {
        /// The command's name.
        command: String,
        /// What to do instead.
        why: &'static str,
    },
    /// The command was executed, and its reply is not of the type that was asked for.
    #[error("the reply is not what was asked for: {0}")]
    Reply(String),
    /// A certificate or key.
    #[error("{}: {why}", file.display())]
    Certificate {
        /// The file, or the folder.
        file: PathBuf,
        /// What is wrong with it and what to do.
        why: String,
    },
    /// The options contradict each other, or the machine.
    #[error("{0}")]
    Options(String),
    /// The runtime that the client was made on is gone.
    #[error("the client has been shut down")]
    Closed,
}

/// What became of a command that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was looked at and answered with an error, or its reply is not of the type that was asked for.
    Answered,
    /// It was not executed: nothing has changed, and it may be repeated.
    NotExecuted,
    /// Of a pipeline, some of the first commands were executed and the others were not: do not repeat it as a whole.
    PartlyExecuted,
    /// **Nobody knows whether it was executed**, or whether that will last: look at the data before repeating a command that is not
    /// the same when done twice.
    Unknown,
}

/// Code ([`RedisError::code`]) of [`Error::Unknown`] as an error of the `redis` crate. No server replies with it.
pub const OUTCOME_UNKNOWN: &str = "OUTCOMEUNKNOWN";
/// Code of [`Error::NotExecuted`] as an error of the `redis` crate, of a command or of a pipeline of which none was executed.
pub const NOT_EXECUTED: &str = "NOTEXECUTED";
/// Code of [`Error::NotExecuted`] as an error of the `redis` crate, of a pipeline of which some commands were executed.
pub const PARTLY_EXECUTED: &str = "PARTLYEXECUTED";

impl Error {
    /// What became of the command.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Error::Server(error) => of_reply(error.code(), error.details()),
            Error::Reply(_) => Outcome::Answered,
            Error::Unknown(_) => Outcome::Unknown,
            Error::NotExecuted { done: 1.., .. } => Outcome::PartlyExecuted,
            Error::NotExecuted { .. }
            | Error::WatchLost
            | Error::Unsuitable { .. }
            | Error::Certificate { .. }
            | Error::Options(_)
            | Error::Closed => Outcome::NotExecuted,
        }
    }
}

/// What became of the command, or pipeline, that failed with `error` on a [`Client`](crate::Client) used through the traits of the
/// `redis` crate.
#[must_use]
pub fn outcome(error: &RedisError) -> Outcome {
    if error.kind() == ErrorKind::Server(ServerErrorKind::ExecAbort) {
        return Outcome::NotExecuted;
    }
    // A pipeline has an error for each command that failed, and no single one: the worst counts.
    if let Some(errors) = error.clone().into_server_errors() {
        let each = errors.iter().map(|(_, error)| of_reply(error.code(), error.details()));
        let worst = each.max_by_key(|outcome| *outcome as u8).unwrap_or(Outcome::Answered);
        let of_pipeline = std::error::Error::source(error).is_none();
        return if of_pipeline && worst == Outcome::NotExecuted { Outcome::PartlyExecuted } else { worst };
    }
    match error.kind() {
        ErrorKind::Client | ErrorKind::InvalidClientConfig => Outcome::NotExecuted,
        // Errors of a connection: this library makes none but when it has been shut down.
        ErrorKind::Io => Outcome::Unknown,
        _ => Outcome::Answered,
    }
}

/// Whether nobody knows what became of the command that failed with `error`: see [`Outcome::Unknown`].
#[must_use]
pub fn is_outcome_unknown(error: &RedisError) -> bool {
    outcome(error) == Outcome::Unknown
}

/// By an error reply, of a node or of this library.
fn of_reply(code: &str, details: Option<&str>) -> Outcome {
    match code {
        OUTCOME_UNKNOWN => Outcome::Unknown,
        PARTLY_EXECUTED => Outcome::PartlyExecuted,
        NOT_EXECUTED | NOT_PRIMARY | "READONLY" | "LOADING" | "EXECABORT" => Outcome::NotExecuted,
        // Executed, and not confirmed by the vault: a takeover may lose it.
        NOT_DURABLE if details.is_some_and(|details| details.ends_with(wire::NOT_EXECUTED)) => Outcome::NotExecuted,
        NOT_DURABLE => Outcome::Unknown,
        _ => Outcome::Answered,
    }
}

/// Errors keep their class by a code of their own, which the `redis` crate does not take for a reason to try again: this library has
/// done so as long as it was safe.
impl From<Error> for RedisError {
    fn from(error: Error) -> RedisError {
        let text = error.to_string();
        let coded = |code: &str, text| redis::make_extension_error(code.to_owned(), Some(text));
        match error {
            Error::Server(error) => error.into(),
            Error::Reply(_) => (ErrorKind::UnexpectedReturnType, "executed", text).into(),
            Error::Unknown(_) => coded(OUTCOME_UNKNOWN, text),
            Error::NotExecuted { done: 0, .. } => coded(NOT_EXECUTED, text),
            Error::NotExecuted { .. } => coded(PARTLY_EXECUTED, text),
            Error::WatchLost | Error::Unsuitable { .. } => (ErrorKind::Client, "not executed", text).into(),
            Error::Certificate { .. } | Error::Options(_) => {
                (ErrorKind::InvalidClientConfig, "the client cannot be made", text).into()
            }
            Error::Closed => coded(NOT_EXECUTED, text),
        }
    }
}

#[cfg(test)]
mod tests {
    use redis::RetryMethod;

    use super::*;

    fn reply(text: &str) -> RedisError {
        match redis::parse_redis_value(format!("-{text}\r\n").as_bytes()) {
            Ok(redis::Value::ServerError(error)) => error.into(),
            other => panic!("{other:?}"),
        }
    }

    fn not_executed(done: usize) -> Error {
        Error::NotExecuted { waited: Duration::from_millis(7), done, why: "no node is primary".into() }
    }

    /// `Unknown` became a broken pipe and `NotExecuted` a timeout: the one looked like something to try again, the other like something
    /// that may have happened.
    #[test]
    fn every_class_survives_as_an_error_of_the_redis_crate() {
        for (error, outcome_is) in [
            (Error::Unknown("cut".into()), Outcome::Unknown),
            (not_executed(0), Outcome::NotExecuted),
            (not_executed(2), Outcome::PartlyExecuted),
            (Error::WatchLost, Outcome::NotExecuted),
            (Error::Unsuitable { command: "MULTI".into(), why: "so" }, Outcome::NotExecuted),
            (Error::Options("so".into()), Outcome::NotExecuted),
            (Error::Reply("so".into()), Outcome::Answered),
            (Error::Closed, Outcome::NotExecuted),
        ] {
            assert_eq!(error.outcome(), outcome_is);
            let text = error.to_string();
            let error = RedisError::from(error);
            assert_eq!(outcome(&error), outcome_is, "{error}");
            assert_eq!(is_outcome_unknown(&error), outcome_is == Outcome::Unknown);
            assert!(matches!(error.retry_method(), RetryMethod::NoRetry), "nobody may try again: {error}");
            assert!(error.to_string().contains(&text), "{error}");
        }
        assert_eq!(RedisError::from(Error::Unknown("cut".into())).code(), Some(OUTCOME_UNKNOWN));
    }

    #[test]
    fn a_reply_that_is_not_durable_says_whether_it_was_executed() {
        for (text, outcome_is) in [
            (
                "NOTDURABLE the vault did not confirm this write within 7 ms; it may or may not survive",
                Outcome::Unknown,
            ),
            (
                "NOTDURABLE the vault is away and did not let this command execute within 7 ms (not executed)",
                Outcome::NotExecuted,
            ),
            ("NOTPRIMARY ? this node is standby", Outcome::NotExecuted),
            ("EXECABORT Transaction discarded", Outcome::NotExecuted),
            ("LOADING so", Outcome::NotExecuted),
            ("WRONGTYPE so", Outcome::Answered),
            ("ERR so", Outcome::Answered),
        ] {
            assert_eq!(outcome(&reply(text)), outcome_is, "{text}");
        }
    }
}

//! What can go wrong, sorted by what a caller does next.

use std::path::PathBuf;
use std::time::Duration;

use redis::{ErrorKind, RedisError, ServerError};
use thiserror::Error;

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

impl From<Error> for RedisError {
    fn from(error: Error) -> RedisError {
        let text = error.to_string();
        match error {
            Error::Server(error) => error.into(),
            Error::Unknown(_) => std::io::Error::new(std::io::ErrorKind::BrokenPipe, text).into(),
            Error::NotExecuted { .. } => std::io::Error::new(std::io::ErrorKind::TimedOut, text).into(),
            Error::WatchLost | Error::Unsuitable { .. } => (ErrorKind::Client, "not executed", text).into(),
            Error::Certificate { .. } | Error::Options(_) => {
                (ErrorKind::InvalidClientConfig, "the client cannot be made", text).into()
            }
            Error::Closed => std::io::Error::new(std::io::ErrorKind::NotConnected, text).into(),
        }
    }
}

//! A command under construction, and who executes it.

use std::fmt;
use std::future::IntoFuture;
use std::marker::PhantomData;
use std::pin::Pin;
use std::time::Duration;

use redis::{Cmd, FromRedisValue, ToRedisArgs, Value};

use crate::client::Client;
use crate::error::Error;
use crate::from_reply::from_reply;
use crate::request::Request;

/// A future of this library's own making.
pub(super) type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

/// Whatever executes a command and returns its reply.
pub trait Execute: Sync {
    /// Executes a command. An error reply may come as [`Value::ServerError`] or as [`Error::Server`].
    ///
    /// # Errors
    /// See [`Error`].
    fn execute(&self, command: Cmd) -> Pin<Box<dyn Future<Output = Result<Value, Error>> + Send + '_>>;
}

impl Execute for Client {
    fn execute(&self, command: Cmd) -> Pending<'_, Value> {
        Box::pin(async move { self.ask_one(Request::of_command(&command)?).await })
    }
}

/// A command that is sent when it is awaited, and its reply as a `T`.
#[must_use = "nothing is sent before it is awaited"]
pub struct Call<'a, T> {
    executor: &'a dyn Execute,
    command: Cmd,
    reply: PhantomData<fn() -> T>,
}

/// A command by its name: `call(&client, "OBJECT").arg("ENCODING").arg("king").await`.
pub fn call<'a, T>(executor: &'a impl Execute, name: &str) -> Call<'a, T> {
    Call { executor, command: redis::cmd(name), reply: PhantomData }
}

impl<'a, T> Call<'a, T> {
    /// Adds an argument, or several.
    pub fn arg(mut self, arg: impl ToRedisArgs) -> Self {
        self.command.arg(arg);
        self
    }

    /// Adds an option with its value, if there is one.
    pub(super) fn option(self, word: &str, value: Option<impl ToRedisArgs>) -> Self {
        match value {
            Some(value) => self.arg(word).arg(value),
            None => self,
        }
    }

    /// Adds a word, if it is wanted.
    pub(super) fn flag(self, word: &str, wanted: bool) -> Self {
        if wanted { self.arg(word) } else { self }
    }

    /// Adds the number of keys, and the keys.
    pub(super) fn counted(self, keys: impl ToRedisArgs) -> Self {
        let keys = keys.to_redis_args();
        self.arg(keys.len()).arg(keys)
    }

    /// Adds a timeout in seconds; forever is 0, so the shortest is a millisecond.
    pub(super) fn timeout(self, timeout: Option<Duration>) -> Self {
        let seconds = timeout.map_or(0.0, |timeout| timeout.max(Duration::from_millis(1)).as_secs_f64());
        self.arg(format!("{seconds:.3}"))
    }

    /// The command itself, for a pipeline or a transaction: `pipeline.add_command(call.into_command())`.
    #[must_use]
    pub fn into_command(self) -> Cmd {
        self.command
    }
}

impl<'a, T: FromRedisValue + 'a> IntoFuture for Call<'a, T> {
    type Output = Result<T, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        let reply = self.executor.execute(self.command);
        Box::pin(async move { from_reply(reply.await?) })
    }
}

impl<T> fmt::Debug for Call<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Call").field(&self.command).finish()
    }
}

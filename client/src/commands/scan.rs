//! Everything of a database or a collection, some at a time.

use std::collections::VecDeque;
use std::fmt;

use futures_util::Stream;
use futures_util::stream::try_unfold;
use redis::{Cmd, FromRedisValue, ToRedisArgs};

use super::{Execute, KeyKind};
use crate::error::Error;
use crate::from_reply::from_reply;

/// Elements of a database or a collection, some at a time: as many as `COUNT` says are looked at by one command, while other commands are
/// executed in between. What is there from the beginning to the end is returned at least once, also over a change of primary; what
/// comes or goes meanwhile may be. Something may be returned twice.
#[must_use = "nothing is sent before the first element is asked for"]
pub struct Scan<'a, T> {
    executor: &'a dyn Execute,
    /// Up to where the cursor is to stand.
    command: Cmd,
    options: Vec<Vec<u8>>,
    /// `None`: the scan is over.
    cursor: Option<u64>,
    found: VecDeque<T>,
}

impl<'a, T: FromRedisValue> Scan<'a, T> {
    /// Of the collection at a key.
    pub(super) fn of(executor: &'a impl Execute, name: &str, key: impl ToRedisArgs) -> Self {
        Self::from(executor, redis::cmd(name).arg(key).clone())
    }

    /// Of the keys of the database.
    pub(super) fn of_keys(executor: &'a impl Execute) -> Self {
        Self::from(executor, redis::cmd("SCAN"))
    }

    fn from(executor: &'a dyn Execute, command: Cmd) -> Self {
        Self { executor, command, options: Vec::new(), cursor: Some(0), found: VecDeque::new() }
    }

    /// Adds a word that the command takes without a value.
    pub(super) fn word(mut self, word: &str) -> Self {
        self.options.push(word.into());
        self
    }

    fn option(mut self, word: &str, value: impl ToRedisArgs) -> Self {
        self.options.push(word.into());
        self.options.extend(value.to_redis_args());
        self
    }

    /// Only what matches a pattern: `user:*`. In a hash or a sorted set it is compared with the field or the member.
    pub fn matching(self, pattern: impl ToRedisArgs) -> Self {
        self.option("MATCH", pattern)
    }

    /// How many elements one command looks at, about; 10 if nothing is said.
    pub fn count(self, count: u64) -> Self {
        self.option("COUNT", count)
    }

    /// Only keys of this type. Collections know no such option: an error reply.
    pub fn of_type(self, kind: &KeyKind) -> Self {
        self.option("TYPE", kind.name())
    }

    /// The next element; `None` behind the last.
    ///
    /// # Errors
    /// See [`Error`]. The scan may be continued then.
    pub async fn next(&mut self) -> Result<Option<T>, Error> {
        loop {
            if let Some(element) = self.found.pop_front() {
                return Ok(Some(element));
            }
            let Some(cursor) = self.cursor else { return Ok(None) };
            let mut command = self.command.clone();
            command.arg(cursor).arg(&self.options);
            let (next, found): (u64, Vec<T>) = from_reply(self.executor.execute(command).await?)?;
            self.cursor = Some(next).filter(|next| *next != 0);
            self.found = found.into();
        }
    }

    /// All elements that are left.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn all(mut self) -> Result<Vec<T>, Error> {
        let mut all = Vec::new();
        while let Some(element) = self.next().await? {
            all.push(element);
        }
        Ok(all)
    }

    /// The elements as a stream, which ends with the first error.
    pub fn stream(self) -> impl Stream<Item = Result<T, Error>> + Send + 'a
    where
        T: Send + 'a,
    {
        try_unfold(self, async |mut scan| Ok(scan.next().await?.map(|element| (element, scan))))
    }
}

impl<T> fmt::Debug for Scan<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scan").field("command", &self.command).field("cursor", &self.cursor).finish_non_exhaustive()
    }
}

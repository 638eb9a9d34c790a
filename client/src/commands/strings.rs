//! Strings.

use std::time::{Duration, SystemTime};

use redis::{FromRedisValue, RedisWrite, ToRedisArgs};

use super::keys::{milliseconds, unix_milliseconds};
use super::{Call, Execute, call};

/// Commands for strings.
pub trait StringCommands: Execute + Sized {
    /// The value of a key.
    fn get<V: FromRedisValue>(&self, key: impl ToRedisArgs) -> Call<'_, Option<V>> {
        call(self, "GET").arg(key)
    }

    /// Sets a key.
    fn set(&self, key: impl ToRedisArgs, value: impl ToRedisArgs) -> Call<'_, ()> {
        call(self, "SET").arg(key).arg(value)
    }

    /// Sets a key with options; returns whether it was set, which a condition may prevent.
    fn set_with(&self, key: impl ToRedisArgs, value: impl ToRedisArgs, options: SetOptions) -> Call<'_, bool> {
        call(self, "SET").arg(key).arg(value).arg(options)
    }

    /// Sets a key with options, and returns the value that it had.
    fn set_get<V: FromRedisValue>(
        &self,
        key: impl ToRedisArgs,
        value: impl ToRedisArgs,
        options: SetOptions,
    ) -> Call<'_, Option<V>> {
        call(self, "SET").arg(key).arg(value).arg(options).arg("GET")
    }

    /// Deletes a key, and returns the value that it had.
    fn getdel<V: FromRedisValue>(&self, key: impl ToRedisArgs) -> Call<'_, Option<V>> {
        call(self, "GETDEL").arg(key)
    }

    /// The value of a key, whose time to live is set.
    fn getex<V: FromRedisValue>(&self, key: impl ToRedisArgs, expiry: Expiry) -> Call<'_, Option<V>> {
        call(self, "GETEX").arg(key).arg(expiry)
    }

    /// The values of keys, in their order.
    fn mget<V: FromRedisValue>(&self, keys: impl ToRedisArgs) -> Call<'_, Vec<Option<V>>> {
        call(self, "MGET").arg(keys)
    }

    /// Sets keys, all at once: pairs of key and value.
    fn mset(&self, pairs: impl ToRedisArgs) -> Call<'_, ()> {
        call(self, "MSET").arg(pairs)
    }

    /// Sets keys if none of them is there; returns whether they were set.
    fn msetnx(&self, pairs: impl ToRedisArgs) -> Call<'_, bool> {
        call(self, "MSETNX").arg(pairs)
    }

    /// Adds to a number, which is 0 if the key is missing; returns the sum.
    fn incrby(&self, key: impl ToRedisArgs, by: i64) -> Call<'_, i64> {
        call(self, "INCRBY").arg(key).arg(by)
    }

    /// Subtracts from a number; returns the difference.
    fn decrby(&self, key: impl ToRedisArgs, by: i64) -> Call<'_, i64> {
        call(self, "DECRBY").arg(key).arg(by)
    }

    /// Adds to a floating-point number; returns the sum.
    fn incrbyfloat(&self, key: impl ToRedisArgs, by: f64) -> Call<'_, f64> {
        call(self, "INCRBYFLOAT").arg(key).arg(by)
    }

    /// Appends to a value; returns its new length in bytes.
    fn append(&self, key: impl ToRedisArgs, text: impl ToRedisArgs) -> Call<'_, u64> {
        call(self, "APPEND").arg(key).arg(text)
    }

    /// The length of a value in bytes; 0 if there is none.
    fn strlen(&self, key: impl ToRedisArgs) -> Call<'_, u64> {
        call(self, "STRLEN").arg(key)
    }

    /// The bytes from `start` to `end`, that included; negative ones count from the end.
    fn getrange<V: FromRedisValue>(&self, key: impl ToRedisArgs, start: i64, end: i64) -> Call<'_, V> {
        call(self, "GETRANGE").arg(key).arg(start).arg(end)
    }

    /// Writes over a value from an offset on; returns its new length in bytes.
    fn setrange(&self, key: impl ToRedisArgs, offset: u64, text: impl ToRedisArgs) -> Call<'_, u64> {
        call(self, "SETRANGE").arg(key).arg(offset).arg(text)
    }

    /// The longest common subsequence of two values.
    fn lcs<V: FromRedisValue>(&self, first: impl ToRedisArgs, second: impl ToRedisArgs) -> Call<'_, V> {
        call(self, "LCS").arg(first).arg(second)
    }

    /// Its length in bytes.
    fn lcs_len(&self, first: impl ToRedisArgs, second: impl ToRedisArgs) -> Call<'_, u64> {
        call(self, "LCS").arg(first).arg(second).arg("LEN")
    }
}

impl<E: Execute> StringCommands for E {}

/// How the time to live of a key or field is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// So long from now, to the millisecond.
    After(Duration),
    /// At this moment, to the millisecond.
    At(SystemTime),
    /// None: it does not expire.
    Never,
}

impl ToRedisArgs for Expiry {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        match self {
            Expiry::After(time) => ("PX", milliseconds(*time)).write_redis_args(out),
            Expiry::At(at) => ("PXAT", unix_milliseconds(*at)).write_redis_args(out),
            Expiry::Never => "PERSIST".write_redis_args(out),
        }
    }
}

/// Options of `SET`, and of `HSETEX`, there for each field. Without them it sets the key whatever was there, and the key does not expire.
#[derive(Clone, Copy, Debug, Default)]
pub struct SetOptions {
    condition: Option<&'static str>,
    expiry: Option<Expiry>,
    keep_ttl: bool,
}

impl SetOptions {
    /// Only if the key is missing.
    #[must_use]
    pub fn only_if_missing(self) -> Self {
        Self { condition: Some("NX"), ..self }
    }

    /// Only if the key is there.
    #[must_use]
    pub fn only_if_there(self) -> Self {
        Self { condition: Some("XX"), ..self }
    }

    /// The key expires after a time.
    #[must_use]
    pub fn expire_after(self, time: Duration) -> Self {
        Self { expiry: Some(Expiry::After(time)), keep_ttl: false, ..self }
    }

    /// The key expires at a moment.
    #[must_use]
    pub fn expire_at(self, at: SystemTime) -> Self {
        Self { expiry: Some(Expiry::At(at)), keep_ttl: false, ..self }
    }

    /// The key keeps the time to live that it has.
    #[must_use]
    pub fn keep_ttl(self) -> Self {
        Self { expiry: None, keep_ttl: true, ..self }
    }

    /// The same in the words of `HSETEX`, which has `NX` and `XX` for the hash.
    pub(super) fn of_fields(self) -> Self {
        Self { condition: self.condition.map(|word| if word == "NX" { "FNX" } else { "FXX" }), ..self }
    }
}

impl ToRedisArgs for SetOptions {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        self.condition.write_redis_args(out);
        self.expiry.write_redis_args(out);
        self.keep_ttl.then_some("KEEPTTL").write_redis_args(out);
    }
}

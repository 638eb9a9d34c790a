//! Strings.

use std::time::{Duration, SystemTime};

use redis::{FromRedisValue, RedisWrite, ToRedisArgs};

use super::keys::{milliseconds, unix_milliseconds};
use super::{Call, Execute, IncrexOptions, call};

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

    /// Sets keys with options that are those of all, all at once or none; returns whether they were set. Redis has it since 8.4, Valkey
    /// since 9.1.
    fn msetex(&self, pairs: impl ToRedisArgs, options: SetOptions) -> Call<'_, bool> {
        let pairs = pairs.to_redis_args();
        call(self, "MSETEX").arg(pairs.len() / 2).arg(pairs).arg(options)
    }

    /// Deletes a key if its value is this one; returns whether it was deleted. Valkey has it since 9.0.
    fn delifeq(&self, key: impl ToRedisArgs, value: impl ToRedisArgs) -> Call<'_, bool> {
        call(self, "DELIFEQ").arg(key).arg(value)
    }

    /// Deletes a key if a condition on its value is true; returns whether it was deleted. Redis has it since 8.4.
    fn delex(&self, key: impl ToRedisArgs, condition: ValueIf) -> Call<'_, bool> {
        call(self, "DELEX").arg(key).arg(condition)
    }

    /// A hash of a value, which [`ValueIf::has_digest`] takes. Redis has it since 8.4.
    fn digest(&self, key: impl ToRedisArgs) -> Call<'_, Option<String>> {
        call(self, "DIGEST").arg(key)
    }

    /// Adds to a number within bounds; returns it, and what was added to it. Redis has it since 8.8.
    fn increx(&self, key: impl ToRedisArgs, by: i64, options: IncrexOptions) -> Call<'_, (i64, i64)> {
        call(self, "INCREX").arg(key).arg("BYINT").arg(by).arg(options)
    }

    /// The same of a floating-point number.
    fn increx_float(&self, key: impl ToRedisArgs, by: f64, options: IncrexOptions) -> Call<'_, (f64, f64)> {
        call(self, "INCREX").arg(key).arg("BYFLOAT").arg(by).arg(options)
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
#[derive(Clone, Debug, Default)]
pub struct SetOptions {
    condition: Option<&'static str>,
    value_if: Option<ValueIf>,
    expiry: Option<Expiry>,
    keep_ttl: bool,
}

impl SetOptions {
    /// Only if the key is missing.
    #[must_use]
    pub fn only_if_missing(self) -> Self {
        Self { condition: Some("NX"), value_if: None, ..self }
    }

    /// Only if the key is there.
    #[must_use]
    pub fn only_if_there(self) -> Self {
        Self { condition: Some("XX"), value_if: None, ..self }
    }

    /// Only if a condition on its value is true. Only of `SET`; Valkey has `IFEQ` since 8.1, Redis all of them since 8.4.
    #[must_use]
    pub fn only_if(self, condition: ValueIf) -> Self {
        Self { condition: None, value_if: Some(condition), ..self }
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
        self.value_if.write_redis_args(out);
        self.expiry.write_redis_args(out);
        self.keep_ttl.then_some("KEEPTTL").write_redis_args(out);
    }
}

/// A condition on the value that a key has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueIf {
    word: &'static str,
    value: Vec<Vec<u8>>,
}

impl ValueIf {
    /// It is this one.
    #[must_use]
    pub fn equals(value: impl ToRedisArgs) -> ValueIf {
        ValueIf { word: "IFEQ", value: value.to_redis_args() }
    }

    /// It is another one, or for `SET` there is none.
    #[must_use]
    pub fn differs(value: impl ToRedisArgs) -> ValueIf {
        ValueIf { word: "IFNE", value: value.to_redis_args() }
    }

    /// It is one of which [`digest`](StringCommands::digest) returned this.
    #[must_use]
    pub fn has_digest(digest: &str) -> ValueIf {
        ValueIf { word: "IFDEQ", value: digest.to_redis_args() }
    }

    /// It is one of which [`digest`](StringCommands::digest) returned something else, or for `SET` there is none.
    #[must_use]
    pub fn lacks_digest(digest: &str) -> ValueIf {
        ValueIf { word: "IFDNE", value: digest.to_redis_args() }
    }
}

impl ToRedisArgs for ValueIf {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        self.word.write_redis_args(out);
        self.value.iter().for_each(|value| out.write_arg(value));
    }

    fn num_of_args(&self) -> usize {
        1 + self.value.len()
    }
}

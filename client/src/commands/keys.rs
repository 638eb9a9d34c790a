//! Keys of any type.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use redis::{FromRedisValue, ParsingError, RedisWrite, ToRedisArgs, Value};

use super::strings::Expiry;
use super::{Call, Execute, Scan, SortOptions, call};

/// Commands for keys of any type.
pub trait KeyCommands: Execute + Sized {
    /// Deletes keys; returns how many there were.
    fn del(&self, keys: impl ToRedisArgs) -> Call<'_, u64> {
        call(self, "DEL").arg(keys)
    }

    /// Deletes keys, of large values the memory later; returns how many there were.
    fn unlink(&self, keys: impl ToRedisArgs) -> Call<'_, u64> {
        call(self, "UNLINK").arg(keys)
    }

    /// How many of the keys there are; one that is named twice counts twice.
    fn exists(&self, keys: impl ToRedisArgs) -> Call<'_, u64> {
        call(self, "EXISTS").arg(keys)
    }

    /// What type of value a key has.
    fn key_type(&self, key: impl ToRedisArgs) -> Call<'_, KeyKind> {
        call(self, "TYPE").arg(key)
    }

    /// Lets a key expire after a time, to the millisecond; returns whether there is such a key. (`PEXPIRE`)
    fn expire(&self, key: impl ToRedisArgs, after: Duration) -> Call<'_, bool> {
        call(self, "PEXPIRE").arg(key).arg(milliseconds(after))
    }

    /// The same under a condition; returns whether the key is there and the condition is true.
    fn expire_if(&self, key: impl ToRedisArgs, after: Duration, condition: ExpireIf) -> Call<'_, bool> {
        self.expire(key, after).arg(condition)
    }

    /// Lets a key expire at a moment, to the millisecond; returns whether there is such a key. A moment that has passed deletes it.
    /// (`PEXPIREAT`)
    fn expire_at(&self, key: impl ToRedisArgs, at: SystemTime) -> Call<'_, bool> {
        call(self, "PEXPIREAT").arg(key).arg(unix_milliseconds(at))
    }

    /// Keeps a key that would have expired; returns whether it would have.
    fn persist(&self, key: impl ToRedisArgs) -> Call<'_, bool> {
        call(self, "PERSIST").arg(key)
    }

    /// How long a key has left, to the millisecond. (`PTTL`)
    fn ttl(&self, key: impl ToRedisArgs) -> Call<'_, TimeToLive> {
        call(self, "PTTL").arg(key)
    }

    /// Renames a key, over one that has the new name. An error if there is none.
    fn rename(&self, key: impl ToRedisArgs, to: impl ToRedisArgs) -> Call<'_, ()> {
        call(self, "RENAME").arg(key).arg(to)
    }

    /// Renames a key unless the new name is taken; returns whether it was renamed.
    fn renamenx(&self, key: impl ToRedisArgs, to: impl ToRedisArgs) -> Call<'_, bool> {
        call(self, "RENAMENX").arg(key).arg(to)
    }

    /// Copies a key, over another one if `replace`; returns whether it was copied.
    fn copy(&self, key: impl ToRedisArgs, to: impl ToRedisArgs, replace: bool) -> Call<'_, bool> {
        call(self, "COPY").arg(key).arg(to).flag("REPLACE", replace)
    }

    /// Counts as a use of the keys; returns how many there are.
    fn touch(&self, keys: impl ToRedisArgs) -> Call<'_, u64> {
        call(self, "TOUCH").arg(keys)
    }

    /// Any key.
    fn randomkey<K: FromRedisValue>(&self) -> Call<'_, Option<K>> {
        call(self, "RANDOMKEY")
    }

    /// All keys that match a pattern, in one reply: for large data see `scan`.
    fn keys<K: FromRedisValue>(&self, pattern: impl ToRedisArgs) -> Call<'_, Vec<K>> {
        call(self, "KEYS").arg(pattern)
    }

    /// Keys, some at a time.
    fn scan<K: FromRedisValue>(&self) -> Scan<'_, K> {
        Scan::of_keys(self)
    }

    /// How many keys there are.
    fn dbsize(&self) -> Call<'_, u64> {
        call(self, "DBSIZE")
    }

    /// The elements of a list, set or sorted set, sorted, or what the options get of each: with several patterns `V` is a tuple, and what
    /// may be missing an `Option`.
    fn sort<V: FromRedisValue>(&self, key: impl ToRedisArgs, options: SortOptions) -> Call<'_, Vec<V>> {
        call(self, "SORT").arg(key).arg(options)
    }

    /// The same by a command that changes nothing: it is asked for again when its reply is lost.
    fn sort_ro<V: FromRedisValue>(&self, key: impl ToRedisArgs, options: SortOptions) -> Call<'_, Vec<V>> {
        call(self, "SORT_RO").arg(key).arg(options)
    }

    /// Stores as a list what `sort` returns, with nothing in the place of what is missing; returns how many elements it has.
    fn sort_store(&self, key: impl ToRedisArgs, options: SortOptions, to: impl ToRedisArgs) -> Call<'_, u64> {
        call(self, "SORT").arg(key).arg(options).arg("STORE").arg(to)
    }

    /// The value of a key as bytes that `restore` takes, here or at a Redis or Valkey.
    fn dump(&self, key: impl ToRedisArgs) -> Call<'_, Option<Vec<u8>>> {
        call(self, "DUMP").arg(key)
    }

    /// Makes a key of what `dump` has returned. An error if the key is there, unless it is replaced.
    fn restore(&self, key: impl ToRedisArgs, dumped: impl ToRedisArgs, options: RestoreOptions) -> Call<'_, ()> {
        let (time, absolute) = match options.expiry {
            // 0 is for none.
            Expiry::After(time) => (milliseconds(time).max(1), false),
            Expiry::At(at) => (unix_milliseconds(at).max(1), true),
            Expiry::Never => (0, false),
        };
        let restore = call(self, "RESTORE").arg(key).arg(time).arg(dumped);
        restore.flag("REPLACE", options.replace).flag("ABSTTL", absolute)
    }

    /// How a value is stored, in Redis's words: `listpack`, `hashtable`. (`OBJECT ENCODING`)
    fn object_encoding(&self, key: impl ToRedisArgs) -> Call<'_, Option<String>> {
        call(self, "OBJECT").arg("ENCODING").arg(key)
    }
}

impl<E: Execute> KeyCommands for E {}

/// Whole milliseconds, as many as a command takes.
pub(super) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Whole milliseconds since 1970, as many as a command takes.
pub(super) fn unix_milliseconds(at: SystemTime) -> u64 {
    milliseconds(at.duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// Options of `RESTORE`. Without them a key that is there stays, and the new one does not expire.
#[derive(Clone, Copy, Debug)]
pub struct RestoreOptions {
    replace: bool,
    expiry: Expiry,
}

impl Default for RestoreOptions {
    fn default() -> Self {
        Self { replace: false, expiry: Expiry::Never }
    }
}

impl RestoreOptions {
    /// Over a key that is there.
    #[must_use]
    pub fn replace(self) -> Self {
        Self { replace: true, ..self }
    }

    /// The key expires after a time.
    #[must_use]
    pub fn expire_after(self, time: Duration) -> Self {
        Self { expiry: Expiry::After(time), ..self }
    }

    /// The key expires at a moment.
    #[must_use]
    pub fn expire_at(self, at: SystemTime) -> Self {
        Self { expiry: Expiry::At(at), ..self }
    }
}

/// The type of a key's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// There is no such key.
    Missing,
    /// A string.
    String,
    /// A list.
    List,
    /// A set.
    Set,
    /// A sorted set.
    SortedSet,
    /// A hash.
    Hash,
    /// A stream.
    Stream,
    /// A type that this library does not know, by its name.
    Other(String),
}

impl KeyKind {
    const NAMES: [(&'static str, KeyKind); 7] = [
        ("none", KeyKind::Missing),
        ("string", KeyKind::String),
        ("list", KeyKind::List),
        ("set", KeyKind::Set),
        ("zset", KeyKind::SortedSet),
        ("hash", KeyKind::Hash),
        ("stream", KeyKind::Stream),
    ];

    /// The name that the protocol has for it.
    #[must_use]
    pub fn name(&self) -> &str {
        let known = Self::NAMES.iter().find(|(_, kind)| kind == self).map(|(name, _)| *name);
        match (self, known) {
            (KeyKind::Other(name), _) => name,
            (_, name) => name.unwrap_or_default(),
        }
    }
}

impl FromRedisValue for KeyKind {
    fn from_redis_value(reply: Value) -> Result<KeyKind, ParsingError> {
        let name = String::from_redis_value(reply)?;
        let known = KeyKind::NAMES.into_iter().find(|(known, _)| *known == name).map(|(_, kind)| kind);
        Ok(known.unwrap_or(KeyKind::Other(name)))
    }
}

/// How long a key, or a field of a hash, has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeToLive {
    /// There is no such key or field.
    Missing,
    /// It does not expire.
    Forever,
    /// It expires after so long.
    Left(Duration),
}

impl FromRedisValue for TimeToLive {
    fn from_redis_value(reply: Value) -> Result<TimeToLive, ParsingError> {
        let number = i64::from_redis_value(reply)?;
        Ok(match u64::try_from(number) {
            Ok(left) => TimeToLive::Left(Duration::from_millis(left)),
            Err(_) if number == -1 => TimeToLive::Forever,
            Err(_) => TimeToLive::Missing,
        })
    }
}

/// When the time to live of a key or field is to be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpireIf {
    /// It has none.
    HasNone,
    /// It has one.
    HasOne,
    /// The new one is longer than the present one, if there is one: none counts as endless.
    Longer,
    /// The new one is shorter than the present one.
    Shorter,
}

impl ToRedisArgs for ExpireIf {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        let word = match self {
            ExpireIf::HasNone => "NX",
            ExpireIf::HasOne => "XX",
            ExpireIf::Longer => "GT",
            ExpireIf::Shorter => "LT",
        };
        word.write_redis_args(out);
    }
}

//! Keys of any type.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use redis::{FromRedisValue, ParsingError, RedisWrite, ToRedisArgs, Value};

use super::{Call, Execute, Scan, call};

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
        call(self, "PEXPIREAT").arg(key).arg(milliseconds(at.duration_since(UNIX_EPOCH).unwrap_or_default()))
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
    /// A type that this library does not know, by its name.
    Other(String),
}

impl KeyKind {
    const NAMES: [(&'static str, KeyKind); 6] = [
        ("none", KeyKind::Missing),
        ("string", KeyKind::String),
        ("list", KeyKind::List),
        ("set", KeyKind::Set),
        ("zset", KeyKind::SortedSet),
        ("hash", KeyKind::Hash),
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

/// How long a key has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeToLive {
    /// There is no such key.
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

/// When a time to live is to be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpireIf {
    /// The key has none.
    HasNone,
    /// The key has one.
    HasOne,
    /// It is longer than the present one, if there is one: none counts as endless.
    Longer,
    /// It is shorter than the present one.
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

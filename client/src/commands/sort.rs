//! How elements are sorted, and what is shown of them.

use redis::{RedisWrite, ToRedisArgs};

/// Options of `SORT`. Without them elements are sorted as numbers, the lowest first.
#[derive(Clone, Debug, Default)]
pub struct SortOptions {
    by: Option<Vec<u8>>,
    limit: Option<(u64, i64)>,
    get: Vec<Vec<u8>>,
    descending: bool,
    as_bytes: bool,
}

impl SortOptions {
    /// By the values of other keys: in the pattern the first `*` stands for the element. `weight:*` is a string, `item:*->weight` a field
    /// of a hash.
    #[must_use]
    pub fn by(self, pattern: impl AsRef<[u8]>) -> Self {
        Self { by: Some(pattern.as_ref().to_vec()), ..self }
    }

    /// Not sorted: as the list or sorted set has them, backwards if descending; a set has them in no order.
    #[must_use]
    pub fn unsorted(self) -> Self {
        self.by("nosort")
    }

    /// Of the sorted elements only `count`, behind the first `offset`.
    #[must_use]
    pub fn limit(self, offset: u64, count: u64) -> Self {
        Self { limit: Some((offset, i64::try_from(count).unwrap_or(i64::MAX))), ..self }
    }

    /// Instead of the element what another key has for it, by a pattern as in [`by`](Self::by); `#` is the element itself. Several are
    /// returned side by side.
    #[must_use]
    pub fn get(mut self, pattern: impl AsRef<[u8]>) -> Self {
        self.get.push(pattern.as_ref().to_vec());
        self
    }

    /// The highest first.
    #[must_use]
    pub fn descending(self) -> Self {
        Self { descending: true, ..self }
    }

    /// As bytes, not as numbers.
    #[must_use]
    pub fn alphabetically(self) -> Self {
        Self { as_bytes: true, ..self }
    }
}

impl ToRedisArgs for SortOptions {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        self.by.as_ref().map(|pattern| ("BY", pattern)).write_redis_args(out);
        self.limit.map(|(offset, count)| ("LIMIT", offset, count)).write_redis_args(out);
        self.get.iter().for_each(|pattern| ("GET", pattern).write_redis_args(out));
        self.descending.then_some("DESC").write_redis_args(out);
        self.as_bytes.then_some("ALPHA").write_redis_args(out);
    }
}

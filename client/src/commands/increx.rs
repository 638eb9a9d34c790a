//! Options of `INCREX`.

use redis::{RedisWrite, ToRedisArgs};

use super::Expiry;

/// How far a number may go, and when it expires. Without them it keeps the time to live that it has, and is bounded by its type alone.
#[derive(Clone, Debug, Default)]
pub struct IncrexOptions {
    low: Option<String>,
    high: Option<String>,
    saturate: bool,
    expiry: Option<Expiry>,
    only_if_none: bool,
}

impl IncrexOptions {
    /// No less than this: otherwise it stays as it is.
    #[must_use]
    pub fn at_least<N: ToString>(self, low: N) -> Self {
        Self { low: Some(low.to_string()), ..self }
    }

    /// No more than this: otherwise it stays as it is.
    #[must_use]
    pub fn at_most<N: ToString>(self, high: N) -> Self {
        Self { high: Some(high.to_string()), ..self }
    }

    /// A number that would go beyond a bound goes up to it.
    #[must_use]
    pub fn saturate(self) -> Self {
        Self { saturate: true, ..self }
    }

    /// When it expires.
    #[must_use]
    pub fn expiry(self, expiry: Expiry) -> Self {
        Self { expiry: Some(expiry), only_if_none: false, ..self }
    }

    /// When it expires, unless that is set already: so a window of time begins with the first call in it.
    #[must_use]
    pub fn expiry_if_none(self, expiry: Expiry) -> Self {
        Self { expiry: Some(expiry), only_if_none: true, ..self }
    }
}

impl ToRedisArgs for IncrexOptions {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        self.low.as_ref().map(|low| ("LBOUND", low)).write_redis_args(out);
        self.high.as_ref().map(|high| ("UBOUND", high)).write_redis_args(out);
        self.saturate.then_some("SATURATE").write_redis_args(out);
        self.expiry.write_redis_args(out);
        self.only_if_none.then_some("ENX").write_redis_args(out);
    }
}

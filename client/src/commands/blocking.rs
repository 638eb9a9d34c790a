//! Pops that wait for an element.

use std::time::Duration;

use redis::{FromRedisValue, ToRedisArgs};

use super::{Call, End, Execute, Extreme, Scored, call};

/// Commands that wait until there is an element to take, or until their timeout: `None` waits forever, and what is returned is `None` if
/// nothing came.
///
/// A [`Client`](crate::Client) sends each on a connection of its own, so that it holds up no other command, and waits for its reply longer
/// than the timeout. A switchover does not end the wait: it goes on at the new primary, for the rest of the timeout. If the primary is
/// lost, the outcome is unknown ([`Error::Unknown`](crate::Error::Unknown)): an element may have been taken whose delivery failed.
/// Whoever must not lose one moves it to a list of its own ([`blmove`](BlockingCommands::blmove)) and looks there.
///
/// A caller that drops the future ends the wait. An element that is on its way then is lost, as above.
pub trait BlockingCommands: Execute + Sized {
    /// Takes the leftmost element of the first of the lists that has any; returns its key and the element.
    fn blpop<K: FromRedisValue, V: FromRedisValue>(
        &self,
        keys: impl ToRedisArgs,
        timeout: Option<Duration>,
    ) -> Call<'_, Option<(K, V)>> {
        call(self, "BLPOP").arg(keys).timeout(timeout)
    }

    /// Takes the rightmost element of the first of the lists that has any; returns its key and the element.
    fn brpop<K: FromRedisValue, V: FromRedisValue>(
        &self,
        keys: impl ToRedisArgs,
        timeout: Option<Duration>,
    ) -> Call<'_, Option<(K, V)>> {
        call(self, "BRPOP").arg(keys).timeout(timeout)
    }

    /// Takes an element at one end and adds it at an end of another list; returns it.
    fn blmove<V: FromRedisValue>(
        &self,
        key: impl ToRedisArgs,
        to: impl ToRedisArgs,
        from_end: End,
        to_end: End,
        timeout: Option<Duration>,
    ) -> Call<'_, Option<V>> {
        call(self, "BLMOVE").arg(key).arg(to).arg(from_end).arg(to_end).timeout(timeout)
    }

    /// Takes up to `count` elements from the first of the lists that has any; returns its key and the elements.
    fn blmpop<K: FromRedisValue, V: FromRedisValue>(
        &self,
        keys: impl ToRedisArgs,
        end: End,
        count: u64,
        timeout: Option<Duration>,
    ) -> Call<'_, Option<(K, Vec<V>)>> {
        call(self, "BLMPOP").timeout(timeout).counted(keys).arg(end).arg("COUNT").arg(count)
    }

    /// Takes the member with the lowest score from the first of the sorted sets that has any; returns its key, the member and the score.
    fn bzpopmin<K: FromRedisValue, M: FromRedisValue>(
        &self,
        keys: impl ToRedisArgs,
        timeout: Option<Duration>,
    ) -> Call<'_, Option<(K, M, f64)>> {
        call(self, "BZPOPMIN").arg(keys).timeout(timeout)
    }

    /// Takes the member with the highest score from the first of the sorted sets that has any; returns its key, the member and the score.
    fn bzpopmax<K: FromRedisValue, M: FromRedisValue>(
        &self,
        keys: impl ToRedisArgs,
        timeout: Option<Duration>,
    ) -> Call<'_, Option<(K, M, f64)>> {
        call(self, "BZPOPMAX").arg(keys).timeout(timeout)
    }

    /// Takes up to `count` members from the first of the sorted sets that has any; returns its key, and the members with their scores.
    fn bzmpop<K: FromRedisValue, M: FromRedisValue>(
        &self,
        keys: impl ToRedisArgs,
        which: Extreme,
        count: u64,
        timeout: Option<Duration>,
    ) -> Call<'_, Option<(K, Scored<M>)>> {
        call(self, "BZMPOP").timeout(timeout).counted(keys).arg(which).arg("COUNT").arg(count)
    }
}

impl<E: Execute> BlockingCommands for E {}

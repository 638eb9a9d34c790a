//! Lists.

use redis::{FromRedisValue, RedisWrite, ToRedisArgs};

use super::{Call, Execute, call};

/// Commands for lists. An index from 0 on counts from the left, a negative one from the right.
pub trait ListCommands: Execute + Sized {
    /// Adds elements at the left, one after the other; returns the new length.
    fn lpush(&self, key: impl ToRedisArgs, elements: impl ToRedisArgs) -> Call<'_, u64> {
        call(self, "LPUSH").arg(key).arg(elements)
    }

    /// Adds elements at the right; returns the new length.
    fn rpush(&self, key: impl ToRedisArgs, elements: impl ToRedisArgs) -> Call<'_, u64> {
        call(self, "RPUSH").arg(key).arg(elements)
    }

    /// Adds elements at the left if there is such a list; returns the new length, or 0.
    fn lpushx(&self, key: impl ToRedisArgs, elements: impl ToRedisArgs) -> Call<'_, u64> {
        call(self, "LPUSHX").arg(key).arg(elements)
    }

    /// Adds elements at the right if there is such a list; returns the new length, or 0.
    fn rpushx(&self, key: impl ToRedisArgs, elements: impl ToRedisArgs) -> Call<'_, u64> {
        call(self, "RPUSHX").arg(key).arg(elements)
    }

    /// Takes the leftmost element.
    fn lpop<V: FromRedisValue>(&self, key: impl ToRedisArgs) -> Call<'_, Option<V>> {
        call(self, "LPOP").arg(key)
    }

    /// Takes the rightmost element.
    fn rpop<V: FromRedisValue>(&self, key: impl ToRedisArgs) -> Call<'_, Option<V>> {
        call(self, "RPOP").arg(key)
    }

    /// Takes up to `count` elements from the left.
    fn lpop_many<V: FromRedisValue>(&self, key: impl ToRedisArgs, count: u64) -> Call<'_, Vec<V>> {
        call(self, "LPOP").arg(key).arg(count)
    }

    /// Takes up to `count` elements from the right.
    fn rpop_many<V: FromRedisValue>(&self, key: impl ToRedisArgs, count: u64) -> Call<'_, Vec<V>> {
        call(self, "RPOP").arg(key).arg(count)
    }

    /// How many elements there are.
    fn llen(&self, key: impl ToRedisArgs) -> Call<'_, u64> {
        call(self, "LLEN").arg(key)
    }

    /// The elements from one index to another, both included.
    fn lrange<V: FromRedisValue>(&self, key: impl ToRedisArgs, start: i64, stop: i64) -> Call<'_, Vec<V>> {
        call(self, "LRANGE").arg(key).arg(start).arg(stop)
    }

    /// The element at an index.
    fn lindex<V: FromRedisValue>(&self, key: impl ToRedisArgs, index: i64) -> Call<'_, Option<V>> {
        call(self, "LINDEX").arg(key).arg(index)
    }

    /// Replaces the element at an index. An error if there is none.
    fn lset(&self, key: impl ToRedisArgs, index: i64, element: impl ToRedisArgs) -> Call<'_, ()> {
        call(self, "LSET").arg(key).arg(index).arg(element)
    }

    /// Adds an element beside the first `pivot`; returns the new length, -1 if there is no pivot, 0 if there is no list.
    fn linsert(
        &self,
        key: impl ToRedisArgs,
        place: Place,
        pivot: impl ToRedisArgs,
        element: impl ToRedisArgs,
    ) -> Call<'_, i64> {
        call(self, "LINSERT").arg(key).arg(place).arg(pivot).arg(element)
    }

    /// Removes elements of this value: the first `count` from the left, for a negative one from the right, all for 0. Returns how many.
    fn lrem(&self, key: impl ToRedisArgs, count: i64, element: impl ToRedisArgs) -> Call<'_, u64> {
        call(self, "LREM").arg(key).arg(count).arg(element)
    }

    /// Removes all but the elements from one index to another.
    fn ltrim(&self, key: impl ToRedisArgs, start: i64, stop: i64) -> Call<'_, ()> {
        call(self, "LTRIM").arg(key).arg(start).arg(stop)
    }

    /// The index of the first element of this value.
    fn lpos(&self, key: impl ToRedisArgs, element: impl ToRedisArgs) -> Call<'_, Option<u64>> {
        call(self, "LPOS").arg(key).arg(element)
    }

    /// The indexes of the elements of this value: the first `count`, all for 0.
    fn lpos_many(&self, key: impl ToRedisArgs, element: impl ToRedisArgs, count: u64) -> Call<'_, Vec<u64>> {
        call(self, "LPOS").arg(key).arg(element).arg("COUNT").arg(count)
    }

    /// Takes an element at one end and adds it at an end of another list, or of the same; returns it.
    fn lmove<V: FromRedisValue>(
        &self,
        key: impl ToRedisArgs,
        to: impl ToRedisArgs,
        from_end: End,
        to_end: End,
    ) -> Call<'_, Option<V>> {
        call(self, "LMOVE").arg(key).arg(to).arg(from_end).arg(to_end)
    }

    /// Takes up to `count` elements from the first of the lists that has any; returns its key and the elements.
    fn lmpop<K: FromRedisValue, V: FromRedisValue>(
        &self,
        keys: impl ToRedisArgs,
        end: End,
        count: u64,
    ) -> Call<'_, Option<(K, Vec<V>)>> {
        call(self, "LMPOP").counted(keys).arg(end).arg("COUNT").arg(count)
    }
}

impl<E: Execute> ListCommands for E {}

/// An end of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Where index 0 is.
    Left,
    /// Where index -1 is.
    Right,
}

impl ToRedisArgs for End {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        let word = if *self == End::Left { "LEFT" } else { "RIGHT" };
        word.write_redis_args(out);
    }
}

/// A side of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// To its left.
    Before,
    /// To its right.
    After,
}

impl ToRedisArgs for Place {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        let word = if *self == Place::Before { "BEFORE" } else { "AFTER" };
        word.write_redis_args(out);
    }
}

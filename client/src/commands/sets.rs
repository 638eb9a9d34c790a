//! Sets.

use std::collections::HashSet;
use std::hash::Hash;

use redis::{FromRedisValue, ToRedisArgs};

use super::{Call, Execute, Scan, call};

/// Commands for sets.
pub trait SetCommands: Execute + Sized {
    /// Adds members; returns how many are new.
    fn sadd(&self, key: impl ToRedisArgs, members: impl ToRedisArgs) -> Call<'_, u64> {
        call(self, "SADD").arg(key).arg(members)
    }

    /// Removes members; returns how many there were.
    fn srem(&self, key: impl ToRedisArgs, members: impl ToRedisArgs) -> Call<'_, u64> {
        call(self, "SREM").arg(key).arg(members)
    }

    /// All members.
    fn smembers<M: FromRedisValue + Eq + Hash>(&self, key: impl ToRedisArgs) -> Call<'_, HashSet<M>> {
        call(self, "SMEMBERS").arg(key)
    }

    /// Whether something is a member.
    fn sismember(&self, key: impl ToRedisArgs, member: impl ToRedisArgs) -> Call<'_, bool> {
        call(self, "SISMEMBER").arg(key).arg(member)
    }

    /// Whether each of several is a member, in their order.
    fn smismember(&self, key: impl ToRedisArgs, members: impl ToRedisArgs) -> Call<'_, Vec<bool>> {
        call(self, "SMISMEMBER").arg(key).arg(members)
    }

    /// How many members there are.
    fn scard(&self, key: impl ToRedisArgs) -> Call<'_, u64> {
        call(self, "SCARD").arg(key)
    }

    /// Takes a member by chance.
    fn spop<M: FromRedisValue>(&self, key: impl ToRedisArgs) -> Call<'_, Option<M>> {
        call(self, "SPOP").arg(key)
    }

    /// Takes up to `count` members by chance.
    fn spop_many<M: FromRedisValue + Eq + Hash>(&self, key: impl ToRedisArgs, count: u64) -> Call<'_, HashSet<M>> {
        call(self, "SPOP").arg(key).arg(count)
    }

    /// Some members by chance: `count` different ones, or for a negative count so many with repeats.
    fn srandmember<M: FromRedisValue>(&self, key: impl ToRedisArgs, count: i64) -> Call<'_, Vec<M>> {
        call(self, "SRANDMEMBER").arg(key).arg(count)
    }

    /// Moves a member to another set; returns whether it was there.
    fn smove(&self, key: impl ToRedisArgs, to: impl ToRedisArgs, member: impl ToRedisArgs) -> Call<'_, bool> {
        call(self, "SMOVE").arg(key).arg(to).arg(member)
    }

    /// What is in all of the sets.
    fn sinter<M: FromRedisValue + Eq + Hash>(&self, keys: impl ToRedisArgs) -> Call<'_, HashSet<M>> {
        call(self, "SINTER").arg(keys)
    }

    /// How many members are in all of the sets; counting ends at `limit`, if there is one.
    fn sintercard(&self, keys: impl ToRedisArgs, limit: Option<u64>) -> Call<'_, u64> {
        call(self, "SINTERCARD").counted(keys).option("LIMIT", limit)
    }

    /// What is in any of the sets.
    fn sunion<M: FromRedisValue + Eq + Hash>(&self, keys: impl ToRedisArgs) -> Call<'_, HashSet<M>> {
        call(self, "SUNION").arg(keys)
    }

    /// What is in the first of the sets and in none of the others.
    fn sdiff<M: FromRedisValue + Eq + Hash>(&self, keys: impl ToRedisArgs) -> Call<'_, HashSet<M>> {
        call(self, "SDIFF").arg(keys)
    }

    /// Stores what is in all of the sets in place of `to`; returns how many members that has.
    fn sinterstore(&self, to: impl ToRedisArgs, keys: impl ToRedisArgs) -> Call<'_, u64> {
        call(self, "SINTERSTORE").arg(to).arg(keys)
    }

    /// Stores what is in any of the sets in place of `to`; returns how many members that has.
    fn sunionstore(&self, to: impl ToRedisArgs, keys: impl ToRedisArgs) -> Call<'_, u64> {
        call(self, "SUNIONSTORE").arg(to).arg(keys)
    }

    /// Stores what is in the first of the sets and in none of the others in place of `to`; returns how many members that has.
    fn sdiffstore(&self, to: impl ToRedisArgs, keys: impl ToRedisArgs) -> Call<'_, u64> {
        call(self, "SDIFFSTORE").arg(to).arg(keys)
    }

    /// Members, some at a time.
    fn sscan<M: FromRedisValue>(&self, key: impl ToRedisArgs) -> Scan<'_, M> {
        Scan::of(self, "SSCAN", key)
    }
}

impl<E: Execute> SetCommands for E {}

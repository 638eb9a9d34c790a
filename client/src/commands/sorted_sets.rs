//! Sorted sets.

use std::ops::RangeBounds;

use redis::{FromRedisValue, RedisWrite, ToRedisArgs};

use super::zrange::member_bounds;
use super::{Call, Execute, Scan, ScoreRange, ZCombine, ZRange, call};

/// Members with their scores.
pub type Scored<M> = Vec<(M, f64)>;

/// Commands for sorted sets. Members with equal scores are in the order of their bytes.
pub trait SortedSetCommands: Execute + Sized {
    /// Sets scores: a pair of score and member, or several. Returns how many members are new.
    fn zadd(&self, key: impl ToRedisArgs, pairs: impl ToRedisArgs) -> Call<'_, u64> {
        call(self, "ZADD").arg(key).arg(pairs)
    }

    /// The same with options. Returns how many members are new, or with [`ZaddOptions::count_changed`] also those whose score has changed.
    fn zadd_with(&self, key: impl ToRedisArgs, options: ZaddOptions, pairs: impl ToRedisArgs) -> Call<'_, u64> {
        call(self, "ZADD").arg(key).arg(options).arg(pairs)
    }

    /// Adds to a member's score, which is 0 if it is missing; returns the sum.
    fn zincrby(&self, key: impl ToRedisArgs, by: f64, member: impl ToRedisArgs) -> Call<'_, f64> {
        call(self, "ZINCRBY").arg(key).arg(by).arg(member)
    }

    /// The same with options; `None` if they have prevented it. (`ZADD INCR`)
    fn zincrby_with(
        &self,
        key: impl ToRedisArgs,
        options: ZaddOptions,
        by: f64,
        member: impl ToRedisArgs,
    ) -> Call<'_, Option<f64>> {
        call(self, "ZADD").arg(key).arg(options).arg("INCR").arg(by).arg(member)
    }

    /// Removes members; returns how many there were.
    fn zrem(&self, key: impl ToRedisArgs, members: impl ToRedisArgs) -> Call<'_, u64> {
        call(self, "ZREM").arg(key).arg(members)
    }

    /// The score of a member.
    fn zscore(&self, key: impl ToRedisArgs, member: impl ToRedisArgs) -> Call<'_, Option<f64>> {
        call(self, "ZSCORE").arg(key).arg(member)
    }

    /// The scores of members, in their order.
    fn zmscore(&self, key: impl ToRedisArgs, members: impl ToRedisArgs) -> Call<'_, Vec<Option<f64>>> {
        call(self, "ZMSCORE").arg(key).arg(members)
    }

    /// How many members there are.
    fn zcard(&self, key: impl ToRedisArgs) -> Call<'_, u64> {
        call(self, "ZCARD").arg(key)
    }

    /// How many members have a score in this range: `client.zcount("scores", 1.0..)`.
    fn zcount(&self, key: impl ToRedisArgs, scores: impl Into<ScoreRange>) -> Call<'_, u64> {
        call(self, "ZCOUNT").arg(key).arg(scores.into())
    }

    /// How many members are in this range, where all scores are equal.
    fn zlexcount<M: AsRef<[u8]>>(&self, key: impl ToRedisArgs, members: impl RangeBounds<M>) -> Call<'_, u64> {
        call(self, "ZLEXCOUNT").arg(key).arg(&member_bounds(&members))
    }

    /// The rank of a member: 0 has the lowest score.
    fn zrank(&self, key: impl ToRedisArgs, member: impl ToRedisArgs) -> Call<'_, Option<u64>> {
        call(self, "ZRANK").arg(key).arg(member)
    }

    /// The rank of a member from the top: 0 has the highest score.
    fn zrevrank(&self, key: impl ToRedisArgs, member: impl ToRedisArgs) -> Call<'_, Option<u64>> {
        call(self, "ZREVRANK").arg(key).arg(member)
    }

    /// The rank and the score of a member. Redis has it since 7.2.
    fn zrank_with_score(&self, key: impl ToRedisArgs, member: impl ToRedisArgs) -> Call<'_, Option<(u64, f64)>> {
        call(self, "ZRANK").arg(key).arg(member).arg("WITHSCORE")
    }

    /// The rank from the top and the score of a member. Redis has it since 7.2.
    fn zrevrank_with_score(&self, key: impl ToRedisArgs, member: impl ToRedisArgs) -> Call<'_, Option<(u64, f64)>> {
        call(self, "ZREVRANK").arg(key).arg(member).arg("WITHSCORE")
    }

    /// The members in a range, in its order.
    fn zrange<M: FromRedisValue>(&self, key: impl ToRedisArgs, range: ZRange) -> Call<'_, Vec<M>> {
        call(self, "ZRANGE").arg(key).arg(range)
    }

    /// The same with their scores. Not for ranges by member.
    fn zrange_with_scores<M: FromRedisValue>(&self, key: impl ToRedisArgs, range: ZRange) -> Call<'_, Scored<M>> {
        call(self, "ZRANGE").arg(key).arg(range).arg("WITHSCORES")
    }

    /// Stores the members in a range in place of `to`; returns how many there are.
    fn zrangestore(&self, to: impl ToRedisArgs, key: impl ToRedisArgs, range: ZRange) -> Call<'_, u64> {
        call(self, "ZRANGESTORE").arg(to).arg(key).arg(range)
    }

    /// Removes the members from one rank to another, both included; returns how many there were.
    fn zremrangebyrank(&self, key: impl ToRedisArgs, start: i64, stop: i64) -> Call<'_, u64> {
        call(self, "ZREMRANGEBYRANK").arg(key).arg(start).arg(stop)
    }

    /// Removes the members with a score in this range; returns how many there were.
    fn zremrangebyscore(&self, key: impl ToRedisArgs, scores: impl Into<ScoreRange>) -> Call<'_, u64> {
        call(self, "ZREMRANGEBYSCORE").arg(key).arg(scores.into())
    }

    /// Removes the members in this range, where all scores are equal; returns how many there were.
    fn zremrangebylex<M: AsRef<[u8]>>(&self, key: impl ToRedisArgs, members: impl RangeBounds<M>) -> Call<'_, u64> {
        call(self, "ZREMRANGEBYLEX").arg(key).arg(&member_bounds(&members))
    }

    /// Takes up to `count` members with the lowest scores, the lowest first.
    fn zpopmin<M: FromRedisValue>(&self, key: impl ToRedisArgs, count: u64) -> Call<'_, Scored<M>> {
        call(self, "ZPOPMIN").arg(key).arg(count)
    }

    /// Takes up to `count` members with the highest scores, the highest first.
    fn zpopmax<M: FromRedisValue>(&self, key: impl ToRedisArgs, count: u64) -> Call<'_, Scored<M>> {
        call(self, "ZPOPMAX").arg(key).arg(count)
    }

    /// Takes up to `count` members from the first of the sorted sets that has any; returns its key, and the members with their scores.
    fn zmpop<K: FromRedisValue, M: FromRedisValue>(
        &self,
        keys: impl ToRedisArgs,
        which: Extreme,
        count: u64,
    ) -> Call<'_, Option<(K, Scored<M>)>> {
        call(self, "ZMPOP").counted(keys).arg(which).arg("COUNT").arg(count)
    }

    /// Some members by chance: `count` different ones, or for a negative count so many with repeats.
    fn zrandmember<M: FromRedisValue>(&self, key: impl ToRedisArgs, count: i64) -> Call<'_, Vec<M>> {
        call(self, "ZRANDMEMBER").arg(key).arg(count)
    }

    /// What is in any of the sorted sets, with the scores.
    fn zunion<M: FromRedisValue>(&self, sets: ZCombine) -> Call<'_, Scored<M>> {
        call(self, "ZUNION").arg(sets).arg("WITHSCORES")
    }

    /// What is in all of the sorted sets, with the scores.
    fn zinter<M: FromRedisValue>(&self, sets: ZCombine) -> Call<'_, Scored<M>> {
        call(self, "ZINTER").arg(sets).arg("WITHSCORES")
    }

    /// What is in the first of the sorted sets and in none of the others, with the scores.
    fn zdiff<M: FromRedisValue>(&self, sets: ZCombine) -> Call<'_, Scored<M>> {
        call(self, "ZDIFF").arg(sets).arg("WITHSCORES")
    }

    /// How many members are in all of the sorted sets; counting ends at `limit`, if there is one.
    fn zintercard(&self, keys: impl ToRedisArgs, limit: Option<u64>) -> Call<'_, u64> {
        call(self, "ZINTERCARD").counted(keys).option("LIMIT", limit)
    }

    /// Stores what is in any of the sorted sets in place of `to`; returns how many members that has.
    fn zunionstore(&self, to: impl ToRedisArgs, sets: ZCombine) -> Call<'_, u64> {
        call(self, "ZUNIONSTORE").arg(to).arg(sets)
    }

    /// Stores what is in all of the sorted sets in place of `to`; returns how many members that has.
    fn zinterstore(&self, to: impl ToRedisArgs, sets: ZCombine) -> Call<'_, u64> {
        call(self, "ZINTERSTORE").arg(to).arg(sets)
    }

    /// Stores what is in the first of the sorted sets and in none of the others in place of `to`; returns how many members that has.
    fn zdiffstore(&self, to: impl ToRedisArgs, sets: ZCombine) -> Call<'_, u64> {
        call(self, "ZDIFFSTORE").arg(to).arg(sets)
    }

    /// Members with their scores, some at a time.
    fn zscan<M: FromRedisValue>(&self, key: impl ToRedisArgs) -> Scan<'_, (M, f64)> {
        Scan::of(self, "ZSCAN", key)
    }
}

impl<E: Execute> SortedSetCommands for E {}

/// Which end of a sorted set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extreme {
    /// The lowest scores.
    Lowest,
    /// The highest scores.
    Highest,
}

impl ToRedisArgs for Extreme {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        let word = if *self == Extreme::Lowest { "MIN" } else { "MAX" };
        word.write_redis_args(out);
    }
}

/// Options of `ZADD`.
#[derive(Clone, Copy, Debug, Default)]
pub struct ZaddOptions {
    existence: Option<&'static str>,
    comparison: Option<&'static str>,
    count_changed: bool,
}

impl ZaddOptions {
    /// Only adds members.
    #[must_use]
    pub fn only_new(self) -> Self {
        Self { existence: Some("NX"), comparison: None, ..self }
    }

    /// Only changes members that are there.
    #[must_use]
    pub fn only_existing(self) -> Self {
        Self { existence: Some("XX"), ..self }
    }

    /// Changes a score only to a higher one.
    #[must_use]
    pub fn only_if_greater(self) -> Self {
        Self { comparison: Some("GT"), ..self }
    }

    /// Changes a score only to a lower one.
    #[must_use]
    pub fn only_if_less(self) -> Self {
        Self { comparison: Some("LT"), ..self }
    }

    /// The reply counts members whose score has changed, beside new ones.
    #[must_use]
    pub fn count_changed(self) -> Self {
        Self { count_changed: true, ..self }
    }
}

impl ToRedisArgs for ZaddOptions {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        self.existence.write_redis_args(out);
        self.comparison.write_redis_args(out);
        self.count_changed.then_some("CH").write_redis_args(out);
    }
}

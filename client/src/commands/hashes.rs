//! Hashes.

use std::collections::HashMap;
use std::hash::Hash;

use redis::{FromRedisValue, ToRedisArgs};

use super::{Call, Execute, Scan, call};

/// Commands for hashes.
pub trait HashCommands: Execute + Sized {
    /// Sets fields: a pair of field and value, or several. Returns how many are new.
    fn hset(&self, key: impl ToRedisArgs, pairs: impl ToRedisArgs) -> Call<'_, u64> {
        call(self, "HSET").arg(key).arg(pairs)
    }

    /// Sets a field unless it is there; returns whether it was set.
    fn hsetnx(&self, key: impl ToRedisArgs, field: impl ToRedisArgs, value: impl ToRedisArgs) -> Call<'_, bool> {
        call(self, "HSETNX").arg(key).arg(field).arg(value)
    }

    /// The value of a field.
    fn hget<V: FromRedisValue>(&self, key: impl ToRedisArgs, field: impl ToRedisArgs) -> Call<'_, Option<V>> {
        call(self, "HGET").arg(key).arg(field)
    }

    /// The values of fields, in their order.
    fn hmget<V: FromRedisValue>(&self, key: impl ToRedisArgs, fields: impl ToRedisArgs) -> Call<'_, Vec<Option<V>>> {
        call(self, "HMGET").arg(key).arg(fields)
    }

    /// All fields with their values; empty if there is no such key.
    fn hgetall<F: FromRedisValue + Eq + Hash, V: FromRedisValue>(
        &self,
        key: impl ToRedisArgs,
    ) -> Call<'_, HashMap<F, V>> {
        call(self, "HGETALL").arg(key)
    }

    /// All fields.
    fn hkeys<F: FromRedisValue>(&self, key: impl ToRedisArgs) -> Call<'_, Vec<F>> {
        call(self, "HKEYS").arg(key)
    }

    /// All values.
    fn hvals<V: FromRedisValue>(&self, key: impl ToRedisArgs) -> Call<'_, Vec<V>> {
        call(self, "HVALS").arg(key)
    }

    /// How many fields there are.
    fn hlen(&self, key: impl ToRedisArgs) -> Call<'_, u64> {
        call(self, "HLEN").arg(key)
    }

    /// Whether a field is there.
    fn hexists(&self, key: impl ToRedisArgs, field: impl ToRedisArgs) -> Call<'_, bool> {
        call(self, "HEXISTS").arg(key).arg(field)
    }

    /// Deletes fields; returns how many there were.
    fn hdel(&self, key: impl ToRedisArgs, fields: impl ToRedisArgs) -> Call<'_, u64> {
        call(self, "HDEL").arg(key).arg(fields)
    }

    /// The length of a field's value in bytes; 0 if there is none.
    fn hstrlen(&self, key: impl ToRedisArgs, field: impl ToRedisArgs) -> Call<'_, u64> {
        call(self, "HSTRLEN").arg(key).arg(field)
    }

    /// Adds to a field's number, which is 0 if the field is missing; returns the sum.
    fn hincrby(&self, key: impl ToRedisArgs, field: impl ToRedisArgs, by: i64) -> Call<'_, i64> {
        call(self, "HINCRBY").arg(key).arg(field).arg(by)
    }

    /// Adds to a field's floating-point number; returns the sum.
    fn hincrbyfloat(&self, key: impl ToRedisArgs, field: impl ToRedisArgs, by: f64) -> Call<'_, f64> {
        call(self, "HINCRBYFLOAT").arg(key).arg(field).arg(by)
    }

    /// Some fields by chance: `count` different ones, or for a negative count so many with repeats.
    fn hrandfield<F: FromRedisValue>(&self, key: impl ToRedisArgs, count: i64) -> Call<'_, Vec<F>> {
        call(self, "HRANDFIELD").arg(key).arg(count)
    }

    /// The same with their values.
    fn hrandfield_with_values<F: FromRedisValue, V: FromRedisValue>(
        &self,
        key: impl ToRedisArgs,
        count: i64,
    ) -> Call<'_, Vec<(F, V)>> {
        call(self, "HRANDFIELD").arg(key).arg(count).arg("WITHVALUES")
    }

    /// Fields with their values, some at a time.
    fn hscan<F: FromRedisValue, V: FromRedisValue>(&self, key: impl ToRedisArgs) -> Scan<'_, (F, V)> {
        Scan::of(self, "HSCAN", key)
    }

    /// Fields without their values, some at a time. Redis has it since 7.4, Valkey since 8.0.
    fn hscan_fields<F: FromRedisValue>(&self, key: impl ToRedisArgs) -> Scan<'_, F> {
        Scan::of(self, "HSCAN", key).word("NOVALUES")
    }
}

impl<E: Execute> HashCommands for E {}

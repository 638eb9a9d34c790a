//! Fields of hashes that expire.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use redis::{FromRedisValue, ParsingError, ToRedisArgs, Value};

use super::keys::{milliseconds, unix_milliseconds};
use super::{Call, Execute, ExpireIf, Expiry, SetOptions, TimeToLive, call};

/// Commands for fields of hashes that expire. Valkey has them since 9.0 (`HGETDEL`: 9.1), Redis since 7.4 (`HGETEX`, `HSETEX`,
/// `HGETDEL`: 8.0). What they return has a value for each field, in their order.
pub trait FieldExpiryCommands: Execute + Sized {
    /// Lets fields expire after a time, to the millisecond. (`HPEXPIRE`)
    fn hexpire(&self, key: impl ToRedisArgs, fields: impl ToRedisArgs, after: Duration) -> Call<'_, Vec<FieldChange>> {
        call(self, "HPEXPIRE").arg(key).arg(milliseconds(after)).fields(fields)
    }

    /// The same for those fields that meet a condition.
    fn hexpire_if(
        &self,
        key: impl ToRedisArgs,
        fields: impl ToRedisArgs,
        after: Duration,
        condition: ExpireIf,
    ) -> Call<'_, Vec<FieldChange>> {
        call(self, "HPEXPIRE").arg(key).arg(milliseconds(after)).arg(condition).fields(fields)
    }

    /// Lets fields expire at a moment, to the millisecond. A moment that has passed deletes them. (`HPEXPIREAT`)
    fn hexpire_at(
        &self,
        key: impl ToRedisArgs,
        fields: impl ToRedisArgs,
        at: SystemTime,
    ) -> Call<'_, Vec<FieldChange>> {
        call(self, "HPEXPIREAT").arg(key).arg(unix_milliseconds(at)).fields(fields)
    }

    /// The same for those fields that meet a condition.
    fn hexpire_at_if(
        &self,
        key: impl ToRedisArgs,
        fields: impl ToRedisArgs,
        at: SystemTime,
        condition: ExpireIf,
    ) -> Call<'_, Vec<FieldChange>> {
        call(self, "HPEXPIREAT").arg(key).arg(unix_milliseconds(at)).arg(condition).fields(fields)
    }

    /// Keeps fields that would have expired.
    fn hpersist(&self, key: impl ToRedisArgs, fields: impl ToRedisArgs) -> Call<'_, Vec<FieldChange>> {
        call(self, "HPERSIST").arg(key).fields(fields)
    }

    /// How long fields have left, to the millisecond. (`HPTTL`)
    fn httl(&self, key: impl ToRedisArgs, fields: impl ToRedisArgs) -> Call<'_, Vec<TimeToLive>> {
        call(self, "HPTTL").arg(key).fields(fields)
    }

    /// When fields expire, to the millisecond. (`HPEXPIRETIME`)
    fn hexpiretime(&self, key: impl ToRedisArgs, fields: impl ToRedisArgs) -> Call<'_, Vec<FieldExpiry>> {
        call(self, "HPEXPIRETIME").arg(key).fields(fields)
    }

    /// The values of fields, whose time to live is set.
    fn hgetex<V: FromRedisValue>(
        &self,
        key: impl ToRedisArgs,
        fields: impl ToRedisArgs,
        expiry: Expiry,
    ) -> Call<'_, Vec<Option<V>>> {
        call(self, "HGETEX").arg(key).arg(expiry).fields(fields)
    }

    /// Deletes fields, and returns the values that they had.
    fn hgetdel<V: FromRedisValue>(&self, key: impl ToRedisArgs, fields: impl ToRedisArgs) -> Call<'_, Vec<Option<V>>> {
        call(self, "HGETDEL").arg(key).fields(fields)
    }

    /// Sets fields with options: a pair of field and value, or several. What the options say of a key is true of each field. Returns whether
    /// they were set, which a condition may prevent: all of them are, or none.
    fn hsetex(&self, key: impl ToRedisArgs, pairs: impl ToRedisArgs, options: SetOptions) -> Call<'_, bool> {
        let pairs = pairs.to_redis_args();
        call(self, "HSETEX").arg(key).arg(options.of_fields()).arg("FIELDS").arg(pairs.len() / 2).arg(pairs)
    }
}

impl<E: Execute> FieldExpiryCommands for E {}

impl<T> Call<'_, T> {
    fn fields(self, fields: impl ToRedisArgs) -> Self {
        self.arg("FIELDS").counted(fields)
    }
}

/// What became of the expiry of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldChange {
    /// There is no such field.
    Missing,
    /// Nothing: it does not meet the condition, or would not have expired.
    Unchanged,
    /// It has changed.
    Changed,
    /// The field is deleted, since its time had passed.
    Deleted,
}

impl FromRedisValue for FieldChange {
    fn from_redis_value(reply: Value) -> Result<FieldChange, ParsingError> {
        match i64::from_redis_value(reply)? {
            -2 => Ok(FieldChange::Missing),
            -1 | 0 => Ok(FieldChange::Unchanged),
            1 => Ok(FieldChange::Changed),
            2 => Ok(FieldChange::Deleted),
            other => Err(format!("{other} is nothing that becomes of a field").into()),
        }
    }
}

/// When a field expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldExpiry {
    /// There is no such field.
    Missing,
    /// It does not expire.
    Never,
    /// At this moment.
    At(SystemTime),
}

impl FromRedisValue for FieldExpiry {
    fn from_redis_value(reply: Value) -> Result<FieldExpiry, ParsingError> {
        let number = i64::from_redis_value(reply)?;
        Ok(match u64::try_from(number) {
            Ok(at) => FieldExpiry::At(UNIX_EPOCH + Duration::from_millis(at)),
            Err(_) if number == -1 => FieldExpiry::Never,
            Err(_) => FieldExpiry::Missing,
        })
    }
}

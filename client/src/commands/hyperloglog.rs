//! HyperLogLogs.

use redis::ToRedisArgs;

use super::{Call, Execute, call};

/// Commands for HyperLogLogs, which count different elements in 12 KB, with an error of 0.8 %.
pub trait HyperLogLogCommands: Execute + Sized {
    /// Adds elements, or makes one without elements; returns whether the count may have changed.
    fn pfadd(&self, key: impl ToRedisArgs, elements: impl ToRedisArgs) -> Call<'_, bool> {
        call(self, "PFADD").arg(key).arg(elements)
    }

    /// About how many different elements one or several of them have seen together.
    fn pfcount(&self, keys: impl ToRedisArgs) -> Call<'_, u64> {
        call(self, "PFCOUNT").arg(keys)
    }

    /// Adds to one of them, which may be missing, what others have seen.
    fn pfmerge(&self, to: impl ToRedisArgs, keys: impl ToRedisArgs) -> Call<'_, ()> {
        call(self, "PFMERGE").arg(to).arg(keys)
    }
}

impl<E: Execute> HyperLogLogCommands for E {}

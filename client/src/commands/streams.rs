//! Streams.

use std::time::Duration;

use redis::{FromRedisValue, ToRedisArgs};

use super::{Call, Execute, call};

/// Commands for streams. An id is a text: `<milliseconds>-<number>`; what reads entries returns them in the form of the caller's type, an id
/// with names and values of fields each.
///
/// What is read by [`xread`](StreamCommands::xread) and [`xreadgroup`](StreamCommands::xreadgroup) with a timeout is waited for on a
/// connection of its own, as [`BlockingCommands`](super::BlockingCommands) say.
pub trait StreamCommands: Execute + Sized {
    /// Adds an entry with an id that the node chooses; returns that.
    fn xadd(&self, key: impl ToRedisArgs, fields: impl ToRedisArgs) -> Call<'_, String> {
        call(self, "XADD").arg(key).arg("*").arg(fields)
    }

    /// Adds an entry with this id (`<milliseconds>-*` lets the node choose the number); returns its id, or `None` if it was not added since
    /// there is no such stream and the options forbid to make it.
    fn xadd_with(
        &self,
        key: impl ToRedisArgs,
        options: &XaddOptions,
        id: impl ToRedisArgs,
        fields: impl ToRedisArgs,
    ) -> Call<'_, Option<String>> {
        call(self, "XADD").arg(key).arg(options).arg(id).arg(fields)
    }

    /// Removes the oldest entries; returns how many.
    fn xtrim(&self, key: impl ToRedisArgs, trim: &StreamTrim) -> Call<'_, u64> {
        call(self, "XTRIM").arg(key).arg(trim)
    }

    /// Removes entries; returns how many there were.
    fn xdel(&self, key: impl ToRedisArgs, ids: impl ToRedisArgs) -> Call<'_, u64> {
        call(self, "XDEL").arg(key).arg(ids)
    }

    /// How many entries there are.
    fn xlen(&self, key: impl ToRedisArgs) -> Call<'_, u64> {
        call(self, "XLEN").arg(key)
    }

    /// The entries from one id to another, both included (`-` and `+`: the least and the greatest one; `(` before an id: without it), at most
    /// so many.
    fn xrange<V: FromRedisValue>(
        &self,
        key: impl ToRedisArgs,
        start: impl ToRedisArgs,
        end: impl ToRedisArgs,
        count: Option<u64>,
    ) -> Call<'_, V> {
        call(self, "XRANGE").arg(key).arg(start).arg(end).arg(count.map(|count| ("COUNT", count)))
    }

    /// The entries from one id down to another, the last one first.
    fn xrevrange<V: FromRedisValue>(
        &self,
        key: impl ToRedisArgs,
        end: impl ToRedisArgs,
        start: impl ToRedisArgs,
        count: Option<u64>,
    ) -> Call<'_, V> {
        call(self, "XREVRANGE").arg(key).arg(end).arg(start).arg(count.map(|count| ("COUNT", count)))
    }

    /// The entries behind an id of each stream (`$`: the last one that there is now), by key; `None` if there are none, also not until the
    /// timeout.
    fn xread<V: FromRedisValue>(
        &self,
        keys: impl ToRedisArgs,
        ids: impl ToRedisArgs,
        options: StreamReadOptions,
    ) -> Call<'_, Option<V>> {
        call(self, "XREAD").arg(options).arg("STREAMS").arg(keys).arg(ids)
    }

    /// Delivers entries of each stream to a consumer of a group, by key: new ones (id `>`), or those behind an id that are pending for it.
    fn xreadgroup<V: FromRedisValue>(
        &self,
        (group, consumer): (impl ToRedisArgs, impl ToRedisArgs),
        keys: impl ToRedisArgs,
        ids: impl ToRedisArgs,
        options: StreamReadOptions,
    ) -> Call<'_, Option<V>> {
        call(self, "XREADGROUP").arg("GROUP").arg(group).arg(consumer).arg(options).arg("STREAMS").arg(keys).arg(ids)
    }

    /// Acknowledges entries that were delivered; returns how many were pending.
    fn xack(&self, key: impl ToRedisArgs, group: impl ToRedisArgs, ids: impl ToRedisArgs) -> Call<'_, u64> {
        call(self, "XACK").arg(key).arg(group).arg(ids)
    }

    /// How many entries are pending, the first and the last one, and how many for each consumer.
    fn xpending<V: FromRedisValue>(&self, key: impl ToRedisArgs, group: impl ToRedisArgs) -> Call<'_, V> {
        call(self, "XPENDING").arg(key).arg(group)
    }

    /// Pending entries from one id to another, at most so many: id, consumer, milliseconds since it was delivered, how often it was.
    fn xpending_range(
        &self,
        key: impl ToRedisArgs,
        group: impl ToRedisArgs,
        start: impl ToRedisArgs,
        end: impl ToRedisArgs,
        count: u64,
    ) -> Call<'_, Vec<(String, String, u64, u64)>> {
        call(self, "XPENDING").arg(key).arg(group).arg(start).arg(end).arg(count)
    }

    /// Makes pending entries those of another consumer that were delivered so long ago; returns them.
    fn xclaim<V: FromRedisValue>(
        &self,
        key: impl ToRedisArgs,
        (group, consumer): (impl ToRedisArgs, impl ToRedisArgs),
        min_idle: Duration,
        ids: impl ToRedisArgs,
    ) -> Call<'_, V> {
        call(self, "XCLAIM").arg(key).arg(group).arg(consumer).arg(min_idle.as_millis() as u64).arg(ids)
    }

    /// The same with whatever is pending from an id on; returns where to go on (`0-0`: all was looked at), the entries, and the ids of
    /// those that were deleted meanwhile.
    fn xautoclaim<V: FromRedisValue>(
        &self,
        key: impl ToRedisArgs,
        (group, consumer): (impl ToRedisArgs, impl ToRedisArgs),
        min_idle: Duration,
        start: impl ToRedisArgs,
        count: u64,
    ) -> Call<'_, (String, V, Vec<String>)> {
        let millis = min_idle.as_millis() as u64;
        call(self, "XAUTOCLAIM").arg(key).arg(group).arg(consumer).arg(millis).arg(start).arg("COUNT").arg(count)
    }

    /// Makes a group of consumers that begins behind an id (`$`: the last entry that there is now, `0`: all), and the stream if there is none.
    fn xgroup_create(&self, key: impl ToRedisArgs, group: impl ToRedisArgs, id: impl ToRedisArgs) -> Call<'_, ()> {
        call(self, "XGROUP").arg("CREATE").arg(key).arg(group).arg(id).arg("MKSTREAM")
    }

    /// Makes a group go on behind an id.
    fn xgroup_setid(&self, key: impl ToRedisArgs, group: impl ToRedisArgs, id: impl ToRedisArgs) -> Call<'_, ()> {
        call(self, "XGROUP").arg("SETID").arg(key).arg(group).arg(id)
    }

    /// Removes a group; returns whether there was one.
    fn xgroup_destroy(&self, key: impl ToRedisArgs, group: impl ToRedisArgs) -> Call<'_, bool> {
        call(self, "XGROUP").arg("DESTROY").arg(key).arg(group)
    }

    /// Makes a consumer; returns whether there was none of that name.
    fn xgroup_createconsumer(
        &self,
        key: impl ToRedisArgs,
        group: impl ToRedisArgs,
        consumer: impl ToRedisArgs,
    ) -> Call<'_, bool> {
        call(self, "XGROUP").arg("CREATECONSUMER").arg(key).arg(group).arg(consumer)
    }

    /// Removes a consumer; returns how many of its entries were pending, which nobody has then.
    fn xgroup_delconsumer(
        &self,
        key: impl ToRedisArgs,
        group: impl ToRedisArgs,
        consumer: impl ToRedisArgs,
    ) -> Call<'_, u64> {
        call(self, "XGROUP").arg("DELCONSUMER").arg(key).arg(group).arg(consumer)
    }

    /// What there is to know of a stream.
    fn xinfo_stream<V: FromRedisValue>(&self, key: impl ToRedisArgs) -> Call<'_, V> {
        call(self, "XINFO").arg("STREAM").arg(key)
    }

    /// Its groups.
    fn xinfo_groups<V: FromRedisValue>(&self, key: impl ToRedisArgs) -> Call<'_, V> {
        call(self, "XINFO").arg("GROUPS").arg(key)
    }

    /// The consumers of a group.
    fn xinfo_consumers<V: FromRedisValue>(&self, key: impl ToRedisArgs, group: impl ToRedisArgs) -> Call<'_, V> {
        call(self, "XINFO").arg("CONSUMERS").arg(key).arg(group)
    }

    /// Sets the id of the last entry that was added, which is not below that of one that is there.
    fn xsetid(&self, key: impl ToRedisArgs, id: impl ToRedisArgs) -> Call<'_, ()> {
        call(self, "XSETID").arg(key).arg(id)
    }
}

impl<E: Execute> StreamCommands for E {}

/// Which entries are removed from a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamTrim {
    by: &'static str,
    mark: &'static str,
    value: String,
}

impl StreamTrim {
    /// All but so many.
    #[must_use]
    pub fn max_len(len: u64) -> StreamTrim {
        StreamTrim { by: "MAXLEN", mark: "=", value: len.to_string() }
    }

    /// Those with lower ids.
    #[must_use]
    pub fn min_id(id: &str) -> StreamTrim {
        StreamTrim { by: "MINID", mark: "=", value: id.to_owned() }
    }

    /// Somewhat fewer, which takes less work.
    #[must_use]
    pub fn about(self) -> StreamTrim {
        StreamTrim { mark: "~", ..self }
    }
}

impl ToRedisArgs for StreamTrim {
    fn write_redis_args<W: ?Sized + redis::RedisWrite>(&self, out: &mut W) {
        [self.by, self.mark, &self.value].iter().for_each(|word| word.write_redis_args(out));
    }
}

/// Options of [`xadd_with`](StreamCommands::xadd_with).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct XaddOptions {
    only_if_present: bool,
    trim: Option<StreamTrim>,
}

impl XaddOptions {
    /// Adds nothing if there is no such stream.
    #[must_use]
    pub fn only_if_present(self) -> XaddOptions {
        XaddOptions { only_if_present: true, ..self }
    }

    /// Removes entries then.
    #[must_use]
    pub fn trim(self, trim: StreamTrim) -> XaddOptions {
        XaddOptions { trim: Some(trim), ..self }
    }
}

impl ToRedisArgs for XaddOptions {
    fn write_redis_args<W: ?Sized + redis::RedisWrite>(&self, out: &mut W) {
        if self.only_if_present {
            "NOMKSTREAM".write_redis_args(out);
        }
        self.trim.write_redis_args(out);
    }
}

/// Options of [`xread`](StreamCommands::xread) and [`xreadgroup`](StreamCommands::xreadgroup).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamReadOptions {
    count: Option<u64>,
    block: Option<Option<Duration>>,
    no_ack: bool,
}

impl StreamReadOptions {
    /// At most so many entries of each stream.
    #[must_use]
    pub fn count(self, count: u64) -> StreamReadOptions {
        StreamReadOptions { count: Some(count), ..self }
    }

    /// Waits for entries; `None`: for ever.
    #[must_use]
    pub fn block(self, timeout: Option<Duration>) -> StreamReadOptions {
        StreamReadOptions { block: Some(timeout), ..self }
    }

    /// Entries that are delivered to a group count as acknowledged.
    #[must_use]
    pub fn no_ack(self) -> StreamReadOptions {
        StreamReadOptions { no_ack: true, ..self }
    }
}

impl ToRedisArgs for StreamReadOptions {
    fn write_redis_args<W: ?Sized + redis::RedisWrite>(&self, out: &mut W) {
        self.count.map(|count| ("COUNT", count)).write_redis_args(out);
        if let Some(timeout) = self.block {
            // Nothing would be for ever.
            let millis = timeout.map_or(0, |timeout| timeout.as_millis().max(1) as u64);
            ("BLOCK", millis).write_redis_args(out);
        }
        if self.no_ack {
            "NOACK".write_redis_args(out);
        }
    }
}

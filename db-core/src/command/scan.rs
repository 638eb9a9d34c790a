//! KEYS and SCAN.
//!
//! A SCAN cursor is `inner * shards + shard`: the shards are scanned one after another, each by its own cursor, under its own
//! lock and one step at a time. A key that is in a shard during the entire scan is returned at least once, and keys never move
//! between shards, so Redis's guarantee is true for the entire keyspace.

use super::glob::matches;
use crate::engine::Data;
use crate::engine::call::number::{parse_cursor, parse_i64};
use crate::engine::call::{Call, Failure, Outcome, Reply, is};
use crate::ids::ShardId;
use crate::keyspace::Entry;
use crate::limits::LONG_ARGUMENTS;

/// Keys passed by one SCAN unless COUNT says otherwise.
const COUNT_DEFAULT: usize = 10;

pub(crate) fn keys(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let pattern = call.arg(1);
    reply.expect(data.key_count())?;
    // Twice, so that no copy of them is held.
    let mut count = 0;
    data.each(&mut |entry| count += usize::from(matches(pattern, entry.key())));
    reply.array(count);
    data.each(&mut |entry| {
        if matches(pattern, entry.key()) {
            reply.bulk(entry.key());
        }
    });
    Ok(())
}

/// Whether a call passes more keys than may be passed while others wait.
pub(crate) fn takes_long(args: &[&[u8]]) -> bool {
    let counts = args.windows(2).filter(|pair| is(pair[0], "COUNT"));
    counts.filter_map(|pair| parse_i64(pair[1])).any(|count| count > LONG_ARGUMENTS as i64)
}

/// Options of SCAN and of those that scan a collection.
pub(super) struct ScanOptions<'a> {
    pattern: Option<&'a [u8]>,
    pub(super) count: usize,
    kind: Option<&'a [u8]>,
    pub(super) no_values: bool,
}

impl<'a> ScanOptions<'a> {
    /// Those from the argument `at` on; `word_of_its_own` is the one that only this command takes.
    pub(super) fn parse(call: &Call<'a>, at: usize, word_of_its_own: &str) -> Result<ScanOptions<'a>, Failure> {
        let mut scan = ScanOptions { pattern: None, count: COUNT_DEFAULT, kind: None, no_values: false };
        let mut options = call.options(at);
        while let Some(word) = options.word() {
            if is(word, "MATCH") {
                scan.pattern = Some(options.value()?);
            } else if is(word, "COUNT") {
                let count = parse_i64(options.value()?).ok_or(Failure::NOT_AN_INTEGER)?;
                scan.count = usize::try_from(count).ok().filter(|count| *count > 0).ok_or(Failure::SYNTAX)?;
            } else if is(word, "TYPE") && word_of_its_own == "TYPE" {
                scan.kind = Some(options.value()?);
            } else if is(word, "NOVALUES") && word_of_its_own == "NOVALUES" {
                scan.no_values = true;
            } else {
                return Err(Failure::SYNTAX);
            }
        }
        Ok(scan)
    }

    /// Whether MATCH lets `name` through.
    pub(super) fn matches(&self, name: &[u8]) -> bool {
        self.pattern.is_none_or(|pattern| matches(pattern, name))
    }

    fn shows(&self, entry: &Entry<'_>) -> bool {
        self.kind.is_none_or(|kind| is(kind, entry.kind().name())) && self.matches(entry.key())
    }
}

pub(crate) fn scan(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let cursor = parse_cursor(call.arg(1)).ok_or(Failure::fixed("ERR invalid cursor"))?;
    let options = ScanOptions::parse(call, 2, "TYPE")?;
    reply.expect(data.about_keys().min(options.count as u64))?;
    let shards = u64::from(data.shard_count());
    let (mut shard, mut inner) = (cursor % shards, cursor / shards);
    let mut left = options.count;
    let mut found = Reply::new(reply.protocol());
    let mut count = 0;
    // A shard's first segment is at most four steps of nothing: a small or empty keyspace is scanned in one call. Within a
    // large one, many steps that show nothing end the call nevertheless.
    let mut steps = 4 * shards + left as u64;
    while left > 0 && steps > 0 && shard < shards {
        let (next, passed) = data.scan(ShardId(shard as u16), inner, left, &mut |entry| {
            if options.shows(&entry) {
                found.bulk(entry.key());
                count += 1;
            }
        })?;
        left = left.saturating_sub(passed);
        steps -= 1;
        inner = next;
        shard += u64::from(next == 0);
    }
    let next = if shard == shards { 0 } else { inner * shards + shard };
    reply.expect_bytes(found.len() as u64)?;
    reply.array(2);
    reply.bulk(itoa::Buffer::new().format(next).as_bytes());
    reply.array(count);
    reply.raw(found.as_bytes());
    Ok(())
}

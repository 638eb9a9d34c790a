//! DUMP and RESTORE: values in Redis's dump format.

use super::collection::check_name;
use super::stream::node_limits;
use super::{hash, list, set, sorted_set};
use crate::clock::UnixMillis;
use crate::effect::{KeyChange, KeyEffect};
use crate::engine::Data;
use crate::engine::call::number::parse_i64;
use crate::engine::call::{Call, Failure, Outcome, Reply, is};
use crate::keyspace::Located;
use crate::limits::RECORD_BYTES_MAX;
use crate::rdb::{self, Layout, RdbError, RdbItem, write};
use crate::types::list::ListChange;
use crate::types::map::MapChange;
use crate::types::sorted_set::SortedChange;
use crate::types::stream::{NodeLimits, StreamBuilder, StreamChange, StreamParts};
use crate::types::string::StringChange;
use crate::value::{Kind, StreamId};

const BUSY_KEY: Failure = Failure::fixed("BUSYKEY Target key name already exists.");
const WRONG_TTL: Failure = Failure::fixed("ERR Invalid TTL value, must be >= 0");
const WRONG_SEAL: Failure = Failure::fixed("ERR DUMP payload version or checksum are wrong");
const BAD_DATA: Failure = Failure::fixed("ERR Bad data format");

pub(crate) fn dump(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let now = data.now();
    let Some(entry) = data.find(&call.key(0)) else {
        reply.null();
        return Ok(());
    };
    reply.expect_bytes(entry.bytes_to_read())?;
    reply.bulk(&match entry.kind() {
        Kind::String => write::string(&entry.value()),
        Kind::List => write::list(&entry.list()),
        kind @ (Kind::Set | Kind::Hash) => write::map(&entry.map(now), kind),
        Kind::SortedSet => write::sorted_set(&entry.sorted()),
        Kind::Stream => write::stream(&entry.stream()),
    });
    Ok(())
}

pub(crate) fn restore(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let options = RestoreOptions::parse(call)?;
    let mut at = data.locate(&call.key(0));
    let exists = data.exists(&at);
    if exists && !options.replace {
        return Err(BUSY_KEY);
    }
    let expire = options.deadline(call.int(2)?, data.now())?;
    let value = Collected::read(call.arg(3), data.now(), node_limits(data))?;
    if value.is_gone() || expire.is_some_and(|expire| expire <= data.now()) {
        if exists {
            data.change(&mut at, KeyChange::Del)?;
        }
    } else {
        value.store(data, &mut at, expire)?;
    }
    reply.ok();
    Ok(())
}

/// What RESTORE asks for beside the value.
#[derive(Debug, Default)]
struct RestoreOptions {
    replace: bool,
    /// The time to live is a moment.
    absolute: bool,
}

impl RestoreOptions {
    /// Reads the options. How long a key was idle and how often it was used is checked and forgotten: nothing is evicted here.
    fn parse(call: &Call<'_>) -> Result<RestoreOptions, Failure> {
        let mut read = RestoreOptions::default();
        let (mut idle, mut frequency) = (false, false);
        let mut options = call.options(4);
        while let Some(word) = options.word() {
            if is(word, "REPLACE") {
                read.replace = true;
            } else if is(word, "ABSTTL") {
                read.absolute = true;
            } else if is(word, "IDLETIME") && !frequency {
                let wrong = Failure::fixed("ERR Invalid IDLETIME value, must be >= 0");
                let seconds = parse_i64(options.value()?).ok_or(Failure::NOT_AN_INTEGER)?;
                idle = if seconds < 0 { return Err(wrong) } else { true };
            } else if is(word, "FREQ") && !idle {
                let wrong = Failure::fixed("ERR Invalid FREQ value, must be >= 0 and <= 255");
                let count = parse_i64(options.value()?).ok_or(Failure::NOT_AN_INTEGER)?;
                frequency = if (0..=255).contains(&count) { true } else { return Err(wrong) };
            } else {
                return Err(Failure::SYNTAX);
            }
        }
        Ok(read)
    }

    /// The moment that a time to live in milliseconds means; 0: there is none.
    fn deadline(&self, ttl: i64, now: UnixMillis) -> Result<Option<UnixMillis>, Failure> {
        let ttl = u64::try_from(ttl).map_err(|_| WRONG_TTL)?;
        let at = if self.absolute { Some(ttl) } else { now.0.checked_add(ttl) };
        let at = at.filter(|at| i64::try_from(*at).is_ok()).ok_or(WRONG_TTL)?;
        Ok(Some(UnixMillis(at)).filter(|_| ttl != 0))
    }
}

/// A value that was read from a payload and is sound.
struct Collected {
    kind: Kind,
    /// Each field is followed by when it expires, as in [`MapForm::ExpiringPackedHash`](crate::types::map::MapForm).
    expires: bool,
    /// Fields that expire until then are left out.
    now: UnixMillis,
    /// Items that there were.
    items: u64,
    /// The strings of a change of its type, one behind the other.
    bytes: Vec<u8>,
    /// Where each of them ends.
    ends: Vec<u32>,
    /// The stream, if it is one.
    stream: CollectedStream,
}

/// What has been read of a stream.
struct CollectedStream {
    builder: StreamBuilder,
    last: StreamId,
    added: u64,
    deleted: StreamId,
}

impl Collected {
    fn read(payload: &[u8], now: UnixMillis, limits: NodeLimits) -> Result<Collected, Failure> {
        let (mut input, version) = rdb::open(payload).ok_or(WRONG_SEAL)?;
        let [layout] = input.array()?;
        let layout = match Layout::of(layout, version)? {
            Layout::Value(layout) => layout,
            Layout::Foreign(layout) => {
                return Err(Failure::owned(format!(
                    "ERR Bad data format: a {} cannot be restored here",
                    layout.name()
                )));
            }
        };
        let (kind, expires) = (layout.kind(), layout.expires_fields());
        let (builder, last, deleted) = (StreamBuilder::new(limits), StreamId::ZERO, StreamId::ZERO);
        let stream = CollectedStream { builder, last, added: 0, deleted };
        let mut read = Collected { kind, expires, now, items: 0, bytes: Vec::new(), ends: Vec::new(), stream };
        rdb::read_value(&mut input, layout, |item| read.take(item))?;
        if input.left() > 0 || read.items == 0 || read.has_twice() {
            return Err(BAD_DATA);
        }
        read.narrow();
        Ok(read)
    }

    /// Forgets the expiries where no field has one.
    fn narrow(&mut self) {
        if !self.expires || self.strings().into_iter().skip(2).step_by(3).any(|expiry| !expiry.is_empty()) {
            return;
        }
        // None of them has bytes.
        self.ends = self.ends.chunks_exact(3).flat_map(|field| [field[0], field[1]]).collect();
        self.expires = false;
    }

    /// Whether all that there was has expired.
    fn is_gone(&self) -> bool {
        self.ends.is_empty() && self.kind != Kind::Stream
    }

    fn take(&mut self, item: RdbItem<'_>) -> Result<(), Failure> {
        self.items += 1;
        match item {
            RdbItem::Text(text) | RdbItem::Element(text) => self.add(text),
            RdbItem::Member(name) => {
                check_name(name)?;
                self.add(name)
            }
            RdbItem::Field { expire: Some(at), .. } if at <= self.now => Ok(()),
            RdbItem::Field { name, value, expire } => {
                check_name(name)?;
                self.add(name)?;
                self.add(value)?;
                match expire {
                    Some(at) => self.add(&at.0.to_le_bytes()),
                    None if self.expires => self.add(&[]),
                    None => Ok(()),
                }
            }
            RdbItem::Scored { name, score } => {
                check_name(name)?;
                self.add(name)?;
                self.add(&score.to_bytes())
            }
            of_stream => self.stream.take(of_stream),
        }
    }

    /// A payload may become many times as long as it is, so this is where it is bounded.
    fn add(&mut self, string: &[u8]) -> Result<(), Failure> {
        /// What a record counts for a string beside its bytes.
        const EACH: usize = 10;
        let bytes = self.bytes.len() + string.len();
        if (bytes + (self.ends.len() + 1) * EACH) as u64 > RECORD_BYTES_MAX {
            return Err(Failure::RECORD_TOO_LONG);
        }
        self.bytes.extend_from_slice(string);
        self.ends.push(bytes as u32);
        Ok(())
    }

    fn strings(&self) -> Vec<&[u8]> {
        let starts = std::iter::once(&0).chain(&self.ends);
        starts.zip(&self.ends).map(|(start, end)| &self.bytes[*start as usize..*end as usize]).collect()
    }

    /// Whether a member or field is there twice.
    fn has_twice(&self) -> bool {
        let stride = match self.kind {
            Kind::String | Kind::List | Kind::Stream => return false,
            Kind::Set => 1,
            Kind::Hash if self.expires => 3,
            Kind::Hash | Kind::SortedSet => 2,
        };
        let mut names: Vec<&[u8]> = self.strings().into_iter().step_by(stride).collect();
        names.sort_unstable();
        names.windows(2).any(|pair| pair[0] == pair[1])
    }

    /// Makes the key at `at` hold the value, whatever it held.
    fn store(self, data: &mut Data<'_>, at: &mut Located<'_>, expire: Option<UnixMillis>) -> Outcome {
        if self.kind == Kind::Stream {
            return self.stream.store(data, at, expire);
        }
        let strings = self.strings();
        let all = strings.as_slice();
        match self.kind {
            Kind::Stream => Ok(()),
            Kind::String => data.change(at, StringChange::Set { value: &self.bytes, expire }),
            Kind::List => {
                let form = list::form_with(data, &None, all.iter().copied());
                change(data, at, ListChange::Store { form, elements: all.into() }, expire)
            }
            Kind::Set => {
                let form = set::form_with(data, &None, all);
                change(data, at, MapChange::Store { form, items: all.into() }, expire)
            }
            Kind::Hash => {
                let form = hash::form_with(data, &None, all, self.expires);
                change(data, at, MapChange::Store { form, items: all.into() }, expire)
            }
            Kind::SortedSet => {
                let form = sorted_set::form_with(data, &None, all);
                change(data, at, SortedChange::Store { form, items: all.into() }, expire)
            }
        }
    }
}

impl CollectedStream {
    fn take(&mut self, item: RdbItem<'_>) -> Result<(), Failure> {
        let builder = &mut self.builder;
        let sound = match item {
            RdbItem::Entry { id, fields } => {
                builder.entry(id, fields.iter().copied());
                true
            }
            RdbItem::Stream { last, added, deleted } => {
                (self.last, self.added, self.deleted) = (last, added, deleted);
                true
            }
            RdbItem::Group { name, last, read } => builder.group(name, last, read),
            RdbItem::Consumer { name, seen, active } => builder.consumer(name, seen, active),
            RdbItem::Pending { id, time, count } => builder.pending(id, time, count),
            _ => false,
        };
        if self.builder.bytes() > RECORD_BYTES_MAX {
            return Err(Failure::RECORD_TOO_LONG);
        }
        if sound { Ok(()) } else { Err(BAD_DATA) }
    }

    /// Makes the key at `at` hold it, whatever it held.
    fn store(self, data: &mut Data<'_>, at: &mut Located<'_>, expire: Option<UnixMillis>) -> Outcome {
        let parts = self.builder.finish().ok_or(BAD_DATA)?;
        let strings: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        let parts = StreamParts::new(self.last, self.added, self.deleted, &strings);
        change(data, at, StreamChange::Store(parts), expire)
    }
}

fn change(data: &mut Data<'_>, at: &mut Located<'_>, change: impl KeyEffect, expire: Option<UnixMillis>) -> Outcome {
    match expire {
        Some(expire) => data.change_expiring(at, change, expire),
        None => data.change(at, change),
    }
}

impl From<RdbError> for Failure {
    fn from(error: RdbError) -> Failure {
        match error {
            RdbError::TooLong(_) => Failure::STRING_TOO_LONG,
            _ => BAD_DATA,
        }
    }
}

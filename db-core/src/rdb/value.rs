//! Values, in each layout that a server has written.

use std::io::Read;

use super::packed_entry::PackedEntry;
use super::string::{count, string};
use super::{Input, RdbError, VALKEY_VERSION, intset, listpack, skip, stream, ziplist, zipmap};
use crate::clock::UnixMillis;
use crate::value::{Kind, Score, StreamId};

/// How a value is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// One of the types here.
    Value(ValueLayout),
    /// Of another type.
    Foreign(ForeignLayout),
}

/// How a value of one of the types here is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueLayout {
    /// A string.
    String,
    /// A count, then so many elements.
    List,
    /// A ziplist.
    ListZiplist,
    /// A count, then so many ziplists.
    ListZiplists,
    /// A count, then so many elements or listpacks.
    ListListpacks,
    /// A count, then so many members.
    Set,
    /// A set of integers.
    SetIntegers,
    /// A listpack.
    SetListpack,
    /// A count, then so many fields, each with its value.
    Hash,
    /// A zipmap.
    HashZipmap,
    /// A ziplist of fields, each followed by its value.
    HashZiplist,
    /// A listpack of them.
    HashListpack,
    /// As [`Hash`](Self::Hash), with an expiry behind each value: Valkey's.
    HashExpiring,
    /// The first expiry; then a count and so many fields, with an expiry before each: that of Redis 7.4.
    HashExpiringFirst,
    /// The first expiry; then a listpack of fields, each followed by its value and its expiry: that of Redis 7.4.
    HashExpiringListpack,
    /// A count, then so many members, each with its score as text.
    SortedSetText,
    /// The same with doubles.
    SortedSet,
    /// A ziplist of members, each followed by its score.
    SortedSetZiplist,
    /// A listpack of them.
    SortedSetListpack,
    /// Entries and groups, in the form of Redis 5 (1), 7.0 (2) or 7.2 (3).
    Stream(u8),
}

/// How a value of a type that there is not here is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForeignLayout {
    /// What a module has written.
    Module,
}

impl Layout {
    /// The layout that the byte before a key says, in a dump of this version.
    ///
    /// # Errors
    /// If it is not known.
    pub const fn of(byte: u8, version: u32) -> Result<Layout, RdbError> {
        Ok(Layout::Value(match byte {
            0 => ValueLayout::String,
            1 => ValueLayout::List,
            2 => ValueLayout::Set,
            3 => ValueLayout::SortedSetText,
            4 => ValueLayout::Hash,
            5 => ValueLayout::SortedSet,
            7 => return Ok(Layout::Foreign(ForeignLayout::Module)),
            9 => ValueLayout::HashZipmap,
            10 => ValueLayout::ListZiplist,
            11 => ValueLayout::SetIntegers,
            12 => ValueLayout::SortedSetZiplist,
            13 => ValueLayout::HashZiplist,
            14 => ValueLayout::ListZiplists,
            15 => ValueLayout::Stream(1),
            16 => ValueLayout::HashListpack,
            17 => ValueLayout::SortedSetListpack,
            18 => ValueLayout::ListListpacks,
            19 => ValueLayout::Stream(2),
            20 => ValueLayout::SetListpack,
            21 => ValueLayout::Stream(3),
            // Redis has used the number for something else, in a release candidate.
            22 if version >= VALKEY_VERSION => ValueLayout::HashExpiring,
            24 if version < VALKEY_VERSION => ValueLayout::HashExpiringFirst,
            25 if version < VALKEY_VERSION => ValueLayout::HashExpiringListpack,
            _ => return Err(RdbError::UnknownType(byte)),
        }))
    }
}

impl ForeignLayout {
    /// Its name for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            ForeignLayout::Module => "module value",
        }
    }

    /// Passes over the value.
    ///
    /// # Errors
    /// If it ends early, or is not what a server writes.
    pub fn skip<R: Read>(self, input: &mut Input<R>) -> Result<(), RdbError> {
        match self {
            ForeignLayout::Module => skip::module(input),
        }
    }
}

impl ValueLayout {
    /// Returns whether fields of it may expire.
    #[must_use]
    pub const fn expires_fields(self) -> bool {
        matches!(self, ValueLayout::HashExpiring | ValueLayout::HashExpiringFirst | ValueLayout::HashExpiringListpack)
    }

    /// Returns the type of value.
    #[must_use]
    pub const fn kind(self) -> Kind {
        match self {
            ValueLayout::String => Kind::String,
            ValueLayout::List | ValueLayout::ListZiplist | ValueLayout::ListZiplists | ValueLayout::ListListpacks => {
                Kind::List
            }
            ValueLayout::Set | ValueLayout::SetIntegers | ValueLayout::SetListpack => Kind::Set,
            ValueLayout::Hash
            | ValueLayout::HashZipmap
            | ValueLayout::HashZiplist
            | ValueLayout::HashListpack
            | ValueLayout::HashExpiring
            | ValueLayout::HashExpiringFirst
            | ValueLayout::HashExpiringListpack => Kind::Hash,
            ValueLayout::SortedSetText
            | ValueLayout::SortedSet
            | ValueLayout::SortedSetZiplist
            | ValueLayout::SortedSetListpack => Kind::SortedSet,
            ValueLayout::Stream(_) => Kind::Stream,
        }
    }
}

/// A part of a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RdbItem<'a> {
    /// The whole of a string.
    Text(&'a [u8]),
    /// The next element of a list.
    Element(&'a [u8]),
    /// A member of a set.
    Member(&'a [u8]),
    /// A field of a hash.
    Field {
        /// Its name.
        name: &'a [u8],
        /// Its value.
        value: &'a [u8],
        /// When it expires, if ever.
        expire: Option<UnixMillis>,
    },
    /// A member of a sorted set.
    Scored {
        /// The member.
        name: &'a [u8],
        /// Its score.
        score: Score,
    },
    /// The next entry of a stream.
    Entry {
        /// Its id, above that of the one before.
        id: StreamId,
        /// Names, each followed by its value.
        fields: &'a [&'a [u8]],
    },
    /// What is noted of a stream, behind its entries.
    Stream {
        /// The id of the last entry that was added.
        last: StreamId,
        /// How many entries were ever added.
        added: u64,
        /// The greatest id that was deleted.
        deleted: StreamId,
    },
    /// The next group of consumers of a stream.
    Group {
        /// Its name.
        name: &'a [u8],
        /// The last entry that was delivered.
        last: StreamId,
        /// How many had ever been added when that one was, if that is known.
        read: Option<u64>,
    },
    /// The next consumer of the group.
    Consumer {
        /// Its name.
        name: &'a [u8],
        /// When it was seen, in Unix milliseconds.
        seen: u64,
        /// When it was active, if ever.
        active: Option<u64>,
    },
    /// The next pending entry of the consumer.
    Pending {
        /// Which one.
        id: StreamId,
        /// When it was delivered, in Unix milliseconds.
        time: u64,
        /// How often.
        count: u64,
    },
}

/// Reads a value and shows its parts in order; a collection may have none. What was shown before an error is no whole value.
///
/// # Errors
/// If the value ends early or is not what a server writes, or what `visit` returns.
pub fn read_value<R: Read, E: From<RdbError>>(
    input: &mut Input<R>,
    layout: ValueLayout,
    mut visit: impl FnMut(RdbItem<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let mut parts = Parts { input, text: Vec::new(), second: Vec::new(), visit: &mut visit };
    match layout {
        ValueLayout::String => parts.each_of(1, text),
        ValueLayout::List => parts.each(element),
        ValueLayout::ListZiplist => parts.blob(|blob, visit| singles(ziplist::entries(blob)?, element, visit)),
        ValueLayout::ListZiplists => {
            for _ in 0..count(parts.input)? {
                parts.blob(|blob, visit| singles(ziplist::entries(blob)?, element, visit))?;
            }
            Ok(())
        }
        ValueLayout::ListListpacks => parts.list_nodes(),
        ValueLayout::Set => parts.each(member),
        ValueLayout::SetIntegers => parts.blob(|blob, visit| {
            let mut text = itoa::Buffer::new();
            intset::integers(blob)?.try_for_each(|value| visit(RdbItem::Member(text.format(value).as_bytes())))
        }),
        ValueLayout::SetListpack => parts.blob(|blob, visit| singles(listpack::entries(blob)?, member, visit)),
        ValueLayout::Hash => parts.fields(None),
        ValueLayout::HashZipmap => parts.blob(|blob, visit| {
            zipmap::fields(blob)?.try_for_each(|field| {
                let (name, value) = field?;
                visit(RdbItem::Field { name, value, expire: None })
            })
        }),
        ValueLayout::HashZiplist => parts.blob(|blob, visit| pairs(ziplist::entries(blob)?, field, visit)),
        ValueLayout::HashListpack => parts.blob(|blob, visit| pairs(listpack::entries(blob)?, field, visit)),
        ValueLayout::HashExpiring => parts.fields(Some(ExpiryPlace::Behind)),
        ValueLayout::HashExpiringFirst => {
            let first = parts.time()?;
            parts.fields(Some(ExpiryPlace::Before { first }))
        }
        ValueLayout::HashExpiringListpack => {
            parts.time()?;
            parts.blob(|blob, visit| triples(listpack::entries(blob)?, visit))
        }
        ValueLayout::SortedSetText => parts.scored(text_score),
        ValueLayout::SortedSet => parts.scored(|input| Ok(f64::from_bits(u64::from_le_bytes(input.array()?)))),
        ValueLayout::SortedSetZiplist => parts.blob(|blob, visit| pairs(ziplist::entries(blob)?, scored, visit)),
        ValueLayout::SortedSetListpack => parts.blob(|blob, visit| pairs(listpack::entries(blob)?, scored, visit)),
        ValueLayout::Stream(form) => stream::read(parts.input, form, parts.visit),
    }
}

/// Where the expiry of a field stands.
#[derive(Clone, Copy, Debug)]
enum ExpiryPlace {
    /// Behind its value: milliseconds, negative if there is none.
    Behind,
    /// Before its name: milliseconds since one before the first expiry, 0 if there is none.
    Before { first: u64 },
}

/// A value while it is taken apart.
struct Parts<'i, 'v, R, V> {
    input: &'i mut Input<R>,
    text: Vec<u8>,
    second: Vec<u8>,
    visit: &'v mut V,
}

impl<R: Read, E: From<RdbError>, V: FnMut(RdbItem<'_>) -> Result<(), E>> Parts<'_, '_, R, V> {
    /// A count, then so many strings.
    fn each(&mut self, item: impl Fn(&[u8]) -> RdbItem<'_>) -> Result<(), E> {
        let count = count(self.input)?;
        self.each_of(count, item)
    }

    /// So many strings.
    fn each_of(&mut self, count: u64, item: impl Fn(&[u8]) -> RdbItem<'_>) -> Result<(), E> {
        for _ in 0..count {
            string(self.input, &mut self.text)?;
            (self.visit)(item(&self.text))?;
        }
        Ok(())
    }

    /// A string that contains several.
    fn blob(&mut self, show: impl FnOnce(&[u8], &mut V) -> Result<(), E>) -> Result<(), E> {
        string(self.input, &mut self.text)?;
        show(&self.text, self.visit)
    }

    fn list_nodes(&mut self) -> Result<(), E> {
        const PLAIN: u64 = 1;
        const PACKED: u64 = 2;
        for _ in 0..count(self.input)? {
            match count(self.input)? {
                PLAIN => self.each_of(1, element)?,
                PACKED => self.blob(|blob, visit| singles(listpack::entries(blob)?, element, visit))?,
                _ => return Err(RdbError::Damaged("a part of a list is of a form that no server writes").into()),
            }
        }
        Ok(())
    }

    fn fields(&mut self, expiry: Option<ExpiryPlace>) -> Result<(), E> {
        for _ in 0..count(self.input)? {
            let mut expire = None;
            if let Some(ExpiryPlace::Before { first }) = expiry {
                let after = count(self.input)?;
                let at = after.checked_sub(1).map(|after| first.checked_add(after).ok_or(WRONG_TIME)).transpose()?;
                expire = at.map(UnixMillis);
            }
            string(self.input, &mut self.text)?;
            string(self.input, &mut self.second)?;
            if let Some(ExpiryPlace::Behind) = expiry {
                expire = match self.time()? {
                    NEVER => None,
                    time if time > i64::MAX as u64 => return Err(WRONG_TIME.into()),
                    time => Some(UnixMillis(time)),
                };
            }
            (self.visit)(RdbItem::Field { name: &self.text, value: &self.second, expire })?;
        }
        Ok(())
    }

    fn scored(&mut self, read: impl Fn(&mut Input<R>) -> Result<f64, RdbError>) -> Result<(), E> {
        for _ in 0..count(self.input)? {
            string(self.input, &mut self.text)?;
            let score = Score::new(read(self.input)?).ok_or(NO_NUMBER)?;
            (self.visit)(RdbItem::Scored { name: &self.text, score })?;
        }
        Ok(())
    }

    fn time(&mut self) -> Result<u64, RdbError> {
        self.input.array().map(u64::from_le_bytes)
    }
}

/// Instead of when it expires, of a field that never does.
pub(super) const NEVER: u64 = u64::MAX;

const NO_NUMBER: RdbError = RdbError::Damaged("a score is not a number");
const WRONG_TIME: RdbError = RdbError::Damaged("the expiry of a field is no time");
const HALF: RdbError = RdbError::Damaged("a packed collection ends within a member");

/// A score as text, with its length before it; lengths that no text has stand for what is no decimal.
fn text_score<R: Read>(input: &mut Input<R>) -> Result<f64, RdbError> {
    const NAN: u8 = 253;
    const INFINITE: u8 = 254;
    const MINUS_INFINITE: u8 = 255;
    match input.byte()? {
        NAN => Err(NO_NUMBER),
        INFINITE => Ok(f64::INFINITY),
        MINUS_INFINITE => Ok(f64::NEG_INFINITY),
        len => {
            let mut text = Vec::new();
            input.take(len.into(), &mut text)?;
            number(&text)
        }
    }
}

fn number(text: &[u8]) -> Result<f64, RdbError> {
    std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).ok_or(NO_NUMBER)
}

fn text(bytes: &[u8]) -> RdbItem<'_> {
    RdbItem::Text(bytes)
}

fn element(bytes: &[u8]) -> RdbItem<'_> {
    RdbItem::Element(bytes)
}

fn member(bytes: &[u8]) -> RdbItem<'_> {
    RdbItem::Member(bytes)
}

/// Shows each entry as an item.
fn singles<'a, E: From<RdbError>>(
    mut entries: impl Iterator<Item = Result<PackedEntry<'a>, RdbError>>,
    item: impl Fn(&[u8]) -> RdbItem<'_>,
    visit: &mut impl FnMut(RdbItem<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let mut text = itoa::Buffer::new();
    entries.try_for_each(|entry| visit(item(entry?.bytes(&mut text))))
}

/// Shows each entry with the one behind it as an item.
fn pairs<'a, E: From<RdbError>>(
    mut entries: impl Iterator<Item = Result<PackedEntry<'a>, RdbError>>,
    item: impl for<'i> Fn(&'i [u8], &'i [u8]) -> Result<RdbItem<'i>, RdbError>,
    visit: &mut impl FnMut(RdbItem<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let (mut first, mut second) = (itoa::Buffer::new(), itoa::Buffer::new());
    while let Some(name) = entries.next().transpose()? {
        let value = entries.next().ok_or(HALF)??;
        visit(item(name.bytes(&mut first), value.bytes(&mut second))?)?;
    }
    Ok(())
}

fn field<'a>(name: &'a [u8], value: &'a [u8]) -> Result<RdbItem<'a>, RdbError> {
    Ok(RdbItem::Field { name, value, expire: None })
}

fn scored<'a>(name: &'a [u8], score: &'a [u8]) -> Result<RdbItem<'a>, RdbError> {
    Ok(RdbItem::Scored { name, score: Score::new(number(score)?).ok_or(NO_NUMBER)? })
}

/// Shows fields, each followed by its value and its expiry, 0 if there is none.
fn triples<'a, E: From<RdbError>>(
    mut entries: impl Iterator<Item = Result<PackedEntry<'a>, RdbError>>,
    visit: &mut impl FnMut(RdbItem<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let (mut first, mut second) = (itoa::Buffer::new(), itoa::Buffer::new());
    while let Some(name) = entries.next().transpose()? {
        let value = entries.next().ok_or(HALF)??;
        let PackedEntry::Integer(time) = entries.next().ok_or(HALF)?? else { return Err(WRONG_TIME.into()) };
        let time = u64::try_from(time).map_err(|_| WRONG_TIME)?;
        let expire = Some(UnixMillis(time)).filter(|_| time != 0);
        visit(RdbItem::Field { name: name.bytes(&mut first), value: value.bytes(&mut second), expire })?;
    }
    Ok(())
}

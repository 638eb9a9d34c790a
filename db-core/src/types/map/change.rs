//! What becomes of a key that holds a set or a hash.

use crate::arena::{Pages, Ref};
use crate::effect::{Family, KeyEffect, Reader, RecordError, Strings};
use crate::keyspace::{Keyspace, Located};
use crate::limits::{KEY_BYTES_MAX, VALUE_BYTES_MAX};
use crate::value::Kind;
use crate::value::entry;
use crate::value::map::{self, Large, MapView, integers, large};
use crate::value::number::parse_i64;
use crate::value::packed;
use crate::value::record::{Encoding, Form, Head};

/// What becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MapChange<'a> {
    /// It has these members, beside others; the key is made if it does not exist.
    Put {
        /// How it is held then; it never goes back to a form before this one.
        form: MapForm,
        /// The members of a set; of a hash fields, each followed by its value. A name may stand twice: the last one counts.
        items: Strings<'a>,
    },
    /// It has these members and no others, and no expiry, whatever it held.
    Store {
        /// How it is held.
        form: MapForm,
        /// As of [`Put`](Self::Put).
        items: Strings<'a>,
    },
    /// It has none of these members any more. The key is deleted with its last one.
    Remove {
        /// Members of the set, or fields of the hash.
        names: Strings<'a>,
    },
}

impl<'a> MapChange<'a> {
    /// Adds `items` to what the key holds; `exists`: what it holds, if anything, has not expired.
    #[must_use]
    pub const fn add(exists: bool, form: MapForm, items: Strings<'a>) -> MapChange<'a> {
        if exists { MapChange::Put { form, items } } else { MapChange::Store { form, items } }
    }
}

/// What a key holds and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum MapForm {
    /// A set of integers in one piece.
    IntegerSet = 0,
    /// A set in one piece.
    PackedSet = 1,
    /// A set in a hash table.
    LargeSet = 2,
    /// A hash in one piece.
    PackedHash = 3,
    /// A hash in a hash table.
    LargeHash = 4,
}

impl MapForm {
    const ALL: [MapForm; 5] =
        [MapForm::IntegerSet, MapForm::PackedSet, MapForm::LargeSet, MapForm::PackedHash, MapForm::LargeHash];

    /// Returns the type of value.
    #[must_use]
    pub const fn kind(self) -> Kind {
        match self {
            MapForm::IntegerSet | MapForm::PackedSet | MapForm::LargeSet => Kind::Set,
            MapForm::PackedHash | MapForm::LargeHash => Kind::Hash,
        }
    }

    const fn encoding(self) -> Encoding {
        match self {
            MapForm::IntegerSet => Encoding::INTEGERS,
            MapForm::PackedSet | MapForm::PackedHash => Encoding::PACKED,
            MapForm::LargeSet | MapForm::LargeHash => Encoding::TABLE,
        }
    }

    /// Whether `items` can be added to what `old` is, none or a set or hash of this kind in this form or one before it, so that it is in
    /// this form then: the bytes in one piece are bounded.
    #[must_use]
    pub fn has_room(self, old: Option<&MapView<'_, impl Pages>>, items: &Strings<'_>) -> bool {
        let bytes = old.map_or(0, MapView::packed_bytes);
        match self {
            MapForm::LargeSet | MapForm::LargeHash => true,
            MapForm::IntegerSet => {
                let count = old.map_or(0, MapView::len) as usize + items.len();
                integers::bytes_max(count) <= packed::BYTES_MAX && items.iter().all(|item| parse_i64(item).is_some())
            }
            MapForm::PackedSet | MapForm::PackedHash => {
                let more: usize = items.iter().map(|item| packed::string_bytes(item.len())).sum();
                bytes + more <= packed::BYTES_MAX
            }
        }
    }
}

const FAMILY: u8 = 3;
const REMOVE: u8 = 5;
/// And the number of the form.
const STORE: u8 = 8;

impl KeyEffect for MapChange<'_> {
    #[inline]
    fn operation(&self) -> u8 {
        FAMILY << 4
            | match self {
                MapChange::Put { form, .. } => *form as u8,
                MapChange::Store { form, .. } => STORE + *form as u8,
                MapChange::Remove { .. } => REMOVE,
            }
    }

    #[inline]
    fn bytes_max(&self) -> usize {
        let (MapChange::Put { items, .. } | MapChange::Store { items, .. } | MapChange::Remove { names: items }) = self;
        items.bytes_max()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let (MapChange::Put { items, .. } | MapChange::Store { items, .. } | MapChange::Remove { names: items }) = self;
        items.encode(out);
    }

    fn pages(&self, keyspace: &Keyspace, at: &Located<'_>) -> Result<Option<usize>, &'static str> {
        let found = keyspace.record(at);
        match self {
            MapChange::Put { form, items } => pages_to_put(keyspace, found, *form, items).map(Some),
            MapChange::Store { form, items } => pages_to_put(keyspace, None, *form, items).map(Some),
            MapChange::Remove { .. } => match found {
                Some((_, head)) if matches!(head.kind, Kind::Set | Kind::Hash) => Ok(None),
                _ => Err("what it takes members out of is no set or hash"),
            },
        }
    }

    fn apply(&self, keyspace: &mut Keyspace, at: &mut Located<'_>) {
        match self {
            MapChange::Put { form, items } => put(keyspace, at, *form, items),
            MapChange::Store { form, items } => {
                keyspace.remove(at);
                put(keyspace, at, *form, items);
            }
            MapChange::Remove { names } => remove(keyspace, at, names),
        }
    }
}

impl<'a> Family<'a> for MapChange<'a> {
    const NUMBER: u8 = FAMILY;

    fn decode(operation: u8, from: &mut Reader<'a>) -> Result<Option<MapChange<'a>>, RecordError> {
        if operation == REMOVE {
            return Ok(Some(MapChange::Remove { names: Strings::decode(from)? }));
        }
        let Some(form) = MapForm::ALL.get((operation & !STORE) as usize).copied() else { return Ok(None) };
        let items = Strings::decode(from)?;
        Ok(Some(if operation & STORE == 0 { MapChange::Put { form, items } } else { MapChange::Store { form, items } }))
    }
}

/// Checks what does not depend on members.
fn check_put(form: MapForm, items: &Strings<'_>, head: Option<&Head>) -> Result<(), &'static str> {
    let stride = map::stride(form.kind());
    if items.is_empty() || !items.len().is_multiple_of(stride) {
        return Err("it adds no whole member");
    }
    if head.is_some_and(|head| head.kind != form.kind()) {
        return Err("what it adds members to is of another type");
    }
    let rank = |encoding: Encoding| match encoding {
        Encoding::INTEGERS => 0,
        Encoding::PACKED => 1,
        _ => 2,
    };
    if head.is_some_and(|head| rank(head.encoding) > rank(form.encoding())) {
        return Err("it adds members in a form that the collection has left");
    }
    let names_fit = items.iter().step_by(stride).all(|name| name.len() <= KEY_BYTES_MAX);
    if names_fit && items.iter().all(|item| item.len() as u64 <= VALUE_BYTES_MAX) {
        Ok(())
    } else {
        Err("a member is longer than the limit")
    }
}

/// Pages that adding members to what is there may take or copy beside those of any change.
fn pages_to_put(
    keyspace: &Keyspace,
    found: Option<(Ref, Head)>,
    form: MapForm,
    items: &Strings<'_>,
) -> Result<usize, &'static str> {
    check_put(form, items, found.as_ref().map(|(_, head)| head))?;
    let old = found.map(|(record, head)| MapView::new(keyspace.arena(), record, &head));
    if !form.has_room(old.as_ref(), items) {
        return Err("a collection in one piece would be too long");
    }
    if form.encoding() != Encoding::TABLE {
        return Ok(0);
    }
    let stride = map::stride(form.kind());
    let (mut members, mut bytes, mut values) = (items.len() / stride, 0, 0);
    let mut items = items.iter();
    while let Some(name) = items.next() {
        let value = if stride == 2 { items.next() } else { None };
        let len = value.map_or(0, <[u8]>::len);
        values += entry::pages_of_value(name.len(), len as u64);
        bytes += name.len() + len;
    }
    let large = found.filter(|(_, head)| head.encoding == Encoding::TABLE);
    if let (Some((_, head)), None) = (&found, &large) {
        // What it is in one piece is added again.
        (members, bytes) = (members + head.rest_len, bytes + head.rest_len);
    }
    let large = large.map(|(record, head)| Large::at(record.page(), head.rest_at));
    Ok(large::pages_to_put(keyspace.arena(), large, members, bytes) + values)
}

fn put(keyspace: &mut Keyspace, at: &mut Located<'_>, form: MapForm, items: &Strings<'_>) {
    match form.encoding() {
        Encoding::TABLE => {
            let large = make_large(keyspace, at, form.kind());
            put_large(keyspace, large, form.kind(), items.iter());
        }
        Encoding::PACKED => {
            let mut blob = packed_of(keyspace, at);
            let mut items = items.iter();
            while let Some(name) = items.next() {
                let value = if form.kind() == Kind::Hash { items.next() } else { None };
                packed::put(&mut blob, name, value);
            }
            write(keyspace, at, form, &blob);
        }
        _ => {
            let old = keyspace.record(at);
            let mut values: Vec<i64> = old.map_or_else(Vec::new, |(record, head)| {
                integers::all(head.rest(keyspace.arena().page(record.page()))).collect()
            });
            values.extend(items.iter().filter_map(parse_i64));
            values.sort_unstable();
            values.dedup();
            write(keyspace, at, form, &integers::pack(&values));
        }
    }
}

/// The members that the key has, in one piece.
fn packed_of(keyspace: &Keyspace, at: &Located<'_>) -> Vec<u8> {
    let Some((record, head)) = keyspace.record(at) else { return packed::empty() };
    let rest = head.rest(keyspace.arena().page(record.page()));
    if head.encoding == Encoding::PACKED {
        return packed::copy(rest);
    }
    let mut blob = packed::empty();
    integers::all(rest).for_each(|value| packed::put(&mut blob, itoa::Buffer::new().format(value).as_bytes(), None));
    blob
}

/// Makes the key, which holds no hash table, hold `blob`; its expiry stays.
fn write(keyspace: &mut Keyspace, at: &mut Located<'_>, form: MapForm, blob: &[u8]) {
    keyspace.put_rest(at, form.kind(), Form { encoding: form.encoding(), rest_len: blob.len() }, blob);
}

/// Makes the key hold a hash table with the members that it has; its expiry stays.
fn make_large(keyspace: &mut Keyspace, at: &mut Located<'_>, kind: Kind) -> Large {
    let old = keyspace.record(at);
    if let Some((record, head)) = old.filter(|(_, head)| head.encoding == Encoding::TABLE) {
        return Large::at(record.page(), head.rest_at);
    }
    let blob = packed_of(keyspace, at);
    let form = Form { encoding: Encoding::TABLE, rest_len: large::ROOT_BYTES };
    let (record, head) = keyspace.put_rest(at, kind, form, &[0; large::ROOT_BYTES]);
    let large = Large::at(record.page(), head.rest_at);
    put_large(keyspace, large, kind, packed::strings(&blob));
    large
}

/// Adds members to a hash table.
pub(crate) fn put_large<'a>(
    keyspace: &mut Keyspace,
    large: Large,
    kind: Kind,
    mut items: impl Iterator<Item = &'a [u8]>,
) {
    while let Some(name) = items.next() {
        let value = if kind == Kind::Hash { items.next() } else { None };
        large.put(keyspace.arena_mut(), name, value);
    }
}

fn remove(keyspace: &mut Keyspace, at: &mut Located<'_>, names: &Strings<'_>) {
    let (record, head) = keyspace.record(at).expect("it was looked at when the change was planned");
    let rest = head.rest(keyspace.arena().page(record.page()));
    let (form, blob) = match head.encoding {
        Encoding::TABLE => {
            let large = Large::at(record.page(), head.rest_at);
            names.iter().for_each(|name| {
                large.remove(keyspace.arena_mut(), name);
            });
            if large.len(keyspace.arena()) == 0 {
                keyspace.remove(at);
            }
            return;
        }
        Encoding::PACKED => {
            let mut blob = rest.to_vec();
            names.iter().for_each(|name| {
                packed::remove(&mut blob, map::stride(head.kind), name);
            });
            (if head.kind == Kind::Set { MapForm::PackedSet } else { MapForm::PackedHash }, blob)
        }
        _ => {
            let gone: Vec<i64> = names.iter().filter_map(parse_i64).collect();
            let left: Vec<i64> = integers::all(rest).filter(|value| !gone.contains(value)).collect();
            (MapForm::IntegerSet, integers::pack(&left))
        }
    };
    if MapView::of_blob(keyspace.arena(), form.encoding(), form.kind(), &blob).is_empty() {
        keyspace.remove(at);
    } else {
        write(keyspace, at, form, &blob);
    }
}

//! What becomes of a key that holds a set or a hash.

use crate::arena::{Arena, PAGE_BYTES, Ref};
use crate::clock::UnixMillis;
use crate::effect::{Family, KeyEffect, Reader, RecordError, Strings};
use crate::keyspace::{Keyspace, Located};
use crate::limits::{KEY_BYTES_MAX, VALUE_BYTES_MAX};
use crate::structure::expiry;
use crate::value::Kind;
use crate::value::entry;
use crate::value::map::{ExpiringHash, Large, MapView, expiring, integers, large, members};
use crate::value::number::parse_i64;
use crate::value::packed::{self, Edit};
use crate::value::record::{Encoding, FIELDS_EXPIRY_BYTES, Form, Head};

use super::MapForm;

/// What becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MapChange<'a> {
    /// It has these members, beside others; the key is made if it does not exist.
    Put {
        /// How it is held then: [`MapForm::may_follow`] what it was.
        form: MapForm,
        /// The members, each with the strings that belong to it: [`MapForm::stride`]. A name may stand twice: the last one counts.
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
    /// Some of the fields that it has expire at other times.
    ExpireFields {
        /// How it is held then: a form with fields that may expire.
        form: MapForm,
        /// Fields, each followed by when it expires, as in [`MapForm::ExpiringPackedHash`].
        items: Strings<'a>,
    },
}

impl<'a> MapChange<'a> {
    const fn strings(&self) -> &Strings<'a> {
        match self {
            MapChange::Put { items, .. } | MapChange::Store { items, .. } | MapChange::ExpireFields { items, .. } => {
                items
            }
            MapChange::Remove { names } => names,
        }
    }

    /// Adds `items` to what the key holds; `exists`: what it holds, if anything, has not expired.
    #[must_use]
    pub const fn add(exists: bool, form: MapForm, items: Strings<'a>) -> MapChange<'a> {
        if exists { MapChange::Put { form, items } } else { MapChange::Store { form, items } }
    }
}

const TOO_LONG_FOR_ONE_PIECE: &str = "a collection in one piece would be too long";

const FAMILY: u8 = 3;
const REMOVE: u8 = 5;
/// And the number of the form.
const STORE: u8 = 8;
const EXPIRE_FIELDS: u8 = 13;

impl KeyEffect for MapChange<'_> {
    #[inline]
    fn operation(&self) -> u8 {
        FAMILY << 4
            | match self {
                MapChange::Put { form, .. } => *form as u8,
                MapChange::Store { form, .. } => STORE + *form as u8,
                MapChange::Remove { .. } => REMOVE,
                MapChange::ExpireFields { .. } => EXPIRE_FIELDS,
            }
    }

    #[inline]
    fn bytes_max(&self) -> usize {
        1 + self.strings().bytes_max()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        if let MapChange::ExpireFields { form, .. } = self {
            out.push(*form as u8);
        }
        self.strings().encode(out);
    }

    fn pages(&self, keyspace: &Keyspace, at: &Located<'_>) -> Result<Option<usize>, &'static str> {
        let found = keyspace.record(at);
        let found = found.as_ref();
        match self {
            MapChange::Put { form, items } | MapChange::Store { form, items } => {
                let old = found.filter(|_| matches!(self, MapChange::Put { .. }));
                pages_to_put(keyspace, old, *form, items).map(Some)
            }
            MapChange::ExpireFields { form, items } => pages_to_expire(keyspace, found, *form, items).map(Some),
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
            MapChange::ExpireFields { form, items } => expire_fields(keyspace, at, *form, items),
            MapChange::Remove { names } => remove(keyspace, at, names),
        }
    }
}

impl<'a> Family<'a> for MapChange<'a> {
    const NUMBER: u8 = FAMILY;

    fn decode(operation: u8, from: &mut Reader<'a>) -> Result<Option<MapChange<'a>>, RecordError> {
        let number = match operation {
            REMOVE => return Ok(Some(MapChange::Remove { names: Strings::decode(from)? })),
            EXPIRE_FIELDS => from.byte()?,
            _ => operation & !STORE,
        };
        let Some(form) = MapForm::from_number(number) else { return Ok(None) };
        let items = Strings::decode(from)?;
        Ok(Some(match operation {
            EXPIRE_FIELDS => MapChange::ExpireFields { form, items },
            0..STORE => MapChange::Put { form, items },
            _ => MapChange::Store { form, items },
        }))
    }
}

/// Checks what does not depend on members; returns the bytes that `items` take in one piece.
#[inline]
fn check_put(form: MapForm, items: &Strings<'_>, head: Option<&Head>) -> Result<usize, &'static str> {
    if items.is_empty() || !form.is_of_members(items.len()) {
        return Err("it adds no whole member");
    }
    check_form(form, head)?;
    let (mut each, mut bytes, mut too_long) = (items.iter(), 0, false);
    while let Some(name) = each.next() {
        too_long |= name.len() > KEY_BYTES_MAX;
        bytes += packed::string_bytes(name.len());
        for _ in 1..form.stride() {
            let len = each.next().map_or(0, <[u8]>::len);
            too_long |= len as u64 > VALUE_BYTES_MAX;
            bytes += packed::string_bytes(len);
        }
    }
    if too_long {
        return Err("a member is longer than the limit");
    }
    if form.expires_fields() {
        check_expiries(items.iter().skip(2).step_by(form.stride()))?;
    }
    Ok(bytes)
}

#[inline]
fn check_form(form: MapForm, head: Option<&Head>) -> Result<(), &'static str> {
    if head.is_none_or(|head| head.encoding == form.encoding() && head.kind == form.kind()) {
        return Ok(());
    }
    match head.map(|head| (head.kind, MapForm::of(head))) {
        Some((kind, _)) if kind != form.kind() => Err("what it adds members to is of another type"),
        Some((_, old)) if !old.is_some_and(|old| form.may_follow(old)) => {
            Err("it adds members in a form that the collection has left")
        }
        _ => Ok(()),
    }
}

fn check_expiries<'a>(mut expiries: impl Iterator<Item = &'a [u8]>) -> Result<(), &'static str> {
    let good = expiries.all(|expiry| expiry.is_empty() || expiring::expiry_of(expiry).is_some());
    if good { Ok(()) } else { Err("a field expires at no time") }
}

/// Pages that adding members to what is there may take or copy beside those of any change.
fn pages_to_put(
    keyspace: &Keyspace,
    found: Option<&(Ref, Head)>,
    form: MapForm,
    items: &Strings<'_>,
) -> Result<usize, &'static str> {
    let bytes = check_put(form, items, found.map(|(_, head)| head))?;
    if !form.is_large() {
        let old = found.map(|(record, head)| MapView::new(keyspace.arena(), *record, head, UnixMillis(0)));
        let fits = form.has_room_for(old.as_ref(), items, bytes);
        return if fits { Ok(0) } else { Err(TOO_LONG_FOR_ONE_PIECE) };
    }
    let (mut bytes, mut values, mut members) = (0, 0, 0);
    each_member(form, items.iter(), |name, value, _| {
        members += 1;
        values += entry::pages_of_value(name.len(), value.len() as u64);
        bytes += name.len() + value.len();
    });
    Ok(pages_of_members(keyspace, found, form, members, bytes) + values)
}

/// Pages that adding or moving so many members of so many bytes may take or copy, but for the pages of their values.
fn pages_of_members(
    keyspace: &Keyspace,
    found: Option<&(Ref, Head)>,
    form: MapForm,
    mut members: usize,
    mut bytes: usize,
) -> usize {
    if !form.is_large() {
        return 0;
    }
    let large = found.filter(|(_, head)| MapForm::of(head).is_some_and(MapForm::is_large));
    if let (Some((_, head)), None) = (found, large) {
        // What it is in one piece is added again.
        (members, bytes) = (members + head.rest_len, bytes + head.rest_len);
    }
    let at = |expiring| {
        let same = large.filter(|(_, head)| head.encoding.has_expiring_fields() == expiring);
        same.map(|(record, head)| (record.page(), head.rest_at))
    };
    let hash = at(true).map(|(page, offset)| ExpiringHash::at(page, offset));
    let table = hash.map(ExpiringHash::fields).or_else(|| at(false).map(|(page, offset)| Large::at(page, offset)));
    let index = if form.expires_fields() { expiring::pages_to_put(keyspace.arena(), hash, members) } else { 0 };
    large::pages_to_put(keyspace.arena(), table, members, bytes) + index
}

/// Pages that changing when fields expire may take or copy beside those of any change.
fn pages_to_expire(
    keyspace: &Keyspace,
    found: Option<&(Ref, Head)>,
    form: MapForm,
    items: &Strings<'_>,
) -> Result<usize, &'static str> {
    let Some((record, head)) = found else { return Err("the hash whose fields expire does not exist") };
    check_form(form, Some(head))?;
    if !form.expires_fields() || items.is_empty() || !items.len().is_multiple_of(2) {
        return Err("it says of no field when that expires");
    }
    check_expiries(items.iter().skip(1).step_by(2))?;
    let view = MapView::new(keyspace.arena(), *record, head, UnixMillis(0));
    if !form.has_room(Some(&view), items) {
        return Err(TOO_LONG_FOR_ONE_PIECE);
    }
    let bytes_of = |name: &[u8]| view.get(name).map_or(0, |field| name.len() + field.value.len() as usize);
    let bytes = items.iter().step_by(2).map(|name| bytes_of(name).min(PAGE_BYTES)).sum();
    Ok(pages_of_members(keyspace, found, form, items.len() / 2, bytes))
}

fn put(keyspace: &mut Keyspace, at: &mut Located<'_>, form: MapForm, items: &Strings<'_>) {
    if form.is_large() {
        let record = make_large(keyspace, at, form);
        return put_members(keyspace, record, form, items.iter());
    }
    if form == MapForm::IntegerSet {
        return put_integers(keyspace, at, items);
    }
    let stride = form.stride();
    let mut item: [&[u8]; expiring::STRIDE] = Default::default();
    let mut each = items.iter();
    if items.len() == stride && !form.expires_fields() {
        let found = keyspace.record(at);
        if found.as_ref().is_none_or(|(_, head)| head.encoding == Encoding::PACKED) {
            item.iter_mut().zip(each).for_each(|(place, string)| *place = string);
            return keyspace.edit(at, found, form.kind(), |blob| Edit::put(blob, &item[..stride]));
        }
    }
    let mut blob = packed_of(keyspace, at, form);
    for _ in 0..items.len() / stride {
        item[..stride].iter_mut().zip(each.by_ref()).for_each(|(place, string)| *place = string);
        packed::put(&mut blob, &item[..stride]);
    }
    write(keyspace, at, form, &blob);
}

fn put_integers(keyspace: &mut Keyspace, at: &mut Located<'_>, items: &Strings<'_>) {
    let old = keyspace.record(at);
    let mut values: Vec<i64> = old.map_or_else(Vec::new, |(record, head)| {
        integers::all(head.rest(keyspace.arena().page(record.page()))).collect()
    });
    values.extend(items.iter().filter_map(parse_i64));
    values.sort_unstable();
    values.dedup();
    write(keyspace, at, MapForm::IntegerSet, &integers::pack(&values));
}

/// The members that the key has, in one piece of this form.
fn packed_of(keyspace: &Keyspace, at: &Located<'_>, form: MapForm) -> Vec<u8> {
    let Some((record, head)) = keyspace.record(at) else { return packed::empty() };
    let rest = head.rest(keyspace.arena().page(record.page()));
    match MapForm::of(&head) {
        Some(MapForm::IntegerSet) => {
            let (mut blob, mut text) = (packed::empty(), itoa::Buffer::new());
            integers::all(rest).for_each(|value| packed::put(&mut blob, &[text.format(value).as_bytes()]));
            blob
        }
        Some(MapForm::ExpiringPackedHash) => packed::copy(&rest[FIELDS_EXPIRY_BYTES..]),
        Some(MapForm::PackedHash) if form.expires_fields() => packed::widen(rest),
        _ => packed::copy(rest),
    }
}

/// Makes the key, which holds no hash table, hold `blob`; its expiry stays.
fn write(keyspace: &mut Keyspace, at: &mut Located<'_>, form: MapForm, blob: &[u8]) {
    let mut rest = Vec::new();
    let rest = if form.expires_fields() {
        rest.extend_from_slice(&expiring::first_expiry(blob).unwrap_or(0).to_le_bytes());
        rest.extend_from_slice(blob);
        &rest
    } else {
        blob
    };
    keyspace.put_rest(at, form.kind(), Form { encoding: form.encoding(), rest_len: rest.len() }, rest);
}

/// Makes the key hold a hash table of this form with the members that it has; its expiry stays. Returns its record.
fn make_large(keyspace: &mut Keyspace, at: &mut Located<'_>, form: MapForm) -> Ref {
    let old = keyspace.record(at);
    let old_form = old.as_ref().and_then(|(_, head)| MapForm::of(head));
    if let (Some((record, _)), true) = (old, old_form == Some(form)) {
        return record;
    }
    make_large_of(keyspace, at, form, old.zip(old_form))
}

/// The same for one that is not of this form yet; `old`: its record and its form.
#[cold]
fn make_large_of(
    keyspace: &mut Keyspace,
    at: &mut Located<'_>,
    form: MapForm,
    old: Option<((Ref, Head), MapForm)>,
) -> Ref {
    let mut root = [0; expiring::ROOT_BYTES];
    let blob = match old {
        Some(((record, head), MapForm::LargeHash)) => {
            let table = head.rest(keyspace.arena().page(record.page()));
            root[FIELDS_EXPIRY_BYTES..][..table.len()].copy_from_slice(table);
            packed::empty()
        }
        _ => packed_of(keyspace, at, form),
    };
    let root = if form.expires_fields() { &root[..] } else { &root[..large::ROOT_BYTES] };
    let encoding = Form { encoding: form.encoding(), rest_len: root.len() };
    let (record, _) = keyspace.put_rest(at, form.kind(), encoding, root);
    put_members(keyspace, record, form, packed::strings(&blob));
    record
}

/// Shows the members of a form among `strings`: name, value (empty in a set), and when the field expires.
#[inline(always)]
fn each_member<'a>(
    form: MapForm,
    mut strings: impl Iterator<Item = &'a [u8]>,
    mut show: impl FnMut(&'a [u8], &'a [u8], Option<u64>),
) {
    if form.expires_fields() {
        return members(strings, form.stride()).for_each(|(name, value, expiry)| show(name, value, expiry));
    }
    let is_hash = form.kind() == Kind::Hash;
    while let Some(name) = strings.next() {
        show(name, if is_hash { strings.next().unwrap_or_default() } else { &[] }, None);
    }
}

/// Adds members to the hash table of this form in the record at `record`, each with the strings that belong to it.
#[inline]
fn put_members<'a>(keyspace: &mut Keyspace, record: Ref, form: MapForm, strings: impl Iterator<Item = &'a [u8]>) {
    let arena = keyspace.arena_mut();
    let at = Head::of(arena.page(record.page()), record).rest_at;
    let (hash, large) = (ExpiringHash::at(record.page(), at), Large::at(record.page(), at));
    let has_values = form.kind() == Kind::Hash;
    each_member(form, strings, |name, value, expiry| {
        if form.expires_fields() {
            hash.put(arena, name, value, expiry);
        } else {
            large.put(arena, name, has_values.then_some(value), None);
        }
    });
    if form.expires_fields() {
        note_first_expiry(keyspace, record);
    }
}

/// Notes when the first field of a hash table expires, if fields of it may.
#[inline]
fn note_first_expiry(keyspace: &mut Keyspace, record: Ref) {
    let head = Head::of(keyspace.arena().page(record.page()), record);
    if head.encoding == Encoding::EXPIRING_TABLE {
        let index = ExpiringHash::at(record.page(), head.rest_at).index();
        let first = expiry::first(keyspace.arena(), index).map(|first| first.0);
        keyspace.set_fields_expiry(record, first);
    }
}

/// Adds members to a hash table, each with the strings that belong to it.
pub(crate) fn put_large<'a>(keyspace: &mut Keyspace, record: Ref, strings: impl Iterator<Item = &'a [u8]>) {
    let head = Head::of(keyspace.arena().page(record.page()), record);
    let form = MapForm::of(&head).expect("members are added to a set or hash");
    put_members(keyspace, record, form, strings);
}

fn expire_fields(keyspace: &mut Keyspace, at: &mut Located<'_>, form: MapForm, items: &Strings<'_>) {
    let items = members(items.iter(), 2).map(|(name, expiry, _)| (name, expiry));
    if form.is_large() {
        let record = make_large(keyspace, at, form);
        let head = Head::of(keyspace.arena().page(record.page()), record);
        let hash = ExpiringHash::at(record.page(), head.rest_at);
        for (name, expiry) in items {
            hash.expire(keyspace.arena_mut(), name, expiring::expiry_of(expiry));
        }
        return note_first_expiry(keyspace, record);
    }
    let mut blob = packed_of(keyspace, at, form);
    for (name, expiry) in items {
        if let Some(value) = packed::find(&blob, expiring::STRIDE, name).and_then(|mut field| field.nth(1)) {
            let value = value.to_vec();
            packed::put(&mut blob, &[name, &value, expiry]);
        }
    }
    write(keyspace, at, form, &blob);
}

fn remove(keyspace: &mut Keyspace, at: &mut Located<'_>, names: &Strings<'_>) {
    let (record, head) = keyspace.record(at).expect("it was looked at when the change was planned");
    let form = MapForm::of(&head).expect("it was looked at when the change was planned");
    if form.is_large() {
        if remove_large(keyspace.arena_mut(), record, &head, names) {
            keyspace.remove(at);
        } else {
            note_first_expiry(keyspace, record);
        }
        return;
    }
    if form == MapForm::IntegerSet {
        let gone: Vec<i64> = names.iter().filter_map(parse_i64).collect();
        let all = integers::all(head.rest(keyspace.arena().page(record.page())));
        let left: Vec<i64> = all.filter(|value| !gone.contains(value)).collect();
        if left.is_empty() {
            keyspace.remove(at);
        } else {
            write(keyspace, at, form, &integers::pack(&left));
        }
        return;
    }
    let mut blob = packed_of(keyspace, at, form);
    names.iter().for_each(|name| packed::remove(&mut blob, form.stride(), name));
    if packed::len(&blob) == 0 {
        keyspace.remove(at);
    } else {
        write(keyspace, at, form, &blob);
    }
}

/// Removes members from a hash table; returns whether none is left.
fn remove_large(arena: &mut Arena, record: Ref, head: &Head, names: &Strings<'_>) -> bool {
    let hash = ExpiringHash::at(record.page(), head.rest_at);
    if head.encoding == Encoding::EXPIRING_TABLE {
        names.iter().for_each(|name| hash.remove(arena, name));
        return hash.fields().len(arena) == 0;
    }
    let large = Large::at(record.page(), head.rest_at);
    names.iter().for_each(|name| {
        large.remove(arena, name);
    });
    large.len(arena) == 0
}

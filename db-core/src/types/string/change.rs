//! Changes (redo operations) of a key of type string.

use super::Patches;
use crate::arena::Ref;
use crate::clock::UnixMillis;
use crate::effect::{Family, KeyEffect, Reader, RecordError, put_bytes, put_number, put_time};
use crate::keyspace::{Keyspace, Located};
use crate::limits::VALUE_BYTES_MAX;
use crate::value::Kind;
use crate::value::paged::{self, RootAt};
use crate::value::record::{Form, Head, RecordShape};

/// What becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StringChange<'a> {
    /// The key holds this string and this expiry, whatever it held before.
    Set {
        /// At most 512 MiB.
        value: &'a [u8],
        /// When it expires, if ever.
        expire: Option<UnixMillis>,
    },
    /// The existing string is longer by this tail.
    Append {
        /// What follows.
        tail: &'a [u8],
    },
    /// The existing string holds these bytes from this offset, with zeros in a gap.
    SetRange {
        /// Of the first byte.
        offset: u64,
        /// None of them: nothing changes.
        bytes: &'a [u8],
    },
    /// The key holds zeros up to this offset and then these bytes, without an expiry, whatever it held before.
    SetAt {
        /// Of the first byte.
        offset: u64,
        /// What follows the zeros.
        bytes: &'a [u8],
    },
    /// The string is at least so long, with zeros at its end, and holds these bytes.
    Patch {
        /// The key is empty before, without an expiry, whatever it held. Otherwise there is a string.
        afresh: bool,
        /// In bytes; not 0, and no patch lies beyond.
        len: u64,
        /// What is written.
        patches: Patches<'a>,
    },
}

const FAMILY: u8 = 2;
const SET: u8 = 0;
const SET_EXPIRING: u8 = 1;
const APPEND: u8 = 2;
const SET_RANGE: u8 = 3;
const SET_AT: u8 = 4;
const PATCH: u8 = 5;
const PATCH_AFRESH: u8 = 6;

impl KeyEffect for StringChange<'_> {
    #[inline]
    fn operation(&self) -> u8 {
        FAMILY << 4
            | match self {
                StringChange::Set { expire: None, .. } => SET,
                StringChange::Set { expire: Some(_), .. } => SET_EXPIRING,
                StringChange::Append { .. } => APPEND,
                StringChange::SetRange { .. } => SET_RANGE,
                StringChange::SetAt { .. } => SET_AT,
                StringChange::Patch { afresh: false, .. } => PATCH,
                StringChange::Patch { afresh: true, .. } => PATCH_AFRESH,
            }
    }

    #[inline]
    fn bytes_max(&self) -> usize {
        const NUMBERS: usize = 20;
        let bytes = match *self {
            StringChange::Set { value: bytes, .. }
            | StringChange::Append { tail: bytes }
            | StringChange::SetRange { bytes, .. }
            | StringChange::SetAt { bytes, .. } => bytes,
            StringChange::Patch { patches, .. } => patches.bytes(),
        };
        NUMBERS + bytes.len()
    }

    #[inline(always)]
    fn encode(&self, out: &mut Vec<u8>) {
        match *self {
            StringChange::Set { value, expire } => {
                if let Some(at) = expire {
                    put_time(out, at);
                }
                put_bytes(out, value);
            }
            StringChange::Append { tail } => put_bytes(out, tail),
            StringChange::SetRange { offset, bytes } | StringChange::SetAt { offset, bytes } => {
                put_number(out, offset);
                put_bytes(out, bytes);
            }
            StringChange::Patch { len, patches, .. } => {
                put_number(out, len);
                put_bytes(out, patches.bytes());
            }
        }
    }

    #[inline(always)]
    fn pages(&self, keyspace: &Keyspace, at: &Located<'_>) -> Result<Option<usize>, &'static str> {
        let key_len = at.key().bytes.len();
        Ok(Some(match *self {
            StringChange::Set { value, .. } => pages_to_make(key_len, 0, value.len()),
            StringChange::SetAt { offset, bytes } => pages_to_make(key_len, offset, bytes.len()),
            StringChange::Append { tail } => {
                let len = len_of(keyspace, at)?;
                pages_to_write(key_len, len, len, tail.len())?
            }
            StringChange::SetRange { offset, bytes } => {
                pages_to_write(key_len, len_of(keyspace, at)?, offset, bytes.len())?
            }
            StringChange::Patch { afresh, len, patches } => {
                let old = if afresh { 0 } else { len_of(keyspace, at)? };
                pages_to_patch(key_len, old, old.max(len), patches)
            }
        }))
    }

    #[inline(always)]
    fn apply(&self, keyspace: &mut Keyspace, at: &mut Located<'_>) {
        match *self {
            StringChange::Set { value, expire } => set(keyspace, at, value, expire),
            StringChange::Append { tail } => {
                let len = len_of(keyspace, at).expect("it was looked at when the change was planned");
                write(keyspace, at, len, tail);
            }
            StringChange::SetRange { offset, bytes } => write(keyspace, at, offset, bytes),
            StringChange::SetAt { offset, bytes } => {
                make(keyspace, at, offset + bytes.len() as u64, None);
                write(keyspace, at, offset, bytes);
            }
            StringChange::Patch { afresh, len, patches } => {
                if afresh {
                    make(keyspace, at, len, None);
                } else if len_of(keyspace, at).is_ok_and(|old| old < len) {
                    write(keyspace, at, len - 1, &[0]);
                }
                patches.each(|offset, bytes| write(keyspace, at, offset, bytes));
            }
        }
    }
}

impl<'a> Family<'a> for StringChange<'a> {
    const NUMBER: u8 = FAMILY;

    fn decode(operation: u8, from: &mut Reader<'a>) -> Result<Option<StringChange<'a>>, RecordError> {
        Ok(Some(match operation {
            SET => StringChange::Set { value: from.value()?, expire: None },
            SET_EXPIRING => {
                let expire = Some(from.time()?);
                StringChange::Set { value: from.value()?, expire }
            }
            APPEND => StringChange::Append { tail: from.value()? },
            SET_RANGE | SET_AT => {
                let (offset, bytes) = (from.number()?, from.value()?);
                if offset > VALUE_BYTES_MAX - bytes.len() as u64 {
                    return Err(RecordError::TooLong);
                }
                if operation == SET_AT {
                    StringChange::SetAt { offset, bytes }
                } else {
                    StringChange::SetRange { offset, bytes }
                }
            }
            PATCH | PATCH_AFRESH => {
                let (len, bytes) = (from.number()?, from.value()?);
                if len > VALUE_BYTES_MAX {
                    return Err(RecordError::TooLong);
                }
                if len == 0 {
                    return Err(RecordError::NotCanonical);
                }
                let patches = Patches::read(bytes, len)?;
                StringChange::Patch { afresh: operation == PATCH_AFRESH, len, patches }
            }
            _ => return Ok(None),
        }))
    }
}

fn len_of(keyspace: &Keyspace, at: &Located<'_>) -> Result<u64, &'static str> {
    let entry = keyspace.entry(at).ok_or("the string that it changes does not exist")?;
    if entry.kind() == Kind::String { Ok(entry.value().len()) } else { Err("what it changes is no string") }
}

/// Pages of large values that a new string may take: zeros up to `offset`, and then `bytes` bytes.
pub(crate) fn pages_to_make(key_len: usize, offset: u64, bytes: usize) -> usize {
    let paged = Form::of(key_len, offset + bytes as u64).is_paged();
    if paged { paged::PAGES_TO_GROW + paged::pages_to_write(bytes) } else { 0 }
}

/// Pages of large values that writing `bytes` bytes to a string of `len` may take or copy.
fn pages_to_write(key_len: usize, len: u64, offset: u64, bytes: usize) -> Result<usize, &'static str> {
    let end = offset.saturating_add(bytes as u64);
    if end > VALUE_BYTES_MAX {
        return Err("the string would be longer than the limit");
    }
    if !Form::of(key_len, len.max(end)).is_paged() {
        return Ok(0);
    }
    // What was in the record becomes pages.
    let moved = if Form::of(key_len, len).is_paged() { 0 } else { paged::pages_to_write(len as usize) };
    Ok(paged::PAGES_TO_GROW + moved + paged::pages_to_write(bytes))
}

/// Pages of large values that patching a string of `old` bytes, which becomes `new` bytes long, may take or copy.
fn pages_to_patch(key_len: usize, old: u64, new: u64, patches: Patches<'_>) -> usize {
    if !Form::of(key_len, new).is_paged() {
        return 0;
    }
    let moved = if Form::of(key_len, old).is_paged() { 0 } else { paged::pages_to_write(old as usize) };
    let mut written = 0;
    patches.each(|_, bytes| written += paged::pages_to_write(bytes.len()));
    paged::PAGES_TO_GROW + moved + written.min(paged::pages_to_write(new as usize))
}

/// Sets the key to `value`, whatever it held.
#[inline]
fn set(keyspace: &mut Keyspace, at: &mut Located<'_>, value: &[u8], expire: Option<UnixMillis>) {
    let form = Form::of(at.key().bytes.len(), value.len() as u64);
    if form.is_paged() {
        make(keyspace, at, value.len() as u64, expire);
        write(keyspace, at, 0, value);
        return;
    }
    let (record, head) = keyspace
        .replace(at, RecordShape { kind: Kind::String, form, expiry: expire.map(|at| at.0), fields_expiry: None });
    keyspace.arena_mut().page_mut(record.page()).bytes_mut(head.rest_at, value.len()).copy_from_slice(value);
}

/// Makes the key hold `len` zeros, whatever it held.
pub(crate) fn make(keyspace: &mut Keyspace, at: &mut Located<'_>, len: u64, expire: Option<UnixMillis>) {
    let form = Form::of(at.key().bytes.len(), len);
    let (record, head) = keyspace
        .replace(at, RecordShape { kind: Kind::String, form, expiry: expire.map(|at| at.0), fields_expiry: None });
    if form.is_paged() {
        paged::create(keyspace.arena_mut(), RootAt { page: record.page(), offset: head.rest_at }, len);
    } else {
        keyspace.arena_mut().page_mut(record.page()).bytes_mut(head.rest_at, form.rest_len).fill(0);
    }
}

/// Overwrites the key's string from `offset`, filling a gap with zeros.
pub(crate) fn write(keyspace: &mut Keyspace, at: &mut Located<'_>, offset: u64, bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    let (record, head) = keyspace.record(at).expect("the caller has looked at the string");
    let page = keyspace.arena().page(record.page());
    let old = if head.is_paged() { paged::Root::new(head.rest(page)).len() } else { head.rest_len as u64 };
    let new = old.max(offset + bytes.len() as u64);
    let form = Form::of(head.key_len, new);
    if form.is_paged() {
        write_paged(keyspace, at, (record, head), (form, new), offset, bytes);
    } else {
        write_inline(keyspace, at, (record, head), form, offset as usize, bytes);
    }
}

fn write_inline(
    keyspace: &mut Keyspace,
    at: &mut Located<'_>,
    (record, old): (Ref, Head),
    form: Form,
    offset: usize,
    bytes: &[u8],
) {
    let keep = old.rest_at + old.rest_len - record.offset();
    let (record, head) =
        keyspace.reshape(at, RecordShape { kind: old.kind, form, expiry: old.expiry, fields_expiry: None }, keep);
    let value = keyspace.arena_mut().page_mut(record.page()).bytes_mut(head.rest_at, form.rest_len);
    if offset > old.rest_len {
        value[old.rest_len..offset].fill(0);
    }
    value[offset..offset + bytes.len()].copy_from_slice(bytes);
}

fn write_paged(
    keyspace: &mut Keyspace,
    at: &mut Located<'_>,
    (record, old): (Ref, Head),
    (form, len): (Form, u64),
    offset: u64,
    bytes: &[u8],
) {
    let page = keyspace.arena().page(record.page());
    let inline = if old.is_paged() { Vec::new() } else { old.rest(page).to_vec() };
    let keep = if old.is_paged() { old.rest_at + old.rest_len - record.offset() } else { 0 };
    let (record, head) =
        keyspace.reshape(at, RecordShape { kind: old.kind, form, expiry: old.expiry, fields_expiry: None }, keep);
    let root = RootAt { page: record.page(), offset: head.rest_at };
    let arena = keyspace.arena_mut();
    if old.is_paged() {
        paged::grow(arena, root, len);
    } else {
        paged::create(arena, root, len);
        paged::write(arena, root, 0, &inline);
    }
    paged::write(arena, root, offset, bytes);
}

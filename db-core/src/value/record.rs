//! The key record: key, value and metadata, to which an entry of the key table points.
//!
//! ```text
//!   0  kind u8 (low 4 bits), flags (bit 4: has an expiry)
//!   1  encoding u8: see [`Encoding`]
//!   2  key length u16
//!   4  length u16 of what follows the key: the value, or the root of what holds it
//!   6  physical number of its database u8
//!   7  reserved u8, zero
//!   8  expiry u64 in Unix milliseconds, if flagged
//!      key, then value or root, unaligned
//! ```
//!
//! 8 bytes beside key and value: a 16-byte key with a 100-byte value takes a slot of 128.

use crate::arena::{Page, Ref};
use crate::ids::DatabaseId;
use crate::limits::KEY_BYTES_MAX;
use crate::structure::slab::SLOT_BYTES_MAX;

use super::paged;

const KIND: usize = 0;
const ENCODING: usize = 1;
const KEY_LEN: usize = 2;
const REST_LEN: usize = 4;
const DATABASE: usize = 6;
const RESERVED: usize = 7;
const EXPIRY: usize = 8;
const HEADER_BYTES: usize = 8;
const EXPIRY_BYTES: usize = 8;

const KIND_MASK: u8 = 0x0f;
const HAS_EXPIRY: u8 = 0x10;
const _: () = assert!(HEADER_BYTES + EXPIRY_BYTES + KEY_BYTES_MAX + paged::ROOT_BYTES_MAX <= SLOT_BYTES_MAX);

/// What a key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A string of bytes.
    String = 1,
    /// A set of strings.
    Set = 2,
    /// Fields, each with a value.
    Hash = 3,
    /// Elements by position.
    List = 4,
    /// Members with scores.
    SortedSet = 5,
    /// Entries with ids, and groups of consumers.
    Stream = 6,
}

impl Kind {
    #[inline]
    pub(crate) fn from_bits(bits: u8) -> Option<Kind> {
        match bits {
            1 => Some(Kind::String),
            2 => Some(Kind::Set),
            3 => Some(Kind::Hash),
            4 => Some(Kind::List),
            5 => Some(Kind::SortedSet),
            6 => Some(Kind::Stream),
            _ => None,
        }
    }

    /// Returns the name that clients know: that which TYPE replies.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Kind::String => "string",
            Kind::Set => "set",
            Kind::Hash => "hash",
            Kind::List => "list",
            Kind::SortedSet => "zset",
            Kind::Stream => "stream",
        }
    }
}

/// How a record holds its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Encoding(pub(crate) u8);

impl Encoding {
    /// A string: its bytes as they are.
    pub(crate) const RAW: Encoding = Encoding(0);
    /// A string: the root of its pages (`value/paged.rs`).
    pub(crate) const PAGED: Encoding = Encoding(1);
    /// A collection: all of it in one piece (`value/packed.rs`).
    pub(crate) const PACKED: Encoding = Encoding(2);
    /// A set of integers in one piece (`value/map/integers.rs`).
    pub(crate) const INTEGERS: Encoding = Encoding(3);
    /// A set or hash: the root of a hash table (`value/map/root.rs`).
    pub(crate) const TABLE: Encoding = Encoding(4);
    /// A list: the root of a tree (`value/list.rs`).
    pub(crate) const TREE: Encoding = Encoding(5);
    /// A sorted set: the root of a hash table and a tree (`value/sorted.rs`).
    pub(crate) const SORTED: Encoding = Encoding(6);
    /// A hash with fields that may expire: when the first one does, then all of it in one piece (`value/packed.rs`).
    pub(crate) const EXPIRING_PACKED: Encoding = Encoding(7);
    /// A hash with fields that may expire: when the first one does, then the roots of a hash table and an expiry index
    /// (`value/map/expiring.rs`).
    pub(crate) const EXPIRING_TABLE: Encoding = Encoding(8);
    /// A stream: the root of two trees, then its last node (`value/stream/mod.rs`).
    pub(crate) const STREAM: Encoding = Encoding(9);

    /// Whether values of a kind have it.
    pub(crate) const fn is_of(self, kind: Kind) -> bool {
        match kind {
            Kind::String => matches!(self, Encoding::RAW | Encoding::PAGED),
            Kind::Set => matches!(self, Encoding::PACKED | Encoding::INTEGERS | Encoding::TABLE),
            Kind::Hash => {
                let expiring = matches!(self, Encoding::EXPIRING_PACKED | Encoding::EXPIRING_TABLE);
                expiring || matches!(self, Encoding::PACKED | Encoding::TABLE)
            }
            Kind::List => matches!(self, Encoding::PACKED | Encoding::TREE),
            Kind::SortedSet => matches!(self, Encoding::PACKED | Encoding::SORTED),
            Kind::Stream => matches!(self, Encoding::STREAM),
        }
    }

    /// Whether what follows the key begins with the time u64 at which the first field expires (0: none does).
    #[inline]
    pub(crate) const fn has_expiring_fields(self) -> bool {
        matches!(self, Encoding::EXPIRING_PACKED | Encoding::EXPIRING_TABLE)
    }
}

/// A record's header with the places of its parts, as byte offsets within its page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) kind: Kind,
    pub(crate) database: DatabaseId,
    pub(crate) encoding: Encoding,
    pub(crate) expiry: Option<u64>,
    pub(crate) key_at: usize,
    pub(crate) key_len: usize,
    pub(crate) rest_at: usize,
    pub(crate) rest_len: usize,
}

impl Head {
    /// The header of the record at `offset`; an error if it is none.
    #[inline]
    pub(crate) fn read(page: &Page, offset: usize) -> Result<Head, &'static str> {
        let first = page.u8_at(offset + KIND);
        let Some(kind) = Kind::from_bits(first & KIND_MASK) else { return Err("a record is of no known kind") };
        let has_expiry = first & HAS_EXPIRY != 0;
        let key_at = offset + HEADER_BYTES + if has_expiry { EXPIRY_BYTES } else { 0 };
        let key_len = page.u16_at(offset + KEY_LEN) as usize;
        Ok(Head {
            kind,
            database: DatabaseId(page.u8_at(offset + DATABASE)),
            encoding: Encoding(page.u8_at(offset + ENCODING)),
            expiry: has_expiry.then(|| page.u64_at(offset + EXPIRY)),
            key_at,
            key_len,
            rest_at: key_at + key_len,
            rest_len: page.u16_at(offset + REST_LEN) as usize,
        })
    }

    /// The header of a record of our own.
    #[inline]
    pub(crate) fn of(page: &Page, at: Ref) -> Head {
        Head::read(page, at.offset()).expect("the index leads to records")
    }

    /// Bytes of the whole record, which is in the smallest slot that has room for them.
    #[inline]
    pub(crate) fn record_bytes(&self) -> usize {
        self.form().record_bytes(self.key_len, self.expiry.is_some())
    }

    /// Whether it is a string in pages.
    #[inline]
    pub(crate) fn is_paged(&self) -> bool {
        self.encoding == Encoding::PAGED
    }

    /// When the first of its fields expires, if any does.
    #[inline]
    pub(crate) fn fields_expiry(&self, page: &Page) -> Option<u64> {
        fields_expiry(self.encoding, self.rest(page))
    }

    /// What the expiry index says of it: when it or the first of its fields expires.
    #[inline]
    pub(crate) fn first_expiry(&self, page: &Page) -> Option<u64> {
        first_of(self.expiry, self.fields_expiry(page))
    }

    /// Its shape.
    pub(crate) fn shape(&self, page: &Page) -> RecordShape {
        let fields_expiry = self.fields_expiry(page);
        RecordShape { kind: self.kind, form: self.form(), expiry: self.expiry, fields_expiry }
    }

    /// The form of its rest.
    #[inline]
    pub(crate) fn form(&self) -> Form {
        Form { encoding: self.encoding, rest_len: self.rest_len }
    }

    pub(crate) fn key<'a>(&self, page: &'a Page) -> &'a [u8] {
        page.bytes(self.key_at, self.key_len)
    }

    pub(crate) fn rest<'a>(&self, page: &'a Page) -> &'a [u8] {
        page.bytes(self.rest_at, self.rest_len)
    }
}

/// Bytes of the time at which the first field expires, before all else that follows the key.
pub(crate) const FIELDS_EXPIRY_BYTES: usize = 8;

/// When the first field expires, as `rest`, all that follows the key, says it.
#[inline]
pub(crate) fn fields_expiry(encoding: Encoding, rest: &[u8]) -> Option<u64> {
    let time = rest.first_chunk().filter(|_| encoding.has_expiring_fields()).map(|time| u64::from_le_bytes(*time));
    time.filter(|time| *time != 0)
}

#[inline]
const fn first_of(expiry: Option<u64>, fields: Option<u64>) -> Option<u64> {
    match (expiry, fields) {
        (Some(expiry), Some(fields)) => Some(if expiry < fields { expiry } else { fields }),
        (Some(time), None) | (None, Some(time)) => Some(time),
        (None, None) => None,
    }
}

/// Whether the record at `at` is that of `key`.
#[inline]
pub(crate) fn is_of(page: &Page, at: Ref, key: &[u8]) -> bool {
    let offset = at.offset();
    let head: &[u8; HEADER_BYTES] = page.array(offset);
    if u16::from_le_bytes([head[KEY_LEN], head[KEY_LEN + 1]]) as usize != key.len() {
        return false;
    }
    let key_at = offset + HEADER_BYTES + if head[KIND] & HAS_EXPIRY != 0 { EXPIRY_BYTES } else { 0 };
    page.bytes(key_at, key.len()) == key
}

/// Whether the header at `offset` is that of a record of `database`, with nothing in it that is unknown.
pub(crate) fn is_in(page: &Page, offset: usize, database: DatabaseId) -> bool {
    let head: &[u8; HEADER_BYTES] = page.array(offset);
    let flags = head[KIND] & !(KIND_MASK | HAS_EXPIRY);
    flags == 0 && head[DATABASE] == database.0 && head[RESERVED] == 0
}

/// Changes the database of the record at `at`.
pub(crate) fn put_database(page: &mut Page, at: Ref, database: DatabaseId) {
    page.put_u8(at.offset() + DATABASE, database.0);
}

/// Changes the expiry of the record at `at`, which has one.
pub(crate) fn put_expiry(page: &mut Page, at: Ref, expiry: u64) {
    page.put_u64(at.offset() + EXPIRY, expiry);
}

/// How a value stands in its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Form {
    pub(crate) encoding: Encoding,
    /// Bytes after the key.
    pub(crate) rest_len: usize,
}

impl Form {
    /// The form that a string of a length takes beside a key of a length.
    #[inline]
    pub(crate) fn of(key_len: usize, value_len: u64) -> Form {
        // The expiry counts whether it is there or not: coming and going it never changes the form.
        if value_len > (SLOT_BYTES_MAX - HEADER_BYTES - EXPIRY_BYTES - key_len) as u64 {
            Form { encoding: Encoding::PAGED, rest_len: paged::root_bytes(value_len) }
        } else {
            Form { encoding: Encoding::RAW, rest_len: value_len as usize }
        }
    }

    #[inline]
    pub(crate) fn is_paged(self) -> bool {
        self.encoding == Encoding::PAGED
    }

    /// Bytes of the whole record.
    #[inline]
    pub(crate) fn record_bytes(self, key_len: usize, has_expiry: bool) -> usize {
        HEADER_BYTES + if has_expiry { EXPIRY_BYTES } else { 0 } + key_len + self.rest_len
    }
}

/// What a record's header says beside key and database.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecordShape {
    pub(crate) kind: Kind,
    pub(crate) form: Form,
    pub(crate) expiry: Option<u64>,
    /// When the first of its fields expires, which its rest will say.
    pub(crate) fields_expiry: Option<u64>,
}

impl RecordShape {
    /// What the expiry index says of it.
    #[inline]
    pub(crate) const fn first_expiry(&self) -> Option<u64> {
        first_of(self.expiry, self.fields_expiry)
    }

    /// Bytes of the whole record.
    #[inline]
    pub(crate) fn record_bytes(&self, key_len: usize) -> usize {
        self.form.record_bytes(key_len, self.expiry.is_some())
    }
}

/// Changes the number of bytes behind the key of the record at `at`.
#[inline]
pub(crate) fn put_rest_len(page: &mut Page, at: Ref, rest_len: usize) {
    page.put_u16(at.offset() + REST_LEN, rest_len as u16);
}

/// Changes the shape of a record with the header `old`, whose expiry it neither gets nor loses; returns its new header.
#[inline]
pub(crate) fn change_shape(page: &mut Page, at: Ref, old: &Head, shape: RecordShape) -> Head {
    let RecordShape { kind, form, expiry, .. } = shape;
    let offset = at.offset();
    page.put_u8(offset + KIND, first_byte(shape));
    page.put_u8(offset + ENCODING, form.encoding.0);
    page.put_u16(offset + REST_LEN, form.rest_len as u16);
    if let Some(expiry) = expiry {
        page.put_u64(offset + EXPIRY, expiry);
    }
    Head { kind, encoding: form.encoding, expiry, rest_len: form.rest_len, ..*old }
}

fn first_byte(shape: RecordShape) -> u8 {
    let has_expiry = if shape.expiry.is_some() { HAS_EXPIRY } else { 0 };
    shape.kind as u8 | has_expiry
}

/// Writes header and key; the rest is left as it is.
#[inline]
pub(crate) fn write_head(page: &mut Page, at: Ref, shape: RecordShape, database: DatabaseId, key: &[u8]) -> Head {
    let RecordShape { kind, form, expiry, .. } = shape;
    let offset = at.offset();
    let head: &mut [u8; HEADER_BYTES] = page.array_mut(offset);
    head.fill(0);
    head[KIND] = first_byte(shape);
    head[ENCODING] = form.encoding.0;
    head[DATABASE] = database.0;
    head[KEY_LEN..KEY_LEN + 2].copy_from_slice(&(key.len() as u16).to_le_bytes());
    head[REST_LEN..REST_LEN + 2].copy_from_slice(&(form.rest_len as u16).to_le_bytes());
    let mut key_at = offset + HEADER_BYTES;
    if let Some(expiry) = expiry {
        page.put_u64(offset + EXPIRY, expiry);
        key_at += EXPIRY_BYTES;
    }
    page.bytes_mut(key_at, key.len()).copy_from_slice(key);
    Head {
        kind,
        database,
        encoding: form.encoding,
        expiry,
        key_at,
        key_len: key.len(),
        rest_at: key_at + key.len(),
        rest_len: form.rest_len,
    }
}

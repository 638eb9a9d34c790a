//! How a key holds a set or a hash.

use crate::arena::Pages;
use crate::effect::Strings;
use crate::value::Kind;
use crate::value::map::{self, MapView, expiring, integers};
use crate::value::number::parse_i64;
use crate::value::packed;
use crate::value::record::{Encoding, Head};

/// What a key holds and how. Its number stands in records of the log, where 5 is another change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    /// A hash in one piece with fields that may expire: a field's value is followed by the time u64 in Unix milliseconds,
    /// little-endian, or by no bytes if it does not expire.
    ExpiringPackedHash = 6,
    /// The same in a hash table.
    ExpiringLargeHash = 7,
}

impl MapForm {
    const ALL: [MapForm; 7] = [
        MapForm::IntegerSet,
        MapForm::PackedSet,
        MapForm::LargeSet,
        MapForm::PackedHash,
        MapForm::LargeHash,
        MapForm::ExpiringPackedHash,
        MapForm::ExpiringLargeHash,
    ];

    /// Returns the type of value.
    #[must_use]
    pub const fn kind(self) -> Kind {
        match self {
            MapForm::IntegerSet | MapForm::PackedSet | MapForm::LargeSet => Kind::Set,
            _ => Kind::Hash,
        }
    }

    /// Returns the number of strings that belong to a member, itself among them.
    #[must_use]
    pub const fn stride(self) -> usize {
        if self.expires_fields() { expiring::STRIDE } else { map::stride(self.kind()) }
    }

    /// Whether so many strings are members as a whole; without the division that the number of strings of a member would take.
    pub(super) const fn is_of_members(self, strings: usize) -> bool {
        match self.stride() {
            1 => true,
            2 => strings.is_multiple_of(2),
            _ => strings.is_multiple_of(expiring::STRIDE),
        }
    }

    /// Returns whether it has fields that may expire.
    #[must_use]
    pub const fn expires_fields(self) -> bool {
        matches!(self, MapForm::ExpiringPackedHash | MapForm::ExpiringLargeHash)
    }

    pub(super) const fn is_large(self) -> bool {
        matches!(self, MapForm::LargeSet | MapForm::LargeHash | MapForm::ExpiringLargeHash)
    }

    pub(super) const fn encoding(self) -> Encoding {
        match self {
            MapForm::IntegerSet => Encoding::INTEGERS,
            MapForm::PackedSet | MapForm::PackedHash => Encoding::PACKED,
            MapForm::LargeSet | MapForm::LargeHash => Encoding::TABLE,
            MapForm::ExpiringPackedHash => Encoding::EXPIRING_PACKED,
            MapForm::ExpiringLargeHash => Encoding::EXPIRING_TABLE,
        }
    }

    pub(super) fn from_number(number: u8) -> Option<MapForm> {
        MapForm::ALL.into_iter().find(|form| *form as u8 == number)
    }

    /// The form of what the record with the header `head` holds; `None`: it is no set or hash.
    #[inline]
    pub(super) fn of(head: &Head) -> Option<MapForm> {
        Some(match (head.kind, head.encoding) {
            (Kind::Set, Encoding::INTEGERS) => MapForm::IntegerSet,
            (Kind::Set, Encoding::PACKED) => MapForm::PackedSet,
            (Kind::Set, Encoding::TABLE) => MapForm::LargeSet,
            (Kind::Hash, Encoding::PACKED) => MapForm::PackedHash,
            (Kind::Hash, Encoding::TABLE) => MapForm::LargeHash,
            (Kind::Hash, Encoding::EXPIRING_PACKED) => MapForm::ExpiringPackedHash,
            (Kind::Hash, Encoding::EXPIRING_TABLE) => MapForm::ExpiringLargeHash,
            _ => return None,
        })
    }

    /// Whether one of the form `old` may become one of this form: it never becomes smaller, and fields that may expire stay such.
    #[inline]
    #[must_use]
    pub fn may_follow(self, old: MapForm) -> bool {
        let grows = match self {
            MapForm::IntegerSet => old == MapForm::IntegerSet,
            _ => self.is_large() || !old.is_large(),
        };
        self.kind() == old.kind() && grows && (self.expires_fields() || !old.expires_fields())
    }

    /// Whether `items` can be added to what `old` is, none or a set or hash that [may become](Self::may_follow) one of this form, so that
    /// it is in this form then: the bytes in one piece are bounded.
    #[must_use]
    pub fn has_room(self, old: Option<&MapView<'_, impl Pages>>, items: &Strings<'_>) -> bool {
        self.has_room_for(old, items, items.iter().map(|item| packed::string_bytes(item.len())).sum())
    }

    /// The same for items that take `bytes` bytes in one piece.
    #[inline]
    pub(super) fn has_room_for(self, old: Option<&MapView<'_, impl Pages>>, items: &Strings<'_>, bytes: usize) -> bool {
        match self {
            MapForm::LargeSet | MapForm::LargeHash | MapForm::ExpiringLargeHash => true,
            MapForm::IntegerSet => {
                let count = old.map_or(0, MapView::len) as usize + items.len();
                integers::bytes_max(count) <= packed::BYTES_MAX && items.iter().all(|item| parse_i64(item).is_some())
            }
            _ => old.map_or(packed::EMPTY_BYTES, |old| old.packed_bytes(self.stride())) + bytes <= packed::BYTES_MAX,
        }
    }
}

//! Members of large collections, whose memory is asked for before they are needed.

use smallvec::SmallVec;

use crate::arena::{Arena, Ref};
use crate::structure::table::{self, TableAt, Target};

use super::map::Large;
use super::map::large::tag_of;
use super::record::{Encoding, Head};
use super::sorted::{LargeSorted, MemberPlace};

/// Members asked for together without an allocation.
const MEMBERS: usize = 32;

/// A large collection of members by name.
#[derive(Clone, Copy, Debug)]
pub(crate) enum LargeMembers {
    /// A hash or a set.
    Map(Large),
    /// A sorted set.
    Sorted(LargeSorted),
}

impl LargeMembers {
    /// The collection in the record at `at`, if it is a large one.
    pub(crate) fn in_record(arena: &Arena, at: Ref) -> Option<LargeMembers> {
        let head = Head::of(arena.page(at.page()), at);
        match head.encoding {
            Encoding::TABLE => Some(LargeMembers::Map(Large::at(at.page(), head.rest_at))),
            Encoding::SORTED => Some(LargeMembers::Sorted(LargeSorted::at(at.page(), head.rest_at))),
            _ => None,
        }
    }

    /// Prefetches the buckets of all `members`, and then what stands there. A hint: it waits for the buckets only.
    pub(crate) fn prefetch<'m>(self, arena: &Arena, members: impl Iterator<Item = &'m [u8]>) {
        let tags: SmallVec<[u32; MEMBERS]> = members.map(|name| tag_of(arena, name)).collect();
        match self {
            LargeMembers::Map(map) => prefetch(arena, map.table(), &tags, Some),
            LargeMembers::Sorted(sorted) => prefetch(arena, sorted.table(), &tags, MemberPlace::slot),
        }
    }
}

fn prefetch<T: Target>(arena: &Arena, table: TableAt<T>, tags: &[u32], slot: impl Fn(T) -> Option<Ref>) {
    tags.iter().for_each(|tag| table::prefetch(arena, table, *tag));
    for tag in tags {
        table::likely(arena, table, *tag, |target| {
            if let Some(at) = slot(target) {
                arena.prefetch(at.page(), at.offset());
                arena.prefetch(at.page(), at.offset() + 64);
            }
        });
    }
}

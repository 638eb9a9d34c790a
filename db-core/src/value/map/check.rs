//! The proof that bytes which may be damaged are a set or hash.

use crate::arena::{Pages, Ref};
use crate::ids::PageId;
use crate::structure::table::{self, Inspector};
use crate::value::Kind;
use crate::value::entry::{CollectionInspector, SlotEntry, check_entry};
use crate::value::record::{Encoding, Head};

use super::large::{Large, tag_of};
use super::{integers, stride};
use crate::value::packed;

type Verdict = Result<(), &'static str>;

/// Checks the set or hash in the record at `at`.
pub(crate) fn check(pages: &impl Pages, at: Ref, head: &Head, inspector: &mut impl CollectionInspector) -> Verdict {
    let rest = head.rest(pages.page(at.page()));
    match head.encoding {
        Encoding::PACKED => packed::check(rest, stride(head.kind)),
        Encoding::INTEGERS => integers::check(rest),
        _ if rest.len() != super::large::ROOT_BYTES => Err("the root of a collection has a wrong length"),
        _ => check_large(pages, Large::at(at.page(), head.rest_at), head.kind, false, inspector),
    }
}

/// Checks a large one; `draining`: it waits to be reclaimed.
pub(crate) fn check_large(
    pages: &impl Pages,
    large: Large,
    kind: Kind,
    draining: bool,
    inspector: &mut impl CollectionInspector,
) -> Verdict {
    if !large.is_clean(pages) || (!draining && table::is_draining(pages, large.table())) {
        return Err("the root of a collection is malformed");
    }
    if !draining && large.len(pages) == 0 {
        return Err("a collection has no member");
    }
    if let Some(heap) = large.own_heap(pages) {
        inspector.heap(heap, draining)?;
    }
    let mut entries = Entries { pages, bare: kind == Kind::Set, inspector, bytes: 0 };
    table::check(pages, large.table(), &mut entries)?;
    let counted = entries.bytes;
    if draining || counted == large.entry_bytes(pages) { Ok(()) } else { Err("a collection counts its bytes wrong") }
}

struct Entries<'a, P, I> {
    pages: &'a P,
    bare: bool,
    inspector: &'a mut I,
    bytes: u64,
}

impl<P: Pages, I: CollectionInspector> Inspector for Entries<'_, P, I> {
    fn page(&mut self, id: PageId) -> bool {
        self.inspector.page(id)
    }

    fn slot(&mut self, at: Ref, bytes: usize) -> Verdict {
        self.inspector.slot(at, &mut |_| Ok(bytes))
    }

    fn entries(&mut self, mut entries: Vec<(u32, Ref)>) -> Verdict {
        for (tag, at) in &entries {
            let entry = check_entry(self.pages, *at, self.bare, self.inspector)?;
            let page = self.pages.page(at.page());
            if tag_of(self.pages, entry.name(page)) != *tag {
                return Err("an entry is not where its name belongs");
            }
            self.bytes += entry.memory_bytes(page);
        }
        entries.sort_unstable();
        let name = |at: Ref| {
            let page = self.pages.page(at.page());
            SlotEntry::read(page, at).name(page)
        };
        let twice = entries.chunk_by(|a, b| a.0 == b.0).any(|same| {
            same.iter().enumerate().any(|(index, a)| same[index + 1..].iter().any(|b| name(a.1) == name(b.1)))
        });
        if twice { Err("a member is there twice") } else { Ok(()) }
    }
}

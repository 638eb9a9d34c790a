//! The proof that bytes which may be damaged are a set or hash.

use crate::arena::{Page, Pages, Ref};
use crate::ids::PageId;
use crate::structure::expiry;
use crate::structure::table::{self, Inspector};
use crate::value::Kind;
use crate::value::entry::{CollectionInspector, EntryContent, SlotEntry, check_entry};
use crate::value::record::{self, Encoding, Head};

use super::expiring::{self, ExpiringHash, expiry_of};
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
        Encoding::EXPIRING_PACKED => check_expiring_packed(head, rest),
        Encoding::EXPIRING_TABLE if rest.len() != expiring::ROOT_BYTES => Err("the root of a hash has a wrong length"),
        Encoding::EXPIRING_TABLE => check_expiring(pages, ExpiringHash::at(at.page(), head.rest_at), false, inspector),
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
    let content = if kind == Kind::Set { EntryContent::Name } else { EntryContent::Value };
    check_entries(pages, large, content, draining, inspector, &mut |_, _, _| Ok(()))
}

/// Checks a hash in one piece with fields that may expire.
fn check_expiring_packed(head: &Head, rest: &[u8]) -> Verdict {
    let Some((_, blob)) = rest.split_at_checked(record::FIELDS_EXPIRY_BYTES) else {
        return Err("a hash with fields that expire is cut off");
    };
    packed::check(blob, expiring::STRIDE)?;
    let mut expiries = packed::strings(blob).skip(2).step_by(expiring::STRIDE);
    if !expiries.all(|expiry| expiry.is_empty() || expiry_of(expiry).is_some()) {
        return Err("the expiry of a field is malformed");
    }
    let first = expiring::first_expiry(blob);
    if record::fields_expiry(head.encoding, rest) == first { Ok(()) } else { Err(FIRST_EXPIRY) }
}

const FIRST_EXPIRY: &str = "a hash does not know which of its fields expires first";

/// Checks a large hash with fields that may expire; `draining`: it waits to be reclaimed.
pub(crate) fn check_expiring(
    pages: &impl Pages,
    hash: ExpiringHash,
    draining: bool,
    inspector: &mut impl CollectionInspector,
) -> Verdict {
    let mut expected = Vec::new();
    check_entries(pages, hash.fields(), EntryContent::ValueAndExpiry, draining, inspector, &mut |at, entry, page| {
        expected.extend(entry.expiry(page).map(|time| (time, at)));
        Ok(())
    })?;
    expected.sort_unstable();
    if draining {
        // The index is given up before the fields, from the end on.
        expected.truncate(expiry::len(pages, hash.index()) as usize);
    } else if hash.first_expiry(pages) != expected.first().map(|first| first.0) {
        return Err(FIRST_EXPIRY);
    }
    let mut next = expected.iter();
    expiry::check(pages, hash.index(), &mut |id| inspector.page(id), &mut |item| match next.next() {
        Some(there) if *there == item => Ok(()),
        _ => Err("the fields of a hash and their expiry index disagree"),
    })?;
    if next.next().is_some() { Err("a field is missing in the expiry index") } else { Ok(()) }
}

/// The same for one whose entries have this content; `visit` gets each entry.
pub(in crate::value) fn check_entries(
    pages: &impl Pages,
    large: Large,
    content: EntryContent,
    draining: bool,
    inspector: &mut impl CollectionInspector,
    visit: &mut dyn FnMut(Ref, &SlotEntry, &Page) -> Verdict,
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
    let mut entries = Entries { pages, content, inspector, visit, bytes: 0 };
    table::check(pages, large.table(), &mut entries)?;
    let counted = entries.bytes;
    if draining || counted == large.entry_bytes(pages) { Ok(()) } else { Err("a collection counts its bytes wrong") }
}

struct Entries<'a, P, I> {
    pages: &'a P,
    content: EntryContent,
    inspector: &'a mut I,
    visit: &'a mut dyn FnMut(Ref, &SlotEntry, &Page) -> Verdict,
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
            let entry = check_entry(self.pages, *at, self.content, self.inspector)?;
            let page = self.pages.page(at.page());
            if tag_of(self.pages, entry.name(page)) != *tag {
                return Err("an entry is not where its name belongs");
            }
            self.bytes += entry.memory_bytes(page);
            (self.visit)(*at, &entry, page)?;
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

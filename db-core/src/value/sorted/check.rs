//! The proof that bytes which may be damaged are a sorted set.

use crate::arena::{Pages, Ref};
use crate::ids::PageId;
use crate::structure::table::{self, Inspector};
use crate::value::entry::{CollectionInspector, EntryContent, check_entry};
use crate::value::map::large::tag_of;
use crate::value::packed;
use crate::value::record::{Encoding, Head};

use super::item::{MemberPlace, fits_leaf, in_slot, is_sound, name_of, new_item, place_of, score_of};
use super::{LargeSorted, ROOT_BYTES, Score, pairs};

type Verdict = Result<(), &'static str>;

/// Checks bytes that may be damaged: the sorted set in the record at `at`.
pub(crate) fn check(pages: &impl Pages, at: Ref, head: &Head, inspector: &mut impl CollectionInspector) -> Verdict {
    let rest = head.rest(pages.page(at.page()));
    match head.encoding {
        Encoding::PACKED => check_packed(rest),
        _ if rest.len() != ROOT_BYTES => Err("the root of a sorted set has a wrong length"),
        _ => check_large(pages, LargeSorted::at(at.page(), head.rest_at), false, inspector),
    }
}

fn check_packed(blob: &[u8]) -> Verdict {
    packed::check(blob, 2)?;
    let shortest = packed::strings(blob).skip(1).step_by(2).all(|bytes| {
        Score::from_bytes(bytes).is_some_and(|score| {
            let (all, len) = score.short_bytes();
            all[..len] == *bytes
        })
    });
    let keys = || pairs(blob).map(|(name, score)| (score, name));
    let ascend = keys().zip(keys().skip(1)).all(|(a, b)| a < b);
    if shortest && ascend { Ok(()) } else { Err("a sorted set in one piece is out of order") }
}

/// Checks a large one; `draining`: it waits to be reclaimed.
pub(crate) fn check_large(
    pages: &impl Pages,
    sorted: LargeSorted,
    draining: bool,
    inspector: &mut impl CollectionInspector,
) -> Verdict {
    let slots = sorted.slots();
    if !slots.is_clean(pages) || (!draining && table::is_draining(pages, sorted.table())) {
        return Err("the root of a sorted set is malformed");
    }
    if !draining && sorted.len(pages) == 0 {
        return Err("a sorted set has no member");
    }
    if let Some(heap) = slots.own_heap(pages) {
        inspector.heap(heap, draining)?;
    }
    let mut entries = SortedEntries { pages, inspector, all: Vec::new(), bytes: 0 };
    table::check(pages, sorted.table(), &mut entries)?;
    let SortedEntries { mut all, bytes, .. } = entries;
    if !draining && bytes != slots.entry_bytes(pages) {
        return Err("a sorted set counts its bytes wrong");
    }
    all.sort_unstable();
    let mut items = SortedItems { pages, entries: &all, names: Vec::new(), last: None };
    sorted.ordered(pages).check(pages, &mut |id| inspector.page(id), &mut |item| items.visit(item))?;
    // SortedItems are different, since they ascend, and each has an entry that is no other item's.
    let SortedItems { mut names, .. } = items;
    names.sort_unstable();
    if names.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err("a member is there twice");
    }
    // Of one that waits, the tree is given up first.
    if names.len() == all.len() || draining { Ok(()) } else { Err("a member of a sorted set is missing in its order") }
}

/// What the table leads to.
struct SortedEntries<'a, P, I> {
    pages: &'a P,
    inspector: &'a mut I,
    all: Vec<(MemberPlace, u32)>,
    bytes: u64,
}

impl<P: Pages, I: CollectionInspector> Inspector<MemberPlace> for SortedEntries<'_, P, I> {
    fn page(&mut self, id: PageId) -> bool {
        self.inspector.page(id)
    }

    fn slot(&mut self, at: Ref, bytes: usize) -> Verdict {
        self.inspector.slot(at, &mut |_| Ok(bytes))
    }

    fn entries(&mut self, entries: Vec<(u32, MemberPlace)>) -> Verdict {
        for (tag, place) in &entries {
            let MemberPlace::Slot(at) = place else { continue };
            let entry = check_entry(self.pages, *at, EntryContent::Value, self.inspector)?;
            let page = self.pages.page(at.page());
            let value = entry.value(&self.pages, page);
            let bytes = value.as_slice().filter(|bytes| bytes.len() == size_of::<Score>());
            if bytes.and_then(Score::from_bytes).is_none() {
                return Err("a score is no number");
            }
            if tag_of(self.pages, entry.name(page)) != *tag {
                return Err("an entry is not where its name belongs");
            }
            self.bytes += entry.memory_bytes(page);
        }
        self.all.extend(entries.into_iter().map(|(tag, place)| (place, tag)));
        Ok(())
    }
}

/// The items of the tree, in their order.
struct SortedItems<'a, P> {
    pages: &'a P,
    /// What the table leads to, with tags, sorted.
    entries: &'a [(MemberPlace, u32)],
    /// Members with the tags of their names.
    names: Vec<(u32, &'a [u8])>,
    last: Option<(Score, MemberPlace)>,
}

impl<'a, P: Pages> SortedItems<'a, P> {
    /// Checks an item, which is compared with others only then.
    fn visit(&mut self, item: &'a [u8]) -> Verdict {
        let place = if is_sound(item) { place_of(item) } else { None };
        let place = place.ok_or("an item of a sorted set is malformed")?;
        let score = score_of(item);
        if let MemberPlace::Slot(at) = place {
            // A slot is looked at if the table leads to it.
            let from = self.entries.partition_point(|(there, _)| *there < place);
            if self.entries.get(from).is_none_or(|(there, _)| *there != place) || in_slot(self.pages, at).1 != score {
                return Err("an item of a sorted set leads to no entry of it");
            }
        }
        let name = name_of(self.pages, item).unwrap_or_default();
        let tag = tag_of(self.pages, name);
        if self.entries.binary_search(&(place, tag)).is_err() {
            return Err("an item of a sorted set leads to no entry of it");
        }
        let in_leaf = |place| matches!(place, MemberPlace::Leaf(_));
        if new_item(score, name, place).as_slice() != item || (in_leaf(place) && !fits_leaf(name)) {
            return Err("an item of a sorted set is malformed");
        }
        let last = self.last.replace((score, place));
        if last.is_some_and(|(before, there)| before == score && (in_leaf(there) || in_leaf(place))) {
            return Err("a member of a sorted set is in a leaf and shares its score");
        }
        self.names.push((tag, name));
        Ok(())
    }
}
